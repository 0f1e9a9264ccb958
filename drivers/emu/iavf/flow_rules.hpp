/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <bitset>
#include <span>
#include <vector>

#include <rte_emudev_net.h>
#include <state_walk.hpp>
#include <virtchnl.hpp>

namespace iavf {

/** Rules of the flow director that the driver has added; as many as an E810 lets a VF have. */
class flow_rules {
public:
	static constexpr size_t max_rules = RTE_EMUDEV_NET_MAX_FLOWS;
	static constexpr size_t max_masks = RTE_EMUDEV_NET_MAX_FLOW_MASKS;

	/**
	 * Whether a rule could be added. Conflict: a frame may meet it and another one that ranks
	 * the same but treats it otherwise.
	 */
	vc_fdir_status check(const rte_emudev_net_flow &wanted) const;
	/** Adds one for which check() has said success. @return Its id, the lowest that is free. */
	uint32_t add(const rte_emudev_net_flow &wanted);
	/** @return Whether it was there. */
	bool remove(uint32_t id);

	std::span<const rte_emudev_net_flow> all() const { return rules_; }
	void each_state(pci_device::state_walk &walk);

private:
	size_t masks() const;

	std::vector<rte_emudev_net_flow> rules_;
	std::bitset<max_rules> ids_;
};

/** What counts where rules meet: the more bits it looks at, the higher a rule ranks. */
uint16_t rank_of(const rte_emudev_net_flow &flow);

} // namespace iavf
