/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <type_traits>

#include <ethdev_driver.h>
#include <rte_telemetry.h>

#include <rte_emudev_net.h>

#include <frame.hpp>

#include "compat.hpp"
#include "listing.hpp"
#include "notice.hpp"
#include "rings.hpp"
#include "rx_interrupts.hpp"

namespace iavf_be {

/** What is told of a ring that is not there: its size is the guest's. */
inline constexpr uint16_t default_ring = 1024;

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
 * The control plane of one ethdev port: its life, what the application sets, and the link. Its
 * queues are the matter of rings. The application's threads come here and the control thread of the
 * emulated device, with events.
 */
class port {
public:
	/** @p shared outlives it. */
	port(rte_eth_dev *eth, const device_facts &facts, const rte_ether_addr &mac,
	     shared_port &shared);
	port(const port &) = delete;
	port &operator=(const port &) = delete;
	~port();

	/** Begins to receive events. */
	int attach();

	/** Whether the emulated device is gone. */
	bool removed() const { return removed_.load(std::memory_order_relaxed); }

	int configure(uint16_t queue_pairs, uint16_t mtu);
	int start();
	int stop();
	rings &queues() { return rings_; }
	const shared_port &shared() const { return shared_; }
	const rte_eth_dev_data &ethdev() const { return *eth_->data; }
	/** Name of the emulated device. */
	const char *device() const { return device_.c_str(); }
	rx_interrupts &interrupts() { return interrupts_; }

	int set_mtu(uint16_t mtu);
	/** As if the guest's cable were plugged in, or unplugged. */
	int set_link(bool up);
	/** Changes one of the settings. For the application, which does so on one thread. */
	template <class T> void change(T host_settings::*setting, const T &value)
	{
		host_settings wanted = rings_.settings();
		wanted.*setting = value;
		rings_.set(wanted);
	}

	/** Writes the port's link state; true if it changed. */
	bool update_link();
	/** Why there is no link; nullptr: there is. */
	const char *why_down();

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
	void take_link(const rte_emudev_link &now);
	void remove();
	void report_link();
	void say_link(const rte_eth_link &now, const char *why_down);

	rte_eth_dev *eth_;
	const std::string device_;
	rte_emudev *dev_; /**< Kept by the subscription; fails calls once the device is gone. */
	std::atomic<bool> removed_{false};
	shared_port &shared_;
	std::atomic<bool> connected_{false};
	std::atomic<bool> subscribed_{false};
	rings rings_;
	rx_interrupts interrupts_;
	notice link_notice_, queue_notice_;
	std::mutex log_lock_; /**< Any thread may ask for the link. */
	guard::rate_limit log_;
	listing listing_; /**< Last: it ends first. */
};

/** ops.cpp: the tables of ethdev operations, of the primary process and of secondary ones. */
extern const eth_dev_ops port_ops, secondary_ops;

/** ring_state.cpp. */
std::invoke_result_t<eth_rx_queue_count_t, void *> rx_queue_count(void *queue);
int rx_descriptor_status(void *queue, uint16_t offset);
int tx_descriptor_status(void *queue, uint16_t offset);
int get_monitor_addr(void *queue, rte_power_monitor_cond *wake);

/** stats.cpp. */
int stats_get(rte_eth_dev *eth, rte_eth_stats &stats, compat::queue_stats *queues);
int stats_reset(rte_eth_dev *eth);
int xstats_get(rte_eth_dev *eth, rte_eth_xstat *values, unsigned int size);
void add_from_guest_counters(rte_tel_data *out, const shared_port &all, uint16_t index);
void add_to_guest_counters(rte_tel_data *out, const shared_port &all, uint16_t index);
int xstats_get_names(rte_eth_dev *eth, rte_eth_xstat_name *names, unsigned int size);

/** In the primary process. */
inline port &
port_of(const rte_eth_dev *eth)
{
	return *shared_of(eth)->own;
}

} // namespace iavf_be
