/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"
#include "system.hpp"

#include <rte_power_intrinsics.h>

/* Queues as an application starts, stops, asks and watches them one by one. */

using namespace test;
using namespace test::port_suite;

namespace {

/** Posts a frame of the guest on a ring, and rings. */
uint16_t
transmit(fake_guest &guest, uint16_t ring, uint8_t seed = 1)
{
	make_frame(guest.at(buffer(200)), 64, seed);
	const uint16_t at = guest.post_data(buffer(200), 64, true, 0, ring);
	guest.ring_tx(ring);
	return at;
}

bool
receives(fake_guest &guest, uint16_t ring, fake_port &port, uint16_t queue)
{
	const uint16_t at = guest.post_rx(buffer(ring), ring);
	guest.ring_rx(ring);
	return send_one(port, 64, 1, queue) == 1 &&
	       iavf::rxd::dd::is_set(guest.rx_status(at, ring));
}

uint8_t
rx_state(const fake_port &port, uint16_t queue)
{
	rte_eth_rxq_info info{};
	return rte_eth_rx_queue_info_get(port.id(), queue, &info) == 0 ? info.queue_state : 255;
}

/** Also of the rings that a queue serves besides its own, and whatever else happens meanwhile. */
outcome
a_stopped_rx_queue_leaves_its_rings_alone()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 2, .tx_queues = 2});
	for (uint16_t ring = 0; ring < 4; ring++) {
		guest.enable(from, ring);
		guest.enable(to, ring);
	}
	CHECK_EQ(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STARTED);
	CHECK_EQ(rte_eth_dev_rx_queue_stop(port.id(), 0), 0);
	CHECK_EQ(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STOPPED);
	CHECK_EQ(rx_state(port, 1), RTE_ETH_QUEUE_STATE_STARTED);
	uint16_t at[4];
	for (uint16_t ring = 0; ring < 4; ring++)
		at[ring] = transmit(guest, ring);
	/* None of these is a reason to serve it. */
	guest.push(from, 0);
	guest.push(to, 2);
	rte_eth_allmulticast_enable(port.id());
	guest.memory_gone();
	guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	CHECK_EQ(port.drain(0), 0);
	CHECK_EQ(port.drain(1), 2);
	for (uint16_t ring = 0; ring < 4; ring++)
		CHECK_EQ(guest.tx_done(at[ring], ring), ring % 2 != 0);
	CHECK(receives(guest, 0, port, 0)); /* The other direction goes on. */
	/* Nor is a guest that begins anew. */
	guest.disable(from, 0);
	guest.enable(from, 0);
	transmit(guest, 0);
	CHECK_EQ(port.drain(0), 0);
	CHECK_EQ(rte_eth_dev_rx_queue_start(port.id(), 0), 0);
	CHECK_EQ(port.drain(0), 2);
	CHECK(goes_on(guest, port));
	CHECK_EQ(port.stats().ipackets, 5);
	CHECK(port.complete());
	return success;
}

outcome
a_stopped_tx_queue_sends_nowhere()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 2, .tx_queues = 2});
	guest.enable(to, 0);
	guest.enable(to, 1);
	CHECK_EQ(rte_eth_dev_tx_queue_stop(port.id(), 0), 0);
	guest.post_rx(buffer(0), 0);
	guest.ring_rx(0);
	guest.post_rx(buffer(1), 1);
	guest.ring_rx(1);
	CHECK_EQ(send_one(port, 64, 1, 0), 0);
	CHECK(!iavf::rxd::dd::is_set(guest.rx_status(0, 0)));
	CHECK(!iavf::rxd::dd::is_set(guest.rx_status(0, 1)));
	CHECK_EQ(send_one(port, 64, 1, 1), 1);
	CHECK(iavf::rxd::dd::is_set(guest.rx_status(0, 1)));
	CHECK_EQ(rte_eth_dev_tx_queue_start(port.id(), 0), 0);
	CHECK_EQ(send_one(port, 64, 1, 0), 1);
	CHECK(iavf::rxd::dd::is_set(guest.rx_status(0, 0)));
	/* A queue whose ring the guest does not have uses another; none that is stopped. */
	guest.disable(to, 0);
	CHECK(receives(guest, 1, port, 0));
	CHECK_EQ(rte_eth_dev_tx_queue_stop(port.id(), 1), 0);
	guest.post_rx(buffer(1), 1);
	guest.ring_rx(1);
	CHECK_EQ(send_one(port, 64, 1, 0), 0);
	CHECK(port.complete());
	return success;
}

outcome
a_deferred_queue_waits_for_its_start()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 2, .tx_queues = 2});
	for (uint16_t ring = 0; ring < 2; ring++) {
		guest.enable(from, ring);
		guest.enable(to, ring);
	}
	rte_eth_rxconf rx{};
	rte_eth_txconf tx{};
	rx.rx_deferred_start = tx.tx_deferred_start = 1;
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK_EQ(rte_eth_rx_queue_setup(port.id(), 1, 256, SOCKET_ID_ANY, &rx, port.pool()), 0);
	CHECK_EQ(rte_eth_tx_queue_setup(port.id(), 1, 256, SOCKET_ID_ANY, &tx), 0);
	for (int round = 0; round < 2; round++) {
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
		CHECK_EQ(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STARTED);
		CHECK_EQ(rx_state(port, 1), RTE_ETH_QUEUE_STATE_STOPPED);
		rte_eth_rxq_info rx_info{};
		rte_eth_txq_info tx_info{};
		CHECK_EQ(rte_eth_rx_queue_info_get(port.id(), 1, &rx_info), 0);
		CHECK_EQ(rte_eth_tx_queue_info_get(port.id(), 1, &tx_info), 0);
		CHECK_EQ(rx_info.conf.rx_deferred_start, 1);
		CHECK_EQ(tx_info.conf.tx_deferred_start, 1);
		CHECK_EQ(tx_info.queue_state, RTE_ETH_QUEUE_STATE_STOPPED);
		transmit(guest, 0);
		transmit(guest, 1);
		CHECK_EQ(port.drain(0), 1);
		CHECK_EQ(port.drain(1), 0);
		CHECK_EQ(send_one(port, 64, 1, 1), 0);
		CHECK_EQ(rte_eth_dev_rx_queue_start(port.id(), 1), 0);
		CHECK_EQ(rte_eth_dev_tx_queue_start(port.id(), 1), 0);
		CHECK_EQ(port.drain(1), 1);
		CHECK(receives(guest, 1, port, 1));
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	}
	return success;
}

/** While the others run; and mbufs that do not fit are refused here as they are at the start. */
outcome
a_stopped_queue_gets_another_pool()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 1, .tx_queues = 1});
	const uint16_t id = port.id();
	rte_mempool *small = rte_pktmbuf_pool_create("small", 64, 0, 0, 1024 + RTE_PKTMBUF_HEADROOM,
						     SOCKET_ID_ANY);
	rte_mempool *other = rte_pktmbuf_pool_create("other", 64, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM,
						     SOCKET_ID_ANY);
	CHECK(small != nullptr && other != nullptr);
	for (uint16_t ring = 0; ring < 2; ring++)
		guest.enable(from, ring);
	CHECK_EQ(rte_eth_rx_queue_setup(id, 0, 256, SOCKET_ID_ANY, nullptr, other), -EBUSY);
	CHECK_EQ(rte_eth_dev_rx_queue_stop(id, 0), 0);
	CHECK_EQ(rte_eth_rx_queue_setup(id, 0, 256, SOCKET_ID_ANY, nullptr, small), 0);
	CHECK_EQ(rte_eth_dev_rx_queue_start(id, 0), -EINVAL);
	CHECK_EQ(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STOPPED);
	CHECK_EQ(rte_eth_rx_queue_setup(id, 0, 256, SOCKET_ID_ANY, nullptr, other), 0);
	rte_mempool_free(small);
	CHECK_EQ(rte_eth_dev_rx_queue_start(id, 0), 0);
	transmit(guest, 0);
	transmit(guest, 1); /* a ring that it serves besides its own */
	auto frames = port.receive();
	CHECK_EQ(frames.size(), 2);
	for (rte_mbuf *frame : frames) {
		CHECK(frame->pool == other);
		rte_pktmbuf_free(frame);
	}
	CHECK_EQ(rte_eth_dev_tx_queue_stop(id, 0), 0);
	CHECK_EQ(rte_eth_tx_queue_setup(id, 0, 256, SOCKET_ID_ANY, nullptr), 0);
	CHECK_EQ(rte_eth_dev_tx_queue_start(id, 0), 0);
	guest.enable(to, 0);
	CHECK(receives(guest, 0, port, 0));
	CHECK_EQ(rte_eth_dev_stop(id), 0);
	CHECK(port.setup());
	rte_mempool_free(other);
	return success;
}

outcome
descriptors_are_counted()
{
	fake_guest guest;
	fake_port port(guest);
	const uint16_t id = port.id();
	CHECK_EQ(rte_eth_rx_queue_count(id, 0), 0);
	CHECK_EQ(rte_eth_rx_descriptor_status(id, 0, 0), RTE_ETH_RX_DESC_UNAVAIL);
	CHECK_EQ(rte_eth_tx_descriptor_status(id, 0, 0), RTE_ETH_TX_DESC_UNAVAIL);
	guest.enable(from);
	guest.enable(to);
	CHECK_EQ(rte_eth_rx_descriptor_status(id, 0, 63), RTE_ETH_RX_DESC_AVAIL);
	CHECK_EQ(rte_eth_rx_descriptor_status(id, 0, 64), -EINVAL);
	CHECK_EQ(rte_eth_tx_descriptor_status(id, 0, 63), RTE_ETH_TX_DESC_FULL);
	CHECK_EQ(rte_eth_tx_descriptor_status(id, 0, 64), -EINVAL);
	/* Round the ring's end. */
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 30; i++)
			post_good(guest);
		CHECK_EQ(rte_eth_rx_queue_count(id, 0), 0);
		guest.ring_tx();
		CHECK_EQ(rte_eth_rx_queue_count(id, 0), 30);
		CHECK_EQ(rte_eth_rx_descriptor_status(id, 0, 29), RTE_ETH_RX_DESC_DONE);
		CHECK_EQ(rte_eth_rx_descriptor_status(id, 0, 30), RTE_ETH_RX_DESC_AVAIL);
		CHECK_EQ(port.drain(0, 10), 10);
		CHECK_EQ(rte_eth_rx_queue_count(id, 0), 20);
		CHECK_EQ(port.drain(), 20);
		for (int i = 0; i < 20; i++)
			guest.post_rx(buffer(i));
		guest.ring_rx();
		CHECK_EQ(rte_eth_tx_descriptor_status(id, 0, 19), RTE_ETH_TX_DESC_DONE);
		CHECK_EQ(rte_eth_tx_descriptor_status(id, 0, 20), RTE_ETH_TX_DESC_FULL);
		for (int i = 0; i < 20; i++)
			CHECK_EQ(send_one(port, 64, 1), 1);
		CHECK_EQ(rte_eth_tx_descriptor_status(id, 0, 0), RTE_ETH_TX_DESC_FULL);
		/* Nothing is kept that could be freed later. */
		CHECK(port.complete());
		CHECK_EQ(rte_eth_tx_done_cleanup(id, 0, 0), 0);
	}
	/* All rings of a queue. */
	guest.enable(from, 2);
	transmit(guest, 2);
	transmit(guest, 0);
	CHECK_EQ(rte_eth_rx_queue_count(id, 0), 2);
	CHECK_EQ(rte_eth_rx_descriptor_status(id, 0, 127), RTE_ETH_RX_DESC_AVAIL);
	/* A doorbell that means nothing. */
	for (const uint32_t tail : {64u, 0xffffu, 0x10001u, UINT32_MAX}) {
		fake_guest::store_tail(guest.tx(), tail);
		fake_guest::store_tail(guest.rx(), tail);
		CHECK_EQ(rte_eth_rx_queue_count(id, 0), 1);
		CHECK_EQ(rte_eth_tx_descriptor_status(id, 0, 0), RTE_ETH_TX_DESC_FULL);
	}
	guest.memory_gone();
	return success;
}

outcome
a_sleeper_watches_the_doorbell()
{
	fake_guest guest;
	fake_port port(guest);
	rte_power_monitor_cond wake{};
	const auto sleeps = [&] {
		const auto value = *static_cast<volatile uint32_t *>(wake.addr);
		return wake.fn(value, wake.opaque) == 0;
	};
	CHECK(rte_eth_get_monitor_addr(port.id(), 0, &wake) != 0); /* no ring */
	guest.enable(from);
	guest.enable(to);
	CHECK_EQ(rte_eth_get_monitor_addr(port.id(), 0, &wake), 0);
	CHECK(wake.addr == &guest.tx().tail);
	CHECK_EQ(wake.size, sizeof(uint32_t));
	CHECK(sleeps());
	/* It must not go to sleep when a frame came first. */
	transmit(guest, 0);
	CHECK(!sleeps());
	CHECK_EQ(rte_eth_get_monitor_addr(port.id(), 0, &wake), 0);
	CHECK(!sleeps());
	CHECK_EQ(port.drain(), 1);
	CHECK_EQ(rte_eth_get_monitor_addr(port.id(), 0, &wake), 0);
	CHECK(sleeps());
	/* An interrupt is due: an empty burst must fire it. A guest that polls wants none. */
	CHECK_EQ(guest.fired[1], 0);
	guest.control[1] = 1;
	CHECK(rte_eth_get_monitor_addr(port.id(), 0, &wake) != 0);
	port.drain();
	CHECK_EQ(guest.fired[1], 1);
	CHECK_EQ(rte_eth_get_monitor_addr(port.id(), 0, &wake), 0);
	CHECK(receives(guest, 0, port, 0));
	guest.control[1] = 1;
	CHECK(rte_eth_get_monitor_addr(port.id(), 0, &wake) != 0);
	/* One address cannot stand for two rings. */
	guest.enable(from, 1);
	CHECK_EQ(rte_eth_get_monitor_addr(port.id(), 0, &wake), -ENOTSUP);
	guest.disable(from, 1);
	guest.disable(from);
	CHECK(rte_eth_get_monitor_addr(port.id(), 0, &wake) != 0);
	return success;
}

outcome
the_guests_queues_are_told()
{
	static std::atomic<int> changes, last;
	constexpr auto note = [](uint16_t id, rte_eth_event_type, void *, void *) {
		last = rte_eth_rx_descriptor_status(id, 0, 0);
		changes++;
		return 0;
	};
	changes = 0;
	fake_guest guest;
	guest.enable(to, 1);
	/* What is there when the port comes is no change. */
	rte_eth_dev_callback_register(RTE_ETH_ALL, RTE_ETH_EVENT_QUEUE_STATE, note, nullptr);
	{
		fake_port port(guest);
		CHECK_EQ(changes, 0);
		guest.enable(from);
		CHECK_EQ(changes, 1);
		CHECK_EQ(last, RTE_ETH_RX_DESC_AVAIL);
		guest.push(from); /* no change */
		CHECK_EQ(changes, 1);
		guest.enable(to, 3);
		CHECK_EQ(changes, 2);
		guest.disable(from);
		CHECK_EQ(changes, 3);
		CHECK_EQ(last, RTE_ETH_RX_DESC_UNAVAIL);
		/* A guest that does nothing else. */
		for (int i = 0; i < 1000; i++) {
			guest.enable(from);
			guest.disable(from);
		}
		guest.enable(from);
		CHECK(changes <= 20, "%d changes", changes.load());
		CHECK(wait_until([] { return last == RTE_ETH_RX_DESC_AVAIL; }));
	}
	rte_eth_dev_callback_unregister(RTE_ETH_ALL, RTE_ETH_EVENT_QUEUE_STATE, note, nullptr);
	return success;
}

/** Of both queues 0 of a port. */
std::string
burst_modes(const fake_port &port)
{
	rte_eth_burst_mode rx{}, tx{};

	if (rte_eth_rx_burst_mode_get(port.id(), 0, &rx) != 0 ||
	    rte_eth_tx_burst_mode_get(port.id(), 0, &tx) != 0)
		return "none";
	return std::string(rx.info) + "; " + tx.info;
}

outcome
burst_modes_name_what_is_on()
{
	fake_guest guest;
	{
		const fake_port port(guest, {.more = ",rx_checksum=trust"});
		CHECK(burst_modes(port) == "Scalar; Scalar");
		guest.enable(to);
		CHECK(burst_modes(port) == "Scalar; Scalar");
		guest.disable(to);
	}
	const fake_port port(
		guest,
		{.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_SCATTER |
				RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_VLAN_FILTER,
		 .tx_offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
				RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_QINQ_INSERT,
		 .more = ",lro=1"});
	const std::string rx = "Scalar, Scattered, LRO, Checksums",
			  tx = ", VLAN Filter; Scalar, Multi-segment, Checksums, TSO, VLAN Insert";
	CHECK(burst_modes(port) == rx + tx, "%s", burst_modes(port).c_str());
	guest.enable(to);
	CHECK(burst_modes(port) == rx + tx + ", Checks, Large Receives");
	/* Also what is changed at run time. */
	rte_eth_dev_set_vlan_strip_on_queue(port.id(), 0, 1);
	CHECK(burst_modes(port) == rx + ", VLAN Strip" + tx + ", Checks, Large Receives");
	return success;
}

outcome
what_is_told_of_queues_is_true()
{
	constexpr uint64_t scatter = RTE_ETH_RX_OFFLOAD_SCATTER,
			   fast = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	for (const bool options : {false, true}) {
		fake_guest guest;
		fake_port port(guest, {.rx_offloads = options ? scatter : 0,
				       .tx_offloads = options ? fast : 0});
		const uint16_t id = port.id();
		rte_eth_burst_mode mode{};
		CHECK_EQ(rte_eth_rx_burst_mode_get(id, 0, &mode), 0);
		CHECK(std::string(mode.info) == (options ? "Scalar, Scattered" : "Scalar"));
		CHECK_EQ(rte_eth_tx_burst_mode_get(id, 0, &mode), 0);
		CHECK(std::string(mode.info) == (options ? "Scalar, Fast Free" : "Scalar"));
		rte_eth_rxq_info rx{};
		CHECK_EQ(rte_eth_rx_queue_info_get(id, 0, &rx), 0);
		CHECK(rx.mp == port.pool());
		CHECK_EQ(rx.scattered_rx, options);
		CHECK_EQ(rx.rx_buf_size, 2048);
		guest.enable(from, 0, 512);
		CHECK_EQ(rte_eth_rx_queue_info_get(id, 0, &rx), 0);
		CHECK_EQ(rx.nb_desc, 512);
		/* No frame has a packet type, and none is announced. */
		uint32_t types[4];
		CHECK_EQ(rte_eth_dev_get_supported_ptypes(id, RTE_PTYPE_ALL_MASK, types, 4), 0);
		CHECK_EQ(rte_eth_dev_set_ptypes(id, RTE_PTYPE_L3_MASK, types, 4), 0);
		CHECK_EQ(types[0], RTE_PTYPE_UNKNOWN);
		const packet tcp;
		tcp.write(guest.at(buffer(0)));
		guest.post_data(buffer(0), tcp.length());
		guest.ring_tx();
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		CHECK_EQ(frames[0]->packet_type, RTE_PTYPE_UNKNOWN);
		rte_pktmbuf_free(frames[0]);
	}
	return success;
}

outcome
a_dump_shows_the_rings()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 2, .tx_queues = 1});
	guest.enable(from, 0);
	guest.enable(from, 1, 128);
	transmit(guest, 0);
	CHECK_EQ(rte_eth_dev_rx_queue_stop(port.id(), 1), 0);
	const std::string text = dump_of(port);
	for (const char *wanted :
	     {"port started, MTU 1500, promiscuous",
	      "Rx queue 0: ring of 64 descriptors at 0x100000000, head 0, 1 waiting, vector 1",
	      "Rx queue 1: stopped by the application, ring of 128 descriptors at 0x100010000, "
	      "not served",
	      "Tx queue 0: no ring"})
		CHECK(text.find(wanted) != std::string::npos, "%s: %s", wanted, text.c_str());
	CHECK_EQ(port.drain(), 1);
	CHECK(dump_of(port).find("head 1, 0 waiting") != std::string::npos);
	return success;
}

/** The MTU changes, and queues stop and start, while bursts run on another thread. */
outcome
changes_meet_bursts()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 2, .tx_queues = 2});
	for (uint16_t ring = 0; ring < 2; ring++) {
		guest.enable(from, ring);
		guest.enable(to, ring);
	}
	std::atomic<bool> over{false};
	std::atomic<uint64_t> seen{0};
	std::thread receiver = start_thread([&] {
		while (!over) {
			for (uint16_t queue = 0; queue < 2; queue++) {
				seen += port.drain(queue);
				if (rte_eth_rx_queue_count(port.id(), queue) > 63)
					over = true;
			}
		}
	});
	uint64_t posted = 0, lost = 0;
	uint16_t mtu = 1500;
	for (const race_time race; lost == 0 && !over && !race.over(posted > 1000); posted++) {
		const auto at = transmit(guest, 1);
		mtu = mtu == 1500 ? 1400 : 1500;
		lost += rte_eth_dev_set_mtu(port.id(), mtu) != 0;
		lost += rte_eth_dev_rx_queue_stop(port.id(), 0) != 0;
		lost += rte_eth_dev_tx_queue_stop(port.id(), 0) != 0;
		lost += rte_eth_dev_rx_queue_start(port.id(), 0) != 0;
		lost += rte_eth_dev_tx_queue_start(port.id(), 0) != 0;
		lost += !wait_until([&] { return guest.tx_done(at, 1); });
	}
	over = true;
	receiver.join();
	CHECK_EQ(lost, 0);
	CHECK_EQ(seen + port.drain(0) + port.drain(1), posted);
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"a stopped Rx queue leaves its rings alone", a_stopped_rx_queue_leaves_its_rings_alone},
	{"a stopped Tx queue sends nowhere", a_stopped_tx_queue_sends_nowhere},
	{"a deferred queue waits for its start", a_deferred_queue_waits_for_its_start},
	{"a stopped queue gets another pool", a_stopped_queue_gets_another_pool},
	{"descriptors are counted", descriptors_are_counted},
	{"a sleeper watches the doorbell", a_sleeper_watches_the_doorbell},
	{"the guest's queues are told", the_guests_queues_are_told},
	{"what is told of queues is true", what_is_told_of_queues_is_true},
	{"burst modes name what is on", burst_modes_name_what_is_on},
	{"a dump shows the rings", a_dump_shows_the_rings},
	{"changes meet bursts", changes_meet_bursts},
};

} // namespace

constinit const case_table test::port_suite::queue_cases = cases;
