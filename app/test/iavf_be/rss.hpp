/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_thash.h>

#include "fixture.hpp"

/** What the cases of RSS and of steering share. */
namespace test::port_suite {

/** The key of the published verification suite. */
inline constexpr uint8_t published_key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

/** All of what a type has, for all types, by the published key, round the first @p queues. */
inline rte_emudev_net_rss
plain_rss(uint16_t queues)
{
	constexpr uint16_t addresses =
		RTE_EMUDEV_NET_RSS_SRC_ADDRESS | RTE_EMUDEV_NET_RSS_DST_ADDRESS;
	constexpr uint16_t ports = RTE_EMUDEV_NET_RSS_SRC_PORT | RTE_EMUDEV_NET_RSS_DST_PORT;
	rte_emudev_net_rss out{};

	for (size_t i = 0; i < RTE_EMUDEV_NET_RSS_TYPES; i++)
		out.fields[i] = addresses | (i % 5 >= 2 ? ports : 0);
	std::copy(std::begin(published_key), std::end(published_key), out.key);
	out.lut_size = 64;
	for (uint16_t i = 0; i < out.lut_size; i++)
		out.lut[i] = i % queues;
	return out;
}

inline void
push_rss(fake_guest &guest, const rte_emudev_net_rss *rss, const rte_emudev_net_vlan &vlan = {})
{
	rte_emudev_net_config config{};
	config.promiscuous = 3;
	config.rss = rss;
	config.vlan = vlan;
	push_config(guest, config);
}

/** An IPv4 frame of UDP, of a flow by the number of its source port. */
inline rte_mbuf *
make_flow(fake_port &port, uint16_t flow, uint32_t payload = 22)
{
	const packet shape{.udp = true, .payload = payload};
	rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
	auto *at = reinterpret_cast<uint8_t *>(
		rte_pktmbuf_append(frame, static_cast<uint16_t>(shape.length())));
	shape.write(at);
	auto *udp = reinterpret_cast<rte_udp_hdr *>(at + RTE_ETHER_HDR_LEN + shape.l3());
	udp->src_port = rte_cpu_to_be_16(flow);
	udp->dst_port = rte_cpu_to_be_16(53);
	udp->dgram_cksum = 0;
	return frame;
}

/** Its hash by DPDK's own function. */
inline uint32_t
hash_of_flow(uint16_t flow)
{
	uint32_t words[] = {0x0a000001, 0x0a000002, uint32_t{flow} << 16 | 53};
	return rte_softrss(words, 3, published_key);
}

} // namespace test::port_suite
