/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_log.h>

#include <rate_limit.hpp>

extern "C" int iavf_be_logtype;

/** Logs one line of the driver. */
#define IAVF_BE_LOG(level, fmt, ...)                                                               \
	rte_log(RTE_LOG_##level, iavf_be_logtype,                                                  \
		"net_iavf_be: " fmt "\n" __VA_OPT__(, ) __VA_ARGS__)

/** The same for lines that a guest can cause. */
#define IAVF_BE_LOG_LIMITED(limit, level, ...)                                                     \
	GUARD_LOG_LIMITED(                                                                         \
		limit, rte_log_can_log(static_cast<uint32_t>(iavf_be_logtype), RTE_LOG_##level),   \
		IAVF_BE_LOG, level, __VA_ARGS__)
