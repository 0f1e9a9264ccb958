/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

/**
 * virtchnl: headers of packets, as messages of RSS and of the flow director name them.
 *
 * Source: [AVF HAS], sections on RSS and on the flow director.
 */
namespace iavf {

/** Values of vc_proto_hdr::type. */
namespace vc_header {
constexpr int32_t none = 0;
constexpr int32_t eth = 1;
constexpr int32_t s_vlan = 2;
constexpr int32_t c_vlan = 3;
constexpr int32_t ipv4 = 4;
constexpr int32_t ipv6 = 5;
constexpr int32_t tcp = 6;
constexpr int32_t udp = 7;
constexpr int32_t sctp = 8;
constexpr int32_t gtpu = 9;
constexpr int32_t gtpu_extension = 10;
constexpr int32_t l2tpv3 = 14;
constexpr int32_t esp = 15;
constexpr int32_t ah = 16;
constexpr int32_t pfcp = 17;
constexpr int32_t ipv4_fragment = 22;
constexpr int32_t ipv6_fragment = 23;
constexpr int32_t end = 25; /**< More are not known. */
} // namespace vc_header

/** A header of a packet, and which of its fields are meant. */
struct vc_proto_hdr {
	int32_t type;            /**< Of vc_header. */
	uint32_t field_selector; /**< Bit n: field n of this type. */
	uint8_t buffer[64];      /**< Of rules: the bytes that it is to have. */
};
static_assert(sizeof(vc_proto_hdr) == 72);

} // namespace iavf
