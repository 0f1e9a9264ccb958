/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include <ethdev_driver.h>
#include <rte_malloc.h>

#include <rte_emudev_net.h>

#include <frame.hpp>
#include <rate_limit.hpp>

#include "compat.hpp"
#include "from_guest.hpp"
#include "to_guest.hpp"

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

/** The emulated device that a port serves, and what it is. */
struct device_facts {
	rte_emudev *dev = nullptr;
	rte_emudev_info any = sized<rte_emudev_info>();
	rte_emudev_net_info net = sized<rte_emudev_net_info>();

private:
	template <class T> static constexpr T sized()
	{
		T out{};
		out.struct_size = sizeof(out);
		return out;
	}
};

/**
 * The control plane of one ethdev port.
 *
 * Two kinds of threads come here: the application's, with ethdev operations, and the control thread
 * of the emulated device, with events. A mutex keeps them apart. An application's thread never
 * holds it during a call into the emulated device, for that call waits for the control thread,
 * which may wait for the mutex. The data path knows nothing of it: gates are what bursts meet.
 */
class port {
public:
	port(rte_eth_dev *eth, const device_facts &facts, const rte_ether_addr &mac);
	port(const port &) = delete;
	port &operator=(const port &) = delete;
	~port();

	/** Begins to receive events. */
	int attach();

	/** Whether the emulated device is gone. */
	bool removed() const { return removed_.load(std::memory_order_relaxed); }
	uint16_t max_queues() const { return facts_.any.max_queue_pairs; }
	uint32_t link_speed() const { return link_speed_.load(std::memory_order_relaxed); }
	uint32_t max_frame() const { return std::min(facts_.net.max_frame, iavf::max_frame); }
	uint32_t max_mtu() const { return max_frame() - iavf::frame_overhead; }

	int configure(uint16_t queue_pairs, uint16_t mtu);
	int start();
	int stop();
	/** Forgets the host's queues. */
	void release_queues();

	int setup_rx(uint16_t index, int node, rte_mempool *pool, uint64_t offloads);
	int setup_tx(uint16_t index, int node, uint64_t offloads);
	void release_rx(uint16_t index);
	void release_tx(uint16_t index);
	from_guest *rx(uint16_t index) const { return rx_[index].get(); }
	to_guest *tx(uint16_t index) const { return tx_[index].get(); }

	int set_mtu(uint16_t mtu);
	void set_promiscuous(bool on);
	void set_all_multicast(bool on);
	void set_mac(const rte_ether_addr &mac);

	/** Writes the port's link state; true if it changed. */
	bool update_link();

	/** Calls @p visit(queue) for each queue of a direction, which stays in existence meanwhile.
	 */
	template <class visitor> void each_rx(visitor visit)
	{
		const std::lock_guard hold(control_);
		for (auto &q : rx_)
			if (q)
				visit(*q);
	}
	template <class visitor> void each_tx(visitor visit)
	{
		const std::lock_guard hold(control_);
		for (auto &q : tx_)
			if (q)
				visit(*q);
	}

	/** Fills what the guest is told. */
	void guest_stats(rte_emudev_net_stats &stats);

private:
	static void on_event(void *ctx, const rte_emudev_event *event);
	static void on_stats_get(void *ctx, rte_emudev_net_stats *stats);
	static constexpr rte_emudev_net_backend_ops net_ops{
		.struct_size = sizeof(rte_emudev_net_backend_ops),
		.stats_get = on_stats_get,
	};
	static constexpr rte_emudev_backend_ops backend_ops{
		.struct_size = sizeof(rte_emudev_backend_ops),
		.event = on_event,
		.net = &net_ops,
	};

	void handle(const rte_emudev_event &event);
	void memory_gone(uint64_t first, uint64_t last);
	void remove();
	void report_link();
	static void on_link_alarm(void *self);

	void take_context(const rte_emudev_queue &now);
	void take_state(rte_emudev_state state);
	void take_link(const rte_emudev_link &now);
	void begin(queue &q);
	void adopt(queue &q);
	void join(queue &q, rte_emudev_dir direction, uint16_t index);
	void leave_all();

	void refuse(queue &q, const char *why);
	bool bind(queue &q);
	const rte_guest_mem_table *memory() const;
	static bool lies_in(const queue &q, uint64_t first, uint64_t last);
	bool lies_as_bound(const queue &q) const;
	bool prepare(from_guest &q);
	bool prepare(to_guest &q);
	void refresh(queue &q);
	void refresh_all();
	void refresh_closed();
	void assign_rings();
	void link_rings();
	void aim_tx_queues();

	int share_rings();
	void unshare_rings();
	bool fits(uint32_t room, uint64_t offloads, uint16_t mtu) const;
	bool fit_all(uint16_t mtu) const;

	/** Calls @p visit for all queues. With control_ held. */
	template <class visitor> void each_queue(visitor visit)
	{
		for (auto &q : rx_)
			if (q)
				visit(*q);
		for (auto &q : tx_)
			if (q)
				visit(*q);
	}

	/** Calls @p visit for the queues of an index. With control_ held. */
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
	/** Tells the queues of an index of each other, once both exist. With control_ held. */
	void join_pair(uint16_t index)
	{
		if (rx_[index])
			rx_[index]->pair.store(tx_[index].get(), std::memory_order_release);
	}

	rte_eth_dev *eth_;
	rte_emudev *dev_; /**< Kept by the subscription; fails calls once the device is gone. */
	std::atomic<bool> removed_{false};
	const device_facts facts_;
	std::atomic<uint32_t> link_speed_;
	const rte_guest_mem_table *const *memory_;

	std::mutex control_; /**< Guards all below, and the gates against two closers. */
	bool subscribed_ = false;
	bool started_ = false;   /**< As the device has told. */
	rte_emudev_link link_{}; /**< As the device has told. */
	bool promiscuous_ = false;
	bool all_multicast_ = false;
	guard::rate_limit log_;   /**< For all that a guest can make us say. */
	guard::rate_limit links_; /**< For changes of the link: a guest can make any number. */
	bool link_alarm_ = false; /**< A change was held back; the alarm will tell. */
	uint16_t mtu_ = RTE_ETHER_MTU;
	uint16_t rx_queues_ = 0; /**< Of the application, while rings are shared. */
	uint16_t tx_queues_ = 0;
	rte_ether_addr mac_;
	/** What the device has told of the guest's queues, by direction and index. */
	std::array<std::vector<rte_emudev_queue>, 2> contexts_;
	/** By index of the guest's queue; the first are also the application's. */
	std::vector<numa_ptr<from_guest>> rx_;
	std::vector<numa_ptr<to_guest>> tx_;
	std::vector<to_guest *> served_; /**< For aim_tx_queues(): no allocation there. */
};

/** The application's queue, out of @p queues, that serves the guest's ring @p index. */
constexpr uint16_t
serving(uint16_t index, uint16_t queues)
{
	return queues == 0 ? index : static_cast<uint16_t>(index % queues);
}

/** ops.cpp: the table of ethdev operations. */
extern const eth_dev_ops port_ops;

/** stats.cpp. */
int stats_get(rte_eth_dev *eth, rte_eth_stats &stats, compat::queue_stats *queues);
int stats_reset(rte_eth_dev *eth);
int xstats_get(rte_eth_dev *eth, rte_eth_xstat *values, unsigned int size);
int xstats_get_names(rte_eth_dev *eth, rte_eth_xstat_name *names, unsigned int size);

inline port &
port_of(const rte_eth_dev *eth)
{
	return *static_cast<port *>(eth->data->dev_private);
}

} // namespace iavf_be
