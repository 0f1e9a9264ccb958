/* SPDX-License-Identifier: BSD-3-Clause */
#include <map>

#include "rss.hpp"

/* Frames of one queue of the application that go to several rings of the guest. */

using namespace test;
using namespace test::port_suite;

namespace {

/** Enables rings with so many buffers each. */
void
enable_rings(fake_guest &guest, std::initializer_list<uint16_t> buffers)
{
	uint16_t ring = 0;

	for (const uint16_t n : buffers) {
		guest.disable(to, ring);
		guest.enable(to, ring);
		for (uint16_t i = 0; i < n; i++)
			guest.post_rx(buffer(ring * 64 + i), ring);
		guest.ring_rx(ring++);
	}
}

/** The source ports of what a ring has got, in its order; 0xffff: it is not labelled by its hash.
 */
std::vector<uint16_t>
flows_at(fake_guest &guest, uint16_t ring)
{
	std::vector<uint16_t> out;

	for (uint16_t i = 0; rxd::dd::is_set(guest.rx_status(i, ring)); i++) {
		const uint8_t *udp =
			guest.at(buffer(ring * 64u + i)) + RTE_ETHER_HDR_LEN + sizeof(rte_ipv4_hdr);
		const auto flow = static_cast<uint16_t>(udp[0] << 8 | udp[1]);
		const bool labelled = rxd::fltstat::get(guest.rx_status(i, ring)) == 3 &&
				      guest.rx_at(i, ring).qword0 >> 32 == hash_of_flow(flow);
		out.push_back(labelled ? flow : 0xffff);
	}
	return out;
}

/** Sends a burst of these flows. @return The flows of what is left, which is freed. */
std::vector<uint16_t>
send_flows(fake_port &port, const std::vector<uint16_t> &flows, uint16_t queue = 0)
{
	std::vector<rte_mbuf *> burst;
	std::map<rte_mbuf *, uint16_t> flow_of;

	for (const uint16_t flow : flows) {
		burst.push_back(make_flow(port, flow));
		flow_of[burst.back()] = flow;
	}
	const auto n = static_cast<uint16_t>(burst.size());
	const uint16_t sent = rte_eth_tx_burst(port.id(), queue, burst.data(), n);
	std::vector<uint16_t> left;
	for (uint16_t i = sent; i < n; i++) {
		left.push_back(flow_of[burst[i]]);
		rte_pktmbuf_free(burst[i]);
	}
	return left;
}

uint16_t
ring_of(uint16_t flow, uint16_t rings)
{
	return static_cast<uint16_t>(hash_of_flow(flow) % 64 % rings);
}

/** The flows of a ring out of some, in their order. */
std::vector<uint16_t>
flows_for(const std::vector<uint16_t> &flows, uint16_t ring, uint16_t rings)
{
	std::vector<uint16_t> out;
	for (const uint16_t flow : flows)
		if (ring_of(flow, rings) == ring)
			out.push_back(flow);
	return out;
}

std::vector<uint16_t>
some_flows(uint16_t n)
{
	std::vector<uint16_t> out(n);
	for (uint16_t i = 0; i < n; i++)
		out[i] = 1000 + i;
	return out;
}

outcome
a_full_ring_holds_up_no_other()
{
	fake_guest guest;
	fake_port port(guest);
	const auto flows = some_flows(100);
	/* Ring 1 has room for 3, ring 3 for none. */
	enable_rings(guest, {60, 3, 60, 0});
	const auto rss = plain_rss(4);
	push_rss(guest, &rss);
	const auto left = send_flows(port, flows);
	auto second = flows_for(flows, 1, 4);
	CHECK(second.size() > 3);
	const std::vector<uint16_t> first3(second.begin(), second.begin() + 3);
	CHECK(flows_at(guest, 0) == flows_for(flows, 0, 4));
	CHECK(flows_at(guest, 1) == first3);
	CHECK(flows_at(guest, 2) == flows_for(flows, 2, 4));
	CHECK(flows_at(guest, 3).empty());
	/* What is left is whole, and in order for each ring. */
	second.erase(second.begin(), second.begin() + 3);
	CHECK(flows_for(left, 1, 4) == second);
	CHECK(flows_for(left, 3, 4) == flows_for(flows, 3, 4));
	CHECK_EQ(left.size(), second.size() + flows_for(flows, 3, 4).size());
	CHECK_EQ(port.stats().opackets, flows.size() - left.size());
	CHECK(port.complete());
	return success;
}

/** A ring that gets room in the middle of a long burst takes no later frame before an earlier one.
 * So do rings that come and go: what is sent goes somewhere. */
outcome
frames_for_a_queue_that_is_not_there_go_to_another()
{
	fake_guest guest;
	fake_port port(guest);
	auto rss = plain_rss(4);
	const auto flows = some_flows(40);
	enable_rings(guest, {60, 60});
	rss.lut[63] = 0xffff;
	rss.lut[62] = 300;
	push_rss(guest, &rss);
	CHECK(send_flows(port, flows).empty());
	CHECK_EQ(flows_at(guest, 0).size() + flows_at(guest, 1).size(), 40);
	/* By turns. */
	CHECK_EQ(flows_at(guest, 1).size(),
		 flows_for(flows, 1, 4).size() + flows_for(flows, 3, 4).size());
	guest.disable(to, 1);
	enable_rings(guest, {60});
	CHECK(send_flows(port, flows).empty());
	CHECK_EQ(flows_at(guest, 0).size(), 40);
	guest.disable(to, 0);
	CHECK_EQ(send_flows(port, flows).size(), 40);
	CHECK(port.complete());
	return success;
}

outcome
without_rss_a_queue_feeds_one_ring()
{
	fake_guest guest;
	fake_port port(guest);
	const auto flows = some_flows(40);
	enable_rings(guest, {60, 60, 60, 60});
	CHECK(send_flows(port, flows).empty());
	CHECK_EQ(guest.rx_status(39, 0) & 1, 1);
	CHECK_EQ(rxd::fltstat::get(guest.rx_status(39, 0)), 0);
	const auto rss = plain_rss(4);
	push_rss(guest, &rss);
	enable_rings(guest, {60, 60, 60, 60});
	CHECK(send_flows(port, flows).empty());
	for (uint16_t ring = 0; ring < 4; ring++)
		CHECK(flows_at(guest, ring) == flows_for(flows, ring, 4));
	push_rss(guest, nullptr);
	enable_rings(guest, {60, 60, 60, 60});
	CHECK(send_flows(port, flows).empty());
	CHECK_EQ(guest.rx_status(39, 0) & 1, 1);
	CHECK(port.complete());
	return success;
}

/** As an application that has nothing to flush does. */
outcome
a_burst_of_nothing_is_none()
{
	const auto rss = plain_rss(4);
	const auto reaches_nothing = [](fake_port &port) {
		return rte_eth_tx_burst(port.id(), 0, nullptr, 0) == 0 &&
		       rte_eth_tx_prepare(port.id(), 0, nullptr, 0) == 0 &&
		       rte_eth_rx_burst(port.id(), 0, nullptr, 0) == 0;
	};

	for (const bool steered : {false, true}) {
		fake_guest guest;
		fake_port port(guest);
		CHECK(reaches_nothing(port));
		enable_rings(guest, {60, 60});
		guest.enable(from);
		push_rss(guest, steered ? &rss : nullptr);
		CHECK(reaches_nothing(port));
		/* Of a guest that is not promiscuous all are looked at. */
		push_config(guest, {.mac = {{2, 0, 0, 0, 0, 7}}});
		CHECK(reaches_nothing(port));
		CHECK(port.complete());
	}
	return success;
}

/** While the guest changes its table and its rings, another thread sends. */
outcome
steering_changes_meet_bursts()
{
	fake_guest guest;
	fake_port port(guest);
	for (uint16_t ring = 0; ring < 4; ring++)
		guest.enable(to, ring);
	std::atomic<bool> over{false};
	std::atomic<uint64_t> bursts{0}, sent{0};
	std::thread sender = start_thread([&] {
		const auto flows = some_flows(32);
		while (!over) {
			/* The guest does not take buffers back: some frames have room, most not. */
			sent += 32 - send_flows(port, flows).size();
			bursts++;
		}
	});
	const auto rss = plain_rss(4);
	for (const race_time race; !race.over(bursts > 1000 && sent > 1000);) {
		push_rss(guest, &rss);
		for (uint16_t ring = 1; ring < 4; ring++) {
			for (uint16_t i = 0; i < 16; i++)
				guest.post_rx(buffer(ring * 64u + i), ring);
			guest.ring_rx(ring);
			guest.push(to, ring);
		}
		guest.disable(to, 3);
		push_rss(guest, nullptr);
		guest.enable(to, 3);
	}
	over = true;
	sender.join();
	CHECK_EQ(port.stats().opackets, sent);
	CHECK(port.complete());
	return success;
}

constexpr test_case cases[] = {
	{"a full ring holds up no other", a_full_ring_holds_up_no_other},
	{"frames for a queue that is not there go to another",
	 frames_for_a_queue_that_is_not_there_go_to_another},
	{"without RSS a queue feeds one ring", without_rss_a_queue_feeds_one_ring},
	{"a burst of nothing is none", a_burst_of_nothing_is_none},
	{"steering changes meet bursts", steering_changes_meet_bursts},
};

} // namespace

constinit const case_table test::port_suite::steering_cases = cases;
