/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

namespace iavf_be {

/* Words of a frame, wherever they are. */

inline uint16_t
load_be16(const uint8_t *at)
{
	return static_cast<uint16_t>(at[0] << 8 | at[1]);
}

/** @return What is behind it. */
inline uint8_t *
store_be16(uint8_t *at, uint16_t value)
{
	*at++ = static_cast<uint8_t>(value >> 8);
	*at++ = static_cast<uint8_t>(value);
	return at;
}

} // namespace iavf_be
