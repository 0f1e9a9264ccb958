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

namespace iavf_be {

/** Frames are counted and limited without CRC; 8 bytes are for two VLAN tags. */
inline constexpr uint32_t frame_overhead = RTE_ETHER_HDR_LEN + 8;
inline constexpr uint32_t max_frame_length = 9728;

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
template <class id> class counters {
public:
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

private:
	void count_group(const uint8_t *frame)
	{
		rte_ether_addr to;
		std::copy_n(frame, RTE_ETHER_ADDR_LEN, to.addr_bytes);
		(rte_is_broadcast_ether_addr(&to) ? broadcast : multicast)++;
	}
};

/** The interrupt vector of a queue and whether an event waits for it. */
struct interrupt {
	rte_emudev *dev = nullptr;
	const volatile uint32_t *control = nullptr;
	uint32_t enable_mask = 0;
	uint32_t force_mask = 0;
	uint16_t vector = 0;
	uint8_t timer = 0;
	bool pending = false;

	/** Once per burst, also an empty one: a vector may have been enabled since the event. */
	void poll()
	{
		const uint32_t word = rte_le_to_cpu_32(__atomic_load_n(control, __ATOMIC_RELAXED));
		const bool due = pending && (word & enable_mask) != 0;
		if (likely(!due && (word & force_mask) == 0))
			return;
		if (rte_emudev_irq_fire(dev, vector, timer, pending) == 1)
			pending = false;
	}
};

/**
 * What both directions have in common. Members above `info` are written by the control plane only
 * while the gate is closed and by the data thread only inside it; the others are the control
 * plane's.
 */
struct alignas(RTE_CACHE_LINE_SIZE) queue {
	gate access;
	uint16_t head = 0;     /**< Next descriptor to take. */
	uint16_t size = 0;     /**< Descriptors in the ring. */
	uint32_t bad_tail = 0; /**< Last tail that was out of range, so that it counts once. */
	void *ring = nullptr;  /**< First descriptor, in this process. */
	const volatile uint32_t *tail = nullptr;
	const rte_dma_table *const *memory = nullptr;
	interrupt irq;
	rte_dma_cache cache{};
	uint32_t max_frame = 0; /**< Longest frame to take. */

	rte_emudev_queue_info info{};
	rte_emudev_dir direction = RTE_EMUDEV_FROM_GUEST;
	uint16_t index = 0;
	bool host_ready = false; /**< The application has set the queue up. */
	bool refused = false;    /**< That this ring cannot be used has been logged. */
	uint64_t offloads = 0;   /**< Of the ethdev queue and port. */

	uint16_t next(uint16_t at) const { return at + 1 == size ? 0 : at + 1; }

	/** Descriptors from the head up to a checked tail. */
	uint16_t available(uint16_t until) const
	{
		return until >= head ? until - head : size - head + until;
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
};

} // namespace iavf_be
