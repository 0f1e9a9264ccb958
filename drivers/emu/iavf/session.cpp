/* SPDX-License-Identifier: BSD-3-Clause */
#include "session.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "virtchnl_server.hpp"

namespace iavf {

/** Of the two versions of VLAN messages a driver gets one. It may ask again, and keeps its tags. */
uint32_t
session::grant(uint32_t wanted)
{
	constexpr uint32_t vlan = vc_cap::offload_vlan | vc_cap::offload_vlan_v2;
	const uint32_t before = std::exchange(granted_, wanted & vc_offered_caps);

	if ((granted_ & vc_cap::offload_vlan_v2) != 0)
		granted_ &= ~vc_cap::offload_vlan;
	if (((granted_ ^ before) & vlan) != 0)
		vlans_.begin(granted_);
	return granted_;
}

void
session::enable(rte_emudev_dir dir, uint16_t index)
{
	/* Linux ignores a link that comes up before its queues are enabled. */
	link_due_ = link_due_ || queues_.enabled_pairs() == 0;
	queues_.enable(dir, index);
}

/** A primary address takes no room, nor does the one that it replaces: a driver removes that only
 * afterwards. */
bool
session::add_macs(std::span<const mac_filter> wanted, mac_address &primary, const policy &limits)
{
	std::vector<mac_address> all = filters_;
	mac_address next = primary;

	for (const mac_filter &one : wanted) {
		bool multicast = (one.address[0] & 1) != 0;

		if (one.primary && !multicast)
			next = one.address;
		const auto at = std::ranges::lower_bound(all, one.address);

		if (at == all.end() || *at != one.address)
			all.insert(at, one.address);
		if (all.size() > max_mac_filters + 2)
			return false;
	}
	const auto besides = std::ranges::count_if(
		all, [&](const mac_address &one) { return one != primary && one != next; });
	const auto groups = std::ranges::count_if(
		all, [](const mac_address &one) { return (one[0] & 1) != 0; });
	if (besides >
		    static_cast<ptrdiff_t>(std::min<size_t>(max_mac_filters, limits.mac_limit())) ||
	    groups > limits.max_mcast)
		return false;
	filters_ = std::move(all);
	primary = next;
	return true;
}

void
session::each_state(pci_device::state_walk &walk)
{
	walk(granted_, filters_, promiscuous_, vlans_, rss_, rules_, link_due_, queues_);
	walk.expect((granted_ & ~vc_offered_caps) == 0);
	if (!walk.expect(filters_.size() <= max_mac_filters + 2 &&
			 std::ranges::adjacent_find(filters_, std::ranges::greater_equal()) ==
				 filters_.end()))
		filters_.clear();
}

void
session::remove_macs(std::span<const mac_address> unwanted)
{
	for (const mac_address &one : unwanted) {
		const auto at = std::ranges::lower_bound(filters_, one);

		if (at != filters_.end() && *at == one)
			filters_.erase(at);
	}
}

} // namespace iavf
