/* SPDX-License-Identifier: BSD-3-Clause */

/* The port's life, and what the application sets. */

#include "port.hpp"

namespace iavf_be {

port::port(rte_eth_dev *eth, const device_facts &facts, const rte_ether_addr &mac,
	   shared_port &shared)
    : eth_(eth), device_(facts.any.name), dev_(facts.dev), shared_(shared),
      rings_(*eth->data, facts.dev, shared, mac), link_notice_(eth, RTE_ETH_EVENT_INTR_LSC),
      queue_notice_(eth, RTE_ETH_EVENT_QUEUE_STATE), listing_(*this)
{
}

port::~port()
{
	count_lender(rings_.settings().zero_copy ? -1 : 0);
	if (!subscribed_)
		return;
	rte_emudev_close(dev_);
	/* Afterwards nobody tells us of memory that goes. */
	rings_.keep_loans();
	rte_emudev_unsubscribe(dev_);
}

int
port::attach()
{
	const int rc = rte_emudev_subscribe(dev_, &backend_ops, this);
	subscribed_ = rc == 0;
	return rc;
}

int
port::configure(uint16_t queue_pairs, uint16_t mtu)
{
	const rte_emudev_net_conf net{.struct_size = sizeof(net), .mtu = mtu};
	const rte_emudev_conf conf{
		.struct_size = sizeof(conf), .queue_pairs = queue_pairs, .net = &net};
	const int rc = rte_emudev_configure(dev_, &conf);
	if (rc == 0)
		change(&host_settings::mtu, mtu);
	return rc;
}

int
port::start()
{
	if (!rings_.fit(rings_.settings().mtu))
		return -EINVAL;
	int rc = rings_.share();
	if (rc == 0 && eth_->data->dev_conf.intr_conf.rxq != 0)
		rc = interrupts_.install(eth_);
	/* The gates open at the STATE event that this makes. */
	if (rc == 0)
		rc = rte_emudev_start(dev_);
	/* With other drivers, too, a port that starts has its link. */
	if (rc == 0)
		set_link(true);
	if (rc != 0)
		stop();
	else
		update_link();
	return rc;
}

int
port::stop()
{
	/* The gates close at the STATE event that this makes; of a removed device, they are. */
	const int rc = removed() ? 0 : rte_emudev_stop(dev_);
	interrupts_.remove();
	rings_.unshare();
	update_link();
	return rc;
}

int
port::set_link(bool up)
{
	rte_emudev_attr attr{};
	attr.id = RTE_EMUDEV_NET_ATTR_PORT_LINK;
	attr.u32 = up;
	return rte_emudev_attr_set(dev_, &attr);
}

int
port::set_mtu(uint16_t mtu)
{
	if (eth_->data->dev_started && !rings_.fit(mtu))
		return -EINVAL;
	rte_emudev_attr attr{};
	attr.id = RTE_EMUDEV_NET_ATTR_MTU;
	attr.u32 = mtu;
	const int rc = rte_emudev_attr_set(dev_, &attr);
	if (rc == 0)
		change(&host_settings::mtu, mtu);
	return rc;
}

} // namespace iavf_be
