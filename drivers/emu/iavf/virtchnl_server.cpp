/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtchnl_server.hpp"

#include <descriptors.hpp>

#include "device.hpp"
#include "log.hpp"
#include "virtchnl_message.hpp"
#include "virtchnl_vlan.hpp"

namespace iavf {

namespace {

/* Limits of a ring [AVF HAS, receive and transmit queue contexts]. */
constexpr uint32_t ring_min = 64;
constexpr uint32_t ring_max = 4096;
constexpr uint32_t ring_multiple = 32;
constexpr uint64_t ring_alignment = 128;
/* Physical functions refuse less than 1024, but Linux posts 128 when the MTU is small. */
constexpr uint32_t buffer_min = 128;
constexpr uint32_t buffer_max = 16 * 1024 - 128;
constexpr uint32_t frame_min = 64;
/* Linux repeats what it was told. Longer frames than max_frame come from nowhere. */
constexpr uint32_t frame_max = max_frame + crc_length;

/** Timer indices 0 to 2, or 3 for none. */
constexpr uint16_t timer_max = dyn_ctl::no_itr;

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

/** What the driver was told it has; one that has not asked yet has none. */
uint16_t
queue_pairs(const device &dev)
{
	return dev.agreed().told_pairs;
}

bool
ring_is_valid(uint32_t len, uint64_t base)
{
	return len >= ring_min && len <= ring_max && len % ring_multiple == 0 &&
	       base % ring_alignment == 0 && base + len * 32ull > base;
}

/** A ring of length 0 stands for a half of a pair that the driver does not use. */
bool
is_valid(const device &dev, const vc_txq_info &info)
{
	return info.vsi_id == vsi_id && info.queue_id < queue_pairs(dev) &&
	       (info.ring_len == 0 ||
		(info.headwb_enabled == 0 && ring_is_valid(info.ring_len, info.dma_ring_addr)));
}

/** Without the capability 0 and 1 mean the legacy format, and drivers leave the field 0. */
bool
format_is_granted(const device &dev, uint8_t format)
{
	return format == rxdid::unset || format == rxdid::legacy_32b ||
	       ((dev.session().granted() & vc_cap::offload_rx_flex_desc) != 0 && format < 64 &&
		(rxdid::supported >> format & 1) != 0);
}

bool
is_valid(const device &dev, const vc_rxq_info &info)
{
	return info.vsi_id == vsi_id && info.queue_id < queue_pairs(dev) &&
	       (info.ring_len == 0 ||
		(info.splithdr_enabled == 0 && format_is_granted(dev, info.rxdid) &&
		 info.databuffer_size >= buffer_min && info.databuffer_size <= buffer_max &&
		 info.max_pkt_size >= frame_min && info.max_pkt_size <= frame_max &&
		 ring_is_valid(info.ring_len, info.dma_ring_addr)));
}

bool
is_valid(const device &dev, const vc_queue_pair_info &info)
{
	return is_valid(dev, info.txq) && is_valid(dev, info.rxq) &&
	       info.txq.queue_id == info.rxq.queue_id;
}

/** @p Info is vc_txq_info or vc_rxq_info. */
template <class Info>
bool
can_serve(device &dev, const Info &info)
{
	return info.ring_len == 0 || dev.can_serve_at(info.dma_ring_addr);
}

void
configure(device &dev, const vc_txq_info &info)
{
	dev.session().rings().configure(RTE_EMUDEV_FROM_GUEST, info.queue_id,
					{.iova = info.dma_ring_addr, .size = info.ring_len});
}

void
configure(device &dev, const vc_rxq_info &info)
{
	dev.session().rings().configure(RTE_EMUDEV_TO_GUEST, info.queue_id,
					{.iova = info.dma_ring_addr,
					 .buffer_size = info.databuffer_size,
					 .max_frame = info.max_pkt_size,
					 .size = static_cast<uint16_t>(info.ring_len),
					 .format = info.rxdid});
}

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
	dev.reset_by_driver();
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
	dev.tell_resources();
	dev.session().grant(wanted);
	dev.push_config();
	vc_vf_resource resource{
		.num_vsis = 1,
		.num_queue_pairs = queue_pairs(dev),
		.max_vectors = static_cast<uint16_t>(queue_pairs(dev) + 1),
		.max_mtu = dev.host().largest_frame(),
		.vf_cap_flags = dev.session().granted(),
		.rss_key_size = 0,
		.rss_lut_size = 0,
	};
	vc_vsi_resource vsi{
		.vsi_id = vsi_id,
		.num_queue_pairs = queue_pairs(dev),
		.vsi_type = vc_vsi_sriov,
		.qset_handle = 0,
		.default_mac_addr = {},
	};
	std::ranges::copy(dev.agreed().mac, vsi.default_mac_addr);
	guard::writer reply;
	return {vc_status::success, std::move(reply.put(resource).put(vsi)).take()};
}

vc_reply
config_tx_queue(device &dev, guard::bytes body)
{
	vc_txq_info info = header<vc_txq_info>(body);

	if (!is_valid(dev, info))
		return answer(vc_status::err_param);
	if (!can_serve(dev, info))
		return answer(vc_status::err_no_memory);
	configure(dev, info);
	return {};
}

vc_reply
config_rx_queue(device &dev, guard::bytes body)
{
	vc_rxq_info info = header<vc_rxq_info>(body);

	if (!is_valid(dev, info))
		return answer(vc_status::err_param);
	if (!can_serve(dev, info))
		return answer(vc_status::err_no_memory);
	configure(dev, info);
	return {};
}

vc_reply
config_vsi_queues(device &dev, guard::bytes body)
{
	using head = vc_vsi_queue_config_info;
	head info = header<head>(body);

	if (info.vsi_id != vsi_id || info.num_queue_pairs > queue_pairs(dev))
		return answer(vc_status::err_param);
	for (uint16_t i = 0; i < info.num_queue_pairs; i++)
		if (!is_valid(dev, element<head, vc_queue_pair_info>(body, i)))
			return answer(vc_status::err_param);
	for (uint16_t i = 0; i < info.num_queue_pairs; i++) {
		vc_queue_pair_info pair = element<head, vc_queue_pair_info>(body, i);

		if (!can_serve(dev, pair.txq) || !can_serve(dev, pair.rxq))
			return answer(vc_status::err_no_memory);
	}
	for (uint16_t i = 0; i < info.num_queue_pairs; i++) {
		vc_queue_pair_info pair = element<head, vc_queue_pair_info>(body, i);

		configure(dev, pair.txq);
		configure(dev, pair.rxq);
	}
	return {};
}

/** Whether a map names only what the device has. Vector 0 may serve queues, if poorly. */
bool
is_valid(const device &dev, const vc_vector_map &map)
{
	uint32_t beyond = ~0u << queue_pairs(dev);

	return map.vsi_id == vsi_id && map.vector_id <= queue_pairs(dev) &&
	       ((map.rxq_map | map.txq_map) & beyond) == 0 && map.rxitr_idx <= timer_max &&
	       map.txitr_idx <= timer_max;
}

vc_reply
config_irq_map(device &dev, guard::bytes body)
{
	using head = vc_irq_map_info;
	head info = header<head>(body);

	if (info.num_vectors > queue_pairs(dev) + 1)
		return answer(vc_status::err_param);
	for (uint16_t i = 0; i < info.num_vectors; i++)
		if (!is_valid(dev, element<head, vc_vector_map>(body, i)))
			return answer(vc_status::err_param);
	queues &rings = dev.session().rings();

	for (uint16_t i = 0; i < info.num_vectors; i++) {
		vc_vector_map map = element<head, vc_vector_map>(body, i);

		rings.map(RTE_EMUDEV_TO_GUEST, map.rxq_map, map.vector_id,
			  static_cast<uint8_t>(map.rxitr_idx));
		rings.map(RTE_EMUDEV_FROM_GUEST, map.txq_map, map.vector_id,
			  static_cast<uint8_t>(map.txitr_idx));
	}
	rings.mapped();
	return {};
}

bool
selects_what_exists(const device &dev, const vc_queue_select &select)
{
	uint32_t all = select.rx_queues | select.tx_queues;

	return select.vsi_id == vsi_id && all != 0 && (all & ~0u << queue_pairs(dev)) == 0;
}

bool
all_configured(const device &dev, rte_emudev_dir dir, uint32_t queues)
{
	for (uint16_t i = 0; i < queue_pairs(dev); i++)
		if ((queues >> i & 1) != 0 && !dev.session().rings().at(dir, i).configured())
			return false;
	return true;
}

vc_reply
enable_queues(device &dev, guard::bytes body)
{
	vc_queue_select select = header<vc_queue_select>(body);

	if (!selects_what_exists(dev, select) ||
	    !all_configured(dev, RTE_EMUDEV_FROM_GUEST, select.tx_queues) ||
	    !all_configured(dev, RTE_EMUDEV_TO_GUEST, select.rx_queues))
		return answer(vc_status::err_param);
	for (uint16_t i = 0; i < queue_pairs(dev); i++) {
		if ((select.tx_queues >> i & 1) != 0)
			dev.session().enable(RTE_EMUDEV_FROM_GUEST, i);
		if ((select.rx_queues >> i & 1) != 0)
			dev.session().enable(RTE_EMUDEV_TO_GUEST, i);
	}
	return {};
}

vc_reply
disable_queues(device &dev, guard::bytes body)
{
	vc_queue_select select = header<vc_queue_select>(body);

	if (!selects_what_exists(dev, select))
		return answer(vc_status::err_param);
	for (uint16_t i = 0; i < queue_pairs(dev); i++) {
		if ((select.tx_queues >> i & 1) != 0)
			dev.session().rings().disable(RTE_EMUDEV_FROM_GUEST, i);
		if ((select.rx_queues >> i & 1) != 0)
			dev.session().rings().disable(RTE_EMUDEV_TO_GUEST, i);
	}
	return {};
}

mac_address
address_of(const vc_ether_addr &entry)
{
	mac_address mac;

	std::ranges::copy(entry.addr, mac.begin());
	return mac;
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

	if (!dev.session().add_macs(wanted, primary))
		return answer(vc_status::err_no_memory);
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
	for (uint16_t i = 0; i < info.num_elements; i++)
		if (dev.session().remove_mac(address_of(element<head, vc_ether_addr>(body, i))))
			dev.push_config();
	return {};
}

vc_reply
config_promiscuous_mode(device &dev, guard::bytes body)
{
	vc_promisc_info info = header<vc_promisc_info>(body);

	if (info.vsi_id != vsi_id)
		return answer(vc_status::err_param);
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
	{vc_op::enable_vlan_stripping, active, enable_vlan_stripping, false, vc_cap::offload_vlan},
	{vc_op::disable_vlan_stripping, active, disable_vlan_stripping, false,
	 vc_cap::offload_vlan},
	{vc_op::get_supported_rxdids, active, get_supported_rxdids},
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
};
static_assert(std::ranges::all_of(rows,
				  [](const row &r) { return vc_find_op(r.op).number == r.op; }) &&
	      std::ranges::is_sorted(rows, {}, &row::op));

} // namespace

std::optional<vc_reply>
vc_dispatch(device &dev, uint32_t op, guard::bytes body)
{
	const row *r = std::ranges::find(rows, op, &row::op);

	if (r == std::end(rows))
		return answer(vc_status::err_not_supported);
	if ((r->needs & ~dev.session().granted()) != 0)
		return answer(vc_status::err_not_supported);
	if ((r->allowed & in(dev.agreed().state)) == 0 ||
	    !vc_length_fits(vc_find_op(op).format, body))
		return answer(vc_status::err_param);
	vc_reply reply = r->handler(dev, body);
	if (r->silent)
		return {};
	return reply;
}

} // namespace iavf
