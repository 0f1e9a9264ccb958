/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>

#include "result.hpp"

/**
 * Survives the truncation of a memory file that a client has handed to us. Touching a page behind
 * the new end of the file raises SIGBUS on the thread that did it; inside a guarded range the
 * handler maps zeroes there, reports the fault, and the access goes on. SIGBUS elsewhere, and where
 * the kernel has no room for one more mapping, goes to whoever handled it before.
 *
 * The client that did it is to be dropped, so the rest of its memory need not be kept: at each
 * fault of a range twice as much is replaced. So a client can cause some tens of faults and
 * mappings, however much of its memory it truncates and however long it stays.
 *
 * The handler stays once it is there, since others may have chained theirs to it. Others who come
 * later are asked after it.
 */
namespace vfio_user::memory_fault {

/** Guards a range, made of whole pages of what is mapped there, all of one client. @p fault_fd is
 * written (eventfd) at each fault. Returns a slot number. */
guard::result<int> guard_range(void *start, size_t size, int fault_fd);

/** Goes on to guard, without a word: the client is gone, and the next one is not to blame. */
void silence_range(int slot);

/** Ends the guard of a slot. No thread may touch the range any more. */
void release_range(int slot);

} // namespace vfio_user::memory_fault
