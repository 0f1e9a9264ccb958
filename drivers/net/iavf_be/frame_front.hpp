/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstdint>

#include <rte_mbuf.h>

namespace iavf_be {

/** The first bytes of a frame, as many as headers may take, in one piece. */
template <uint32_t longest> class frame_front {
public:
	explicit frame_front(const rte_mbuf &frame)
	    : length(std::min(frame.pkt_len, longest)),
	      begin(static_cast<const uint8_t *>(rte_pktmbuf_read(&frame, 0, length, copy_)))
	{
	}
	frame_front(const frame_front &) = delete;
	frame_front &operator=(const frame_front &) = delete;

	bool has(uint32_t at, uint32_t size) const { return at <= length && size <= length - at; }

	const uint32_t length;
	const uint8_t *const begin;

private:
	uint8_t copy_[longest]; /* no initial value: it is mostly not used */
};

} // namespace iavf_be
