/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports.hpp"
#include "second_writer.hpp"

/*
 * Rings on which a guest receives: an input is what its driver has set up, buffers, frames of the
 * application with what it asks for, and what the guest stores into ring and buffers meanwhile.
 */

namespace {

using namespace fuzz;
using namespace test;
using namespace test::port_suite;

constexpr uint64_t several = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
constexpr uint64_t inserts = RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_QINQ_INSERT;
constexpr uint64_t sums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			  RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_SCTP_CKSUM |
			  RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM;
constexpr uint64_t cuts = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO |
			  RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO | RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO |
			  RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO;

constexpr uint64_t scatter = RTE_ETH_RX_OFFLOAD_SCATTER;

const fake_port::options rows[] = {
	{.rx_offloads = scatter, .tx_offloads = several, .mtu = 9000},
	{.tx_offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE},
	{.rx_offloads = scatter, .tx_offloads = several | sums | cuts, .mtu = 9000},
	{.tx_offloads = several | sums | cuts | inserts, .mtu = 1500},
	{.rx_offloads = scatter,
	 .tx_offloads = several | sums | cuts | inserts,
	 .mtu = 9000,
	 .more = ",lro=1"},
	{.rx_queues = 2, .tx_queues = 2, .tx_offloads = several | inserts},
	{.tx_offloads = several, .more = ",rx_checksum=trust"},
};

/** Behind a buffer, of which the host may write no byte. */
constexpr uint8_t untouched = 0xa5;
constexpr unsigned int slots = 24;
/** Of a frame of the application; more than a guest may ever have. */
constexpr uint16_t most_segments = 100;
constexpr uint64_t slot_size = 4096;

/** What the driver has set up beyond its queues. */
void
configure(fake_guest &guest, input &in)
{
	static rte_emudev_net_rss rss;
	static rte_emudev_net_vlan_ids ids;
	static std::vector<rte_emudev_net_flow> flows;
	static std::vector<rte_ether_addr> filters;
	rte_emudev_net_config config{};
	const uint8_t how = in.u8();

	config.promiscuous = how & 3;
	config.mac.addr_bytes[0] = 2;
	filters.assign(how & 4 ? in.u8() % 20 : 0, {});
	for (rte_ether_addr &one : filters)
		one = in.take<rte_ether_addr>();
	config.nb_filters = static_cast<uint16_t>(filters.size());
	config.filters = filters.data();
	if (how & 8) {
		rss = {};
		in.fill({reinterpret_cast<uint8_t *>(&rss), in.u8() % 200u});
		rss.function = static_cast<uint16_t>(rss.function % 4);
		rss.lut_size = static_cast<uint16_t>(1 << rss.lut_size % 10);
		config.rss = &rss;
	}
	if (how & 16)
		config.vlan = in.take<rte_emudev_net_vlan>();
	config.vlan.ids = nullptr;
	if (how & 32) {
		in.fill({reinterpret_cast<uint8_t *>(&ids), in.u8()});
		config.vlan.ids = &ids;
	}
	flows.assign(how & 64 ? in.u8() % 4 : 0, {});
	for (rte_emudev_net_flow &flow : flows)
		flow = in.take<rte_emudev_net_flow>();
	config.nb_flows = static_cast<uint16_t>(flows.size());
	config.flows = flows.data();
	if (how & 128) {
		config.policy.port_vlan_type = RTE_ETHER_TYPE_VLAN;
		config.policy.port_vlan_tci = 5;
	}
	push_config(guest, config);
}

rte_mbuf *
make_frame(fake_port &port, const fake_port::options &options, input &in)
{
	const bool chains = (options.tx_offloads & several) != 0;
	static std::array<uint8_t, 16384> bytes;
	const uint8_t how = in.u8();
	uint32_t length = write_frame(in, bytes.data(), how & 1);
	rte_mbuf *first = nullptr, *last = nullptr;

	if (how & 2) /* longer, by what was there */
		length += in.u16() % 12000u;
	if (!chains) /* else it breaks what it has promised */
		length = std::min<uint32_t>(length, options.room);
	for (uint32_t done = 0; done < length || first == nullptr;) {
		rte_mbuf *part = rte_pktmbuf_alloc(port.pool());
		MUST(part != nullptr);
		uint32_t piece = std::min<uint32_t>(length - done, rte_pktmbuf_tailroom(part));
		if (how & 4 && chains)
			piece = std::min<uint32_t>(piece, 1 + in.u8());
		std::copy_n(bytes.data() + done, piece,
			    rte_pktmbuf_append(part, static_cast<uint16_t>(piece)));
		done += piece;
		if (first == nullptr) {
			first = part;
		} else { /* rte_pktmbuf_chain() goes to the end each time */
			last->next = part;
			first->nb_segs++;
			first->pkt_len += piece;
		}
		last = part;
		if (first->nb_segs == most_segments)
			break;
	}
	if (how & 8) {
		/* Others than these say something of memory, which is the application's matter. */
		first->ol_flags = in.u64() & ~(RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT);
		first->tx_offload = in.u64();
		first->vlan_tci = in.u16();
		first->vlan_tci_outer = in.u16();
	}
	if (how & 16)
		first->packet_type = in.u32();
	if (how & 32) { /* as an application asks for TSO */
		const bool v6 = how & 64;
		first->ol_flags =
			RTE_MBUF_F_TX_TCP_SEG |
			(v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
		first->l2_len = RTE_ETHER_HDR_LEN;
		first->l3_len = v6 ? sizeof(rte_ipv6_hdr) : sizeof(rte_ipv4_hdr);
		first->l4_len = sizeof(rte_tcp_hdr);
		first->tso_segsz = in.u16() % 1500;
	}
	if (const uint8_t wish = in.u8(); wish & 1)
		ask_for_offloads(*first, wish, in.u16() % 1500);
	return first;
}

/** @return Whether each is a slot of its own. */
bool
post_buffers(fake_guest &guest, input &in, uint16_t queue)
{
	bool plain = true;

	for (unsigned int n = in.u8() % slots; n != 0; n--) {
		const bool good = in.u8() % 8 != 0;
		guest.post_rx(good ? buffer(queue * slots + n - 1) : take_address(in), queue);
		plain = plain && good;
	}
	if (in.u8() % 16 == 0)
		guest.store_tail(guest.rx(queue), in.u32());
	else
		guest.ring_rx(queue);
	return plain;
}

/** How much of each buffer there may have been written. */
void
check_slots(fake_guest &guest, uint32_t buffer_size)
{
	for (unsigned int n = 0; n < slots * 2; n++) {
		const uint8_t *at = guest.at(buffer(n));
		MUST(std::all_of(at + buffer_size, at + slot_size,
				 [](uint8_t byte) { return byte == untouched; }));
	}
}

void
send(fake_guest &guest, fake_port &port, const fake_port::options &options, input &in,
     uint16_t queue)
{
	std::vector<rte_mbuf *> frames;

	for (unsigned int left = 1 + in.u8() % 40;
	     left != 0 && rte_mempool_avail_count(port.pool()) >= most_segments; left--)
		frames.push_back(make_frame(port, options, in));
	const auto n = static_cast<uint16_t>(frames.size());
	/* Of the guest's drivers some poll, some sleep, and some have to wait. */
	const uint8_t wakes = in.u8();
	guest.control[queue + 1] = wakes & 3;
	guest.refuse_fire = wakes & 4;
	const uint16_t ready =
		in.u8() % 2 ? n : rte_eth_tx_prepare(port.id(), queue, frames.data(), n);
	const uint16_t sent = rte_eth_tx_burst(port.id(), queue, frames.data(), ready);
	MUST(sent <= ready && ready <= n);
	rte_pktmbuf_free_bulk(frames.data() + sent, n - sent);
	/* It looks after both rings of a pair. */
	if (queue < options.rx_queues)
		MUST(port.receive(queue).empty());
	guest.refuse_fire = false;
	guest.control[queue + 1] = 0;
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static constexpr uint16_t ring_sizes[] = {64, 32, 8, 128};
	static constexpr uint8_t formats[] = {iavf::rxdid::unset, iavf::rxdid::legacy_32b,
					      iavf::rxdid::flexible_nic, iavf::rxdid::flexible_ovs,
					      7};
	static constexpr uint32_t buffer_sizes[] = {2048, 1024, 128, 3968};
	input in(data, size);
	const uint8_t how = in.u8(), more = in.u8();
	const fake_port::options &options = rows[how % std::size(rows)];
	served_guest &served = serve(rows, how);
	fake_guest &guest = served.guest;
	const uint32_t buffer_size = buffer_sizes[more & 3];
	/* Only plain buffers: what is written through others is not looked at. */
	bool plain = true;

	served.map(0);
	configure(guest, in);
	for (unsigned int n = 0; n < slots * 2; n++)
		memset(guest.at(buffer(n)), untouched, slot_size);
	for (uint16_t queue = 0; queue < 1 + (more >> 2 & 1); queue++) {
		guest.enable(to, queue, ring_sizes[more >> 4 & 3], buffer_size);
		if (more & 8) {
			guest.rx(queue).info.desc_format = formats[in.u8() % std::size(formats)];
			guest.push(to, queue);
		}
		plain = post_buffers(guest, in, queue) && plain;
	}
	{
		const second_writer writer(in, {guest.at(fake_guest::ring_iova(to, 0)),
						guest.at(fake_guest::ring_iova(to, 1))});
		for (uint16_t queue = 0; queue < options.tx_queues; queue++)
			send(guest, served.port, options, in, queue);
	}
	guest.map_all();
	while (!in.empty())
		send(guest, served.port, options, in, 0);
	if (plain)
		check_slots(guest, buffer_size);
	served.end();
	return 0;
}
