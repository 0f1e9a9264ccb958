/* SPDX-License-Identifier: BSD-3-Clause */

#include "packet_places.hpp"

#include <netinet/in.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "big_endian.hpp"
#include "vlan.hpp"

namespace iavf_be {

void
packet_places::find_ipv4()
{
	constexpr uint16_t parts = RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK;
	const uint32_t at = type + 2;
	const uint8_t *ip = front.begin + at;

	if (!front.has(at, sizeof(rte_ipv4_hdr)) || ip[0] >> 4 != 4)
		return;
	const uint32_t length = (ip[0] & RTE_IPV4_HDR_IHL_MASK) * 4u;
	if (length < sizeof(rte_ipv4_hdr))
		return;
	version = 4;
	protocol = ip[offsetof(rte_ipv4_hdr, next_proto_id)];
	fragment = (load_be16(ip + offsetof(rte_ipv4_hdr, fragment_offset)) & parts) != 0;
	l3 = at;
	l4 = at + length;
	end = at + load_be16(ip + offsetof(rte_ipv4_hdr, total_length));
	fragment_id = at + static_cast<uint32_t>(offsetof(rte_ipv4_hdr, packet_id));
}

void
packet_places::find_ipv6()
{
	constexpr uint32_t unit = 8; /* of the length of extension headers */
	const uint32_t at = type + 2;
	const uint8_t *ip = front.begin + at;

	if (!front.has(at, sizeof(rte_ipv6_hdr)) || ip[0] >> 4 != 6)
		return;
	version = 6;
	protocol = ip[offsetof(rte_ipv6_hdr, proto)];
	l3 = at;
	l4 = at + static_cast<uint32_t>(sizeof(rte_ipv6_hdr));
	end = l4 + load_be16(ip + offsetof(rte_ipv6_hdr, payload_len));
	for (; (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
		protocol == IPPROTO_DSTOPTS) &&
	       front.has(l4, unit);
	     l4 += (front.begin[l4 + 1] + 1u) * unit)
		protocol = front.begin[l4];
	fragment = protocol == IPPROTO_FRAGMENT;
	if (fragment && front.has(l4, unit)) {
		protocol = front.begin[l4];
		fragment_id = l4 + unit / 2;
		l4 += unit;
	}
}

packet_places::packet_places(const rte_mbuf &frame) : front(frame)
{
	constexpr uint32_t type_length = sizeof(uint16_t);
	uint32_t at = addresses_length;
	uint16_t found = 0;

	for (; front.has(at, type_length); at += vlan_tag_length, tags++) {
		found = load_be16(front.begin + at);
		if (tags == most_vlan_tags || !is_vlan_type(found))
			break;
	}
	if (!front.has(at, type_length))
		return;
	type = at;
	if (found == RTE_ETHER_TYPE_IPV4)
		find_ipv4();
	else if (found == RTE_ETHER_TYPE_IPV6)
		find_ipv6();
}

} // namespace iavf_be
