/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_log.h>

extern int emudev_logtype;

#define EMUDEV_LOG(level, fmt, ...)                                                                \
	rte_log(RTE_LOG_##level, emudev_logtype, "EMUDEV: " fmt "\n", ##__VA_ARGS__)
