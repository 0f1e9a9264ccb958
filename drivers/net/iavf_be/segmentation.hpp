/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "chain.hpp"
#include "offload.hpp"

namespace iavf_be {

/** A TSO request on its way to being many frames (TCP only). */
struct segmentation {
	static constexpr size_t max_header = 256;

	bool active = false;
	offload request;
	/** Private copy, with its tags. */
	std::array<uint8_t, max_header + vlan_tags::max_length> header;
	cursor position;   /**< In the payload. */
	uint32_t left;     /**< Bytes of payload to send. */
	uint32_t sent;     /**< Bytes of payload sent. */
	uint16_t segments; /**< Frames made. */

	/** Begins; false if the headers cannot be read or do not match the request. */
	bool start(const chain &frame, const offload &wanted, guest_memory &memory);
	/** Where all its frames go. */
	rte_ether_addr destination() const
	{
		rte_ether_addr to;
		std::copy_n(header.begin(), RTE_ETHER_ADDR_LEN, to.addr_bytes);
		return to;
	}
	uint32_t next_payload() const;
	/** Length of the next frame. */
	uint32_t next_length() const { return request.header_length() + next_payload(); }
	/** Writes the headers of the next frame, whose payload is in place, and counts it. */
	void finish(rte_mbuf *frame);
};

} // namespace iavf_be
