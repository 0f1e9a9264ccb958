/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>

#include "vlan.hpp"

/* VLAN tags of what the guest gets, judged by an unstacking of our own. */

using namespace test;
using namespace test::port_suite;

namespace {

/** A frame as the guest's driver reads it: bits and fields of the descriptors by hand. */
struct seen {
	bytes data;
	std::optional<uint16_t> first, second;

	bool operator==(const seen &) const = default;
};

/** Reads the frame from descriptor @p at on, which moves behind it. */
std::optional<seen>
read_frame(fake_guest &guest, uint16_t &at, bool flexible, uint64_t shift = 0)
{
	seen out;

	for (bool ended = false; !ended; at = static_cast<uint16_t>((at + 1) % 64)) {
		const iavf::rx_descriptor &one = guest.rx_at(at);
		if ((one.qword1 & 1) == 0)
			return {};
		const uint64_t length = (flexible ? one.qword0 >> 32 : one.qword1 >> 38) & 0x3fff;
		for (uint64_t i = 0; i < length; i++) /* it may cross from one page into another */
			out.data.push_back(*guest.at(buffer(at) + shift + i));
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

/** @p shift is the place of buffers in their pages. */
void
post_buffers(fake_guest &guest, unsigned int count, uint64_t shift = 0)
{
	for (; count != 0; count--)
		guest.post_rx(buffer(guest.rx().next) + shift);
	guest.ring_rx();
}

bool
is_in_port_vlan(const tag_list &tags, const rte_emudev_net_policy &policy)
{
	return !tags.empty() && tags[0].type == policy.port_vlan_type &&
	       ((tags[0].control ^ policy.port_vlan_tci) & 0xfff) == 0;
}

/** What is to become of a frame; nothing if it is filtered out. */
std::optional<seen>
expected(tag_list tags, uint32_t length, const rte_emudev_net_vlan &vlan,
	 const rte_emudev_net_policy &policy = {})
{
	seen out;

	if (policy.port_vlan_type != 0) {
		if (!is_in_port_vlan(tags, policy))
			return {};
		tags.erase(tags.begin());
	}
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

/** A burst of eight frames, and what is to become of it. */
struct tagged_burst {
	std::vector<rte_mbuf *> frames;
	std::vector<seen> want;
	uint64_t octets = 0; /**< Of what is wanted, with all tags that the guest is in sight of. */
	uint64_t foreign = 0; /**< Of other VLANs than the guest's. */

	void add(fake_port &port, const rte_emudev_net_vlan &vlan,
		 const rte_emudev_net_policy &policy, bool inserts, uint16_t outer_type,
		 std::mt19937 &random)
	{
		tag_list tags = random_tags(random);
		const bool in_port_vlan = policy.port_vlan_type != 0;
		if (in_port_vlan && random() % 4 != 0)
			tags.insert(tags.begin(),
				    {policy.port_vlan_type,
				     static_cast<uint16_t>(policy.port_vlan_tci ^ random() << 12)});
		const uint32_t length = 14 + random() % 1200;
		rte_mbuf ask{};
		const size_t inside = inserts ? move_to_mbuf(tags, ask, outer_type, random) : 0;
		const tag_list rest(tags.begin() + static_cast<ptrdiff_t>(inside), tags.end());
		rte_mbuf *frame = mbuf_of(port, with_tags(rest, length, 3), random);

		frame->ol_flags |= ask.ol_flags;
		frame->vlan_tci = ask.vlan_tci;
		frame->vlan_tci_outer = ask.vlan_tci_outer;
		frames.push_back(frame);
		foreign += in_port_vlan && !is_in_port_vlan(tags, policy);
		if (const auto one = expected(tags, length, vlan, policy)) {
			want.push_back(*one);
			octets += length + 4 * (tags.size() - in_port_vlan);
		}
	}
};

outcome
the_guest_gets_tags_where_it_wants_them(bool inserts, bool paged, bool in_port_vlan = false)
{
	std::mt19937 random(inserts ? 33 : 34);
	const uint64_t offloads =
		inserts ? RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_QINQ_INSERT : 0;
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = offloads | RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	rte_emudev_net_vlan_ids ids{};
	uint64_t sent = 0, delivered = 0, octets = 0, foreign = 0;

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
		rte_emudev_net_policy policy{};
		if (in_port_vlan) {
			policy.port_vlan_type = random() % 2 != 0 ? c_tag : s_tag;
			policy.port_vlan_tci = static_cast<uint16_t>(random());
		}
		push_vlan(guest, vlan, policy);
		rte_eth_dev_set_vlan_ether_type(port.id(), RTE_ETH_VLAN_TYPE_OUTER, outer_type);
		tagged_burst burst;
		for (unsigned int i = 0; i < 8; i++)
			burst.add(port, vlan, policy, inserts, outer_type, random);
		const uint64_t shift = paged ? 4096 - random() % 200 : 0;
		post_buffers(guest, 63, shift);
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, burst.frames.data(), 8), 8);
		uint16_t at = 0;
		for (const seen &one : burst.want)
			CHECK(read_frame(guest, at, flexible, shift) == one, "setup %u", setup);
		CHECK_EQ(guest.rx_at(at).qword1 & 1, 0);
		sent += 8;
		delivered += burst.want.size();
		octets += burst.octets;
		foreign += burst.foreign;
	}
	CHECK_EQ(port.xstat("tx_port_vlan_filtered_packets"), foreign);
	CHECK((foreign != 0) == in_port_vlan);
	CHECK_EQ(port.xstat("tx_vlan_filtered_packets"), sent - delivered - foreign);
	CHECK_EQ(port.stats().opackets, delivered);
	CHECK_EQ(port.stats().obytes, octets);
	CHECK_EQ(port.stats().oerrors, 0);
	CHECK(sent - delivered > 50 && delivered > 50);
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

outcome
the_guest_is_in_a_port_vlan_without_knowing()
{
	return the_guest_gets_tags_where_it_wants_them(false, false, true);
}

outcome
the_application_inserts_the_port_vlan()
{
	return the_guest_gets_tags_where_it_wants_them(true, true, true);
}

/** A frame of UDP over IPv4 with right checksums. */
bytes
udp_frame(uint32_t payload)
{
	const packet udp{.udp = true, .payload = payload};
	bytes out(udp.length());
	udp.write(out.data());
	out[12] = 0x08, out[13] = 0x00;
	uint8_t *l4 = out.data() + RTE_ETHER_HDR_LEN + udp.l3();
	l4[6] = l4[7] = 0;
	auto *ip = reinterpret_cast<rte_ipv4_hdr *>(out.data() + RTE_ETHER_HDR_LEN);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	const uint16_t sum = rte_ipv4_udptcp_cksum(ip, l4);
	memcpy(l4 + 6, &sum, sizeof(sum));
	return out;
}

/* What a descriptor says of checksums does not depend on where the tags are. */
outcome
checksums_are_checked_behind_tags()
{
	constexpr uint64_t checked = 1 << 3, bad_l4 = 1 << 23, tagged = 1 << 2;
	std::mt19937 random(36);
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT |
					      RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	rte_emudev_net_vlan vlan{};

	vlan.strip_outer = c_tag;
	guest.enable(to);
	push_vlan(guest, vlan);
	for (unsigned int round = 0; round < 300; round++) {
		const bool wrong = random() % 3 == 0, inserted = random() % 2 != 0;
		const bytes plain = udp_frame(random() % 1400);
		bytes data = plain;
		data[14 + 20 + random() % (data.size() - 34)] ^= wrong ? 1 : 0;
		const uint8_t tags[] = {0x81, 0, 0x60, 5, 0x81, 0, 0, 7};
		const size_t more = random() % 2 * 4; /* of the second tag, which stays */
		data.insert(data.begin() + 12, tags + (inserted ? 4 : 0), tags + 4 + more);
		rte_mbuf *frame = mbuf_of(port, data, random);
		frame->ol_flags |= inserted ? RTE_MBUF_F_TX_VLAN : 0;
		frame->vlan_tci = 0x6005;
		const uint16_t at = guest.post_rx(buffer(0));
		guest.ring_rx();
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
		const iavf::rx_descriptor &got = guest.rx_at(at);
		CHECK_EQ(got.qword1 & checked, checked);
		CHECK_EQ((got.qword1 & bad_l4) != 0, wrong);
		CHECK_EQ(got.qword1 & tagged, tagged);
		CHECK_EQ(got.qword0 >> 16 & 0xffff, 0x6005);
		CHECK_EQ(got.qword1 >> 38 & 0x3fff, plain.size() + more);
	}
	return success;
}

/* The guest changes its mind while frames come: each of them has its tag in one place. */
outcome
settings_change_under_traffic()
{
	fake_guest guest;
	fake_port port(guest);
	std::mt19937 random(35);
	std::atomic<bool> over = false;
	rte_emudev_net_vlan_ids ids{};
	uint64_t apart = 0, inside = 0;
	const tag_list tags{{c_tag, 0x6005}};

	ids.of[RTE_EMUDEV_NET_VLAN_8100][0] = 1 << 5;
	guest.enable(to);
	std::thread toggles = start_thread([&] {
		rte_emudev_net_vlan vlan{};
		for (unsigned int round = 0; !over; round++) {
			vlan.strip_outer = round % 2 != 0 ? c_tag : 0;
			vlan.outer_in_second = round % 4 < 2;
			vlan.ids = round % 3 != 0 ? &ids : nullptr;
			push_vlan(guest, vlan);
			ids.of[RTE_EMUDEV_NET_VLAN_8100][1] = round; /* it keeps none of ours */
		}
	});
	bool right = true;
	uint16_t at = 0;
	for (race_time time; right && !time.over(apart != 0 && inside != 0);) {
		rte_mbuf *frame = mbuf_of(port, with_tags(tags, 100, 3), random);
		guest.post_rx(buffer(guest.rx().next));
		guest.ring_rx();
		while (rte_eth_tx_burst(port.id(), 0, &frame, 1) == 0)
			;
		const auto got = read_frame(guest, at, false);
		right = got.has_value() &&
			got->data ==
				with_tags(got->data.size() == 100 ? tag_list{} : tags, 100, 3) &&
			(got->first || got->second) == (got->data.size() == 100);
		(got && got->data.size() == 100 ? apart : inside)++;
	}
	over = true;
	toggles.join();
	CHECK(right);
	CHECK(apart != 0 && inside != 0);
	CHECK_EQ(port.stats().opackets, apart + inside);
	CHECK(port.complete());
	return success;
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
	{"the guest is in a port VLAN without knowing",
	 the_guest_is_in_a_port_vlan_without_knowing},
	{"the application inserts the port VLAN", the_application_inserts_the_port_vlan},
	{"tags count for the buffers only if they are there",
	 tags_count_for_the_buffers_only_if_they_are_there},
	{"checksums are checked behind tags", checksums_are_checked_behind_tags},
	{"VLAN settings change under traffic", settings_change_under_traffic},
	{"odd mbufs do no harm", odd_mbufs_do_no_harm},
};

} // namespace

constinit const case_table test::port_suite::vlan_to_guest_cases = cases;
