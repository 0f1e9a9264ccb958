/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include "rss.hpp"

/* Which frames reach a guest, by the addresses that it listens to. */

using namespace test;
using namespace test::port_suite;

namespace {

using address = rte_ether_addr;
constexpr address own{{2, 0, 0, 0, 0, 1}}, second{{2, 0, 0, 0, 0, 2}}, other{{2, 0, 0, 0, 0, 3}};
constexpr address nearly{{2, 1, 0, 0, 0, 1}};
constexpr address group{{1, 0, 0x5e, 0, 0, 1}}, other_group{{1, 0, 0x5e, 0, 0, 2}};
constexpr address all{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr uint32_t any_unicast = 1, any_multicast = 2;

struct told {
	address mac = own;
	std::vector<address> filters;
	uint32_t promiscuous = 0;
	const rte_emudev_net_rss *rss = nullptr;
};

void
tell(fake_guest &guest, const told &what)
{
	rte_emudev_net_config config{};
	config.mac = what.mac;
	config.promiscuous = what.promiscuous;
	config.nb_filters = static_cast<uint16_t>(what.filters.size());
	config.filters = what.filters.data();
	config.rss = what.rss;
	push_config(guest, config);
}

rte_mbuf *
frame_to(fake_port &port, const address &where, uint8_t seed = 0, uint32_t length = 60)
{
	rte_mbuf *frame = make_mbuf(port, length, seed);
	memcpy(rte_pktmbuf_mtod(frame, uint8_t *), &where, sizeof(where));
	rte_pktmbuf_mtod(frame, uint8_t *)[20] = seed;
	return frame;
}

/** Seeds of the frames that a ring has got. */
std::vector<uint8_t>
got(fake_guest &guest, uint16_t n = 0)
{
	std::vector<uint8_t> out;
	for (uint16_t i = 0; rxd::dd::is_set(guest.rx_status(i, n)); i++)
		out.push_back(guest.at(buffer(n * 64u + i))[20]);
	return out;
}

/** Sends a frame to each of these; the seed is its number. What is left is freed. */
uint16_t
send_to(fake_port &port, const std::vector<address> &list)
{
	std::vector<rte_mbuf *> burst;
	for (const address &one : list)
		burst.push_back(frame_to(port, one, static_cast<uint8_t>(burst.size())));
	const auto n = static_cast<uint16_t>(burst.size());
	const uint16_t sent = rte_eth_tx_burst(port.id(), 0, burst.data(), n);
	rte_pktmbuf_free_bulk(burst.data() + sent, n - sent);
	return sent;
}

outcome
addresses_and_modes_let_frames_in()
{
	const std::vector<address> sent{own, second, other, nearly, group, other_group, all, own};
	const struct {
		told what;
		std::vector<uint8_t> come;
	} rows[] = {
		{{}, {0, 6, 7}},
		{{.filters = {own}}, {0, 6, 7}},
		{{.filters = {second, group}}, {0, 1, 4, 6, 7}},
		{{.filters = {group, group, second, second}}, {0, 1, 4, 6, 7}},
		{{.mac = other, .filters = {nearly}}, {2, 3, 6}},
		{{.promiscuous = any_unicast}, {0, 1, 2, 3, 6, 7}},
		{{.promiscuous = any_multicast}, {0, 4, 5, 6, 7}},
		{{.filters = {second}, .promiscuous = any_multicast}, {0, 1, 4, 5, 6, 7}},
		{{.promiscuous = any_unicast | any_multicast}, {0, 1, 2, 3, 4, 5, 6, 7}},
	};
	fake_guest guest;
	fake_port port(guest);
	uint64_t dropped = 0;

	for (const auto &row : rows) {
		listen(guest, 60);
		tell(guest, row.what);
		CHECK_EQ(send_to(port, sent), sent.size());
		CHECK(got(guest) == row.come);
		dropped += sent.size() - row.come.size();
		CHECK_EQ(port.xstat("tx_address_filtered_packets"), dropped);
	}
	CHECK_EQ(port.stats().oerrors, 0);
	CHECK_EQ(port.stats().opackets, std::size(rows) * sent.size() - dropped);
	CHECK(port.complete());
	return success;
}

outcome
a_guest_that_has_said_nothing_gets_all()
{
	fake_guest guest;
	fake_port port(guest);

	listen(guest, 60);
	CHECK_EQ(send_to(port, {other, other_group}), 2);
	CHECK_EQ(got(guest).size(), 2);
	return success;
}

/* Frames behind those that are dropped keep their places, and what has no room is handed back. */
outcome
what_is_dropped_makes_room_for_no_other()
{
	fake_guest guest;
	fake_port port(guest);
	std::vector<rte_mbuf *> burst;

	listen(guest, 3);
	tell(guest, {});
	for (const address &one : {other, own, own, other, own, own, other, own})
		burst.push_back(frame_to(port, one, static_cast<uint8_t>(burst.size())));
	const auto last = burst.back(), before = burst[5];
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, burst.data(), 8), 6);
	CHECK((got(guest) == std::vector<uint8_t>{1, 2, 4}));
	CHECK_EQ(port.xstat("tx_address_filtered_packets"), 3);
	CHECK(burst[6] == before && burst[7] == last);
	rte_pktmbuf_free_bulk(&burst[6], 2);
	CHECK(port.complete());
	return success;
}

/* The first bytes count, in whatever segments they are; what is too short is counted as that. */
outcome
tiny_segments_and_frames_are_judged()
{
	fake_guest guest;
	fake_port port(guest);

	listen(guest, 60);
	tell(guest, {});
	for (const address &where : {own, other}) {
		for (uint16_t first : {6, 7, 8, 13}) {
			rte_mbuf *frame = frame_to(port, where, 9);
			rte_mbuf *rest = frame_to(port, where, 9);
			rte_pktmbuf_trim(frame, 60 - first);
			rte_pktmbuf_adj(rest, first);
			rte_pktmbuf_chain(frame, rest);
			CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
		}
	}
	CHECK_EQ(got(guest).size(), 4);
	CHECK_EQ(port.xstat("tx_address_filtered_packets"), 4);
	for (uint16_t length : {0, 1, 5}) {
		rte_mbuf *frame = frame_to(port, other);
		rte_pktmbuf_trim(frame, 60 - length);
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
	}
	CHECK_EQ(port.xstat("tx_short_errors"), 3);
	CHECK_EQ(got(guest).size(), 4);
	CHECK(port.complete());
	return success;
}

outcome
many_addresses_are_told_apart()
{
	fake_guest guest;
	fake_port port(guest);
	std::mt19937 random(12);
	told what;
	std::vector<address> strangers;

	for (int i = 0; i < 2000; i++) {
		address one{};
		for (uint8_t &byte : one.addr_bytes)
			byte = static_cast<uint8_t>(random() % 4); /* they differ by little */
		one.addr_bytes[3] = static_cast<uint8_t>(i >> 8);
		one.addr_bytes[4] = static_cast<uint8_t>(i);
		(i % 2 == 0 ? what.filters : strangers).push_back(one);
	}
	tell(guest, what);
	for (size_t at = 0; at < what.filters.size(); at += 50) {
		const auto from = static_cast<ptrdiff_t>(at);
		listen(guest, 60);
		send_to(port, {what.filters.begin() + from, what.filters.begin() + from + 50});
		CHECK_EQ(got(guest).size(), 50);
		listen(guest, 60);
		send_to(port, {strangers.begin() + from, strangers.begin() + from + 50});
		CHECK(got(guest).empty());
	}
	return success;
}

/* Also where frames are spread over rings. */
outcome
frames_are_dropped_before_they_are_spread()
{
	fake_guest guest;
	fake_port port(guest);
	const auto rss = plain_rss(2);
	std::vector<rte_mbuf *> burst;

	listen(guest, 60, 0);
	listen(guest, 60, 1);
	tell(guest, {.rss = &rss});
	for (uint16_t flow = 0; flow < 40; flow++) {
		burst.push_back(make_flow(port, flow));
		memcpy(rte_pktmbuf_mtod(burst.back(), uint8_t *), flow % 4 == 0 ? &other : &own,
		       sizeof(own));
	}
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, burst.data(), 40), 40);
	CHECK_EQ(port.xstat("tx_address_filtered_packets"), 10);
	CHECK_EQ(got(guest, 0).size() + got(guest, 1).size(), 30);
	CHECK(!got(guest, 0).empty() && !got(guest, 1).empty());
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"addresses and modes let frames in", addresses_and_modes_let_frames_in},
	{"a guest that has said nothing gets all", a_guest_that_has_said_nothing_gets_all},
	{"what is dropped makes room for no other", what_is_dropped_makes_room_for_no_other},
	{"tiny segments and frames are judged", tiny_segments_and_frames_are_judged},
	{"many addresses are told apart", many_addresses_are_told_apart},
	{"frames are dropped before they are spread", frames_are_dropped_before_they_are_spread},
};

} // namespace

constinit const case_table test::port_suite::address_cases = cases;
