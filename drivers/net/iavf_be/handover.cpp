/* SPDX-License-Identifier: BSD-3-Clause */

#include "handover.hpp"

#include <cstring>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include "checksum_insertion.hpp"
#include "vlan.hpp"

namespace iavf_be {

using iavf::ip_type;
using iavf::l4_type;

namespace {

constexpr uint16_t max_tags = 2;

/** Whether a link header, with as many tags as other drivers find, leads to a packet of IP. */
bool
leads_to_ip(const offload &request, const uint8_t *frame)
{
	const uint16_t wanted = request.is_ipv4() ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;
	uint16_t at = 2 * RTE_ETHER_ADDR_LEN;

	for (uint16_t tags = 0; at + 2 < request.l2_length; tags++) {
		if (tags == max_tags || !is_vlan_type(load_be16(frame + at)))
			return false;
		at += sizeof(rte_vlan_hdr);
	}
	return at + 2 == request.l2_length && load_be16(frame + at) == wanted;
}

bool
is_whole_ipv4(const offload &request, const uint8_t *packet, uint32_t length)
{
	rte_ipv4_hdr ip;

	memcpy(&ip, packet, sizeof(ip));
	constexpr uint16_t fragment = RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK;
	return (ip.fragment_offset & rte_cpu_to_be_16(fragment)) == 0 &&
	       (request.mss != 0 || rte_be_to_cpu_16(ip.total_length) == length);
}

/** Others do not look behind extension headers. */
bool
is_whole_ipv6(const offload &request, const uint8_t *packet, uint32_t length)
{
	rte_ipv6_hdr ip;

	memcpy(&ip, packet, sizeof(ip));
	return request.l3_length == sizeof(ip) &&
	       (request.mss != 0 || rte_be_to_cpu_16(ip.payload_len) + sizeof(ip) == length);
}

uint32_t
packet_type(const offload &request)
{
	constexpr uint32_t by_tags[] = {RTE_PTYPE_L2_ETHER, RTE_PTYPE_L2_ETHER_VLAN,
					RTE_PTYPE_L2_ETHER_QINQ};
	const uint32_t l2 = by_tags[(request.l2_length - RTE_ETHER_HDR_LEN) / sizeof(rte_vlan_hdr)];
	const uint32_t ipv4 = request.l3_length == sizeof(rte_ipv4_hdr) ? RTE_PTYPE_L3_IPV4
									: RTE_PTYPE_L3_IPV4_EXT;
	constexpr uint32_t by_l4[] = {0, RTE_PTYPE_L4_TCP, RTE_PTYPE_L4_SCTP, RTE_PTYPE_L4_UDP};
	return l2 | (request.is_ipv4() ? ipv4 : RTE_PTYPE_L3_IPV6) |
	       by_l4[static_cast<size_t>(request.l4)];
}

uint64_t
ipv4_flags(const rte_mbuf *frame, const offload &request)
{
	const auto *ip = rte_pktmbuf_mtod_offset(frame, const uint8_t *, request.l2_length);
	return rte_raw_cksum(ip, request.l3_length) == 0xffff ? RTE_MBUF_F_RX_IP_CKSUM_GOOD
							      : RTE_MBUF_F_RX_IP_CKSUM_BAD;
}

} // namespace

bool
is_legible(const offload &request, std::span<const uint8_t> headers, uint32_t length)
{
	const uint8_t *packet = headers.data() + request.l2_length;

	/* Of frames in tunnels, few find the inner headers. */
	if (!request.tunnel.none() || !leads_to_ip(request, headers.data()))
		return false;
	length -= request.l2_length;
	return request.is_ipv4() ? is_whole_ipv4(request, packet, length)
				 : is_whole_ipv6(request, packet, length);
}

bool
begins_right(const offload &request, std::span<const uint8_t> headers)
{
	if (request.l4 == l4_type::none || request.l4 == l4_type::sctp)
		return true;
	const uint8_t *packet = headers.data() + request.l2_length;
	const uint64_t flags = request.mss != 0 ? RTE_MBUF_F_TX_TCP_SEG : 0;
	uint16_t wanted, found;

	memcpy(&found, packet + request.l3_length + row_of(request.l4).checksum_offset,
	       sizeof(found));
	if (request.is_ipv4()) {
		rte_ipv4_hdr ip;
		memcpy(&ip, packet, sizeof(ip));
		wanted = rte_ipv4_phdr_cksum(&ip, flags);
	} else {
		rte_ipv6_hdr ip;
		memcpy(&ip, packet, sizeof(ip));
		wanted = rte_ipv6_phdr_cksum(&ip, flags);
	}
	/* Two values are zero. */
	return found % 0xffff == wanted % 0xffff;
}

void
hand_over_checksum(const offload &request, rte_mbuf *frame)
{
	const uint64_t ip = request.is_ipv4() ? RTE_MBUF_F_TX_IPV4 | ipv4_flags(frame, request)
					      : RTE_MBUF_F_TX_IPV6;

	frame->packet_type = packet_type(request);
	frame->tx_offload = 0;
	frame->l2_len = request.l2_length;
	frame->l3_len = request.l3_length;
	frame->l4_len = request.l4_length;
	frame->ol_flags =
		ip | RTE_MBUF_F_RX_L4_CKSUM_NONE |
		(request.l4 == l4_type::tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
}

void
hand_over_segmentation(const offload &request, rte_mbuf *frame)
{
	hand_over_checksum(request, frame);
	frame->tso_segsz = request.mss;
	frame->ol_flags |= RTE_MBUF_F_RX_LRO | RTE_MBUF_F_TX_TCP_SEG |
			   (request.is_ipv4() ? RTE_MBUF_F_TX_IP_CKSUM : 0);
}

void
tell_checksums(const offload &request, bool began_right, rte_mbuf *frame)
{
	/* Without it others would not know whose checksums are meant. */
	frame->packet_type = packet_type(request);
	if (request.is_ipv4())
		frame->ol_flags |= ipv4_flags(frame, request);
	if (request.l4 != l4_type::none)
		frame->ol_flags |=
			began_right ? RTE_MBUF_F_RX_L4_CKSUM_GOOD : RTE_MBUF_F_RX_L4_CKSUM_BAD;
}

} // namespace iavf_be
