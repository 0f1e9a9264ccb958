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

/** What a NIC, which makes a frame of each segment, would have counted beyond a piece. */
struct merged {
	uint32_t packets, bytes;

	template <class counters> void add_to(counters &counts) const
	{
		if (packets == 0)
			return;
		counts.add(counters::id::merged_packets, packets);
		counts.add(counters::id::merged_bytes, bytes);
	}
};

/** What is made of a request, piece by piece: the headers of the next one, by a template. */
struct segment_series {
	offload request;
	/** Private copy, with its tags. */
	std::array<uint8_t, longest_headers + vlan_tags::max_length> header;
	uint32_t piece; /**< Bytes of payload of each: a segment's, or several segments'. */
	uint32_t left;  /**< Bytes of payload to send. */
	uint32_t sent;  /**< Bytes of payload sent. */
	/** IP packets made of it, with those that others make of its pieces. */
	uint16_t packets;

	/** Begins with a request whose headers are in their place. */
	void begin(const offload &wanted, uint32_t payload)
	{
		request = wanted;
		piece = wanted.mss;
		left = payload;
		sent = 0;
		packets = 0;
	}
	/** Makes pieces of several segments, of up to @p limit bytes, if that is more than one. */
	void enlarge(uint32_t limit);
	uint32_t next_payload() const { return std::min(left, piece); }
	/** Length of the next piece. */
	uint32_t next_length() const { return request.header_length() + next_payload(); }
	/** Length of the longest frame that is to come of it. */
	uint32_t longest_frame() const
	{
		return request.header_length() + std::min<uint32_t>(left, request.mss);
	}
	/** Whether the next piece has several segments, which others make. */
	bool next_is_large() const { return next_payload() > request.mss; }
	/** How many it has. */
	uint32_t next_segments() const { return (next_payload() + request.mss - 1) / request.mss; }
	/** The next piece of a request, whose segments would have had headers of this length. */
	merged next_merged(uint32_t headers) const
	{
		const uint32_t more = next_is_large() ? next_segments() - 1 : 0;
		return {more, more * headers};
	}

	/* Write the headers of the next piece, of @p length bytes, to its front. */
	/** All but the checksums of TCP and UDP, and what is around them. */
	void write_headers(uint8_t *front, uint32_t length) const;
	/** What is around them, but the checksum of UDP. */
	void write_outer(uint8_t *front, uint32_t length) const;
	/** It is done, and becomes so many IP packets. Who receives several segments in one gets
	 * one packet: Linux joins two only if their identifications follow each other. */
	void advance(uint32_t become);
};

/** A TSO request of the guest on its way to being many frames. */
struct segmentation : segment_series {
	static constexpr size_t max_header = 256;

	bool active = false;
	cursor position;  /**< In the payload. */
	bool legible;     /**< Others find in it what its request says. */
	bool began_right; /**< The checksums will be right. */

	/** Begins; false if the headers cannot be read or do not match the request. */
	bool start(const chain &frame, const offload &wanted, guest_memory &memory);
	/** Where all its frames go. */
	rte_ether_addr destination() const
	{
		rte_ether_addr to;
		std::copy_n(header.begin(), RTE_ETHER_ADDR_LEN, to.addr_bytes);
		return to;
	}
	/** Finds out what others can do. If they can cut it, they get it in parts of up to @p limit
	 * bytes; 0: they do not. */
	void examine(uint32_t limit);

	/* Write the headers of the next mbuf, whose payload is in place, and count it. */
	/** It becomes a frame. @p payload is the sum of the payload, if that is known. */
	void finish(rte_mbuf *frame, const uint64_t *payload = nullptr);
	/** It becomes a frame but for its checksum. */
	void finish_without_checksum(rte_mbuf *frame);
	/** It becomes a smaller request. */
	void leave_large(rte_mbuf *frame);

private:
	void write_headers(rte_mbuf *frame) const;
	void insert_checksum(rte_mbuf *frame, uint64_t payload) const;
	void finish_outer(rte_mbuf *frame) const;
};

} // namespace iavf_be
