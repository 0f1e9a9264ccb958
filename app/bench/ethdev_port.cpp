/* SPDX-License-Identifier: BSD-3-Clause */
#include "ethdev_port.hpp"

#include <cstdio>
#include <cstring>

#include <rte_ether.h>
#include <rte_mempool.h>

namespace bench {

namespace {

rte_mempool *
make_pool(const char *name, const port_options &options, uint16_t room)
{
	constexpr unsigned int cache = 256;
	return rte_pktmbuf_pool_create(name, options.mbufs, cache, 0, RTE_PKTMBUF_HEADROOM + room,
				       static_cast<int>(rte_socket_id()));
}

struct frame_form {
	uint32_t length;
	frame_kind kind;
};

void
fill_mbuf(rte_mempool *, void *form, void *object, unsigned int index)
{
	auto *m = static_cast<rte_mbuf *>(object);
	const auto &wanted = *static_cast<const frame_form *>(form);
	fill_frame(static_cast<std::byte *>(m->buf_addr) + RTE_PKTMBUF_HEADROOM, wanted.length,
		   index, wanted.kind);
}

} // namespace

int
complain(const char *what, int error)
{
	std::fprintf(stderr, "bench: %s: %s\n", what, rte_strerror(-error));
	return error;
}

port_pools
port_pools::make(const port_options &options)
{
	/* 2 KiB as everybody has it, or what takes a 9728-byte frame. */
	const uint16_t usual = options.max_frame <= 2048 ? 2048 : 9728;

	return {make_pool("from_wire", options, options.room != 0 ? options.room : usual),
		make_pool("to_wire", options, usual)};
}

int
ethdev_port::open(uint16_t id, const port_options &options)
{
	return open(id, options, port_pools::make(options));
}

int
ethdev_port::open(uint16_t id, const port_options &options, port_pools pools)
{
	id_ = id;
	kind_ = options.kind;
	pools_ = pools;
	if (pools_.from_wire == nullptr || pools_.to_wire == nullptr)
		return complain("cannot create mbuf pools", -rte_errno);
	if (int error = configure(options); error != 0)
		return complain("cannot configure the port", error);
	if (int error = set_up_queues(options); error != 0)
		return complain("cannot set up the queues", error);
	if (int error = rte_eth_dev_start(id_); error != 0)
		return complain("cannot start the port", error);
	if (!options.addressed)
		rte_eth_promiscuous_enable(id_); /* not every port knows it or needs it */
	return 0;
}

int
ethdev_port::configure(const port_options &options)
{
	rte_eth_dev_info info;
	if (int error = rte_eth_dev_info_get(id_, &info); error != 0)
		return error;
	rte_eth_conf conf = {};
	/* Some ports pass jumbo frames but know no larger MTU. */
	const uint32_t overhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
	const uint32_t known = std::min<uint32_t>(info.max_mtu, info.max_rx_pktlen - overhead);
	conf.rxmode.mtu = std::clamp<uint32_t>(options.max_frame - overhead, RTE_ETHER_MTU,
					       std::max<uint32_t>(known, RTE_ETHER_MTU));
	conf.rxmode.offloads = options.rx_offloads;
	conf.txmode.offloads = options.tx_offloads;
	if (options.fast_free)
		conf.txmode.offloads |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (options.room != 0 && options.room < options.max_frame)
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (options.merged)
		conf.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO;
	if (options.rss) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads & (RTE_ETH_RSS_UDP | RTE_ETH_RSS_IP);
	}
	return rte_eth_dev_configure(id_, options.queues, options.queues, &conf);
}

int
ethdev_port::set_up_queues(const port_options &options)
{
	const int socket = static_cast<int>(rte_socket_id());
	uint16_t rx = options.descriptors, tx = options.descriptors;
	rte_eth_dev_info info;
	int error = rte_eth_dev_info_get(id_, &info);
	if (error != 0)
		return error;
	rte_eth_txconf conf = info.default_txconf;
	conf.offloads = 0; /* those of the port */
	if (options.free_thresh != 0)
		conf.tx_free_thresh = options.free_thresh;
	error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
	for (uint16_t queue = 0; queue < options.queues && error == 0; queue++) {
		error = rte_eth_rx_queue_setup(id_, queue, rx, socket, nullptr, pools_.from_wire);
		if (error == 0)
			error = rte_eth_tx_queue_setup(id_, queue, tx, socket, &conf);
	}
	return error;
}

void
ethdev_port::close()
{
	drop_pending();
	rte_eth_dev_stop(id_);
	rte_eth_dev_close(id_);
}

bool
ethdev_port::wait_for_link(double seconds) const
{
	const double end = seconds_of(CLOCK_MONOTONIC) + seconds;
	do {
		rte_eth_link link = {};
		if (rte_eth_link_get_nowait(id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP)
			return true;
		rte_delay_us_sleep(10000);
	} while (seconds_of(CLOCK_MONOTONIC) < end);
	return false;
}

void
ethdev_port::prepare(uint32_t frame)
{
	drop_pending();
	frame_ = frame;
	frame_form form{frame, kind_};
	rte_mempool_obj_iter(pools_.to_wire, fill_mbuf, &form);
}

void
ethdev_port::drop_pending()
{
	rte_pktmbuf_free_bulk(pending_ + next_, last_ - next_);
	next_ = last_ = 0;
}

} // namespace bench
