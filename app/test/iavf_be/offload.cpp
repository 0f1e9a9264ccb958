/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include "fixture.hpp"
#include "sums.hpp"

/* Checksums and TSO that the guest asks for: hostile requests first. */

using namespace test;
using namespace test::port_suite;

namespace {

const packet plain_tcp{.payload = 400};

template <class field>
uint64_t
replaced(field, uint64_t value)
{
	return field::set(plain_tcp.command(), value);
}

outcome
bad_checksum_requests_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	const packet ipv6{.v6 = true, .payload = 400};
	uint64_t drops = 0;
	const uint64_t commands[] = {
		txd::l4t::of(1),
		replaced(txd::maclen{}, 0),
		replaced(txd::maclen{}, 127),
		replaced(txd::maclen{}, 8),
		replaced(txd::iplen{}, 0),
		replaced(txd::iplen{}, 6),
		replaced(txd::iplen{}, 127),
		replaced(txd::l4len{}, 0),
		replaced(txd::l4t{}, 2),
		replaced(txd::l4t{}, 3),
		replaced(txd::iipt{}, 1),
		ipv6.command(),
	};
	for (const uint64_t command : commands) {
		plain_tcp.write(guest.at(buffer(0)));
		const uint16_t bad = guest.post_data(buffer(0), plain_tcp.length(), true, command);
		CHECK(only_good_comes(guest, port, "rx_bad_offload_errors", ++drops),
		      "command 0x%llx", static_cast<unsigned long long>(command));
		CHECK(guest.tx_done(bad));
	}
	return success;
}

outcome
bad_segmentation_requests_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	const uint64_t good = plain_tcp.command();
	const uint32_t all = plain_tcp.payload;
	uint64_t drops = 0;
	struct {
		uint64_t qword0, context, command;
	} const requests[] = {
		{0, context(all, 0), good},
		{0, context(all, 63), good},
		{0, context(0, 100), good},
		{0, context(all - 1, 100), good},
		{0, context(all + 1, 100), good},
		{0, context(0x3ffff, 100), good},
		{0, context(all, 100), 0},
		{0, context(all, 100), replaced(txd::l4len{}, 15)},
		{0, context(all - 40, 100), replaced(txd::l4len{}, 15)},
		{0, context(all, 100), replaced(txd::l4t{}, 2)},
	};
	for (const auto &r : requests) {
		plain_tcp.write(guest.at(buffer(0)), true);
		guest.post(r.qword0, r.context);
		const uint16_t bad =
			guest.post_data(buffer(0), plain_tcp.length(), true, r.command);
		CHECK(only_good_comes(guest, port, "rx_bad_offload_errors", ++drops),
		      "context 0x%llx", static_cast<unsigned long long>(r.context));
		CHECK(guest.tx_done(bad));
	}
	/* Segments that are longer than the port's MTU allows. */
	const packet large{.payload = 4000};
	large.write(guest.at(buffer(0)), true);
	guest.post(0, context(4000, 3000));
	guest.post_data(buffer(0), large.length(), true, large.command());
	CHECK(only_good_comes(guest, port, "rx_oversize_errors", 1));
	return success;
}

/** What a stock driver may ask for and is not carried out has a name of its own. */
outcome
unsupported_offloads_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	const packet tcp{.payload = 400};
	const uint64_t good = tcp.command();
	struct {
		bool with_context;
		uint64_t qword0, context, command;
	} const requests[] = {
		{false, 0, 0, txd::dummy::mask},
		{false, 0, 0, txd::fcoet::mask},
		{false, 0, 0, good | txd::dummy::mask},
		{true, txc::l4tunt::of(3), 1, good},
		{true, txc::decttl::of(1), 1, good},
		{true, txc::tunnel::of(1u << 31), 1, 0},
		{true, txc::tunnel::of(1u << 24), context(400, 100), good},
		{true, 0, 1 | txc::tsyn::mask, 0},
		{true, 0, context(400, 100) | txc::tsyn::mask, good},
		{true, 0, 1 | 1 << 7, good},
	};
	uint64_t drops = 0;
	for (const auto &r : requests) {
		tcp.write(guest.at(buffer(0)));
		if (r.with_context)
			guest.post(r.qword0, r.context);
		const uint16_t bad = guest.post_data(buffer(0), tcp.length(), true, r.command);
		CHECK(only_good_comes(guest, port, "rx_unsupported_offload_errors", ++drops),
		      "request %llu", static_cast<unsigned long long>(drops));
		CHECK(guest.tx_done(bad));
	}
	CHECK_EQ(port.xstat("rx_bad_offload_errors"), 0);
	CHECK_EQ(port.stats().ierrors, drops);
	return success;
}

outcome
payload_of_tso_may_vanish()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	const packet tcp{.payload = 3000};
	tcp.write(guest.at(buffer(0)), true);
	guest.post(0, context(3000, 1000));
	guest.post_data(buffer(0), 2500, false, tcp.command());
	const uint16_t last =
		guest.post_data(fake_memory::hole, tcp.length() - 2500, true, tcp.command());
	post_good(guest);
	guest.ring_tx();
	/* Two segments are whole, the third is not. */
	CHECK_EQ(port.drain(), 3);
	CHECK_EQ(port.xstat("rx_unmapped_errors"), 1);
	CHECK(guest.tx_done(last));
	CHECK(port.complete());
	return success;
}

outcome
checksums_are_inserted()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000});
	guest.enable(from);
	for (const bool v6 : {false, true})
		for (const bool udp : {false, true})
			for (const uint32_t payload : {0u, 1u, 7u, 1400u, 1401u, 5001u}) {
				const packet p{v6, udp, payload};
				p.write(guest.at(buffer(0)));
				const uint64_t command =
					v6 ? p.command() : txd::iipt::set(p.command(), 3);
				guest.post_data(buffer(0), 100 > p.length() ? p.length() : 100,
						p.length() <= 100, command);
				if (p.length() > 100)
					guest.post_data(buffer(0) + 100, p.length() - 100, true,
							command);
				guest.ring_tx();
				auto frames = port.receive();
				CHECK_EQ(frames.size(), 1);
				CHECK(p.verify(bytes_of(frames[0]), !v6), "v6 %d udp %d payload %u",
				      v6, udp, payload);
				rte_pktmbuf_free(frames[0]);
			}
	return success;
}

/** Sends a frame with random content and takes the frames that come of it. */
std::vector<std::vector<uint8_t>>
sent_with(fake_guest &guest, fake_port &port, const packet &p, uint32_t mss, std::mt19937 &random)
{
	uint8_t *data = guest.at(buffer(0));
	p.write(data, mss != 0);
	std::generate(data + p.headers(), data + p.length(), [&] { return random() | 0x80; });
	if (mss != 0)
		guest.post(0, context(p.payload, mss));
	post_in_pieces(guest, p.length(), p.headers(),
		       p.v6 ? p.command() : txd::iipt::set(p.command(), 3), random);
	auto frames = port.receive();
	std::vector<std::vector<uint8_t>> out;
	for (const rte_mbuf *frame : frames)
		out.push_back(bytes_of(frame));
	rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned int>(frames.size()));
	return out;
}

outcome
checksums_are_right_in_any_segmentation()
{
	std::mt19937 random(22);
	for (const uint16_t room : {1024, 1025, 1151, 1500, 1777, 2047}) {
		fake_guest guest;
		fake_port port(
			guest,
			{.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000, .room = room});
		CHECK(port.ok());
		guest.enable(from);
		for (unsigned int round = 0; round < 400; round++) {
			packet p{.v6 = random() % 2 != 0, .udp = random() % 2 != 0};
			const bool tso = !p.udp && random() % 2 != 0;
			const uint32_t mss = tso ? 1000 + random() % 7900 : 0;
			p.payload = tso ? 1 + random() % 30000 : random() % 8900;
			const auto frames = sent_with(guest, port, p, mss, random);
			CHECK_EQ(frames.size(), tso ? (p.payload + mss - 1) / mss : 1);
			for (const auto &frame : frames)
				CHECK(checksums_are_right(p, frame),
				      "room %u v6 %d udp %d payload %u mss %u", room, p.v6, p.udp,
				      p.payload, mss);
		}
		CHECK(port.complete());
	}
	return success;
}

/** What a frame asks for: nothing, checksums, what cannot be, a tag besides. */
enum class asks { nothing, checksums, nonsense, tag, end };

/** Frames that ask for this and that in turn. */
struct mixed_frames {
	struct row {
		asks what;
		packet form;
	};
	static constexpr uint16_t count = 180;

	std::vector<row> good{};
	uint64_t bad = 0;

	void post(fake_guest &guest, std::mt19937 &random)
	{
		for (uint16_t i = 0; i < count; i++) {
			const auto what = static_cast<asks>(random() % 8 %
							    static_cast<unsigned int>(asks::end));
			const uint32_t longest = random() % 2 != 0 ? 60 : 1400;
			const packet p{random() % 2 != 0, random() % 2 != 0,
				       static_cast<uint32_t>(random() % longest)};
			write(guest.at(buffer(i)), p, random);
			guest.post_data(buffer(i), p.length(), true, command(what, p, random));
			if (what == asks::nonsense)
				bad++;
			else
				good.push_back({what, p});
		}
		guest.ring_tx();
	}
	/** Whether a frame that came out is one that was posted. */
	static bool came_out(const row &sent, rte_mbuf *frame)
	{
		const uint64_t told = frame->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
		const bool plain = sent.what == asks::nothing;
		auto got = bytes_of(frame);

		if (sent.what == asks::tag && !all_tags[0].take_from(got))
			return false;
		return got.size() == sent.form.length() &&
		       (plain || checksums_are_right(sent.form, got)) &&
		       told == (plain ? 0 : RTE_MBUF_F_RX_L4_CKSUM_GOOD);
	}

private:
	/** That of IPv4 is right, whether or not it is asked for. */
	static void write(uint8_t *at, const packet &p, std::mt19937 &random)
	{
		p.write(at);
		std::generate(at + p.headers(), at + p.length(), random);
		if (p.v6)
			return;
		const auto sum = static_cast<uint16_t>(~byte_sum().add(at + 14, 20).get());
		at[24] = static_cast<uint8_t>(sum >> 8);
		at[25] = static_cast<uint8_t>(sum);
	}
	static uint64_t command(asks what, const packet &p, std::mt19937 &random)
	{
		const bool with_ip = !p.v6 && random() % 2 != 0;
		const uint64_t good = with_ip ? txd::iipt::set(p.command(), 3) : p.command();

		switch (what) {
		case asks::nothing:
			return 0;
		case asks::nonsense:
			return txd::l4t::set(good, p.udp ? 1 : 3);
		case asks::tag:
			return good | all_tags[0].command();
		default:
			return good;
		}
	}
};

outcome
requests_go_with_other_frames(const char *more)
{
	std::mt19937 random(8);

	for (unsigned int round = 0; round < 40; round++) {
		fake_guest guest;
		fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM |
						      RTE_ETH_RX_OFFLOAD_SCATTER,
				       .more = more});
		CHECK(port.ok());
		guest.enable(from, 0, 256);
		mixed_frames sent;
		sent.post(guest, random);
		std::vector<rte_mbuf *> frames;
		for (int burst = 0; burst < 20; burst++) {
			const auto some = port.receive(0, 32);
			frames.insert(frames.end(), some.begin(), some.end());
		}
		CHECK_EQ(frames.size(), sent.good.size());
		for (size_t i = 0; i < frames.size(); i++) {
			CHECK(sent.came_out(sent.good[i], frames[i]), "round %u, frame %zu", round,
			      i);
			rte_pktmbuf_free(frames[i]);
		}
		CHECK_EQ(port.xstat("rx_bad_offload_errors"), sent.bad);
		/* What was lent is told of by the next burst. */
		CHECK_EQ(port.drain(), 0);
		for (uint16_t i = 0; i < sent.count; i++)
			CHECK(guest.tx_done(i));
		CHECK(port.complete());
	}
	return success;
}

outcome
checksums_are_inserted_in_bursts()
{
	CHECK_EQ(requests_go_with_other_frames(""), success);
	return requests_go_with_other_frames(",zero-copy=1");
}

outcome
tags_are_inserted()
{
	std::mt19937 random(11);
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000});
	guest.enable(from);
	for (const tag_request &tags : all_tags)
		for (const uint32_t length : {14u, 15u, 60u, 1514u, 2040u, 2044u, 2048u, 5000u})
			for (const uint32_t first : {1u, 11u, 12u, 13u, length}) {
				make_frame(guest.at(buffer(0)), length, 9);
				if (tags.outer)
					guest.post(tags.qword0(), tags.context());
				guest.post_data(buffer(0), std::min(first, length), first >= length,
						tags.command());
				if (first < length)
					guest.post_data(buffer(0) + first, length - first, true,
							tags.command());
				guest.ring_tx();
				auto frames = port.receive();
				CHECK_EQ(frames.size(), 1);
				auto got = bytes_of(frames[0]);
				rte_pktmbuf_free(frames[0]);
				CHECK(tags.take_from(got), "length %u", length);
				CHECK(is_frame(got, length, 9), "length %u", length);
			}
	/* Among frames without, in order. */
	for (uint8_t i = 0; i < 20; i++) {
		make_frame(guest.at(buffer(i)), 100, i);
		guest.post_data(buffer(i), 100, true, i % 3 == 0 ? all_tags[0].command() : 0);
	}
	guest.ring_tx();
	for (uint8_t i = 0; rte_mbuf * frame : port.receive()) {
		auto got = bytes_of(frame);
		rte_pktmbuf_free(frame);
		CHECK(i % 3 != 0 || all_tags[0].take_from(got));
		CHECK(is_frame(got, 100, i));
		i++;
	}
	CHECK(port.complete());
	return success;
}

outcome
tags_join_other_offloads()
{
	std::mt19937 random(12);
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 1500});
	guest.enable(from);
	for (unsigned int round = 0; round < 600; round++) {
		const tag_request &tags = all_tags[random() % 3];
		packet p{.v6 = random() % 2 != 0, .udp = random() % 2 != 0};
		const bool tso = !p.udp && random() % 2 != 0;
		const uint32_t mss = tso ? 64 + random() % 1370 : 0;
		p.payload = tso ? 1 + random() % 40 * mss : random() % 1400;
		uint8_t *data = guest.at(buffer(0));
		p.write(data, tso);
		std::generate(data + p.headers(), data + p.length(), random);
		if (tso || tags.outer)
			guest.post(tags.qword0(),
				   tags.context() | (tso ? context(p.payload, mss) : 1));
		const uint64_t command = p.v6 ? p.command() : txd::iipt::set(p.command(), 3);
		post_in_pieces(guest, p.length(), p.headers(), command | tags.command(), random);
		uint32_t sent = 0;
		for (rte_mbuf *frame : port.receive()) {
			auto got = bytes_of(frame);
			rte_pktmbuf_free(frame);
			CHECK(tags.take_from(got));
			CHECK(checksums_are_right(p, got), "v6 %d udp %d payload %u mss %u", p.v6,
			      p.udp, p.payload, mss);
			CHECK(std::equal(got.begin() + p.headers(), got.end(),
					 data + p.headers() + sent));
			sent += static_cast<uint32_t>(got.size()) - p.headers();
		}
		CHECK_EQ(sent, p.payload);
	}
	CHECK(port.complete());
	return success;
}

/** A frame is as long as it is on the wire, with its tags. */
outcome
tags_count_for_the_longest_frame()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	uint64_t drops = 0;
	for (const tag_request &tags : all_tags) {
		const uint32_t longest = 1522 - (tags.inner && tags.outer ? 8 : 4);
		for (const uint32_t length : {longest, longest + 1, 1522u}) {
			if (tags.outer)
				guest.post(tags.qword0(), tags.context());
			guest.post_data(buffer(0), length, true, tags.command());
			guest.ring_tx();
			CHECK_EQ(port.drain(), length == longest);
		}
		drops += 2;
		CHECK_EQ(port.xstat("rx_oversize_errors"), drops);
		/* Segments. */
		const packet tcp{.payload = 3000};
		const uint32_t most = longest - tcp.headers();
		for (const uint32_t mss : {most, most + 1}) {
			tcp.write(guest.at(buffer(0)), true);
			guest.post(tags.qword0(), tags.context() | context(tcp.payload, mss));
			guest.post_data(buffer(0), tcp.length(), true,
					tcp.command() | tags.command());
			guest.ring_tx();
			CHECK_EQ(port.drain(), mss == most ? 3 : 0);
		}
		CHECK_EQ(port.xstat("rx_oversize_errors"), ++drops);
	}
	CHECK(port.complete());
	return success;
}

/** CRC32c bit by bit, as RFC 9260 has it. */
uint32_t
crc32c(const uint8_t *data, size_t length)
{
	uint32_t crc = ~0u;
	for (size_t i = 0; i < length; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

outcome
sctp_checksum_is_inserted()
{
	fake_guest guest;
	fake_port port(guest,
		       {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_SCTP_CKSUM,
			.mtu = 9000,
			.room = 1151});
	guest.enable(from);
	for (const uint32_t payload : {0u, 5u, 1000u, 6001u}) {
		packet p{.payload = payload};
		const uint32_t l4 = RTE_ETHER_HDR_LEN + p.l3(), length = l4 + 12 + payload;
		uint8_t *data = guest.at(buffer(0));
		p.write(data);
		data[RTE_ETHER_HDR_LEN + offsetof(rte_ipv4_hdr, next_proto_id)] = 132;
		const rte_be16_t ip_length =
			rte_cpu_to_be_16(static_cast<uint16_t>(length - RTE_ETHER_HDR_LEN));
		memcpy(data + RTE_ETHER_HDR_LEN + offsetof(rte_ipv4_hdr, total_length), &ip_length,
		       sizeof(ip_length));
		memset(data + l4 + 8, 0x5a, 4);
		guest.post_data(buffer(0), length, true,
				txd::l4len::set(txd::l4t::set(p.command(), 2), 3));
		guest.ring_tx();
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		auto got = bytes_of(frames[0]);
		CHECK_EQ(frames[0]->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK,
			 RTE_MBUF_F_RX_L4_CKSUM_GOOD);
		CHECK_EQ(frames[0]->packet_type & RTE_PTYPE_L4_MASK, RTE_PTYPE_L4_SCTP);
		rte_pktmbuf_free(frames[0]);
		uint32_t sum;
		memcpy(&sum, got.data() + l4 + 8, sizeof(sum));
		memset(got.data() + l4 + 8, 0, sizeof(sum));
		CHECK_EQ(rte_le_to_cpu_32(sum), crc32c(got.data() + l4, got.size() - l4));
	}
	return success;
}

outcome
tso_makes_frames()
{
	for (const bool v6 : {false, true}) {
		fake_guest guest;
		fake_port port(guest);
		guest.enable(from, 0, 128);
		const packet whole{.v6 = v6, .payload = 60000};
		const uint32_t mss = 1448;
		whole.write(guest.at(buffer(0)), true);
		guest.post(0, context(whole.payload, mss));
		guest.post_data(buffer(0), whole.headers(), false, whole.command());
		uint16_t last = 0;
		for (uint32_t done = 0; done < whole.payload;) {
			const uint32_t piece = std::min(whole.payload - done, 12000u);
			last = guest.post_data(buffer(0) + whole.headers() + done, piece,
					       done + piece == whole.payload, whole.command());
			done += piece;
		}
		guest.ring_tx();
		uint32_t sent = 0;
		for (unsigned int n = 0; sent < whole.payload;) {
			CHECK(!guest.tx_done(last));
			auto frames = port.receive(0, 7);
			CHECK(!frames.empty());
			for (rte_mbuf *frame : frames) {
				const auto got = bytes_of(frame);
				packet one = whole;
				one.payload = static_cast<uint32_t>(got.size()) - whole.headers();
				CHECK_EQ(one.payload, std::min(mss, whole.payload - sent));
				CHECK(one.verify(got, !v6), "segment %u", n);
				const auto *tcp = reinterpret_cast<const rte_tcp_hdr *>(
					got.data() + RTE_ETHER_HDR_LEN + whole.l3());
				CHECK_EQ(rte_be_to_cpu_32(tcp->sent_seq), 0xfffffff0u + sent);
				const bool end = sent + one.payload == whole.payload;
				CHECK_EQ(tcp->tcp_flags,
					 RTE_TCP_ACK_FLAG | (n == 0 ? RTE_TCP_CWR_FLAG : 0) |
						 (end ? RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG : 0));
				if (!v6) {
					const auto *ip = reinterpret_cast<const rte_ipv4_hdr *>(
						got.data() + RTE_ETHER_HDR_LEN);
					CHECK_EQ(rte_be_to_cpu_16(ip->packet_id),
						 (0xfffe + n) & 0xffff);
				}
				CHECK(std::equal(got.begin() + whole.headers(), got.end(),
						 guest.at(buffer(0)) + whole.headers() + sent));
				sent += one.payload;
				n++;
				rte_pktmbuf_free(frame);
			}
		}
		CHECK(guest.tx_done(last));
		CHECK(goes_on(guest, port));
		CHECK(port.complete());
	}
	return success;
}

constexpr test_case cases[] = {
	{"bad checksum requests are dropped", bad_checksum_requests_are_dropped},
	{"bad segmentation requests are dropped", bad_segmentation_requests_are_dropped},
	{"unsupported offloads are dropped under their own name", unsupported_offloads_are_dropped},
	{"the payload of a TSO request may vanish", payload_of_tso_may_vanish},
	{"checksums are inserted", checksums_are_inserted},
	{"checksums are right in any segmentation", checksums_are_right_in_any_segmentation},
	{"VLAN tags are inserted", tags_are_inserted},
	{"VLAN tags join other offloads", tags_join_other_offloads},
	{"VLAN tags count for the longest frame", tags_count_for_the_longest_frame},
	{"checksums are inserted in bursts", checksums_are_inserted_in_bursts},
	{"the checksum of SCTP is inserted", sctp_checksum_is_inserted},
	{"TSO makes frames", tso_makes_frames},
};

} // namespace

constinit const case_table test::port_suite::offload_cases = cases;
