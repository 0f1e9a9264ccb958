/* SPDX-License-Identifier: BSD-3-Clause */

#include "headers.hpp"

#include <array>
#include <utility>

#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf_ptype.h>
#include <rte_udp.h>

#include "vlan.hpp"

namespace iavf_be {

namespace ptype = iavf::ptype;

namespace {

/** The content of a tunnel, before its own headers are parsed. */
struct content {
	ptype::tunnel kind = ptype::tunnel::none;
	bool gre_checksum = false;
	uint8_t version = 0; /**< Of IP; 0 if it is something else. */
	uint32_t offset = 0;
};

constexpr uint16_t type_teb = 0x6558; /**< Transparent Ethernet bridging, in GRE and GENEVE. */

uint8_t
ip_version(uint16_t type)
{
	return type == RTE_ETHER_TYPE_IPV4 ? 4 : type == RTE_ETHER_TYPE_IPV6 ? 6 : 0;
}

/** Moves past up to two tags, counting them; returns the EtherType behind them, or 0. */
uint16_t
skip_tags(const rte_mbuf &frame, uint32_t &offset, unsigned int &tags)
{
	rte_be16_t type = 0;

	for (tags = 0; read(frame, offset, type); tags++) {
		offset += sizeof(type);
		const uint16_t host = rte_be_to_cpu_16(type);
		if (!is_vlan_type(host) || tags == 2)
			return host;
		offset += sizeof(rte_vlan_hdr) - sizeof(type);
	}
	return 0;
}

void
parse_ipv4(const rte_mbuf &frame, uint32_t end, ip_part &part)
{
	rte_ipv4_hdr header;

	part.malformed = true;
	if (!read(frame, part.l3, header))
		return;
	const uint32_t length = (header.version_ihl & RTE_IPV4_HDR_IHL_MASK) * 4;
	const uint32_t total = rte_be_to_cpu_16(header.total_length);
	if (header.version_ihl >> 4 != 4 || length < sizeof(header) || total < length ||
	    total > end - part.l3)
		return;
	part.malformed = false;
	part.fragment = (rte_be_to_cpu_16(header.fragment_offset) &
			 (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) != 0;
	part.protocol = header.next_proto_id;
	part.l4 = part.l3 + length;
	part.l4_length = total - length;
}

/** Whether the options at an offset, which are in the frame, have one. */
bool
leads_home(const rte_mbuf &frame, uint32_t at, uint32_t length)
{
	std::array<uint8_t, longest_extension> scratch;
	const auto *header =
		static_cast<const uint8_t *>(rte_pktmbuf_read(&frame, at, length, scratch.data()));

	return header != nullptr && has_home_address({header, length});
}

/** Moves past an extension header; false if it is none, or the last one that can be passed. */
bool
skip_extension(const rte_mbuf &frame, uint32_t end, ip_part &part)
{
	struct {
		uint8_t next, length, type, left;
		uint8_t rest[4];
	} header;

	switch (part.protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_FRAGMENT:
		break;
	default:
		return false;
	}
	part.extensions = true;
	if (part.l4_length < sizeof(header) || !read(frame, part.l4, header)) {
		part.malformed = true;
		return false;
	}
	const uint8_t kind = std::exchange(part.protocol, header.next);
	const uint32_t length = kind == IPPROTO_FRAGMENT ? 8 : (header.length + 1u) * 8;
	if (length > part.l4_length) {
		part.malformed = true;
		return false;
	}
	if (kind == IPPROTO_ROUTING)
		part.other_addresses |= header.left != 0;
	if (kind == IPPROTO_DSTOPTS)
		part.other_addresses |= leads_home(frame, part.l4, length);
	part.l4 += length;
	part.l4_length -= length;
	part.fragment = kind == IPPROTO_FRAGMENT;
	return part.l4 < end && !part.fragment;
}

void
parse_ipv6(const rte_mbuf &frame, uint32_t end, ip_part &part)
{
	/** More extension headers than that are nobody's. */
	constexpr unsigned int most = 8;
	rte_ipv6_hdr header;

	part.malformed = true;
	if (!read(frame, part.l3, header))
		return;
	part.l4_length = rte_be_to_cpu_16(header.payload_len);
	if (rte_be_to_cpu_32(header.vtc_flow) >> 28 != 6 || end - part.l3 < sizeof(header) ||
	    part.l4_length > end - part.l3 - sizeof(header))
		return;
	part.malformed = false;
	part.protocol = header.proto;
	part.l4 = part.l3 + static_cast<uint32_t>(sizeof(header));
	for (unsigned int i = 0; i < most; i++)
		if (!skip_extension(frame, end, part))
			break;
}

/** Parses what is an IP header at @p offset in the bytes before @p end. */
ip_part
parse_ip(const rte_mbuf &frame, uint8_t version, uint32_t offset, uint32_t end)
{
	ip_part part;

	part.version = version;
	part.l3 = offset;
	if (version == 4)
		parse_ipv4(frame, end, part);
	else if (version == 6)
		parse_ipv6(frame, end, part);
	return part;
}

/** Ethernet in a tunnel. */
content
of_ethernet(const rte_mbuf &frame, uint32_t offset)
{
	content out{.offset = offset + 2 * RTE_ETHER_ADDR_LEN};
	unsigned int tags;

	out.version = ip_version(skip_tags(frame, out.offset, tags));
	out.kind = tags == 0 ? ptype::tunnel::gre_mac : ptype::tunnel::gre_mac_vlan;
	return out;
}

/** What GRE and GENEVE carry, by its type. */
content
of_type(const rte_mbuf &frame, uint16_t type, uint32_t offset)
{
	if (type == type_teb)
		return of_ethernet(frame, offset);
	return {.kind = ptype::tunnel::gre, .version = ip_version(type), .offset = offset};
}

/** RFC 2784 and 2890. */
content
of_gre(const rte_mbuf &frame, const ip_part &outer)
{
	constexpr uint16_t checksum = 0x8000, key = 0x2000, sequence = 0x1000, unknown = 0x4fff;
	rte_be16_t words[2];

	if (outer.l4_length < sizeof(words) || !read(frame, outer.l4, words))
		return {};
	const uint16_t flags = rte_be_to_cpu_16(words[0]);
	if ((flags & unknown) != 0)
		return {};
	uint32_t length = sizeof(words);
	for (const uint16_t one : {checksum, key, sequence})
		length += (flags & one) != 0 ? 4 : 0;
	if (length > outer.l4_length)
		return {};
	content out = of_type(frame, rte_be_to_cpu_16(words[1]), outer.l4 + length);
	out.gre_checksum = (flags & checksum) != 0;
	return out;
}

/** RFC 7348 and 8926. */
content
of_udp(const rte_mbuf &frame, const ip_part &outer)
{
	struct {
		rte_udp_hdr udp;
		uint8_t flags, more;
		rte_be16_t type;
		uint32_t rest;
	} header;

	if (outer.l4_length < sizeof(header) || !read(frame, outer.l4, header))
		return {};
	const uint16_t port = rte_be_to_cpu_16(header.udp.dst_port);
	if (port == port_vxlan && header.flags == 0x08)
		return of_ethernet(frame, outer.l4 + sizeof(header));
	if (port == port_geneve && header.flags >> 6 == 0)
		return of_type(frame, rte_be_to_cpu_16(header.type),
			       outer.l4 + sizeof(header) + (header.flags & 0x3f) * 4);
	return {};
}

content
find_tunnel(const rte_mbuf &frame, const ip_part &outer)
{
	if (outer.malformed || outer.fragment)
		return {};
	switch (outer.protocol) {
	case IPPROTO_IPIP:
		return {.kind = ptype::tunnel::ip, .version = 4, .offset = outer.l4};
	case IPPROTO_IPV6:
		return {.kind = ptype::tunnel::ip, .version = 6, .offset = outer.l4};
	case IPPROTO_GRE:
		return of_gre(frame, outer);
	case IPPROTO_UDP:
		return of_udp(frame, outer);
	default:
		return {};
	}
}

/** The type of a frame that is not IP. */
uint16_t
ptype_of_ethernet(uint16_t type)
{
	return type == RTE_ETHER_TYPE_ARP    ? ptype::arp
	       : type == RTE_ETHER_TYPE_LLDP ? ptype::lldp
	       : type == RTE_ETHER_TYPE_1588 ? ptype::timesync
					     : ptype::mac;
}

ptype::inner
inner_of(uint8_t version)
{
	return version == 0   ? ptype::inner::none
	       : version == 4 ? ptype::inner::ipv4
			      : ptype::inner::ipv6;
}

} // namespace

bool
has_home_address(std::span<const uint8_t> header)
{
	constexpr uint8_t pad1 = 0, home_address = 201;

	for (size_t at = 2; at < header.size();) {
		if (header[at] == home_address)
			return true;
		if (header[at] == pad1) {
			at++;
			continue;
		}
		if (at + 1 == header.size())
			return false;
		at += size_t{2} + header[at + 1];
	}
	return false;
}

ptype::payload
ip_part::payload() const
{
	if (fragment)
		return ptype::payload::fragment;
	switch (protocol) {
	case IPPROTO_UDP:
		return ptype::payload::udp;
	case IPPROTO_TCP:
		return ptype::payload::tcp;
	case IPPROTO_SCTP:
		return ptype::payload::sctp;
	case IPPROTO_ICMP:
		return version == 4 ? ptype::payload::icmp : ptype::payload::other;
	case IPPROTO_ICMPV6:
		return version == 6 ? ptype::payload::icmp : ptype::payload::other;
	default:
		return ptype::payload::other;
	}
}

uint16_t
frame_headers::ptype() const
{
	if (outer.version == 0)
		return ptype_of_ethernet(type);
	if (outer.malformed)
		return ptype::mac;
	const bool is_ipv6 = outer.version == 6;
	if (tunnel == ptype::tunnel::none)
		return ptype::of(is_ipv6, tunnel, ptype::inner::none, outer.payload());
	if (!inner.malformed)
		return ptype::of(is_ipv6, tunnel, inner_of(inner.version), inner.payload());
	if (tunnel == ptype::tunnel::ip)
		return ptype::of(is_ipv6, ptype::tunnel::none, ptype::inner::none,
				 ptype::payload::other);
	return ptype::of(is_ipv6, tunnel, ptype::inner::none, ptype::payload::other);
}

frame_headers
parse_headers(const rte_mbuf &frame)
{
	frame_headers out;
	uint32_t offset = 2 * RTE_ETHER_ADDR_LEN;
	unsigned int tags;

	out.type = skip_tags(frame, offset, tags);
	const uint8_t version = ip_version(out.type);
	if (version == 0)
		return out;
	out.outer = parse_ip(frame, version, offset, frame.pkt_len);
	const content found = find_tunnel(frame, out.outer);
	const uint32_t end = out.outer.l4 + out.outer.l4_length;
	/* Where the tunnel's headers pass its end, it is none. */
	if (found.kind == ptype::tunnel::none || found.offset > end)
		return out;
	out.tunnel = found.kind;
	out.gre_checksum = found.gre_checksum;
	out.inner = parse_ip(frame, found.version, found.offset, end);
	return out;
}

namespace {

ptype::payload
payload_of(uint32_t l4)
{
	switch (l4) {
	case RTE_PTYPE_L4_FRAG:
		return ptype::payload::fragment;
	case RTE_PTYPE_L4_UDP:
		return ptype::payload::udp;
	case RTE_PTYPE_L4_TCP:
		return ptype::payload::tcp;
	case RTE_PTYPE_L4_SCTP:
		return ptype::payload::sctp;
	case RTE_PTYPE_L4_ICMP:
		return ptype::payload::icmp;
	default:
		return ptype::payload::other;
	}
}

ptype::tunnel
tunnel_of(uint32_t packet_type)
{
	switch (packet_type & RTE_PTYPE_TUNNEL_MASK) {
	case 0:
		return ptype::tunnel::none;
	case RTE_PTYPE_TUNNEL_IP:
		return ptype::tunnel::ip;
	default:
		break;
	}
	switch (packet_type & RTE_PTYPE_INNER_L2_MASK) {
	case 0:
		return ptype::tunnel::gre;
	case RTE_PTYPE_INNER_L2_ETHER:
		return ptype::tunnel::gre_mac;
	default:
		return ptype::tunnel::gre_mac_vlan;
	}
}

} // namespace

uint16_t
ptype_of(uint32_t packet_type)
{
	constexpr unsigned int inner_shift = 16; /* From the outer to the inner types. */

	switch (packet_type & RTE_PTYPE_L2_MASK) {
	case RTE_PTYPE_L2_ETHER_ARP:
		return ptype::arp;
	case RTE_PTYPE_L2_ETHER_LLDP:
		return ptype::lldp;
	case RTE_PTYPE_L2_ETHER_TIMESYNC:
		return ptype::timesync;
	default:
		break;
	}
	const bool is_ipv6 = RTE_ETH_IS_IPV6_HDR(packet_type);
	if (!is_ipv6 && !RTE_ETH_IS_IPV4_HDR(packet_type))
		return ptype::mac;
	const ptype::tunnel kind = tunnel_of(packet_type);
	if (kind == ptype::tunnel::none)
		return ptype::of(is_ipv6, kind, ptype::inner::none,
				 payload_of(packet_type & RTE_PTYPE_L4_MASK));
	switch (packet_type & RTE_PTYPE_INNER_L3_MASK) {
	case RTE_PTYPE_INNER_L3_IPV4:
	case RTE_PTYPE_INNER_L3_IPV4_EXT:
	case RTE_PTYPE_INNER_L3_IPV4_EXT_UNKNOWN:
		return ptype::of(
			is_ipv6, kind, ptype::inner::ipv4,
			payload_of((packet_type & RTE_PTYPE_INNER_L4_MASK) >> inner_shift));
	case RTE_PTYPE_INNER_L3_IPV6:
	case RTE_PTYPE_INNER_L3_IPV6_EXT:
	case RTE_PTYPE_INNER_L3_IPV6_EXT_UNKNOWN:
		return ptype::of(
			is_ipv6, kind, ptype::inner::ipv6,
			payload_of((packet_type & RTE_PTYPE_INNER_L4_MASK) >> inner_shift));
	default:
		return kind == ptype::tunnel::ip
			       ? ptype::of(is_ipv6, ptype::tunnel::none, ptype::inner::none,
					   ptype::payload::other)
			       : ptype::of(is_ipv6, kind, ptype::inner::none,
					   ptype::payload::other);
	}
}

} // namespace iavf_be
