/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_ether.h>

#include <rte_emudev.h>

#include "gate.hpp"
#include "memory.hpp"
#include "ring_memory.hpp"

namespace iavf_be {

/** A statistic that one thread writes and any thread reads. */
class counter {
public:
	void add(uint64_t more)
	{
		value_.store(value_.load(std::memory_order_relaxed) + more,
			     std::memory_order_relaxed);
	}
	uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
	std::atomic<uint64_t> value_{0};
};

/** The counters of a queue, indexed by an enumeration whose last member is `end`. */
template <class ids> class counters {
public:
	using id = ids;
	static constexpr size_t size = static_cast<size_t>(id::end);

	void add(id which, uint64_t more = 1) { all_[static_cast<size_t>(which)].add(more); }
	/** Since the queue exists, for the guest. */
	uint64_t total(id which) const { return all_[static_cast<size_t>(which)].get(); }
	/** Since the last reset, for the application. */
	uint64_t get(id which) const
	{
		return total(which) - base_[static_cast<size_t>(which)].get();
	}
	/** Control plane: the data thread's counters are not touched. */
	void reset()
	{
		for (size_t i = 0; i < size; i++)
			base_[i].add(all_[i].get() - base_[i].get());
	}

private:
	std::array<counter, size> all_;
	std::array<counter, size> base_;
};

/** The @p n lowest bits, of as many frames of a batch. */
constexpr uint32_t
first_bits(uint16_t n)
{
	return n < 32 ? (uint32_t{1} << n) - 1 : ~uint32_t{0};
}

/** Packets of one burst, summed before they go to the counters. */
struct tally {
	uint64_t packets = 0, bytes = 0, multicast = 0, broadcast = 0;

	void count(const uint8_t *frame, uint32_t length)
	{
		packets++;
		bytes += length;
		if (unlikely(frame[0] & RTE_ETHER_GROUP_ADDR))
			count_group(frame);
	}

	template <class id> void add_to(counters<id> &all) const
	{
		if (packets == 0)
			return;
		all.add(id::packets, packets);
		all.add(id::bytes, bytes);
		if (multicast + broadcast == 0)
			return;
		all.add(id::multicast, multicast);
		all.add(id::broadcast, broadcast);
	}

	/** What was counted too early, for it is dropped; so counters may step back for a moment.
	 */
	template <class id> void take_from(counters<id> &all) const
	{
		const tally less{0 - packets, 0 - bytes, 0 - multicast, 0 - broadcast};
		less.add_to(all);
	}

private:
	void count_group(const uint8_t *frame)
	{
		rte_ether_addr to;
		std::copy_n(frame, RTE_ETHER_ADDR_LEN, to.addr_bytes);
		(rte_is_broadcast_ether_addr(&to) ? broadcast : multicast)++;
	}
};

/** What a ring owes its guest. */
enum class owed_irq : uint8_t {
	none,
	patient, /**< An interrupt that can wait for others, see RTE_EMUDEV_IRQ_PATIENT. */
	prompt,
};

/** Stands in for the control register of a queue without a vector: never enabled. */
inline constexpr uint32_t no_control = 0;

/** The interrupt vector of a queue. */
struct interrupt {
	rte_emudev *dev = nullptr;
	const volatile uint32_t *control = &no_control;
	uint32_t enable_mask = 0;
	uint32_t force_mask = 0;
	uint16_t vector = 0;
	uint8_t timer = 0;

	uint32_t read_control() const
	{
		return rte_le_to_cpu_32(__atomic_load_n(control, __ATOMIC_RELAXED));
	}

	bool operator==(const interrupt &) const = default;
};

/**
 * What both directions have in common. Members above `context` are written by the control plane
 * only while the gate is closed and by the data thread only inside it; the others are the control
 * plane's.
 *
 * Wide: what a burst needs lies side by side.
 */
struct alignas(RTE_CACHE_LINE_SIZE) queue {
	gate access;
	uint16_t head = 0;     /**< Next descriptor to take. */
	uint16_t size = 0;     /**< Descriptors in the ring. */
	uint32_t bad_tail = 0; /**< Last tail that was out of range, so that it counts once. */
	std::atomic<owed_irq> owed{owed_irq::none}; /**< An event waits for its interrupt. */
	const volatile uint32_t *tail = nullptr;
	const rte_guest_mem_table *const *memory = nullptr;
	rte_guest_mem_cache cache{};
	uint32_t max_frame = 0; /**< Longest frame to take. */
	ring_memory ring;
	/** Read by two threads, see poll_irq(): apart from what bursts write. */
	alignas(RTE_CACHE_LINE_SIZE) interrupt irq;
	/** The ring of the same index in the other direction. Being in the gate of either keeps the
	 * control plane from changing the interrupts of both. */
	std::atomic<queue *> pair{nullptr};

	const rte_emudev_queue *context = nullptr; /**< What the guest has set up. */
	rte_emudev_dir direction = RTE_EMUDEV_FROM_GUEST;
	uint16_t index = 0;
	bool host_ready = false; /**< The application has set the queue up. */
	bool deferred = false;   /**< The application starts it later than the port. */
	bool running = false;    /**< The application has started it. */
	bool refused = false;    /**< That a ring cannot be used has been logged. */
	uint64_t offloads = 0;   /**< Of the ethdev queue and port. */

	uint16_t next(uint16_t at) const { return at + 1 == size ? 0 : at + 1; }

	/** Descriptors from the head up to a checked tail. */
	uint16_t available(uint16_t until) const
	{
		return until >= head ? until - head : size - head + until;
	}

	/** Descriptors from the head on that lie one after the other, at least one. */
	uint32_t run() const { return std::min<uint32_t>(size - head, ring.run(head)); }

	/** Moves the head past descriptors of the run. */
	void advance(uint16_t n)
	{
		head += n;
		if (head == size)
			head = 0;
	}

	/** An event has happened, and the guest can see it. */
	void want_irq(owed_irq how) { owed.store(how, std::memory_order_release); }

	/**
	 * Fires the vector if it is enabled and an event waits, or if the guest forces it.
	 *
	 * Once per burst, also an empty one, for a vector may be enabled, and its interval may
	 * pass, long after the event. Only Rx bursts are as steady as that: they poll for both
	 * rings of a pair, beside the Tx burst. Hence the exchanges: an event that comes while
	 * another is fired is not forgotten. A driver that polls leaves its vectors disabled, which
	 * is looked at first: then the threads do not meet in `owed`.
	 *
	 * @return Whether the vector is enabled or forced.
	 */
	bool poll_irq()
	{
		const uint32_t word = irq.read_control();
		if (likely((word & (irq.enable_mask | irq.force_mask)) == 0))
			return false;
		if (owed.load(std::memory_order_relaxed) != owed_irq::none ||
		    (word & irq.force_mask) != 0)
			fire_irq();
		return true;
	}

	/** The same after a burst that gives the guest something. A guest whose vector is disabled
	 * is awake, and may see it by itself: its interrupt can wait. */
	void poll_irq_after_giving()
	{
		if (!poll_irq() && owed.load(std::memory_order_relaxed) == owed_irq::prompt)
			want_irq(owed_irq::patient);
	}

	/** The guest's tail. The acquire orders it before the loads of the descriptors it covers.
	 */
	uint32_t read_tail() const
	{
		return rte_le_to_cpu_32(__atomic_load_n(tail, __ATOMIC_ACQUIRE));
	}

	/** Whether a tail is new and out of range; tells a bad one apart from the same one again.
	 */
	bool newly_bad(uint32_t value)
	{
		const bool fresh = value != bad_tail;
		bad_tail = value;
		return fresh;
	}

private:
	/** The guest looks at both rings of a pair when their vector fires: one interrupt is for
	 * both. */
	void fire_irq()
	{
		queue *other = pair.load(std::memory_order_acquire);
		const owed_irq mine = take_owed();
		const owed_irq others = other != nullptr && other->irq.control == irq.control
						? other->take_owed()
						: owed_irq::none;
		const rte_emudev_irq_cause cause = mine == owed_irq::none ? RTE_EMUDEV_IRQ_FORCED
						   : mine == owed_irq::prompt
							   ? RTE_EMUDEV_IRQ_EVENT
							   : RTE_EMUDEV_IRQ_PATIENT;
		if (rte_emudev_irq_fire(irq.dev, irq.vector, irq.timer, cause) ==
		    RTE_EMUDEV_IRQ_FIRED)
			return;
		owe_again(mine);
		if (others != owed_irq::none)
			other->owe_again(others);
	}

	owed_irq take_owed()
	{
		if (owed.load(std::memory_order_relaxed) == owed_irq::none)
			return owed_irq::none;
		return owed.exchange(owed_irq::none, std::memory_order_acq_rel);
	}

	/** What has come meanwhile stays if it is the more urgent. */
	void owe_again(owed_irq how)
	{
		owed_irq now = owed_irq::none;
		if (how == owed_irq::prompt)
			want_irq(how);
		else if (how == owed_irq::patient)
			owed.compare_exchange_strong(now, how, std::memory_order_acq_rel);
	}
};

} // namespace iavf_be
