/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "memory/memory_files.hpp"
#include "memory/region_table.hpp"

/**
 * The DMA regions of one client: their table as data threads see it, and the memory files behind.
 *
 * A file is mapped once, however many regions it has (a client behind a virtual IOMMU makes one
 * region per page). A change of the table costs the same however many regions there are. What data
 * threads may still use, old snapshots and unreferenced files, is kept until reclaim().
 *
 * Owned by the control thread; only the snapshot behind table() is for others.
 */
namespace vfio_user {

class dma_map {
public:
	/** @param by What lets go of memory. @param max_bytes Of all files; 0: any number. */
	dma_map(std::shared_ptr<closer> by, uint64_t max_bytes) : files_(std::move(by), max_bytes)
	{
	}

	/** Makes ready for a client. @p fault_fd: see arena::reserve(). */
	guard::status open(int fault_fd) { return files_.open(fault_fd); }

	/**
	 * Adds a region. @p fd is not owned, and -1 for memory that is reached by messages only.
	 * EINVAL: malformed, not page aligned, or the file ends before the region; EEXIST: overlaps
	 * another; ENOSPC: too many, or too large; EACCES: the file does not allow what the region
	 * does; ENODEV: not a file of memory (memfd, tmpfs, hugetlbfs).
	 */
	guard::status map(const wire::dma_map &request, int fd);

	/** Removes every region inside the range, returns how many. EINVAL: the range cuts a
	 * region. */
	guard::result<uint32_t> unmap(uint64_t iova, uint64_t size);

	/** Removes all regions. */
	void clear();

	/** Lets go of what removed regions have left. Only while no data thread uses any table but
	 * the current one. */
	void reclaim();

	/** Lets go of all that the client has left, after clear(). Likewise. */
	void close();

	/** Keeps memory that is let go of readable for as long as this exists. */
	std::shared_ptr<memory_hold> hold() { return files_.hold(); }

	/** Whether reclaim() has so much to free that it should be done soon. */
	bool wants_reclaim() const { return regions_.replaced_bytes() > max_replaced_bytes; }

	const rte_guest_mem_table *const *table() const { return regions_.table(); }
	const rte_guest_mem_table &current() const { return regions_.current(); }
	size_t files() const { return files_.count(); }

	/** Bytes of all regions, by whether they came with a file. */
	struct amounts {
		uint64_t with_file = 0, without_file = 0;
	};
	const amounts &bytes() const { return bytes_; }

private:
	/* Some hundred changes. */
	static constexpr size_t max_replaced_bytes = 2 << 20;

	static guard::status check(const wire::dma_map &request);
	uint64_t &bytes_of(bool has_file)
	{
		return has_file ? bytes_.with_file : bytes_.without_file;
	}

	region_table regions_;
	memory_files files_;
	amounts bytes_;
};

} // namespace vfio_user
