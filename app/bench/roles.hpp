/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <vector>

#include "meeting.hpp"

/**
 * The roles, the same loops for ethdev ports and for the bare ring. A Port has
 *   uint16_t send(uint64_t sequence, uint16_t count)   sends what fits of the frames from sequence
 * on uint16_t receive(F each)                           calls each(frame, length), then frees them
 *   uint16_t echo(const stop_signal &stop)             sends what it receives back
 *   make_checker(const plan &p)                        checks the frames that it receives
 */
namespace bench {

constexpr uint16_t burst = 32;
/** After this silence frames that are still out are lost: it ends a round trip's wait. */
constexpr double lost_after = 0.25;

/** Sends for the planned time as fast as the port takes frames; a full ring is tried again. */
template <class Port>
outcome
transmit(Port &port, const plan &p)
{
	uint64_t sent = 0;
	window measured(p);
	const uint64_t end = ticks() + to_ticks(p.warmup + p.seconds + p.overtime);
	for (uint64_t now = ticks(); now < end; now = ticks()) {
		sent += port.send(p.first_sequence() + sent, burst);
		measured.update(now, sent);
	}
	if constexpr (requires { port.finish(); })
		sent += port.finish();
	outcome o;
	o.sent = sent;
	return o.add(measured);
}

/** Receives until told to stop and nothing more arrives. */
template <class Port>
outcome
receive(Port &port, const plan &p, const stop_signal &stop)
{
	auto check = port.make_checker(p);
	window measured(p);
	const uint64_t timeout = to_ticks(p.silence), patience = to_ticks(lost_after);
	uint64_t last = 0, stopped = 0;
	while (stopped == 0 || (ticks() < last + timeout && last < stopped + patience)) {
		/* read before the poll, which then sees all that was sent before the stop */
		bool stopping = stop.raised();
		uint16_t count = port.receive(check);
		uint64_t now = ticks();
		measured.update(now, check.received());
		if (stopping && stopped == 0)
			stopped = last = now;
		else if (count != 0)
			last = now;
	}
	return outcome().add(check).add(measured);
}

/** Sends back what arrives, until told to stop. */
template <class Port>
outcome
echo(Port &port, const plan &p, const stop_signal &stop)
{
	outcome o;
	window measured(p);
	while (!stop.raised()) {
		o.sent += port.echo(stop);
		measured.update(ticks(), o.sent);
	}
	return o.add(measured);
}

/** Polls all queues until told to stop; after the warm-up each burst's time counts. */
template <class Port>
outcome
poll(Port &port, const plan &p, const stop_signal &stop)
{
	outcome o;
	poll_cost warming;
	disturbance alone;
	const uint64_t begin = ticks() + to_ticks(p.warmup);
	while (ticks() < begin)
		port.poll(warming);
	alone.begin();
	while (!stop.raised())
		o.received += port.poll(o.polls);
	alone.end();
	/* What was sent before the stop is to be gone before the next measurement. */
	for (uint64_t last = ticks(); ticks() < last + to_ticks(p.silence);)
		if (port.poll(warming) != 0)
			last = ticks();
	o.cpu_share = alone.cpu_share();
	o.preempted = alone.preempted();
	o.polls.leave_out(ticks_of_reading());
	return o;
}

/** Sends nothing for the planned time. */
inline outcome
rest(const plan &p)
{
	const uint64_t end = ticks() + to_ticks(p.warmup + p.seconds);
	while (ticks() < end)
		__builtin_ia32_pause();
	return {};
}

/** Keeps frames in flight through the other side's echo; with a limit it takes each one's time. */
class flight {
public:
	explicit flight(const plan &p)
	    : limit_(p.in_flight != 0 ? p.in_flight : UINT32_MAX), timed_(p.in_flight != 0)
	{
	}

	uint16_t room() const { return std::min<uint64_t>(burst, limit_ - out_); }
	uint64_t out() const { return out_; }

	void sent(uint64_t sequence, uint16_t count, uint64_t now)
	{
		out_ += count;
		for (uint16_t i = 0; timed_ && i < count; i++)
			sent_at_[(sequence + i) % slots] = now;
	}

	void received(uint64_t sequence, bool measuring)
	{
		if (out_ != 0) /* a repeated frame must not wrap it */
			out_--;
		if (timed_ && measuring)
			times_.add(ticks() - sent_at_[sequence % slots]);
	}

	void forget() { out_ = 0; }
	const histogram &times() const { return times_; }

private:
	static constexpr uint32_t slots = 1024;
	uint64_t limit_, out_ = 0;
	bool timed_;
	std::vector<uint64_t> sent_at_ = std::vector<uint64_t>(slots);
	histogram times_;
};

template <class Port>
outcome
round_trip(Port &port, const plan &p)
{
	auto check = port.make_checker(p);
	window measured(p);
	flight out(p);
	uint64_t sent = 0, last = ticks();
	const uint64_t timeout = to_ticks(lost_after);
	const uint64_t end = last + to_ticks(p.warmup + p.seconds + 1);

	for (uint64_t now = last; now < end && (!measured.done() || out.out() != 0);
	     now = ticks()) {
		uint16_t room = measured.done() ? 0 : out.room();
		if (room != 0) {
			uint16_t count = port.send(p.first_sequence() + sent, room);
			out.sent(p.first_sequence() + sent, count, now);
			sent += count;
		}
		uint16_t count = port.receive([&](const std::byte *frame, uint32_t length) {
			if (check(frame, length))
				out.received(sequence_of(frame), measured.measuring());
		});
		measured.update(now, check.received());
		if (count != 0)
			last = now;
		else if (out.out() != 0 && now > last + timeout)
			out.forget();
	}
	outcome o;
	o.sent = sent;
	return o.add(check).add(measured).add(out.times());
}

} // namespace bench
