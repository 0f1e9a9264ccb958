/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

/**
 * The frames of the benchmark. Each carries its sequence number and a seal over number and body, so
 * that the receiver sees a frame that is missing, repeated, truncated, stale or mixed of two.
 * Frames are filled once; sending one again changes two words of its first cache line.
 */
namespace bench {

struct frame_header {
	uint8_t destination[6];
	uint8_t source[6];
	uint16_t ether_type;
	uint16_t reserved;
	uint64_t sequence;
	uint64_t seal; /**< body_sum() + sequence * sequence_factor */
};
static_assert(sizeof(frame_header) == 32);

constexpr uint32_t minimum_frame = 64;
constexpr uint64_t sequence_factor = 0x9e3779b97f4a7c15;

/** Depends on each word and on its place; written so that compilers vectorise it. */
inline uint64_t
body_sum(const std::byte *body, uint32_t length)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < length / 4; i++) {
		uint32_t word;
		std::memcpy(&word, body + 4 * i, sizeof(word));
		sum += uint64_t{word} * (2 * i + 1);
	}
	return sum;
}

/** Writes a whole frame with sequence number 0 and a body that depends on seed. */
inline void
fill_frame(std::byte *frame, uint32_t length, uint32_t seed)
{
	frame_header header = {
		.destination = {0x02, 0, 0, 0, 0, 1},
		.source = {0x02, 0, 0, 0, 0, 2},
		.ether_type = 0xb588, /* 0x88b5, local experiments, in network order */
		.reserved = 0,
		.sequence = 0,
		.seal = 0,
	};
	std::byte *body = frame + sizeof(header);
	uint32_t word = seed * 2654435761u + 1;
	for (uint32_t i = 0; i < (length - sizeof(header)) / 4; i++) {
		word = word * 1664525u + 1013904223u;
		std::memcpy(body + 4 * i, &word, sizeof(word));
	}
	header.seal = body_sum(body, length - sizeof(header));
	std::memcpy(frame, &header, sizeof(header));
}

inline uint64_t
sequence_of(const std::byte *frame)
{
	uint64_t sequence;
	std::memcpy(&sequence, frame + offsetof(frame_header, sequence), sizeof(sequence));
	return sequence;
}

/** Gives a filled frame its next sequence number. */
inline void
stamp_frame(std::byte *frame, uint64_t sequence)
{
	uint64_t words[2]; /* sequence and seal */
	std::memcpy(words, frame + offsetof(frame_header, sequence), sizeof(words));
	words[1] += (sequence - words[0]) * sequence_factor;
	words[0] = sequence;
	std::memcpy(frame + offsetof(frame_header, sequence), words, sizeof(words));
}

inline bool
is_intact(const std::byte *frame, uint32_t length)
{
	frame_header header;
	std::memcpy(&header, frame, sizeof(header));
	return header.seal == body_sum(frame + sizeof(header), length - sizeof(header)) +
				      header.sequence * sequence_factor;
}

} // namespace bench
