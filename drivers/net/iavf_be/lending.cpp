/* SPDX-License-Identifier: BSD-3-Clause */

#include "lending.hpp"

#include <algorithm>
#include <array>

namespace iavf_be {

namespace txd = iavf::txd;

namespace {

/** So much of a frame is in one piece, for who looks at headers. */
constexpr uint32_t legible_front = 128;
/** Applications write into frames. */
constexpr uint32_t lendable = RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE;

} // namespace

bool
lent_pieces::find(const chain &frame, cursor &position, guest_memory &memory, uint32_t length)
{
	while (length != 0) {
		cursor::part next = position.take(frame);
		next.length = static_cast<uint16_t>(std::min<uint32_t>(next.length, length));
		if (next.length == 0 || count == limit)
			return false;
		uint8_t *data = memory.whole(next.iova, next.length, lendable);
		if (data == nullptr)
			return false;
		all[count++] = {data, next};
		length -= next.length;
	}
	return count != 0;
}

bool
may_lend(from_guest &q)
{
	if (!q.lending.allowed)
		return false;
	if (lent_span(q) + q.frame.descriptors() <= q.size / lent_share)
		return true;
	q.counts.add(from_guest_count::past_bound);
	return false;
}

rte_mbuf *
lend_pieces(from_guest &q, const lent_pieces &pieces, uint32_t front)
{
	std::array<rte_mbuf *, lent_pieces::limit + 1> parts;
	const uint16_t fronts = front != 0;
	const auto count = static_cast<uint16_t>(pieces.count + fronts);
	uint32_t length = front;

	if (rte_mempool_get_bulk(q.pool, reinterpret_cast<void **>(parts.data()), count) != 0)
		return nullptr;
	if (front != 0)
		arm(parts[0], q.rearm, static_cast<uint16_t>(front));
	uint32_t first = q.head + uint32_t{q.frame.contexts};
	for (uint16_t i = 0; i < pieces.count; i++) {
		const auto &[data, from] = pieces.all[i];
		rte_mbuf *part = parts[i + fronts];
		arm(part, q.rearm, from.length);
		if (from.length <= cheaper_to_copy)
			rte_memcpy(rte_pktmbuf_mtod(part, uint8_t *), data, from.length);
		else
			q.lending.book->lend(static_cast<uint16_t>((first + from.index) % q.size),
					     *part, data, from.length, from.iova,
					     txd::rs::is_set(q.frame.data[from.index].qword1));
		length += from.length;
	}
	for (uint16_t i = 1; i < count; i++)
		parts[i - 1]->next = parts[i];
	parts[0]->nb_segs = count;
	parts[0]->pkt_len = length;
	q.counts.add(from_guest_count::lent);
	return parts[0];
}

uint32_t
copied_front(const from_guest &q, const offload &request)
{
	const auto first = static_cast<uint32_t>(txd::length::get(q.frame.data[0].qword1));
	const uint32_t wanted = std::min<uint32_t>(
		q.frame.length, std::max<uint32_t>(legible_front, request.header_length()));

	if (request.none() && request.tags.length == 0 && first >= wanted)
		return 0;
	/* What a small buffer has left is not worth a mbuf. */
	return first > wanted && first - wanted <= cheaper_to_copy ? first : wanted;
}

rte_mbuf *
lend_payload(from_guest &q, guest_memory &memory)
{
	const uint16_t header = q.tso.request.header_length();
	cursor position = q.tso.position;
	lent_pieces pieces;
	const auto first = static_cast<uint16_t>(
		(q.head + uint32_t{q.frame.contexts} + position.look(q.frame).index) % q.size);

	if (header > q.room || q.lending.book->was_lent(first) || !may_lend(q) ||
	    !pieces.find(q.frame, position, memory, q.tso.next_payload()))
		return nullptr;
	rte_mbuf *frame = lend_pieces(q, pieces, header);
	if (frame != nullptr)
		q.tso.position.skip(q.frame, q.tso.next_payload());
	return frame;
}

} // namespace iavf_be
