/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <rte_emudev_net_driver.h>
#include <rte_vfio_user.h>

#include <frame.hpp>

#include "config_space.hpp"
#include "mailbox.hpp"

namespace iavf {

/** Link speeds that can be announced, in Mbit/s. */
constexpr uint32_t min_speed = 100;
constexpr uint32_t max_speed = 400000;
/** Largest limit of a client's memory, in MiB. */
constexpr uint32_t max_memory_limit = 4 << 20;
/** MAC addresses one guest may add, besides a primary one. */
constexpr size_t max_mac_filters = 64;
/** The one virtual station interface of the function. */
constexpr uint16_t vsi_id = 1;
/** A queue that no CONFIG_IRQ_MAP has given a vector. */
constexpr uint16_t no_vector = UINT16_MAX;

using mac_address = std::array<uint8_t, 6>;

/** An address that the guest adds. */
struct mac_filter {
	mac_address address;
	bool primary; /**< Becomes that of the device. */
};

/** What the user asked for. */
struct device_config {
	std::string name;
	std::string path;
	mac_address mac;
	uint16_t queue_pairs = 4;
	uint32_t speed = 25000; /**< Mbit/s */
	bool ethdev = true;
	uint64_t max_memory = 0; /**< Bytes that a client may share, 0: any number. */
	rte_vfio_user_socket_rights rights = {RTE_VFIO_USER_KEEP, RTE_VFIO_USER_KEEP,
					      RTE_VFIO_USER_KEEP};
};

/** How far the driver in the guest has come. */
enum class vf_state : uint8_t {
	initial,    /**< Nothing was said yet. */
	negotiated, /**< It knows the version. */
	active,     /**< It knows its resources and may do everything. */
};

/** What changes the state; the table of transitions is in device.cpp. */
enum class vf_event : uint8_t {
	version,        /**< VIRTCHNL_OP_VERSION: a driver begins. */
	resources,      /**< VIRTCHNL_OP_GET_VF_RESOURCES. */
	queue_shutdown, /**< Admin queue command: the driver ends, or resets its queues. */
	reset_vf,       /**< VIRTCHNL_OP_RESET_VF. */
	flr,            /**< Device Control bit 15. */
	device_reset,   /**< VFIO_USER_DEVICE_RESET. */
	client_gone,
};

/** A ring as the guest has described it. */
struct queue {
	bool configured = false;
	bool enabled = false;
	bool resumed = false; /**< A back-end has been at it, up to the head. */
	uint16_t head = 0;
	uint8_t timer = dyn_ctl::no_itr;
	uint16_t vector = no_vector;
	uint16_t size = 0;
	uint64_t ring_iova = 0;
	uint32_t buffer_size = 0;
	uint32_t max_frame = 0;
	uint8_t format = 0; /**< RXDID of its descriptors. */
};

/** Counters of the device, for telemetry. */
struct device_stats {
	uint64_t virtchnl_errors;
	uint64_t resets;
	uint64_t clients;
};

/**
 * The emulated function. Everything but fire() runs on the control thread of the vfio-user library.
 *
 * Lifetime of state: a client that disconnects leaves a device in its initial state. Deviation: the
 * vfio-user specification lets a server retain device state; a new client is a new machine here.
 */
class device final : private mailbox_client {
public:
	static guard::result<std::unique_ptr<device>> make(device_config config);
	~device();
	device(const device &) = delete;
	device &operator=(const device &) = delete;

	/** Enters the registry of emulated devices; @p dpdk_device is the vdev. */
	int publish(rte_device *dpdk_device);
	/** Begins to accept clients. */
	int listen();
	/** Leaves the registry. Control thread only, so that no message comes in between. */
	void withdraw();

	const device_config &config() const { return config_; }
	rte_vfio_user_server *server() const { return server_; }
	register_file &registers() const { return *registers_; }
	const interrupts &vectors() const { return vectors_; }
	const mailbox &messages() const { return mailbox_; }
	vf_state state() const { return state_; }
	device_stats &stats() { return stats_; }

	/* Accesses of the client. */
	void read(uint32_t region, uint32_t offset, guard::mutable_bytes to);
	void write(uint32_t region, uint32_t offset, guard::bytes from);
	uint32_t take_cause() { return vectors_.take_cause(); }
	void connected(const rte_vfio_user_session &session);
	void disconnected();
	void reset(vf_event cause);
	void memory_changed();
	void interrupts_changed();
	void memory_removed(uint64_t first, uint64_t last);
	void poll();
	void work() { mailbox_.room(); }

	/* What the virtchnl operations do. */
	void transition(vf_event event);
	void set_version(vc_version_info version) { version_ = version; }
	vc_version_info version() const { return version_; }
	uint32_t grant(uint32_t wanted);
	uint32_t granted() const { return granted_; }
	/** What the driver was told it has; a driver that has not asked yet has none. */
	uint16_t queue_pairs() const { return told_pairs_; }
	uint16_t offered_pairs() const { return offered_pairs_; }
	/** As drivers take it: they subtract all this again to have the MTU. */
	uint16_t largest_frame() const
	{
		return static_cast<uint16_t>(mtu_ + frame_overhead + crc_length);
	}
	const mac_address &mac() const { return mac_; }
	queue &at(rte_emudev_dir dir, uint16_t index) { return queues_[dir][index]; }
	void enable(rte_emudev_dir dir, uint16_t index);
	void disable(rte_emudev_dir dir, uint16_t index);
	void tell_resources();
	uint16_t enabled_pairs() const;
	bool can_serve_at(uint64_t iova);
	void irq_map_changed() { push_queues(); }
	bool add_macs(std::span<const mac_filter> wanted);
	void remove_mac(const mac_address &mac);
	void set_promiscuous(uint16_t flags);
	/** Since the driver or its latest reset began. */
	rte_emudev_net_stats traffic() const;
	void notify_link();

	/* What the back-end does. */
	void configure(uint16_t queue_pairs, uint16_t mtu);
	void set_mac(const mac_address &mac);
	void set_speed(uint32_t mbps);
	void set_mtu(uint16_t mtu);
	uint16_t mtu() const { return mtu_; }
	uint32_t speed() const { return config_.speed; }
	bool is_connected() const { return connected_; }
	bool started() const { return rte_emudev_started(emudev_); }
	int numa_node() const { return numa_node_; }
	size_t mac_filters() const { return filters_.size(); }
	uint16_t promiscuous() const { return promiscuous_; }
	rte_emudev *emudev() const { return emudev_; }
	/** Tells a back-end all that there is. */
	void push_all();
	int fire(uint16_t vector, uint8_t timer, bool event)
	{
		return vectors_.fire(vector, timer, event);
	}

	/* Trapped writes with an effect; see the table in access.cpp. */
	void atq_tail_written() { mailbox_.receive(); }
	void arq_tail_written() { mailbox_.room(); }
	void arq_len_written() { mailbox_.forget_messages(); }
	void interrupt_control_written() { vectors_.evaluate(); }

private:
	device(device_config config, std::unique_ptr<register_file> registers);

	int serve();
	void message(uint32_t op, guard::bytes body) override;
	void queue_shutdown() override;
	void blank_command() override;
	void forget_driver();
	void change_mac(const mac_address &mac);
	void begin_counting();
	void notify(const rte_emudev_event &event);
	void notify(rte_emudev_event_type type);
	void push_link();
	void push_config();
	void push_queue(rte_emudev_dir dir, uint16_t index);
	void push_queues();
	void send_event(const vc_pf_event &event);
	void set_poll(uint32_t interval_us);

	device_config config_;
	guard::rate_limit log_; /* for all that a guest can make us say */
	std::unique_ptr<register_file> registers_;
	config_space pci_;
	msix_table msix_;
	interrupts vectors_;
	mailbox mailbox_;
	rte_vfio_user_server *server_ = nullptr;
	rte_emudev *emudev_ = nullptr;

	vf_state state_ = vf_state::initial;
	vc_version_info version_{};
	uint32_t granted_ = 0;
	mac_address mac_;
	std::vector<mac_address> filters_;
	uint16_t promiscuous_ = 0;
	std::array<std::array<queue, max_queue_pairs>, 2> queues_{};

	uint16_t offered_pairs_;  /* to the next driver */
	uint16_t told_pairs_ = 0; /* what the driver counts on, also over its resets */
	bool begins_ = false;     /* VERSION was said: a driver that does not know its resources */
	uint16_t mtu_ = max_mtu;
	bool connected_ = false;
	bool told_to_share_ = false;
	bool first_mac_due_ = false; /* after a reset of the device, to a driver that begins */
	bool link_due_ = false;      /* the driver is to be told the link state after the reply */
	int numa_node_ = -1;
	uint32_t poll_interval_us_ = 0;
	uint64_t last_activity_ = 0; /* TSC */
	device_stats stats_{};
};

/** Runs @p fn on the control thread and returns what it returns, an int. */
template <class F>
int
on_control_thread(F fn)
{
	return rte_vfio_user_control_call(
		[](void *arg) -> int { return (*static_cast<F *>(arg))(); }, &fn);
}

/** Takes the device out of the registry, disconnects its client and frees it. */
void destroy(std::unique_ptr<device> dev);

} // namespace iavf
