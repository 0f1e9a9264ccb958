/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>

#include <rte_mbuf.h>

#include "copy_sum.hpp"
#include "host_request.hpp"
#include "memory.hpp"
#include "ring_memory.hpp"
#include "rx_check.hpp"
#include "segmentation.hpp"
#include "vlan.hpp"

namespace iavf_be {

/** The guest's buffers for one frame. */
struct buffer_run {
	const ring_memory &ring;
	uint16_t head, size; /**< First descriptor, and how many the ring has. */
	uint32_t each;       /**< Bytes of a buffer. */
	copy_sum_fn copy_sum;
};

/**
 * A frame of the application that asks for something, on its way to being frames of the guest's.
 * It is only read: its headers are written anew, and checksums are made while the rest is copied.
 */
class outgoing {
public:
	/** What becomes of its next frame. */
	struct result {
		bool copied;          /**< The guest's memory was there. */
		const uint8_t *front; /**< Its headers, until the next one. */
	};

	/** Begins with a frame, or goes on where it was left if a part of that frame is sent. */
	request_verdict begin(const rte_mbuf &frame, uint64_t offloads);
	/** Its frames have these tags in their front, which lie in front of all other headers. */
	void retag(const retagged &tags) { tags_ = tags; }
	/** The guest gets several segments in one, of up to this length with their tags. */
	void enlarge(uint32_t limit);
	/** Length of the longest frame that it makes, apart from several in one. */
	uint32_t longest_frame() const { return tags_.new_length(longest()); }
	bool done() const { return done_; }
	uint32_t next_length() const { return tags_.new_length(next()); }
	/** Of the next one, in whose headers tags are that it does not have. */
	merged next_merged(uint32_t apart) const
	{
		return series_.request.mss == 0 ? merged{}
						: series_.next_merged(next_length() + apart -
								      series_.next_payload());
	}
	/** What there is to be said of its frames. */
	const rx_finding &finding() const { return finding_; }
	/** Copies the next frame to the guest. */
	result copy_next(const buffer_run &to, guest_memory &memory);
	/** Nothing of it is left, or ever will be. */
	void end() { frame_ = nullptr; }

private:
	struct sums;

	uint32_t longest() const;
	uint32_t next() const;
	bool continues(const rte_mbuf &frame) const;
	void seek();
	void find_out();
	void write_front(uint32_t length);
	void insert_l4(const sums &payload, uint32_t end);
	void insert_outer(const sums &payload, uint32_t end);
	uint32_t sctp_crc() const;
	template <class function> bool each_piece(uint32_t length, function put_piece);
	void advance();

	const rte_mbuf *frame_ = nullptr; /**< Of which a part may be sent. */
	uint64_t flags_ = 0, lengths_ = 0;
	const rte_mbuf *part_ = nullptr; /**< Where it is read on. */
	uint32_t offset_ = 0;
	bool done_ = true;
	host_request request_;
	segment_series series_;
	rx_finding finding_;
	retagged tags_{}; /**< All else is about frames as the application has made them. */
	std::array<uint8_t, longest_headers> front_; /**< The headers of the next one. */
};

} // namespace iavf_be
