/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include <rte_mbuf.h>

#include <ptypes.hpp>

namespace iavf_be {

/** Reads a header, in whichever segments; false if the frame ends before. */
template <class T>
bool
read(const rte_mbuf &frame, uint32_t offset, T &out)
{
	const void *at = rte_pktmbuf_read(&frame, offset, sizeof(out), &out);
	if (at == nullptr)
		return false;
	if (at != &out)
		memcpy(&out, at, sizeof(out));
	return true;
}

/** Longest extension header of IPv6: its length field has eight bits. */
inline constexpr uint32_t longest_extension = 256 * 8;

/** Whether a header with options for the destination has a home address (RFC 6275), which is the
 * source for the checksum. */
bool has_home_address(std::span<const uint8_t> header);

/** Ports that are assigned to tunnels. */
inline constexpr uint16_t port_vxlan = 4789, port_geneve = 6081;

/** An IP header, and where what follows it is. Offsets are those of the frame. */
struct ip_part {
	uint8_t version = 0;     /**< 4 or 6; 0 if there is none. */
	bool malformed = false;  /**< It contradicts itself, or what surrounds it. */
	bool fragment = false;   /**< What follows is a part of something. */
	bool extensions = false; /**< IPv6: there are extension headers. */
	/** IPv6: a checksum after it covers other addresses (routing, mobility). */
	bool other_addresses = false;
	uint8_t protocol = 0;
	uint32_t l3 = 0, l4 = 0;
	uint32_t l4_length = 0; /**< As the header says; the bytes are there. */

	iavf::ptype::payload payload() const;
};

/** What the headers of a frame say. */
struct frame_headers {
	uint16_t type = 0; /**< EtherType behind the tags. */
	ip_part outer;
	iavf::ptype::tunnel tunnel = iavf::ptype::tunnel::none;
	bool gre_checksum = false; /**< The tunnel's header is GRE, and has a checksum. */
	ip_part inner;             /**< If there is a tunnel. */

	/** The last IP header. */
	const ip_part &last() const { return tunnel == iavf::ptype::tunnel::none ? outer : inner; }
	uint16_t ptype() const;
};

/**
 * Parses a frame of any form and segmentation, up to two tags and one tunnel: IP, GRE, and on their
 * assigned ports VXLAN and GENEVE.
 */
frame_headers parse_headers(const rte_mbuf &frame);

/** The type of a frame by what the host says of it (mbuf.packet_type); `mac` if that is little. */
uint16_t ptype_of(uint32_t packet_type);

} // namespace iavf_be
