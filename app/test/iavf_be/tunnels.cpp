/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include "fixture.hpp"
#include "sums.hpp"

/* Checksums and segmentation of frames in tunnels, and of UDP: hostile requests first. */

using namespace test;
using namespace test::port_suite;

namespace {

using bytes = std::vector<uint8_t>;
using iavf::tunnel_type;

uint16_t
be16(const uint8_t *at)
{
	return static_cast<uint16_t>(at[0] << 8 | at[1]);
}

uint32_t
be32(const uint8_t *at)
{
	return uint32_t{be16(at)} << 16 | be16(at + 2);
}

void
put16(uint8_t *at, uint16_t value)
{
	at[0] = static_cast<uint8_t>(value >> 8);
	at[1] = static_cast<uint8_t>(value);
}

/** A frame of the guest in a tunnel, and what it asks for. */
struct tunnelled {
	packet inner;
	uint32_t mss = 0;
	tunnel_type type = tunnel_type::udp;
	bool outer_v6 = false;
	bool outer_sum = true; /**< Of IPv4, by the device. */
	bool udp_sum = false;
	bool inner_sum = true;
	bool same_id = false;
	tag_request tags{};
	uint16_t outer_ip = 20; /**< Lengths. */
	uint16_t tunnel = 30;

	static constexpr uint16_t l2 = RTE_ETHER_HDR_LEN;
	uint16_t outer_l4() const { return l2 + outer_ip; }
	uint16_t l3() const { return outer_l4() + tunnel; }
	uint16_t l4() const { return l3() + inner.l3(); }
	uint32_t headers() const { return l4() + inner.l4(); }
	uint32_t length() const { return headers() + inner.payload; }

	uint64_t word() const
	{
		return txc::eipt::of(outer_v6    ? 1
				     : outer_sum ? 3
						 : 2) |
		       txc::eiplen::of(outer_ip / 4u) |
		       txc::l4tunt::of(static_cast<uint64_t>(type)) | txc::natlen::of(tunnel / 2u) |
		       txc::l4t_cs::of(udp_sum) | txc::eip_noinc::of(same_id);
	}
	uint64_t command() const
	{
		if (!inner_sum)
			return txd::maclen::of(l2 / 2);
		return inner.v6 ? inner.command() : txd::iipt::set(inner.command(), 3);
	}
	uint64_t context() const { return mss == 0 ? 1 : port_suite::context(inner.payload, mss); }

	/** As Linux hands it to its driver. */
	bytes make(std::mt19937 &random) const
	{
		bytes frame(length());
		inner.write(frame.data() + l3() - l2, mss != 0);
		std::generate(frame.begin() + headers(), frame.end(), random);
		std::generate(frame.begin(), frame.begin() + l3(), random);
		frame[0] &= 0xfe;
		put16(&frame[12], outer_v6 ? 0x86dd : 0x0800);
		write_outer_ip(frame);
		if (type == tunnel_type::udp)
			write_udp(frame);
		return frame;
	}

	void post(fake_guest &guest, std::mt19937 &random, const bytes &frame) const
	{
		std::copy(frame.begin(), frame.end(), guest.at(buffer(0)));
		guest.post(word() | tags.qword0(), context() | tags.context());
		post_in_pieces(guest, length(), headers(), command() | tags.command(), random);
	}

	/** Whether a frame that came of it, number @p number from byte @p sent on, is right. */
	bool is_right(const bytes &was, const bytes &frame, uint32_t sent, uint16_t number) const
	{
		return outer_is_right(was, frame, number) &&
		       inner_is_right(was, frame, sent, number);
	}

private:
	uint8_t protocol() const
	{
		if (type == tunnel_type::ip)
			return inner.v6 ? 41 : 4;
		return type == tunnel_type::udp ? 17 : 47;
	}
	void write_outer_ip(bytes &frame) const
	{
		uint8_t *ip = &frame[l2];
		const auto size = static_cast<uint16_t>(length() - l2);
		if (outer_v6) {
			ip[0] = 0x60;
			put16(ip + 4, static_cast<uint16_t>(mss != 0 ? 0 : size - 40));
			ip[6] = protocol();
			/* Extension headers: destination options. */
			for (uint16_t at = 40; at < outer_ip; at += 8) {
				ip[at] = ip[6];
				ip[at + 1] = 0;
				ip[6] = 60;
			}
			return;
		}
		ip[0] = static_cast<uint8_t>(0x40 | outer_ip / 4);
		put16(ip + 2, mss != 0 ? 0 : size);
		put16(ip + 4, 0xfff0);
		ip[9] = protocol();
		if (outer_sum)
			return;
		put16(ip + 10, 0);
		put16(ip + 10, static_cast<uint16_t>(~byte_sum().add(ip, outer_ip).get()));
	}
	void write_udp(bytes &frame) const
	{
		uint8_t *udp = &frame[outer_l4()];
		const auto size = static_cast<uint16_t>(length() - outer_l4());
		put16(udp + 4, mss != 0 && udp_sum ? 0 : size);
		put16(udp + 6, udp_sum ? pseudo(frame, mss != 0 ? 0 : size) : 0x1234);
	}
	uint16_t pseudo(const bytes &frame, uint16_t size) const
	{
		const uint8_t *ip = &frame[l2];
		return byte_sum()
			.add(outer_v6 ? ip + 8 : ip + 12, outer_v6 ? 32 : 8)
			.add(17)
			.add(size)
			.get();
	}

	bool outer_is_right(const bytes &was, const bytes &frame, uint16_t number) const
	{
		const uint8_t *ip = &frame[l2], *udp = &frame[outer_l4()];
		const auto size = static_cast<uint16_t>(frame.size() - outer_l4());
		const uint16_t first = be16(&was[l2 + 4]);
		if (outer_v6 ? be16(ip + 4) != size + outer_ip - 40
			     : be16(ip + 2) != size + outer_ip ||
				       byte_sum().add(ip, outer_ip).get() != 0xffff ||
				       be16(ip + 4) != static_cast<uint16_t>(
							       first + (same_id ? 0 : number)))
			return false;
		if (!std::equal(ip + 12, ip + outer_ip, &was[l2 + 12]))
			return false;
		if (type != tunnel_type::udp)
			return std::equal(udp, udp + tunnel, &was[outer_l4()]);
		const uint16_t sum = byte_sum().add(pseudo(frame, size)).add(udp, size).get();
		return be16(udp + 4) == size &&
		       std::equal(udp + 8, udp + tunnel, &was[outer_l4() + 8]) &&
		       (udp_sum ? sum == 0xffff && be16(udp + 6) != 0 : be16(udp + 6) == 0x1234);
	}
	bool inner_is_right(const bytes &was, const bytes &frame, uint32_t sent,
			    uint16_t number) const
	{
		if (!inner_sum)
			return std::equal(was.begin() + l3(), was.end(), frame.begin() + l3());
		bytes plain(frame.begin() + l3() - l2, frame.end());
		const uint8_t *ip = &frame[l3()], *transport = &frame[l4()];
		const size_t size = frame.size() - l4();
		if (inner.v6 ? be16(ip + 4) != size
			     : be16(ip + 2) != size + 20 ||
				       be16(ip + 4) != static_cast<uint16_t>(0xfffe + number))
			return false;
		if (inner.udp ? be16(transport + 4) != size
			      : be32(transport + 4) != 0xfffffff0 + sent)
			return false;
		return checksums_are_right(inner, plain) &&
		       std::equal(frame.begin() + headers(), frame.end(),
				  was.begin() + headers() + sent);
	}
};

tunnelled
random_tunnel(std::mt19937 &random)
{
	tunnelled t;
	t.inner = {.v6 = random() % 2 != 0, .udp = random() % 2 != 0};
	t.type = static_cast<tunnel_type>(random() % 3);
	t.outer_v6 = random() % 2 != 0;
	t.outer_ip = t.outer_v6 ? 40 + random() % 2 * 8 : 20 + random() % 3 * 4;
	t.mss = random() % 2 != 0 ? 64 + random() % 1200 : 0;
	t.outer_sum = t.mss != 0 || random() % 2 != 0;
	t.udp_sum = t.type == tunnel_type::udp && random() % 2 != 0;
	t.inner_sum = t.mss != 0 || random() % 4 != 0;
	t.same_id = random() % 2 != 0;
	t.tags = random_tags_to_insert(random);
	/* With and without a link header in it. */
	t.tunnel = t.type == tunnel_type::udp   ? 8 + 8 + random() % 10 * 2 + 14
		   : t.type == tunnel_type::gre ? 4 + random() % 4 * 4 + random() % 2 * 14
						: 0;
	t.inner.payload = t.mss != 0 ? 1 + random() % 20000 : random() % 1200;
	return t;
}

std::vector<bytes>
received(fake_port &port)
{
	std::vector<bytes> out;
	for (auto burst = port.receive(); !burst.empty(); burst = port.receive())
		for (rte_mbuf *frame : burst) {
			out.push_back(bytes_of(frame));
			rte_pktmbuf_free(frame);
		}
	return out;
}

/** A word with bits of one field changed. */
template <class field>
uint64_t
with(uint64_t word, field, uint64_t value)
{
	return field::set(word, value);
}

outcome
bad_tunnels_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	std::mt19937 random(1);
	tunnelled udp, gre, ip, bare;
	udp.inner = gre.inner = ip.inner = bare.inner = {.payload = 400};
	udp.udp_sum = bare.udp_sum = true;
	bare.inner_sum = false;
	gre.type = tunnel_type::gre;
	gre.tunnel = 8;
	ip.type = tunnel_type::ip;
	ip.tunnel = 0;
	const struct {
		const tunnelled &of;
		uint64_t word;
	} requests[] = {
		{udp, with(udp.word(), txc::eipt{}, 0)},
		{udp, with(udp.word(), txc::eipt{}, 1)},
		{udp, with(udp.word(), txc::eiplen{}, 0)},
		{udp, with(udp.word(), txc::eiplen{}, 4)},
		{udp, with(udp.word(), txc::eiplen{}, 6)},
		{udp, with(udp.word(), txc::eiplen{}, 127)},
		{udp, with(udp.word(), txc::natlen{}, 0)},
		{udp, with(udp.word(), txc::natlen{}, 3)},
		{udp, with(udp.word(), txc::natlen{}, 14)},
		{udp, with(udp.word(), txc::natlen{}, 127)},
		{bare, with(bare.word(), txc::natlen{}, 0)},
		{bare, with(bare.word(), txc::natlen{}, 3)},
		{udp, with(udp.word(), txc::l4tunt{}, 0)},
		{udp, with(udp.word(), txc::l4tunt{}, 2)},
		{gre, with(gre.word(), txc::l4t_cs{}, 1)},
		{gre, with(gre.word(), txc::natlen{}, 1)},
		{gre, with(gre.word(), txc::l4tunt{}, 1)},
		{ip, with(ip.word(), txc::l4t_cs{}, 1)},
		{ip, with(ip.word(), txc::natlen{}, 1)},
		{ip, with(ip.word(), txc::l4tunt{}, 1)},
		{ip, with(ip.word(), txc::l4tunt{}, 2)},
	};
	uint64_t drops = 0;
	for (const uint32_t mss : {0u, 100u})
		for (const auto &r : requests) {
			tunnelled t = r.of;
			t.mss = mss;
			const bytes frame = t.make(random);
			std::copy(frame.begin(), frame.end(), guest.at(buffer(0)));
			guest.post(r.word, t.context());
			guest.post_data(buffer(0), t.length(), true, t.command());
			CHECK(only_good_comes(guest, port, "rx_bad_offload_errors", ++drops),
			      "request %llu", static_cast<unsigned long long>(drops));
		}
	CHECK_EQ(port.xstat("rx_unsupported_offload_errors"), 0);
	return success;
}

/** Headers that are not what the request says. */
outcome
mismatched_tunnels_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	std::mt19937 random(2);
	tunnelled v4, v6;
	v4.inner = v6.inner = {.payload = 400};
	v6.outer_v6 = true;
	v6.outer_ip = 48;
	const struct {
		const tunnelled &of;
		size_t at;
		uint8_t value;
	} changes[] = {
		{v4, 14, 0x46},      {v4, 14, 0x65},      {v4, 14 + 9, 47},       {v4, 14 + 9, 4},
		{v4, v4.l3(), 0x60}, {v4, v4.l3(), 0x46}, {v4, v4.l3() + 9u, 17}, {v6, 14, 0x45},
		{v6, 14 + 6, 17},    {v6, 14 + 6, 59},    {v6, 14 + 40, 47},      {v6, 14 + 41, 1},
		{v6, 14 + 41, 255},
	};
	uint64_t drops = 0;
	for (const auto &change : changes) {
		bytes frame = change.of.make(random);
		frame[change.at] = change.value;
		change.of.post(guest, random, frame);
		CHECK(only_good_comes(guest, port, "rx_bad_offload_errors", ++drops),
		      "byte %zu is %u", change.at, change.value);
	}
	return success;
}

/** The headers of a request to segment are copied to where there is room for so many. */
outcome
long_headers_are_refused()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER});
	guest.enable(from);
	std::mt19937 random(3);
	uint64_t drops = 0;
	for (const uint16_t tunnel : {140, 182, 184, 200, 254})
		for (const uint32_t mss : {0u, 500u}) {
			tunnelled t;
			t.inner = {.payload = 900};
			t.tunnel = tunnel;
			t.mss = mss;
			const bytes frame = t.make(random);
			t.post(guest, random, frame);
			const bool good = mss == 0 || t.headers() <= 256;
			drops += good ? 0 : 1;
			CHECK_EQ(received(port).size(), good ? (mss == 0 ? 1 : 2) : 0);
			CHECK_EQ(port.xstat("rx_bad_offload_errors"), drops);
		}
	CHECK(goes_on(guest, port));
	return success;
}

outcome
requests_in_tunnels_are_carried_out()
{
	fake_guest guest;
	fake_port port(guest,
		       {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_TCP_LRO |
				       RTE_ETH_RX_OFFLOAD_CHECKSUM,
			.room = 1024});
	CHECK(port.ok());
	guest.enable(from);
	std::mt19937 random(4);
	for (unsigned int round = 0; round < 1500; round++) {
		const tunnelled t = random_tunnel(random);
		const bytes was = t.make(random);
		t.post(guest, random, was);
		const auto frames = received(port);
		const uint32_t wanted = t.mss == 0 ? 1 : (t.inner.payload + t.mss - 1) / t.mss;
		CHECK(frames.size() == wanted, "round %u: %zu of %u", round, frames.size(), wanted);
		uint32_t sent = 0;
		for (uint16_t n = 0; bytes frame : frames) {
			CHECK(t.tags.take_from(frame), "round %u frame %u", round, n);
			CHECK(t.is_right(was, frame, sent, n++),
			      "round %u frame %u: type %u, outer v6 %d sum %d udp %d, v6 %d udp %d "
			      "payload %u mss %u",
			      round, n, static_cast<unsigned int>(t.type), t.outer_v6, t.outer_sum,
			      t.udp_sum, t.inner.v6, t.inner.udp, t.inner.payload, t.mss);
			sent += static_cast<uint32_t>(frame.size()) - t.headers();
		}
		CHECK_EQ(sent, t.inner.payload);
	}
	CHECK_EQ(port.stats().ierrors, 0);
	CHECK(port.complete());
	return success;
}

/** Nothing is said of frames in tunnels: which of the checksums would be meant? */
outcome
nothing_is_told_of_tunnels()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM});
	guest.enable(from);
	std::mt19937 random(5);
	tunnelled t;
	t.inner = {.payload = 400};
	for (const uint32_t mss : {0u, 100u}) {
		t.mss = mss;
		t.post(guest, random, t.make(random));
		auto frames = port.receive();
		CHECK_EQ(frames.size(), mss == 0 ? 1 : 4);
		for (const rte_mbuf *frame : frames)
			CHECK_EQ(frame->ol_flags, 0);
		rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned int>(frames.size()));
	}
	return success;
}

outcome
udp_is_segmented()
{
	for (const uint64_t offloads :
	     {uint64_t{0}, uint64_t{RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_CHECKSUM}}) {
		fake_guest guest;
		fake_port port(guest, {.rx_offloads = offloads});
		CHECK(port.ok());
		guest.enable(from);
		std::mt19937 random(6);
		for (unsigned int round = 0; round < 200; round++) {
			packet p{.v6 = random() % 2 != 0, .udp = true, .payload = 1};
			p.payload += random() % 40000;
			const uint32_t mss = 64 + random() % 1300, whole = p.payload;
			uint8_t *data = guest.at(buffer(0));
			p.write(data, true);
			std::generate(data + p.headers(), data + p.length(), random);
			const tag_request tags = random_tags_to_insert(random);
			const uint64_t sums = p.v6 ? p.command() : txd::iipt::set(p.command(), 3);
			guest.post(tags.qword0(), context(whole, mss) | tags.context());
			post_in_pieces(guest, p.length(), p.headers(), sums | tags.command(),
				       random);
			uint32_t sent = 0;
			for (bytes frame : received(port)) {
				CHECK(tags.take_from(frame));
				p.payload = static_cast<uint32_t>(frame.size()) - p.headers();
				CHECK_EQ(p.payload, std::min(mss, whole - sent));
				CHECK(checksums_are_right(p, frame));
				CHECK_EQ(be16(&frame[p.headers() - 4]), p.payload + 8);
				CHECK(std::equal(frame.begin() + p.headers(), frame.end(),
						 data + p.headers() + sent));
				sent += p.payload;
			}
			CHECK_EQ(sent, whole);
		}
		/* The length of its header is known. */
		const packet p{.udp = true, .payload = 400};
		p.write(guest.at(buffer(0)), true);
		guest.post(0, context(392, 100));
		guest.post_data(buffer(0), p.length(), true, txd::l4len::set(p.command(), 4));
		CHECK(only_good_comes(guest, port, "rx_bad_offload_errors", 1));
	}
	return success;
}

constexpr test_case cases[] = {
	{"bad tunnels are dropped", bad_tunnels_are_dropped},
	{"mismatched tunnels are dropped", mismatched_tunnels_are_dropped},
	{"long headers are refused", long_headers_are_refused},
	{"requests in tunnels are carried out", requests_in_tunnels_are_carried_out},
	{"nothing is told of tunnels", nothing_is_told_of_tunnels},
	{"UDP is segmented", udp_is_segmented},
};

} // namespace

constinit const case_table test::port_suite::tunnel_cases = cases;
