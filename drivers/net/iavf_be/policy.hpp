/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <rte_emudev_net.h>

#include "big_endian.hpp"
#include "vlan.hpp"

/*
 * What the administrator of the host has decided of the frames that a guest sends: where from, in
 * which VLAN, and how many. A queue without any of it has another loop, which knows nothing of it.
 */

namespace iavf_be {

/** The addresses from which a guest may send. Immutable. */
class source_set {
public:
	/** The guest's own address, and those of its filters that are of one station. */
	explicit source_set(const rte_emudev_net_config &guest);

	/** @p frame has an Ethernet header. The first is what nearly all frames have. */
	bool has_source(const uint8_t *frame) const
	{
		const uint64_t address = load_mac(frame + RTE_ETHER_ADDR_LEN);
		return likely(address == first_) || is_among_others(address);
	}
	bool operator==(const source_set &) const = default;

private:
	bool is_among_others(uint64_t address) const;

	uint64_t first_;
	std::vector<uint64_t> others_; /**< Sorted. */
};

/**
 * A rate that all rings of a device share, whatever threads serve them: a bucket of which the time
 * is kept at which it will be full. A burst is granted frames while the bucket is not empty, and
 * charged for what it took; what that was too much delays the next one, so that the rate is exact
 * in the long run, and exceeded for one frame and thread in the short.
 */
class token_bucket {
public:
	/** Control plane, while no burst is inside. 0: there is none. @p longest frame, bytes. */
	void set(uint32_t mbps, uint32_t longest);
	bool is_set() const { return cost_ != 0; }

	/** How many frames a burst may take at TSC @p now, @p most at most. */
	uint16_t grant(uint64_t now, uint16_t most);
	void charge(uint64_t bytes) { due_.fetch_add(bytes * cost_, std::memory_order_relaxed); }

private:
	/** Time is in parts of a cycle, for a byte may cost less than one. It wraps around. */
	static constexpr unsigned int fraction_bits = 8;

	std::atomic<uint64_t> due_{0}; /**< When all that was taken is paid for. */
	uint64_t cost_ = 0;            /**< Of a byte. */
	uint64_t frame_cost_ = 0;      /**< Of the longest frame. */
	uint64_t depth_ = 0;           /**< What can be saved up. */
};

/**
 * What a guest may send, and what it is to have. The latter is taken from others that the same
 * thread serves, and that have a rate: while a guest has frames and has had less than its minimum,
 * those that have had theirs take an eighth of each burst, so that its turn comes sooner.
 */
class traffic_rate {
public:
	/** What a burst may take. */
	struct allowance {
		uint16_t frames;
		bool owed;   /**< The guest has had less than its minimum. */
		bool yields; /**< There would be more if another guest had what it is to have. */
	};

	/** Control plane, while no burst is inside. @p longest frame, bytes. */
	void set(const rte_emudev_net_policy &policy, uint32_t longest);
	bool is_set() const { return most_.is_set() || least_.is_set(); }

	/** For a burst of @p most frames at TSC @p now. */
	allowance grant(uint64_t now, uint16_t most);
	/** What the burst has taken of it. */
	void charge(const allowance &granted, uint64_t now, uint16_t frames, uint64_t bytes);

private:
	token_bucket most_, least_;
};

/** All of it, and what is kept for bursts to look up. */
struct host_policy {
	host_policy() = default;
	/** Copies what the configuration points to. */
	explicit host_policy(const rte_emudev_net_config &now);
	/** Whether nothing is different for anybody. */
	bool is_same(const host_policy &other) const;

	rte_emudev_net_policy setup{};
	std::unique_ptr<source_set> sources;            /**< None: any source will do. */
	std::unique_ptr<rte_emudev_net_vlan_ids> vlans; /**< The same. */
};

/** What a queue on which the guest transmits has of it; @ref rings keep what it points to. */
struct guest_policy {
	host_vlans::loop_fn unrestrained = nullptr; /**< Takes frames whatever they are. */
	const source_set *sources = nullptr;
	const rte_emudev_net_vlan_ids *vlans = nullptr;
	vlan_tag port_vlan{}; /**< Type 0: there is none. */
	traffic_rate *rate = nullptr;
};

/** The loop for a queue of this policy around @p unrestrained, or that alone. */
host_vlans::loop_fn select_policy(const guest_policy &policy);

} // namespace iavf_be
