/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <vector>

#include "peer/event_signal.hpp"
#include "peer/foreign_fd.hpp"

/**
 * Signals the eventfds of a client that is trusted from the thread that has the event.
 *
 * Whoever signals an eventfd calls all its waiters, so the client decides what an event costs that
 * thread; see event_relay for all others.
 *
 * Each event that was ever wired has a descriptor of its own, its slot, for as long as this lasts.
 * What the slot refers to is replaced in one step, dup3(2), while others signal it: the kernel
 * counts who uses a file. So nobody has to wait for anybody.
 */
namespace vfio_user {

class event_slots {
public:
	/** @param count Events, numbered from 0. */
	explicit event_slots(size_t count) : targets_(count), slots_(count) {}
	~event_slots();
	event_slots(const event_slots &) = delete;
	event_slots &operator=(const event_slots &) = delete;

	/** Where an event goes from now on; without a descriptor: nowhere. One thread.
	 * EMFILE and the like: nothing has changed. */
	guard::status set(size_t which, foreign_fd target);

	/** An event has happened. Any thread; takes no lock, and waits for nothing but the waiters
	 * of the target. */
	void signal(size_t which, event_signal &by)
	{
		if (int slot = slots_[which].load(std::memory_order_acquire); slot != none)
			by(slot - 1);
	}

private:
	static constexpr int none = 0; /* else one more than the descriptor */

	guard::status refer(size_t which, int fd);

	guard::unique_fd nowhere_; /* nobody looks at it */
	/* What the slots refer to, kept so that no slot is the last to let go of it. */
	std::vector<foreign_fd> targets_;
	std::vector<std::atomic<int>> slots_;
};

} // namespace vfio_user
