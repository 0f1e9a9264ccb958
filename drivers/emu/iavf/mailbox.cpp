/* SPDX-License-Identifier: BSD-3-Clause */
#include "mailbox.hpp"

#include <algorithm>

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

guard::mutable_bytes
as_writable_bytes(adminq_desc &desc)
{
	return std::as_writable_bytes(std::span<adminq_desc, 1>(&desc, 1));
}

} // namespace

command_ring::command_ring(register_file &registers, mailbox_stats &stats, guard::rate_limit &log,
			   mailbox &owner)
    : admin_ring(atq, registers, stats, log), owner_(owner)
{
}

bool
command_ring::step()
{
	switch (stage_) {
	case stage::nothing:
		return begin();
	case stage::descriptor:
		return check();
	case stage::body:
		return complete(error() == 0 ? adminq_rc::ok : adminq_rc::bad_address);
	case stage::completion:
		return finish();
	}
	return false;
}

bool
command_ring::begin()
{
	std::optional<ring_view> ring = look();

	if (!ring || ring->empty() || owner_.congested())
		return false;
	at_head_ = ring->at_head();
	next_ = ring->next();
	stage_ = stage::descriptor;
	read(at_head_, as_writable_bytes(desc_));
	return true;
}

/** Checks a command and fetches its buffer. */
bool
command_ring::check()
{
	stage_ = stage::nothing;
	if (error() != 0)
		return critical("the ring cannot be read");
	body_.clear();
	if (std::ranges::all_of(guard::as_bytes(desc_),
				[](std::byte b) { return b == std::byte{}; }))
		owner_.client().blank_command();
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
	stage_ = stage::body;
	read(address_of(desc_), body_);
	return true;
}

/** Writes the descriptor back, before the command is carried out: a RESET_VF must not stay in the
 * ring. */
bool
command_ring::complete(adminq_rc rc)
{
	rc_ = rc;
	completion_ = desc_;
	completion_.flags |= adminq_flag::dd::mask | adminq_flag::cmp::mask;
	completion_.retval = static_cast<uint16_t>(rc);
	if (rc != adminq_rc::ok) {
		stats_.errors++;
		completion_.flags |= adminq_flag::err::mask;
		DRIVER_LOG_LIMITED(log_, INFO, "admin queue command %#x fails with %u",
				   desc_.opcode, completion_.retval);
	}
	stage_ = stage::completion;
	write(at_head_, guard::as_bytes(completion_));
	return true;
}

bool
command_ring::finish()
{
	stage_ = stage::nothing;
	if (error() != 0)
		return critical("the ring cannot be written");
	registers_.store(at_.head, next_);
	if (rc_ != adminq_rc::ok)
		return true;
	stats_.received++;
	if (desc_.opcode == static_cast<uint16_t>(adminq_op::queue_shutdown))
		owner_.client().queue_shutdown();
	else
		owner_.client().message(desc_.cookie_high, body_);
	return true;
}

message_ring::message_ring(register_file &registers, mailbox_stats &stats, guard::rate_limit &log,
			   mailbox &owner)
    : admin_ring(arq, registers, stats, log), owner_(owner)
{
}

void
message_ring::send(uint32_t op, vc_status status, guard::bytes body)
{
	if (waiting_.size() >= max_waiting) {
		stats_.dropped++;
		registers_.set_bits(at_.len, aqlen::overflow::mask);
		return;
	}
	waiting_.push_back({op, status, {body.begin(), body.end()}});
	run();
}

void
message_ring::forget()
{
	waiting_.clear();
	cancel();
}

bool
message_ring::congested() const
{
	return waiting_.size() >= max_waiting_replies;
}

bool
message_ring::step()
{
	switch (stage_) {
	case stage::nothing:
		return begin();
	case stage::descriptor:
		return fill();
	case stage::body:
		return hand_over(error() == 0);
	case stage::completion:
		return finish();
	}
	return false;
}

bool
message_ring::begin()
{
	if (waiting_.empty())
		return false;
	std::optional<ring_view> ring = look();

	if (!ring || ring->empty())
		return false;
	at_head_ = ring->at_head();
	next_ = ring->next();
	current_ = std::move(waiting_.front());
	waiting_.pop_front();
	stage_ = stage::descriptor;
	read(at_head_, as_writable_bytes(desc_));
	return true;
}

/** Writes the message into the buffer that the driver has posted. */
bool
message_ring::fill()
{
	stage_ = stage::nothing;
	if (error() != 0)
		return critical("the ring cannot be read");
	if (current_.body.size() > desc_.datalen)
		return hand_over(false);
	if (current_.body.empty())
		return hand_over(true);
	stage_ = stage::body;
	write(address_of(desc_), current_.body);
	return true;
}

bool
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
	stage_ = stage::completion;
	write(at_head_, guard::as_bytes(desc_));
	return true;
}

bool
message_ring::finish()
{
	stage_ = stage::nothing;
	if (error() != 0)
		return critical("the ring cannot be written");
	/* Released after the message and its descriptor: drivers go by the head. */
	registers_.store(at_.head, next_);
	stats_.sent++;
	owner_.sent(next_);
	return true;
}

mailbox::mailbox(register_file &registers, interrupts &vectors, mailbox_client &client,
		 guard::rate_limit &log)
    : registers_(registers), vectors_(vectors), client_(client),
      commands_(registers, stats_, log, *this), messages_(registers, stats_, log, *this)
{
}

void
mailbox::attach(rte_vfio_user_server *server)
{
	commands_.attach(server);
	messages_.attach(server);
}

void
mailbox::room()
{
	messages_.run();
	commands_.run();
}

void
mailbox::forget()
{
	commands_.forget();
	messages_.forget();
}

void
mailbox::sent(uint32_t head)
{
	seen_arq_.head = head; /* our own step is no news for poll() */
	vectors_.raise(icr0::adminq::mask);
	commands_.run();
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
	/* Also without news: what the driver has written since the last look may be in it already,
	 * as our own steps are. */
	room();
	return changed;
}

} // namespace iavf
