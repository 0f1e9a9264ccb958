/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports.hpp"
#include "second_writer.hpp"

/*
 * Rings on which a guest transmits: an input is frames, descriptors, and what the guest stores into
 * ring and buffers while they are read.
 */

namespace {

using namespace fuzz;
using namespace test;
using namespace test::port_suite;

constexpr uint64_t checks =
	RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
constexpr uint64_t scatter = RTE_ETH_RX_OFFLOAD_SCATTER;
constexpr uint64_t lro = RTE_ETH_RX_OFFLOAD_TCP_LRO;
constexpr uint64_t tags = RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_VLAN_FILTER;

/** What an application may want of a port. */
const fake_port::options rows[] = {
	{.rx_offloads = scatter, .mtu = 9000},
	{},
	{.rx_offloads = checks, .promiscuous = false},
	{.rx_offloads = scatter | checks, .mtu = 9000, .room = 1024},
	{.rx_offloads = scatter | lro, .mtu = 1500, .max_lro = 65535},
	{.rx_offloads = scatter | lro | checks | tags, .mtu = 9000, .max_lro = 16000},
	{.rx_offloads = scatter | tags, .mtu = 2000, .promiscuous = false},
	{.rx_offloads = scatter | checks, .mbufs = 16},
	/* Large frames, and large ones of the guest's to cut, without a copy. */
	{.rx_offloads = scatter, .mtu = 9000, .more = ",zero-copy=1"},
	{.rx_offloads = scatter | checks, .mtu = 1500, .more = ",zero-copy=1"},
	{.rx_offloads =
		 scatter | checks | RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_QINQ_STRIP,
	 .mtu = 2000},
	{.rx_offloads = scatter | lro,
	 .mtu = 1500,
	 .mbufs = 2048,
	 .max_lro = 65535,
	 .more = ",zero-copy=1"},
};
constexpr size_t untagged = 10; /* whose settings of tags change */

/** What the administrator wants, and who the guest is. */
void
set_policy(fake_guest &guest, input &in)
{
	const uint8_t how = in.u8();
	rte_emudev_net_config config{};
	rte_emudev_net_vlan_ids ids{};

	config.mac.addr_bytes[0] = 2;
	config.policy.check_source = how & 1;
	config.policy.link_down = (how & 6) == 6;
	if (how & 8) {
		config.policy.port_vlan_type = how & 16 ? RTE_ETHER_TYPE_QINQ : RTE_ETHER_TYPE_VLAN;
		config.policy.port_vlan_tci = 5;
	}
	in.fill({reinterpret_cast<uint8_t *>(&ids), how & 32 ? sizeof(ids) : 0});
	if (how & 64)
		config.policy.from_vlans = &ids;
	push_config(guest, config);
}

void
post(fake_guest &guest, input &in)
{
	using namespace iavf;
	const uint8_t how = in.u8();
	const packet like{.v6 = (how & 1) != 0, .udp = (how & 2) != 0};

	switch (how >> 5) {
	case 0:
		guest.post(in.u64(), in.u64());
		break;
	case 1:
		guest.post(in.u64(), context(in.u16() * 4u, in.u16()) | uint64_t{how & 28u} << 2);
		break;
	case 3: { /* what the frame in a slot can be asked for */
		const uint8_t slot = in.u8() % 3, wish = in.u8();
		const auto length = static_cast<uint16_t>(in.u16() % 4000);
		const loose_frame frame({guest.at(buffer(slot)), length}, {});
		const guest_request request(frame.mbuf(), wish, in.u16());
		if (how & 1)
			guest.post(request.context.qword0, request.context.qword1);
		guest.post_data(buffer(slot), length, true, request.command);
		break;
	}
	case 2: /* as Linux asks for checksums and segmentation */
		guest.post_data(take_address(in), in.u16(), how & 4, like.command());
		break;
	default:
		guest.post_data(take_address(in), how & 2 ? in.u16() : in.u8(), how & 4,
				how & 8 ? in.u64() : 0);
	}
}

/** An mbuf as an application may rely on it. */
void
check_frame(const fake_port &port, const rte_mbuf *frame, const fake_port::options &options)
{
	const char *why = nullptr;

	if (rte_mbuf_check(frame, 1, &why) != 0)
		broken(__FILE__, __LINE__, why);
	MUST(frame->port == port.id() && frame->pkt_len >= RTE_ETHER_HDR_LEN);
	MUST(options.rx_offloads & scatter || frame->nb_segs == 1);
	const bool large = (frame->ol_flags & RTE_MBUF_F_RX_LRO) != 0;
	MUST(!large || (frame->tso_segsz != 0 && frame->pkt_len <= options.max_lro));
	MUST(large || frame->pkt_len <= options.mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 8u);
	for (const rte_mbuf *part = frame; part != nullptr; part = part->next)
		MUST(part->data_len != 0);
	volatile size_t sum = 0;
	for (const uint8_t byte : bytes_of(frame))
		sum = sum + byte;
}

/** Frames that the application has not given back yet, by which it has some of the guest's memory.
 */
std::vector<rte_mbuf *> kept;

void
give_back(bool last_first)
{
	if (last_first)
		std::ranges::reverse(kept);
	rte_pktmbuf_free_bulk(kept.data(), static_cast<unsigned int>(kept.size()));
	kept.clear();
}

/** @return How many frames have come. */
size_t
receive(served_guest &served, uint16_t most, const fake_port::options &options, bool keeps = false)
{
	std::vector<rte_mbuf *> frames = served.port.receive(0, most);

	for (rte_mbuf *frame : frames)
		check_frame(served.port, frame, options);
	if (keeps)
		kept.insert(kept.end(), frames.begin(), frames.end());
	else
		rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned int>(frames.size()));
	return frames.size();
}

/** What becomes of a guest whose memory the application still has. */
void
leave(fake_guest &guest, fake_port &port, uint8_t how)
{
	if (how & 1)
		guest.disable(from);
	if (how & 2)
		guest.memory_gone(buffer(0), buffer(1));
	if (how & 4) {
		MUST(rte_eth_dev_rx_queue_stop(port.id(), 0) == 0);
		MUST(port.receive().empty());
		MUST(rte_eth_dev_rx_queue_start(port.id(), 0) == 0);
	}
	give_back(how & 8);
}

/** As a driver that sleeps, and one whose interrupt has to wait. */
void
set_interrupts(fake_guest &guest, uint8_t how)
{
	guest.control[1] = how & 3;
	guest.refuse_fire = how & 4;
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static constexpr uint16_t sizes[] = {64, 8, 16, 32, 128, 512};
	input in(data, size);
	const uint8_t how = in.u8(), more = in.u8();
	const fake_port::options &options = rows[how % std::size(rows)];
	served_guest &served = serve(rows, how);
	fake_guest &guest = served.guest;

	served.map((more & 1) != 0 ? fake_guest::page << (more >> 1 & 1) : 0);
	set_policy(guest, in);
	for (unsigned int n = in.u8() % 4; n != 0; n--)
		write_frame(in, guest.at(buffer(n - 1)), more & 4);
	guest.enable(from, 0, sizes[(more >> 3 & 7) % std::size(sizes)], 2048, (more >> 6) * 512u);
	for (unsigned int n = in.u8() % 64; n != 0 && !in.empty(); n--)
		post(guest, in);
	if (in.u8() % 16 == 0)
		guest.store_tail(guest.tx(), in.u32());
	else
		guest.ring_tx();
	size_t got = 0;
	const auto most = static_cast<uint16_t>(1 + in.u8() % 64);
	{
		const second_writer writer(in,
					   {guest.at(guest.tx().info.ring_iova & ~uint64_t{4095}),
					    guest.at(buffer(0)), guest.at(buffer(1))});
		got += receive(served, most, options, true);
		got += receive(served, most, options, true);
	}
	const uint8_t then = in.u8();
	set_interrupts(guest, then >> 4);
	if (how % std::size(rows) == untagged)
		rte_eth_dev_set_vlan_offload(served.port.id(), then & 15);
	leave(guest, served.port, then);
	guest.map_all();
	for (int i = 0; i < 40; i++)
		got += receive(served, 64, options);
	MUST(options.max_lro != 0 || served.port.stats().ipackets == got);
	set_interrupts(guest, 0);
	served.end();
	return 0;
}
