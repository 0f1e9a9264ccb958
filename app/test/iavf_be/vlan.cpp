/* SPDX-License-Identifier: BSD-3-Clause */
#include <optional>
#include <random>

#include "fixture.hpp"

/* VLAN tags, judged by a stacking and unstacking of our own. */

using namespace test;
using namespace test::port_suite;

namespace {

using bytes = std::vector<uint8_t>;

struct tag {
	uint16_t type, control;

	bool operator==(const tag &) const = default;
};
using tag_list = std::vector<tag>;

constexpr uint16_t c_tag = 0x8100, s_tag = 0x88a8, old_tag = 0x9100;

/** A frame with tags in front of its type, which is none of a tag. */
bytes
with_tags(const tag_list &tags, uint32_t length, uint8_t seed)
{
	bytes out(length);
	make_frame(out.data(), length, seed);
	if (length >= 14)
		out[12] = 0x08, out[13] = 0x00;
	bytes words;
	for (const tag &one : tags)
		for (const uint16_t word : {one.type, one.control})
			words.insert(words.end(), {static_cast<uint8_t>(word >> 8),
						   static_cast<uint8_t>(word & 0xff)});
	out.insert(out.begin() + 12, words.begin(), words.end());
	return out;
}

uint16_t
random_type(std::mt19937 &random)
{
	constexpr uint16_t types[] = {c_tag, s_tag, old_tag};
	return types[random() % 3];
}

tag_list
random_tags(std::mt19937 &random, size_t most = 3)
{
	tag_list out(random() % (most + 1));
	for (tag &one : out)
		one = {random_type(random), static_cast<uint16_t>(random())};
	return out;
}

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
		tags.erase(tags.begin());
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

/** Pushes what a guest has set up for tags. */
void
push_vlan(fake_guest &guest, const rte_emudev_net_vlan &vlan)
{
	rte_emudev_net_config config{};
	config.struct_size = sizeof(config);
	config.vlan = vlan;
	rte_emudev_event event{};
	event.type = RTE_EMUDEV_EVENT_CONFIG;
	event.net = &config;
	rte_emudev_notify(guest.dev(), &event);
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

/** A frame as the guest's driver reads it: bits and fields of the descriptors by hand. */
struct seen {
	bytes data;
	std::optional<uint16_t> first, second;

	bool operator==(const seen &) const = default;
};

/** Reads the frame from descriptor @p at on, which moves behind it. */
std::optional<seen>
read_frame(fake_guest &guest, uint16_t &at, bool flexible)
{
	seen out;

	for (bool ended = false; !ended; at = static_cast<uint16_t>((at + 1) % 64)) {
		const iavf::rx_descriptor &one = guest.rx_at(at);
		if ((one.qword1 & 1) == 0)
			return {};
		const uint64_t length = (flexible ? one.qword0 >> 32 : one.qword1 >> 38) & 0x3fff;
		const uint8_t *data = guest.at(buffer(at));
		out.data.insert(out.data.end(), data, data + length);
		ended = (one.qword1 & 2) != 0;
		const bool has_first = (one.qword1 >> (flexible ? 13 : 2) & 1) != 0;
		const bool has_second = (one.qword2 >> (flexible ? 11 : 0) & 1) != 0;
		if (!ended && (has_first || has_second))
			return {};
		if (has_first)
			out.first =
				static_cast<uint16_t>((flexible ? one.qword1 : one.qword0) >> 16);
		if (has_second)
			out.second = static_cast<uint16_t>(one.qword2 >> 48);
	}
	return out;
}

void
post_buffers(fake_guest &guest, unsigned int count)
{
	for (; count != 0; count--)
		guest.post_rx(buffer(guest.rx().next));
	guest.ring_rx();
}

/** What is to become of a frame; nothing if it is filtered out. */
std::optional<seen>
expected(tag_list tags, uint32_t length, const rte_emudev_net_vlan &vlan)
{
	seen out;

	if (!tags.empty() && vlan.ids != nullptr) {
		const int type = tags[0].type == c_tag ? 0 : tags[0].type == s_tag ? 1 : 2;
		const uint16_t id = tags[0].control & 0xfff;
		if (id != 0 && (vlan.ids->of[type][id / 64] >> id % 64 & 1) == 0)
			return {};
	}
	if (tags.size() >= 2 && tags[1].type == vlan.strip_inner) {
		out.first = tags[1].control;
		tags.erase(tags.begin() + 1);
	}
	if (!tags.empty() && tags[0].type == vlan.strip_outer) {
		(vlan.outer_in_second ? out.second : out.first) = tags[0].control;
		tags.erase(tags.begin());
	}
	out.data = with_tags(tags, length, 3);
	return out;
}

/** A mbuf of one or more segments, some of which are tiny. */
rte_mbuf *
mbuf_of(fake_port &port, const bytes &data, std::mt19937 &random)
{
	rte_mbuf *first = nullptr;
	const bool whole = random() % 3 != 0;

	for (size_t done = 0; done < data.size();) {
		rte_mbuf *part = rte_pktmbuf_alloc(port.pool());
		size_t piece = std::min<size_t>(data.size() - done, rte_pktmbuf_tailroom(part));
		if (!whole && piece > 13)
			piece = first == nullptr ? 6 + random() % 8 : 1 + random() % piece;
		memcpy(rte_pktmbuf_append(part, static_cast<uint16_t>(piece)), data.data() + done,
		       piece);
		done += piece;
		if (first == nullptr)
			first = part;
		else
			rte_pktmbuf_chain(first, part);
	}
	return first;
}

/** Lets the application insert as many of the first tags as mbufs can say. */
size_t
move_to_mbuf(const tag_list &tags, rte_mbuf &frame, uint16_t outer_type, std::mt19937 &random)
{
	const size_t wanted = random() % 3;

	if (wanted == 2 && tags.size() >= 2 && tags[0].type == outer_type &&
	    tags[1].type == c_tag) {
		frame.ol_flags |= RTE_MBUF_F_TX_QINQ | (random() % 2 != 0 ? RTE_MBUF_F_TX_VLAN : 0);
		frame.vlan_tci_outer = tags[0].control;
		frame.vlan_tci = tags[1].control;
		return 2;
	}
	if (wanted == 1 && !tags.empty() && tags[0].type == c_tag) {
		frame.ol_flags |= RTE_MBUF_F_TX_VLAN;
		frame.vlan_tci = tags[0].control;
		return 1;
	}
	return 0;
}

rte_emudev_net_vlan
random_setup(rte_emudev_net_vlan_ids &ids, std::mt19937 &random)
{
	rte_emudev_net_vlan out{};

	if (random() % 3 != 0)
		out.strip_outer = random_type(random);
	if (random() % 2 != 0)
		out.strip_inner = c_tag;
	/* One field cannot take two tags: nobody offers that. */
	out.outer_in_second = out.strip_inner != 0 || random() % 2 != 0;
	if (random() % 2 != 0) {
		for (auto &type : ids.of)
			std::generate(std::begin(type), std::end(type),
				      [&random] { return random() | uint64_t{random()} << 32; });
		out.ids = &ids;
	}
	return out;
}

outcome
the_guest_gets_tags_where_it_wants_them(bool inserts, bool paged)
{
	std::mt19937 random(inserts ? 33 : 34);
	const uint64_t offloads =
		inserts ? RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_QINQ_INSERT : 0;
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = offloads | RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	rte_emudev_net_vlan_ids ids{};
	uint64_t filtered = 0, delivered = 0, octets = 0;

	CHECK(port.ok());
	if (paged)
		guest.map_pages();
	for (unsigned int setup = 0; setup < 120; setup++) {
		const rte_emudev_net_vlan vlan = random_setup(ids, random);
		const bool flexible = random() % 2 != 0;
		const uint16_t outer_type = random_type(random);

		guest.disable(to);
		guest.enable(to, 0, 64, setup % 2 != 0 ? 256 : 2048);
		guest.rx().info.desc_format = flexible ? iavf::rxdid::flexible_ovs : 0;
		guest.push(to);
		push_vlan(guest, vlan);
		CHECK_EQ(rte_eth_dev_set_vlan_ether_type(port.id(), RTE_ETH_VLAN_TYPE_OUTER,
							 outer_type),
			 0);
		std::vector<rte_mbuf *> frames;
		std::vector<seen> want;
		for (unsigned int i = 0; i < 8; i++) {
			tag_list tags = random_tags(random);
			const uint32_t length = 14 + random() % 1200;
			auto one = expected(tags, length, vlan);
			size_t inside = 0;
			rte_mbuf *frame = mbuf_of(port, with_tags(tags, length, 3), random);
			if (inserts) {
				rte_mbuf ask{};
				inside = move_to_mbuf(tags, ask, outer_type, random);
				rte_pktmbuf_free(frame);
				frame = mbuf_of(
					port,
					with_tags({tags.begin() + static_cast<ptrdiff_t>(inside),
						   tags.end()},
						  length, 3),
					random);
				frame->ol_flags |= ask.ol_flags;
				frame->vlan_tci = ask.vlan_tci;
				frame->vlan_tci_outer = ask.vlan_tci_outer;
			}
			frames.push_back(frame);
			filtered += !one;
			if (one) {
				want.push_back(*one);
				octets += length + 4 * tags.size();
			}
		}
		post_buffers(guest, 63);
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, frames.data(), 8), 8);
		uint16_t at = 0;
		for (const seen &one : want)
			CHECK(read_frame(guest, at, flexible) == one, "setup %u", setup);
		CHECK_EQ(guest.rx_at(at).qword1 & 1, 0);
		delivered += want.size();
	}
	CHECK_EQ(port.xstat("tx_vlan_filtered_packets"), filtered);
	CHECK_EQ(port.stats().opackets, delivered);
	CHECK_EQ(port.stats().obytes, octets);
	CHECK_EQ(port.stats().oerrors, 0);
	CHECK(filtered > 50 && delivered > 50);
	CHECK(port.complete());
	return success;
}

outcome
the_guest_gets_tags_of_frames()
{
	return the_guest_gets_tags_where_it_wants_them(false, false);
}

outcome
the_guest_gets_tags_of_mbufs()
{
	return the_guest_gets_tags_where_it_wants_them(true, false);
}

outcome
the_guest_gets_tags_in_scattered_memory()
{
	return the_guest_gets_tags_where_it_wants_them(true, true);
}

/* Two tags and a full frame; what is too long with its tags may fit without. */
outcome
tags_count_for_the_buffers_only_if_they_are_there()
{
	fake_guest guest;
	fake_port port(guest);
	rte_emudev_net_vlan vlan{};
	uint16_t at = 0;
	const tag_list tags{{s_tag, 0x123}, {c_tag, 0x456}};
	std::mt19937 random(1);

	guest.enable(to, 0, 64, 1522);
	guest.rx().info.max_frame = 1522;
	guest.push(to);
	post_buffers(guest, 10);
	for (const uint32_t length : {1514u, 1515u, 1518u, 1519u}) {
		vlan.strip_outer = length > 1515 ? s_tag : 0;
		push_vlan(guest, vlan);
		rte_mbuf *frame = mbuf_of(port, with_tags(tags, length, 3), random);
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
		if (length == 1514 || length == 1518)
			CHECK(read_frame(guest, at, false) == expected(tags, length, vlan));
	}
	CHECK_EQ(guest.rx_at(at).qword1 & 1, 0);
	CHECK_EQ(port.xstat("tx_oversize_errors"), 2);
	CHECK(port.complete());
	return success;
}

/* Mbufs that lie, and those whose data others share. */
outcome
odd_mbufs_do_no_harm()
{
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT |
					      RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	const rte_emudev_net_vlan vlan{.strip_outer = c_tag,
				       .strip_inner = c_tag,
				       .insert_outer = 0,
				       .outer_in_second = 1,
				       .pad = 0,
				       .ids = nullptr};
	const bytes tagged = with_tags({{c_tag, 1}, {c_tag, 2}}, 100, 3);
	std::mt19937 random(2);
	uint16_t at = 0;

	guest.enable(to);
	push_vlan(guest, vlan);
	post_buffers(guest, 20);
	for (size_t length = 0; length <= 30; length++) {
		rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
		memcpy(rte_pktmbuf_append(frame, static_cast<uint16_t>(length)), tagged.data(),
		       length);
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
		if (length < 14)
			continue;
		const auto got = read_frame(guest, at, false);
		CHECK(got.has_value());
		const size_t gone = length < 18 ? 0 : length < 22 ? 4 : 8;
		CHECK_EQ(got->data.size(), length - gone);
		post_buffers(guest, 1);
	}
	CHECK_EQ(port.xstat("tx_short_errors"), 14);
	/* Its only segment is shorter than it says. */
	rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
	memcpy(rte_pktmbuf_append(frame, 16), tagged.data(), 16);
	frame->pkt_len = 100;
	frame->nb_segs = 2;
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
	CHECK_EQ(port.xstat("tx_unmapped_errors"), 1);
	at++;
	/* Shared data stays as it is. */
	rte_mbuf *shared = rte_pktmbuf_alloc(port.pool());
	memcpy(rte_pktmbuf_append(shared, 108), tagged.data(), 108);
	rte_mbuf *clone = rte_pktmbuf_clone(shared, port.pool());
	clone->ol_flags |= RTE_MBUF_F_TX_VLAN;
	clone->vlan_tci = 77;
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &clone, 1), 1);
	const auto got = read_frame(guest, at, false);
	CHECK(got && got->second == 77 && got->first == 1 && got->data.size() == 104);
	CHECK(bytes_of(shared) == tagged);
	rte_pktmbuf_free(shared);
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"the guest gets tags of frames", the_guest_gets_tags_of_frames},
	{"the guest gets tags of mbufs", the_guest_gets_tags_of_mbufs},
	{"the guest gets tags in scattered memory", the_guest_gets_tags_in_scattered_memory},
	{"tags count for the buffers only if they are there",
	 tags_count_for_the_buffers_only_if_they_are_there},
	{"odd mbufs do no harm", odd_mbufs_do_no_harm},
	{"the application strips tags", the_application_strips_tags},
	{"half a tag is none", half_a_tag_is_none},
	{"the application filters VLANs", the_application_filters_vlans},
	{"stripping is toggled at run time", stripping_is_toggled_at_run_time},
	{"the outer tag has the type that the guest has set",
	 the_outer_tag_has_the_type_that_the_guest_has_set},
};

} // namespace

constinit const case_table test::port_suite::vlan_cases = cases;
