/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "owner.hpp"

/**
 * Mappings of a peer's files that are not filled. Many applications lock all their memory, future
 * mappings included (mlockall). A mapping would then be filled at once, and a sparse file of some
 * TiB would take all memory of the host. What cannot be accessed is not filled: so a range is
 * mapped without access and unlocked, and only then opened.
 */
namespace vfio_user {

/** Unlocks a mapping without access; keeps it out of core dumps. */
inline void
leave_unlocked(void *addr, uint64_t size)
{
	::munlock(addr, size);
	::madvise(addr, size, MADV_DONTDUMP);
}

/** Opens a mapping that was made without access. */
inline guard::status
open_unlocked(void *addr, uint64_t size, int prot)
{
	leave_unlocked(addr, size);
	if (::mprotect(addr, size, prot) != 0)
		return guard::last_error();
	return {};
}

} // namespace vfio_user
