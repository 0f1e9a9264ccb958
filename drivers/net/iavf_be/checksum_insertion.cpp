/* SPDX-License-Identifier: BSD-3-Clause */

#include "checksum_insertion.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

namespace iavf_be {

using iavf::l4_type;

namespace {

/** Indexed by l4_type. */
constexpr std::array<l4_row, 4> l4_rows{{
	{0, 0, 0},
	{IPPROTO_TCP, sizeof(rte_tcp_hdr), offsetof(rte_tcp_hdr, cksum)},
	{IPPROTO_SCTP, sizeof(rte_sctp_hdr), offsetof(rte_sctp_hdr, cksum)},
	{IPPROTO_UDP, sizeof(rte_udp_hdr), offsetof(rte_udp_hdr, dgram_cksum)},
}};

/** Continues a CRC32c; rte_hash_crc() would read words from wherever the bytes are. */
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

/** RFC 9260, appendix A; the field must be zero. */
uint32_t
sctp_checksum(const rte_mbuf *frame, uint32_t offset)
{
	uint32_t crc = ~0u;
	for (const rte_mbuf *part = frame; part != nullptr; part = part->next) {
		if (offset < part->data_len)
			crc = crc32c(rte_pktmbuf_mtod_offset(part, const uint8_t *, offset),
				     part->data_len - offset, crc);
		offset -= std::min<uint32_t>(offset, part->data_len);
	}
	return rte_cpu_to_le_32(~crc);
}

template <class T>
void
put(rte_mbuf *frame, uint32_t offset, T value)
{
	memcpy(rte_pktmbuf_mtod_offset(frame, uint8_t *, offset), &value, sizeof(value));
}

} // namespace

const l4_row &
row_of(l4_type type)
{
	return l4_rows[static_cast<size_t>(type)];
}

/**
 * The driver has left the sum of the pseudo header in the field, so summing up all is enough.
 *
 * Not by rte_raw_cksum_mbuf(), which (up to DPDK 25.11) cuts the sum of a part that begins at an
 * odd byte to 16 bits before it folds the carries in.
 */
uint16_t
internet_checksum(const rte_mbuf *frame, uint32_t offset)
{
	uint32_t sum = 0;
	bool odd = false;

	for (const rte_mbuf *part = frame; part != nullptr; part = part->next) {
		if (offset >= part->data_len) {
			offset -= part->data_len;
			continue;
		}
		const uint32_t length = part->data_len - offset;
		const uint16_t piece =
			rte_raw_cksum(rte_pktmbuf_mtod_offset(part, const void *, offset), length);
		/* RFC 1071, section 2 (B): the sum of swapped bytes is the swapped sum. */
		sum += odd ? rte_bswap16(piece) : piece;
		odd = odd != (length % 2 != 0);
		offset = 0;
	}
	return static_cast<uint16_t>(~__rte_raw_cksum_reduce(sum));
}

void
insert_l4_checksum(rte_mbuf *frame, l4_type type, uint32_t l4)
{
	const uint32_t at = l4 + row_of(type).checksum_offset;
	if (type == l4_type::sctp) {
		put(frame, at, uint32_t{0});
		put(frame, at, sctp_checksum(frame, l4));
		return;
	}
	uint16_t sum = internet_checksum(frame, l4);
	/* RFC 768: a UDP checksum of zero would mean "none". */
	if (type == l4_type::udp && sum == 0)
		sum = 0xffff;
	put(frame, at, sum);
}

void
insert_ipv4_checksum(rte_mbuf *frame, uint32_t offset, uint16_t length)
{
	auto *ip = rte_pktmbuf_mtod_offset(frame, rte_ipv4_hdr *, offset);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = static_cast<uint16_t>(~rte_raw_cksum(ip, length));
}

} // namespace iavf_be
