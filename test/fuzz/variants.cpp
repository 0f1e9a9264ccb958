/* SPDX-License-Identifier: BSD-3-Clause */
#include "frames.hpp"
#include "ports.hpp"

/*
 * Every variant of the data path against the plainest: an input is what a guest transmits, or what
 * an application sends to it. It goes through each of several ports, in long bursts and in bursts
 * of one, with each format of descriptors, in one piece and in pages; what comes out is the same.
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

/** The first one is what the others are compared with. */
const fake_port::options rows[] = {
	{.rx_offloads = scatter, .tx_offloads = several, .mtu = 9000},
	{.rx_offloads = scatter | checks, .tx_offloads = several, .mtu = 9000},
	{.rx_offloads = scatter, .tx_offloads = several | inserts, .mtu = 9000, .room = 1024},
	{.rx_offloads = scatter | checks,
	 .tx_offloads = several,
	 .mtu = 9000,
	 .more = ",rx_checksum=trust"},
	{.rx_offloads = scatter, .tx_offloads = several, .mtu = 9000, .promiscuous = false},
	{.rx_offloads = scatter, .tx_offloads = several, .mtu = 9000, .more = ",zero-copy=1"},
};
constexpr size_t filters = 4, lends = 5; /* the rows that do */

struct variant {
	size_t row = 0;
	uint16_t burst = 64;
	bool pages = false;
	uint8_t format = iavf::rxdid::legacy_32b;
};

served_guest &
prepare(const variant &how)
{
	served_guest &served = serve(rows, how.row);

	served.map(how.pages ? fake_guest::page : 0);
	push_config(served.guest, {.promiscuous = 3, .mac = {{2, 0, 0, 0, 0, 7}}});
	return served;
}

/** What the next variant leaves out must not be there from this one. */
constexpr uint8_t nobody_wrote_it = 0xa5;

/* --- from the guest --- */

void
post(fake_guest &guest, input &in)
{
	using namespace iavf;
	const uint8_t how = in.u8();
	const uint32_t slot = how & 3;
	const packet like{.v6 = (how & 4) != 0, .udp = (how & 8) != 0};
	const bool last = (how & 16) == 0;

	switch (how >> 5) {
	case 0:
		/* Nowhere else: other memory has other contents in each guest. */
		guest.post(buffer(slot) + in.u8(), in.u64());
		break;
	case 1:
		guest.post(0, context(in.u16(), in.u16() % 2048));
		break;
	case 2:
		guest.post_data(buffer(slot), in.u16(), last, like.command());
		break;
	default:
		/* Some go on in the next page. */
		guest.post_data(buffer(slot) + in.u8() * 16, how & 128 ? in.u8() : in.u16() % 6000,
				last);
	}
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
	guest.enable(from);
	for (unsigned int n = in.u8() % 63; n != 0 && !in.empty(); n--)
		post(guest, in);
	guest.ring_tx();
	for (int idle = 0; idle < 3;) {
		const std::vector<rte_mbuf *> got = served.port.receive(0, how.burst);
		idle = got.empty() ? idle + 1 : 0;
		for (rte_mbuf *frame : got) {
			out.push_back(bytes_of(frame));
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
	const frames plain = transmit({}, in);

	MUST(transmit({.burst = 1}, in) == plain);
	MUST(transmit({.burst = 5, .pages = true}, in) == plain);
	MUST(transmit({.row = 1}, in) == plain);
	MUST(transmit({.row = 2, .burst = 3}, in) == plain);
	MUST(transmit({.row = 3}, in) == plain);
	MUST(transmit({.row = lends}, in) == plain);
	MUST(transmit({.row = lends, .burst = 1}, in) == plain);
	MUST(transmit({.row = lends, .burst = 7, .pages = true}, in) == plain);
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

	bool operator==(const received &) const = default;
};

std::vector<received>
collect(fake_guest &guest, uint8_t format, uint64_t offset)
{
	const bool legacy = format == iavf::rxdid::legacy_32b;
	std::vector<received> out;
	std::vector<uint8_t> bytes;

	for (uint16_t i = 0; i < guest.rx().next; i++) {
		const iavf::rx_descriptor &one = guest.rx_at(i);
		const uint64_t status = one.qword1;
		if (!rxd::dd::is_set(status))
			break;
		const auto length =
			legacy ? rxd::length::get(status) : rxflex::length::get(one.qword0);
		MUST(length <= 2048);
		for (uint64_t at = buffer(i) + offset; at < buffer(i) + offset + length; at++)
			bytes.push_back(*guest.at(at));
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
		out.push_back(std::move(all));
	}
	MUST(bytes.empty());
	return out;
}

std::vector<received>
receive(const variant &how, input in, bool cut)
{
	served_guest &served = prepare(how);
	fake_guest &guest = served.guest;
	std::vector<rte_mbuf *> all;

	guest.enable(to);
	guest.rx().info.desc_format = how.format;
	guest.push(to);
	/* Inside a page, or most of it in the next. */
	const uint64_t offset = in.u8() & 1 ? 4000 : 0;
	for (unsigned int n = 0; n < 60; n++) {
		for (uint64_t at = 0; at < 2048; at++)
			*guest.at(buffer(n) + offset + at) = nobody_wrote_it;
		guest.post_rx(buffer(n) + offset);
	}
	guest.ring_rx();
	for (unsigned int n = 1 + in.u8() % 40; n != 0 && !in.empty(); n--) {
		const std::vector<uint8_t> bytes = take_layers(in);
		const size_t front = cut ? std::min<size_t>(14 + in.u8() % 64, bytes.size()) : 0;
		if (!cut)
			in.u8();
		rte_mbuf *first = rte_pktmbuf_alloc(served.port.pool());
		rte_mbuf *last = first;
		const size_t head = front != 0 ? front : bytes.size();
		std::copy_n(bytes.begin(), head,
			    rte_pktmbuf_append(first, static_cast<uint16_t>(head)));
		if (head != bytes.size()) {
			last = rte_pktmbuf_alloc(served.port.pool());
			std::copy(bytes.begin() + static_cast<ptrdiff_t>(head), bytes.end(),
				  rte_pktmbuf_append(last,
						     static_cast<uint16_t>(bytes.size() - head)));
			rte_pktmbuf_chain(first, last);
		}
		all.push_back(first);
	}
	for (size_t at = 0; at < all.size(); at += how.burst) {
		const auto n = static_cast<uint16_t>(std::min<size_t>(how.burst, all.size() - at));
		MUST(rte_eth_tx_burst(served.port.id(), 0, &all[at], n) == n);
	}
	std::vector<received> out = collect(guest, how.format, offset);
	served.map(0);
	served.end();
	return out;
}

void
check_to_guest(const input &in)
{
	const auto plain = receive({}, in, false);

	MUST(receive({.burst = 1}, in, false) == plain);
	MUST(receive({}, in, true) == plain);
	MUST(receive({.pages = true}, in, false) == plain);
	MUST(receive({.burst = 7, .pages = true}, in, true) == plain);
	MUST(receive({.row = 1, .format = iavf::rxdid::flexible_nic}, in, false) == plain);
	MUST(receive({.row = 2, .burst = 3, .format = iavf::rxdid::flexible_ovs}, in, true) ==
	     plain);
	/* Who trusts his application checks nothing, but sends the same bytes. */
	const auto trusting = receive({.row = 3}, in, false);
	MUST(std::ranges::equal(trusting, plain, {}, &received::bytes, &received::bytes));
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
