/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_log.h>

extern "C" int iavf_be_logtype;

/** Logs one line of the driver. */
#define IAVF_BE_LOG(level, fmt, ...)                                                               \
	rte_log(RTE_LOG_##level, iavf_be_logtype,                                                  \
		"net_iavf_be: " fmt "\n" __VA_OPT__(, ) __VA_ARGS__)
