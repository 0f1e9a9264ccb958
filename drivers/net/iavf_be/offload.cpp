/* SPDX-License-Identifier: BSD-3-Clause */

#include "offload.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

namespace iavf_be {

using iavf::ip_type;
using iavf::l4_type;

namespace {

/** What the device must know of a transport protocol to insert its checksum. */
struct l4_row {
	uint8_t protocol;
	uint16_t least_length;
	uint16_t checksum_offset;
};

/** Indexed by l4_type. */
constexpr std::array<l4_row, 4> l4_rows{{
	{0, 0, 0},
	{IPPROTO_TCP, sizeof(rte_tcp_hdr), offsetof(rte_tcp_hdr, cksum)},
	{IPPROTO_SCTP, sizeof(rte_sctp_hdr), offsetof(rte_sctp_hdr, cksum)},
	{IPPROTO_UDP, sizeof(rte_udp_hdr), offsetof(rte_udp_hdr, dgram_cksum)},
}};

const l4_row &
row_of(l4_type type)
{
	return l4_rows[static_cast<size_t>(type)];
}

/** Flags of a segmented TCP stream that only its first or only its last segment may carry. */
constexpr uint8_t first_only = RTE_TCP_CWR_FLAG;
constexpr uint8_t last_only = RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG;

/** A context descriptor may ask for TSO and a tag, not for time stamps, tunnels and others. */
bool
context_supported(const iavf::tx_descriptor &context)
{
	constexpr uint64_t supported = iavf::txc::tso::mask | iavf::txc::il2tag2::mask;
	constexpr uint64_t unsupported = iavf::txc::command::mask & ~supported;
	return (context.qword1 & unsupported) == 0 && !iavf::txc::tunnel::is_set(context.qword0);
}

/** Dummy frames program the flow director; segmentation of UDP is what newer hardware has. */
bool
supported(const chain &frame)
{
	using namespace iavf::txd;
	const uint64_t command = frame.data[0].qword1;
	const bool udp = l4t::get(command) == static_cast<uint64_t>(l4_type::udp);

	return !dummy::is_set(command) && !fcoet::is_set(command) &&
	       (frame.contexts == 0 || context_supported(frame.context)) &&
	       !(frame.wants_tso() && udp);
}

/**
 * L2TAG2 is the outer tag where there are two: so the drivers of the X710 and E810 families use
 * it for QinQ, and so virtchnl offers it with VIRTCHNL_VF_OFFLOAD_VLAN_V2. Both have the type of
 * 802.1Q, the only one before that capability.
 */
vlan_tags
tags_of(const chain &frame)
{
	const uint64_t command = frame.data[0].qword1;
	vlan_tags tags;

	if (frame.contexts != 0 && iavf::txc::il2tag2::is_set(frame.context.qword1))
		tags.append(static_cast<uint16_t>(iavf::txc::l2tag2::get(frame.context.qword0)));
	if (iavf::txd::il2tag1::is_set(command))
		tags.append(static_cast<uint16_t>(iavf::txd::l2tag1::get(command)));
	return tags;
}

bool
tso_consistent(const offload &request, const chain &frame)
{
	const uint64_t payload = iavf::txc::tso_length::get(frame.context.qword1);
	return request.l4 == l4_type::tcp && request.mss >= iavf::min_tso_mss && payload != 0 &&
	       request.header_length() <= segmentation::max_header &&
	       request.header_length() + payload == frame.length;
}

bool
lengths_plausible(const offload &request)
{
	if (request.none())
		return request.l4 == l4_type::none;
	const uint16_t least_ip = request.is_ipv4() ? sizeof(rte_ipv4_hdr) : sizeof(rte_ipv6_hdr);
	return request.l2_length >= RTE_ETHER_HDR_LEN && request.l3_length >= least_ip &&
	       request.l4_length >= row_of(request.l4).least_length;
}

bool
ipv4_matches(const offload &request, const uint8_t *ip)
{
	return ip[0] >> 4 == 4 && (ip[0] & 0xf) * 4 == request.l3_length &&
	       (request.l4 == l4_type::none ||
		ip[offsetof(rte_ipv4_hdr, next_proto_id)] == row_of(request.l4).protocol);
}

/** Extension headers are between the two headers; the driver has found the end of them. */
bool
ipv6_matches(const offload &request, const uint8_t *ip)
{
	return ip[0] >> 4 == 6 &&
	       (request.l4 == l4_type::none || request.l3_length > sizeof(rte_ipv6_hdr) ||
		ip[offsetof(rte_ipv6_hdr, proto)] == row_of(request.l4).protocol);
}

/**
 * The driver has left the sum of the pseudo header in the field, so summing up all is enough.
 *
 * Not by rte_raw_cksum_mbuf(), which (up to DPDK 25.11) cuts the sum of a part that begins at an
 * odd byte to 16 bits before it folds the carries in.
 */
uint16_t
internet_checksum(const rte_mbuf *frame, uint32_t offset)
{
	uint32_t sum = 0;
	bool odd = false;

	for (const rte_mbuf *part = frame; part != nullptr; part = part->next) {
		if (offset >= part->data_len) {
			offset -= part->data_len;
			continue;
		}
		const uint32_t length = part->data_len - offset;
		const uint16_t piece =
			rte_raw_cksum(rte_pktmbuf_mtod_offset(part, const void *, offset), length);
		/* RFC 1071, section 2 (B): the sum of swapped bytes is the swapped sum. */
		sum += odd ? rte_bswap16(piece) : piece;
		odd = odd != (length % 2 != 0);
		offset = 0;
	}
	return static_cast<uint16_t>(~__rte_raw_cksum_reduce(sum));
}

/** Continues a CRC32c; rte_hash_crc() would read words from wherever the bytes are. */
uint32_t
crc32c(const uint8_t *data, uint32_t length, uint32_t crc)
{
	for (; length >= sizeof(uint64_t); data += sizeof(uint64_t), length -= sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, data, sizeof(word));
		crc = rte_hash_crc_8byte(word, crc);
	}
	for (; length != 0; length--)
		crc = rte_hash_crc_1byte(*data++, crc);
	return crc;
}

/** RFC 9260, appendix A; the field must be zero. */
uint32_t
sctp_checksum(const rte_mbuf *frame, uint32_t offset)
{
	uint32_t crc = ~0u;
	for (const rte_mbuf *part = frame; part != nullptr; part = part->next) {
		if (offset < part->data_len)
			crc = crc32c(rte_pktmbuf_mtod_offset(part, const uint8_t *, offset),
				     part->data_len - offset, crc);
		offset -= std::min<uint32_t>(offset, part->data_len);
	}
	return rte_cpu_to_le_32(~crc);
}

template <class T>
void
put(rte_mbuf *frame, uint32_t offset, T value)
{
	memcpy(rte_pktmbuf_mtod_offset(frame, uint8_t *, offset), &value, sizeof(value));
}

void
insert_l4_checksum(rte_mbuf *frame, l4_type type, uint32_t l4)
{
	const uint32_t at = l4 + row_of(type).checksum_offset;
	if (type == l4_type::sctp) {
		put(frame, at, uint32_t{0});
		put(frame, at, sctp_checksum(frame, l4));
		return;
	}
	uint16_t sum = internet_checksum(frame, l4);
	/* RFC 768: a UDP checksum of zero would mean "none". */
	if (type == l4_type::udp && sum == 0)
		sum = 0xffff;
	put(frame, at, sum);
}

void
insert_ipv4_checksum(rte_mbuf *frame, uint32_t offset, uint16_t length)
{
	auto *ip = rte_pktmbuf_mtod_offset(frame, rte_ipv4_hdr *, offset);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = static_cast<uint16_t>(~rte_raw_cksum(ip, length));
}

} // namespace

void
vlan_tags::append(uint16_t control)
{
	for (const uint16_t word : {uint16_t{RTE_ETHER_TYPE_VLAN}, control}) {
		bytes[length++] = static_cast<uint8_t>(word >> 8);
		bytes[length++] = static_cast<uint8_t>(word);
	}
}

void
vlan_tags::insert(uint8_t *front, uint16_t size) const
{
	memmove(front + offset + length, front + offset, size - offset);
	memcpy(front + offset, bytes.data(), length);
}

offload_verdict
offload::decode(const chain &frame)
{
	using namespace iavf::txd;
	const uint64_t command = frame.data[0].qword1;

	if (!supported(frame))
		return offload_verdict::unsupported;
	ip = static_cast<ip_type>(iipt::get(command));
	l4 = static_cast<l4_type>(l4t::get(command));
	l2_length = static_cast<uint16_t>(maclen::get(command) * 2);
	l3_length = static_cast<uint16_t>(iplen::get(command) * 4);
	l4_length = static_cast<uint16_t>(l4len::get(command) * 4);
	tags = tags_of(frame);
	if (!lengths_plausible(*this))
		return offload_verdict::contradictory;
	if (frame.wants_tso()) {
		mss = static_cast<uint16_t>(iavf::txc::mss::get(frame.context.qword1));
		if (!tso_consistent(*this, frame))
			return offload_verdict::contradictory;
	}
	return offload_verdict::good;
}

offload
offload::with_tags() const
{
	offload out = *this;
	out.l2_length += tags.length;
	return out;
}

bool
offload::matches(std::span<const uint8_t> front) const
{
	if (front.size() < header_length())
		return false;
	const uint8_t *ip_header = front.data() + l2_length;
	return is_ipv4() ? ipv4_matches(*this, ip_header) : ipv6_matches(*this, ip_header);
}

bool
offload::insert_checksums(rte_mbuf *frame) const
{
	if (!matches({rte_pktmbuf_mtod(frame, const uint8_t *), frame->data_len}))
		return false;
	if (ip == ip_type::ipv4_checksum)
		insert_ipv4_checksum(frame, l2_length, l3_length);
	if (l4 != l4_type::none)
		insert_l4_checksum(frame, l4, l2_length + l3_length);
	return true;
}

bool
segmentation::start(const chain &frame, const offload &wanted, guest_memory &memory)
{
	const uint16_t length = wanted.header_length();

	position = {};
	if (!position.read(frame, memory, header.data(), length) ||
	    !wanted.matches({header.data(), length}))
		return false;
	const uint8_t data_offset =
		header[wanted.l2_length + wanted.l3_length + offsetof(rte_tcp_hdr, data_off)];
	if ((data_offset >> 4) * 4 != wanted.l4_length)
		return false;
	wanted.tags.insert(header.data(), length);
	request = wanted.with_tags();
	left = frame.length - length;
	sent = 0;
	segments = 0;
	active = true;
	return true;
}

uint32_t
segmentation::next_payload() const
{
	return std::min<uint32_t>(left, request.mss);
}

void
segmentation::finish(rte_mbuf *frame)
{
	const uint32_t payload = next_payload();
	const uint32_t l3 = request.l2_length, l4 = l3 + request.l3_length;

	memcpy(rte_pktmbuf_mtod(frame, uint8_t *), header.data(), request.header_length());
	auto *tcp = rte_pktmbuf_mtod_offset(frame, rte_tcp_hdr *, l4);
	if (request.is_ipv4()) {
		auto *ip = rte_pktmbuf_mtod_offset(frame, rte_ipv4_hdr *, l3);
		ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(frame->pkt_len - l3));
		ip->packet_id = rte_cpu_to_be_16(
			static_cast<uint16_t>(rte_be_to_cpu_16(ip->packet_id) + segments));
		insert_ipv4_checksum(frame, l3, request.l3_length);
	} else {
		auto *ip = rte_pktmbuf_mtod_offset(frame, rte_ipv6_hdr *, l3);
		ip->payload_len =
			rte_cpu_to_be_16(static_cast<uint16_t>(frame->pkt_len - l3 - sizeof(*ip)));
	}
	tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + sent);
	if (segments != 0)
		tcp->tcp_flags &= static_cast<uint8_t>(~first_only);
	if (left > payload)
		tcp->tcp_flags &= static_cast<uint8_t>(~last_only);
	/* The driver's sum of the pseudo header leaves out the length, which differs per segment.
	 */
	const uint32_t sum =
		tcp->cksum + rte_cpu_to_be_16(static_cast<uint16_t>(frame->pkt_len - l4));
	tcp->cksum = __rte_raw_cksum_reduce(sum);
	tcp->cksum = internet_checksum(frame, l4);

	left -= payload;
	sent += payload;
	segments++;
}

} // namespace iavf_be
