/* SPDX-License-Identifier: BSD-3-Clause */

#include "from_guest.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "handover.hpp"
#include "lending.hpp"

namespace iavf_be {

using iavf::tx_descriptor;
using iavf::tx_dtype;
using count = from_guest_count;
namespace txd = iavf::txd;

namespace {

/** Frames whose descriptors are read, buffers fetched and data copied in three passes. */
constexpr uint16_t batch_size = 32;
/** Descriptors of one cache line. */
constexpr uint16_t per_line = RTE_CACHE_LINE_SIZE / sizeof(tx_descriptor);

/** A frame of one buffer that is sent as it is: all that a driver without offloads produces. */
constexpr uint64_t plain_mask = txd::dtype::mask | txd::eop::mask | txd::offloads;
constexpr uint64_t plain = txd::eop::mask;

/** What became of the frame at the head. */
enum class step {
	wait,      /**< Its descriptors are not all there yet. */
	shortage,  /**< No mbufs: it stays in the ring. */
	dropped,   /**< It is gone. */
	delivered, /**< It is in the output. */
};

struct batch {
	std::array<const uint8_t *, batch_size> data;
	std::array<uint16_t, batch_size> length;
	std::array<two_pieces, batch_size> pieces; /**< Of frames that are halved. */
	uint32_t report;                           /**< Bit n: descriptor n wants a completion. */
	uint32_t halved; /**< Bit n: frame n crosses from one page into another. */
	uint32_t asking; /**< Bit n: frame n asks for checksums. */
	std::array<uint64_t, batch_size> command; /**< In which words. */
	/* Of loops that lend: bit n: frame n is to be lent; and where the buffers are. */
	uint32_t lent;
	std::array<uint64_t, batch_size> iova;
};
static_assert(batch_size <= 32);

tx_descriptor
load(const tx_descriptor &from)
{
	return {read_once(from.qword0), read_once(from.qword1)};
}

/** Descriptor @p at is done. What is lent before it comes first. */
template <bool lends>
void
finish(from_guest &q, uint16_t at, bool report)
{
	if constexpr (lends)
		q.lending.book->finish(at, report);
	else if (report)
		complete(q, *q.descriptor(at));
}

/** Completes the frame in q.frame and moves on. */
template <bool lends>
void
complete_chain(from_guest &q)
{
	uint16_t at = q.head;

	for (uint16_t n = 0; n < q.frame.contexts; n++, at = q.next(at))
		finish<lends>(q, at, false);
	for (uint16_t n = 0; n < q.frame.count; n++, at = q.next(at))
		finish<lends>(q, at, txd::rs::is_set(q.frame.data[n].qword1));
	q.head = at;
}

/** Discards descriptors up to the end of a malformed frame, or all there are. */
template <bool lends>
void
skip(from_guest &q, uint16_t tail)
{
	while (q.skipping && q.head != tail) {
		const tx_descriptor one = load(*q.descriptor(q.head));
		const bool data =
			txd::dtype::get(one.qword1) == static_cast<uint64_t>(tx_dtype::data);
		/* In other types these bits mean other things. */
		finish<lends>(q, q.head, data && txd::rs::is_set(one.qword1));
		q.skipping = !(data && txd::eop::is_set(one.qword1));
		q.head = q.next(q.head);
	}
}

template <bool lends>
step
skip_frame(from_guest &q, uint16_t tail, count reason)
{
	q.counts.add(reason);
	q.skipping = true;
	skip<lends>(q, tail);
	return step::dropped;
}

template <bool lends>
step
drop_chain(from_guest &q, count reason)
{
	q.counts.add(reason);
	q.tso.active = false;
	complete_chain<lends>(q);
	return step::dropped;
}

/** Copies the descriptors of the frame at the head to q.frame. `delivered` means that all is there.
 */
template <bool lends>
step
read_chain(from_guest &q, uint16_t tail)
{
	chain &frame = q.frame;

	frame.clear();
	for (uint16_t at = q.head; at != tail; at = q.next(at)) {
		const tx_descriptor one = load(*q.descriptor(at));
		switch (static_cast<tx_dtype>(txd::dtype::get(one.qword1))) {
		case tx_dtype::context:
			if (frame.descriptors() != 0)
				return skip_frame<lends>(q, tail, count::bad_chain);
			frame.context = one;
			frame.contexts = 1;
			break;
		case tx_dtype::data:
			if (frame.full())
				return skip_frame<lends>(q, tail, count::bad_chain);
			frame.append(one);
			if (txd::eop::is_set(one.qword1))
				return step::delivered;
			break;
		case tx_dtype::fcoe_context:
		case tx_dtype::ipsec:
		case tx_dtype::filter_program:
			return skip_frame<lends>(q, tail, count::unsupported_offload);
		default:
			return skip_frame<lends>(q, tail, count::bad_descriptor);
		}
	}
	/* A full ring without an end can never get one. */
	if (frame.descriptors() == q.size - 1)
		return skip_frame<lends>(q, tail, count::bad_chain);
	return step::wait;
}

/** Mbufs for a frame, with their lengths set; nullptr if there are not enough. */
rte_mbuf *
allocate_frame(from_guest &q, uint32_t length)
{
	std::array<rte_mbuf *, longest_handover / min_room + 1> parts;
	const uint32_t count = (length + q.room - 1) / q.room;

	if (rte_mempool_get_bulk(q.pool, reinterpret_cast<void **>(parts.data()), count) != 0)
		return nullptr;
	for (uint32_t i = 0, left = length; i < count; i++) {
		const auto size = static_cast<uint16_t>(std::min(left, q.room));
		arm(parts[i], q.rearm, size);
		if (i != 0)
			parts[i - 1]->next = parts[i];
		left -= size;
	}
	parts[0]->nb_segs = static_cast<uint16_t>(count);
	parts[0]->pkt_len = length;
	return parts[0];
}

/** Copies the frame's bytes from the cursor on to its mbufs, from byte @p skip of the first, and
 * sums them up if there is a @p sum. */
bool
fill(const chain &from, cursor &position, guest_memory &memory, rte_mbuf *frame, uint16_t skip,
     summing_copy *sum = nullptr)
{
	for (rte_mbuf *part = frame; part != nullptr; part = part->next, skip = 0)
		if (!position.read(from, memory, rte_pktmbuf_mtod_offset(part, uint8_t *, skip),
				   part->data_len - skip, sum))
			return false;
	return true;
}

bool
accepts(const from_guest &q, const rte_ether_addr &to)
{
	return q.addresses->admits(to.addr_bytes);
}

/** Of frames that do not pass the filter. None of them is a broadcast. */
void
count_unseen(from_guest &q, const rte_ether_addr &to, uint64_t packets, uint64_t bytes)
{
	q.counts.add(count::unseen_packets, packets);
	q.counts.add(count::unseen_bytes, bytes);
	if (rte_is_multicast_ether_addr(&to))
		q.counts.add(count::unseen_multicast, packets);
}

/** The same of the TSO request that has just begun: of all that would have been made of it. */
void
count_unseen_request(from_guest &q)
{
	const uint64_t packets = (q.tso.left + q.tso.request.mss - 1) / q.tso.request.mss;

	count_unseen(q, q.tso.destination(), packets,
		     q.tso.left + packets * q.tso.request.header_length());
}

/** Copies the frame of q.frame to mbufs that have room for its tags, and inserts these. Without
 * tags it sums up if there is a @p sum. */
bool
copy_whole(const from_guest &q, const vlan_tags &tags, guest_memory &memory, rte_mbuf *frame,
	   cursor &position, summing_copy *sum = nullptr)
{
	auto *front = rte_pktmbuf_mtod(frame, uint8_t *);

	if (tags.length == 0)
		return fill(q.frame, position, memory, frame, 0, sum);
	if (!position.read(q.frame, memory, front, tags.offset))
		return false;
	tags.insert(front, tags.offset);
	return fill(q.frame, position, memory, frame, tags.offset + tags.length);
}

/** Carries out what a frame with its tags asks for, or hands that over; false if it does not match.
 * For @p sum see offload::insert_checksums(). */
template <from_guest_options option>
bool
serve_request(const offload &request, rte_mbuf *frame, const uint64_t *sum = nullptr)
{
	const std::span<const uint8_t> headers{rte_pktmbuf_mtod(frame, const uint8_t *),
					       frame->data_len};

	if (!request.matches(headers))
		return false;
	if (!option.checks || !is_legible(request, headers, frame->pkt_len)) {
		request.insert_checksums(frame, sum);
	} else if (option.large && is_portable(request)) {
		request.insert_ip_checksum(frame);
		hand_over_checksum(request, frame);
	} else {
		const bool began_right = begins_right(request, headers);
		request.insert_checksums(frame, sum);
		tell_checksums(request, began_right, frame);
	}
	return true;
}

/** The same as take_whole() without a copy; step::wait: it is to be copied. */
template <from_guest_options option>
step
lend_whole(from_guest &q, const offload &request, guest_memory &memory, rte_mbuf *&out)
{
	const uint32_t front = copied_front(q, request);
	lent_pieces pieces;
	cursor behind;

	if (q.frame.length - front <= cheaper_to_copy || front + request.tags.length > q.room ||
	    !behind.skip(q.frame, front) || !may_lend(q) ||
	    !pieces.find(q.frame, behind, memory, q.frame.length - front))
		return step::wait;
	const uint32_t own = front == 0 ? 0 : front + request.tags.length;
	rte_mbuf *frame = lend_pieces(q, pieces, own);
	if (frame == nullptr)
		return step::shortage;
	cursor position;
	rte_mbuf *behind_front = std::exchange(frame->next, nullptr);
	const bool copied = own == 0 || copy_whole(q, request.tags, memory, frame, position);
	frame->next = behind_front;
	if (!copied || (!request.none() && !serve_request<option>(request.with_tags(), frame))) {
		rte_pktmbuf_free(frame);
		return drop_chain<option.lend>(q, copied ? count::bad_offload : count::not_mapped);
	}
	out = frame;
	complete_chain<option.lend>(q);
	return step::delivered;
}

/** Whether the sum of a frame is of use: not if others insert its checksum. */
template <from_guest_options option>
constexpr bool
sums_up(const offload &request)
{
	using iavf::l4_type;
	const bool has_sum = request.l4 == l4_type::tcp || request.l4 == l4_type::udp;

	return !option.large && has_sum && request.tags.length == 0;
}

/** The frame of q.frame as it is, with its tags and checksums inserted. */
template <from_guest_options option>
step
take_whole(from_guest &q, const offload &request, guest_memory &memory, rte_mbuf *&out)
{
	const uint32_t length = q.frame.length + request.tags.length;

	if (length > q.max_frame)
		return drop_chain<option.lend>(q, count::too_long);
	if (!option.scatter && length > q.room)
		return drop_chain<option.lend>(q, count::no_scatter);
	if constexpr (option.lend && option.scatter)
		if (const step done = lend_whole<option>(q, request, memory, out);
		    done != step::wait)
			return done;
	rte_mbuf *frame = allocate_frame(q, length);
	if (frame == nullptr)
		return step::shortage;
	cursor position;
	summing_copy sum(q.copy_sum);
	const bool sums = sums_up<option>(request);
	const bool copied =
		copy_whole(q, request.tags, memory, frame, position, sums ? &sum : nullptr);
	const uint64_t all = sum.sum();
	if (!copied || (!request.none() && !serve_request<option>(request.with_tags(), frame,
								  sums ? &all : nullptr))) {
		rte_pktmbuf_free(frame);
		return drop_chain<option.lend>(q, copied ? count::bad_offload : count::not_mapped);
	}
	out = frame;
	complete_chain<option.lend>(q);
	return step::delivered;
}

/** Makes what q.tso says out of a mbuf that has its payload. */
template <from_guest_options option>
void
finish_segment(segmentation &tso, rte_mbuf *frame, const uint64_t *payload)
{
	if constexpr (option.large) {
		if (tso.next_is_large())
			return tso.leave_large(frame);
		if (option.checks && tso.legible && is_portable(tso.request))
			return tso.finish_without_checksum(frame);
	}
	tso.finish(frame, payload);
	if constexpr (option.checks)
		if (tso.legible)
			tell_checksums(tso.request, tso.began_right, frame);
}

/** The next part of the TSO request of q.frame: a frame, or several for others to cut. */
template <from_guest_options option>
step
take_segment(from_guest &q, guest_memory &memory, rte_mbuf *&out)
{
	const uint32_t length = q.tso.next_length();

	if (q.tso.longest_frame() > q.max_frame)
		return drop_chain<option.lend>(q, count::too_long);
	if (!option.scatter && length > q.room)
		return drop_chain<option.lend>(q, count::no_scatter);
	rte_mbuf *frame = nullptr;
	if constexpr (option.lend && option.scatter && option.large)
		if (q.tso.next_is_large())
			frame = lend_payload(q, memory);
	const bool lent = frame != nullptr;
	if (!lent)
		frame = allocate_frame(q, length);
	if (frame == nullptr)
		return step::shortage;
	summing_copy sum(q.copy_sum);
	if (!lent && !fill(q.frame, q.tso.position, memory, frame, q.tso.request.header_length(),
			   option.large ? nullptr : &sum)) {
		rte_pktmbuf_free(frame);
		return drop_chain<option.lend>(q, count::not_mapped);
	}
	if constexpr (option.large)
		q.tso.next_merged(q.tso.request.header_length()).add_to(q.counts);
	const uint64_t payload = sum.sum();
	finish_segment<option>(q.tso, frame, option.large ? nullptr : &payload);
	out = frame;
	if (q.tso.left == 0) {
		q.tso.active = false;
		complete_chain<option.lend>(q);
	}
	return step::delivered;
}

/** Takes a frame of any form from the head. */
template <from_guest_options option>
step
take_any(from_guest &q, guest_memory &memory, uint16_t tail, rte_mbuf *&out)
{
	if (q.skipping) {
		skip<option.lend>(q, tail);
		return step::dropped;
	}
	if (q.tso.active)
		return take_segment<option>(q, memory, out);
	if (const step ready = read_chain<option.lend>(q, tail); ready != step::delivered)
		return ready;
	if (q.frame.length < RTE_ETHER_HDR_LEN || q.frame.has_empty_buffer())
		return drop_chain<option.lend>(q, count::too_short);
	offload request;
	switch (request.decode(q.frame)) {
	case offload_verdict::contradictory:
		return drop_chain<option.lend>(q, count::bad_offload);
	case offload_verdict::unsupported:
		return drop_chain<option.lend>(q, count::unsupported_offload);
	case offload_verdict::good:
		break;
	}
	if (request.mss == 0)
		return take_whole<option>(q, request, memory, out);
	if (!q.tso.start(q.frame, request, memory))
		return drop_chain<option.lend>(q, count::bad_offload);
	if (option.filter && !accepts(q, q.tso.destination())) {
		count_unseen_request(q);
		return drop_chain<option.lend>(q, count::filtered);
	}
	if constexpr (option.large || option.checks)
		q.tso.examine(q.largest);
	return take_segment<option>(q, memory, out);
}

/** Whether frame @p n, which is not plain, is so but for checksums that it asks for. Not inlined:
 * the others do not pay for it. */
[[gnu::noinline]] bool
asks_for_checksums(uint64_t command, uint16_t n, batch &plains)
{
	if ((command & plain_mask & ~txd::checksums) != plain)
		return false;
	plains.command[n] = command;
	plains.asking |= uint32_t{1} << n;
	return true;
}

/** Pass one: reads descriptors up to the first that is not a plain frame, and fetches the data. All
 * are in one run. */
template <bool lends>
uint16_t
read_plain(from_guest &q, guest_memory &memory, uint16_t limit, batch &plains)
{
	const tx_descriptor *descriptors = q.descriptor(q.head);
	[[maybe_unused]] const uint32_t span = lends ? lent_span(q) : 0;
	/* What is lent needs no room. */
	const uint32_t plain_span = lends ? q.max_frame - RTE_ETHER_HDR_LEN : q.plain_span;
	uint16_t n;

	for (uint16_t line = 0; line < limit; line += per_line)
		rte_prefetch0(&descriptors[line]);
	plains.report = plains.halved = plains.asking = plains.lent = 0;
	for (n = 0; n < limit; n++) {
		const tx_descriptor one = load(descriptors[n]);
		const auto length = static_cast<uint32_t>(txd::length::get(one.qword1));
		if (length - RTE_ETHER_HDR_LEN > plain_span)
			break;
		if ((one.qword1 & plain_mask) != plain &&
		    (lends || !asks_for_checksums(one.qword1, n, plains)))
			break;
		plains.data[n] = memory.whole(one.qword0, length, RTE_GUEST_MEM_READ);
		if (unlikely(plains.data[n] == nullptr)) {
			two_pieces &pieces = plains.pieces[n];
			if (!memory.halve(one.qword0, length, RTE_GUEST_MEM_READ, pieces))
				break;
			plains.data[n] = pieces.first;
			plains.halved |= uint32_t{1} << n;
		}
		if constexpr (lends) {
			const bool whole = (plains.halved >> n & 1) == 0;
			const bool lent = whole && lends_next(q, memory, length, span + n);
			if (!lent && length > q.room)
				break;
			plains.lent |= static_cast<uint32_t>(lent) << n;
			plains.iova[n] = one.qword0;
		}
		rte_prefetch0(plains.data[n]);
		plains.length[n] = static_cast<uint16_t>(length);
		plains.report |= static_cast<uint32_t>(txd::rs::get(one.qword1)) << n;
	}
	return n;
}

/** Fills as much of an array with mbufs as the pool can; a small pool must not stop the ring. */
uint16_t
allocate_some(from_guest &q, rte_mbuf **to, uint16_t wanted)
{
	uint16_t got = wanted;

	while (got != 0 && rte_mempool_get_bulk(q.pool, reinterpret_cast<void **>(to), got) != 0)
		got /= 2;
	if (unlikely(got != wanted))
		q.counts.add(count::no_mbuf, wanted - got);
	return got;
}

/** Copies frame @p i as it is. */
inline void
copy_one(const batch &plains, uint16_t i, uint8_t *to)
{
	if (likely((plains.halved >> i & 1) == 0))
		copy_frame(to, plains.data[i], plains.length[i]);
	else
		plains.pieces[i].copy_to(to, plains.length[i]);
}

/** Copies frame @p i, which asks for checksums, and inserts them, or hands that over; false if it
 * does not match what it asks for. */
template <from_guest_options option>
bool
copy_asking(const from_guest &q, const batch &plains, uint16_t i, rte_mbuf *mbuf)
{
	auto *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	const bool sums = !option.large && q.copy_sum != nullptr &&
			  plains.length[i] >= copy_sum_pays && (plains.halved >> i & 1) == 0;
	uint64_t sum = 0;
	offload request;

	if (sums)
		sum = q.copy_sum(data, plains.data[i], plains.length[i]);
	else
		copy_one(plains, i, data);
	return request.decode_checksums(plains.command[i]) &&
	       serve_request<option>(request, mbuf, sums ? &sum : nullptr);
}

/** Of a long frame so many bytes are fetched, so many frames before it is copied. */
constexpr uint16_t long_frame = 512, fetched_ahead = 2048, frames_ahead = 2;

/** Fetches what is behind its first line. To the second cache: the lines of two frames of 1500
 * bytes are more than the first can ask for at once. */
template <bool lends>
void
fetch_ahead(const batch &plains, uint16_t i, uint16_t n)
{
	i += frames_ahead;
	if (i >= n || plains.length[i] < long_frame || (plains.halved >> i & 1) != 0)
		return;
	if (lends && (plains.lent >> i & 1) != 0)
		return;
	const uint16_t end = std::min(plains.length[i], fetched_ahead);
	for (uint16_t at = RTE_CACHE_LINE_SIZE; at < end; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch1(plains.data[i] + at);
}

/** Pass two: copies the frames. Returns how many pass the filter and are in the output. */
template <from_guest_options option>
uint16_t
copy_plain(from_guest &q, const batch &plains, uint16_t n, rte_mbuf **out, tally &sum)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		rte_mbuf *mbuf = out[i];
		fetch_ahead<option.lend>(plains, i, n);
		const bool lent = option.lend && (plains.lent >> i & 1) != 0;
		arm(mbuf, q.rearm, plains.length[i]);
		auto *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
		if (lent)
			data = const_cast<uint8_t *>(plains.data[i]);
		else if (option.lend || likely((plains.asking >> i & 1) == 0))
			copy_one(plains, i, data);
		else if (!copy_asking<option>(q, plains, i, mbuf)) {
			q.counts.add(count::bad_offload);
			rte_mbuf_raw_free(mbuf);
			continue;
		}
		if constexpr (option.filter) {
			rte_ether_addr to;
			std::copy_n(data, RTE_ETHER_ADDR_LEN, to.addr_bytes);
			if (!accepts(q, to)) {
				q.counts.add(count::filtered);
				count_unseen(q, to, 1, plains.length[i]);
				rte_mbuf_raw_free(mbuf);
				continue;
			}
		}
		sum.count(data, plains.length[i]);
		if (lent)
			q.lending.book->lend(q.head + i, *mbuf, data, plains.length[i],
					     plains.iova[i], (plains.report >> i & 1) != 0);
		out[kept++] = mbuf;
	}
	if constexpr (option.lend)
		q.counts.add(count::lent, static_cast<uint64_t>(
						  __builtin_popcount(plains.lent & first_bits(n))));
	return kept;
}

/** Pass three: tells the guest. */
template <bool lends>
void
complete_plain(from_guest &q, uint32_t report, uint16_t n)
{
	if constexpr (lends) {
		for (uint16_t i = 0; i < n; i++)
			q.lending.book->finish(q.head + i, (report >> i & 1) != 0);
	} else {
		tx_descriptor *descriptors = q.descriptor(q.head);
		for (report &= first_bits(n); report != 0; report &= report - 1)
			complete(q, descriptors[__builtin_ctz(report)]);
	}
	q.advance(n);
}

/** Takes a frame of any form and filters it; adds it to the output at @p out. */
template <from_guest_options option>
step
take_one(from_guest &q, guest_memory &memory, uint16_t tail, rte_mbuf **out, tally &sum)
{
	rte_mbuf *frame = nullptr;
	const step done = take_any<option>(q, memory, tail, frame);

	if (done == step::shortage)
		q.counts.add(count::no_mbuf);
	if (done != step::delivered)
		return done;
	if (option.filter && !accepts(q, *rte_pktmbuf_mtod(frame, const rte_ether_addr *))) {
		q.counts.add(count::filtered);
		count_unseen(q, *rte_pktmbuf_mtod(frame, const rte_ether_addr *), 1,
			     frame->pkt_len);
		rte_pktmbuf_free(frame);
		return step::dropped;
	}
	sum.count(rte_pktmbuf_mtod(frame, const uint8_t *), frame->pkt_len);
	*out = frame;
	return done;
}

constexpr from_guest_options
without_loans(from_guest_options option)
{
	option.lend = false;
	return option;
}

template <from_guest_options option>
uint16_t
take(from_guest &q, rte_mbuf **out, uint16_t wanted)
{
	if constexpr (option.lend) {
		if (q.lending.book == nullptr || q.lending.book->size() < q.size ||
		    !q.lending.book->is_open(q.head))
			return take<without_loans(option)>(q, out, wanted);
		settle(q);
		if (q.lending.seen_elsewhere->load(std::memory_order_relaxed))
			q.lending.allowed = false;
	}
	/* On its way together with the tail, and not after it. */
	rte_prefetch0(q.descriptor(q.head));
	const uint32_t raw_tail = q.read_tail();
	if (unlikely(raw_tail >= q.size)) {
		if (q.newly_bad(raw_tail))
			q.counts.add(count::bad_tail);
		return 0;
	}
	auto tail = static_cast<uint16_t>(raw_tail);
	if constexpr (option.lend)
		tail = bound_tail(q, tail);
	guest_memory memory(q.memory, q.cache);
	tally sum;
	uint16_t done = 0;
	/* A guest whose frames are all dropped must not keep the application in one burst. */
	uint32_t budget = wanted + batch_size;

	while (done < wanted && q.head != tail && budget != 0) {
		batch plains;
		const auto limit = static_cast<uint16_t>(std::min<uint32_t>(
			{wanted - uint32_t{done}, batch_size, q.available(tail), q.run(), budget}));
		const bool midway = q.skipping || q.tso.active;
		const uint16_t found =
			midway ? 0 : read_plain<option.lend>(q, memory, limit, plains);
		if (likely(found != 0)) {
			const uint16_t n = allocate_some(q, out + done, found);
			done += copy_plain<option>(q, plains, n, out + done, sum);
			complete_plain<option.lend>(q, plains.report, n);
			budget -= n;
			if (unlikely(n != found))
				break;
			continue;
		}
		const step taken = take_one<option>(q, memory, tail, out + done, sum);
		if (taken == step::wait || taken == step::shortage)
			break;
		done += taken == step::delivered;
		budget--;
	}
	if constexpr (option.lend)
		settle(q);
	sum.add_to(q.counts);
	return done;
}

constexpr from_guest_options
options_of(size_t number)
{
	return {.scatter = (number & 1) != 0,
		.filter = (number & 2) != 0,
		.checks = (number & 4) != 0,
		.large = (number & 8) != 0,
		.lend = (number & 16) != 0};
}

constexpr size_t
number_of(const from_guest_options &options)
{
	return static_cast<size_t>(options.scatter) | static_cast<size_t>(options.filter) << 1 |
	       static_cast<size_t>(options.checks) << 2 | static_cast<size_t>(options.large) << 3 |
	       static_cast<size_t>(options.lend) << 4;
}

template <size_t... number>
constexpr std::array<from_guest::loop_fn, sizeof...(number)>
make_loops(std::index_sequence<number...>)
{
	static_assert(((number_of(options_of(number)) == number) && ...));
	return {take<options_of(number)>...};
}

/** Rings that one burst looks at, at most. */
constexpr unsigned int max_rings = 16;

constexpr auto loops = make_loops(std::make_index_sequence<32>());

/** The guest receives on this index without transmitting. */
void
poll_irq_alone(queue &q)
{
	if (burst_pass inside(q.access, q.access.enter()); inside)
		q.poll_irq();
}

uint16_t
serve(from_guest &q, rte_mbuf **pkts, uint16_t nb_pkts)
{
	queue *pair = q.pair.load(std::memory_order_acquire);
	burst_pass inside(q.access, q.access.enter());
	if (!inside) {
		if (pair != nullptr)
			poll_irq_alone(*pair);
		return 0;
	}
	const uint16_t done = q.loop(q, pkts, nb_pkts);
	if (likely(pair != nullptr))
		pair->poll_irq();
	q.poll_irq();
	return done;
}

} // namespace

from_guest::loop_fn
select_from_guest(const from_guest_options &options)
{
	return loops[number_of(options)];
}

uint16_t
from_guest_burst(void *queue, rte_mbuf **pkts, uint16_t nb_pkts)
{
	auto &host = *static_cast<from_guest *>(queue);
	from_guest *ring = host.turn;
	uint16_t done = 0;
	/* The circle may be linked anew meanwhile, and its first ring leave. */
	unsigned int most = max_rings;

	do {
		done += serve(*ring, pkts + done, nb_pkts - done);
		ring = ring->sibling.load(std::memory_order_acquire);
	} while (unlikely(ring != host.turn) && done < nb_pkts && --most != 0);
	host.turn = ring;
	return done;
}

} // namespace iavf_be
