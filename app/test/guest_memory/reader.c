/* SPDX-License-Identifier: BSD-3-Clause */
#include "reader.h"

uint32_t
reader_sum(const struct rte_guest_mem_table *const *published, uint64_t *bytes)
{
	const struct rte_guest_mem_table *table = rte_guest_mem_get(published);
	const struct rte_guest_mem_region *r;
	uint32_t count = 0;

	*bytes = 0;
	for (r = rte_guest_mem_next(table, 0); r != NULL; r = rte_guest_mem_after(table, r)) {
		*bytes += r->size;
		count++;
	}
	return count;
}

const uint8_t *
reader_find(const struct rte_guest_mem_table *const *published, struct rte_guest_mem_cache *cache,
	    uint64_t iova, uint64_t len)
{
	return rte_guest_mem_translate(rte_guest_mem_get(published), cache, iova, len,
				       RTE_GUEST_MEM_READ);
}
