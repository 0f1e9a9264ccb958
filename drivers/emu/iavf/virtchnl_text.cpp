/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtchnl_text.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <span>

/* The fields of the bodies of virtchnl messages: one row each. */

namespace iavf {

namespace {

/** How a field is written. */
enum class as : uint8_t {
	number,
	negative, /**< Signed. */
	bits,
	bytes,
};

/** A field, at most 8 bytes but for bytes. */
struct field {
	const char *name;
	uint16_t at;
	uint16_t size;
	as how;
};
#define FIELD(type, name, how)                                                                     \
	{                                                                                          \
#name, offsetof(type, name), sizeof(type::name), as::how                           \
	}

/** Elements in a body, each of some fields. */
struct list {
	const char *name = nullptr;
	uint16_t at = 0;
	uint16_t element = 0;    /**< Bytes. */
	uint16_t count_at = 0;   /**< Where their number stands. */
	uint16_t count_size = 2; /**< 0: as many as there are. */
	std::span<const field> fields = {};
};

/** A body: fields, and what is listed. */
struct layout {
	vc_speaker from;
	uint32_t op;
	std::span<const field> fields;
	list lists[2] = {};
};

constexpr field version_fields[] = {
	FIELD(vc_version_info, major, number),
	FIELD(vc_version_info, minor, number),
};
constexpr field wanted_fields[] = {{"vf_cap_flags", 0, 4, as::bits}};
constexpr field resource_fields[] = {
	FIELD(vc_vf_resource, num_vsis, number),     FIELD(vc_vf_resource, num_queue_pairs, number),
	FIELD(vc_vf_resource, max_vectors, number),  FIELD(vc_vf_resource, max_mtu, number),
	FIELD(vc_vf_resource, vf_cap_flags, bits),   FIELD(vc_vf_resource, rss_key_size, number),
	FIELD(vc_vf_resource, rss_lut_size, number),
};
constexpr field vsi_fields[] = {
	FIELD(vc_vsi_resource, vsi_id, number),
	FIELD(vc_vsi_resource, num_queue_pairs, number),
	FIELD(vc_vsi_resource, vsi_type, negative),
	FIELD(vc_vsi_resource, default_mac_addr, bytes),
};
constexpr field txq_fields[] = {
	FIELD(vc_txq_info, vsi_id, number),
	FIELD(vc_txq_info, queue_id, number),
	FIELD(vc_txq_info, ring_len, number),
	FIELD(vc_txq_info, dma_ring_addr, bits),
};
constexpr field rxq_fields[] = {
	FIELD(vc_rxq_info, vsi_id, number),          FIELD(vc_rxq_info, queue_id, number),
	FIELD(vc_rxq_info, ring_len, number),        FIELD(vc_rxq_info, splithdr_enabled, number),
	FIELD(vc_rxq_info, databuffer_size, number), FIELD(vc_rxq_info, max_pkt_size, number),
	FIELD(vc_rxq_info, crc_disable, number),     FIELD(vc_rxq_info, rxdid, number),
	FIELD(vc_rxq_info, dma_ring_addr, bits),
};
constexpr field pairs_fields[] = {
	FIELD(vc_vsi_queue_config_info, vsi_id, number),
	FIELD(vc_vsi_queue_config_info, num_queue_pairs, number),
};
constexpr field pair_fields[] = {
	FIELD(vc_queue_pair_info, txq.queue_id, number),
	FIELD(vc_queue_pair_info, txq.ring_len, number),
	FIELD(vc_queue_pair_info, txq.dma_ring_addr, bits),
	FIELD(vc_queue_pair_info, rxq.queue_id, number),
	FIELD(vc_queue_pair_info, rxq.ring_len, number),
	FIELD(vc_queue_pair_info, rxq.databuffer_size, number),
	FIELD(vc_queue_pair_info, rxq.max_pkt_size, number),
	FIELD(vc_queue_pair_info, rxq.rxdid, number),
	FIELD(vc_queue_pair_info, rxq.dma_ring_addr, bits),
};
constexpr field irq_map_fields[] = {FIELD(vc_irq_map_info, num_vectors, number)};
constexpr field vector_fields[] = {
	FIELD(vc_vector_map, vector_id, number), FIELD(vc_vector_map, rxq_map, bits),
	FIELD(vc_vector_map, txq_map, bits),     FIELD(vc_vector_map, rxitr_idx, number),
	FIELD(vc_vector_map, txitr_idx, number),
};
constexpr field select_fields[] = {
	FIELD(vc_queue_select, vsi_id, number),
	FIELD(vc_queue_select, rx_queues, bits),
	FIELD(vc_queue_select, tx_queues, bits),
};
constexpr field macs_fields[] = {
	FIELD(vc_ether_addr_list, vsi_id, number),
	FIELD(vc_ether_addr_list, num_elements, number),
};
constexpr field mac_fields[] = {
	FIELD(vc_ether_addr, addr, bytes),
	FIELD(vc_ether_addr, type, number),
};
constexpr field vlans_fields[] = {
	FIELD(vc_vlan_list, vsi_id, number),
	FIELD(vc_vlan_list, num_elements, number),
};
constexpr field vlan_fields[] = {{"id", 0, 2, as::number}};
constexpr field promiscuous_fields[] = {
	FIELD(vc_promisc_info, vsi_id, number),
	FIELD(vc_promisc_info, flags, bits),
};
constexpr field stats_fields[] = {
	FIELD(vc_eth_stats, rx_bytes, number),     FIELD(vc_eth_stats, rx_unicast, number),
	FIELD(vc_eth_stats, rx_multicast, number), FIELD(vc_eth_stats, rx_broadcast, number),
	FIELD(vc_eth_stats, rx_discards, number),  FIELD(vc_eth_stats, tx_bytes, number),
	FIELD(vc_eth_stats, tx_unicast, number),   FIELD(vc_eth_stats, tx_multicast, number),
	FIELD(vc_eth_stats, tx_broadcast, number), FIELD(vc_eth_stats, tx_errors, number),
};
constexpr field event_fields[] = {
	FIELD(vc_pf_event, event, number),
	FIELD(vc_pf_event, link_speed, number),
	FIELD(vc_pf_event, link_status, number),
	FIELD(vc_pf_event, severity, number),
};
constexpr field hfunc_fields[] = {
	FIELD(vc_rss_hfunc, vsi_id, number),
	FIELD(vc_rss_hfunc, rss_algorithm, number),
};
constexpr field rss_table_fields[] = {
	FIELD(vc_rss_table, vsi_id, number),
	FIELD(vc_rss_table, length, number),
};
constexpr field byte_fields[] = {{"", 0, 1, as::bytes}};
constexpr field hena_fields[] = {FIELD(vc_rss_hena, types, bits)};
constexpr field rxdid_fields[] = {FIELD(vc_supported_rxdids, bitmap, bits)};
constexpr field request_fields[] = {FIELD(vc_vf_res_request, num_queue_pairs, number)};
constexpr field rss_cfg_fields[] = {
	FIELD(vc_rss_cfg, tunnel_level, number),
	FIELD(vc_rss_cfg, count, negative),
	FIELD(vc_rss_cfg, rss_algorithm, negative),
};
constexpr field header_fields[] = {
	FIELD(vc_proto_hdr, type, negative),
	FIELD(vc_proto_hdr, field_selector, bits),
};
constexpr field rule_fields[] = {
	FIELD(vc_fdir_add, vsi_id, number),
	FIELD(vc_fdir_add, validate_only, number),
	FIELD(vc_fdir_add, flow_id, number),
	FIELD(vc_fdir_add, pattern.tunnel_level, number),
	FIELD(vc_fdir_add, pattern.count, negative),
	FIELD(vc_fdir_add, actions.count, negative),
	FIELD(vc_fdir_add, status, negative),
};
constexpr field rule_header_fields[] = {
	FIELD(vc_proto_hdr, type, negative),
	FIELD(vc_proto_hdr, field_selector, bits),
	FIELD(vc_proto_hdr, buffer, bytes),
};
constexpr field action_fields[] = {
	FIELD(vc_action, type, negative),
	{"detail", offsetof(vc_action, detail), 4, as::bytes},
};
constexpr field rule_id_fields[] = {
	FIELD(vc_fdir_del, vsi_id, number),
	FIELD(vc_fdir_del, flow_id, number),
	FIELD(vc_fdir_del, status, negative),
};
constexpr field region_fields[] = {FIELD(vc_max_rss_qregion, qregion_width, number)};
constexpr field vlan_caps_fields[] = {
	FIELD(vc_vlan_caps, filtering.outer, bits), FIELD(vc_vlan_caps, filtering.inner, bits),
	FIELD(vc_vlan_caps, filtering_init, bits),  FIELD(vc_vlan_caps, max_filters, number),
	FIELD(vc_vlan_caps, stripping.outer, bits), FIELD(vc_vlan_caps, stripping.inner, bits),
	FIELD(vc_vlan_caps, insertion.outer, bits), FIELD(vc_vlan_caps, insertion.inner, bits),
	FIELD(vc_vlan_caps, offload_init, bits),
};
constexpr field vlan_filters_fields[] = {
	FIELD(vc_vlan_filter_list, vport_id, number),
	FIELD(vc_vlan_filter_list, num_elements, number),
};
constexpr field vlan_filter_fields[] = {
	FIELD(vc_vlan_filter, outer.tpid, bits),
	FIELD(vc_vlan_filter, outer.tci, number),
	FIELD(vc_vlan_filter, inner.tpid, bits),
	FIELD(vc_vlan_filter, inner.tci, number),
};
constexpr field vlan_setting_fields[] = {
	FIELD(vc_vlan_setting, outer_ethertype, bits),
	FIELD(vc_vlan_setting, inner_ethertype, bits),
	FIELD(vc_vlan_setting, vport_id, number),
};
constexpr field chunks_fields[] = {
	FIELD(vc_queue_chunks, vport_id, number),
	FIELD(vc_queue_chunks, num_chunks, number),
};
constexpr field chunk_fields[] = {
	FIELD(vc_queue_chunk, type, negative),
	FIELD(vc_queue_chunk, start_queue_id, number),
	FIELD(vc_queue_chunk, num_queues, number),
};
constexpr field queue_vectors_fields[] = {
	FIELD(vc_queue_vector_maps, vport_id, number),
	FIELD(vc_queue_vector_maps, num_qv_maps, number),
};
constexpr field queue_vector_fields[] = {
	FIELD(vc_queue_vector, queue_id, number),
	FIELD(vc_queue_vector, vector_id, number),
	FIELD(vc_queue_vector, itr_idx, negative),
	FIELD(vc_queue_vector, queue_type, negative),
};

/** The list of an operation as its row in vc_ops has it. */
consteval list
listed(uint32_t op, const char *name, std::span<const field> fields)
{
	const vc_format &format = vc_find_op(op).format;

	return {name, format.length, format.element, format.count_at, 2, fields};
}

constexpr auto driver = vc_speaker::driver, device_ = vc_speaker::device;
constexpr list macs = listed(vc_op::add_eth_addr, "mac", mac_fields);
constexpr list vlans = listed(vc_op::add_vlan, "vlan", vlan_fields);
constexpr list vlan_filters = listed(vc_op::add_vlan_v2, "vlan", vlan_filter_fields);
constexpr list chunks = listed(vc_op::enable_queues_v2, "chunk", chunk_fields);
constexpr list rss_headers{"header",
			   offsetof(vc_rss_cfg, headers),
			   sizeof(vc_proto_hdr),
			   offsetof(vc_rss_cfg, count),
			   4,
			   header_fields};
constexpr list rule_headers{"header",
			    offsetof(vc_fdir_add, pattern.content),
			    sizeof(vc_proto_hdr),
			    offsetof(vc_fdir_add, pattern.count),
			    4,
			    rule_header_fields};
constexpr list actions{"action",
		       offsetof(vc_fdir_add, actions.actions),
		       sizeof(vc_action),
		       offsetof(vc_fdir_add, actions.count),
		       4,
		       action_fields};

constexpr layout layouts[] = {
	{driver, vc_op::version, version_fields},
	{device_, vc_op::version, version_fields},
	{driver, vc_op::get_vf_resources, wanted_fields},
	{device_,
	 vc_op::get_vf_resources,
	 resource_fields,
	 {{"vsi", sizeof(vc_vf_resource), sizeof(vc_vsi_resource), 0, 2, vsi_fields}}},
	{driver, vc_op::config_tx_queue, txq_fields},
	{driver, vc_op::config_rx_queue, rxq_fields},
	{driver,
	 vc_op::config_vsi_queues,
	 pairs_fields,
	 {listed(vc_op::config_vsi_queues, "pair", pair_fields)}},
	{driver,
	 vc_op::config_irq_map,
	 irq_map_fields,
	 {listed(vc_op::config_irq_map, "vector", vector_fields)}},
	{driver, vc_op::enable_queues, select_fields},
	{driver, vc_op::disable_queues, select_fields},
	{driver, vc_op::add_eth_addr, macs_fields, {macs}},
	{driver, vc_op::del_eth_addr, macs_fields, {macs}},
	{driver, vc_op::add_vlan, vlans_fields, {vlans}},
	{driver, vc_op::del_vlan, vlans_fields, {vlans}},
	{driver, vc_op::config_promiscuous_mode, promiscuous_fields},
	{driver, vc_op::get_stats, select_fields},
	{device_, vc_op::get_stats, stats_fields},
	{device_, vc_op::event, event_fields},
	{driver, vc_op::config_rss_hfunc, hfunc_fields},
	{driver,
	 vc_op::config_rss_key,
	 rss_table_fields,
	 {listed(vc_op::config_rss_key, nullptr, byte_fields)}},
	{driver,
	 vc_op::config_rss_lut,
	 rss_table_fields,
	 {listed(vc_op::config_rss_lut, nullptr, byte_fields)}},
	{device_, vc_op::get_rss_hena_caps, hena_fields},
	{driver, vc_op::set_rss_hena, hena_fields},
	{driver, vc_op::request_queues, request_fields},
	{device_, vc_op::request_queues, request_fields},
	{device_, vc_op::get_supported_rxdids, rxdid_fields},
	{driver, vc_op::add_rss_cfg, rss_cfg_fields, {rss_headers}},
	{driver, vc_op::del_rss_cfg, rss_cfg_fields, {rss_headers}},
	{driver, vc_op::add_fdir_filter, rule_fields, {rule_headers, actions}},
	{device_, vc_op::add_fdir_filter, rule_fields},
	{driver, vc_op::del_fdir_filter, rule_id_fields},
	{device_, vc_op::del_fdir_filter, rule_id_fields},
	{device_, vc_op::get_max_rss_qregion, region_fields},
	{device_, vc_op::get_offload_vlan_v2_caps, vlan_caps_fields},
	{driver, vc_op::add_vlan_v2, vlan_filters_fields, {vlan_filters}},
	{driver, vc_op::del_vlan_v2, vlan_filters_fields, {vlan_filters}},
	{driver, vc_op::enable_vlan_stripping_v2, vlan_setting_fields},
	{driver, vc_op::disable_vlan_stripping_v2, vlan_setting_fields},
	{driver, vc_op::enable_vlan_insertion_v2, vlan_setting_fields},
	{driver, vc_op::disable_vlan_insertion_v2, vlan_setting_fields},
	{driver, vc_op::enable_queues_v2, chunks_fields, {chunks}},
	{driver, vc_op::disable_queues_v2, chunks_fields, {chunks}},
	{driver,
	 vc_op::map_queue_vector,
	 queue_vectors_fields,
	 {listed(vc_op::map_queue_vector, "map", queue_vector_fields)}},
};

/** Characters of a body in the log; what is longer ends in dots. */
constexpr size_t longest_text = 4000;

uint64_t
number_at(guard::bytes from, size_t at, size_t size)
{
	uint64_t out = 0;

	if (guard::contains(0, from.size(), at, size))
		std::memcpy(&out, from.data() + at, std::min(size, sizeof(out)));
	return out;
}

void
add_bytes(std::string &out, guard::bytes bytes)
{
	char text[3];

	for (std::byte one : bytes) {
		snprintf(text, sizeof(text), "%02x", static_cast<unsigned int>(one));
		out.append(text);
	}
}

void
add_number(std::string &out, const field &what, uint64_t value)
{
	char text[24];

	if (what.how == as::negative)
		snprintf(text, sizeof(text), "%d", static_cast<int32_t>(value));
	else
		snprintf(text, sizeof(text), what.how == as::bits ? "%#" PRIx64 : "%" PRIu64,
			 value);
	out.append(text);
}

/** Those that are there. */
void
add_fields(std::string &out, std::span<const field> fields, guard::bytes from)
{
	for (const field &one : fields) {
		if (!guard::contains(0, from.size(), one.at, one.size))
			continue;
		if (one.name[0] != '\0')
			out.append(out.empty() ? "" : " ").append(one.name).append("=");
		if (one.how == as::bytes)
			add_bytes(out, from.subspan(one.at, one.size));
		else
			add_number(out, one, number_at(from, one.at, one.size));
	}
}

/** As many as are counted, and fit. */
void
add_list(std::string &out, const list &what, guard::bytes from)
{
	if (what.element == 0)
		return;
	const uint64_t count = number_at(from, what.count_at, what.count_size);

	if (what.name == nullptr)
		out.append(" ");
	for (uint64_t i = 0; i < count && out.size() < longest_text; i++) {
		const size_t at = what.at + i * what.element;
		if (!guard::contains(0, from.size(), at, what.element))
			return;
		if (what.name != nullptr)
			out.append(" ").append(what.name).append(":");
		add_fields(out, what.fields, from.subspan(at, what.element));
	}
}

} // namespace

std::string
vc_text(vc_speaker from, uint32_t op, guard::bytes body)
{
	const layout *found = std::ranges::find_if(
		layouts, [=](const layout &one) { return one.from == from && one.op == op; });
	std::string out;

	if (found == std::end(layouts)) {
		add_bytes(out, body.first(std::min(body.size(), longest_text / 2)));
	} else {
		add_fields(out, found->fields, body);
		for (const list &one : found->lists)
			add_list(out, one, body);
	}
	if (out.size() > longest_text)
		out.replace(longest_text, std::string::npos, " ...");
	return out;
}

} // namespace iavf
