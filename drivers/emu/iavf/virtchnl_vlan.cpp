/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtchnl_vlan.hpp"

#include "device.hpp"
#include "virtchnl_message.hpp"

namespace iavf {

namespace {

/** VLANs of one message; false: one of them cannot be. The first version. */
bool
read_vlans(guard::bytes body, std::vector<vlan_filter> &out)
{
	using head = vc_vlan_list;

	for (uint16_t i = 0; i < header<head>(body).num_elements; i++) {
		out.push_back({RTE_EMUDEV_NET_VLAN_8100, element<head, uint16_t>(body, i)});
		if (out.back().id > vc_vlan::max_id)
			return false;
	}
	return true;
}

vc_vlan_caps
caps_of(const device &dev)
{
	return vlans::caps(dev.host().policy.in_port_vlan());
}

/** Without priority and mask, which no device of the kind can filter by. */
bool
is_plain(const vc_vlan_tag &tag)
{
	return (tag.tci & vc_vlan::priority_mask) == 0 && tag.tci_mask == 0;
}

/** The same in the second version: only the outer tag is filtered. What is not set is left out. */
bool
read_vlans_v2(guard::bytes body, std::vector<vlan_filter> &out)
{
	using head = vc_vlan_filter_list;

	for (uint16_t i = 0; i < header<head>(body).num_elements; i++) {
		auto [inner, outer, pad] = element<head, vc_vlan_filter>(body, i);

		if (inner.is_set() || !is_plain(inner) || !is_plain(outer))
			return false;
		if (!outer.is_set())
			continue;
		out.push_back({vlan_type_of(outer.tpid),
			       static_cast<uint16_t>(outer.tci & vc_vlan::id_mask)});
		if (out.back().type == RTE_EMUDEV_NET_VLAN_TYPES)
			return false;
	}
	return true;
}

/** Adds or removes the VLANs of a message, all or none. */
template <bool add, bool (*read)(guard::bytes, std::vector<vlan_filter> &)>
vc_reply
change_vlans(device &dev, guard::bytes body)
{
	std::vector<vlan_filter> list;

	if (header<uint16_t>(body) != vsi_id || !read(body, list))
		return answer(vc_status::err_param);
	if ((dev.session().granted() & vc_cap::offload_vlan_v2) != 0 &&
	    caps_of(dev).filtering.outer == 0)
		return answer(vc_status::err_param);
	if (!add)
		dev.session().vlans().remove(list);
	else if (!dev.session().vlans().add(list))
		return answer(vc_status::err_param);
	dev.push_config();
	return {};
}

template <bool on>
vc_reply
vlan_stripping(device &dev, guard::bytes)
{
	dev.session().vlans().strip_single(on);
	dev.push_config();
	return {};
}

template <bool on>
vc_reply
vlan_stripping_v2(device &dev, guard::bytes body)
{
	auto setting = header<vc_vlan_setting>(body);

	if (setting.vport_id != vsi_id || !vlans::is_valid(caps_of(dev).stripping, setting))
		return answer(vc_status::err_param);
	dev.session().vlans().strip(setting, on);
	dev.push_config();
	return {};
}

template <bool on>
vc_reply
vlan_insertion_v2(device &dev, guard::bytes body)
{
	auto setting = header<vc_vlan_setting>(body);

	if (setting.vport_id != vsi_id || !vlans::is_valid(caps_of(dev).insertion, setting))
		return answer(vc_status::err_param);
	dev.session().vlans().insert(setting, on);
	dev.push_config();
	return {};
}

} // namespace

vc_reply
get_offload_vlan_v2_caps(device &dev, guard::bytes)
{
	const vc_vlan_caps caps = caps_of(dev);
	guard::bytes reply = guard::as_bytes(caps);
	return {vc_status::success, {reply.begin(), reply.end()}};
}

vc_reply
add_vlan(device &dev, guard::bytes body)
{
	return change_vlans<true, read_vlans>(dev, body);
}

vc_reply
del_vlan(device &dev, guard::bytes body)
{
	return change_vlans<false, read_vlans>(dev, body);
}

vc_reply
enable_vlan_stripping(device &dev, guard::bytes body)
{
	return vlan_stripping<true>(dev, body);
}

vc_reply
disable_vlan_stripping(device &dev, guard::bytes body)
{
	return vlan_stripping<false>(dev, body);
}

vc_reply
add_vlan_v2(device &dev, guard::bytes body)
{
	return change_vlans<true, read_vlans_v2>(dev, body);
}

vc_reply
del_vlan_v2(device &dev, guard::bytes body)
{
	return change_vlans<false, read_vlans_v2>(dev, body);
}

vc_reply
enable_vlan_stripping_v2(device &dev, guard::bytes body)
{
	return vlan_stripping_v2<true>(dev, body);
}

vc_reply
disable_vlan_stripping_v2(device &dev, guard::bytes body)
{
	return vlan_stripping_v2<false>(dev, body);
}

vc_reply
enable_vlan_insertion_v2(device &dev, guard::bytes body)
{
	return vlan_insertion_v2<true>(dev, body);
}

vc_reply
disable_vlan_insertion_v2(device &dev, guard::bytes body)
{
	return vlan_insertion_v2<false>(dev, body);
}

} // namespace iavf
