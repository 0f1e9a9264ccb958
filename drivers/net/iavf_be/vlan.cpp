/* SPDX-License-Identifier: BSD-3-Clause */

/* VLAN tags between frames and descriptors, and between frames and mbufs. */

#include "vlan.hpp"

#include <algorithm>
#include <utility>

#include "from_guest.hpp"

namespace iavf_be {

namespace {

/** Copies a frame's first bytes. @return How many there are: rte_pktmbuf_read() believes what a
 * mbuf says of its length. */
template <size_t most>
uint32_t
first_bytes(const rte_mbuf &frame, std::array<uint8_t, most> &to)
{
	uint32_t done = 0;

	for (const rte_mbuf *part = &frame; part != nullptr && done < most; part = part->next) {
		const uint32_t piece = std::min<uint32_t>(most - done, part->data_len);
		memcpy(to.data() + done, rte_pktmbuf_mtod(part, const uint8_t *), piece);
		done += piece;
	}
	return done;
}

} // namespace

void
retagged::keep(const vlan_tag &tag)
{
	store_be16(store_be16(front.data() + length, tag.type), tag.control);
	length += vlan_tag_length;
}

/** Each of the tags goes to the descriptor or stays. */
void
retagged::divide(const to_guest_vlans &how, const vlan_stack &all)
{
	for (uint16_t i = 0; i < all.count; i++) {
		const vlan_tag &tag = all.tags[i];
		const bool outer = i == 0;

		if (tag.type != (outer ? how.strip_outer : how.strip_inner)) {
			keep(tag);
		} else if (outer && how.outer_in_second) {
			in_second = true;
			second = tag.control;
		} else {
			in_first = true;
			first = tag.control;
		}
	}
}

void
retagged::sort(const to_guest_vlans &how, const rte_mbuf &frame, bool inserted)
{
	std::array<uint8_t, longest + vlan_tag_length + 2> begin;
	const uint32_t there = first_bytes(frame, begin);
	const bool in_port_vlan = how.port_type != 0;
	vlan_stack all;

	*this = {.wanted = true};
	if (there < addresses_length) /* its segments are shorter than it says */
		return;
	if (inserted && (frame.ol_flags & RTE_MBUF_F_TX_QINQ) != 0)
		all.push(how.host_outer, frame.vlan_tci_outer);
	if (inserted && (frame.ol_flags & inserts_tags) != 0)
		all.push(RTE_ETHER_TYPE_VLAN, frame.vlan_tci);
	const uint16_t outside = all.count;
	all.parse(begin.data(), there, most_vlan_tags + in_port_vlan);
	instead = static_cast<uint8_t>(addresses_length + (all.count - outside) * vlan_tag_length);
	foreign = in_port_vlan && !all.take_first(how.port_type, how.port_id);
	if (foreign) {
		wanted = false;
		return;
	}
	std::copy_n(begin.begin(), addresses_length, front.begin());
	length = addresses_length;
	divide(how, all);
	wanted = all.count == 0 || how.ids == nullptr ||
		 passes(how.ids->of[vlan_type_of(all.tags[0].type)], all.tags[0].control);
}

namespace {

/** A frame's outer tag leaves it, if it has the type of 802.1Q. */
void
strip_one(rte_mbuf &frame)
{
	if (frame.data_len >= RTE_ETHER_HDR_LEN + vlan_tag_length)
		rte_vlan_strip(&frame);
}

/** Two tags leave a frame. @return Whether it had them. */
bool
strip_two(rte_mbuf &frame)
{
	auto *begin = rte_pktmbuf_mtod(&frame, uint8_t *);
	vlan_stack all;

	all.parse(begin, frame.data_len);
	if (all.count != 2 || all.tags[1].type != RTE_ETHER_TYPE_VLAN)
		return false;
	frame.ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_QINQ |
			  RTE_MBUF_F_RX_QINQ_STRIPPED;
	frame.vlan_tci_outer = all.tags[0].control;
	frame.vlan_tci = all.tags[1].control;
	memmove(rte_pktmbuf_adj(&frame, 2 * vlan_tag_length), begin, addresses_length);
	return true;
}

/** What a mbuf says of the length of its headers, if it says anything. */
void
move_headers(rte_mbuf &frame, uint32_t by)
{
	constexpr uint64_t told = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_L4_MASK;

	if ((frame.ol_flags & RTE_MBUF_F_TX_TUNNEL_MASK) != 0)
		frame.outer_l2_len += by;
	else if ((frame.ol_flags & told) != 0)
		frame.l2_len += by;
}

/** The same after tags have left, and its type, if it says that. */
void
shorten_headers(rte_mbuf &frame, uint32_t by)
{
	move_headers(frame, 0 - by);
	const uint32_t l2 = frame.packet_type & RTE_PTYPE_L2_MASK;
	if (by == 0 || (l2 != RTE_PTYPE_L2_ETHER_VLAN && l2 != RTE_PTYPE_L2_ETHER_QINQ))
		return;
	const bool one_left = l2 == RTE_PTYPE_L2_ETHER_QINQ && by == vlan_tag_length;
	frame.packet_type = (frame.packet_type & ~RTE_PTYPE_L2_MASK) |
			    (one_left ? RTE_PTYPE_L2_ETHER_VLAN : RTE_PTYPE_L2_ETHER);
}

/** Both after a tag came in front of all. */
void
lengthen_headers(rte_mbuf &frame)
{
	move_headers(frame, vlan_tag_length);
	const uint32_t l2 = frame.packet_type & RTE_PTYPE_L2_MASK;
	if (l2 == RTE_PTYPE_L2_ETHER)
		frame.packet_type += RTE_PTYPE_L2_ETHER_VLAN - RTE_PTYPE_L2_ETHER;
	else if (l2 == RTE_PTYPE_L2_ETHER_VLAN)
		frame.packet_type += RTE_PTYPE_L2_ETHER_QINQ - RTE_PTYPE_L2_ETHER_VLAN;
}

template <bool one, bool two>
void
strip(rte_mbuf &frame)
{
	const uint32_t before = frame.pkt_len;

	if (!(two && strip_two(frame)) && one)
		strip_one(frame);
	shorten_headers(frame, before - frame.pkt_len);
}

bool
wanted(const vlan_id_set &ids, const rte_mbuf &frame)
{
	vlan_stack all;

	all.parse(rte_pktmbuf_mtod(&frame, const uint8_t *), frame.data_len);
	return all.count == 0 || passes(ids, all.tags[0].control);
}

/** Frames as the guest has sent them have been taken, and counted. */
template <bool one, bool two, bool filter>
uint16_t
take_tags(from_guest &q, rte_mbuf **out, uint16_t most)
{
	const uint16_t taken = q.vlans.untouched(q, out, most);
	tally dropped;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < taken; i++) {
		rte_mbuf *frame = out[i];
		if (filter && !wanted(q.vlans.ids, *frame)) {
			dropped.count(rte_pktmbuf_mtod(frame, const uint8_t *), frame->pkt_len);
			rte_pktmbuf_free(frame);
			continue;
		}
		if constexpr (one || two)
			strip<one, two>(*frame);
		out[kept++] = frame;
	}
	if constexpr (filter) {
		using count = from_guest_count;
		dropped.take_from(q.counts);
		q.counts.add(count::vlan_filtered, dropped.packets);
		q.counts.add(count::unseen_packets, dropped.packets);
		q.counts.add(count::unseen_bytes, dropped.bytes);
		q.counts.add(count::unseen_multicast, dropped.multicast);
		q.counts.add(count::unseen_broadcast, dropped.broadcast);
	}
	return kept;
}

template <size_t... option>
constexpr std::array<host_vlans::loop_fn, sizeof...(option)>
make_loops(std::index_sequence<option...>)
{
	return {take_tags<(option & 1) != 0, (option & 2) != 0, (option & 4) != 0>...};
}

constexpr auto loops = make_loops(std::make_index_sequence<8>());

} // namespace

bool
insert_first_tag(rte_mbuf &frame, const vlan_tag &tag)
{
	const auto *addresses = rte_pktmbuf_mtod(&frame, const uint8_t *);
	auto *begin = reinterpret_cast<uint8_t *>(rte_pktmbuf_prepend(&frame, vlan_tag_length));

	if (begin == nullptr)
		return false;
	memmove(begin, addresses, addresses_length);
	store_be16(store_be16(begin + addresses_length, tag.type), tag.control);
	lengthen_headers(frame);
	return true;
}

host_vlans::loop_fn
select_host_vlans(uint64_t offloads, host_vlans::loop_fn untouched)
{
	const size_t one = (offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
	const size_t two = (offloads & RTE_ETH_RX_OFFLOAD_QINQ_STRIP) != 0;
	const size_t filter = (offloads & RTE_ETH_RX_OFFLOAD_VLAN_FILTER) != 0;
	const size_t option = one | two << 1 | filter << 2;

	return option == 0 ? untouched : loops[option];
}

} // namespace iavf_be
