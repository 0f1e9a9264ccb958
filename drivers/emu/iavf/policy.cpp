/* SPDX-License-Identifier: BSD-3-Clause */
#include "policy.hpp"

#include <charconv>
#include <optional>

#include "device_config.hpp"

namespace iavf {

namespace {

constexpr uint16_t max_vlan = 4094;
constexpr uint16_t max_priority = 7;
constexpr unsigned int priority_at = 13;

template <class T> struct word {
	std::string_view text;
	T value;
};

constexpr word<bool> switches[] = {{"off", false}, {"on", true}};
constexpr word<rte_emudev_net_link_state> link_states[] = {
	{"auto", RTE_EMUDEV_NET_LINK_AUTO},
	{"up", RTE_EMUDEV_NET_LINK_UP},
	{"down", RTE_EMUDEV_NET_LINK_DOWN},
};
constexpr word<uint16_t> tag_types[] = {{"802.1q", 0x8100}, {"802.1ad", 0x88a8}};

template <class T, size_t n>
bool
set_word(const word<T> (&words)[n], std::string_view text, T &to)
{
	for (const word<T> &one : words) {
		if (one.text != text)
			continue;
		to = one.value;
		return true;
	}
	return false;
}

template <class T, size_t n>
std::string
word_of(const word<T> (&words)[n], T value)
{
	for (const word<T> &one : words)
		if (one.value == value)
			return std::string(one.text);
	return "?";
}

template <class T>
bool
set_number(std::string_view text, uint32_t most, T &to)
{
	uint32_t value = 0;
	auto [end, error] = std::from_chars(text.begin(), text.end(), value);

	if (error != std::errc{} || end != text.end() || value > most)
		return false;
	to = static_cast<T>(value);
	return true;
}

/** What stands before the next colon; the text is what is behind it, if there is one. */
std::string_view
take_field(std::optional<std::string_view> &text)
{
	const std::string_view whole = *text;
	const size_t end = whole.find(':');

	text.reset();
	if (end != std::string_view::npos)
		text = whole.substr(end + 1);
	return whole.substr(0, end);
}

/** VLAN[:priority[:type]]; without one there is no priority either. */
bool
set_vlan(policy &to, std::string_view text)
{
	std::optional<std::string_view> rest = text;
	uint16_t id = 0, priority = 0, type = tag_types[0].value;

	if (!set_number(take_field(rest), max_vlan, id) ||
	    (rest && !set_number(take_field(rest), max_priority, priority)) ||
	    (rest && !set_word(tag_types, take_field(rest), type)) || rest ||
	    (id == 0 && text != "0"))
		return false;
	to.vlan_type = id == 0 ? 0 : type;
	to.vlan_tci = static_cast<uint16_t>(id | priority << priority_at);
	return true;
}

std::string
get_vlan(const policy &from)
{
	if (!from.in_port_vlan())
		return "0";
	return std::to_string(from.vlan_tci & 0xfff) + ":" +
	       std::to_string(from.vlan_tci >> priority_at) + ":" +
	       word_of(tag_types, from.vlan_type);
}

/** MAX[:MIN]; a policy that has no such rates is not changed. */
bool
set_rate(policy &to, std::string_view text)
{
	std::optional<std::string_view> rest = text;
	policy wanted = to;

	wanted.min_rate = 0;
	if (!set_number(take_field(rest), max_speed, wanted.max_rate) ||
	    (rest && !set_number(take_field(rest), max_speed, wanted.min_rate)) || rest ||
	    !wanted.has_possible_rates())
		return false;
	to = wanted;
	return true;
}

std::string
get_rate(const policy &from)
{
	const std::string most = std::to_string(from.max_rate);
	return from.min_rate == 0 ? most : most + ":" + std::to_string(from.min_rate);
}

template <bool policy::*which>
constexpr bool
set_switch(policy &to, std::string_view text)
{
	return set_word(switches, text, to.*which);
}

template <bool policy::*which>
std::string
get_switch(const policy &from)
{
	return word_of(switches, from.*which);
}

template <auto which, uint32_t most>
bool
set_limit(policy &to, std::string_view text)
{
	return set_number(text, most, to.*which);
}

template <auto which>
std::string
get_limit(const policy &from)
{
	return std::to_string(from.*which);
}

constexpr policy_key keys[] = {
	{"trust", "on or off", set_switch<&policy::trust>, get_switch<&policy::trust>},
	{"spoofchk", "on or off", set_switch<&policy::spoofchk>, get_switch<&policy::spoofchk>},
	{"vlan",
	 "a VLAN from 1 to 4094 with or without a priority from 0 to 7 and a type, 802.1q or "
	 "802.1ad, as 5, 5:3 or 5:0:802.1ad; or 0 for none",
	 set_vlan, get_vlan},
	{"rate",
	 "a number of Mbit/s from 0 (no limit) to 400000, with or without a minimum that is not "
	 "above it, as 1000 or 1000:100",
	 set_rate, get_rate},
	{"link", "auto, up or down",
	 [](policy &to, std::string_view text) { return set_word(link_states, text, to.link); },
	 [](const policy &from) { return word_of(link_states, from.link); }},
	{"macs", "a number of addresses from 0 to 4096",
	 set_limit<&policy::max_macs, any_number_of_addresses>, get_limit<&policy::max_macs>},
	{"mcast", "a number of multicast addresses from 0 to 4096",
	 set_limit<&policy::max_mcast, any_number_of_addresses>, get_limit<&policy::max_mcast>},
};
static_assert(max_speed == 400000 && any_number_of_addresses == 4096);

} // namespace

bool
policy::contradicts(const policy &before) const
{
	return trust != before.trust || mac_may_change() != before.mac_may_change() ||
	       vlan_type != before.vlan_type || vlan_tci != before.vlan_tci ||
	       mac_limit() < before.mac_limit() || max_mcast < before.max_mcast;
}

std::span<const policy_key>
policy_keys()
{
	return keys;
}

} // namespace iavf
