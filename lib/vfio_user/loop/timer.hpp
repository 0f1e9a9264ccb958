/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>

#include "loop/control_thread.hpp"

namespace vfio_user {

/** A timer whose handler runs on the control thread. All of it is for that thread only. */
class timer {
public:
	using handler = void (*)(void *ctx);

	timer() = default;
	~timer();
	timer(const timer &) = delete;
	timer &operator=(const timer &) = delete;

	/** Makes the timer, stopped. */
	guard::status open(handler fn = nullptr, void *ctx = nullptr);
	/** Stops it, and calls this when it expires the next time. */
	void lend(handler fn, void *ctx);

	/** Expires once, after @p time; what was set before is forgotten. */
	guard::status start(std::chrono::microseconds time);
	/**
	 * Expires after each @p interval; 0 stops. Of the timers that have the same one only the
	 * first is set: when it expires, it calls the handlers of all.
	 */
	guard::status repeat(std::chrono::microseconds interval);
	void stop() { (void)repeat({}); }

private:
	static void on_ready(void *self, uint32_t events);
	guard::status leave();
	guard::status set_repeating();
	guard::status set(std::chrono::microseconds first, std::chrono::microseconds interval,
			  int flags = 0);

	guard::unique_fd fd_;
	control::watch_id watch_ = 0;
	handler fn_ = nullptr;
	void *ctx_ = nullptr;
	std::chrono::microseconds interval_{0}; /* of a timer that repeats */
};

/** The use of somebody else's timer: what it was set to ends with it. */
class lent_timer {
public:
	lent_timer(timer &of, timer::handler fn, void *ctx) : of_(of) { of_.lend(fn, ctx); }
	~lent_timer() { of_.stop(); }
	lent_timer(const lent_timer &) = delete;
	lent_timer &operator=(const lent_timer &) = delete;

	guard::status start(std::chrono::microseconds time) { return of_.start(time); }
	void stop() { of_.stop(); }

private:
	timer &of_;
};

} // namespace vfio_user
