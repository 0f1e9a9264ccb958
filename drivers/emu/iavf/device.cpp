/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.hpp"

#include <algorithm>
#include <cstring>

#include <numaif.h>

#include <rte_cycles.h>

#include "log.hpp"
#include "virtchnl_server.hpp"

namespace iavf {

namespace {

constexpr rte_emudev_dir directions[] = {RTE_EMUDEV_FROM_GUEST, RTE_EMUDEV_TO_GUEST};

/**
 * How often the registers of a client that cannot trap are looked at. The commands of a set-up
 * follow each other closely; a lone one, such as a query of statistics, may wait a little: each
 * look costs the core it happens on several microseconds.
 */
constexpr uint32_t poll_busy_us = 100;
constexpr uint32_t poll_idle_us = 5000;
constexpr uint32_t poll_busy_ms = 20;

/** The state after an event, by the state before. */
struct transition_row {
	vf_event event;
	std::string_view name;
	std::array<vf_state, 3> next;
};

constexpr std::array forgotten{vf_state::initial, vf_state::initial, vf_state::initial};
constexpr std::array set_up_anew{vf_state::initial, vf_state::negotiated, vf_state::negotiated};

/**
 * All transitions. A reset ends what was set up, not what was negotiated: drivers that live on do
 * not repeat VERSION after one of any kind, nor after they have restarted their admin queues, so
 * only a new machine forgets it. The other way round, VERSION alone ends nothing: Linux says it in
 * the middle of its work when a command takes long; see tell_resources(). PROHIBITED: "resources"
 * before "version"; the dispatcher of virtchnl refuses the message.
 */
constexpr transition_row transitions[] = {
	{vf_event::version,
	 "version",
	 {vf_state::negotiated, vf_state::negotiated, vf_state::active}},
	{vf_event::resources, "resources", {vf_state::initial, vf_state::active, vf_state::active}},
	{vf_event::queue_shutdown, "queue shutdown", set_up_anew},
	{vf_event::reset_vf, "RESET_VF", set_up_anew},
	{vf_event::flr, "function level reset", set_up_anew},
	{vf_event::device_reset, "device reset", set_up_anew},
	{vf_event::client_gone, "client gone", forgotten},
};

const transition_row &
row_of(vf_event event)
{
	return *std::ranges::find(transitions, event, &transition_row::event);
}

} // namespace

guard::result<std::unique_ptr<device>>
device::make(device_config config)
{
	std::unique_ptr<register_file> registers = TRY(register_file::make(config.name.c_str()));
	std::unique_ptr<device> dev(new device(std::move(config), std::move(registers)));
	int ret = dev->serve();

	if (ret < 0)
		return guard::failure{-ret};
	return dev;
}

device::device(device_config config, std::unique_ptr<register_file> registers)
    : config_(std::move(config)), registers_(std::move(registers)),
      pci_(static_cast<uint16_t>(config_.queue_pairs + 1)),
      msix_(static_cast<uint16_t>(config_.queue_pairs + 1)), vectors_(*registers_),
      mailbox_(*registers_, vectors_, *this, log_), mac_(config_.mac),
      offered_pairs_(config_.queue_pairs)
{
}

device::~device()
{
	/* Calls client_gone() if there is a client. */
	if (server_ != nullptr)
		rte_vfio_user_server_unregister(server_);
}

int
device::listen()
{
	return rte_vfio_user_server_start(server_);
}

void
destroy(std::unique_ptr<device> dev)
{
	/* On the control thread, so that no message of the guest comes in between. */
	on_control_thread([&] {
		dev->withdraw();
		return 0;
	});
}

void
device::withdraw()
{
	if (emudev_ != nullptr)
		rte_emudev_release(emudev_);
	emudev_ = nullptr;
}

void
device::transition(vf_event event)
{
	const transition_row &row = row_of(event);
	vf_state next = row.next[static_cast<size_t>(state_)];

	begins_ = event == vf_event::version;
	DRIVER_LOG(DEBUG, "%s: %s: state %u -> %u", config_.name.c_str(), row.name.data(),
		   static_cast<unsigned>(state_), static_cast<unsigned>(next));
	state_ = next;
}

/** Drops all that the driver has set up by virtchnl. */
void
device::forget_driver()
{
	for (rte_emudev_dir dir : directions) {
		for (uint16_t i = 0; i < max_queue_pairs; i++) {
			disable(dir, i);
			queues_[dir][i] = queue{};
		}
	}
	if (!filters_.empty() || promiscuous_ != 0) {
		filters_.clear();
		promiscuous_ = 0;
		push_config();
	}
	granted_ = 0;
	link_due_ = false;
}

void
device::reset(vf_event cause)
{
	stats_.resets++;
	DRIVER_LOG_LIMITED(log_, INFO, "%s: %s", config_.name.c_str(), row_of(cause).name.data());
	forget_driver();
	transition(cause);
	mailbox_.forget();
	vectors_.reset();
	if (cause == vf_event::reset_vf) {
		registers_->reset_function();
	} else {
		registers_->reset();
		pci_.reset();
		msix_.reset();
	}
	first_mac_due_ = first_mac_due_ || cause == vf_event::device_reset;
	begin_counting();
	if (cause == vf_event::client_gone) {
		version_ = {};
		told_pairs_ = 0;
		change_mac(config_.mac);
	}
	push_link();
}

/**
 * A driver asks what it has. One that lives on, whatever was reset, keeps at least the queues that
 * it was told before: Linux comes back with its old count. Only one that begins, which says VERSION
 * first, is told what the host has now, and finds nothing of its predecessor, which may have ended
 * without a reset, as with kexec. After a reset of the device, as at a reboot, it also gets the
 * first MAC address back.
 */
void
device::tell_resources()
{
	bool first_mac = std::exchange(first_mac_due_, false);

	if (begins_) {
		forget_driver();
		begin_counting();
		told_pairs_ = 0;
		if (first_mac)
			change_mac(config_.mac);
	}
	told_pairs_ = std::max(told_pairs_, offered_pairs_);
	transition(vf_event::resources);
}

void
device::queue_shutdown()
{
	forget_driver();
	transition(vf_event::queue_shutdown);
	mailbox_.forget();
	push_link();
}

void
device::blank_command()
{
	if (!std::exchange(told_to_share_, true))
		DRIVER_LOG_LIMITED(log_, WARNING,
				   "%s: commands read as zeros: is the memory shared (share=on)?",
				   config_.name.c_str());
}

/**
 * Whether the data path could reach a ring: not in memory that came without a file. A ring that is
 * not mapped at all may be so later.
 */
bool
device::can_serve_at(uint64_t iova)
{
	const rte_guest_mem_table *table =
		rte_guest_mem_get(rte_vfio_user_server_dma_table(server_));
	const rte_guest_mem_region *region = rte_guest_mem_find(table, iova);

	if (region == nullptr || region->addr != nullptr)
		return true;
	if (!std::exchange(told_to_share_, true))
		DRIVER_LOG_LIMITED(
			log_, WARNING,
			"%s: rings in memory that is not shared are refused: the guest needs "
			"share=on",
			config_.name.c_str());
	return false;
}

void
device::message(uint32_t op, guard::bytes body)
{
	const char *name = vc_find_op(op).name.data();

	DRIVER_LOG(DEBUG, "%s: VIRTCHNL_OP_%s (%u), %zu bytes", config_.name.c_str(), name, op,
		   body.size());
	std::optional<vc_reply> reply = vc_dispatch(*this, op, body);

	if (!reply)
		return;
	if (reply->status != vc_status::success) {
		stats_.virtchnl_errors++;
		DRIVER_LOG_LIMITED(log_, INFO,
				   "%s: VIRTCHNL_OP_%s (%u), %zu bytes, answered with %d",
				   config_.name.c_str(), name, op, body.size(),
				   static_cast<int>(reply->status));
	}
	mailbox_.send(op, reply->status, reply->body);
	if (link_due_)
		notify_link();
}

uint32_t
device::grant(uint32_t wanted)
{
	granted_ = wanted & vc_offered_caps;
	return granted_;
}

void
device::enable(rte_emudev_dir dir, uint16_t index)
{
	queue &q = queues_[dir][index];

	if (q.enabled)
		return;
	/* Linux ignores a link that comes up before its queues are enabled. */
	link_due_ = link_due_ || enabled_pairs() == 0;
	q.enabled = true;
	q.resumed = false;
	q.head = 0;
	push_queue(dir, index);
}

void
device::disable(rte_emudev_dir dir, uint16_t index)
{
	queue &q = queues_[dir][index];

	if (!q.enabled)
		return;
	q.enabled = false;
	push_queue(dir, index);
	/* Linux never writes the tail of a transmit ring that begins anew, but may post frames
	 * before the queue is enabled, so that would be too late to clear it. */
	if (dir == RTE_EMUDEV_FROM_GUEST)
		registers_->store(reg::qtx_tail(index), 0);
}

/** Up to the last pair of which a queue is enabled. */
uint16_t
device::enabled_pairs() const
{
	uint16_t pairs = 0;

	for (rte_emudev_dir dir : directions)
		for (uint16_t i = 0; i < max_queue_pairs; i++)
			if (queues_[dir][i].enabled)
				pairs = std::max<uint16_t>(pairs, static_cast<uint16_t>(i + 1));
	return pairs;
}

/**
 * All of them or none: a driver forgets what it asked for in a message that is refused, and would
 * never remove it. A primary address takes no room, nor does the one that it replaces: a driver
 * removes that only afterwards.
 */
bool
device::add_macs(std::span<const mac_filter> wanted)
{
	std::vector<mac_address> all = filters_;
	mac_address primary = mac_;

	for (const mac_filter &one : wanted) {
		bool multicast = (one.address[0] & 1) != 0;

		/* Outlives a reset: Linux takes its address from the resources after each. */
		if (one.primary && !multicast)
			primary = one.address;
		if (std::ranges::find(all, one.address) == all.end())
			all.push_back(one.address);
		if (all.size() > max_mac_filters + 2)
			return false;
	}
	if (std::ranges::count_if(all, [&](const mac_address &one) {
		    return one != mac_ && one != primary;
	    }) > static_cast<ptrdiff_t>(max_mac_filters))
		return false;
	filters_ = std::move(all);
	mac_ = primary;
	push_config();
	return true;
}

void
device::change_mac(const mac_address &mac)
{
	if (mac == mac_)
		return;
	mac_ = mac;
	push_config();
}

void
device::remove_mac(const mac_address &mac)
{
	if (std::erase(filters_, mac) != 0)
		push_config();
}

void
device::set_promiscuous(uint16_t flags)
{
	promiscuous_ = flags;
	push_config();
}

rte_emudev_net_stats
device::traffic() const
{
	rte_emudev_net_stats stats;

	rte_emudev_net_stats_get(emudev_, &stats);
	return stats;
}

/** As on hardware, where a reset of the function clears its counters. */
void
device::begin_counting()
{
	rte_emudev_net_stats_reset(emudev_);
}

/**
 * Tells the driver the state of the link: up while the back-end serves the rings, if there are any.
 * Else Linux would transmit, and reset the device again and again because nothing is completed.
 */
void
device::notify_link()
{
	link_due_ = false;
	if (state_ != vf_state::active)
		return;
	bool in_mbps = (granted_ & vc_cap::adv_link_speed) != 0;

	send_event({
		.event = static_cast<int32_t>(vc_event::link_change),
		.link_speed = in_mbps ? config_.speed : vc_link_speed_code(config_.speed),
		.link_status = started() && enabled_pairs() != 0,
		.pad = {},
		.severity = static_cast<int32_t>(vc_severity::info),
	});
}

void
device::send_event(const vc_pf_event &event)
{
	mailbox_.send(vc_op::event, vc_status::success, guard::as_bytes(event));
}

void
device::connected(const rte_vfio_user_session &session)
{
	stats_.clients++;
	connected_ = true;
	told_to_share_ = false;
	numa_node_ = -1;
	registers_->set_mapped(session.mapped_bars != 0);
	last_activity_ = rte_get_tsc_cycles();
	set_poll(session.mapped_bars != 0 ? poll_busy_us : 0);
	push_link();
}

void
device::disconnected()
{
	connected_ = false;
	set_poll(0);
	registers_->set_mapped(false);
	reset(vf_event::client_gone);
	if (guard::status renewed = registers_->renew(); !renewed)
		DRIVER_LOG_LIMITED(log_, WARNING,
				   "%s: no new memory for BAR0 (%s): the last client's mapping of "
				   "it stays valid",
				   config_.name.c_str(), std::strerror(renewed.error().code));
}

/** The node of the guest's memory: that of the first page of the first region we see. That is one
 * of the first few: whatever a client maps, this must not take long. */
void
device::memory_changed()
{
	const rte_guest_mem_table *table =
		rte_guest_mem_get(rte_vfio_user_server_dma_table(server_));
	const int told = numa_node_;

	const rte_guest_mem_region *r = numa_node_ < 0 ? rte_guest_mem_next(table, 0) : nullptr;
	for (int i = 0; i < 16 && r != nullptr && numa_node_ < 0; i++) {
		int node = -1;

		if (r->addr != nullptr &&
		    get_mempolicy(&node, nullptr, 0, r->addr, MPOL_F_NODE | MPOL_F_ADDR) != 0)
			break; /* a kernel without NUMA */
		r = rte_guest_mem_after(table, r);
		numa_node_ = node;
	}
	if (numa_node_ != told)
		push_link();
	notify(RTE_EMUDEV_EVENT_MEMORY);
}

void
device::interrupts_changed()
{
	vectors_.evaluate();
}

void
device::memory_removed(uint64_t first, uint64_t last)
{
	rte_emudev_event event{};

	event.type = RTE_EMUDEV_EVENT_MEMORY_GONE;
	event.gone = {first, last};
	notify(event);
}

void
device::poll()
{
	uint64_t now = rte_get_tsc_cycles();

	if (mailbox_.poll())
		last_activity_ = now;
	vectors_.evaluate();
	bool busy = now - last_activity_ < poll_busy_ms * (rte_get_tsc_hz() / 1000);

	set_poll(busy ? poll_busy_us : poll_idle_us);
}

void
device::set_poll(uint32_t interval_us)
{
	if (interval_us != poll_interval_us_)
		rte_vfio_user_server_set_poll(server_, interval_us);
	poll_interval_us_ = interval_us;
}

/**
 * Holds for the next driver, and more queues also for this one when it asks again. No driver is
 * made to reset: Linux comes back with the queues it had, and the back-end shares them out; its MTU
 * may be well below the largest, and longer frames are dropped and counted.
 */
void
device::configure(uint16_t queue_pairs, uint16_t mtu)
{
	mtu_ = mtu;
	offered_pairs_ = std::min(queue_pairs, config_.queue_pairs);
}

void
device::set_mac(const mac_address &mac)
{
	config_.mac = mac;
	change_mac(mac);
}

void
device::set_speed(uint32_t mbps)
{
	config_.speed = mbps;
	push_link();
	notify_link();
}

void
device::set_mtu(uint16_t mtu)
{
	mtu_ = mtu;
}

} // namespace iavf
