/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <random>

#include "fixture.hpp"

/* Checksums as the cases compute them, frames that are sent in pieces, and tags to be inserted. */
namespace test::port_suite {

/** Adds up bytes as big-endian words, one byte after the other: nothing of DPDK's. */
class byte_sum {
public:
	byte_sum &add(const uint8_t *data, size_t length)
	{
		for (size_t i = 0; i < length; i++, odd_ = !odd_) {
			sum_ += odd_ ? data[i] : data[i] << 8;
			sum_ = (sum_ & 0xffff) + (sum_ >> 16);
		}
		return *this;
	}
	byte_sum &add(uint16_t word)
	{
		const uint8_t bytes[] = {static_cast<uint8_t>(word >> 8),
					 static_cast<uint8_t>(word)};
		return add(bytes, sizeof(bytes));
	}
	uint16_t get() const { return static_cast<uint16_t>(sum_); }

private:
	uint32_t sum_ = 0;
	bool odd_ = false;
};

/** Whether a frame has the right checksums, by a computation of our own. */
inline bool
checksums_are_right(const packet &p, const std::vector<uint8_t> &frame)
{
	const uint8_t *ip = frame.data() + RTE_ETHER_HDR_LEN, *l4 = ip + p.l3();
	const size_t size = frame.size() - RTE_ETHER_HDR_LEN - p.l3();
	byte_sum sum;

	if (!p.v6 && byte_sum().add(ip, p.l3()).get() != 0xffff)
		return false;
	sum.add(p.v6 ? ip + 8 : ip + 12, p.v6 ? 32 : 8).add(p.udp ? 17 : 6);
	sum.add(static_cast<uint16_t>(size)).add(l4, size);
	return sum.get() == 0xffff && (!p.udp || l4[6] != 0 || l4[7] != 0);
}

/** Posts a frame in descriptors of random lengths, the first of which has the headers. */
inline void
post_in_pieces(fake_guest &guest, uint32_t length, uint32_t headers, uint64_t command,
	       std::mt19937 &random)
{
	for (uint32_t done = 0, left = 12; done < length; left--) {
		const uint32_t most = std::min(length - done, iavf::max_buffer_length);
		uint32_t piece = most;
		if (left > 4 && most > headers)
			piece = headers + random() % (most - headers + 1);
		done += piece;
		guest.post_data(buffer(0) + done - piece, piece, done == length, command);
	}
	guest.ring_tx();
}

/** Tags to insert: by a data descriptor, by a context descriptor. */
struct tag_request {
	bool inner = false, outer = false;

	static constexpr uint16_t inner_tag = 0x607b, outer_tag = 0xf123;

	uint64_t command() const
	{
		return inner ? txd::il2tag1::mask | txd::l2tag1::of(inner_tag) : 0;
	}
	uint64_t qword0() const { return outer ? txc::l2tag2::of(outer_tag) : 0; }
	uint64_t context() const { return outer ? txc::il2tag2::mask | 1 : 0; }

	/** Takes the tags out of a frame; false if they are not as they should be. */
	bool take_from(std::vector<uint8_t> &frame) const
	{
		std::vector<uint8_t> want;
		if (outer)
			want.insert(want.end(), {0x81, 0x00, 0xf1, 0x23});
		if (inner)
			want.insert(want.end(), {0x81, 0x00, 0x60, 0x7b});
		const auto at = frame.begin() + 12;
		if (frame.size() < 12 + want.size() || !std::equal(want.begin(), want.end(), at))
			return false;
		frame.erase(at, at + static_cast<ptrdiff_t>(want.size()));
		return true;
	}
};

inline constexpr tag_request all_tags[] = {{true, false}, {false, true}, {true, true}};

/** Some of them, or none. */
inline tag_request
random_tags_to_insert(std::mt19937 &random)
{
	return {.inner = random() % 2 != 0, .outer = random() % 2 != 0};
}

} // namespace test::port_suite
