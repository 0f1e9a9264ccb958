/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_MEMORY_READER_H
#define GUEST_MEMORY_READER_H

#include <rte_guest_mem.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a C program makes of a published table. */

/** Counts the regions, and adds up their sizes. */
uint32_t reader_sum(const struct rte_guest_mem_table *const *published, uint64_t *bytes);

/** Translates a range for reading. */
const uint8_t *reader_find(const struct rte_guest_mem_table *const *published,
			   struct rte_guest_mem_cache *cache, uint64_t iova, uint64_t len);

#ifdef __cplusplus
}
#endif

#endif /* GUEST_MEMORY_READER_H */
