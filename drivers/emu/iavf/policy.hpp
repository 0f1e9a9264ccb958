/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <rte_emudev_net.h>

namespace iavf {

/** More than there is room for. */
constexpr uint16_t any_number_of_addresses = 4096;
/** Beside its own; with that and the broadcast address the 18 of a VF of the E810. */
constexpr uint16_t untrusted_addresses = 16;

/**
 * What the administrator of the host has decided of a guest, as "ip link set vf" does for a virtual
 * function. It can change at any time.
 */
struct policy {
	bool trust = true;
	bool spoofchk = false;
	bool mac_given = false; /**< The address of the device was chosen, not made up. */
	rte_emudev_net_link_state link = RTE_EMUDEV_NET_LINK_AUTO;
	uint16_t vlan_type = 0; /**< Of the tag of the port VLAN; 0: there is none. */
	uint16_t vlan_tci = 0;
	uint32_t max_rate = 0;                        /**< Mbit/s, 0: no limit. */
	uint32_t min_rate = 0;                        /**< Mbit/s, not above that. */
	uint16_t max_macs = any_number_of_addresses;  /**< That the guest may add. */
	uint16_t max_mcast = any_number_of_addresses; /**< Of these, of groups. */

	bool operator==(const policy &) const = default;

	bool in_port_vlan() const { return vlan_type != 0; }
	/** Whether the guest may send as much as it is to have. */
	bool has_possible_rates() const { return max_rate == 0 || min_rate <= max_rate; }
	/** Whether the guest may have other addresses of stations than its own. */
	bool mac_may_change() const { return trust || !mac_given; }
	/** Addresses that the guest may add. */
	uint16_t mac_limit() const
	{
		return trust || max_macs < untrusted_addresses ? max_macs : untrusted_addresses;
	}
	/** Whether a driver that goes by @p before has to begin anew: what it was told is not so,
	 * or what it has set up is not allowed. */
	bool contradicts(const policy &before) const;
};

/** One part of it, as an argument of the device and at run time: key=value. */
struct policy_key {
	const char *name;
	const char *allowed;
	/** @return Whether the value is one of those allowed; if not, nothing has changed. */
	bool (*set)(policy &to, std::string_view value);
	std::string (*get)(const policy &from);
};
std::span<const policy_key> policy_keys();

} // namespace iavf
