/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include <descriptors.hpp>

namespace iavf_be {

/** What the device must know of a transport protocol to insert its checksum. */
struct l4_row {
	uint8_t protocol;
	uint16_t least_length;
	uint16_t checksum_offset;
};

const l4_row &row_of(iavf::l4_type type);

/** The checksum of TCP or UDP over what has this sum, see ones_sum(). RFC 768: a UDP checksum of
 * zero would mean "none". */
uint16_t checksum_of(iavf::l4_type type, uint16_t sum);

/** Headers are in the first segment; the field has what the driver has left there, the sum of the
 * pseudo header. @p l4 is the offset of the header from the beginning of the frame. */
void insert_l4_checksum(rte_mbuf *frame, iavf::l4_type type, uint32_t l4);
/** That of an IPv4 header of this length. */
void insert_ipv4_checksum(uint8_t *header, uint16_t length);

} // namespace iavf_be
