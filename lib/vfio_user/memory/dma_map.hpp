/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "peer/arena.hpp"
#include "peer/foreign_fd.hpp"
#include "log.hpp"
#include "rte_guest_mem.h"
#include "wire/protocol.hpp"

/**
 * The DMA regions of one client: their table as data threads see it, and the memory files behind.
 *
 * A file is mapped once, however many regions it has (a client behind a virtual IOMMU makes one
 * region per page). The table is an immutable snapshot: each change makes a new one. What data
 * threads may still use, old snapshots and unreferenced files, is kept until reclaim().
 *
 * Owned by the control thread; only the snapshot behind table() is for others.
 */
namespace vfio_user {

class dma_map {
public:
	/** @param by What lets go of memory. @param max_bytes Of all files; 0: any number. */
	dma_map(std::shared_ptr<closer> by, uint64_t max_bytes);
	~dma_map();
	dma_map(const dma_map &) = delete;
	dma_map &operator=(const dma_map &) = delete;

	/** Makes ready for a client. @p fault_fd: see arena::reserve(). */
	guard::status open(int fault_fd);

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

	/** Lets go of what removed regions have left. Only while no data thread uses the table. */
	void reclaim();

	/** Lets go of all that the client has left, after clear(). Only while no data thread uses
	 * the table. */
	void close();

	/** Whether reclaim() has so much to free that it should be done soon. */
	bool wants_reclaim() const { return retired_bytes_ > max_retired_bytes; }

	const rte_guest_mem_table *const *table() const { return &published_; }
	const rte_guest_mem_table &current() const { return *current_; }
	size_t files() const { return files_.size(); }

	/** Where an access lands; EFAULT outside the table, EACCES against the region's rights. A
	 * null pointer: in a region without a file. */
	guard::result<uint8_t *> translate(uint64_t iova, uint64_t size, uint32_t access) const;

private:
	struct free_deleter {
		void operator()(rte_guest_mem_table *t) const { std::free(t); }
	};
	using snapshot = std::unique_ptr<rte_guest_mem_table, free_deleter>;

	/* A memory file, known by device and inode: descriptors of the same file differ. */
	struct file {
		uint64_t dev, ino;
		bool writable;
		uint64_t size;
		uint8_t *addr;
		uint32_t id;
		uint32_t regions; /* in the current table */
	};

	/* Some tens of snapshots of an ordinary client, one of a client with very many regions. */
	static constexpr size_t max_retired_bytes = 1 << 20;

	static size_t bytes_of(uint32_t nb_regions);
	static snapshot allocate(uint32_t nb_regions);
	static guard::status check(const wire::dma_map &request);
	guard::result<file *> find_or_map_file(const wire::dma_map &request, int fd);
	guard::result<file *> map_file(file wanted, int fd, uint64_t align,
				       const wire::dma_map &request);
	void insert(uint32_t position, const rte_guest_mem_region &region);
	void publish(snapshot next);
	void release_file(uint32_t id);
	uint64_t bytes_of_files() const;

	const std::shared_ptr<closer> closer_;
	const uint64_t max_bytes_;
	snapshot current_;
	const rte_guest_mem_table *published_ = nullptr;
	std::vector<snapshot> retired_;
	size_t retired_bytes_ = 0;
	std::vector<file> files_; /* ascending id */
	uint32_t last_file_id_ = 0;
	std::shared_ptr<arena> arena_;
	guard::rate_limit refusal_log_;
};

} // namespace vfio_user
