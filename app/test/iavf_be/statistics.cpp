/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

/* What the application and the guest count of the same frames. */

using namespace test;
using namespace test::port_suite;

namespace {

constexpr rte_ether_addr others{{0x02, 0, 0, 0, 0, 0x99}}, group{{0x03, 0, 0, 0, 0, 1}};

rte_emudev_net_stats
seen_by(fake_guest &guest)
{
	rte_emudev_net_stats out{};
	rte_emudev_net_stats_get(guest.dev(), &out);
	return out;
}

/** Posts a frame to an address. */
void
transmit(fake_guest &guest, const rte_ether_addr &to, uint32_t length, uint64_t more = 0)
{
	make_frame(guest.at(buffer(0)), length, 1);
	memcpy(guest.at(buffer(0)), &to, sizeof(to));
	guest.post_data(buffer(0), length, true, more);
	guest.ring_tx();
}

/** A guest has sent what it has sent, whether this port wants it or not. */
outcome
the_guest_counts_filtered_frames_as_sent()
{
	fake_guest guest;
	fake_port port(guest, {.promiscuous = false});
	guest.enable(from);
	transmit(guest, port.mac(), 100);
	CHECK_EQ(port.drain(), 1);
	transmit(guest, others, 200);
	CHECK_EQ(port.drain(), 0);
	transmit(guest, group, 300);
	CHECK_EQ(port.drain(), 0);
	/* The general way: two buffers. */
	make_frame(guest.at(buffer(0)), 400, 1);
	memcpy(guest.at(buffer(0)), &others, sizeof(others));
	guest.post_data(buffer(0), 64, false);
	guest.post_data(buffer(0) + 64, 336);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	/* A TSO request is the frames that would have been made of it. */
	const packet tcp{.payload = 2500};
	tcp.write(guest.at(buffer(1)), true);
	memcpy(guest.at(buffer(1)), &others, sizeof(others));
	guest.post(0, context(tcp.payload, 1000));
	guest.post_data(buffer(1), tcp.length(), true, tcp.command());
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(port.stats().ipackets, 1);
	CHECK_EQ(port.stats().ibytes, 100);
	CHECK_EQ(port.xstat("rx_filtered_packets"), 4);
	const auto seen = seen_by(guest);
	CHECK_EQ(seen.from_guest_packets, 4 + 3);
	CHECK_EQ(seen.from_guest_bytes, 1000 + 2500 + 3 * tcp.headers());
	CHECK_EQ(seen.from_guest_multicast, 1);
	CHECK_EQ(seen.from_guest_broadcast, 0);
	CHECK_EQ(seen.from_guest_errors, 0);
	return success;
}

/** For the application a request is a packet; a NIC would have sent a frame for each segment. */
outcome
the_guest_counts_a_request_as_its_segments()
{
	fake_guest guest;
	fake_port port(guest,
		       {.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_SCATTER,
			.mbufs = 1024});
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	uint64_t packets = 0, bytes = 0;
	for (const uint32_t payload : {999u, 1000u, 1001u, 4000u, 20001u}) {
		const packet tcp{.payload = payload};
		tcp.write(guest.at(buffer(0)), true);
		guest.post(0, context(tcp.payload, 1000));
		guest.post_data(buffer(0), std::min<uint32_t>(tcp.length(), 16000),
				tcp.length() <= 16000, tcp.command());
		if (tcp.length() > 16000)
			guest.post_data(buffer(0) + 16000, tcp.length() - 16000, true,
					tcp.command());
		guest.ring_tx();
		CHECK_EQ(port.drain(), 1);
		const uint64_t segments = (payload + 999) / 1000;
		packets += segments;
		bytes += payload + segments * tcp.headers();
	}
	CHECK_EQ(port.stats().ipackets, 5);
	CHECK_EQ(seen_by(guest).from_guest_packets, packets);
	CHECK_EQ(seen_by(guest).from_guest_bytes, bytes);
	return success;
}

/** Each frame that is dropped is an error here, and one there. */
outcome
drops_are_counted_on_both_sides()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	constexpr rte_ether_addr all{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	transmit(guest, all, 13);
	transmit(guest, all, 1600);
	/* Of an unknown kind; what it belongs to goes with it, up to its end. */
	guest.post(0, txd::dtype::of(5));
	transmit(guest, all, 64);
	transmit(guest, all, 64, txd::iipt::of(1) | txd::l4t::of(1) | txd::maclen::of(127));
	guest.post_data(fake_memory::hole, 64);
	guest.ring_tx();
	port.drain();
	port.drain();
	for (int i = 0; i < 8; i++)
		guest.post_rx(i == 0 ? fake_memory::hole : buffer(i));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 64, 1), 1); /* not mapped */
	CHECK_EQ(send_one(port, 13, 1), 1);
	CHECK_EQ(send_one(port, 9729, 1), 1);
	CHECK_EQ(send_one(port, 70, 1), 1);
	const rte_eth_stats here = port.stats();
	const auto there = seen_by(guest);
	CHECK_EQ(here.ierrors, 5);
	CHECK_EQ(here.oerrors, 3);
	CHECK_EQ(here.ipackets, 0);
	CHECK_EQ(here.opackets, 1);
	CHECK_EQ(there.from_guest_errors, 5);
	CHECK_EQ(there.to_guest_dropped, 3);
	CHECK_EQ(there.to_guest_packets, 1);
	CHECK_EQ(there.to_guest_bytes, 70);
	CHECK_EQ(there.to_guest_broadcast, 1);
	/* A reset of the application's is nothing to the guest. */
	CHECK_EQ(rte_eth_stats_reset(port.id()), 0);
	CHECK_EQ(port.stats().ierrors + port.stats().oerrors + port.stats().opackets, 0);
	CHECK_EQ(seen_by(guest).from_guest_errors, 5);
	CHECK_EQ(seen_by(guest).to_guest_packets, 1);
	return success;
}

/** Whichever ring took them. */
outcome
frames_are_counted_on_the_queue_that_sent_them()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 2, .tx_queues = 3});
	guest.enable(to, 0);
	for (uint16_t ring = 0; ring < 4; ring++)
		guest.enable(from, ring);
	for (int i = 0; i < 20; i++)
		guest.post_rx(buffer(i));
	guest.ring_rx();
	for (uint16_t queue = 0; queue < 3; queue++)
		for (uint16_t n = 0; n <= queue; n++)
			CHECK_EQ(send_one(port, 100, 1, queue), 1);
	for (uint16_t ring = 0; ring < 4; ring++) {
		make_frame(guest.at(buffer(200)), 64, 1);
		guest.post_data(buffer(200), 64, true, 0, ring);
		guest.ring_tx(ring);
	}
	CHECK_EQ(port.drain(0), 2);
	CHECK_EQ(port.drain(1), 2);
	for (uint16_t queue = 0; queue < 3; queue++) {
		const std::string name = "tx_q" + std::to_string(queue);
		CHECK_EQ(port.xstat((name + "_packets").c_str()), queue + 1);
		CHECK_EQ(port.xstat((name + "_bytes").c_str()), (queue + 1) * 100);
	}
	for (const char *name : {"rx_q0_packets", "rx_q1_packets"})
		CHECK_EQ(port.xstat(name), 2);
	CHECK_EQ(port.stats().opackets, 6);
	CHECK_EQ(port.stats().obytes, 600);
	/* From a reset on as well. */
	CHECK_EQ(rte_eth_stats_reset(port.id()), 0);
	CHECK_EQ(send_one(port, 100, 1, 2), 1);
	CHECK_EQ(port.xstat("tx_q2_packets"), 1);
	CHECK_EQ(port.xstat("tx_q0_packets"), 0);
	CHECK_EQ(port.stats().opackets, 1);
	return success;
}

constexpr test_case cases[] = {
	{"the guest counts a request as its segments", the_guest_counts_a_request_as_its_segments},
	{"the guest counts filtered frames as sent", the_guest_counts_filtered_frames_as_sent},
	{"drops are counted on both sides", drops_are_counted_on_both_sides},
	{"frames are counted on the queue that sent them",
	 frames_are_counted_on_the_queue_that_sent_them},
};

} // namespace

constinit const case_table test::port_suite::statistics_cases = cases;
