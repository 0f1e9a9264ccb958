/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include <bytes.hpp>

#include "virtchnl_fdir.hpp"
#include "virtchnl_headers.hpp"

/**
 * virtchnl: what a virtual function's driver and the physical function say to each other.
 *
 * Source: [AVF HAS], section on the virtual channel protocol. Structures with a trailing array are
 * given without it: a header, and elements that follow.
 */
namespace iavf {

/** Version we speak: 1.1, the first with capability flags. */
constexpr uint32_t virtchnl_major = 1;
constexpr uint32_t virtchnl_minor = 1;

/** v_retval of a reply. */
enum class vc_status : int32_t {
	success = 0,
	err_param = -5,
	err_no_memory = -18,
	err_opcode_mismatch = -38,
	err_cqp_compl_error = -39,
	err_invalid_vf_id = -40,
	err_admin_queue_error = -53,
	err_not_supported = -64,
};

/** Operations; the rest of their names are in vc_ops below. */
namespace vc_op {
constexpr uint32_t version = 1;
constexpr uint32_t reset_vf = 2;
constexpr uint32_t get_vf_resources = 3;
constexpr uint32_t config_tx_queue = 4;
constexpr uint32_t config_rx_queue = 5;
constexpr uint32_t config_vsi_queues = 6;
constexpr uint32_t config_irq_map = 7;
constexpr uint32_t enable_queues = 8;
constexpr uint32_t disable_queues = 9;
constexpr uint32_t add_eth_addr = 10;
constexpr uint32_t del_eth_addr = 11;
constexpr uint32_t add_vlan = 12;
constexpr uint32_t del_vlan = 13;
constexpr uint32_t config_promiscuous_mode = 14;
constexpr uint32_t get_stats = 15;
constexpr uint32_t event = 17;
constexpr uint32_t config_rss_hfunc = 18;
constexpr uint32_t config_rss_key = 23;
constexpr uint32_t config_rss_lut = 24;
constexpr uint32_t get_rss_hena_caps = 25;
constexpr uint32_t set_rss_hena = 26;
constexpr uint32_t enable_vlan_stripping = 27;
constexpr uint32_t disable_vlan_stripping = 28;
constexpr uint32_t request_queues = 29;
constexpr uint32_t get_supported_rxdids = 44;
constexpr uint32_t add_rss_cfg = 45;
constexpr uint32_t del_rss_cfg = 46;
constexpr uint32_t add_fdir_filter = 47;
constexpr uint32_t del_fdir_filter = 48;
constexpr uint32_t get_max_rss_qregion = 50;
constexpr uint32_t get_offload_vlan_v2_caps = 51;
constexpr uint32_t add_vlan_v2 = 52;
constexpr uint32_t del_vlan_v2 = 53;
constexpr uint32_t enable_vlan_stripping_v2 = 54;
constexpr uint32_t disable_vlan_stripping_v2 = 55;
constexpr uint32_t enable_vlan_insertion_v2 = 56;
constexpr uint32_t disable_vlan_insertion_v2 = 57;
constexpr uint32_t enable_queues_v2 = 107;
constexpr uint32_t disable_queues_v2 = 108;
constexpr uint32_t map_queue_vector = 111;
} // namespace vc_op

/** vf_cap_flags. */
namespace vc_cap {
constexpr uint32_t offload_l2 = 1u << 0;
constexpr uint32_t offload_rss_reg = 1u << 4;
constexpr uint32_t offload_wb_on_itr = 1u << 5;
constexpr uint32_t req_queues = 1u << 6; /**< Another number of queues may be asked for. */
constexpr uint32_t adv_link_speed = 1u << 7;
constexpr uint32_t large_num_qpairs = 1u << 9; /**< More than 16 of them. */
constexpr uint32_t offload_vlan_v2 = 1u << 15;
constexpr uint32_t offload_vlan = 1u << 16;
constexpr uint32_t offload_rss_pf = 1u << 19;
constexpr uint32_t offload_encap = 1u << 20;      /**< TSO and checksums in tunnels. */
constexpr uint32_t offload_encap_csum = 1u << 21; /**< Also those of outer UDP headers. */
constexpr uint32_t offload_uso = 1u << 25;        /**< Segmentation of UDP. */
constexpr uint32_t offload_rx_flex_desc = 1u << 26;
constexpr uint32_t offload_adv_rss_pf = 1u << 27; /**< What is hashed of which packets. */
constexpr uint32_t offload_fdir_pf = 1u << 28;    /**< Rules of the flow director. */
} // namespace vc_cap

/** Codes of VIRTCHNL_OP_EVENT. */
enum class vc_event : int32_t {
	link_change = 1,
	reset_impending = 2,
	pf_driver_close = 3,
};

/** Severities of VIRTCHNL_OP_EVENT. */
enum class vc_severity : int32_t {
	info = 0,
	certain_doom = 255,
};

/** The only type of virtual station interface: SR-IOV. */
constexpr int32_t vc_vsi_sriov = 6;

/** Reply to VIRTCHNL_OP_GET_SUPPORTED_RXDIDS. */
struct vc_supported_rxdids {
	uint64_t bitmap; /**< Bit n: RXDID n. */
};
static_assert(sizeof(vc_supported_rxdids) == 8);

/** VIRTCHNL_OP_VERSION, both ways. */
struct vc_version_info {
	uint32_t major;
	uint32_t minor;
};
static_assert(sizeof(vc_version_info) == 8);

/** Element of the reply to VIRTCHNL_OP_GET_VF_RESOURCES. */
struct vc_vsi_resource {
	uint16_t vsi_id;
	uint16_t num_queue_pairs;
	int32_t vsi_type;
	uint16_t qset_handle;
	uint8_t default_mac_addr[6];
};
static_assert(sizeof(vc_vsi_resource) == 16);

/** Header of the reply to VIRTCHNL_OP_GET_VF_RESOURCES. */
struct vc_vf_resource {
	uint16_t num_vsis;
	uint16_t num_queue_pairs;
	uint16_t max_vectors;
	uint16_t max_mtu; /**< Physical functions put their largest frame here, and so do we. */
	uint32_t vf_cap_flags;
	uint32_t rss_key_size;
	uint32_t rss_lut_size;
};
static_assert(sizeof(vc_vf_resource) + sizeof(vc_vsi_resource) == 36);

/** VIRTCHNL_OP_CONFIG_TX_QUEUE. */
struct vc_txq_info {
	uint16_t vsi_id;
	uint16_t queue_id;
	uint16_t ring_len;
	uint16_t headwb_enabled;
	uint64_t dma_ring_addr;
	uint64_t dma_headwb_addr;
};
static_assert(sizeof(vc_txq_info) == 24);

/** VIRTCHNL_OP_CONFIG_RX_QUEUE. */
struct vc_rxq_info {
	uint16_t vsi_id;
	uint16_t queue_id;
	uint32_t ring_len;
	uint16_t hdr_size;
	uint16_t splithdr_enabled;
	uint32_t databuffer_size;
	uint32_t max_pkt_size;
	uint8_t crc_disable;
	uint8_t rxdid;
	uint8_t flags;
	uint8_t pad1;
	uint64_t dma_ring_addr;
	int32_t rx_split_pos;
	uint32_t pad2;
};
static_assert(sizeof(vc_rxq_info) == 40);

/** Element of VIRTCHNL_OP_CONFIG_VSI_QUEUES. */
struct vc_queue_pair_info {
	vc_txq_info txq;
	vc_rxq_info rxq;
};
static_assert(sizeof(vc_queue_pair_info) == 64);

/** Header of VIRTCHNL_OP_CONFIG_VSI_QUEUES. */
struct vc_vsi_queue_config_info {
	uint16_t vsi_id;
	uint16_t num_queue_pairs;
	uint32_t pad;
};
static_assert(sizeof(vc_vsi_queue_config_info) + sizeof(vc_queue_pair_info) == 72);

/** Element of VIRTCHNL_OP_CONFIG_IRQ_MAP. */
struct vc_vector_map {
	uint16_t vsi_id;
	uint16_t vector_id;
	uint16_t rxq_map;
	uint16_t txq_map;
	uint16_t rxitr_idx;
	uint16_t txitr_idx;
};
static_assert(sizeof(vc_vector_map) == 12);

/** Header of VIRTCHNL_OP_CONFIG_IRQ_MAP. */
struct vc_irq_map_info {
	uint16_t num_vectors;
};
static_assert(sizeof(vc_irq_map_info) + sizeof(vc_vector_map) == 14);

/** VIRTCHNL_OP_ENABLE_QUEUES, VIRTCHNL_OP_DISABLE_QUEUES, VIRTCHNL_OP_GET_STATS. */
struct vc_queue_select {
	uint16_t vsi_id;
	uint16_t pad;
	uint32_t rx_queues;
	uint32_t tx_queues;
};
static_assert(sizeof(vc_queue_select) == 12);

/** VIRTCHNL_OP_REQUEST_QUEUES, and the answer if it is not granted: how many there can be. */
struct vc_vf_res_request {
	uint16_t num_queue_pairs;
};
static_assert(sizeof(vc_vf_res_request) == 2);

/** Reply to VIRTCHNL_OP_GET_MAX_RSS_QREGION. */
struct vc_max_rss_qregion {
	uint16_t vport_id;
	uint16_t qregion_width; /**< RSS reaches the first 2 to the power of this queues. */
	uint8_t pad[4];
};
static_assert(sizeof(vc_max_rss_qregion) == 8);

/** Direction of a queue in the messages that follow. */
namespace vc_queue_type {
constexpr int32_t tx = 0;
constexpr int32_t rx = 1;
} // namespace vc_queue_type

/** Element of VIRTCHNL_OP_ENABLE_QUEUES_V2 and VIRTCHNL_OP_DISABLE_QUEUES_V2. */
struct vc_queue_chunk {
	int32_t type; /**< Of vc_queue_type. */
	uint16_t start_queue_id;
	uint16_t num_queues;
};
static_assert(sizeof(vc_queue_chunk) == 8);

/** Header of these. */
struct vc_queue_chunks {
	uint16_t vport_id;
	uint16_t pad;
	uint16_t num_chunks;
	uint16_t reserved;
};
static_assert(sizeof(vc_queue_chunks) + sizeof(vc_queue_chunk) == 16);

/** Element of VIRTCHNL_OP_MAP_QUEUE_VECTOR. */
struct vc_queue_vector {
	uint16_t queue_id;
	uint16_t vector_id;
	uint8_t pad[4];
	int32_t itr_idx;
	int32_t queue_type; /**< Of vc_queue_type. */
};
static_assert(sizeof(vc_queue_vector) == 16);

/** Header of VIRTCHNL_OP_MAP_QUEUE_VECTOR. */
struct vc_queue_vector_maps {
	uint16_t vport_id;
	uint16_t num_qv_maps;
	uint8_t pad[4];
};
static_assert(sizeof(vc_queue_vector_maps) + sizeof(vc_queue_vector) == 24);

/** Element of VIRTCHNL_OP_ADD_ETH_ADDR and VIRTCHNL_OP_DEL_ETH_ADDR. */
struct vc_ether_addr {
	uint8_t addr[6];
	uint8_t type;
	uint8_t pad;

	static constexpr uint8_t type_mask = 3;
	static constexpr uint8_t type_primary = 1;
};
static_assert(sizeof(vc_ether_addr) == 8);

/** Header of VIRTCHNL_OP_ADD_ETH_ADDR and VIRTCHNL_OP_DEL_ETH_ADDR. */
struct vc_ether_addr_list {
	uint16_t vsi_id;
	uint16_t num_elements;
};
static_assert(sizeof(vc_ether_addr_list) + sizeof(vc_ether_addr) == 12);

/** Header of VIRTCHNL_OP_ADD_VLAN and VIRTCHNL_OP_DEL_VLAN; the elements are ids of 16 bits. */
struct vc_vlan_list {
	uint16_t vsi_id;
	uint16_t num_elements;
};
static_assert(sizeof(vc_vlan_list) + sizeof(uint16_t) == 6);

/** What can be done with VLAN tags, and where they stand in descriptors; bits. */
namespace vc_vlan {
constexpr uint32_t ethertype_8100 = 1u << 0;
constexpr uint32_t ethertype_88a8 = 1u << 1;
constexpr uint32_t ethertype_9100 = 1u << 2;
constexpr uint32_t ethertypes = ethertype_8100 | ethertype_88a8 | ethertype_9100;
constexpr uint32_t l2tag1 = 1u << 8;
constexpr uint32_t l2tag2 = 1u << 9;
constexpr uint32_t l2tag2_2 = 1u << 10;
constexpr uint32_t ethertype_and = 1u << 29; /**< Several types at a time. */
constexpr uint32_t ethertype_xor = 1u << 30; /**< One type at a time. */
constexpr uint32_t toggle = 1u << 31;
constexpr uint16_t priority_mask = 0xe000; /**< Of the control information of a tag. */
constexpr uint16_t id_mask = 0xfff;
constexpr uint16_t max_id = 4095;
} // namespace vc_vlan

/** Bits of vc_vlan for each of two tags. */
struct vc_vlan_supported {
	uint32_t outer;
	uint32_t inner;
};

/** Reply to VIRTCHNL_OP_GET_OFFLOAD_VLAN_V2_CAPS. */
struct vc_vlan_caps {
	vc_vlan_supported filtering;
	uint32_t filtering_init; /**< Types of ethertypes that are filtered to begin with. */
	uint16_t max_filters;
	uint8_t pad[2];
	vc_vlan_supported stripping;
	vc_vlan_supported insertion;
	uint32_t offload_init;   /**< Type that is stripped and inserted to begin with. */
	uint8_t ethertype_match; /**< 0: stripping has the type of insertion. */
	uint8_t pad2[3];
};
static_assert(sizeof(vc_vlan_caps) == 40);

/** A tag in a filter. */
struct vc_vlan_tag {
	uint16_t tci;
	uint16_t tci_mask;
	uint16_t tpid; /**< As on the wire. */
	uint8_t pad[2];

	/** Else it is not meant. */
	bool is_set() const { return tci != 0 && tpid != 0; }
};
static_assert(sizeof(vc_vlan_tag) == 8);

/** Element of VIRTCHNL_OP_ADD_VLAN_V2 and VIRTCHNL_OP_DEL_VLAN_V2. */
struct vc_vlan_filter {
	vc_vlan_tag inner;
	vc_vlan_tag outer;
	uint8_t pad[16];
};
static_assert(sizeof(vc_vlan_filter) == 32);

/** Header of these. */
struct vc_vlan_filter_list {
	uint16_t vport_id;
	uint16_t num_elements;
	uint8_t pad[4];
};
static_assert(sizeof(vc_vlan_filter_list) + sizeof(vc_vlan_filter) == 40);

/** VIRTCHNL_OP_ENABLE_VLAN_STRIPPING_V2, VIRTCHNL_OP_ENABLE_VLAN_INSERTION_V2, and DISABLE. */
struct vc_vlan_setting {
	uint32_t outer_ethertype; /**< A bit of vc_vlan; 0: nothing changes. */
	uint32_t inner_ethertype;
	uint16_t vport_id;
	uint8_t pad[6];
};
static_assert(sizeof(vc_vlan_setting) == 16);

/** Header of VIRTCHNL_OP_CONFIG_RSS_KEY and VIRTCHNL_OP_CONFIG_RSS_LUT; bytes follow. */
struct vc_rss_table {
	uint16_t vsi_id;
	uint16_t length;
};
static_assert(sizeof(vc_rss_table) == 4);

/** VIRTCHNL_OP_SET_RSS_HENA, and the reply to VIRTCHNL_OP_GET_RSS_HENA_CAPS. */
struct vc_rss_hena {
	uint64_t types; /**< Bits of vc_pctype. */
};
static_assert(sizeof(vc_rss_hena) == 8);

/** Types of packets that are hashed, by their bit. */
namespace vc_pctype {
constexpr unsigned int unicast_ipv4_udp = 29, multicast_ipv4_udp = 30, ipv4_udp = 31;
constexpr unsigned int ipv4_tcp_syn = 32, ipv4_tcp = 33, ipv4_sctp = 34, ipv4_other = 35;
constexpr unsigned int ipv4_fragment = 36;
constexpr unsigned int unicast_ipv6_udp = 39, multicast_ipv6_udp = 40, ipv6_udp = 41;
constexpr unsigned int ipv6_tcp_syn = 42, ipv6_tcp = 43, ipv6_sctp = 44, ipv6_other = 45;
constexpr unsigned int ipv6_fragment = 46;
} // namespace vc_pctype

/** Values of rss_algorithm. */
enum class vc_rss_algorithm : int32_t {
	toeplitz = 0,
	exclusive_or = 1,
	symmetric_toeplitz = 2,
	symmetric_exclusive_or = 3,
};

/** VIRTCHNL_OP_CONFIG_RSS_HFUNC. */
struct vc_rss_hfunc {
	uint16_t vsi_id;
	uint16_t rss_algorithm;
	uint32_t reserved;
};
static_assert(sizeof(vc_rss_hfunc) == 8);

/** Bits of vc_proto_hdr::field_selector. */
namespace vc_field {
constexpr uint32_t eth_src = 1u << 0, eth_dst = 1u << 1;
constexpr uint32_t vlan_id = 1u << 0;
constexpr uint32_t ip_src = 1u << 0, ip_dst = 1u << 1;
constexpr uint32_t ip_protocol = 1u << 4;
constexpr uint32_t ipv6_prefix64_src = 1u << 13, ipv6_prefix64_dst = 1u << 14;
constexpr uint32_t port_src = 1u << 0, port_dst = 1u << 1;
constexpr uint32_t fragment_id = 1u << 0;
} // namespace vc_field

/** VIRTCHNL_OP_ADD_RSS_CFG, VIRTCHNL_OP_DEL_RSS_CFG. */
struct vc_rss_cfg {
	uint8_t tunnel_level; /**< Where the headers begin; 0: at the frame. */
	uint8_t pad[3];
	int32_t count; /**< 0: a pattern of bytes takes their place. */
	vc_proto_hdr headers[32];
	int32_t rss_algorithm;
	uint8_t reserved[128];
};
static_assert(sizeof(vc_rss_cfg) == 2444);

/** VIRTCHNL_OP_CONFIG_PROMISCUOUS_MODE. */
struct vc_promisc_info {
	uint16_t vsi_id;
	uint16_t flags;

	static constexpr uint16_t unicast = 1;
	static constexpr uint16_t multicast = 2;
};
static_assert(sizeof(vc_promisc_info) == 4);

/** Reply to VIRTCHNL_OP_GET_STATS. Directions are the guest's. */
struct vc_eth_stats {
	uint64_t rx_bytes;
	uint64_t rx_unicast;
	uint64_t rx_multicast;
	uint64_t rx_broadcast;
	uint64_t rx_discards;
	uint64_t rx_unknown_protocol;
	uint64_t tx_bytes;
	uint64_t tx_unicast;
	uint64_t tx_multicast;
	uint64_t tx_broadcast;
	uint64_t tx_discards;
	uint64_t tx_errors;
};
static_assert(sizeof(vc_eth_stats) == 96);

/** VIRTCHNL_OP_EVENT: a link change, or one without further data. */
struct vc_pf_event {
	int32_t event;
	uint32_t link_speed; /**< Mbit/s with adv_link_speed, else a bit of vc_link_speeds. */
	uint8_t link_status;
	uint8_t pad[3];
	int32_t severity;
};
static_assert(sizeof(vc_pf_event) == 16);

/** A link speed as drivers without adv_link_speed know it. */
struct vc_link_speed {
	uint32_t mbps;
	uint32_t code;
};
inline constexpr std::array vc_link_speeds{
	vc_link_speed{100, 1u << 1},   vc_link_speed{1000, 1u << 2},  vc_link_speed{2500, 1u << 0},
	vc_link_speed{5000, 1u << 7},  vc_link_speed{10000, 1u << 3}, vc_link_speed{20000, 1u << 5},
	vc_link_speed{25000, 1u << 6}, vc_link_speed{40000, 1u << 4},
};

/** The code of the fastest known speed that is not above @p mbps. */
constexpr uint32_t
vc_link_speed_code(uint32_t mbps)
{
	uint32_t code = 0;

	for (const vc_link_speed &speed : vc_link_speeds)
		if (speed.mbps <= mbps)
			code = speed.code;
	return code;
}
static_assert(vc_link_speed_code(100000) == 1u << 4 && vc_link_speed_code(10) == 0);

/**
 * A message's format. Either @p length bytes; or a header of @p length bytes with a 16-bit count at
 * @p count_at, and that many elements of @p element bytes.
 */
struct vc_format {
	uint16_t length;
	uint16_t element = 0;
	uint16_t count_at = 0;
	bool optional = false; /**< May also be empty. */
};

/** One operation: its number, its name in the specification, its format. */
struct vc_op_row {
	uint32_t number;
	std::string_view name;
	vc_format format = {};
	std::string_view unless = {}; /**< The capability without which no driver sends it. */
};

/** An operation that comes with a capability which we do not know. */
consteval vc_op_row
vc_op_of(std::string_view capability, uint32_t number, std::string_view name)
{
	return {number, name, {}, capability};
}

inline constexpr std::array vc_ops{
	vc_op_row{0, "UNKNOWN"},
	vc_op_row{vc_op::version, "VERSION", {sizeof(vc_version_info)}},
	vc_op_row{vc_op::reset_vf, "RESET_VF", {0}},
	vc_op_row{vc_op::get_vf_resources,
		  "GET_VF_RESOURCES",
		  {.length = sizeof(uint32_t), .optional = true}},
	vc_op_row{vc_op::config_tx_queue, "CONFIG_TX_QUEUE", {sizeof(vc_txq_info)}},
	vc_op_row{vc_op::config_rx_queue, "CONFIG_RX_QUEUE", {sizeof(vc_rxq_info)}},
	vc_op_row{vc_op::config_vsi_queues,
		  "CONFIG_VSI_QUEUES",
		  {sizeof(vc_vsi_queue_config_info), sizeof(vc_queue_pair_info),
		   offsetof(vc_vsi_queue_config_info, num_queue_pairs)}},
	vc_op_row{vc_op::config_irq_map,
		  "CONFIG_IRQ_MAP",
		  {sizeof(vc_irq_map_info), sizeof(vc_vector_map),
		   offsetof(vc_irq_map_info, num_vectors)}},
	vc_op_row{vc_op::enable_queues, "ENABLE_QUEUES", {sizeof(vc_queue_select)}},
	vc_op_row{vc_op::disable_queues, "DISABLE_QUEUES", {sizeof(vc_queue_select)}},
	vc_op_row{vc_op::add_eth_addr,
		  "ADD_ETH_ADDR",
		  {sizeof(vc_ether_addr_list), sizeof(vc_ether_addr),
		   offsetof(vc_ether_addr_list, num_elements)}},
	vc_op_row{vc_op::del_eth_addr,
		  "DEL_ETH_ADDR",
		  {sizeof(vc_ether_addr_list), sizeof(vc_ether_addr),
		   offsetof(vc_ether_addr_list, num_elements)}},
	vc_op_row{vc_op::add_vlan,
		  "ADD_VLAN",
		  {sizeof(vc_vlan_list), sizeof(uint16_t), offsetof(vc_vlan_list, num_elements)}},
	vc_op_row{vc_op::del_vlan,
		  "DEL_VLAN",
		  {sizeof(vc_vlan_list), sizeof(uint16_t), offsetof(vc_vlan_list, num_elements)}},
	vc_op_row{vc_op::config_promiscuous_mode,
		  "CONFIG_PROMISCUOUS_MODE",
		  {sizeof(vc_promisc_info)}},
	vc_op_row{vc_op::get_stats, "GET_STATS", {sizeof(vc_queue_select)}},
	vc_op_row{vc_op::event, "EVENT", {sizeof(vc_pf_event)}},
	vc_op_row{vc_op::config_rss_hfunc, "CONFIG_RSS_HFUNC", {sizeof(vc_rss_hfunc)}},
	vc_op_of("RDMA", 20, "RDMA"),
	vc_op_of("RDMA", 21, "CONFIG_RDMA_IRQ_MAP"),
	vc_op_of("RDMA", 22, "RELEASE_RDMA_IRQ_MAP"),
	vc_op_row{vc_op::config_rss_key,
		  "CONFIG_RSS_KEY",
		  {sizeof(vc_rss_table), 1, offsetof(vc_rss_table, length)}},
	vc_op_row{vc_op::config_rss_lut,
		  "CONFIG_RSS_LUT",
		  {sizeof(vc_rss_table), 1, offsetof(vc_rss_table, length)}},
	vc_op_row{vc_op::get_rss_hena_caps, "GET_RSS_HENA_CAPS", {0}},
	vc_op_row{vc_op::set_rss_hena, "SET_RSS_HENA", {sizeof(vc_rss_hena)}},
	vc_op_row{vc_op::enable_vlan_stripping, "ENABLE_VLAN_STRIPPING", {0}},
	vc_op_row{vc_op::disable_vlan_stripping, "DISABLE_VLAN_STRIPPING", {0}},
	vc_op_row{vc_op::request_queues, "REQUEST_QUEUES", {sizeof(vc_vf_res_request)}},
	vc_op_of("ADQ", 30, "ENABLE_CHANNELS"),
	vc_op_of("ADQ", 31, "DISABLE_CHANNELS"),
	vc_op_of("ADQ", 32, "ADD_CLOUD_FILTER"),
	vc_op_of("ADQ", 33, "DEL_CLOUD_FILTER"),
	vc_op_of("INLINE_IPSEC_CRYPTO", 34, "INLINE_IPSEC_CRYPTO"),
	vc_op_of("DCF", 37, "DCF_CONFIG_BW"),
	vc_op_of("DCF", 38, "DCF_VLAN_OFFLOAD"),
	vc_op_of("DCF", 39, "DCF_CMD_DESC"),
	vc_op_of("DCF", 40, "DCF_CMD_BUFF"),
	vc_op_of("DCF", 41, "DCF_DISABLE"),
	vc_op_of("DCF", 42, "DCF_GET_VSI_MAP"),
	vc_op_of("DCF", 43, "DCF_GET_PKG_INFO"),
	vc_op_row{vc_op::get_supported_rxdids, "GET_SUPPORTED_RXDIDS", {0}},
	vc_op_row{vc_op::add_rss_cfg, "ADD_RSS_CFG", {sizeof(vc_rss_cfg)}},
	vc_op_row{vc_op::del_rss_cfg, "DEL_RSS_CFG", {sizeof(vc_rss_cfg)}},
	vc_op_row{vc_op::add_fdir_filter, "ADD_FDIR_FILTER", {sizeof(vc_fdir_add)}},
	vc_op_row{vc_op::del_fdir_filter, "DEL_FDIR_FILTER", {sizeof(vc_fdir_del)}},
	vc_op_row{49, "QUERY_FDIR_FILTER"},
	vc_op_row{vc_op::get_max_rss_qregion, "GET_MAX_RSS_QREGION", {0}},
	vc_op_row{vc_op::get_offload_vlan_v2_caps, "GET_OFFLOAD_VLAN_V2_CAPS", {0}},
	vc_op_row{vc_op::add_vlan_v2,
		  "ADD_VLAN_V2",
		  {sizeof(vc_vlan_filter_list), sizeof(vc_vlan_filter),
		   offsetof(vc_vlan_filter_list, num_elements)}},
	vc_op_row{vc_op::del_vlan_v2,
		  "DEL_VLAN_V2",
		  {sizeof(vc_vlan_filter_list), sizeof(vc_vlan_filter),
		   offsetof(vc_vlan_filter_list, num_elements)}},
	vc_op_row{vc_op::enable_vlan_stripping_v2,
		  "ENABLE_VLAN_STRIPPING_V2",
		  {sizeof(vc_vlan_setting)}},
	vc_op_row{vc_op::disable_vlan_stripping_v2,
		  "DISABLE_VLAN_STRIPPING_V2",
		  {sizeof(vc_vlan_setting)}},
	vc_op_row{vc_op::enable_vlan_insertion_v2,
		  "ENABLE_VLAN_INSERTION_V2",
		  {sizeof(vc_vlan_setting)}},
	vc_op_row{vc_op::disable_vlan_insertion_v2,
		  "DISABLE_VLAN_INSERTION_V2",
		  {sizeof(vc_vlan_setting)}},
	vc_op_row{58, "ENABLE_VLAN_FILTERING_V2"},
	vc_op_row{59, "DISABLE_VLAN_FILTERING_V2"},
	vc_op_of("PTP", 60, "1588_PTP_GET_CAPS"),
	vc_op_of("PTP", 61, "1588_PTP_GET_TIME"),
	vc_op_of("PTP", 62, "1588_PTP_SET_TIME"),
	vc_op_of("PTP", 63, "1588_PTP_ADJ_TIME"),
	vc_op_of("PTP", 64, "1588_PTP_ADJ_FREQ"),
	vc_op_of("PTP", 65, "1588_PTP_TX_TIMESTAMP"),
	vc_op_of("QOS", 66, "GET_QOS_CAPS"),
	vc_op_of("QOS", 67, "CONFIG_QUEUE_TC_MAP"),
	vc_op_row{vc_op::enable_queues_v2,
		  "ENABLE_QUEUES_V2",
		  {sizeof(vc_queue_chunks), sizeof(vc_queue_chunk),
		   offsetof(vc_queue_chunks, num_chunks)}},
	vc_op_row{vc_op::disable_queues_v2,
		  "DISABLE_QUEUES_V2",
		  {sizeof(vc_queue_chunks), sizeof(vc_queue_chunk),
		   offsetof(vc_queue_chunks, num_chunks)}},
	vc_op_row{vc_op::map_queue_vector,
		  "MAP_QUEUE_VECTOR",
		  {sizeof(vc_queue_vector_maps), sizeof(vc_queue_vector),
		   offsetof(vc_queue_vector_maps, num_qv_maps)}},
	vc_op_of("QOS", 112, "CONFIG_QUEUE_BW"),
	vc_op_of("QOS", 113, "CONFIG_QUANTA"),
	vc_op_of("FSUB_PF", 114, "FLOW_SUBSCRIBE"),
	vc_op_of("FSUB_PF", 115, "FLOW_UNSUBSCRIBE"),
	vc_op_of("PTP", 116, "SYNCE_GET_PHY_REC_CLK_OUT"),
	vc_op_of("PTP", 117, "SYNCE_SET_PHY_REC_CLK_OUT"),
	vc_op_of("PTP", 118, "SYNCE_GET_CGU_REF_PRIO"),
	vc_op_of("PTP", 119, "SYNCE_SET_CGU_REF_PRIO"),
	vc_op_of("PTP", 120, "SYNCE_GET_INPUT_PIN_CFG"),
	vc_op_of("PTP", 121, "SYNCE_SET_INPUT_PIN_CFG"),
	vc_op_of("PTP", 122, "SYNCE_GET_OUTPUT_PIN_CFG"),
	vc_op_of("PTP", 123, "SYNCE_SET_OUTPUT_PIN_CFG"),
	vc_op_of("PTP", 124, "SYNCE_GET_CGU_ABILITIES"),
	vc_op_of("PTP", 125, "SYNCE_GET_CGU_DPLL_STATUS"),
	vc_op_of("PTP", 126, "SYNCE_SET_CGU_DPLL_CONFIG"),
	vc_op_of("PTP", 127, "SYNCE_GET_CGU_INFO"),
	vc_op_of("PTP", 128, "SYNCE_GET_HW_INFO"),
	vc_op_of("PTP", 129, "GNSS_READ_I2C"),
	vc_op_of("PTP", 130, "GNSS_WRITE_I2C"),
	vc_op_of("QOS", 131, "HQOS_TREE_READ"),
	vc_op_of("QOS", 132, "HQOS_ELEMS_ADD"),
	vc_op_of("QOS", 133, "HQOS_ELEMS_DEL"),
	vc_op_of("QOS", 134, "HQOS_ELEMS_MOVE"),
	vc_op_of("QOS", 135, "HQOS_ELEMS_CONF"),
};
static_assert(std::ranges::is_sorted(vc_ops, {}, &vc_op_row::number) &&
	      std::ranges::adjacent_find(vc_ops, {}, &vc_op_row::number) == vc_ops.end());

/** The row of an operation; that of UNKNOWN if there is none. */
constexpr const vc_op_row &
vc_find_op(uint32_t number)
{
	for (const vc_op_row &row : vc_ops)
		if (row.number == number)
			return row;
	return vc_ops[0];
}

/**
 * Whether @p message has the format's length. Drivers built with the array-of-one declarations of
 * the protocol's header send one element more than they count, newer ones do not: both are right.
 */
inline bool
vc_length_fits(const vc_format &format, guard::bytes message)
{
	if (format.element == 0)
		return message.size() == format.length || (format.optional && message.empty());
	guard::result<uint16_t> count = guard::load<uint16_t>(message, format.count_at);
	if (!count || *count == 0)
		return false;
	size_t exact = format.length + size_t{*count} * format.element;
	return message.size() >= exact && message.size() - exact <= format.element;
}

} // namespace iavf
