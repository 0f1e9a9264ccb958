/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <rte_telemetry.h>
#include <rte_version.h>

/** What drivers put into answers of telemetry. Its thread. */
namespace telemetry_data {

inline void
add_uint(rte_tel_data *dict, const char *name, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	rte_tel_data_add_dict_uint(dict, name, value);
#else
	rte_tel_data_add_dict_u64(dict, name, value);
#endif
}

/** Puts a part that @p fill begins into a dictionary; without memory for it there is none. */
template <class F>
void
add_part(rte_tel_data *dict, const char *name, F fill)
{
	rte_tel_data *part = rte_tel_data_alloc();

	if (part == nullptr)
		return;
	fill(part);
	if (rte_tel_data_add_dict_container(dict, name, part, 0) != 0)
		rte_tel_data_free(part);
}

} // namespace telemetry_data
