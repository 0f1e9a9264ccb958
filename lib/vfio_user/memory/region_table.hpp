/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <memory>
#include <vector>

#include "rte_guest_mem.h"

/**
 * The published table of one client's regions, as it changes.
 *
 * A change makes a new snapshot, which shares with the one before all parts that are the same: it
 * copies a part, or the few at the edges of what goes, and the list of parts. Both are short,
 * however many regions there are. What a newer snapshot has replaced is kept until reclaim(), since
 * data threads may still use it.
 *
 * One thread changes; what table() publishes is for all.
 */
namespace vfio_user {

class region_table {
public:
	/** Of a part; a change copies one part and the list of all. */
	static constexpr uint32_t max_regions = 256;
	/** Neighbours that have no more together are made one, so there are not many parts. */
	static constexpr uint32_t few_regions = max_regions / 2;

	region_table();
	~region_table();
	region_table(const region_table &) = delete;
	region_table &operator=(const region_table &) = delete;

	const rte_guest_mem_table *const *table() const { return &published_; }
	const rte_guest_mem_table &current() const { return *published_; }

	/** Whether a region has an address in the range. */
	bool overlaps(uint64_t first, uint64_t last) const;
	/** Whether a region is in the range with a part only. */
	bool cuts(uint64_t first, uint64_t last) const;

	/** Adds a region, which overlaps none. */
	void insert(const rte_guest_mem_region &added);
	/** Removes the regions in a range, which cuts none. */
	void remove(uint64_t first, uint64_t last);
	/** Removes all. */
	void clear();

	/** Frees what is replaced. Only while no thread uses any snapshot but the current one. */
	void reclaim();
	/** What reclaim() would free. */
	size_t replaced_bytes() const { return replaced_bytes_; }

private:
	struct free_bytes {
		void operator()(const void *at) const { ::operator delete(const_cast<void *>(at)); }
	};

	void take(const rte_guest_mem_part &part, uint32_t begin, uint32_t end);
	void replace(uint32_t begin, uint32_t end);
	void publish(rte_guest_mem_table *next);
	void retire_parts(uint32_t begin, uint32_t end);
	void retire(const void *at, size_t bytes);

	const rte_guest_mem_table *published_ = nullptr;
	std::vector<rte_guest_mem_region> fresh_; /* of the parts that a change makes */
	std::vector<std::unique_ptr<const void, free_bytes>> replaced_;
	size_t replaced_bytes_ = 0;
};

} // namespace vfio_user
