/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#define RTE_LOG_DEFAULT_LOGTYPE pmd.emu.iavf
#include <rte_log.h>

#include <rate_limit.hpp>

extern int emu_iavf_log_driver;
extern int emu_iavf_log_init;

/** What happens while a device runs. */
#define DRIVER_LOG(level, fmt, ...)                                                                \
	rte_log(RTE_LOG_##level, static_cast<uint32_t>(emu_iavf_log_driver),                       \
		"EMU_IAVF: " fmt "\n" __VA_OPT__(,) __VA_ARGS__)

/** The same for lines that a guest can cause. Those for debugging, DEBUG, need no limit. */
#define DRIVER_LOG_LIMITED(limit, level, ...)                                                      \
	GUARD_LOG_LIMITED(                                                                         \
		limit,                                                                             \
		rte_log_can_log(static_cast<uint32_t>(emu_iavf_log_driver), RTE_LOG_##level),      \
		DRIVER_LOG, level, __VA_ARGS__)

/** What happens while a device is created and removed. */
#define INIT_LOG(level, fmt, ...)                                                                  \
	rte_log(RTE_LOG_##level, static_cast<uint32_t>(emu_iavf_log_init),                         \
		"EMU_IAVF: " fmt "\n" __VA_OPT__(,) __VA_ARGS__)
