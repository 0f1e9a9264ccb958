/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>
#include <cstdint>

#include "compat.hpp"

/** What the telemetry of servers and of clients has in common. */
namespace vfio_user {

/** Answers with the paths of a registry, which are its keys. */
template <class map>
int
list_paths(rte_tel_data *out, const map &registry)
{
	rte_tel_data_start_array(out, RTE_TEL_STRING_VAL);
	for (const auto &[path, handle] : registry)
		rte_tel_data_add_array_string(out, path.c_str());
	return 0;
}

/** One counter: its name in the answer and where it stands. */
template <class stats> struct counter_row {
	const char *name;
	uint64_t stats::*value;
};

/** Adds the counters of a table, which must name every member of the structure. */
template <class stats, size_t n>
void
add_counters(rte_tel_data *dict, const counter_row<stats> (&rows)[n], const stats &from)
{
	static_assert(n * sizeof(uint64_t) == sizeof(stats));
	for (const counter_row<stats> &row : rows)
		compat::add_dict_uint(dict, row.name, from.*row.value);
}

} // namespace vfio_user
