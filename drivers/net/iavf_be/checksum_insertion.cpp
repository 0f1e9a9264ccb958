/* SPDX-License-Identifier: BSD-3-Clause */

#include "checksum_insertion.hpp"

#include <array>
#include <cstddef>
#include <cstring>

#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "checksum.hpp"

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

uint16_t
checksum_of(l4_type type, uint16_t sum)
{
	const auto value = static_cast<uint16_t>(~sum);

	return type == l4_type::udp && value == 0 ? uint16_t{0xffff} : value;
}

void
insert_l4_checksum(rte_mbuf *frame, l4_type type, uint32_t l4)
{
	const uint32_t at = l4 + row_of(type).checksum_offset;
	if (type == l4_type::sctp) {
		put(frame, at, uint32_t{0});
		put(frame, at,
		    rte_cpu_to_le_32(~crc32c(*frame, l4, frame->pkt_len - l4, ~uint32_t{0})));
		return;
	}
	put(frame, at, checksum_of(type, ones_sum(*frame, l4, frame->pkt_len - l4)));
}

void
insert_ipv4_checksum(uint8_t *header, uint16_t length)
{
	auto *ip = reinterpret_cast<rte_ipv4_hdr *>(header);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = static_cast<uint16_t>(~rte_raw_cksum(ip, length));
}

} // namespace iavf_be
