/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <ptypes.hpp>

#include "big_endian.hpp"
#include "headers.hpp"
#include "rx_format.hpp"

namespace iavf_be {

/** Flags of a mbuf that say something of a checksum. */
inline constexpr uint64_t told_of_checksums =
	RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK |
	RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD | RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK;

/** What has been found out about a frame, in no format. */
struct rx_finding {
	uint16_t ptype = iavf::ptype::mac;
	/** A checksum after an IP header was looked at, and all before it; what of them is wrong
	 * is told below. If not, nothing is claimed. */
	bool checked = false;
	bool bad_ip = false, bad_l4 = false;
	bool bad_outer_ip = false, bad_outer_l4 = false;
	bool extensions = false; /**< IPv6 extension headers. */
	bool tunnel = false;     /**< GRE or UDP. */

	bool bad() const { return bad_ip || bad_l4 || bad_outer_ip || bad_outer_l4; }
};

/** Parses a frame of any form, and checks all of its checksums. */
rx_finding examine(const rte_mbuf &frame);

/** Whether a host's NIC that has checked vouches for all checksums of a frame without a tunnel, and
 * says of what type it is. */
inline bool
vouched_for(const rte_mbuf &frame)
{
	constexpr uint64_t ip_good = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	constexpr uint64_t l4_good = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	const uint32_t l4 = frame.packet_type & RTE_PTYPE_L4_MASK;
	const bool ip_is_good = (frame.ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == ip_good ||
				((frame.ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == 0 &&
				 RTE_ETH_IS_IPV6_HDR(frame.packet_type));

	return (frame.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == l4_good && ip_is_good &&
	       (frame.packet_type & RTE_PTYPE_TUNNEL_MASK) == 0 &&
	       (l4 == RTE_PTYPE_L4_TCP || l4 == RTE_PTYPE_L4_UDP || l4 == RTE_PTYPE_L4_SCTP);
}

/** The bits of a finding in a format. */
template <class format>
void
tell(const rx_finding &finding, rx_facts &facts)
{
	facts.ptype = finding.ptype;
	facts.status = (finding.checked ? format::checked : 0) |
		       (finding.bad_ip ? format::bad_ip : 0) |
		       (finding.bad_l4 ? format::bad_l4 : 0) |
		       (finding.bad_outer_ip ? format::bad_outer_ip : 0) |
		       (finding.bad_outer_l4 ? format::bad_outer_l4 : 0) |
		       (finding.extensions ? format::extensions : 0);
	facts.extended = finding.tunnel ? format::tunnelled : 0;
}

/** What the host's NIC has found wrong, or vouches for, or what can be found out here. */
rx_finding find_out(const rte_mbuf &frame, bool check);

namespace quick {

/** rte_be_to_cpu_16() is an instruction of assembly, which compilers cannot choose or move. */
constexpr uint16_t
swapped(uint16_t value)
{
	return RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN ? __builtin_bswap16(value) : value;
}

/** Adds as RFC 1071 does: what is carried out comes in again. */
inline uint64_t
add(uint64_t a, uint64_t b)
{
	return a + b + (a + b < b);
}

/** Folds a sum to 16 bits; 0xffff if what it covers is right. */
inline uint16_t
fold(uint64_t sum)
{
	auto half = static_cast<uint32_t>(sum);
	const auto other = static_cast<uint32_t>(sum >> 32);

	half += other;
	half += half < other;
	/* The upper half of a word and its rotated self is the sum of both halves, with the carry
	 * of the lower. */
	return static_cast<uint16_t>((half + (half << 16 | half >> 16)) >> 16);
}

/** The sum of few bytes. */
inline uint64_t
sum_bytes(const uint8_t *at, uint32_t length)
{
	uint64_t sum = 0;

	for (; length >= sizeof(uint64_t); length -= sizeof(uint64_t), at += sizeof(uint64_t))
		sum = add(sum, load<uint64_t>(at));
	if ((length & sizeof(uint32_t)) != 0) {
		sum = add(sum, load<uint32_t>(at));
		at += sizeof(uint32_t);
	}
	if ((length & sizeof(uint16_t)) != 0) {
		sum = add(sum, load<uint16_t>(at));
		at += sizeof(uint16_t);
	}
	if ((length & 1) != 0)
		sum = add(sum, rte_le_to_cpu_16(*at));
	return sum;
}

/** A frame in one piece. */
struct bytes {
	const uint8_t *begin;
	uint32_t length;
	bool summed = false; /**< The sum of all its bytes is known. */
	uint64_t sum = 0;    /**< Not folded. */
};

/** What is behind an IP header. */
struct behind_ip {
	const uint8_t *l4;
	uint32_t length;
	uint64_t addresses; /**< Their sum. */
	uint8_t protocol;
};

/** False if the header is not as plain as can be, or wrong. */
inline bool
pass_ipv4(const uint8_t *ip, uint32_t room, behind_ip &out)
{
	constexpr uint16_t fragment = RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
	constexpr uint32_t header = sizeof(rte_ipv4_hdr);

	if (unlikely(room < header))
		return false;
	const auto words = load<std::array<uint64_t, 2>>(ip);
	const auto last = load<uint32_t>(ip + sizeof(words));
	const uint32_t total = swapped(load<uint16_t>(ip + 2));
	out.addresses = uint64_t{load<uint32_t>(ip + 12)} + last;
	out.l4 = ip + header;
	out.length = total - header;
	out.protocol = ip[9];
	return ip[0] == RTE_IPV4_VHL_DEF && total <= room && total >= header &&
	       (load<uint16_t>(ip + 6) & fragment) == 0 &&
	       fold(add(add(words[0], words[1]), last)) == 0xffff;
}

inline bool
pass_ipv6(const uint8_t *ip, uint32_t room, behind_ip &out)
{
	constexpr uint32_t header = sizeof(rte_ipv6_hdr);

	if (unlikely(room < header))
		return false;
	const auto words = load<std::array<uint64_t, 4>>(ip + 8);
	out.addresses = add(add(words[0], words[1]), add(words[2], words[3]));
	out.l4 = ip + header;
	out.length = swapped(load<uint16_t>(ip + 4));
	out.protocol = ip[6];
	return ip[0] >> 4 == 6 && out.length <= room - header;
}

/** A finding that takes little room. */
struct glance {
	uint16_t ptype; /**< 0: not seen quickly. */
	bool checked;   /**< And right. */
};

/** From so many bytes on the loop of rte_raw_cksum(), which compilers vectorise, is faster. */
constexpr uint32_t few_bytes = 96;

/** Not inlined: it would make the code for few bytes slower. */
[[gnu::noinline]] inline uint64_t
sum_many_bytes(const uint8_t *at, uint32_t length)
{
	return rte_raw_cksum(at, length);
}

/** The sum of what is behind the IP header: what the frame has in all, less what is before. */
inline uint64_t
sum_of_l4(const bytes &frame, const behind_ip &in)
{
	const auto before = static_cast<uint32_t>(in.l4 - frame.begin);

	if (frame.summed && before + in.length == frame.length)
		return add(frame.sum, 0xffffu - fold(sum_bytes(frame.begin, before)));
	return in.length < few_bytes ? sum_bytes(in.l4, in.length)
				     : sum_many_bytes(in.l4, in.length);
}

template <bool is_ipv6>
glance
of_l4(const bytes &frame, const behind_ip &in)
{
	using namespace iavf::ptype;
	constexpr uint8_t tcp = 6, udp = 17;
	constexpr uint16_t type_tcp = of(is_ipv6, tunnel::none, inner::none, payload::tcp);
	constexpr uint16_t type_udp = of(is_ipv6, tunnel::none, inner::none, payload::udp);
	const auto length = static_cast<uint16_t>(in.length);
	const uint64_t pseudo = uint64_t{swapped(length)} + swapped(in.protocol);
	uint16_t type = type_tcp;

	if (in.protocol == udp && in.length >= sizeof(rte_udp_hdr)) {
		const auto port = load<uint16_t>(in.l4 + 2);
		if (port == RTE_BE16(port_vxlan) || port == RTE_BE16(port_geneve) ||
		    load<uint16_t>(in.l4 + 4) != swapped(length))
			return {};
		if (load<uint16_t>(in.l4 + 6) == 0)
			return is_ipv6 ? glance{} : glance{type_udp, false};
		type = type_udp;
	} else if (in.protocol != tcp || in.length < sizeof(rte_tcp_hdr)) {
		return {};
	}
	if (unlikely(fold(add(add(in.addresses, pseudo), sum_of_l4(frame, in))) != 0xffff))
		return {};
	return {type, true};
}

template <bool is_ipv6>
glance
of_ip(const bytes &frame, const uint8_t *ip, uint32_t room)
{
	behind_ip rest;
	const bool passes = is_ipv6 ? pass_ipv6(ip, room, rest) : pass_ipv4(ip, room, rest);

	return passes ? of_l4<is_ipv6>(frame, rest) : glance{};
}

/** What is neither IP nor tagged. */
inline glance
of_other(uint16_t type)
{
	switch (type) {
	case RTE_BE16(RTE_ETHER_TYPE_VLAN):
	case RTE_BE16(RTE_ETHER_TYPE_QINQ):
	case RTE_BE16(RTE_ETHER_TYPE_QINQ1):
		return {};
	case RTE_BE16(RTE_ETHER_TYPE_ARP):
		return {iavf::ptype::arp, false};
	case RTE_BE16(RTE_ETHER_TYPE_LLDP):
		return {iavf::ptype::lldp, false};
	case RTE_BE16(RTE_ETHER_TYPE_1588):
		return {iavf::ptype::timesync, false};
	default:
		return {iavf::ptype::mac, false};
	}
}

/** Types that is_telling() must find. */
inline constexpr std::array telling_types{
	RTE_ETHER_TYPE_IPV4,  RTE_ETHER_TYPE_IPV6, RTE_ETHER_TYPE_VLAN, RTE_ETHER_TYPE_QINQ,
	RTE_ETHER_TYPE_QINQ1, RTE_ETHER_TYPE_ARP,  RTE_ETHER_TYPE_LLDP, RTE_ETHER_TYPE_1588};

/** One of 64 bits for a type as it is in a frame. */
constexpr uint32_t
bit_of(uint16_t type)
{
	return uint32_t{type} * 0x9e3779b1u >> 26;
}

inline constexpr uint64_t telling_bits = [] {
	uint64_t bits = 0;

	for (const uint16_t type : telling_types)
		bits |= uint64_t{1} << bit_of(swapped(type));
	return bits;
}();

/** Whether there may be more to say of a frame than that it is one, by its type. */
inline bool
is_telling(const uint8_t *frame)
{
	return (telling_bits >> bit_of(load<uint16_t>(frame + 2 * RTE_ETHER_ADDR_LEN)) & 1) != 0;
}

/**
 * What can be said at once of a frame in one piece, with at most one tag: it is TCP or UDP that is
 * right, in no tunnel, directly behind IP without options; or it is not IP.
 */
inline glance
look_at(const bytes &frame)
{
	const uint8_t *ip = frame.begin + RTE_ETHER_HDR_LEN;
	uint16_t type = load<uint16_t>(ip - sizeof(type));
	uint32_t room = frame.length - RTE_ETHER_HDR_LEN;

	if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && room >= sizeof(rte_vlan_hdr)) {
		ip += sizeof(rte_vlan_hdr);
		room -= static_cast<uint32_t>(sizeof(rte_vlan_hdr));
		type = load<uint16_t>(ip - sizeof(type));
	}
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return of_ip<false>(frame, ip, room);
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return of_ip<true>(frame, ip, room);
	return of_other(type);
}

} // namespace quick

} // namespace iavf_be
