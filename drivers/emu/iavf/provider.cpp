/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

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

void *
mem_hold(void *priv)
{
	return rte_vfio_user_server_memory_hold(of(priv).server());
}

void
mem_release(void *hold)
{
	rte_vfio_user_memory_release(static_cast<rte_vfio_user_memory_hold *>(hold));
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
	return of(priv).function().signals().fire(vector, timer, cause) ? RTE_EMUDEV_IRQ_FIRED
									: RTE_EMUDEV_IRQ_LATER;
}

/** Attributes of the policy: one way and the other. */
struct policy_attr {
	uint32_t id;
	uint32_t most;
	uint32_t (*get)(const policy &from);
	void (*set)(policy &to, uint32_t value);
};

constexpr uint32_t any_u32 = UINT32_MAX;
constexpr policy_attr policy_attrs[] = {
	{RTE_EMUDEV_NET_ATTR_TRUST, 1, [](const policy &from) -> uint32_t { return from.trust; },
	 [](policy &to, uint32_t value) { to.trust = value != 0; }},
	{RTE_EMUDEV_NET_ATTR_SPOOFCHK, 1,
	 [](const policy &from) -> uint32_t { return from.spoofchk; },
	 [](policy &to, uint32_t value) { to.spoofchk = value != 0; }},
	{RTE_EMUDEV_NET_ATTR_PORT_VLAN, any_u32,
	 [](const policy &from) { return uint32_t{from.vlan_type} << 16 | from.vlan_tci; },
	 [](policy &to, uint32_t value) {
		 to.vlan_type = static_cast<uint16_t>(value >> 16);
		 to.vlan_tci = static_cast<uint16_t>(value);
	 }},
	{RTE_EMUDEV_NET_ATTR_MAX_RATE, max_speed, [](const policy &from) { return from.max_rate; },
	 [](policy &to, uint32_t value) { to.max_rate = value; }},
	{RTE_EMUDEV_NET_ATTR_MIN_RATE, max_speed, [](const policy &from) { return from.min_rate; },
	 [](policy &to, uint32_t value) { to.min_rate = value; }},
	{RTE_EMUDEV_NET_ATTR_LINK_STATE, RTE_EMUDEV_NET_LINK_DOWN,
	 [](const policy &from) -> uint32_t { return from.link; },
	 [](policy &to, uint32_t value) {
		 to.link = static_cast<rte_emudev_net_link_state>(value);
	 }},
	{RTE_EMUDEV_NET_ATTR_MAX_MACS, any_number_of_addresses,
	 [](const policy &from) -> uint32_t { return from.max_macs; },
	 [](policy &to, uint32_t value) { to.max_macs = static_cast<uint16_t>(value); }},
	{RTE_EMUDEV_NET_ATTR_MAX_MCAST, any_number_of_addresses,
	 [](const policy &from) -> uint32_t { return from.max_mcast; },
	 [](policy &to, uint32_t value) { to.max_mcast = static_cast<uint16_t>(value); }},
};

const policy_attr *
find_policy_attr(uint32_t id)
{
	const auto found = std::ranges::find(policy_attrs, id, &policy_attr::id);
	return found == std::end(policy_attrs) ? nullptr : found;
}

/** Without a VLAN there is no tag; and a tag is of one of two types, without the bit DEI. */
bool
is_valid_port_vlan(uint32_t tag)
{
	const uint32_t type = tag >> 16, id = tag & 0xfff;

	return tag == 0 || ((type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ) &&
			    id != 0 && id != 0xfff && (tag & 0x1000) == 0);
}

int
set_policy(device &dev, const policy_attr &row, uint32_t value)
{
	policy wanted = dev.host().policy;

	if (value > row.most ||
	    (row.id == RTE_EMUDEV_NET_ATTR_PORT_VLAN && !is_valid_port_vlan(value)))
		return -EINVAL;
	row.set(wanted, value);
	if (!wanted.has_possible_rates())
		return -EINVAL;
	dev.set_policy(wanted);
	return 0;
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
	case RTE_EMUDEV_NET_ATTR_PORT_LINK:
		attr->u32 = dev.host().port_link;
		return 0;
	case RTE_EMUDEV_ATTR_QUEUE_PAIRS:
		attr->u32 = dev.session().rings().enabled_pairs();
		return 0;
	case RTE_EMUDEV_ATTR_RESETS:
		attr->u32 = static_cast<uint32_t>(dev.stats().resets_by_host);
		return 0;
	}
	const policy_attr *part = find_policy_attr(attr->id);
	if (part == nullptr)
		return -ENOTSUP;
	attr->u32 = part->get(dev.host().policy);
	return 0;
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
	case RTE_EMUDEV_NET_ATTR_PORT_LINK:
		dev.set_port_link(attr->u32 != 0);
		return 0;
	case RTE_EMUDEV_ATTR_RESETS:
		dev.reset_by_host();
		return 0;
	case RTE_EMUDEV_ATTR_NUMA_NODE:
	case RTE_EMUDEV_ATTR_QUEUE_PAIRS:
		return -EROFS;
	}
	const policy_attr *part = find_policy_attr(attr->id);
	return part == nullptr ? -ENOTSUP : set_policy(dev, *part, attr->u32);
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
	.mem_hold = mem_hold,
	.mem_release = mem_release,
};

} // namespace

int
device::publish(rte_device *dpdk_device)
{
	return path_.publish(config_.name.c_str(), dpdk_device, ops, this);
}

} // namespace iavf
