/* SPDX-License-Identifier: BSD-3-Clause */

#include "offload.hpp"

#include <cstddef>
#include <cstring>

#include <netinet/in.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "checksum_insertion.hpp"
#include "rx_check.hpp"
#include "segmentation.hpp"

namespace iavf_be {

using iavf::ip_type;
using iavf::l4_type;
using iavf::tunnel_type;

namespace {

/** A context descriptor may ask for TSO, a tag and a tunnel, not for time stamps and others. */
bool
context_supported(const iavf::tx_descriptor &context)
{
	using namespace iavf::txc;
	constexpr uint64_t commands = tso::mask | il2tag2::mask;
	constexpr uint64_t tunnels = eipt::mask | eiplen::mask | l4tunt::mask | eip_noinc::mask |
				     natlen::mask | l4t_cs::mask;

	return (context.qword1 & command::mask & ~commands) == 0 &&
	       (context.qword0 & tunnel::mask & ~tunnels) == 0 &&
	       l4tunt::get(context.qword0) <= static_cast<uint64_t>(tunnel_type::gre);
}

/** Dummy frames program the flow director. */
bool
supported(const chain &frame)
{
	using namespace iavf::txd;
	const uint64_t command = frame.data[0].qword1;

	return !dummy::is_set(command) && !fcoet::is_set(command) &&
	       (frame.contexts == 0 || context_supported(frame.context));
}

tunnel_request
tunnel_of(const chain &frame)
{
	using namespace iavf::txc;
	const uint64_t word = frame.contexts == 0 ? 0 : frame.context.qword0;

	return {.ip = static_cast<ip_type>(eipt::get(word)),
		.type = static_cast<tunnel_type>(l4tunt::get(word)),
		.ip_length = static_cast<uint16_t>(eiplen::get(word) * 4),
		.length = static_cast<uint16_t>(natlen::get(word) * 2),
		.udp_checksum = l4t_cs::is_set(word),
		.same_id = eip_noinc::is_set(word)};
}

/**
 * L2TAG2 is the outer tag where there are two: so the drivers of the X710 and E810 families use
 * it for QinQ, and so virtchnl offers it with VIRTCHNL_VF_OFFLOAD_VLAN_V2. Its type is what the
 * driver has set by that capability's messages, else that of 802.1Q. A tag is inserted whether or
 * not the driver has enabled insertion: stock Linux puts tags into descriptors before the message
 * that enables it is answered, and would lose frames.
 */
vlan_tags
tags_of(const chain &frame)
{
	const uint64_t command = frame.data[0].qword1;
	vlan_tags tags;

	if (frame.contexts != 0 && iavf::txc::il2tag2::is_set(frame.context.qword1))
		tags.append(frame.outer_tag_type,
			    static_cast<uint16_t>(iavf::txc::l2tag2::get(frame.context.qword0)));
	if (iavf::txd::il2tag1::is_set(command))
		tags.append(RTE_ETHER_TYPE_VLAN,
			    static_cast<uint16_t>(iavf::txd::l2tag1::get(command)));
	return tags;
}

bool
tso_consistent(const offload &request, const chain &frame)
{
	const uint64_t payload = iavf::txc::tso_length::get(frame.context.qword1);
	const bool tcp = request.l4 == l4_type::tcp;
	const bool udp = request.l4 == l4_type::udp && request.l4_length == sizeof(rte_udp_hdr);
	return (tcp || udp) && request.mss >= iavf::min_tso_mss && payload != 0 &&
	       request.header_length() <= segmentation::max_header &&
	       request.header_length() + payload == frame.length;
}

constexpr uint16_t
least_length(ip_type type)
{
	return type == ip_type::ipv6 ? sizeof(rte_ipv6_hdr) : sizeof(rte_ipv4_hdr);
}

/** Indexed by tunnel_type. What follows the outer IP: its protocol, and how long it is. */
constexpr struct {
	uint8_t protocol; /**< 0: the one of an inner IP header. */
	uint16_t least_length, most_length;
} tunnel_rows[] = {
	{0, 0, 0},
	{IPPROTO_UDP, sizeof(rte_udp_hdr), UINT16_MAX},
	{IPPROTO_GRE, 4, UINT16_MAX},
};

bool
tunnel_plausible(const tunnel_request &tunnel)
{
	if (tunnel.none())
		return tunnel.type == tunnel_type::ip && tunnel.length == 0 &&
		       tunnel.ip_length == 0 && !tunnel.udp_checksum;
	const auto &row = tunnel_rows[static_cast<size_t>(tunnel.type)];
	return tunnel.ip_length >= least_length(tunnel.ip) && tunnel.length >= row.least_length &&
	       tunnel.length <= row.most_length &&
	       (!tunnel.udp_checksum || tunnel.type == tunnel_type::udp);
}

bool
ipv4_matches(const uint8_t *ip, uint16_t length)
{
	return ip[0] >> 4 == 4 && (ip[0] & 0xf) * 4 == length;
}

/** Where the headers of IPv6 lead to that take @p length bytes; -1: they do not take so many. */
int
protocol_behind(const uint8_t *ip, uint16_t length)
{
	int next = ip[offsetof(rte_ipv6_hdr, proto)];
	size_t at = sizeof(rte_ipv6_hdr), size = 0;

	for (; at < length && next >= 0; at += size) {
		size = 0;
		next = length - at < 8 ? -1 : rte_ipv6_get_next_ext(ip + at, next, &size);
	}
	return at == length ? next : -1;
}

/** The protocol that a header of IP announces if its length is @p length; else -1. */
int
protocol_of(bool is_ipv4, const uint8_t *ip, uint16_t length)
{
	if (is_ipv4)
		return ipv4_matches(ip, length) ? ip[offsetof(rte_ipv4_hdr, next_proto_id)] : -1;
	return ip[0] >> 4 == 6 ? protocol_behind(ip, length) : -1;
}

} // namespace

void
vlan_tags::append(uint16_t type, uint16_t control)
{
	for (const uint16_t word : {type, control}) {
		bytes[length++] = static_cast<uint8_t>(word >> 8);
		bytes[length++] = static_cast<uint8_t>(word);
	}
}

void
vlan_tags::insert(uint8_t *front, uint16_t size) const
{
	memmove(front + offset + length, front + offset, size - offset);
	memcpy(front + offset, bytes.data(), length);
}

bool
offload::lengths_are_plausible() const
{
	if (!tunnel_plausible(tunnel) || header_length() > longest_headers)
		return false;
	if (none())
		return l4 == l4_type::none;
	if (l2_length < RTE_ETHER_HDR_LEN)
		return false;
	/* Of a tunnel it may be all that there is to do. */
	if (ip == ip_type::none)
		return l4 == l4_type::none;
	return l3_length >= least_length(ip) && l4_length >= row_of(l4).least_length;
}

/** What a data descriptor says of headers. */
void
offload::describe(uint64_t command)
{
	using namespace iavf::txd;

	ip = static_cast<ip_type>(iipt::get(command));
	l4 = static_cast<l4_type>(l4t::get(command));
	l2_length = static_cast<uint16_t>(maclen::get(command) * 2);
	l3_length = static_cast<uint16_t>(iplen::get(command) * 4);
	l4_length = static_cast<uint16_t>(l4len::get(command) * 4);
}

bool
offload::decode_checksums(uint64_t command)
{
	describe(command);
	return lengths_are_plausible();
}

offload_verdict
offload::decode(const chain &frame)
{
	if (!supported(frame))
		return offload_verdict::unsupported;
	describe(frame.data[0].qword1);
	tunnel = tunnel_of(frame);
	tags = tags_of(frame);
	if (!lengths_are_plausible())
		return offload_verdict::contradictory;
	if (frame.wants_tso()) {
		mss = static_cast<uint16_t>(iavf::txc::mss::get(frame.context.qword1));
		if (!tso_consistent(*this, frame))
			return offload_verdict::contradictory;
	}
	return offload_verdict::good;
}

offload
offload::with_tags() const
{
	offload out = *this;
	out.l2_length += tags.length;
	return out;
}

bool
offload::outer_matches(const uint8_t *front) const
{
	const int found = protocol_of(is_outer_ipv4(), front + l2_length, tunnel.ip_length);
	const uint8_t wanted = tunnel_rows[static_cast<size_t>(tunnel.type)].protocol;
	const bool any_ip = ip == ip_type::none;

	if (wanted != 0)
		return found == wanted;
	return (found == IPPROTO_IPIP && (any_ip || is_ipv4())) ||
	       (found == IPPROTO_IPV6 && (any_ip || !is_ipv4()));
}

bool
offload::matches(std::span<const uint8_t> front) const
{
	if (front.size() < header_length())
		return false;
	if (!tunnel.none() && !outer_matches(front.data()))
		return false;
	if (ip == ip_type::none)
		return true;
	const int found = protocol_of(is_ipv4(), front.data() + l3(), l3_length);
	return found >= 0 && (l4 == l4_type::none || found == row_of(l4).protocol);
}

/** That of TCP or UDP, from the sum of all of the frame less that of what is before; false if it
 * cannot be told so. */
bool
offload::insert_l4_by_sum(rte_mbuf *frame, uint64_t sum) const
{
	auto *front = rte_pktmbuf_mtod(frame, uint8_t *);
	const uint64_t before = quick::sum_bytes(front, l4_at());
	const uint16_t rest = quick::fold(quick::less(sum, before));

	/* Both zeros come to the same here, but not in a checksum. */
	if (l4 == l4_type::sctp || rest == UINT16_MAX)
		return false;
	const uint16_t value = checksum_of(l4, rest);
	memcpy(front + l4_at() + row_of(l4).checksum_offset, &value, sizeof(value));
	return true;
}

void
offload::insert_checksums(rte_mbuf *frame, const uint64_t *sum) const
{
	/* First, as the sum is that of the frame as it is. */
	if (l4 != l4_type::none && (sum == nullptr || !insert_l4_by_sum(frame, *sum)))
		insert_l4_checksum(frame, l4, l4_at());
	insert_ip_checksum(frame);
	if (tunnel.ip == ip_type::ipv4_checksum)
		insert_ipv4_checksum(rte_pktmbuf_mtod_offset(frame, uint8_t *, l2_length),
				     tunnel.ip_length);
	/* Last, for it covers all. */
	if (tunnel.udp_checksum)
		insert_l4_checksum(frame, l4_type::udp, outer_l4());
}

void
offload::insert_ip_checksum(rte_mbuf *frame) const
{
	if (ip == ip_type::ipv4_checksum)
		insert_ipv4_checksum(rte_pktmbuf_mtod_offset(frame, uint8_t *, l3()), l3_length);
}

} // namespace iavf_be
