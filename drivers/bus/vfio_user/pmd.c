/* SPDX-License-Identifier: BSD-3-Clause */
/* In C, as the symbols that these macros make would be mangled in C++. */

/* What a log type is called: "bus.vfio_user.driver". */
#define RTE_LOG_DEFAULT_LOGTYPE bus.vfio_user

#include <rte_log.h>
#include <bus_vdev_driver.h>

extern struct rte_vdev_driver vfio_user_pci_driver;
extern int vfio_user_pci_logtype;

RTE_PMD_REGISTER_VDEV(vfio_user_pci, vfio_user_pci_driver);
RTE_PMD_REGISTER_PARAM_STRING(vfio_user_pci, "path=<socket> "
					     "timeout_ms=<1..600000> "
					     "wait_ms=<0..600000> "
					     "attach_ms=<1..600000>");
RTE_LOG_REGISTER_SUFFIX(vfio_user_pci_logtype, driver, NOTICE);
