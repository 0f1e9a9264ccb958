/* SPDX-License-Identifier: BSD-3-Clause */

/* The port's life, and what the application sets. */

#include "port.hpp"

#include <algorithm>

#include <rte_alarm.h>

#include "log.hpp"

namespace iavf_be {

namespace {

/** The words that a fresh mbuf of a port starts with. */
uint64_t
rearm_words(uint16_t port_id)
{
	rte_mbuf model{};
	uint64_t words;

	model.data_off = RTE_PKTMBUF_HEADROOM;
	model.nb_segs = 1;
	model.port = port_id;
	rte_mbuf_refcnt_set(&model, 1);
	memcpy(&words, reinterpret_cast<const std::byte *>(&model) + offsetof(rte_mbuf, rearm_data),
	       sizeof(words));
	return words;
}

} // namespace

port::port(rte_eth_dev *eth, const device_facts &facts, const rte_ether_addr &mac)
    : eth_(eth), dev_(facts.dev), facts_(facts), link_speed_(facts.net.link_speed),
      memory_(rte_emudev_mem_table(facts.dev)), mac_(mac), rx_(max_queues()), tx_(max_queues())
{
	for (auto &one_direction : contexts_)
		one_direction.resize(max_queues());
	served_.reserve(tx_.size());
}

port::~port()
{
	if (!subscribed_)
		return;
	rte_emudev_close(dev_);
	rte_emudev_unsubscribe(dev_);
	/* No event comes any more, and none is waited for: waits for one under way. */
	rte_eal_alarm_cancel(on_link_alarm, this);
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
	if (rc != 0)
		return rc;
	const std::lock_guard hold(control_);
	mtu_ = mtu;
	return 0;
}

int
port::start()
{
	if (!fit_all(mtu_))
		return -EINVAL;
	int rc = share_rings();
	/* The gates open at the STATE event that this makes. */
	if (rc == 0)
		rc = rte_emudev_start(dev_);
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
	unshare_rings();
	update_link();
	return rc;
}

/**
 * Lets the application's queues serve all rings that a guest can have: a connected driver keeps the
 * number it was told of, however few queues the application has now. Rings without a queue of
 * their index are set up like that queue which serves them, see serving(); link_rings() and
 * aim_tx_queues() do the rest as the guest enables and disables them.
 */
int
port::share_rings()
{
	const int node = eth_->data->numa_node;

	{
		const std::lock_guard hold(control_);
		rx_queues_ = eth_->data->nb_rx_queues;
		tx_queues_ = eth_->data->nb_tx_queues;
	}
	int rc = 0;
	for (uint16_t i = rx_queues_; rc == 0 && rx_queues_ != 0 && i < rx_.size(); i++) {
		const from_guest &host = *rx_[serving(i, rx_queues_)];
		rc = setup_rx(i, node, host.pool, host.offloads);
	}
	for (uint16_t i = tx_queues_; rc == 0 && tx_queues_ != 0 && i < tx_.size(); i++)
		rc = setup_tx(i, node, tx_[serving(i, tx_queues_)]->offloads);
	return rc;
}

/** Leaves each queue with its own ring. The rings' gates are closed. */
void
port::unshare_rings()
{
	for (uint16_t i = rx_queues_; i < rx_.size(); i++)
		release_rx(i);
	for (uint16_t i = tx_queues_; i < tx_.size(); i++)
		release_tx(i);
	const std::lock_guard hold(control_);
	rx_queues_ = tx_queues_ = 0;
	for (auto &q : rx_) {
		if (!q)
			continue;
		q->sibling.store(q.get(), std::memory_order_relaxed);
		q->turn = q.get();
	}
}

bool
port::fits(uint32_t room, uint64_t offloads, uint16_t mtu) const
{
	if ((offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0 || mtu + iavf::frame_overhead <= room)
		return true;
	IAVF_BE_LOG(ERR,
		    "%s: frames of %u bytes (MTU %u) do not fit mbufs with %u bytes of data: use "
		    "larger mbufs or enable RTE_ETH_RX_OFFLOAD_SCATTER",
		    eth_->data->name, mtu + iavf::frame_overhead, mtu, room);
	return false;
}

/**
 * Whether the mbufs of all Rx queues of the application have room for the MTU. To be asked while
 * the port is started, and when it starts: before, queues may be set up anew.
 */
bool
port::fit_all(uint16_t mtu) const
{
	for (uint16_t i = 0; i < eth_->data->nb_rx_queues; i++)
		if (rx_[i] && rx_[i]->host_ready && !fits(rx_[i]->room, rx_[i]->offloads, mtu))
			return false;
	return true;
}

int
port::setup_rx(uint16_t index, int node, rte_mempool *pool, uint64_t offloads)
{
	const uint32_t room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	auto fresh = rx_[index] ? nullptr : make_on_node<from_guest>(node);
	const std::lock_guard hold(control_);
	if (fresh) {
		rx_[index] = std::move(fresh);
		join(*rx_[index], RTE_EMUDEV_FROM_GUEST, index);
	}
	if (!rx_[index])
		return -ENOMEM;
	from_guest &q = *rx_[index];
	q.access.close();
	q.pool = pool;
	q.room = room;
	q.rearm = rearm_words(eth_->data->port_id);
	q.offloads = offloads;
	q.host_ready = true;
	join_pair(index);
	return 0;
}

int
port::setup_tx(uint16_t index, int node, uint64_t offloads)
{
	auto fresh = tx_[index] ? nullptr : make_on_node<to_guest>(node);
	const std::lock_guard hold(control_);
	if (fresh) {
		tx_[index] = std::move(fresh);
		join(*tx_[index], RTE_EMUDEV_TO_GUEST, index);
	}
	if (!tx_[index])
		return -ENOMEM;
	to_guest &q = *tx_[index];
	q.access.close();
	q.offloads = offloads;
	q.loops = select_to_guest(offloads);
	q.host_ready = true;
	join_pair(index);
	return 0;
}

void
port::release_rx(uint16_t index)
{
	const std::lock_guard hold(control_);
	if (rx_[index] == nullptr)
		return;
	rx_[index]->access.close();
	rx_[index]->host_ready = false;
	rx_[index]->pool = nullptr;
}

void
port::release_tx(uint16_t index)
{
	const std::lock_guard hold(control_);
	if (tx_[index] == nullptr)
		return;
	tx_[index]->access.close();
	tx_[index]->host_ready = false;
}

void
port::release_queues()
{
	for (uint16_t i = 0; i < rx_.size(); i++) {
		release_rx(i);
		release_tx(i);
	}
}

int
port::set_mtu(uint16_t mtu)
{
	if (eth_->data->dev_started && !fit_all(mtu))
		return -EINVAL;
	rte_emudev_attr attr{};
	attr.id = RTE_EMUDEV_NET_ATTR_MTU;
	attr.u32 = mtu;
	const int rc = rte_emudev_attr_set(dev_, &attr);
	if (rc != 0)
		return rc;
	{
		const std::lock_guard hold(control_);
		mtu_ = mtu;
	}
	refresh_all();
	return 0;
}

void
port::set_promiscuous(bool on)
{
	{
		const std::lock_guard hold(control_);
		promiscuous_ = on;
	}
	refresh_all();
}

void
port::set_all_multicast(bool on)
{
	{
		const std::lock_guard hold(control_);
		all_multicast_ = on;
	}
	refresh_all();
}

void
port::set_mac(const rte_ether_addr &mac)
{
	{
		const std::lock_guard hold(control_);
		mac_ = mac;
	}
	refresh_all();
}

} // namespace iavf_be
