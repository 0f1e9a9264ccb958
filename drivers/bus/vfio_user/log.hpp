/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstring>

#include <rte_log.h>

#include <result.hpp>

extern "C" int vfio_user_pci_logtype;

#define BUS_LOG(level, fmt, ...)                                                                   \
	rte_log(RTE_LOG_##level, vfio_user_pci_logtype, "VFIO_USER_PCI: " fmt "\n", ##__VA_ARGS__)

namespace vfio_user_pci {

/** What a negative errno means to the user, logged once at the place where it is known. */
inline guard::failure
report(const char *device, const char *what, int error)
{
	BUS_LOG(ERR, "%s: cannot %s: %s", device, what, strerror(-error));
	return {-error};
}

} // namespace vfio_user_pci
