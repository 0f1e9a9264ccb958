/* SPDX-License-Identifier: BSD-3-Clause */

#include "to_guest.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_prefetch.h>

#include "checksum_request.hpp"
#include "prefetch.hpp"
#include "rx_check.hpp"
#include "steering.hpp"

namespace iavf_be {

using iavf::rx_descriptor;
using count = to_guest_count;
namespace {

/** Frames whose buffers are looked up, filled, looked at and handed over in passes. */
constexpr uint16_t batch_size = 32;
/** Descriptors of one cache line. */
constexpr uint16_t per_line = RTE_CACHE_LINE_SIZE / sizeof(rx_descriptor);

struct batch {
	/** Facts have initial values; a burst of one frame is not to write those of 32. */
	batch() {}

	std::array<uint8_t *, batch_size> buffer;
	std::array<uint16_t, batch_size> length;
	std::array<two_pieces, batch_size> pieces; /**< Of buffers that are halved. */
	union {
		/** Of those that are to be looked at, and what is seen. */
		std::array<quick::bytes, batch_size> views;
	};
	std::array<quick::glance, batch_size> seen;
	union {
		/** Of those of which there is more to say. */
		std::array<rx_facts, batch_size> facts;
	};
	std::array<retagged, batch_size> tags;             /**< Of frames that are tagged. */
	std::array<checksum_request, batch_size> requests; /**< Of frames that are asking. */
	uint32_t halved; /**< Bit n: frame n crosses from one page into another. */
	uint64_t flags;  /**< Flags that any of the frames has. */
	uint32_t looked; /**< Bit n: views[n] is there, and seen[n] is to be used. */
	uint32_t told;   /**< Bit n: facts[n] is to be used, not seen[n]. */
	uint32_t asking; /**< Bit n: frame n asks for checksums, and is told of. */
	uint32_t tagged; /**< Bit n: the tags of frame n have been sorted out; it is told, too. */
};
static_assert(batch_size <= 32);

/**
 * What the descriptor says of a frame. Here comes what an option adds, each under its own "if
 * constexpr". What the host's mbuf says is used before anything is computed.
 */
template <rx_variant wanted>
rx_facts
find_facts(const rte_mbuf &frame)
{
	rx_facts facts;

	tell<format_of<wanted.format>>(find_out(frame, wanted.check), facts);
	return facts;
}

/** The same with the tags that come in the descriptor. */
template <class format>
rx_facts
with_tags(rx_facts facts, const retagged &tags)
{
	facts.status |= tags.in_first ? format::has_tag1 : 0;
	facts.extended |= tags.in_second ? format::has_tag2 : 0;
	facts.l2tag1 = tags.first;
	facts.l2tag2 = tags.second;
	return facts;
}

/** Whether the tags of a frame of one segment have to be sorted out. */
template <rx_variant wanted>
bool
may_have_tags(const to_guest &q, const rte_mbuf &frame)
{
	return q.vlans.port_type != 0 ||
	       (wanted.tags == rx_tags::inserted && (frame.ol_flags & inserts_tags) != 0) ||
	       begins_with_tag(frame);
}

/** Sorts the tags of frame @p n out. @return Its new length; 0: the guest does not want it. */
template <rx_variant wanted>
uint32_t
sort_tags(const to_guest &q, const rte_mbuf &frame, uint16_t n, batch &plains)
{
	retagged &tags = plains.tags[n];

	tags.sort(q.vlans, frame, wanted.tags == rx_tags::inserted);
	plains.tagged |= uint32_t{1} << n;
	return tags.wanted ? tags.new_length(frame.data_len) : 0;
}

/** Whether the mbuf of a frame says of what type it is, or of its checksums: that comes first. */
template <rx_variant wanted>
bool
is_told(const rte_mbuf &frame)
{
	return (frame.ol_flags & told_of_checksums) != 0 ||
	       (!wanted.check && frame.packet_type != 0);
}

/** All that is to be said of a frame that was seen at once. */
template <rx_variant wanted>
rx_facts
facts_of(const quick::glance &seen)
{
	rx_facts facts;

	if constexpr (wanted.check) {
		facts.ptype = seen.ptype;
		facts.status = seen.checked ? format_of<wanted.format>::checked : 0;
	}
	return facts;
}

/** The same with what steering says of the frame. */
template <rx_variant wanted>
rx_facts
with_label(rx_facts facts, const frame_label *labels, uint16_t i)
{
	if constexpr (wanted.labelled) {
		using format = format_of<wanted.format>;
		const frame_label &label = labels[i];

		facts.status |= (label.hashed ? format::has_hash : 0) |
				(label.marked ? format::has_mark : 0);
		facts.extended |= label.marked ? format::mark_here : 0;
		facts.hash = label.hash;
		facts.mark = label.marked ? label.mark : iavf::rxflex::no_flow;
	}
	return facts;
}

/** The labels from a frame on, if there are any. */
constexpr const frame_label *
from(const frame_label *labels, uint16_t i)
{
	return labels == nullptr ? nullptr : labels + i;
}

/** Whether frame @p n, which is longer than one segment or asks for something, asks for checksums
 * that are inserted in passing. Not inlined: the others do not pay for it. */
template <rx_variant wanted>
[[gnu::noinline]] bool
asks_for_checksums(const to_guest &q, const rte_mbuf &frame, uint64_t offloads, uint16_t n,
		   batch &plains)
{
	if constexpr (wanted.sorts_tags())
		if (may_have_tags<wanted>(q, frame))
			return false;
	if (!plains.requests[n].find(frame, offloads))
		return false;
	plains.asking |= uint32_t{1} << n;
	return true;
}

/**
 * Pass one: looks up a buffer for each frame of one segment, up to the first that needs more. Their
 * descriptors are in one run. The flags and lengths of a mbuf are in one line. One that asks for
 * something else than plain checksums needs more, for it may not be sent as it is.
 */
template <rx_variant wanted>
uint16_t
find_buffers(to_guest &q, guest_memory &memory, rte_mbuf **frames, uint16_t limit,
	     uint64_t offloads, batch &plains)
{
	const rx_descriptor *descriptors = q.descriptor(q.head);
	uint16_t n;

	for (uint16_t line = 0; line < limit; line += per_line)
		rte_prefetch0(&descriptors[line]);
	plains.halved = plains.looked = plains.told = plains.asking = plains.tagged = 0;
	plains.flags = 0;
	for (n = 0; n < limit; n++) {
		const rte_mbuf *mbuf = frames[n];
		uint32_t length = mbuf->data_len;
		if (length - RTE_ETHER_HDR_LEN > q.plain_span)
			break;
		if (((mbuf->nb_segs ^ 1u) | (mbuf->ol_flags & wanted.requests())) != 0 &&
		    !asks_for_checksums<wanted>(q, *mbuf, offloads, n, plains))
			break;
		if constexpr (wanted.sorts_tags()) {
			if (may_have_tags<wanted>(q, *mbuf))
				length = sort_tags<wanted>(q, *mbuf, n, plains);
			if (length - RTE_ETHER_HDR_LEN > q.plain_span)
				break;
		}
		plains.length[n] = static_cast<uint16_t>(length);
		plains.flags |= mbuf->ol_flags;
		const uint64_t iova = read_once(descriptors[n].qword0);
		plains.buffer[n] = memory.whole(iova, length, RTE_GUEST_MEM_WRITE);
		if (unlikely(plains.buffer[n] == nullptr)) {
			two_pieces &pieces = plains.pieces[n];
			if (((plains.tagged | plains.asking) >> n & 1) != 0 ||
			    !memory.halve(iova, length, RTE_GUEST_MEM_WRITE, pieces))
				break;
			plains.buffer[n] = pieces.first;
			plains.halved |= uint32_t{1} << n;
		}
		prefetch_for_writing(plains.buffer[n]);
	}
	/* The first that needs more may have been looked at, too. */
	plains.asking &= first_bits(n);
	if constexpr (wanted.sorts_tags())
		plains.tagged &= first_bits(n);
	return n;
}

/** Copies a frame of which nothing is to be said. */
inline void
copy_one(const batch &plains, uint16_t i, const uint8_t *data)
{
	if (unlikely((plains.halved >> i & 1) != 0))
		plains.pieces[i].copy_from(data, plains.length[i]);
	else
		copy_frame(plains.buffer[i], data, plains.length[i]);
}

/** Copies bytes of a frame and sums them up meanwhile, if that pays. */
inline void
copy_viewed(const to_guest &q, uint8_t *to, const uint8_t *from, uint32_t length,
	    quick::bytes &view)
{
	if (length >= copy_sum_pays && q.copy_sum != nullptr) {
		view.sum = q.copy_sum(to, from, length);
		view.summed = true;
	} else {
		copy_frame(to, from, length);
	}
}

/** Copies a frame whose tags are as they are to be. */
template <rx_variant wanted>
void
copy_untagged(const to_guest &q, batch &plains, uint16_t i, const uint8_t *data)
{
	const uint32_t bit = uint32_t{1} << i, length = plains.length[i];

	if (!wanted.check || !quick::is_telling(data) || (plains.told & bit) != 0)
		return copy_one(plains, i, data);
	plains.looked |= bit;
	plains.views[i] = {data, length};
	if (unlikely((plains.halved & bit) != 0))
		return plains.pieces[i].copy_from(data, length);
	copy_viewed(q, plains.buffer[i], data, length, plains.views[i]);
}

/**
 * The same for a frame whose tags have been sorted out. What is seen of it begins as far before its
 * type as addresses would.
 */
template <rx_variant wanted>
void
copy_tagged(const to_guest &q, batch &plains, uint16_t i, const uint8_t *data)
{
	const uint32_t bit = uint32_t{1} << i;
	const retagged &tags = plains.tags[i];
	const uint8_t *from = data + tags.instead;
	uint8_t *to = plains.buffer[i] + tags.length;
	const uint32_t rest = plains.length[i] - tags.length;

	rte_memcpy(plains.buffer[i], tags.front.data(), tags.length);
	if (!wanted.check || (plains.told & bit) != 0) {
		copy_frame(to, from, rest);
		return;
	}
	quick::bytes &view = plains.views[i];
	plains.looked |= bit;
	view = {from - addresses_length, addresses_length + rest};
	copy_viewed(q, to, from, rest, view);
	if (view.summed)
		view.sum = quick::add(view.sum, quick::sum_bytes(view.begin, addresses_length));
}

/** Copies a frame and inserts the checksums that it asks for. */
inline void
copy_asking(const to_guest &q, const batch &plains, uint16_t i, const uint8_t *data)
{
	quick::bytes view{data, plains.length[i]};

	copy_viewed(q, plains.buffer[i], data, view.length, view);
	if (!view.summed)
		view.sum = quick::sum_all(data, view.length);
	plains.requests[i].insert(plains.buffer[i], view.sum);
}

/** Pass two: copies the frames. */
template <rx_variant wanted>
void
copy_plain(const to_guest &q, batch &plains, rte_mbuf **frames, uint16_t n, tally &sum)
{
	const bool any_told = !wanted.check || (plains.flags & told_of_checksums) != 0;
	const bool any_asking = plains.asking != 0;

	for (uint16_t i = 0; i < n; i++) {
		const auto *data = rte_pktmbuf_mtod(frames[i], const uint8_t *);
		uint32_t length = plains.length[i];
		if (any_told)
			plains.told |= uint32_t{is_told<wanted>(*frames[i])} << i;
		if (any_asking && (plains.asking >> i & 1) != 0) {
			copy_asking(q, plains, i, data);
		} else if (wanted.sorts_tags() && (plains.tagged >> i & 1) != 0) {
			copy_tagged<wanted>(q, plains, i, data);
			length += plains.tags[i].apart();
		} else {
			copy_untagged<wanted>(q, plains, i, data);
		}
		sum.count(data, length);
	}
}

/** Pass three: finds what is to be said of the frames. */
template <rx_variant wanted>
void
find_what_to_say(batch &plains, rte_mbuf **frames)
{
	if constexpr (wanted.check)
		plains.told |=
			quick::look_at_each(plains.views.data(), plains.looked, plains.seen.data());
	/* What a mbuf says of a checksum that is yet to be inserted is of no use. */
	for (uint32_t left = plains.told & ~plains.asking; unlikely(left != 0); left &= left - 1) {
		const int i = std::countr_zero(left);
		plains.facts[i] = find_facts<wanted>(*frames[i]);
	}
	for (uint32_t left = plains.asking; unlikely(left != 0); left &= left - 1) {
		const int i = std::countr_zero(left);
		plains.facts[i] = {.status = format_of<wanted.format>::checked,
				   .ptype = plains.requests[i].ptype};
	}
	plains.told |= plains.asking;
	if constexpr (wanted.sorts_tags()) {
		for (uint32_t left = plains.tagged; left != 0; left &= left - 1) {
			const int i = std::countr_zero(left);
			const bool told = (plains.told >> i & 1) != 0;
			const rx_facts facts = told           ? plains.facts[i]
					       : wanted.check ? facts_of<wanted>(plains.seen[i])
							      : rx_facts{};
			plains.facts[i] =
				with_tags<format_of<wanted.format>>(facts, plains.tags[i]);
		}
		plains.told |= plains.tagged;
	}
}

/** Pass four: tells the guest, in ring order. */
template <rx_variant wanted>
void
write_back_plain(to_guest &q, const batch &plains, uint16_t n, const frame_label *labels)
{
	using format = format_of<wanted.format>;
	rx_descriptor *descriptors = q.descriptor(q.head);

	for (uint16_t i = 0; i < n; i++) {
		if (unlikely((plains.told >> i & 1) != 0))
			format::write_back(descriptors[i], format::last,
					   with_label<wanted>(plains.facts[i], labels, i),
					   plains.length[i]);
		else if ((plains.looked >> i & 1) != 0)
			format::write_back(
				descriptors[i], format::last,
				with_label<wanted>(facts_of<wanted>(plains.seen[i]), labels, i),
				plains.length[i]);
		else
			format::write_back(descriptors[i], format::last,
					   with_label<wanted>({}, labels, i), plains.length[i]);
	}
	q.advance(n);
	q.want_irq(owed_irq::prompt);
}

/** The bytes of a frame in order. */
class frame_cursor {
public:
	explicit frame_cursor(const rte_mbuf *frame) : part_(frame) {}
	/** With another front in place of the first bytes, which exist. */
	frame_cursor(const rte_mbuf *frame, const retagged &tags)
	    : part_(frame), front_(tags.front.data()), front_left_(tags.length)
	{
		for (offset_ = tags.instead; part_ != nullptr && offset_ > part_->data_len;
		     part_ = part_->next)
			offset_ -= part_->data_len;
	}

	/** Copies the next bytes to the guest; false if its memory is not there. */
	bool write(guest_memory &memory, uint64_t iova, uint32_t length)
	{
		if (const uint32_t piece = std::min(front_left_, length); piece != 0) {
			if (!memory.write(iova, front_, piece))
				return false;
			front_ += piece;
			front_left_ -= piece;
			iova += piece;
			length -= piece;
		}
		while (length != 0 && part_ != nullptr) {
			const uint32_t piece =
				std::min<uint32_t>(length, part_->data_len - offset_);
			const auto *from = rte_pktmbuf_mtod_offset(part_, const uint8_t *, offset_);
			if (!memory.write(iova, from, piece))
				return false;
			iova += piece;
			length -= piece;
			offset_ += piece;
			if (offset_ == part_->data_len) {
				part_ = part_->next;
				offset_ = 0;
			}
		}
		return length == 0;
	}

private:
	const rte_mbuf *part_;
	uint32_t offset_ = 0;
	const uint8_t *front_ = nullptr;
	uint32_t front_left_ = 0;
};

/** Copies a frame to the next buffers; false if one of them is not there. */
bool
copy_any(const to_guest &q, guest_memory &memory, frame_cursor from, uint32_t length)
{
	uint16_t at = q.head;

	for (uint32_t left = length; left != 0; at = q.next(at)) {
		const uint32_t piece = std::min(left, q.buffer_size);
		if (!from.write(memory, read_once(q.descriptor(at)->qword0), piece))
			return false;
		left -= piece;
	}
	return true;
}

/** Hands over the buffers of a frame of this length, first to last. The last one tells of the
 * frame; all say of what type it is, for vector functions of net_iavf look at the first. */
template <class format>
void
write_back_any(to_guest &q, uint32_t length, uint32_t state, const rx_facts &facts)
{
	rx_facts some;

	some.ptype = facts.ptype;
	while (length != 0) {
		const uint32_t piece = std::min(length, q.buffer_size);
		length -= piece;
		const bool ends = length == 0;
		format::write_back(*q.descriptor(q.head), ends ? state : format::done,
				   ends ? facts : some, piece);
		q.head = q.next(q.head);
	}
	q.want_irq(owed_irq::prompt);
}

/** Counts a frame that the guest does not want, or is not to have. */
void
count_unwanted(to_guest &q, const retagged &tags)
{
	q.counts.add(tags.foreign ? count::port_vlan_filtered : count::vlan_filtered);
}

/** Counts a frame that asks for what it may not, or for what cannot be. */
void
refuse(to_guest &q, request_verdict why)
{
	q.counts.add(why == request_verdict::disabled ? count::disabled_offload
						      : count::bad_offload);
}

/** Where a request of an ethdev queue is kept of which a part may be sent: a full ring does not
 * hold up those for others. */
outgoing &
request_of(to_guest &host, const to_guest &ring)
{
	steering_work *work = host.work.load(std::memory_order_acquire);

	return work != nullptr ? work->requests[ring.index] : host.request;
}

/**
 * Delivers or drops what a frame that asks for something is to become. False: some of it must wait
 * for buffers; then it goes on with the same frame.
 */
template <rx_variant wanted>
bool
give_request(to_guest &host, to_guest &q, guest_memory &memory, const rte_mbuf &frame,
	     uint32_t available, tally &sum, const frame_label *label)
{
	using format = format_of<wanted.format>;
	outgoing &request = request_of(host, q);

	if (const auto verdict = request.begin(frame, host.offloads);
	    verdict != request_verdict::good) {
		refuse(q, verdict);
		return true;
	}
	retagged tags{};
	if constexpr (wanted.sorts_tags()) {
		tags.sort(q.vlans, frame, wanted.tags == rx_tags::inserted);
		if (!tags.wanted) {
			count_unwanted(q, tags);
			request.end();
			return true;
		}
	}
	request.retag(tags);
	request.enlarge(q.largest);
	rx_facts facts;
	tell<format>(request.finding(), facts);
	facts = with_label<wanted>(with_tags<format>(facts, tags), label, 0);
	if (request.longest_frame() > q.max_frame) {
		q.counts.add(count::too_long);
		request.end();
		return true;
	}
	while (!request.done()) {
		const uint32_t length = request.next_length();
		const uint32_t buffers = (length + q.buffer_size - 1) / q.buffer_size;
		if (buffers > available)
			return false;
		available -= buffers;
		const merged more = request.next_merged(tags.apart());
		const auto [copied, front] = request.copy_next(
			{q.ring, q.head, q.size, q.buffer_size, q.copy_sum}, memory);
		if (copied) {
			sum.count(front, length + tags.apart());
			more.add_to(q.counts);
			write_back_any<format>(q, length, format::last, facts);
		} else {
			q.counts.add(count::not_mapped);
			write_back_any<format>(q, length, format::last | format::damaged, {});
		}
	}
	request.end();
	return true;
}

/**
 * Delivers or drops a frame of any form. False: it must wait for buffers.
 *
 * A buffer that is not mapped cannot be left out, for a driver takes completions in ring order, and
 * holding the frame back would stop the queue for good. So the buffers are completed with the
 * receive error bit, upon which a driver discards the frame. Their length is that of the frame:
 * Linux iavf 6.1 stops at a descriptor of length 0. (Hardware would raise a malicious-driver event
 * and disable the whole VF.)
 */
template <rx_variant wanted>
bool
give_any(to_guest &host, to_guest &q, guest_memory &memory, const rte_mbuf *frame,
	 uint16_t available, tally &sum, const frame_label *label)
{
	using format = format_of<wanted.format>;
	uint32_t length = frame->pkt_len;
	retagged tags{};

	if ((frame->ol_flags & wanted.requests()) != 0)
		return give_request<wanted>(host, q, memory, *frame, available, sum, label);
	if (length < RTE_ETHER_HDR_LEN || frame->data_len < RTE_ETHER_ADDR_LEN) {
		q.counts.add(count::too_short);
		return true;
	}
	if constexpr (wanted.sorts_tags()) {
		tags.sort(q.vlans, *frame, wanted.tags == rx_tags::inserted);
		length = tags.new_length(length);
		if (!tags.wanted) {
			count_unwanted(q, tags);
			return true;
		}
	}
	if (length > q.max_frame) {
		q.counts.add(count::too_long);
		return true;
	}
	if ((length + q.buffer_size - 1) / q.buffer_size > available)
		return false;
	if (!copy_any(q, memory, frame_cursor(frame, tags), length)) {
		q.counts.add(count::not_mapped);
		write_back_any<format>(q, length, format::last | format::damaged, {});
		return true;
	}
	sum.count(rte_pktmbuf_mtod(frame, const uint8_t *), length + tags.apart());
	write_back_any<format>(
		q, length, format::last,
		with_label<wanted>(with_tags<format>(find_facts<wanted>(*frame), tags), label, 0));
	return true;
}

/** @param fast The application has promised one pool, single segments and no other references. */
void
free_frames(rte_mbuf **frames, uint16_t n, bool fast)
{
	if (n == 0)
		return;
	if (fast)
		rte_mempool_put_bulk(frames[0]->pool, reinterpret_cast<void **>(frames), n);
	else
		rte_pktmbuf_free_bulk(frames, n);
}

/** Of bursts of fewer frames each makes ready for the next: the core has time, and frames wait for
 * single lines. */
constexpr uint16_t small_burst = 4;

/** Fetches the next buffer, and the descriptors behind the next, while the guest is busy. */
[[gnu::noinline]] void
fetch_next(const to_guest &q, guest_memory &memory)
{
	const uint64_t iova = read_once(q.descriptor(q.head)->qword0);

	prefetch_for_writing(q.descriptor((q.head + per_line) % q.size));
	if (const auto *buffer = memory.whole(iova, RTE_ETHER_HDR_LEN, RTE_GUEST_MEM_WRITE);
	    buffer != nullptr)
		prefetch_for_writing(buffer);
}

template <rx_variant wanted>
uint16_t
give(to_guest &host, to_guest &q, rte_mbuf **frames, uint16_t n, const frame_label *labels)
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

	while (done < n) {
		batch plains;
		const uint16_t available = q.available(tail);
		const auto limit = static_cast<uint16_t>(
			std::min<uint32_t>({uint32_t{n} - done, batch_size, available, q.run()}));
		const uint16_t found = find_buffers<wanted>(q, memory, frames + done, limit,
							    host.offloads, plains);
		if (likely(found != 0)) {
			copy_plain<wanted>(q, plains, frames + done, found, sum);
			find_what_to_say<wanted>(plains, frames + done);
			write_back_plain<wanted>(q, plains, found, from(labels, done));
			done += found;
			continue;
		}
		if (!give_any<wanted>(host, q, memory, frames[done], available, sum,
				      from(labels, done)))
			break;
		done++;
	}
	sum.add_to(q.counts);
	if (done < small_burst && q.head != tail)
		fetch_next(q, memory);
	free_frames(frames, done, host.fast_free);
	return done;
}

template <bool inserts, size_t... index>
constexpr to_guest::loop_set
make_loops(std::index_sequence<index...>)
{
	return {give<rx_variant::of(index, inserts)>...};
}

template <bool inserts>
constexpr to_guest::loop_set
	loops = make_loops<inserts>(std::make_index_sequence<rx_variant::count>());

} // namespace

const to_guest::loop_set *
select_to_guest(uint64_t offloads)
{
	const bool inserts =
		(offloads & (RTE_ETH_TX_OFFLOAD_VLAN_INSERT | RTE_ETH_TX_OFFLOAD_QINQ_INSERT)) != 0;
	return inserts ? &loops<true> : &loops<false>;
}

/** The queue has no ring of its own: what it sends is its own all the same. */
[[gnu::noinline]] uint16_t
give_elsewhere(to_guest &host, to_guest &ring, to_guest::loop_fn loop, rte_mbuf **frames,
	       uint16_t n, const frame_label *labels)
{
	const uint64_t packets = ring.counts.total(count::packets);
	const uint64_t bytes = ring.counts.total(count::bytes);
	const uint16_t done = loop(host, ring, frames, n, labels);
	const uint64_t more_packets = ring.counts.total(count::packets) - packets;
	const uint64_t more_bytes = ring.counts.total(count::bytes) - bytes;

	ring.counts.add(count::lent_packets, more_packets);
	ring.counts.add(count::lent_bytes, more_bytes);
	host.counts.add(count::borrowed_packets, more_packets);
	host.counts.add(count::borrowed_bytes, more_bytes);
	return done;
}

uint16_t
hand_over(to_guest &host, to_guest &ring, rte_mbuf **frames, uint16_t n, const frame_label *labels)
{
	burst_pass inside(ring.access, ring.access.enter_or_wait());
	if (!inside) {
		host.counts.add(ring.access.closed() ? count::no_queue : count::paused, n);
		return 0;
	}
	rx_variant variant = ring.variant;
	variant.labelled = labels != nullptr;
	const auto loop = (*host.loops)[variant.index()];
	const uint16_t done = likely(&ring == &host)
				      ? loop(host, ring, frames, n, labels)
				      : give_elsewhere(host, ring, loop, frames, n, labels);
	ring.poll_irq_after_giving();
	return done;
}

uint16_t
to_guest_burst(void *queue, rte_mbuf **pkts, uint16_t nb_pkts)
{
	auto &host = *static_cast<to_guest *>(queue);

	if (unlikely(host.steered.load(std::memory_order_relaxed) != nullptr))
		return steered_burst(host, pkts, nb_pkts);
	return hand_over(host, *host.target.load(std::memory_order_acquire), pkts, nb_pkts,
			 nullptr);
}

uint16_t
to_guest_prepare(void *queue, rte_mbuf **pkts, uint16_t nb_pkts)
{
	const auto &host = *static_cast<const to_guest *>(queue);
	host_request request;

	for (uint16_t i = 0; i < nb_pkts; i++) {
		const request_verdict verdict = asks_for_something(*pkts[i])
							? request.decode(*pkts[i], host.offloads)
							: request_verdict::good;
		if (verdict != request_verdict::good) {
			rte_errno = verdict == request_verdict::disabled ? ENOTSUP : EINVAL;
			return i;
		}
	}
	return nb_pkts;
}

} // namespace iavf_be
