/* SPDX-License-Identifier: BSD-3-Clause */

#include "policy.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <rte_cycles.h>

#include "from_guest.hpp"

namespace iavf_be {

source_set::source_set(const rte_emudev_net_config &guest) : first_(load_mac(guest.mac.addr_bytes))
{
	for (uint16_t i = 0; i < guest.nb_filters; i++)
		if (rte_is_unicast_ether_addr(&guest.filters[i]))
			others_.push_back(load_mac(guest.filters[i].addr_bytes));
	std::sort(others_.begin(), others_.end());
}

bool
source_set::is_among_others(uint64_t address) const
{
	return std::binary_search(others_.begin(), others_.end(), address);
}

void
token_bucket::set(uint32_t mbps, uint32_t longest)
{
	constexpr uint64_t bits = 8, mega = 1000000, per_second = 500;
	const uint64_t second = rte_get_tsc_hz() << fraction_bits;

	cost_ = mbps == 0 ? 0 : std::max<uint64_t>(second * bits / (mbps * mega), 1);
	frame_cost_ = cost_ * longest;
	/* Polls are this far apart at times; two frames, so that one more may always be saved for
	 * while another is sent. */
	depth_ = std::max(second / per_second, 2 * frame_cost_);
	due_.store((rte_get_tsc_cycles() << fraction_bits) - depth_, std::memory_order_relaxed);
}

uint16_t
token_bucket::grant(uint64_t now, uint16_t most)
{
	uint64_t due = due_.load(std::memory_order_relaxed);
	const uint64_t time = now << fraction_bits;
	const auto saved = static_cast<int64_t>(time - due);

	if (saved <= 0)
		return 0;
	/* More cannot be saved. Another thread may do the same, or charge: then that holds. */
	if (static_cast<uint64_t>(saved) > 2 * depth_)
		due_.compare_exchange_strong(due, time - depth_, std::memory_order_relaxed);
	const uint64_t usable = std::min(static_cast<uint64_t>(saved), depth_);
	return static_cast<uint16_t>(std::min<uint64_t>(most, 1 + usable / frame_cost_));
}

namespace {

/** Of this thread: the guest that has had less than its minimum, and until when others mind. */
struct shortage {
	const traffic_rate *of = nullptr;
	uint64_t end = 0;
};
thread_local shortage known_shortage;

} // namespace

void
traffic_rate::set(const rte_emudev_net_policy &policy, uint32_t longest)
{
	most_.set(policy.max_rate, longest);
	least_.set(policy.min_rate, longest);
}

traffic_rate::allowance
traffic_rate::grant(uint64_t now, uint16_t most)
{
	constexpr uint16_t share = 8;

	if (most_.is_set())
		most = most_.grant(now, most);
	if (least_.is_set() && least_.grant(now, 1) != 0)
		return {.frames = most, .owed = true, .yields = false};
	const auto left = static_cast<int64_t>(known_shortage.end - now);
	const bool yields = most > 1 && left > 0 && known_shortage.of != this;
	if (yields)
		most = std::max<uint16_t>(most / share, 1);
	return {.frames = most, .owed = false, .yields = yields};
}

/* What a guest sends beyond its minimum is not part of that. A burst that is full is taken for one
 * that has left frames; the next one is expected within a millisecond. */
void
traffic_rate::charge(const allowance &granted, uint64_t now, uint16_t frames, uint64_t bytes)
{
	constexpr uint64_t per_second = 1000;

	if (most_.is_set())
		most_.charge(bytes);
	if (granted.owed)
		least_.charge(bytes);
	if (granted.owed && frames == granted.frames)
		known_shortage = {.of = this, .end = now + rte_get_tsc_hz() / per_second};
	else if (!granted.owed && unlikely(known_shortage.of == this))
		known_shortage = {};
}

host_policy::host_policy(const rte_emudev_net_config &now) : setup(now.policy)
{
	if (setup.check_source != 0)
		sources = std::make_unique<source_set>(now);
	if (setup.from_vlans != nullptr)
		vlans = std::make_unique<rte_emudev_net_vlan_ids>(*setup.from_vlans);
	setup.from_vlans = vlans.get();
}

bool
host_policy::is_same(const host_policy &other) const
{
	const rte_emudev_net_policy &a = setup, &b = other.setup;

	return a.link_down == b.link_down && a.port_vlan_type == b.port_vlan_type &&
	       a.port_vlan_tci == b.port_vlan_tci && a.max_rate == b.max_rate &&
	       a.min_rate == b.min_rate && (sources == nullptr) == (other.sources == nullptr) &&
	       (vlans == nullptr) == (other.vlans == nullptr) &&
	       (sources == nullptr || *sources == *other.sources) &&
	       (vlans == nullptr || memcmp(vlans.get(), other.vlans.get(), sizeof(*vlans)) == 0);
}

namespace {

struct policy_options {
	bool check; /**< Sources and VLANs. */
	bool tag;   /**< The guest is in a port VLAN. */
	bool pace;  /**< There is a rate. */
};

/** Bytes that the frames of a mbuf will have: those of a TSO request have headers of their own. */
uint64_t
bytes_of(const rte_mbuf &frame)
{
	if (likely((frame.ol_flags & RTE_MBUF_F_TX_TCP_SEG) == 0))
		return frame.pkt_len;
	const uint32_t headers = frame.l2_len + frame.l3_len + frame.l4_len;
	const uint32_t payload = frame.pkt_len - headers;
	return frame.pkt_len + uint64_t{(payload - 1) / frame.tso_segsz} * headers;
}

/** Frames that are dropped for a reason; they have been counted as taken. */
struct dropped_frames {
	tally frames;

	void drop(rte_mbuf *frame)
	{
		frames.count(rte_pktmbuf_mtod(frame, const uint8_t *), frame->pkt_len);
		rte_pktmbuf_free(frame);
	}
	void count_at(from_guest &q, from_guest_count reason) const
	{
		if (likely(frames.packets == 0))
			return;
		frames.take_from(q.counts);
		q.counts.add(reason, frames.packets);
	}
};

bool
is_of_vlan(const rte_emudev_net_vlan_ids &vlans, const rte_mbuf &frame)
{
	vlan_stack all;

	all.parse(rte_pktmbuf_mtod(&frame, const uint8_t *), frame.data_len, 1);
	return all.count == 0 ||
	       passes(vlans.of[vlan_type_of(all.tags[0].type)], all.tags[0].control);
}

/** Keeps of the frames those that the guest may send. @return How many. */
uint16_t
keep_lawful(from_guest &q, rte_mbuf **frames, uint16_t n)
{
	const guest_policy &policy = q.policy;
	dropped_frames spoofed, of_other_vlans;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		rte_mbuf *frame = frames[i];
		if (policy.sources != nullptr &&
		    !policy.sources->has_source(rte_pktmbuf_mtod(frame, const uint8_t *)))
			spoofed.drop(frame);
		else if (policy.vlans != nullptr && !is_of_vlan(*policy.vlans, *frame))
			of_other_vlans.drop(frame);
		else
			frames[kept++] = frame;
	}
	spoofed.count_at(q, from_guest_count::spoofed);
	of_other_vlans.count_at(q, from_guest_count::vlan_spoofed);
	return kept;
}

/** Puts all frames into the port VLAN: their tags are no longer the first. */
void
tag_all(const from_guest &q, rte_mbuf **frames, uint16_t n)
{
	/* Mbufs are fresh ones, with their headroom. */
	for (uint16_t i = 0; i < n; i++)
		insert_first_tag(*frames[i], q.policy.port_vlan);
}

/** Frames as the guest has sent them are taken, and counted, by the inner loop. */
template <policy_options option>
uint16_t
restrain(from_guest &q, rte_mbuf **out, uint16_t most)
{
	[[maybe_unused]] uint64_t now = 0;
	[[maybe_unused]] traffic_rate::allowance granted{};
	if constexpr (option.pace) {
		now = rte_get_tsc_cycles();
		granted = q.policy.rate->grant(now, most);
		most = granted.frames;
		if (most == 0) {
			q.counts.add(from_guest_count::held_back, q.read_tail() != q.head);
			return 0;
		}
	}
	uint16_t taken = q.policy.unrestrained(q, out, most);
	if constexpr (option.pace) {
		uint64_t bytes = 0;
		for (uint16_t i = 0; i < taken; i++)
			bytes += bytes_of(*out[i]);
		q.policy.rate->charge(granted, now, taken, bytes);
		q.counts.add(from_guest_count::yielded, granted.yields && taken == most);
	}
	if constexpr (option.check)
		taken = keep_lawful(q, out, taken);
	if constexpr (option.tag)
		tag_all(q, out, taken);
	return taken;
}

template <size_t... option>
constexpr std::array<host_vlans::loop_fn, sizeof...(option)>
make_loops(std::index_sequence<option...>)
{
	return {restrain<policy_options{(option & 1) != 0, (option & 2) != 0,
					(option & 4) != 0}>...};
}

constexpr auto loops = make_loops(std::make_index_sequence<8>());

} // namespace

host_vlans::loop_fn
select_policy(const guest_policy &policy)
{
	const size_t check = policy.sources != nullptr || policy.vlans != nullptr;
	const size_t tag = policy.port_vlan.type != 0, pace = policy.rate != nullptr;
	const size_t option = check | tag << 1 | pace << 2;

	return option == 0 ? policy.unrestrained : loops[option];
}

} // namespace iavf_be
