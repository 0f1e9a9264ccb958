/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <cstring>

#include <rte_byteorder.h>

namespace iavf_be {

/* Words of a frame, wherever they are. */

/** As it lies there. */
template <class T>
T
load(const uint8_t *at)
{
	T out;
	memcpy(&out, at, sizeof(out));
	return out;
}

/** A MAC address as a number, the first byte lowest. */
inline uint64_t
load_mac(const uint8_t *at)
{
	const uint64_t end = rte_le_to_cpu_16(load<uint16_t>(at + sizeof(uint32_t)));
	return rte_le_to_cpu_32(load<uint32_t>(at)) | end << 32;
}

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
