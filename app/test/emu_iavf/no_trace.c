/* SPDX-License-Identifier: BSD-3-Clause */
#include "../../../drivers/emu/iavf/trace.h"

/* The trace points are those of the driver that the test loads: a name can be registered once. */

void
emu_iavf_trace_client(const char *device, bool connected)
{
	(void)device;
	(void)connected;
}

void
emu_iavf_trace_state(const char *device, const char *event, uint8_t before, uint8_t after)
{
	(void)device;
	(void)event;
	(void)before;
	(void)after;
}

void
emu_iavf_trace_reset(const char *device, const char *cause)
{
	(void)device;
	(void)cause;
}

void
emu_iavf_trace_virtchnl(const char *device, uint32_t op, uint32_t length, int32_t status)
{
	(void)device;
	(void)op;
	(void)length;
	(void)status;
}

void
emu_iavf_trace_link(const char *device, uint8_t up, uint32_t speed)
{
	(void)device;
	(void)up;
	(void)speed;
}

void
emu_iavf_trace_queue(uint8_t to_guest, uint16_t index, bool enabled, uint64_t ring, uint16_t size,
		     int32_t vector)
{
	(void)to_guest;
	(void)index;
	(void)enabled;
	(void)ring;
	(void)size;
	(void)vector;
}
