/* SPDX-License-Identifier: BSD-3-Clause */
#include "data_path.hpp"

namespace iavf {

int
data_path::publish(const char *name, rte_device *device, const rte_emudev_ops &ops, void *priv)
{
	return rte_emudev_allocate(name, device, &ops, priv, &emudev_);
}

void
data_path::withdraw()
{
	if (emudev_ != nullptr)
		rte_emudev_release(emudev_);
	emudev_ = nullptr;
}

void
data_path::send(const rte_emudev_event &event)
{
	if (emudev_ != nullptr)
		rte_emudev_notify(emudev_, &event);
}

void
data_path::notify(rte_emudev_event_type type)
{
	rte_emudev_event event{};

	event.type = type;
	send(event);
}

void
data_path::memory_gone(uint64_t first, uint64_t last)
{
	send({.type = RTE_EMUDEV_EVENT_MEMORY_GONE, .gone = {first, last}});
}

void
data_path::push(const rte_emudev_link &link)
{
	send({.type = RTE_EMUDEV_EVENT_LINK, .link = &link});
}

void
data_path::push(const rte_emudev_net_config &config)
{
	send({.type = RTE_EMUDEV_EVENT_CONFIG, .net = &config});
}

void
data_path::push(const rte_emudev_queue &queue)
{
	send({.type = RTE_EMUDEV_EVENT_QUEUE, .queue = &queue});
}

rte_emudev_net_stats
data_path::traffic() const
{
	rte_emudev_net_stats stats{};

	if (emudev_ != nullptr)
		rte_emudev_net_stats_get(emudev_, &stats);
	return stats;
}

void
data_path::begin_counting()
{
	if (emudev_ != nullptr)
		rte_emudev_net_stats_reset(emudev_);
}

} // namespace iavf
