/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "frame.hpp"

/** What the roles measure with: time, received frames, latency, and how undisturbed they were. */
namespace bench {

/** What a role is told to do. Times are in seconds. */
struct plan {
	uint32_t frame = 64;
	double warmup = 0.1;
	double seconds = 1;
	uint32_t in_flight = 0; /**< round trips: 0 means as many as the rings take */
	uint32_t number = 1;    /**< of the measurement: its frames are told from late ones by it */
	double overtime =
		0.02;          /**< the transmitter goes on a little longer than that is measured */
	double silence = 0.01; /**< after it nothing more will come */

	uint64_t first_sequence() const { return uint64_t{number} << number_shift; }
	bool owns(uint64_t sequence) const { return sequence >> number_shift == number; }

private:
	static constexpr unsigned int number_shift = 40;
};

inline uint64_t
ticks()
{
	return __builtin_ia32_rdtsc();
}

inline double
seconds_of(clockid_t clock)
{
	timespec now = {};
	clock_gettime(clock, &now);
	return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/** The same moment by both clocks: the best of several tries, because one may be interrupted. */
struct moment {
	uint64_t at = 0;
	double seconds = 0;

	moment()
	{
		for (uint64_t best = UINT64_MAX, tries = 0; tries < 16; tries++) {
			uint64_t before = ticks();
			double now = seconds_of(CLOCK_MONOTONIC);
			uint64_t after = ticks();
			if (after - before >= best)
				continue;
			best = after - before;
			at = before + best / 2;
			seconds = now;
		}
	}
};

/** The rate of ticks(), measured once. */
inline double
ticks_per_second()
{
	static const double rate = [] {
		const moment first;
		usleep(20000);
		const moment second;
		return static_cast<double>(second.at - first.at) / (second.seconds - first.seconds);
	}();
	return rate;
}

inline uint64_t
to_ticks(double seconds)
{
	return static_cast<uint64_t>(seconds * ticks_per_second());
}

/** Round-trip times in steps of 16 ticks; what is longer than the last step counts as that. */
class histogram {
public:
	void add(uint64_t duration)
	{
		uint64_t step = duration / step_ticks;
		counts_[step < steps ? step : steps - 1]++;
		total_++;
	}

	/** The time in ns that this share of all round trips did not exceed. */
	double quantile(double share) const
	{
		uint64_t wanted = static_cast<uint64_t>(share * static_cast<double>(total_)),
			 seen = 0;
		uint32_t step = 0;
		while (step < steps - 1 && (seen += counts_[step]) <= wanted)
			step++;
		return (step + 0.5) * step_ticks / ticks_per_second() * 1e9;
	}

	uint64_t total() const { return total_; }

private:
	static constexpr uint32_t step_ticks = 16;
	static constexpr uint32_t steps = 1 << 16;
	std::vector<uint32_t> counts_ = std::vector<uint32_t>(steps);
	uint64_t total_ = 0;
};

/** CPU time and preemptions of this thread between two moments: was it alone on its core? */
class disturbance {
public:
	void begin()
	{
		wall_ = -seconds_of(CLOCK_MONOTONIC);
		cpu_ = -seconds_of(CLOCK_THREAD_CPUTIME_ID);
		preempted_ = -preemptions();
	}

	void end()
	{
		wall_ += seconds_of(CLOCK_MONOTONIC);
		cpu_ += seconds_of(CLOCK_THREAD_CPUTIME_ID);
		preempted_ += preemptions();
	}

	double cpu_share() const { return wall_ > 0 ? cpu_ / wall_ : 0; }
	long preempted() const { return preempted_; }

private:
	static long preemptions()
	{
		rusage usage = {};
		getrusage(RUSAGE_THREAD, &usage);
		return usage.ru_nivcsw;
	}

	double wall_ = 0, cpu_ = 0;
	long preempted_ = 0;
};

/** Counts frames within the measured time, which starts `warmup` after the first one. */
class window {
public:
	explicit window(const plan &p) : warmup_(to_ticks(p.warmup)), length_(to_ticks(p.seconds))
	{
	}

	/** Called after each burst. */
	void update(uint64_t now, uint64_t packets)
	{
		if (now < next_ || packets == 0)
			return;
		turn(now, packets);
	}

	uint64_t packets() const { return done() ? packets_ : 0; }
	double seconds() const { return static_cast<double>(duration_) / ticks_per_second(); }
	bool measuring() const { return state_ == measured; }
	bool done() const { return state_ == over; }
	const disturbance &disturbed() const { return disturbed_; }

private:
	enum { idle, warming, measured, over } state_ = idle;

	void turn(uint64_t now, uint64_t packets)
	{
		if (state_ == idle) {
			state_ = warming;
			next_ = now + warmup_;
		} else if (state_ == warming) {
			disturbed_.begin();
			state_ = measured;
			since_ = ticks();
			packets_ = packets;
			next_ = since_ + length_;
		} else {
			state_ = over;
			packets_ = packets - packets_;
			duration_ = now - since_;
			next_ = UINT64_MAX;
			disturbed_.end();
		}
	}

	uint64_t warmup_, length_, next_ = 0, since_ = 0, packets_ = 0, duration_ = 0;
	disturbance disturbed_;
};

/**
 * Looks at every received frame's sequence number and at the whole of every n-th frame. Frames of
 * an earlier measurement, which come late when a side was off its core for long, count as late
 * only.
 */
class checker {
public:
	explicit checker(const plan &p)
	    : plan_(p), mask_(sampling(p.frame) - 1), expected_(p.first_sequence())
	{
	}

	/** Of how many frames one is looked at. Reading a jumbo frame costs as much as receiving
	 * several. */
	static uint64_t sampling(uint32_t frame) { return frame <= 2048 ? 64 : 512; }

	/** False for a late frame. */
	bool operator()(const std::byte *frame, uint32_t length)
	{
		uint64_t sequence = sequence_of(frame);
		if (sequence != expected_ && !jump(sequence))
			return false;
		expected_ = sequence + 1;
		if ((++received_ & mask_) == 0 || length != plan_.frame)
			check(frame, length);
		return true;
	}

	uint64_t received() const { return received_; }
	uint64_t checked() const { return checked_; }
	uint64_t damaged() const { return damaged_; }
	uint64_t disordered() const { return disordered_; }
	uint64_t late() const { return late_; }

private:
	[[gnu::noinline]] bool jump(uint64_t sequence)
	{
		bool ours = plan_.owns(sequence);
		(ours ? disordered_ : late_)++;
		return ours;
	}

	[[gnu::noinline]] void check(const std::byte *frame, uint32_t length)
	{
		checked_++;
		if (length != plan_.frame || !is_intact(frame, length))
			damaged_++;
	}

	plan plan_;
	uint64_t mask_, expected_;
	uint64_t received_ = 0, checked_ = 0, damaged_ = 0, disordered_ = 0, late_ = 0;
};

/** What bursts cost by the time-stamp counter: those that found packets, and the others. */
struct poll_cost {
	uint64_t busy_ticks = 0, busy_polls = 0, packets = 0;
	uint64_t idle_ticks = 0, idle_polls = 0;

	/** Leaves out what a burst that found packets took to be measured. */
	void leave_out(uint64_t ticks) { busy_ticks -= std::min(busy_ticks, busy_polls * ticks); }
};

/** What it takes to read the time. */
inline uint64_t
ticks_of_reading()
{
	constexpr uint32_t times = 1000;
	const uint64_t begin = ticks();
	uint64_t end = begin;
	for (uint32_t i = 0; i < times; i++)
		end = ticks();
	return (end - begin) / times;
}

/** What a role found, as one line of JSON. */
struct outcome {
	uint64_t sent = 0, received = 0, checked = 0, damaged = 0, disordered = 0, late = 0;
	uint64_t packets = 0; /**< in the measured time, as are the next three */
	double seconds = 0, cpu_share = 0;
	long preempted = 0;
	double median_ns = 0, p99_ns = 0;
	double distance_ns = 0; /**< to the other core and back; the active end finds it */
	poll_cost polls;        /**< only of the role that measures them */

	template <class Checker> outcome &add(const Checker &c) requires requires
	{
		c.disordered();
	}
	{
		received = c.received();
		checked = c.checked();
		damaged = c.damaged();
		disordered = c.disordered();
		late = c.late();
		return *this;
	}

	outcome &add(const window &w)
	{
		packets = w.packets();
		seconds = w.seconds();
		cpu_share = w.disturbed().cpu_share();
		preempted = w.disturbed().preempted();
		return *this;
	}

	outcome &add(const histogram &h)
	{
		if (h.total() != 0) {
			median_ns = h.quantile(0.5);
			p99_ns = h.quantile(0.99);
		}
		return *this;
	}

	void print(const char *role) const
	{
		std::printf(
			"{\"role\": \"%s\", \"sent\": %ju, \"received\": %ju, \"checked\": %ju, "
			"\"damaged\": %ju, \"disordered\": %ju, \"late\": %ju, \"packets\": %ju, "
			"\"seconds\": %.6f, \"cpu_share\": %.4f, \"preempted\": %ld, "
			"\"median_ns\": %.1f, \"p99_ns\": %.1f, \"distance_ns\": %.1f, "
			"\"tick_rate\": %.0f, \"busy_ticks\": %ju, \"busy_polls\": %ju, "
			"\"polled\": %ju, "
			"\"idle_ticks\": %ju, \"idle_polls\": %ju}\n",
			role, sent, received, checked, damaged, disordered, late, packets, seconds,
			cpu_share, preempted, median_ns, p99_ns, distance_ns, ticks_per_second(),
			polls.busy_ticks, polls.busy_polls, polls.packets, polls.idle_ticks,
			polls.idle_polls);
		std::fflush(stdout);
	}
};

} // namespace bench
