/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>

#include <rte_errno.h>

#include "fixture.hpp"
#include "layers.hpp"
#include "vlan.hpp"

/* Frames for the guest that ask for checksums and segmentation: hostile ones, then honest ones. */

using namespace test;
using namespace test::port_suite;
using layers::put16;

namespace {

constexpr uint64_t checksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			       RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_SCTP_CKSUM |
			       RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM |
			       RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM;
constexpr uint64_t segmentations = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO |
				   RTE_ETH_TX_OFFLOAD_GENEVE_TNL_TSO |
				   RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO |
				   RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO | RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO;
constexpr uint64_t everything = checksums | segmentations | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
constexpr uint64_t tags_too = everything | RTE_ETH_TX_OFFLOAD_VLAN_INSERT;

enum class way { plain, vxlan, geneve, gre, ipip, udp, vxlan_gpe, gtp, mpls };
enum class l4 { tcp, udp, sctp };

/** By way: the flag of its frames, and what stands behind the outer UDP header, if there is one. */
const struct tunnel_kind {
	uint64_t flag = 0;
	uint16_t port = 0;
	bytes header{};
	bool ethernet = false; /**< The inner frame has a link header. */
} tunnel_kinds[] = {
	{},
	{RTE_MBUF_F_TX_TUNNEL_VXLAN, 4789, {8, 0, 0, 0, 0, 0, 9, 0}, true},
	{RTE_MBUF_F_TX_TUNNEL_GENEVE, 6081, {0, 0, 0x65, 0x58, 0, 0, 9, 0}, true},
	{RTE_MBUF_F_TX_TUNNEL_GRE},
	{RTE_MBUF_F_TX_TUNNEL_IPIP},
	{RTE_MBUF_F_TX_TUNNEL_UDP, 5555},
	{RTE_MBUF_F_TX_TUNNEL_VXLAN_GPE, 4790, {0x0c, 0, 0, 1, 0, 0, 9, 0}},
	{RTE_MBUF_F_TX_TUNNEL_GTP, 2152, {0x30, 0xff, 0, 0, 0, 0, 0, 9}},
	{RTE_MBUF_F_TX_TUNNEL_MPLSINUDP, 6635, {0, 0, 0x91, 0xff}},
};

/** A frame that an application wants to be sent, and what is to become of it. */
struct wish {
	way tunnel = way::plain;
	l4 last = l4::tcp;
	bool v6 = false, outer_v6 = false;
	bool outer_udp_sum = false;
	unsigned int tags = 0;
	bool inserted = false; /**< The port is to insert one more, in front of these. */
	bool stripped = false; /**< The guest wants the first in its descriptor. */
	uint32_t mss = 0;
	bool from_vhost = false;
	bytes payload;
	uint32_t padding = 0; /**< Behind the packet. */
	/** Behind an IPv6 header that is the last of IP: hop-by-hop options, and others. */
	bytes extensions{};

	uint16_t l3_length() const
	{
		return v6 ? static_cast<uint16_t>(40 + extensions.size()) : 20;
	}
	uint16_t l4_length() const { return last == l4::tcp ? 20 : last == l4::udp ? 8 : 12; }
	uint16_t l2_length() const { return static_cast<uint16_t>(14 + 4 * tags); }
	uint16_t outer_l3_length() const { return outer_v6 ? 40 : 20; }
	/** From the outer IP to the inner one. */
	uint16_t between() const
	{
		if (!udp_tunnel())
			return tunnel == way::gre ? 4 : 0;
		return static_cast<uint16_t>(8 + kind().header.size() + (kind().ethernet ? 14 : 0));
	}
	const tunnel_kind &kind() const { return tunnel_kinds[static_cast<size_t>(tunnel)]; }
	size_t outer_l4_at() const { return l2_length() + outer_l3_length(); }
	size_t l3_at() const
	{
		return l2_length() + (tunnel == way::plain ? 0 : outer_l3_length() + between());
	}
	size_t l4_at() const { return l3_at() + l3_length(); }
	size_t headers() const { return l4_at() + l4_length(); }
	bool udp_tunnel() const { return kind().port != 0; }
	/** Whether its descriptor says that checksums are good: in other tunnels by UDP nobody
	 * looks for an inner frame, and nothing is said. */
	bool is_told_good() const { return !udp_tunnel() || kind().ethernet; }

	/** The right frame for payload from a byte on. */
	bytes frame(uint32_t begin, uint32_t size, unsigned int number) const;
	std::vector<bytes> frames() const;
	/** One of them as it is in the guest's buffers. */
	bytes arrived(bytes frame) const;
	/** Whether its descriptor has the right tag. */
	bool has_tag(const iavf::rx_descriptor &end, bool flexible) const;
	/** What the application sends: without what it leaves to the port. */
	bytes unfinished(std::mt19937 &random) const;
	void mark(rte_mbuf *frame) const;
};

/** Where the last of some headers names what follows. */
size_t
last_header(const bytes &extensions)
{
	size_t at = 0;

	while (at + (extensions[at + 1] + 1u) * 8 < extensions.size())
		at += (extensions[at + 1] + 1u) * 8;
	return at;
}

layers::frame
with_ip(layers::frame in, bool v6, uint8_t protocol, unsigned int number, bytes extensions = {})
{
	if (v6 && !extensions.empty())
		extensions[last_header(extensions)] = protocol;
	if (v6)
		return layers::ipv6(std::move(in), protocol, extensions);
	layers::frame out = layers::ipv4(std::move(in), protocol);
	put16(out.data, 4, 0xfffe + number);
	put16(out.data, 10, 0);
	put16(out.data, 10, layers::checksum(bytes(out.data.begin(), out.data.begin() + 20)));
	return out;
}

bytes
wish::frame(uint32_t begin, uint32_t size, unsigned int number) const
{
	constexpr uint8_t cwr = 0x80, ack = 0x10, push = 8, fin = 1;
	layers::frame out;

	out.data.assign(payload.begin() + begin, payload.begin() + begin + size);
	if (last == l4::tcp) {
		out = layers::tcp(std::move(out));
		const uint32_t sequence = 0xffffff00 + begin;
		put16(out.data, 4, sequence >> 16);
		put16(out.data, 6, sequence);
		const bool ends = begin + size == payload.size();
		out.data[13] = ack | (number == 0 ? cwr : 0) | (ends ? push | fin : 0);
	} else {
		out = last == l4::udp ? layers::udp(std::move(out)) : layers::sctp(std::move(out));
	}
	constexpr uint8_t protocols[] = {6, 17, 132};
	out = with_ip(std::move(out), v6, protocols[static_cast<size_t>(last)], number, extensions);
	uint16_t type = v6 ? 0x86dd : 0x0800;
	if (tunnel != way::plain) {
		uint8_t protocol = v6 ? 41 : 4;
		if (udp_tunnel()) {
			if (kind().ethernet)
				out = layers::ethernet(std::move(out), type);
			out.prepend(kind().header);
			out = layers::udp(std::move(out), kind().port, outer_udp_sum);
			protocol = 17;
		} else if (tunnel == way::gre) {
			out.prepend({0, 0, static_cast<uint8_t>(type >> 8),
				     static_cast<uint8_t>(type)});
			protocol = 47;
		}
		out = with_ip(std::move(out), outer_v6, protocol, number);
		type = outer_v6 ? 0x86dd : 0x0800;
	}
	for (unsigned int i = 0; i < tags; i++) {
		out.prepend({0, static_cast<uint8_t>(5 + i), static_cast<uint8_t>(type >> 8),
			     static_cast<uint8_t>(type)});
		type = 0x8100;
	}
	out.prepend({static_cast<uint8_t>(type >> 8), static_cast<uint8_t>(type)});
	out.prepend({2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2});
	out.data.resize(out.data.size() + padding, 0xee);
	return out.data;
}

std::vector<bytes>
wish::frames() const
{
	const auto all = static_cast<uint32_t>(payload.size());
	std::vector<bytes> out;

	if (mss == 0)
		return {frame(0, all, 0)};
	for (uint32_t done = 0; done < all; done += mss)
		out.push_back(frame(done, std::min(mss, all - done), done / mss));
	return out;
}

constexpr uint16_t inserted_tag = 99;

bytes
wish::arrived(bytes frame) const
{
	if (inserted) {
		frame.resize(frame.size() + 4);
		std::copy_backward(frame.begin() + 12, frame.end() - 4, frame.end());
		put16(frame, 12, 0x8100);
		put16(frame, 14, inserted_tag);
	}
	if (stripped && frame[12] == 0x81)
		frame.erase(frame.begin() + 12, frame.begin() + 16);
	return frame;
}

bool
wish::has_tag(const iavf::rx_descriptor &end, bool flexible) const
{
	const bool has = (end.qword1 >> (flexible ? 13 : 2) & 1) != 0;
	const auto value = static_cast<uint16_t>((flexible ? end.qword1 : end.qword0) >> 16);

	if (!stripped || (!inserted && tags == 0))
		return !has;
	return has && value == (inserted ? inserted_tag : 4 + tags);
}

bytes
wish::unfinished(std::mt19937 &random) const
{
	bytes out = frame(0, static_cast<uint32_t>(payload.size()), 0);
	const auto scribble = [&](size_t at) { put16(out, at, random()); };
	constexpr size_t fields[] = {16, 6, 8};

	scribble(l4_at() + fields[static_cast<size_t>(last)]);
	if (!v6)
		scribble(l3_at() + 10);
	if (tunnel != way::plain) {
		if (!outer_v6)
			scribble(l2_length() + 10);
		if (udp_tunnel() && outer_udp_sum)
			put16(out, outer_l4_at() + 6, 1 + random() % 0xffff);
	}
	if (mss != 0) {
		scribble(l3_at() + (v6 ? 4 : 2));
		if (tunnel != way::plain)
			scribble(l2_length() + (outer_v6 ? 4 : 2));
		if (udp_tunnel())
			scribble(outer_l4_at() + 4);
	}
	return out;
}

void
wish::mark(rte_mbuf *frame) const
{
	constexpr uint64_t l4_flags[] = {RTE_MBUF_F_TX_TCP_CKSUM, RTE_MBUF_F_TX_UDP_CKSUM,
					 RTE_MBUF_F_TX_SCTP_CKSUM};
	uint64_t flags = kind().flag;

	flags |= v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	flags |= mss != 0 ? RTE_MBUF_F_TX_TCP_SEG : l4_flags[static_cast<size_t>(last)];
	frame->l2_len = l2_length();
	frame->l3_len = l3_length();
	frame->l4_len = l4_length();
	frame->tso_segsz = static_cast<uint16_t>(mss);
	if (tunnel != way::plain) {
		flags |= outer_v6 ? RTE_MBUF_F_TX_OUTER_IPV6
				  : RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_OUTER_IP_CKSUM;
		flags |= outer_udp_sum ? RTE_MBUF_F_TX_OUTER_UDP_CKSUM : 0;
		frame->outer_l2_len = l2_length();
		frame->outer_l3_len = outer_l3_length();
		frame->l2_len = between();
	}
	/* net_vhost leaves that flag out. */
	if (from_vhost)
		flags &= ~RTE_MBUF_F_TX_IP_CKSUM;
	flags |= inserted ? RTE_MBUF_F_TX_VLAN : 0;
	frame->vlan_tci = inserted_tag;
	/* One that refers to another says so there. */
	frame->ol_flags |= flags;
}

/** A chain of mbufs of random lengths, some of which only refer to other mbufs' data. */
rte_mbuf *
chain_of(fake_port &port, const bytes &data, std::mt19937 &random)
{
	rte_mbuf *first = nullptr;

	for (size_t done = 0; done < data.size();) {
		const size_t most = std::min<size_t>(data.size() - done, 2048);
		const size_t piece = data.size() - done > 20000 ? most : 1 + random() % most;
		rte_mbuf *part = rte_pktmbuf_alloc(port.pool());
		std::copy_n(data.begin() + static_cast<ptrdiff_t>(done), piece,
			    rte_pktmbuf_append(part, static_cast<uint16_t>(piece)));
		if (random() % 4 == 0) {
			rte_mbuf *clone = rte_pktmbuf_clone(part, port.pool());
			rte_pktmbuf_free(part);
			part = clone;
		}
		done += piece;
		if (first == nullptr)
			first = part;
		else
			rte_pktmbuf_chain(first, part);
	}
	return first;
}

/** What a driver takes, and the bits of the descriptor of its end that tell of checksums. */
struct taken {
	bytes data;
	uint64_t status;
	uint16_t buffers;
	iavf::rx_descriptor end;
};

struct taker {
	fake_guest &guest;
	uint16_t next = 0;
	uint16_t filled = 0; /**< Buffers of the frame so far. */
	bytes partial{};

	std::vector<taken> take()
	{
		std::vector<taken> out;
		for (;;) {
			const uint64_t status = guest.rx_status(next);
			if (!rxd::dd::is_set(status))
				return out;
			const uint64_t length =
				flexible() ? rxflex::length::get(guest.rx_at(next).qword0)
					   : rxd::length::get(status);
			const uint8_t *data = guest.at(buffer(next));
			const iavf::rx_descriptor end = guest.rx_at(next);
			partial.insert(partial.end(), data, data + length);
			filled++;
			guest.rx_at(next) = {};
			next = next + 1 == guest.rx().info.size ? 0 : next + 1;
			if (rxd::eof::is_set(status))
				out.push_back({std::exchange(partial, {}), status,
					       std::exchange(filled, uint16_t{0}), end});
		}
	}
	/** Posts this many more buffers. */
	void post(unsigned int n)
	{
		for (; n != 0; n--)
			guest.post_rx(buffer(guest.rx().next));
		guest.ring_rx();
	}
	/** Takes what there is, and posts up to so many buffers. */
	void refill(unsigned int step, std::vector<taken> &got)
	{
		const auto some = take();
		got.insert(got.end(), some.begin(), some.end());
		const unsigned int size = guest.rx().info.size;
		post(std::min(step, (next + size - guest.rx().next - 1) % size));
	}
	bool flexible() const { return guest.rx().info.desc_format != 0; }
	/** Whether a status says "checked, and good". */
	bool is_good(uint64_t status) const
	{
		const uint64_t bits = flexible() ? 0xf8 : 1 << 3 | uint64_t{0x3f} << 19;
		return (status & bits) == 1 << 3;
	}
};

/** Sends a frame as whoever insists; @p on_wait is called whenever it has to wait. */
template <class F>
bool
insist(fake_port &port, rte_mbuf *frame, F on_wait)
{
	for (int tries = 0; tries < 10000; tries++) {
		if (rte_eth_tx_burst(port.id(), 0, &frame, 1) == 1)
			return true;
		on_wait();
	}
	return false;
}

/** Options for each hop, and for the destination: padding, one that is unknown. */
const bytes hops{60, 0, 1, 4, 0, 0, 0, 0};
const bytes hops_and_destination{60, 0,   1,   4, 0, 0, 0, 0, 0, 1, 0, 0x1e,
				 2,  201, 201, 0, 1, 7, 0, 0, 0, 0, 0, 0};

wish
random_wish(std::mt19937 &random)
{
	wish out;

	out.tunnel = static_cast<way>(random() % std::size(tunnel_kinds));
	out.v6 = random() % 2 != 0;
	out.outer_v6 = random() % 2 != 0;
	out.outer_udp_sum = out.udp_tunnel() && random() % 2 != 0;
	out.tags = random() % 3;
	out.inserted = out.tags < 2 && random() % 2 != 0;
	out.last = static_cast<l4>(random() % 3);
	if (out.last == l4::tcp && random() % 2 != 0)
		out.mss = 64 + random() % 1300;
	out.from_vhost = out.mss != 0 && random() % 4 == 0;
	if (out.v6 && random() % 2 != 0)
		out.extensions = random() % 2 != 0 ? hops_and_destination : hops;
	out.payload.resize(out.mss != 0 ? 1 + random() % 20000 : random() % 1300);
	std::generate(out.payload.begin(), out.payload.end(), [&] { return random(); });
	if (out.mss == 0 && random() % 4 == 0)
		out.padding = random() % 40;
	return out;
}

/* --- hostile --- */

struct hostile {
	const char *what;
	void (*spoil)(rte_mbuf *frame);
};

constexpr hostile hostile_cases[] = {
	{"no size of segments", [](rte_mbuf *m) { m->tso_segsz = 0; }},
	{"tiny segments", [](rte_mbuf *m) { m->tso_segsz = 1; }},
	{"segments below the limit", [](rte_mbuf *m) { m->tso_segsz = 63; }},
	{"no link header", [](rte_mbuf *m) { m->l2_len = 0; }},
	{"a short link header", [](rte_mbuf *m) { m->l2_len = 12; }},
	{"a long link header", [](rte_mbuf *m) { m->l2_len = 127; }},
	{"no IP header", [](rte_mbuf *m) { m->l3_len = 0; }},
	{"an IP header that it has not", [](rte_mbuf *m) { m->l3_len = 24; }},
	{"the longest IP header", [](rte_mbuf *m) { m->l3_len = 511; }},
	{"no TCP header", [](rte_mbuf *m) { m->l4_len = 0; }},
	{"a short TCP header", [](rte_mbuf *m) { m->l4_len = 8; }},
	{"the longest TCP header", [](rte_mbuf *m) { m->l4_len = 255; }},
	{"a TCP header that it has not", [](rte_mbuf *m) { m->l4_len = 24; }},
	{"segmentation of UDP", [](rte_mbuf *m) { m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM; }},
	{"segmentation of SCTP", [](rte_mbuf *m) { m->ol_flags |= RTE_MBUF_F_TX_SCTP_CKSUM; }},
	{"another version",
	 [](rte_mbuf *m) {
		 m->ol_flags ^= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV6;
	 }},
	{"two versions", [](rte_mbuf *m) { m->ol_flags |= RTE_MBUF_F_TX_IPV6; }},
	{"no version", [](rte_mbuf *m) { m->ol_flags &= ~RTE_MBUF_F_TX_IPV4; }},
	{"another tunnel", [](rte_mbuf *m) { m->ol_flags |= RTE_MBUF_F_TX_TUNNEL_VXLAN; }},
	{"two outer versions",
	 [](rte_mbuf *m) {
		 m->ol_flags |= RTE_MBUF_F_TX_TUNNEL_IPIP | RTE_MBUF_F_TX_OUTER_IPV4 |
				RTE_MBUF_F_TX_OUTER_IPV6;
	 }},
	{"a tunnel with long headers",
	 [](rte_mbuf *m) {
		 m->ol_flags |= RTE_MBUF_F_TX_TUNNEL_GRE;
		 m->outer_l2_len = 127;
		 m->outer_l3_len = 511;
	 }},
	{"another protocol", [](rte_mbuf *m) { *rte_pktmbuf_mtod_offset(m, uint8_t *, 23) = 17; }},
	{"a fragment", [](rte_mbuf *m) { *rte_pktmbuf_mtod_offset(m, uint8_t *, 20) = 0x20; }},
	{"a fragment behind the first",
	 [](rte_mbuf *m) { *rte_pktmbuf_mtod_offset(m, uint8_t *, 21) = 1; }},
	{"a frame that ends before",
	 [](rte_mbuf *m) { rte_pktmbuf_trim(m, static_cast<uint16_t>(m->pkt_len - 53)); }},
};

/** Whether it is refused, dropped and counted, and the ring goes on. */
outcome
is_dropped(fake_port &port, taker &driver, rte_mbuf *frame, int error, const char *xstat)
{
	const uint64_t before = port.xstat(xstat);
	rte_mbuf *burst[] = {make_mbuf(port, 100, 1), frame, make_mbuf(port, 100, 2)};

	rte_errno = 0;
	CHECK_EQ(rte_eth_tx_prepare(port.id(), 0, burst, 3), 1);
	CHECK_EQ(rte_errno, error);
	driver.post(3);
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, burst, 3), 3);
	CHECK_EQ(port.xstat(xstat), before + 1);
	const auto got = driver.take();
	CHECK_EQ(got.size(), 2);
	CHECK(is_frame(got[0].data, 100, 1) && is_frame(got[1].data, 100, 2));
	CHECK(port.complete());
	return success;
}

outcome
malformed_requests_are_refused()
{
	std::mt19937 random(1);
	wish model{.mss = 200, .payload = bytes(1000)};

	for (const hostile &one : hostile_cases) {
		fake_guest guest;
		fake_port port(guest, {.tx_offloads = everything});
		CHECK(port.ok());
		guest.enable(to);
		taker driver{guest};
		rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
		const bytes data = model.unfinished(random);
		std::copy_n(data.data(), data.size(),
			    rte_pktmbuf_append(frame, static_cast<uint16_t>(data.size())));
		model.mark(frame);
		one.spoil(frame);
		CHECK(is_dropped(port, driver, frame, EINVAL, "tx_bad_offload_errors") == success,
		      "%s", one.what);
	}
	return success;
}

/** The checksum is over an address that is not in the header of IP; or nobody knows. */
outcome
addresses_elsewhere_are_refused()
{
	std::mt19937 random(3);
	const struct {
		const char *what;
		bytes extensions;
	} rows[] = {
		{"home address", {60, 0, 1, 4, 0, 0, 0, 0, 0, 2, 201, 16, 0, 0, 0, 0,
				  0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0,   0,  1, 2, 0, 0}},
		{"home address behind padding",
		 {60, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 201, 0}},
		{"routing", {43, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}},
	};

	for (const auto &row : rows)
		for (const uint32_t mss : {0u, 200u}) {
			fake_guest guest;
			fake_port port(guest, {.tx_offloads = everything});
			guest.enable(to);
			taker driver{guest};
			const wish one{.v6 = true,
				       .mss = mss,
				       .payload = bytes(500),
				       .extensions = row.extensions};
			rte_mbuf *frame = chain_of(port, one.unfinished(random), random);
			one.mark(frame);
			CHECK(is_dropped(port, driver, frame, EINVAL, "tx_bad_offload_errors") ==
				      success,
			      "%s", row.what);
		}
	return success;
}

/** Lengths in the packet that checksums go by. */
outcome
packets_that_are_longer_than_their_frames_are_refused()
{
	std::mt19937 random(2);

	for (const bool v6 : {false, true})
		for (const l4 last : {l4::tcp, l4::udp, l4::sctp})
			for (const unsigned int more : {1, 2, 0x4000}) {
				fake_guest guest;
				fake_port port(guest, {.tx_offloads = everything});
				guest.enable(to);
				taker driver{guest};
				const wish model{.last = last, .v6 = v6, .payload = bytes(100)};
				bytes data = model.unfinished(random);
				const size_t at = model.l3_at() + (v6 ? 4 : 2);
				put16(data, at, layers::be16(data, at) + more);
				rte_mbuf *frame = chain_of(port, data, random);
				model.mark(frame);
				CHECK_EQ(is_dropped(port, driver, frame, EINVAL,
						    "tx_bad_offload_errors"),
					 success);
			}
	return success;
}

outcome
what_is_not_enabled_is_refused()
{
	constexpr struct {
		uint64_t flag, offload;
	} rows[] = {
		{RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM},
		{RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4, RTE_ETH_TX_OFFLOAD_TCP_CKSUM},
		{RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4, RTE_ETH_TX_OFFLOAD_UDP_CKSUM},
		{RTE_MBUF_F_TX_SCTP_CKSUM | RTE_MBUF_F_TX_IPV4, RTE_ETH_TX_OFFLOAD_SCTP_CKSUM},
		{RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4,
		 RTE_ETH_TX_OFFLOAD_TCP_TSO},
		{RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TUNNEL_VXLAN,
		 RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO},
		{RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TUNNEL_GRE,
		 RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO},
		{RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_TUNNEL_IP, 0},
		{RTE_MBUF_F_TX_OUTER_IP_CKSUM | RTE_MBUF_F_TX_OUTER_IPV4,
		 RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM},
		{RTE_MBUF_F_TX_OUTER_UDP_CKSUM, RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM},
		{RTE_MBUF_F_TX_UDP_SEG, 0},
		{RTE_MBUF_F_TX_MACSEC, 0},
		{RTE_MBUF_F_TX_SEC_OFFLOAD, 0},
		{RTE_MBUF_F_TX_IEEE1588_TMST, 0},
	};

	for (const auto &row : rows)
		for (const uint64_t offloads :
		     {uint64_t{0}, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, everything & ~row.offload}) {
			fake_guest guest;
			fake_port port(guest, {.tx_offloads = offloads});
			CHECK(port.ok());
			guest.enable(to);
			taker driver{guest};
			rte_mbuf *frame = make_mbuf(port, 100, 3);
			frame->ol_flags = row.flag;
			CHECK(is_dropped(port, driver, frame, ENOTSUP,
					 "tx_disabled_offload_errors") == success,
			      "flags %llx", static_cast<unsigned long long>(row.flag));
		}
	return success;
}

/* --- honest --- */

/** What known applications configure, most of them without asking. */
outcome
applications_get_what_they_configure()
{
	constexpr struct {
		const char *name;
		uint64_t rx, tx;
	} rows[] = {
		{"l2fwd", 0, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE},
		{"l3fwd", RTE_ETH_RX_OFFLOAD_CHECKSUM, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE},
		{"ip_fragmentation", RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_SCATTER,
		 RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
		{"OVS", RTE_ETH_RX_OFFLOAD_CHECKSUM,
		 RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			 RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_SCTP_CKSUM |
			 RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
		{"all", RTE_ETH_RX_OFFLOAD_TCP_LRO | RTE_ETH_RX_OFFLOAD_SCATTER, everything},
	};

	for (const auto &row : rows) {
		fake_guest guest;
		fake_port port(guest, {.rx_offloads = row.rx, .tx_offloads = row.tx});
		rte_eth_dev_info info{};
		CHECK(port.ok(), "%s", row.name);
		CHECK_EQ(rte_eth_dev_info_get(port.id(), &info), 0);
		CHECK_EQ(info.tx_offload_capa & row.tx, row.tx);
		CHECK_EQ(info.tx_queue_offload_capa & row.tx, row.tx);
	}
	return success;
}

/** Sends wishes, with as few buffers at a time as @p step says, and compares what the guest gets.
 */
outcome
wishes_come_true(uint8_t format, uint32_t buffer_size, unsigned int step, const char *more,
		 bool strip = false)
{
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = tags_too, .mbufs = 2048, .more = more});
	CHECK(port.ok());
	guest.enable(to, 0, 256, buffer_size);
	guest.rx().info.desc_format = format;
	guest.push(to);
	rte_emudev_net_vlan vlan{};
	vlan.strip_outer = strip ? c_tag : 0;
	push_vlan(guest, vlan);
	taker driver{guest};
	std::mt19937 random(step * buffer_size + format);
	uint64_t sent = 0, octets = 0;

	driver.post(step);
	for (unsigned int round = 0; round < 300; round++) {
		wish one = random_wish(random);
		one.stripped = strip;
		const bytes before = one.unfinished(random);
		rte_mbuf *frame = chain_of(port, before, random);
		one.mark(frame);
		/* Whoever holds it too sees no change. */
		rte_mbuf *held = rte_pktmbuf_clone(frame, port.pool());
		CHECK_EQ(rte_eth_tx_prepare(port.id(), 0, &frame, 1), 1);
		CHECK(bytes_of(frame) == before);
		std::vector<taken> got;
		const auto refill = [&] { driver.refill(step, got); };
		CHECK(insist(port, frame, refill));
		refill();
		CHECK(bytes_of(held) == before);
		rte_pktmbuf_free(held);
		const auto want = one.frames();
		CHECK(got.size() == want.size(), "round %u: %zu", round, got.size());
		for (size_t i = 0; i < want.size(); i++) {
			CHECK(got[i].data == one.arrived(want[i]), "round %u, frame %zu", round, i);
			CHECK(one.has_tag(got[i].end, driver.flexible()), "round %u", round);
			CHECK(driver.is_good(got[i].status) == one.is_told_good(),
			      "round %u, frame %zu", round, i);
			octets += want[i].size() + (one.inserted ? 4 : 0);
		}
		sent += want.size();
	}
	CHECK(port.complete());
	CHECK_EQ(port.stats().opackets, sent);
	CHECK_EQ(port.stats().obytes, octets);
	CHECK_EQ(port.stats().oerrors, 0);
	return success;
}

outcome
requests_are_carried_out()
{
	for (const uint8_t format : {uint8_t{0}, uint8_t{iavf::rxdid::flexible_ovs}})
		for (const uint32_t size : {320u, 1024u, 2048u})
			for (const unsigned int step : {7u, 40u, 255u})
				CHECK(wishes_come_true(format, size, step, "") == success,
				      "format %u, buffers of %u bytes, %u at a time", format, size,
				      step);
	for (const uint8_t format : {uint8_t{0}, uint8_t{iavf::rxdid::flexible_ovs}})
		CHECK_EQ(wishes_come_true(format, 1024, 40, "", true), success);
	return wishes_come_true(0, 2048, 100, ",rx_checksum=trust");
}

/** Whether the receive of that number is right that has the payload from a byte on: if it has
 * several segments, but for the checksum over it. Identifications follow each other, or Linux joins
 * none. */
bool
is_receive(const wish &one, uint32_t begin, unsigned int number, const taken &got)
{
	const auto size = static_cast<uint32_t>(got.data.size() - one.headers());
	bytes want = one.frame(begin, size, number);

	if (got.buffers > 16 ||
	    (size > one.mss && begin + size != one.payload.size() && size % one.mss != 0))
		return false;
	if (size > one.mss)
		std::copy_n(got.data.begin() + static_cast<ptrdiff_t>(one.l4_at() + 16), 2,
			    want.begin() + static_cast<ptrdiff_t>(one.l4_at() + 16));
	return got.data == want;
}

/** Those of a packet are as few as can be. */
outcome
large_receives_are_what_was_sent(uint32_t buffer_size, unsigned int step)
{
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = tags_too, .mbufs = 2048, .more = ",lro=1"});
	CHECK(port.ok());
	guest.enable(to, 0, 256, buffer_size);
	taker driver{guest};
	std::mt19937 random(buffer_size);
	uint64_t packets = 0, octets = 0;

	driver.post(step);
	for (unsigned int round = 0; round < 300; round++) {
		wish one;
		one.tags = random() % 3;
		one.inserted = one.tags < 2 && random() % 2 != 0;
		one.v6 = random() % 2 != 0;
		one.mss = 64 + random() % 1300;
		one.payload.resize(1 + random() % 60000);
		std::generate(one.payload.begin(), one.payload.end(), [&] { return random(); });
		rte_mbuf *frame = chain_of(port, one.unfinished(random), random);
		one.mark(frame);
		std::vector<taken> got;
		const auto refill = [&] { driver.refill(step, got); };
		CHECK(insist(port, frame, refill));
		refill();
		uint32_t begin = 0;
		unsigned int number = 0;
		for (taken &part : got) {
			if (one.inserted) {
				CHECK(part.data[12] == 0x81 && part.data[15] == inserted_tag);
				part.data.erase(part.data.begin() + 12, part.data.begin() + 16);
			}
			CHECK(is_receive(one, begin, number++, part) && driver.is_good(part.status),
			      "round %u, from byte %u", round, begin);
			begin += static_cast<uint32_t>(part.data.size() - one.headers());
		}
		for (const bytes &each : one.frames()) {
			packets++;
			octets += each.size() + (one.inserted ? 4 : 0);
		}
		CHECK_EQ(begin, one.payload.size());
		const size_t each = 16 * buffer_size - one.headers() - one.mss - 4;
		CHECK(got.size() <= one.payload.size() / each + 1, "%zu receives", got.size());
	}
	CHECK(port.complete());
	/* The guest counts what a NIC would have received. */
	rte_emudev_net_stats seen{};
	rte_emudev_net_stats_get(guest.dev(), &seen);
	CHECK_EQ(seen.to_guest_packets, packets);
	CHECK_EQ(seen.to_guest_bytes, octets);
	return success;
}

outcome
large_packets_are_received_whole()
{
	for (const uint32_t size : {1536u, 2048u, 4096u})
		for (const unsigned int step : {20u, 255u})
			CHECK_EQ(large_receives_are_what_was_sent(size, step), success);
	return success;
}

/** A frame in one mbuf that asks for checksums, or for nothing, or for what plain ones do not. */
wish
random_single(std::mt19937 &random)
{
	wish out;

	out.v6 = random() % 2 != 0;
	out.last = static_cast<l4>(random() % 8 % 3);
	out.tags = random() % 8 == 0 ? 1 : 0;
	out.inserted = random() % 8 == 0;
	/* Here: that of IPv4 is right as it is. */
	out.from_vhost = random() % 2 != 0;
	if (out.v6 && random() % 8 == 0)
		out.extensions = hops;
	out.payload.resize(random() % (random() % 2 != 0 ? 60 : 1400));
	std::generate(out.payload.begin(), out.payload.end(), [&] { return random(); });
	if (random() % 8 == 0)
		out.padding = random() % 40;
	return out;
}

/** The checksum of IPv4 of a frame. */
uint16_t
ip_sum(const bytes &frame, const wish &one)
{
	return static_cast<uint16_t>(frame[one.l3_at() + 10] << 8 | frame[one.l3_at() + 11]);
}

/** In bursts, beside frames that ask for nothing. */
outcome
requests_go_with_other_frames(uint8_t format, const char *more)
{
	constexpr uint16_t most = 100;
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = tags_too, .mbufs = 2048, .more = more});
	CHECK(port.ok());
	guest.enable(to, 0, 256, 2048);
	guest.rx().info.desc_format = format;
	guest.push(to);
	taker driver{guest};
	std::mt19937 random(format + 3);

	driver.post(255);
	for (unsigned int round = 0; round < 60; round++) {
		std::vector<wish> wishes;
		std::vector<bytes> before;
		std::vector<rte_mbuf *> frames, held;
		std::vector<bool> wrong;
		for (uint16_t i = 0; i < most; i++) {
			wish one = random_single(random);
			const bytes right =
				one.frame(0, static_cast<uint32_t>(one.payload.size()), 0);
			const bool asks = random() % 4 != 0;
			if (!asks)
				one.inserted = false;
			bytes data = asks ? one.unfinished(random) : right;
			/* Nobody asks for it: it stays as it is, right or wrong. */
			const bool stays = !one.v6 && one.from_vhost;
			wrong.push_back(stays && asks && random() % 4 == 0);
			if (stays)
				put16(data, one.l3_at() + 10, ip_sum(right, one) + wrong.back());
			rte_mbuf *frame = nullptr;
			append_segment(frame, rte_pktmbuf_alloc(port.pool()), data);
			if (asks)
				one.mark(frame);
			/* Whoever holds it too sees no change. */
			held.push_back(rte_pktmbuf_clone(frame, port.pool()));
			frames.push_back(frame);
			before.push_back(std::move(data));
			wishes.push_back(std::move(one));
		}
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, frames.data(), most), most);
		std::vector<taken> got;
		driver.refill(255, got);
		CHECK_EQ(got.size(), most);
		for (uint16_t i = 0; i < most; i++) {
			const wish &one = wishes[i];
			bytes want = one.frame(0, static_cast<uint32_t>(one.payload.size()), 0);
			if (wrong[i])
				put16(want, one.l3_at() + 10, ip_sum(want, one) + 1);
			CHECK(got[i].data == one.arrived(want), "round %u, frame %u", round, i);
			CHECK(*more != 0 || driver.is_good(got[i].status) != wrong[i],
			      "round %u, frame %u", round, i);
			CHECK(bytes_of(held[i]) == before[i]);
		}
		rte_pktmbuf_free_bulk(held.data(), most);
	}
	CHECK(port.complete());
	CHECK_EQ(port.stats().oerrors, 0);
	return success;
}

outcome
checksums_are_inserted_in_bursts()
{
	for (const uint8_t format :
	     {uint8_t{0}, uint8_t{iavf::rxdid::flexible_nic}, uint8_t{iavf::rxdid::flexible_ovs}})
		for (const char *more : {"", ",rx_checksum=trust"})
			CHECK_EQ(requests_go_with_other_frames(format, more), success);
	return success;
}

/** The first of two is sent in part, and then given up; the next has its place in memory, its
 * lengths and its flags. */
outcome
what_is_given_up_leaves_no_trace()
{
	constexpr size_t source = 11; /* the last byte of an address */
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = everything});
	guest.enable(to);
	taker driver{guest};
	std::mt19937 random(5);
	const wish one{.mss = 100, .payload = bytes(900, 1)};
	bytes data = one.unfinished(random);
	rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
	char *at = rte_pktmbuf_append(frame, static_cast<uint16_t>(data.size()));

	std::copy(data.begin(), data.end(), at);
	one.mark(frame);
	driver.post(3);
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 0);
	CHECK_EQ(driver.take().size(), 3);
	at[source] = 9;
	driver.post(20);
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
	const auto got = driver.take();
	auto frames = one.frames();
	CHECK_EQ(got.size(), frames.size());
	for (size_t i = 0; i < frames.size(); i++) {
		frames[i][source] = 9;
		CHECK(got[i].data == frames[i]);
	}
	CHECK(port.complete());
	return success;
}

outcome
segments_that_the_guest_cannot_take_are_dropped()
{
	fake_guest guest;
	fake_port port(guest, {.tx_offloads = everything});
	guest.enable(to);
	guest.rx().info.max_frame = 1000;
	guest.push(to);
	taker driver{guest};
	std::mt19937 random(6);

	for (const uint32_t mss : {946u, 947u}) {
		const wish one{.mss = mss, .payload = bytes(3000, 1)};
		rte_mbuf *frame = chain_of(port, one.unfinished(random), random);
		one.mark(frame);
		driver.post(10);
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
		CHECK_EQ(driver.take().size(), mss == 946 ? 4 : 0);
	}
	CHECK_EQ(port.xstat("tx_oversize_errors"), 1);
	/* Memory that is not there costs the segment whose it is. */
	guest.rx().info.max_frame = 9728;
	guest.push(to);
	wish one{.mss = 946, .payload = bytes(2500)};
	std::generate(one.payload.begin(), one.payload.end(), [&] { return random(); });
	rte_mbuf *frame = chain_of(port, one.unfinished(random), random);
	one.mark(frame);
	const auto bad = static_cast<uint16_t>(driver.next + 1);
	guest.rx_at(bad).qword0 = fake_memory::hole;
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 1);
	CHECK(rxd::rxe::is_set(guest.rx_status(bad)));
	const auto got = driver.take();
	CHECK_EQ(got.size(), 3);
	CHECK(got[0].data == one.frames()[0] && got[2].data == one.frames()[2]);
	CHECK_EQ(port.xstat("tx_unmapped_errors"), 1);
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"malformed requests are refused", malformed_requests_are_refused},
	{"addresses elsewhere are refused", addresses_elsewhere_are_refused},
	{"packets longer than their frames are refused",
	 packets_that_are_longer_than_their_frames_are_refused},
	{"what is not enabled is refused", what_is_not_enabled_is_refused},
	{"applications get what they configure", applications_get_what_they_configure},
	{"the application's requests are carried out", requests_are_carried_out},
	{"checksums are inserted in bursts", checksums_are_inserted_in_bursts},
	{"large packets are received whole", large_packets_are_received_whole},
	{"what is given up leaves no trace", what_is_given_up_leaves_no_trace},
	{"segments that the guest cannot take are dropped",
	 segments_that_the_guest_cannot_take_are_dropped},
};

} // namespace

constinit const case_table test::port_suite::host_request_cases = cases;
