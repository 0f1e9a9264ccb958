/* SPDX-License-Identifier: BSD-3-Clause */
#include <random>
#include <string>

#include <sys/mman.h>

#include "fixture.hpp"
#include "layers.hpp"

/* What receive descriptors say of frames: types and checksums, each right and each wrong, in each
 * form and format, against the test's own computation. */

using namespace test;
using namespace test::port_suite;
using namespace test::layers;

namespace {

/** What a descriptor can say of checksums. */
constexpr unsigned int checked = 1, bad_ip = 2, bad_l4 = 4;
constexpr unsigned int bad_outer_ip = 8, bad_outer_l4 = 16;
constexpr unsigned int extensions = 32, tunnelled = 64;

/** A kind of frames. */
struct sample {
	const char *name;
	uint16_t ptype;
	frame (*make)(size_t payload);
	unsigned int always = 0;       /**< Claims whatever is wrong. */
	unsigned int intact = checked; /**< Claims if nothing is. */
};

constexpr uint8_t p_tcp = 6, p_udp = 17, p_sctp = 132, p_icmp = 1, p_gre = 47, p_icmp6 = 58;
constexpr uint16_t t_ipv4 = 0x0800, t_ipv6 = 0x86dd, t_vlan = 0x8100, t_qinq = 0x88a8,
		   t_arp = 0x0806;
constexpr uint16_t t_teb = 0x6558;

frame
eth4(frame in, uint8_t protocol, std::initializer_list<uint16_t> tags = {})
{
	return ethernet(ipv4(std::move(in), protocol), t_ipv4, tags);
}

frame
eth6(frame in, uint8_t protocol)
{
	return ethernet(ipv6(std::move(in), protocol), t_ipv6);
}

frame
vxlan(frame in, bool with_checksum)
{
	return udp(head(std::move(in), {8, 0, 0, 0, 0, 0, 42, 0}), 4789, with_checksum);
}

/** With eight bytes of options. */
frame
geneve(frame in, uint16_t type)
{
	return udp(head(std::move(in),
			{2, 0, static_cast<uint8_t>(type >> 8), static_cast<uint8_t>(type), 0, 0,
			 42, 0, 1, 1, 1, 1, 0, 0, 0, 0}),
		   6081);
}

frame
gre(frame in, uint16_t type, bool with_checksum = false)
{
	const auto high = static_cast<uint8_t>(type >> 8), low = static_cast<uint8_t>(type);
	if (!with_checksum)
		return head(std::move(in), {0x20, 0, high, low, 0, 0, 0, 9});
	frame out = head(std::move(in), {0x80, 0, high, low, 0, 0, 0, 0});
	put16(out.data, 4, checksum(out.data));
	out.pieces.push_back({false, 0, 0, out.data.size(), 5});
	return out;
}

/** Options of IPv6 of a kind: 8 bytes, padded by PadN, and what comes next. */
bytes
option_header(uint8_t next)
{
	return {next, 0, 1, 4, 0, 0, 0, 0};
}

constexpr sample samples[] = {
	{"IPv4, TCP", 26, [](size_t n) { return eth4(tcp(payload(n)), p_tcp); }},
	{"IPv4, UDP", 24, [](size_t n) { return eth4(udp(payload(n)), p_udp); }},
	{"IPv4, SCTP", 27, [](size_t n) { return eth4(sctp(payload(n)), p_sctp); }},
	{"IPv4, ICMP", 28, [](size_t n) { return eth4(payload(n + 8), p_icmp); }, 0, 0},
	{"IPv4, ICMPv6", 23, [](size_t n) { return eth4(payload(n + 8), p_icmp6); }, 0, 0},
	{"IPv4, OSPF", 23, [](size_t n) { return eth4(payload(n), 89); }, 0, 0},
	{"IPv4, UDP without checksum", 24,
	 [](size_t n) { return eth4(udp(payload(n), 7, false), p_udp); }, 0, 0},
	{"IPv4, first fragment", 22,
	 [](size_t n) {
		 return ethernet(ipv4(payload(n + 8), p_udp, {.fragment = 0x2000}), t_ipv4);
	 },
	 0, 0},
	{"IPv4, last fragment", 22,
	 [](size_t n) { return ethernet(ipv4(payload(n + 8), p_tcp, {.fragment = 9}), t_ipv4); }, 0,
	 0},
	{"IPv4 that must not be fragmented, TCP", 26,
	 [](size_t n) {
		 return ethernet(ipv4(tcp(payload(n)), p_tcp, {.fragment = 0x4000}), t_ipv4);
	 }},
	{"IPv4 with options, TCP", 26,
	 [](size_t n) {
		 return ethernet(ipv4(tcp(payload(n)), p_tcp, {.option_words = 3}), t_ipv4);
	 }},
	{"VLAN, IPv4, TCP", 26, [](size_t n) { return eth4(tcp(payload(n)), p_tcp, {t_vlan}); }},
	{"QinQ, IPv4, UDP", 24,
	 [](size_t n) {
		 return eth4(udp(payload(n)), p_udp, {t_qinq, t_vlan});
	 }},
	{"three tags", 1,
	 [](size_t n) {
		 frame out = eth4(udp(payload(n)), p_udp, {t_qinq, t_vlan, t_vlan});
		 out.pieces.clear(); /* Nobody looks so far. */
		 return out;
	 },
	 0, 0},
	{"IPv6, TCP", 92, [](size_t n) { return eth6(tcp(payload(n)), p_tcp); }},
	{"IPv6, UDP", 90, [](size_t n) { return eth6(udp(payload(n)), p_udp); }},
	{"IPv6, SCTP", 93, [](size_t n) { return eth6(sctp(payload(n)), p_sctp); }},
	{"IPv6, ICMP", 94, [](size_t n) { return eth6(payload(n + 8), p_icmp6); }, 0, 0},
	{"IPv6, nothing", 89, [](size_t) { return eth6(payload(0), 59); }, 0, 0},
	{"VLAN, IPv6, UDP", 90,
	 [](size_t n) { return ethernet(ipv6(udp(payload(n)), p_udp), t_ipv6, {t_vlan}); }},
	{"IPv6, hop-by-hop options, TCP", 92,
	 [](size_t n) {
		 return ethernet(ipv6(tcp(payload(n)), p_tcp, option_header(p_tcp), 0), t_ipv6);
	 },
	 extensions},
	{"IPv6, two headers of options, UDP", 90,
	 [](size_t n) {
		 bytes both = option_header(60);
		 const bytes second = option_header(p_udp);
		 both.insert(both.end(), second.begin(), second.end());
		 return ethernet(ipv6(udp(payload(n)), p_udp, both, 0), t_ipv6);
	 },
	 extensions},
	{"IPv6, fragment", 88,
	 [](size_t n) {
		 return ethernet(ipv6(payload(n + 8), p_udp, {p_udp, 0, 0, 1, 0, 0, 0, 1}, 44),
				 t_ipv6);
	 },
	 extensions, 0},
	{"IPv4 in IPv4, TCP", 33, [](size_t n) { return eth4(ipv4(tcp(payload(n)), p_tcp), 4); }},
	{"IPv6 in IPv4, UDP", 38, [](size_t n) { return eth4(ipv6(udp(payload(n)), p_udp), 41); }},
	{"IPv4 in IPv6, TCP", 99, [](size_t n) { return eth6(ipv4(tcp(payload(n)), p_tcp), 4); }},
	{"fragment in IPv4", 29,
	 [](size_t n) { return eth4(ipv4(payload(n), p_tcp, {.fragment = 9}), 4); }, 0, 0},
	{"GRE, IPv4, TCP", 48,
	 [](size_t n) { return eth4(gre(ipv4(tcp(payload(n)), p_tcp), t_ipv4), p_gre); },
	 tunnelled},
	{"GRE with checksum, IPv6, UDP", 53,
	 [](size_t n) { return eth4(gre(ipv6(udp(payload(n)), p_udp), t_ipv6, true), p_gre); },
	 tunnelled},
	{"GRE, MAC, IPv4, TCP", 63,
	 [](size_t n) { return eth4(gre(eth4(tcp(payload(n)), p_tcp), t_teb), p_gre); }, tunnelled},
	{"GRE, something", 43, [](size_t n) { return eth4(gre(payload(n), 0x88b5), p_gre); },
	 tunnelled, 0},
	{"VXLAN, IPv4, TCP", 63,
	 [](size_t n) { return eth4(vxlan(eth4(tcp(payload(n)), p_tcp), false), p_udp); },
	 tunnelled},
	{"VXLAN with checksum, IPv4, UDP", 61,
	 [](size_t n) { return eth4(vxlan(eth4(udp(payload(n)), p_udp), true), p_udp); },
	 tunnelled},
	{"VXLAN, IPv6, SCTP", 71,
	 [](size_t n) { return eth4(vxlan(eth6(sctp(payload(n)), p_sctp), true), p_udp); },
	 tunnelled},
	{"VXLAN, VLAN, IPv4, UDP", 76,
	 [](size_t n) { return eth4(vxlan(eth4(udp(payload(n)), p_udp, {t_vlan}), true), p_udp); },
	 tunnelled},
	{"VXLAN, ARP", 58,
	 [](size_t n) { return eth4(vxlan(ethernet(payload(n), t_arp), true), p_udp); }, tunnelled,
	 0},
	{"VXLAN over IPv6 without checksum, IPv4, UDP", 127,
	 [](size_t n) { return eth6(vxlan(eth4(udp(payload(n)), p_udp), false), p_udp); },
	 tunnelled},
	{"UDP to VXLAN's port that is none", 24,
	 [](size_t n) { return eth4(udp(payload(n), 4789), p_udp); }},
	{"GENEVE, MAC, IPv4, TCP", 63,
	 [](size_t n) { return eth4(geneve(eth4(tcp(payload(n)), p_tcp), t_teb), p_udp); },
	 tunnelled},
	{"GENEVE, IPv6, TCP", 55,
	 [](size_t n) { return eth4(geneve(ipv6(tcp(payload(n)), p_tcp), t_ipv6), p_udp); },
	 tunnelled},
	{"ARP", 11, [](size_t n) { return ethernet(payload(n + 28), t_arp); }, 0, 0},
	{"LLDP", 6, [](size_t n) { return ethernet(payload(n), 0x88cc); }, 0, 0},
	{"PTP", 2, [](size_t n) { return ethernet(payload(n), 0x88f7); }, 0, 0},
	{"experiment", 1, [](size_t n) { return ethernet(payload(n), 0x88b5); }, 0, 0},
	{"802.3", 1, [](size_t n) { return ethernet(payload(n), 46); }, 0, 0},
};

/** What is to be said of a frame one byte of which was changed; SIZE_MAX: none. */
unsigned int
expected(const sample &kind, const frame &right, size_t changed)
{
	unsigned int headers = 0, bad = 0;
	bool last_has_checksum = false;
	for (const piece &one : right.pieces)
		headers = std::max(headers, one.depth);
	const bool holds_other = headers == 1 && (kind.always & tunnelled) != 0;
	for (const piece &one : right.pieces) {
		const bool outer = holds_other || (headers == 2 && one.depth == 1);
		last_has_checksum = last_has_checksum || (!outer && !one.of_ip_header);
		if (changed < one.begin || changed >= one.end)
			continue;
		bad |= one.of_ip_header ? outer ? bad_outer_ip : bad_ip
		       : outer          ? bad_outer_l4
					: bad_l4;
	}
	if (bad == 0)
		return kind.always | kind.intact;
	/* What nobody can check is not good. */
	return kind.always | checked | bad | (last_has_checksum ? 0 : bad_l4) |
	       (holds_other ? bad_ip : 0);
}

unsigned int
claims_of_legacy(const iavf::rx_descriptor &one)
{
	const uint64_t word = one.qword1;
	return (rxd::l3l4p::is_set(word) ? checked : 0) | (rxd::ipe::is_set(word) ? bad_ip : 0) |
	       (rxd::l4e::is_set(word) ? bad_l4 : 0) |
	       (rxd::eipe::is_set(word) ? bad_outer_ip : 0) |
	       (rxd::ipv6exadd::is_set(word) ? extensions : 0);
}

unsigned int
claims_of_flexible(const iavf::rx_descriptor &one)
{
	const uint64_t word = one.qword1;
	return (rxflex::l3l4p::is_set(word) ? checked : 0) |
	       (rxflex::ipe::is_set(word) ? bad_ip : 0) | (rxflex::l4e::is_set(word) ? bad_l4 : 0) |
	       (rxflex::eipe::is_set(word) ? bad_outer_ip : 0) |
	       (rxflex::eudpe::is_set(word) ? bad_outer_l4 : 0) |
	       (rxflex::ipv6exadd::is_set(word) ? extensions : 0) |
	       (iavf::rxflex2::nat::is_set(one.qword2) ? tunnelled : 0);
}

/** An mbuf chain of the frame, cut at random if there are to be several segments. */
rte_mbuf *
make_chain(fake_port &port, const bytes &data, bool cut, std::mt19937 &random)
{
	rte_mbuf *first = nullptr;
	for (size_t done = 0; done < data.size();) {
		const size_t left = data.size() - done;
		/* A frame's first segment has the destination. */
		const size_t piece = cut ? std::min<size_t>(left, 6 + random() % 60) : left;
		rte_mbuf *part = rte_pktmbuf_alloc(port.pool());
		append_segment(first, part, std::span(data).subspan(done, piece));
		done += piece;
	}
	return first;
}

constexpr uint32_t buffer_room = 1024;

/** A ring in a format, and what its descriptors say. */
class listener {
public:
	explicit listener(uint8_t format, const char *more = "")
	    : port_(guest_, {.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS, .more = more}),
	      format_(format)
	{
		guest_.enable(to, 0, 64, buffer_room);
		guest_.rx().info.desc_format = format;
		guest_.push(to);
	}

	fake_port &port() { return port_; }

	/** Sends a frame; what is said of its type, and of its checksums. */
	std::pair<uint16_t, unsigned int> hear(rte_mbuf *frame)
	{
		const uint32_t length = frame->pkt_len;
		std::vector<uint16_t> posted;
		for (uint32_t done = 0; done < length; done += buffer_room)
			posted.push_back(guest_.post_rx(buffer(guest_.rx().next)));
		guest_.ring_rx();
		const uint16_t last = posted.back();
		if (rte_eth_tx_burst(port_.id(), 0, &frame, 1) != 1 ||
		    !rxd::eof::is_set(guest_.rx_status(last)))
			return {0, 0};
		const iavf::rx_descriptor &one = guest_.rx_at(last);
		/* Drivers look at the type in the first descriptor, or in the last. */
		const uint16_t ptype = type_in(one);
		for (const uint16_t index : posted)
			if (type_in(guest_.rx_at(index)) != ptype)
				return {0, 0};
		return {ptype, format_ == iavf::rxdid::legacy_32b ? claims_of_legacy(one)
								  : claims_of_flexible(one)};
	}

	/** What can be said in this format. */
	unsigned int sayable(unsigned int all) const
	{
		if (format_ != iavf::rxdid::legacy_32b)
			return all;
		all |= (all & bad_outer_l4) != 0 ? bad_l4 : 0;
		all |= (all & bad_outer_ip) != 0 ? bad_ip : 0;
		return all & ~(bad_outer_l4 | tunnelled);
	}

private:
	uint16_t type_in(const iavf::rx_descriptor &one) const
	{
		return static_cast<uint16_t>(format_ == iavf::rxdid::legacy_32b
						     ? rxd::ptype::get(one.qword1)
						     : rxflex::ptype::get(one.qword0));
	}

	fake_guest guest_;
	fake_port port_;
	uint8_t format_;
};

constexpr uint8_t formats[] = {iavf::rxdid::legacy_32b, iavf::rxdid::flexible_nic,
			       iavf::rxdid::flexible_ovs};

/** Bytes to change: one in each checksum's range, of a field that changes nothing else. */
std::vector<size_t>
places(const frame &in)
{
	std::vector<size_t> out{SIZE_MAX};
	for (const piece &one : in.pieces) {
		if (one.begin == one.end)
			continue;
		out.push_back(one.begin + one.field);
		if (!one.of_ip_header)
			out.push_back(one.end - 1);
	}
	return out;
}

outcome
kind_is_told(listener &driver, const sample &kind, bool cut, std::mt19937 &random)
{
	for (const size_t size : {size_t{0}, size_t{1}, size_t{18}, 19 + random() % 150,
				  200 + random() % 1000, size_t{1400}}) {
		const frame right = kind.make(size);
		for (const size_t place : places(right)) {
			bytes data = right.data;
			if (place != SIZE_MAX)
				data[place] ^= static_cast<uint8_t>(1 + random() % 255);
			/* Frames are padded, and not by zeroes alone. */
			while (data.size() < 60)
				data.push_back(static_cast<uint8_t>(random()));
			const auto [ptype, said] =
				driver.hear(make_chain(driver.port(), data, cut, random));
			const unsigned int want = driver.sayable(expected(kind, right, place));
			CHECK(ptype == kind.ptype && said == want,
			      "%s, payload of %zu, byte %zd changed, %s: type %u, expected %u; "
			      "claims %#x, expected %#x",
			      kind.name, size, static_cast<ssize_t>(place), cut ? "cut" : "whole",
			      ptype, kind.ptype, said, want);
		}
	}
	return success;
}

outcome
all_kinds_are_told()
{
	std::mt19937 random(4);
	for (const uint8_t format : formats) {
		listener driver(format);
		CHECK(driver.port().ok());
		for (const bool cut : {false, true})
			for (const sample &kind : samples)
				CHECK_EQ(kind_is_told(driver, kind, cut, random), success);
		CHECK(driver.port().complete());
	}
	return success;
}

/** A frame that contradicts itself. */
struct contradiction {
	const char *name;
	uint16_t ptype;
	unsigned int claims;
	frame (*make)();
};

frame
with(frame in, size_t at, uint8_t value)
{
	in.data[at] = value;
	return in;
}

constexpr unsigned int all_bad = checked | bad_ip | bad_l4;

constexpr contradiction contradictions[] = {
	{"IPv4 of version 5", 1, all_bad,
	 [] { return with(eth4(tcp(payload(40)), p_tcp), 14, 0x55); }},
	{"header of 16 bytes", 1, all_bad,
	 [] { return with(eth4(tcp(payload(40)), p_tcp), 14, 0x44); }},
	{"header longer than the packet", 1, all_bad,
	 [] { return with(with(eth4(tcp(payload(40)), p_tcp), 14, 0x4f), 17, 59); }},
	{"packet longer than the frame", 1, all_bad,
	 [] { return with(eth4(tcp(payload(40)), p_tcp), 16, 1); }},
	{"IPv6 of version 4", 1, all_bad,
	 [] { return with(eth6(tcp(payload(40)), p_tcp), 14, 0x40); }},
	{"IPv6 longer than the frame", 1, all_bad,
	 [] { return with(eth6(tcp(payload(40)), p_tcp), 18, 1); }},
	{"extension header longer than the packet", 1, all_bad | extensions,
	 [] {
		 return ethernet(ipv6(tcp(payload(8)), p_tcp, {p_tcp, 9, 1, 4, 0, 0, 0, 0}, 0),
				 t_ipv6);
	 }},
	{"TCP of 19 bytes", 26, checked | bad_l4, [] { return eth4(payload(19), p_tcp); }},
	{"UDP of 7 bytes", 24, checked | bad_l4, [] { return eth4(payload(7), p_udp); }},
	{"SCTP of 11 bytes", 27, checked | bad_l4, [] { return eth4(payload(11), p_sctp); }},
	{"UDP longer than its packet", 24, checked | bad_l4,
	 [] { return with(eth4(udp(payload(40)), p_udp), 38, 1); }},
	{"UDP of length 7", 24, checked | bad_l4,
	 [] { return with(eth4(udp(payload(40)), p_udp), 39, 7); }},
	{"IPv6, UDP without checksum", 90, checked | bad_l4,
	 [] { return eth6(udp(payload(40), 7, false), p_udp); }},
	{"IPv4 in IPv4 that is none", 23, all_bad, [] { return eth4(payload(60), 4); }},
	{"VXLAN with a broken header in it", 58, all_bad | tunnelled,
	 [] { return eth4(vxlan(ethernet(payload(40), t_ipv4), true), p_udp); }},
	/* The checksum is over the address at the end of the route, and over the home address. */
	{"on its way through a router", 92, extensions,
	 [] {
		 return ethernet(ipv6(tcp(payload(40)), p_tcp, {p_tcp, 0, 0, 1, 0, 0, 0, 0}, 43),
				 t_ipv6);
	 }},
	{"away from home", 90, extensions,
	 [] {
		 bytes option = {p_udp, 2, 1, 2, 0, 0, 201, 16};
		 option.resize(24);
		 return ethernet(ipv6(udp(payload(40)), p_udp, option, 60), t_ipv6);
	 }},
	{"at the end of its route", 92, checked | extensions,
	 [] {
		 return ethernet(ipv6(tcp(payload(40)), p_tcp, {p_tcp, 0, 0, 0, 0, 0, 0, 0}, 43),
				 t_ipv6);
	 }},
};

outcome
contradictions_are_never_good()
{
	std::mt19937 random(5);
	for (const uint8_t format : formats) {
		listener driver(format);
		for (const bool cut : {false, true})
			for (const contradiction &one : contradictions) {
				const auto [ptype, said] = driver.hear(
					make_chain(driver.port(), one.make().data, cut, random));
				CHECK(ptype == one.ptype && said == driver.sayable(one.claims),
				      "%s: type %u, expected %u; claims %#x, expected %#x",
				      one.name, ptype, one.ptype, said, driver.sayable(one.claims));
			}
		CHECK(driver.port().complete());
	}
	return success;
}

/** Memory that ends at a page nobody may touch. */
class edge {
public:
	edge()
	    : begin_(static_cast<uint8_t *>(mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE,
						 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)))
	{
		mprotect(begin_ + page, page, PROT_NONE);
		shared_.free_cb = [](void *, void *) {};
		rte_mbuf_ext_refcnt_set(&shared_, 1);
	}
	~edge() { munmap(begin_, 2 * page); }
	edge(const edge &) = delete;
	edge &operator=(const edge &) = delete;

	/** A frame whose last byte is the last of the memory. */
	rte_mbuf *hold(fake_port &port, const bytes &data)
	{
		const auto size = static_cast<uint16_t>(data.size());
		rte_mbuf *out = rte_pktmbuf_alloc(port.pool());
		rte_mbuf_ext_refcnt_set(&shared_, 1);
		rte_pktmbuf_attach_extbuf(out, begin_ + page - size, 0, size, &shared_);
		std::copy(data.begin(), data.end(), begin_ + page - size);
		out->data_off = 0;
		out->data_len = size;
		out->pkt_len = size;
		return out;
	}

private:
	static constexpr size_t page = 4096;
	uint8_t *begin_;
	rte_mbuf_ext_shared_info shared_{};
};

/** Whatever bytes there are, nothing is read beyond them, and each frame is told of. */
outcome
any_bytes_can_be_looked_at()
{
	std::mt19937 random(6);
	listener driver(iavf::rxdid::flexible_ovs);
	edge end;
	for (unsigned int i = 0; i < 40000; i++) {
		const sample &kind = samples[random() % std::size(samples)];
		bytes data = kind.make(random() % 300).data;
		for (unsigned int n = random() % 4; n != 0; n--)
			data[12 + random() % (data.size() - 12)] = static_cast<uint8_t>(random());
		data.resize(14 + random() % (data.size() - 13));
		const auto [ptype, said] = driver.hear(
			random() % 2 == 0 ? make_chain(driver.port(), data, true, random)
					  : end.hold(driver.port(), data));
		CHECK(ptype != 0 && ptype < 154);
		CHECK((said & checked) != 0 || (said & all_bad) == 0);
	}
	CHECK(driver.port().complete());
	return success;
}

constexpr uint64_t good_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
constexpr uint32_t type_tcp = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4_EXT_UNKNOWN | RTE_PTYPE_L4_TCP;

/** What the host's NIC says, of a frame whose TCP checksum is wrong. */
struct host_case {
	uint64_t flags;
	uint32_t packet_type;
	unsigned int checked_here, trusted; /**< Claims in either mode. */
	uint16_t ptype = 26, ptype_trusted = 1;
};

constexpr host_case host_cases[] = {
	{0, 0, checked | bad_l4, 0},
	{0, type_tcp, checked | bad_l4, 0, 26, 26},
	/* It vouches for all, and knows what it is. */
	{good_flags, type_tcp, checked, checked, 26, 26},
	{good_flags, RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV6 | RTE_PTYPE_L4_UDP, checked, checked,
	 90, 90},
	{RTE_MBUF_F_RX_L4_CKSUM_GOOD, RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV6 | RTE_PTYPE_L4_UDP,
	 checked, checked, 90, 90},
	/* It does not say for what, or not for all: is the tunnel's header right, or its content?
	 */
	{good_flags, 0, checked | bad_l4, 0},
	{RTE_MBUF_F_RX_L4_CKSUM_GOOD, type_tcp, checked | bad_l4, 0, 26, 26},
	{RTE_MBUF_F_RX_IP_CKSUM_GOOD, type_tcp, checked | bad_l4, 0, 26, 26},
	{good_flags,
	 type_tcp | RTE_PTYPE_TUNNEL_VXLAN | RTE_PTYPE_INNER_L2_ETHER | RTE_PTYPE_INNER_L3_IPV4 |
		 RTE_PTYPE_INNER_L4_TCP,
	 checked | bad_l4, 0, 26, 63},
	/* "None" has the bits of good and of bad, and means neither. */
	{RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE, type_tcp, checked | bad_l4, 0,
	 26, 26},
	{RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_GOOD, type_tcp, checked | bad_ip,
	 checked | bad_ip, 26, 26},
	{RTE_MBUF_F_RX_L4_CKSUM_BAD, 0, checked | bad_ip | bad_l4, checked | bad_ip | bad_l4},
};

outcome
what_the_host_knows_is_used()
{
	std::mt19937 random(7);
	const sample &tcp_kind = samples[0];
	for (const bool trust : {false, true})
		for (const uint8_t format : formats) {
			listener driver(format,
					trust ? ",rx_checksum=trust" : ",rx_checksum=check");
			CHECK(driver.port().ok());
			for (const bool cut : {false, true})
				for (const host_case &one : host_cases) {
					bytes data = tcp_kind.make(300).data;
					data.back() ^= 1;
					rte_mbuf *mbuf =
						make_chain(driver.port(), data, cut, random);
					mbuf->ol_flags |= one.flags;
					mbuf->packet_type = one.packet_type;
					const auto [ptype, said] = driver.hear(mbuf);
					CHECK_EQ(said, trust ? one.trusted : one.checked_here);
					CHECK_EQ(ptype, trust ? one.ptype_trusted : one.ptype);
				}
			CHECK(driver.port().complete());
		}
	return success;
}

constexpr test_case cases[] = {
	{"each kind of frame is told, and each wrong checksum", all_kinds_are_told},
	{"frames that contradict themselves are never good", contradictions_are_never_good},
	{"any bytes can be looked at", any_bytes_can_be_looked_at},
	{"what the host knows is used", what_the_host_knows_is_used},
};

} // namespace

constinit const case_table test::port_suite::rx_fact_cases = cases;
