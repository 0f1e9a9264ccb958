/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "offload.hpp"

namespace iavf_be {

/*
 * A request that the application gets with its frame, instead of having it carried out here: as
 * net_vhost tells of it, in flags for who receives (the checksum is not there yet; more than one
 * frame) and in flags and lengths by which another port sends it.
 */

/** Longest frame that is handed over: an IP packet can not be longer, and there are two tags. */
inline constexpr uint32_t longest_handover = UINT16_MAX + RTE_ETHER_HDR_LEN + 8;

/**
 * Whether others, who read the frame, find in it what its request says. That the request matches
 * the headers at the offsets it names has been checked. @p length is that of the frame.
 */
bool is_legible(const offload &request, std::span<const uint8_t> headers, uint32_t length);

/** Whether others can do what a legible request asks for. Few can segment UDP. */
constexpr bool
is_portable(const offload &request)
{
	return request.l4 == iavf::l4_type::tcp ||
	       (request.l4 == iavf::l4_type::udp && request.mss == 0);
}

/** Whether the driver has left in the field the sum that makes the checksum come out right. */
bool begins_right(const offload &request, std::span<const uint8_t> headers);

/** Tells of a frame whose checksum of TCP or UDP is yet to be inserted. */
void hand_over_checksum(const offload &request, rte_mbuf *frame);

/** Tells of a frame that is yet to be segmented. */
void hand_over_segmentation(const offload &request, rte_mbuf *frame);

/** Tells of a legible frame whose request has been carried out here. */
void tell_checksums(const offload &request, bool began_right, rte_mbuf *frame);

} // namespace iavf_be
