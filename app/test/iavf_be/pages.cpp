/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>
#include <thread>

#include "fixture.hpp"

/* Rings and buffers of single pages, as behind an IOMMU, and memory that goes and comes under them.
 */

using namespace test;
using namespace test::port_suite;

namespace {

constexpr uint64_t page = fake_guest::page;

void
write_frame(fake_guest &guest, uint64_t iova, uint32_t length, uint8_t seed)
{
	std::vector<uint8_t> data(length);
	make_frame(data.data(), length, seed);
	for (uint32_t i = 0; i < length; i++)
		*guest.at(iova + i) = data[i];
}

bool
has_frame(fake_guest &guest, uint64_t iova, uint32_t length, uint8_t seed)
{
	std::vector<uint8_t> data(length);
	for (uint32_t i = 0; i < length; i++)
		data[i] = *guest.at(iova + i);
	return is_frame(data, length, seed);
}

/** Frames from the guest, and back to it, through the port; whether all arrive. */
bool
echoes(fake_guest &guest, fake_port &port, unsigned int n, uint8_t seed)
{
	std::vector<uint16_t> sent, posted;
	for (unsigned int i = 0; i < n; i++) {
		make_frame(guest.at(buffer(i)), 60 + i, static_cast<uint8_t>(seed + i));
		sent.push_back(guest.post_data(buffer(i), 60 + i));
		posted.push_back(guest.post_rx(buffer(100 + i)));
	}
	guest.ring_rx();
	guest.ring_tx();
	auto frames = port.receive();
	const uint16_t taken =
		rte_eth_tx_burst(port.id(), 0, frames.data(), static_cast<uint16_t>(frames.size()));
	rte_pktmbuf_free_bulk(frames.data() + taken,
			      static_cast<unsigned int>(frames.size()) - taken);
	if (taken != n)
		return false;
	for (unsigned int i = 0; i < n; i++)
		if (!guest.tx_done(sent[i]) ||
		    rxd::length::get(guest.rx_status(posted[i])) != 60 + i ||
		    !has_frame(guest, buffer(100 + i), 60 + i, static_cast<uint8_t>(seed + i)))
			return false;
	return true;
}

outcome
scattered_rings_are_served()
{
	for (const uint16_t size : {32, 96, 128, 160, 256, 512, 1024, 1984}) {
		for (const uint64_t offset : {0, 128, 1920, 3968}) {
			fake_guest guest;
			guest.map_pages();
			fake_port port(guest);
			guest.enable(from, 0, size, 2048, offset);
			guest.enable(to, 0, size, 2048, offset);
			for (unsigned int i = 0; i < 3u * size; i += 29)
				CHECK(echoes(guest, port, 29, static_cast<uint8_t>(i)),
				      "ring of %u at +%lu, frame %u", size, offset, i);
			CHECK(port.complete());
		}
	}
	return success;
}

outcome
a_ring_may_cross_regions()
{
	fake_guest guest;
	fake_port port(guest);
	/* One after the other, since they take each other's place. */
	guest.enable(from, 0, 256, 2048, fake_memory::second - 1024 - guest.ring_iova(from, 0));
	for (int i = 0; i < 600; i++)
		CHECK(goes_on(guest, port), "frame %d", i);
	guest.disable(from);
	guest.enable(to, 0, 256, 2048, fake_memory::second - 1024 - guest.ring_iova(to, 0));
	for (uint16_t i = 0; i < 600; i++) {
		const uint16_t at = guest.post_rx(buffer(0));
		guest.ring_rx();
		CHECK_EQ(send_one(port, 64, 1), 1);
		CHECK(rxd::dd::is_set(guest.rx_status(at)), "frame %u", i);
	}
	return success;
}

/** Chains and TSO take other ways to the descriptors than plain frames. */
outcome
chains_cross_the_pages_of_a_ring()
{
	fake_guest guest;
	guest.map_pages();
	fake_port port(guest);
	guest.enable(from, 0, 512);
	guest.enable(to, 0, 512, 128);
	for (unsigned int i = 0; i < 500; i++) {
		const auto seed = static_cast<uint8_t>(i);
		write_frame(guest, buffer(0), 600, seed);
		for (unsigned int n = 0; n < 6; n++)
			guest.post_data(buffer(0) + n * 100, 100, n == 5);
		guest.ring_tx();
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		CHECK(is_frame(bytes_of(frames[0]), 600, seed), "frame %u", i);
		uint16_t last = 0;
		for (unsigned int n = 0; n < 5; n++)
			last = guest.post_rx(buffer(10 + n));
		guest.ring_rx();
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, frames.data(), 1), 1);
		CHECK(rxd::eof::is_set(guest.rx_status(last)));
		CHECK_EQ(rxd::length::get(guest.rx_status(last)), 600 - 4 * 128);
	}
	CHECK(port.complete());
	return success;
}

outcome
buffers_may_cross_pages()
{
	fake_guest guest;
	guest.map_pages();
	fake_port port(guest,
		       {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000, .mbufs = 1024});
	guest.enable(from, 0, 512);
	guest.enable(to, 0, 512, 9728);
	struct {
		uint32_t before, length; /* bytes before the end of a page, and in all */
	} const rows[] = {{1, 60},      {13, 60},     {14, 1500},  {59, 60},    {700, 1500},
			  {1499, 1500}, {1500, 1500}, {100, 5000}, {904, 5000}, {4096, 9000}};
	for (unsigned int i = 0; i < 400; i++) {
		const auto &row = rows[i % std::size(rows)];
		const auto seed = static_cast<uint8_t>(i);
		const uint64_t out = buffer(10 * (i % 8) + 1) - row.before;
		const uint64_t in = buffer(100 + 10 * (i % 8)) - row.before;
		write_frame(guest, out, row.length, seed);
		guest.post_data(out, row.length);
		guest.ring_tx();
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		CHECK(is_frame(bytes_of(frames[0]), row.length, seed), "frame %u", i);
		const uint16_t at = guest.post_rx(in);
		guest.ring_rx();
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, frames.data(), 1), 1);
		CHECK_EQ(rxd::length::get(guest.rx_status(at)), row.length);
		CHECK(has_frame(guest, in, row.length, seed), "frame %u", i);
	}
	CHECK_EQ(port.stats().ierrors + port.stats().oerrors, 0);
	CHECK(port.complete());
	return success;
}

outcome
half_a_buffer_is_none()
{
	fake_guest guest;
	guest.map_pages(page, {buffer(1)});
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	const uint16_t bad = guest.post_data(buffer(1) - 30, 60);
	CHECK(only_good_comes(guest, port, "rx_unmapped_errors", 1));
	CHECK(guest.tx_done(bad));
	const uint16_t broken = guest.post_rx(buffer(1) - 30);
	const uint16_t good = guest.post_rx(buffer(2));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 60, 1), 1);
	CHECK_EQ(send_one(port, 60, 2), 1);
	CHECK_EQ(port.xstat("tx_unmapped_errors"), 1);
	CHECK(rxd::rxe::is_set(guest.rx_status(broken)));
	CHECK(!rxd::rxe::is_set(guest.rx_status(good)));
	CHECK(has_frame(guest, buffer(2), 60, 2));
	return success;
}

/** Only the ring whose page has gone ends; it goes on with the page that comes instead. */
outcome
a_page_of_a_ring_goes_and_comes()
{
	const uint64_t gone = fake_guest::ring_iova(from, 0) + page;
	fake_guest guest;
	guest.map_pages();
	fake_port port(guest);
	guest.enable(from, 0, 512);
	guest.enable(to, 0, 512);
	CHECK(echoes(guest, port, 20, 1));
	guest.take_away([&] { guest.map_pages(page, {gone}); }, gone, gone + page - 1);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	const uint16_t at = guest.post_rx(buffer(0));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 64, 1), 1);
	CHECK(rxd::dd::is_set(guest.rx_status(at)));
	guest.map_pages();
	guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	CHECK_EQ(port.drain(), 1);
	CHECK(echoes(guest, port, 20, 2));
	/* Other pages, under rings that are enabled. */
	guest.take_away([&] { guest.map({}); });
	CHECK_EQ(port.drain(), 0);
	guest.map_pages(2 * page);
	for (const rte_emudev_dir dir : {from, to})
		guest.clear(dir);
	guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	CHECK(echoes(guest, port, 20, 3));
	/* All in one step. */
	guest.take_away([&] { guest.map_pages(4 * page); });
	for (const rte_emudev_dir dir : {from, to})
		guest.clear(dir);
	CHECK(echoes(guest, port, 20, 4));
	CHECK(port.complete());
	return success;
}

/** Buffers come and go as with a strict IOMMU. No frame is lost, and what has gone is not used. */
outcome
unmapping_elsewhere_holds_nobody_up()
{
	constexpr uint64_t fleeting = buffer(50);
	fake_guest guest;
	guest.map_pages();
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> sent{0}, offered{0}, received{0};
	std::thread data = start_thread([&] {
		while (!stop.load(std::memory_order_relaxed)) {
			guest.post_rx(buffer(0));
			guest.ring_rx();
			offered.fetch_add(1);
			sent.fetch_add(send_one(port, 64, 1));
			guest.post_data(fleeting, 64);
			guest.ring_tx();
			received.fetch_add(port.drain());
		}
	});
	uint64_t changes = 0;
	for (const race_time race; !race.over(changes > 1000 && received.load() > 0); changes++) {
		guest.map_pages(page, {fleeting});
		guest.memory_gone(fleeting, fleeting + page - 1);
		/* Whoever reads now dies. */
		mprotect(guest.at(fleeting), page, PROT_NONE);
		guest.forget_tables();
		mprotect(guest.at(fleeting), page, PROT_READ | PROT_WRITE);
		guest.map_pages();
		guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	}
	stop = true;
	data.join();
	CHECK(received.load() > 0);
	CHECK_EQ(sent.load(), offered.load());
	CHECK_EQ(port.xstat("tx_no_queue_packets"), 0);
	CHECK_EQ(port.xstat("tx_paused_packets"), 0);
	CHECK(port.complete());
	return success;
}

/** Another thread's burst does not end. */
outcome
a_burst_waits_for_another_but_not_for_ever()
{
	fake_guest guest;
	fake_port port(guest, {.tx_queues = 2});
	guest.enable(to);
	guest.post_rx(buffer(0));
	guest.post_rx(buffer(1));
	guest.ring_rx();
	guest.control[1] = 1;
	__atomic_store_n(&guest.hold_fire, true, __ATOMIC_RELEASE);
	uint16_t first = 0;
	std::thread other = start_thread([&] { first = send_one(port, 64, 1, 0); });
	while (__atomic_load_n(&guest.fired[1], __ATOMIC_ACQUIRE) == 0)
		rte_pause();
	const auto begin = std::chrono::steady_clock::now();
	const uint16_t second = send_one(port, 64, 2, 1);
	const auto spent = std::chrono::steady_clock::now() - begin;
	__atomic_store_n(&guest.hold_fire, false, __ATOMIC_RELEASE);
	other.join();
	CHECK_EQ(first, 1);
	CHECK_EQ(second, 0);
	CHECK(spent > std::chrono::milliseconds(1), "it does not wait");
	CHECK_EQ(port.xstat("tx_paused_packets"), 1);
	CHECK_EQ(port.xstat("tx_no_queue_packets"), 0);
	CHECK_EQ(send_one(port, 64, 2, 1), 1);
	return success;
}

constexpr test_case cases[] = {
	{"rings of scattered pages are served", scattered_rings_are_served},
	{"a ring may cross regions", a_ring_may_cross_regions},
	{"chains cross the pages of a ring", chains_cross_the_pages_of_a_ring},
	{"buffers may cross pages", buffers_may_cross_pages},
	{"half a buffer is none", half_a_buffer_is_none},
	{"a page of a ring goes and comes", a_page_of_a_ring_goes_and_comes},
	{"unmapping elsewhere holds nobody up", unmapping_elsewhere_holds_nobody_up},
	{"a burst waits for another, but not for ever", a_burst_waits_for_another_but_not_for_ever},
};

} // namespace

constinit const case_table test::port_suite::page_cases = cases;
