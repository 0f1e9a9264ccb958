/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "owner.hpp"

/**
 * One reserved range of our address space in which a client's memory files are mapped.
 *
 * Reserving first has two uses. Files whose I/O addresses are neighbours become neighbours here
 * too, so that a ring or buffer that crosses from one to the next is one range. And an access that
 * fails because the client truncated its file (SIGBUS) can be told from any other by its address:
 * it is answered with zeroes and reported, instead of killing the process.
 *
 * One thread maps; any thread may let go of what retire() has returned, and of the arena.
 */
namespace vfio_user {

class arena : public std::enable_shared_from_this<arena> {
public:
	arena() = default;
	~arena();
	arena(const arena &) = delete;
	arena &operator=(const arena &) = delete;

	/** Reserves the range. @p fault_fd is an eventfd to write when an access has failed. */
	guard::status reserve(int fault_fd);

	/**
	 * Maps @p size bytes from the start of a file (shared), page aligned with @p align.
	 *
	 * @param wanted
	 *   Where the file would have to start for its neighbours to fit, see place_of(); used if
	 *   free.
	 * @return
	 *   ENOSPC: too many mappings. The kernel limits those of a process, so clients share them:
	 * one may have as many as are still free, and none takes the last.
	 */
	guard::result<uint8_t *> map(int fd, uint64_t size, uint64_t align, int prot,
				     uint8_t *wanted);

	/** Ends a mapping made by map(); its range is reserved again. */
	void unmap(uint8_t *addr);

	/** The same, but when the object is destroyed: the last reference to gigabytes may take
	 * its time. Only for an arena that a shared_ptr owns. */
	std::shared_ptr<void> retire(uint8_t *addr);

	/** Accesses are still made, but failures are no longer reported. */
	void silence() const;

	/** No access will be made any more. To destroy the arena may take its time. */
	void retire();

	/**
	 * Where I/O address @p iova belongs, or nullptr where the arena does not reach. The first
	 * address asked for decides which I/O addresses the arena covers.
	 */
	uint8_t *place_of(uint64_t iova);

private:
	using files = std::map<uint64_t, uint64_t>; /* start -> size, addresses in reserved_ */
	using gap = std::pair<uint64_t, uint64_t>;  /* size, start */

	uint64_t begin() const;
	bool is_free(uint64_t start, uint64_t size) const;
	gap gap_below(files::const_iterator next) const;
	void take(uint64_t start, uint64_t size);
	void give_back(files::iterator file);
	guard::result<uint64_t> find_gap(uint64_t size, uint64_t align) const;
	size_t cost(uint64_t start, uint64_t size) const;
	guard::result<uint64_t> place(uint64_t size, uint64_t align, uint64_t wanted);
	uint64_t size_of(uint64_t start);
	void forget(uint64_t start);
	void release(size_t mappings);

	guard::mapping reserved_;
	uint64_t anchor_iova_ = 0; /* I/O address of the start of reserved_ */
	bool anchored_ = false;
	int fault_slot_ = -1;

	std::mutex mutex_; /* guards what follows */
	files used_;
	std::set<gap> gaps_;  /* all that is free, each piece as a whole */
	size_t mappings_ = 0; /* of the kernel's, beyond the first */
};

} // namespace vfio_user
