/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "frame_front.hpp"

namespace iavf_be {

/**
 * Where the headers of a frame of any form are, behind up to two tags and not in a tunnel: what
 * rules and RSS look at, found once for both. Offsets are 0 where nothing is. Lengths in the
 * headers are not compared with the frame's: what asks for segmentation has them left open.
 */
struct packet_places {
	explicit packet_places(const rte_mbuf &frame);

	/** All that is looked at: tags, and IPv6 with some extension headers. */
	const frame_front<256> front;
	uint32_t type = 0;    /**< The EtherType behind the tags. */
	uint16_t tags = 0;    /**< Number. */
	uint8_t version = 0;  /**< Of IP; 0 if there is none. */
	uint8_t protocol = 0; /**< What IP carries, behind extension headers. */
	bool fragment = false;
	uint32_t l3 = 0, l4 = 0; /**< The latter may be behind the front. */
	uint32_t end = 0;        /**< Of the packet, as its header has it. */
	uint32_t fragment_id = 0;

private:
	void find_ipv4();
	void find_ipv6();
};

} // namespace iavf_be
