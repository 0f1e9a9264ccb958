/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>
#include <deque>
#include <random>

#include "fixture.hpp"

/* Buffers of the guest that the application has without a copy: it gives them back when and where
 * it likes, and the guest, its memory, the ring and the port may be gone by then. */

using namespace test;
using namespace test::port_suite;

namespace {

const fake_port::options lending{
	.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000, .more = ",zero-copy=1"};

fake_port::options
lending_with(uint64_t offloads, const char *more = ",zero-copy=1")
{
	fake_port::options out = lending;

	out.rx_offloads |= offloads;
	out.more = more;
	return out;
}

uint16_t
post_frame(fake_guest &guest, unsigned int n, uint32_t length = 1000)
{
	make_frame(guest.at(buffer(n)), length, static_cast<uint8_t>(n));
	return guest.post_data(buffer(n), length);
}

/** Whether a part of a frame is the guest's buffer itself. */
bool
is_at(fake_guest &guest, const rte_mbuf *part, uint64_t iova)
{
	return rte_pktmbuf_mtod(part, const uint8_t *) == guest.at(iova);
}

void
free_all(std::vector<rte_mbuf *> &frames)
{
	rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned int>(frames.size()));
	frames.clear();
}

outcome
completions_keep_the_order()
{
	fake_guest guest;
	fake_port port(guest, lending);
	CHECK(port.ok());
	guest.enable(from);
	for (unsigned int i = 0; i < 4; i++)
		post_frame(guest, i);
	post_frame(guest, 4, 64); /* is copied */
	guest.ring_tx();
	auto frames = port.receive();
	CHECK_EQ(frames.size(), 5);
	for (uint16_t i = 0; i < 5; i++) {
		CHECK_EQ(is_at(guest, frames[i], buffer(i)), i < 4);
		CHECK(is_frame(bytes_of(frames[i]), i < 4 ? 1000 : 64, static_cast<uint8_t>(i)));
		CHECK(!guest.tx_done(i), "%u", i);
	}
	CHECK_EQ(port.xstat("rx_zero_copy_packets"), 4);
	rte_pktmbuf_free(frames[1]);
	rte_pktmbuf_free(frames[2]);
	CHECK_EQ(port.drain(), 0);
	CHECK(!guest.tx_done(0) && !guest.tx_done(1));
	rte_pktmbuf_free(frames[0]);
	CHECK(!guest.tx_done(0), "who polls the ring writes there");
	CHECK_EQ(port.drain(), 0);
	CHECK(guest.tx_done(0) && guest.tx_done(1) && guest.tx_done(2));
	CHECK(!guest.tx_done(3) && !guest.tx_done(4));
	rte_pktmbuf_free(frames[3]);
	CHECK_EQ(port.drain(), 0);
	CHECK(guest.tx_done(3) && guest.tx_done(4));
	rte_pktmbuf_free(frames[4]);
	CHECK(port.complete());
	return success;
}

/** What would be written, might fault, or is in two pieces, is copied. */
outcome
unsuitable_buffers_are_copied()
{
	fake_guest guest;
	fake_port port(guest, lending);
	guest.enable(from);
	const struct {
		uint64_t iova;
		uint32_t length;
		bool lent;
	} rows[] = {
		{buffer(0), 256, false},
		{buffer(0), 257, true},
		{fake_memory::second - 300, 300, true},
		{fake_memory::second - 300, 600, false},
		{fake_memory::read_only, 1000, false},
		{fake_memory::top + fake_memory::size - 300, 300, true},
	};
	uint64_t lent = 0;
	for (const auto &row : rows) {
		guest.post_data(row.iova, row.length);
		guest.ring_tx();
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		CHECK_EQ(RTE_MBUF_HAS_EXTBUF(frames[0]) != 0, row.lent);
		CHECK_EQ(port.xstat("rx_zero_copy_packets"), lent += row.lent);
		free_all(frames);
	}
	uint64_t drops = 0;
	for (const uint64_t iova : {fake_memory::hole, fake_memory::no_file,
				    fake_memory::second + fake_memory::size - 300, 0 - uint64_t{32},
				    fake_memory::base - 32}) {
		const uint16_t bad = guest.post_data(iova, 1000);
		CHECK(only_good_comes(guest, port, "rx_unmapped_errors", ++drops));
		CHECK(guest.tx_done(bad));
		/* A frame that is not there from its second buffer on. */
		post_frame(guest, 0);
		guest.tx_at(guest.tx().next == 0 ? 63 : guest.tx().next - 1).qword1 &=
			~txd::eop::mask;
		guest.post_data(iova, 1000);
		CHECK(only_good_comes(guest, port, "rx_unmapped_errors", ++drops));
	}
	CHECK(port.complete());
	return success;
}

outcome
slow_application_gets_copies()
{
	fake_guest guest;
	fake_port port(guest, lending);
	guest.enable(from);
	for (unsigned int i = 0; i < 63; i++)
		post_frame(guest, i);
	guest.ring_tx();
	auto frames = port.receive(), more = port.receive();
	frames.insert(frames.end(), more.begin(), more.end());
	CHECK_EQ(frames.size(), 63);
	for (unsigned int i = 0; i < 63; i++)
		CHECK_EQ(is_at(guest, frames[i], buffer(i)), i < 32);
	CHECK_EQ(port.xstat("rx_zero_copy_packets"), 32);
	CHECK_EQ(port.xstat("rx_zero_copy_bound_packets"), 31);
	/* A guest that goes on without a completion finds it where it has posted anew. */
	for (unsigned int i = 0; i < 20; i++)
		post_frame(guest, i);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	rte_pktmbuf_free(frames[0]);
	CHECK_EQ(port.drain(), 1);
	CHECK(guest.tx_done(0));
	frames.erase(frames.begin());
	free_all(frames);
	CHECK_EQ(port.drain(), 0);
	CHECK(port.xstat("rx_bad_descriptor_errors") > 0);
	CHECK(port.complete());
	guest.disable(from);
	guest.enable(from);
	CHECK(goes_on(guest, port));
	return success;
}

/** A ring that begins anew knows nothing of mbufs of the old one. */
outcome
mbufs_outlive_their_ring()
{
	fake_guest guest;
	fake_port port(guest, lending);
	guest.enable(from);
	for (unsigned int i = 0; i < 8; i++)
		post_frame(guest, i);
	guest.ring_tx();
	auto old = port.receive();
	CHECK_EQ(old.size(), 8);
	guest.disable(from);
	rte_pktmbuf_free(old.back());
	old.pop_back();
	/* With another size, too. */
	for (const uint16_t size : {64, 256, 32}) {
		guest.enable(from, 0, size);
		/* It needs more than one mbuf. */
		const uint16_t one = post_frame(guest, 20, 3000);
		guest.ring_tx();
		auto now = port.receive();
		CHECK_EQ(now.size(), 1);
		CHECK(!RTE_MBUF_HAS_EXTBUF(now[0]), "while others are out");
		CHECK_EQ(now[0]->nb_segs, 2);
		CHECK(is_frame(bytes_of(now[0]), 3000, 20));
		CHECK(guest.tx_done(one));
		rte_pktmbuf_free(old.back());
		old.pop_back();
		CHECK_EQ(port.drain(), 0);
		for (uint16_t i = 1; i < size; i++)
			CHECK_EQ(guest.tx_at(i).qword1, 0);
		free_all(now);
		guest.disable(from);
	}
	guest.enable(from, 0, 64);
	free_all(old);
	post_frame(guest, 3);
	guest.ring_tx();
	auto now = port.receive();
	CHECK_EQ(now.size(), 1);
	CHECK(is_at(guest, now[0], buffer(3)), "when all are back");
	free_all(now);
	CHECK_EQ(port.drain(), 0);
	CHECK(guest.tx_done(0));
	CHECK(port.complete());
	return success;
}

outcome
memory_is_kept_for_mbufs()
{
	fake_guest guest;
	fake_port port(guest, lending);
	guest.enable(from);
	post_frame(guest, 0);
	guest.post_data(fake_memory::second, 1000);
	guest.ring_tx();
	auto frames = port.receive();
	CHECK_EQ(frames.size(), 2);
	/* A range with nothing, and none at all. */
	guest.memory_gone(fake_memory::hole, fake_memory::hole + 4095);
	guest.memory_gone(1, 0);
	CHECK_EQ(guest.holds, 0);
	/* Its last byte. */
	guest.memory_gone(buffer(0) + 999, buffer(0) + 999);
	CHECK_EQ(guest.holds, 1);
	guest.memory_gone(fake_memory::second, fake_memory::second + 4095);
	CHECK_EQ(guest.holds, 2);
	guest.memory_gone();
	rte_mbuf *copy = rte_pktmbuf_clone(frames[0], port.pool());
	rte_pktmbuf_free(frames[0]);
	CHECK(guest.holds >= 2);
	rte_pktmbuf_free(copy);
	rte_pktmbuf_free(frames[1]);
	CHECK_EQ(guest.holds, 0);
	/* The ring went on. */
	CHECK_EQ(port.drain(), 0);
	CHECK(guest.tx_done(0) && guest.tx_done(1));
	CHECK(port.complete());
	return success;
}

/** The port stops and starts, is closed, or the device goes; then a mbuf comes back. */
outcome
mbufs_outlive_port_and_device()
{
	for (const bool device_first : {false, true}) {
		fake_guest guest;
		fake_port port(guest, lending);
		guest.enable(from);
		for (unsigned int i = 0; i < 3; i++)
			post_frame(guest, i);
		guest.ring_tx();
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 3);
		rte_eth_dev_stop(port.id());
		rte_pktmbuf_free(frames[0]);
		CHECK(!guest.tx_done(0));
		CHECK_EQ(guest.tx().info.head, 0);
		rte_eth_dev_start(port.id());
		CHECK_EQ(port.drain(), 0);
		CHECK(guest.tx_done(0) && !guest.tx_done(1));
		if (device_first)
			guest.remove();
		port.close();
		CHECK(guest.holds > 0);
		CHECK(is_frame(bytes_of(frames[1]), 1000, 1));
		rte_pktmbuf_free(frames[2]);
		CHECK(guest.holds > 0);
		rte_pktmbuf_free(frames[1]);
		CHECK_EQ(guest.holds, 0);
		CHECK(!guest.tx_done(1) && !guest.tx_done(2));
		CHECK(port.complete());
		/* The next one begins where the guest still waits. */
		if (!device_first)
			CHECK_EQ(guest.tx().info.head, 1);
	}
	return success;
}

/** Posts a frame in buffers of these lengths, one after the other in memory. */
uint16_t
post_parts(fake_guest &guest, uint64_t iova, std::initializer_list<uint32_t> lengths,
	   uint64_t command = 0)
{
	uint16_t last = 0;
	size_t left = lengths.size();

	for (const uint32_t length : lengths) {
		last = guest.post_data(iova, length, --left == 0, command);
		iova += length;
	}
	guest.ring_tx();
	return last;
}

outcome
buffers_become_segments()
{
	fake_guest guest;
	fake_port port(guest, lending);
	guest.enable(from);
	make_frame(guest.at(buffer(0)), 6000, 1);
	const uint16_t last = post_parts(guest, buffer(0), {2000, 100, 3900});
	auto frames = port.receive();
	CHECK_EQ(frames.size(), 1);
	CHECK_EQ(frames[0]->nb_segs, 3);
	CHECK(rte_mbuf_check(frames[0], 1, nullptr) == 0);
	CHECK(is_frame(bytes_of(frames[0]), 6000, 1));
	CHECK(is_at(guest, frames[0], buffer(0)));
	CHECK(!is_at(guest, frames[0]->next, buffer(0) + 2000), "too small to be lent");
	CHECK(is_at(guest, frames[0]->next->next, buffer(0) + 2100));
	/* The last one alone holds the completion. */
	rte_mbuf *tail = frames[0]->next->next;
	frames[0]->next->next = nullptr;
	frames[0]->nb_segs = 2;
	free_all(frames);
	CHECK_EQ(port.drain(), 0);
	CHECK(!guest.tx_done(last));
	tail->nb_segs = 1;
	rte_pktmbuf_free(tail);
	CHECK_EQ(port.drain(), 0);
	CHECK(guest.tx_done(last));
	/* Headers are in one piece, whatever the guest's buffers are. */
	for (const uint32_t first : {1u, 14u, 60u, 127u}) {
		make_frame(guest.at(buffer(0)), 3000, 2);
		post_parts(guest, buffer(0), {first, 3000 - first});
		frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		CHECK_EQ(frames[0]->data_len, 128);
		CHECK(is_frame(bytes_of(frames[0]), 3000, 2));
		CHECK(is_at(guest, frames[0]->next, buffer(0) + 128));
		free_all(frames);
	}
	/* At the end of a region, with too little in front. */
	make_frame(guest.at(fake_memory::read_only), 2, 3);
	guest.post_data(fake_memory::second + fake_memory::size - 1, 1, false);
	guest.post_data(buffer(1), 1000);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	CHECK_EQ(port.drain(), 0);
	CHECK(port.complete());
	return success;
}

/** What a frame asks for is done in what was copied of it: its headers. */
outcome
requests_do_not_write_to_the_guest()
{
	for (const bool carried : {false, true}) {
		fake_guest guest;
		fake_port port(guest,
			       lending_with(carried ? RTE_ETH_RX_OFFLOAD_CHECKSUM : 0,
					    carried ? ",zero-copy=1,tso=1" : ",zero-copy=1"));
		guest.enable(from);
		const packet whole{.payload = 4000};
		whole.write(guest.at(buffer(0)));
		const std::vector<uint8_t> before(guest.at(buffer(0)),
						  guest.at(buffer(0)) + whole.length());
		const uint32_t headers = whole.headers();
		post_parts(guest, buffer(0), {headers, whole.length() - headers}, whole.command());
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		CHECK_EQ(frames[0]->nb_segs, 2);
		CHECK(is_at(guest, frames[0]->next, buffer(0) + 128));
		CHECK_EQ((frames[0]->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM) != 0, carried);
		if (!carried)
			CHECK(whole.verify(bytes_of(frames[0])));
		CHECK(memcmp(before.data(), guest.at(buffer(0)), before.size()) == 0);
		free_all(frames);
		/* TSO: as one packet, or cut. */
		whole.write(guest.at(buffer(0)), true);
		guest.post(0, context(whole.payload, 1000));
		const uint16_t last = post_parts(
			guest, buffer(0), {headers, whole.length() - headers}, whole.command());
		frames = port.receive();
		CHECK_EQ(frames.size(), carried ? 1 : 4);
		if (carried) {
			CHECK_EQ(frames[0]->nb_segs, 2);
			CHECK_EQ(frames[0]->pkt_len, whole.length());
			CHECK(is_at(guest, frames[0]->next, buffer(0) + headers));
			CHECK_EQ(port.drain(), 0);
			CHECK(!guest.tx_done(last));
		}
		free_all(frames);
		CHECK_EQ(port.drain(), 0);
		CHECK(guest.tx_done(last));
		CHECK(port.complete());
	}
	return success;
}

/** What changes frames, or trusts them, has copies. */
outcome
changes_are_made_to_copies()
{
	fake_guest guest;
	fake_port port(guest, lending_with(RTE_ETH_RX_OFFLOAD_VLAN_STRIP));
	guest.enable(from);
	const auto is_lent = [&] {
		post_frame(guest, 0);
		guest.ring_tx();
		auto frames = port.receive();
		const bool out = frames.size() == 1 && RTE_MBUF_HAS_EXTBUF(frames[0]);
		free_all(frames);
		return out;
	};
	CHECK(!is_lent());
	rte_eth_dev_set_vlan_offload(port.id(), 0);
	CHECK(is_lent());
	/* One is out while the offload comes: the order stays. */
	const uint16_t lent = post_frame(guest, 1);
	guest.ring_tx();
	auto frames = port.receive();
	rte_eth_dev_set_vlan_offload(port.id(), RTE_ETH_VLAN_STRIP_OFFLOAD);
	const uint16_t copied = post_frame(guest, 2);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	CHECK(!guest.tx_done(lent) && !guest.tx_done(copied));
	free_all(frames);
	CHECK_EQ(port.drain(), 0);
	CHECK(guest.tx_done(lent) && guest.tx_done(copied));
	rte_eth_dev_info info;
	CHECK_EQ(rte_eth_dev_info_get(port.id(), &info), 0);
	CHECK_EQ(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, 0);
	return success;
}

/** A filter looks at the guest's buffer; what it drops was never lent. */
outcome
filtered_frames_are_completed()
{
	fake_guest guest;
	fake_port::options options = lending;
	options.promiscuous = false;
	fake_port port(guest, options);
	guest.enable(from);
	post_frame(guest, 0);
	post_frame(guest, 1);
	guest.at(buffer(1))[0] = 2;
	guest.post_data(buffer(1), 200, false);
	guest.post_data(buffer(1) + 200, 800);
	guest.ring_tx();
	auto frames = port.receive();
	CHECK_EQ(frames.size(), 1);
	CHECK_EQ(port.xstat("rx_filtered_packets"), 2);
	free_all(frames);
	CHECK_EQ(port.drain(), 0);
	CHECK(guest.tx_done(0) && guest.tx_done(1) && guest.tx_done(3));
	CHECK(port.complete());
	return success;
}

/** Frames come back on another thread, in any order, while memory comes and goes. */
outcome
mbufs_come_back_on_any_thread()
{
	fake_guest guest;
	fake_port port(guest, lending);
	guest.enable(from);
	std::atomic<rte_mbuf *> handed[16] = {};
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> wrong{0};
	/* Until then it is what it was: a completion would have let the guest write there. */
	const auto give_back = [&wrong](rte_mbuf *frame) {
		if (frame == nullptr)
			return;
		const uint32_t length = frame->pkt_len;
		wrong += !is_frame(bytes_of(frame), length, static_cast<uint8_t>(length - 300));
		rte_pktmbuf_free(frame);
	};
	std::thread other = start_thread([&] {
		std::mt19937 random(3);
		while (!stop.load(std::memory_order_acquire))
			give_back(handed[random() % 16].exchange(nullptr));
	});
	const race_time race;
	uint64_t arrived = 0;
	uint16_t awaited = 0, free_places = 63;
	for (unsigned int i = 0; !race.over(arrived > 1000); i++) {
		while (free_places > 0) {
			const uint16_t at = guest.tx().next;
			post_frame(guest, at, 300 + at);
			free_places--;
		}
		guest.ring_tx();
		for (rte_mbuf *frame : port.receive()) {
			rte_mbuf *both =
				i % 8 == 0 ? rte_pktmbuf_clone(frame, port.pool()) : nullptr;
			give_back(handed[arrived++ % 16].exchange(frame));
			give_back(both);
		}
		for (; free_places < 63 && guest.tx_done(awaited); free_places++) {
			guest.tx_at(awaited).qword1 = 0;
			memset(guest.at(buffer(awaited)), 0xee, 500);
			awaited = awaited == 63 ? 0 : awaited + 1;
		}
		if (i % 16 == 0)
			guest.memory_gone();
	}
	stop.store(true, std::memory_order_release);
	other.join();
	for (auto &frame : handed)
		give_back(frame.exchange(nullptr));
	CHECK_EQ(wrong, 0);
	CHECK(port.xstat("rx_zero_copy_packets") > 0);
	CHECK_EQ(guest.holds, 0);
	port.drain();
	port.drain();
	CHECK(port.complete());
	return success;
}

/** The same buffer in all descriptors: each is its own loan. */
outcome
one_buffer_may_be_lent_often()
{
	fake_guest guest;
	fake_port port(guest, lending);
	guest.enable(from);
	make_frame(guest.at(buffer(0)), 1000, 1);
	for (unsigned int i = 0; i < 20; i++)
		guest.post_data(buffer(0), 1000);
	guest.ring_tx();
	auto frames = port.receive();
	CHECK_EQ(frames.size(), 20);
	for (uint16_t i = 0; i < 20; i++) {
		CHECK(is_at(guest, frames[i], buffer(0)));
		rte_pktmbuf_free(frames[i]);
		CHECK_EQ(port.drain(), 0);
		CHECK(guest.tx_done(i) && (i == 19 || !guest.tx_done(i + 1)));
	}
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"completions of lent buffers keep the order", completions_keep_the_order},
	{"unsuitable buffers are copied", unsuitable_buffers_are_copied},
	{"a slow application gets copies", slow_application_gets_copies},
	{"mbufs outlive their ring", mbufs_outlive_their_ring},
	{"memory is kept for mbufs", memory_is_kept_for_mbufs},
	{"mbufs outlive port and device", mbufs_outlive_port_and_device},
	{"buffers become segments", buffers_become_segments},
	{"requests do not write to the guest", requests_do_not_write_to_the_guest},
	{"changes are made to copies", changes_are_made_to_copies},
	{"filtered frames are completed", filtered_frames_are_completed},
	{"mbufs come back on any thread", mbufs_come_back_on_any_thread},
	{"one buffer may be lent often", one_buffer_may_be_lent_often},
};

} // namespace

constinit const case_table test::port_suite::zero_copy_cases = cases;
