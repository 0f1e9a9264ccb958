/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <bit>
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

/** A sum less a part of it: a complement is a negative. */
inline uint64_t
less(uint64_t sum, uint64_t part)
{
	return add(sum, ~part);
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

/**
 * Whether what a sum covers is right: it is a multiple of 0xffff, but not 0, of which the caller
 * knows. An odd number divides another one if the product with its inverse, modulo 2 to the power
 * of 64, is no more than the largest quotient; of 0xffff both are plain.
 */
constexpr bool
is_right(uint64_t sum)
{
	constexpr uint64_t quotient = UINT64_MAX / 0xffff, inverse = 0 - quotient;
	static_assert(inverse * 0xffff == 1);

	return sum * inverse <= quotient;
}

/** The sum of few bytes, at least one word of eight. What is left at the end is the end of a word
 * that begins before. */
inline uint64_t
sum_bytes(const uint8_t *at, uint32_t length)
{
	constexpr uint32_t word = sizeof(uint64_t), bits = 8;
	const uint8_t *last = at + length - word;
	uint64_t sum = 0;

	for (; at < last; at += word)
		sum = add(sum, load<uint64_t>(at));
	const auto counted = static_cast<uint32_t>(at - last);
	return add(sum, rte_cpu_to_le_64(rte_le_to_cpu_64(load<uint64_t>(last)) >> counted * bits));
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
	uint64_t header;    /**< That of all of the header. */
	/** Wider than its field: compilers read a byte that they had to spill as a word, which is
	 * not forwarded from the store. */
	uint32_t protocol;
};

/** False if the header is not as plain as can be; its checksum is another question. */
[[gnu::always_inline]] inline bool
is_plain_ipv4(const uint8_t *ip, uint32_t room, behind_ip &out)
{
	constexpr uint32_t header = sizeof(rte_ipv4_hdr);
	/* Its version and length, and whether it is a fragment. */
	constexpr auto plain = [](std::array<uint8_t, 8> bytes) {
		return std::bit_cast<uint64_t>(bytes);
	};
	constexpr uint64_t looked_at = plain({0xff, 0, 0, 0, 0, 0, 0x3f, 0xff});
	constexpr uint64_t wanted = plain({RTE_IPV4_VHL_DEF});

	if (unlikely(room < header))
		return false;
	const auto first = load<uint64_t>(ip);
	const uint32_t total = swapped(load<uint16_t>(ip + 2));
	out.addresses = uint64_t{load<uint32_t>(ip + 12)} + load<uint32_t>(ip + 16);
	out.header = add(add(first, load<uint32_t>(ip + 8)), out.addresses);
	out.l4 = ip + header;
	out.length = total - header;
	out.protocol = ip[9];
	return (first & looked_at) == wanted && out.length <= room - header;
}

/** False if the header is not as plain as can be, or wrong. */
[[gnu::always_inline]] inline bool
pass_ipv4(const uint8_t *ip, uint32_t room, behind_ip &out)
{
	return is_plain_ipv4(ip, room, out) && is_right(out.header);
}

[[gnu::always_inline]] inline bool
pass_ipv6(const uint8_t *ip, uint32_t room, behind_ip &out)
{
	constexpr uint32_t header = sizeof(rte_ipv6_hdr);

	if (unlikely(room < header))
		return false;
	out.addresses = add(add(load<uint64_t>(ip + 8), load<uint64_t>(ip + 16)),
			    add(load<uint64_t>(ip + 24), load<uint64_t>(ip + 32)));
	out.header = add(load<uint64_t>(ip), out.addresses);
	out.l4 = ip + header;
	out.length = swapped(load<uint16_t>(ip + 4));
	out.protocol = ip[6];
	return ip[0] >> 4 == 6 && out.length <= room - header;
}

/** The sum of the pseudo header. */
inline uint64_t
pseudo_sum(const behind_ip &in)
{
	return add(in.addresses, uint64_t{swapped(static_cast<uint16_t>(in.length))} +
					 swapped(static_cast<uint16_t>(in.protocol)));
}

/** Whether a datagram of UDP is as long as its packet, and no tunnel's. */
[[gnu::always_inline]] inline bool
is_plain_udp(const behind_ip &in)
{
	const auto port = load<uint16_t>(in.l4 + offsetof(rte_udp_hdr, dst_port));

	return port != RTE_BE16(port_vxlan) && port != RTE_BE16(port_geneve) &&
	       load<uint16_t>(in.l4 + offsetof(rte_udp_hdr, dgram_len)) ==
		       swapped(static_cast<uint16_t>(in.length));
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

/** The sum of bytes, at least one word of eight. */
inline uint64_t
sum_all(const uint8_t *at, uint32_t length)
{
	return length < few_bytes ? sum_bytes(at, length) : sum_many_bytes(at, length);
}

/** The sum of what is behind an IP header: what the frame has in all, less what is before. */
template <bool is_ipv6>
[[gnu::always_inline]] inline uint64_t
sum_behind(const bytes &frame, const behind_ip &in)
{
	const uint8_t *ip = in.l4 - (is_ipv6 ? sizeof(rte_ipv6_hdr) : sizeof(rte_ipv4_hdr));

	if (frame.summed && in.l4 + in.length == frame.begin + frame.length) {
		const auto before = static_cast<uint32_t>(ip - frame.begin);
		return less(frame.sum, add(in.header, sum_bytes(frame.begin, before)));
	}
	return sum_all(in.l4, in.length);
}

template <bool is_ipv6>
[[gnu::always_inline]] inline glance
of_l4(const bytes &frame, const behind_ip &in)
{
	using namespace iavf::ptype;
	constexpr uint32_t tcp = 6, udp = 17;
	constexpr uint16_t type_tcp = of(is_ipv6, tunnel::none, inner::none, payload::tcp);
	constexpr uint16_t type_udp = of(is_ipv6, tunnel::none, inner::none, payload::udp);
	const uint64_t known = pseudo_sum(in);
	uint16_t type = type_tcp;

	if (in.protocol == udp && in.length >= sizeof(rte_udp_hdr)) {
		if (!is_plain_udp(in))
			return {};
		if (load<uint16_t>(in.l4 + 6) == 0)
			return is_ipv6 ? glance{} : glance{type_udp, false};
		type = type_udp;
	} else if (in.protocol != tcp || in.length < sizeof(rte_tcp_hdr)) {
		return {};
	}
	if (unlikely(!is_right(add(known, sum_behind<is_ipv6>(frame, in)))))
		return {};
	return {type, true};
}

template <bool is_ipv6>
[[gnu::always_inline]] inline glance
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

/** Not inlined, as the one for most frames would share registers with it. */
[[gnu::noinline]] inline glance
of_ipv6(const bytes &frame, const uint8_t *ip, uint32_t room)
{
	return of_ip<true>(frame, ip, room);
}

/** The same for one with a tag. */
[[gnu::noinline]] inline glance
of_tagged(const bytes &frame)
{
	const uint8_t *ip = frame.begin + RTE_ETHER_HDR_LEN + sizeof(rte_vlan_hdr);
	const uint32_t room = frame.length - (RTE_ETHER_HDR_LEN + sizeof(rte_vlan_hdr));
	const auto type = load<uint16_t>(ip - sizeof(uint16_t));

	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return of_ip<false>(frame, ip, room);
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return of_ip<true>(frame, ip, room);
	return of_other(type);
}

/**
 * What can be said at once of a frame in one piece, with at most one tag: it is TCP or UDP that is
 * right, in no tunnel, directly behind IP without options; or it is not IP.
 */
inline glance
look_at(const bytes &frame)
{
	const uint8_t *ip = frame.begin + RTE_ETHER_HDR_LEN;
	const uint32_t room = frame.length - RTE_ETHER_HDR_LEN;
	const auto type = load<uint16_t>(ip - sizeof(uint16_t));

	if (likely(type == RTE_BE16(RTE_ETHER_TYPE_IPV4)))
		return of_ip<false>(frame, ip, room);
	if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return of_ipv6(frame, ip, room);
	if (type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && room >= sizeof(rte_vlan_hdr))
		return of_tagged(frame);
	return of_other(type);
}

/** Looks at frames of a batch, a bit each. @return Those of which nothing was seen. */
uint32_t look_at_each(const bytes *frames, uint32_t which, glance *seen);

} // namespace quick

} // namespace iavf_be
