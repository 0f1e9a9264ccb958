/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.hpp"

#include <cstring>

/* The device as librte_emudev sees it, which calls all but irq_fire on the control thread. */

namespace iavf {

namespace {

device &
of(void *priv)
{
	return *static_cast<device *>(priv);
}

int
info_get(void *priv, rte_emudev_info *info)
{
	device &dev = of(priv);

	info->driver = "emu_iavf";
	info->type = ring_type;
	info->connected = dev.client().connected;
	info->max_queue_pairs = dev.config().queue_pairs;
	info->queue_pairs = dev.host().offered_pairs;
	info->numa_node = dev.client().numa_node;
	return 0;
}

int
net_info_get(void *priv, rte_emudev_net_info *info)
{
	device &dev = of(priv);

	info->max_frame = max_frame;
	info->max_mtu = max_mtu;
	info->link_speed = dev.host().speed;
	std::memcpy(info->mac.addr_bytes, dev.agreed().mac.data(), RTE_ETHER_ADDR_LEN);
	return 0;
}

int
configure(void *priv, const rte_emudev_conf *conf)
{
	device &dev = of(priv);

	dev.host().configure(conf->queue_pairs,
			     conf->net != nullptr ? conf->net->mtu : dev.host().mtu);
	return 0;
}

int
started_or_stopped(void *priv)
{
	of(priv).started_or_stopped();
	return 0;
}

int
close(void *priv)
{
	device &dev = of(priv);

	dev.host().configure(dev.config().queue_pairs, max_mtu);
	return 0;
}

const rte_guest_mem_table *const *
mem_table(void *priv)
{
	return rte_vfio_user_server_dma_table(of(priv).server());
}

void
push(void *priv)
{
	of(priv).push_all();
}

int
queue_leave(void *priv, uint16_t index, rte_emudev_dir dir, uint16_t head)
{
	device &dev = of(priv);

	if (index >= dev.config().queue_pairs)
		return -EINVAL;
	return dev.session().rings().leave(dir, index, head) ? 0 : -EINVAL;
}

rte_emudev_irq_result
irq_fire(void *priv, uint16_t vector, uint8_t timer, rte_emudev_irq_cause cause)
{
	return of(priv).function().signals().fire(vector, timer, cause == RTE_EMUDEV_IRQ_EVENT)
		       ? RTE_EMUDEV_IRQ_FIRED
		       : RTE_EMUDEV_IRQ_LATER;
}

int
attr_get(void *priv, rte_emudev_attr *attr)
{
	device &dev = of(priv);

	switch (attr->id) {
	case RTE_EMUDEV_NET_ATTR_MAC:
		std::memcpy(attr->bytes, dev.agreed().mac.data(), RTE_ETHER_ADDR_LEN);
		return 0;
	case RTE_EMUDEV_NET_ATTR_MTU:
		attr->u32 = dev.host().mtu;
		return 0;
	case RTE_EMUDEV_NET_ATTR_LINK_SPEED:
		attr->u32 = dev.host().speed;
		return 0;
	case RTE_EMUDEV_ATTR_NUMA_NODE:
		attr->i32 = dev.client().numa_node;
		return 0;
	case RTE_EMUDEV_ATTR_QUEUE_PAIRS:
		attr->u32 = dev.session().rings().enabled_pairs();
		return 0;
	}
	return -ENOTSUP;
}

int
set_mac(device &dev, const uint8_t *bytes)
{
	rte_ether_addr addr;
	mac_address mac;

	std::memcpy(addr.addr_bytes, bytes, sizeof(addr.addr_bytes));
	if (!rte_is_valid_assigned_ether_addr(&addr))
		return -EINVAL;
	std::memcpy(mac.data(), bytes, mac.size());
	dev.set_mac(mac);
	return 0;
}

int
set_mtu(device &dev, uint32_t mtu)
{
	if (mtu < RTE_ETHER_MIN_MTU || mtu > max_mtu)
		return -EINVAL;
	dev.host().mtu = static_cast<uint16_t>(mtu);
	return 0;
}

int
set_speed(device &dev, uint32_t mbps)
{
	if (mbps < min_speed || mbps > max_speed)
		return -EINVAL;
	dev.set_speed(mbps);
	return 0;
}

int
attr_set(void *priv, const rte_emudev_attr *attr)
{
	device &dev = of(priv);

	switch (attr->id) {
	case RTE_EMUDEV_NET_ATTR_MAC:
		return set_mac(dev, attr->bytes);
	case RTE_EMUDEV_NET_ATTR_MTU:
		return set_mtu(dev, attr->u32);
	case RTE_EMUDEV_NET_ATTR_LINK_SPEED:
		return set_speed(dev, attr->u32);
	case RTE_EMUDEV_ATTR_NUMA_NODE:
	case RTE_EMUDEV_ATTR_QUEUE_PAIRS:
		return -EROFS;
	}
	return -ENOTSUP;
}

constexpr rte_emudev_net_ops net_ops{
	.struct_size = sizeof(net_ops),
	.info_get = net_info_get,
};

constexpr rte_emudev_ops ops{
	.struct_size = sizeof(ops),
	.info_get = info_get,
	.control_call = rte_vfio_user_control_call,
	.configure = configure,
	.start = started_or_stopped,
	.stop = started_or_stopped,
	.close = close,
	.push = push,
	.mem_table = mem_table,
	.queue_leave = queue_leave,
	.irq_fire = irq_fire,
	.attr_get = attr_get,
	.attr_set = attr_set,
	.net = &net_ops,
};

} // namespace

int
device::publish(rte_device *dpdk_device)
{
	return path_.publish(config_.name.c_str(), dpdk_device, ops, this);
}

} // namespace iavf
