/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EMU_IAVF_TRACE_POINTS_H
#define EMU_IAVF_TRACE_POINTS_H

#include <rte_trace_point.h>

/* What each point carries. Made twice: where points are registered, the macros describe the fields,
 * everywhere else they write them. */

RTE_TRACE_POINT(trace_client, RTE_TRACE_POINT_ARGS(const char *device, uint8_t connected),
		rte_trace_point_emit_string(device);
		rte_trace_point_emit_u8(connected);)

RTE_TRACE_POINT(trace_state,
		RTE_TRACE_POINT_ARGS(const char *device, const char *event, uint8_t before,
				     uint8_t after),
		rte_trace_point_emit_string(device);
		rte_trace_point_emit_string(event); rte_trace_point_emit_u8(before);
		rte_trace_point_emit_u8(after);)

RTE_TRACE_POINT(trace_reset, RTE_TRACE_POINT_ARGS(const char *device, const char *cause),
		rte_trace_point_emit_string(device);
		rte_trace_point_emit_string(cause);)

RTE_TRACE_POINT(trace_virtchnl,
		RTE_TRACE_POINT_ARGS(const char *device, uint32_t op, uint32_t length,
				     int32_t status),
		rte_trace_point_emit_string(device);
		rte_trace_point_emit_u32(op); rte_trace_point_emit_u32(length);
		rte_trace_point_emit_i32(status);)

RTE_TRACE_POINT(trace_link, RTE_TRACE_POINT_ARGS(const char *device, uint8_t up, uint32_t speed),
		rte_trace_point_emit_string(device);
		rte_trace_point_emit_u8(up); rte_trace_point_emit_u32(speed);)

RTE_TRACE_POINT(trace_queue,
		RTE_TRACE_POINT_ARGS(uint8_t to_guest, uint16_t index, uint8_t enabled,
				     uint64_t ring, uint16_t size, int32_t vector),
		rte_trace_point_emit_u8(to_guest);
		rte_trace_point_emit_u16(index); rte_trace_point_emit_u8(enabled);
		rte_trace_point_emit_u64(ring); rte_trace_point_emit_u16(size);
		rte_trace_point_emit_i32(vector);)

#endif /* EMU_IAVF_TRACE_POINTS_H */
