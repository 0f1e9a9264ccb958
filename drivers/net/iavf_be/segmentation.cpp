/* SPDX-License-Identifier: BSD-3-Clause */

#include "segmentation.hpp"

#include <cstddef>
#include <cstring>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "checksum_insertion.hpp"
#include "handover.hpp"

namespace iavf_be {

namespace {

/** Flags of a segmented TCP stream that only its first or only its last segment may carry. */
constexpr uint8_t first_only = RTE_TCP_CWR_FLAG;
constexpr uint8_t last_only = RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG;

} // namespace

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
	piece = request.mss;
	legible = began_right = false;
	left = frame.length - length;
	sent = 0;
	segments = 0;
	active = true;
	return true;
}

void
segmentation::examine(uint32_t limit)
{
	const uint16_t headers = request.header_length();
	/* The length fields of IP have 16 bits. */
	const uint32_t longest = std::min<uint32_t>(limit, request.l2_length + UINT16_MAX);

	legible = is_legible(request, header, headers + left);
	began_right = legible && begins_right(request, header);
	if (legible && is_portable(request) && longest > headers + request.mss)
		piece = (longest - headers) / request.mss * request.mss;
}

/** Writes the headers for the payload of a mbuf, without the checksum of TCP. */
void
segmentation::write_headers(rte_mbuf *frame) const
{
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
	if (left > next_payload())
		tcp->tcp_flags &= static_cast<uint8_t>(~last_only);
}

/** The driver's sum of the pseudo header leaves out the length, which differs per segment. */
void
segmentation::add_length_to_checksum(rte_mbuf *frame) const
{
	const uint32_t l4 = request.l2_length + request.l3_length;
	auto *tcp = rte_pktmbuf_mtod_offset(frame, rte_tcp_hdr *, l4);
	const uint32_t sum =
		tcp->cksum + rte_cpu_to_be_16(static_cast<uint16_t>(frame->pkt_len - l4));

	tcp->cksum = __rte_raw_cksum_reduce(sum);
}

void
segmentation::advance()
{
	const uint32_t payload = next_payload();

	left -= payload;
	sent += payload;
	segments += static_cast<uint16_t>((payload + request.mss - 1) / request.mss);
}

void
segmentation::finish(rte_mbuf *frame)
{
	write_headers(frame);
	add_length_to_checksum(frame);
	insert_l4_checksum(frame, iavf::l4_type::tcp, request.l2_length + request.l3_length);
	advance();
}

void
segmentation::finish_without_checksum(rte_mbuf *frame)
{
	write_headers(frame);
	add_length_to_checksum(frame);
	hand_over_checksum(request, frame);
	advance();
}

void
segmentation::leave_large(rte_mbuf *frame)
{
	write_headers(frame);
	hand_over_segmentation(request, frame);
	advance();
}

} // namespace iavf_be
