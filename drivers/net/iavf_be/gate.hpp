/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <cstdint>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_pause.h>

namespace iavf_be {

/**
 * Keeps the control plane and one data thread out of each other's way.
 *
 * The data thread enters for a burst (one uncontended compare-and-swap); the control plane closes
 * the gate and may then change, unmap or free whatever a burst uses. What the control plane writes
 * before open() (release) is seen by the burst that enters (acquire), and what a burst did before
 * it left (release) is seen by whoever closes (acquire).
 *
 * Where the control plane has changed nothing but what each burst loads anew (the DMA table), it
 * leaves the gate open and waits for the burst that is inside, see await_burst().
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
		uint32_t seen = state_.load(std::memory_order_relaxed);
		/* Sequentially consistent for await_burst(). */
		return (seen & kind) == is_open &&
		       state_.compare_exchange_strong(seen, seen + is_busy,
						      std::memory_order_seq_cst,
						      std::memory_order_relaxed);
	}

	/**
	 * Data thread that would lose something: waits for a burst of another thread or a pause to
	 * end. That mostly takes microseconds; but whoever is there may have lost its processor, so
	 * it ends.
	 */
	bool enter_or_wait() { return likely(enter()) || wait(); }

	/** Data thread: the burst is over. */
	void leave()
	{
		/* Nobody else writes while it is busy. */
		state_.store(state_.load(std::memory_order_relaxed) - is_busy + one_burst,
			     std::memory_order_release);
	}

	/** Control plane: no burst is inside when this returns, and none enters until open(). */
	void close() { shut(is_closed); }

	/** The same for moments without a system call, for which bursts may wait; a closed gate
	 * stays closed. */
	void pause()
	{
		if (!closed())
			shut(is_paused);
	}

	/** Control plane: bursts may enter. The gate must be paused or closed. */
	void open()
	{
		state_.store((state_.load(std::memory_order_relaxed) & ~kind) | is_open,
			     std::memory_order_release);
	}

	/**
	 * Control plane: returns once no burst is inside that began before what the caller has
	 * written, which others see. They are not held up.
	 *
	 * Either the load of the state here comes after a burst's compare-and-swap in the one order
	 * of all that is sequentially consistent, and sees it; or the fence comes before the
	 * burst's load of the DMA table, which sees the new one.
	 */
	void await_burst() const
	{
		std::atomic_thread_fence(std::memory_order_seq_cst);
		const uint32_t seen = state_.load(std::memory_order_seq_cst);
		if ((seen & kind) != is_busy)
			return;
		for (unsigned int tries = 0; state_.load(std::memory_order_acquire) == seen;
		     tries++)
			back_off(tries);
	}

	bool closed() const { return (state_.load(std::memory_order_relaxed) & kind) == is_closed; }

private:
	/** The state is one of these; above it, bursts are counted, to tell them apart. */
	static constexpr uint32_t is_open = 0, is_busy = 1, is_paused = 2, is_closed = 3, kind = 3;
	static constexpr uint32_t one_burst = 4;
	static constexpr unsigned int spins_before_sleep = 1000;
	static constexpr unsigned int sleep_us = 50;
	static constexpr uint64_t waits_per_second = 500; /**< The longest takes 2 ms. */

	/**
	 * The data thread may have been preempted inside: give it the processor. To yield is not
	 * enough: one that has had more than its part waits on for the end of a time slice.
	 */
	static void back_off(unsigned int tries)
	{
		if (tries < spins_before_sleep)
			rte_pause();
		else
			rte_delay_us_sleep(sleep_us);
	}

	[[gnu::noinline]] bool wait()
	{
		const uint64_t begin = rte_get_tsc_cycles();
		const uint64_t limit = rte_get_tsc_hz() / waits_per_second;
		while (!closed() && rte_get_tsc_cycles() - begin < limit) {
			rte_pause();
			if (enter())
				return true;
		}
		return false;
	}

	void shut(uint32_t how)
	{
		closing_.store(true, std::memory_order_relaxed);
		for (unsigned int tries = 0; !try_shut(how); tries++)
			back_off(tries);
		closing_.store(false, std::memory_order_relaxed);
	}

	/** Paused or closed: only the control plane ends that. */
	bool try_shut(uint32_t how)
	{
		uint32_t seen = state_.load(std::memory_order_relaxed);
		return (seen & kind) != is_busy &&
		       state_.compare_exchange_strong(seen, (seen & ~kind) | how,
						      std::memory_order_acquire,
						      std::memory_order_relaxed);
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
