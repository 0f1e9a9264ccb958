/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RTE_GUEST_MEM_H
#define RTE_GUEST_MEM_H

/**
 * @file
 * The memory that the driver of a device has opened for DMA: which ranges of I/O virtual addresses
 * the device may access, and where they are mapped.
 *
 * A table is an immutable snapshot, sorted by address and without overlaps. Its owner publishes a
 * new snapshot through a pointer; a data thread loads it with rte_guest_mem_get() once per burst,
 * and the owner frees an old snapshot only when no burst can still use it. So a look-up takes no
 * lock.
 *
 * Plain C without any DPDK header: it is the one type shared by the vfio-user and emudev libraries.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RTE_GUEST_MEM_READ  0x1u /**< The device may read the region. */
#define RTE_GUEST_MEM_WRITE 0x2u /**< The device may write the region. */

/** One range that the driver of the device has opened for DMA. */
struct rte_guest_mem_region {
	uint64_t iova;  /**< First I/O virtual address. */
	uint64_t size;  /**< Length in bytes, never 0; iova + size - 1 does not wrap. */
	uint8_t *addr;  /**< Where it is mapped here; NULL if the memory came without a file. */
	uint32_t flags; /**< RTE_GUEST_MEM_READ, RTE_GUEST_MEM_WRITE. */
	uint32_t file;  /**< Identifies the memory file among those of the table; for diagnosis. */
};

/* To C++ the array at the end is an extension; all compilers that DPDK knows have it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

/** An immutable snapshot of all regions. */
struct rte_guest_mem_table {
	uint64_t generation; /**< Differs between any two snapshots of a process; never 0. */
	uint32_t nb_regions;
	uint32_t reserved;
	struct rte_guest_mem_region regions[]; /**< Ascending iova, no overlaps. */
};

#pragma GCC diagnostic pop

/** The last hit of one user of the table, private to one thread. Zero it before the first use. */
struct rte_guest_mem_cache {
	uint64_t generation; /**< Snapshot that the rest belongs to. */
	uint64_t iova;
	uint64_t size;
	uint8_t *addr;
	uint32_t flags;
};

/**
 * The current table of those published at a place. Any thread.
 *
 * Use it only for as long as its owner waits for: a burst. (Sequentially consistent, so that the
 * owner need not hold anybody up to know who may still use an older one.)
 */
static inline const struct rte_guest_mem_table *
rte_guest_mem_get(const struct rte_guest_mem_table *const *published)
{
	return __atomic_load_n(published, __ATOMIC_SEQ_CST);
}

/** Index of the region that contains @p iova, or -1. O(log n). */
static inline int64_t
rte_guest_mem_find(const struct rte_guest_mem_table *table, uint64_t iova)
{
	uint32_t low = 0, high = table->nb_regions;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (table->regions[mid].iova <= iova)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || iova - table->regions[low - 1].iova >= table->regions[low - 1].size)
		return -1;
	return (int64_t)low - 1;
}

/** Whether region b continues region a both in I/O addresses and in this process's memory. */
static inline int
rte_guest_mem_region_continues(const struct rte_guest_mem_region *a,
			       const struct rte_guest_mem_region *b)
{
	return a->addr != NULL && b->addr != NULL && b->iova - a->iova == a->size &&
	       b->addr == a->addr + a->size && a->flags == b->flags;
}

/**
 * Fills @p cache with the region of @p iova, widened by up to 64 neighbours on each side that
 * continue it, so that memory registered page by page is as quick to look up as one large region.
 * @return 0, or -1 if no region contains @p iova; the cache is then empty.
 */
static inline int
rte_guest_mem_cache_fill(const struct rte_guest_mem_table *table, struct rte_guest_mem_cache *cache,
			 uint64_t iova)
{
	int64_t first = rte_guest_mem_find(table, iova), last = first, i;

	cache->generation = table->generation;
	cache->size = 0;
	if (first < 0)
		return -1;
	for (i = 0; i < 64 && first > 0; i++, first--)
		if (!rte_guest_mem_region_continues(&table->regions[first - 1],
						    &table->regions[first]))
			break;
	for (i = 0; i < 64 && last + 1 < (int64_t)table->nb_regions; i++, last++)
		if (!rte_guest_mem_region_continues(&table->regions[last],
						    &table->regions[last + 1]))
			break;
	cache->iova = table->regions[first].iova;
	cache->addr = table->regions[first].addr;
	cache->flags = table->regions[first].flags;
	cache->size = table->regions[last].iova - cache->iova + table->regions[last].size;
	return 0;
}

/**
 * Translates a whole range for an access.
 *
 * @param access
 *   RTE_GUEST_MEM_READ and/or RTE_GUEST_MEM_WRITE, all of which the region must grant.
 * @return
 *   Where the range is mapped, or NULL if any part of it is not mapped, not side by side in this
 *   process's memory, came without a file, or does not allow the access.
 */
static inline uint8_t *
rte_guest_mem_translate(const struct rte_guest_mem_table *table, struct rte_guest_mem_cache *cache,
			uint64_t iova, uint64_t len, uint32_t access)
{
	uint64_t offset = iova - cache->iova;

	if (cache->generation != table->generation || iova < cache->iova || offset >= cache->size) {
		if (rte_guest_mem_cache_fill(table, cache, iova) != 0)
			return NULL;
		offset = iova - cache->iova;
	}
	if (len > cache->size - offset || cache->addr == NULL || (cache->flags & access) != access)
		return NULL;
	return cache->addr + offset;
}

#ifdef __cplusplus
}
#endif

#endif /* RTE_GUEST_MEM_H */
