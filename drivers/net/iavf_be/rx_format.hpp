/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <tuple>

#include <rte_mbuf.h>

#include <descriptors.hpp>

#include "memory.hpp"

namespace iavf_be {

/** The formats in which a guest's driver may want its receive descriptors. */
enum class rx_format : uint8_t { legacy, flexible, end };

/** Finds the format that an RXDID stands for; false if it is not one of ours. */
inline bool
find_format(uint8_t id, rx_format &out)
{
	out = id == iavf::rxdid::flexible_ovs ? rx_format::flexible : rx_format::legacy;
	return id == iavf::rxdid::flexible_ovs || id == iavf::rxdid::legacy_32b ||
	       id == iavf::rxdid::unset;
}

/**
 * What a descriptor says of a frame besides its length. The bits are those of the ring's format,
 * see below.
 */
struct rx_facts {
	uint32_t status = 0;   /**< checked, bad_.., has_tag1, has_hash, has_mark. */
	uint16_t extended = 0; /**< has_tag2. */
	uint16_t ptype = iavf::rxd::ptype_mac;
	uint32_t hash = 0;
	uint32_t mark = iavf::rxflex::no_flow;
	uint16_t l2tag1 = 0, l2tag2 = 0;
};

/*
 * A class per format, with members of the same names: bits that are combined by "or", and how a
 * buffer is handed over. A write-back orders the data and the other words before DD, and ring
 * entries among themselves.
 */

struct legacy_rx {
	/* Whether the frame goes on, ends, or is to be discarded. */
	static constexpr uint32_t done = iavf::rxd::dd::mask;
	static constexpr uint32_t last = done | iavf::rxd::eof::mask;
	static constexpr uint32_t damaged = iavf::rxd::rxe::mask;
	/* Of rx_facts::status. */
	static constexpr uint32_t checked = iavf::rxd::l3l4p::mask;
	static constexpr uint32_t bad_ip = iavf::rxd::ipe::mask;
	static constexpr uint32_t bad_l4 = iavf::rxd::l4e::mask;
	static constexpr uint32_t bad_outer_ip = iavf::rxd::eipe::mask;
	static constexpr uint32_t bad_outer_l4 = 0; /**< There is no bit for it. */
	static constexpr uint32_t has_tag1 = iavf::rxd::l2tag1p::mask;
	static constexpr uint32_t has_hash = iavf::rxd::fltstat::of(iavf::rxd::fltstat_rss_hash);
	static constexpr uint32_t has_mark = iavf::rxd::flm::mask;
	/* Of rx_facts::extended. */
	static constexpr uint16_t has_tag2 = iavf::rxd2::l2tag2p::mask;

	static void write_back(iavf::rx_descriptor &one, uint32_t state, const rx_facts &facts,
			       uint32_t length)
	{
		using namespace iavf;
		write_once(one.qword0, rxd0::l2tag1::of(facts.l2tag1) | rxd0::hash::of(facts.hash));
		write_once(one.qword2, facts.extended | rxd2::l2tag2::of(facts.l2tag2));
		write_once(one.qword3,
			   (facts.status & has_mark) != 0 ? rxd3::mark::of(facts.mark) : 0);
		publish(one.qword1, state | facts.status | rxd::ptype::of(facts.ptype) |
					    rxd::length::of(length));
	}
};

struct flexible_rx {
	static constexpr uint32_t done = iavf::rxflex::dd::mask;
	static constexpr uint32_t last = done | iavf::rxflex::eof::mask;
	static constexpr uint32_t damaged = iavf::rxflex::rxe::mask;
	static constexpr uint32_t checked = iavf::rxflex::l3l4p::mask;
	static constexpr uint32_t bad_ip = iavf::rxflex::ipe::mask;
	static constexpr uint32_t bad_l4 = iavf::rxflex::l4e::mask;
	static constexpr uint32_t bad_outer_ip = iavf::rxflex::eipe::mask;
	static constexpr uint32_t bad_outer_l4 = iavf::rxflex::eudpe::mask;
	static constexpr uint32_t has_tag1 = iavf::rxflex::l2tag1p::mask;
	static constexpr uint32_t has_hash = iavf::rxflex::hash_valid::mask;
	static constexpr uint32_t has_mark = 0; /**< The mark itself tells. */
	static constexpr uint16_t has_tag2 = iavf::rxflex2::l2tag2p::mask;

	static void write_back(iavf::rx_descriptor &one, uint32_t state, const rx_facts &facts,
			       uint32_t length)
	{
		using namespace iavf;
		write_once(one.qword0, rxflex::rxdid::of(rxdid::flexible_ovs) |
					       rxflex::ptype::of(facts.ptype) |
					       rxflex::length::of(length));
		write_once(one.qword2, facts.extended | rxflex2::l2tag2::of(facts.l2tag2));
		write_once(one.qword3, rxflex3::hash::of(facts.hash));
		publish(one.qword1, state | facts.status | rxflex::l2tag1::of(facts.l2tag1) |
					    rxflex::flow_id::of(facts.mark));
	}
};

/** The class of a format. */
template <rx_format which>
using format_of =
	std::tuple_element_t<static_cast<size_t>(which), std::tuple<legacy_rx, flexible_rx>>;

/** Flags of a mbuf some of which say that a checksum is wrong. */
inline constexpr uint64_t perhaps_bad_checksum =
	RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD | RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD |
	RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;

/**
 * What the host's NIC has found wrong with a frame. Drivers take all that is not called wrong of
 * such a frame for good: what is not known to be good is called wrong along with the rest.
 */
template <class format>
uint32_t
checksum_errors(uint64_t flags)
{
	const uint64_t ip = flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	const uint64_t l4 = flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	const bool outer_ip = (flags & RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD) != 0;
	const bool outer_l4 =
		(flags & RTE_MBUF_F_RX_OUTER_L4_CKSUM_MASK) == RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;

	if (ip != RTE_MBUF_F_RX_IP_CKSUM_BAD && l4 != RTE_MBUF_F_RX_L4_CKSUM_BAD && !outer_ip &&
	    !outer_l4)
		return 0;
	return format::checked | (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD ? 0 : format::bad_ip) |
	       (l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD ? 0 : format::bad_l4) |
	       (outer_ip ? format::bad_outer_ip : 0) | (outer_l4 ? format::bad_outer_l4 : 0);
}

} // namespace iavf_be
