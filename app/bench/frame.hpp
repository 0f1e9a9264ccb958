/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

/**
 * The frames of the benchmark: UDP over IPv4 with right checksums, or of a type that no NIC knows.
 * Each carries its sequence number and a seal over number and body, so that the receiver sees a
 * frame that is missing, repeated, truncated, stale or mixed of two. Frames are filled once;
 * sending one again changes two or three words of its first cache line.
 */
namespace bench {

enum class frame_kind : bool { ether, udp };

/** Words in network order, sums as RFC 1071 makes them of such words. */
struct frame_header {
	uint8_t destination[6];
	uint8_t source[6];
	uint16_t ether_type;
	uint16_t version_and_service;
	uint16_t ip_length;
	uint16_t identification;
	uint16_t fragment;
	uint16_t ttl_and_protocol;
	uint16_t ip_checksum;
	uint16_t addresses[4];
	uint16_t ports[2];
	uint16_t udp_length;
	uint16_t udp_checksum;
	uint16_t reserved;
	/** Sum of what the checksum of UDP covers, without the checksum and what follows here. */
	uint32_t constant;
	uint64_t sequence;
	uint64_t seal; /**< body_sum() + sequence * sequence_factor */
};
static_assert(sizeof(frame_header) == 64);

constexpr uint32_t minimum_frame = 64;
constexpr uint16_t local_experiments = 0x88b5; /**< EtherType of IEEE 802. */
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

constexpr uint16_t
big_endian(uint32_t value)
{
	return static_cast<uint16_t>((value & 0xff) << 8 | (value >> 8 & 0xff));
}

/** Folds a sum of 16-bit or 32-bit words, and inverts it. */
constexpr uint16_t
internet_checksum(uint64_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(~sum);
}

inline uint64_t
word_sum(const void *from, size_t bytes)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < bytes; i += sizeof(uint16_t)) {
		uint16_t word;
		std::memcpy(&word, static_cast<const std::byte *>(from) + i, sizeof(word));
		sum += word;
	}
	return sum;
}

/** Gives the header its checksum of UDP. */
inline uint16_t
udp_checksum(uint32_t constant, uint64_t sequence, uint64_t seal)
{
	const uint64_t sum = uint64_t{constant} + (sequence & UINT32_MAX) + (sequence >> 32) +
			     (seal & UINT32_MAX) + (seal >> 32);
	const uint16_t value = internet_checksum(sum);
	return value == 0 ? 0xffff : value;
}

constexpr uint16_t first_port = 49152; /**< Of those that nobody is assigned (RFC 6335). */

/** Writes a whole frame with sequence number 0 and a body that depends on seed. */
inline void
fill_frame(std::byte *frame, uint32_t length, uint32_t seed, frame_kind kind,
	   uint16_t source_port = first_port)
{
	constexpr uint32_t ether = offsetof(frame_header, version_and_service);
	constexpr uint32_t before_udp = offsetof(frame_header, ports);
	frame_header header = {
		.destination = {0x02, 0, 0, 0, 0, 1},
		.source = {0x02, 0, 0, 0, 0, 2},
		.ether_type = big_endian(kind == frame_kind::udp ? 0x0800 : local_experiments),
		.version_and_service = big_endian(0x4500),
		.ip_length = big_endian(length - ether),
		.identification = 0,
		.fragment = 0,
		.ttl_and_protocol = big_endian(64 << 8 | 17),
		.ip_checksum = 0,
		/* 198.18.0.0/15 is for benchmarks (RFC 2544). */
		.addresses = {big_endian(0xc612), big_endian(1), big_endian(0xc612), big_endian(2)},
		.ports = {big_endian(source_port), big_endian(first_port + 1)},
		.udp_length = big_endian(length - before_udp),
		.udp_checksum = 0,
		.reserved = 0,
		.constant = 0,
		.sequence = 0,
		.seal = 0,
	};
	std::byte *body = frame + sizeof(header);
	uint32_t word = seed * 2654435761u + 1;
	for (uint32_t i = 0; i < (length - sizeof(header)) / 4; i++) {
		word = word * 1664525u + 1013904223u;
		std::memcpy(body + 4 * i, &word, sizeof(word));
	}
	header.ip_checksum =
		internet_checksum(word_sum(&header.version_and_service, before_udp - ether));
	/* The reserved word makes up for the constant. */
	uint64_t sum = word_sum(header.addresses, sizeof(header.addresses)) +
		       word_sum(header.ports, sizeof(header.ports)) + header.udp_length +
		       header.udp_length + big_endian(17) + word_sum(body, length - sizeof(header));
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	header.constant = static_cast<uint32_t>(sum);
	header.reserved = static_cast<uint16_t>(~sum);
	header.seal = body_sum(body, length - sizeof(header));
	header.udp_checksum = udp_checksum(header.constant, 0, header.seal);
	std::memcpy(frame, &header, sizeof(header));
}

inline uint64_t
sequence_of(const std::byte *frame)
{
	uint64_t sequence;
	std::memcpy(&sequence, frame + offsetof(frame_header, sequence), sizeof(sequence));
	return sequence;
}

/** Gives a sequence number and the seal behind it their next values. @return These. */
inline std::array<uint64_t, 2>
restamp(std::byte *at, uint64_t sequence)
{
	std::array<uint64_t, 2> words;
	std::memcpy(words.data(), at, sizeof(words));
	words[1] += (sequence - words[0]) * sequence_factor;
	words[0] = sequence;
	std::memcpy(at, words.data(), sizeof(words));
	return words;
}

/** Gives a filled frame its next sequence number. */
inline void
stamp_frame(std::byte *frame, uint64_t sequence, frame_kind kind)
{
	const auto [number, seal] = restamp(frame + offsetof(frame_header, sequence), sequence);
	if (kind != frame_kind::udp)
		return;
	uint32_t constant;
	std::memcpy(&constant, frame + offsetof(frame_header, constant), sizeof(constant));
	const uint16_t checksum = udp_checksum(constant, number, seal);
	std::memcpy(frame + offsetof(frame_header, udp_checksum), &checksum, sizeof(checksum));
}

/** Whether the checksums of a frame of UDP are right. */
inline bool
has_right_checksums(const std::byte *frame, uint32_t length)
{
	constexpr uint32_t ip = offsetof(frame_header, version_and_service);
	constexpr uint32_t addresses = offsetof(frame_header, addresses);
	constexpr uint32_t udp = offsetof(frame_header, ports);

	return internet_checksum(word_sum(frame + ip, udp - ip)) == 0 &&
	       internet_checksum(word_sum(frame + addresses, length - addresses) + big_endian(17) +
				 big_endian(length - udp)) == 0;
}

inline bool
is_intact(const std::byte *frame, uint32_t length)
{
	frame_header header;
	std::memcpy(&header, frame, sizeof(header));
	if (header.ether_type == big_endian(0x0800) && !has_right_checksums(frame, length))
		return false;
	return header.seal == body_sum(frame + sizeof(header), length - sizeof(header)) +
				      header.sequence * sequence_factor;
}

} // namespace bench
