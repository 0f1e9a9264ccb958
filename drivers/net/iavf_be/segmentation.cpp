/* SPDX-License-Identifier: BSD-3-Clause */

#include "segmentation.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "checksum_insertion.hpp"
#include "handover.hpp"
#include "rx_check.hpp"

namespace iavf_be {

using iavf::l4_type;

namespace {

/** Flags of a segmented TCP stream that only its first or only its last segment may carry. */
constexpr uint8_t first_only = RTE_TCP_CWR_FLAG;
constexpr uint8_t last_only = RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG;

/** What a header of IP says of what is @p size bytes long, with an identification that is @p more.
 */
void
write_ip(uint8_t *header, bool is_ipv4, uint32_t size, uint16_t length, uint16_t more)
{
	if (!is_ipv4) {
		auto *ip = reinterpret_cast<rte_ipv6_hdr *>(header);
		ip->payload_len = rte_cpu_to_be_16(static_cast<uint16_t>(size - sizeof(*ip)));
		return;
	}
	auto *ip = reinterpret_cast<rte_ipv4_hdr *>(header);
	ip->total_length = rte_cpu_to_be_16(static_cast<uint16_t>(size));
	ip->packet_id =
		rte_cpu_to_be_16(static_cast<uint16_t>(rte_be_to_cpu_16(ip->packet_id) + more));
	insert_ipv4_checksum(header, length);
}

/**
 * A sum of the pseudo header as drivers leave it for segments leaves out the length, which differs
 * per segment.
 */
void
add_length(rte_mbuf *frame, l4_type type, uint32_t at)
{
	const uint16_t length = rte_cpu_to_be_16(static_cast<uint16_t>(frame->pkt_len - at));
	auto *field = rte_pktmbuf_mtod_offset(frame, unaligned_uint16_t *,
					      at + row_of(type).checksum_offset);

	*field = __rte_raw_cksum_reduce(uint32_t{*field} + length);
}

} // namespace

void
segment_series::enlarge(uint32_t limit)
{
	const uint32_t headers = request.header_length();
	/* The length fields of IP have 16 bits. */
	const uint32_t longest = std::min<uint32_t>(limit, request.l2_length + UINT16_MAX);

	if (longest > headers + request.mss)
		piece = (longest - headers) / request.mss * request.mss;
}

void
segment_series::write_headers(uint8_t *front, uint32_t length) const
{
	const uint32_t l4 = request.l4_at();

	memcpy(front, header.data(), request.header_length());
	write_ip(front + request.l3(), request.is_ipv4(), length - request.l3(), request.l3_length,
		 packets);
	if (request.l4 == l4_type::udp) {
		auto *udp = reinterpret_cast<rte_udp_hdr *>(front + l4);
		udp->dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(length - l4));
		return;
	}
	auto *tcp = reinterpret_cast<rte_tcp_hdr *>(front + l4);
	tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + sent);
	if (sent != 0)
		tcp->tcp_flags &= static_cast<uint8_t>(~first_only);
	if (left > next_payload())
		tcp->tcp_flags &= static_cast<uint8_t>(~last_only);
}

void
segment_series::write_outer(uint8_t *front, uint32_t length) const
{
	const tunnel_request &tunnel = request.tunnel;
	const uint32_t l4 = request.outer_l4();

	write_ip(front + request.l2_length, request.is_outer_ipv4(), length - request.l2_length,
		 tunnel.ip_length, tunnel.same_id ? 0 : packets);
	if (tunnel.type != iavf::tunnel_type::udp)
		return;
	auto *udp = reinterpret_cast<rte_udp_hdr *>(front + l4);
	udp->dgram_len = rte_cpu_to_be_16(static_cast<uint16_t>(length - l4));
}

void
segment_series::advance(uint32_t become)
{
	const uint32_t payload = next_payload();

	packets += static_cast<uint16_t>(become);
	left -= payload;
	sent += payload;
}

bool
segmentation::start(const chain &frame, const offload &wanted, guest_memory &memory)
{
	const uint16_t length = wanted.header_length();

	position = {};
	if (!position.read(frame, memory, header.data(), length) ||
	    !wanted.matches({header.data(), length}))
		return false;
	const uint8_t data_offset = header[wanted.l4_at() + offsetof(rte_tcp_hdr, data_off)];
	if (wanted.l4 == l4_type::tcp && (data_offset >> 4) * 4 != wanted.l4_length)
		return false;
	wanted.tags.insert(header.data(), length);
	begin(wanted.with_tags(), frame.length - length);
	legible = began_right = false;
	active = true;
	return true;
}

void
segmentation::examine(uint32_t limit)
{
	legible = is_legible(request, header, request.header_length() + left);
	began_right = legible && begins_right(request, header);
	if (legible && is_portable(request))
		enlarge(limit);
}

/** Writes the headers for the payload of a mbuf, without the checksums of TCP and UDP. */
void
segmentation::write_headers(rte_mbuf *frame) const
{
	segment_series::write_headers(rte_pktmbuf_mtod(frame, uint8_t *), frame->pkt_len);
}

/** The headers of a tunnel are around a finished frame. An outer checksum that is not to be
 * inserted stays as it is: the driver has seen to it that it is right for each segment. */
void
segmentation::finish_outer(rte_mbuf *frame) const
{
	const uint32_t l4 = request.outer_l4();

	write_outer(rte_pktmbuf_mtod(frame, uint8_t *), frame->pkt_len);
	if (request.tunnel.udp_checksum) {
		add_length(frame, l4_type::udp, l4);
		insert_l4_checksum(frame, l4_type::udp, l4);
	}
}

/** That of TCP or UDP, whose field has the sum of the pseudo header. */
void
segmentation::insert_checksum(rte_mbuf *frame, uint64_t payload) const
{
	auto *l4 = rte_pktmbuf_mtod_offset(frame, uint8_t *, request.l4_at());
	const uint64_t sum = quick::add(payload, rte_raw_cksum(l4, request.l4_length));
	const uint16_t value = checksum_of(request.l4, quick::fold(sum));

	memcpy(l4 + row_of(request.l4).checksum_offset, &value, sizeof(value));
}

void
segmentation::finish(rte_mbuf *frame, const uint64_t *payload)
{
	write_headers(frame);
	add_length(frame, request.l4, request.l4_at());
	if (payload != nullptr)
		insert_checksum(frame, *payload);
	else
		insert_l4_checksum(frame, request.l4, request.l4_at());
	if (!request.tunnel.none())
		finish_outer(frame);
	advance(1);
}

void
segmentation::finish_without_checksum(rte_mbuf *frame)
{
	write_headers(frame);
	add_length(frame, request.l4, request.l4_at());
	hand_over_checksum(request, frame);
	advance(1);
}

void
segmentation::leave_large(rte_mbuf *frame)
{
	write_headers(frame);
	hand_over_segmentation(request, frame);
	advance(next_segments());
}

} // namespace iavf_be
