/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include <ethdev_driver.h>
#include <rte_malloc.h>

#include <frame.hpp>
#include <rate_limit.hpp>

#include "address_filter.hpp"
#include "handover.hpp"
#include "shared_port.hpp"
#include "steering_maker.hpp"

namespace iavf_be {

/** Owns an object in memory of a chosen NUMA node. */
struct numa_delete {
	template <class T> void operator()(T *object) const
	{
		object->~T();
		rte_free(object);
	}
};
template <class T> using numa_ptr = std::unique_ptr<T, numa_delete>;

template <class T>
numa_ptr<T>
make_on_node(int node)
{
	void *at = rte_zmalloc_socket("net_iavf_be", sizeof(T), alignof(T), node);
	return numa_ptr<T>(at == nullptr ? nullptr : new (at) T());
}

/** What the application sets for all queues. */
struct host_settings {
	uint16_t mtu = RTE_ETHER_MTU;
	bool promiscuous = false;
	bool all_multicast = false;
	bool check_rx = true; /**< Check what the guest receives, see rx_variant. */
	rte_ether_addr mac{};
	/** What the application has added to it, by index; all zeroes: nothing. */
	std::array<rte_ether_addr, shared_port::most_addresses> others{};
	std::vector<rte_ether_addr> groups;             /**< Of multicast, likewise. */
	std::shared_ptr<const address_filter> filter;   /**< Of all these. */
	vlan_id_set vlan_ids{};                         /**< Of which it wants frames. */
	uint16_t outer_vlan_type = RTE_ETHER_TYPE_QINQ; /**< Of the first of two tags. */
	bool tso = false; /**< TSO requests are handed over though LRO is not enabled. */
	uint32_t lro = 0; /**< The longest to hand over as LRO allows it, 0: it is not enabled. */

	/** The guest receives several segments in one; see largest_receive. */
	bool large_receives = false;
	bool zero_copy = false; /**< Buffers are lent to the application, see loans.hpp. */
	steering_mode steering = steering_mode::automatic;

	/** The longest TSO request to hand over, 0: none is. */
	uint32_t largest_request() const { return lro == 0 && tso ? longest_handover : lro; }

	void make_filter();
};

/** What the guest has set up for tags, with the ids that it wants. */
struct guest_vlans {
	rte_emudev_net_vlan setup{};
	std::unique_ptr<rte_emudev_net_vlan_ids> ids;
};

/** What the device has told beyond queues. */
struct kept_config {
	guest_vlans vlans;
	host_policy policy;
	traffic_rate rate; /**< Of the policy, for all rings together. */
};

/** Offloads by which mbufs tell of checksums. */
inline constexpr uint64_t rx_checksums =
	RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_SCTP_CKSUM;

/** The application's queue, out of @p queues, that serves the guest's ring @p index. */
constexpr uint16_t
serving(uint16_t index, uint16_t queues)
{
	return queues == 0 ? index : static_cast<uint16_t>(index % queues);
}

/** A ring, for who looks at it from outside. */
struct ring_view {
	bool running = false; /**< The application has started its queue. */
	bool enabled = false; /**< The guest has. */
	bool served = false;  /**< Bursts take from it, or put into it. */
	uint16_t size = 0;
	uint16_t head = 0;
	uint32_t waiting = 0; /**< Descriptors that the guest has handed over. */
	int vector = -1;
};

/**
 * The queues of a port, and what the guest has told of their rings.
 *
 * Two kinds of threads come here: the application's, with what it sets up, and the control thread
 * of the emulated device, with what the guest has. A mutex keeps them apart. An application's
 * thread never holds it during a call into the emulated device, for that call waits for the control
 * thread, which may wait for the mutex. The data path knows nothing of it: gates are what bursts
 * meet, and here is who moves them.
 */
class rings {
public:
	/** All processes find the queues in @p shared. */
	rings(const rte_eth_dev_data &port, rte_emudev *dev, shared_port &shared,
	      const rte_ether_addr &mac);
	rings(const rings &) = delete;
	rings &operator=(const rings &) = delete;
	~rings() { end_loans(); }

	/* What the application sets up. */
	int setup_rx(uint16_t index, int node, rte_mempool *pool, uint64_t offloads);
	int setup_tx(uint16_t index, int node, uint64_t offloads);
	void release_rx(uint16_t index);
	void release_tx(uint16_t index);
	void release_all();
	int share();
	void unshare();
	bool fit(uint16_t mtu) const;
	void dump(FILE *file);
	int run(rte_emudev_dir direction, uint16_t index, bool yes);
	host_settings settings();
	void set(const host_settings &wanted);
	/** Changes Rx offloads of the application's queues from @p first up to before @p end. */
	void change_rx_offloads(uint16_t first, uint16_t end, uint64_t which, uint64_t value);
	from_guest *rx(uint16_t index) const { return rx_[index].get(); }
	to_guest *tx(uint16_t index) const { return tx_[index].get(); }

	/* What the device tells. Control thread. */
	/** @return Whether the ring came or went. */
	bool take_context(const rte_emudev_queue &now);
	/** @return Whether the link may have changed. */
	bool take_config(const rte_emudev_net_config &now);
	void take_state(rte_emudev_state state);
	void memory_gone(uint64_t first, uint64_t last);
	void memory_came();
	void guest_came();
	void forget();
	/** The device goes, or the port: mbufs that are out keep what they need. */
	void keep_loans();

	/** Why no ring is there for the host to serve; nullptr: one is. */
	const char *why_idle();
	/** A ring as it is; one that does not exist is not enabled. */
	friend ring_view look_at_ring(rings &of, rte_emudev_dir direction, uint16_t index);

private:
	/* All with control_ held. */
	bool make_rx(uint16_t index, int node, rte_mempool *pool, uint64_t offloads);
	bool make_tx(uint16_t index, int node, uint64_t offloads);
	bool share_pair(uint16_t index);
	bool is_enabled(uint16_t index) const;
	rte_emudev_queue &context(rte_emudev_dir direction, uint16_t index);
	static void equip(from_guest &q, rte_mempool *pool, uint64_t offloads);
	static void equip(to_guest &q, uint64_t offloads);
	void begin(queue &q);
	void adopt(queue &q);
	void join(queue &q, rte_emudev_dir direction, uint16_t index);
	void leave_all();

	void refuse(queue &q, const char *why);
	bool bind(queue &q);
	const rte_guest_mem_table *memory() const;
	static bool lies_in(const queue &q, uint64_t first, uint64_t last);
	bool lies_as_bound(const queue &q) const;
	void keep_loans(uint64_t first, uint64_t last);
	void end_loans();
	bool equip_book(from_guest &q);
	bool may_lend(const from_guest &q) const;
	bool prepare(from_guest &q);
	bool prepare(to_guest &q);
	void refresh(queue &q);
	/** Whether rings are to be served at all. */
	bool serves() const { return started_ && config_.policy.setup.link_down == 0; }
	void change_rate();
	void assign_rings();
	void link_rings();

	bool all_set_up() const;
	bool fits(const from_guest &q, uint16_t mtu) const;

	/** Calls @p visit for all queues. */
	template <class visitor> void each_queue(visitor visit)
	{
		for (uint16_t i = 0; i < there_.end; i++)
			each_of_pair(i, visit);
	}
	/** Calls @p visit for the queues of an index. */
	template <class visitor> void each_of_pair(uint16_t index, visitor visit)
	{
		if (rx_[index])
			visit(*rx_[index]);
		if (tx_[index])
			visit(*tx_[index]);
	}
	queue *find(rte_emudev_dir direction, uint16_t index) const
	{
		if (direction == RTE_EMUDEV_FROM_GUEST)
			return rx_[index].get();
		return tx_[index].get();
	}
	/** Tells the queues of an index of each other, once both exist. */
	void join_pair(uint16_t index)
	{
		if (rx_[index])
			rx_[index]->pair.store(tx_[index].get(), std::memory_order_release);
		if (tx_[index])
			tx_[index]->pair.store(rx_[index].get(), std::memory_order_release);
	}

	const rte_eth_dev_data &port_; /**< Name, number and queues of the application's. */
	rte_emudev *dev_;
	shared_port &shared_;
	const rte_guest_mem_table *const *memory_;

	std::mutex control_;    /**< Guards all below, and the gates against two closers. */
	bool started_ = false;  /**< As the device has told. */
	guard::rate_limit log_; /**< For all that a guest can make us say. */
	kept_config config_;
	host_settings host_;
	/** Queues of the application, while rings are shared. */
	struct {
		uint16_t rx = 0, tx = 0;
	} hosts_;
	/** What the device has told of the guest's queues, by direction and index. */
	std::array<std::vector<std::unique_ptr<rte_emudev_queue>>, 2> contexts_;
	/** By index of the guest's queue; the first are also the application's. A queue is made
	 * when somebody uses it, and stays. */
	std::vector<numa_ptr<from_guest>> rx_;
	std::vector<numa_ptr<to_guest>> tx_;
	/** Behind the last index that has one, and those that bursts can enter, at least. */
	struct {
		uint16_t end = 0;
		std::vector<queue *> open;
		bool moved = false; /**< Some came or went, and more will at once. */
	} there_;
	steering_maker steering_;
};

} // namespace iavf_be
