/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>
#include <numeric>
#include <random>

#include "fixture.hpp"

/* Frames of the guest: hostile ones, then honest traffic. */

using namespace test;
using namespace test::port_suite;

namespace {

outcome
bad_lengths_are_dropped()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER});
	guest.enable(from);
	uint64_t drops = 0;
	for (const uint32_t length : {0u, 1u, 13u}) {
		const uint16_t bad = guest.post_data(buffer(0), length);
		CHECK(only_good_comes(guest, port, "rx_short_errors", ++drops));
		CHECK(guest.tx_done(bad));
	}
	/* An empty buffer in the middle. */
	guest.post_data(buffer(0), 60, false);
	guest.post_data(buffer(1), 0, false);
	const uint16_t last = guest.post_data(buffer(2), 60);
	CHECK(only_good_comes(guest, port, "rx_short_errors", ++drops));
	CHECK(guest.tx_done(last));
	drops = 0;
	for (const uint32_t length : {1523u, 9728u, 16383u}) {
		guest.post_data(buffer(0), length);
		CHECK(only_good_comes(guest, port, "rx_oversize_errors", ++drops));
	}
	const auto stats = port.stats();
	CHECK_EQ(stats.ierrors, 7);
	CHECK_EQ(stats.ipackets, 7);
	return success;
}

outcome
bad_addresses_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	uint64_t drops = 0;
	for (const uint64_t iova :
	     {fake_memory::hole, fake_memory::no_file, fake_memory::second + fake_memory::size - 32,
	      0 - uint64_t{32}, uint64_t{4096 - 32}, ~uint64_t{0}, fake_memory::base - 32}) {
		const uint16_t bad = guest.post_data(iova, 64);
		CHECK(only_good_comes(guest, port, "rx_unmapped_errors", ++drops), "iova 0x%llx",
		      static_cast<unsigned long long>(iova));
		CHECK(guest.tx_done(bad));
	}
	/* The second of two buffers. */
	guest.post_data(buffer(0), 64, false);
	guest.post_data(fake_memory::hole, 64);
	CHECK(only_good_comes(guest, port, "rx_unmapped_errors", ++drops));
	/* Reading is allowed in a region that is read only. */
	make_frame(guest.at(fake_memory::read_only), 64, 9);
	guest.post_data(fake_memory::read_only, 64);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
bad_chains_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	/* No end in sight: it waits, and is taken when it is there. */
	make_frame(guest.at(buffer(0)), 64, 3);
	guest.post_data(buffer(0), 32, false);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	guest.post_data(buffer(0) + 32, 32);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	for (int i = 0; i < 16; i++)
		guest.post_data(buffer(0) + 4 * i, 4, i == 15);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	/* 17 buffers are one too many, in one go or in two. */
	for (const int first : {17, 5}) {
		for (int i = 0; i < 17; i++) {
			guest.post_data(buffer(0), 32, i == 16);
			if (i + 1 == first)
				guest.ring_tx();
		}
		CHECK_EQ(port.drain(), 0);
		CHECK(only_good_comes(guest, port, "rx_bad_chain_errors", first == 17 ? 1 : 2));
	}
	/* A whole ring without an end. */
	guest.enable(from, 0, 8);
	for (int i = 0; i < 7; i++)
		guest.post_data(buffer(0), 32, false, txd::rs::mask);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(port.xstat("rx_bad_chain_errors"), 3);
	CHECK(guest.tx_done(6));
	guest.post_data(buffer(0), 32);
	CHECK(only_good_comes(guest, port, "rx_bad_chain_errors", 3));
	return success;
}

outcome
bad_descriptor_types_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	uint64_t bad = 0, unsupported = 0;
	for (uint64_t type = 2; type < 16; type++) {
		/* FCoE, IPsec and flow director are known, but not carried out. */
		const bool known = type == 2 || type == 3 || type == 8;
		guest.post(~uint64_t{0}, ~txd::dtype::mask | type);
		guest.post_data(buffer(0), 64);
		CHECK(only_good_comes(guest, port,
				      known ? "rx_unsupported_offload_errors"
					    : "rx_bad_descriptor_errors",
				      known ? ++unsupported : ++bad),
		      "type %u", static_cast<unsigned int>(type));
	}
	/* Context descriptors: twice, and after data. */
	guest.post(0, 1);
	guest.post(0, 1);
	guest.post_data(buffer(0), 64);
	CHECK(only_good_comes(guest, port, "rx_bad_chain_errors", 1));
	guest.post_data(buffer(0), 64, false);
	guest.post(0, 1);
	guest.post_data(buffer(0), 64);
	CHECK(only_good_comes(guest, port, "rx_bad_chain_errors", 2));
	/* Once and empty, it asks for nothing. */
	guest.post(0, 1);
	CHECK(goes_on(guest, port));
	return success;
}

/** A guest that writes anything anywhere while it is polled. */
template <bool zero_copy>
outcome
random_guest_does_no_harm()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER,
			       .mtu = 9000,
			       .more = zero_copy ? ",zero-copy=1,tso=1" : ""});
	guest.enable(from);
	guest.enable(to);
	std::atomic<bool> stop{false};
	std::thread driver = start_thread([&] {
		std::mt19937_64 random(1);
		while (!stop.load(std::memory_order_relaxed)) {
			const uint64_t word = random();
			auto &one = guest.tx_at(word % 64);
			/* Plausible enough to come far. */
			const uint64_t iova = fake_memory::base + (word >> 20) % (9 << 20);
			const uint64_t type = (word >> 8) % 16 == 0 ? word % 16 : word % 2;
			__atomic_store_n(&one.qword0, iova, __ATOMIC_RELAXED);
			__atomic_store_n(&one.qword1, (random() & ~txd::dtype::mask) | type,
					 __ATOMIC_RELAXED);
			__atomic_store_n(&guest.rx_at(word % 64).qword0, iova, __ATOMIC_RELAXED);
			guest.store_tail(guest.tx(), static_cast<uint32_t>(random() % 65));
			guest.store_tail(guest.rx(), static_cast<uint32_t>(random() % 65));
		}
	});
	const race_time race;
	rte_eth_stats stats{};
	for (unsigned int i = 0; !race.over(stats.ierrors > 0 && stats.oerrors > 0); i++) {
		auto frames = port.receive();
		frames.push_back(make_mbuf(port, 3000, 1));
		const auto n = static_cast<uint16_t>(frames.size());
		const uint16_t sent = rte_eth_tx_burst(port.id(), 0, frames.data(), n);
		rte_pktmbuf_free_bulk(frames.data() + sent, n - sent);
		if (i % 100 == 0) {
			guest.memory_gone();
			stats = port.stats();
		}
	}
	stop = true;
	driver.join();
	CHECK(port.complete());
	CHECK(stats.ierrors > 0 && stats.oerrors > 0, "%lu in, %lu bad, %lu out, %lu bad",
	      stats.ipackets, stats.ierrors, stats.opackets, stats.oerrors);
	return success;
}

outcome
out_of_mbufs_loses_nothing()
{
	fake_guest guest;
	fake_port port(guest, {.mbufs = 15});
	guest.enable(from);
	for (unsigned int i = 0; i < 40; i++) {
		make_frame(guest.at(buffer(i)), 60 + i, static_cast<uint8_t>(i));
		guest.post_data(buffer(i), 60 + i);
	}
	guest.ring_tx();
	unsigned int n = 0;
	while (n < 40) {
		auto frames = port.receive();
		CHECK(!frames.empty());
		CHECK(frames.size() <= 15);
		for (rte_mbuf *frame : frames) {
			CHECK(is_frame(bytes_of(frame), 60 + n, static_cast<uint8_t>(n)));
			n++;
		}
		/* All are out: the rest waits in the ring. */
		if (frames.size() == 15)
			CHECK_EQ(port.drain(), 0);
		rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned int>(frames.size()));
	}
	CHECK(port.stats().rx_nombuf > 0);
	CHECK_EQ(port.stats().ipackets, 40);
	return success;
}

outcome
filter_passes_what_is_ours()
{
	fake_guest guest;
	fake_port port(guest, {.promiscuous = false});
	guest.enable(from);
	const rte_ether_addr other{{2, 9, 9, 9, 9, 9}}, group{{1, 0, 0x5e, 0, 0, 1}};
	const auto send = [&](const rte_ether_addr &dst) {
		for (const bool chained : {false, true}) {
			make_frame(guest.at(buffer(0)), 64, 1);
			memcpy(guest.at(buffer(0)), &dst, sizeof(dst));
			if (chained)
				guest.post_data(buffer(0), 20, false);
			guest.post_data(buffer(0) + (chained ? 20 : 0), chained ? 44 : 64);
			guest.ring_tx();
		}
		return port.drain();
	};
	const rte_ether_addr broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	CHECK_EQ(send(port.mac()), 2);
	CHECK_EQ(send(broadcast), 2);
	CHECK_EQ(send(other), 0);
	CHECK_EQ(send(group), 0);
	CHECK_EQ(port.xstat("rx_filtered_packets"), 4);
	rte_eth_allmulticast_enable(port.id());
	CHECK_EQ(send(group), 2);
	rte_eth_promiscuous_enable(port.id());
	CHECK_EQ(send(other), 2);
	rte_eth_promiscuous_disable(port.id());
	rte_ether_addr mine = other;
	CHECK_EQ(rte_eth_dev_default_mac_addr_set(port.id(), &mine), 0);
	CHECK_EQ(send(other), 2);
	CHECK_EQ(send(port.mac()), 0);
	CHECK_EQ(port.xstat("rx_broadcast_packets"), 2);
	CHECK_EQ(port.xstat("rx_multicast_packets"), 2);
	CHECK(port.complete());
	return success;
}

/** Posts a frame to an address; whether it passes the filter. */
bool
passes(fake_guest &guest, fake_port &port, const rte_ether_addr &to)
{
	make_frame(guest.at(buffer(0)), 64, 1);
	memcpy(guest.at(buffer(0)), &to, sizeof(to));
	guest.post_data(buffer(0), 64);
	guest.ring_tx();
	return port.drain() == 1;
}

outcome
filter_passes_what_was_added()
{
	fake_guest guest;
	fake_port port(guest, {.promiscuous = false});
	guest.enable(from);
	rte_ether_addr second{{2, 9, 9, 9, 9, 9}}, third{{2, 9, 9, 9, 9, 8}};
	rte_ether_addr groups[]{{{1, 0, 0x5e, 0, 0, 1}}, {{1, 0, 0x5e, 0, 0, 2}}};
	CHECK_EQ(rte_eth_dev_mac_addr_add(port.id(), &second, 0), 0);
	CHECK_EQ(rte_eth_dev_mac_addr_add(port.id(), &third, 0), 0);
	CHECK_EQ(rte_eth_dev_set_mc_addr_list(port.id(), groups, 1), 0);
	for (int life = 0; life < 2; life++) {
		CHECK(passes(guest, port, port.mac()));
		CHECK(passes(guest, port, second));
		CHECK(passes(guest, port, third));
		CHECK(passes(guest, port, groups[0]));
		CHECK(!passes(guest, port, groups[1]));
		CHECK(!passes(guest, port, {}));
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
	}
	CHECK_EQ(rte_eth_dev_mac_addr_remove(port.id(), &second), 0);
	CHECK(!passes(guest, port, second));
	CHECK(passes(guest, port, third));
	CHECK_EQ(rte_eth_dev_set_mc_addr_list(port.id(), nullptr, 0), 0);
	CHECK(!passes(guest, port, groups[0]));
	return success;
}

outcome
filter_has_a_limit()
{
	fake_guest guest;
	fake_port port(guest, {.promiscuous = false});
	guest.enable(from);
	rte_eth_dev_info info;
	CHECK_EQ(rte_eth_dev_info_get(port.id(), &info), 0);
	rte_ether_addr one{{2, 9, 9, 9, 9, 0}};
	for (one.addr_bytes[5] = 1; one.addr_bytes[5] < info.max_mac_addrs; one.addr_bytes[5]++)
		CHECK_EQ(rte_eth_dev_mac_addr_add(port.id(), &one, 0), 0);
	CHECK_EQ(rte_eth_dev_mac_addr_add(port.id(), &one, 0), -ENOSPC);
	CHECK(!passes(guest, port, one));
	one.addr_bytes[5]--;
	CHECK(passes(guest, port, one));
	return success;
}

/** Posts a frame in up to eight buffers, one after the other in memory; how many there were. */
unsigned int
post_in_pieces(fake_guest &guest, std::mt19937 &random, uint64_t place,
	       const std::vector<uint8_t> &data)
{
	const auto length = static_cast<uint32_t>(data.size());
	unsigned int n = 0;

	for (uint32_t done = 0; done < length; n++) {
		const uint32_t piece = n == 7 || random() % 2 == 0 ? length - done
								   : 1 + random() % (length - done);
		/* Frames lie far enough apart, whatever came before. */
		for (uint32_t i = 0; i < piece; i++)
			*guest.at(place + done + i) = data[done + i];
		guest.post_data(place + done, piece, done + piece == length);
		done += piece;
	}
	return n;
}

/** Random frames in random buffers, checked byte by byte. */
template <bool zero_copy>
outcome
frames_from_guest_arrive_whole()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER,
			       .mtu = 9706,
			       .more = zero_copy ? ",zero-copy=1" : ""});
	CHECK(port.ok());
	guest.enable(from, 0, 96);
	std::mt19937 random(7);
	uint64_t bytes = 0;
	std::vector<std::pair<uint32_t, uint8_t>> sent;
	size_t arrived = 0;
	for (unsigned int round = 0; round < 1500; round++) {
		unsigned int room = 64;
		while (room > 8 && random() % 4 != 0) {
			const uint32_t length =
				random() % 3 == 0 ? 14 + random() % 9715 : 14 + random() % 200;
			const auto seed = static_cast<uint8_t>(random());
			std::vector<uint8_t> data(length);
			make_frame(data.data(), length, seed);
			/* Now and then across two regions that are not neighbours here. */
			const uint64_t place = random() % 4 == 0
						       ? fake_memory::second - random() % length
						       : buffer(random() % 512);
			room -= post_in_pieces(guest, random, place, data);
			sent.emplace_back(length, seed);
			bytes += length;
			guest.ring_tx();
			auto frames = port.receive();
			for (rte_mbuf *frame : frames) {
				CHECK(rte_mbuf_check(frame, 1, nullptr) == 0);
				const auto got = bytes_of(frame);
				CHECK(is_frame(got, sent[arrived].first, sent[arrived].second),
				      "frame %zu of %u bytes", arrived, sent[arrived].first);
				arrived++;
				rte_pktmbuf_free(frame);
			}
		}
	}
	CHECK_EQ(arrived, sent.size());
	const auto stats = port.stats();
	CHECK_EQ(stats.ipackets, arrived);
	CHECK_EQ(stats.ibytes, bytes);
	CHECK_EQ(port.xstat("rx_q0_packets"), arrived);
	CHECK_EQ(stats.ierrors, 0);
	rte_emudev_net_stats seen;
	rte_emudev_net_stats_get(guest.dev(), &seen);
	CHECK_EQ(seen.from_guest_packets, arrived);
	CHECK_EQ(seen.from_guest_bytes, bytes);
	CHECK_EQ(seen.from_guest_broadcast, arrived);
	rte_eth_stats_reset(port.id());
	CHECK_EQ(port.stats().ipackets, 0);
	rte_emudev_net_stats_get(guest.dev(), &seen);
	CHECK_EQ(seen.from_guest_packets, arrived);
	CHECK(port.complete());
	return success;
}

/** Whether a burst of 32 of a full ring drops 64 frames at most, and later bursts go on. */
bool
bursts_end(fake_guest &guest, fake_port &port, const char *xstat)
{
	guest.ring_tx();
	const size_t got = port.drain(0, 32);
	const uint64_t first = port.xstat(xstat);
	for (int bursts = 1; bursts < 400 / 32 && !guest.tx_done(399); bursts++)
		if (port.drain(0, 32) != 0)
			return false;
	return got == 0 && first > 0 && first <= 64 && port.xstat(xstat) == 400;
}

outcome
bursts_of_dropped_frames_end()
{
	fake_guest guest;
	fake_port port(guest, {.promiscuous = false});
	guest.enable(from, 0, 512);
	uint8_t *foreign = guest.at(buffer(0));
	make_frame(foreign, 64, 1);
	foreign[0] = 2;
	for (int i = 0; i < 400; i++)
		guest.post_data(buffer(0), 64);
	CHECK(bursts_end(guest, port, "rx_filtered_packets"));
	guest.disable(from);
	guest.enable(from, 0, 512);
	/* A checksum is wanted of what is no IPv4. */
	for (int i = 0; i < 400; i++)
		guest.post_data(buffer(0), 64, true, packet{}.command());
	CHECK(bursts_end(guest, port, "rx_bad_offload_errors"));
	CHECK(goes_on(guest, port));
	CHECK(port.complete());
	return success;
}

outcome
foreign_tso_makes_no_frames()
{
	fake_guest guest;
	fake_port port(guest, {.promiscuous = false});
	guest.enable(from);
	const packet whole{.payload = 4000};
	uint8_t *frame = guest.at(buffer(0));
	whole.write(frame, true);
	for (const uint8_t first : {uint8_t{2}, uint8_t{0xff}}) {
		std::fill_n(frame, RTE_ETHER_ADDR_LEN, first);
		guest.post(0, context(whole.payload, 100));
		const uint16_t last =
			guest.post_data(buffer(0), whole.length(), true, whole.command());
		guest.ring_tx();
		CHECK_EQ(port.drain(), first == 2 ? 0 : 40);
		CHECK(guest.tx_done(last));
	}
	CHECK_EQ(port.xstat("rx_filtered_packets"), 1);
	return success;
}

constexpr test_case cases[] = {
	{"frames of bad lengths are dropped", bad_lengths_are_dropped},
	{"frames at bad addresses are dropped", bad_addresses_are_dropped},
	{"bad chains are dropped", bad_chains_are_dropped},
	{"bad descriptor types are dropped", bad_descriptor_types_are_dropped},
	{"a random guest does no harm", random_guest_does_no_harm<false>},
	{"a random guest that lends does no harm", random_guest_does_no_harm<true>},
	{"a lack of mbufs loses nothing", out_of_mbufs_loses_nothing},
	{"the filter passes what is ours", filter_passes_what_is_ours},
	{"the filter passes what was added", filter_passes_what_was_added},
	{"the filter has a limit", filter_has_a_limit},
	{"frames from the guest arrive whole", frames_from_guest_arrive_whole<false>},
	{"frames from the guest arrive whole without a copy", frames_from_guest_arrive_whole<true>},
	{"bursts of dropped frames end", bursts_of_dropped_frames_end},
	{"TSO to others makes no frames", foreign_tso_makes_no_frames},
};

} // namespace

constinit const case_table test::port_suite::from_guest_cases = cases;
