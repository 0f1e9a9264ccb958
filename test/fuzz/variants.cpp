/* SPDX-License-Identifier: BSD-3-Clause */
/* In DPDK 22.11 it is not ready for C++; so it comes before what includes it. */
extern "C" {
#include <rte_vect.h>
}

#include "../../drivers/net/iavf_be/vlan.hpp"
#include "carried_out.hpp"
#include "frames.hpp"
#include "iavf_be/rss.hpp"
#include "ports.hpp"

/*
 * Every variant of the data path against the plainest, which takes frames one by one and has no
 * vector instructions: an input is what a guest transmits, or what an application sends to it. It
 * goes through each of several ports, in long bursts and in bursts of one, with each format of
 * descriptors, in one piece and in pages, with tags apart and in a port VLAN, over one ring and
 * over two; what comes out is the same.
 */

namespace {

using namespace fuzz;
using namespace test;
using namespace test::port_suite;
using frames = std::vector<std::vector<uint8_t>>;

constexpr uint64_t scatter = RTE_ETH_RX_OFFLOAD_SCATTER;
constexpr uint64_t several = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
constexpr uint64_t inserts = RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_QINQ_INSERT;
constexpr uint64_t checks =
	RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;

/** The first one is what the others are compared with; the next is the same with vectors. */
const fake_port::options rows[] = {
	{.rx_offloads = scatter, .tx_offloads = several, .mtu = 9000},
	{.rx_offloads = scatter, .tx_offloads = several, .mtu = 9000},
	{.rx_offloads = scatter | checks, .tx_offloads = several, .mtu = 9000},
	{.rx_offloads = scatter, .tx_offloads = several | inserts, .mtu = 9000, .room = 1024},
	{.rx_offloads = scatter | checks,
	 .tx_offloads = several,
	 .mtu = 9000,
	 .more = ",rx_checksum=trust"},
	{.rx_offloads = scatter, .tx_offloads = several, .mtu = 9000, .promiscuous = false},
	{.rx_offloads = scatter, .tx_offloads = several, .mtu = 9000, .more = ",zero-copy=1"},
	{.rx_offloads = scatter | checks | RTE_ETH_RX_OFFLOAD_TCP_LRO,
	 .tx_offloads = several,
	 .mtu = 9000},
	{.rx_offloads = scatter | checks,
	 .tx_offloads = several,
	 .mtu = 9000,
	 .more = ",tso=1,zero-copy=1"},
	{.rx_offloads = scatter | RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
	 .tx_offloads = several,
	 .mtu = 9000},
};
/* The rows that do. */
constexpr size_t scalar = 0, vectors = 1, checking = 2, inserting = 3, trusting = 4, filters = 5,
		 lends = 6, receives_large = 7, hands_over = 8, strips = 9;

/** What the guest or the administrator has set up. */
enum class setting : uint8_t {
	plain,
	strip,     /**< Outer tags leave the guest's frames. */
	port_vlan, /**< All frames have one tag more, of which the guest knows nothing. */
	spread,    /**< Over two rings. */
};

struct variant {
	size_t row = vectors;
	uint16_t burst = 64;
	bool pages = false;
	uint8_t format = iavf::rxdid::legacy_32b;
	setting set = setting::plain;
	uint16_t ring = 0; /**< On which the guest transmits. */
};
constexpr variant plainest{.row = scalar, .burst = 1};

constexpr uint16_t port_vlan_tci = 0x6123;

/** How wide vectors may be is looked at when a port is set up, and when the guest sets up RSS. */
served_guest &
prepare(const variant &how)
{
	MUST(rte_vect_set_max_simd_bitwidth(how.row == scalar ? RTE_VECT_SIMD_DISABLED
							      : RTE_VECT_SIMD_512) == 0);
	served_guest &served = serve(rows, how.row);
	const rte_emudev_net_rss rss = plain_rss(2);
	rte_emudev_net_config config{.promiscuous = 3, .mac = {{2, 0, 0, 0, 0, 7}}};

	served.map(how.pages ? fake_guest::page : 0);
	if (how.set == setting::strip)
		config.vlan.strip_outer = RTE_ETHER_TYPE_VLAN;
	if (how.set == setting::port_vlan) {
		config.policy.port_vlan_type = RTE_ETHER_TYPE_VLAN;
		config.policy.port_vlan_tci = port_vlan_tci;
	}
	if (how.set == setting::spread)
		config.rss = &rss;
	push_config(served.guest, config);
	return served;
}

/** The same frame with a tag of 802.1Q in front of all others. */
std::vector<uint8_t>
with_tag(std::vector<uint8_t> frame, uint16_t tci)
{
	const uint8_t tag[] = {0x81, 0x00, static_cast<uint8_t>(tci >> 8),
			       static_cast<uint8_t>(tci)};

	MUST(frame.size() >= 2 * RTE_ETHER_ADDR_LEN);
	frame.insert(frame.begin() + 2 * RTE_ETHER_ADDR_LEN, std::begin(tag), std::end(tag));
	return frame;
}

/** What the next variant leaves out must not be there from this one. */
constexpr uint8_t nobody_wrote_it = 0xa5;

/* --- from the guest --- */

void
post(fake_guest &guest, input &in, uint16_t ring)
{
	using namespace iavf;
	const uint8_t how = in.u8();
	const uint32_t slot = how & 3;
	const packet like{.v6 = (how & 4) != 0, .udp = (how & 8) != 0};
	const bool last = (how & 16) == 0;

	switch (how >> 5) {
	case 0:
		/* Nowhere else: other memory has other contents in each guest. */
		guest.post(buffer(slot) + in.u8(), in.u64(), ring);
		break;
	case 1:
		guest.post(0, context(in.u16(), in.u16() % 2048), ring);
		break;
	case 2:
		guest.post_data(buffer(slot), in.u16(), last, like.command(), ring);
		break;
	default:
		/* Some go on in the next page. */
		guest.post_data(buffer(slot) + in.u8() * 16, how & 128 ? in.u8() : in.u16() % 6000,
				last, 0, ring);
	}
}

/** The frames that a frame stands for: requests that are handed over are carried out, and what has
 * left it is back. */
frames
all_of(const rte_mbuf &frame)
{
	frames out = handed_over(frame).carry_out();

	if ((frame.ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0)
		for (std::vector<uint8_t> &one : out)
			one = with_tag(std::move(one), frame.vlan_tci);
	return out;
}

/** Frees a frame whose own memory has other contents then. */
void
wipe(rte_mbuf *frame)
{
	for (rte_mbuf *part = frame; part != nullptr; part = part->next)
		if (RTE_MBUF_DIRECT(part))
			std::fill_n(static_cast<uint8_t *>(part->buf_addr), part->buf_len,
				    nobody_wrote_it);
	rte_pktmbuf_free(frame);
}

frames
transmit(const variant &how, input in)
{
	served_guest &served = prepare(how);
	fake_guest &guest = served.guest;
	frames out;

	/* The longest descriptor goes far behind the last slot. */
	for (unsigned int slot = 0; slot < 9; slot++) {
		std::array<uint8_t, 4096> bytes{};
		const uint8_t kind = slot < 4 ? in.u8() : 0;
		uint32_t length = 0;
		if (slot >= 4) {
			/* zeroes */
		} else if (kind & 128) {
			length = write_frame(in, bytes.data(), kind & 1);
		} else {
			const std::vector<uint8_t> frame = take_layers(in);
			length = static_cast<uint32_t>(std::min(frame.size(), bytes.size()));
			std::copy_n(frame.begin(), length, bytes.begin());
		}
		/* A page. */
		std::ranges::copy(bytes, guest.at(buffer(slot)));
	}
	guest.enable(from, how.ring);
	for (unsigned int n = in.u8() % 63; n != 0 && !in.empty(); n--)
		post(guest, in, how.ring);
	guest.ring_tx(how.ring);
	for (int idle = 0; idle < 3;) {
		const std::vector<rte_mbuf *> got = served.port.receive(0, how.burst);
		idle = got.empty() ? idle + 1 : 0;
		for (rte_mbuf *frame : got) {
			std::ranges::move(all_of(*frame), std::back_inserter(out));
			wipe(frame);
		}
	}
	served.map(0);
	served.end();
	return out;
}

void
check_from_guest(const input &in)
{
	const frames plain = transmit(plainest, in);

	MUST(transmit({}, in) == plain);
	MUST(transmit({.burst = 1, .ring = 1}, in) == plain);
	MUST(transmit({.burst = 5, .pages = true}, in) == plain);
	MUST(transmit({.row = checking}, in) == plain);
	MUST(transmit({.row = inserting, .burst = 3}, in) == plain);
	MUST(transmit({.row = trusting}, in) == plain);
	MUST(transmit({.row = lends}, in) == plain);
	MUST(transmit({.row = lends, .burst = 1}, in) == plain);
	MUST(transmit({.row = lends, .burst = 7, .pages = true}, in) == plain);
	MUST(transmit({.row = receives_large}, in) == plain);
	MUST(transmit({.row = hands_over, .burst = 2}, in) == plain);
	MUST(transmit({.row = strips}, in) == plain);
	frames tagged;
	for (const auto &frame : plain)
		tagged.push_back(with_tag(frame, port_vlan_tci));
	MUST(transmit({.set = setting::port_vlan}, in) == tagged);
	MUST(transmit({.row = strips, .burst = 3, .set = setting::port_vlan}, in) == tagged);
	frames wanted;
	const rte_ether_addr &own = serve(rows, filters).port.mac();
	for (const auto &frame : plain) {
		const auto &to = *reinterpret_cast<const rte_ether_addr *>(frame.data());
		if (rte_is_broadcast_ether_addr(&to) || rte_is_same_ether_addr(&to, &own))
			wanted.push_back(frame);
	}
	MUST(transmit({.row = filters}, in) == wanted);
	MUST(transmit({.row = filters, .burst = 1}, in) == wanted);
}

/* --- to the guest --- */

/** What a guest finds in its descriptors, in any format. */
struct received {
	std::vector<uint8_t> bytes;
	uint64_t ptype;
	bool checked, bad;
	uint32_t hash = 0; /**< With setting::spread. */

	bool operator==(const received &) const = default;
};

/** Of each ring's own. */
uint64_t
rx_buffer(uint16_t ring, unsigned int n, uint64_t offset)
{
	return buffer(ring * 64u + n) + offset;
}

/** Appends what has come in a ring to @p out. */
void
collect(fake_guest &guest, uint8_t format, uint16_t ring, uint64_t offset,
	std::vector<received> &out)
{
	const bool legacy = format == iavf::rxdid::legacy_32b;
	std::vector<uint8_t> bytes;

	for (uint16_t i = 0; i < guest.rx(ring).next; i++) {
		const iavf::rx_descriptor &one = guest.rx_at(i, ring);
		const uint64_t status = one.qword1;
		if (!rxd::dd::is_set(status))
			break;
		const auto length =
			legacy ? rxd::length::get(status) : rxflex::length::get(one.qword0);
		MUST(length <= 2048);
		for (uint64_t at = 0; at < length; at++)
			bytes.push_back(*guest.at(rx_buffer(ring, i, offset) + at));
		if (!rxd::eof::is_set(status))
			continue;
		received all{.bytes = std::exchange(bytes, {}),
			     .ptype = legacy ? rxd::ptype::get(status)
					     : rxflex::ptype::get(one.qword0),
			     .checked = legacy ? rxd::l3l4p::is_set(status)
					       : rxflex::l3l4p::is_set(status),
			     .bad = false};
		all.bad =
			legacy ? (status & (rxd::ipe::mask | rxd::l4e::mask | rxd::eipe::mask)) != 0
			       : (status & (rxflex::ipe::mask | rxflex::l4e::mask |
					    rxflex::eipe::mask | rxflex::eudpe::mask)) != 0;
		if (legacy && rxd::l2tag1p::is_set(status))
			all.bytes = with_tag(
				std::move(all.bytes),
				static_cast<uint16_t>(iavf::rxd0::l2tag1::get(one.qword0)));
		if (legacy && rxd::fltstat::get(status) == iavf::rxd::fltstat_rss_hash)
			all.hash = static_cast<uint32_t>(iavf::rxd0::hash::get(one.qword0));
		out.push_back(std::move(all));
	}
	MUST(bytes.empty());
}

/** Sets up a ring with buffers that lie inside a page each, or with most of it in the next. */
void
offer(fake_guest &guest, const variant &how, uint16_t ring, uint64_t offset)
{
	guest.enable(to, ring);
	guest.rx(ring).info.desc_format = how.format;
	guest.push(to, ring);
	for (unsigned int n = 0; n < 60; n++) {
		for (uint64_t at = 0; at < 2048; at++)
			*guest.at(rx_buffer(ring, n, offset) + at) = nobody_wrote_it;
		guest.post_rx(rx_buffer(ring, n, offset), ring);
	}
	guest.ring_rx(ring);
}

/** A frame of two segments, the first with @p front bytes; 0: of one. */
rte_mbuf *
make_frame(fake_port &port, std::span<const uint8_t> bytes, size_t front)
{
	rte_mbuf *out = nullptr;

	if (front == 0 || front >= bytes.size())
		front = bytes.size();
	append_segment(out, rte_pktmbuf_alloc(port.pool()), bytes.first(front));
	if (front != bytes.size())
		append_segment(out, rte_pktmbuf_alloc(port.pool()), bytes.subspan(front));
	return out;
}

std::vector<received>
receive(const variant &how, input in, bool cut)
{
	served_guest &served = prepare(how);
	fake_guest &guest = served.guest;
	std::vector<rte_mbuf *> all;

	const uint16_t rings = how.set == setting::spread ? 2 : 1;
	const uint64_t offset = in.u8() & 1 ? 4000 : 0;
	for (uint16_t ring = 0; ring < rings; ring++)
		offer(guest, how, ring, offset);
	for (unsigned int n = 1 + in.u8() % 40; n != 0 && !in.empty(); n--) {
		std::vector<uint8_t> bytes = take_layers(in);
		const size_t front = 14 + in.u8() % 64u;
		if (how.set == setting::port_vlan)
			bytes = with_tag(std::move(bytes), port_vlan_tci);
		all.push_back(make_frame(served.port, bytes, cut ? front : 0));
	}
	for (size_t at = 0; at < all.size(); at += how.burst) {
		const auto n = static_cast<uint16_t>(std::min<size_t>(how.burst, all.size() - at));
		MUST(rte_eth_tx_burst(served.port.id(), 0, &all[at], n) == n);
	}
	std::vector<received> out;
	for (uint16_t ring = 0; ring < rings; ring++)
		collect(guest, how.format, ring, offset, out);
	served.map(0);
	served.end();
	return out;
}

/** Behind that of the port VLAN two tags are one more than is looked behind: then less may be said
 * of the frame. */
void
check_port_vlan(const std::vector<received> &got, const std::vector<received> &plain)
{
	const auto is_tag = [](const std::vector<uint8_t> &frame, size_t at) {
		return frame.size() >= at + 2 &&
		       iavf_be::is_vlan_type(iavf_be::load_be16(&frame[at]));
	};

	MUST(got.size() == plain.size());
	for (size_t i = 0; i < got.size(); i++) {
		const std::vector<uint8_t> &frame = plain[i].bytes;
		MUST(got[i].bytes == frame);
		MUST(got[i] == plain[i] || (is_tag(frame, 12) && is_tag(frame, 16)));
	}
}

/** Each frame comes in one of two rings, and by all ways in the same one. */
void
check_spread(const input &in, const std::vector<received> &plain)
{
	variant how = plainest;

	how.set = setting::spread;
	std::vector<received> spread = receive(how, in, false);
	MUST(receive({.set = setting::spread}, in, false) == spread);
	MUST(receive({.burst = 3, .set = setting::spread}, in, true) == spread);
	for (received &one : spread)
		one.hash = 0;
	MUST(std::ranges::is_permutation(spread, plain));
}

void
check_to_guest(const input &in)
{
	const auto plain = receive(plainest, in, false);

	MUST(receive({}, in, false) == plain);
	MUST(receive({.burst = 1}, in, false) == plain);
	MUST(receive({}, in, true) == plain);
	MUST(receive({.pages = true}, in, false) == plain);
	MUST(receive({.burst = 7, .pages = true}, in, true) == plain);
	MUST(receive({.row = checking, .format = iavf::rxdid::flexible_nic}, in, false) == plain);
	MUST(receive({.row = inserting, .burst = 3, .format = iavf::rxdid::flexible_ovs}, in,
		     true) == plain);
	MUST(receive({.set = setting::strip}, in, false) == plain);
	MUST(receive({.row = inserting, .burst = 3, .set = setting::strip}, in, true) == plain);
	check_port_vlan(receive({.set = setting::port_vlan}, in, false), plain);
	check_port_vlan(receive({.burst = 5, .set = setting::port_vlan}, in, true), plain);
	check_spread(in, plain);
	/* Who trusts his application checks nothing, but sends the same bytes. */
	const auto trusted = receive({.row = trusting}, in, false);
	MUST(std::ranges::equal(trusted, plain, {}, &received::bytes, &received::bytes));
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input in(data, size);

	if (in.u8() & 1)
		check_to_guest(in);
	else
		check_from_guest(in);
	return 0;
}
