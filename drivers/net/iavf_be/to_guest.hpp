/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <descriptors.hpp>

#include "copy_sum.hpp"
#include "outgoing.hpp"
#include "queue.hpp"
#include "rx_format.hpp"
#include "vlan.hpp"

namespace iavf_be {

/** What is counted of a queue on which the guest receives. */
enum class to_guest_count {
	packets,
	bytes,
	multicast,
	broadcast,
	bad_tail,
	too_short,
	too_long,
	vlan_filtered,
	port_vlan_filtered,
	not_mapped,
	disabled_offload,
	bad_offload,
	address_filtered,
	flow_dropped,
	no_queue,
	paused,
	/* Of several segments in one: what they would have been alone, beyond what is counted. */
	merged_packets,
	merged_bytes,
	/* Of those of the ring: sent on ethdev queues without a ring of their own... */
	lent_packets,
	lent_bytes,
	/* ...and of such a queue: sent on another's ring. */
	borrowed_packets,
	borrowed_bytes,
	end,
};

/** What is done with the VLAN tags of a frame. */
enum class rx_tags : uint8_t {
	untouched,
	sorted,   /**< The guest has filters, or wants tags in the descriptor. */
	inserted, /**< And the application may want tags to be inserted: an ethdev queue's matter.
		   */
};

/** What the loop of a ring has to do: there is one for each combination. */
struct rx_variant {
	static constexpr size_t formats = static_cast<size_t>(rx_format::end);
	static constexpr size_t count = formats * 6;

	rx_format format = rx_format::legacy;
	bool check = true; /**< The checksums that nobody has checked. */
	rx_tags tags = rx_tags::untouched;
	/** Steering has a label for each frame. Such loops always look for tags: there would be too
	 * many to compile. */
	bool labelled = false;

	constexpr bool sorts_tags() const { return tags != rx_tags::untouched; }
	/** Flags of frames that may not be sent as they are, but for their tags. */
	constexpr uint64_t requests() const
	{
		return tags == rx_tags::inserted ? request_flags & ~inserts_tags : request_flags;
	}
	constexpr size_t index() const
	{
		const size_t kind = labelled ? 2 : static_cast<size_t>(sorts_tags());

		return static_cast<size_t>(format) + formats * static_cast<size_t>(check) +
		       formats * 2 * kind;
	}
	static constexpr rx_variant of(size_t index, bool inserts)
	{
		const rx_tags own = index < formats * 2 ? rx_tags::untouched : rx_tags::sorted;
		return {.format = static_cast<rx_format>(index % formats),
			.check = index / formats % 2 != 0,
			.tags = inserts ? rx_tags::inserted : own,
			.labelled = index >= formats * 4};
	}
};

/** Buffers of the longest frame that a guest gets if it gets several segments in one: Linux makes
 * of more of them a frame that overruns its own structures. */
inline constexpr uint32_t largest_receive = 16;

class steering;
struct steering_work;

/** A ring on which the guest receives, served by an ethdev Tx queue. */
struct to_guest : queue {
	/** Of the ethdev queue and the ring that takes its frames. Variants that are labelled want
	 * a label for each frame. */
	using loop_fn = uint16_t (*)(to_guest &, to_guest &, rte_mbuf **, uint16_t,
				     const frame_label *);
	/** By the index of a variant. */
	using loop_set = std::array<loop_fn, rx_variant::count>;

	/** For the frames of this ethdev queue, whichever ring takes them. */
	const loop_set *loops = nullptr;
	bool fast_free = false; /**< See frees_fast(). */
	/** The ring that takes the frames of this ethdev queue, see steering_maker::aim(). */
	std::atomic<to_guest *> target{this};
	/** What chooses a ring for each frame of this ethdev queue; nullptr: all go to the target.
	 * Kept while a burst is inside its gate, which is never closed. */
	std::atomic<const steering *> steered{nullptr};
	gate steering_access;
	std::atomic<steering_work *> work{nullptr}; /**< There from the first steering on. */
	rx_variant variant;
	to_guest_vlans vlans;
	copy_sum_fn copy_sum = nullptr;
	uint32_t buffer_size = 0; /**< Bytes of each of the guest's buffers. */
	uint32_t plain_span = 0;  /**< Longest frame that fits one buffer, less the shortest. */
	uint32_t largest = 0;     /**< Longest of several segments in one, 0: there is none. */
	counters<to_guest_count> counts;
	/** A frame of this ethdev queue that is not sent as it is, whichever ring takes it. */
	outgoing request;

	to_guest();
	~to_guest();
	to_guest(const to_guest &) = delete;
	to_guest &operator=(const to_guest &) = delete;

	/** Control plane. */
	void equip_for_steering(size_t rings);

	iavf::rx_descriptor *descriptor(uint16_t at) const
	{
		return ring.at<iavf::rx_descriptor>(at);
	}

	/** The ring begins anew. */
	void restart()
	{
		head = 0;
		bad_tail = 0;
		owed.store(owed_irq::none, std::memory_order_relaxed);
		cache = {};
	}
};

/** Fast free promises one pool and no other references, but not single segments. */
constexpr bool
frees_fast(uint64_t offloads)
{
	constexpr uint64_t release =
		RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	return (offloads & release) == RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
}

/** The loops for an ethdev queue with these Tx offloads. */
const to_guest::loop_set *select_to_guest(uint64_t offloads);

/**
 * Hands frames of an ethdev queue to a ring, if that is there. Frames have labels, or none has.
 * @return How many are gone, the first ones.
 */
uint16_t hand_over(to_guest &host, to_guest &ring, rte_mbuf **frames, uint16_t n,
		   const frame_label *labels);

/** ethdev Tx burst. */
uint16_t to_guest_burst(void *queue, rte_mbuf **pkts, uint16_t nb_pkts);

/** ethdev Tx prepare: a frame is as it is to be sent, or it is refused. */
uint16_t to_guest_prepare(void *queue, rte_mbuf **pkts, uint16_t nb_pkts);

} // namespace iavf_be
