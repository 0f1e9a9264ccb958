/* SPDX-License-Identifier: BSD-3-Clause */

#include "host_request.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "checksum_insertion.hpp"
#include "headers.hpp"
#include "vlan.hpp"

namespace iavf_be {

using iavf::ip_type;
using iavf::l4_type;
using iavf::tunnel_type;

namespace {

/** An offload that nobody can enable here: the library refuses it. */
constexpr uint64_t never = uint64_t{1} << 63;
static_assert((request_offloads & never) == 0);

struct flag_row {
	uint64_t flag, offload;
};
constexpr flag_row flag_rows[] = {
	{RTE_MBUF_F_TX_UDP_SEG, never},
	{RTE_MBUF_F_TX_MACSEC, never},
	{RTE_MBUF_F_TX_SEC_OFFLOAD, never},
	{RTE_MBUF_F_TX_IEEE1588_TMST, never},
	{RTE_MBUF_F_TX_VLAN, RTE_ETH_TX_OFFLOAD_VLAN_INSERT},
	{RTE_MBUF_F_TX_QINQ, RTE_ETH_TX_OFFLOAD_QINQ_INSERT},
};

/** Segmentation of TCP comes with all checksums around it. */
constexpr flag_row checksum_rows[] = {
	{RTE_MBUF_F_TX_IP_CKSUM, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM},
	{RTE_MBUF_F_TX_OUTER_IP_CKSUM, RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM},
	{RTE_MBUF_F_TX_OUTER_UDP_CKSUM, RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM},
};

uint64_t
of_l4(uint64_t flags)
{
	switch (flags & RTE_MBUF_F_TX_L4_MASK) {
	case RTE_MBUF_F_TX_TCP_CKSUM:
		return RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	case RTE_MBUF_F_TX_UDP_CKSUM:
		return RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	case RTE_MBUF_F_TX_SCTP_CKSUM:
		return RTE_ETH_TX_OFFLOAD_SCTP_CKSUM;
	default:
		return 0;
	}
}

/** Flags that tell of an outer IP header. */
constexpr uint64_t outer_flags = RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_OUTER_IPV6;

bool
in_tunnel(uint64_t flags)
{
	return (flags & (RTE_MBUF_F_TX_TUNNEL_MASK | outer_flags | RTE_MBUF_F_TX_OUTER_IP_CKSUM |
			 RTE_MBUF_F_TX_OUTER_UDP_CKSUM)) != 0;
}

/** What a tunnel's flag stands for. */
struct tunnel_row {
	uint64_t flag;
	uint64_t offload;     /**< For segmentation. */
	uint8_t protocols[2]; /**< What the outer IP header may lead to. */
};
constexpr tunnel_row tunnel_rows[] = {
	{RTE_MBUF_F_TX_TUNNEL_VXLAN, RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO, {IPPROTO_UDP}},
	{RTE_MBUF_F_TX_TUNNEL_GENEVE, RTE_ETH_TX_OFFLOAD_GENEVE_TNL_TSO, {IPPROTO_UDP}},
	{RTE_MBUF_F_TX_TUNNEL_GRE, RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO, {IPPROTO_GRE}},
	{RTE_MBUF_F_TX_TUNNEL_IPIP, RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO, {IPPROTO_IPIP, IPPROTO_IPV6}},
	{RTE_MBUF_F_TX_TUNNEL_UDP, RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO, {IPPROTO_UDP}},
	{RTE_MBUF_F_TX_TUNNEL_VXLAN_GPE, RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO, {IPPROTO_UDP}},
	{RTE_MBUF_F_TX_TUNNEL_GTP, RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO, {IPPROTO_UDP}},
	{RTE_MBUF_F_TX_TUNNEL_MPLSINUDP, RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO, {IPPROTO_UDP}},
};

const tunnel_row *
tunnel_row_of(uint64_t flags)
{
	for (const tunnel_row &row : tunnel_rows)
		if (row.flag == (flags & RTE_MBUF_F_TX_TUNNEL_MASK))
			return &row;
	return nullptr;
}

/** The offloads without which a request may not be carried out. */
uint64_t
needed(uint64_t flags)
{
	uint64_t out = 0;

	for (const auto &row : flag_rows)
		out |= (flags & row.flag) != 0 ? row.offload : 0;
	if ((flags & RTE_MBUF_F_TX_TCP_SEG) != 0) {
		const tunnel_row *row = tunnel_row_of(flags);
		if (!in_tunnel(flags))
			return out | RTE_ETH_TX_OFFLOAD_TCP_TSO;
		return out | (row != nullptr ? row->offload : never);
	}
	for (const auto &row : checksum_rows)
		out |= (flags & row.flag) != 0 ? row.offload : 0;
	return out | of_l4(flags);
}

bool
flags_agree(uint64_t flags)
{
	constexpr uint64_t versions = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6;
	const uint64_t l4 = flags & RTE_MBUF_F_TX_L4_MASK;

	return (flags & versions) != versions && (flags & outer_flags) != outer_flags &&
	       ((flags & RTE_MBUF_F_TX_TCP_SEG) == 0 || l4 == 0 || l4 == RTE_MBUF_F_TX_TCP_CKSUM);
}

/** What net_vhost leaves out (legacy-ol-flags): that a TSO request wants checksums of IPv4. Each
 * segment has one of its own all the same. */
bool
lacks_ip_checksum(uint64_t flags)
{
	constexpr uint64_t tso = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4;
	return (flags & (tso | RTE_MBUF_F_TX_IP_CKSUM)) == tso;
}

l4_type
l4_of(uint64_t flags)
{
	if ((flags & RTE_MBUF_F_TX_TCP_SEG) != 0)
		return l4_type::tcp;
	switch (flags & RTE_MBUF_F_TX_L4_MASK) {
	case RTE_MBUF_F_TX_TCP_CKSUM:
		return l4_type::tcp;
	case RTE_MBUF_F_TX_UDP_CKSUM:
		return l4_type::udp;
	case RTE_MBUF_F_TX_SCTP_CKSUM:
		return l4_type::sctp;
	default:
		return l4_type::none;
	}
}

ip_type
ip_of(uint64_t flags)
{
	if ((flags & RTE_MBUF_F_TX_IP_CKSUM) != 0)
		return ip_type::ipv4_checksum;
	/* A version alone asks for nothing. */
	if ((flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG)) == 0)
		return ip_type::none;
	return (flags & RTE_MBUF_F_TX_IPV4) != 0 ? ip_type::ipv4 : ip_type::ipv6;
}

/** A part of a packet of IPv4 has no checksum of its own. */
bool
is_fragment(const uint8_t *ip)
{
	constexpr uint16_t fragment = RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK;
	return (load_be16(ip + offsetof(rte_ipv4_hdr, fragment_offset)) & fragment) != 0;
}

/** Whether headers of IPv6 that take @p length bytes leave the addresses as they are, and the
 * packet whole. */
bool
is_simple_ipv6(const uint8_t *ip, uint16_t length)
{
	int next = ip[offsetof(rte_ipv6_hdr, proto)];
	size_t at = sizeof(rte_ipv6_hdr), size = 0;

	for (; at < length; at += size) {
		const bool for_destination = next == IPPROTO_DSTOPTS;
		if (!for_destination && next != IPPROTO_HOPOPTS)
			return false;
		next = length - at < 8 ? -1 : rte_ipv6_get_next_ext(ip + at, next, &size);
		if (next < 0 || size > length - at ||
		    (for_destination && has_home_address({ip + at, size})))
			return false;
	}
	return true;
}

/** Where a packet of IP ends by its header, as far as it says so. */
uint32_t
end_of_ip(const uint8_t *front, uint32_t at, bool is_ipv4)
{
	const uint8_t *ip = front + at;

	if (is_ipv4)
		return at + load_be16(ip + offsetof(rte_ipv4_hdr, total_length));
	return at + static_cast<uint32_t>(sizeof(rte_ipv6_hdr)) +
	       load_be16(ip + offsetof(rte_ipv6_hdr, payload_len));
}

uint32_t
end_of_udp(const uint8_t *front, uint32_t at)
{
	return at + load_be16(front + at + offsetof(rte_udp_hdr, dgram_len));
}

} // namespace

/** The outer header is found out about where the flags say little of it. */
bool
host_request::take_tunnel(const rte_mbuf &frame)
{
	const uint64_t flags = frame.ol_flags;
	tunnel_request &tunnel = what.tunnel;
	uint8_t scratch[sizeof(rte_ipv6_hdr)];

	what.l2_length = frame.outer_l2_len;
	tunnel.ip_length = frame.outer_l3_len;
	tunnel.length = frame.l2_len;
	tunnel.udp_checksum = (flags & RTE_MBUF_F_TX_OUTER_UDP_CKSUM) != 0;
	const auto *ip = static_cast<const uint8_t *>(
		rte_pktmbuf_read(&frame, what.l2_length, sizeof(rte_ipv4_hdr), scratch));
	if (ip == nullptr || tunnel.ip_length < sizeof(rte_ipv4_hdr))
		return false;
	const bool is_ipv4 = ip[0] >> 4 == 4;
	if ((flags & (is_ipv4 ? RTE_MBUF_F_TX_OUTER_IPV6 : RTE_MBUF_F_TX_OUTER_IPV4)) != 0 ||
	    (!is_ipv4 && (flags & RTE_MBUF_F_TX_OUTER_IP_CKSUM) != 0))
		return false;
	const bool checksum = (flags & (RTE_MBUF_F_TX_OUTER_IP_CKSUM | RTE_MBUF_F_TX_TCP_SEG)) != 0;
	tunnel.ip = !is_ipv4 ? ip_type::ipv6 : checksum ? ip_type::ipv4_checksum : ip_type::ipv4;
	/* Extension headers of an outer IPv6 header are nobody's in a tunnel. */
	const uint8_t protocol =
		ip[is_ipv4 ? offsetof(rte_ipv4_hdr, next_proto_id) : offsetof(rte_ipv6_hdr, proto)];
	const tunnel_row *row = tunnel_row_of(flags);
	if (row != nullptr && protocol != row->protocols[0] && protocol != row->protocols[1])
		return false;
	tunnel.type = protocol == IPPROTO_UDP   ? tunnel_type::udp
		      : protocol == IPPROTO_GRE ? tunnel_type::gre
						: tunnel_type::ip;
	return true;
}

/** What flags and lengths say; whether that can be is seen at the headers. */
bool
host_request::take_lengths(const rte_mbuf &frame)
{
	const uint64_t flags = frame.ol_flags;
	const bool tso = (flags & RTE_MBUF_F_TX_TCP_SEG) != 0;

	what.l4 = l4_of(flags);
	what.ip = ip_of(flags);
	what.l2_length = frame.l2_len;
	what.l3_length = what.ip == ip_type::none ? 0 : frame.l3_len;
	what.l4_length = tso ? frame.l4_len : row_of(what.l4).least_length;
	what.mss = tso ? frame.tso_segsz : 0;
	if (in_tunnel(flags) && !take_tunnel(frame))
		return false;
	if (tso && (what.mss < iavf::min_tso_mss || what.l4_length < sizeof(rte_tcp_hdr)))
		return false;
	return what.lengths_are_plausible() && what.header_length() <= frame.pkt_len;
}

/** What the headers themselves tell. */
bool
host_request::fits(const uint8_t *front) const
{
	const uint8_t *ip = front + what.l3();

	if (what.l4 != l4_type::none &&
	    (what.is_ipv4() ? is_fragment(ip) : !is_simple_ipv6(ip, what.l3_length)))
		return false;
	if (!what.tunnel.none() && what.is_outer_ipv4() && is_fragment(front + what.l2_length))
		return false;
	if (what.mss == 0)
		return true;
	const uint8_t data_offset = front[what.l4_at() + offsetof(rte_tcp_hdr, data_off)];
	/* A sequence number and a checksum of GRE differ per segment. */
	constexpr uint8_t gre_checksum = 0x80, gre_sequence = 0x10;
	const bool gre = !what.tunnel.none() && what.tunnel.type == tunnel_type::gre;
	return (data_offset >> 4) * 4 == what.l4_length &&
	       (!gre || (front[what.outer_l4()] & (gre_checksum | gre_sequence)) == 0);
}

bool
host_request::take_ends(const uint8_t *front, uint32_t length)
{
	const uint32_t headers = what.header_length();
	tunnel_request &tunnel = what.tunnel;

	if (what.mss != 0) {
		l4_end = outer_end = length;
		/* Where there is one, it has to be right for each segment. */
		if (!tunnel.none() && tunnel.type == tunnel_type::udp &&
		    load_be16(front + what.outer_l4() + offsetof(rte_udp_hdr, dgram_cksum)) != 0)
			tunnel.udp_checksum = true;
		return true;
	}
	l4_end = outer_end = headers;
	if (what.l4 != l4_type::none) {
		l4_end = end_of_ip(front, what.l3(), what.is_ipv4());
		if (what.l4 == l4_type::udp) {
			const uint32_t end = end_of_udp(front, what.l4_at());
			if (end > l4_end || l4_end > length)
				return false;
			l4_end = end;
		}
	}
	if (tunnel.udp_checksum) {
		outer_end = end_of_udp(front, what.outer_l4());
		const uint32_t end = end_of_ip(front, what.l2_length, what.is_outer_ipv4());
		if (outer_end > end || end > length)
			return false;
	}
	outer_end = std::max(outer_end, tunnel.udp_checksum ? 0 : l4_end);
	return l4_end >= headers && l4_end <= outer_end && outer_end <= length;
}

request_verdict
host_request::decode(const rte_mbuf &frame, uint64_t offloads)
{
	std::array<uint8_t, longest_headers> scratch;

	*this = {};
	if ((needed(frame.ol_flags) & ~offloads) != 0)
		return request_verdict::disabled;
	if ((frame.ol_flags & request_flags & ~inserts_tags) == 0)
		return request_verdict::good; /* tags are for whoever copies the frame */
	if (frame.pkt_len < RTE_ETHER_HDR_LEN || !flags_agree(frame.ol_flags) ||
	    (rte_validate_tx_offload(&frame) != 0 && !lacks_ip_checksum(frame.ol_flags)) ||
	    !take_lengths(frame))
		return request_verdict::malformed;
	const uint32_t length = what.header_length();
	const auto *front =
		static_cast<const uint8_t *>(rte_pktmbuf_read(&frame, 0, length, scratch.data()));
	if (front == nullptr || !what.matches({front, length}) || !fits(front) ||
	    !take_ends(front, frame.pkt_len))
		return request_verdict::malformed;
	return request_verdict::good;
}

} // namespace iavf_be
