/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <ethdev_driver.h>
#include <rte_version.h>

/** What differs between the DPDK versions that this driver builds with. */
namespace iavf_be::compat {

#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)

/** Where the statistics of single queues go; nullptr if nobody asks for them. */
using queue_stats = eth_queue_stats;

/** The ethdev operation made of @p get(eth, stats, queue_stats). */
template <int (*get)(rte_eth_dev *, rte_eth_stats &, queue_stats *)>
constexpr int
stats_get(rte_eth_dev *eth, rte_eth_stats *stats, eth_queue_stats *queues)
{
	return get(eth, *stats, queues);
}

#else

using queue_stats = rte_eth_stats;

template <int (*get)(rte_eth_dev *, rte_eth_stats &, queue_stats *)>
constexpr int
stats_get(rte_eth_dev *eth, rte_eth_stats *stats)
{
	return get(eth, *stats, stats);
}

#endif

} // namespace iavf_be::compat
