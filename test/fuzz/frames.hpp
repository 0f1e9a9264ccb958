/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <memory>
#include <vector>

#include <rte_mbuf.h>

#include <descriptors.hpp>

#include "../../drivers/net/iavf_be/headers.hpp"
#include "fuzz.hpp"
#include "iavf_be/layers.hpp"

namespace fuzz {

/** A frame in mbufs of no pool, each segment in memory of exactly its length: a byte too far is
 * seen. Needs no EAL. */
class loose_frame {
public:
	/** @param pieces Lengths of all segments but the last; those of 0 are left out. */
	loose_frame(std::span<const uint8_t> bytes, std::span<const uint16_t> pieces)
	{
		for (const uint16_t piece : pieces)
			if (piece != 0 && piece < bytes.size()) {
				add(bytes.first(piece));
				bytes = bytes.subspan(piece);
			}
		add(bytes);
		for (size_t i = 0; i + 1 < parts_.size(); i++)
			parts_[i]->next = parts_[i + 1].get();
	}

	rte_mbuf &mbuf() { return *parts_[0]; }
	const rte_mbuf &mbuf() const { return *parts_[0]; }

private:
	void add(std::span<const uint8_t> bytes)
	{
		std::unique_ptr<uint8_t[]> data(new uint8_t[bytes.size()]);
		auto part = std::make_unique<rte_mbuf>();

		std::copy(bytes.begin(), bytes.end(), data.get());
		part->buf_addr = data.get();
		part->buf_len = part->data_len = static_cast<uint16_t>(bytes.size());
		part->nb_segs = 1;
		rte_mbuf_refcnt_set(part.get(), 1);
		parts_.push_back(std::move(part));
		data_.push_back(std::move(data));
		rte_mbuf &first = *parts_[0];
		first.nb_segs = static_cast<uint16_t>(parts_.size());
		first.pkt_len += static_cast<uint32_t>(bytes.size());
	}

	std::vector<std::unique_ptr<rte_mbuf>> parts_;
	std::vector<std::unique_ptr<uint8_t[]>> data_;
};

/** A frame from the innermost layer outwards. */
struct layered {
	static constexpr uint16_t ipv4_type = 0x0800, ipv6_type = 0x86dd, other_type = 0x88b5;

	test::layers::frame out;
	uint8_t protocol = 59; /**< Of what there is, in IP: none yet. */
	uint16_t type = other_type;
	/** What the last layer, if it is IP, has behind it, its extensions not counted. */
	struct {
		uint8_t version = 0; /**< 0: it is not IP. */
		uint8_t protocol = 0;
		size_t length = 0;
	} behind_ip;

	/** GRE, or what is behind a port of a tunnel. */
	void add_tunnel(uint8_t what)
	{
		test::layers::bytes tunnel(what & 8 ? 4u : 8u);

		if (what & 16) /* VXLAN */
			tunnel[0] = 8;
		else
			test::layers::put16(tunnel, 2, type == other_type ? 0x6558 : type);
		out = test::layers::head(std::move(out), tunnel);
		protocol = 47;
	}
	void add_ipv6(uint8_t what)
	{
		test::layers::bytes extension(what & 8 ? 8u : 0u);

		/* Hop by hop, routing with segments left, a home address; or a fragment. */
		const uint8_t kind = std::to_array<uint8_t>({0, 43, 60, 0})[what >> 5 & 3];
		if (!extension.empty()) {
			extension[0] = protocol;
			extension[2] = kind == 60 ? 201 : 0;
			extension[3] = kind == 43;
		}
		out = test::layers::ipv6(std::move(out), protocol, extension,
					 what & 16 ? 44 : kind);
		protocol = 41;
		type = ipv6_type;
	}
	void add(uint8_t what)
	{
		using namespace test::layers;
		const bool is_ipv6 = what % 8 == 5,
			   is_ip = what % 8 == 3 || what % 8 == 4 || is_ipv6;

		behind_ip = {};
		if (is_ip)
			behind_ip = {static_cast<uint8_t>(is_ipv6 ? 6 : 4), protocol,
				     out.data.size()};
		switch (what % 8) {
		case 0:
			out = tcp(std::move(out));
			protocol = 6;
			break;
		case 1:
			out = udp(std::move(out),
				  what & 8    ? 4789
				  : what & 16 ? 6081
					      : 2000,
				  what & 32);
			protocol = 17;
			break;
		case 2:
			out = sctp(std::move(out));
			protocol = 132;
			break;
		case 3:
		case 4:
			out = ipv4(
				std::move(out), protocol,
				{.option_words = what >> 3 & 3u,
				 .fragment = static_cast<uint16_t>(what >> 5 == 7 ? 0x2000 : 0)});
			protocol = 4;
			type = ipv4_type;
			break;
		case 5:
			return add_ipv6(what);
		case 6:
			return add_tunnel(what);
		case 7:
			out = ethernet(std::move(out), type);
			type = other_type;
			break;
		}
	}
};

/** A frame of layers with the right checksums, as a list of them in the input says, and then some
 * bytes of the input's: if there are any, nothing is known of @p all any more. */
inline std::vector<uint8_t>
take_layers(input &in, layered &all)
{
	all.out = test::layers::payload(in.u8());
	for (unsigned int n = in.u8() % 8; n != 0; n--)
		all.add(in.u8());
	test::layers::frame &out = all.out;
	const uint8_t tags = in.u8();
	if (tags % 4 == 1)
		out = test::layers::ethernet(std::move(out), all.type, {0x8100});
	else if (tags % 4 == 2)
		out = test::layers::ethernet(std::move(out), all.type, {0x88a8, 0x8100});
	else
		out = test::layers::ethernet(std::move(out), all.type);
	for (unsigned int n = in.u8() % 8; n != 0; n--) {
		const size_t at = in.u16() % out.data.size();
		out.data[at] = in.u8();
		all.behind_ip = {};
	}
	return out.data;
}

inline std::vector<uint8_t>
take_layers(input &in)
{
	layered all;

	return take_layers(in, all);
}

/** What the headers of a frame are, in the words of a request. */
struct described {
	explicit described(const rte_mbuf &frame) : all(iavf_be::parse_headers(frame))
	{
		tunnel = all.tunnel != iavf::ptype::tunnel::none && all.inner.version != 0;
		const iavf_be::ip_part &last = tunnel ? all.inner : all.outer;
		valid = last.version != 0 && !last.malformed && !all.outer.malformed;
		protocol = last.protocol;
		l2 = tunnel ? last.l3 - all.outer.l4 : last.l3;
		l3 = last.l4 - last.l3;
		const bool tcp_is_whole = protocol == 6 && last.l4_length > 12;
		uint8_t words = 5;
		if (tcp_is_whole)
			iavf_be::read(frame, last.l4 + 12, words), words >>= 4;
		l4 = protocol == 6 ? words * 4u : protocol == 17 ? 8u : protocol == 132 ? 12u : 0u;
		is_ipv4 = last.version == 4;
	}

	iavf_be::frame_headers all;
	bool valid, tunnel, is_ipv4;
	uint8_t protocol;
	uint32_t l2, l3, l4;
};

/** Asks for what an application may have done to such a frame. */
inline void
ask_for_offloads(rte_mbuf &frame, uint8_t how, uint16_t mss)
{
	const described is(frame);
	const iavf_be::ip_part &outer = is.all.outer;

	if (!is.valid)
		return;
	frame.l2_len = is.l2;
	frame.l3_len = is.l3;
	frame.l4_len = is.l4;
	frame.ol_flags = is.is_ipv4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	if (is.is_ipv4 && (how & 2) != 0)
		frame.ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	if ((how & 4) != 0)
		frame.ol_flags |= is.protocol == 6     ? RTE_MBUF_F_TX_TCP_CKSUM
				  : is.protocol == 17  ? RTE_MBUF_F_TX_UDP_CKSUM
				  : is.protocol == 132 ? RTE_MBUF_F_TX_SCTP_CKSUM
						       : 0;
	if ((how & 8) != 0 && is.protocol == 6) {
		frame.ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		frame.tso_segsz = mss;
	}
	if (!is.tunnel)
		return;
	frame.outer_l2_len = outer.l3;
	frame.outer_l3_len = outer.l4 - outer.l3;
	frame.ol_flags |= outer.version == 4 ? RTE_MBUF_F_TX_OUTER_IPV4 : RTE_MBUF_F_TX_OUTER_IPV6;
	if (outer.version == 4 && (how & 16) != 0)
		frame.ol_flags |= RTE_MBUF_F_TX_OUTER_IP_CKSUM;
	if (outer.protocol == 17 && (how & 32) != 0)
		frame.ol_flags |= RTE_MBUF_F_TX_OUTER_UDP_CKSUM;
	frame.ol_flags |= outer.protocol == 17
				  ? how & 64 ? RTE_MBUF_F_TX_TUNNEL_UDP : RTE_MBUF_F_TX_TUNNEL_VXLAN
			  : outer.protocol == 47 ? RTE_MBUF_F_TX_TUNNEL_GRE
						 : RTE_MBUF_F_TX_TUNNEL_IPIP;
}

/** The same in a guest's descriptors: one of context and the command of those of data. */
struct guest_request {
	guest_request(const rte_mbuf &frame, uint8_t how, uint16_t mss)
	{
		using namespace iavf;
		const described is(frame);
		const iavf_be::ip_part &outer = is.all.outer;

		if (!is.valid)
			return;
		const uint64_t l4 = is.protocol == 6     ? 1u
				    : is.protocol == 132 ? 2u
				    : is.protocol == 17  ? 3u
							 : 0u;
		command = txd::iipt::of(is.is_ipv4 ? (how & 2 ? 3u : 2u) : 1u) |
			  txd::l4t::of(how & 4 ? l4 : 0) | txd::iplen::of(is.l3 / 4) |
			  txd::l4len::of(is.l4 / 4) |
			  txd::maclen::of((is.tunnel ? outer.l3 : is.l2) / 2);
		context.qword1 = txc::dtype::of(1);
		if ((how & 8) != 0 && is.protocol == 6) {
			const uint32_t headers = (is.tunnel ? outer.l4 : 0) + is.l2 + is.l3 + is.l4;
			context.qword1 |= txc::tso::mask | txc::mss::of(mss) |
					  txc::tso_length::of(frame.pkt_len - headers);
		}
		if (is.tunnel)
			context.qword0 =
				txc::eipt::of(outer.version == 4 ? (how & 16 ? 3u : 2u) : 1u) |
				txc::eiplen::of((outer.l4 - outer.l3) / 4) |
				txc::l4tunt::of(outer.protocol == 17   ? 1u
						: outer.protocol == 47 ? 2u
								       : 0u) |
				txc::natlen::of(is.l2 / 2) | txc::l4t_cs::of((how & 32) != 0);
		if ((how & 64) != 0) {
			context.qword1 |= txc::il2tag2::mask;
			context.qword0 |= txc::l2tag2::of(mss);
		}
		if ((how & 128) != 0)
			command |= txd::il2tag1::mask | txd::l2tag1::of(mss);
	}

	iavf::tx_descriptor context{0, 1};
	uint64_t command = 0;
};

} // namespace fuzz
