/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <memory>

#include "function.hpp"
#include "host.hpp"
#include "mailbox.hpp"
#include "negotiated.hpp"
#include "session.hpp"
#include "virtchnl_text.hpp"

namespace iavf {

/** Messages of one operation. */
struct virtchnl_count {
	uint64_t received;
	uint64_t refused; /**< Answered with another status than success. */
};

/** What has come by virtchnl; one entry for each row of vc_ops, the first for what is unknown. */
struct virtchnl_counts {
	std::array<virtchnl_count, vc_ops.size()> of;
	uint32_t last_refused; /**< Number of the operation. */
	int32_t last_status;   /**< Its answer. */
};

/** Counters of the device, for telemetry. */
struct device_stats {
	uint64_t virtchnl_errors;
	uint64_t resets;
	uint64_t clients;
	uint64_t resets_by_host;
	uint64_t refused_addresses;   /**< Messages with one that is not allowed. */
	uint64_t ignored_promiscuous; /**< Messages, too. */
	uint64_t refused_limits;      /**< Messages with more addresses than are allowed. */
	virtchnl_counts virtchnl;
};

/** What a guest has tried though its host does not let it. */
enum class violation : uint8_t {
	address,
	promiscuous,
	limits,
};

/** What is known of the client that is there, or was last. */
struct client_facts {
	bool connected = false;
	bool told_to_share = false;    /**< The log has said that its memory is not shared. */
	int numa_node = -1;            /**< Of its memory. */
	uint32_t poll_interval_us = 0; /**< Of its registers, if it cannot trap. */
	uint64_t last_activity = 0;    /**< TSC */
};

/**
 * The emulated function: puts its parts together, and passes on what happens.
 *
 *   function     what the PCI function is
 *   mailbox      commands of the driver, replies and events to it
 *   session      what the driver has set up, its queues included; ends as a whole
 *   negotiated   what outlives that
 *   host         what back-end and administrator decide
 *   data_path    the registry of emulated devices, and all events to the back-end
 *
 * Everything but vectors::fire() runs on the control thread of the vfio-user library.
 *
 * Wide: each part has an accessor, three of them two.
 *
 * Lifetime of state: a client that disconnects leaves a device in its initial state. Deviation: the
 * vfio-user specification lets a server retain device state; a new client is a new machine here.
 */
class device final : private pci_device::device_behaviour {
public:
	/** A device at a vfio-user server of its own. */
	static guard::result<std::unique_ptr<device>> make(device_config config);
	/** One in another machine, for tests. */
	static guard::result<std::unique_ptr<device>> make(device_config config,
							   pci_device::bus &machine);
	~device();
	device(const device &) = delete;
	device &operator=(const device &) = delete;

	/** Enters the registry of emulated devices; @p dpdk_device is the vdev. */
	int publish(rte_device *dpdk_device);
	/** Begins to accept clients. */
	int listen();
	/** Leaves the registry. Control thread only, so that no message comes in between. */
	void withdraw() { path_.withdraw(); }

	const device_config &config() const { return config_; }
	rte_vfio_user_server *server() const { return server_bus_.server(); }
	rte_emudev *emudev() const { return path_.emudev(); }
	const client_facts &client() const { return client_; }
	const iavf::mailbox &mailbox() const { return *mailbox_; }
	device_stats &stats() { return stats_; }

	iavf::function &function() { return *function_; }
	iavf::session &session() { return *session_; }
	const iavf::session &session() const { return *session_; }
	iavf::negotiated &agreed() { return agreed_; }
	const iavf::negotiated &agreed() const { return agreed_; }
	iavf::host &host() { return host_; }
	const iavf::host &host() const { return host_; }
	const data_path &path() const { return path_; }

	/* What the virtchnl operations do that is more than one part's. */
	void transition(vf_event event);
	void reset_by_driver(vf_event cause);
	void change_pairs(uint16_t queue_pairs);
	void tell_resources(uint32_t wanted);
	void change_mac(const mac_address &mac);
	/** Tells the back-end addresses and filters. */
	void push_config();
	/** Tells it all that there is. */
	void push_all();
	bool can_serve_at(uint64_t iova);
	/** Counts and logs; @p really: else it was nothing. */
	void violated(violation what, bool really = true);

	/* What the back-end does of which the driver hears. */
	void started_or_stopped();
	void set_speed(uint32_t mbps);
	void set_port_link(bool up);

	/* What the administrator does. A driver that has to know is told of a reset. */
	void set_mac(const mac_address &mac);
	void set_policy(const policy &now);
	void reset_by_host();

	/**
	 * What the driver and the machine have made of the device, for another process that goes on
	 * with it. No back-end serves it any more, so that the heads of rings are known.
	 * @return EBUSY: an access to the guest's memory is under way; later.
	 */
	guard::result<std::vector<std::byte>> save();
	/** Takes over what save() of the same build has made of a device with as many queues. What
	 * is not that leaves the device as after a reset: EINVAL. */
	guard::status load(guard::bytes state);

private:
	device(device_config config, pci_device::bus *machine);

	guard::status assemble();
	int serve();
	/* The client. */
	int connected(const rte_vfio_user_session &session) override;
	void disconnected() override;
	void stop(pci_device::reset_cause cause) override;
	void reset(pci_device::reset_cause cause) override;
	void memory_changed() override;
	void interrupts_changed() override;
	void memory_removed(uint64_t first, uint64_t last) override;
	void poll() override;
	void work() override { serve_mailbox(); }
	void register_written(uint8_t effect, uint32_t index) override;
	/* The mailbox. */
	void serve_mailbox();
	void carry_out(const command &what);
	void message(uint32_t op, guard::bytes body);
	void queue_shutdown();

	void each_state(pci_device::state_walk &walk);
	void end_session();
	void end_driver(vf_event cause);
	void renew_memory();
	void forget_machine();
	void warn_of_memory(const char *what);
	void log_body(vc_speaker from, uint32_t op, vc_status status, guard::bytes body);
	void notify_link();
	void change_link(bool before);
	void announce_reset();
	void push_link();
	rte_emudev_net_policy pushed_policy() const;
	void set_poll(uint32_t interval_us);

	const device_config config_;
	guard::rate_limit log_;      /* for all that a guest can make us say */
	guard::rate_limit life_log_; /* but that it comes and goes, which is to hide nothing else */
	pci_device::vfio_user_bus server_bus_;
	pci_device::bus &bus_; /* server_bus_, or what a test has */
	std::unique_ptr<iavf::function> function_;
	std::unique_ptr<iavf::mailbox> mailbox_;
	data_path path_;
	iavf::host host_;
	iavf::negotiated agreed_;
	std::unique_ptr<iavf::session> session_; /* never none */
	client_facts client_;
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
