/* SPDX-License-Identifier: BSD-3-Clause */

#include "outgoing.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "checksum.hpp"
#include "checksum_insertion.hpp"

namespace iavf_be {

using iavf::ip_type;
using iavf::l4_type;
using iavf::tunnel_type;

namespace {

uint64_t
sum_of(const uint8_t *bytes, uint32_t length)
{
	return rte_raw_cksum(bytes, length);
}

/** A place in the guest's buffers, from which the bytes of a frame are written in order. */
class guest_cursor {
public:
	guest_cursor(const buffer_run &to, guest_memory &memory) : to_(to), memory_(memory) {}

	void skip(uint32_t length)
	{
		for (; length >= to_.each - offset_; offset_ = 0) {
			length -= to_.each - offset_;
			next();
		}
		offset_ += length;
	}
	/** Copies, and sums up if there is a sum; false if the guest's memory is not there. */
	bool put(const uint8_t *from, uint32_t length, summing_copy *sum)
	{
		while (length != 0) {
			const uint32_t piece = std::min(length, to_.each - offset_);
			if (!put_in_buffer(from, piece, sum))
				return false;
			from += piece;
			length -= piece;
			offset_ += piece;
			if (offset_ == to_.each) {
				next();
				offset_ = 0;
			}
		}
		return true;
	}

private:
	void next() { at_ = at_ + 1 == to_.size ? 0 : at_ + 1; }
	bool put_in_buffer(const uint8_t *from, uint32_t length, summing_copy *sum)
	{
		const uint64_t iova =
			read_once(to_.ring.at<iavf::rx_descriptor>(at_)->qword0) + offset_;

		return memory_.write(iova, from, length, sum);
	}

	const buffer_run &to_;
	guest_memory &memory_;
	uint16_t at_ = to_.head;
	uint32_t offset_ = 0;
};

/** The sum of a pseudo header for @p length bytes behind an IP header. */
uint64_t
pseudo_sum(const uint8_t *ip, bool is_ipv4, uint8_t protocol, uint32_t length)
{
	const uint8_t *addresses = ip + (is_ipv4 ? offsetof(rte_ipv4_hdr, src_addr)
						 : offsetof(rte_ipv6_hdr, src_addr));

	return sum_of(addresses, is_ipv4 ? 2 * sizeof(rte_be32_t) : 2 * 16) +
	       rte_cpu_to_be_16(protocol) + rte_cpu_to_be_16(static_cast<uint16_t>(length));
}

template <class T>
void
put(uint8_t *at, T value)
{
	memcpy(at, &value, sizeof(value));
}

/** Writes the checksum of what has this sum. */
void
put_checksum(uint8_t *at, l4_type type, uint64_t sum)
{
	put(at, checksum_of(type, quick::fold(sum)));
}

bool
is_right(const uint8_t *ip, uint16_t length)
{
	return rte_raw_cksum(ip, length) == 0xffff;
}

/** Headers as a frame of their own. */
frame_headers
parse_alone(uint8_t *front, uint16_t length)
{
	rte_mbuf view{};

	view.buf_addr = front;
	view.data_len = length;
	view.pkt_len = length;
	view.nb_segs = 1;
	return parse_headers(view);
}

} // namespace

struct outgoing::sums {
	explicit sums(copy_sum_fn fastest) : l4(fastest), outer(fastest) {}

	summing_copy l4;    /**< What the checksum of the last header covers. */
	summing_copy outer; /**< What that of a tunnel does. */
	uint32_t crc = 0;   /**< Of SCTP: so far. */
};

/** Whether a frame is the one of which a part is sent: an application that has not got rid of it
 * may free it, and use the mbuf for another one. */
bool
outgoing::continues(const rte_mbuf &frame) const
{
	std::array<uint8_t, longest_headers> scratch;
	const uint32_t length = series_.request.header_length();

	if (frame_ != &frame || series_.sent == 0 || flags_ != frame.ol_flags ||
	    lengths_ != frame.tx_offload || frame.pkt_len != length + series_.sent + series_.left)
		return false;
	const void *front = rte_pktmbuf_read(&frame, 0, length, scratch.data());
	return front != nullptr && memcmp(front, series_.header.data(), length) == 0;
}

request_verdict
outgoing::begin(const rte_mbuf &frame, uint64_t offloads)
{
	if (!continues(frame)) {
		end();
		const request_verdict verdict = request_.decode(frame, offloads);
		if (verdict != request_verdict::good)
			return verdict;
		const uint32_t length = request_.what.header_length();
		const void *front = rte_pktmbuf_read(&frame, 0, length, series_.header.data());
		if (front != series_.header.data())
			memcpy(series_.header.data(), front, length);
		series_.begin(request_.what, frame.pkt_len - length);
		frame_ = &frame;
		flags_ = frame.ol_flags;
		lengths_ = frame.tx_offload;
		done_ = false;
		find_out();
	}
	seek();
	return request_verdict::good;
}

/** Finds the payload that comes next. */
void
outgoing::seek()
{
	part_ = frame_;
	offset_ = series_.request.header_length() + series_.sent;
	while (part_->next != nullptr && offset_ >= part_->data_len) {
		offset_ -= part_->data_len;
		part_ = part_->next;
	}
}

void
outgoing::enlarge(uint32_t limit)
{
	series_.piece = series_.request.mss;
	/* Of tunnels no driver expects it. */
	if (limit != 0 && series_.piece != 0 && series_.request.tunnel.none())
		series_.enlarge(limit + tags_.instead - tags_.length);
}

uint32_t
outgoing::next() const
{
	return series_.request.mss != 0 ? series_.next_length() : longest();
}

uint32_t
outgoing::longest() const
{
	return series_.request.mss != 0 ? series_.longest_frame()
					: series_.request.header_length() + series_.left;
}

/** Checksums that are made here are right. Nothing is claimed where there are others that nobody
 * has looked at. */
void
outgoing::find_out()
{
	const offload &what = request_.what;
	const uint16_t length = what.header_length();

	finding_ = {};
	memcpy(front_.data(), series_.header.data(), length);
	if (what.mss != 0)
		write_front(length);
	const frame_headers seen =
		what.mss != 0 ? parse_alone(front_.data(), length) : parse_headers(*frame_);
	const ip_part &last = seen.last();
	finding_.ptype = seen.ptype();
	finding_.extensions = seen.outer.extensions;
	finding_.tunnel =
		seen.tunnel != iavf::ptype::tunnel::none && seen.tunnel != iavf::ptype::tunnel::ip;
	if (what.l4 == l4_type::none || last.version == 0 || last.malformed ||
	    last.l3 != what.l3() || last.l4 != what.l4_at())
		return;
	if (!what.tunnel.none()) {
		const uint8_t *udp = front_.data() + what.outer_l4();
		constexpr size_t at = offsetof(rte_udp_hdr, dgram_cksum);
		const bool unknown = what.tunnel.type == tunnel_type::udp &&
				     !what.tunnel.udp_checksum && (udp[at] | udp[at + 1]) != 0;
		if (unknown || seen.gre_checksum)
			return;
		finding_.bad_outer_ip =
			what.tunnel.ip == ip_type::ipv4 &&
			!is_right(front_.data() + what.l2_length, what.tunnel.ip_length);
	}
	finding_.bad_ip =
		what.ip == ip_type::ipv4 && !is_right(front_.data() + what.l3(), what.l3_length);
	finding_.checked = true;
}

/** All of the headers but checksums over more than headers. */
void
outgoing::write_front(uint32_t length)
{
	const offload &what = series_.request;

	if (what.mss == 0) {
		memcpy(front_.data(), series_.header.data(), what.header_length());
		if (what.ip == ip_type::ipv4_checksum)
			insert_ipv4_checksum(front_.data() + what.l3(), what.l3_length);
		if (what.tunnel.ip == ip_type::ipv4_checksum)
			insert_ipv4_checksum(front_.data() + what.l2_length, what.tunnel.ip_length);
		return;
	}
	series_.write_headers(front_.data(), length);
	if (!what.tunnel.none())
		series_.write_outer(front_.data(), length);
}

void
outgoing::insert_l4(const sums &payload, uint32_t end)
{
	const offload &what = series_.request;
	const l4_row &row = row_of(what.l4);
	uint8_t *l4 = front_.data() + what.l4_at();
	uint8_t *field = l4 + row.checksum_offset;

	if (what.l4 == l4_type::sctp) {
		put(field, rte_cpu_to_le_32(payload.crc));
		return;
	}
	const uint64_t pseudo = pseudo_sum(front_.data() + what.l3(), what.is_ipv4(), row.protocol,
					   end - what.l4_at());
	/* Who gets several segments in one is told that all is right, and has no use for it. */
	if (what.mss != 0 && series_.next_is_large()) {
		put(field, quick::fold(pseudo));
		return;
	}
	put(field, uint16_t{0});
	put_checksum(field, what.l4, pseudo + sum_of(l4, what.l4_length) + payload.l4.sum());
}

/** It covers all but the first headers, the checksum of the last one included. */
void
outgoing::insert_outer(const sums &payload, uint32_t end)
{
	const offload &what = series_.request;
	const uint32_t at = what.outer_l4(), length = what.header_length() - at;
	uint8_t *udp = front_.data() + at;
	uint8_t *field = udp + offsetof(rte_udp_hdr, dgram_cksum);
	running_sum sum;

	put(field, uint16_t{0});
	sum.add(sum_of(udp, length), length);
	sum.add(payload.outer.sum(), end - what.header_length());
	put_checksum(field, l4_type::udp,
		     sum.get() + pseudo_sum(front_.data() + what.l2_length, what.is_outer_ipv4(),
					    row_of(l4_type::udp).protocol, end - at));
}

/** Copies bytes of the frame from where it is read on. */
template <class function>
bool
outgoing::each_piece(uint32_t length, function put_piece)
{
	while (length != 0 && part_ != nullptr) {
		const uint32_t piece = std::min<uint32_t>(length, part_->data_len - offset_);
		if (piece != 0 &&
		    !put_piece(rte_pktmbuf_mtod_offset(part_, const uint8_t *, offset_), piece))
			return false;
		length -= piece;
		offset_ += piece;
		if (offset_ == part_->data_len) {
			part_ = part_->next;
			offset_ = 0;
		}
	}
	return length == 0;
}

outgoing::result
outgoing::copy_next(const buffer_run &to, guest_memory &memory)
{
	const offload &what = series_.request;
	const uint32_t headers = what.header_length(), length = next();
	const bool tso = what.mss != 0, large = tso && series_.next_is_large();
	const uint32_t l4_end = tso ? length : request_.l4_end;
	const uint32_t outer_end = tso ? length : request_.outer_end;
	const bool sum_l4 = what.l4 != l4_type::none && what.l4 != l4_type::sctp && !large;
	const bool sum_outer = what.tunnel.udp_checksum;
	guest_cursor out(to, memory);
	sums payload(to.copy_sum);

	out.skip(tags_.new_length(headers));
	const auto copy = [&](uint32_t end, uint32_t begin, summing_copy *sum) {
		return each_piece(end - begin, [&](const uint8_t *from, uint32_t size) {
			return out.put(from, size, sum);
		});
	};
	if (what.l4 == l4_type::sctp)
		payload.crc = sctp_crc();
	bool copied = copy(l4_end, headers, sum_l4 || sum_outer ? &payload.l4 : nullptr);
	payload.outer = payload.l4;
	copied = copied && copy(outer_end, l4_end, sum_outer ? &payload.outer : nullptr) &&
		 copy(length, outer_end, nullptr);
	write_front(length);
	if (what.l4 != l4_type::none)
		insert_l4(payload, l4_end);
	if (sum_outer)
		insert_outer(payload, outer_end);
	guest_cursor front(to, memory);
	copied = copied && front.put(tags_.front.data(), tags_.length, nullptr) &&
		 front.put(front_.data() + tags_.instead, headers - tags_.instead, nullptr);
	advance();
	if (!copied)
		seek();
	return {copied, front_.data()};
}

/** The checksum of SCTP, whose field counts as zero. */
uint32_t
outgoing::sctp_crc() const
{
	const offload &what = series_.request;
	const l4_row &row = row_of(l4_type::sctp);
	const uint32_t headers = what.header_length();
	std::array<uint8_t, 16> header;

	memcpy(header.data(), series_.header.data() + what.l4_at(), row.least_length);
	put(header.data() + row.checksum_offset, uint32_t{0});
	const uint32_t crc = crc32c(header.data(), row.least_length, ~uint32_t{0});
	return ~crc32c(*frame_, headers, request_.l4_end - headers, crc);
}

void
outgoing::advance()
{
	if (series_.request.mss != 0)
		series_.advance(1);
	else
		series_.left = 0;
	done_ = series_.left == 0;
}

} // namespace iavf_be
