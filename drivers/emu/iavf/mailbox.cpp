/* SPDX-License-Identifier: BSD-3-Clause */
#include "mailbox.hpp"

#include "log.hpp"

namespace iavf {

namespace {

constexpr ring_registers atq{"ATQ", reg::vf_atqbal1, reg::vf_atqbah1, reg::vf_atqlen1, reg::vf_atqh1,
			     reg::vf_atqt1};
constexpr ring_registers arq{"ARQ", reg::vf_arqbal1, reg::vf_arqbah1, reg::vf_arqlen1, reg::vf_arqh1,
			     reg::vf_arqt1};

/** Replies that may wait for room in the ARQ before no further command is taken. */
constexpr size_t max_waiting_replies = 64;
/** With events, which nobody asked for. */
constexpr size_t max_waiting = 2 * max_waiting_replies;

} // namespace

std::optional<mailbox::ring_view>
mailbox::look(const ring_registers &at)
{
	uint32_t len = registers_.load(at.len);
	ring_view out{
		.base = uint64_t{registers_.load(at.bah)} << 32 | registers_.load(at.bal),
		.size = aqlen::len::get(len),
		.head = aq_index::get(registers_.load(at.head)),
		.tail = aq_index::get(registers_.load(at.tail)),
	};

	if (!aqlen::enable::is_set(len) || aqlen::critical::is_set(len))
		return {};
	if (out.head >= out.size || out.tail >= out.size) {
		critical(at, "head or tail beyond its length");
		return {};
	}
	return out;
}

/** The queue stops; the driver sees the bit and has to set the queue up anew. */
void
mailbox::critical(const ring_registers &at, const char *what)
{
	stats_.errors++;
	registers_.set_bits(at.len, aqlen::critical::mask);
	DRIVER_LOG(INFO, "critical error of the %s: %s", at.name.data(), what);
}

void
mailbox::receive()
{
	/* The bound is for a client that moves the tail of a mapped register all the time. */
	for (unsigned i = 0; i < adminq_max_ring && waiting_.size() < max_waiting_replies; i++) {
		std::optional<ring_view> ring = look(atq);

		if (!ring || ring->head == ring->tail || !take(*ring))
			return;
	}
}

/** Takes one command. The descriptor is completed first: a RESET_VF must not stay in the ring. */
bool
mailbox::take(const ring_view &ring)
{
	guard::result<adminq_desc> desc = memory_.read<adminq_desc>(ring.at(ring.head));

	if (!desc) {
		critical(atq, "the ring is not in shared guest memory");
		return false;
	}
	std::vector<std::byte> body;
	adminq_rc rc = fetch(*desc, body);

	if (!complete(ring, *desc, rc))
		return false;
	if (rc != adminq_rc::ok)
		return true;
	stats_.received++;
	if (desc->opcode == static_cast<uint16_t>(adminq_op::queue_shutdown))
		client_.queue_shutdown();
	else
		client_.message(desc->cookie_high, body);
	return true;
}

/** Checks a command and copies its buffer. */
adminq_rc
mailbox::fetch(const adminq_desc &desc, std::vector<std::byte> &body)
{
	if (desc.opcode == static_cast<uint16_t>(adminq_op::queue_shutdown))
		return adminq_rc::ok;
	if (desc.opcode != static_cast<uint16_t>(adminq_op::send_msg_to_pf))
		return adminq_rc::bad_opcode;
	if (desc.datalen > adminq_max_buffer)
		return adminq_rc::too_big;
	/* An empty message comes with address 0 or without BUF: its address is not looked at. */
	body.resize(desc.datalen);
	if (!memory_.read(uint64_t{desc.addr_high} << 32 | desc.addr_low, body))
		return adminq_rc::bad_address;
	return adminq_rc::ok;
}

bool
mailbox::complete(const ring_view &ring, adminq_desc desc, adminq_rc rc)
{
	desc.flags |= adminq_flag::dd::mask | adminq_flag::cmp::mask;
	desc.retval = static_cast<uint16_t>(rc);
	if (rc != adminq_rc::ok) {
		stats_.errors++;
		desc.flags |= adminq_flag::err::mask;
		DRIVER_LOG(INFO, "admin queue command %#x fails with %u", desc.opcode, desc.retval);
	}
	if (!memory_.write(ring.at(ring.head), guard::as_bytes(desc))) {
		critical(atq, "the ring cannot be written");
		return false;
	}
	registers_.store(atq.head, ring.next());
	return true;
}

void
mailbox::room()
{
	flush();
	receive();
}

void
mailbox::send(uint32_t op, vc_status status, guard::bytes body)
{
	if (waiting_.size() >= max_waiting) {
		stats_.dropped++;
		registers_.set_bits(arq.len, aqlen::overflow::mask);
		return;
	}
	waiting_.push_back({op, status, {body.begin(), body.end()}});
	flush();
}

void
mailbox::flush()
{
	bool sent = false;

	while (!waiting_.empty()) {
		std::optional<ring_view> ring = look(arq);

		if (!ring || ring->head == ring->tail || !put(*ring, waiting_.front()))
			break;
		waiting_.pop_front();
		sent = true;
	}
	if (sent)
		vectors_.raise(icr0::adminq::mask);
}

/** Writes one message into the next free element of the ARQ. */
bool
mailbox::put(const ring_view &ring, const outgoing &message)
{
	guard::result<adminq_desc> posted = memory_.read<adminq_desc>(ring.at(ring.head));

	if (!posted) {
		critical(arq, "the ring is not in shared guest memory");
		return false;
	}
	adminq_desc desc = *posted;
	bool fits = message.body.size() <= desc.datalen &&
		    memory_.write(uint64_t{desc.addr_high} << 32 | desc.addr_low, message.body);

	desc.flags = static_cast<uint16_t>(
		(desc.flags & (adminq_flag::buf::mask | adminq_flag::lb::mask)) |
		adminq_flag::dd::mask | adminq_flag::cmp::mask | (fits ? 0 : adminq_flag::err::mask));
	desc.opcode = static_cast<uint16_t>(adminq_op::send_msg_to_vf);
	desc.datalen = fits ? static_cast<uint16_t>(message.body.size()) : 0;
	desc.retval = static_cast<uint16_t>(fits ? adminq_rc::ok : adminq_rc::bad_address);
	desc.cookie_high = message.op;
	desc.cookie_low = static_cast<uint32_t>(message.status);
	if (!memory_.write(ring.at(ring.head), guard::as_bytes(desc))) {
		critical(arq, "the ring cannot be written");
		return false;
	}
	/* Released after the message and its descriptor: drivers go by the head. */
	registers_.store(arq.head, ring.next());
	seen_arq_.head = ring.next(); /* our own step is no news for poll() */
	stats_.sent++;
	return true;
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
		forget();
	if (changed || !waiting_.empty())
		room();
	seen_atq_ = take_snapshot(atq);
	seen_arq_ = take_snapshot(arq);
	return changed;
}

} // namespace iavf
