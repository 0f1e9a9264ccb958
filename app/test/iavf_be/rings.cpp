/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include <rte_log.h>
#include <rte_malloc.h>

#include "../../../drivers/net/iavf_be/gate.hpp"
#include "fixture.hpp"
#include "system.hpp"

/* Which rings are served, and when. */

using namespace test;
using namespace test::port_suite;

namespace {

outcome
bad_rings_are_not_served()
{
	fake_guest guest;
	fake_port port(guest);
	CHECK(port.ok());
	struct {
		const char *what;
		uint64_t iova;
		uint16_t size, desc_size;
	} const rows[] = {
		{"not mapped", fake_memory::hole, 64, 16},
		{"without a file", fake_memory::no_file, 64, 16},
		{"read only", fake_memory::read_only, 64, 16},
		{"past the end", fake_memory::second + fake_memory::size - 512, 64, 16},
		{"wrapping", 0 - uint64_t{512}, 64, 16},
		{"unaligned", fake_memory::base + 3, 64, 16},
		{"with a descriptor across two regions", fake_memory::second - 8, 64, 16},
		{"of length 0", fake_memory::base, 0, 16},
		{"of length 1", fake_memory::base, 1, 16},
		{"of length 65535", fake_memory::base, 65535, 16},
		{"of other descriptors", fake_memory::base, 64, 32},
	};
	for (const auto &row : rows) {
		auto &ring = guest.tx();
		ring.vector = 1;
		ring.info = {.enabled = true,
			     .size = row.size,
			     .desc_size = row.desc_size,
			     .ring_iova = row.iova,
			     .buffer_size = 2048,
			     .max_frame = 9728};
		ring.tail = 1;
		guest.push(from);
		CHECK(port.drain() == 0, "a ring %s gave a frame", row.what);
		guest.rx().vector = ring.vector;
		guest.rx().info = ring.info;
		guest.rx().info.desc_size *= 2;
		guest.rx().tail = 1;
		guest.push(to);
		CHECK(send_one(port, 64, 1) == 0, "a ring %s took a frame", row.what);
	}
	guest.doorbells = false;
	guest.enable(from);
	CHECK_EQ(port.drain(), 0);
	guest.doorbells = true;
	guest.enable(from);
	CHECK(goes_on(guest, port));
	return success;
}

/** What is logged while it exists. */
class captured_log {
public:
	captured_log() { rte_openlog_stream(stream_); }
	~captured_log()
	{
		rte_openlog_stream(nullptr);
		fclose(stream_);
		free(text_);
	}
	unsigned int count(std::string_view part)
	{
		unsigned int n = 0;
		fflush(stream_);
		const std::string_view all(text_, size_);
		for (size_t at = 0; (at = all.find(part, at)) != all.npos; at += part.size())
			n++;
		return n;
	}

private:
	char *text_ = nullptr;
	size_t size_ = 0;
	FILE *stream_ = open_memstream(&text_, &size_);
};

outcome
a_guest_cannot_fill_the_log()
{
	fake_guest guest;
	fake_port port(guest);
	captured_log log;
	auto enable_bad = [&] {
		for (int i = 0; i < 10; i++) {
			guest.disable(from);
			guest.map({{fake_memory::hole, 4096u * (i + 1u), nullptr,
				    RTE_GUEST_MEM_READ, 0}});
			guest.enable(from, 0, static_cast<uint16_t>(64 + 32 * i));
		}
	};
	enable_bad();
	CHECK_EQ(log.count("not served"), 1);
	guest.connect(false);
	guest.connect();
	enable_bad();
	CHECK_EQ(log.count("not served"), 2);
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK_EQ(rte_eth_dev_start(port.id()), 0);
	CHECK_EQ(log.count("not served"), 3);
	return success;
}

outcome
bad_receive_buffers_sizes_are_not_served()
{
	fake_guest guest;
	fake_port port(guest);
	for (const uint32_t size : {0u, 1u, 63u, 16384u, 0xffffffffu}) {
		guest.enable(to, 0, 64, size);
		guest.post_rx(buffer(0));
		guest.ring_rx();
		CHECK_EQ(send_one(port, 64, 1), 0);
	}
	return success;
}

outcome
ring_is_served_once_mapped()
{
	fake_guest guest;
	guest.map({});
	fake_port port(guest);
	guest.enable(from);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	guest.map_all();
	guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	CHECK_EQ(port.drain(), 1);
	guest.take_away([&] { guest.map({}); });
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	guest.map_all();
	guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
bad_tail_takes_nothing()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	post_good(guest);
	for (const uint32_t tail : {64u, 65u, 0x10000u, 0x10001u, 0xffffffffu}) {
		guest.store_tail(guest.tx(), tail);
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(port.drain(), 0);
		guest.store_tail(guest.rx(), tail);
		CHECK_EQ(send_one(port, 64, 1), 0);
	}
	CHECK_EQ(port.xstat("rx_bad_tail_errors"), 5);
	CHECK_EQ(port.xstat("tx_bad_tail_errors"), 5);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
tail_moved_backwards_goes_on()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	for (int i = 0; i < 5; i++)
		post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 5);
	/* All but two descriptors seem to be new: those are done or zero, and hold no frame. */
	guest.store_tail(guest.tx(), 3);
	CHECK_EQ(port.drain(), 0);
	CHECK(port.xstat("rx_bad_descriptor_errors") + port.xstat("rx_bad_chain_errors") > 0);
	guest.tx().next = 3;
	post_good(guest);
	post_good(guest);
	guest.ring_tx();
	/* The first ends the malformed frame. */
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
memory_that_has_gone_is_not_touched()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> taken{0};
	std::thread data = start_thread([&] {
		rte_mbuf *frames[32];
		while (!stop.load(std::memory_order_relaxed)) {
			const uint16_t n = rte_eth_rx_burst(port.id(), 0, frames, 32);
			const uint16_t sent = rte_eth_tx_burst(port.id(), 0, frames, n);
			rte_pktmbuf_free_bulk(frames + sent, n - sent);
			taken.fetch_add(n, std::memory_order_relaxed);
		}
	});
	make_frame(guest.at(buffer(0)), 64, 1);
	const race_time race;
	for (unsigned int i = 0; !race.over(taken.load() > 0); i++) {
		for (int j = 0; j < 8; j++)
			guest.post_data(buffer(0), 64);
		guest.ring_tx();
		guest.store_tail(guest.rx(), i % 64);
		std::this_thread::yield();
		guest.map({});
		guest.memory_gone();
		/* Whoever reads or writes now dies. */
		guest.protect(PROT_NONE);
		std::this_thread::yield();
		guest.protect(PROT_READ | PROT_WRITE);
		guest.map_all();
		guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	}
	stop = true;
	data.join();
	CHECK(taken.load() > 0);
	CHECK(port.complete());
	return success;
}

outcome
memory_that_comes_loses_no_frames()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(to);
	uint64_t sent = 0;
	std::atomic<bool> stop{false};
	std::thread data = start_thread([&] {
		while (!stop.load(std::memory_order_relaxed)) {
			guest.store_tail(guest.rx(), (sent + 32) % 64);
			guest.rx_at(sent % 64) = {buffer(0), 0, 0, 0};
			sent += send_one(port, 64, 1);
		}
	});
	const race_time race;
	while (!race.over(true)) {
		guest.map_all();
		guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	}
	stop = true;
	data.join();
	CHECK(sent > 0);
	CHECK_EQ(port.xstat("tx_no_queue_packets"), 0);
	return success;
}

/* A thread that has lost its core in a burst gets it back the sooner. */
outcome
whoever_waits_for_a_burst_leaves_the_core()
{
	constexpr auto lasting = std::chrono::milliseconds(100);
	iavf_be::gate gate;
	std::atomic<bool> inside{false};
	const auto stay = [&] {
		CHECK(gate.enter());
		inside = true;
		std::this_thread::sleep_for(lasting);
		inside = false;
		gate.leave();
		return success;
	};

	for (bool closes : {true, false}) {
		gate.open();
		outcome entered = success;
		std::thread data([&] { entered = stay(); });
		const bool begun = wait_until([&] { return inside.load(); });
		const uint64_t before = cpu_time(CLOCK_THREAD_CPUTIME_ID);
		if (closes)
			gate.close();
		else
			gate.await_burst();
		const uint64_t had = cpu_time(CLOCK_THREAD_CPUTIME_ID) - before;
		const bool over = !inside;
		data.join();
		CHECK(begun && over && entered == success);
		CHECK(had < std::chrono::nanoseconds(lasting).count() / 2, "%lu ns", had);
		gate.close();
	}
	return success;
}

outcome
disabled_queue_is_left_alone()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	for (int i = 0; i < 3; i++)
		post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 3);
	guest.disable(from);
	guest.protect(PROT_NONE);
	CHECK_EQ(port.drain(), 0);
	guest.protect(PROT_READ | PROT_WRITE);
	/* Enabled anew, with another size, it starts at descriptor 0. */
	guest.enable(from, 0, 32);
	CHECK(goes_on(guest, port));
	/* A request that was under way is forgotten. */
	const packet tcp{.payload = 3000};
	tcp.write(guest.at(buffer(0)), true);
	guest.post(0, context(3000, 100));
	guest.post_data(buffer(0), tcp.length(), true, tcp.command());
	guest.ring_tx();
	auto some = port.receive(0, 3);
	CHECK_EQ(some.size(), 3);
	rte_pktmbuf_free_bulk(some.data(), 3);
	guest.disable(from);
	guest.enable(from);
	CHECK(goes_on(guest, port));
	CHECK(port.complete());
	return success;
}

outcome
few_queues_serve_all_rings()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 1, .tx_queues = 4});
	CHECK_EQ(guest.conf.queue_pairs, 4);
	for (uint16_t q = 0; q < 4; q++) {
		guest.enable(from, q);
		for (int i = 0; i < 5; i++)
			guest.post_data(buffer(q), 64, true, 0, q);
		guest.ring_tx(q);
	}
	size_t all = 0;
	for (int i = 0; i < 4; i++) {
		auto some = port.receive(0, 8);
		rte_pktmbuf_free_bulk(some.data(), static_cast<unsigned int>(some.size()));
		all += some.size();
	}
	CHECK_EQ(all, 20);
	for (uint16_t q = 0; q < 4; q++)
		CHECK(guest.tx_done(4, q));
	CHECK_EQ(port.xstat("rx_q0_packets"), 20);
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(port.complete());
	return success;
}

/* However much one ring has, a burst for each ring is as long as a frame of another waits. */
outcome
a_ring_that_is_always_full_holds_up_no_other()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 1, .tx_queues = 1});
	constexpr unsigned int burst = 8;
	unsigned int flooded = 0;

	for (uint16_t q = 0; q < fake_guest::queues; q++)
		guest.enable(from, q);
	for (unsigned int round = 0; round < 20; round++) {
		uint16_t last[fake_guest::queues];
		for (unsigned int i = 0; i < (round == 0 ? 56 : flooded); i++)
			guest.post_data(buffer(0), 64, true, 0, 2);
		for (uint16_t q : {0, 1, 3})
			last[q] = guest.post_data(buffer(q), 64, true, 0, q);
		for (uint16_t q = 0; q < fake_guest::queues; q++)
			guest.ring_tx(q);
		size_t got = 0;
		for (unsigned int i = 0; i < fake_guest::queues; i++) {
			auto some = port.receive(0, burst);
			got += some.size();
			rte_pktmbuf_free_bulk(some.data(), static_cast<unsigned int>(some.size()));
		}
		for (uint16_t q : {0, 1, 3})
			CHECK(guest.tx_done(last[q], q), "round %u, ring %u", round, q);
		CHECK(got > 3, "nor is it held up by them");
		flooded = static_cast<unsigned int>(got) - 3;
	}
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	return success;
}

/** Whether each ring's frame comes, each is completed, and each vector fires. */
bool
all_rings_are_served(fake_guest &guest, fake_port &port, uint16_t rx_queues)
{
	size_t got = 0, done = 0, fired = 0;
	uint16_t last[fake_guest::queues];

	for (uint16_t q = 0; q < fake_guest::queues; q++) {
		guest.fired[q + 1u] = 0;
		guest.control[q + 1u] = 1;
		last[q] = guest.post_data(buffer(q), 64, true, 0, q);
		guest.ring_tx(q);
	}
	for (uint16_t q = 0; q < rx_queues; q++)
		got += port.drain(q);
	for (uint16_t q = 0; q < fake_guest::queues; q++) {
		done += guest.tx_done(last[q], q);
		fired += guest.fired[q + 1u];
	}
	const bool all = got == fake_guest::queues && done == got && fired == got;
	if (!all)
		printf("%zu frames, %zu completions, %zu interrupts\n", got, done, fired);
	return all;
}

/** The port's queues change under a guest that keeps its own. */
outcome
a_guest_keeps_its_queues_whatever_the_port_has()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 4, .tx_queues = 4});
	for (uint16_t q = 0; q < fake_guest::queues; q++)
		guest.enable(from, q);
	CHECK(all_rings_are_served(guest, port, 4));
	for (uint16_t queues : {2, 1, 3, 4, 1}) {
		CHECK(port.restart_with(queues, queues));
		CHECK_EQ(guest.conf.queue_pairs, queues);
		for (int i = 0; i < 3; i++)
			CHECK(all_rings_are_served(guest, port, queues), "%u queues", queues);
	}
	CHECK_EQ(port.xstat("rx_q0_packets"), port.stats().ipackets);
	/* Rings that come and go while one queue serves them all. */
	for (uint16_t q : {2, 0, 3, 1}) {
		guest.disable(from, q);
		guest.tx(q).tail = 5;
		CHECK_EQ(port.drain(), 0);
		guest.enable(from, q);
		CHECK(all_rings_are_served(guest, port, 1));
	}
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(port.complete());
	return success;
}

outcome
a_ring_beyond_the_ports_queues_can_be_sent_to()
{
	fake_guest guest;
	fake_port port(guest);
	/* Nothing else is there: the only queue feeds it. */
	guest.enable(to, 3);
	guest.post_rx(buffer(0), 3);
	guest.post_rx(buffer(1), 3);
	guest.ring_rx(3);
	CHECK_EQ(send_one(port, 64, 1), 1);
	CHECK(iavf::rxd::dd::is_set(guest.rx_status(0, 3)));
	/* An event that met a disabled vector is not forgotten. */
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.fired[4], 0);
	guest.control[4] = 1;
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.fired[4], 1);
	/* With a ring of the queue's own index, frames go there, and only there: they keep their
	 * order. */
	guest.enable(to, 0);
	for (unsigned int i = 0; i < 8; i++) {
		guest.post_rx(buffer(2 + i));
		guest.ring_rx();
		CHECK_EQ(send_one(port, 64, 1), 1);
		CHECK(iavf::rxd::dd::is_set(guest.rx_status(static_cast<uint16_t>(i))));
	}
	CHECK(!iavf::rxd::dd::is_set(guest.rx_status(1, 3)));
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(port.complete());
	return success;
}

/** A burst is never caught in a circle that is linked anew under it. */
outcome
rings_come_and_go_under_bursts()
{
	fake_guest guest;
	fake_port port(guest);
	/* The ring at which the next burst begins leaves. */
	guest.enable(from, 0);
	guest.enable(from, 1);
	CHECK_EQ(port.drain(), 0);
	guest.post_data(buffer(0), 64);
	guest.ring_tx();
	CHECK_EQ(port.drain(0, 1), 1);
	guest.disable(from, 1);
	CHECK_EQ(port.drain(), 0);
	CHECK(goes_on(guest, port));
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> bursts{0}, taken{0};
	std::thread data = start_thread([&] {
		while (!stop.load(std::memory_order_relaxed)) {
			taken.fetch_add(port.drain(0, 1), std::memory_order_relaxed);
			bursts.fetch_add(1, std::memory_order_relaxed);
		}
	});
	const race_time race;
	for (unsigned int i = 0; !race.over(taken.load() > 100); i++) {
		const auto q = static_cast<uint16_t>(i * 7 % fake_guest::queues);
		guest.enable(from, q);
		guest.post_data(buffer(q), 64, true, 0, q);
		guest.ring_tx(q);
		if (i % 3 == 0)
			guest.disable(from, static_cast<uint16_t>(i % fake_guest::queues));
	}
	const uint64_t before = bursts.load();
	const bool alive = wait_until([&] { return bursts.load() > before + 10; });
	stop = true;
	data.join();
	CHECK(alive);
	CHECK(taken.load() > 100);
	return success;
}

outcome
the_rings_there_are_take_what_all_queues_send()
{
	constexpr int each = 20;
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 4, .tx_queues = 4});
	int sent[2] = {0, 0};

	CHECK_EQ(send_one(port, 64, 1, 3), 0);
	CHECK_EQ(port.xstat("tx_no_queue_packets"), 1);
	guest.enable(to, 0);
	for (unsigned int i = 0; i < 2 * each; i++)
		guest.post_rx(buffer(i));
	guest.ring_rx();
	/* Two threads meet at the one ring: one on its own queue, one on a queue without a ring. */
	auto send_all = [&](uint16_t queue, int &count) {
		while (count < each)
			count += send_one(port, 64, static_cast<uint8_t>(queue), queue);
	};
	std::thread other = start_thread([&] { send_all(3, sent[1]); });
	send_all(0, sent[0]);
	other.join();
	for (uint16_t i = 0; i < 2 * each; i++)
		CHECK(iavf::rxd::dd::is_set(guest.rx_status(i)), "buffer %u", i);
	CHECK_EQ(port.stats().opackets, 2 * each);
	/* A ring of its own takes over at once. */
	guest.enable(to, 3);
	guest.post_rx(buffer(100), 3);
	guest.ring_rx(3);
	CHECK_EQ(send_one(port, 64, 1, 3), 1);
	CHECK(iavf::rxd::dd::is_set(guest.rx_status(0, 3)));
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(port.complete());
	return success;
}

/** A queue without a ring of its own frees frames as it was set up to, too. */
outcome
chained_frames_are_freed_whole_by_any_queue()
{
	fake_guest guest;
	fake_port port(guest, {.tx_queues = 4,
			       .tx_offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE |
					      RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	guest.enable(to);
	for (uint16_t queue = 0; queue < 4; queue++) {
		for (unsigned int i = 0; i < 3; i++)
			guest.post_rx(buffer(3 * queue + i));
		guest.ring_rx();
		CHECK_EQ(send_one(port, 5000, 1, queue), 1);
	}
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(port.complete());
	return success;
}

/** Objects in the memory of DPDK. */
unsigned int
allocations()
{
	rte_malloc_socket_stats heap{};
	rte_malloc_get_socket_stats(static_cast<int>(rte_socket_id()), &heap);
	return heap.alloc_count;
}

/** Few guests use as many as they could. Those that went are there when they come again. */
outcome
a_ring_that_nobody_uses_costs_no_memory()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from, 0);
	guest.enable(to, 0);
	const unsigned int before = allocations();
	guest.enable(from, 3);
	CHECK_EQ(allocations(), before + 2); /* its pair, whose interrupts it polls */
	guest.enable(to, 3);
	CHECK_EQ(allocations(), before + 2);
	for (int round = 0; round < 3; round++) {
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		guest.disable(from, 3);
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
		guest.enable(from, 3);
		CHECK_EQ(allocations(), before + 2);
		make_frame(guest.at(buffer(200)), 64, 1);
		guest.post_data(buffer(200), 64, true, 0, 3);
		guest.ring_tx(3);
		CHECK_EQ(port.drain(), 1);
	}
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"a ring that nobody uses costs no memory", a_ring_that_nobody_uses_costs_no_memory},
	{"bad rings are not served", bad_rings_are_not_served},
	{"a guest cannot fill the log", a_guest_cannot_fill_the_log},
	{"bad receive buffer sizes are not served", bad_receive_buffers_sizes_are_not_served},
	{"a ring is served once it is mapped", ring_is_served_once_mapped},
	{"a bad tail takes nothing", bad_tail_takes_nothing},
	{"a tail moved backwards does not stop the ring", tail_moved_backwards_goes_on},
	{"memory that has gone is not touched", memory_that_has_gone_is_not_touched},
	{"memory that comes loses no frames", memory_that_comes_loses_no_frames},
	{"whoever waits for a burst leaves the core", whoever_waits_for_a_burst_leaves_the_core},
	{"a disabled queue is left alone", disabled_queue_is_left_alone},
	{"few queues serve all rings", few_queues_serve_all_rings},
	{"a ring that is always full holds up no other",
	 a_ring_that_is_always_full_holds_up_no_other},
	{"a guest keeps its queues whatever the port has",
	 a_guest_keeps_its_queues_whatever_the_port_has},
	{"a ring beyond the port's queues can be sent to",
	 a_ring_beyond_the_ports_queues_can_be_sent_to},
	{"rings come and go under bursts", rings_come_and_go_under_bursts},
	{"the rings there are take what all queues send",
	 the_rings_there_are_take_what_all_queues_send},
	{"chained frames are freed whole by any queue",
	 chained_frames_are_freed_whole_by_any_queue},
};

} // namespace

constinit const case_table test::port_suite::ring_cases = cases;
