/* SPDX-License-Identifier: BSD-3-Clause */
/* In DPDK 22.11 it is not ready for C++; so it comes before what includes it. */
extern "C" {
#include <rte_vect.h>
}

#include <atomic>
#include <utility>

#include "../../../drivers/net/iavf_be/copy_sum.hpp"
#include "sums.hpp"

/* Frames that nobody has checked, in any length, place and number of segments: what is copied, and
 * what is said of it. */

using namespace test;
using namespace test::port_suite;

namespace {

constexpr uint32_t ether = RTE_ETHER_HDR_LEN;

/** A frame with right checksums, and with some bytes behind its packet. */
std::vector<uint8_t>
right_frame(const packet &p, uint32_t padding, std::mt19937 &random)
{
	std::vector<uint8_t> out(p.length() + padding);
	uint8_t *ip = out.data() + ether, *l4 = ip + p.l3();

	p.write(out.data());
	for (uint32_t i = p.headers(); i < out.size(); i++)
		out[i] = static_cast<uint8_t>(random());
	uint8_t *field = l4 + (p.udp ? 6 : 16);
	memset(field, 0, 2);
	if (p.v6) {
		const uint16_t sum =
			rte_ipv6_udptcp_cksum(reinterpret_cast<rte_ipv6_hdr *>(ip), l4);
		memcpy(field, &sum, sizeof(sum));
		return out;
	}
	auto *header = reinterpret_cast<rte_ipv4_hdr *>(ip);
	header->src_addr = static_cast<rte_be32_t>(random());
	header->hdr_checksum = rte_ipv4_cksum(header);
	const uint16_t sum = rte_ipv4_udptcp_cksum(header, l4);
	memcpy(field, &sum, sizeof(sum));
	return out;
}

/** Puts bytes into so many segments, cut anywhere, at any alignment. */
rte_mbuf *
in_segments(fake_port &port, const std::vector<uint8_t> &bytes, uint32_t parts,
	    std::mt19937 &random)
{
	rte_mbuf *first = nullptr;

	for (size_t done = 0; done < bytes.size(); parts--) {
		rte_mbuf *part = rte_pktmbuf_alloc(port.pool());
		size_t piece = bytes.size() - done;
		/* The Ethernet header stays in one piece. */
		if (parts > 1 && piece > ether + 1)
			piece = ether + random() % (piece - ether);
		part->data_off = static_cast<uint16_t>(random() % RTE_PKTMBUF_HEADROOM);
		append_segment(first, part, std::span(bytes).subspan(done, piece));
		done += piece;
	}
	return first;
}

/** What a descriptor of the legacy format claims. */
enum class claim { nothing, good, bad };

claim
claim_of(uint64_t status)
{
	if (!rxd::l3l4p::is_set(status))
		return claim::nothing;
	return rxd::ipe::is_set(status) || rxd::l4e::is_set(status) ? claim::bad : claim::good;
}

/** One frame, as random says. */
outcome
send_any(fake_guest &guest, fake_port &port, std::mt19937 &random)
{
	const uint32_t most = random() % 4 == 0 ? 1400 : 200;
	const packet p{.v6 = random() % 2 == 0,
		       .udp = random() % 2 == 0,
		       .payload = static_cast<uint32_t>(random() % most)};
	const uint32_t padding = random() % 4 == 0 ? random() % 30 : 0;
	auto frame = right_frame(p, padding, random);
	const bool damaged = random() % 3 == 0;
	/* Neither the lengths nor what the packet is: the addresses, or behind the IP header. */
	const uint32_t begin = ether + (p.v6 ? 8 : 12);

	if (damaged)
		frame[begin + random() % (p.length() - begin)] ^= 1 + random() % 255;
	CHECK_EQ(checksums_are_right(p, {frame.begin(), frame.begin() + p.length()}), !damaged);
	guest.disable(to);
	guest.enable(to);
	const uint64_t where = buffer(0) + random() % 64;
	memset(guest.at(where - 1), 0x55, frame.size() + 2);
	guest.at(where - 1)[0] = guest.at(where + frame.size())[0] = 0xa5;
	guest.post_rx(where);
	guest.ring_rx();
	rte_mbuf *mbuf = in_segments(port, frame, random() % 3 == 0 ? 1 + random() % 4 : 1, random);
	CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &mbuf, 1), 1);
	CHECK_EQ(guest.rx_status(0) & 1, 1);
	CHECK(std::equal(frame.begin(), frame.end(), guest.at(where)));
	CHECK_EQ(guest.at(where - 1)[0], 0xa5);
	CHECK_EQ(guest.at(where + frame.size())[0], 0xa5);
	const claim its = claim_of(guest.rx_status(0));
	/* The field of UDP may have become 0: then there is none. */
	CHECK(damaged ? its != claim::good : its == claim::good);
	return success;
}

/** With vectors as wide as may be, and with none. */
outcome
frames_of_any_form_are_copied_and_checked()
{
	const uint16_t usual = rte_vect_get_max_simd_bitwidth();
	outcome out = success;

	for (const uint16_t width : {usual, uint16_t{RTE_VECT_SIMD_DISABLED}}) {
		if (width != usual && rte_vect_set_max_simd_bitwidth(width) != 0)
			continue; /* The command line has chosen. */
		fake_guest guest;
		fake_port port(guest);
		std::mt19937 random(width);
		for (int i = 0; i < 5000 && out == success; i++)
			out = send_any(guest, port, random);
		CHECK(port.complete());
	}
	rte_vect_set_max_simd_bitwidth(usual);
	return out;
}

/** A sum of its own, byte by byte; what is around the bytes stays. */
outcome
bytes_are_copied_and_summed_up_exactly()
{
	const auto copy_sum = iavf_be::select_copy_sum();
	std::mt19937 random(1);
	std::vector<uint8_t> in(16384), out(in.size() + 2);

	if (copy_sum == nullptr)
		return skipped;
	for (int i = 0; i < 3000; i++) {
		const uint32_t most = i % 8 == 0 ? 16000 : 600;
		const uint32_t length = iavf_be::copy_sum_pays + random() % most;
		const uint32_t from = random() % 64, at = 1 + random() % 64;
		/* Carries everywhere, or here and there. */
		for (uint32_t n = 0; n < length; n++)
			in[from + n] = i % 3 == 0 ? 0xff : static_cast<uint8_t>(random());
		std::fill(out.begin(), out.end(), 0x5a);
		const uint64_t sum = copy_sum(&out[at], &in[from], length);
		/* Words as they lie in memory of this machine. */
		const uint16_t want = byte_sum().add(&in[from], length).get();
		CHECK_EQ(sum % 0xffff, rte_be_to_cpu_16(want) % 0xffff);
		CHECK(std::equal(&in[from], &in[from] + length, &out[at]));
		CHECK_EQ(out[at - 1], 0x5a);
		CHECK_EQ(out[at + length], 0x5a);
	}
	return success;
}

/** A guest may write to its frames at any time: what is summed up is what has been copied. */
outcome
the_sum_is_that_of_the_copy()
{
	constexpr uint32_t length = 3 * 32 + 17;
	const auto copy_sum = iavf_be::select_copy_sum();
	std::vector<std::atomic<uint8_t>> in(length);
	std::vector<uint8_t> out(length);
	std::atomic<bool> over = false;
	uint64_t changes = 0;

	if (copy_sum == nullptr)
		return skipped;
	auto guest = start_thread([&] {
		for (uint8_t n = 0; !over; n++)
			for (auto &byte : in)
				byte.store(n, std::memory_order_relaxed);
	});
	race_time time;
	bool right = true;
	for (uint32_t first = 0; right && !time.over(changes > 100);) {
		const uint64_t sum =
			copy_sum(out.data(), reinterpret_cast<uint8_t *>(in.data()), length);
		right = sum % 0xffff ==
			rte_be_to_cpu_16(byte_sum().add(out.data(), length).get()) % 0xffff;
		changes += std::exchange(first, out[0]) != out[0];
	}
	over = true;
	guest.join();
	CHECK(right);
	return success;
}

constexpr test_case cases[] = {
	{"the sum is that of the copy", the_sum_is_that_of_the_copy},
	{"bytes are copied and summed up exactly", bytes_are_copied_and_summed_up_exactly},
	{"frames of any form are copied and checked", frames_of_any_form_are_copied_and_checked},
};

} // namespace

constinit const case_table test::port_suite::checked_frame_cases = cases;
