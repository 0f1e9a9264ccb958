/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <ethdev_driver.h>

#include <frame.hpp>
#include <limits.hpp>

#include "from_guest.hpp"
#include "to_guest.hpp"

namespace iavf_be {

class port;

/**
 * What all processes of DPDK see of a port: its dev_private, in memory that each of them has at
 * the same address, as are the queues. The primary process writes; a secondary one reads, and
 * resets counters. Of a queue it uses the counters and what queue.hpp says of it: rings, doorbells
 * and the guest's memory are mapped in the primary process alone, where its functions are, too.
 */
struct shared_port {
	/** Of the largest device. */
	static constexpr uint16_t most_queues = iavf::max_queue_pairs;
	static constexpr uint32_t most_addresses = 64; /**< Of unicast, its own among them. */

	port *own = nullptr; /**< Of the primary process, and nobody else's. */
	uint16_t max_queues = 0;
	uint32_t max_frame = 0;              /**< In bytes, without CRC. */
	std::atomic<uint32_t> link_speed{0}; /**< Mbit/s of a link that is up. */
	/** A secondary process shows the port: it could not read what is lent. */
	std::atomic<bool> seen_elsewhere{false};
	/** Those that exist; they stay until the port is closed. */
	std::array<std::atomic<from_guest *>, most_queues> rx{};
	std::array<std::atomic<to_guest *>, most_queues> tx{};

	uint32_t max_mtu() const { return max_frame - iavf::frame_overhead; }

	template <class visitor> void each_rx(visitor visit) const { each(rx, visit); }
	template <class visitor> void each_tx(visitor visit) const { each(tx, visit); }

private:
	template <class table, class visitor> static void each(const table &all, visitor visit)
	{
		for (const auto &one : all)
			if (auto *q = one.load(std::memory_order_acquire); q != nullptr)
				visit(*q);
	}
};

/** nullptr: the primary process has closed the port. */
inline shared_port *
shared_of(const rte_eth_dev *eth)
{
	return static_cast<shared_port *>(eth->data->dev_private);
}

} // namespace iavf_be
