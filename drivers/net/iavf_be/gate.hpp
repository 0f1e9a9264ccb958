/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <cstdint>

#include <sched.h>

#include <rte_pause.h>

namespace iavf_be {

/**
 * Keeps the control plane and one data thread out of each other's way.
 *
 * The data thread enters for a burst (one uncontended compare-and-swap) and never waits; the
 * control plane closes the gate and may then change, unmap or free whatever a burst uses. What the
 * control plane writes before open() (release) is seen by the burst that enters (acquire), and what
 * a burst did before it left (release) is seen by whoever closes (acquire).
 */
class gate {
public:
	/** Data thread: whether a burst may begin. */
	bool enter()
	{
		/* A control thread that waits is let in first: back-to-back bursts would starve it.
		 */
		if (closing_.load(std::memory_order_relaxed))
			return false;
		uint32_t seen = is_open;
		return state_.compare_exchange_strong(seen, is_busy, std::memory_order_acquire,
						      std::memory_order_relaxed);
	}

	/**
	 * Data thread, where several may use one gate: waits for a burst of another thread or a
	 * pause to end, but not for long; that thread may have lost its processor.
	 */
	bool enter_shared()
	{
		for (unsigned int tries = 0; !enter(); tries++) {
			if (closed() || tries == spins_for_another)
				return false;
			rte_pause();
		}
		return true;
	}

	/** Data thread: the burst is over. */
	void leave() { state_.store(is_open, std::memory_order_release); }

	/** Control plane: no burst is inside when this returns, and none enters until open(). */
	void close() { shut(is_closed); }

	/** The same for a moment, for which bursts may wait; a closed gate stays closed. */
	void pause()
	{
		if (!closed())
			shut(is_paused);
	}

	/** Control plane: bursts may enter. The gate must be paused or closed. */
	void open() { state_.store(is_open, std::memory_order_release); }

	bool closed() const { return state_.load(std::memory_order_relaxed) == is_closed; }

private:
	static constexpr uint32_t is_open = 0, is_busy = 1, is_paused = 2, is_closed = 3;
	static constexpr unsigned int spins_before_yield = 1000;
	static constexpr unsigned int spins_for_another = 1000;

	void shut(uint32_t how)
	{
		closing_.store(true, std::memory_order_relaxed);
		for (unsigned int tries = 0; !try_shut(how); tries++) {
			/* The data thread may have been preempted inside: give it the processor. */
			if (tries < spins_before_yield)
				rte_pause();
			else
				sched_yield();
		}
		closing_.store(false, std::memory_order_relaxed);
	}

	bool try_shut(uint32_t how)
	{
		uint32_t seen = is_open;
		if (state_.compare_exchange_strong(seen, how, std::memory_order_acquire,
						   std::memory_order_relaxed))
			return true;
		if (seen == is_busy)
			return false;
		/* Paused or closed: only the control plane ends that. */
		state_.store(how, std::memory_order_relaxed);
		return true;
	}

	std::atomic<uint32_t> state_{is_closed};
	std::atomic<bool> closing_{false};
};

/** One burst's stay inside a gate. */
class burst_pass {
public:
	burst_pass(gate &through, bool inside) : gate_(through), inside_(inside) {}
	burst_pass(const burst_pass &) = delete;
	burst_pass &operator=(const burst_pass &) = delete;
	~burst_pass()
	{
		if (inside_)
			gate_.leave();
	}

	explicit operator bool() const { return inside_; }

private:
	gate &gate_;
	bool inside_;
};

} // namespace iavf_be
