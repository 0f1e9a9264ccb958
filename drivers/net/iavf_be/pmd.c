/* SPDX-License-Identifier: BSD-3-Clause */

/* In C, for the symbols that tools look for must not be mangled. */

/* What a log type is called: "pmd.net.iavf_be.driver". */
#define RTE_LOG_DEFAULT_LOGTYPE pmd.net.iavf_be

#include <rte_log.h>
#include <bus_vdev_driver.h>

extern struct rte_vdev_driver iavf_be_driver;
extern int iavf_be_logtype;

RTE_PMD_REGISTER_VDEV(net_iavf_be, iavf_be_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_iavf_be, "emu=<name of an emulated device> "
					   "mac=<xx:xx:xx:xx:xx:xx> "
					   "rx_checksum=check|trust "
					   "tso=<0|1> "
					   "lro=<0|1> "
					   "steering=rss|queue "
					   "zero-copy=<0|1>");
RTE_LOG_REGISTER_SUFFIX(iavf_be_logtype, driver, NOTICE);
