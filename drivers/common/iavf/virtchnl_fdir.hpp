/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>
#include <cstdint>

#include <bytes.hpp>

#include "virtchnl_headers.hpp"

/**
 * virtchnl: rules of the flow director.
 *
 * Source: [AVF HAS], section on the flow director. A pattern is a list of headers with the bytes
 * that they are to have, and a bit for each field that counts; or raw bytes with a mask.
 */
namespace iavf {

/** What frames a rule is for. */
struct vc_pattern {
	static constexpr int32_t max_headers = 32;
	static constexpr size_t max_raw = 1024;

	uint8_t tunnel_level; /**< From where in a tunnel on the headers count. */
	uint8_t pad[3];
	int32_t count; /**< Of headers; 0: the pattern is raw. */
	/** The headers; or a length of 16 bits, and behind it max_raw bytes and max_raw of mask. */
	std::byte content[max_headers * sizeof(vc_proto_hdr)];
};
static_assert(sizeof(vc_pattern) == 2312);

/** Types of actions. */
enum class vc_action_type : int32_t {
	drop = 0,
	passthru = 2,
	queue = 3,
	queue_region = 4,
	mark = 5,
	count = 6,
};

/** Queues of an action. */
struct vc_action_queue {
	uint16_t index;
	uint8_t region; /**< Of several queues: binary logarithm of their number. */
	uint8_t pad;
};

/** An action of a rule. */
struct vc_action {
	int32_t type;
	std::byte detail[32]; /**< vc_action_queue, or a mark of 32 bits. */
};
static_assert(sizeof(vc_action) == 36);

/** The actions of a rule. */
struct vc_action_set {
	static constexpr int32_t max = 8;

	int32_t count;
	vc_action actions[max];
};
static_assert(sizeof(vc_action_set) == 292);

/** What became of a rule. */
enum class vc_fdir_status : int32_t {
	success = 0,
	no_resource = 1,
	exists = 2,
	conflict = 3,
	does_not_exist = 4,
	invalid = 5,
	timeout = 6,
};

/** VIRTCHNL_OP_ADD_FDIR_FILTER, both ways. */
struct vc_fdir_add {
	uint16_t vsi_id;
	uint16_t validate_only;
	uint32_t flow_id; /**< In the reply: by which the rule is known. */
	vc_pattern pattern;
	vc_action_set actions;
	int32_t status; /**< In the reply: of vc_fdir_status. */
};
static_assert(sizeof(vc_fdir_add) == 2616);

/** VIRTCHNL_OP_DEL_FDIR_FILTER, both ways. */
struct vc_fdir_del {
	uint16_t vsi_id;
	uint16_t pad;
	uint32_t flow_id;
	int32_t status;
};
static_assert(sizeof(vc_fdir_del) == 12);

} // namespace iavf
