/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>
#include <cstring>

#include <rte_mbuf.h>

#include "address_filter.hpp"
#include "copy_sum.hpp"
#include "loans.hpp"
#include "policy.hpp"
#include "queue.hpp"
#include "segmentation.hpp"
#include "vlan.hpp"

namespace iavf_be {

/** What is counted of a queue on which the guest transmits. */
enum class from_guest_count {
	packets,
	bytes,
	multicast,
	broadcast,
	no_mbuf,
	filtered,
	vlan_filtered,
	held_back,
	yielded,
	spoofed,
	vlan_spoofed,
	bad_tail,
	bad_descriptor,
	bad_chain,
	too_short,
	too_long,
	not_mapped,
	bad_offload,
	unsupported_offload,
	no_scatter,
	lent,       /**< Frames that were not copied. */
	past_bound, /**< Frames that were copied since the application has too many. */
	/* Of requests that are handed over: what would have been made of them, beyond what is
	   counted. */
	merged_packets,
	merged_bytes,
	/* Of frames that are filtered; what the guest has sent it counts as sent. */
	unseen_packets,
	unseen_bytes,
	unseen_multicast,
	unseen_broadcast,
	end,
};

/** What a loop does beyond taking frames. */
struct from_guest_options {
	bool scatter; /**< Mbufs are chained where one is too small. */
	bool filter;  /**< Frames to others are dropped. */
	bool checks;  /**< Mbufs tell of checksums. */
	bool large;   /**< TSO requests are handed over. */
	bool lend;    /**< Buffers are handed over without a copy, see loans.hpp. */
};

/**
 * A ring on which the guest transmits, served by an ethdev Rx queue.
 *
 * Wide: what a burst needs lies side by side.
 */
struct from_guest : queue {
	using loop_fn = uint16_t (*)(from_guest &, rte_mbuf **, uint16_t);

	loop_fn loop = nullptr;
	rte_mempool *pool = nullptr;
	uint64_t rearm = 0;      /**< The first words of a fresh mbuf. */
	uint32_t room = 0;       /**< Data bytes of an mbuf. */
	uint32_t plain_span = 0; /**< Longest frame that fits one mbuf, less the shortest. */
	uint32_t largest = 0;    /**< Longest part of a TSO request to hand over. */
	copy_sum_fn copy_sum = nullptr;
	const address_filter *addresses = nullptr; /**< Of the port, without promiscuous mode. */
	bool skipping = false; /**< Discarding up to the end of a malformed frame. */
	guest_policy policy;
	host_vlans vlans;
	counters<from_guest_count> counts;

	/** The rings of one ethdev queue form a circle, see rings::link_rings(). */
	std::atomic<from_guest *> sibling{this};
	from_guest *turn = this; /**< Where the next burst of the queue begins. */

	/** What is lent. Without a book that is long enough, or a book of this ring, all is copied.
	 */
	struct {
		loan_book *book = nullptr;
		bool allowed = false; /**< Nothing else is done with frames, or to them. */
		const std::atomic<bool> *seen_elsewhere = nullptr; /**< Another process is there. */
	} lending;

	segmentation tso; /**< A TSO frame that is being cut, perhaps over several bursts. */
	chain frame;      /**< Private copy of the descriptors of the frame at the head. */

	iavf::tx_descriptor *descriptor(uint16_t at) const
	{
		return ring.at<iavf::tx_descriptor>(at);
	}

	/** Forgets the frame at the head: the ring begins anew. */
	void restart()
	{
		head = 0;
		bad_tail = 0;
		skipping = false;
		tso.active = false;
		owed.store(owed_irq::none, std::memory_order_relaxed);
		cache = {};
	}
};

/** Tells the guest that a descriptor is done. */
inline void
complete(from_guest &q, iavf::tx_descriptor &one)
{
	/* Orders the reads of the buffer before the guest's reuse of it. */
	publish(one.qword1, iavf::txd::done);
	q.want_irq(owed_irq::patient);
}

/** A fresh mbuf of the pool, ready for one segment. */
inline void
arm(rte_mbuf *mbuf, uint64_t rearm, uint16_t length)
{
	/* data_off, refcnt, nb_segs and port are eight bytes in a row; one store sets them all. */
	memcpy(reinterpret_cast<std::byte *>(mbuf) + offsetof(rte_mbuf, rearm_data), &rearm,
	       sizeof(rearm));
	mbuf->ol_flags = 0;
	mbuf->packet_type = 0;
	mbuf->pkt_len = length;
	mbuf->data_len = length;
}

/** The loop for the options; options are template arguments of one loop. */
from_guest::loop_fn select_from_guest(const from_guest_options &options);

/** ethdev Rx burst. */
uint16_t from_guest_burst(void *queue, rte_mbuf **pkts, uint16_t nb_pkts);

} // namespace iavf_be
