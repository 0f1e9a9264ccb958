/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <rte_mbuf.h>

#include <rte_emudev_net.h>

#include "packet_places.hpp"

namespace iavf_be {

/** What rules look at of a frame: its headers side by side, in words. */
struct flow_input {
	static constexpr size_t words = sizeof(rte_emudev_net_headers) / sizeof(uint64_t);

	std::array<uint64_t, words> bytes; /**< As rte_emudev_net_headers; 0 where nothing is. */
	uint16_t has;                      /**< Of rte_emudev_net_flow_needs. */
	uint16_t l4_length;                /**< Bytes of l4 that are there. */
	uint8_t protocol;

	/** A number that the packets of a flow have in common. */
	uint32_t hash() const;
};
static_assert(sizeof(rte_emudev_net_headers) % sizeof(uint64_t) == 0);

/** Takes it from a frame of any form. */
flow_input find_flow_input(const rte_mbuf &frame, const packet_places &at);

/**
 * Rules of a guest's flow director, for look-up. Those with the same needs and masks form a group,
 * which is a hash table; groups are asked in the order of their ranks. So a look-up depends on the
 * number of groups, which is bounded, and not on that of rules.
 */
class flow_rules {
public:
	struct action {
		uint8_t what; /**< Of rte_emudev_net_flow_action. */
		bool has_mark;
		uint16_t queue;
		uint16_t more; /**< Queues besides, a power of 2 less 1. */
		uint32_t mark;
	};

	/** What is beyond the bounds of rte_emudev_net_flow is left out. */
	explicit flow_rules(std::span<const rte_emudev_net_flow> all);

	/** @return That of the rule that counts, or nullptr. */
	const action *find(const flow_input &frame) const;
	/** Whether a rule marks frames. */
	bool mark() const { return mark_; }

private:
	/** Words of a key at most: all of the headers, and the protocol. */
	static constexpr size_t longest_key = flow_input::words + 1;
	static constexpr uint8_t nobody = UINT8_MAX;
	static_assert(RTE_EMUDEV_NET_MAX_FLOWS < nobody);

	using key = std::array<uint64_t, longest_key>;
	struct group {
		uint16_t needs;
		uint16_t l4_end;   /**< Bytes of l4 that must be there. */
		uint8_t key_words; /**< Of the headers. */
		uint8_t shift;     /**< Of a hash, so that a place in the table is left. */
		uint16_t table;    /**< Where it begins in places_. */
		uint64_t factor;
		std::array<uint8_t, flow_input::words> word; /**< Which ones form the key. */
		std::array<uint64_t, flow_input::words> mask;
	};

	size_t key_of(const group &its, const uint64_t *words, uint8_t protocol, key &out) const;
	uint64_t hash_of(const key &its, size_t n) const;
	group make_group(const rte_emudev_net_flow &like, size_t rules);
	void add_rule(const group &to, const rte_emudev_net_flow &one);

	bool mark_ = false;
	std::array<uint32_t, 2 * longest_key> random_; /**< See hash_of(). */
	std::vector<group> groups_;
	std::vector<uint8_t> places_; /**< Indices of rules, of one group after the other. */
	std::vector<key> keys_;
	std::vector<action> actions_;
};

} // namespace iavf_be
