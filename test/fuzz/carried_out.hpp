/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <vector>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "fuzz.hpp"
#include "iavf_be/fixture.hpp"

namespace fuzz {

/** A request that the guest's port hands over, and what a network card makes of it: plainly, and
 * with none of what the port has for the same. */
class handed_over {
public:
	explicit handed_over(const rte_mbuf &frame)
	    : all_(test::port_suite::bytes_of(&frame)), l3_(frame.l2_len), l4_(l3_ + frame.l3_len),
	      flags_(frame.ol_flags), mss_(frame.tso_segsz)
	{
		if (asks())
			MUST(l4_ + frame.l4_len <= all_.size());
		headers_ = l4_ + frame.l4_len;
	}

	/** The frames that are sent. */
	std::vector<std::vector<uint8_t>> carry_out() const
	{
		if (!asks())
			return {all_};
		if ((flags_ & RTE_MBUF_F_TX_TCP_SEG) == 0)
			return {with_checksum(all_, 0)};
		std::vector<std::vector<uint8_t>> out;

		MUST(mss_ != 0 && headers_ < all_.size());
		for (size_t at = headers_; at < all_.size(); at += mss_)
			out.push_back(segment(at, static_cast<uint16_t>(out.size())));
		return out;
	}

private:
	bool asks() const
	{
		return (flags_ & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_L4_MASK)) != 0;
	}

	/** The field has a sum already, to which @p more is added. */
	std::vector<uint8_t> with_checksum(std::vector<uint8_t> frame, uint16_t more) const
	{
		const bool udp = (flags_ & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
		uint32_t sum = rte_raw_cksum(&frame[l4_], frame.size() - l4_);

		sum += rte_cpu_to_be_16(more);
		auto value = static_cast<uint16_t>(~(sum + (sum >> 16)));
		if (udp && value == 0)
			value = UINT16_MAX;
		std::memcpy(&frame[l4_ + (udp ? 6u : 16u)], &value, sizeof(value));
		return frame;
	}

	/** @param at Where its payload begins. */
	std::vector<uint8_t> segment(size_t at, uint16_t number) const
	{
		const size_t end = std::min(at + mss_, all_.size());
		std::vector<uint8_t> out(all_.begin(),
					 all_.begin() + static_cast<ptrdiff_t>(headers_));

		out.insert(out.end(), all_.begin() + static_cast<ptrdiff_t>(at),
			   all_.begin() + static_cast<ptrdiff_t>(end));
		write_ip(out, number);
		auto *tcp = reinterpret_cast<rte_tcp_hdr *>(&out[l4_]);
		tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) +
						 static_cast<uint32_t>(at - headers_));
		if (number != 0)
			tcp->tcp_flags &= static_cast<uint8_t>(~RTE_TCP_CWR_FLAG);
		if (end != all_.size())
			tcp->tcp_flags &=
				static_cast<uint8_t>(~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG));
		const auto length = static_cast<uint16_t>(out.size() - l4_);
		return with_checksum(std::move(out), length);
	}

	void write_ip(std::vector<uint8_t> &frame, uint16_t number) const
	{
		const auto length = static_cast<uint16_t>(frame.size() - l3_);

		if ((flags_ & RTE_MBUF_F_TX_IPV6) != 0) {
			auto *ip = reinterpret_cast<rte_ipv6_hdr *>(&frame[l3_]);
			ip->payload_len =
				rte_cpu_to_be_16(static_cast<uint16_t>(length - sizeof(*ip)));
			return;
		}
		auto *ip = reinterpret_cast<rte_ipv4_hdr *>(&frame[l3_]);
		ip->total_length = rte_cpu_to_be_16(length);
		ip->packet_id = rte_cpu_to_be_16(
			static_cast<uint16_t>(rte_be_to_cpu_16(ip->packet_id) + number));
		ip->hdr_checksum = 0;
		ip->hdr_checksum = static_cast<uint16_t>(~rte_raw_cksum(ip, l4_ - l3_));
	}

	std::vector<uint8_t> all_;
	size_t l3_, l4_, headers_ = 0;
	uint64_t flags_;
	uint16_t mss_;
};

} // namespace fuzz
