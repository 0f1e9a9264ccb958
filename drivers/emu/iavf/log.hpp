/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#define RTE_LOG_DEFAULT_LOGTYPE pmd.emu.iavf
#include <rte_log.h>

extern int emu_iavf_log_driver;
extern int emu_iavf_log_init;

/** What happens while a device runs. What a guest can cause at will is INFO or DEBUG. */
#define DRIVER_LOG(level, fmt, ...)                                                                \
	rte_log(RTE_LOG_##level, static_cast<uint32_t>(emu_iavf_log_driver),                       \
		"EMU_IAVF: " fmt "\n" __VA_OPT__(,) __VA_ARGS__)

/** What happens while a device is created and removed. */
#define INIT_LOG(level, fmt, ...)                                                                  \
	rte_log(RTE_LOG_##level, static_cast<uint32_t>(emu_iavf_log_init),                         \
		"EMU_IAVF: " fmt "\n" __VA_OPT__(,) __VA_ARGS__)
