/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <pthread.h>

#include <owner.hpp>
#include <result.hpp>

namespace vfio_user_pci {

/**
 * An eventfd whose events reach another one a while later, by a thread of its own, or at the
 * latest when it ends.
 */
class late_event {
public:
	/** @param to Outlives it. */
	explicit late_event(int to) : to_(to) {}
	late_event(const late_event &) = delete;
	late_event &operator=(const late_event &) = delete;
	~late_event();

	guard::status start();
	int fd() const { return from_.get(); }

private:
	static constexpr int delay_ms = 20;

	static void *main(void *self);
	bool ends_within(int ms) const;
	void run() const;

	const int to_;
	guard::unique_fd from_, end_;
	pthread_t thread_{};
	bool running_ = false;
};

} // namespace vfio_user_pci
