/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include <rte_byteorder.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include <rte_emudev_net.h>

#include "big_endian.hpp"

namespace iavf_be {

/** VLAN ids, a bit each. */
using vlan_id_set = std::array<uint64_t, 64>;

/** Whether an id is in a set. Id 0 is no VLAN, but a priority. */
template <class words>
constexpr bool
passes(const words &set, uint16_t control)
{
	const uint16_t id = control & RTE_VLAN_ID_MASK;
	return id == 0 || (set[id / 64] >> id % 64 & 1) != 0;
}

/** A VLAN tag; both words in the order of this machine. */
struct vlan_tag {
	uint16_t type;
	uint16_t control;
};

inline constexpr uint16_t addresses_length = 2 * RTE_ETHER_ADDR_LEN;
inline constexpr uint16_t vlan_tag_length = sizeof(rte_vlan_hdr);

/** By which ids of a type are kept; RTE_EMUDEV_NET_VLAN_TYPES: it is no type of a tag. */
constexpr rte_emudev_net_vlan_type
vlan_type_of(uint16_t ether_type)
{
	switch (ether_type) {
	case RTE_ETHER_TYPE_VLAN:
		return RTE_EMUDEV_NET_VLAN_8100;
	case RTE_ETHER_TYPE_QINQ:
		return RTE_EMUDEV_NET_VLAN_88A8;
	case RTE_ETHER_TYPE_QINQ1:
		return RTE_EMUDEV_NET_VLAN_9100;
	}
	return RTE_EMUDEV_NET_VLAN_TYPES;
}

constexpr bool
is_vlan_type(uint16_t ether_type)
{
	return vlan_type_of(ether_type) != RTE_EMUDEV_NET_VLAN_TYPES;
}

/** Tags of a frame that are told apart. */
inline constexpr uint16_t most_vlan_tags = 2;

/** The tags, @p most in all, that stand in the first @p length bytes of a frame. */
struct vlan_stack {
	/** One more is that of a port VLAN. */
	std::array<vlan_tag, most_vlan_tags + 1> tags;
	uint16_t count = 0;

	void push(uint16_t type, uint16_t control) { tags[count++] = {type, control}; }
	void parse(const uint8_t *frame, uint32_t length, uint16_t most = most_vlan_tags)
	{
		uint16_t at = addresses_length;

		/* Behind a tag there is at least the next type. */
		while (count < most && at + vlan_tag_length + 2u <= length &&
		       is_vlan_type(load_be16(frame + at))) {
			push(load_be16(frame + at), load_be16(frame + at + 2));
			at += vlan_tag_length;
		}
	}
	/** Takes the first tag out. @return Whether it is of that type and VLAN. */
	bool take_first(uint16_t type, uint16_t id)
	{
		if (count == 0 || tags[0].type != type ||
		    (tags[0].control & RTE_VLAN_ID_MASK) != id)
			return false;
		std::copy(tags.begin() + 1, tags.begin() + count, tags.begin());
		count--;
		return true;
	}
};

/** What becomes of the tags of frames to a guest; see rte_emudev_net_vlan. */
struct to_guest_vlans {
	uint16_t strip_outer = 0;
	uint16_t strip_inner = 0;
	bool outer_in_second = false;
	const rte_emudev_net_vlan_ids *ids = nullptr; /**< Kept by rings. */
	/** Type of the first of two tags that the application has inserted. */
	uint16_t host_outer = RTE_ETHER_TYPE_QINQ;
	/** The guest is in this VLAN without knowing it, by tags of this type; 0: it is not. */
	uint16_t port_type = 0;
	uint16_t port_id = 0;

	bool any() const { return (strip_outer | strip_inner | port_type) != 0 || ids != nullptr; }
};

/** A frame's beginning as a guest gets it, and the tags that it gets in the descriptor. */
struct retagged {
	static constexpr uint16_t longest = addresses_length + most_vlan_tags * vlan_tag_length;

	std::array<uint8_t, longest> front; /**< Takes the place of the first bytes. */
	uint8_t length;                     /**< Of the front. */
	uint8_t instead;                    /**< Bytes of the frame that it replaces. */
	bool in_first, in_second;           /**< Whether there are tags for the descriptor. */
	uint16_t first, second;             /**< These. */
	bool wanted;                        /**< The guest has not filtered it out. */
	bool foreign;                       /**< Of another VLAN than the guest is in; unwanted. */

	/** Sorts the tags of a frame out that is long enough for an Ethernet header. @p inserted:
	 * also those that the application wants to be inserted. */
	void sort(const to_guest_vlans &how, const rte_mbuf &frame, bool inserted);
	uint32_t new_length(uint32_t old) const { return old - instead + length; }
	/** Bytes of tags that do not come with the frame: they count for statistics. */
	uint32_t apart() const { return (in_first + in_second) * vlan_tag_length; }

private:
	void keep(const vlan_tag &tag);
	void divide(const to_guest_vlans &how, const vlan_stack &all);
};

/** Flags of a mbuf upon which tags are inserted. */
inline constexpr uint64_t inserts_tags = RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_QINQ;

/** Whether a frame begins with a tag. Its first segment has an Ethernet header. */
inline bool
begins_with_tag(const rte_mbuf &frame)
{
	return is_vlan_type(
		load_be16(rte_pktmbuf_mtod_offset(&frame, const uint8_t *, addresses_length)));
}

/** Puts a tag in front of a frame's own ones, into its headroom. @return Whether there was room. */
bool insert_first_tag(rte_mbuf &frame, const vlan_tag &tag);

struct from_guest;

/** What the application wants of the tags of frames that it receives; a copy in each queue. */
struct host_vlans {
	using loop_fn = uint16_t (*)(from_guest &, rte_mbuf **, uint16_t);

	loop_fn untouched = nullptr; /**< Takes frames from the guest, with their tags. */
	vlan_id_set ids{};           /**< For RTE_ETH_RX_OFFLOAD_VLAN_FILTER. */
};

/** Offloads of an Rx queue that concern tags. */
inline constexpr uint64_t vlan_rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP |
					     RTE_ETH_RX_OFFLOAD_QINQ_STRIP |
					     RTE_ETH_RX_OFFLOAD_VLAN_FILTER;

/** The loop for a queue with these Rx offloads around @p untouched, or that alone. */
host_vlans::loop_fn select_host_vlans(uint64_t offloads, host_vlans::loop_fn untouched);

} // namespace iavf_be
