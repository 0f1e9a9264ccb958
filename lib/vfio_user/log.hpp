/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_log.h>

#include "rate_limit.hpp"

extern int vfio_user_logtype;

#define VFIO_USER_LOG(level, fmt, ...)                                                             \
	rte_log(RTE_LOG_##level, vfio_user_logtype, "VFIO_USER: " fmt "\n", ##__VA_ARGS__)

/** For lines that a peer can cause. Those for debugging, DEBUG, need no limit. */
#define VFIO_USER_LOG_LIMITED(limit, level, ...)                                                   \
	GUARD_LOG_LIMITED(                                                                         \
		limit, rte_log_can_log(static_cast<uint32_t>(vfio_user_logtype), RTE_LOG_##level), \
		VFIO_USER_LOG, level, __VA_ARGS__)
