/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RTE_EMUDEV_NET_DRIVER_H
#define RTE_EMUDEV_NET_DRIVER_H

/**
 * @file
 * The provider's side of an emulated network device; for emulation drivers.
 */

#include <rte_emudev_driver.h>
#include <rte_emudev_net.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/** What a provider of network devices implements besides rte_emudev_ops, on the same terms. */
struct rte_emudev_net_ops {
	uint32_t struct_size; /**< Set by the provider. */
	/** To be there. @p info is all 0 but for struct_size. */
	int (*info_get)(void *priv, struct rte_emudev_net_info *info);
};

/**
 * What was counted since rte_emudev_net_stats_reset(), by the back-end and those before it: zeros
 * for a NULL @p dev. Control thread only.
 */
__rte_experimental
void rte_emudev_net_stats_get(struct rte_emudev *dev, struct rte_emudev_net_stats *stats);

/** The guest's counters begin at 0; the back-end's own do not change. Control thread only. */
__rte_experimental
void rte_emudev_net_stats_reset(struct rte_emudev *dev);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RTE_EMUDEV_NET_DRIVER_H */
