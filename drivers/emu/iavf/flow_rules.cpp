/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow_rules.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace iavf {

namespace {

using flow = rte_emudev_net_flow;

template <class T>
bool
same(const T &a, const T &b)
{
	return std::memcmp(&a, &b, sizeof(T)) == 0;
}

bool
same_kind(const flow &a, const flow &b)
{
	return a.needs == b.needs && same(a.mask, b.mask);
}

bool
same_match(const flow &a, const flow &b)
{
	return same_kind(a, b) && a.protocol == b.protocol && same(a.spec, b.spec);
}

bool
same_action(const flow &a, const flow &b)
{
	return a.action == b.action && a.has_mark == b.has_mark && a.queue == b.queue &&
	       a.queues == b.queues && a.mark == b.mark;
}

/** Whether a frame may have all that both need. */
bool
meet(const flow &a, const flow &b)
{
	constexpr uint16_t versions = RTE_EMUDEV_NET_FLOW_IPV4 | RTE_EMUDEV_NET_FLOW_IPV6;
	constexpr uint16_t parts = RTE_EMUDEV_NET_FLOW_WHOLE | RTE_EMUDEV_NET_FLOW_FRAGMENT;
	const auto *spec_a = reinterpret_cast<const uint8_t *>(&a.spec);
	const auto *spec_b = reinterpret_cast<const uint8_t *>(&b.spec);
	const auto *mask_a = reinterpret_cast<const uint8_t *>(&a.mask);
	const auto *mask_b = reinterpret_cast<const uint8_t *>(&b.mask);
	const uint16_t all = a.needs | b.needs;

	if ((all & versions) == versions || (all & parts) == parts)
		return false;
	if ((a.needs & b.needs & RTE_EMUDEV_NET_FLOW_PROTOCOL) != 0 && a.protocol != b.protocol)
		return false;
	for (size_t i = 0; i < sizeof(a.spec); i++)
		if (((spec_a[i] ^ spec_b[i]) & mask_a[i] & mask_b[i]) != 0)
			return false;
	return true;
}

} // namespace

uint16_t
rank_of(const flow &one)
{
	const auto *mask = reinterpret_cast<const uint8_t *>(&one.mask);
	int bits = std::popcount(one.needs);

	if ((one.needs & RTE_EMUDEV_NET_FLOW_PROTOCOL) != 0)
		bits += 8;
	for (size_t i = 0; i < sizeof(one.mask); i++)
		bits += std::popcount(mask[i]);
	return static_cast<uint16_t>(bits);
}

/** Combinations of needs and masks. */
size_t
flow_rules::masks() const
{
	size_t count = 0;

	for (size_t i = 0; i < rules_.size(); i++)
		count += std::none_of(rules_.begin(), rules_.begin() + static_cast<ptrdiff_t>(i),
				      [&](const flow &one) { return same_kind(one, rules_[i]); });
	return count;
}

vc_fdir_status
flow_rules::check(const flow &wanted) const
{
	const auto any = [&](auto is) {
		return std::ranges::any_of(rules_, [&](const flow &one) { return is(one); });
	};

	if (any([&](const flow &one) { return same_match(one, wanted); }))
		return vc_fdir_status::exists;
	if (any([&](const flow &one) {
		    return one.rank == wanted.rank && !same_action(one, wanted) &&
			   meet(one, wanted);
	    }))
		return vc_fdir_status::conflict;
	if (rules_.size() >= max_rules ||
	    (masks() >= max_masks && !any([&](const flow &one) { return same_kind(one, wanted); })))
		return vc_fdir_status::no_resource;
	return vc_fdir_status::success;
}

uint32_t
flow_rules::add(const flow &wanted)
{
	uint32_t id = 0;

	while (ids_[id])
		id++;
	ids_[id] = true;
	rules_.push_back(wanted);
	rules_.back().id = id;
	return id;
}

bool
flow_rules::remove(uint32_t id)
{
	if (id >= max_rules || !ids_[id])
		return false;
	ids_[id] = false;
	std::erase_if(rules_, [id](const flow &one) { return one.id == id; });
	return true;
}

void
flow_rules::each_state(pci_device::state_walk &walk)
{
	std::bitset<max_rules> ids;
	walk(rules_);
	const auto fits = [&ids](const flow &one) {
		if (one.id >= max_rules || ids.test(one.id))
			return false;
		ids.set(one.id);
		return one.action <= RTE_EMUDEV_NET_FLOW_QUEUE &&
		       (one.action != RTE_EMUDEV_NET_FLOW_QUEUE || std::has_single_bit(one.queues));
	};

	if (!walk.expect(rules_.size() <= max_rules && std::ranges::all_of(rules_, fits) &&
			 masks() <= max_masks)) {
		rules_.clear();
		ids.reset();
	}
	ids_ = ids;
}

} // namespace iavf
