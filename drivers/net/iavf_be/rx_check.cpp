/* SPDX-License-Identifier: BSD-3-Clause */

#include "rx_check.hpp"

#include <bit>

#include <netinet/in.h>

#include <rte_sctp.h>

#include "checksum.hpp"
#include "headers.hpp"

namespace iavf_be {

namespace ptype = iavf::ptype;

namespace {

/** What becomes of a check. */
enum class verdict { none, good, bad };

constexpr uint16_t right = 0xffff;

/** Whether the checksum of the header is right; that of IPv6 has none. */
bool
header_is_right(const rte_mbuf &frame, const ip_part &part)
{
	return part.version != 4 || ones_sum(frame, part.l3, part.l4 - part.l3) == right;
}

/** Whether the sum over what follows an IP header and its pseudo header is right. */
verdict
check_sum(const rte_mbuf &frame, const ip_part &part, uint8_t protocol, uint32_t length)
{
	const uint32_t addresses = part.version == 4 ? 2 * sizeof(rte_be32_t) : 2 * 16;
	const uint32_t at = part.l3 + static_cast<uint32_t>(
					      part.version == 4 ? offsetof(rte_ipv4_hdr, src_addr)
								: offsetof(rte_ipv6_hdr, src_addr));
	uint32_t sum = ones_sum(frame, at, addresses);

	sum += ones_sum(frame, part.l4, length);
	sum += rte_cpu_to_be_16(protocol);
	sum += rte_cpu_to_be_16(static_cast<uint16_t>(length));
	return __rte_raw_cksum_reduce(sum) == right ? verdict::good : verdict::bad;
}

verdict
check_tcp(const rte_mbuf &frame, const ip_part &part)
{
	if (part.l4_length < sizeof(rte_tcp_hdr))
		return verdict::bad;
	return check_sum(frame, part, IPPROTO_TCP, part.l4_length);
}

/** A datagram may be shorter than its IP packet. Without a checksum there is nothing to check, but
 * with IPv6 only a tunnel may do without (RFC 8200, section 8.1, and RFC 6935). */
verdict
check_udp(const rte_mbuf &frame, const ip_part &part, bool is_tunnel)
{
	if (part.l4_length < sizeof(rte_udp_hdr))
		return verdict::bad;
	rte_udp_hdr header{};
	read(frame, part.l4, header);
	const uint32_t length = rte_be_to_cpu_16(header.dgram_len);
	if (length < sizeof(header) || length > part.l4_length)
		return verdict::bad;
	if (header.dgram_cksum == 0)
		return part.version == 6 && !is_tunnel ? verdict::bad : verdict::none;
	return check_sum(frame, part, IPPROTO_UDP, length);
}

/** RFC 9260, appendix A: the field counts as zero. */
verdict
check_sctp(const rte_mbuf &frame, const ip_part &part)
{
	constexpr uint32_t before = offsetof(rte_sctp_hdr, cksum);
	constexpr uint8_t zero[sizeof(rte_sctp_hdr::cksum)] = {};

	if (part.l4_length < sizeof(rte_sctp_hdr))
		return verdict::bad;
	uint32_t crc = crc32c(frame, part.l4, before, ~0u);
	crc = crc32c(zero, sizeof(zero), crc);
	crc = crc32c(frame, part.l4 + sizeof(rte_sctp_hdr), part.l4_length - sizeof(rte_sctp_hdr),
		     crc);
	rte_sctp_hdr header{};
	read(frame, part.l4, header);
	return header.cksum == rte_cpu_to_le_32(~crc) ? verdict::good : verdict::bad;
}

/** What follows the last IP header. */
verdict
check_l4(const rte_mbuf &frame, const ip_part &part)
{
	if (part.malformed)
		return verdict::bad;
	if (part.other_addresses && !part.fragment && part.payload() != ptype::payload::sctp)
		return verdict::none;
	switch (part.payload()) {
	case ptype::payload::tcp:
		return check_tcp(frame, part);
	case ptype::payload::udp:
		return check_udp(frame, part, false);
	case ptype::payload::sctp:
		return check_sctp(frame, part);
	default:
		return verdict::none;
	}
}

/** The header of a tunnel. */
verdict
check_tunnel(const rte_mbuf &frame, const frame_headers &headers)
{
	const ip_part &outer = headers.outer;

	if (outer.payload() == ptype::payload::udp)
		return outer.other_addresses ? verdict::none : check_udp(frame, outer, true);
	if (headers.gre_checksum)
		return ones_sum(frame, outer.l4, outer.l4_length) == right ? verdict::good
									   : verdict::bad;
	return verdict::none;
}

/**
 * What the host's NIC has found wrong with a frame. Drivers take all that is not called wrong of
 * such a frame for good: what is not known to be good is called wrong along with the rest.
 */
rx_finding
told_by_host(uint64_t flags)
{
	const uint64_t ip = flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	const uint64_t l4 = flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	rx_finding out;

	out.bad_outer_ip = (flags & RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD) != 0;
	out.bad_outer_l4 =
		(flags & RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK) == RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;
	out.checked = ip == RTE_MBUF_F_RX_IP_CKSUM_BAD || l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD ||
		      out.bad_outer_ip || out.bad_outer_l4;
	out.bad_ip = out.checked && ip != RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	out.bad_l4 = out.checked && l4 != RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	return out;
}

} // namespace

rx_finding
examine(const rte_mbuf &frame)
{
	const frame_headers headers = parse_headers(frame);
	const ip_part &last = headers.last();
	const bool tunnel = headers.tunnel != ptype::tunnel::none;
	rx_finding out;

	out.ptype = headers.ptype();
	if (headers.outer.version == 0)
		return out;
	if (tunnel) {
		out.tunnel = headers.tunnel != ptype::tunnel::ip;
		out.bad_outer_ip = !header_is_right(frame, headers.outer);
		out.bad_outer_l4 = check_tunnel(frame, headers) == verdict::bad;
	}
	out.extensions = headers.outer.extensions;
	if (last.version != 0)
		out.bad_ip = last.malformed || !header_is_right(frame, last);
	const verdict l4 = check_l4(frame, last);
	out.bad_l4 = l4 == verdict::bad;
	out.checked = out.bad() || l4 == verdict::good;
	/* Drivers call all good that is not called bad. */
	if (out.bad()) {
		out.bad_ip |= last.version == 0;
		out.bad_l4 |= l4 == verdict::none;
	}
	return out;
}

rx_finding
find_out(const rte_mbuf &frame, bool check)
{
	if (vouched_for(frame)) {
		rx_finding out{.ptype = ptype_of(frame.packet_type)};
		out.checked = true;
		return out;
	}
	rx_finding told = told_by_host(frame.ol_flags);
	if (check && !told.checked)
		return examine(frame);
	told.ptype = frame.packet_type != 0 || !check ? ptype_of(frame.packet_type)
						      : parse_headers(frame).ptype();
	return told;
}

uint32_t
quick::look_at_each(const bytes *frames, uint32_t which, glance *seen)
{
	uint32_t unseen = 0;

	for (; which != 0; which &= which - 1) {
		const int i = std::countr_zero(which);
		seen[i] = look_at(frames[i]);
		unseen |= uint32_t{seen[i].ptype == 0} << i;
	}
	return unseen;
}

} // namespace iavf_be
