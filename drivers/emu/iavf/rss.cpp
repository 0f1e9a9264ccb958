/* SPDX-License-Identifier: BSD-3-Clause */
#include "rss.hpp"

#include <algorithm>
#include <optional>

#include <rte_random.h>

namespace iavf {

namespace {

constexpr uint16_t addresses = RTE_EMUDEV_NET_RSS_SRC_ADDRESS | RTE_EMUDEV_NET_RSS_DST_ADDRESS;
constexpr uint16_t ports = RTE_EMUDEV_NET_RSS_SRC_PORT | RTE_EMUDEV_NET_RSS_DST_PORT;

consteval uint64_t
bits(std::initializer_list<unsigned int> types)
{
	uint64_t out = 0;

	for (unsigned int type : types)
		out |= uint64_t{1} << type;
	return out;
}

/** What the bits of SET_RSS_HENA mean. */
struct hena_row {
	uint64_t types;
	rte_emudev_net_rss_type type;
	uint16_t fields;
};
constexpr hena_row hena_rows[] = {
	{bits({vc_pctype::ipv4_other}), RTE_EMUDEV_NET_RSS_IPV4, addresses},
	{bits({vc_pctype::ipv4_fragment}), RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT, addresses},
	{bits({vc_pctype::ipv4_tcp_syn, vc_pctype::ipv4_tcp}), RTE_EMUDEV_NET_RSS_IPV4_TCP,
	 addresses | ports},
	{bits({vc_pctype::unicast_ipv4_udp, vc_pctype::multicast_ipv4_udp, vc_pctype::ipv4_udp}),
	 RTE_EMUDEV_NET_RSS_IPV4_UDP, addresses | ports},
	{bits({vc_pctype::ipv4_sctp}), RTE_EMUDEV_NET_RSS_IPV4_SCTP, addresses | ports},
	{bits({vc_pctype::ipv6_other}), RTE_EMUDEV_NET_RSS_IPV6, addresses},
	{bits({vc_pctype::ipv6_fragment}), RTE_EMUDEV_NET_RSS_IPV6_FRAGMENT, addresses},
	{bits({vc_pctype::ipv6_tcp_syn, vc_pctype::ipv6_tcp}), RTE_EMUDEV_NET_RSS_IPV6_TCP,
	 addresses | ports},
	{bits({vc_pctype::unicast_ipv6_udp, vc_pctype::multicast_ipv6_udp, vc_pctype::ipv6_udp}),
	 RTE_EMUDEV_NET_RSS_IPV6_UDP, addresses | ports},
	{bits({vc_pctype::ipv6_sctp}), RTE_EMUDEV_NET_RSS_IPV6_SCTP, addresses | ports},
};

/** A field that may be selected, and what it is called here; 0: it says no more than the type. */
struct field_row {
	uint32_t selected;
	uint16_t field;
};

constexpr field_row eth_fields[] = {
	{vc_field::eth_src, RTE_EMUDEV_NET_RSS_ETH_SRC},
	{vc_field::eth_dst, RTE_EMUDEV_NET_RSS_ETH_DST},
};
constexpr field_row s_vlan_fields[] = {{vc_field::vlan_id, RTE_EMUDEV_NET_RSS_OUTER_VLAN}};
constexpr field_row c_vlan_fields[] = {{vc_field::vlan_id, RTE_EMUDEV_NET_RSS_VLAN}};
constexpr field_row ipv4_fields[] = {
	{vc_field::ip_src, RTE_EMUDEV_NET_RSS_SRC_ADDRESS},
	{vc_field::ip_dst, RTE_EMUDEV_NET_RSS_DST_ADDRESS},
	{vc_field::ip_protocol, 0},
};
constexpr field_row ipv6_fields[] = {
	{vc_field::ip_src, RTE_EMUDEV_NET_RSS_SRC_ADDRESS},
	{vc_field::ip_dst, RTE_EMUDEV_NET_RSS_DST_ADDRESS},
	{vc_field::ip_protocol, 0},
	{vc_field::ipv6_prefix64_src, RTE_EMUDEV_NET_RSS_SRC_PREFIX},
	{vc_field::ipv6_prefix64_dst, RTE_EMUDEV_NET_RSS_DST_PREFIX},
};
constexpr field_row fragment_fields[] = {{vc_field::fragment_id, RTE_EMUDEV_NET_RSS_FRAGMENT_ID}};
constexpr field_row port_fields[] = {
	{vc_field::port_src, RTE_EMUDEV_NET_RSS_SRC_PORT},
	{vc_field::port_dst, RTE_EMUDEV_NET_RSS_DST_PORT},
};

/** A header that may be named. */
struct header_row {
	int32_t type;  /**< Of vc_header. */
	int layer;     /**< Headers come in this order, one for each layer. */
	uint8_t needs; /**< Version of IP; 0: any, or none. */
	uint16_t kind; /**< What it makes of the type of a packet. */
	std::span<const field_row> fields;
};
constexpr int ip_layer = 3;
constexpr header_row header_rows[] = {
	{vc_header::eth, 0, 0, 0, eth_fields},
	{vc_header::s_vlan, 1, 0, 0, s_vlan_fields},
	{vc_header::c_vlan, 2, 0, 0, c_vlan_fields},
	{vc_header::ipv4, ip_layer, 0, RTE_EMUDEV_NET_RSS_IPV4, ipv4_fields},
	{vc_header::ipv6, ip_layer, 0, RTE_EMUDEV_NET_RSS_IPV6, ipv6_fields},
	{vc_header::ipv4_fragment, 4, 4, RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT, fragment_fields},
	{vc_header::ipv6_fragment, 4, 6, RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT, fragment_fields},
	{vc_header::tcp, 4, 0, RTE_EMUDEV_NET_RSS_IPV4_TCP, port_fields},
	{vc_header::udp, 4, 0, RTE_EMUDEV_NET_RSS_IPV4_UDP, port_fields},
	{vc_header::sctp, 4, 0, RTE_EMUDEV_NET_RSS_IPV4_SCTP, port_fields},
};

/** What a message asks for. */
struct wish {
	uint16_t type = 0; /**< Of rte_emudev_net_rss_type. */
	uint16_t fields = 0;
};

/** Those of a PF but one, exclusive or of sorted fields, which no driver asks for. */
bool
is_known(vc_rss_algorithm one)
{
	return one == vc_rss_algorithm::toeplitz || one == vc_rss_algorithm::symmetric_toeplitz ||
	       one == vc_rss_algorithm::exclusive_or;
}

/** Adds what is selected of a header; false: some of it cannot be hashed. */
bool
select(std::span<const field_row> rows, uint32_t selected, uint16_t &fields)
{
	for (const field_row &row : rows) {
		if ((selected & row.selected) == 0)
			continue;
		selected &= ~row.selected;
		fields |= row.field;
	}
	return selected == 0;
}

/**
 * Reads headers. Those of tunnels are not among the rows. Level 1 is what net_iavf names for
 * packets without a tunnel, too, and as a PF does it is not told apart from 0.
 */
std::optional<wish>
read(const vc_rss_cfg &message)
{
	wish out;
	int layer = -1, version = 0;

	if (message.tunnel_level > 1 || message.count <= 0 ||
	    message.count > static_cast<int>(std::size(message.headers)))
		return {};
	for (int i = 0; i < message.count; i++) {
		const vc_proto_hdr &header = message.headers[i];
		const header_row *row =
			std::ranges::find(header_rows, header.type, &header_row::type);
		if (row == std::end(header_rows) || row->layer <= layer ||
		    (row->layer > ip_layer && version == 0) ||
		    (row->needs != 0 && row->needs != version) ||
		    !select(row->fields, header.field_selector, out.fields))
			return {};
		layer = row->layer;
		out.type += row->kind;
		if (layer == ip_layer)
			version = row->type == vc_header::ipv4 ? 4 : 6;
	}
	if (version == 0)
		return {};
	return out;
}

} // namespace

void
rss::begin(uint32_t granted, uint16_t queues)
{
	const bool before = granted_;

	granted_ = (granted & vc_cap::offload_rss_pf) != 0;
	queues_ = queues;
	if (!granted_ || (before && told_.lut_size == lut_size(queues)))
		return;
	symmetric_ = false;
	told_ = {};
	told_.function = RTE_EMUDEV_NET_RSS_TOEPLITZ;
	told_.lut_size = lut_size(queues);
	for (uint8_t &byte : told_.key)
		byte = static_cast<uint8_t>(rte_rand());
	for (uint16_t i = 0; i < told_.lut_size; i++)
		told_.lut[i] = i % std::max<uint16_t>(queues, 1);
	set_types(all_types);
}

bool
rss::set_key(std::span<const uint8_t> key)
{
	if (key.size() != std::size(told_.key))
		return false;
	std::ranges::copy(key, told_.key);
	return true;
}

bool
rss::set_lut(std::span<const uint8_t> lut)
{
	if (lut.size() != told_.lut_size ||
	    std::ranges::any_of(lut, [this](uint8_t queue) { return queue >= queues_; }))
		return false;
	std::ranges::copy(lut, told_.lut);
	return true;
}

bool
rss::set_types(uint64_t types)
{
	if ((types & ~all_types) != 0)
		return false;
	fields_ = {};
	for (const hena_row &row : hena_rows)
		if ((types & row.types) != 0)
			fields_[row.type] = row.fields;
	update();
	return true;
}

/** As with a PF, an end of it is one for rules that have asked for it themselves, too. Linux counts
 * on that: while it is symmetric, so are all the rules that it adds. */
void
rss::set_symmetric(bool yes)
{
	if (symmetric_ && !yes)
		for (uint16_t &one : fields_)
			one &= ~RTE_EMUDEV_NET_RSS_SYMMETRIC;
	symmetric_ = yes;
	update();
}

/** The function is one for all packets; a message that sets it has no headers to look at. */
bool
rss::add(const vc_rss_cfg &wanted)
{
	const auto algorithm = static_cast<vc_rss_algorithm>(wanted.rss_algorithm);

	if (!is_known(algorithm))
		return false;
	if (algorithm == vc_rss_algorithm::exclusive_or) {
		told_.function = RTE_EMUDEV_NET_RSS_XOR;
		return true;
	}
	const auto one = read(wanted);
	if (!one || one->fields == 0)
		return false;
	told_.function = RTE_EMUDEV_NET_RSS_TOEPLITZ;
	fields_[one->type] =
		one->fields | (algorithm == vc_rss_algorithm::symmetric_toeplitz
				       ? static_cast<uint16_t>(RTE_EMUDEV_NET_RSS_SYMMETRIC)
				       : uint16_t{0});
	update();
	return true;
}

/** Of what is not there a PF says that it is gone. */
bool
rss::remove(const vc_rss_cfg &unwanted)
{
	const auto algorithm = static_cast<vc_rss_algorithm>(unwanted.rss_algorithm);

	if (!is_known(algorithm))
		return false;
	if (algorithm == vc_rss_algorithm::exclusive_or) {
		told_.function = RTE_EMUDEV_NET_RSS_TOEPLITZ;
		return true;
	}
	const auto one = read(unwanted);
	if (!one)
		return false;
	fields_[one->type] = 0;
	update();
	return true;
}

void
rss::update()
{
	for (size_t i = 0; i < fields_.size(); i++) {
		const size_t plain = i - i % RTE_EMUDEV_NET_RSS_IPV6;
		uint16_t &out = told_.fields[i];

		out = fields_[i] != 0 ? fields_[i] : fields_[plain];
		if (out != 0 && symmetric_)
			out |= RTE_EMUDEV_NET_RSS_SYMMETRIC;
	}
}

const rte_emudev_net_rss *
rss::describe() const
{
	const bool any = std::ranges::any_of(told_.fields, [](uint16_t one) { return one != 0; });

	return granted_ && any ? &told_ : nullptr;
}

void
rss::each_state(pci_device::state_walk &walk)
{
	walk(granted_, queues_, symmetric_, fields_, told_);
	const std::span lut(told_.lut);
	const bool good = told_.function <= RTE_EMUDEV_NET_RSS_XOR && queues_ != 0 &&
			  told_.lut_size == lut_size(queues_) &&
			  std::ranges::all_of(lut.first(told_.lut_size),
					      [this](uint16_t queue) { return queue < queues_; });
	if (!walk.expect(!granted_ || good))
		*this = {};
}

} // namespace iavf
