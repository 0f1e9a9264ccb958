/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include <descriptors.hpp>

#include "chain.hpp"

namespace iavf_be {

/** Longest headers that a data descriptor can describe: its three length fields at their most. A
 * tunnel may not make them longer. */
inline constexpr uint32_t longest_headers = 127 * 2 + 127 * 4 + 15 * 4;
/**
 * Least data room of an mbuf. The headers of a frame that wants an offload must be in its first
 * mbuf; other drivers of the family have the same minimum.
 */
inline constexpr uint32_t min_room = 1024;
static_assert(longest_headers + 2 * sizeof(rte_vlan_hdr) <= min_room);

/** The VLAN tags to insert behind the addresses of a frame, as they are on the wire. */
struct vlan_tags {
	static constexpr uint16_t offset = 2 * RTE_ETHER_ADDR_LEN;
	static constexpr uint16_t max_length = 2 * sizeof(rte_vlan_hdr);

	std::array<uint8_t, max_length> bytes;
	uint16_t length = 0;

	/** Appends a tag behind those that are there; at most two. */
	void append(uint16_t type, uint16_t control);
	/** Inserts them into a front of @p size bytes that has room for them. */
	void insert(uint8_t *front, uint16_t size) const;
};

/** What is around the headers that the data descriptors describe. */
struct tunnel_request {
	iavf::ip_type ip = iavf::ip_type::none; /**< The outer one; none: there is no tunnel. */
	iavf::tunnel_type type = iavf::tunnel_type::ip;
	uint16_t ip_length = 0;
	uint16_t length = 0;       /**< From the end of the outer IP to the inner one. */
	bool udp_checksum = false; /**< The outer one is to be inserted. */
	bool same_id = false;      /**< Of all outer headers of segments. */

	bool none() const { return ip == iavf::ip_type::none; }
};

/** What becomes of an offload request. */
enum class offload_verdict {
	good,
	contradictory, /**< No driver in its right mind asks for it. */
	unsupported,   /**< A stock driver may ask for it, but it is not carried out here. */
};

/**
 * What a frame's descriptors ask for besides sending. A VF's driver may ask for the checksums of
 * IPv4, TCP, UDP and SCTP and for TCP segmentation without any capability being granted: Linux iavf
 * does (NETIF_F_IP_CSUM, NETIF_F_TSO and others are unconditional). DPDK's net_iavf also offers its
 * application the insertion of VLAN tags and offloads of tunnelled frames unconditionally.
 */
struct offload {
	iavf::ip_type ip = iavf::ip_type::none;
	iavf::l4_type l4 = iavf::l4_type::none;
	uint16_t l2_length = 0;
	uint16_t l3_length = 0;
	uint16_t l4_length = 0;
	uint16_t mss = 0; /**< 0: no segmentation. */
	tunnel_request tunnel;
	vlan_tags tags;

	/** Decodes the request; it is only complete if the verdict is good. */
	offload_verdict decode(const chain &frame);
	/** The same of a lone data descriptor that asks for checksums alone; false: contradictory.
	 */
	bool decode_checksums(uint64_t command);
	/** Whether headers can have the lengths that it names. */
	bool lengths_are_plausible() const;
	/** The same request for the frame with its tags inserted: the lengths count them. */
	offload with_tags() const;

	/** No checksum, thus no segmentation. */
	bool none() const { return ip == iavf::ip_type::none && tunnel.none(); }
	/* Where headers begin: in a tunnel there are two of IP. */
	uint16_t outer_l4() const { return l2_length + tunnel.ip_length; }
	uint16_t l3() const { return outer_l4() + tunnel.length; }
	uint16_t l4_at() const { return l3() + l3_length; }
	uint16_t header_length() const { return l4_at() + l4_length; }
	bool is_ipv4() const { return is_version_4(ip); }
	bool is_outer_ipv4() const { return is_version_4(tunnel.ip); }
	/** Whether the headers at the front of a frame are what the request says. */
	bool matches(std::span<const uint8_t> front) const;
	/** Inserts the checksums into a frame that matches the request. @p sum is that of all its
	 * bytes as they are, see copy_sum_fn, if it is known. */
	void insert_checksums(rte_mbuf *frame, const uint64_t *sum = nullptr) const;
	/** Inserts that of IPv4, if it is asked for. */
	void insert_ip_checksum(rte_mbuf *frame) const;

private:
	void describe(uint64_t command);
	bool insert_l4_by_sum(rte_mbuf *frame, uint64_t sum) const;
	static bool is_version_4(iavf::ip_type type)
	{
		return type == iavf::ip_type::ipv4 || type == iavf::ip_type::ipv4_checksum;
	}
	bool outer_matches(const uint8_t *front) const;
};

} // namespace iavf_be
