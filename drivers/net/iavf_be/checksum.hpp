/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

namespace iavf_be {

/**
 * The sum of RFC 1071 over bytes of a frame that are there: not inverted, in the order of the
 * network, 0xffff if it covers a right checksum.
 *
 * Not by rte_raw_cksum_mbuf(), which (up to DPDK 25.11) cuts the sum of a part that begins at an
 * odd byte to 16 bits before it folds the carries in.
 */
uint16_t ones_sum(const rte_mbuf &frame, uint32_t offset, uint32_t length);

/**
 * Continues a CRC32c (RFC 9260, appendix A) over bytes of a frame that are there. It begins with
 * ~0, and is inverted at its end.
 */
uint32_t crc32c(const rte_mbuf &frame, uint32_t offset, uint32_t length, uint32_t crc);
/** The same over bytes in one piece; rte_hash_crc() would read words from wherever they are. */
uint32_t crc32c(const uint8_t *data, uint32_t length, uint32_t crc);

} // namespace iavf_be
