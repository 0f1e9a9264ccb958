/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <map>
#include <mutex>

#include "bytes.hpp"
#include "rte_guest_mem.h"

/**
 * The memory that a client has opened for its device. Regions whose file was passed are there for
 * their addresses only; the others the server reaches by messages, and only as far as this list
 * says.
 */
namespace vfio_user {

class client_dma {
public:
	/** EINVAL: not whole pages, wraps, or unknown rights; EEXIST: overlaps another region. */
	guard::status add(const rte_guest_mem_region &region);

	/** Whether exactly this region was added. */
	bool has(uint64_t iova, uint64_t size) const;

	/** What is open now. */
	struct usage {
		uint64_t regions, bytes;
	};
	usage in_use() const;

	/** When it returns, no access of the server is going on in the region, and none will be. */
	void remove(uint64_t iova);

	/** What the server reads or writes. EFAULT: not all of the range lies in regions that are
	 * reached by messages; EACCES: against the rights. Nothing was copied then. */
	guard::status read(uint64_t iova, guard::mutable_bytes into) const;
	guard::status write(uint64_t iova, guard::bytes from);

private:
	template <class F>
	guard::status for_pieces(uint64_t iova, uint64_t size, uint32_t access, F visit) const;

	mutable std::mutex mutex_; /* held while copying, see remove() */
	std::map<uint64_t, rte_guest_mem_region> regions_;
};

} // namespace vfio_user
