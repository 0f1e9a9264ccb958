/* SPDX-License-Identifier: BSD-3-Clause */

/* The core of librte_emudev, as a driver in C of a device without a network sees it. */

#include <rte_emudev_driver.h>

#ifdef _RTE_ETHER_H_
#error "the core knows Ethernet"
#endif

int emudev_core_in_c(struct rte_emudev *dev);

int
emudev_core_in_c(struct rte_emudev *dev)
{
	struct rte_emudev_conf conf = {.struct_size = sizeof(conf), .queue_pairs = 1};

	return rte_emudev_configure(dev, &conf);
}
