/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <bars.hpp>
#include <registers.hpp>
#include <rte_emudev.h>
#include <state_walk.hpp>

#include "data_path.hpp"

namespace iavf {

/** A queue that no CONFIG_IRQ_MAP has given a vector. */
constexpr uint16_t no_vector = UINT16_MAX;

/** A ring as the guest describes it. A size of 0 is a half of a pair that it does not use. */
struct ring_setup {
	uint64_t iova = 0;
	uint32_t buffer_size = 0; /**< To the guest, as the following. */
	uint32_t max_frame = 0;
	uint16_t size = 0;
	uint8_t format = 0; /**< RXDID of its descriptors. */

	/** Whether it is within the limits of such a ring; one of size 0, which is none, is. */
	bool is_valid(rte_emudev_dir dir) const;
};

/** All there is to a queue. */
struct queue {
	ring_setup ring;
	bool enabled = false;
	bool resumed = false;  /**< A back-end has been at it, up to the head. */
	bool remapped = false; /**< The data path does not know of its vector yet. */
	uint16_t head = 0;
	uint8_t timer = dyn_ctl::no_itr;
	uint16_t vector = no_vector;

	bool configured() const { return ring.size != 0; }
	/** One that cannot be is none. */
	void each_state(pci_device::state_walk &walk);
};

/**
 * The queues of the driver that is there, and nobody else writes a field of theirs. What starts or
 * ends is told to the data path. The caller has checked that a queue exists: here are only those up
 * to the last that the driver has said something of, for few drivers use as many as they could.
 * Control thread.
 */
class queues {
public:
	queues(pci_device::register_bar &registers, data_path &path)
	    : registers_(registers), path_(path)
	{
	}
	/** Ends all of them. */
	~queues();
	queues(const queues &) = delete;
	queues &operator=(const queues &) = delete;

	const queue &at(rte_emudev_dir dir, uint16_t index) const
	{
		return index < count(dir) ? all_[dir][index] : untouched;
	}
	/** Up to the last pair that the driver has said something of. */
	uint16_t pairs() const
	{
		return std::max(count(RTE_EMUDEV_FROM_GUEST), count(RTE_EMUDEV_TO_GUEST));
	}
	/** Up to the last pair of which a queue is enabled. */
	uint16_t enabled_pairs() const;

	/** A queue that runs is stopped first; the driver has to enable it again. */
	void configure(rte_emudev_dir dir, uint16_t index, const ring_setup &ring);
	/** Gives a queue a vector and a timer; after the last one of a message call mapped(). */
	void map(rte_emudev_dir dir, uint16_t index, uint16_t vector, uint8_t timer);
	void mapped();
	/** Tells the data path all queues that are enabled. */
	void push_enabled();
	void enable(rte_emudev_dir dir, uint16_t index);
	void disable(rte_emudev_dir dir, uint16_t index);
	/** What is enabled, disabled or mapped until settle() is told together. */
	void hold() { held_ = true; }
	/** All is told. Returns when no data thread uses a queue that was disabled. */
	void settle();
	/** Ends the queues from @p first on, and forgets them. */
	void end_from(uint16_t first);
	/** A back-end leaves the queue to the next one. @return Whether that can be. */
	bool leave(rte_emudev_dir dir, uint16_t index, uint16_t head);
	void each_state(pci_device::state_walk &walk);

private:
	static constexpr queue untouched{};
	struct named {
		rte_emudev_dir dir;
		uint16_t index;
	};

	uint16_t count(rte_emudev_dir dir) const { return static_cast<uint16_t>(all_[dir].size()); }
	queue &grow(rte_emudev_dir dir, uint16_t index);
	void push(rte_emudev_dir dir, uint16_t index);
	void send(rte_emudev_dir dir, uint16_t index, bool more);

	pci_device::register_bar &registers_;
	data_path &path_;
	std::array<std::vector<queue>, 2> all_;
	bool held_ = false;
	std::optional<named> last_; /**< That is held. */
};

} // namespace iavf
