/* SPDX-License-Identifier: BSD-3-Clause */

#include "from_guest.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include "handover.hpp"

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
};
static_assert(batch_size <= 32);

tx_descriptor
load(const tx_descriptor &from)
{
	return {read_once(from.qword0), read_once(from.qword1)};
}

void
complete(from_guest &q, tx_descriptor &one)
{
	/* Orders the reads of the buffer before the guest's reuse of it. */
	publish(one.qword1, txd::done);
	q.want_irq(owed_irq::patient);
}

/** Completes the frame in q.frame and moves on. */
void
complete_chain(from_guest &q)
{
	uint16_t at = q.head;

	for (uint16_t n = 0; n < q.frame.contexts; n++)
		at = q.next(at);
	for (uint16_t n = 0; n < q.frame.count; n++) {
		if (txd::rs::is_set(q.frame.data[n].qword1))
			complete(q, *q.descriptor(at));
		at = q.next(at);
	}
	q.head = at;
}

/** Discards descriptors up to the end of a malformed frame, or all there are. */
void
skip(from_guest &q, uint16_t tail)
{
	while (q.skipping && q.head != tail) {
		tx_descriptor &at = *q.descriptor(q.head);
		const tx_descriptor one = load(at);
		const bool data =
			txd::dtype::get(one.qword1) == static_cast<uint64_t>(tx_dtype::data);
		/* In other types these bits mean other things. */
		if (data && txd::rs::is_set(one.qword1))
			complete(q, at);
		q.skipping = !(data && txd::eop::is_set(one.qword1));
		q.head = q.next(q.head);
	}
}

step
skip_frame(from_guest &q, uint16_t tail, count reason)
{
	q.counts.add(reason);
	q.skipping = true;
	skip(q, tail);
	return step::dropped;
}

step
drop_chain(from_guest &q, count reason)
{
	q.counts.add(reason);
	q.tso.active = false;
	complete_chain(q);
	return step::dropped;
}

/** Copies the descriptors of the frame at the head to q.frame. `delivered` means that all is there.
 */
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
				return skip_frame(q, tail, count::bad_chain);
			frame.context = one;
			frame.contexts = 1;
			break;
		case tx_dtype::data:
			if (frame.full())
				return skip_frame(q, tail, count::bad_chain);
			frame.append(one);
			if (txd::eop::is_set(one.qword1))
				return step::delivered;
			break;
		case tx_dtype::fcoe_context:
		case tx_dtype::ipsec:
		case tx_dtype::filter_program:
			return skip_frame(q, tail, count::unsupported_offload);
		default:
			return skip_frame(q, tail, count::bad_descriptor);
		}
	}
	/* A full ring without an end can never get one. */
	if (frame.descriptors() == q.size - 1)
		return skip_frame(q, tail, count::bad_chain);
	return step::wait;
}

/** A fresh mbuf of the pool, ready for one segment. */
void
arm(rte_mbuf *mbuf, uint64_t rearm, uint16_t length)
{
	/* data_off, refcnt, nb_segs and port are eight bytes in a row; one store sets them all. */
	memcpy(reinterpret_cast<std::byte *>(mbuf) + offsetof(rte_mbuf, rearm_data), &rearm,
	       sizeof(rearm));
	mbuf->ol_flags = 0;
	mbuf->packet_type = 0;
	mbuf->pkt_len = length;
	mbuf->data_len = length;
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

/** Copies the frame's bytes from the cursor on to its mbufs, from byte @p skip of the first. */
bool
fill(const chain &from, cursor &position, guest_memory &memory, rte_mbuf *frame, uint16_t skip)
{
	for (rte_mbuf *part = frame; part != nullptr; part = part->next, skip = 0)
		if (!position.read(from, memory, rte_pktmbuf_mtod_offset(part, uint8_t *, skip),
				   part->data_len - skip))
			return false;
	return true;
}

bool
accepts(const from_guest &q, const rte_ether_addr &to)
{
	if (rte_is_unicast_ether_addr(&to))
		return rte_is_same_ether_addr(&to, &q.mac);
	return q.all_multicast || rte_is_broadcast_ether_addr(&to);
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

/** Copies the frame of q.frame to mbufs that have room for its tags, and inserts these. */
bool
copy_whole(const from_guest &q, const vlan_tags &tags, guest_memory &memory, rte_mbuf *frame)
{
	cursor position;
	auto *front = rte_pktmbuf_mtod(frame, uint8_t *);

	if (tags.length == 0)
		return fill(q.frame, position, memory, frame, 0);
	if (!position.read(q.frame, memory, front, tags.offset))
		return false;
	tags.insert(front, tags.offset);
	return fill(q.frame, position, memory, frame, tags.offset + tags.length);
}

/** Carries out what a frame with its tags asks for, or hands that over; false if it does not match.
 */
template <from_guest_options option>
bool
serve_request(const offload &request, rte_mbuf *frame)
{
	const std::span<const uint8_t> headers{rte_pktmbuf_mtod(frame, const uint8_t *),
					       frame->data_len};

	if (!request.matches(headers))
		return false;
	if (!option.checks || !is_legible(request, headers, frame->pkt_len)) {
		request.insert_checksums(frame);
	} else if (option.large && is_portable(request)) {
		request.insert_ip_checksum(frame);
		hand_over_checksum(request, frame);
	} else {
		const bool began_right = begins_right(request, headers);
		request.insert_checksums(frame);
		tell_checksums(request, began_right, frame);
	}
	return true;
}

/** The frame of q.frame as it is, with its tags and checksums inserted. */
template <from_guest_options option>
step
take_whole(from_guest &q, const offload &request, guest_memory &memory, rte_mbuf *&out)
{
	const uint32_t length = q.frame.length + request.tags.length;

	if (length > q.max_frame)
		return drop_chain(q, count::too_long);
	if (!option.scatter && length > q.room)
		return drop_chain(q, count::no_scatter);
	rte_mbuf *frame = allocate_frame(q, length);
	if (frame == nullptr)
		return step::shortage;
	const bool copied = copy_whole(q, request.tags, memory, frame);
	if (!copied || (!request.none() && !serve_request<option>(request.with_tags(), frame))) {
		rte_pktmbuf_free(frame);
		return drop_chain(q, copied ? count::bad_offload : count::not_mapped);
	}
	out = frame;
	complete_chain(q);
	return step::delivered;
}

/** Makes what q.tso says out of a mbuf that has its payload. */
template <from_guest_options option>
void
finish_segment(segmentation &tso, rte_mbuf *frame)
{
	if constexpr (option.large) {
		if (tso.next_is_large())
			return tso.leave_large(frame);
		if (option.checks && tso.legible && is_portable(tso.request))
			return tso.finish_without_checksum(frame);
	}
	tso.finish(frame);
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
		return drop_chain(q, count::too_long);
	if (!option.scatter && length > q.room)
		return drop_chain(q, count::no_scatter);
	rte_mbuf *frame = allocate_frame(q, length);
	if (frame == nullptr)
		return step::shortage;
	if (!fill(q.frame, q.tso.position, memory, frame, q.tso.request.header_length())) {
		rte_pktmbuf_free(frame);
		return drop_chain(q, count::not_mapped);
	}
	if constexpr (option.large)
		q.tso.next_merged(q.tso.request.header_length()).add_to(q.counts);
	finish_segment<option>(q.tso, frame);
	out = frame;
	if (q.tso.left == 0) {
		q.tso.active = false;
		complete_chain(q);
	}
	return step::delivered;
}

/** Takes a frame of any form from the head. */
template <from_guest_options option>
step
take_any(from_guest &q, guest_memory &memory, uint16_t tail, rte_mbuf *&out)
{
	if (q.skipping) {
		skip(q, tail);
		return step::dropped;
	}
	if (q.tso.active)
		return take_segment<option>(q, memory, out);
	if (const step ready = read_chain(q, tail); ready != step::delivered)
		return ready;
	if (q.frame.length < RTE_ETHER_HDR_LEN || q.frame.has_empty_buffer())
		return drop_chain(q, count::too_short);
	offload request;
	switch (request.decode(q.frame)) {
	case offload_verdict::contradictory:
		return drop_chain(q, count::bad_offload);
	case offload_verdict::unsupported:
		return drop_chain(q, count::unsupported_offload);
	case offload_verdict::good:
		break;
	}
	if (request.mss == 0)
		return take_whole<option>(q, request, memory, out);
	if (!q.tso.start(q.frame, request, memory))
		return drop_chain(q, count::bad_offload);
	if (option.filter && !accepts(q, q.tso.destination())) {
		count_unseen_request(q);
		return drop_chain(q, count::filtered);
	}
	if constexpr (option.large || option.checks)
		q.tso.examine(q.largest);
	return take_segment<option>(q, memory, out);
}

/** Pass one: reads descriptors up to the first that is not a plain frame, and fetches the data. All
 * are in one run. */
uint16_t
read_plain(from_guest &q, guest_memory &memory, uint16_t limit, batch &plains)
{
	const tx_descriptor *descriptors = q.descriptor(q.head);
	uint16_t n;

	for (uint16_t line = 0; line < limit; line += per_line)
		rte_prefetch0(&descriptors[line]);
	plains.report = plains.halved = 0;
	for (n = 0; n < limit; n++) {
		const tx_descriptor one = load(descriptors[n]);
		const auto length = static_cast<uint32_t>(txd::length::get(one.qword1));
		if ((one.qword1 & plain_mask) != plain || length - RTE_ETHER_HDR_LEN > q.plain_span)
			break;
		plains.data[n] = memory.whole(one.qword0, length, RTE_GUEST_MEM_READ);
		if (unlikely(plains.data[n] == nullptr)) {
			two_pieces &pieces = plains.pieces[n];
			if (!memory.halve(one.qword0, length, RTE_GUEST_MEM_READ, pieces))
				break;
			plains.data[n] = pieces.first;
			plains.halved |= uint32_t{1} << n;
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

/** Pass two: copies the frames. Returns how many pass the filter and are in the output. */
template <bool filter>
uint16_t
copy_plain(from_guest &q, const batch &plains, uint16_t n, rte_mbuf **out, tally &sum)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		rte_mbuf *mbuf = out[i];
		arm(mbuf, q.rearm, plains.length[i]);
		auto *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
		if (likely((plains.halved >> i & 1) == 0))
			rte_memcpy(data, plains.data[i], plains.length[i]);
		else
			plains.pieces[i].copy_to(data, plains.length[i]);
		if constexpr (filter) {
			if (!accepts(q, *rte_pktmbuf_mtod(mbuf, const rte_ether_addr *))) {
				q.counts.add(count::filtered);
				count_unseen(q, *rte_pktmbuf_mtod(mbuf, const rte_ether_addr *), 1,
					     plains.length[i]);
				rte_mbuf_raw_free(mbuf);
				continue;
			}
		}
		sum.count(data, plains.length[i]);
		out[kept++] = mbuf;
	}
	return kept;
}

/** Pass three: tells the guest. */
void
complete_plain(from_guest &q, uint32_t report, uint16_t n)
{
	tx_descriptor *descriptors = q.descriptor(q.head);

	if (n < batch_size)
		report &= (uint32_t{1} << n) - 1;
	for (; report != 0; report &= report - 1)
		complete(q, descriptors[__builtin_ctz(report)]);
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

template <from_guest_options option>
uint16_t
take(from_guest &q, rte_mbuf **out, uint16_t wanted)
{
	const uint32_t raw_tail = q.read_tail();
	if (unlikely(raw_tail >= q.size)) {
		if (q.newly_bad(raw_tail))
			q.counts.add(count::bad_tail);
		return 0;
	}
	const auto tail = static_cast<uint16_t>(raw_tail);
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
		const uint16_t found = midway ? 0 : read_plain(q, memory, limit, plains);
		if (likely(found != 0)) {
			const uint16_t n = allocate_some(q, out + done, found);
			done += copy_plain<option.filter>(q, plains, n, out + done, sum);
			complete_plain(q, plains.report, n);
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
	sum.add_to(q.counts);
	return done;
}

constexpr from_guest_options
options_of(size_t number)
{
	return {.scatter = (number & 1) != 0,
		.filter = (number & 2) != 0,
		.checks = (number & 4) != 0,
		.large = (number & 8) != 0};
}

constexpr size_t
number_of(const from_guest_options &options)
{
	return static_cast<size_t>(options.scatter) | static_cast<size_t>(options.filter) << 1 |
	       static_cast<size_t>(options.checks) << 2 | static_cast<size_t>(options.large) << 3;
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

constexpr auto loops = make_loops(std::make_index_sequence<16>());

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
