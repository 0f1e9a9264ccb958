/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"
#include "system.hpp"

/* The port as an application sees it: arguments, link, MTU, interrupts. */

using namespace test;
using namespace test::port_suite;

namespace {

outcome
bad_arguments_are_refused()
{
	fake_guest guest;
	for (const char *args :
	     {"", "emu=nobody", "emu=fake,mac=1", "emu=fake,mac=ff:ff:ff:ff:ff:ff",
	      "emu=fake,colour=red", "emu=fake,rx_checksum=guess", "mac=02:00:00:00:00:01"})
		CHECK(rte_vdev_init("net_iavf_be_x", args) != 0, "accepted: %s", args);
	CHECK_EQ(rte_eth_dev_count_avail(), 0);
	CHECK_EQ(rte_vdev_init("net_iavf_be_x", "emu=fake,mac=02:00:00:00:00:01"), 0);
	CHECK(rte_vdev_init("net_iavf_be_y", "emu=fake") != 0);
	uint16_t id;
	CHECK_EQ(rte_eth_dev_get_port_by_name("net_iavf_be_x", &id), 0);
	rte_ether_addr mac;
	rte_eth_macaddr_get(id, &mac);
	CHECK(mac.addr_bytes[0] == 2 && mac.addr_bytes[5] == 1);
	CHECK_EQ(rte_vdev_uninit("net_iavf_be_x"), 0);
	return success;
}

/** What asks for queues that are not set up gets an error. */
bool
has_no_queues(const fake_port &port)
{
	const uint16_t id = port.id();
	rte_eth_rxq_info rx;
	rte_eth_txq_info tx;
	rte_eth_burst_mode mode;
	rte_power_monitor_cond wake;

	return rte_eth_rx_queue_info_get(id, 0, &rx) == -EINVAL &&
	       rte_eth_tx_queue_info_get(id, 0, &tx) == -EINVAL &&
	       rte_eth_rx_burst_mode_get(id, 0, &mode) == -EINVAL &&
	       rte_eth_tx_burst_mode_get(id, 0, &mode) == -EINVAL &&
	       rte_eth_get_monitor_addr(id, 0, &wake) == -EINVAL &&
	       rte_eth_dev_start(id) == -EINVAL;
}

outcome
port_and_guest_start_in_any_order()
{
	fake_guest guest;
	guest.enable(from);
	guest.enable(to);
	{
		fake_port port(guest);
		CHECK_EQ(guest.started, 1);
		CHECK_EQ(port.link().link_status, RTE_ETH_LINK_UP);
		CHECK_EQ(port.link().link_speed, 25000);
		CHECK(goes_on(guest, port));
		/* The ring goes on where it was after the host's port has been down. */
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		CHECK_EQ(port.link().link_status, RTE_ETH_LINK_DOWN);
		post_good(guest, 70, 7);
		guest.ring_tx();
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		CHECK(is_frame(bytes_of(frames[0]), 70, 7));
		rte_pktmbuf_free(frames[0]);
		guest.disable(from);
		guest.disable(to);
		CHECK_EQ(port.link().link_status, RTE_ETH_LINK_DOWN);
		/* Reconfiguration between. */
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		CHECK(port.setup());
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
		guest.enable(from);
		CHECK(goes_on(guest, port));
		guest.connect(false);
		CHECK_EQ(port.link().link_status, RTE_ETH_LINK_DOWN);
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		CHECK_EQ(rte_eth_dev_reset(port.id()), 0);
		CHECK(has_no_queues(port));
		CHECK(port.setup());
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
	}
	CHECK_EQ(guest.started, guest.stopped);
	CHECK_EQ(guest.closed, 1);
	return success;
}

outcome
a_restless_guest_does_not_delay_the_start()
{
	fake_guest guest;
	guest.enable(from);
	guest.restless = 1000;
	fake_port port(guest);
	CHECK(port.ok());
	CHECK_EQ(guest.restless, 0);
	CHECK(goes_on(guest, port));
	return success;
}

outcome
another_port_goes_on()
{
	fake_guest guest;
	guest.enable(from);
	guest.enable(to);
	guest.control[1] = 0;
	for (int i = 0; i < 40; i++)
		guest.post_rx(buffer(i));
	guest.ring_rx();
	for (uint8_t round = 0; round < 3; round++) {
		fake_port port(guest);
		/* An interrupt that the last port left is fired by this one. */
		guest.control[1] = 1;
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(guest.control[1], round == 0 ? 1 : 0);
		for (int i = 0; i < 5; i++)
			CHECK(goes_on(guest, port));
		CHECK_EQ(send_one(port, 64, round), 1);
		CHECK(iavf::rxd::dd::is_set(guest.rx_status(round)));
		CHECK(!iavf::rxd::dd::is_set(guest.rx_status(round + 1u)));
	}
	/* A ring that the guest has begun anew is not one of them. */
	guest.enable(from);
	fake_port port(guest);
	CHECK(goes_on(guest, port));
	return success;
}

int
count_event(uint16_t, rte_eth_event_type, void *arg, void *)
{
	(*static_cast<int *>(arg))++;
	return 0;
}

outcome
link_changes_are_told()
{
	fake_guest guest;
	fake_port port(guest, {.lsc = true});
	int changes = 0, removals = 0;
	rte_eth_dev_callback_register(port.id(), RTE_ETH_EVENT_INTR_LSC, count_event, &changes);
	rte_eth_dev_callback_register(port.id(), RTE_ETH_EVENT_INTR_RMV, count_event, &removals);
	guest.enable(from);
	guest.enable(to);
	CHECK_EQ(changes, 1);
	guest.memory_gone();
	CHECK_EQ(changes, 1);
	guest.connect(false);
	CHECK_EQ(changes, 2);
	guest.connect();
	CHECK_EQ(changes, 3);
	CHECK_EQ(port.link().link_speed, 25000);
	guest.connect(true, 10000);
	CHECK_EQ(port.link().link_speed, 10000);
	/* The device goes away under the port. */
	post_good(guest);
	guest.ring_tx();
	guest.remove();
	CHECK_EQ(changes, 4);
	CHECK_EQ(removals, 1);
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(rte_eth_dev_is_removed(port.id()), 1);
	rte_eth_dev_callback_unregister(port.id(), RTE_ETH_EVENT_INTR_LSC, count_event, &changes);
	rte_eth_dev_callback_unregister(port.id(), RTE_ETH_EVENT_INTR_RMV, count_event, &removals);
	return success;
}

/* Any number of them can be made; an application does much for each. */
outcome
link_changes_without_end_are_told_now_and_then()
{
	struct seen {
		std::atomic<int> changes{0};
		std::atomic<bool> up{false};
	} told;
	constexpr auto note = [](uint16_t id, rte_eth_event_type, void *arg, void *) {
		auto &out = *static_cast<seen *>(arg);
		rte_eth_link link{};
		out.up = rte_eth_link_get_nowait(id, &link) == 0 &&
			 link.link_status == RTE_ETH_LINK_UP;
		out.changes++;
		return 0;
	};
	fake_guest guest;
	fake_port port(guest, {.lsc = true});
	guest.enable(from);
	rte_eth_dev_callback_register(port.id(), RTE_ETH_EVENT_INTR_LSC, note, &told);
	constexpr int at_once = 10;
	const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
	/* That it is up has been told. */
	for (int i = 1; i < at_once; i++)
		guest.connect(i % 2 == 0);
	CHECK_EQ(told.changes, at_once - 1);
	for (bool last : {false, true}) {
		for (int i = 0; i < 1000; i++)
			guest.connect(i % 2 != 0);
		guest.connect(last);
		const int64_t later = std::chrono::floor<std::chrono::seconds>(
					      std::chrono::steady_clock::now() - start)
					      .count();
		CHECK(told.changes <= at_once + 1 + later, "%d changes", told.changes.load());
		/* Late, but the last one is told. */
		CHECK(test::wait_until([&] { return told.up == last; }));
	}
	rte_eth_dev_callback_unregister(port.id(), RTE_ETH_EVENT_INTR_LSC, note, &told);
	return success;
}

outcome
mbufs_must_fit_the_mtu()
{
	fake_guest guest;
	fake_port small(guest, {.room = 1024});
	CHECK(small.is_set_up());
	CHECK(!small.ok());
	CHECK_EQ(guest.started, 0);
	/* While it is stopped anything goes; it is the start that counts. */
	CHECK_EQ(rte_eth_dev_set_mtu(small.id(), 9000), 0);
	CHECK_EQ(guest.mtu, 9000);
	CHECK_EQ(rte_eth_dev_start(small.id()), -EINVAL);
	CHECK_EQ(rte_eth_dev_set_mtu(small.id(), 1024 - 22), 0);
	CHECK_EQ(rte_eth_dev_start(small.id()), 0);
	CHECK_EQ(rte_eth_dev_set_mtu(small.id(), 1024 - 21), -EINVAL);
	CHECK_EQ(guest.mtu, 1024 - 22);
	return success;
}

/** As OVS raises it: the MTU first, then queues with mbufs that fit. */
outcome
the_mtu_is_raised_before_the_mbufs()
{
	fake_guest guest;
	fake_port port(guest);
	rte_mempool *large = rte_pktmbuf_pool_create("large", 64, 0, 0, 9216 + RTE_PKTMBUF_HEADROOM,
						     SOCKET_ID_ANY);
	CHECK(port.ok() && large != nullptr);
	rte_eth_conf conf{};
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK_EQ(rte_eth_dev_configure(port.id(), 1, 1, &conf), 0);
	CHECK_EQ(rte_eth_dev_set_mtu(port.id(), 9000), 0);
	CHECK_EQ(rte_eth_dev_start(port.id()), -EINVAL); /* the old mbufs */
	CHECK_EQ(rte_eth_rx_queue_setup(port.id(), 0, 256, SOCKET_ID_ANY, nullptr, large), 0);
	CHECK_EQ(rte_eth_dev_start(port.id()), 0);
	CHECK_EQ(guest.mtu, 9000);
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(port.setup());
	rte_mempool_free(large);
	CHECK_EQ(rte_eth_dev_start(port.id()), 0);
	return success;
}

outcome
a_device_brings_its_port_along()
{
	for (const bool closed_before : {false, true}) {
		fake_guest guest;
		rte_eth_dev_info info;
		uint16_t id;

		CHECK_EQ(rte_emudev_backend_attach(guest.dev()), 0);
		CHECK_EQ(rte_emudev_backend_attach(guest.dev()), -EEXIST);
		CHECK_EQ(rte_eth_dev_get_port_by_name(guest.owner.name, &id), 0);
		CHECK_EQ(rte_eth_dev_info_get(id, &info), 0);
		CHECK(info.device == &guest.owner);
		CHECK(std::strcmp(info.driver_name, "emu_fake") == 0);
		if (closed_before)
			CHECK_EQ(rte_eth_dev_close(id), 0);
		CHECK_EQ(rte_emudev_backend_detach(guest.dev()), 0);
		CHECK_EQ(rte_emudev_backend_detach(guest.dev()), 0);
		CHECK_EQ(rte_eth_dev_count_avail(), 0);
	}
	return success;
}

outcome
a_device_that_is_none_of_dpdk_has_no_port()
{
	constexpr static rte_emudev_net_ops net_ops{
		.struct_size = sizeof(net_ops),
		.info_get = [](void *, rte_emudev_net_info *) { return 0; },
	};
	constexpr rte_emudev_ops ops{
		.struct_size = sizeof(ops),
		.info_get =
			[](void *, rte_emudev_info *info) {
				info->driver = "emu_fake";
				info->type = "iavf";
				return 0;
			},
		.control_call = [](int (*fn)(void *), void *arg) { return fn(arg); },
		.net = &net_ops,
	};
	rte_emudev *dev;

	CHECK_EQ(rte_emudev_allocate("without", nullptr, &ops, nullptr, &dev), 0);
	CHECK_EQ(rte_emudev_backend_attach(dev), -EINVAL);
	CHECK_EQ(rte_emudev_release(dev), 0);
	CHECK_EQ(rte_eth_dev_count_avail(), 0);
	return success;
}

/** Nobody has to stop a port before its device is unplugged. */
outcome
a_running_port_goes_with_its_device()
{
	fake_guest guest;
	uint16_t id;
	rte_eth_conf conf{};
	rte_mempool *pool = rte_pktmbuf_pool_create("own", 64, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM,
						    SOCKET_ID_ANY);

	CHECK_EQ(rte_emudev_backend_attach(guest.dev()), 0);
	CHECK_EQ(rte_eth_dev_get_port_by_name(guest.owner.name, &id), 0);
	CHECK_EQ(rte_eth_dev_configure(id, 1, 0, &conf), 0);
	CHECK_EQ(rte_eth_rx_queue_setup(id, 0, 256, SOCKET_ID_ANY, nullptr, pool), 0);
	CHECK_EQ(rte_eth_dev_start(id), 0);
	CHECK_EQ(rte_emudev_backend_detach(guest.dev()), 0);
	CHECK_EQ(rte_eth_dev_count_avail(), 0);
	CHECK_EQ(guest.stopped, 1);
	CHECK_EQ(guest.closed, 1);
	rte_mempool_free(pool);
	return success;
}

outcome
queues_that_are_not_set_up_are_refused()
{
	fake_guest guest;
	fake_port port(guest);
	rte_eth_conf conf{};
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK_EQ(rte_eth_dev_configure(port.id(), 2, 1, &conf), 0);
	CHECK_EQ(rte_eth_rx_queue_setup(port.id(), 0, 256, SOCKET_ID_ANY, nullptr, port.pool()), 0);
	CHECK_EQ(rte_eth_tx_queue_setup(port.id(), 0, 256, SOCKET_ID_ANY, nullptr), 0);
	CHECK(rte_eth_dev_start(port.id()) != 0);
	CHECK_EQ(rte_eth_rx_queue_setup(port.id(), 1, 256, SOCKET_ID_ANY, nullptr, port.pool()), 0);
	CHECK_EQ(rte_eth_dev_start(port.id()), 0);
	return success;
}

/** The longest headers that descriptors can describe fit the smallest mbufs that are announced. */
outcome
smallest_mbufs_take_the_longest_headers()
{
	fake_guest guest;
	rte_eth_dev_info info;
	uint16_t least;
	{
		fake_port port(guest);
		CHECK_EQ(rte_eth_dev_info_get(port.id(), &info), 0);
		least = static_cast<uint16_t>(info.min_rx_bufsize);
	}
	constexpr uint64_t scatter = RTE_ETH_RX_OFFLOAD_SCATTER;
	{
		fake_port smaller(
			guest, {.rx_offloads = scatter, .room = static_cast<uint16_t>(least - 1)});
		CHECK(smaller.id() != RTE_MAX_ETHPORTS);
		CHECK(!smaller.ok());
	}
	fake_port port(guest, {.rx_offloads = scatter, .room = least});
	CHECK(port.ok());
	guest.enable(from);
	constexpr uint32_t l2 = 127 * 2, l3 = 127 * 4, l4 = 15 * 4, length = 1400;
	uint8_t *data = guest.at(buffer(0));
	make_frame(data, length, 3);
	/* An extension header (authentication) leads to TCP. */
	data[l2] = 6 << 4;
	data[l2 + 6] = 51;
	data[l2 + 40] = 6;
	data[l2 + 41] = (l3 - 40) / 4 - 2;
	const uint64_t command = txd::iipt::of(1) | txd::l4t::of(1) | txd::maclen::of(l2 / 2) |
				 txd::iplen::of(l3 / 4) | txd::l4len::of(l4 / 4);
	guest.post_data(buffer(0), length, true, command);
	guest.ring_tx();
	auto frames = port.receive();
	CHECK_EQ(frames.size(), 1);
	const auto got = bytes_of(frames[0]);
	rte_pktmbuf_free(frames[0]);
	/* What the driver left in the field is that of the pseudo header: here, anything. */
	const size_t field = l2 + l3 + offsetof(rte_tcp_hdr, cksum);
	uint16_t was, is;
	memcpy(&was, data + field, sizeof(was));
	memcpy(&is, got.data() + field, sizeof(is));
	const uint32_t sum = rte_raw_cksum(data + l2 + l3, length - l2 - l3);
	CHECK_EQ(is, static_cast<uint16_t>(~sum));
	CHECK(std::equal(got.begin() + field + 2, got.end(), data + field + 2) && was != is);
	CHECK(goes_on(guest, port));
	return success;
}

outcome
mtu_limits_frames()
{
	fake_guest guest;
	fake_port port(guest);
	CHECK(port.ok());
	CHECK_EQ(guest.conf.mtu, 1500);
	guest.enable(from);
	CHECK(rte_eth_dev_set_mtu(port.id(), 9707) != 0);
	CHECK(rte_eth_dev_set_mtu(port.id(), 2048 - 21) != 0);
	CHECK_EQ(rte_eth_dev_set_mtu(port.id(), 2048 - 22), 0);
	CHECK_EQ(guest.mtu, 2026);
	post_good(guest, 2048);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	CHECK_EQ(rte_eth_dev_set_mtu(port.id(), 68), 0);
	guest.post_data(buffer(0), 91);
	post_good(guest, 90);
	guest.ring_tx();
	CHECK(only_good_comes(port, "rx_oversize_errors", 1));
	return success;
}

outcome
interrupts_follow_completions()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	/* Without an event an enabled vector stays quiet. */
	guest.control[1] = 1;
	port.drain();
	CHECK_EQ(guest.asked, 0);
	/* One write for a burst. */
	for (int i = 0; i < 10; i++)
		post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 10);
	CHECK_EQ(guest.fired[1], 1);
	/* An event that meets a disabled vector is kept for an empty burst. */
	CHECK(goes_on(guest, port));
	CHECK_EQ(guest.fired[1], 1);
	guest.control[1] = 1;
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.fired[1], 2);
	guest.control[1] = 1;
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.fired[1], 2);
	/* A frame without RS is no event. */
	guest.post_data(buffer(0), 64, true);
	guest.tx_at(static_cast<uint16_t>(guest.tx().next - 1)).qword1 &= ~txd::rs::mask;
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	CHECK_EQ(guest.fired[1], 2);
	/* A forced one needs no event. */
	guest.control[1] = 2;
	port.drain();
	CHECK_EQ(guest.fired[1], 3);
	guest.control[1] = 1;
	guest.post_rx(buffer(0));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 64, 1), 1);
	CHECK_EQ(guest.fired[1], 4);
	/* A queue without a vector is served all the same. */
	guest.tx().vector = 77;
	guest.push(from);
	CHECK(goes_on(guest, port));
	return success;
}

/** Nobody sends empty Tx bursts: Rx bursts must fire what the last frame to the guest left. */
outcome
rx_bursts_fire_for_both_rings()
{
	for (const bool transmits : {true, false}) {
		fake_guest guest;
		fake_port port(guest);
		if (transmits)
			guest.enable(from);
		guest.enable(to);
		guest.post_rx(buffer(0));
		guest.post_rx(buffer(1));
		guest.ring_rx();
		/* The vector is disabled, or its interval has not passed, when the frame comes. */
		CHECK_EQ(send_one(port, 64, 1), 1);
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(guest.fired[1], 0);
		guest.control[1] = 1;
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(guest.fired[1], 1);
		/* Once. */
		guest.control[1] = 1;
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(guest.fired[1], 1);
		CHECK_EQ(send_one(port, 64, 1), 1);
		CHECK_EQ(guest.fired[1], 2);
	}
	return success;
}

/** One frame each way. */
bool
exchange(fake_guest &guest, fake_port &port)
{
	guest.post_rx(buffer(0));
	guest.ring_rx();
	return goes_on(guest, port) && send_one(port, 64, 1) == 1;
}

/** The guest looks at both when their vector fires, whichever it was that fired it. */
outcome
rings_of_a_vector_share_an_interrupt()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	for (unsigned int times = 1; times <= 3; times++) {
		guest.control[1] = 0;
		CHECK(exchange(guest, port));
		guest.control[1] = 1;
		/* Refused, both stay due. */
		guest.refuse_fire = true;
		CHECK_EQ(port.drain(), 0);
		guest.refuse_fire = false;
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(guest.fired[1], times);
		guest.control[1] = 1;
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(guest.fired[1], times);
	}
	/* A Tx burst fires for the guest's transmissions, too. */
	guest.control[1] = 0;
	CHECK(goes_on(guest, port));
	guest.post_rx(buffer(0));
	guest.ring_rx();
	guest.control[1] = 1;
	CHECK_EQ(send_one(port, 64, 1), 1);
	CHECK_EQ(guest.fired[1], 4);
	guest.control[1] = 1;
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.fired[1], 4);
	/* Each with a vector of its own. */
	guest.tx().vector = 2;
	guest.push(from);
	guest.control[1] = guest.control[2] = 0;
	CHECK(exchange(guest, port));
	guest.control[1] = guest.control[2] = 1;
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.fired[1], 5);
	CHECK_EQ(guest.fired[2], 1);
	return success;
}

/** What only returns what was lent, or what an awake guest may have seen, can wait for more. */
outcome
only_a_frame_that_finds_its_vector_enabled_is_urgent()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	guest.control[1] = 1;
	CHECK(goes_on(guest, port));
	CHECK_EQ(guest.fired[1], 1);
	CHECK_EQ(guest.cause, RTE_EMUDEV_IRQ_PATIENT);
	for (const bool finds_it_enabled : {true, false, true}) {
		guest.post_rx(buffer(0));
		guest.ring_rx();
		guest.control[1] = finds_it_enabled;
		CHECK_EQ(send_one(port, 64, 1), 1);
		guest.control[1] = !finds_it_enabled;
		port.drain();
		CHECK_EQ(guest.cause,
			 finds_it_enabled ? RTE_EMUDEV_IRQ_EVENT : RTE_EMUDEV_IRQ_PATIENT);
	}
	/* It stays urgent while its interval passes. */
	guest.post_rx(buffer(0));
	guest.ring_rx();
	guest.control[1] = 1;
	guest.refuse_fire = true;
	CHECK_EQ(send_one(port, 64, 1), 1);
	guest.refuse_fire = false;
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.cause, RTE_EMUDEV_IRQ_EVENT);
	CHECK_EQ(guest.fired[1], 5);
	return success;
}

/** Whoever fires, Rx or Tx burst: after the last frame the guest is told once more. */
outcome
no_interrupt_is_lost_between_threads()
{
	fake_guest guest;
	fake_port port(guest);
	guest.fire_pauses = 20;
	guest.enable(from);
	guest.enable(to);
	std::atomic<bool> over{false};
	std::thread receiver = start_thread([&] {
		while (!over)
			port.drain();
	});
	bool told = true;
	uint64_t sent = 0;
	for (const race_time race; told && !race.over(sent > 1000); sent++) {
		guest.post_rx(buffer(0));
		guest.ring_rx();
		send_one(port, 64, 1);
		/* The driver enables the vector when it has seen all frames so far. */
		__atomic_store_n(&guest.control[1], 1, __ATOMIC_RELEASE);
		const auto fired = [&] {
			return __atomic_load_n(&guest.control[1], __ATOMIC_ACQUIRE) == 0;
		};
		for (unsigned int i = 0; i < 10000 && !fired(); i++)
			rte_pause();
		told = wait_until(fired);
	}
	over = true;
	receiver.join();
	CHECK(told, "frame %llu", static_cast<unsigned long long>(sent));
	return success;
}

constexpr test_case cases[] = {
	{"bad arguments are refused", bad_arguments_are_refused},
	{"port and guest start in any order", port_and_guest_start_in_any_order},
	{"a restless guest does not delay the start", a_restless_guest_does_not_delay_the_start},
	{"another port goes on", another_port_goes_on},
	{"link changes are told", link_changes_are_told},
	{"link changes without end are told now and then",
	 link_changes_without_end_are_told_now_and_then},
	{"mbufs must fit the MTU", mbufs_must_fit_the_mtu},
	{"queues that are not set up are refused", queues_that_are_not_set_up_are_refused},
	{"the smallest mbufs take the longest headers", smallest_mbufs_take_the_longest_headers},
	{"the MTU is raised before the mbufs", the_mtu_is_raised_before_the_mbufs},
	{"a device brings its port along", a_device_brings_its_port_along},
	{"a device that is none of DPDK has no port", a_device_that_is_none_of_dpdk_has_no_port},
	{"a running port goes with its device", a_running_port_goes_with_its_device},
	{"the MTU limits frames", mtu_limits_frames},
	{"interrupts follow completions", interrupts_follow_completions},
	{"Rx bursts fire for both rings", rx_bursts_fire_for_both_rings},
	{"rings of a vector share an interrupt", rings_of_a_vector_share_an_interrupt},
	{"only a frame that finds its vector enabled is urgent",
	 only_a_frame_that_finds_its_vector_enabled_is_urgent},
	{"no interrupt is lost between threads", no_interrupt_is_lost_between_threads},
};

} // namespace

constinit const case_table test::port_suite::port_cases = cases;
