/* SPDX-License-Identifier: BSD-3-Clause */

#include "steering.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include <rte_prefetch.h>

namespace iavf_be {

to_guest::to_guest()
{
	/* From now on bursts are only waited for there. */
	steering_access.open();
}

to_guest::~to_guest()
{
	delete work.load(std::memory_order_relaxed);
}

/** Of a request of which a part is sent at that moment, that part may be sent again. */
void
to_guest::equip_for_steering(size_t rings)
{
	if (work.load(std::memory_order_relaxed) == nullptr)
		work.store(new steering_work{.requests = std::vector<outgoing>(rings)},
			   std::memory_order_release);
}

/** What has no initial value is not written for frames that there are not. */
template <class T, size_t n> union unset {
	unset() {}

	std::array<T, n> all;
};

struct steering::batch {
	to_guest *own; /**< The ring of the application's choice. */
	std::array<rte_mbuf *, batch_size> frames;
	uint16_t count;
	unset<verdict, batch_size> verdicts;
	unset<frame_label, batch_size> labels;
	ring_set rings{}; /**< Those that get frames. */
};

/** Of one ring. */
struct steering::group {
	std::array<rte_mbuf *, batch_size> frames;
	unset<frame_label, batch_size> labels;
};

/** Whether it goes where the guest listens. One that is too short is counted as that later. */
bool
steering::wanted(const rte_mbuf &frame) const
{
	return frame.data_len < RTE_ETHER_ADDR_LEN ||
	       stages_.addresses->admits(rte_pktmbuf_mtod(&frame, const uint8_t *));
}

/** Does what the guest's rules say of a frame. @return Whether it is not dropped. */
bool
steering::follow_rule(const rte_mbuf &frame, const packet_places &places, verdict &its,
		      frame_label &label) const
{
	const flow_input input = find_flow_input(frame, places);
	const flow_rules::action *rule = stages_.flows->find(input);

	if (rule == nullptr)
		return true;
	if (rule->what == RTE_EMUDEV_NET_FLOW_DROP) {
		its.dropped = to_guest_count::flow_dropped;
		return false;
	}
	if (rule->what == RTE_EMUDEV_NET_FLOW_QUEUE) {
		its.ring = rule->queue;
		its.more_rings = rule->more;
		/* That of RSS takes its place, if the guest has that. */
		if (rule->more != 0)
			label.hash = input.hash();
	}
	label.marked = rule->has_mark;
	label.mark = rule->mark;
	return true;
}

/** Each stage decides of what those before it have not dropped. */
verdict
steering::decide(const rte_mbuf &frame, frame_label &label) const
{
	verdict its;

	label = {};
	if (stages_.addresses && !wanted(frame)) {
		its.dropped = to_guest_count::address_filtered;
		return its;
	}
	const packet_places places(frame);
	if (stages_.flows && !follow_rule(frame, places, its, label))
		return its;
	/* A ring that a rule has chosen is not chosen anew. */
	if (stages_.hashing) {
		const uint16_t ring = stages_.hashing->choose(places, label);
		if (its.ring == verdict::hosts_choice)
			its.ring = ring;
	}
	its.ring += label.hash & its.more_rings;
	return its;
}

void
steering::decide_all(batch &all) const
{
	for (uint16_t i = 0; i < all.count; i++) {
		/* Nobody may have looked at the headers so far. */
		if (constexpr uint16_t ahead = 4; i + ahead < all.count)
			rte_prefetch0(rte_pktmbuf_mtod(all.frames[i + ahead], void *));
		all.verdicts.all[i] = decide(*all.frames[i], all.labels.all[i]);
	}
}

/** Drops what is dropped, and sorts the rest by rings: without a branch that depends on the ring,
 * which nobody could predict. */
void
steering::sort(to_guest &host, batch &all) const
{
	const uint16_t own = all.own->index;
	auto &frames_of = host.work.load(std::memory_order_relaxed)->frames_of;

	for (uint16_t i = 0; i < all.count; i++) {
		const verdict &its = all.verdicts.all[i];
		if (unlikely(its.is_dropped())) {
			host.counts.add(its.dropped);
			rte_pktmbuf_free(all.frames[i]);
			continue;
		}
		/* A ring may have gone since it was chosen. */
		const bool there = its.ring < rings_.size() && rings_[its.ring] != nullptr;
		const uint16_t ring = there ? its.ring : own;
		all.rings[ring / 64] |= uint64_t{1} << ring % 64;
		frames_of[ring] |= uint64_t{1} << i;
	}
}

/** The frames of a ring, and their labels, one behind the other; @return How many. */
uint16_t
steering::gather(const batch &all, uint64_t which, group &out) const
{
	uint16_t n = 0;

	for (; which != 0; which &= which - 1) {
		const int i = std::countr_zero(which);
		out.labels.all[n] = all.labels.all[i];
		out.frames[n++] = all.frames[i];
	}
	return n;
}

/** @return How many frames are kept, from @p kept on; a ring that has no room is full from then on.
 */
uint16_t
steering::hand_out(to_guest &host, const batch &all, ring_set &full, rte_mbuf **kept) const
{
	auto &frames_of = host.work.load(std::memory_order_relaxed)->frames_of;
	rte_mbuf **end = kept;
	group some;

	for (uint16_t word = 0; word < all.rings.size(); word++) {
		for (uint64_t left = all.rings[word]; left != 0; left &= left - 1) {
			const auto ring = static_cast<uint16_t>(word * 64 + std::countr_zero(left));
			const uint64_t full_bit = left & -left;
			const uint16_t n = gather(all, std::exchange(frames_of[ring], 0), some);
			uint16_t done = 0;

			if ((full[word] & full_bit) == 0)
				done = hand_over(host,
						 ring == all.own->index ? *all.own : *rings_[ring],
						 some.frames.data(), n,
						 labels_ ? some.labels.all.data() : nullptr);
			if (done < n)
				full[word] |= full_bit;
			end = std::copy(some.frames.begin() + done, some.frames.begin() + n, end);
		}
	}
	return static_cast<uint16_t>(end - kept);
}

/** The burst goes to one ring as it is, but for frames that are not wanted; mostly there are none.
 */
uint16_t
steering::send_wanted(to_guest &host, rte_mbuf **frames, uint16_t n) const
{
	to_guest &own = *host.target.load(std::memory_order_acquire);
	uint16_t count = 0;

	while (count < n && wanted(*frames[count]))
		count++;
	for (uint16_t i = count; i < n; i++) {
		if (wanted(*frames[i]))
			frames[count++] = frames[i];
		else
			rte_pktmbuf_free(frames[i]);
	}
	if (count != n)
		host.counts.add(to_guest_count::address_filtered, n - count);
	const uint16_t sent = hand_over(host, own, frames, count, nullptr);
	const uint16_t left = count - sent;
	if (count != n)
		std::copy_backward(frames + sent, frames + count, frames + n);
	return n - left;
}

uint16_t
steering::send(to_guest &host, rte_mbuf **frames, uint16_t n) const
{
	if (!stages_.choose())
		return send_wanted(host, frames, n);
	ring_set full{};
	uint16_t kept = 0;

	for (uint16_t at = 0; at < n;) {
		batch all;
		all.own = host.target.load(std::memory_order_acquire);
		all.count = std::min<uint16_t>(n - at, batch_size);
		std::copy_n(frames + at, all.count, all.frames.begin());
		at += all.count;
		decide_all(all);
		sort(host, all);
		/* There is room where frames stood that are gone, or have been copied. */
		kept += hand_out(host, all, full, frames + kept);
	}
	std::copy_backward(frames, frames + kept, frames + n);
	return n - kept;
}

uint16_t
steered_burst(to_guest &host, rte_mbuf **frames, uint16_t n)
{
	burst_pass inside(host.steering_access, host.steering_access.enter());
	const steering *how = host.steered.load(std::memory_order_acquire);

	if (!inside || how == nullptr)
		return hand_over(host, *host.target.load(std::memory_order_acquire), frames, n,
				 nullptr);
	return how->send(host, frames, n);
}

} // namespace iavf_be
