/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include <rte_emudev_net.h>
#include <state_walk.hpp>
#include <virtchnl.hpp>

namespace iavf {

/**
 * How the driver wants packets to be spread over its queues. Modelled on a VF of the E810: it
 * begins with a random key, a table of all queues in turn, and all types of packets hashed, for
 * Linux sets up the first two alone.
 */
class rss {
public:
	/** Types of packets that a driver may choose from, and has to begin with. */
	static constexpr uint64_t all_types =
		uint64_t{1} << vc_pctype::unicast_ipv4_udp |
		uint64_t{1} << vc_pctype::multicast_ipv4_udp | uint64_t{1} << vc_pctype::ipv4_udp |
		uint64_t{1} << vc_pctype::ipv4_tcp_syn | uint64_t{1} << vc_pctype::ipv4_tcp |
		uint64_t{1} << vc_pctype::ipv4_sctp | uint64_t{1} << vc_pctype::ipv4_other |
		uint64_t{1} << vc_pctype::ipv4_fragment |
		uint64_t{1} << vc_pctype::unicast_ipv6_udp |
		uint64_t{1} << vc_pctype::multicast_ipv6_udp | uint64_t{1} << vc_pctype::ipv6_udp |
		uint64_t{1} << vc_pctype::ipv6_tcp_syn | uint64_t{1} << vc_pctype::ipv6_tcp |
		uint64_t{1} << vc_pctype::ipv6_sctp | uint64_t{1} << vc_pctype::ipv6_other |
		uint64_t{1} << vc_pctype::ipv6_fragment;

	/** Entries of the table of a driver with so many queues. */
	static constexpr uint16_t lut_size(uint16_t queues)
	{
		return queues <= 64 ? 64 : RTE_EMUDEV_NET_RSS_MAX_LUT;
	}

	/** A driver with these capabilities begins, or goes on. */
	void begin(uint32_t granted, uint16_t queues);

	/* False: it cannot be, and nothing has changed. */
	bool set_key(std::span<const uint8_t> key);
	/** Its queues are among those that the driver has, which need not be enabled. */
	bool set_lut(std::span<const uint8_t> lut);
	/** Forgets what add() has brought. */
	bool set_types(uint64_t types);
	/** Whether all is hashed symmetrically, besides what add() asks for. */
	void set_symmetric(bool yes);
	/** What is hashed of packets with some headers. Those with the same headers have one. */
	bool add(const vc_rss_cfg &wanted);
	bool remove(const vc_rss_cfg &unwanted);

	/** What is to be pushed; nullptr: nothing is hashed. It stays until this changes. */
	const rte_emudev_net_rss *describe() const;
	void each_state(pci_device::state_walk &walk);

private:
	void update();

	bool granted_ = false;
	uint16_t queues_ = 0;
	bool symmetric_ = false;
	/** By type of packet. Those of packets with nothing special also stand for types that have
	 * none. */
	std::array<uint16_t, RTE_EMUDEV_NET_RSS_TYPES> fields_{};
	rte_emudev_net_rss told_{};
};

} // namespace iavf
