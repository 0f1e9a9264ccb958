/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <deque>
#include <optional>
#include <random>

#include "fixture.hpp"

/** What the cases with VLAN tags share. */
namespace test::port_suite {

using bytes = std::vector<uint8_t>;

struct tag {
	uint16_t type, control;

	bool operator==(const tag &) const = default;
};
using tag_list = std::deque<tag>;

constexpr uint16_t c_tag = 0x8100, s_tag = 0x88a8, old_tag = 0x9100;

/** A frame with tags in front of its type, which is none of a tag. */
inline bytes
with_tags(const tag_list &tags, uint32_t length, uint8_t seed)
{
	bytes out(length);
	make_frame(out.data(), length, seed);
	if (length >= 14)
		out[12] = 0x08, out[13] = 0x00;
	bytes words;
	for (const tag &one : tags)
		for (const uint16_t word : {one.type, one.control})
			words.insert(words.end(), {static_cast<uint8_t>(word >> 8),
						   static_cast<uint8_t>(word & 0xff)});
	out.insert(out.begin() + 12, words.begin(), words.end());
	return out;
}

inline uint16_t
random_type(std::mt19937 &random)
{
	constexpr uint16_t types[] = {c_tag, s_tag, old_tag};
	return types[random() % 3];
}

inline tag_list
random_tags(std::mt19937 &random, size_t most = 3)
{
	tag_list out(random() % (most + 1));
	for (tag &one : out)
		one = {random_type(random), static_cast<uint16_t>(random())};
	return out;
}

/** Pushes what a guest has set up for tags, and the host's policy. */
inline void
push_vlan(fake_guest &guest, const rte_emudev_net_vlan &vlan,
	  const rte_emudev_net_policy &policy = {})
{
	rte_emudev_net_config config{};
	config.promiscuous = 3;
	config.vlan = vlan;
	config.policy = policy;
	push_config(guest, config);
}

} // namespace test::port_suite
