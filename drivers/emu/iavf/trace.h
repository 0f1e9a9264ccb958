/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EMU_IAVF_TRACE_H
#define EMU_IAVF_TRACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The trace points of the control plane, pmd.emu.iavf.*; none is on the path of packets. As
 * functions, for the macros that make them are C alone.
 */

#ifdef __cplusplus
extern "C" {
#endif

void emu_iavf_trace_client(const char *device, bool connected);
void emu_iavf_trace_state(const char *device, const char *event, uint8_t before, uint8_t after);
void emu_iavf_trace_reset(const char *device, const char *cause);
void emu_iavf_trace_virtchnl(const char *device, uint32_t op, uint32_t length, int32_t status);
/** What the driver is told of the link. */
void emu_iavf_trace_link(const char *device, uint8_t up, uint32_t speed);
/** What the data path is told of a queue. */
void emu_iavf_trace_queue(uint8_t to_guest, uint16_t index, bool enabled, uint64_t ring,
			  uint16_t size, int32_t vector);

#ifdef __cplusplus
}
#endif

#endif /* EMU_IAVF_TRACE_H */
