/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <pthread.h>

#include <ethdev_driver.h>
#include <rte_lcore.h>
#include <rte_version.h>
#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)
#include <rte_thread.h>
#endif

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

#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)

using thread_id = rte_thread_t;

/** A thread of this process that is no data thread. @return A negative errno. */
template <uint32_t (*main)(void *)>
int
create_control_thread(thread_id *thread, const char *name, void *arg)
{
	return rte_thread_create_control(thread, name, main, arg);
}

inline void
join(thread_id thread)
{
	rte_thread_join(thread, nullptr);
}

#else

using thread_id = pthread_t;

template <uint32_t (*main)(void *)>
int
create_control_thread(thread_id *thread, const char *name, void *arg)
{
	auto start = [](void *a) -> void * {
		main(a);
		return nullptr;
	};
	return rte_ctrl_thread_create(thread, name, nullptr, start, arg);
}

inline void
join(thread_id thread)
{
	pthread_join(thread, nullptr);
}

#endif

} // namespace iavf_be::compat
