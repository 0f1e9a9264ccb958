/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <span>
#include <vector>

#include "device_config.hpp"
#include "flow_rules.hpp"
#include "queues.hpp"
#include "rss.hpp"
#include "vlans.hpp"

namespace iavf {

/** MAC addresses one guest may add, besides a primary one. */
constexpr size_t max_mac_filters = 256;

/** An address that the guest adds. */
struct mac_filter {
	mac_address address;
	bool primary; /**< Becomes that of the device. */
};

/**
 * What the driver of the guest has set up by virtchnl. It goes as a whole when the driver goes or
 * anything is reset: its end ends the queues. The device puts the next one in its place first, so
 * that who looks while queues end finds none.
 */
class session {
public:
	session(pci_device::register_bar &registers, data_path &path) : queues_(registers, path) {}

	const queues &rings() const { return queues_; }
	queues &rings() { return queues_; }

	/** @return What of the capabilities that the driver wants it has from now on. */
	uint32_t grant(uint32_t wanted);
	uint32_t granted() const { return granted_; }

	void enable(rte_emudev_dir dir, uint16_t index);
	/** Whether the driver is to be told the link state after the reply. */
	bool link_due() const { return link_due_; }
	void link_told() { link_due_ = false; }

	/**
	 * Adds all of the addresses or none: a driver forgets what it asked for in a message that
	 * is refused, and would never remove it. @p primary is that of the device; @p limits has
	 * how many there may be besides.
	 */
	bool add_macs(std::span<const mac_filter> wanted, mac_address &primary,
		      const policy &limits);
	/** Those that are not there do not matter. */
	void remove_macs(std::span<const mac_address> unwanted);
	std::span<const mac_address> filters() const { return filters_; }

	void set_promiscuous(uint16_t flags) { promiscuous_ = flags; }
	uint16_t promiscuous() const { return promiscuous_; }

	iavf::vlans &vlans() { return vlans_; }
	const iavf::vlans &vlans() const { return vlans_; }

	iavf::rss &rss() { return rss_; }

	flow_rules &rules() { return rules_; }
	const flow_rules &rules() const { return rules_; }

	void each_state(pci_device::state_walk &walk);

private:
	uint32_t granted_ = 0;
	std::vector<mac_address> filters_; /**< In order. */
	uint16_t promiscuous_ = 0;
	iavf::vlans vlans_;
	iavf::rss rss_;
	flow_rules rules_;
	bool link_due_ = false;
	queues queues_;
};

} // namespace iavf
