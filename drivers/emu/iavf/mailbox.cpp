/* SPDX-License-Identifier: BSD-3-Clause */
#include "mailbox.hpp"

#include <algorithm>
#include <utility>

#include "log.hpp"

namespace iavf {

namespace {

constexpr ring_registers atq{"ATQ",           reg::vf_atqbal1, reg::vf_atqbah1,
			     reg::vf_atqlen1, reg::vf_atqh1,   reg::vf_atqt1};
constexpr ring_registers arq{"ARQ",           reg::vf_arqbal1, reg::vf_arqbah1,
			     reg::vf_arqlen1, reg::vf_arqh1,   reg::vf_arqt1};

/** Replies that may wait for room in the ARQ before no further command is taken. */
constexpr size_t max_waiting_replies = 64;
/** With events, which nobody asked for. */
constexpr size_t max_waiting = 2 * max_waiting_replies;

uint64_t
address_of(const adminq_desc &desc)
{
	return uint64_t{desc.addr_high} << 32 | desc.addr_low;
}

} // namespace

command_ring::command_ring(pci_device::register_bar &registers, pci_device::bus &machine,
			   mailbox_stats &stats, guard::rate_limit &log)
    : admin_ring(atq, registers, machine, stats, log)
{
}

std::optional<command>
command_ring::next(bool may_begin)
{
	while (!waiting()) {
		switch (stage_) {
		case stage::nothing:
			if (!may_begin || !begin())
				return {};
			break;
		case stage::descriptor:
			check();
			break;
		case stage::body:
			complete(error() == 0 ? adminq_rc::ok : adminq_rc::bad_address);
			break;
		case stage::completion:
			if (std::optional<command> taken = take())
				return taken;
		}
	}
	return {};
}

/** Checks a command and fetches its buffer. */
void
command_ring::check()
{
	stage_ = stage::nothing;
	if (error() != 0)
		return critical("the ring cannot be read");
	body_.clear();
	blank_ = std::ranges::all_of(guard::as_bytes(desc_),
				     [](std::byte b) { return b == std::byte{}; });
	if (desc_.opcode == static_cast<uint16_t>(adminq_op::queue_shutdown))
		return complete(adminq_rc::ok);
	if (desc_.opcode != static_cast<uint16_t>(adminq_op::send_msg_to_pf))
		return complete(adminq_rc::bad_opcode);
	if (desc_.datalen > adminq_max_buffer)
		return complete(adminq_rc::too_big);
	/* An empty message comes with address 0 or without BUF: its address is not looked at. */
	if (desc_.datalen == 0)
		return complete(adminq_rc::ok);
	body_.resize(desc_.datalen);
	read(stage::body, address_of(desc_), body_);
}

/** Writes the descriptor back, before the command is carried out: a RESET_VF must not stay in the
 * ring. */
void
command_ring::complete(adminq_rc rc)
{
	rc_ = rc;
	desc_.flags |= adminq_flag::dd::mask | adminq_flag::cmp::mask;
	desc_.retval = static_cast<uint16_t>(rc);
	if (rc != adminq_rc::ok) {
		stats_.errors++;
		desc_.flags |= adminq_flag::err::mask;
		DRIVER_LOG_LIMITED(log_, INFO, "admin queue command %#x fails with %u",
				   desc_.opcode, desc_.retval);
	}
	write_back();
}

std::optional<command>
command_ring::take()
{
	if (!finish())
		return {};
	if (blank_)
		return command{command::kind::blank};
	if (rc_ != adminq_rc::ok)
		return {};
	stats_.received++;
	if (desc_.opcode == static_cast<uint16_t>(adminq_op::queue_shutdown))
		return command{command::kind::queue_shutdown};
	return command{command::kind::message, desc_.cookie_high, std::move(body_)};
}

message_ring::message_ring(pci_device::register_bar &registers, pci_device::bus &machine,
			   mailbox_stats &stats, guard::rate_limit &log)
    : admin_ring(arq, registers, machine, stats, log)
{
}

void
message_ring::keep(uint32_t op, vc_status status, guard::bytes body)
{
	if (waiting_messages_.size() >= max_waiting) {
		stats_.dropped++;
		registers_.set_bits(at_.len, aqlen::overflow::mask);
		return;
	}
	waiting_messages_.push_back({op, status, {body.begin(), body.end()}});
}

/** A guest that sends the operation of events is answered by it, too, without a body. */
bool
message_ring::is_event(const outgoing &one)
{
	return one.op == vc_op::event && one.body.size() == sizeof(vc_pf_event);
}

bool
message_ring::replace_event(guard::bytes body)
{
	constexpr size_t kind = sizeof(vc_pf_event::event);
	const auto older = std::ranges::find_if(waiting_messages_, [&](const outgoing &one) {
		return is_event(one) &&
		       std::ranges::equal(std::span(one.body).first(kind), body.first(kind));
	});

	if (older == waiting_messages_.end())
		return false;
	older->body.assign(body.begin(), body.end());
	return true;
}

void
message_ring::forget()
{
	waiting_messages_.clear();
	cancel();
}

bool
message_ring::congested() const
{
	return waiting_messages_.size() >= max_waiting_replies;
}

void
message_ring::each_state(pci_device::state_walk &walk)
{
	walk(waiting_messages_);
	if (!walk.expect(waiting_messages_.size() <= max_waiting))
		waiting_messages_.clear();
}

std::optional<uint32_t>
message_ring::deliver()
{
	while (!waiting()) {
		switch (stage_) {
		case stage::nothing:
			if (!begin_next())
				return {};
			break;
		case stage::descriptor:
			fill();
			break;
		case stage::body:
			hand_over(error() == 0);
			break;
		case stage::completion:
			if (!finish())
				break;
			stats_.sent++;
			return head_after();
		}
	}
	return {};
}

bool
message_ring::begin_next()
{
	/* The access to the descriptor may be over at the return: nothing is done with it yet. */
	if (waiting_messages_.empty() || !begin())
		return false;
	current_ = std::move(waiting_messages_.front());
	waiting_messages_.pop_front();
	return true;
}

/** Writes the message into the buffer that the driver has posted. */
void
message_ring::fill()
{
	stage_ = stage::nothing;
	if (error() != 0)
		return critical("the ring cannot be read");
	if (current_.body.size() > desc_.datalen)
		return hand_over(false);
	if (current_.body.empty())
		return hand_over(true);
	write(stage::body, address_of(desc_), current_.body);
}

void
message_ring::hand_over(bool fits)
{
	constexpr uint16_t kept = adminq_flag::buf::mask | adminq_flag::lb::mask;
	constexpr uint16_t done = adminq_flag::dd::mask | adminq_flag::cmp::mask;

	desc_.flags = static_cast<uint16_t>((desc_.flags & kept) | done |
					    (fits ? 0 : adminq_flag::err::mask));
	desc_.opcode = static_cast<uint16_t>(adminq_op::send_msg_to_vf);
	desc_.datalen = fits ? static_cast<uint16_t>(current_.body.size()) : 0;
	desc_.retval = static_cast<uint16_t>(fits ? adminq_rc::ok : adminq_rc::bad_address);
	desc_.cookie_high = current_.op;
	desc_.cookie_low = static_cast<uint32_t>(current_.status);
	write_back();
}

mailbox::mailbox(pci_device::register_bar &registers, vectors &signals, pci_device::bus &machine,
		 guard::rate_limit &log)
    : registers_(registers), signals_(signals), commands_(registers, machine, stats_, log),
      messages_(registers, machine, stats_, log)
{
}

std::optional<command>
mailbox::next_command()
{
	return commands_.next(!messages_.congested());
}

void
mailbox::send(uint32_t op, vc_status status, guard::bytes body)
{
	messages_.keep(op, status, body);
	deliver();
}

void
mailbox::send_event(const vc_pf_event &event)
{
	const guard::bytes body = guard::as_bytes(event);

	if (!messages_.replace_event(body))
		messages_.keep(vc_op::event, vc_status::success, body);
	deliver();
}

void
mailbox::deliver()
{
	while (std::optional<uint32_t> head = messages_.deliver()) {
		seen_arq_.head = *head; /* our own step is no news for poll() */
		signals_.raise(icr0::adminq::mask);
	}
}

void
mailbox::forget()
{
	commands_.cancel();
	messages_.forget();
}

mailbox::snapshot
mailbox::take_snapshot(const ring_registers &at) const
{
	return {registers_.load(at.len), registers_.load(at.bal), registers_.load(at.bah),
		registers_.load(at.head), registers_.load(at.tail)};
}

bool
mailbox::poll()
{
	snapshot atq_now = take_snapshot(atq), arq_now = take_snapshot(arq);
	bool changed = atq_now != seen_atq_ || arq_now != seen_arq_;

	/* A queue may be disabled and enabled between two looks. The registers show it: the driver
	 * sets the head to 0. If they show nothing, no message was sent on the old queue. */
	if (!arq_now.same_ring(seen_arq_))
		messages_.forget();
	seen_atq_ = atq_now;
	seen_arq_ = arq_now;
	return changed;
}

} // namespace iavf
