/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.hpp"

#include <algorithm>
#include <cstring>

#include <numaif.h>

#include <rte_cycles.h>

#include "log.hpp"
#include "trace.h"
#include "virtchnl_server.hpp"

namespace iavf {

namespace {

/**
 * How often the registers of a client that cannot trap are looked at, by how long ago it has done
 * something. The commands of a set-up follow each other closely; a lone one, such as a query of
 * statistics, may wait a little: each look costs the core it happens on several microseconds. Of
 * very many devices most are left alone for long, which is not to cost that core a part of it.
 * Stock drivers give a command up after 250 ms (the admin queue of Intel's shared code), and this
 * thread may have to wait for its core.
 */
constexpr uint32_t shortest_look_us = 100;
constexpr struct {
	uint32_t until_ms, interval_us;
} looks[] = {
	{20, shortest_look_us},
	{5000, 5000},
	{UINT32_MAX, 150000},
};

uint32_t
look_interval(uint64_t silence_ms)
{
	return std::find_if(std::begin(looks), std::end(looks) - 1,
			    [=](const auto &row) { return silence_ms < row.until_ms; })
		->interval_us;
}

/** What saved states begin with. */
constexpr uint32_t state_format = 0x69617601;

vf_event
event_of(pci_device::reset_cause cause)
{
	switch (cause) {
	case pci_device::reset_cause::function_level:
		return vf_event::flr;
	case pci_device::reset_cause::message:
		return vf_event::device_reset;
	case pci_device::reset_cause::client_gone:
		break;
	}
	return vf_event::client_gone;
}

} // namespace

guard::result<std::unique_ptr<device>>
device::make(device_config config)
{
	std::unique_ptr<device> dev(new device(std::move(config), nullptr));

	TRY(dev->assemble());
	if (int ret = dev->serve(); ret < 0)
		return guard::failure{-ret};
	return dev;
}

guard::result<std::unique_ptr<device>>
device::make(device_config config, pci_device::bus &machine)
{
	std::unique_ptr<device> dev(new device(std::move(config), &machine));

	TRY(dev->assemble());
	return dev;
}

device::device(device_config config, pci_device::bus *machine)
    : config_(std::move(config)), bus_(machine == nullptr ? server_bus_ : *machine), host_(config_),
      agreed_(config_.mac)
{
}

/** What needs memory that may not be there, and what is built on it. */
guard::status
device::assemble()
{
	function_ = TRY(function::make(config_.name.c_str(), host_.vectors_for(config_.queue_pairs),
				       config_.rom, *this, bus_));
	session_ = std::make_unique<iavf::session>(function_->registers(), path_);
	mailbox_ = std::make_unique<iavf::mailbox>(function_->registers(), function_->signals(),
						   bus_, log_);
	return {};
}

int
device::serve()
{
	rte_vfio_user_server_conf conf;
	rte_vfio_user_server_conf_init(&conf);
	rte_vfio_user_server *server = nullptr;

	if (!function_->pci().valid())
		return -EINVAL;
	function_->pci().describe(conf);
	conf.path = config_.path.c_str();
	conf.rights = &config_.rights;
	conf.max_memory = config_.max_memory;
	conf.irq_inline = config_.irq_inline;
	int ret = rte_vfio_user_server_register(&conf, &server);

	server_bus_.attach(server);
	return ret;
}

device::~device()
{
	/* Calls disconnected() if there is a client. */
	if (server() != nullptr)
		rte_vfio_user_server_unregister(server());
}

int
device::listen()
{
	return rte_vfio_user_server_start(server());
}

void
device::transition(vf_event event)
{
	vf_state before = agreed_.state;

	agreed_.apply(event);
	emu_iavf_trace_state(config_.name.c_str(), name_of(event).data(),
			     static_cast<uint8_t>(before), static_cast<uint8_t>(agreed_.state));
	DRIVER_LOG(DEBUG, "%s: %s: state %u -> %u", config_.name.c_str(), name_of(event).data(),
		   static_cast<unsigned>(before), static_cast<unsigned>(agreed_.state));
}

/** All that the driver has set up by virtchnl goes. */
void
device::end_session()
{
	bool set_up = !session_->filters().empty() || session_->promiscuous() != 0 ||
		      session_->granted() != 0;

	session_ = std::make_unique<iavf::session>(function_->registers(), path_);
	if (set_up)
		push_config();
}

/** What all resets begin with: queues stop before registers go. */
void
device::end_driver(vf_event cause)
{
	stats_.resets++;
	DRIVER_LOG_LIMITED(life_log_, NOTICE, "%s: reset: %s", config_.name.c_str(),
			   name_of(cause).data());
	emu_iavf_trace_reset(config_.name.c_str(), name_of(cause).data());
	end_session();
	transition(cause);
	mailbox_->forget();
}

void
device::reset_by_driver(vf_event cause)
{
	end_driver(cause);
	function_->reset_by_driver();
	path_.begin_counting();
	push_link();
}

/**
 * The driver has asked for another number of queues, which it finds when it asks anew what it has.
 * As on hardware, it hears of the reset, and that is all of an answer. What has no room now is
 * lost, as the reset ends the mailbox.
 */
void
device::change_pairs(uint16_t queue_pairs)
{
	agreed_.requested_pairs = queue_pairs;
	announce_reset();
	reset_by_driver(vf_event::request_queues);
}

void
device::stop(pci_device::reset_cause cause)
{
	end_driver(event_of(cause));
}

void
device::reset(pci_device::reset_cause cause)
{
	function_->signals().reset();
	agreed_.first_mac_due |= cause == pci_device::reset_cause::message;
	agreed_.requested_pairs = 0;
	path_.begin_counting();
	if (cause == pci_device::reset_cause::client_gone)
		forget_machine();
	push_link();
	if (cause == pci_device::reset_cause::client_gone)
		renew_memory();
}

/** All that was negotiated goes. */
void
device::forget_machine()
{
	bool other = agreed_.mac != host_.mac;

	agreed_ = iavf::negotiated(host_.mac);
	if (other)
		push_config();
}

/** The memory of BAR0 was shared with a client that is gone. */
void
device::renew_memory()
{
	if (guard::status renewed = function_->registers().renew(); !renewed)
		DRIVER_LOG_LIMITED(log_, WARNING,
				   "%s: no new memory for BAR0 (%s): the last client's mapping of "
				   "it stays valid",
				   config_.name.c_str(), std::strerror(renewed.error().code));
}

/**
 * A driver asks what it has. One that lives on, whatever was reset, keeps at least the queues that
 * it was told before: Linux comes back with its old count. Only one that begins, which says VERSION
 * first, is told what the host has now, and finds nothing of its predecessor, which may have ended
 * without a reset, as with kexec. After a reset of the device, as at a reboot, it also gets the
 * first MAC address back. What a driver has asked for by REQUEST_QUEUES holds for all that come
 * after it, as drivers begin anew to have it, until somebody else resets the function.
 *
 * @param wanted Capabilities.
 */
void
device::tell_resources(uint32_t wanted)
{
	bool first_mac = std::exchange(agreed_.first_mac_due, false);

	if (host_.max_pairs <= max_base_pairs)
		wanted &= ~vc_cap::large_num_qpairs;

	if (agreed_.begins) {
		end_session();
		path_.begin_counting();
		agreed_.told_pairs = 0;
		if (first_mac)
			change_mac(host_.mac);
	}
	agreed_.told_pairs = agreed_.pairs_to_tell(std::min(host_.offered_pairs, max_base_pairs));
	if ((session_->grant(wanted) & vc_cap::large_num_qpairs) == 0)
		agreed_.told_pairs = std::min(agreed_.told_pairs, max_base_pairs);
	session_->rings().end_from(agreed_.told_pairs);
	if (agreed_.begins)
		DRIVER_LOG_LIMITED(life_log_, NOTICE,
				   "%s: a driver begins: virtchnl %u.%u, %u queue pairs, "
				   "capabilities %#x",
				   config_.name.c_str(), agreed_.version.major,
				   agreed_.version.minor, agreed_.told_pairs, session_->granted());
	transition(vf_event::resources);
}

void
device::queue_shutdown()
{
	DRIVER_LOG_LIMITED(life_log_, NOTICE, "%s: the driver ends, or begins anew: queue shutdown",
			   config_.name.c_str());
	end_session();
	transition(vf_event::queue_shutdown);
	mailbox_->forget();
	push_link();
}

/** Once for each client. */
void
device::warn_of_memory(const char *what)
{
	if (!std::exchange(client_.told_to_share, true))
		DRIVER_LOG_LIMITED(log_, WARNING, "%s: %s", config_.name.c_str(), what);
}

/**
 * The one loop that takes commands: after a tail was written, after an access that had to be waited
 * for, or when the guest has its next turn. One doorbell can have a thousand commands behind it.
 */
void
device::serve_mailbox()
{
	mailbox_->deliver();
	while (bus_.has_turn()) {
		std::optional<command> next = mailbox_->next_command();

		if (!next)
			return;
		carry_out(*next);
	}
	bus_.defer();
}

void
device::carry_out(const command &what)
{
	switch (what.what) {
	case command::kind::message:
		return message(what.op, what.body);
	case command::kind::queue_shutdown:
		return queue_shutdown();
	case command::kind::blank:
		return warn_of_memory("commands read as zeros: is the memory shared (share=on)?");
	}
}

/**
 * Whether the data path could reach a ring: not in memory that came without a file. A ring that is
 * not mapped at all may be so later.
 */
bool
device::can_serve_at(uint64_t iova)
{
	if (!bus_.lacks_file(iova))
		return true;
	warn_of_memory("rings in memory that is not shared are refused: the guest needs share=on");
	return false;
}

/** Who wants to see messages sees all of each. Others do not pay for that. */
void
device::log_body(vc_speaker from, uint32_t op, vc_status status, guard::bytes body)
{
	if (!rte_log_can_log(static_cast<uint32_t>(emu_iavf_log_driver), RTE_LOG_DEBUG))
		return;
	const char *name = vc_find_op(op).name.data();
	const std::string text = vc_text(from, op, body);

	DRIVER_LOG(DEBUG, "%s: VIRTCHNL_OP_%s (%u) %s the driver, status %d, %zu bytes: %s",
		   config_.name.c_str(), name, op, from == vc_speaker::driver ? "of" : "to",
		   static_cast<int>(status), body.size(), text.c_str());
}

void
device::message(uint32_t op, guard::bytes body)
{
	const vc_op_row &row = vc_find_op(op);
	const char *name = row.name.data();
	virtchnl_count &count = stats_.virtchnl.of[static_cast<size_t>(&row - vc_ops.data())];

	count.received++;
	log_body(vc_speaker::driver, op, vc_status::success, body);
	std::optional<vc_reply> reply = vc_dispatch(*this, op, body);

	if (!reply)
		return;
	if (reply->status != vc_status::success) {
		stats_.virtchnl_errors++;
		count.refused++;
		stats_.virtchnl.last_refused = op;
		stats_.virtchnl.last_status = static_cast<int32_t>(reply->status);
		DRIVER_LOG_LIMITED(log_, INFO,
				   "%s: VIRTCHNL_OP_%s (%u), %zu bytes, answered with %d",
				   config_.name.c_str(), name, op, body.size(),
				   static_cast<int>(reply->status));
	}
	log_body(vc_speaker::device, op, reply->status, reply->body);
	emu_iavf_trace_virtchnl(config_.name.c_str(), op, static_cast<uint32_t>(body.size()),
				static_cast<int32_t>(reply->status));
	mailbox_->send(op, reply->status, reply->body);
	if (session_->link_due())
		notify_link();
}

void
device::change_mac(const mac_address &mac)
{
	if (mac == agreed_.mac)
		return;
	agreed_.mac = mac;
	push_config();
}

/**
 * Tells the driver the state of the link: up while the back-end serves the rings, if there are any.
 * Else Linux would transmit, and reset the device again and again because nothing is completed.
 */
void
device::notify_link()
{
	session_->link_told();
	if (agreed_.state != vf_state::active)
		return;
	bool in_mbps = (session_->granted() & vc_cap::adv_link_speed) != 0;

	const vc_pf_event event{
		.event = static_cast<int32_t>(vc_event::link_change),
		.link_speed = in_mbps ? host_.speed : vc_link_speed_code(host_.speed),
		.link_status = path_.started() && host_.link_allowed() &&
			       session_->rings().enabled_pairs() != 0,
		.pad = {},
		.severity = static_cast<int32_t>(vc_severity::info),
	};

	log_body(vc_speaker::device, vc_op::event, vc_status::success, guard::as_bytes(event));
	emu_iavf_trace_link(config_.name.c_str(), event.link_status, event.link_speed);
	mailbox_->send_event(event);
}

int
device::connected(const rte_vfio_user_session &session)
{
	stats_.clients++;
	emu_iavf_trace_client(config_.name.c_str(), true);
	client_ = {.connected = true, .last_activity = rte_get_tsc_cycles()};
	function_->registers().set_mapped(session.mapped_bars != 0);
	set_poll(session.mapped_bars != 0 ? look_interval(0) : 0);
	push_link();
	return 0;
}

void
device::disconnected()
{
	client_.connected = false;
	emu_iavf_trace_client(config_.name.c_str(), false);
	set_poll(0);
	function_->registers().set_mapped(false);
}

void
device::register_written(uint8_t effect, uint32_t)
{
	switch (effect) {
	case atq_tail_written:
	case arq_tail_written: /* there may be room for what waits, and then for more commands */
		return serve_mailbox();
	case arq_len_written:
		return mailbox_->forget_messages();
	}
}

/** The node of the guest's memory: that of the first page of the first region we see. */
void
device::memory_changed()
{
	const void *memory = client_.numa_node < 0 ? bus_.first_memory() : nullptr;
	int node = -1;

	/* Fails with a kernel without NUMA. */
	if (memory != nullptr && get_mempolicy(&node, nullptr, 0, const_cast<void *>(memory),
					       MPOL_F_NODE | MPOL_F_ADDR) == 0)
		client_.numa_node = node;
	if (client_.numa_node >= 0 && memory != nullptr)
		push_link();
	path_.notify(RTE_EMUDEV_EVENT_MEMORY);
}

void
device::interrupts_changed()
{
	function_->signals().evaluate();
}

void
device::memory_removed(uint64_t first, uint64_t last)
{
	path_.memory_gone(first, last);
}

void
device::poll()
{
	uint64_t now = rte_get_tsc_cycles();

	if (mailbox_->poll())
		client_.last_activity = now;
	/* Also without news: what the driver has written since the last look may be in it already,
	 * as our own steps are. */
	serve_mailbox();
	function_->signals().evaluate();
	set_poll(look_interval((now - client_.last_activity) / (rte_get_tsc_hz() / MS_PER_S)));
}

void
device::set_poll(uint32_t interval_us)
{
	if (interval_us != client_.poll_interval_us)
		bus_.set_poll(interval_us);
	client_.poll_interval_us = interval_us;
}

/** By the back-end. */
void
device::started_or_stopped()
{
	notify_link();
}

void
device::push_link()
{
	path_.push(rte_emudev_link{sizeof(rte_emudev_link), client_.connected, host_.speed,
				   client_.numa_node});
}

void
device::push_config()
{
	static_assert(sizeof(mac_address) == sizeof(rte_ether_addr));
	std::span<const mac_address> from = session_->filters();
	std::vector<rte_ether_addr> filters(from.size());
	rte_emudev_net_config config{};

	if (!from.empty())
		std::memcpy(filters.data(), from.data(), from.size_bytes());
	config.struct_size = sizeof(config);
	/* A card sends its VF all that nobody else gets then; net_iavf relies on that. */
	if ((session_->promiscuous() & vc_promisc_info::unicast) != 0)
		config.promiscuous |=
			RTE_EMUDEV_NET_PROMISCUOUS_UNICAST | RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST;
	if ((session_->promiscuous() & vc_promisc_info::multicast) != 0)
		config.promiscuous |= RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST;
	std::memcpy(config.mac.addr_bytes, agreed_.mac.data(), agreed_.mac.size());
	config.nb_filters = static_cast<uint16_t>(filters.size());
	config.filters = filters.data();
	config.vlan = session_->vlans().describe(
		(config.promiscuous & RTE_EMUDEV_NET_PROMISCUOUS_UNICAST) != 0,
		host_.policy.in_port_vlan());
	config.rss = session_->rss().describe();
	config.nb_flows = static_cast<uint16_t>(session_->rules().all().size());
	config.flows = session_->rules().all().data();
	config.policy = pushed_policy();
	path_.push(config);
}

void
device::push_all()
{
	push_link();
	push_config();
	session_->rings().push_enabled();
}

void
device::set_speed(uint32_t mbps)
{
	host_.speed = mbps;
	push_link();
	notify_link();
}

/** All that is carried to another process. */
void
device::each_state(pci_device::state_walk &walk)
{
	uint32_t format = state_format;

	walk(format, *function_, agreed_, *session_, *mailbox_, stats_);
	walk.expect(format == state_format);
	if (!walk.expect(agreed_.told_pairs <= host_.max_pairs &&
			 agreed_.requested_pairs <= host_.max_pairs))
		agreed_.told_pairs = agreed_.requested_pairs = 0;
	walk.expect(session_->rings().pairs() <= agreed_.told_pairs);
}

guard::result<std::vector<std::byte>>
device::save()
{
	pci_device::state_walk walk;

	if (!mailbox_->idle())
		return guard::failure{EBUSY};
	each_state(walk);
	return walk.take();
}

guard::status
device::load(guard::bytes state)
{
	pci_device::state_walk walk(state);

	end_session();
	mailbox_->forget();
	each_state(walk);
	if (!walk.good()) {
		function_->pci().reset(pci_device::reset_cause::message);
		forget_machine();
		return guard::failure{EINVAL};
	}
	push_all();
	function_->signals().evaluate();
	return {};
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

} // namespace iavf
