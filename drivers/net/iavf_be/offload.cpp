/* SPDX-License-Identifier: BSD-3-Clause */

#include "offload.hpp"

#include <cstddef>
#include <cstring>

#include <rte_ether.h>
#include <rte_ip.h>

#include "checksum_insertion.hpp"
#include "segmentation.hpp"

namespace iavf_be {

using iavf::ip_type;
using iavf::l4_type;

namespace {

/** A context descriptor may ask for TSO and a tag, not for time stamps, tunnels and others. */
bool
context_supported(const iavf::tx_descriptor &context)
{
	constexpr uint64_t supported = iavf::txc::tso::mask | iavf::txc::il2tag2::mask;
	constexpr uint64_t unsupported = iavf::txc::command::mask & ~supported;
	return (context.qword1 & unsupported) == 0 && !iavf::txc::tunnel::is_set(context.qword0);
}

/** Dummy frames program the flow director; segmentation of UDP is what newer hardware has. */
bool
supported(const chain &frame)
{
	using namespace iavf::txd;
	const uint64_t command = frame.data[0].qword1;
	const bool udp = l4t::get(command) == static_cast<uint64_t>(l4_type::udp);

	return !dummy::is_set(command) && !fcoet::is_set(command) &&
	       (frame.contexts == 0 || context_supported(frame.context)) &&
	       !(frame.wants_tso() && udp);
}

/**
 * L2TAG2 is the outer tag where there are two: so the drivers of the X710 and E810 families use
 * it for QinQ, and so virtchnl offers it with VIRTCHNL_VF_OFFLOAD_VLAN_V2. Both have the type of
 * 802.1Q, the only one before that capability.
 */
vlan_tags
tags_of(const chain &frame)
{
	const uint64_t command = frame.data[0].qword1;
	vlan_tags tags;

	if (frame.contexts != 0 && iavf::txc::il2tag2::is_set(frame.context.qword1))
		tags.append(static_cast<uint16_t>(iavf::txc::l2tag2::get(frame.context.qword0)));
	if (iavf::txd::il2tag1::is_set(command))
		tags.append(static_cast<uint16_t>(iavf::txd::l2tag1::get(command)));
	return tags;
}

bool
tso_consistent(const offload &request, const chain &frame)
{
	const uint64_t payload = iavf::txc::tso_length::get(frame.context.qword1);
	return request.l4 == l4_type::tcp && request.mss >= iavf::min_tso_mss && payload != 0 &&
	       request.header_length() <= segmentation::max_header &&
	       request.header_length() + payload == frame.length;
}

bool
lengths_plausible(const offload &request)
{
	if (request.none())
		return request.l4 == l4_type::none;
	const uint16_t least_ip = request.is_ipv4() ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
	return request.l2_length >= RTE_ETHER_HDR_LEN && request.l3_length >= least_ip &&
	       request.l4_length >= row_of(request.l4).least_length;
}

bool
ipv4_matches(const offload &request, const uint8_t *ip)
{
	return ip[0] >> 4 == 4 && (ip[0] & 0xf) * 4 == request.l3_length &&
	       (request.l4 == l4_type::none ||
		ip[offsetof(rte_ipv4_hdr, next_proto_id)] == row_of(request.l4).protocol);
}

/** Extension headers are between the two headers; the driver has found the end of them. */
bool
ipv6_matches(const offload &request, const uint8_t *ip)
{
	return ip[0] >> 4 == 6 &&
	       (request.l4 == l4_type::none || request.l3_length > sizeof(rte_ipv6_hdr) ||
		ip[offsetof(rte_ipv6_hdr, proto)] == row_of(request.l4).protocol);
}

} // namespace

void
vlan_tags::append(uint16_t control)
{
	for (const uint16_t word : {uint16_t{RTE_ETHER_TYPE_VLAN}, control}) {
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

offload_verdict
offload::decode(const chain &frame)
{
	using namespace iavf::txd;
	const uint64_t command = frame.data[0].qword1;

	if (!supported(frame))
		return offload_verdict::unsupported;
	ip = static_cast<ip_type>(iipt::get(command));
	l4 = static_cast<l4_type>(l4t::get(command));
	l2_length = static_cast<uint16_t>(maclen::get(command) * 2);
	l3_length = static_cast<uint16_t>(iplen::get(command) * 4);
	l4_length = static_cast<uint16_t>(l4len::get(command) * 4);
	tags = tags_of(frame);
	if (!lengths_plausible(*this))
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
offload::matches(std::span<const uint8_t> front) const
{
	if (front.size() < header_length())
		return false;
	const uint8_t *ip_header = front.data() + l2_length;
	return is_ipv4() ? ipv4_matches(*this, ip_header) : ipv6_matches(*this, ip_header);
}

void
offload::insert_checksums(rte_mbuf *frame) const
{
	insert_ip_checksum(frame);
	if (l4 != l4_type::none)
		insert_l4_checksum(frame, l4, l2_length + l3_length);
}

void
offload::insert_ip_checksum(rte_mbuf *frame) const
{
	if (ip == ip_type::ipv4_checksum)
		insert_ipv4_checksum(frame, l2_length, l3_length);
}

} // namespace iavf_be
