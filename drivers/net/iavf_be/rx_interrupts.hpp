/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <vector>

#include <ethdev_driver.h>
#include <rte_interrupts.h>

#include <owner.hpp>

#include "from_guest.hpp"

namespace iavf_be {

/**
 * Interrupts of the Rx queues of a port, for applications that sleep while nothing comes.
 *
 * A guest rings its doorbell by a store to memory, of which nobody is told: that is what makes it
 * fast. So while a queue of any port is armed, one thread of the process looks at the doorbells of
 * those that are. It looks often after an application has gone to sleep, and ever less often while
 * nothing comes, see the guide. No queue is armed: it sleeps, too, and bursts never know of it.
 */
class rx_interrupts {
public:
	rx_interrupts() = default;
	rx_interrupts(const rx_interrupts &) = delete;
	rx_interrupts &operator=(const rx_interrupts &) = delete;
	~rx_interrupts() { remove(); }

	/** For each Rx queue of the application; while it uses these, the queues stay. */
	int install(rte_eth_dev *eth);
	/** The application's event descriptors are closed. */
	void remove();
	/** One event comes when a frame waits or an interrupt to the guest is due, if that is not
	 * so already; then the queue is no longer armed. -ENOTSUP: they are not installed. */
	int arm(uint16_t queue, bool yes);

private:
	friend class doorbell_watch;

	struct watched {
		from_guest *queue;
		guard::unique_fd event;
		bool armed = false; /**< Guarded by the watch. */
	};

	int connect(rte_eth_dev *eth);

	rte_eth_dev *eth_ = nullptr; /**< Has our handle. */
	std::vector<watched> queues_;
};

/** ring_state.cpp: whether an Rx burst of the queue would do anything. */
bool has_work(from_guest &queue);

} // namespace iavf_be
