/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_log.h>

extern int vfio_user_logtype;

#define VFIO_USER_LOG(level, fmt, ...)                                                             \
	rte_log(RTE_LOG_##level, vfio_user_logtype, "VFIO_USER: " fmt "\n", ##__VA_ARGS__)
