/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>

#include "device_config.hpp"

namespace iavf {

/** What back-end and administrator decide, whoever drives the device. */
struct host {
	explicit host(const device_config &config)
	    : max_pairs(config.queue_pairs), offered_pairs(config.queue_pairs),
	      vectors(config.vectors), speed(config.speed), mac(config.mac), policy(config.policy)
	{
	}

	/**
	 * Holds for the next driver, and more queues also for one that asks again. No driver is
	 * made to reset: Linux comes back with the queues it had, and the back-end shares them out;
	 * its MTU may be well below the largest, and longer frames are dropped and counted.
	 */
	void configure(uint16_t queue_pairs, uint16_t largest_mtu)
	{
		mtu = largest_mtu;
		offered_pairs = std::min(queue_pairs, max_pairs);
	}
	/** As drivers take it: they subtract all this again to have the MTU. */
	uint16_t largest_frame() const
	{
		return static_cast<uint16_t>(mtu + frame_overhead + crc_length);
	}

	/** Of a function with so many queue pairs: one for the mailbox, the others for queues. */
	uint16_t vectors_for(uint16_t pairs) const
	{
		return std::min(iavf::vectors_for(pairs), vectors);
	}

	bool link_allowed() const
	{
		return policy.link == RTE_EMUDEV_NET_LINK_UP ||
		       (policy.link == RTE_EMUDEV_NET_LINK_AUTO && port_link);
	}

	uint16_t max_pairs;
	uint16_t offered_pairs; /**< To the next driver. */
	uint16_t vectors;       /**< At most. */
	uint16_t mtu = max_mtu;
	uint32_t speed;        /**< Mbit/s */
	mac_address mac;       /**< Of the device in a machine that has not set another one. */
	bool port_link = true; /**< As the application has set it for its port. */
	iavf::policy policy;
};

} // namespace iavf
