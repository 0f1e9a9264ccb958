/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "meter.hpp"

/**
 * Where the two ends of a measurement meet: a page that both have mapped. They find out how far
 * apart their cores are right before and right after it, and the active end tells the passive one
 * that it is over. Neither end sleeps in between: a hypervisor moves idle cores most readily.
 */
namespace bench {

/** Lines are far enough apart that the prefetcher of one does not fetch the other. */
struct meeting_page {
	alignas(128) std::atomic<uint64_t> ping{0};
	alignas(128) std::atomic<uint64_t> pong{0};
	alignas(128) std::atomic<uint64_t> over{0};
};
static_assert(sizeof(meeting_page) <= 4096 && std::atomic<uint64_t>::is_always_lock_free);

/** Whether a measurement is over, for the passive end. */
class stop_signal {
public:
	stop_signal(const std::atomic<uint64_t> &over, uint64_t number)
	    : over_(over), number_(number)
	{
	}
	bool raised() const { return over_.load(std::memory_order_acquire) >= number_; }

private:
	const std::atomic<uint64_t> &over_;
	uint64_t number_;
};

/** One measurement at a meeting page; its number is higher than that of the last one there. */
class meeting {
public:
	meeting(meeting_page &page, const plan &p) : page_(page), number_(p.number) {}

	/** Active end: the time in ns of a way to the other core and back before, or 0. */
	double begin() { return ping(2 * number_); }
	/** Active end: the same afterwards; stops the passive end. */
	double end()
	{
		page_.over.store(number_, std::memory_order_release);
		return ping(2 * number_ + 1);
	}

	/** Passive end: answers begin() and end(). */
	void answer_begin() { pong(2 * number_); }
	void answer_end() { pong(2 * number_ + 1); }
	stop_signal stop() const { return {page_.over, number_}; }

private:
	static constexpr uint32_t throws = 500;
	static constexpr unsigned int turn_shift = 16;
	/** One end may still be starting, or be gone. */
	static constexpr double patience = 10;

	/** Waits for a value; false if it does not come. */
	static bool await(const std::atomic<uint64_t> &ball, uint64_t value)
	{
		const uint64_t end = ticks() + to_ticks(patience);
		while (ball.load(std::memory_order_acquire) != value)
			if (ticks() > end)
				return false;
		return true;
	}

	double ping(uint64_t turn)
	{
		std::array<uint64_t, throws> times{};
		for (uint32_t i = 0; i < throws; i++) {
			const uint64_t value = turn << turn_shift | (i + 1), begin = ticks();
			page_.ping.store(value, std::memory_order_release);
			if (!await(page_.pong, value))
				return 0;
			times[i] = ticks() - begin;
		}
		std::nth_element(times.begin(), times.begin() + throws / 2, times.end());
		return static_cast<double>(times[throws / 2]) / ticks_per_second() * 1e9;
	}

	void pong(uint64_t turn)
	{
		for (uint32_t i = 0; i < throws; i++) {
			const uint64_t value = turn << turn_shift | (i + 1);
			if (!await(page_.ping, value))
				return;
			page_.pong.store(value, std::memory_order_release);
		}
	}

	meeting_page &page_;
	uint64_t number_;
};

/** The active end's whole measurement. */
template <class Role>
outcome
measure_actively(meeting_page &page, const plan &p, Role &&role)
{
	meeting at(page, p);
	const double before = at.begin();
	outcome found = role();
	const double after = at.end();
	found.distance_ns = std::max(before, after);
	return found;
}

/** The passive end's: the role takes a stop_signal. */
template <class Role>
outcome
measure_passively(meeting_page &page, const plan &p, Role &&role)
{
	meeting at(page, p);
	at.answer_begin();
	outcome found = role(at.stop());
	at.answer_end();
	return found;
}

} // namespace bench
