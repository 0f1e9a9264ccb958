/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>

#include <rte_cycles.h>

#include "vlan.hpp"

/* What the administrator of the host has decided of a guest's traffic. Hostile guests first. */

using namespace test;
using namespace test::port_suite;

namespace {

constexpr rte_ether_addr own{{0x02, 0, 0, 0, 0, 1}}, filter{{0x02, 0, 0, 0, 0, 2}},
	stranger{{0x02, 0, 0, 0, 0, 9}}, group{{0x33, 0x33, 0, 0, 0, 1}};
constexpr uint32_t source_at = 6;

rte_emudev_net_stats
seen_by(fake_guest &guest)
{
	rte_emudev_net_stats out{};
	rte_emudev_net_stats_get(guest.dev(), &out);
	return out;
}

/** A guest that has added addresses, of which one is that of a group. */
void
push_policy(fake_guest &guest, const rte_emudev_net_policy &policy)
{
	const rte_ether_addr filters[] = {group, filter};
	rte_emudev_net_config config{};

	config.promiscuous = 3;
	config.mac = own;
	config.nb_filters = 2;
	config.filters = filters;
	config.policy = policy;
	push_config(guest, config);
}

rte_emudev_net_policy
policy_with(auto rte_emudev_net_policy::*member, auto value)
{
	rte_emudev_net_policy out{};

	out.*member = static_cast<std::remove_reference_t<decltype(out.*member)>>(value);
	return out;
}

/** Posts a frame, in two buffers if @p split. */
void
transmit(fake_guest &guest, const bytes &frame, const rte_ether_addr &source, bool split = false,
	 unsigned int n = 0, uint64_t more = 0)
{
	std::copy(frame.begin(), frame.end(), guest.at(buffer(n)));
	memcpy(guest.at(buffer(n)) + source_at, &source, sizeof(source));
	const auto length = static_cast<uint32_t>(frame.size());
	if (split)
		guest.post_data(buffer(n), 10, false, more);
	guest.post_data(buffer(n) + (split ? 10 : 0), length - (split ? 10 : 0), true, more);
	guest.ring_tx();
}

/* In all forms that a frame can have, each bit of a source counts. */
outcome
spoofed_sources_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	const packet tcp{.payload = 2500};
	uint64_t spoofed = 0;

	CHECK(port.ok());
	guest.enable(from);
	push_policy(guest, policy_with(&rte_emudev_net_policy::check_source, 1));
	for (const bool split : {false, true}) {
		for (const rte_ether_addr &source : {own, filter}) {
			transmit(guest, with_tags({}, 100, 3), source, split);
			CHECK_EQ(port.drain(), 1);
		}
		for (const rte_ether_addr &source : {stranger, group, rte_ether_addr{}}) {
			transmit(guest, with_tags({}, 100, 3), source, split);
			CHECK_EQ(port.drain(), 0);
			spoofed++;
		}
		for (unsigned int bit = 0; bit < 48; bit++) {
			rte_ether_addr source = own;
			source.addr_bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
			if (rte_is_same_ether_addr(&source, &filter))
				continue;
			transmit(guest, with_tags({}, 14, 3), source, split);
			CHECK_EQ(port.drain(), 0);
			spoofed++;
		}
	}
	/* A request for segmentation is as many frames. */
	tcp.write(guest.at(buffer(1)), true);
	memcpy(guest.at(buffer(1)) + source_at, &stranger, sizeof(stranger));
	guest.post(0, context(tcp.payload, 1000));
	guest.post_data(buffer(1), tcp.length(), true, tcp.command());
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	spoofed += 3;
	CHECK_EQ(port.xstat("rx_spoofed_errors"), spoofed);
	CHECK_EQ(port.stats().ierrors, spoofed);
	CHECK_EQ(port.stats().ipackets, 4);
	CHECK_EQ(port.stats().ibytes, 400);
	CHECK_EQ(port.xstat("rx_broadcast_packets"), 4);
	CHECK_EQ(seen_by(guest).from_guest_errors, spoofed);
	CHECK_EQ(seen_by(guest).from_guest_packets, 4);
	/* Between others in a burst. */
	for (unsigned int n = 0; n < 30; n++)
		transmit(guest, with_tags({}, 60 + n, 3), n % 3 == 1 ? stranger : own, false, n);
	const auto frames = port.receive();
	CHECK_EQ(frames.size(), 20);
	for (size_t i = 0; i < frames.size(); i++) {
		CHECK_EQ(frames[i]->pkt_len, 60 + i / 2 * 3 + i % 2 * 2);
		rte_pktmbuf_free(frames[i]);
	}
	CHECK(port.complete());
	return success;
}

/* What a guest adds and removes later counts, and what it does not look at is nothing. */
outcome
sources_follow_the_guests_addresses()
{
	fake_guest guest;
	fake_port port(guest);
	rte_emudev_net_config config{};
	const auto passes = [&](const rte_ether_addr &source) {
		transmit(guest, with_tags({}, 100, 3), source);
		return port.drain() == 1;
	};

	guest.enable(from);
	CHECK(passes(stranger));
	config.policy.check_source = 1;
	config.mac = own;
	push_config(guest, config);
	CHECK(passes(own) && !passes(stranger) && !passes(filter));
	config.filters = &filter;
	config.nb_filters = 1;
	push_config(guest, config);
	CHECK(passes(own) && passes(filter) && !passes(stranger));
	config.mac = stranger;
	config.nb_filters = 0;
	push_config(guest, config);
	CHECK(passes(stranger) && !passes(own) && !passes(filter));
	config.policy.check_source = 0;
	push_config(guest, config);
	CHECK(passes(own) && passes(filter) && passes(group));
	CHECK_EQ(port.xstat("rx_spoofed_errors"), 5);
	CHECK(port.complete());
	return success;
}

outcome
frames_of_vlans_that_were_not_added_are_dropped()
{
	std::mt19937 random(71);
	fake_guest guest;
	fake_port port(guest);
	rte_emudev_net_vlan_ids ids{};
	uint64_t dropped = 0, got = 0;

	guest.enable(from);
	for (unsigned int round = 0; round < 300; round++) {
		const tag_list tags = random_tags(random);
		const int type = tags.empty()            ? 0
				 : tags[0].type == c_tag ? 0
				 : tags[0].type == s_tag ? 1
							 : 2;
		const uint16_t id = tags.empty() ? 0 : tags[0].control & 0xfff;
		const bool added = round % 2 != 0;
		ids = {};
		ids.of[added ? type : (type + 1) % 3][id / 64] = uint64_t{1} << id % 64;
		push_policy(guest, policy_with(&rte_emudev_net_policy::from_vlans, &ids));
		transmit(guest, with_tags(tags, 100, 3), stranger, round % 3 == 0);
		const bool passes = id == 0 || added;
		CHECK_EQ(port.drain(), passes);
		got += passes;
		dropped += !passes;
	}
	CHECK(got > 50 && dropped > 50);
	CHECK_EQ(port.xstat("rx_vlan_spoofed_errors"), dropped);
	CHECK_EQ(port.stats().ipackets, got);
	CHECK_EQ(seen_by(guest).from_guest_errors, dropped);
	CHECK(port.complete());
	return success;
}

/* Whatever tags a guest makes up, in frames or descriptors: the first is that of its port. */
outcome
frames_leave_in_the_port_vlan()
{
	std::mt19937 random(72);
	fake_guest guest;
	fake_port port(guest,
		       {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000, .room = 1024});

	CHECK(port.ok());
	guest.enable(from);
	for (unsigned int round = 0; round < 300; round++) {
		const uint16_t type = round % 2 != 0 ? c_tag : s_tag;
		const auto control = static_cast<uint16_t>(random());
		rte_emudev_net_policy policy{};
		policy.port_vlan_type = type;
		policy.port_vlan_tci = control;
		push_policy(guest, policy);
		tag_list tags = random_tags(random);
		const uint32_t length = 14 + random() % 3000;
		const bool asks = random() % 3 == 0;
		bytes sent = with_tags(tags, length, 3);
		transmit(guest, sent, own, random() % 2 != 0, 0,
			 asks ? txd::il2tag1::mask | txd::l2tag1::of(0x6ffe) : 0);
		if (asks)
			tags.insert(tags.begin(), {c_tag, 0x6ffe});
		tags.insert(tags.begin(), {type, control});
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		bytes want = with_tags(tags, length, 3);
		memcpy(want.data() + source_at, &own, sizeof(own));
		CHECK(bytes_of(frames[0]) == want, "round %u", round);
		CHECK(rte_mbuf_check(frames[0], 1, nullptr) == 0);
		rte_pktmbuf_free(frames[0]);
	}
	CHECK(port.complete());
	return success;
}

/* What is cut out of a request, too; and what is cut has to have room for the tag. */
outcome
segments_leave_in_the_port_vlan()
{
	fake_guest guest;
	fake_port port(guest);
	rte_emudev_net_policy policy{};
	const packet tcp{.payload = 4000};

	guest.enable(from);
	policy.port_vlan_type = c_tag;
	policy.port_vlan_tci = 0x6005;
	push_policy(guest, policy);
	tcp.write(guest.at(buffer(1)), true);
	for (const uint32_t mss : {1000u, 1464u, 1465u}) {
		guest.post(0, context(tcp.payload, mss));
		guest.post_data(buffer(1), tcp.length(), true, tcp.command());
		guest.ring_tx();
		const auto frames = port.receive();
		const bool fits = mss <= 1464; /* 1518 bytes with all headers */
		CHECK_EQ(frames.size(), fits ? (tcp.payload + mss - 1) / mss : 0);
		for (rte_mbuf *frame : frames) {
			bytes data = bytes_of(frame);
			CHECK(data[12] == 0x81 && data[14] == 0x60 && data[15] == 5);
			data.erase(data.begin() + 12, data.begin() + 16);
			CHECK(tcp.verify(data, true));
			rte_pktmbuf_free(frame);
		}
	}
	CHECK_EQ(port.xstat("rx_oversize_errors"), 1);
	CHECK(port.complete());
	return success;
}

/* A port VLAN takes its bytes from what the guest may send; the rest is for the guest's own tags.
 */
outcome
the_port_vlan_counts_for_the_longest_frame()
{
	fake_guest guest;
	fake_port port(guest);
	rte_emudev_net_policy policy{};

	guest.enable(from);
	policy.port_vlan_type = c_tag;
	policy.port_vlan_tci = 5;
	push_policy(guest, policy);
	transmit(guest, with_tags({{c_tag, 7}}, 1514, 3), own);
	CHECK_EQ(port.drain(), 1);
	transmit(guest, with_tags({{c_tag, 7}, {c_tag, 8}}, 1514, 3), own);
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(port.xstat("rx_oversize_errors"), 1);
	push_policy(guest, {});
	transmit(guest, with_tags({{c_tag, 7}, {c_tag, 8}}, 1514, 3), own);
	CHECK_EQ(port.drain(), 1);
	CHECK(port.complete());
	return success;
}

/* What a mbuf says of its headers is right behind the tag. */
outcome
requests_are_handed_over_in_the_port_vlan()
{
	fake_guest guest;
	fake_port port(guest,
		       {.rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_CHECKSUM |
				       RTE_ETH_RX_OFFLOAD_SCATTER,
			.max_lro = 65535});
	const packet tcp{.payload = 2500};
	rte_emudev_net_policy policy{};

	CHECK(port.ok());
	guest.enable(from);
	policy.port_vlan_type = c_tag;
	policy.port_vlan_tci = 0x6005;
	push_policy(guest, policy);
	tcp.write(guest.at(buffer(1)), true);
	guest.post(0, context(tcp.payload, 1000));
	guest.post_data(buffer(1), tcp.length(), true, tcp.command());
	guest.ring_tx();
	const auto frames = port.receive();
	CHECK_EQ(frames.size(), 1);
	CHECK(frames[0]->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
	CHECK_EQ(frames[0]->l2_len, 18);
	CHECK_EQ(frames[0]->pkt_len, tcp.length() + 4);
	CHECK_EQ(frames[0]->packet_type & RTE_PTYPE_L2_MASK, RTE_PTYPE_L2_ETHER_VLAN);
	CHECK_EQ(bytes_of(frames[0])[12] << 8 | bytes_of(frames[0])[13], c_tag);
	CHECK_EQ(bytes_of(frames[0])[16] << 8 | bytes_of(frames[0])[17], 0x0800);
	rte_pktmbuf_free(frames[0]);
	CHECK(port.complete());
	return success;
}

/* The application's own settings come behind: its port is in all VLANs. */
outcome
the_application_strips_the_port_vlan()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP});
	rte_emudev_net_policy policy{};

	guest.enable(from);
	policy.port_vlan_type = c_tag;
	policy.port_vlan_tci = 0x6005;
	push_policy(guest, policy);
	transmit(guest, with_tags({{c_tag, 7}}, 100, 3), own);
	const auto frames = port.receive();
	CHECK_EQ(frames.size(), 1);
	CHECK_EQ(frames[0]->vlan_tci, 0x6005);
	CHECK_EQ(frames[0]->pkt_len, 104);
	rte_pktmbuf_free(frames[0]);
	CHECK(port.complete());
	return success;
}

/** Bytes of frames in a burst, which is freed. */
uint64_t
free_all(const std::vector<rte_mbuf *> &frames)
{
	uint64_t bytes = 0;

	for (rte_mbuf *frame : frames) {
		bytes += frame->pkt_len;
		rte_pktmbuf_free(frame);
	}
	return bytes;
}

void
post_small(fake_guest &guest)
{
	make_frame(guest.at(buffer(0)), 64, 1);
	guest.post_data(buffer(0), 64);
}

void
post_jumbo(fake_guest &guest)
{
	make_frame(guest.at(buffer(0)), 9000, 1);
	guest.post_data(buffer(0), 9000);
}

/* Of 44 frames, whose headers are many. */
void
post_tso(fake_guest &guest)
{
	const packet tcp{.payload = 60000};

	tcp.write(guest.at(buffer(0)), true);
	guest.post(0, context(tcp.payload, 1400));
	for (uint32_t done = 0; done < tcp.length(); done += 12000)
		guest.post_data(buffer(0) + done, std::min(12000u, tcp.length() - done),
				done + 12000 >= tcp.length(), tcp.command());
}

/** A guest that never stops, whatever it sends, gets its rate. @p rings Served in turns. */
outcome
the_rate_holds(void (*post)(fake_guest &guest), uint64_t rx_offloads, uint32_t mbps)
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = rx_offloads,
			       .mtu = 9000,
			       .room = 16384,
			       .max_lro = rx_offloads == 0 ? 0 : 65535u});
	const uint64_t hz = rte_get_tsc_hz();
	/* What can be saved up, of two milliseconds or two frames; and the last frame. */
	const uint64_t bucket =
		std::max<uint64_t>(uint64_t{mbps} * 1000 / 8 * 2, 2 * 65557) + 65557;
	uint64_t bytes = 0;

	CHECK(port.ok());
	guest.enable(from);
	push_policy(guest, policy_with(&rte_emudev_net_policy::max_rate, mbps));
	const uint64_t begin = rte_get_tsc_cycles();
	uint64_t now = begin;
	for (uint16_t last = 63; now - begin < hz / 5; now = rte_get_tsc_cycles()) {
		if (last == 63 || guest.tx_done(last)) {
			for (unsigned int i = 0; i < 4; i++)
				post(guest);
			last = static_cast<uint16_t>((guest.tx().next + 63) % 64);
			if (last == 63) /* it stands for none */
				post(guest), last = 0;
			guest.ring_tx();
		}
		bytes += free_all(port.receive());
	}
	const double due = static_cast<double>(mbps) * 1e6 / 8 * static_cast<double>(now - begin) /
			   static_cast<double>(hz);
	const auto got = static_cast<double>(bytes);
	CHECK(got <= due * 1.001 + static_cast<double>(bucket), "%.0f of %.0f", got, due);
	/* Others want the processor, too, and little can be saved up for that long. */
	CHECK(got >= due * 0.3, "%.0f of %.0f", got, due);
	CHECK(port.xstat("rx_rate_limited_bursts") > 0);
	CHECK_EQ(port.stats().ierrors, 0);
	/* Nothing was lost: it comes when there is no limit. */
	push_policy(guest, {});
	while (port.drain() != 0)
		;
	CHECK_EQ(port.stats().rx_nombuf, 0);
	CHECK(port.complete());
	return success;
}

outcome
the_rate_holds_for_small_frames()
{
	return the_rate_holds(post_small, 0, 40);
}

outcome
the_rate_holds_for_jumbo_frames()
{
	return the_rate_holds(post_jumbo, 0, 100);
}

outcome
the_rate_holds_for_segments()
{
	return the_rate_holds(post_tso, 0, 100);
}

outcome
the_rate_holds_for_requests_that_are_handed_over()
{
	return the_rate_holds(post_tso,
			      RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_SCATTER |
				      RTE_ETH_RX_OFFLOAD_CHECKSUM,
			      100);
}

/* However many of them the guest uses, and whoever serves them. */
outcome
the_rate_is_that_of_all_rings()
{
	constexpr uint32_t mbps = 100, length = 9000;
	constexpr uint16_t queues = 2;
	fake_guest guest;
	fake_port port(guest,
		       {.rx_queues = queues, .tx_queues = queues, .mtu = 9000, .room = 16384});
	const uint64_t hz = rte_get_tsc_hz();
	std::array<uint64_t, queues> bytes{};

	CHECK(port.ok());
	push_policy(guest, policy_with(&rte_emudev_net_policy::max_rate, mbps));
	make_frame(guest.at(buffer(0)), length, 1);
	for (uint16_t queue = 0; queue < queues; queue++)
		guest.enable(from, queue);
	const uint64_t begin = rte_get_tsc_cycles();
	uint64_t now = begin;
	for (; now - begin < hz / 5; now = rte_get_tsc_cycles()) {
		for (uint16_t queue = 0; queue < queues; queue++) {
			if (bytes[queue] % (4 * length) == 0) {
				for (unsigned int i = 0; i < 4; i++)
					guest.post_data(buffer(0), length, true, 0, queue);
				guest.ring_tx(queue);
			}
			bytes[queue] += free_all(port.receive(queue));
		}
	}
	const double due =
		mbps * 1e6 / 8 * static_cast<double>(now - begin) / static_cast<double>(hz);
	const auto got = static_cast<double>(bytes[0] + bytes[1]);
	CHECK(got <= due * 1.001 + 3 * 65557 && got >= due * 0.3, "%.0f of %.0f", got, due);
	CHECK(bytes[0] != 0 && bytes[1] != 0);
	return success;
}

/** A guest that always has frames, if it is @p busy, and its port. */
struct polled_guest {
	explicit polled_guest(const char *name)
	    : guest(name), port(guest, {.guest = name, .name = name})
	{
		guest.enable(from);
	}
	void set_rates(uint32_t most, uint32_t least)
	{
		rte_emudev_net_policy policy{};
		policy.max_rate = most;
		policy.min_rate = least;
		push_policy(guest, policy);
	}
	/** @return How many frames a burst took. */
	uint64_t poll(bool busy = true)
	{
		for (; busy && waiting < 48; waiting++)
			post_small(guest);
		guest.ring_tx();
		const size_t taken = port.drain(0, burst);
		waiting -= taken;
		return taken;
	}

	static constexpr uint16_t burst = 32;
	fake_guest guest;
	fake_port port;
	uint64_t waiting = 0;
};

/* A guest that has had less than it is to have comes before others that have a rate, not before
 * those without, and only while it has frames and is below its minimum. */
outcome
a_minimum_is_taken_from_guests_with_a_rate()
{
	constexpr uint32_t any = 400000, unreachable = 400000, tiny = 1;
	/* Rates of the first guest, whether it has frames; rates of the other. */
	const struct {
		uint32_t most, least;
		bool busy;
		uint32_t other_most, other_least;
		bool yields;
	} rows[] = {
		{0, unreachable, true, any, 0, true},
		{any, unreachable, true, any, 0, true},
		{any, unreachable, true, any, tiny, true},
		{any, unreachable, true, 0, 0, false},
		{any, unreachable, true, 0, unreachable, false},
		{any, unreachable, false, any, 0, false},
		{any, tiny, true, any, 0, false},
		{any, 0, true, any, 0, false},
	};
	constexpr uint64_t turns = 2000;
	polled_guest first("first"), other("other");

	CHECK(first.port.ok() && other.port.ok());
	for (const auto &row : rows) {
		const long i = &row - rows;
		first.set_rates(row.most, row.least);
		other.set_rates(row.other_most, row.other_least);
		const uint64_t cut = other.port.xstat("rx_rate_yielded_bursts");
		uint64_t of_first = 0, of_other = 0;
		for (uint64_t turn = 0; turn < turns; turn++) {
			of_first += first.poll(row.busy);
			of_other += other.poll();
		}
		const uint64_t all = turns * polled_guest::burst;
		/* The thread may be away for a while, after which nobody minds for one turn. */
		CHECK(row.yields ? of_other < all / 2 : of_other > all * 9 / 10, "row %ld: %lu", i,
		      of_other);
		CHECK_EQ(other.port.xstat("rx_rate_yielded_bursts") - cut > turns / 2, row.yields);
		CHECK(!row.busy || of_first > all * 9 / 10, "row %ld: %lu", i, of_first);
	}
	first.set_rates(0, 0);
	other.set_rates(0, 0);
	while (first.poll(false) != 0 || other.poll(false) != 0)
		;
	CHECK(first.port.complete() && other.port.complete());
	return success;
}

/* Nobody serves a guest whose cable is unplugged, and nothing is lost. */
outcome
an_unplugged_guest_is_not_served()
{
	fake_guest guest;
	fake_port port(guest, {.lsc = true});

	guest.enable(from);
	guest.enable(to);
	CHECK_EQ(port.link().link_status, RTE_ETH_LINK_UP);
	push_policy(guest, policy_with(&rte_emudev_net_policy::link_down, 1));
	CHECK_EQ(port.link().link_status, RTE_ETH_LINK_DOWN);
	post_good(guest);
	guest.ring_tx();
	guest.post_rx(buffer(3));
	guest.ring_rx();
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(send_one(port, 100, 1), 0);
	CHECK_EQ(port.xstat("tx_no_queue_packets"), 1);
	/* What the guest does meanwhile does not plug it in. */
	guest.disable(to);
	guest.enable(to);
	CHECK_EQ(port.link().link_status, RTE_ETH_LINK_DOWN);
	CHECK_EQ(send_one(port, 100, 1), 0);
	push_policy(guest, {});
	CHECK_EQ(port.link().link_status, RTE_ETH_LINK_UP);
	CHECK_EQ(port.drain(), 1);
	guest.post_rx(buffer(3));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 100, 1), 1);
	CHECK(port.complete());
	return success;
}

/* The device says what comes of it; a port that starts has its link. */
outcome
the_application_unplugs_the_guest()
{
	fake_guest guest;
	fake_port port(guest);

	CHECK(guest.port_link);
	CHECK_EQ(rte_eth_dev_set_link_down(port.id()), 0);
	CHECK(!guest.port_link);
	CHECK_EQ(rte_eth_dev_set_link_up(port.id()), 0);
	CHECK(guest.port_link);
	CHECK_EQ(rte_eth_dev_set_link_down(port.id()), 0);
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(!guest.port_link);
	CHECK_EQ(rte_eth_dev_start(port.id()), 0);
	CHECK(guest.port_link);
	guest.remove();
	CHECK(rte_eth_dev_set_link_down(port.id()) < 0);
	return success;
}

/* Each frame is judged by one policy or the other. */
outcome
the_policy_changes_under_traffic()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000});
	std::atomic<bool> over = false;
	uint64_t plain = 0, tagged = 0, sent = 0;
	bool right = true;

	guest.enable(from);
	std::thread changes = start_thread([&] {
		rte_emudev_net_vlan_ids ids{};
		for (unsigned int round = 0; !over; round++) {
			rte_emudev_net_policy policy{};
			policy.check_source = round % 2;
			policy.port_vlan_type = round % 3 == 0 ? c_tag : 0;
			policy.port_vlan_tci = 5;
			policy.max_rate = round % 5 == 0 ? 100000 : 0;
			policy.from_vlans = round % 7 == 0 ? &ids : nullptr;
			push_policy(guest, policy);
			ids.of[0][0] = round; /* it keeps none of ours */
		}
	});
	for (race_time time; right && !time.over(plain > 100 && tagged > 100);) {
		transmit(guest, with_tags({}, 100, 3), sent % 8 == 7 ? stranger : own);
		sent++;
		std::vector<rte_mbuf *> frames;
		while ((frames = port.receive()).empty() &&
		       port.xstat("rx_spoofed_errors") + plain + tagged < sent)
			;
		for (rte_mbuf *frame : frames) {
			const auto *data = rte_pktmbuf_mtod(frame, const uint8_t *);
			const bool has_tag = data[12] == 0x81;
			right = right && frame->pkt_len == (has_tag ? 104 : 100);
			(has_tag ? tagged : plain)++;
			rte_pktmbuf_free(frame);
		}
	}
	over = true;
	changes.join();
	CHECK(right);
	CHECK(plain > 100 && tagged > 100);
	CHECK_EQ(port.stats().ipackets, plain + tagged);
	CHECK_EQ(port.xstat("rx_spoofed_errors") + plain + tagged, sent);
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"spoofed sources are dropped", spoofed_sources_are_dropped},
	{"sources follow the guest's addresses", sources_follow_the_guests_addresses},
	{"frames of VLANs that were not added are dropped",
	 frames_of_vlans_that_were_not_added_are_dropped},
	{"frames leave in the port VLAN", frames_leave_in_the_port_vlan},
	{"segments leave in the port VLAN", segments_leave_in_the_port_vlan},
	{"the port VLAN counts for the longest frame", the_port_vlan_counts_for_the_longest_frame},
	{"requests are handed over in the port VLAN", requests_are_handed_over_in_the_port_vlan},
	{"the application strips the port VLAN", the_application_strips_the_port_vlan},
	{"the rate holds for small frames", the_rate_holds_for_small_frames},
	{"the rate holds for jumbo frames", the_rate_holds_for_jumbo_frames},
	{"the rate holds for segments", the_rate_holds_for_segments},
	{"the rate holds for requests that are handed over",
	 the_rate_holds_for_requests_that_are_handed_over},
	{"the rate is that of all rings", the_rate_is_that_of_all_rings},
	{"a minimum is taken from guests with a rate", a_minimum_is_taken_from_guests_with_a_rate},
	{"an unplugged guest is not served", an_unplugged_guest_is_not_served},
	{"the application unplugs the guest", the_application_unplugs_the_guest},
	{"the policy changes under traffic", the_policy_changes_under_traffic},
};

} // namespace

constinit const case_table test::port_suite::policy_cases = cases;
