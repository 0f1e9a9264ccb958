/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <span>

#include <rte_emudev_net.h>
#include <state_walk.hpp>
#include <virtchnl.hpp>

namespace iavf {

/** A VLAN of which the guest wants frames. */
struct vlan_filter {
	rte_emudev_net_vlan_type type;
	uint16_t id;
};

/** The type that a number on the wire stands for; RTE_EMUDEV_NET_VLAN_TYPES: none. */
rte_emudev_net_vlan_type vlan_type_of(uint16_t tpid);

/**
 * What the driver has set up for VLAN tags, by either version of the messages. Modelled on a PF of
 * the E810 in double VLAN mode, which has two tags in mind, the outer one of three types; for
 * drivers that know the first version only, on one in single VLAN mode, where there is one tag.
 */
class vlans {
public:
	/** As many filters may be added as there are ids: that bounds nothing but what is silly. */
	static constexpr uint16_t max_filters = 4096;

	/** What a driver with these capabilities begins with. */
	void begin(uint32_t granted);
	/** What it may do by the second version; in a port VLAN its tags are inner ones. */
	static vc_vlan_caps caps(bool in_port_vlan);

	/** Whether a message may set these types. */
	static bool is_valid(const vc_vlan_supported &by, const vc_vlan_setting &setting);
	void strip(const vc_vlan_setting &setting, bool on);
	void insert(const vc_vlan_setting &setting, bool on);
	/** The first version. */
	void strip_single(bool on);

	/** Adds all or none. Id 0 is no VLAN. @return Whether there was room. */
	bool add(std::span<const vlan_filter> wanted);
	void remove(std::span<const vlan_filter> unwanted);
	size_t filters() const;

	/** What is to be pushed; its ids stay while this does. @p all: also frames of VLANs that
	 * were not added. In a port VLAN the tag of that is none of them. */
	rte_emudev_net_vlan describe(bool all, bool in_port_vlan) const;
	/** All that were added. */
	const rte_emudev_net_vlan_ids &ids() const { return ids_; }
	void each_state(pci_device::state_walk &walk);

private:
	rte_emudev_net_vlan setup_{};
	rte_emudev_net_vlan_ids ids_{};
};

} // namespace iavf
