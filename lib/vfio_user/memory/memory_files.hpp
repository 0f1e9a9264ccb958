/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "log.hpp"
#include "memory/memory_hold.hpp"
#include "peer/arena.hpp"
#include "peer/foreign_fd.hpp"
#include "wire/protocol.hpp"

/**
 * The memory files of one client, each mapped once as long as a region is in it.
 *
 * Data threads may use the mapping of a file for some time after its last region is gone: it is
 * kept until reclaim().
 *
 * Owned by the control thread.
 */
namespace vfio_user {

class memory_files {
public:
	/** @param by What lets go of memory. @param max_bytes Of all files; 0: any number. */
	memory_files(std::shared_ptr<closer> by, uint64_t max_bytes);
	~memory_files() { close(); }
	memory_files(const memory_files &) = delete;
	memory_files &operator=(const memory_files &) = delete;

	/** Makes ready for a client. @p fault_fd: see arena::reserve(). */
	guard::status open(int fault_fd);

	/** Where a region is mapped. */
	struct place {
		uint8_t *addr;
		uint32_t file;
	};

	/** Takes a region into its file, which is mapped if it is not yet. @p fd is not owned.
	 * Errors: see dma_map::map(). */
	guard::result<place> take(const wire::dma_map &request, int fd);

	/** Ends a region that was taken. */
	void release(uint32_t file);

	/** Ends all. */
	void release_all();

	/** Lets go of the files that no region is in. Only while no data thread uses them. */
	void reclaim();

	/** Lets go of all. Likewise. */
	void close();

	/** Keeps all that is mapped now mapped until the hold is gone, although it is let go of. */
	std::shared_ptr<memory_hold> hold();

	size_t count() const { return files_.size(); }

private:
	/* Descriptors of the same file differ. A file that has grown since needs a second, longer
	 * mapping; the size comes last, so that the shortest that suffices is found. */
	struct identity {
		uint64_t dev, ino;
		bool writable;
		uint64_t size;

		auto operator<=>(const identity &) const = default;
	};
	struct file {
		uint8_t *addr;
		uint32_t id;
		uint32_t regions;
	};
	using file_map = std::map<identity, file>;

	guard::result<file_map::iterator> find_or_map(const wire::dma_map &request, int fd);
	guard::result<file_map::iterator> map_file(const identity &wanted, uint64_t align, int fd,
						   const wire::dma_map &request);

	void let_go(uint64_t size, uint8_t *addr);

	const std::shared_ptr<closer> closer_;
	const uint64_t max_bytes_;
	byte_count bytes_ = std::make_shared<std::atomic<uint64_t>>(0); /* of the client's files */
	file_map files_;
	std::unordered_map<uint32_t, file_map::iterator> by_id_;
	std::vector<uint32_t> idle_; /* files that had no region at some time since reclaim() */
	uint32_t last_id_ = 0;
	std::shared_ptr<arena> arena_;
	std::vector<std::weak_ptr<memory_hold>> holds_; /* of memory of this client */
	guard::rate_limit refusal_log_;
};

} // namespace vfio_user
