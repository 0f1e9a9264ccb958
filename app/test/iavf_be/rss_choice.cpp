/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include "../../../drivers/net/iavf_be/toeplitz.hpp"
#include "rss.hpp"

/* Which ring a packet goes to, and the hash in its descriptor. */

using namespace test;
using namespace test::port_suite;

namespace {

using bytes = std::vector<uint8_t>;

constexpr uint16_t addresses = RTE_EMUDEV_NET_RSS_SRC_ADDRESS | RTE_EMUDEV_NET_RSS_DST_ADDRESS;
constexpr uint16_t ports = RTE_EMUDEV_NET_RSS_SRC_PORT | RTE_EMUDEV_NET_RSS_DST_PORT;
constexpr uint16_t rings = 4;

/** Toeplitz by its definition, bit by bit. */
uint32_t
reference(const uint8_t *key, const bytes &input)
{
	uint32_t out = 0;

	for (size_t bit = 0; bit < input.size() * 8; bit++) {
		if ((input[bit / 8] >> (7 - bit % 8) & 1) == 0)
			continue;
		for (size_t i = 0; i < 32; i++) {
			const size_t at = (bit + i) % (RTE_EMUDEV_NET_RSS_KEY_SIZE * 8);
			out ^= uint32_t{key[at / 8] >> (7 - at % 8) & 1u} << (31 - i);
		}
	}
	return out;
}

bytes
operator+(bytes a, const bytes &b)
{
	a.insert(a.end(), b.begin(), b.end());
	return a;
}

bytes
word(uint16_t value)
{
	return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
}

bytes
hex(const char *text)
{
	bytes out;
	for (; *text != 0; text += *text == ' ' ? 1 : 2)
		if (*text != ' ')
			out.push_back(
				static_cast<uint8_t>(std::stoi(std::string(text, 2), nullptr, 16)));
	return out;
}

/** Parts of a packet, and frames of them. Nothing is right in them that RSS does not look at. */
struct flow {
	bytes source, destination; /**< Of 4 or 16 bytes. */
	uint16_t source_port = 1000, destination_port = 2000;
	uint8_t protocol = 17;
	bytes tags{};
	uint16_t fragment = 0; /**< What IPv4 has for it. */
	bytes options{};       /**< Of IPv4, or extension headers. */
	uint8_t first = 0;     /**< The number of the first of these. */

	bytes macs() const { return hex("020000000001 020000000002"); }
	bytes addresses() const { return source + destination; }
	bytes all() const { return addresses() + word(source_port) + word(destination_port); }
	bytes frame() const
	{
		bytes ip;
		const auto length = static_cast<uint16_t>(20 + options.size() + 28);
		if (source.size() == 4)
			ip = bytes{static_cast<uint8_t>(0x45 + options.size() / 4), 0} +
			     word(length) + word(0x1234) + word(fragment) + bytes{64, protocol} +
			     word(0) + addresses() + options;
		else
			ip = bytes{0x60, 0, 0, 0} +
			     word(static_cast<uint16_t>(28 + options.size())) +
			     bytes{options.empty() ? protocol : first, 64} + addresses() + options;
		return macs() + tags + word(source.size() == 4 ? 0x0800 : 0x86dd) + ip +
		       word(source_port) + word(destination_port) + bytes(24, 0x5a);
	}
};

/** Sends frames one by one, and looks where they arrive. */
class watcher {
public:
	struct arrival {
		int ring = -1;
		bool hashed = false;
		uint32_t hash = 0;
		/* Of the legacy format. */
		uint64_t length = 0;
		uint64_t tag = 0;
	};

	watcher(fake_guest &guest, fake_port &port, uint8_t format = iavf::rxdid::unset)
	    : guest_(guest), port_(port), format_(format)
	{
		for (uint16_t ring = 0; ring < rings; ring++) {
			guest.enable(to, ring);
			guest.rx(ring).info.desc_format = format;
			guest.push(to, ring);
			post(ring);
		}
	}

	/** With a cut: in segments of that length. */
	arrival send(const bytes &frame, uint16_t cut = 2000)
	{
		rte_mbuf *first = nullptr;
		for (size_t at = 0; at < frame.size() || first == nullptr; at += cut) {
			rte_mbuf *part = rte_pktmbuf_alloc(port_.pool());
			const auto n =
				static_cast<uint16_t>(std::min<size_t>(cut, frame.size() - at));
			std::copy_n(frame.begin() + static_cast<long>(at), n,
				    rte_pktmbuf_append(part, n));
			if (first == nullptr)
				first = part;
			else
				rte_pktmbuf_chain(first, part);
		}
		return send(first);
	}
	arrival send(rte_mbuf *frame)
	{
		if (rte_eth_tx_burst(port_.id(), 0, &frame, 1) != 1) {
			rte_pktmbuf_free(frame);
			return {};
		}
		arrival out;
		for (uint16_t ring = 0; ring < rings; ring++) {
			if (!rxd::dd::is_set(guest_.rx_status(next_[ring], ring)))
				continue;
			out = read(ring);
			post(ring);
		}
		return out;
	}

private:
	arrival read(uint16_t ring)
	{
		const iavf::rx_descriptor &got = guest_.rx_at(next_[ring], ring);
		if (format_ == iavf::rxdid::flexible_ovs)
			return {ring, (got.qword1 >> 12 & 1) != 0,
				static_cast<uint32_t>(got.qword3)};
		if (format_ == iavf::rxdid::flexible_nic)
			return {ring, (got.qword1 >> 12 & 1) != 0,
				static_cast<uint32_t>(got.qword1 >> 32)};
		return {ring, (got.qword1 >> 12 & 3) == 3, static_cast<uint32_t>(got.qword0 >> 32),
			rxd::length::get(got.qword1), got.qword0 >> 16 & 0xffff};
	}
	void post(uint16_t ring)
	{
		next_[ring] = guest_.post_rx(buffer(ring), ring);
		guest_.ring_rx(ring);
	}

	fake_guest &guest_;
	fake_port &port_;
	uint8_t format_;
	uint16_t next_[rings];
};

bool
is(const watcher::arrival &got, uint32_t hash)
{
	if (got.ring == static_cast<int>(hash % 64 % rings) && got.hashed && got.hash == hash)
		return true;
	printf("ring %d, %s hash 0x%x instead of 0x%x\n", got.ring, got.hashed ? "a" : "no",
	       got.hash, hash);
	return false;
}

bool
is_plain(const watcher::arrival &got)
{
	return got.ring == 0 && !got.hashed && got.hash == 0;
}

/** The published verification suite: the hash of the addresses, and of all four. */
const struct {
	const char *source, *destination;
	uint16_t source_port, destination_port;
	uint32_t by_addresses, by_all;
} published[] = {
	{"42 09 95 bb", "a1 8e 64 50", 2794, 1766, 0x323e8fc2, 0x51ccc178},
	{"c7 5c 6f 02", "41 45 8c 53", 14230, 4739, 0xd718262a, 0xc626b0ea},
	{"18 13 c6 5f", "0c 16 cf b8", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
	{"26 1b cd 1e", "d1 8e a3 06", 48228, 2217, 0x82989176, 0xafc7327f},
	{"99 27 a3 bf", "ca bc 7f 02", 44251, 1303, 0x5d1809c5, 0x10e828a2},
	{"3ffe25010200 1fff 0000 0000 0000 0007", "3ffe25010200 0003 0000 0000 0000 0001", 2794,
	 1766, 0x2cc18cd5, 0x40207d3d},
	{"3ffe05010008 0000 0260 97ff fe40 efab", "ff0200000000 0000 0000 0000 0000 0001", 14230,
	 4739, 0x0f0c461c, 0xdde51bbf},
	{"3ffe19004545 0003 0200 f8ff fe21 67cf", "fe8000000000 0000 0200 f8ff fe21 67cf", 44251,
	 38024, 0x4b61e985, 0x02d1feef},
};

outcome
the_published_answers_come_out()
{
	for (const uint8_t format : {iavf::rxdid::unset, iavf::rxdid::legacy_32b,
				     iavf::rxdid::flexible_nic, iavf::rxdid::flexible_ovs}) {
		fake_guest guest;
		fake_port port(guest);
		watcher seen(guest, port, format);
		const auto rss = plain_rss(rings);
		push_rss(guest, &rss);
		for (const auto &one : published) {
			flow packet{hex(one.source), hex(one.destination), one.source_port,
				    one.destination_port};
			for (const uint8_t protocol : {6, 17, 132}) {
				packet.protocol = protocol;
				CHECK(is(seen.send(packet.frame()), one.by_all));
			}
			packet.protocol = 47;
			CHECK(is(seen.send(packet.frame()), one.by_addresses));
		}
		CHECK(port.complete());
	}
	return success;
}

/** With and without the instruction for products. */
outcome
both_ways_to_hash_are_right()
{
	std::mt19937 random(2);
	for (int round = 0; round < 50; round++) {
		uint8_t key[RTE_EMUDEV_NET_RSS_KEY_SIZE];
		for (uint8_t &byte : key)
			byte = static_cast<uint8_t>(random());
		const iavf_be::toeplitz hashes(key);
		for (size_t length = 1; length <= iavf_be::toeplitz::longest; length++) {
			/* Nothing is read beyond. */
			std::unique_ptr<uint8_t[]> input(new uint8_t[length]);
			for (size_t i = 0; i < length; i++)
				input[i] = static_cast<uint8_t>(random());
			const uint32_t want =
				reference(key, bytes(input.get(), input.get() + length));
			CHECK_EQ(hashes.hash(input.get(), length), want);
			CHECK_EQ(hashes.hash_by_tables(input.get(), length), want);
		}
	}
	return success;
}

/** However a packet lies in its mbuf, and whatever is before the ports. */
outcome
the_hash_is_that_of_the_headers()
{
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
	watcher seen(guest, port);
	auto rss = plain_rss(rings);
	std::mt19937 random(1);
	for (uint8_t &byte : rss.key)
		byte = static_cast<uint8_t>(random());
	push_rss(guest, &rss);
	const bytes vlan = hex("8100 2005"), two = hex("88a8 0007 8100 0009");
	const bytes extensions = hex("2b00 000000000000 3c00 000000000000 11 01") + bytes(14);
	for (int i = 0; i < 200; i++) {
		flow packet{bytes(i % 2 == 0 ? 4 : 16), bytes(i % 2 == 0 ? 4 : 16),
			    static_cast<uint16_t>(random()), static_cast<uint16_t>(random())};
		for (auto *part : {&packet.source, &packet.destination})
			for (uint8_t &byte : *part)
				byte = static_cast<uint8_t>(random());
		packet.tags = i % 3 == 0 ? bytes{} : i % 3 == 1 ? vlan : two;
		if (i % 5 == 0 && i % 2 == 0)
			packet.options = bytes(random() % 11 * 4, 1);
		else if (i % 5 == 0)
			packet.options = extensions; /* options, routing, options */
		const auto cut = static_cast<uint16_t>(i % 4 == 0 ? 2000 : 6 + random() % 70);
		CHECK(is(seen.send(packet.frame(), cut), reference(rss.key, packet.all())),
		      "%d, cut at %u", i, cut);
		packet.options.clear();
		packet.protocol = 1;
		CHECK(is(seen.send(packet.frame(), cut), reference(rss.key, packet.addresses())));
		/* The first fragment goes where the others go. */
		if (i % 2 == 0) {
			packet.protocol = 17;
			packet.fragment = i % 4 == 0 ? 0x2000 : 0x0010;
		} else {
			packet.first = 44;
			packet.options = hex("1100 0001 0000abcd");
		}
		CHECK(is(seen.send(packet.frame(), cut), reference(rss.key, packet.addresses())));
	}
	CHECK(port.complete());
	return success;
}

outcome
a_packet_is_hashed_and_its_tag_is_taken()
{
	fake_guest guest;
	fake_port port(guest);
	watcher seen(guest, port);
	const auto rss = plain_rss(rings);
	flow packet{hex("0a000001"), hex("0a000002")};
	packet.tags = hex("8100 2005");
	const size_t length = packet.frame().size();
	for (const bool strips : {false, true}) {
		push_rss(guest, &rss, {.strip_outer = static_cast<uint16_t>(strips ? 0x8100 : 0)});
		const auto got = seen.send(packet.frame());
		CHECK(is(got, reference(rss.key, packet.all())));
		CHECK_EQ(got.length, length - (strips ? 4 : 0));
		CHECK_EQ(got.tag, strips ? 0x2005 : 0);
	}
	return success;
}

/** What the application wants to have segmented leaves lengths open, and comes as several. */
outcome
requests_are_hashed_too()
{
	fake_guest guest;
	fake_port port(guest,
		       {.tx_offloads = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
				       RTE_ETH_TX_OFFLOAD_IPV4_CKSUM});
	const packet shape{.payload = 1000};
	const auto rss = plain_rss(rings);
	rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
	shape.write(reinterpret_cast<uint8_t *>(
			    rte_pktmbuf_append(frame, static_cast<uint16_t>(shape.length()))),
		    true);
	const auto *l3 = rte_pktmbuf_mtod_offset(frame, const uint8_t *, RTE_ETHER_HDR_LEN);
	const uint32_t hash = reference(
		rss.key, bytes(l3 + 12, l3 + 20) + bytes(l3 + shape.l3(), l3 + shape.l3() + 4));
	const auto ring = static_cast<uint16_t>(hash % 64 % rings);
	for (uint16_t i = 0; i < rings; i++)
		guest.enable(to, i);
	push_rss(guest, &rss);
	for (int i = 0; i < 4; i++)
		guest.post_rx(buffer(static_cast<unsigned int>(i)), ring);
	guest.ring_rx(ring);
	frame->ol_flags = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	frame->l2_len = RTE_ETHER_HDR_LEN;
	frame->l3_len = shape.l3();
	frame->l4_len = shape.l4();
	frame->tso_segsz = 300;
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
	for (uint16_t i = 0; i < 4; i++) {
		CHECK(rxd::dd::is_set(guest.rx_status(i, ring)));
		CHECK_EQ(rxd::fltstat::get(guest.rx_status(i, ring)), 3);
		CHECK_EQ(guest.rx_at(i, ring).qword0 >> 32, hash);
	}
	CHECK(port.complete());
	return success;
}

outcome
the_rest_goes_where_the_first_entry_says()
{
	fake_guest guest;
	fake_port port(guest);
	watcher seen(guest, port);
	auto rss = plain_rss(rings);
	push_rss(guest, &rss);
	const flow v4{hex("0a000001"), hex("0a000002")};
	const flow v6{bytes(16, 1), bytes(16, 2), 1, 2, 6};
	for (const char *type : {"0806", "88cc", "88f7", "8864", "0000", "05dc"})
		CHECK(is_plain(seen.send(v4.macs() + hex(type) + bytes(50, 0x45))));
	/* Headers that contradict their type, or that end early. Nothing is read beyond. */
	for (const flow &whole : {v4, v6}) {
		const bytes frame = whole.frame();
		const size_t l4 = frame.size() - 28;
		for (size_t length = 14; length < frame.size(); length++) {
			const bytes part(frame.begin(), frame.begin() + static_cast<long>(length));
			const auto got = seen.send(part, length % 2 == 0 ? 2000 : 7);
			if (length < l4)
				CHECK(is_plain(got), "%zu bytes", length);
			else
				CHECK(is(got, reference(rss.key, length < l4 + 4 ? whole.addresses()
										 : whole.all())));
		}
		bytes other = frame;
		other[14] ^= 0x20;
		CHECK(is_plain(seen.send(other)));
	}
	bytes short_header = v4.frame();
	short_header[14] = 0x44;
	CHECK(is_plain(seen.send(short_header)));
	/* Extension headers that go on beyond the frame. */
	flow endless = v6;
	endless.options = hex("00ff 000000000000");
	CHECK(is(seen.send(endless.frame()), reference(rss.key, endless.addresses())));
	/* A type of packet that is not hashed. */
	rss.fields[RTE_EMUDEV_NET_RSS_IPV4_UDP] = 0;
	rss.lut[0] = 2;
	push_rss(guest, &rss);
	const auto got = seen.send(v4.frame());
	CHECK_EQ(got.ring, 2);
	CHECK(!got.hashed);
	CHECK_EQ(seen.send(v4.macs() + hex("0806") + bytes(50)).ring, 2);
	CHECK(is(seen.send(v6.frame()), reference(rss.key, v6.all())));
	CHECK(port.complete());
	return success;
}

bytes
mixed(const bytes &a, const bytes &b)
{
	bytes out(a.size());
	for (size_t i = 0; i < a.size(); i++)
		out[i] = a[i] ^ b[i];
	return out + out;
}

outcome
the_guest_says_what_is_hashed()
{
	fake_guest guest;
	fake_port port(guest);
	watcher seen(guest, port);
	auto rss = plain_rss(rings);
	for (size_t i = 0; i < sizeof(rss.key); i++)
		rss.key[i] = static_cast<uint8_t>(i * 37 + 5);
	const flow v4{hex("0a000001"), hex("0a1000ff"), 1234, 80, 6, hex("88a8 e123 8100 6456")};
	const flow v6{hex("20010db8000000010000000000000001"),
		      hex("20010db8000000020000000000000099"), 999, 443};
	const auto hashes = [&](const flow &what, uint16_t fields, const bytes &input) {
		std::ranges::fill(rss.fields, fields);
		push_rss(guest, &rss);
		return is(seen.send(what.frame()), reference(rss.key, input));
	};
	const bytes v4_ports = word(1234) + word(80);
	CHECK(hashes(v4, addresses, v4.addresses()));
	CHECK(hashes(v4, RTE_EMUDEV_NET_RSS_SRC_ADDRESS, v4.source));
	CHECK(hashes(v4, RTE_EMUDEV_NET_RSS_DST_ADDRESS, v4.destination));
	CHECK(hashes(v4, ports, v4_ports));
	CHECK(hashes(v4, RTE_EMUDEV_NET_RSS_DST_PORT, word(80)));
	CHECK(hashes(v4, RTE_EMUDEV_NET_RSS_DST_ADDRESS | RTE_EMUDEV_NET_RSS_SRC_PORT,
		     v4.destination + word(1234)));
	CHECK(hashes(v4,
		     RTE_EMUDEV_NET_RSS_ETH_SRC | RTE_EMUDEV_NET_RSS_ETH_DST |
			     RTE_EMUDEV_NET_RSS_OUTER_VLAN | RTE_EMUDEV_NET_RSS_VLAN | addresses |
			     ports,
		     hex("020000000002 020000000001 0123 0456") + v4.all()));
	CHECK(hashes(v6,
		     RTE_EMUDEV_NET_RSS_VLAN | RTE_EMUDEV_NET_RSS_SRC_PREFIX |
			     RTE_EMUDEV_NET_RSS_DST_PREFIX,
		     hex("20010db800000001 20010db800000002")));
	/* Both directions of a flow. */
	const uint16_t both_ways = RTE_EMUDEV_NET_RSS_SYMMETRIC | addresses | ports;
	const bytes one_hash = mixed(v6.source, v6.destination) + mixed(word(999), word(443));
	const flow back{v6.destination, v6.source, 443, 999};
	CHECK(hashes(v6, both_ways, one_hash));
	CHECK(hashes(back, both_ways, one_hash));
	CHECK(hashes(back, RTE_EMUDEV_NET_RSS_SYMMETRIC | RTE_EMUDEV_NET_RSS_SRC_ADDRESS,
		     back.source));
	/* All fields that there are, behind one another beyond the end of the key. */
	flow fragment = v6;
	fragment.tags = v4.tags;
	fragment.first = 44;
	fragment.options = hex("1100 0001 0000abcd");
	CHECK(hashes(fragment, 0x7fff,
		     hex("020000000002 020000000001 0123 0456") + fragment.addresses() +
			     hex("0000abcd")));
	/* Fields that a packet does not have. */
	std::ranges::fill(rss.fields, uint16_t{RTE_EMUDEV_NET_RSS_FRAGMENT_ID});
	push_rss(guest, &rss);
	CHECK(is_plain(seen.send(v6.frame())));
	return success;
}

outcome
the_function_may_be_exclusive_or()
{
	fake_guest guest;
	fake_port port(guest);
	watcher seen(guest, port);
	auto rss = plain_rss(rings);
	rss.function = RTE_EMUDEV_NET_RSS_XOR;
	push_rss(guest, &rss);
	const flow udp{hex("0a000001"), hex("c0a80105"), 0x1234, 0x5678};
	CHECK(is(seen.send(udp.frame()), 0x0a000001 ^ 0xc0a80105 ^ 0x12345678));
	flow other = udp;
	other.protocol = 1;
	CHECK(is(seen.send(other.frame()), 0x0a000001 ^ 0xc0a80105));
	std::ranges::fill(rss.fields, uint16_t{RTE_EMUDEV_NET_RSS_SRC_PORT});
	push_rss(guest, &rss);
	CHECK(is(seen.send(udp.frame()), 0x12340000));
	return success;
}

/** Tables of any size, and such as a provider should not push. */
outcome
odd_tables_do_no_harm()
{
	fake_guest guest;
	fake_port port(guest);
	watcher seen(guest, port);
	auto rss = plain_rss(rings);
	const flow udp{hex("0a000001"), hex("0a000002")};
	const uint32_t hash = reference(rss.key, udp.all());
	for (const uint16_t size : {0, 1, 2, 63, 64, 512, 513, 0xffff}) {
		rss.lut_size = size;
		for (uint16_t i = 0; i < RTE_EMUDEV_NET_RSS_MAX_LUT; i++)
			rss.lut[i] = i / 128;
		push_rss(guest, &rss);
		const auto got = seen.send(udp.frame());
		const uint32_t entries = size == 0 || size == 63 ? size / 2 + 1 : size;
		const uint32_t used = std::min(entries, 512u);
		CHECK_EQ(got.ring, static_cast<int>(hash % used / 128));
		CHECK(got.hashed && got.hash == hash);
	}
	std::ranges::fill(rss.lut, uint16_t{0xffff});
	push_rss(guest, &rss);
	CHECK(seen.send(udp.frame()).ring >= 0);
	return success;
}

outcome
who_steers_is_an_argument()
{
	const flow udp{hex("0a000001"), hex("0a000005")};
	const auto rss = plain_rss(rings);
	const uint32_t hash = reference(rss.key, udp.all());
	const auto by_hash = static_cast<int>(hash % 64 % rings);
	CHECK(by_hash != 0);
	const struct {
		const char *argument;
		uint16_t queues;
		bool by_rss;
	} rows[] = {
		{"", 1, true},
		{"", 3, true},
		{"", 4, false},
		{",steering=rss", 4, true},
		{",steering=queue", 1, false},
	};
	for (const auto &row : rows) {
		fake_guest guest;
		fake_port port(
			guest,
			{.rx_queues = row.queues, .tx_queues = row.queues, .more = row.argument});
		CHECK(port.ok());
		watcher seen(guest, port);
		push_rss(guest, &rss);
		const auto got = seen.send(udp.frame());
		CHECK_EQ(got.ring, row.by_rss ? by_hash : 0);
		CHECK_EQ(got.hashed, row.by_rss);
		CHECK_EQ(dump_of(port).find("chosen") != std::string::npos, row.by_rss);
		/* The guest uses no more queues than the application. */
		for (uint16_t ring = row.queues; ring < rings; ring++)
			guest.disable(to, ring);
		const auto fewer = seen.send(udp.frame());
		CHECK_EQ(fewer.hashed, *row.argument != 0 && row.by_rss);
		CHECK_EQ(port.stats().opackets, 2);
	}
	fake_guest guest;
	for (const char *bad :
	     {"emu=fake,steering=", "emu=fake,steering=hash", "emu=fake,steering=rss,steering=rss"})
		CHECK(rte_vdev_init("net_iavf_be_t", bad) != 0, "%s", bad);
	return success;
}

constexpr test_case cases[] = {
	{"the published answers of RSS come out", the_published_answers_come_out},
	{"both ways to hash are right", both_ways_to_hash_are_right},
	{"the hash is that of the headers", the_hash_is_that_of_the_headers},
	{"a packet is hashed and its tag is taken", a_packet_is_hashed_and_its_tag_is_taken},
	{"requests are hashed, too", requests_are_hashed_too},
	{"the rest goes where the first entry says", the_rest_goes_where_the_first_entry_says},
	{"the guest says what is hashed", the_guest_says_what_is_hashed},
	{"the function may be exclusive or", the_function_may_be_exclusive_or},
	{"odd tables do no harm", odd_tables_do_no_harm},
	{"who steers is an argument", who_steers_is_an_argument},
};

} // namespace

constinit const case_table test::port_suite::rss_cases = cases;
