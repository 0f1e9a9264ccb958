/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

namespace iavf_be {

/**
 * A request of the application for the checksum of TCP or UDP, and perhaps that of IPv4, in a frame
 * as plain as can be: in one segment, without tags, options, extension headers, fragments, tunnels
 * and bytes behind the packet. What is to be written is known before the frame is copied, but for
 * the sum of its bytes. All others are an outgoing's.
 */
struct checksum_request {
	uint64_t rest;        /**< With the sum of the frame as it is: what the checksum covers. */
	uint16_t field;       /**< Where the checksum is, in bytes from the frame's first. */
	uint16_t ip_field;    /**< The same of IPv4; 0: it is not to be inserted. */
	uint16_t ip_checksum; /**< As it is in memory. */
	uint16_t ptype;
	bool udp;

	/** Reads the request of a mbuf on a queue with these offloads. False: it is not so plain,
	 * or is to be refused, which an outgoing finds out. */
	bool find(const rte_mbuf &frame, uint64_t offloads);
	/** Writes into the copy of a frame whose bytes have this sum. Nothing is read there. */
	void insert(uint8_t *copy, uint64_t sum) const;
};

} // namespace iavf_be
