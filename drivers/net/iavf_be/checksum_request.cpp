/* SPDX-License-Identifier: BSD-3-Clause */

#include "checksum_request.hpp"

#include <cstddef>
#include <cstring>

#include <rte_ethdev.h>

#include "checksum_insertion.hpp"
#include "host_request.hpp"
#include "rx_check.hpp"

namespace iavf_be {

using iavf::l4_type;

namespace {

/** Only together do they say what is asked for. */
constexpr uint64_t looked_at = request_flags | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 |
			       RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_OUTER_IPV6 |
			       RTE_MBUF_F_TX_TUNNEL_MASK;

/** The offload of the queue that a frame's flags need; 0: they ask for something else. */
uint64_t
needed(uint64_t flags)
{
	switch (flags & looked_at) {
	case RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM:
	case RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TCP_CKSUM:
		return RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	case RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM:
	case RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM:
		return RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	case RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM:
		return RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	case RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM:
		return RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
	default:
		return 0;
	}
}

/** Whether what is behind IP is what the flags say, and as long as the packet. */
bool
leads_to(l4_type type, const quick::behind_ip &in)
{
	const l4_row &row = row_of(type);

	if (in.protocol != row.protocol || in.length < row.least_length)
		return false;
	return type == l4_type::tcp || quick::is_plain_udp(in);
}

} // namespace

bool
checksum_request::find(const rte_mbuf &frame, uint64_t offloads)
{
	const uint64_t flags = frame.ol_flags, wanted = needed(flags);
	const bool is_ipv6 = (flags & RTE_MBUF_F_TX_IPV6) != 0;
	const bool inserts_ip = (flags & RTE_MBUF_F_TX_IP_CKSUM) != 0;
	const l4_type type = (flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM
				     ? l4_type::tcp
				     : l4_type::udp;
	const uint16_t l3_length = is_ipv6 ? sizeof(rte_ipv6_hdr) : sizeof(rte_ipv4_hdr);
	const auto *begin = rte_pktmbuf_mtod(&frame, const uint8_t *);
	const uint8_t *ip = begin + RTE_ETHER_HDR_LEN;
	quick::behind_ip in;

	if (wanted == 0 || (wanted & ~offloads) != 0 || frame.nb_segs != 1 ||
	    frame.l2_len != RTE_ETHER_HDR_LEN || frame.l3_len != l3_length ||
	    frame.data_len < RTE_ETHER_HDR_LEN + l3_length)
		return false;
	const uint32_t room = frame.data_len - RTE_ETHER_HDR_LEN;
	const uint16_t ether_type =
		is_ipv6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4);
	if (load<uint16_t>(ip - sizeof(ether_type)) != ether_type ||
	    !(is_ipv6 ? quick::pass_ipv6(ip, room, in) : quick::is_plain_ipv4(ip, room, in)) ||
	    in.length + l3_length != room || !leads_to(type, in))
		return false;
	if (!is_ipv6 && !inserts_ip && !quick::is_right(in.header))
		return false;
	const auto l4_at = static_cast<uint16_t>(in.l4 - begin);
	field = l4_at + row_of(type).checksum_offset;
	const uint64_t others =
		quick::add(quick::sum_bytes(begin, l4_at), load<uint16_t>(begin + field));
	rest = quick::less(quick::pseudo_sum(in), others);
	ip_field = 0;
	if (inserts_ip) {
		ip_field = RTE_ETHER_HDR_LEN + offsetof(rte_ipv4_hdr, hdr_checksum);
		ip_checksum = static_cast<uint16_t>(
			~quick::fold(quick::less(in.header, load<uint16_t>(begin + ip_field))));
	}
	udp = type == l4_type::udp;
	ptype = iavf::ptype::of(is_ipv6, iavf::ptype::tunnel::none, iavf::ptype::inner::none,
				udp ? iavf::ptype::payload::udp : iavf::ptype::payload::tcp);
	return true;
}

void
checksum_request::insert(uint8_t *copy, uint64_t sum) const
{
	const uint16_t value =
		checksum_of(udp ? l4_type::udp : l4_type::tcp, quick::fold(quick::add(sum, rest)));

	memcpy(copy + field, &value, sizeof(value));
	if (ip_field != 0)
		memcpy(copy + ip_field, &ip_checksum, sizeof(ip_checksum));
}

} // namespace iavf_be
