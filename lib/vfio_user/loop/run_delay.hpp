/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>

#include "owner.hpp"

namespace vfio_user {

/**
 * How long a thread has been ready to run and without a core, as the scheduler counts it (Linux,
 * Documentation/scheduler/sched-stats.rst: the second number of /proc/PID/schedstat). All of it is
 * for that thread.
 */
class run_delay {
public:
	/** Counts for the calling thread from now on. Where the kernel does not tell, it is 0. */
	void open();
	/** How much has been added since the last call. Costs about a microsecond. */
	std::chrono::nanoseconds take();

private:
	std::chrono::nanoseconds total() const;

	guard::unique_fd file_;
	std::chrono::nanoseconds taken_{0};
};

} // namespace vfio_user
