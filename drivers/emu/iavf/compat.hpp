/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <rte_telemetry.h>
#include <rte_version.h>

/** What differs between the DPDK versions that this driver builds with (22.11 to 25.11). */
namespace iavf::compat {

inline void
add_dict_uint(rte_tel_data *dict, const char *name, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	rte_tel_data_add_dict_uint(dict, name, value);
#else
	rte_tel_data_add_dict_u64(dict, name, value);
#endif
}

} // namespace iavf::compat
