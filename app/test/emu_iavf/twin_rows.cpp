/* SPDX-License-Identifier: BSD-3-Clause */
#include "twins.hpp"

/* The layouts and the numbers of the protocol, by hand. */

namespace test {

namespace {

namespace op = iavf::vc_op;
using iavf::vc_status;

constexpr uint16_t vsi = iavf::vsi_id;
constexpr uint64_t ring_at = 0x80000;
constexpr int no_memory = static_cast<int>(vc_status::err_no_memory);

/** The values one behind the other, in their own width. */
template <class... part>
message
bytes(const part &...parts)
{
	guard::writer out;

	(out.put(parts), ...);
	return std::move(out).take();
}

message
operator+(message a, const message &b)
{
	a.insert(a.end(), b.begin(), b.end());
	return a;
}

/** @p a filled up with zeros. */
message
up_to(message a, size_t size)
{
	a.resize(size);
	return a;
}

/** What no id of two bytes can be, if there are @p n; one of them is the first beyond. */
std::vector<uint64_t>
beyond(uint16_t n)
{
	return {n, 0x7fff, 0x8000, 0xffff};
}

lie
of_vsi(size_t at)
{
	return {at, 2, {0, vsi + 1, 0x7fff, 0xffff}};
}

constexpr uint64_t unaligned = ring_at + 64, wraps = UINT64_MAX - 127;
const std::vector<uint64_t> bad_rings{1, unaligned, wraps, UINT64_MAX};
const std::vector<uint64_t> bad_lengths{1, 32, 63, 65, 4095, 4128, 8192, 0xffff};

/** Of a ring that the driver transmits on, at @p at. */
std::vector<lie>
tx_lies(size_t at)
{
	return {of_vsi(at),
		{at + 2, 2, beyond(twin_pairs)},
		{at + 4, 2, bad_lengths},
		{at + 6, 2, {1, 0xffff}},
		{at + 8, 8, bad_rings}};
}

std::vector<lie>
rx_lies(size_t at)
{
	return {of_vsi(at),
		{at + 2, 2, beyond(twin_pairs)},
		{at + 4, 4, bad_lengths},
		{at + 4, 4, {0x10040, 0x80000080, UINT32_MAX}}, /* good ones in 16 bits */
		{at + 10, 2, {1, 0xffff}},
		{at + 12, 4, {0, 1, 127, 16257, 65536, UINT32_MAX}},
		{at + 16, 4, {0, 1, 63, 9733, 65536, UINT32_MAX}},
		{at + 20, 1, {1, 0xff}}, /* keep the CRC that there is not */
		{at + 21, 1, {3, 21, 23, 63, 64, 65, 86, 0xff}}, /* 65, 86: 1, 22 modulo 64 */
		{at + 24, 8, bad_rings}};
}

message
tx_ring(uint16_t queue)
{
	return bytes(vsi, queue, uint16_t{64}, uint16_t{0}, ring_at, uint64_t{0});
}

message
rx_ring(uint16_t queue)
{
	return bytes(vsi, queue, uint32_t{64}, uint32_t{0}, uint32_t{2048}, uint32_t{1518},
		     uint32_t{0}, ring_at + 0x10000, uint64_t{0});
}

std::vector<lie>
operator+(std::vector<lie> a, const std::vector<lie> &b)
{
	a.insert(a.end(), b.begin(), b.end());
	return a;
}

/** From the last queue on, so that a single one is not the first. */
uint16_t
queue_of(uint16_t i)
{
	return static_cast<uint16_t>(twin_pairs - 1 - i % twin_pairs);
}

message
queue_pairs(uint16_t n)
{
	message out = bytes(vsi, n, uint32_t{0});

	for (uint16_t i = 0; i < n; i++)
		out = out + tx_ring(queue_of(i)) + rx_ring(queue_of(i));
	return out;
}

message
vector_maps(uint16_t n)
{
	message out = bytes(n);

	for (uint16_t i = 0; i < n; i++)
		out = out + bytes(vsi, static_cast<uint16_t>(twin_vectors - 1 - i % twin_vectors),
				  uint16_t{1}, uint16_t{1}, uint16_t{0}, uint16_t{1});
	return out;
}

message
queue_vectors(uint16_t n)
{
	message out = bytes(vsi, n, uint32_t{0});

	for (uint16_t i = 0; i < n; i++)
		out = out + bytes(queue_of(i), uint16_t{2}, uint32_t{0}, int32_t{1},
				  static_cast<int32_t>(i % 2));
	return out;
}

/** Of the one queue that is configured. */
message
queue_chunks(uint16_t n)
{
	message out = bytes(vsi, uint16_t{0}, n, uint16_t{0});

	for (uint16_t i = 0; i < n; i++)
		out = out + bytes(static_cast<int32_t>(i % 2), uint16_t{0}, uint16_t{1});
	return out;
}

message
addresses(uint16_t n)
{
	message out = bytes(vsi, n);

	for (uint16_t i = 0; i < n; i++)
		out = out + bytes(std::array<uint8_t, 8>{2, 0, 0, 1, static_cast<uint8_t>(i >> 8),
							 static_cast<uint8_t>(i), 2, 0});
	return out;
}

message
vlan_ids(uint16_t n)
{
	message out = bytes(vsi, n);

	for (uint16_t i = 1; i <= n; i++)
		out = out + bytes(i);
	return out;
}

message
vlan_filters(uint16_t n)
{
	message out = bytes(vsi, n, uint32_t{0});

	for (uint16_t i = 1; i <= n; i++)
		out = out + up_to(bytes(uint64_t{0}, i, uint16_t{0}, uint16_t{0x88a8}), 32);
	return out;
}

/** As long as it is; each byte names a queue, too. */
message
rss_table(uint16_t n)
{
	message out = bytes(vsi, n);

	out.resize(out.size() + n, std::byte{3});
	return out;
}

constexpr uint32_t type_8100 = 1, type_88a8 = 2;
const message vlan_setting = up_to(bytes(type_88a8, type_8100, vsi), 16);
const std::vector<lie> vlan_setting_lies{
	{0, 4, {3, 7, 8, 1u << 8, 1u << 31, UINT32_MAX}},
	{4, 4, {2, 3, 4, 1u << 8, 1u << 31, UINT32_MAX}},
	{0, 8, {0}},
	of_vsi(8),
};

constexpr size_t header_bytes = 72, header_room = 32 * header_bytes;

/** Type, selected fields, and a header with an address in it. */
message
header(int32_t type, uint32_t fields)
{
	return up_to(up_to(bytes(type, fields), 24) + bytes(uint64_t{0x0102030405060708}),
		     header_bytes);
}

constexpr int32_t eth = 1, ipv4 = 4;

/** The source address of IPv4. */
const message rss_rule =
	up_to(up_to(bytes(uint32_t{0}, int32_t{1}) + header(ipv4, 1), 8 + header_room) +
		      bytes(int32_t{0}),
	      2444);
const std::vector<lie> rss_rule_lies{
	{0, 1, {2, 0xff}},
	{4, 4, {0, 2, 32, 33, INT32_MAX, 1u << 31, UINT32_MAX}},
	{8, 4, {0, 1, 9, 25, INT32_MAX, UINT32_MAX}},
	{12, 4, {1u << 5, 1u << 31, UINT32_MAX}},
	{8 + header_room, 4, {3, 4, INT32_MAX, 1u << 31, UINT32_MAX}},
};

/** To an address of IPv4, to a queue. */
const message flow_rule =
	up_to(up_to(up_to(bytes(vsi, uint16_t{0}, uint32_t{0}, uint32_t{0}, int32_t{2}) +
				  header(eth, 0) + header(ipv4, 2),
			  16 + header_room) +
			    bytes(int32_t{1}, int32_t{3}, uint16_t{1}, uint16_t{0}),
		    16 + header_room + 292),
	      2616);
constexpr size_t actions_at = 16 + header_room;
const std::vector<lie> flow_rule_lies{
	of_vsi(0),
	{8, 1, {1, 0xff}},
	{12, 4, {0, 1, 3, 33, INT32_MAX, 1u << 31, UINT32_MAX}},
	{16, 4, {0, 3, 24, 32, INT32_MAX, UINT32_MAX}},
	{16 + header_bytes, 4, {0, 1, 7, 24, 32, INT32_MAX, UINT32_MAX}},
	{20 + header_bytes, 4, {0, 1u << 5, 1u << 31, UINT32_MAX}},
	{actions_at, 4, {0, 2, 9, INT32_MAX, 1u << 31, UINT32_MAX}},
	{actions_at + 4, 4, {1, 5, 6, 7, INT32_MAX, UINT32_MAX}},
	{actions_at + 8, 2, beyond(twin_pairs)},
};

const message one_queue = bytes(vsi, uint16_t{0}, uint32_t{1}, uint32_t{1});
const std::vector<lie> select_lies{
	of_vsi(0),
	{4, 4, {1u << twin_pairs, 1u << 15, 1u << 16, 1u << 31, UINT32_MAX}},
	{8, 4, {1u << twin_pairs, 1u << 15, 1u << 16, 1u << 31, UINT32_MAX}},
	{4, 8, {0}},
};
const std::vector<lie> chunk_lies{
	of_vsi(0),
	{8, 4, {2, INT32_MAX, 1u << 31, UINT32_MAX}},
	{12, 2, beyond(twin_pairs)},
	{14, 2, {0, twin_pairs + 1, 0xffff}},
};
const std::vector<lie> map_lies{
	of_vsi(2),
	{4, 2, beyond(twin_vectors)},
	{6, 2, {1u << twin_pairs, 0x8000, 0xffff}},
	{8, 2, {1u << twin_pairs, 0x8000, 0xffff}},
	{10, 2, {4, 0xffff}},
	{12, 2, {4, 0xffff}},
};
const std::vector<lie> queue_vector_lies{
	of_vsi(0),
	{8, 2, beyond(twin_pairs)},
	{10, 2, beyond(twin_vectors)},
	{16, 4, {4, INT32_MAX, 1u << 31, UINT32_MAX}},
	{20, 4, {2, INT32_MAX, 1u << 31, UINT32_MAX}},
};
const std::vector<lie> filter_lies{
	of_vsi(0),
	{8, 2, {0x2000}},          /* a priority of the inner tag */
	{10, 2, {1}},              /* its mask */
	{16, 2, {0x2001, 0xffff}}, /* of the outer */
	{18, 2, {1, 0xfff}},
	{20, 2, {0x0081, 0x0800, 0x8101, 0xffff}},
};

constexpr uint32_t only_vlan = iavf::vc_cap::offload_vlan;

std::vector<twin>
queue_twins()
{
	return {
		{.op = op::config_tx_queue, .good = tx_ring(1), .lies = tx_lies(0)},
		{.op = op::config_rx_queue, .good = rx_ring(1), .lies = rx_lies(0)},
		{.op = op::config_vsi_queues,
		 .good = queue_pairs(1),
		 .lies = std::vector{of_vsi(0)} + tx_lies(8) + rx_lies(32),
		 .elements = {64, 2, queue_pairs, twin_pairs}},
		{.op = op::config_irq_map,
		 .good = vector_maps(1),
		 .lies = map_lies,
		 .elements = {12, 0, vector_maps, twin_vectors}},
		{.op = op::enable_queues,
		 .good = one_queue,
		 .lies = select_lies,
		 .before_queues = false},
		{.op = op::disable_queues,
		 .good = one_queue,
		 .lies = select_lies,
		 .after = op::enable_queues},
		{.op = op::get_stats, .good = one_queue, .lies = {of_vsi(0)}, .changes = false},
		/* Too many are a question. */
		{.op = op::request_queues,
		 .good = bytes(uint16_t{8}),
		 .lies = {{0, 2, {0}}, {0, 2, {twin_most_pairs + 1, 0xffff}, 0}},
		 .repeats = false},
		{.op = op::get_max_rss_qregion, .good = {}, .changes = false},
		{.op = op::enable_queues_v2,
		 .good = queue_chunks(2),
		 .lies = chunk_lies,
		 .elements = {8, 4, queue_chunks},
		 .before_queues = false},
		{.op = op::disable_queues_v2,
		 .good = queue_chunks(2),
		 .lies = chunk_lies,
		 .elements = {8, 4, queue_chunks},
		 .after = op::enable_queues_v2},
		{.op = op::map_queue_vector,
		 .good = queue_vectors(1),
		 .lies = queue_vector_lies,
		 .elements = {16, 2, queue_vectors}},
	};
}

std::vector<twin>
filter_twins()
{
	const message modes = bytes(vsi, uint16_t{3});

	return {
		{.op = op::add_eth_addr,
		 .good = addresses(1),
		 .lies = {of_vsi(0), {4, 6, {0}}},
		 .elements = {8, 2, addresses, iavf::max_mac_filters, no_memory}},
		{.op = op::del_eth_addr,
		 .good = addresses(1),
		 .lies = {of_vsi(0)},
		 .elements = {8, 2, addresses},
		 .after = op::add_eth_addr},
		{.op = op::config_promiscuous_mode, .good = modes, .lies = {of_vsi(0)}},
		/* The same rule again is refused by its own status; so is none. */
		{.op = op::add_fdir_filter, .good = flow_rule, .lies = flow_rule_lies},
		{.op = op::del_fdir_filter,
		 .good = bytes(vsi, uint16_t{0}, uint32_t{0}, uint32_t{0}),
		 .lies = {of_vsi(0), {4, 4, {1, 127, 128, 1u << 31, UINT32_MAX}}},
		 .after = op::add_fdir_filter,
		 .again = false},
	};
}

std::vector<twin>
vlan_twins()
{
	return {
		{.op = op::add_vlan,
		 .good = vlan_ids(1),
		 .lies = {of_vsi(0), {4, 2, beyond(4096)}},
		 .elements = {2, 2, vlan_ids},
		 .caps = only_vlan},
		{.op = op::del_vlan,
		 .good = vlan_ids(1),
		 .lies = {of_vsi(0), {4, 2, beyond(4096)}},
		 .elements = {2, 2, vlan_ids},
		 .after = op::add_vlan,
		 .caps = only_vlan},
		{.op = op::enable_vlan_stripping,
		 .good = {},
		 .after = op::disable_vlan_stripping,
		 .caps = only_vlan},
		{.op = op::disable_vlan_stripping, .good = {}, .caps = only_vlan},
		{.op = op::get_offload_vlan_v2_caps, .good = {}, .changes = false},
		{.op = op::add_vlan_v2,
		 .good = vlan_filters(1),
		 .lies = filter_lies,
		 .elements = {32, 2, vlan_filters}},
		{.op = op::del_vlan_v2,
		 .good = vlan_filters(1),
		 .lies = filter_lies,
		 .elements = {32, 2, vlan_filters},
		 .after = op::add_vlan_v2},
		{.op = op::enable_vlan_stripping_v2,
		 .good = vlan_setting,
		 .lies = vlan_setting_lies},
		{.op = op::disable_vlan_stripping_v2,
		 .good = vlan_setting,
		 .lies = vlan_setting_lies,
		 .after = op::enable_vlan_stripping_v2},
		{.op = op::enable_vlan_insertion_v2,
		 .good = vlan_setting,
		 .lies = vlan_setting_lies},
		{.op = op::disable_vlan_insertion_v2,
		 .good = vlan_setting,
		 .lies = vlan_setting_lies,
		 .changes = false},
	};
}

std::vector<twin>
other_twins()
{
	constexpr uint64_t tcp_of_ipv4 = uint64_t{1} << 33;
	std::vector<uint64_t> no_types;

	for (unsigned int bit = 0; bit < 64; bit++)
		if (bit < 29 || bit == 37 || bit == 38 || bit > 46)
			no_types.push_back(uint64_t{1} << bit);
	return {
		{.op = op::version,
		 .good = bytes(uint32_t{1}, uint32_t{1}),
		 .first = since::always},
		{.op = op::reset_vf, .good = {}, .repeats = false, .first = since::always},
		{.op = op::get_vf_resources,
		 .good = bytes(all_caps),
		 .changes = false,
		 .first = since::version},
		{.op = op::config_rss_hfunc,
		 .good = bytes(vsi, uint16_t{2}, uint32_t{0}),
		 .lies = {of_vsi(0)}},
		{.op = op::config_rss_key,
		 .good = rss_table(52),
		 .lies = {of_vsi(0)},
		 .elements = {1, 2, rss_table, 52}},
		{.op = op::config_rss_lut,
		 .good = rss_table(64),
		 .lies = {of_vsi(0), {4, 1, {twin_pairs, 0xff}}, {67, 1, {twin_pairs, 0xff}}},
		 .elements = {1, 2, rss_table, 64}},
		{.op = op::get_rss_hena_caps, .good = {}, .changes = false},
		{.op = op::set_rss_hena, .good = bytes(tcp_of_ipv4), .lies = {{0, 8, no_types}}},
		{.op = op::get_supported_rxdids, .good = {}, .changes = false},
		{.op = op::add_rss_cfg,
		 .good = rss_rule,
		 .lies = rss_rule_lies + std::vector<lie>{{12, 4, {0, 1u << 4}}}},
		{.op = op::del_rss_cfg,
		 .good = rss_rule,
		 .lies = rss_rule_lies,
		 .after = op::add_rss_cfg},
	};
}

} // namespace

const std::vector<twin> &
twins()
{
	static const std::vector<twin> all = [] {
		std::vector<twin> out;

		for (auto part : {queue_twins(), filter_twins(), vlan_twins(), other_twins()})
			out.insert(out.end(), part.begin(), part.end());
		return out;
	}();
	return all;
}

} // namespace test
