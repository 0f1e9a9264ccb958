/* SPDX-License-Identifier: BSD-3-Clause */

/* The ethdev operations: what the application's words mean for the port. */

#include <algorithm>
#include <cstdio>
#include <string>

#include "log.hpp"
#include "port.hpp"

namespace iavf_be {

namespace {

/** Rings are the guest's: what the application asks for is taken as it is. */
constexpr uint16_t max_ring = 4096, default_burst = 32;
constexpr uint64_t rx_queue_offloads = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_VLAN_STRIP |
				       RTE_ETH_RX_OFFLOAD_QINQ_STRIP | rx_checksums;
constexpr uint64_t rx_offloads =
	rx_queue_offloads | RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_VLAN_FILTER;
constexpr uint64_t tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE |
				 RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_QINQ_INSERT |
				 request_offloads;

/**
 * The longest request to hand over, 0 without LRO. Where the application has not said how long
 * that may be, the library says it: as long as one frame, which would make it no use.
 */
uint32_t
lro_limit(const rte_eth_rxmode &mode)
{
	if ((mode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO) == 0)
		return 0;
	return mode.max_lro_pkt_size <= mode.mtu + iavf::frame_overhead ? longest_handover
									: mode.max_lro_pkt_size;
}

int
configure(rte_eth_dev *eth)
{
	const rte_eth_dev_data &data = *eth->data;
	const uint16_t pairs = std::max({data.nb_rx_queues, data.nb_tx_queues, uint16_t{1}});

	port_of(eth).change(&host_settings::lro, lro_limit(data.dev_conf.rxmode));
	return port_of(eth).configure(pairs, data.mtu);
}

/** Applications, testpmd among them, do not poll a queue that is not started. */
void
set_queue_states(const rte_eth_dev &eth, bool started)
{
	rings &queues = port_of(&eth).queues();
	const auto state = [started](const queue &q) {
		return static_cast<uint8_t>(started && q.running ? RTE_ETH_QUEUE_STATE_STARTED
								 : RTE_ETH_QUEUE_STATE_STOPPED);
	};

	for (uint16_t i = 0; i < eth.data->nb_rx_queues; i++)
		eth.data->rx_queue_state[i] = state(*queues.rx(i));
	for (uint16_t i = 0; i < eth.data->nb_tx_queues; i++)
		eth.data->tx_queue_state[i] = state(*queues.tx(i));
}

int
start(rte_eth_dev *eth)
{
	const int rc = port_of(eth).start();
	if (rc == 0)
		set_queue_states(*eth, true);
	return rc;
}

int
stop(rte_eth_dev *eth)
{
	set_queue_states(*eth, false);
	return port_of(eth).stop();
}

template <rte_emudev_dir direction, bool yes>
int
run_queue(rte_eth_dev *eth, uint16_t index)
{
	const int rc = port_of(eth).queues().run(direction, index, yes);

	if (rc == 0)
		(direction == RTE_EMUDEV_FROM_GUEST ? eth->data->rx_queue_state
						    : eth->data->tx_queue_state)[index] =
			yes ? RTE_ETH_QUEUE_STATE_STARTED : RTE_ETH_QUEUE_STATE_STOPPED;
	return rc;
}

int
close(rte_eth_dev *eth)
{
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	shared_port *shared = shared_of(eth);
	if (eth->data->dev_started)
		shared->own->stop();
	/* The destructor unsubscribes: no event comes once it is done. */
	delete shared->own;
	eth->data->dev_private = nullptr;
	rte_free(shared);
	return 0;
}

/** The application sets its queues up again. */
int
reset(rte_eth_dev *eth)
{
	port_of(eth).queues().release_all();
	std::fill_n(eth->data->rx_queues, eth->data->nb_rx_queues, nullptr);
	std::fill_n(eth->data->tx_queues, eth->data->nb_tx_queues, nullptr);
	return stats_reset(eth);
}

int
infos_get(rte_eth_dev *eth, rte_eth_dev_info *info)
{
	const shared_port *facts = shared_of(eth);

	if (facts == nullptr)
		return -ENODEV;
	info->max_rx_queues = facts->max_queues;
	info->max_tx_queues = facts->max_queues;
	info->min_rx_bufsize = min_room;
	info->max_rx_pktlen = facts->max_frame;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = static_cast<uint16_t>(facts->max_mtu());
	info->max_mac_addrs = shared_port::most_addresses;
	info->max_lro_pkt_size = longest_handover;
	info->rx_offload_capa = rx_offloads;
	info->rx_queue_offload_capa = rx_queue_offloads;
	info->tx_offload_capa = tx_offloads;
	/* It would leave a mbuf attached to what it was lent. */
	if (any_lender())
		info->tx_offload_capa &= ~RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	info->tx_queue_offload_capa = info->tx_offload_capa;
	info->dev_capa =
		RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP | RTE_ETH_DEV_CAPA_RUNTIME_TX_QUEUE_SETUP;
	info->rx_desc_lim = {.nb_max = max_ring, .nb_min = 1, .nb_align = 1};
	info->tx_desc_lim = info->rx_desc_lim;
	info->speed_capa = rte_eth_speed_bitflag(facts->link_speed.load(std::memory_order_relaxed),
						 RTE_ETH_LINK_FULL_DUPLEX);
	info->default_rxportconf = {default_burst, default_ring, 1};
	info->default_txportconf = {default_burst, default_ring, 1};
	return 0;
}

int
link_update(rte_eth_dev *eth, int)
{
	return port_of(eth).update_link() ? 0 : -1;
}

/** The primary process writes it. */
int
link_as_written(rte_eth_dev *, int)
{
	return -1;
}

int
is_removed(rte_eth_dev *eth)
{
	return port_of(eth).removed();
}

int
rx_queue_setup(rte_eth_dev *eth, uint16_t index, uint16_t, unsigned int node,
	       const rte_eth_rxconf *conf, rte_mempool *pool)
{
	port &self = port_of(eth);
	const uint64_t offloads = conf->offloads | eth->data->dev_conf.rxmode.offloads;
	const int rc = self.queues().setup_rx(index, static_cast<int>(node), pool, offloads);

	if (rc == 0) {
		self.queues().rx(index)->deferred = conf->rx_deferred_start != 0;
		eth->data->rx_queues[index] = self.queues().rx(index);
	}
	return rc;
}

int
tx_queue_setup(rte_eth_dev *eth, uint16_t index, uint16_t, unsigned int node,
	       const rte_eth_txconf *conf)
{
	port &self = port_of(eth);
	const uint64_t offloads = conf->offloads | eth->data->dev_conf.txmode.offloads;
	const int rc = self.queues().setup_tx(index, static_cast<int>(node), offloads);

	if (rc == 0) {
		self.queues().tx(index)->deferred = conf->tx_deferred_start != 0;
		eth->data->tx_queues[index] = self.queues().tx(index);
	}
	return rc;
}

void
rx_queue_release(rte_eth_dev *eth, uint16_t index)
{
	if (eth->data->dev_private != nullptr)
		port_of(eth).queues().release_rx(index);
}

void
tx_queue_release(rte_eth_dev *eth, uint16_t index)
{
	if (eth->data->dev_private != nullptr)
		port_of(eth).queues().release_tx(index);
}

/** Of the guest's ring while it is served. */
uint16_t
ring_size(const queue &q)
{
	return q.access.closed() ? default_ring : q.size;
}

void
rxq_info_get(rte_eth_dev *eth, uint16_t index, rte_eth_rxq_info *info)
{
	const auto &q = *static_cast<const from_guest *>(eth->data->rx_queues[index]);

	info->mp = q.pool;
	info->conf.offloads = q.offloads;
	info->conf.rx_deferred_start = q.deferred;
	info->scattered_rx = (q.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
	info->rx_buf_size = static_cast<uint16_t>(q.room);
	info->nb_desc = ring_size(q);
}

void
txq_info_get(rte_eth_dev *eth, uint16_t index, rte_eth_txq_info *info)
{
	const auto &q = *static_cast<const to_guest *>(eth->data->tx_queues[index]);

	info->conf.offloads = q.offloads;
	info->conf.tx_deferred_start = q.deferred;
	info->nb_desc = ring_size(q);
}

/** What a burst does beyond passing frames on, where any of these offloads is on. */
struct burst_row {
	uint64_t offloads;
	const char *name;
};
constexpr burst_row rx_burst_rows[] = {
	{RTE_ETH_RX_OFFLOAD_SCATTER, "Scattered"},
	{RTE_ETH_RX_OFFLOAD_TCP_LRO, "LRO"},
	{rx_checksums, "Checksums"},
	{RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_QINQ_STRIP, "VLAN Strip"},
	{RTE_ETH_RX_OFFLOAD_VLAN_FILTER, "VLAN Filter"},
};
constexpr uint64_t tx_segmentations =
	RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO |
	RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO | RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO |
	RTE_ETH_TX_OFFLOAD_GENEVE_TNL_TSO | RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO;
constexpr burst_row tx_burst_rows[] = {
	{RTE_ETH_TX_OFFLOAD_MULTI_SEGS, "Multi-segment"},
	{request_offloads & ~tx_segmentations, "Checksums"},
	{tx_segmentations, "TSO"},
	{RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_QINQ_INSERT, "VLAN Insert"},
};

/** Begins with what there always is, for there is no vector code. */
template <size_t n>
std::string
names_of(const burst_row (&rows)[n], uint64_t offloads)
{
	std::string names = "Scalar";

	for (const burst_row &row : rows)
		if ((offloads & row.offloads) != 0)
			names = names + ", " + row.name;
	return names;
}

int
tell_mode(const std::string &names, rte_eth_burst_mode &mode)
{
	snprintf(mode.info, sizeof(mode.info), "%s", names.c_str());
	mode.flags = RTE_ETH_BURST_FLAG_PER_QUEUE;
	return 0;
}

int
rx_burst_mode_get(rte_eth_dev *eth, uint16_t index, rte_eth_burst_mode *mode)
{
	const auto *q = static_cast<const from_guest *>(eth->data->rx_queues[index]);

	/* The library looks for that of some calls only. */
	if (q == nullptr)
		return -EINVAL;
	return tell_mode(names_of(rx_burst_rows, q->offloads), *mode);
}

int
tx_burst_mode_get(rte_eth_dev *eth, uint16_t index, rte_eth_burst_mode *mode)
{
	if (eth->data->tx_queues[index] == nullptr)
		return -EINVAL;
	const auto &q = *static_cast<const to_guest *>(eth->data->tx_queues[index]);
	std::string names = names_of(tx_burst_rows, q.offloads);

	if (frees_fast(q.offloads))
		names += ", Fast Free";
	/* The rest is a matter of the ring. */
	if (q.access.closed())
		return tell_mode(names, *mode);
	if (q.variant.check)
		names += ", Checks";
	if (q.largest != 0)
		names += ", Large Receives";
	return tell_mode(names, *mode);
}

template <bool yes>
int
arm_rx_interrupt(rte_eth_dev *eth, uint16_t index)
{
	return port_of(eth).interrupts().arm(index, yes);
}

/** A frame is free when its burst returns: there are none left to free. */
int
tx_done_cleanup(void *, uint32_t)
{
	return 0;
}

int
dump(rte_eth_dev *eth, FILE *file)
{
	port_of(eth).queues().dump(file);
	return 0;
}

template <bool up>
int
set_link(rte_eth_dev *eth)
{
	return port_of(eth).set_link(up);
}

template <bool host_settings::*mode, bool on>
int
set_mode(rte_eth_dev *eth)
{
	port_of(eth).change(mode, on);
	return 0;
}

int
mac_addr_set(rte_eth_dev *eth, rte_ether_addr *mac)
{
	port_of(eth).change(&host_settings::mac, *mac);
	return 0;
}

void
set_address(rte_eth_dev *eth, uint32_t index, const rte_ether_addr &mac)
{
	auto all = port_of(eth).queues().settings().others;

	all[index] = mac;
	port_of(eth).change(&host_settings::others, all);
}

/** The library keeps the list, chooses the index, and adds all of it anew when a port starts. */
int
mac_addr_add(rte_eth_dev *eth, rte_ether_addr *mac, uint32_t index, uint32_t)
{
	set_address(eth, index, *mac);
	return 0;
}

void
mac_addr_remove(rte_eth_dev *eth, uint32_t index)
{
	set_address(eth, index, {});
}

int
set_mc_addr_list(rte_eth_dev *eth, rte_ether_addr *list, uint32_t n)
{
	port_of(eth).change(&host_settings::groups, {list, list + n});
	return 0;
}

int
mtu_set(rte_eth_dev *eth, uint16_t mtu)
{
	return port_of(eth).set_mtu(mtu);
}

/** The library has changed the port's configuration; it asks once for all that is new. */
int
vlan_offload_set(rte_eth_dev *eth, int mask)
{
	constexpr struct {
		int mask;
		uint64_t offload;
	} rows[] = {
		{RTE_ETH_VLAN_STRIP_MASK, RTE_ETH_RX_OFFLOAD_VLAN_STRIP},
		{RTE_ETH_QINQ_STRIP_MASK, RTE_ETH_RX_OFFLOAD_QINQ_STRIP},
		{RTE_ETH_VLAN_FILTER_MASK, RTE_ETH_RX_OFFLOAD_VLAN_FILTER},
	};
	uint64_t which = 0;

	for (const auto &row : rows)
		which |= (mask & row.mask) != 0 ? row.offload : 0;
	port_of(eth).queues().change_rx_offloads(0, UINT16_MAX, which,
						 eth->data->dev_conf.rxmode.offloads);
	return 0;
}

void
vlan_strip_queue_set(rte_eth_dev *eth, uint16_t index, int on)
{
	constexpr uint64_t strip = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;

	port_of(eth).queues().change_rx_offloads(index, index + 1, strip, on != 0 ? strip : 0);
}

int
vlan_filter_set(rte_eth_dev *eth, uint16_t id, int on)
{
	vlan_id_set ids = port_of(eth).queues().settings().vlan_ids;
	const uint64_t bit = uint64_t{1} << id % 64;

	ids[id / 64] = on != 0 ? ids[id / 64] | bit : ids[id / 64] & ~bit;
	port_of(eth).change(&host_settings::vlan_ids, ids);
	return 0;
}

/** The type of the first of two tags may be chosen; the second one's is that of 802.1Q. */
int
vlan_tpid_set(rte_eth_dev *eth, rte_vlan_type which, uint16_t type)
{
	if (!is_vlan_type(type) ||
	    (which != RTE_ETH_VLAN_TYPE_OUTER && type != RTE_ETHER_TYPE_VLAN))
		return -EINVAL;
	if (which == RTE_ETH_VLAN_TYPE_OUTER)
		port_of(eth).change(&host_settings::outer_vlan_type, type);
	return 0;
}

/** What a process can do that has the queues, and neither rings nor the device. */
constexpr eth_dev_ops
make_secondary_ops()
{
	eth_dev_ops ops{};

	ops.dev_close = close;
	ops.dev_infos_get = infos_get;
	ops.link_update = link_as_written;
	ops.rxq_info_get = rxq_info_get;
	ops.txq_info_get = txq_info_get;
	ops.rx_burst_mode_get = rx_burst_mode_get;
	ops.tx_burst_mode_get = tx_burst_mode_get;
	ops.stats_get = compat::stats_get<stats_get>;
	ops.stats_reset = stats_reset;
	ops.xstats_get = xstats_get;
	ops.xstats_get_names = xstats_get_names;
	ops.xstats_reset = stats_reset;
	return ops;
}

constexpr eth_dev_ops
make_ops()
{
	eth_dev_ops ops = make_secondary_ops();

	ops.dev_configure = configure;
	ops.dev_start = start;
	ops.dev_stop = stop;
	ops.dev_reset = reset;
	ops.link_update = link_update;
	ops.dev_set_link_up = set_link<true>;
	ops.dev_set_link_down = set_link<false>;
	ops.is_removed = is_removed;
	ops.rx_queue_setup = rx_queue_setup;
	ops.tx_queue_setup = tx_queue_setup;
	ops.rx_queue_release = rx_queue_release;
	ops.tx_queue_release = tx_queue_release;
	ops.rx_queue_start = run_queue<RTE_EMUDEV_FROM_GUEST, true>;
	ops.rx_queue_stop = run_queue<RTE_EMUDEV_FROM_GUEST, false>;
	ops.tx_queue_start = run_queue<RTE_EMUDEV_TO_GUEST, true>;
	ops.tx_queue_stop = run_queue<RTE_EMUDEV_TO_GUEST, false>;
	ops.rx_queue_intr_enable = arm_rx_interrupt<true>;
	ops.rx_queue_intr_disable = arm_rx_interrupt<false>;
	ops.tx_done_cleanup = tx_done_cleanup;
	ops.get_monitor_addr = get_monitor_addr;
	ops.eth_dev_priv_dump = dump;
	ops.promiscuous_enable = set_mode<&host_settings::promiscuous, true>;
	ops.promiscuous_disable = set_mode<&host_settings::promiscuous, false>;
	ops.allmulticast_enable = set_mode<&host_settings::all_multicast, true>;
	ops.allmulticast_disable = set_mode<&host_settings::all_multicast, false>;
	ops.mac_addr_set = mac_addr_set;
	ops.mac_addr_add = mac_addr_add;
	ops.mac_addr_remove = mac_addr_remove;
	ops.set_mc_addr_list = set_mc_addr_list;
	ops.mtu_set = mtu_set;
	ops.vlan_offload_set = vlan_offload_set;
	ops.vlan_strip_queue_set = vlan_strip_queue_set;
	ops.vlan_filter_set = vlan_filter_set;
	ops.vlan_tpid_set = vlan_tpid_set;
	return ops;
}

} // namespace

constinit const eth_dev_ops port_ops = make_ops();
constinit const eth_dev_ops secondary_ops = make_secondary_ops();

} // namespace iavf_be
