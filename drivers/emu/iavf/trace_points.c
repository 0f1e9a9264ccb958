/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_trace_point_register.h>

#include "trace_points.h"

RTE_TRACE_POINT_REGISTER(trace_client, pmd.emu.iavf.client)
RTE_TRACE_POINT_REGISTER(trace_state, pmd.emu.iavf.state)
RTE_TRACE_POINT_REGISTER(trace_reset, pmd.emu.iavf.reset)
RTE_TRACE_POINT_REGISTER(trace_virtchnl, pmd.emu.iavf.virtchnl)
RTE_TRACE_POINT_REGISTER(trace_link, pmd.emu.iavf.link)
RTE_TRACE_POINT_REGISTER(trace_queue, pmd.emu.iavf.queue)
