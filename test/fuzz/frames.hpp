/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <memory>
#include <vector>

#include <rte_mbuf.h>

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

/** A frame of layers with the right checksums, as a list of them in the input says. */
inline std::vector<uint8_t>
take_layers(input &in)
{
	using namespace test::layers;
	constexpr uint16_t ipv4_type = 0x0800, ipv6_type = 0x86dd, other_type = 0x88b5;
	frame out = payload(in.u8());
	uint8_t protocol = 59; /* none */
	uint16_t type = other_type;

	for (unsigned int n = in.u8() % 6; n != 0; n--) {
		const uint8_t what = in.u8();
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
		case 5: {
			bytes extension(what & 8 ? 8u : 0u);
			if (!extension.empty())
				extension[0] = protocol;
			out = ipv6(std::move(out), protocol, extension, what & 16 ? 44 : 0);
			protocol = 41;
			type = ipv6_type;
			break;
		}
		case 6: { /* GRE, or what is behind a port of a tunnel */
			bytes tunnel(what & 8 ? 4u : 8u);
			put16(tunnel, 2, type == other_type ? 0x6558 : type);
			out = head(std::move(out), tunnel);
			protocol = 47;
			break;
		}
		case 7:
			out = ethernet(std::move(out), type);
			type = other_type;
			break;
		}
	}
	const uint8_t tags = in.u8();
	if (tags % 4 == 1)
		out = ethernet(std::move(out), type, {0x8100});
	else if (tags % 4 == 2)
		out = ethernet(std::move(out), type, {0x88a8, 0x8100});
	else
		out = ethernet(std::move(out), type);
	for (unsigned int n = in.u8() % 8; n != 0; n--) {
		const size_t at = in.u16() % out.data.size();
		out.data[at] = in.u8();
	}
	return out.data;
}

} // namespace fuzz
