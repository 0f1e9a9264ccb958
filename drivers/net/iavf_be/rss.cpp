/* SPDX-License-Identifier: BSD-3-Clause */

#include "rss.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <netinet/in.h>

#include <rte_branch_prediction.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include "big_endian.hpp"
#include "frame_front.hpp"
#include "vlan.hpp"

namespace iavf_be {

namespace {

constexpr uint16_t addresses = RTE_EMUDEV_NET_RSS_SRC_ADDRESS | RTE_EMUDEV_NET_RSS_DST_ADDRESS;
constexpr uint16_t ports = RTE_EMUDEV_NET_RSS_SRC_PORT | RTE_EMUDEV_NET_RSS_DST_PORT;
constexpr uint16_t not_ip = RTE_EMUDEV_NET_RSS_TYPES;
constexpr uint32_t ports_length = 2 * sizeof(uint16_t);
constexpr uint32_t prefix_length = 8;

/** All that is looked at: tags, and IPv6 with some extension headers. */
using front = frame_front<192>;

/**
 * Where that is of a packet what may be hashed: offsets, 0 if it is not there. Lengths in the
 * headers do not matter: what asks for segmentation has them left open.
 */
struct found {
	uint16_t type = not_ip;
	uint16_t address_length = 0; /**< Of one. */
	uint16_t fragment_id_length = 0;
	uint32_t tags = 0; /**< Number. */
	uint32_t source = 0, fragment_id = 0, source_port = 0;
};

/** @p base is the type of a packet of its IP version with none of these. */
void
find_l4(found &out, const front &all, uint32_t at, uint8_t protocol, uint16_t base)
{
	uint16_t type = RTE_EMUDEV_NET_RSS_IPV4;

	out.type = base;
	if (!all.has(at, ports_length))
		return;
	if (protocol == IPPROTO_TCP)
		type = RTE_EMUDEV_NET_RSS_IPV4_TCP;
	else if (protocol == IPPROTO_UDP)
		type = RTE_EMUDEV_NET_RSS_IPV4_UDP;
	else if (protocol == IPPROTO_SCTP)
		type = RTE_EMUDEV_NET_RSS_IPV4_SCTP;
	else
		return;
	out.type = base + type;
	out.source_port = at;
}

void
find_ipv4(found &out, const front &all, uint32_t at)
{
	constexpr uint16_t fragment = RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK;
	const uint8_t *ip = all.begin + at;

	if (!all.has(at, sizeof(rte_ipv4_hdr)) || ip[0] >> 4 != 4)
		return;
	const uint32_t length = (ip[0] & RTE_IPV4_HDR_IHL_MASK) * 4u;
	if (length < sizeof(rte_ipv4_hdr))
		return;
	out.address_length = sizeof(rte_be32_t);
	out.source = at + offsetof(rte_ipv4_hdr, src_addr);
	out.fragment_id = at + offsetof(rte_ipv4_hdr, packet_id);
	out.fragment_id_length = sizeof(rte_be16_t);
	if ((load_be16(ip + offsetof(rte_ipv4_hdr, fragment_offset)) & fragment) != 0)
		out.type = RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT;
	else
		find_l4(out, all, at + length, ip[offsetof(rte_ipv4_hdr, next_proto_id)],
			RTE_EMUDEV_NET_RSS_IPV4);
}

void
find_ipv6(found &out, const front &all, uint32_t at)
{
	constexpr uint32_t extension_length = 8;

	if (!all.has(at, sizeof(rte_ipv6_hdr)) || all.begin[at] >> 4 != 6)
		return;
	out.address_length = 16;
	out.source = at + offsetof(rte_ipv6_hdr, src_addr);
	uint8_t protocol = all.begin[at + offsetof(rte_ipv6_hdr, proto)];
	at += static_cast<uint32_t>(sizeof(rte_ipv6_hdr));
	for (; all.has(at, extension_length) &&
	       (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
		protocol == IPPROTO_DSTOPTS);
	     at += (all.begin[at + 1] + 1u) * extension_length)
		protocol = all.begin[at];
	if (protocol == IPPROTO_FRAGMENT) {
		out.type = RTE_EMUDEV_NET_RSS_IPV6_FRAGMENT;
		out.fragment_id = all.has(at, extension_length) ? at + 4 : 0;
		out.fragment_id_length = sizeof(rte_be32_t);
		return;
	}
	find_l4(out, all, at, protocol, RTE_EMUDEV_NET_RSS_IPV6);
}

found
find_fields(const front &all)
{
	constexpr uint32_t type_length = sizeof(uint16_t), most_tags = 2;
	found out;
	uint32_t at = addresses_length;

	for (; all.has(at, type_length) && out.tags < most_tags &&
	       is_vlan_type(load_be16(all.begin + at));
	     at += vlan_tag_length)
		out.tags++;
	if (!all.has(at, type_length))
		return out;
	const uint16_t type = load_be16(all.begin + at);
	if (type == RTE_ETHER_TYPE_IPV4)
		find_ipv4(out, all, at + type_length);
	else if (type == RTE_ETHER_TYPE_IPV6)
		find_ipv6(out, all, at + type_length);
	return out;
}

/** Fields one behind the other. */
class input {
public:
	/** Takes a pair, or one of it: @p first and @p second, of @p each bytes. */
	void take(bool wants_first, bool wants_second, bool symmetric, const uint8_t *first,
		  const uint8_t *second, size_t each)
	{
		const bool mixed = symmetric && wants_first && wants_second;

		if (wants_first)
			put(first, mixed ? second : nullptr, each);
		if (wants_second)
			put(second, mixed ? first : nullptr, each);
	}
	/** Takes a tag without its priority. */
	void take_vlan(const uint8_t *control)
	{
		const uint16_t id = load_be16(control) & RTE_VLAN_ID_MASK;
		bytes[length++] = static_cast<uint8_t>(id >> 8);
		bytes[length++] = static_cast<uint8_t>(id & 0xff);
	}

	std::array<uint8_t, toeplitz::longest + 2> bytes{}; /**< Zeroes to the end of a word. */
	size_t length = 0;

private:
	void put(const uint8_t *from, const uint8_t *mixed_with, size_t size)
	{
		for (size_t i = 0; i < size; i++)
			bytes[length++] = from[i] ^ (mixed_with == nullptr ? 0 : mixed_with[i]);
	}
};

input
gather(const front &all, const found &at, uint16_t fields)
{
	const auto wants = [fields](uint16_t field) { return (fields & field) != 0; };
	const bool symmetric = wants(RTE_EMUDEV_NET_RSS_SYMMETRIC);
	const uint8_t *frame = all.begin, *source = frame + at.source;
	input out;

	out.take(wants(RTE_EMUDEV_NET_RSS_ETH_SRC), wants(RTE_EMUDEV_NET_RSS_ETH_DST), symmetric,
		 frame + RTE_ETHER_ADDR_LEN, frame, RTE_ETHER_ADDR_LEN);
	/* A tag is its type and its control information. */
	constexpr uint32_t first_tag = addresses_length + 2;
	if (wants(RTE_EMUDEV_NET_RSS_OUTER_VLAN) && at.tags == 2)
		out.take_vlan(frame + first_tag);
	if (wants(RTE_EMUDEV_NET_RSS_VLAN) && at.tags != 0)
		out.take_vlan(frame + first_tag + (at.tags - 1) * vlan_tag_length);
	out.take(wants(RTE_EMUDEV_NET_RSS_SRC_ADDRESS), wants(RTE_EMUDEV_NET_RSS_DST_ADDRESS),
		 symmetric, source, source + at.address_length, at.address_length);
	out.take(wants(RTE_EMUDEV_NET_RSS_SRC_PREFIX), wants(RTE_EMUDEV_NET_RSS_DST_PREFIX),
		 symmetric, source, source + at.address_length, prefix_length);
	out.take(wants(RTE_EMUDEV_NET_RSS_FRAGMENT_ID) && at.fragment_id != 0, false, false,
		 frame + at.fragment_id, nullptr, at.fragment_id_length);
	const uint8_t *port = frame + at.source_port;
	out.take(wants(RTE_EMUDEV_NET_RSS_SRC_PORT), wants(RTE_EMUDEV_NET_RSS_DST_PORT), symmetric,
		 port, port + sizeof(uint16_t), sizeof(uint16_t));
	return out;
}

uint32_t
xor_of(const input &all)
{
	uint32_t out = 0;

	for (size_t i = 0; i < all.length; i += 4)
		out ^= uint32_t{load_be16(&all.bytes[i])} << 16 | load_be16(&all.bytes[i + 2]);
	return out;
}

/** What packets of a type have of these fields. */
uint16_t
fields_of(size_t type, uint16_t fields)
{
	const bool is_ipv6 = type >= RTE_EMUDEV_NET_RSS_IPV6;
	const size_t kind = type % RTE_EMUDEV_NET_RSS_IPV6;
	uint16_t without = 0;

	if (kind < RTE_EMUDEV_NET_RSS_IPV4_TCP)
		without |= ports;
	if (kind != RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT)
		without |= RTE_EMUDEV_NET_RSS_FRAGMENT_ID;
	/* Not twice: the tables have no room. */
	constexpr uint16_t prefixes = RTE_EMUDEV_NET_RSS_SRC_PREFIX | RTE_EMUDEV_NET_RSS_DST_PREFIX;
	if (!is_ipv6 || (fields & addresses) != 0)
		without |= prefixes;
	fields &= ~without;
	/* Nothing to be hashed is not hashed. */
	return (fields & ~RTE_EMUDEV_NET_RSS_SYMMETRIC) != 0 ? fields : 0;
}

} // namespace

rss::rss(const rte_emudev_net_rss &how, const std::vector<uint16_t> &served)
    : xor_(how.function == RTE_EMUDEV_NET_RSS_XOR), key_(how.key)
{
	const uint16_t size = std::clamp<uint16_t>(how.lut_size, 1, RTE_EMUDEV_NET_RSS_MAX_LUT);

	for (size_t i = 0; i < RTE_EMUDEV_NET_RSS_TYPES; i++)
		fields_[i] = fields_of(i, how.fields[i]);
	mask_ = std::bit_floor(size) - 1u;
	for (size_t i = 0; i <= mask_; i++)
		lut_[i] = std::ranges::find(served, how.lut[i]) != served.end()
				  ? how.lut[i]
				  : served[how.lut[i] % served.size()];
}

uint16_t
rss::choose(const rte_mbuf &frame, frame_label &label) const
{
	const front all(frame);
	const found at = find_fields(all);
	const uint16_t fields = fields_[at.type];

	if (fields == 0)
		return lut_[0];
	const uint32_t both = 2u * at.address_length;
	/* Mostly the ports are next to the addresses. */
	const bool all_in_a_row =
		fields == (addresses | ports) && at.source_port == at.source + both;
	if (likely(!xor_ && (all_in_a_row || fields == addresses))) {
		label.hash =
			key_.hash(all.begin + at.source, both + (all_in_a_row ? ports_length : 0));
	} else {
		const input some = gather(all, at, fields);
		label.hash = xor_ ? xor_of(some) : key_.hash(some.bytes.data(), some.length);
	}
	label.hashed = true;
	return lut_[label.hash & mask_];
}

} // namespace iavf_be
