/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <tuple>

#include <descriptors.hpp>
#include <ptypes.hpp>

#include "memory.hpp"

namespace iavf_be {

/** The formats in which a guest's driver may want its receive descriptors. */
enum class rx_format : uint8_t { legacy, nic, ovs, end };

/** Finds the format that an RXDID stands for; false if it is not one of ours. */
inline bool
find_format(uint8_t id, rx_format &out)
{
	switch (id) {
	case iavf::rxdid::unset:
	case iavf::rxdid::legacy_32b:
		out = rx_format::legacy;
		return true;
	case iavf::rxdid::flexible_nic:
		out = rx_format::nic;
		return true;
	case iavf::rxdid::flexible_ovs:
		out = rx_format::ovs;
		return true;
	default:
		return false;
	}
}

/**
 * What a descriptor says of a frame besides its length. The bits are those of the ring's format,
 * see below.
 */
struct rx_facts {
	uint32_t status = 0;   /**< checked, bad_.., extensions, has_tag1, has_hash, has_mark. */
	uint16_t extended = 0; /**< has_tag2, tunnelled. */
	uint16_t ptype = iavf::ptype::mac;
	uint32_t hash = 0;
	uint32_t mark = iavf::rxflex::no_flow;
	uint16_t l2tag1 = 0, l2tag2 = 0;
};

/** What steering says of a frame besides where it goes; see steering.hpp. */
struct frame_label {
	uint32_t hash = 0; /**< That of RSS, by which its ring was chosen. */
	uint32_t mark = 0; /**< Of a rule of the flow director. */
	bool hashed = false, marked = false;
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
	/** Scalar functions of net_iavf do not look at EIPE. */
	static constexpr uint32_t bad_outer_ip = iavf::rxd::eipe::mask | bad_ip;
	/** There is no bit for it, but it must not be called good. */
	static constexpr uint32_t bad_outer_l4 = bad_l4;
	static constexpr uint32_t extensions = iavf::rxd::ipv6exadd::mask;
	static constexpr uint32_t has_tag1 = iavf::rxd::l2tag1p::mask;
	static constexpr uint32_t has_hash = iavf::rxd::fltstat::of(iavf::rxd::fltstat_rss_hash);
	static constexpr uint32_t has_mark = iavf::rxd::flm::mask;
	/** Of rx_facts::extended; with has_mark. */
	static constexpr uint16_t mark_here = iavf::rxd2::flexbh::of(iavf::rxd2::flexbh_mark);
	/* Of rx_facts::extended. */
	static constexpr uint16_t has_tag2 = iavf::rxd2::l2tag2p::mask;
	static constexpr uint16_t tunnelled = 0; /**< The packet type tells. */

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

/** What the flexible formats have in common. */
struct flexible_rx {
	static constexpr uint32_t done = iavf::rxflex::dd::mask;
	static constexpr uint32_t last = done | iavf::rxflex::eof::mask;
	static constexpr uint32_t damaged = iavf::rxflex::rxe::mask;
	static constexpr uint32_t checked = iavf::rxflex::l3l4p::mask;
	static constexpr uint32_t bad_ip = iavf::rxflex::ipe::mask;
	static constexpr uint32_t bad_l4 = iavf::rxflex::l4e::mask;
	static constexpr uint32_t bad_outer_ip = iavf::rxflex::eipe::mask;
	static constexpr uint32_t bad_outer_l4 = iavf::rxflex::eudpe::mask;
	static constexpr uint32_t extensions = iavf::rxflex::ipv6exadd::mask;
	static constexpr uint32_t has_tag1 = iavf::rxflex::l2tag1p::mask;
	static constexpr uint32_t has_hash = iavf::rxflex::hash_valid::mask;
	static constexpr uint32_t has_mark = 0; /**< The mark itself tells. */
	static constexpr uint16_t mark_here = 0;
	static constexpr uint16_t has_tag2 = iavf::rxflex2::l2tag2p::mask;
	static constexpr uint16_t tunnelled = iavf::rxflex2::nat::mask;

protected:
	static constexpr uint64_t qword0(uint8_t id, const rx_facts &facts, uint32_t length)
	{
		return iavf::rxflex::rxdid::of(id) | iavf::rxflex::ptype::of(facts.ptype) |
		       iavf::rxflex::length::of(length);
	}
	static constexpr uint64_t qword1(uint32_t state, const rx_facts &facts)
	{
		return state | facts.status | iavf::rxflex::l2tag1::of(facts.l2tag1);
	}
	static constexpr uint64_t qword2(const rx_facts &facts)
	{
		return facts.extended | iavf::rxflex2::l2tag2::of(facts.l2tag2);
	}
};

struct nic_rx : flexible_rx {
	static void write_back(iavf::rx_descriptor &one, uint32_t state, const rx_facts &facts,
			       uint32_t length)
	{
		write_once(one.qword0, qword0(iavf::rxdid::flexible_nic, facts, length));
		write_once(one.qword2, qword2(facts));
		write_once(one.qword3, iavf::rxflex3::flow_id::of(facts.mark));
		publish(one.qword1, qword1(state, facts) | iavf::rxflex::hash::of(facts.hash));
	}
};

struct ovs_rx : flexible_rx {
	static void write_back(iavf::rx_descriptor &one, uint32_t state, const rx_facts &facts,
			       uint32_t length)
	{
		write_once(one.qword0, qword0(iavf::rxdid::flexible_ovs, facts, length));
		write_once(one.qword2, qword2(facts));
		write_once(one.qword3, iavf::rxflex3::hash::of(facts.hash));
		publish(one.qword1, qword1(state, facts) | iavf::rxflex::flow_id::of(facts.mark));
	}
};

/** The class of a format. */
template <rx_format which>
using format_of =
	std::tuple_element_t<static_cast<size_t>(which), std::tuple<legacy_rx, nic_rx, ovs_rx>>;

} // namespace iavf_be
