/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include <rte_mbuf.h>

#include "address_filter.hpp"
#include "flow_rules.hpp"
#include "outgoing.hpp"
#include "rss.hpp"
#include "to_guest.hpp"

namespace iavf_be {

/** Most rings that a guest has. */
inline constexpr uint16_t most_rings = 256;

/** What is decided of a frame. */
struct verdict {
	/** Of `ring`: where the application has sent it, see to_guest::target. */
	static constexpr uint16_t hosts_choice = UINT16_MAX;

	/** What it is counted as, and freed; `end`: it is sent. A counter of the ethdev queue that
	 * only steering moves. */
	to_guest_count dropped = to_guest_count::end;
	uint16_t ring = hosts_choice; /**< Index of the guest's queue. */
	/** Queues besides that one, a power of 2 less 1: the hash chooses among them. */
	uint16_t more_rings = 0;

	bool is_dropped() const { return dropped != to_guest_count::end; }
};

/** What an ethdev queue needs besides, from the first steering on. */
struct steering_work {
	/** Frames of a batch by the ring that they go to, a bit each; all 0 between two of them. */
	std::array<uint64_t, most_rings> frames_of{};
	/** By ring: requests of which a part is sent. */
	std::vector<outgoing> requests;
};

/**
 * Chooses what becomes of each frame of a burst, and hands frames over ring by ring.
 *
 * Made anew by steering_maker when anything changes that it follows from, and never changed. Its
 * stages come in this order, each a class of its own with a pure function over a frame: address
 * filter, flow director, RSS.
 */
class steering {
public:
	/** The stages, by what makes them. */
	struct stages {
		std::unique_ptr<const address_filter> addresses;
		std::unique_ptr<const flow_rules> flows;
		std::unique_ptr<const rss> hashing;

		/** Whether nothing is to be decided. */
		bool none() const { return !addresses && !choose(); }
		/** Whether more is to be decided than which frames are wanted. */
		bool choose() const { return flows || hashing; }
		/** Whether there is more to be said of frames than where they go. */
		bool label() const { return hashing || (flows && flows->mark()); }
	};
	/** Rings by the index of the guest's queue; one that is not served stands as nullptr. */
	using ring_table = std::vector<to_guest *>;

	steering(stages all, ring_table rings)
	    : stages_(std::move(all)), labels_(stages_.label()), rings_(std::move(rings))
	{
	}

	/**
	 * Sends a burst. Frames for which there is no room are moved to its end, in order for each
	 * ring. @return How many are gone.
	 */
	uint16_t send(to_guest &host, rte_mbuf **frames, uint16_t n) const;

private:
	/** Frames that are decided of together. */
	static constexpr uint16_t batch_size = 64;
	struct batch;
	struct group;
	using ring_set = std::array<uint64_t, most_rings / 64>;

	bool wanted(const rte_mbuf &frame) const;
	bool follow_rule(const rte_mbuf &frame, const packet_places &places, verdict &its,
			 frame_label &label) const;
	uint16_t send_wanted(to_guest &host, rte_mbuf **frames, uint16_t n) const;
	verdict decide(const rte_mbuf &frame, frame_label &label) const;
	void decide_all(batch &all) const;
	void sort(to_guest &host, batch &all) const;
	uint16_t gather(const batch &all, uint64_t which, group &out) const;
	uint16_t hand_out(to_guest &host, const batch &all, ring_set &full, rte_mbuf **kept) const;

	stages stages_;
	bool labels_;
	ring_table rings_;
};

/** The burst of an ethdev queue that has, or had a moment ago, a steering. */
uint16_t steered_burst(to_guest &host, rte_mbuf **frames, uint16_t n);

} // namespace iavf_be
