/* SPDX-License-Identifier: BSD-3-Clause */
#include "trace.h"

#include "trace_points.h"

/* The functions by which C++ reaches the points. */

void
emu_iavf_trace_client(const char *device, bool connected)
{
	trace_client(device, connected);
}

void
emu_iavf_trace_state(const char *device, const char *event, uint8_t before, uint8_t after)
{
	trace_state(device, event, before, after);
}

void
emu_iavf_trace_reset(const char *device, const char *cause)
{
	trace_reset(device, cause);
}

void
emu_iavf_trace_virtchnl(const char *device, uint32_t op, uint32_t length, int32_t status)
{
	trace_virtchnl(device, op, length, status);
}

void
emu_iavf_trace_link(const char *device, uint8_t up, uint32_t speed)
{
	trace_link(device, up, speed);
}

void
emu_iavf_trace_queue(uint8_t to_guest, uint16_t index, bool enabled, uint64_t ring, uint16_t size,
		     int32_t vector)
{
	trace_queue(to_guest, index, enabled, ring, size, vector);
}
