/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_log.h>

extern "C" int vfio_user_pci_logtype;

#define BUS_LOG(level, fmt, ...)                                                                   \
	rte_log(RTE_LOG_##level, vfio_user_pci_logtype, "VFIO_USER_PCI: " fmt "\n", ##__VA_ARGS__)
