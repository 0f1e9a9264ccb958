/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <vector>

/**
 * Frames of layers, from the innermost outwards, with checksums of the test's own computation: by
 * the words of the RFCs, with none of DPDK's functions.
 */
namespace test::layers {

using bytes = std::vector<uint8_t>;

/** What a checksum covers; offsets are those of the frame. */
struct piece {
	bool of_ip_header;
	unsigned int depth; /**< Which IP header it belongs to, counted from outside. */
	size_t begin, end;
	size_t field; /**< Offset in it of a byte that means nothing to anybody. */
};

struct frame {
	bytes data;
	std::vector<piece> pieces;
	/** A checksum that wants a pseudo header: where it is, or 0. It covers all of the data. */
	size_t pending = 0;

	void prepend(const bytes &head)
	{
		data.insert(data.begin(), head.begin(), head.end());
		for (piece &one : pieces) {
			one.begin += head.size();
			one.end += head.size();
		}
	}
};

inline uint16_t
be16(const bytes &data, size_t at)
{
	return static_cast<uint16_t>(data[at] << 8 | data[at + 1]);
}

inline void
put16(bytes &data, size_t at, size_t value)
{
	data[at] = static_cast<uint8_t>(value >> 8);
	data[at + 1] = static_cast<uint8_t>(value);
}

/** RFC 1071. */
inline uint16_t
checksum(const bytes &data)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < data.size(); i++)
		sum += i % 2 == 0 ? data[i] * 256u : data[i];
	while (sum > 0xffff)
		sum = sum % 0x10000 + sum / 0x10000;
	return static_cast<uint16_t>(0xffff - sum);
}

/** RFC 9260, appendix A, bit by bit. */
inline uint32_t
crc32c(const bytes &data)
{
	uint32_t crc = ~0u;
	for (const uint8_t byte : data) {
		crc ^= byte;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

inline frame
payload(size_t length, unsigned int seed = 1)
{
	frame out;
	for (size_t i = 0; i < length; i++)
		out.data.push_back(static_cast<uint8_t>(seed + i * 37 + i / 251));
	return out;
}

inline frame
tcp(frame in)
{
	bytes head(20);
	put16(head, 0, 1000);
	put16(head, 2, 2000);
	head[12] = 5 << 4;
	in.prepend(head);
	in.pieces.push_back({false, 0, 0, in.data.size(), 0});
	in.pending = 16;
	return in;
}

inline frame
udp(frame in, uint16_t port = 2000, bool with_checksum = true)
{
	bytes head(8);
	put16(head, 0, 1000);
	put16(head, 2, port);
	put16(head, 4, in.data.size() + 8);
	in.prepend(head);
	if (with_checksum) {
		in.pieces.push_back({false, 0, 0, in.data.size(), 0});
		in.pending = 6;
	}
	return in;
}

inline frame
sctp(frame in)
{
	bytes head(12);
	put16(head, 0, 1000);
	put16(head, 2, 2000);
	in.prepend(head);
	const uint32_t crc = crc32c(in.data);
	for (int i = 0; i < 4; i++)
		in.data[8 + i] = static_cast<uint8_t>(crc >> 8 * i);
	in.pieces.push_back({false, 0, 0, in.data.size(), 0});
	return in;
}

/** Bytes before what there is. */
inline frame
head(frame in, const bytes &more)
{
	in.prepend(more);
	return in;
}

/** Fills a checksum that waits for the pseudo header. */
inline void
fill_pending(frame &in, const bytes &addresses, uint8_t protocol)
{
	if (in.pending == 0)
		return;
	bytes all = addresses;
	all.insert(all.end(), {0, protocol, static_cast<uint8_t>(in.data.size() >> 8),
			       static_cast<uint8_t>(in.data.size())});
	all.insert(all.end(), in.data.begin(), in.data.end());
	const uint16_t value = checksum(all);
	put16(in.data, in.pending, protocol == 17 && value == 0 ? 0xffff : value);
	in.pending = 0;
}

struct ipv4_options {
	size_t option_words = 0;
	uint16_t fragment = 0; /**< The field. */
};

inline frame
ipv4(frame in, uint8_t protocol, const ipv4_options &opt = {})
{
	bytes head(20 + opt.option_words * 4, 1); /* options of no operation */
	head[0] = static_cast<uint8_t>(0x40 | head.size() / 4);
	put16(head, 2, head.size() + in.data.size());
	put16(head, 4, 77);
	put16(head, 6, opt.fragment);
	head[8] = 64;
	head[9] = protocol;
	put16(head, 10, 0);
	put16(head, 12, 0xc000);
	put16(head, 14, 0x0201);
	put16(head, 16, 0xc000);
	put16(head, 18, 0x0202);
	fill_pending(in, bytes(head.begin() + 12, head.begin() + 20), protocol);
	put16(head, 10, checksum(head));
	for (piece &one : in.pieces)
		one.depth++;
	in.prepend(head);
	in.pieces.push_back({true, 1, 0, head.size(), 8});
	return in;
}

/** @p extensions stand between, the first of kind @p first; the last of them names @p protocol. */
inline frame
ipv6(frame in, uint8_t protocol, const bytes &extensions = {}, uint8_t first = 0)
{
	bytes head(40);
	for (size_t i = 8; i < 40; i++)
		head[i] = static_cast<uint8_t>(0xfd - i);
	fill_pending(in, bytes(head.begin() + 8, head.end()), protocol);
	head[0] = 0x60;
	put16(head, 4, extensions.size() + in.data.size());
	head[6] = extensions.empty() ? protocol : first;
	head[7] = 64;
	head.insert(head.end(), extensions.begin(), extensions.end());
	for (piece &one : in.pieces)
		one.depth++;
	in.prepend(head);
	/* No checksum, but a place in the order. */
	in.pieces.push_back({true, 1, 0, 0, 0});
	return in;
}

inline frame
ethernet(frame in, uint16_t type, std::initializer_list<uint16_t> tags = {})
{
	constexpr uint8_t addresses[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	size_t at = sizeof(addresses);
	bytes head(at + 4 * tags.size() + sizeof(type));
	std::ranges::copy(addresses, head.begin());
	for (const uint16_t tag : tags) {
		put16(head, at, tag);
		put16(head, at + 2, 5);
		at += 4;
	}
	put16(head, at, type);
	in.prepend(head);
	return in;
}

} // namespace test::layers
