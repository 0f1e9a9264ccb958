/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

/**
 * Packet types of receive descriptors: what the parser of the hardware has found. The numbers are
 * the same in the legacy and the flexible formats, for the X710 and the E810 families.
 *
 * Source: Intel Ethernet Controller X710 datasheet, "Packet types"; E810 datasheet, the same.
 */
namespace iavf::ptype {

inline constexpr uint16_t mac = 1; /**< Payload not parsed. */
inline constexpr uint16_t timesync = 2;
inline constexpr uint16_t lldp = 6;
inline constexpr uint16_t arp = 11;
/** Types beginning with an IPv4 and with an IPv6 header: as many, in the same order. */
inline constexpr uint16_t first_ipv4 = 22, first_ipv6 = 88, past_last = 154;

/** What is between the first IP header and the last headers that were parsed. */
enum class tunnel : uint8_t {
	none,
	ip,           /**< Nothing: IP in IP. */
	gre,          /**< GRE, or a UDP tunnel without Ethernet header. */
	gre_mac,      /**< The same with an Ethernet header. */
	gre_mac_vlan, /**< And a VLAN tag. */
};

/** What the last IP header is followed by. */
enum class payload : uint8_t { fragment, other, udp, unused, tcp, sctp, icmp, end };

/** Version of the last IP header if there is a tunnel; `none` if its content is not IP. */
enum class inner : uint8_t { none, ipv4, ipv6 };

/** The number of a type. Without a tunnel @p version has no meaning. */
constexpr uint16_t
of(bool outer_is_ipv6, tunnel kind, inner version, payload last)
{
	constexpr auto each = static_cast<uint16_t>(payload::end);
	uint16_t at = outer_is_ipv6 ? first_ipv6 : first_ipv4;

	if (kind == tunnel::none)
		return at + static_cast<uint16_t>(last);
	at += each;
	if (kind != tunnel::ip) {
		/* Each of these has one type more: content that is not IP. */
		at += 2 * each +
		      (static_cast<uint16_t>(kind) - static_cast<uint16_t>(tunnel::gre)) *
			      (2 * each + 1);
		if (version == inner::none)
			return at;
		at++;
	}
	return at + (version == inner::ipv6 ? each : 0) + static_cast<uint16_t>(last);
}

static_assert(of(false, tunnel::none, inner::none, payload::tcp) == 26);
static_assert(of(false, tunnel::ip, inner::ipv4, payload::udp) == 31);
static_assert(of(false, tunnel::gre, inner::none, payload::other) == 43);
static_assert(of(false, tunnel::gre_mac, inner::ipv6, payload::tcp) == 70);
static_assert(of(true, tunnel::none, inner::none, payload::fragment) == 88);
static_assert(of(true, tunnel::gre_mac_vlan, inner::none, payload::other) == 139);
static_assert(of(true, tunnel::gre_mac_vlan, inner::ipv6, payload::icmp) == past_last - 1);

} // namespace iavf::ptype
