/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include "rss.hpp"
#include "vlan.hpp"

/* Rules of a guest's flow director, judged by packets: which frames they are for, and what becomes
 * of these. */

using namespace test;
using namespace test::port_suite;

namespace {

using flow = rte_emudev_net_flow;

void
push_flows(fake_guest &guest, const std::vector<flow> &flows, const rte_emudev_net_rss *rss = {})
{
	rte_emudev_net_config config{};
	config.promiscuous = 3;
	config.rss = rss;
	config.nb_flows = static_cast<uint16_t>(flows.size());
	config.flows = flows.data();
	push_config(guest, config);
}

size_t
got(fake_guest &guest, uint16_t n)
{
	size_t count = 0;
	while (rxd::dd::is_set(guest.rx_status(static_cast<uint16_t>(count), n)))
		count++;
	return count;
}

/** A rule for UDP over IPv4 to a port. */
flow
to_port(uint16_t port, uint8_t action = RTE_EMUDEV_NET_FLOW_PASS, uint16_t queue = 0,
	uint16_t queues = 1)
{
	flow out{};
	out.needs =
		RTE_EMUDEV_NET_FLOW_IPV4 | RTE_EMUDEV_NET_FLOW_PROTOCOL | RTE_EMUDEV_NET_FLOW_WHOLE;
	out.protocol = 17;
	out.rank = 16;
	out.action = action;
	out.queue = queue;
	out.queues = queues;
	out.spec.l4[0] = static_cast<uint8_t>(port >> 8);
	out.spec.l4[1] = static_cast<uint8_t>(port);
	out.mask.l4[0] = out.mask.l4[1] = 0xff;
	return out;
}

flow
marked(flow out, uint32_t mark)
{
	out.has_mark = 1;
	out.mark = mark;
	return out;
}

/** Sends frames of these flows, see make_flow(); all go. */
outcome
send_flows(fake_port &port, const std::vector<uint16_t> &flows)
{
	std::vector<rte_mbuf *> burst;
	for (const uint16_t one : flows)
		burst.push_back(make_flow(port, one));
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, burst.data(), static_cast<uint16_t>(flows.size())),
		 flows.size());
	return success;
}

outcome
rules_choose_queues_and_drop()
{
	fake_guest guest;
	fake_port port(guest);

	for (uint16_t n = 0; n < 4; n++)
		listen(guest, 60, n);
	push_flows(guest,
		   {to_port(5, RTE_EMUDEV_NET_FLOW_QUEUE, 3), to_port(6, RTE_EMUDEV_NET_FLOW_DROP),
		    to_port(7, RTE_EMUDEV_NET_FLOW_QUEUE, 0),
		    to_port(8, RTE_EMUDEV_NET_FLOW_PASS)});
	CHECK_EQ(send_flows(port, {5, 6, 7, 8, 9, 5, 6, 5}), success);
	CHECK_EQ(got(guest, 3), 3);
	CHECK_EQ(got(guest, 0), 3);
	CHECK_EQ(got(guest, 1) + got(guest, 2), 0);
	CHECK_EQ(port.xstat("tx_flow_dropped_packets"), 2);
	CHECK_EQ(port.stats().oerrors, 0);
	push_flows(guest, {});
	CHECK_EQ(send_flows(port, {5, 6}), success);
	CHECK_EQ(got(guest, 0), 5);
	/* A queue that is not there loses nothing. */
	guest.disable(to, 3);
	push_flows(guest, {to_port(5, RTE_EMUDEV_NET_FLOW_QUEUE, 3),
			   to_port(6, RTE_EMUDEV_NET_FLOW_QUEUE, 4000)});
	CHECK_EQ(send_flows(port, {5, 6}), success);
	CHECK_EQ(got(guest, 0), 7);
	CHECK(port.complete());
	return success;
}

/* With the hash of RSS if the guest has that. */
outcome
a_region_is_spread_by_the_hash()
{
	fake_guest guest;
	fake_port port(guest);
	const auto rss = plain_rss(4);
	flow region{};

	region.needs = RTE_EMUDEV_NET_FLOW_IPV4;
	region.action = RTE_EMUDEV_NET_FLOW_QUEUE;
	region.queue = 2;
	region.queues = 2;
	region.mask.l3[8] = 0xff; /* whatever lives so long */
	for (const bool with_rss : {true, false}) {
		for (uint16_t n = 0; n < 4; n++)
			listen(guest, 60, n);
		push_flows(guest, {region}, with_rss ? &rss : nullptr);
		std::vector<uint16_t> flows;
		for (uint16_t i = 0; i < 40; i++)
			flows.push_back(i);
		CHECK_EQ(send_flows(port, flows), success);
		CHECK_EQ(got(guest, 2) + got(guest, 3), 40);
		CHECK(got(guest, 2) > 5 && got(guest, 3) > 5);
		for (uint16_t i = 0; with_rss && i < got(guest, 3); i++)
			CHECK_EQ(guest.rx_at(i, 3).qword0 >> 32 & 1, 1);
	}
	return success;
}

/* As each format has it. */
outcome
marks_stand_in_descriptors()
{
	fake_guest guest;
	fake_port port(guest);
	const auto rx = [&](uint16_t i) { return guest.rx_at(i); };

	for (const uint8_t format : {1, 2, 22}) {
		guest.rx().info.desc_format = format;
		guest.disable(to);
		guest.enable(to);
		guest.rx().info.desc_format = format;
		guest.push(to);
		for (uint16_t i = 0; i < 8; i++)
			guest.post_rx(buffer(i));
		guest.ring_rx();
		push_flows(guest, {marked(to_port(5), 0x12345678), marked(to_port(6), 0)});
		CHECK_EQ(send_flows(port, {5, 6, 7}), success);
		for (uint16_t i = 0; i < 3; i++) {
			const uint32_t mark = i == 0 ? 0x12345678 : 0;
			CHECK_EQ(rx(i).qword1 & 1, 1);
			if (format == 1) {
				CHECK_EQ(rx(i).qword1 >> 11 & 1, i != 2);
				CHECK_EQ(rx(i).qword2 >> 4 & 3, i != 2);
				CHECK_EQ(rx(i).qword3 >> 32, mark);
			} else {
				const auto id = static_cast<uint32_t>(
					format == 2 ? rx(i).qword3 : rx(i).qword1 >> 32);
				CHECK_EQ(id, i == 2 ? UINT32_MAX : mark);
			}
		}
	}
	return success;
}

outcome
the_rule_that_ranks_highest_counts()
{
	fake_guest guest;
	fake_port port(guest);
	flow any{};

	any.needs = RTE_EMUDEV_NET_FLOW_IPV4;
	any.rank = 1;
	any.action = RTE_EMUDEV_NET_FLOW_DROP;
	any.mask.l3[8] = 0xff;
	listen(guest, 60, 0);
	listen(guest, 60, 1);
	for (const bool first : {true, false}) {
		const flow one = to_port(5, RTE_EMUDEV_NET_FLOW_QUEUE, 1);
		push_flows(guest, first ? std::vector{any, one} : std::vector{one, any});
		CHECK_EQ(send_flows(port, {5, 6}), success);
	}
	CHECK_EQ(got(guest, 1), 2);
	CHECK_EQ(port.xstat("tx_flow_dropped_packets"), 2);
	return success;
}

/* What a provider must not push is left out. */
outcome
rules_beyond_the_bounds_do_nothing()
{
	fake_guest guest;
	fake_port port(guest);
	std::vector<flow> flows;

	listen(guest, 60);
	for (uint16_t i = 0; i < 300; i++)
		flows.push_back(to_port(i, RTE_EMUDEV_NET_FLOW_DROP));
	push_flows(guest, flows);
	CHECK_EQ(send_flows(port, {0, 127, 128, 299}), success);
	CHECK_EQ(port.xstat("tx_flow_dropped_packets"), 2);
	for (uint16_t i = 0; i < 20; i++) {
		flows[i] = to_port(7, RTE_EMUDEV_NET_FLOW_DROP);
		flows[i].rank = static_cast<uint16_t>(20 - i);
		flows[i].mask.l3[i + 20] = 0xff; /* 0 in IPv4 */
	}
	flows.resize(20);
	flows[16].spec.l4[1] = flows[16].rank = 9;
	push_flows(guest, flows);
	CHECK_EQ(send_flows(port, {7}), success);
	CHECK_EQ(port.xstat("tx_flow_dropped_packets"), 3);
	return success;
}

/** A frame by what it says, and how rules see it. */
struct shape {
	tag_list tags;
	int version; /**< 4, 6, or 0: not IP. */
	bool extension, fragment, options;
	uint8_t protocol, address, port, l4_length, l2;

	static shape any(std::mt19937 &random)
	{
		constexpr int versions[] = {4, 4, 6, 6, 0};
		constexpr uint8_t protocols[] = {6, 17, 17, 132, 50};
		const auto few = [&] { return static_cast<uint8_t>(random() % 3); };
		shape out{};
		if (random() % 3 == 0)
			out.tags = random_tags(random, 2);
		out.version = versions[random() % 5];
		out.extension = out.version == 6 && random() % 4 == 0;
		out.fragment = out.version != 0 && random() % 4 == 0;
		out.options = out.version == 4 && random() % 4 == 0;
		out.protocol = protocols[random() % 5];
		out.address = few();
		out.port = few();
		out.l2 = few();
		out.l4_length = static_cast<uint8_t>(random() % 4 == 0 ? random() % 40 : 40);
		return out;
	}

	uint16_t has() const
	{
		if (version == 0)
			return 0;
		return static_cast<uint16_t>((version == 4 ? 1 : 2) | 4 | (fragment ? 16 : 8));
	}
	bytes l2_header() const
	{
		const uint16_t type = version == 4 ? 0x0800 : version == 6 ? 0x86dd : 0x88b5;
		return {2,
			0,
			0,
			0,
			0,
			l2,
			2,
			0,
			0,
			0,
			0,
			9,
			static_cast<uint8_t>(type >> 8),
			static_cast<uint8_t>(type & 0xff)};
	}
	bytes l4_bytes() const
	{
		bytes out(l4_length, 0x11);
		if (l4_length > 1)
			out[1] = port;
		return out;
	}
	size_t extensions_length() const
	{
		return extension * size_t{8} + (fragment && version == 6) * size_t{8};
	}
	bytes extensions() const
	{
		bytes out(extensions_length());
		if (extension) {
			out[0] = fragment ? 44 : protocol;
			out[2] = 1;
			out[3] = 4;
		}
		if (fragment && version == 6) {
			out[out.size() - 8] = protocol;
			out[out.size() - 5] = 1;
			out[out.size() - 1] = 7;
		}
		return out;
	}
	bytes l3_header() const
	{
		if (version == 4) {
			const size_t length = options ? 24 : 20;
			bytes out(length);
			out[0] = static_cast<uint8_t>(0x40 | length / 4);
			out[3] = static_cast<uint8_t>(length + l4_length);
			out[6] = fragment ? 0x20 : 0;
			out[9] = protocol;
			out[19] = address;
			return out;
		}
		bytes out(40);
		out[0] = 0x60;
		out[5] = static_cast<uint8_t>(extensions_length() + l4_length);
		out[6] = extension ? 0 : fragment ? 44 : protocol;
		out[39] = address;
		return out;
	}
	bytes frame() const
	{
		bytes out = l2_header();
		if (version != 0)
			for (const bytes &part :
			     {l3_header(), version == 6 ? extensions() : bytes{}, l4_bytes()})
				out.insert(out.end(), part.begin(), part.end());
		out.resize(std::max<size_t>(out.size(), 60));
		bytes words;
		for (const tag &one : tags)
			for (const uint16_t word : {one.type, one.control})
				words.insert(words.end(), {static_cast<uint8_t>(word >> 8),
							   static_cast<uint8_t>(word & 0xff)});
		out.insert(out.begin() + 12, words.begin(), words.end());
		return out;
	}
	rte_emudev_net_headers headers() const
	{
		rte_emudev_net_headers out{};
		const auto copy = [](const bytes &from, uint8_t *to, size_t most) {
			std::copy_n(from.begin(), std::min(from.size(), most), to);
		};
		copy(l2_header(), out.l2, 14);
		if (version != 0) {
			copy(l3_header(), out.l3, version == 4 ? 20 : 40);
			copy(l4_bytes(), out.l4, 32);
		}
		return out;
	}
	bool meets(const flow &rule) const
	{
		const auto mine = headers();
		if ((rule.needs & ~has()) != 0 ||
		    ((rule.needs & 4) != 0 && rule.protocol != protocol))
			return false;
		for (uint8_t i = 0; i < 32; i++)
			if (rule.mask.l4[i] != 0 && (version == 0 || i >= l4_length))
				return false;
		const auto *spec = reinterpret_cast<const uint8_t *>(&rule.spec);
		const auto *mask = reinterpret_cast<const uint8_t *>(&rule.mask);
		const auto *have = reinterpret_cast<const uint8_t *>(&mine);
		for (size_t i = 0; i < sizeof(mine); i++)
			if (((have[i] ^ spec[i]) & mask[i]) != 0)
				return false;
		return true;
	}
};

/** Rules for what some shapes have, by few combinations of masks. */
std::vector<flow>
random_rules(std::mt19937 &random)
{
	std::vector<flow> kinds(1 + random() % 15), out;

	for (size_t i = 0; i < kinds.size(); i++) {
		flow &one = kinds[i];
		/* Of protocol, whole and fragment: not both of the latter. */
		constexpr uint16_t needs[] = {0,         1,         2,      1 | 4, 2 | 4,
					      1 | 4 | 8, 2 | 4 | 8, 1 | 16, 4};
		one.needs = needs[random() % std::size(needs)];
		one.rank = static_cast<uint16_t>(i); /* no two masks rank the same */
		one.mask.l2[5] = random() % 3 == 0 ? 0xff : 0;
		if ((one.needs & 1) != 0)
			one.mask.l3[19] = random() % 2 != 0 ? 0xff : 0x01;
		if ((one.needs & 2) != 0)
			one.mask.l3[39] = random() % 2 != 0 ? 0xff : 0x02;
		if ((one.needs & 8) != 0)
			one.mask.l4[1] = random() % 2 != 0 ? 0xff : 0x01;
		if ((one.needs & 8) != 0 && random() % 3 == 0)
			one.mask.l4[31] = 0xff;
		if (one.needs == 0)
			one.mask.l2[13] = 0xff;
	}
	for (uint32_t n = random() % 100 + 1; n != 0; n--) {
		flow one = kinds[random() % kinds.size()];
		const shape like = shape::any(random);
		const auto headers = like.headers();
		const auto *have = reinterpret_cast<const uint8_t *>(&headers);
		auto *spec = reinterpret_cast<uint8_t *>(&one.spec);
		const auto *mask = reinterpret_cast<const uint8_t *>(&one.mask);
		for (size_t i = 0; i < sizeof(headers); i++)
			spec[i] = have[i] & mask[i];
		one.protocol = (one.needs & 4) != 0 ? like.protocol : 0;
		if (std::none_of(out.begin(), out.end(), [&](const flow &other) {
			    return other.rank == one.rank && other.protocol == one.protocol &&
				   memcmp(&other.spec, &one.spec, sizeof(one.spec)) == 0;
		    }))
			out.push_back(marked(one, static_cast<uint32_t>(out.size() + 1)));
	}
	return out;
}

/** The mark that a frame is to have; 0: none. */
uint32_t
mark_for(const std::vector<flow> &rules, const shape &frame)
{
	const flow *best = nullptr;
	for (const flow &one : rules)
		if (frame.meets(one) && (best == nullptr || one.rank > best->rank))
			best = &one;
	return best != nullptr ? best->mark : 0;
}

rte_mbuf *
mbuf_of(fake_port &port, const bytes &data, std::mt19937 &random)
{
	rte_mbuf *first = nullptr;
	for (size_t done = 0; done < data.size();) {
		rte_mbuf *part = rte_pktmbuf_alloc(port.pool());
		size_t piece = data.size() - done;
		if (random() % 4 == 0)
			piece = std::min<size_t>(piece, 14 + random() % 40);
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

/* Against a search of all rules, byte by byte. */
outcome
rules_find_their_frames()
{
	fake_guest guest;
	fake_port port(guest);
	std::mt19937 random(4);
	unsigned int hits = 0;

	for (unsigned int round = 0; round < 200; round++) {
		const auto rules = random_rules(random);
		std::vector<shape> shapes;
		std::vector<rte_mbuf *> burst;

		listen(guest, 60);
		push_flows(guest, rules);
		for (int i = 0; i < 32; i++) {
			shapes.push_back(shape::any(random));
			burst.push_back(mbuf_of(port, shapes.back().frame(), random));
		}
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, burst.data(), 32), 32);
		for (uint16_t i = 0; i < 32; i++) {
			const uint32_t want = mark_for(rules, shapes[i]);
			CHECK_EQ(guest.rx_at(i).qword1 >> 11 & 1, want != 0);
			CHECK_EQ(guest.rx_at(i).qword3 >> 32, want);
			hits += want != 0;
		}
		CHECK(port.complete());
	}
	CHECK(hits > 1000 && hits < 5400, "both kinds of frames");
	return success;
}

constexpr test_case cases[] = {
	{"rules choose queues and drop", rules_choose_queues_and_drop},
	{"a region is spread by the hash", a_region_is_spread_by_the_hash},
	{"marks stand in descriptors", marks_stand_in_descriptors},
	{"the rule that ranks highest counts", the_rule_that_ranks_highest_counts},
	{"rules beyond the bounds do nothing", rules_beyond_the_bounds_do_nothing},
	{"rules find their frames", rules_find_their_frames},
};

} // namespace

constinit const case_table test::port_suite::flow_cases = cases;
