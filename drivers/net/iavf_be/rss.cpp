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
#include "vlan.hpp"

namespace iavf_be {

namespace {

constexpr uint16_t addresses = RTE_EMUDEV_NET_RSS_SRC_ADDRESS | RTE_EMUDEV_NET_RSS_DST_ADDRESS;
constexpr uint16_t ports = RTE_EMUDEV_NET_RSS_SRC_PORT | RTE_EMUDEV_NET_RSS_DST_PORT;
constexpr uint16_t not_ip = RTE_EMUDEV_NET_RSS_TYPES;
constexpr uint32_t ports_length = 2 * sizeof(uint16_t);
constexpr uint32_t prefix_length = 8;

/** What differs between the versions of IP. */
struct ip_version {
	uint16_t first_type;     /**< Of a packet with none of what has a type of its own. */
	uint16_t address_length; /**< Of one. */
	uint16_t fragment_id_length;
	uint16_t source; /**< Offset in the header. */
};

constexpr ip_version versions[] = {
	{RTE_EMUDEV_NET_RSS_IPV4, sizeof(rte_be32_t), sizeof(rte_be16_t),
	 offsetof(rte_ipv4_hdr, src_addr)},
	{RTE_EMUDEV_NET_RSS_IPV6, 16, sizeof(rte_be32_t), offsetof(rte_ipv6_hdr, src_addr)},
};

/** Where that is of a packet what may be hashed: offsets, 0 if it is not there. */
struct found {
	uint16_t type = not_ip;
	const ip_version *ip = &versions[0];
	uint32_t source = 0, source_port = 0;
};

/** The type of a packet that is no fragment, among those of its IP version. */
uint16_t
type_of(uint8_t protocol)
{
	if (protocol == IPPROTO_TCP)
		return RTE_EMUDEV_NET_RSS_IPV4_TCP;
	if (protocol == IPPROTO_UDP)
		return RTE_EMUDEV_NET_RSS_IPV4_UDP;
	return protocol == IPPROTO_SCTP ? RTE_EMUDEV_NET_RSS_IPV4_SCTP : RTE_EMUDEV_NET_RSS_IPV4;
}

found
find_fields(const packet_places &at)
{
	found out;

	if (at.version == 0)
		return out;
	out.ip = &versions[at.version == 6];
	out.type = out.ip->first_type;
	out.source = at.l3 + out.ip->source;
	if (at.fragment) {
		out.type += RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT;
		return out;
	}
	const uint16_t type = type_of(at.protocol);
	if (type != RTE_EMUDEV_NET_RSS_IPV4 && at.front.has(at.l4, ports_length)) {
		out.type += type;
		out.source_port = at.l4;
	}
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
gather(const packet_places &places, const found &at, uint16_t fields)
{
	const auto wants = [fields](uint16_t field) { return (fields & field) != 0; };
	const bool symmetric = wants(RTE_EMUDEV_NET_RSS_SYMMETRIC);
	const uint8_t *frame = places.front.begin, *source = frame + at.source;
	input out;

	out.take(wants(RTE_EMUDEV_NET_RSS_ETH_SRC), wants(RTE_EMUDEV_NET_RSS_ETH_DST), symmetric,
		 frame + RTE_ETHER_ADDR_LEN, frame, RTE_ETHER_ADDR_LEN);
	/* A tag is its type and its control information. */
	constexpr uint32_t first_tag = addresses_length + 2;
	if (wants(RTE_EMUDEV_NET_RSS_OUTER_VLAN) && places.tags == 2)
		out.take_vlan(frame + first_tag);
	if (wants(RTE_EMUDEV_NET_RSS_VLAN) && places.tags != 0)
		out.take_vlan(frame + first_tag + (places.tags - 1u) * vlan_tag_length);
	out.take(wants(RTE_EMUDEV_NET_RSS_SRC_ADDRESS), wants(RTE_EMUDEV_NET_RSS_DST_ADDRESS),
		 symmetric, source, source + at.ip->address_length, at.ip->address_length);
	out.take(wants(RTE_EMUDEV_NET_RSS_SRC_PREFIX), wants(RTE_EMUDEV_NET_RSS_DST_PREFIX),
		 symmetric, source, source + at.ip->address_length, prefix_length);
	out.take(wants(RTE_EMUDEV_NET_RSS_FRAGMENT_ID) && places.fragment_id != 0, false, false,
		 frame + places.fragment_id, nullptr, at.ip->fragment_id_length);
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
rss::choose(const packet_places &places, frame_label &label) const
{
	const found at = find_fields(places);
	const uint16_t fields = fields_[at.type];

	if (fields == 0)
		return lut_[0];
	const uint32_t both = 2u * at.ip->address_length;
	/* Mostly the ports are next to the addresses. */
	const bool all_in_a_row =
		fields == (addresses | ports) && at.source_port == at.source + both;
	if (likely(!xor_ && (all_in_a_row || fields == addresses))) {
		label.hash = key_.hash(places.front.begin + at.source,
				       both + (all_in_a_row ? ports_length : 0));
	} else {
		const input some = gather(places, at, fields);
		label.hash = xor_ ? xor_of(some) : key_.hash(some.bytes.data(), some.length);
	}
	label.hashed = true;
	return lut_[label.hash & mask_];
}

} // namespace iavf_be
