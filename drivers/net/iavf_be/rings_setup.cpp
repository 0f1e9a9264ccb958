/* SPDX-License-Identifier: BSD-3-Clause */

/* The queues that the application sets up, and how they share the guest's rings. */

#include <algorithm>
#include <iterator>

#include "log.hpp"
#include "rings.hpp"

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

void
host_settings::make_filter()
{
	wanted_addresses wanted{.own = mac, .others = groups};

	if (all_multicast)
		wanted.promiscuous = RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST;
	std::ranges::copy_if(
		others, std::back_inserter(wanted.others),
		[](const rte_ether_addr &one) { return !rte_is_zero_ether_addr(&one); });
	filter = std::make_shared<const address_filter>(wanted);
}

rings::rings(const rte_eth_dev_data &port, rte_emudev *dev, shared_port &shared,
	     const rte_ether_addr &mac)
    : port_(port), dev_(dev), shared_(shared), memory_(rte_emudev_mem_table(dev)),
      rx_(shared.max_queues), tx_(shared.max_queues), steering_(shared)
{
	host_.mac = mac;
	host_.make_filter();
	for (auto &one_direction : contexts_)
		one_direction.resize(shared.max_queues);
}

/**
 * Lets the application's queues serve all rings that a guest can have: a connected driver keeps the
 * number it was told of, however few queues the application has now. Rings without a queue of
 * their index are set up like that queue which serves them, see serving(), once the guest enables
 * them; link_rings() and steering_maker do the rest as it does so.
 */
int
rings::share()
{
	const std::lock_guard hold(control_);
	if (!all_set_up())
		return -EINVAL;
	hosts_.rx = port_.nb_rx_queues;
	hosts_.tx = port_.nb_tx_queues;
	for (uint16_t i = 0; i < hosts_.rx; i++)
		rx_[i]->running = !rx_[i]->deferred;
	for (uint16_t i = 0; i < hosts_.tx; i++)
		tx_[i]->running = !tx_[i]->deferred;
	for (uint16_t i = 0; i < shared_.max_queues; i++)
		if (is_enabled(i) && !share_pair(i))
			return -ENOMEM;
	return 0;
}

/**
 * Has the rings of an index served while rings are shared, if they are not so already. Both of
 * them, as the interrupts of a pair are polled together. With control_ held.
 */
bool
rings::share_pair(uint16_t index)
{
	const int node = port_.numa_node;
	bool ok = true;

	if (index >= hosts_.rx && hosts_.rx != 0 && !(rx_[index] && rx_[index]->host_ready)) {
		const from_guest &host = *rx_[serving(index, hosts_.rx)];
		ok = make_rx(index, node, host.pool, host.offloads);
		if (ok)
			rx_[index]->running = host.running;
	}
	if (index >= hosts_.tx && hosts_.tx != 0 && !(tx_[index] && tx_[index]->host_ready)) {
		const to_guest &host = *tx_[serving(index, hosts_.tx)];
		ok = make_tx(index, node, host.offloads) && ok;
		if (tx_[index])
			tx_[index]->running = host.running;
	}
	if (!ok)
		IAVF_BE_LOG_LIMITED(log_, ERR, "%s: no memory for queue %u; not served", port_.name,
				    index);
	return ok;
}

/** Nobody else asks the application for the queues that it has announced. */
bool
rings::all_set_up() const
{
	const auto there = [](const auto &q) { return q && q->host_ready; };

	if (std::all_of(rx_.begin(), rx_.begin() + port_.nb_rx_queues, there) &&
	    std::all_of(tx_.begin(), tx_.begin() + port_.nb_tx_queues, there))
		return true;
	IAVF_BE_LOG(ERR, "%s: not all of the %u Rx and %u Tx queues are set up", port_.name,
		    port_.nb_rx_queues, port_.nb_tx_queues);
	return false;
}

/** Leaves each queue with its own ring. The rings' gates are closed. */
void
rings::unshare()
{
	{
		/* From here on no ring comes that the guest enables. */
		const std::lock_guard hold(control_);
		hosts_ = {};
		for (uint16_t i = 0; i < there_.end; i++) {
			from_guest *q = rx_[i].get();
			if (q == nullptr)
				continue;
			q->sibling.store(q, std::memory_order_relaxed);
			q->turn = q;
		}
	}
	for (uint16_t i = port_.nb_rx_queues; i < there_.end; i++)
		release_rx(i);
	for (uint16_t i = port_.nb_tx_queues; i < there_.end; i++)
		release_tx(i);
}

bool
rings::fits(const from_guest &q, uint16_t mtu) const
{
	if ((q.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0 || mtu + iavf::frame_overhead <= q.room)
		return true;
	IAVF_BE_LOG(ERR,
		    "%s: frames of %u bytes (MTU %u) do not fit mbufs with %u bytes of data: use "
		    "larger mbufs or enable RTE_ETH_RX_OFFLOAD_SCATTER",
		    port_.name, mtu + iavf::frame_overhead, mtu, q.room);
	return false;
}

/**
 * Whether the mbufs of all Rx queues of the application have room for the MTU. To be asked while
 * the port is started, and when it starts: before, queues may be set up anew.
 */
bool
rings::fit(uint16_t mtu) const
{
	for (uint16_t i = 0; i < port_.nb_rx_queues; i++)
		if (rx_[i] && rx_[i]->host_ready && !fits(*rx_[i], mtu))
			return false;
	return true;
}

/** What an application's queue is made with. */
void
rings::equip(from_guest &q, rte_mempool *pool, uint64_t offloads)
{
	q.pool = pool;
	q.room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	q.offloads = offloads;
	q.copy_sum = select_copy_sum();
}

void
rings::equip(to_guest &q, uint64_t offloads)
{
	q.offloads = offloads;
	q.loops = select_to_guest(offloads);
	q.fast_free = frees_fast(offloads);
	q.copy_sum = select_copy_sum();
}

int
rings::setup_rx(uint16_t index, int node, rte_mempool *pool, uint64_t offloads)
{
	const std::lock_guard hold(control_);
	return make_rx(index, node, pool, offloads) ? 0 : -ENOMEM;
}

int
rings::setup_tx(uint16_t index, int node, uint64_t offloads)
{
	const std::lock_guard hold(control_);
	return make_tx(index, node, offloads) ? 0 : -ENOMEM;
}

/** Sets a queue up, which is made if it is not there yet; false: there is no memory. */
bool
rings::make_rx(uint16_t index, int node, rte_mempool *pool, uint64_t offloads)
{
	if (!rx_[index]) {
		rx_[index] = make_on_node<from_guest>(node);
		if (!rx_[index])
			return false;
		there_.end = std::max<uint16_t>(there_.end, index + 1);
		join(*rx_[index], RTE_EMUDEV_FROM_GUEST, index);
		shared_.rx[index].store(rx_[index].get(), std::memory_order_release);
	}
	from_guest &q = *rx_[index];
	q.access.close();
	equip(q, pool, offloads);
	q.rearm = rearm_words(port_.port_id);
	q.host_ready = true;
	join_pair(index);
	return true;
}

bool
rings::make_tx(uint16_t index, int node, uint64_t offloads)
{
	if (!tx_[index]) {
		tx_[index] = make_on_node<to_guest>(node);
		if (!tx_[index])
			return false;
		there_.end = std::max<uint16_t>(there_.end, index + 1);
		join(*tx_[index], RTE_EMUDEV_TO_GUEST, index);
		shared_.tx[index].store(tx_[index].get(), std::memory_order_release);
	}
	to_guest &q = *tx_[index];
	q.access.close();
	equip(q, offloads);
	q.host_ready = true;
	join_pair(index);
	return true;
}

void
rings::release_rx(uint16_t index)
{
	const std::lock_guard hold(control_);
	if (rx_[index] == nullptr)
		return;
	rx_[index]->access.close();
	rx_[index]->host_ready = false;
	rx_[index]->pool = nullptr;
}

void
rings::release_tx(uint16_t index)
{
	const std::lock_guard hold(control_);
	if (tx_[index] == nullptr)
		return;
	tx_[index]->access.close();
	tx_[index]->host_ready = false;
}

void
rings::release_all()
{
	for (uint16_t i = 0; i < there_.end; i++) {
		release_rx(i);
		release_tx(i);
	}
}

} // namespace iavf_be
