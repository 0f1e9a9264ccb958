/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.hpp"

#include <utility>

#include "log.hpp"

/* What the administrator of the host does to the device, and what its guest hears of that. */

namespace iavf {

/** Tells a driver that all it has set up goes. One that does not listen sees it by its mailbox. */
void
device::announce_reset()
{
	const vc_pf_event event{
		.event = static_cast<int32_t>(vc_event::reset_impending),
		.link_speed = 0,
		.link_status = 0,
		.pad = {},
		.severity = static_cast<int32_t>(vc_severity::certain_doom),
	};

	if (agreed_.state != vf_state::active)
		return;
	log_body(vc_speaker::device, vc_op::event, vc_status::success, guard::as_bytes(event));
	mailbox_->send_event(event);
}

void
device::reset_by_host()
{
	stats_.resets_by_host++;
	announce_reset();
	reset_by_driver(vf_event::reset_by_host);
	push_config();
}

/** What concerns the data path. In a port VLAN, tags of the guest's are its own matter. */
rte_emudev_net_policy
device::pushed_policy() const
{
	const policy &from = host_.policy;
	const bool checks_vlans = from.spoofchk && !from.in_port_vlan();

	return {.link_down = !host_.link_allowed(),
		.check_source = from.spoofchk,
		.port_vlan_type = from.vlan_type,
		.port_vlan_tci = from.vlan_tci,
		.pad = 0,
		.max_rate = from.max_rate,
		.min_rate = from.min_rate,
		.from_vlans = checks_vlans ? &session_->vlans().ids() : nullptr};
}

/** The next driver finds it, and the one that is there after the reset. */
void
device::set_mac(const mac_address &mac)
{
	host_.mac = agreed_.mac = mac;
	host_.policy.mac_given = true;
	reset_by_host();
}

/** A guest that is no longer trusted gets back the address that it was given. */
void
device::set_policy(const policy &now)
{
	const bool link_was_allowed = host_.link_allowed();
	const policy before = std::exchange(host_.policy, now);

	if (now.contradicts(before)) {
		if (!now.mac_may_change())
			agreed_.mac = host_.mac;
		reset_by_host();
	} else {
		push_config();
	}
	change_link(link_was_allowed);
}

void
device::set_port_link(bool up)
{
	const bool before = host_.link_allowed();

	host_.port_link = up;
	change_link(before);
}

/** If it changes, the driver is told in both ways: the data path stops or begins, too. */
void
device::change_link(bool before)
{
	if (host_.link_allowed() == before)
		return;
	push_config();
	notify_link();
}

void
device::violated(violation what, bool really)
{
	static constexpr struct {
		uint64_t device_stats::*count;
		const char *text;
	} rows[] = {
		{&device_stats::refused_addresses,
		 "not trusted: another address than the one given is refused"},
		{&device_stats::ignored_promiscuous, "not trusted: promiscuous mode is ignored"},
		{&device_stats::refused_limits,
		 "refused more addresses than it may add, see macs and mcast"},
	};
	const auto &row = rows[static_cast<size_t>(what)];

	if (!really)
		return;
	(stats_.*row.count)++;
	DRIVER_LOG_LIMITED(log_, NOTICE, "%s: the guest is %s", config_.name.c_str(), row.text);
}

} // namespace iavf
