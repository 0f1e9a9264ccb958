/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Statistics: one row per counter beyond packets and bytes. Any process asks for them, so all comes
 * from what they share.
 */

#include <array>
#include <cstdio>

#include <telemetry_data.hpp>

#include "port.hpp"

namespace iavf_be {

namespace {

/** What a counter means for the ethdev statistics. */
enum class kind { informative, error };

template <class id> struct row {
	const char *name;
	id which;
	kind meaning;
};

using from = from_guest_count;
using to = to_guest_count;

constexpr std::array from_rows{
	row<from>{"rx_multicast_packets", from::multicast, kind::informative},
	row<from>{"rx_broadcast_packets", from::broadcast, kind::informative},
	row<from>{"rx_filtered_packets", from::filtered, kind::informative},
	row<from>{"rx_vlan_filtered_packets", from::vlan_filtered, kind::informative},
	row<from>{"rx_rate_limited_bursts", from::held_back, kind::informative},
	row<from>{"rx_rate_yielded_bursts", from::yielded, kind::informative},
	row<from>{"rx_zero_copy_packets", from::lent, kind::informative},
	row<from>{"rx_zero_copy_bound_packets", from::past_bound, kind::informative},
	row<from>{"rx_spoofed_errors", from::spoofed, kind::error},
	row<from>{"rx_vlan_spoofed_errors", from::vlan_spoofed, kind::error},
	row<from>{"rx_bad_tail_errors", from::bad_tail, kind::error},
	row<from>{"rx_bad_descriptor_errors", from::bad_descriptor, kind::error},
	row<from>{"rx_bad_chain_errors", from::bad_chain, kind::error},
	row<from>{"rx_short_errors", from::too_short, kind::error},
	row<from>{"rx_oversize_errors", from::too_long, kind::error},
	row<from>{"rx_unmapped_errors", from::not_mapped, kind::error},
	row<from>{"rx_bad_offload_errors", from::bad_offload, kind::error},
	row<from>{"rx_unsupported_offload_errors", from::unsupported_offload, kind::error},
	row<from>{"rx_no_scatter_errors", from::no_scatter, kind::error},
};

constexpr std::array to_rows{
	row<to>{"tx_multicast_packets", to::multicast, kind::informative},
	row<to>{"tx_broadcast_packets", to::broadcast, kind::informative},
	row<to>{"tx_no_queue_packets", to::no_queue, kind::informative},
	row<to>{"tx_paused_packets", to::paused, kind::informative},
	row<to>{"tx_vlan_filtered_packets", to::vlan_filtered, kind::informative},
	row<to>{"tx_address_filtered_packets", to::address_filtered, kind::informative},
	row<to>{"tx_flow_dropped_packets", to::flow_dropped, kind::informative},
	row<to>{"tx_port_vlan_filtered_packets", to::port_vlan_filtered, kind::informative},
	row<to>{"tx_bad_tail_errors", to::bad_tail, kind::error},
	row<to>{"tx_short_errors", to::too_short, kind::error},
	row<to>{"tx_oversize_errors", to::too_long, kind::error},
	row<to>{"tx_unmapped_errors", to::not_mapped, kind::error},
	row<to>{"tx_disabled_offload_errors", to::disabled_offload, kind::error},
	row<to>{"tx_bad_offload_errors", to::bad_offload, kind::error},
};

constexpr unsigned int xstats_count = from_rows.size() + to_rows.size();

/* Packets, bytes and (from the guest) mbuf shortage are basic statistics and have no row; nor have
 * those with which they are brought to who has sent them: the guest, or a queue. */
static_assert(from_rows.size() + 9 == counters<from>::size);
static_assert(to_rows.size() + 8 == counters<to>::size);

template <class id, size_t n>
uint64_t
errors(const std::array<row<id>, n> &rows, const counters<id> &counts)
{
	uint64_t sum = 0;
	for (const auto &one : rows)
		if (one.meaning == kind::error)
			sum += counts.get(one.which);
	return sum;
}

template <class id, size_t n>
uint64_t
total_errors(const std::array<row<id>, n> &rows, const counters<id> &counts)
{
	uint64_t sum = 0;
	for (const auto &one : rows)
		if (one.meaning == kind::error)
			sum += counts.total(one.which);
	return sum;
}

/** Rings that a queue serves besides its own count for it; see rings::share(). */
void
add_rx(rte_eth_stats &stats, compat::queue_stats *queues, const from_guest &q, uint16_t rx_queues)
{
	const uint16_t host = serving(q.index, rx_queues);
	const uint64_t packets = q.counts.get(from::packets), bytes = q.counts.get(from::bytes);

	stats.ipackets += packets;
	stats.ibytes += bytes;
	stats.ierrors += errors(from_rows, q.counts);
	stats.rx_nombuf += q.counts.get(from::no_mbuf);
	if (queues != nullptr && host < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
		queues->q_ipackets[host] += packets;
		queues->q_ibytes[host] += bytes;
		queues->q_errors[host] += errors(from_rows, q.counts);
	}
}

void
add_tx(rte_eth_stats &stats, compat::queue_stats *queues, const to_guest &q, uint16_t tx_queues)
{
	const uint16_t host = serving(q.index, tx_queues);
	const uint64_t packets = q.counts.get(to::packets), bytes = q.counts.get(to::bytes);

	stats.opackets += packets;
	stats.obytes += bytes;
	stats.oerrors += errors(to_rows, q.counts);
	if (queues != nullptr && host < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
		queues->q_opackets[host] += packets - q.counts.get(to::lent_packets) +
					    q.counts.get(to::borrowed_packets);
		queues->q_obytes[host] +=
			bytes - q.counts.get(to::lent_bytes) + q.counts.get(to::borrowed_bytes);
	}
}

} // namespace

int
stats_get(rte_eth_dev *eth, rte_eth_stats &stats, compat::queue_stats *queues)
{
	const shared_port *all = shared_of(eth);
	const rte_eth_dev_data &data = *eth->data;

	if (all == nullptr)
		return -ENODEV;
	all->each_rx([&](const from_guest &q) { add_rx(stats, queues, q, data.nb_rx_queues); });
	all->each_tx([&](const to_guest &q) { add_tx(stats, queues, q, data.nb_tx_queues); });
	return 0;
}

int
stats_reset(rte_eth_dev *eth)
{
	const shared_port *all = shared_of(eth);

	if (all == nullptr)
		return -ENODEV;
	all->each_rx([](from_guest &q) { q.counts.reset(); });
	all->each_tx([](to_guest &q) { q.counts.reset(); });
	return 0;
}

/** Sums over all queues. */
int
xstats_get(rte_eth_dev *eth, rte_eth_xstat *values, unsigned int size)
{
	const shared_port *all = shared_of(eth);

	if (all == nullptr)
		return -ENODEV;
	if (values == nullptr || size < xstats_count)
		return xstats_count;
	for (unsigned int i = 0; i < xstats_count; i++)
		values[i] = {i, 0};
	all->each_rx([values](const from_guest &q) {
		for (size_t i = 0; i < from_rows.size(); i++)
			values[i].value += q.counts.get(from_rows[i].which);
	});
	all->each_tx([values](const to_guest &q) {
		for (size_t i = 0; i < to_rows.size(); i++)
			values[from_rows.size() + i].value += q.counts.get(to_rows[i].which);
	});
	return xstats_count;
}

int
xstats_get_names(rte_eth_dev *, rte_eth_xstat_name *names, unsigned int size)
{
	if (names == nullptr || size < xstats_count)
		return xstats_count;
	for (const auto &one : from_rows)
		snprintf(names++->name, sizeof(names->name), "%s", one.name);
	for (const auto &one : to_rows)
		snprintf(names++->name, sizeof(names->name), "%s", one.name);
	return xstats_count;
}

template <class id, size_t n>
static void
add_rows(rte_tel_data *out, const std::array<row<id>, n> &rows, const counters<id> &counts)
{
	telemetry_data::add_uint(out, "packets", counts.get(id::packets));
	telemetry_data::add_uint(out, "bytes", counts.get(id::bytes));
	for (const auto &one : rows)
		telemetry_data::add_uint(out, one.name, counts.get(one.which));
}

/** What is dropped for whatever reason comes first. */
void
add_from_guest_counters(rte_tel_data *out, const shared_port &all, uint16_t index)
{
	const from_guest *q = all.rx[index].load(std::memory_order_acquire);

	if (q == nullptr)
		return;
	telemetry_data::add_uint(out, "dropped",
				 errors(from_rows, q->counts) + q->counts.get(from::no_mbuf));
	telemetry_data::add_uint(out, "rx_mbuf_allocation_errors", q->counts.get(from::no_mbuf));
	add_rows(out, from_rows, q->counts);
}

void
add_to_guest_counters(rte_tel_data *out, const shared_port &all, uint16_t index)
{
	const to_guest *q = all.tx[index].load(std::memory_order_acquire);

	if (q == nullptr)
		return;
	telemetry_data::add_uint(out, "dropped", errors(to_rows, q->counts));
	add_rows(out, to_rows, q->counts);
}

void
port::guest_stats(rte_emudev_net_stats &stats)
{
	shared_.each_rx([&stats](const from_guest &q) {
		stats.from_guest_packets += q.counts.total(from::packets) +
					    q.counts.total(from::merged_packets) +
					    q.counts.total(from::unseen_packets);
		stats.from_guest_bytes += q.counts.total(from::bytes) +
					  q.counts.total(from::merged_bytes) +
					  q.counts.total(from::unseen_bytes);
		stats.from_guest_multicast +=
			q.counts.total(from::multicast) + q.counts.total(from::unseen_multicast);
		stats.from_guest_broadcast +=
			q.counts.total(from::broadcast) + q.counts.total(from::unseen_broadcast);
		stats.from_guest_errors += total_errors(from_rows, q.counts);
	});
	shared_.each_tx([&stats](const to_guest &q) {
		stats.to_guest_packets +=
			q.counts.total(to::packets) + q.counts.total(to::merged_packets);
		stats.to_guest_bytes +=
			q.counts.total(to::bytes) + q.counts.total(to::merged_bytes);
		stats.to_guest_multicast += q.counts.total(to::multicast);
		stats.to_guest_broadcast += q.counts.total(to::broadcast);
		stats.to_guest_dropped += total_errors(to_rows, q.counts);
	});
}

} // namespace iavf_be
