/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <string_view>

#include <state_walk.hpp>
#include <virtchnl.hpp>

#include "device_config.hpp"

namespace iavf {

/** How far the driver in the guest has come. */
enum class vf_state : uint8_t {
	initial,    /**< Nothing was said yet. */
	negotiated, /**< It knows the version. */
	active,     /**< It knows its resources and may do everything. */
};

/** What changes the state; the table of transitions is in negotiated.cpp. */
enum class vf_event : uint8_t {
	version,        /**< VIRTCHNL_OP_VERSION: a driver begins. */
	resources,      /**< VIRTCHNL_OP_GET_VF_RESOURCES. */
	queue_shutdown, /**< Admin queue command: the driver ends, or resets its queues. */
	reset_vf,       /**< VIRTCHNL_OP_RESET_VF. */
	request_queues, /**< VIRTCHNL_OP_REQUEST_QUEUES that is granted. */
	reset_by_host,  /**< What the administrator has decided is another. */
	flr,            /**< Device Control bit 15. */
	device_reset,   /**< VFIO_USER_DEVICE_RESET. */
	client_gone,
};

/** The event's name in the log. */
std::string_view name_of(vf_event event);

/**
 * What outlives resets of all kinds, because the driver does, and ends with the client: a new one
 * is a new machine. What a reset ends is in the session.
 */
struct negotiated {
	explicit negotiated(const mac_address &first) : mac(first) {}

	void apply(vf_event event);
	void each_state(pci_device::state_walk &walk)
	{
		walk(state, version, told_pairs, requested_pairs, mac, begins, first_mac_due);
		if (!walk.expect(state <= vf_state::active))
			state = vf_state::initial;
	}
	/** @param offered By the host. */
	uint16_t pairs_to_tell(uint16_t offered) const
	{
		return requested_pairs != 0 ? requested_pairs : std::max(told_pairs, offered);
	}

	vf_state state = vf_state::initial;
	vc_version_info version{};
	/** Linux comes back from each reset with the queues it had; 0: it has not asked yet. */
	uint16_t told_pairs = 0;
	uint16_t requested_pairs = 0; /**< By REQUEST_QUEUES; 0: a driver takes what there is. */
	/** Linux takes its address from the resources after each reset, so it keeps what it set. */
	mac_address mac;
	bool begins = false; /**< VERSION was said: a driver that does not know its resources. */
	/** After a reset of the device a driver that begins gets the host's address back. */
	bool first_mac_due = false;
};

} // namespace iavf
