/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.hpp"

#include <cstring>

/* The device as librte_emudev sees it, which calls all but irq_fire on the control thread. */

namespace iavf {

namespace {

/** Bytes of a descriptor: transmit, and receive (32 bytes are fixed by the drivers' build). */
constexpr uint16_t desc_size[] = {16, 32};

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
	info->type = "iavf";
	info->connected = dev.is_connected();
	info->max_queue_pairs = dev.config().queue_pairs;
	info->queue_pairs = dev.offered_pairs();
	info->numa_node = dev.numa_node();
	return 0;
}

int
net_info_get(void *priv, rte_emudev_net_info *info)
{
	device &dev = of(priv);

	info->max_frame = max_frame;
	info->max_mtu = max_mtu;
	info->link_speed = dev.speed();
	std::memcpy(info->mac.addr_bytes, dev.mac().data(), RTE_ETHER_ADDR_LEN);
	return 0;
}

int
configure(void *priv, const rte_emudev_conf *conf)
{
	device &dev = of(priv);

	dev.configure(conf->queue_pairs, conf->net != nullptr ? conf->net->mtu : dev.mtu());
	return 0;
}

int
started_or_stopped(void *priv)
{
	of(priv).notify_link();
	return 0;
}

int
close(void *priv)
{
	device &dev = of(priv);

	dev.configure(dev.config().queue_pairs, max_mtu);
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
	queue &q = dev.at(dir, index);

	if (!q.enabled || head >= q.size)
		return -EINVAL;
	q.resumed = true;
	q.head = head;
	return 0;
}

rte_emudev_irq_result
irq_fire(void *priv, uint16_t vector, uint8_t timer, rte_emudev_irq_cause cause)
{
	return of(priv).fire(vector, timer, cause == RTE_EMUDEV_IRQ_EVENT) ? RTE_EMUDEV_IRQ_FIRED
									   : RTE_EMUDEV_IRQ_LATER;
}

int
attr_get(void *priv, rte_emudev_attr *attr)
{
	device &dev = of(priv);

	switch (attr->id) {
	case RTE_EMUDEV_NET_ATTR_MAC:
		std::memcpy(attr->bytes, dev.mac().data(), RTE_ETHER_ADDR_LEN);
		return 0;
	case RTE_EMUDEV_NET_ATTR_MTU:
		attr->u32 = dev.mtu();
		return 0;
	case RTE_EMUDEV_NET_ATTR_LINK_SPEED:
		attr->u32 = dev.speed();
		return 0;
	case RTE_EMUDEV_ATTR_NUMA_NODE:
		attr->i32 = dev.numa_node();
		return 0;
	case RTE_EMUDEV_ATTR_QUEUE_PAIRS:
		attr->u32 = dev.enabled_pairs();
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
	dev.set_mtu(static_cast<uint16_t>(mtu));
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

int
region_map(void *priv, uint32_t region, volatile void **addr, uint64_t *size)
{
	if (region != RTE_VFIO_USER_REGION_BAR0)
		return -ENOENT;
	*addr = of(priv).registers().shared_memory();
	*size = bar0_size;
	return 0;
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
	.region_map = region_map,
	.net = &net_ops,
};

/** What a back-end is told of a queue. */
rte_emudev_queue
context_of(device &dev, rte_emudev_dir dir, uint16_t index)
{
	const queue &q = dev.at(dir, index);
	rte_emudev_queue out{};

	out.struct_size = sizeof(out);
	out.index = index;
	out.dir = dir;
	out.enabled = q.enabled;
	out.resumed = q.resumed;
	out.head = q.head;
	out.size = q.size;
	out.desc_size = desc_size[dir];
	out.desc_format = q.format;
	out.ring_iova = q.ring_iova;
	out.buffer_size = q.buffer_size;
	out.max_frame = q.max_frame;
	out.tail = dev.registers().word(dir == RTE_EMUDEV_FROM_GUEST ? reg::qtx_tail(index)
								     : reg::qrx_tail(index));
	if (q.vector <= dev.config().queue_pairs)
		out.vector = {
			.control = dev.registers().word(reg::dyn_ctl(q.vector)),
			.enable_mask = dyn_ctl::intena::mask,
			.force_mask = dyn_ctl::swint_trig::mask,
			.index = q.vector,
			.timer = q.timer,
		};
	return out;
}

} // namespace

/* Events: what is new goes to the back-end, which keeps it. */

void
device::notify(const rte_emudev_event &event)
{
	if (emudev_ != nullptr)
		rte_emudev_notify(emudev_, &event);
}

void
device::notify(rte_emudev_event_type type)
{
	rte_emudev_event event{};

	event.type = type;
	notify(event);
}

void
device::push_link()
{
	const rte_emudev_link link{sizeof(link), connected_, config_.speed, numa_node_};
	rte_emudev_event event{};

	event.type = RTE_EMUDEV_EVENT_LINK;
	event.link = &link;
	notify(event);
}

void
device::push_config()
{
	static_assert(sizeof(mac_address) == sizeof(rte_ether_addr));
	std::vector<rte_ether_addr> filters(filters_.size());
	rte_emudev_net_config config{};
	rte_emudev_event event{};

	if (!filters_.empty())
		std::memcpy(filters.data(), filters_.data(), filters_.size() * sizeof(mac_address));
	config.struct_size = sizeof(config);
	if ((promiscuous_ & vc_promisc_info::unicast) != 0)
		config.promiscuous |= RTE_EMUDEV_NET_PROMISCUOUS_UNICAST;
	if ((promiscuous_ & vc_promisc_info::multicast) != 0)
		config.promiscuous |= RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST;
	std::memcpy(config.mac.addr_bytes, mac_.data(), mac_.size());
	config.nb_filters = static_cast<uint16_t>(filters.size());
	config.filters = filters.data();
	event.type = RTE_EMUDEV_EVENT_CONFIG;
	event.net = &config;
	notify(event);
}

void
device::push_queue(rte_emudev_dir dir, uint16_t index)
{
	const rte_emudev_queue queue = context_of(*this, dir, index);
	rte_emudev_event event{};

	event.type = RTE_EMUDEV_EVENT_QUEUE;
	event.queue = &queue;
	notify(event);
}

/** To begin with, and whenever more than one may be another one now. */
void
device::push_queues()
{
	for (rte_emudev_dir dir : {RTE_EMUDEV_FROM_GUEST, RTE_EMUDEV_TO_GUEST})
		for (uint16_t i = 0; i < config_.queue_pairs; i++)
			if (queues_[dir][i].enabled)
				push_queue(dir, i);
}

void
device::push_all()
{
	push_link();
	push_config();
	push_queues();
}

int
device::publish(rte_device *dpdk_device)
{
	return rte_emudev_allocate(config_.name.c_str(), dpdk_device, &ops, this, &emudev_);
}

} // namespace iavf
