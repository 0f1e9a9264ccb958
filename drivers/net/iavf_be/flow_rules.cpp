/* SPDX-License-Identifier: BSD-3-Clause */

#include "flow_rules.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <rte_byteorder.h>
#include <rte_ether.h>
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

/** Copies bytes of a frame, if they are there. Of none, DPDK's function looks for the segment. */
void
copy(const rte_mbuf &frame, uint32_t offset, uint32_t length, uint8_t *to)
{
	const void *at = length == 0 ? nullptr : rte_pktmbuf_read(&frame, offset, length, to);

	if (at != nullptr && at != to)
		memcpy(to, at, length);
}

uint16_t
needs_of(const ip_part &ip)
{
	if (ip.version == 0 || ip.malformed)
		return 0;
	return static_cast<uint16_t>(
		(ip.version == 4 ? RTE_EMUDEV_NET_FLOW_IPV4 : RTE_EMUDEV_NET_FLOW_IPV6) |
		RTE_EMUDEV_NET_FLOW_PROTOCOL |
		(ip.fragment ? RTE_EMUDEV_NET_FLOW_FRAGMENT : RTE_EMUDEV_NET_FLOW_WHOLE));
}

} // namespace

flow_input
find_flow_input(const rte_mbuf &frame, const frame_headers &from)
{
	constexpr uint32_t ipv4_least = 20;
	const ip_part &ip = from.outer;
	flow_input out{};
	headers bytes{};

	copy(frame, 0, 2 * RTE_ETHER_ADDR_LEN, bytes.l2);
	const rte_be16_t type = rte_cpu_to_be_16(from.type);
	memcpy(bytes.l2 + 2 * RTE_ETHER_ADDR_LEN, &type, sizeof(type));
	out.has = needs_of(ip);
	if (out.has != 0) {
		out.protocol = ip.protocol;
		out.l4_length =
			static_cast<uint16_t>(std::min<size_t>(ip.l4_length, sizeof(bytes.l4)));
		copy(frame, ip.l3, ip.version == 4 ? ipv4_least : sizeof(bytes.l3), bytes.l3);
		copy(frame, ip.l4, out.l4_length, bytes.l4);
	}
	out.bytes = words_of(bytes);
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
	std::vector<const flow *> rules;

	for (const flow &one : all.first(std::min<size_t>(all.size(), RTE_EMUDEV_NET_MAX_FLOWS)))
		rules.push_back(&one);
	std::ranges::stable_sort(rules, std::ranges::greater(), &flow::rank);
	for (uint32_t &one : random_)
		one = static_cast<uint32_t>(rte_rand());
	for (auto begin = rules.begin(); begin != rules.end();) {
		const flow &first = **begin;
		const auto end = std::stable_partition(begin, rules.end(), [&](const flow *one) {
			return same_group(first, *one);
		});

		if (groups_.size() == RTE_EMUDEV_NET_MAX_FLOW_MASKS)
			break;
		groups_.push_back(make_group(first, static_cast<size_t>(end - begin)));
		for (; begin != end; begin++)
			add_rule(groups_.back(), **begin);
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
