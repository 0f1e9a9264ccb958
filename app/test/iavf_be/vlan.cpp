/* SPDX-License-Identifier: BSD-3-Clause */
#include "vlan.hpp"

/* VLAN tags of what the guest sends, judged by a stacking of our own. */

using namespace test;
using namespace test::port_suite;

namespace {

void
post_frame(fake_guest &guest, const bytes &frame, unsigned int n = 0)
{
	std::copy(frame.begin(), frame.end(), guest.at(buffer(n)));
	guest.post_data(buffer(n), static_cast<uint32_t>(frame.size()));
	guest.ring_tx();
}

/** What an mbuf says of its tags. */
struct tags_apart {
	std::optional<uint16_t> outer, inner;

	bool operator==(const tags_apart &) const = default;
};

std::optional<tags_apart>
apart_in(const rte_mbuf &frame)
{
	constexpr uint64_t one = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	constexpr uint64_t two = one | RTE_MBUF_F_RX_QINQ | RTE_MBUF_F_RX_QINQ_STRIPPED;

	switch (frame.ol_flags & two) {
	case 0:
		return tags_apart{};
	case one:
		return tags_apart{.outer = {}, .inner = frame.vlan_tci};
	case two:
		return tags_apart{.outer = frame.vlan_tci_outer, .inner = frame.vlan_tci};
	}
	return {};
}

/** What an application that strips is to see: tags that leave the frame, from the first on. */
tags_apart
strips(tag_list &tags, uint64_t offloads)
{
	tags_apart out;

	if ((offloads & RTE_ETH_RX_OFFLOAD_QINQ_STRIP) != 0 && tags.size() >= 2 &&
	    tags[1].type == c_tag) {
		out = {.outer = tags[0].control, .inner = tags[1].control};
		tags.erase(tags.begin(), tags.begin() + 2);
	} else if ((offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0 && !tags.empty() &&
		   tags[0].type == c_tag) {
		out.inner = tags[0].control;
		tags.pop_front();
	}
	return out;
}

outcome
the_application_strips_tags()
{
	std::mt19937 random(31);
	constexpr uint64_t one = RTE_ETH_RX_OFFLOAD_VLAN_STRIP, two = RTE_ETH_RX_OFFLOAD_QINQ_STRIP;

	for (const uint64_t offloads : {uint64_t{0}, one, two, one | two}) {
		fake_guest guest;
		fake_port port(guest, {.rx_offloads = offloads | RTE_ETH_RX_OFFLOAD_SCATTER,
				       .mtu = 9000,
				       .room = 1024});
		CHECK(port.ok());
		guest.enable(from);
		for (unsigned int round = 0; round < 500; round++) {
			tag_list tags = random_tags(random);
			const uint32_t length = 14 + random() % 3000;
			post_frame(guest, with_tags(tags, length, 3));
			const tags_apart want = strips(tags, offloads);
			auto frames = port.receive();
			CHECK_EQ(frames.size(), 1);
			CHECK(apart_in(*frames[0]) == want, "round %u", round);
			CHECK(bytes_of(frames[0]) == with_tags(tags, length, 3), "round %u", round);
			CHECK(rte_mbuf_check(frames[0], 1, nullptr) == 0);
			rte_pktmbuf_free(frames[0]);
		}
		CHECK(port.complete());
	}
	return success;
}

/* Frames that end in the middle of a tag. */
outcome
half_a_tag_is_none()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP |
					      RTE_ETH_RX_OFFLOAD_QINQ_STRIP |
					      RTE_ETH_RX_OFFLOAD_VLAN_FILTER});
	CHECK(port.ok());
	guest.enable(from);
	const bytes whole = with_tags({{c_tag, 7}, {c_tag, 8}}, 14, 1);
	CHECK_EQ(rte_eth_dev_vlan_filter(port.id(), 7, 1), 0);
	for (size_t length = 14; length <= whole.size(); length++) {
		post_frame(guest, bytes(whole.begin(), whole.begin() + length));
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		const size_t gone = length < 18 ? 0 : length < 22 ? 4 : 8;
		CHECK_EQ(frames[0]->pkt_len, length - gone);
		CHECK(apart_in(*frames[0]).has_value());
		rte_pktmbuf_free(frames[0]);
	}
	CHECK(port.complete());
	return success;
}

outcome
the_application_filters_vlans()
{
	std::mt19937 random(32);
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_FILTER});
	std::vector<bool> wanted(4096);
	uint64_t dropped = 0, got = 0;

	CHECK(port.ok());
	guest.enable(from);
	for (unsigned int round = 0; round < 400; round++) {
		const auto id = static_cast<uint16_t>(random() % 4096);
		if (round % 2 == 0) {
			wanted[id] = !wanted[id];
			CHECK_EQ(rte_eth_dev_vlan_filter(port.id(), id, wanted[id]), 0);
		}
		tag_list tags = random_tags(random, 2);
		if (!tags.empty() && round % 4 != 3)
			tags[0].control = static_cast<uint16_t>(id | (random() & 0xf000));
		post_frame(guest, with_tags(tags, 100, 3));
		const uint16_t first = tags.empty() ? 0 : tags[0].control & 0xfff;
		const bool passes = first == 0 || wanted[first];
		CHECK_EQ(port.drain(), passes);
		got += passes;
		dropped += !passes;
	}
	CHECK(dropped > 50 && got > 50);
	CHECK_EQ(port.xstat("rx_vlan_filtered_packets"), dropped);
	CHECK_EQ(port.stats().ipackets, got);
	CHECK_EQ(port.xstat("rx_broadcast_packets"), got);
	CHECK_EQ(port.stats().ierrors, 0);
	CHECK(port.complete());
	return success;
}

/* Settings change at run time; what the guest sends meanwhile comes in one form or the other. */
outcome
stripping_is_toggled_at_run_time()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 2, .tx_queues = 2});
	const auto comes_apart = [&](uint16_t queue) {
		const bytes frame = with_tags({{c_tag, 5}}, 100, 3);
		std::copy(frame.begin(), frame.end(), guest.at(buffer(0)));
		guest.post_data(buffer(0), 104, true, 0, queue);
		guest.ring_tx(queue);
		auto frames = port.receive(queue);
		const bool apart = frames.size() == 1 && frames[0]->pkt_len == 100;
		rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned int>(frames.size()));
		return apart;
	};

	for (uint16_t queue = 0; queue < fake_guest::queues; queue++)
		guest.enable(from, queue);
	CHECK(!comes_apart(0) && !comes_apart(1));
	CHECK_EQ(rte_eth_dev_set_vlan_offload(port.id(), RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
	CHECK(comes_apart(0) && comes_apart(1));
	CHECK_EQ(rte_eth_dev_set_vlan_strip_on_queue(port.id(), 1, 0), 0);
	CHECK(comes_apart(0) && !comes_apart(1));
	/* Rings without a queue of their own follow the queue that serves them. */
	const bytes frame = with_tags({{c_tag, 5}}, 100, 3);
	std::copy(frame.begin(), frame.end(), guest.at(buffer(0)));
	for (const uint16_t ring : {2, 3}) {
		guest.post_data(buffer(0), 104, true, 0, ring);
		guest.ring_tx(ring);
		auto frames = port.receive(ring % 2);
		CHECK_EQ(frames.size(), 1);
		CHECK_EQ(frames[0]->pkt_len, ring == 2 ? 100 : 104);
		rte_pktmbuf_free(frames[0]);
	}
	CHECK_EQ(rte_eth_dev_set_vlan_offload(port.id(), 0), 0);
	CHECK(!comes_apart(0) && !comes_apart(1));
	CHECK(port.complete());
	return success;
}

outcome
the_outer_tag_has_the_type_that_the_guest_has_set()
{
	fake_guest guest;
	fake_port port(guest);
	rte_emudev_net_vlan vlan{};

	guest.enable(from);
	const bytes frame = with_tags({}, 100, 3);
	std::copy(frame.begin(), frame.end(), guest.at(buffer(0)));
	for (const uint16_t type : {uint16_t{0}, s_tag, old_tag, c_tag}) {
		vlan.insert_outer = type;
		push_vlan(guest, vlan);
		guest.post(txc::l2tag2::of(0xa00b), 1 | txc::il2tag2::mask);
		guest.post_data(buffer(0), 100, true, txd::il2tag1::mask | txd::l2tag1::of(0x600c));
		guest.post_data(buffer(0), 100, true, txd::il2tag1::mask | txd::l2tag1::of(0x600c));
		guest.ring_tx();
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 2);
		const uint16_t outer = type == 0 ? c_tag : type;
		CHECK(bytes_of(frames[0]) == with_tags({{outer, 0xa00b}, {c_tag, 0x600c}}, 100, 3));
		CHECK(bytes_of(frames[1]) == with_tags({{c_tag, 0x600c}}, 100, 3));
		rte_pktmbuf_free_bulk(frames.data(), 2);
	}
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"the application strips tags", the_application_strips_tags},
	{"half a tag is none", half_a_tag_is_none},
	{"the application filters VLANs", the_application_filters_vlans},
	{"stripping is toggled at run time", stripping_is_toggled_at_run_time},
	{"the outer tag has the type that the guest has set",
	 the_outer_tag_has_the_type_that_the_guest_has_set},
};

} // namespace

constinit const case_table test::port_suite::vlan_cases = cases;
