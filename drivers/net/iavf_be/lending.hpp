/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>

#include "from_guest.hpp"

/*
 * Frames of the guest that are handed over without a copy: which, and how many at a time. What the
 * loop of from_guest.cpp asks for each frame is here; loans.hpp keeps the books.
 */

namespace iavf_be {

/** What is no longer than this is not lent: to attach a mbuf, to note it and to get it back has its
 * price, too. An estimate. */
constexpr uint32_t cheaper_to_copy = 256;
/** Of the descriptors of a ring, those from the oldest that is lent on are a half at most: the
 * other half is for the guest to go on with while the application takes its time. */
constexpr uint32_t lent_share = 2;

/** Descriptors from the oldest that is not completed up to the head. */
inline uint32_t
lent_span(const from_guest &q)
{
	const uint32_t oldest = q.lending.book->oldest();
	return q.head >= oldest ? q.head - oldest : q.size - oldest + q.head;
}

/** Whether the next of some frames of one buffer, whose data is found, is lent. */
inline bool
lends_next(from_guest &q, const guest_memory &memory, uint32_t length, uint32_t span)
{
	if (length <= cheaper_to_copy || !q.lending.allowed || !memory.is_writable())
		return false;
	if (span < q.size / lent_share)
		return true;
	q.counts.add(from_guest_count::past_bound);
	return false;
}

/** Completes what has come back. */
inline void
settle(from_guest &q)
{
	q.lending.book->settle(
		q.head, [&q](uint16_t at) { return q.next(at); },
		[&q](uint16_t at) { complete(q, *q.descriptor(at)); });
}

/** A guest that has not waited for a completion gets no second one in its place. */
inline uint16_t
bound_tail(const from_guest &q, uint16_t tail)
{
	const uint32_t room = q.size - 1u - lent_span(q);

	return q.available(tail) <= room ? tail : static_cast<uint16_t>((q.head + room) % q.size);
}

/** Pieces of a frame as they are in the guest's buffers. */
struct lent_pieces {
	/** More than a TSO request of Linux has. */
	static constexpr uint16_t limit = 64;
	struct piece {
		uint8_t *data;
		cursor::part from;
	};

	std::array<piece, limit> all;
	uint16_t count = 0;

	/** Finds all bytes from a cursor on; false if they are better copied. */
	bool find(const chain &frame, cursor &position, guest_memory &memory, uint32_t length);
};

/** Whether the application has room for the frame in q.frame beside what it has. */
bool may_lend(from_guest &q);
/** Lends the pieces, behind a mbuf that has @p front bytes, if that is not 0. nullptr: too few
 * mbufs. */
rte_mbuf *lend_pieces(from_guest &q, const lent_pieces &pieces, uint32_t front);
/** Bytes of the frame in q.frame that are copied, for they are to be in one piece, or changed. */
uint32_t copied_front(const from_guest &q, const offload &request);
/** The payload of the next part of a TSO request behind room for its headers; nullptr: it is to be
 * copied. A buffer that is in two parts is lent once. */
rte_mbuf *lend_payload(from_guest &q, guest_memory &memory);

} // namespace iavf_be
