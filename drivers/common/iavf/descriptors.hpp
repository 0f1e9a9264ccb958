/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <field.hpp>

/**
 * Descriptors of the transmit and receive rings, as the guest's driver and the device share them.
 *
 * Source: Intel Ethernet Adaptive Virtual Function Specification, "Transmit descriptors" and
 * "Receive descriptors" (the legacy formats of the X710 family). All words are little-endian.
 */
namespace iavf {

/** Longest data of one descriptor: the length fields of both directions have 14 bits. */
inline constexpr uint32_t max_buffer_length = 0x3fff;
/** Receive buffers that one frame may span (AVF specification, "Receive queue context", RXMAX). */
inline constexpr uint32_t max_chained_rx_buffers = 5;
/** Least MSS of a TSO request; a smaller one is a malicious-driver event on hardware. */
inline constexpr uint32_t min_tso_mss = 64;

/** A transmit descriptor. What qword 0 means depends on the type in qword 1. */
struct tx_descriptor {
	uint64_t qword0;
	uint64_t qword1;
};
static_assert(sizeof(tx_descriptor) == 16);

/** Values of txd::dtype. */
enum class tx_dtype : uint64_t {
	data = 0x0,
	context = 0x1,
	fcoe_context = 0x2,
	ipsec = 0x3,
	filter_program = 0x8, /**< Flow director. */
	done = 0xf,           /**< Written back by the device. */
};

/** Fields of a data descriptor; qword 0 is the address of the buffer. */
namespace txd {
using dtype = guard::field<uint64_t, 0, 4>;
using eop = guard::flag<uint64_t, 4>; /**< Last descriptor of the frame. */
using rs = guard::flag<uint64_t, 5>;  /**< The driver wants to hear of the completion. */
using icrc = guard::flag<uint64_t, 6>;
using il2tag1 = guard::flag<uint64_t, 7>;  /**< Insert the tag of l2tag1. */
using dummy = guard::flag<uint64_t, 8>;    /**< Do not send. */
using iipt = guard::field<uint64_t, 9, 2>; /**< See ip_type. */
using fcoet = guard::flag<uint64_t, 11>;
using l4t = guard::field<uint64_t, 12, 2>;     /**< See l4_type. */
using maclen = guard::field<uint64_t, 16, 7>;  /**< In 2-byte words. */
using iplen = guard::field<uint64_t, 23, 7>;   /**< In 4-byte words. */
using l4len = guard::field<uint64_t, 30, 4>;   /**< In 4-byte words. */
using length = guard::field<uint64_t, 34, 14>; /**< Bytes of the buffer. */
using l2tag1 = guard::field<uint64_t, 48, 16>;

/** Everything in the command that asks for more than sending the bytes as they are. */
inline constexpr uint64_t offloads =
	il2tag1::mask | dummy::mask | iipt::mask | fcoet::mask | l4t::mask;
/** Of it, what asks for checksums alone. */
inline constexpr uint64_t checksums = iipt::mask | l4t::mask;
/** The whole of what a descriptor says once it is done. */
inline constexpr uint64_t done = dtype::of(static_cast<uint64_t>(tx_dtype::done));
} // namespace txd

/** Values of txd::iipt: the network header and whether its checksum is to be inserted. */
enum class ip_type : uint64_t { none = 0, ipv6 = 1, ipv4 = 2, ipv4_checksum = 3 };
/** Values of txd::l4t: whose checksum is to be inserted. */
enum class l4_type : uint64_t { none = 0, tcp = 1, sctp = 2, udp = 3 };

/** Values of txc::l4tunt: what is between the outer and the inner network header. */
enum class tunnel_type : uint64_t { ip = 0, udp = 1, gre = 2 };

/** Fields of a context descriptor, which stands before the data descriptors of its frame. */
namespace txc {
/** qword 0: what is around the headers that the data descriptors describe; a tag. */
using tunnel = guard::field<uint64_t, 0, 32>;
using eipt = guard::field<uint64_t, 0, 2>;    /**< See ip_type. */
using eiplen = guard::field<uint64_t, 2, 7>;  /**< In 4-byte words. */
using l4tunt = guard::field<uint64_t, 9, 2>;  /**< See tunnel_type. */
using eip_noinc = guard::flag<uint64_t, 11>;  /**< Segments have the same outer identification. */
using natlen = guard::field<uint64_t, 12, 7>; /**< From there to the inner IP, 2-byte words. */
using decttl = guard::field<uint64_t, 19, 4>;
using l4t_cs = guard::flag<uint64_t, 23>; /**< Insert the checksum of the outer UDP header. */
using l2tag2 = guard::field<uint64_t, 32, 16>;
/** qword 1. */
using dtype = txd::dtype;
using tso = guard::flag<uint64_t, 4>;
using tsyn = guard::flag<uint64_t, 5>;
using il2tag2 = guard::flag<uint64_t, 6>; /**< Insert the tag of l2tag2. */
using command = guard::field<uint64_t, 4, 16>;
using tso_length = guard::field<uint64_t, 30, 18>; /**< Bytes after the headers. */
using mss = guard::field<uint64_t, 50, 14>;
} // namespace txc

/** RXDID: the formats in which receive descriptors are written back. */
namespace rxdid {
inline constexpr uint8_t unset = 0; /**< The legacy one. */
inline constexpr uint8_t legacy_32b = 1;
inline constexpr uint8_t flexible_nic = 2;  /**< The choice of Linux from 6.14 on. */
inline constexpr uint8_t flexible_ovs = 22; /**< The default of DPDK's net_iavf. */

/** What is written back here; bit n: RXDID n. */
inline constexpr uint64_t supported =
	uint64_t{1} << legacy_32b | uint64_t{1} << flexible_nic | uint64_t{1} << flexible_ovs;
} // namespace rxdid

/**
 * A 32-byte receive descriptor, written back in the legacy format. As the driver posts it, qword 0
 * is the address of the packet buffer and qword 1 that of a header buffer (unused here), with bit 0
 * clear.
 */
struct rx_descriptor {
	uint64_t qword0; /**< Written back: L2TAG1 and the RSS hash. */
	uint64_t qword1; /**< Written back: status, errors, packet type, length. See rxd. */
	uint64_t qword2; /**< Written back: extended status and L2TAG2. */
	uint64_t qword3; /**< Written back: flexible bytes and filter id. */
};
static_assert(sizeof(rx_descriptor) == 32);

/** Fields of qword 1 as the device writes it back. */
namespace rxd {
using dd = guard::flag<uint64_t, 0>;  /**< The device is done with the descriptor. */
using eof = guard::flag<uint64_t, 1>; /**< Last descriptor of the frame. */
using l2tag1p = guard::flag<uint64_t, 2>;
using l3l4p = guard::flag<uint64_t, 3>; /**< Checksums were looked at. */
using umbcast = guard::field<uint64_t, 9, 2>;
using flm = guard::flag<uint64_t, 11>; /**< A rule of the flow director has matched. */
using fltstat = guard::field<uint64_t, 12, 2>;
using ipv6exadd = guard::flag<uint64_t, 15>; /**< IPv6 extension headers. */
using rxe = guard::flag<uint64_t, 19>;       /**< The frame is bad: the driver discards it. */
using ipe = guard::flag<uint64_t, 22>;       /**< Wrong IP checksum. */
using l4e = guard::flag<uint64_t, 23>;       /**< Wrong transport checksum. */
using eipe = guard::flag<uint64_t, 24>;      /**< Wrong checksum of the outer IP header. */
using ptype = guard::field<uint64_t, 30, 8>;
using length = guard::field<uint64_t, 38, 14>; /**< Bytes in the packet buffer, without CRC. */

/** Value of fltstat: there is an RSS hash. */
inline constexpr uint64_t fltstat_rss_hash = 3;
} // namespace rxd

/** Fields of the other words of that format, by their number. */
namespace rxd0 {
using l2tag1 = guard::field<uint64_t, 16, 16>;
using hash = guard::field<uint64_t, 32, 32>;
} // namespace rxd0
namespace rxd2 {
using l2tag2p = guard::flag<uint64_t, 0>;
using flexbh = guard::field<uint64_t, 4, 2>;   /**< What the upper half of qword 3 is. */
using l2tag2 = guard::field<uint64_t, 48, 16>; /**< L2TAG2_2, which drivers read. */

/** Value of flexbh: the mark of a rule. */
inline constexpr uint64_t flexbh_mark = 1;
} // namespace rxd2
namespace rxd3 {
using mark = guard::field<uint64_t, 32, 32>;
} // namespace rxd3

/**
 * The flexible format that is written back with VIRTCHNL_VF_OFFLOAD_RX_FLEX_DESC, in the words of
 * rx_descriptor. Source: E810 datasheet, "Receive descriptor, flexible formats"; profiles 2 and 22,
 * which differ in where hash and flow are.
 */
namespace rxflex {
/** qword 0. */
using rxdid = guard::field<uint64_t, 0, 8>;
using ptype = guard::field<uint64_t, 16, 10>;
using length = guard::field<uint64_t, 32, 14>;
/** qword 1. */
using dd = guard::flag<uint64_t, 0>;
using eof = guard::flag<uint64_t, 1>;
using l3l4p = guard::flag<uint64_t, 3>;
using ipe = guard::flag<uint64_t, 4>;
using l4e = guard::flag<uint64_t, 5>;
using eipe = guard::flag<uint64_t, 6>;
using eudpe = guard::flag<uint64_t, 7>; /**< Wrong checksum of the outer UDP header. */
using ipv6exadd = guard::flag<uint64_t, 9>;
using rxe = guard::flag<uint64_t, 10>;
using hash_valid = guard::flag<uint64_t, 12>;
using l2tag1p = guard::flag<uint64_t, 13>;
using l2tag1 = guard::field<uint64_t, 16, 16>;
using flow_id = guard::field<uint64_t, 32, 32>; /**< Profile 22. */
using hash = guard::field<uint64_t, 32, 32>;    /**< Profile 2. */

/** No rule of the flow director has matched. */
inline constexpr uint64_t no_flow = UINT32_MAX;
} // namespace rxflex

/** The other words of that format. */
namespace rxflex2 {
using nat = guard::flag<uint64_t, 4>; /**< GRE, or a tunnel over UDP. */
using l2tag2p = guard::flag<uint64_t, 11>;
using l2tag2 = guard::field<uint64_t, 48, 16>; /**< L2TAG2 (2nd), which drivers read. */
} // namespace rxflex2
namespace rxflex3 {
using hash = guard::field<uint64_t, 0, 32>;    /**< Profile 22. */
using flow_id = guard::field<uint64_t, 0, 32>; /**< Profile 2. */
} // namespace rxflex3

} // namespace iavf
