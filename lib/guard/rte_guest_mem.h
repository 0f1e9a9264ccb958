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

/**
 * A part of a table: regions that follow each other. A snapshot shares with the one before all
 * parts in which nothing has changed.
 */
struct rte_guest_mem_part {
	uint64_t iova;                              /**< Of its first region. */
	const struct rte_guest_mem_region *regions; /**< Ascending iova, no overlaps. */
	uint32_t nb_regions;                        /**< Never 0. */
	uint32_t reserved;
};

/* To C++ the array at the end is an extension; all compilers that DPDK knows have it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

/** An immutable snapshot of all regions. */
struct rte_guest_mem_table {
	uint64_t generation; /**< Differs between any two snapshots of a process; never 0. */
	uint32_t nb_regions; /**< Of all parts. */
	uint32_t nb_parts;
	struct rte_guest_mem_part parts[]; /**< Ascending iova, no overlaps. */
};

/** Where a region is in a table. */
struct rte_guest_mem_place {
	uint32_t part;
	uint32_t at; /**< Index in the part. */
};

#pragma GCC diagnostic pop

/** What was found of an address in a snapshot: a region, and neighbours that continue it. */
struct rte_guest_mem_hit {
	uint64_t generation; /**< Snapshot that the rest belongs to. */
	uint64_t iova;
	uint64_t size;
	uint8_t *addr;
	uint32_t flags;
};

#define RTE_GUEST_MEM_HITS 256u /**< A power of 2. */
/** Up to so many regions a search is as quick as a look at earlier hits. */
#define RTE_GUEST_MEM_FEW 16u

/**
 * The last hit of one user of the table, private to one thread, and earlier ones, which are used
 * where there are more than a few regions. Zero it before the first use. Whatever is in it of
 * another snapshot is not looked at.
 */
struct rte_guest_mem_cache {
	struct rte_guest_mem_hit last;
	struct rte_guest_mem_hit
		earlier[RTE_GUEST_MEM_HITS]; /**< By the page that was asked for. */
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

/** The region at a place, which must be in the table. */
static inline const struct rte_guest_mem_region *
rte_guest_mem_at(const struct rte_guest_mem_table *table, struct rte_guest_mem_place place)
{
	return &table->parts[place.part].regions[place.at];
}

/** Moves to the next region; 0 if there is none. */
static inline int
rte_guest_mem_forward(const struct rte_guest_mem_table *table, struct rte_guest_mem_place *place)
{
	if (place->at + 1 < table->parts[place->part].nb_regions) {
		place->at++;
		return 1;
	}
	if (place->part + 1 >= table->nb_parts)
		return 0;
	place->part++;
	place->at = 0;
	return 1;
}

/** Moves to the region before; 0 if there is none. */
static inline int
rte_guest_mem_back(const struct rte_guest_mem_table *table, struct rte_guest_mem_place *place)
{
	if (place->at > 0) {
		place->at--;
		return 1;
	}
	if (place->part == 0)
		return 0;
	place->part--;
	place->at = table->parts[place->part].nb_regions - 1;
	return 1;
}

/**
 * The index of the last of some structures, a stride apart and in ascending order of the addresses
 * that they begin with, that does not begin behind @p iova; 0 also if all do. It has no branch that
 * hangs on an address: where buffers are scattered, each second one would be predicted wrongly.
 */
static inline uint32_t
rte_guest_mem_last_at(const void *first, size_t stride, uint32_t count, uint64_t iova)
{
	const char *base = (const char *)first;
	const char *at = base;

	while (count > 1) {
		const uint32_t half = count / 2;
		const char *middle = at + half * stride;

		at = *(const uint64_t *)middle <= iova ? middle : at;
		count -= half;
	}
	return (uint32_t)((size_t)(at - base) / stride);
}

/** Finds the last region that begins at or before @p iova; 0 if there is none. O(log n). */
static inline int
rte_guest_mem_seek(const struct rte_guest_mem_table *table, uint64_t iova,
		   struct rte_guest_mem_place *place)
{
	const struct rte_guest_mem_part *part;

	if (table->nb_parts == 0 || table->parts[0].iova > iova)
		return 0;
	place->part = rte_guest_mem_last_at(table->parts, sizeof(*part), table->nb_parts, iova);
	part = &table->parts[place->part];
	place->at = rte_guest_mem_last_at(part->regions, sizeof(*part->regions), part->nb_regions,
					  iova);
	return 1;
}

/** The region that contains @p iova, or NULL. O(log n). */
static inline const struct rte_guest_mem_region *
rte_guest_mem_find(const struct rte_guest_mem_table *table, uint64_t iova)
{
	const struct rte_guest_mem_region *region;
	struct rte_guest_mem_place place;

	if (!rte_guest_mem_seek(table, iova, &place))
		return NULL;
	region = rte_guest_mem_at(table, place);
	return iova - region->iova < region->size ? region : NULL;
}

/** The region that contains @p iova, or else the first one behind it, or NULL. O(log n). */
static inline const struct rte_guest_mem_region *
rte_guest_mem_next(const struct rte_guest_mem_table *table, uint64_t iova)
{
	const struct rte_guest_mem_region *region;
	struct rte_guest_mem_place place;

	if (table->nb_parts == 0)
		return NULL;
	if (!rte_guest_mem_seek(table, iova, &place))
		return table->parts[0].regions;
	region = rte_guest_mem_at(table, place);
	if (iova - region->iova < region->size)
		return region;
	return rte_guest_mem_forward(table, &place) ? rte_guest_mem_at(table, place) : NULL;
}

/**
 * The region behind one of the table, or NULL. O(log n).
 *
 * for (r = rte_guest_mem_next(table, 0); r != NULL; r = rte_guest_mem_after(table, r))
 */
static inline const struct rte_guest_mem_region *
rte_guest_mem_after(const struct rte_guest_mem_table *table,
		    const struct rte_guest_mem_region *region)
{
	const uint64_t last = region->iova + (region->size - 1);

	return last == UINT64_MAX ? NULL : rte_guest_mem_next(table, last + 1);
}

/** Whether region b continues region a both in I/O addresses and in this process's memory. */
static inline int
rte_guest_mem_continues(const struct rte_guest_mem_region *a, const struct rte_guest_mem_region *b)
{
	return a->addr != NULL && b->addr != NULL && b->iova - a->iova == a->size &&
	       b->addr == a->addr + a->size && a->flags == b->flags;
}

/**
 * Fills @p hit with the region of @p iova, widened by up to 64 neighbours on each side that
 * continue it, so that memory registered page by page is as quick to look up as one large region.
 * @return 0, or -1 if no region contains @p iova; the hit is then empty.
 */
static inline int
rte_guest_mem_fill(const struct rte_guest_mem_table *table, struct rte_guest_mem_hit *hit,
		   uint64_t iova)
{
	struct rte_guest_mem_place first, last;
	const struct rte_guest_mem_region *begin, *end;
	int i;

	hit->generation = table->generation;
	hit->size = 0;
	if (!rte_guest_mem_seek(table, iova, &first))
		return -1;
	begin = end = rte_guest_mem_at(table, first);
	if (iova - begin->iova >= begin->size)
		return -1;
	last = first;
	for (i = 0; i < 64 && rte_guest_mem_back(table, &first); i++) {
		const struct rte_guest_mem_region *before = rte_guest_mem_at(table, first);

		if (!rte_guest_mem_continues(before, begin))
			break;
		begin = before;
	}
	for (i = 0; i < 64 && rte_guest_mem_forward(table, &last); i++) {
		const struct rte_guest_mem_region *behind = rte_guest_mem_at(table, last);

		if (!rte_guest_mem_continues(end, behind))
			break;
		end = behind;
	}
	hit->iova = begin->iova;
	hit->addr = begin->addr;
	hit->flags = begin->flags;
	hit->size = end->iova - begin->iova + end->size;
	return 0;
}

/** The earlier hit of the page of an address, or where it is to be kept. */
static inline struct rte_guest_mem_hit *
rte_guest_mem_earlier(struct rte_guest_mem_cache *cache, uint64_t iova)
{
	/* Multiplicative hashing, by 2 to the power of 64 over the golden ratio. */
	return &cache->earlier[((iova >> 12) * 0x9e3779b97f4a7c15) >> 32 &
			       (RTE_GUEST_MEM_HITS - 1)];
}

/** Finds the last hit anew, without a search where the page was found before; -1 as above. */
static inline int
rte_guest_mem_cache_refill(const struct rte_guest_mem_table *table,
			   struct rte_guest_mem_cache *cache, uint64_t iova)
{
	struct rte_guest_mem_hit *hit;

	if (table->nb_regions <= RTE_GUEST_MEM_FEW)
		return rte_guest_mem_fill(table, &cache->last, iova);
	hit = rte_guest_mem_earlier(cache, iova);
	if (hit->generation != table->generation || iova - hit->iova >= hit->size) {
		if (rte_guest_mem_fill(table, &cache->last, iova) != 0)
			return -1;
		*hit = cache->last;
	} else {
		cache->last = *hit;
	}
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
	const struct rte_guest_mem_hit *hit = &cache->last;
	uint64_t offset = iova - hit->iova;

	if (hit->generation != table->generation || iova < hit->iova || offset >= hit->size) {
		if (rte_guest_mem_cache_refill(table, cache, iova) != 0)
			return NULL;
		offset = iova - hit->iova;
	}
	if (len > hit->size - offset || hit->addr == NULL || (hit->flags & access) != access)
		return NULL;
	return hit->addr + offset;
}

#ifdef __cplusplus
}
#endif

#endif /* RTE_GUEST_MEM_H */
