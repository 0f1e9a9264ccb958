/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "peer/event_signal.hpp"
#include "peer/foreign_fd.hpp"

/**
 * Passes events on to the eventfds of a client.
 *
 * Whoever signals an eventfd calls all its waiters, and a client can have hundreds of thousands of
 * them. So no thread that works for others does it, but one for each client's device: a data thread
 * marks the event and wakes that thread, one system call at most, at a price that no client sets.
 * Events that come while the thread is at work are one.
 */
namespace vfio_user {

class event_relay : public std::enable_shared_from_this<event_relay> {
public:
	/** @param count Events, numbered from 0. */
	explicit event_relay(size_t count);

	/** Where an event goes from now on; without a descriptor: nowhere, but what has happened by
	 * then is still told to the one before. One thread.
	 * EAGAIN and the like: there is no thread to be had, nothing has changed. */
	guard::status set(size_t which, foreign_fd target);

	/** An event has happened. Any thread; takes no lock and does not block. */
	void signal(size_t which);

	/** For who signals by itself, see event_slots. */
	event_signal &signaller() { return signal_; }

	/** Ends the thread, which nobody waits for. No call may follow. */
	void stop();

private:
	using target = std::shared_ptr<foreign_fd>;

	guard::status start();
	static uint32_t main(void *self);
	void run();
	void tell();
	void wait(uint32_t seen);
	void pass_on(size_t which);

	static constexpr size_t per_word = 64;
	static constexpr uint64_t bit_of(size_t which) { return uint64_t{1} << which % per_word; }

	std::vector<std::atomic<uint64_t>> pending_;
	std::atomic<uint32_t> news_{0}; /* changes when there is something to do */
	std::atomic<bool> asleep_{false};
	std::atomic<bool> stopping_{false};
	bool running_ = false;
	event_signal signal_;

	const size_t count_;
	std::mutex mutex_; /* guards the targets; held for moments only */
	/* Of each event, and behind them of each the one that is still to be told of an event from
	 * before it was unwired. */
	std::vector<target> targets_;
};

} // namespace vfio_user
