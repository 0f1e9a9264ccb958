/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include "fixture.hpp"

/* Frames for the guest: hostile buffers, then honest traffic. */

using namespace test;
using namespace test::port_suite;

namespace {

outcome
bad_receive_buffers_are_errors()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(to);
	uint64_t drops = 0;
	for (const uint64_t iova : {fake_memory::hole, fake_memory::no_file, fake_memory::read_only,
				    0 - uint64_t{32}, uint64_t{4096 - 32}}) {
		const uint16_t bad = guest.post_rx(iova);
		const uint16_t next = guest.post_rx(buffer(1));
		guest.ring_rx();
		CHECK_EQ(send_one(port, 100, 1), 1);
		CHECK_EQ(send_one(port, 100, 2), 1);
		CHECK_EQ(port.xstat("tx_unmapped_errors"), ++drops);
		/* The driver goes past it, and drops it. */
		CHECK(rxd::dd::is_set(guest.rx_status(bad)) &&
		      rxd::eof::is_set(guest.rx_status(bad)));
		CHECK(rxd::rxe::is_set(guest.rx_status(bad)));
		CHECK(!rxd::rxe::is_set(guest.rx_status(next)));
		CHECK_EQ(rxd::length::get(guest.rx_status(next)), 100);
	}
	/* The second of two. */
	const uint16_t first = guest.post_rx(buffer(0));
	const uint16_t second = guest.post_rx(fake_memory::hole);
	guest.ring_rx();
	CHECK_EQ(send_one(port, 3000, 1), 0 + 1);
	CHECK_EQ(port.xstat("tx_oversize_errors"), 0);
	CHECK(!rxd::eof::is_set(guest.rx_status(first)));
	CHECK(rxd::rxe::is_set(guest.rx_status(second)));
	CHECK(port.complete());
	CHECK_EQ(port.stats().oerrors, drops + 1);
	return success;
}

outcome
frames_the_guest_cannot_take_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(to, 0, 64, 1024);
	for (int i = 0; i < 32; i++)
		guest.post_rx(buffer(i));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 0, 1), 1);
	CHECK_EQ(send_one(port, 13, 1), 1);
	CHECK_EQ(port.xstat("tx_short_errors"), 2);
	/* Five buffers at most. */
	CHECK_EQ(send_one(port, 5 * 1024 + 1, 1), 1);
	CHECK_EQ(port.xstat("tx_oversize_errors"), 1);
	CHECK_EQ(send_one(port, 5 * 1024, 1), 1);
	CHECK_EQ(guest.rx_status(5), 0);
	guest.rx().info.max_frame = 1522;
	guest.push(to);
	CHECK_EQ(send_one(port, 1523, 1), 1);
	CHECK_EQ(port.xstat("tx_oversize_errors"), 2);
	CHECK_EQ(send_one(port, 1522, 1), 1);
	CHECK_EQ(port.stats().opackets, 2);
	CHECK(port.complete());
	return success;
}

outcome
no_buffers_means_wait()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(to, 0, 64, 1024);
	guest.post_rx(buffer(0));
	guest.post_rx(buffer(1));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 2049, 1), 0);
	CHECK_EQ(guest.rx_status(0), 0);
	CHECK_EQ(send_one(port, 2048, 1), 1);
	CHECK_EQ(send_one(port, 64, 1), 0);
	CHECK_EQ(send_one(port, 64, 1, 0), 0);
	CHECK(port.complete());
	return success;
}

/** The driver has asked for the flexible format. */
void
use_flexible(fake_guest &guest)
{
	guest.rx().info.desc_format = iavf::rxdid::flexible_ovs;
	guest.push(to);
}

/** Every bit of what is written back. */
outcome
descriptors_are_written_back_in_their_format()
{
	for (const bool flexible : {false, true}) {
		fake_guest guest;
		fake_port port(guest);
		guest.enable(to, 0, 64, 1024);
		if (flexible)
			use_flexible(guest);
		for (unsigned int i = 0; i < 8; i++) {
			guest.post_rx(buffer(i));
			guest.rx_at(i).qword2 = guest.rx_at(i).qword3 = ~uint64_t{0};
		}
		guest.ring_rx();
		CHECK_EQ(send_one(port, 0x123, 1), 1);
		CHECK_EQ(send_one(port, 1024 + 0x45, 2), 1);
		const struct {
			uint64_t legacy, flexible0, flexible1;
		} want[] = {
			{uint64_t{0x123} << 38 | 1 << 30 | 3, 0x0000'0123'0001'0016,
			 0xffff'ffff'0000'0003},
			{uint64_t{0x400} << 38 | 1 << 30 | 1, 0x0000'0400'0001'0016,
			 0xffff'ffff'0000'0001},
			{uint64_t{0x45} << 38 | 1 << 30 | 3, 0x0000'0045'0001'0016,
			 0xffff'ffff'0000'0003},
		};
		for (uint16_t i = 0; i < 3; i++) {
			CHECK_EQ(guest.rx_at(i).qword0, flexible ? want[i].flexible0 : 0);
			CHECK_EQ(guest.rx_at(i).qword1,
				 flexible ? want[i].flexible1 : want[i].legacy);
			CHECK_EQ(guest.rx_at(i).qword2, 0);
			CHECK_EQ(guest.rx_at(i).qword3, 0);
		}
	}
	return success;
}

outcome
unknown_formats_are_not_served()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(to);
	guest.post_rx(buffer(0));
	guest.ring_rx();
	for (const uint8_t format : {3, 16, 21, 23, 64, 255}) {
		guest.rx().info.desc_format = format;
		guest.push(to);
		CHECK_EQ(send_one(port, 100, 1), 0);
		CHECK_EQ(guest.rx_status(0), 0);
	}
	use_flexible(guest);
	CHECK_EQ(send_one(port, 100, 1), 1);
	return success;
}

/** What is sent with these flags of a mbuf is written back with these bits of a status. */
struct checksum_case {
	uint64_t flags, legacy, flexible;
};

constexpr uint64_t ip_bad = RTE_MBUF_F_RX_IP_CKSUM_BAD, ip_good = RTE_MBUF_F_RX_IP_CKSUM_GOOD;
constexpr uint64_t l4_bad = RTE_MBUF_F_RX_L4_CKSUM_BAD, l4_good = RTE_MBUF_F_RX_L4_CKSUM_GOOD;

constexpr checksum_case checksum_cases[] = {
	{0, 0, 0},
	{ip_bad | l4_bad, 1 << 3 | 1 << 22 | 1 << 23, 1 << 3 | 1 << 4 | 1 << 5},
	{ip_good | l4_bad, 1 << 3 | 1 << 23, 1 << 3 | 1 << 5},
	{ip_bad | l4_good, 1 << 3 | 1 << 22, 1 << 3 | 1 << 4},
	/* What was not checked is not called good. */
	{ip_bad, 1 << 3 | 1 << 22 | 1 << 23, 1 << 3 | 1 << 4 | 1 << 5},
	{l4_bad, 1 << 3 | 1 << 22 | 1 << 23, 1 << 3 | 1 << 4 | 1 << 5},
	/* In the legacy format no driver reads the one, and there is no bit for the other, but
	 * neither may be called good. */
	{ip_good | l4_good | RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD, 1 << 3 | 1 << 22 | 1 << 24,
	 1 << 3 | 1 << 6},
	{ip_good | l4_good | RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD, 1 << 3 | 1 << 23, 1 << 3 | 1 << 7},
	/* "None" has the bits of good and of bad, and means neither. */
	{RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE, 0, 0},
	{RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_RSS_HASH, 0, 0},
};

/** Sends three frames at once, of which only the middle one is marked. */
outcome
bad_checksum_is_told(bool flexible, uint32_t length, const checksum_case &one)
{
	constexpr uint64_t legacy_bits = 1 << 3 | uint64_t{0x3f} << 19, flexible_bits = 0x4fc;
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	guest.enable(to, 0, 64, 1024);
	if (flexible)
		use_flexible(guest);
	for (int i = 0; i < 8; i++)
		guest.post_rx(buffer(i));
	guest.ring_rx();
	rte_mbuf *frames[3];
	for (auto &frame : frames)
		frame = make_mbuf(port, length, 1);
	frames[1]->ol_flags |= one.flags;
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, frames, 3), 3);
	/* The last buffer of a frame tells. */
	const uint16_t each = length > 1024 ? 2 : 1;
	for (uint16_t i = 0; i < 3 * each; i++) {
		const uint64_t want = flexible ? one.flexible : one.legacy;
		CHECK_EQ(guest.rx_status(i) & (flexible ? flexible_bits : legacy_bits),
			 i == 2 * each - 1 ? want : 0);
	}
	CHECK(port.complete());
	return success;
}

outcome
bad_checksums_are_told()
{
	for (const bool flexible : {false, true})
		for (const uint32_t length : {100u, 1500u})
			for (const checksum_case &one : checksum_cases)
				CHECK_EQ(bad_checksum_is_told(flexible, length, one), success);
	return success;
}

/** A driver's receive loop: takes what is done, in order, and posts the buffers again. */
struct receiver {
	fake_guest &guest;
	bool flexible = false;
	uint16_t next = 0;
	std::vector<uint8_t> partial{};

	/** The next whole frame, or nothing. */
	std::vector<uint8_t> take()
	{
		for (;;) {
			/* DD and EOF are where they are in either format. */
			const uint64_t status = guest.rx_status(next);
			if (!rxd::dd::is_set(status))
				return {};
			const uint8_t *data = guest.at(buffer(next));
			const uint64_t length =
				flexible ? rxflex::length::get(guest.rx_at(next).qword0)
					 : rxd::length::get(status);
			partial.insert(partial.end(), data, data + length);
			guest.post_rx(buffer(guest.rx().next));
			guest.ring_rx();
			next = next + 1 == guest.rx().info.size ? 0 : next + 1;
			if (rxd::eof::is_set(status))
				return std::exchange(partial, {});
		}
	}
};

/** In one buffer and one segment, in both directions; around the length from which another copy is
 * taken. */
outcome
frames_of_all_lengths_are_copied_whole()
{
	constexpr uint16_t longest = 9728;
	constexpr uint8_t untouched = 0xa5;
	fake_guest guest;
	fake_port port(
		guest,
		{.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000, .room = longest + 8});
	guest.enable(from, 0, 8);
	guest.enable(to, 0, 8, longest);
	for (const uint32_t length :
	     {64u, 255u, 256u, 257u, 1518u, 4032u, 4095u, 4096u, 4097u, 8191u, 8192u, 9000u, 9018u})
		for (const uint32_t offset : {0u, 1u, 63u}) {
			const uint64_t out = buffer(10) + offset, in = buffer(100) + offset;
			const auto seed = static_cast<uint8_t>(length + offset);
			make_frame(guest.at(out), length, seed);
			guest.at(in)[length] = untouched;
			guest.post_data(out, length);
			guest.ring_tx();
			auto frames = port.receive();
			CHECK_EQ(frames.size(), 1);
			CHECK_EQ(frames[0]->nb_segs, 1);
			CHECK(is_frame(bytes_of(frames[0]), length, seed), "%u bytes in", length);
			const uint16_t at = guest.post_rx(in);
			guest.ring_rx();
			CHECK_EQ(rte_eth_tx_burst(port.id(), 0, frames.data(), 1), 1);
			CHECK_EQ(rxd::length::get(guest.rx_status(at)), length);
			CHECK(is_frame({guest.at(in), guest.at(in) + length}, length, seed),
			      "%u bytes out", length);
			CHECK_EQ(guest.at(in)[length], untouched);
		}
	CHECK_EQ(port.stats().ierrors + port.stats().oerrors, 0);
	CHECK(port.complete());
	return success;
}

outcome
frames_to_guest_arrive_whole()
{
	for (const unsigned int variant : {0, 1, 2, 3}) {
		const bool fast_free = (variant & 1) != 0, flexible = (variant & 2) != 0;
		fake_guest guest;
		fake_port port(guest, {.tx_offloads = fast_free ? RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE
								: RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
		CHECK(port.ok());
		guest.enable(to, 0, 96, fast_free ? 2048 : 2000);
		if (flexible)
			use_flexible(guest);
		for (unsigned int i = 0; i < 95; i++)
			guest.post_rx(buffer(i));
		guest.ring_rx();
		receiver driver{guest, flexible};
		std::mt19937 random(8);
		uint64_t bytes = 0, n = 0;
		for (unsigned int round = 0; round < 4000; round++) {
			const unsigned int burst = 1 + random() % 12;
			std::vector<rte_mbuf *> frames;
			std::vector<std::pair<uint32_t, uint8_t>> want;
			for (unsigned int i = 0; i < burst; i++) {
				const uint32_t length = fast_free           ? 14 + random() % 2030
							: random() % 3 == 0 ? 14 + random() % 9715
									    : 14 + random() % 1500;
				want.emplace_back(length, static_cast<uint8_t>(random()));
				frames.push_back(make_mbuf(port, length, want.back().second));
				bytes += length;
			}
			CHECK_EQ(rte_eth_tx_burst(port.id(), 0, frames.data(),
						  static_cast<uint16_t>(burst)),
				 burst);
			for (const auto &[length, seed] : want) {
				CHECK(is_frame(driver.take(), length, seed), "frame of %u bytes",
				      length);
				n++;
			}
			CHECK(driver.take().empty());
		}
		const auto stats = port.stats();
		CHECK_EQ(stats.opackets, n);
		CHECK_EQ(stats.obytes, bytes);
		CHECK_EQ(stats.oerrors, 0);
		rte_emudev_net_stats seen;
		rte_emudev_net_stats_get(guest.dev(), &seen);
		CHECK_EQ(seen.to_guest_packets, n);
		CHECK_EQ(seen.to_guest_bytes, bytes);
		CHECK(port.complete());
	}
	return success;
}

constexpr test_case cases[] = {
	{"bad receive buffers are completed as errors", bad_receive_buffers_are_errors},
	{"frames that the guest cannot take are dropped", frames_the_guest_cannot_take_are_dropped},
	{"without buffers frames wait", no_buffers_means_wait},
	{"descriptors are written back in their format",
	 descriptors_are_written_back_in_their_format},
	{"unknown formats are not served", unknown_formats_are_not_served},
	{"bad checksums are told", bad_checksums_are_told},
	{"frames of all lengths are copied whole", frames_of_all_lengths_are_copied_whole},
	{"frames to the guest arrive whole", frames_to_guest_arrive_whole},
};

} // namespace

constinit const case_table test::port_suite::to_guest_cases = cases;
