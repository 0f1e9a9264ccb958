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
	guard::status open(handler fn, void *ctx);

	/** Expires once, after @p time; what was set before is forgotten. */
	guard::status start(std::chrono::microseconds time) { return set(time, {}); }
	/** Expires after each @p interval; 0 stops. */
	guard::status repeat(std::chrono::microseconds interval) { return set(interval, interval); }
	void stop() { (void)set({}, {}); }

private:
	static void on_ready(void *self, uint32_t events);
	guard::status set(std::chrono::microseconds first, std::chrono::microseconds interval);

	guard::unique_fd fd_;
	control::watch_id watch_ = 0;
	handler fn_ = nullptr;
	void *ctx_ = nullptr;
};

} // namespace vfio_user
