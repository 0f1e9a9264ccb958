/* SPDX-License-Identifier: BSD-3-Clause */

#include "checksum.hpp"

#include <algorithm>
#include <cstring>

#include <rte_byteorder.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>

namespace iavf_be {

namespace {

/** Calls @p visit(bytes, length) for each piece of a range of a frame. */
template <class visitor>
void
each_piece(const rte_mbuf &frame, uint32_t offset, uint32_t length, visitor visit)
{
	for (const rte_mbuf *part = &frame; part != nullptr && length != 0; part = part->next) {
		if (offset >= part->data_len) {
			offset -= part->data_len;
			continue;
		}
		const uint32_t piece = std::min(length, part->data_len - offset);
		visit(rte_pktmbuf_mtod_offset(part, const uint8_t *, offset), piece);
		length -= piece;
		offset = 0;
	}
}

} // namespace

uint16_t
ones_sum(const rte_mbuf &frame, uint32_t offset, uint32_t length)
{
	uint32_t sum = 0;
	bool odd = false;

	each_piece(frame, offset, length, [&](const uint8_t *data, uint32_t size) {
		const uint16_t piece = rte_raw_cksum(data, size);
		/* RFC 1071, section 2 (B): the sum of swapped bytes is the swapped sum. */
		sum += odd ? rte_bswap16(piece) : piece;
		odd = odd != (size % 2 != 0);
	});
	return __rte_raw_cksum_reduce(sum);
}

uint32_t
crc32c(const rte_mbuf &frame, uint32_t offset, uint32_t length, uint32_t crc)
{
	each_piece(frame, offset, length,
		   [&](const uint8_t *data, uint32_t size) { crc = crc32c(data, size, crc); });
	return crc;
}

uint32_t
crc32c(const uint8_t *data, uint32_t length, uint32_t crc)
{
	for (; length >= sizeof(uint64_t); data += sizeof(uint64_t), length -= sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, data, sizeof(word));
		crc = rte_hash_crc_8byte(word, crc);
	}
	for (; length != 0; length--)
		crc = rte_hash_crc_1byte(*data++, crc);
	return crc;
}

} // namespace iavf_be
