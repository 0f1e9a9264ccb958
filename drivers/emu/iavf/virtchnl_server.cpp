/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtchnl_server.hpp"

#include <descriptors.hpp>

#include "device.hpp"
#include "log.hpp"
#include "virtchnl_fdir.hpp"
#include "virtchnl_message.hpp"
#include "virtchnl_queues.hpp"
#include "virtchnl_rss.hpp"
#include "virtchnl_vlan.hpp"

namespace iavf {

namespace {

/** Set of states, a bit each. */
using states = uint8_t;
constexpr states
in(vf_state state)
{
	return static_cast<states>(1u << static_cast<unsigned>(state));
}
constexpr states always = in(vf_state::initial) | in(vf_state::negotiated) | in(vf_state::active);
constexpr states known = in(vf_state::negotiated) | in(vf_state::active);
constexpr states active = in(vf_state::active);

vc_reply
version(device &dev, guard::bytes body)
{
	vc_version_info theirs = header<vc_version_info>(body);
	vc_version_info ours{virtchnl_major, std::min(theirs.minor, virtchnl_minor)};

	/* Never an error: the driver decides whether it can live with our version. */
	if (theirs.major != virtchnl_major)
		ours.minor = virtchnl_minor;
	dev.transition(vf_event::version);
	dev.agreed().version = ours;
	guard::bytes reply = guard::as_bytes(ours);
	return {vc_status::success, {reply.begin(), reply.end()}};
}

vc_reply
reset_vf(device &dev, guard::bytes)
{
	dev.reset_by_driver(vf_event::reset_vf);
	return {};
}

vc_reply
get_vf_resources(device &dev, guard::bytes body)
{
	/* A driver of version 1.0 sends no flags and means these. */
	uint32_t wanted = vc_cap::offload_l2 | vc_cap::offload_rss_reg | vc_cap::offload_vlan;

	if (dev.agreed().version.minor >= 1) {
		if (body.empty())
			return answer(vc_status::err_param);
		wanted = header<uint32_t>(body);
	}
	dev.tell_resources(wanted);
	dev.session().rss().begin(dev.session().granted(), dev.agreed().told_pairs);
	dev.push_config();
	vc_vf_resource resource{
		.num_vsis = 1,
		.num_queue_pairs = dev.agreed().told_pairs,
		.max_vectors = dev.host().vectors_for(dev.agreed().told_pairs),
		.max_mtu = dev.host().largest_frame(),
		.vf_cap_flags = dev.session().granted(),
		.rss_key_size = RTE_EMUDEV_NET_RSS_KEY_SIZE,
		.rss_lut_size = rss::lut_size(dev.agreed().told_pairs),
	};
	vc_vsi_resource vsi{
		.vsi_id = vsi_id,
		.num_queue_pairs = dev.agreed().told_pairs,
		.vsi_type = vc_vsi_sriov,
		.qset_handle = 0,
		.default_mac_addr = {},
	};
	std::ranges::copy(dev.agreed().mac, vsi.default_mac_addr);
	guard::writer reply;
	return {vc_status::success, std::move(reply.put(resource).put(vsi)).take()};
}

mac_address
address_of(const vc_ether_addr &entry)
{
	mac_address mac;

	std::ranges::copy(entry.addr, mac.begin());
	return mac;
}

/** A guest that may not change the address that it was given may only join groups. */
bool
may_add(const device &dev, std::span<const mac_filter> wanted)
{
	return dev.host().policy.mac_may_change() ||
	       std::ranges::all_of(wanted, [&dev](const mac_filter &one) {
		       return (one.address[0] & 1) != 0 || one.address == dev.agreed().mac;
	       });
}

vc_reply
add_eth_addr(device &dev, guard::bytes body)
{
	using head = vc_ether_addr_list;
	head info = header<head>(body);

	if (info.vsi_id != vsi_id)
		return answer(vc_status::err_param);
	std::vector<mac_filter> wanted;

	for (uint16_t i = 0; i < info.num_elements; i++) {
		vc_ether_addr entry = element<head, vc_ether_addr>(body, i);

		wanted.push_back({address_of(entry), (entry.type & vc_ether_addr::type_mask) ==
							     vc_ether_addr::type_primary});
		if (wanted.back().address == mac_address{})
			return answer(vc_status::err_param);
	}
	mac_address primary = dev.agreed().mac;

	if (!may_add(dev, wanted)) {
		dev.violated(violation::address);
		return answer(vc_status::err_param);
	}
	if (!dev.session().add_macs(wanted, primary, dev.host().policy)) {
		dev.violated(violation::limits);
		return answer(vc_status::err_no_memory);
	}
	dev.agreed().mac = primary;
	dev.push_config();
	return {};
}

vc_reply
del_eth_addr(device &dev, guard::bytes body)
{
	using head = vc_ether_addr_list;
	head info = header<head>(body);

	if (info.vsi_id != vsi_id)
		return answer(vc_status::err_param);
	std::vector<mac_address> unwanted;

	for (uint16_t i = 0; i < info.num_elements; i++)
		unwanted.push_back(address_of(element<head, vc_ether_addr>(body, i)));
	dev.session().remove_macs(unwanted);
	dev.push_config();
	return {};
}

vc_reply
config_promiscuous_mode(device &dev, guard::bytes body)
{
	vc_promisc_info info = header<vc_promisc_info>(body);

	if (info.vsi_id != vsi_id)
		return answer(vc_status::err_param);
	/* Physical functions answer so, too. Linux would try again without end. */
	if (!dev.host().policy.trust) {
		dev.violated(violation::promiscuous, info.flags != 0);
		return {};
	}
	dev.session().set_promiscuous(info.flags &
				      (vc_promisc_info::unicast | vc_promisc_info::multicast));
	dev.push_config();
	return {};
}

/** Packets that were neither multicast nor broadcast. The counters are read while they move. */
uint64_t
unicast(uint64_t packets, uint64_t multicast, uint64_t broadcast)
{
	return packets - std::min(packets, multicast + broadcast);
}

/**
 * The counters of a physical function: rx_unicast includes what was discarded, and rx_bytes the CRC
 * of each packet. Drivers subtract both.
 */
vc_reply
get_stats(device &dev, guard::bytes body)
{
	if (header<vc_queue_select>(body).vsi_id != vsi_id)
		return answer(vc_status::err_param);
	rte_emudev_net_stats s = dev.path().traffic();
	vc_eth_stats stats{
		.rx_bytes = s.to_guest_bytes + uint64_t{crc_length} * s.to_guest_packets,
		.rx_unicast =
			unicast(s.to_guest_packets, s.to_guest_multicast, s.to_guest_broadcast) +
			s.to_guest_dropped,
		.rx_multicast = s.to_guest_multicast,
		.rx_broadcast = s.to_guest_broadcast,
		.rx_discards = s.to_guest_dropped,
		.rx_unknown_protocol = 0,
		.tx_bytes = s.from_guest_bytes,
		.tx_unicast = unicast(s.from_guest_packets, s.from_guest_multicast,
				      s.from_guest_broadcast),
		.tx_multicast = s.from_guest_multicast,
		.tx_broadcast = s.from_guest_broadcast,
		.tx_discards = 0,
		.tx_errors = s.from_guest_errors,
	};
	guard::bytes reply = guard::as_bytes(stats);
	return {vc_status::success, {reply.begin(), reply.end()}};
}

vc_reply
get_supported_rxdids(device &dev, guard::bytes)
{
	if ((dev.session().granted() & vc_cap::offload_rx_flex_desc) == 0)
		return answer(vc_status::err_param);
	const vc_supported_rxdids formats{rxdid::supported};
	guard::bytes reply = guard::as_bytes(formats);
	return {vc_status::success, {reply.begin(), reply.end()}};
}

/** An operation we have: when it is allowed and what it does. Its format is in vc_ops. */
struct row {
	uint32_t op;
	states allowed;
	vc_reply (*handler)(device &dev, guard::bytes body);
	bool silent = false; /**< Has no reply. */
	uint32_t needs = 0;  /**< Of vc_cap: what must have been granted. */
};

constexpr uint32_t advanced_rss = vc_cap::offload_rss_pf | vc_cap::offload_adv_rss_pf;

constexpr row rows[] = {
	{vc_op::version, always, version},
	{vc_op::reset_vf, always, reset_vf, true},
	{vc_op::get_vf_resources, known, get_vf_resources},
	{vc_op::config_tx_queue, active, config_tx_queue},
	{vc_op::config_rx_queue, active, config_rx_queue},
	{vc_op::config_vsi_queues, active, config_vsi_queues},
	{vc_op::config_irq_map, active, config_irq_map},
	{vc_op::enable_queues, active, enable_queues},
	{vc_op::disable_queues, active, disable_queues},
	{vc_op::add_eth_addr, active, add_eth_addr},
	{vc_op::del_eth_addr, active, del_eth_addr},
	{vc_op::add_vlan, active, add_vlan, false, vc_cap::offload_vlan},
	{vc_op::del_vlan, active, del_vlan, false, vc_cap::offload_vlan},
	{vc_op::config_promiscuous_mode, active, config_promiscuous_mode},
	{vc_op::get_stats, active, get_stats},
	{vc_op::config_rss_hfunc, active, config_rss_hfunc, false, advanced_rss},
	{vc_op::config_rss_key, active, config_rss_key, false, vc_cap::offload_rss_pf},
	{vc_op::config_rss_lut, active, config_rss_lut, false, vc_cap::offload_rss_pf},
	{vc_op::get_rss_hena_caps, active, get_rss_hena_caps, false, vc_cap::offload_rss_pf},
	{vc_op::set_rss_hena, active, set_rss_hena, false, vc_cap::offload_rss_pf},
	{vc_op::enable_vlan_stripping, active, enable_vlan_stripping, false, vc_cap::offload_vlan},
	{vc_op::disable_vlan_stripping, active, disable_vlan_stripping, false,
	 vc_cap::offload_vlan},
	{vc_op::request_queues, active, request_queues, false, vc_cap::req_queues},
	{vc_op::get_supported_rxdids, active, get_supported_rxdids},
	{vc_op::add_rss_cfg, active, add_rss_cfg, false, advanced_rss},
	{vc_op::del_rss_cfg, active, del_rss_cfg, false, advanced_rss},
	{vc_op::add_fdir_filter, active, add_fdir_filter, false, vc_cap::offload_fdir_pf},
	{vc_op::del_fdir_filter, active, del_fdir_filter, false, vc_cap::offload_fdir_pf},
	{vc_op::get_max_rss_qregion, active, get_max_rss_qregion, false, vc_cap::large_num_qpairs},
	{vc_op::get_offload_vlan_v2_caps, active, get_offload_vlan_v2_caps, false,
	 vc_cap::offload_vlan_v2},
	{vc_op::add_vlan_v2, active, add_vlan_v2, false, vc_cap::offload_vlan_v2},
	{vc_op::del_vlan_v2, active, del_vlan_v2, false, vc_cap::offload_vlan_v2},
	{vc_op::enable_vlan_stripping_v2, active, enable_vlan_stripping_v2, false,
	 vc_cap::offload_vlan_v2},
	{vc_op::disable_vlan_stripping_v2, active, disable_vlan_stripping_v2, false,
	 vc_cap::offload_vlan_v2},
	{vc_op::enable_vlan_insertion_v2, active, enable_vlan_insertion_v2, false,
	 vc_cap::offload_vlan_v2},
	{vc_op::disable_vlan_insertion_v2, active, disable_vlan_insertion_v2, false,
	 vc_cap::offload_vlan_v2},
	{vc_op::enable_queues_v2, active, enable_queues_v2, false, vc_cap::large_num_qpairs},
	{vc_op::disable_queues_v2, active, disable_queues_v2, false, vc_cap::large_num_qpairs},
	{vc_op::map_queue_vector, active, map_queue_vector, false, vc_cap::large_num_qpairs},
};
static_assert(std::ranges::all_of(rows,
				  [](const row &r) { return vc_find_op(r.op).number == r.op; }) &&
	      std::ranges::is_sorted(rows, {}, &row::op));

const row *
find_row(uint32_t op)
{
	const row *r = std::ranges::find(rows, op, &row::op);

	return r == std::end(rows) ? nullptr : r;
}

} // namespace

vc_service
vc_service_of(uint32_t op)
{
	const row *r = find_row(op);

	return r == nullptr ? vc_service{} : vc_service{true, r->needs};
}

std::optional<vc_reply>
vc_dispatch(device &dev, uint32_t op, guard::bytes body)
{
	const row *r = find_row(op);

	if (r == nullptr)
		return answer(vc_status::err_not_supported);
	if ((r->needs & ~dev.session().granted()) != 0)
		return answer(vc_status::err_not_supported);
	if ((r->allowed & in(dev.agreed().state)) == 0 ||
	    !vc_length_fits(vc_find_op(op).format, body))
		return answer(vc_status::err_param);
	vc_reply reply = r->handler(dev, body);
	if (r->silent || reply.none)
		return {};
	return reply;
}

} // namespace iavf
