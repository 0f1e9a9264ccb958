/* SPDX-License-Identifier: BSD-3-Clause */

#include "flow_rules.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include <rte_branch_prediction.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_jhash.h>
#include <rte_random.h>

namespace iavf_be {

namespace {

using flow = rte_emudev_net_flow;
using headers = rte_emudev_net_headers;

std::array<uint64_t, flow_input::words>
words_of(const headers &from)
{
	std::array<uint64_t, flow_input::words> out;

	memcpy(out.data(), &from, sizeof(from));
	return out;
}

bool
same_group(const flow &a, const flow &b)
{
	return a.rank == b.rank && a.needs == b.needs &&
	       memcmp(&a.mask, &b.mask, sizeof(a.mask)) == 0;
}

/** What IP says for rules: of which version it is, what it carries, and whether in parts. A
 * fragment of IPv6 without its header is none. */
uint16_t
what_ip_has(const packet_places &at)
{
	const bool fragment = at.fragment && at.fragment_id != 0;

	return RTE_EMUDEV_NET_FLOW_PROTOCOL |
	       (at.version == 6 ? RTE_EMUDEV_NET_FLOW_IPV6 : RTE_EMUDEV_NET_FLOW_IPV4) |
	       (fragment ? RTE_EMUDEV_NET_FLOW_FRAGMENT : RTE_EMUDEV_NET_FLOW_WHOLE);
}

} // namespace

/** Copies are of lengths that compilers know, but at the end of a frame. */
flow_input
find_flow_input(const rte_mbuf &frame, const packet_places &at)
{
	constexpr uint32_t addresses = 2 * RTE_ETHER_ADDR_LEN;
	constexpr size_t l3 = offsetof(headers, l3), l4 = offsetof(headers, l4);
	flow_input out{};
	auto *bytes = reinterpret_cast<uint8_t *>(out.bytes.data());
	const uint8_t *begin = at.front.begin;

	if (at.type == 0)
		return out;
	memcpy(bytes, begin, addresses);
	memcpy(bytes + addresses, begin + at.type, sizeof(uint16_t));
	if (at.version == 0)
		return out;
	if (at.version == 4)
		memcpy(bytes + l3, begin + at.l3, sizeof(rte_ipv4_hdr));
	else
		memcpy(bytes + l3, begin + at.l3, sizeof(rte_ipv6_hdr));
	out.has = what_ip_has(at);
	out.protocol = at.protocol;
	/* A frame that is yet to be segmented need not have a length in its headers. */
	const bool open = (frame.ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) != 0;
	const uint32_t end = open ? at.front.length : std::min(at.end, at.front.length);
	if (at.l4 >= end)
		return out;
	out.l4_length = static_cast<uint16_t>(std::min<uint32_t>(end - at.l4, sizeof(headers::l4)));
	if (likely(out.l4_length == sizeof(headers::l4)))
		memcpy(bytes + l4, begin + at.l4, sizeof(headers::l4));
	else
		memcpy(bytes + l4, begin + at.l4, out.l4_length);
	return out;
}

/** Addresses and ports, or what is in their places. */
uint32_t
flow_input::hash() const
{
	constexpr size_t ipv4_addresses = 12, ipv6_addresses = 8;
	headers from;

	memcpy(&from, bytes.data(), sizeof(from));
	const bool is_ipv4 = (has & RTE_EMUDEV_NET_FLOW_IPV4) != 0;
	const bool is_whole = (has & RTE_EMUDEV_NET_FLOW_WHOLE) != 0;
	uint32_t ports;
	memcpy(&ports, from.l4, sizeof(ports));
	return rte_jhash(from.l3 + (is_ipv4 ? ipv4_addresses : ipv6_addresses), is_ipv4 ? 8 : 32,
			 is_whole ? ports : 0);
}

/** Rules of a group stand together, and groups by rank, the first of a rank first. */
flow_rules::flow_rules(std::span<const flow> all)
{
	std::vector<const flow *> rest, members;

	for (const flow &one : all.first(std::min<size_t>(all.size(), RTE_EMUDEV_NET_MAX_FLOWS)))
		rest.push_back(&one);
	std::ranges::sort(rest, [](const flow *a, const flow *b) {
		return a->rank != b->rank ? a->rank > b->rank : a < b;
	});
	for (uint32_t &one : random_)
		one = static_cast<uint32_t>(rte_rand());
	while (!rest.empty() && groups_.size() < RTE_EMUDEV_NET_MAX_FLOW_MASKS) {
		const flow &first = *rest.front();
		const auto is_member = [&](const flow *one) { return same_group(first, *one); };

		members.clear();
		std::ranges::copy_if(rest, std::back_inserter(members), is_member);
		std::erase_if(rest, is_member);
		groups_.push_back(make_group(first, members.size()));
		for (const flow *one : members)
			add_rule(groups_.back(), *one);
	}
}

/** A place for each rule, and as many again at least. */
flow_rules::group
flow_rules::make_group(const flow &like, size_t rules)
{
	const size_t places = std::bit_ceil(2 * rules);
	const auto mask = words_of(like.mask);
	group out{};

	out.needs = like.needs;
	out.table = static_cast<uint16_t>(places_.size());
	out.shift = static_cast<uint8_t>(64 - std::countr_zero(places));
	out.factor = rte_rand() | 1;
	for (uint8_t i = 0; i < flow_input::words; i++) {
		if (mask[i] == 0)
			continue;
		out.word[out.key_words] = i;
		out.mask[out.key_words++] = mask[i];
	}
	for (uint16_t i = 0; i < sizeof(like.mask.l4); i++)
		if (like.mask.l4[i] != 0)
			out.l4_end = i + 1;
	places_.resize(places_.size() + places, nobody);
	return out;
}

size_t
flow_rules::key_of(const group &its, const uint64_t *words, uint8_t protocol, key &out) const
{
	size_t n = 0;

	for (; n < its.key_words; n++)
		out[n] = words[its.word[n]] & its.mask[n];
	if ((its.needs & RTE_EMUDEV_NET_FLOW_PROTOCOL) != 0)
		out[n++] = protocol;
	return n;
}

/**
 * Hashes a key by sums and products with random numbers ("NH" of UMAC, RFC 4418): a guest that
 * chooses its rules cannot make them collide.
 */
uint64_t
flow_rules::hash_of(const key &its, size_t n) const
{
	uint64_t out = 0;

	for (size_t i = 0; i < n; i++)
		out += uint64_t{static_cast<uint32_t>(its[i]) + random_[2 * i]} *
		       (static_cast<uint32_t>(its[i] >> 32) + random_[2 * i + 1]);
	return out;
}

void
flow_rules::add_rule(const group &to, const flow &one)
{
	const auto spec = words_of(one.spec);
	const size_t mask = (size_t{1} << (64 - to.shift)) - 1;
	key its{};
	const size_t n = key_of(to, spec.data(), one.protocol, its);
	size_t at = hash_of(its, n) * to.factor >> to.shift;

	while (places_[to.table + at] != nobody)
		at = (at + 1) & mask;
	places_[to.table + at] = static_cast<uint8_t>(keys_.size());
	keys_.push_back(its);
	actions_.push_back({.what = one.action,
			    .has_mark = one.has_mark != 0,
			    .queue = one.queue,
			    .more = static_cast<uint16_t>(one.queues > 1 ? one.queues - 1 : 0),
			    .mark = one.mark});
	mark_ = mark_ || one.has_mark != 0;
}

const flow_rules::action *
flow_rules::find(const flow_input &frame) const
{
	for (const group &one : groups_) {
		if ((one.needs & ~frame.has) != 0 || one.l4_end > frame.l4_length)
			continue;
		const size_t mask = (size_t{1} << (64 - one.shift)) - 1;
		key its;
		const size_t n = key_of(one, frame.bytes.data(), frame.protocol, its);
		size_t at = hash_of(its, n) * one.factor >> one.shift;

		for (; places_[one.table + at] != nobody; at = (at + 1) & mask) {
			const uint8_t rule = places_[one.table + at];
			if (std::equal(its.begin(), its.begin() + n, keys_[rule].begin()))
				return &actions_[rule];
		}
	}
	return nullptr;
}

} // namespace iavf_be
