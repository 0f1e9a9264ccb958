/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include <rte_net.h>

#include "fixture.hpp"
#include "sums.hpp"

/* What the application gets of the guest's requests instead of having them carried out. */

using namespace test;
using namespace test::port_suite;

namespace {

using bytes = std::vector<uint8_t>;

constexpr uint64_t lro = RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_SCATTER;
constexpr uint64_t sums = RTE_ETH_RX_OFFLOAD_CHECKSUM;
constexpr uint64_t rx_flags =
	RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_LRO;

/** What a mbuf says, and its frame. */
struct handed {
	bytes data;
	uint64_t flags;
	uint16_t l2, l3, l4, segment;
	uint32_t type;
	uint16_t parts;
	bool for_intel; /**< As ports of Intel's NICs take it. */

	bool large() const { return (flags & RTE_MBUF_F_TX_TCP_SEG) != 0; }
};

uint16_t
be16(const bytes &from, size_t at)
{
	return static_cast<uint16_t>(from[at] << 8 | from[at + 1]);
}

void
put16(bytes &to, size_t at, uint16_t value)
{
	to[at] = static_cast<uint8_t>(value >> 8);
	to[at + 1] = static_cast<uint8_t>(value);
}

/** Whether what DPDK's drivers for Intel's NICs do first with a mbuf changes nothing but the
 * checksum of IPv4, which they clear, and a sum that is zero in its other form. */
bool
is_for_intel(rte_mbuf *frame)
{
	bytes before = bytes_of(frame);
	if (rte_validate_tx_offload(frame) != 0 || rte_net_intel_cksum_prepare(frame) != 0)
		return false;
	bytes after = bytes_of(frame);
	const size_t ip = frame->l2_len;
	const bool udp = (frame->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
	const size_t sum = ip + frame->l3_len + (udp ? 6 : 16);
	for (bytes *each : {&before, &after}) {
		if ((frame->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0)
			put16(*each, ip + 10, 0);
		put16(*each, sum, be16(*each, sum) % 0xffff);
	}
	return before == after;
}

handed
take(rte_mbuf *frame)
{
	handed out{bytes_of(frame),
		   frame->ol_flags,
		   static_cast<uint16_t>(frame->l2_len),
		   static_cast<uint16_t>(frame->l3_len),
		   static_cast<uint16_t>(frame->l4_len),
		   static_cast<uint16_t>(frame->tso_segsz),
		   frame->packet_type,
		   frame->nb_segs,
		   false};
	out.for_intel = (frame->ol_flags & RTE_MBUF_F_TX_L4_MASK) == 0 || is_for_intel(frame);
	rte_pktmbuf_free(frame);
	return out;
}

std::vector<handed>
take_all(fake_port &port)
{
	std::vector<handed> out;
	for (auto burst = port.receive(); !burst.empty(); burst = port.receive())
		for (rte_mbuf *frame : burst)
			out.push_back(take(frame));
	return out;
}

bool
is_v4(const handed &from)
{
	return (from.flags & RTE_MBUF_F_TX_IPV4) != 0;
}

/** The sum of the pseudo header, with or without the length. */
uint16_t
pseudo(const handed &from, const bytes &frame, bool with_length)
{
	const bool v4 = is_v4(from);
	const uint8_t *ip = frame.data() + from.l2;
	byte_sum sum;

	sum.add(v4 ? ip + 12 : ip + 8, v4 ? 8 : 32);
	sum.add(uint16_t{(from.flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM
				 ? uint8_t{17}
				 : uint8_t{6}});
	if (with_length)
		sum.add(static_cast<uint16_t>(frame.size() - from.l2 - from.l3));
	return sum.get();
}

/** A port that is told to send the frame inserts its checksums. */
void
insert_sums(const handed &from, bytes &frame)
{
	const bool udp = (from.flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
	const size_t l4 = from.l2 + from.l3, at = l4 + (udp ? 6 : 16);

	if ((from.flags & RTE_MBUF_F_TX_IP_CKSUM) != 0) {
		put16(frame, from.l2 + 10, 0);
		const uint16_t sum = byte_sum().add(frame.data() + from.l2, from.l3).get();
		put16(frame, from.l2 + 10, static_cast<uint16_t>(~sum));
	}
	put16(frame, at, 0);
	byte_sum sum;
	sum.add(pseudo(from, frame, true)).add(frame.data() + l4, frame.size() - l4);
	const auto value = static_cast<uint16_t>(~sum.get());
	put16(frame, at, udp && value == 0 ? 0xffff : value);
}

/** What a port makes of a frame by its flags and lengths alone. */
std::vector<bytes>
carried_out(const handed &from)
{
	std::vector<bytes> out;
	if (!from.large()) {
		out.push_back(from.data);
		if ((from.flags & RTE_MBUF_F_TX_L4_MASK) != 0)
			insert_sums(from, out[0]);
		return out;
	}
	const size_t ip = from.l2, tcp = ip + from.l3, headers = tcp + from.l4;
	for (size_t done = 0; headers + done < from.data.size(); done += from.segment) {
		const size_t size =
			std::min<size_t>(from.segment, from.data.size() - headers - done);
		bytes one(from.data.begin(), from.data.begin() + static_cast<ptrdiff_t>(headers));
		const auto begin = from.data.begin() + static_cast<ptrdiff_t>(headers + done);
		one.insert(one.end(), begin, begin + static_cast<ptrdiff_t>(size));
		const auto number = static_cast<uint16_t>(done / from.segment);
		if (is_v4(from)) {
			put16(one, ip + 2, static_cast<uint16_t>(one.size() - ip));
			put16(one, ip + 4, static_cast<uint16_t>(be16(one, ip + 4) + number));
		} else {
			put16(one, ip + 4, static_cast<uint16_t>(one.size() - tcp));
		}
		const uint32_t sequence =
			(uint32_t{be16(one, tcp + 4)} << 16 | be16(one, tcp + 6)) +
			static_cast<uint32_t>(done);
		put16(one, tcp + 4, static_cast<uint16_t>(sequence >> 16));
		put16(one, tcp + 6, static_cast<uint16_t>(sequence));
		if (number != 0)
			one[tcp + 13] &= static_cast<uint8_t>(~RTE_TCP_CWR_FLAG);
		if (headers + done + size < from.data.size())
			one[tcp + 13] &=
				static_cast<uint8_t>(~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG));
		insert_sums(from, one);
		out.push_back(std::move(one));
	}
	return out;
}

/** Whether a mbuf is as rte_eth_tx_prepare() leaves it, and its lengths and flags agree. */
bool
is_prepared(const handed &from)
{
	const bool v4 = is_v4(from), udp = from.type >> 8 == RTE_PTYPE_L4_UDP >> 8;
	const size_t at = from.l2 + from.l3 + (udp ? 6 : 16);
	const uint64_t l4 = from.flags & RTE_MBUF_F_TX_L4_MASK;
	const uint64_t l4_wanted = udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	const uint64_t tso = RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_RX_LRO;
	const uint32_t l3_type = v4 ? RTE_PTYPE_L3_IPV4 : RTE_PTYPE_L3_IPV6;

	return from.for_intel && l4 == l4_wanted && (from.type & RTE_PTYPE_L3_MASK) == l3_type &&
	       (from.type & RTE_PTYPE_L4_MASK) == (udp ? RTE_PTYPE_L4_UDP : RTE_PTYPE_L4_TCP) &&
	       be16(from.data, at) % 0xffff == pseudo(from, from.data, !from.large()) % 0xffff &&
	       (from.flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE &&
	       ((from.flags & tso) == 0 || (from.flags & tso) == tso) &&
	       /* rte_validate_tx_offload() wants it so. */
	       (from.large() && v4) == ((from.flags & RTE_MBUF_F_TX_IP_CKSUM) != 0) &&
	       (!v4 || (from.flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD);
}

/** One request of the guest, and what becomes of it. */
struct request {
	packet p;
	uint32_t mss = 0;
	unsigned int tags = 0; /**< In the frame. */
	std::vector<bytes> frames;

	uint32_t l2() const { return RTE_ETHER_HDR_LEN + tags * 4; }
	uint32_t headers() const { return p.headers() + tags * 4; }
	uint32_t length() const { return headers() + p.payload; }
	uint64_t command() const
	{
		return txd::maclen::set(p.v6 ? p.command() : txd::iipt::set(p.command(), 3),
					l2() / 2);
	}
	/** Writes the frame, with random content, where it is sent from. */
	void write(fake_guest &guest, std::mt19937 &random) const
	{
		uint8_t *data = guest.at(buffer(0));
		p.write(data + tags * 4, mss != 0);
		memmove(data, data + tags * 4, 12);
		for (unsigned int i = 0; i < tags; i++) {
			const uint8_t tag[] = {0x81, 0, 0x20, static_cast<uint8_t>(i + 1)};
			std::copy_n(tag, 4, data + 12 + i * 4);
		}
		std::generate(data + headers(), data + length(), [&] { return random(); });
	}
	void post(fake_guest &guest, std::mt19937 &random) const
	{
		write(guest, random);
		if (mss != 0)
			guest.post(0, context(p.payload, mss));
		uint32_t done = 0;
		for (uint32_t left = mss == 0 ? 30 : 50; done < length(); left--) {
			uint32_t piece = std::min(length() - done, iavf::max_buffer_length);
			if (left > 20)
				piece = 1 + random() % piece;
			done += piece;
			guest.post_data(buffer(0) + done - piece, piece, done == length(),
					command());
		}
		guest.ring_tx();
	}

	/** Whether the frames are what the request asks for. */
	bool is_carried_out(fake_guest &guest) const
	{
		const uint8_t *data = guest.at(buffer(0));
		uint32_t sent = 0;
		uint16_t number = 0;
		for (const bytes &frame : frames) {
			const uint32_t size = static_cast<uint32_t>(frame.size()) - headers();
			if (size != (mss == 0 ? p.payload : std::min(mss, p.payload - sent)) ||
			    !std::equal(data, data + l2(), frame.begin()) ||
			    !std::equal(frame.begin() + headers(), frame.end(),
					data + headers() + sent) ||
			    !headers_are_right(frame, sent, number))
				return false;
			sent += size;
			number++;
		}
		return sent == p.payload && !frames.empty();
	}

private:
	bool headers_are_right(bytes frame, uint32_t sent, uint16_t number) const
	{
		const size_t ip = l2(), l4 = ip + p.l3();
		const size_t length_at = p.v6 ? ip + 4 : ip + 2;
		if (be16(frame, length_at) != frame.size() - (p.v6 ? l4 : ip))
			return false;
		if (!p.v6 && be16(frame, ip + 4) != static_cast<uint16_t>(0xfffe + number))
			return false;
		if (!p.udp) {
			const uint32_t sequence =
				uint32_t{be16(frame, l4 + 4)} << 16 | be16(frame, l4 + 6);
			const bool last = sent + frame.size() - headers() == p.payload;
			const uint8_t flags = RTE_TCP_ACK_FLAG |
					      (number == 0 ? RTE_TCP_CWR_FLAG : 0) |
					      (last ? RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG : 0);
			if (sequence != 0xfffffff0 + sent || frame[l4 + 13] != flags)
				return false;
		}
		frame.erase(frame.begin() + 12, frame.begin() + 12 + tags * 4);
		return checksums_are_right(p, frame);
	}
};

request
random_request(std::mt19937 &random, bool always_tso = false)
{
	request out;
	out.p.v6 = random() % 2 != 0;
	out.p.udp = !always_tso && random() % 3 == 0;
	out.tags = random() % 3;
	if (always_tso || (!out.p.udp && random() % 2 != 0)) {
		out.mss = 64 + random() % 1370;
		out.p.payload = 1 + random() % 60000;
	} else {
		out.p.payload = random() % 1400;
	}
	return out;
}

fake_port::options
options(uint64_t offloads, uint16_t room = 2048)
{
	return {.rx_offloads = offloads, .mbufs = 1024, .room = room};
}

outcome
bad_requests_are_dropped()
{
	fake_guest guest;
	fake_port port(guest, options(lro | sums));
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	const packet tcp{.payload = 4000};
	const uint64_t command = txd::iipt::set(tcp.command(), 3);
	uint64_t drops = 0;
	const struct {
		uint64_t context, command;
	} requests[] = {
		{context(4000, 0), command},
		{context(4000, 1), command},
		{context(4000, 63), command},
		{context(0, 100), command},
		{context(3999, 100), command},
		{context(0x3ffff, 100), command},
		{context(4000, 100), txd::maclen::set(command, 127)},
		{context(4000, 100), txd::maclen::set(command, 8)},
		{context(4000, 100), txd::iplen::set(command, 127)},
		{context(4000, 100), txd::iplen::set(command, 0)},
		{context(4000, 100), txd::l4len::set(command, 15)},
		{context(4000, 100), txd::l4len::set(command, 4)},
		{context(4000, 100), txd::iipt::set(command, 1)},
		{context(4000, 100), txd::iipt::set(command, 0)},
	};
	for (const auto &r : requests) {
		tcp.write(guest.at(buffer(0)), true);
		guest.post(0, r.context);
		const uint16_t bad = guest.post_data(buffer(0), tcp.length(), true, r.command);
		CHECK(only_good_comes(guest, port, "rx_bad_offload_errors", ++drops),
		      "request %llu", static_cast<unsigned long long>(drops));
		CHECK(guest.tx_done(bad));
	}
	/* Segments for which the MTU is too small. */
	tcp.write(guest.at(buffer(0)), true);
	guest.post(0, context(4000, 1500));
	guest.post_data(buffer(0), tcp.length(), true, command);
	CHECK(only_good_comes(guest, port, "rx_oversize_errors", 1));
	/* Memory that is not there, far behind. */
	guest.post(0, context(4000, 1000));
	guest.post_data(buffer(0), tcp.length() - 1, false, command);
	guest.post_data(fake_memory::hole, 1, true, command);
	CHECK(only_good_comes(guest, port, "rx_unmapped_errors", 1));
	return success;
}

/** More descriptors than any driver uses, and as many as stock ones do. */
outcome
requests_have_many_descriptors()
{
	fake_guest guest;
	fake_port port(guest, options(lro));
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	std::mt19937 random(5);
	const request r{.p = {.payload = 2946}, .mss = 1000};
	uint64_t drops = 0;
	for (const uint32_t descriptors : {255u, 256u, 257u, 400u}) {
		r.write(guest, random);
		guest.post(0, context(r.p.payload, r.mss));
		for (uint32_t i = 0; i < descriptors; i++) {
			const uint32_t at = i * 7;
			const bool last = i + 1 == descriptors;
			guest.post_data(buffer(0) + at, last ? r.length() - at : 7, last,
					r.command());
		}
		guest.ring_tx();
		auto got = take_all(port);
		const bool accepted = descriptors <= 256;
		drops += accepted ? 0 : 1;
		CHECK(got.size() == accepted, "%u descriptors: %zu", descriptors, got.size());
		CHECK_EQ(port.xstat("rx_bad_chain_errors"), drops);
	}
	CHECK(goes_on(guest, port));
	CHECK(port.complete());
	return success;
}

/** What others would not read as the guest does is carried out here. */
outcome
illegible_requests_are_carried_out()
{
	constexpr struct {
		size_t at;
		uint8_t with; /**< Changed by these bits. */
		bool v6;
		bool tso_too; /**< Without TSO it is not legible, either. */
	} changes[] = {
		{12, 0x80, false, true},  {13, 0xdd, false, true}, {12, 0x07, true, true},
		{20, 0x20, false, true},  {21, 0x01, false, true}, /* fragments */
		{17, 0x01, false, false}, {19, 0x01, true, false}, /* shorter than the frame */
	};
	fake_guest guest;
	fake_port port(guest, options(lro | sums));
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	std::mt19937 random(6);
	for (const auto &change : changes)
		for (const uint32_t mss : {0u, 1000u}) {
			if (mss != 0 && !change.tso_too)
				continue;
			const request r{.p = {.v6 = change.v6, .payload = mss == 0 ? 1000u : 2500u},
					.mss = mss};
			r.write(guest, random);
			guest.at(buffer(0))[change.at] ^= change.with;
			if (mss != 0)
				guest.post(0, context(r.p.payload, mss));
			guest.post_data(buffer(0), r.length(), true, r.command());
			guest.ring_tx();
			const auto got = take_all(port);
			CHECK_EQ(got.size(), mss == 0 ? 1 : 3);
			for (const handed &one : got)
				CHECK(one.flags == 0 && one.parts == 1, "byte %zu", change.at);
		}
	CHECK(port.complete());
	return success;
}

/** By a port with these options; whether parts are as long as @p longest allows, and no longer. */
outcome
hand_over(const fake_port::options &opt, uint32_t longest, bool partial)
{
	fake_guest guest;
	fake_port port(guest, opt);
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	std::mt19937 random(longest + opt.room);
	for (unsigned int round = 0; round < 300; round++) {
		request r = random_request(random);
		r.post(guest, random);
		const auto got = take_all(port);
		for (size_t i = 0; i < got.size(); i++) {
			const handed &one = got[i];
			CHECK(one.data.size() <= std::max(longest, r.headers() + r.mss));
			CHECK_EQ(one.parts, (one.data.size() + opt.room - 1) / opt.room);
			const bool more = i + 1 < got.size();
			CHECK(!more || one.data.size() + r.mss > longest);
			CHECK_EQ(one.large(), one.data.size() > r.headers() + r.mss && r.mss != 0);
			if (one.large() || partial)
				CHECK(is_prepared(one), "round %u", round);
			else
				CHECK_EQ(one.flags, 0);
			if (one.large())
				CHECK(one.l2 == r.l2() && one.l3 == r.p.l3() &&
				      one.l4 == r.p.l4() && one.segment == r.mss);
			for (bytes &frame : carried_out(one))
				r.frames.push_back(std::move(frame));
		}
		CHECK(r.is_carried_out(guest),
		      "round %u: v6 %d udp %d tags %u payload %u mss %u: %zu", round, r.p.v6,
		      r.p.udp, r.tags, r.p.payload, r.mss, got.size());
	}
	CHECK(port.complete());
	return success;
}

constexpr uint32_t unlimited = UINT16_MAX + 14;

outcome
requests_come_whole()
{
	return hand_over(options(lro), unlimited, false);
}

outcome
requests_come_whole_in_small_mbufs()
{
	return hand_over(options(lro, 1024), unlimited, false);
}

outcome
checksums_are_handed_over_too()
{
	return hand_over(options(lro | sums), unlimited, true);
}

outcome
parts_are_as_long_as_the_application_allows()
{
	auto opt = options(lro);
	opt.max_lro = 9000;
	return hand_over(opt, 9000, false);
}

outcome
parts_fit_one_mbuf_without_scatter()
{
	return hand_over(options(RTE_ETH_RX_OFFLOAD_TCP_LRO, 8000), 8000, false);
}

outcome
an_argument_stands_in_for_lro()
{
	auto opt = options(RTE_ETH_RX_OFFLOAD_SCATTER | sums);
	opt.more = ",tso=1";
	return hand_over(opt, unlimited, true);
}

outcome
arguments_are_checked()
{
	fake_guest guest;
	for (const char *bad : {"emu=fake,tso=2", "emu=fake,tso=", "emu=fake,tso=1,tso=1",
				"emu=fake,lro=2", "emu=fake,lro=", "emu=fake,lro=1,lro=1"})
		CHECK(rte_vdev_init("net_iavf_be_t", bad) != 0, "%s", bad);
	return success;
}

/** Longer than any packet may be: a driver that knows of large packets of IPv6. */
outcome
the_longest_requests_come_in_parts()
{
	fake_guest guest;
	fake_port port(guest, options(lro));
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	std::mt19937 random(8);
	/* Of the second, 58 segments would be a little too long. */
	for (const uint32_t mss : {1428u, 1129u}) {
		request r{.p = {.v6 = true, .payload = 0x3ffff}, .mss = mss};
		r.post(guest, random);
		const auto got = take_all(port);
		CHECK_EQ(got.size(), 5);
		for (const handed &one : got) {
			CHECK(is_prepared(one) && one.large() && one.data.size() <= unlimited);
			for (bytes &frame : carried_out(one))
				r.frames.push_back(std::move(frame));
		}
		CHECK(r.is_carried_out(guest));
	}
	CHECK(port.complete());
	return success;
}

/** Headers and payload lie in pages here and there. */
outcome
requests_lie_in_pages()
{
	fake_guest guest;
	guest.map_pages(fake_guest::page * 64);
	fake_port port(guest, options(lro));
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	const request r{.p = {.payload = 20000}, .mss = 1000};
	bytes frame(r.length() + 100);
	r.p.write(frame.data(), true);
	/* 20 bytes of the headers are in the first page. */
	const uint64_t begin = buffer(1) - 20;
	for (uint32_t i = 0; i < r.length(); i++)
		*guest.at(begin + i) = frame[i];
	guest.post(0, context(r.p.payload, r.mss));
	guest.post_data(begin, 16000, false, r.command());
	guest.post_data(begin + 16000, r.length() - 16000, true, r.command());
	guest.ring_tx();
	const auto got = take_all(port);
	CHECK_EQ(got.size(), 1);
	CHECK(is_prepared(got[0]));
	CHECK(std::equal(got[0].data.begin() + r.headers(), got[0].data.end(),
			 frame.begin() + r.headers()));
	return success;
}

outcome
requests_wait_for_mbufs()
{
	fake_guest guest;
	auto opt = options(lro);
	opt.mbufs = 63;
	fake_port port(guest, opt);
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	std::mt19937 random(9);
	std::vector<rte_mbuf *> held(40);
	CHECK_EQ(rte_pktmbuf_alloc_bulk(port.pool(), held.data(), 40), 0);
	request r{.p = {.payload = 60000}, .mss = 1448};
	r.post(guest, random);
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(rte_mempool_avail_count(port.pool()), 23);
	CHECK(port.stats().rx_nombuf != 0);
	rte_pktmbuf_free_bulk(held.data(), 40);
	for (const handed &one : take_all(port))
		r.frames = carried_out(one);
	CHECK(r.is_carried_out(guest));
	CHECK(port.complete());
	return success;
}

/** Without LRO requests are carried out, and mbufs tell what is known thereby. */
outcome
finished_checksums_are_called_good()
{
	fake_guest guest;
	fake_port port(guest, options(sums | RTE_ETH_RX_OFFLOAD_SCATTER));
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	std::mt19937 random(10);
	for (unsigned int round = 0; round < 300; round++) {
		request r = random_request(random);
		r.post(guest, random);
		for (const handed &one : take_all(port)) {
			const uint64_t ip = r.p.v6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD;
			CHECK_EQ(one.flags, ip | RTE_MBUF_F_RX_L4_CKSUM_GOOD);
			CHECK_EQ(one.type & RTE_PTYPE_L4_MASK,
				 r.p.udp ? RTE_PTYPE_L4_UDP : RTE_PTYPE_L4_TCP);
			CHECK(r.p.v6 ? RTE_ETH_IS_IPV6_HDR(one.type) != 0
				     : RTE_ETH_IS_IPV4_HDR(one.type) != 0);
			r.frames.push_back(one.data);
		}
		CHECK(r.is_carried_out(guest), "round %u", round);
	}
	CHECK(port.complete());
	return success;
}

/** The driver's sum of the pseudo header, and its header, decide: both are the guest's. */
outcome
wrong_checksums_are_not_called_good()
{
	fake_guest guest;
	fake_port port(guest, options(sums | RTE_ETH_RX_OFFLOAD_SCATTER));
	CHECK(port.ok());
	guest.enable(from, 0, 512);
	std::mt19937 random(11);
	for (unsigned int round = 0; round < 200; round++) {
		const request r = random_request(random);
		r.write(guest, random);
		uint8_t *data = guest.at(buffer(0));
		data[r.l2() + r.p.l3() + (r.p.udp ? 6 : 16)] ^= 1;
		if (r.mss != 0)
			guest.post(0, context(r.p.payload, r.mss));
		post_in_pieces(guest, r.length(), r.headers(), r.command(), random);
		for (const handed &one : take_all(port)) {
			CHECK_EQ(one.flags & RTE_MBUF_F_RX_L4_CKSUM_MASK,
				 RTE_MBUF_F_RX_L4_CKSUM_BAD);
			bytes plain = one.data;
			plain.erase(plain.begin() + 12, plain.begin() + 12 + r.tags * 4);
			CHECK(!checksums_are_right(r.p, plain));
		}
	}
	/* The driver does not ask for the checksum of IPv4, and has a wrong one. */
	const packet p{.payload = 100};
	p.write(guest.at(buffer(0)));
	guest.post_data(buffer(0), p.length(), true, p.command());
	guest.ring_tx();
	auto got = take_all(port);
	CHECK_EQ(got.size(), 1);
	CHECK_EQ(got[0].flags, RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_GOOD);
	CHECK(port.complete());
	return success;
}

/** Nobody has checked the others. */
outcome
plain_frames_are_not_called_good()
{
	for (const uint64_t offloads : {sums, lro | sums}) {
		fake_guest guest;
		fake_port port(guest, options(offloads));
		CHECK(port.ok());
		guest.enable(from);
		for (uint8_t i = 0; i < 20; i++) {
			make_frame(guest.at(buffer(i)), 100, i);
			guest.post_data(buffer(i), 100);
		}
		guest.ring_tx();
		const auto got = take_all(port);
		CHECK_EQ(got.size(), 20);
		for (const handed &one : got)
			CHECK_EQ(one.flags & rx_flags, 0);
	}
	return success;
}

constexpr test_case cases[] = {
	{"bad requests are dropped", bad_requests_are_dropped},
	{"requests have many descriptors", requests_have_many_descriptors},
	{"illegible requests are carried out", illegible_requests_are_carried_out},
	{"requests come whole", requests_come_whole},
	{"requests come whole in small mbufs", requests_come_whole_in_small_mbufs},
	{"checksums are handed over, too", checksums_are_handed_over_too},
	{"parts are as long as the application allows",
	 parts_are_as_long_as_the_application_allows},
	{"parts fit one mbuf without scatter", parts_fit_one_mbuf_without_scatter},
	{"an argument stands in for LRO", an_argument_stands_in_for_lro},
	{"arguments are checked", arguments_are_checked},
	{"the longest requests come in parts", the_longest_requests_come_in_parts},
	{"requests lie in pages", requests_lie_in_pages},
	{"requests wait for mbufs", requests_wait_for_mbufs},
	{"finished checksums are called good", finished_checksums_are_called_good},
	{"wrong checksums are not called good", wrong_checksums_are_not_called_good},
	{"plain frames are not called good", plain_frames_are_not_called_good},
};

} // namespace

constinit const case_table test::port_suite::handover_cases = cases;
