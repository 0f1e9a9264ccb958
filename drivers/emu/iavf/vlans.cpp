/* SPDX-License-Identifier: BSD-3-Clause */
#include "vlans.hpp"

#include <bit>
#include <utility>

namespace iavf {

namespace {

/** A type of tags in all its forms. */
struct type_row {
	rte_emudev_net_vlan_type type;
	uint16_t tpid;
	uint32_t bit;
};

constexpr type_row types[] = {
	{RTE_EMUDEV_NET_VLAN_8100, 0x8100, vc_vlan::ethertype_8100},
	{RTE_EMUDEV_NET_VLAN_88A8, 0x88a8, vc_vlan::ethertype_88a8},
	{RTE_EMUDEV_NET_VLAN_9100, 0x9100, vc_vlan::ethertype_9100},
};

constexpr uint16_t single_type = 0x8100;

/** The number of the type that a bit stands for. */
uint16_t
tpid_of(uint32_t bit)
{
	for (const type_row &row : types)
		if (row.bit == bit)
			return row.tpid;
	return 0;
}

/** One of what there is, if it can be changed at all; or none. */
bool
is_valid(uint32_t supported, uint32_t wanted)
{
	return wanted == 0 ||
	       (std::has_single_bit(wanted) && (wanted & supported & vc_vlan::ethertypes) != 0 &&
		(supported & vc_vlan::toggle) != 0);
}

} // namespace

rte_emudev_net_vlan_type
vlan_type_of(uint16_t tpid)
{
	for (const type_row &row : types)
		if (row.tpid == tpid)
			return row.type;
	return RTE_EMUDEV_NET_VLAN_TYPES;
}

/** A driver of the first version has its tags stripped until it says otherwise. */
void
vlans::begin(uint32_t granted)
{
	setup_ = {};
	ids_ = {};
	setup_.insert_outer = single_type;
	setup_.outer_in_second = (granted & vc_cap::offload_vlan_v2) != 0;
	strip_single((granted & vc_cap::offload_vlan) != 0);
}

vc_vlan_caps
vlans::caps(bool in_port_vlan)
{
	using namespace vc_vlan;
	constexpr uint32_t any = toggle | ethertypes | ethertype_xor;
	constexpr uint32_t inner = toggle | ethertype_8100 | l2tag1;

	if (in_port_vlan)
		return {
			.filtering = {},
			.filtering_init = 0,
			.max_filters = 0,
			.pad = {},
			.stripping = {.outer = 0, .inner = inner},
			.insertion = {.outer = 0, .inner = inner},
			.offload_init = ethertype_8100,
			.ethertype_match = 0,
			.pad2 = {},
		};
	return {
		.filtering = {.outer = ethertypes | ethertype_and, .inner = 0},
		.filtering_init = ethertypes,
		.max_filters = max_filters,
		.pad = {},
		.stripping = {.outer = any | l2tag2_2, .inner = inner},
		.insertion = {.outer = any | l2tag2, .inner = inner},
		.offload_init = ethertype_8100,
		.ethertype_match = 0,
		.pad2 = {},
	};
}

bool
vlans::is_valid(const vc_vlan_supported &by, const vc_vlan_setting &setting)
{
	return (setting.outer_ethertype | setting.inner_ethertype) != 0 &&
	       iavf::is_valid(by.outer, setting.outer_ethertype) &&
	       iavf::is_valid(by.inner, setting.inner_ethertype);
}

/** Off is off, whichever type the message names. */
void
vlans::strip(const vc_vlan_setting &setting, bool on)
{
	if (setting.outer_ethertype != 0)
		setup_.strip_outer = on ? tpid_of(setting.outer_ethertype) : 0;
	if (setting.inner_ethertype != 0)
		setup_.strip_inner = on ? tpid_of(setting.inner_ethertype) : 0;
}

/** Tags in descriptors are inserted in any case, so that what counts is the type. */
void
vlans::insert(const vc_vlan_setting &setting, bool on)
{
	if (on && setting.outer_ethertype != 0)
		setup_.insert_outer = tpid_of(setting.outer_ethertype);
}

void
vlans::strip_single(bool on)
{
	setup_.strip_outer = on ? single_type : 0;
}

size_t
vlans::filters() const
{
	size_t sum = 0;

	for (const auto &type : ids_.of)
		for (uint64_t word : type)
			sum += static_cast<size_t>(std::popcount(word));
	return sum;
}

bool
vlans::add(std::span<const vlan_filter> wanted)
{
	rte_emudev_net_vlan_ids before = ids_;

	for (const vlan_filter &one : wanted)
		if (one.id != 0)
			ids_.of[one.type][one.id / 64] |= uint64_t{1} << one.id % 64;
	if (filters() <= max_filters)
		return true;
	ids_ = before;
	return false;
}

void
vlans::remove(std::span<const vlan_filter> unwanted)
{
	for (const vlan_filter &one : unwanted)
		ids_.of[one.type][one.id / 64] &= ~(uint64_t{1} << one.id % 64);
}

/** Until the first one is added, all VLANs are let through. */
rte_emudev_net_vlan
vlans::describe(bool all, bool in_port_vlan) const
{
	rte_emudev_net_vlan out = setup_;

	/* What is the inner tag for the driver is the first one that it gets. */
	if (in_port_vlan && setup_.outer_in_second != 0) {
		out.strip_outer = std::exchange(out.strip_inner, uint16_t{0});
		out.outer_in_second = 0;
	}
	out.ids = all || filters() == 0 ? nullptr : &ids_;
	return out;
}

void
vlans::each_state(pci_device::state_walk &walk)
{
	walk(setup_.strip_outer, setup_.strip_inner, setup_.insert_outer, setup_.outer_in_second,
	     ids_.of);
}

} // namespace iavf
