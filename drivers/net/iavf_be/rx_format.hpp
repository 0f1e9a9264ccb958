/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

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

/*
 * A class per format, with members of the same names: statuses that are combined by "or", and how a
 * buffer is handed over. A write-back orders the data and the other words before DD, and ring
 * entries among themselves.
 */

struct legacy_rx {
	static constexpr uint64_t done =
		iavf::rxd::dd::mask | iavf::rxd::ptype::of(iavf::rxd::ptype_mac);
	static constexpr uint64_t last = done | iavf::rxd::eof::mask;
	static constexpr uint64_t damaged = iavf::rxd::rxe::mask;
	static constexpr uint64_t checked = iavf::rxd::l3l4p::mask;
	static constexpr uint64_t bad_ip = iavf::rxd::ipe::mask;
	static constexpr uint64_t bad_l4 = iavf::rxd::l4e::mask;
	static constexpr uint64_t bad_outer_ip = iavf::rxd::eipe::mask;
	static constexpr uint64_t bad_outer_l4 = 0; /**< There is no bit for it. */

	static void write_back(iavf::rx_descriptor &one, uint64_t status, uint32_t length)
	{
		write_once(one.qword0, 0);
		write_once(one.qword2, 0);
		write_once(one.qword3, 0);
		publish(one.qword1, status | iavf::rxd::length::of(length));
	}
};

struct flexible_rx {
	static constexpr uint64_t done =
		iavf::rxflex::dd::mask | iavf::rxflex::flow_id::of(iavf::rxflex::no_flow);
	static constexpr uint64_t last = done | iavf::rxflex::eof::mask;
	static constexpr uint64_t damaged = iavf::rxflex::rxe::mask;
	static constexpr uint64_t checked = iavf::rxflex::l3l4p::mask;
	static constexpr uint64_t bad_ip = iavf::rxflex::ipe::mask;
	static constexpr uint64_t bad_l4 = iavf::rxflex::l4e::mask;
	static constexpr uint64_t bad_outer_ip = iavf::rxflex::eipe::mask;
	static constexpr uint64_t bad_outer_l4 = iavf::rxflex::eudpe::mask;

	static void write_back(iavf::rx_descriptor &one, uint64_t status, uint32_t length)
	{
		constexpr uint64_t kind = iavf::rxflex::rxdid::of(iavf::rxdid::flexible_ovs) |
					  iavf::rxflex::ptype::of(iavf::rxd::ptype_mac);
		write_once(one.qword0, kind | iavf::rxflex::length::of(length));
		write_once(one.qword2, 0);
		write_once(one.qword3, 0);
		publish(one.qword1, status);
	}
};

/** Flags of a mbuf some of which say that a checksum is wrong. */
inline constexpr uint64_t perhaps_bad_checksum =
	RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_BAD | RTE_MBUF_F_RX_OUTER_IP_CKSUM_BAD |
	RTE_MBUF_F_RX_OUTER_L4_CKSUM_BAD;

/**
 * What the host's NIC has found wrong with a frame. Drivers take all that is not called wrong of
 * such a frame for good: what is not known to be good is called wrong along with the rest.
 */
template <class format>
uint64_t
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
