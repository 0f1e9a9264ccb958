/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

namespace iavf_be {

/**
 * Copies bytes and sums them up in the same pass. The sum is that of RFC 1071 in the order of the
 * network, of 16-bit words and not folded: what is not a multiple of 0xffff is wrong if the bytes
 * cover a checksum. It takes copy_sum_pays bytes or more.
 */
using copy_sum_fn = uint64_t (*)(uint8_t *to, const uint8_t *from, uint32_t length);

/** The fastest that this processor and the application's choice (--force-max-simd-bitwidth) allow;
 * nullptr if a pass of its own is no slower. */
copy_sum_fn select_copy_sum();

/** From so many bytes on it is faster than copying first and then summing up what is in the cache.
 */
inline constexpr uint32_t copy_sum_pays = 96;

} // namespace iavf_be
