/* SPDX-License-Identifier: BSD-3-Clause */

#include "rss.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>

#include "big_endian.hpp"
#include "vlan.hpp"

namespace iavf_be {

namespace {

constexpr uint16_t symmetric = RTE_EMUDEV_NET_RSS_SYMMETRIC;
constexpr uint16_t ports = RTE_EMUDEV_NET_RSS_SRC_PORT | RTE_EMUDEV_NET_RSS_DST_PORT;
/** Bytes of the ports of a packet. */
constexpr size_t ports_length = 2 * sizeof(uint16_t);

/** The beginning of a frame, in one piece. */
struct front {
	/** All that is looked at: tags, and IPv6 with some extension headers. */
	static constexpr uint32_t longest = 192;

	explicit front(const rte_mbuf &frame)
	    : length(std::min(frame.pkt_len, longest)),
	      begin(length <= frame.data_len ? rte_pktmbuf_mtod(&frame, const uint8_t *)
					     : static_cast<const uint8_t *>(rte_pktmbuf_read(
						       &frame, 0, length, scratch.data())))
	{
	}

	uint32_t length;
	std::array<uint8_t, longest> scratch;
	const uint8_t *begin;
};

/** The type of a packet with this protocol, less that of other packets of its IP version. */
uint8_t
type_of(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return RTE_EMUDEV_NET_RSS_IPV4_TCP;
	case IPPROTO_UDP:
		return RTE_EMUDEV_NET_RSS_IPV4_UDP;
	case IPPROTO_SCTP:
		return RTE_EMUDEV_NET_RSS_IPV4_SCTP;
	default:
		return RTE_EMUDEV_NET_RSS_IPV4;
	}
}

bool
has_ports(uint8_t type)
{
	return type == RTE_EMUDEV_NET_RSS_IPV4_TCP || type == RTE_EMUDEV_NET_RSS_IPV4_UDP ||
	       type == RTE_EMUDEV_NET_RSS_IPV4_SCTP;
}

/** Takes the ports behind the addresses; without them the packet is one of those without ports. */
void
take_l4(rss_input &out, const front &all, uint32_t at, uint8_t protocol, uint8_t base)
{
	uint8_t type = type_of(protocol);

	if (has_ports(type) && at + ports_length <= all.length)
		memcpy(out.bytes.data() + 2 * out.address_length, all.begin + at, ports_length);
	else
		type = RTE_EMUDEV_NET_RSS_IPV4;
	out.type = base + type;
}

void
take_ipv4(rss_input &out, const front &all, uint32_t at)
{
	constexpr uint16_t fragment = RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK;
	const uint8_t *ip = all.begin + at;

	if (all.length - at < sizeof(rte_ipv4_hdr) || ip[0] >> 4 != 4)
		return;
	const uint32_t length = (ip[0] & RTE_IPV4_HDR_IHL_MASK) * 4u;
	if (length < sizeof(rte_ipv4_hdr))
		return;
	out.address_length = sizeof(rte_be32_t);
	memcpy(out.bytes.data(), ip + offsetof(rte_ipv4_hdr, src_addr), 2 * sizeof(rte_be32_t));
	if ((load_be16(ip + offsetof(rte_ipv4_hdr, fragment_offset)) & fragment) != 0)
		out.type = RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT;
	else
		take_l4(out, all, at + length, ip[offsetof(rte_ipv4_hdr, next_proto_id)], 0);
}

void
take_ipv6(rss_input &out, const front &all, uint32_t at)
{
	constexpr uint8_t base = RTE_EMUDEV_NET_RSS_IPV6;
	const uint8_t *ip = all.begin + at;

	if (all.length - at < sizeof(rte_ipv6_hdr) || ip[0] >> 4 != 6)
		return;
	out.address_length = 16;
	memcpy(out.bytes.data(), ip + offsetof(rte_ipv6_hdr, src_addr), 2 * 16);
	uint8_t protocol = ip[offsetof(rte_ipv6_hdr, proto)];
	at += static_cast<uint32_t>(sizeof(rte_ipv6_hdr));
	while (at + 8 <= all.length &&
	       (protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
		protocol == IPPROTO_DSTOPTS)) {
		protocol = all.begin[at];
		at += (all.begin[at + 1] + 1u) * 8;
	}
	if (protocol == IPPROTO_FRAGMENT)
		out.type = RTE_EMUDEV_NET_RSS_IPV6_FRAGMENT;
	else
		take_l4(out, all, at, protocol, base);
}

} // namespace

rss_input
find_rss_input(const rte_mbuf &frame)
{
	const front all(frame);
	rss_input out;
	uint32_t at = addresses_length;

	out.type = RTE_EMUDEV_NET_RSS_TYPES;
	out.address_length = 0;
	for (unsigned int tags = 0;
	     tags < 2 && at + 2 <= all.length && is_vlan_type(load_be16(all.begin + at)); tags++)
		at += vlan_tag_length;
	if (at + 2 > all.length)
		return out;
	const uint16_t type = load_be16(all.begin + at);
	if (type == RTE_ETHER_TYPE_IPV4)
		take_ipv4(out, all, at + 2);
	else if (type == RTE_ETHER_TYPE_IPV6)
		take_ipv6(out, all, at + 2);
	return out;
}

toeplitz::toeplitz(const uint8_t *key)
{
	/* The 32 bits of the key from each bit on that a byte can have. */
	for (size_t at = 0; at < table_.size(); at++) {
		uint64_t bits = 0;
		for (size_t i = 0; i < 5; i++)
			bits = bits << 8 | key[at + i];
		for (unsigned int value = 0; value < 256; value++) {
			uint32_t sum = 0;
			for (unsigned int bit = 0; bit < 8; bit++)
				if ((value >> (7 - bit) & 1) != 0)
					sum ^= static_cast<uint32_t>(bits >> (8 - bit));
			table_[at][value] = sum;
		}
	}
}

rss::rss(const rte_emudev_net_rss &how, const std::vector<uint16_t> &served)
    : xor_(how.function == RTE_EMUDEV_NET_RSS_XOR), key_(how.key)
{
	const uint16_t size = std::clamp<uint16_t>(how.lut_size, 1, RTE_EMUDEV_NET_RSS_MAX_LUT);

	for (size_t i = 0; i < RTE_EMUDEV_NET_RSS_TYPES; i++) {
		const bool with_ports = has_ports(i % RTE_EMUDEV_NET_RSS_IPV6);
		fields_[i] = how.fields[i] & (with_ports ? UINT16_MAX : ~ports);
	}
	mask_ = std::bit_floor(size) - 1u;
	for (size_t i = 0; i <= mask_; i++)
		lut_[i] = std::ranges::find(served, how.lut[i]) != served.end()
				  ? how.lut[i]
				  : served[how.lut[i] % served.size()];
}

namespace {

/** Replaces both of a pair by their exclusive or. */
void
make_symmetric(uint8_t *pair, size_t each)
{
	for (size_t i = 0; i < each; i++)
		pair[i] = pair[each + i] = pair[i] ^ pair[each + i];
}

/** The exclusive or of the words of bytes whose number is even. */
uint32_t
xor_of(const uint8_t *bytes, size_t length)
{
	uint32_t out = 0;

	for (size_t i = 0; i < length; i += 2)
		out ^= uint32_t{load_be16(bytes + i)} << (i % 4 == 0 ? 16 : 0);
	return out;
}

} // namespace

/** Of the fields that are wanted, one behind the other. */
uint32_t
rss::hash(rss_input &input, uint16_t fields) const
{
	std::array<uint8_t, rss_input::longest> chosen;
	const size_t address = input.address_length, port = sizeof(uint16_t);
	uint8_t *all = input.bytes.data();
	size_t length = 0;

	if ((fields & symmetric) != 0) {
		make_symmetric(all, address);
		if ((fields & ports) != 0)
			make_symmetric(all + 2 * address, port);
	}
	const auto take = [&](uint16_t field, size_t at, size_t size) {
		if ((fields & field) == 0)
			return;
		memcpy(chosen.data() + length, all + at, size);
		length += size;
	};
	take(RTE_EMUDEV_NET_RSS_SRC_ADDRESS, 0, address);
	take(RTE_EMUDEV_NET_RSS_DST_ADDRESS, address, address);
	take(RTE_EMUDEV_NET_RSS_SRC_PORT, 2 * address, port);
	take(RTE_EMUDEV_NET_RSS_DST_PORT, 2 * address + port, port);
	return xor_ ? xor_of(chosen.data(), length) : key_.hash(chosen.data(), length);
}

uint16_t
rss::choose(const rte_mbuf &frame, frame_label &label) const
{
	rss_input input = find_rss_input(frame);
	const uint16_t fields = fields_[input.type];

	if (fields == 0)
		return lut_[0];
	label.hash = hash(input, fields);
	label.hashed = true;
	return lut_[label.hash & mask_];
}

} // namespace iavf_be
