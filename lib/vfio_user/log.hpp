/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>

#include <rte_log.h>

extern int vfio_user_logtype;

#define VFIO_USER_LOG(level, fmt, ...)                                                             \
	rte_log(RTE_LOG_##level, vfio_user_logtype, "VFIO_USER: " fmt "\n", ##__VA_ARGS__)

namespace vfio_user {

/** Lets a message through once a second, so that a peer cannot fill the log. */
class log_limit {
public:
	bool passes()
	{
		auto now = std::chrono::steady_clock::now();
		if (now < next_)
			return false;
		next_ = now + std::chrono::seconds(1);
		return true;
	}

private:
	std::chrono::steady_clock::time_point next_{};
};

} // namespace vfio_user
