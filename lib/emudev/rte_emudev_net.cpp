/* SPDX-License-Identifier: BSD-3-Clause */
#include <iterator>

#include <rte_common.h>

#include "device.hpp"
#include "log.hpp"

/* Network devices, on top of what any device is. */

namespace emudev {

namespace {

constexpr uint64_t rte_emudev_net_stats::*stats_fields[] = {
	&rte_emudev_net_stats::from_guest_packets,   &rte_emudev_net_stats::from_guest_bytes,
	&rte_emudev_net_stats::from_guest_multicast, &rte_emudev_net_stats::from_guest_broadcast,
	&rte_emudev_net_stats::from_guest_errors,    &rte_emudev_net_stats::to_guest_packets,
	&rte_emudev_net_stats::to_guest_bytes,       &rte_emudev_net_stats::to_guest_multicast,
	&rte_emudev_net_stats::to_guest_broadcast,   &rte_emudev_net_stats::to_guest_dropped,
};
static_assert(sizeof(rte_emudev_net_stats) == sizeof(uint64_t) * std::size(stats_fields));

rte_emudev_net_stats
counted_by_backend(const rte_emudev *dev)
{
	rte_emudev_net_stats stats{};

	if (dev->backend.net != nullptr)
		dev->backend.net->stats_get(dev->backend_ctx, &stats);
	return stats;
}

} // namespace

bool
is_complete(const rte_emudev_net_backend_ops *ops)
{
	return ops == nullptr || (is_filled(ops) && ops->stats_get != nullptr);
}

int
check_net_conf(rte_emudev *dev, const rte_emudev_net_conf &conf)
{
	rte_emudev_net_info info{};

	info.struct_size = sizeof(info);
	if (int error = rte_emudev_net_info_get(dev, &info); error != 0)
		return error;
	if (conf.mtu < RTE_ETHER_MIN_MTU || conf.mtu > info.max_mtu) {
		EMUDEV_LOG(ERR, "%s: mtu %u is not valid, allowed: %u to %u", dev->name.c_str(),
			   conf.mtu, RTE_ETHER_MIN_MTU, info.max_mtu);
		return -ERANGE;
	}
	return 0;
}

void
keep_counters(rte_emudev *dev)
{
	rte_emudev_net_stats so_far;

	rte_emudev_net_stats_get(dev, &so_far);
	dev->net_offset = so_far;
}

} // namespace emudev

using namespace emudev;

int
rte_emudev_net_info_get(rte_emudev *dev, rte_emudev_net_info *info)
{
	if (!is_filled(info))
		return -EINVAL;
	return call(dev, [=] {
		if (dev->ops.net == nullptr)
			return -ENOTSUP;
		rte_emudev_net_info filled{};
		filled.struct_size = sizeof(filled);
		int error = dev->ops.net->info_get(dev->priv, &filled);
		if (error == 0)
			hand_out(filled, info);
		return error;
	});
}

void
rte_emudev_net_stats_get(rte_emudev *dev, rte_emudev_net_stats *stats)
{
	*stats = {};
	if (dev == nullptr)
		return;
	*stats = counted_by_backend(dev);
	for (auto field : stats_fields)
		stats->*field += dev->net_offset.*field;
}

void
rte_emudev_net_stats_reset(rte_emudev *dev)
{
	if (dev == nullptr)
		return;
	const rte_emudev_net_stats now = counted_by_backend(dev);

	for (auto field : stats_fields)
		dev->net_offset.*field = 0 - now.*field;
}
