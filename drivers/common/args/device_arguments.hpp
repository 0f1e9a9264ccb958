/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <memory>

#include <rte_kvargs.h>

/** What the drivers' arguments have in common. */
namespace device_arguments {

struct free_list {
	void operator()(rte_kvargs *list) const { rte_kvargs_free(list); }
};
using unique_list = std::unique_ptr<rte_kvargs, free_list>;

/** A key that is given more than once, which every driver refuses: which value is meant is a guess.
 * nullptr: there is none. */
inline const char *
repeated_key(const rte_kvargs &list)
{
	for (unsigned int i = 0; i < list.count; i++)
		if (rte_kvargs_count(&list, list.pairs[i].key) > 1)
			return list.pairs[i].key;
	return nullptr;
}

} // namespace device_arguments
