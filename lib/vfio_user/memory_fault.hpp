/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>

#include "result.hpp"

/**
 * Survives the truncation of a memory file that a client has handed to us. Touching a page behind
 * the new end of the file raises SIGBUS on the thread that did it; inside a guarded range the
 * handler maps a page of zeroes there, reports the fault, and the access goes on. SIGBUS elsewhere,
 * and where the kernel has no room for one more mapping, goes to whoever handled it before.
 *
 * The handler stays once it is there, since others may have chained theirs to it. Others who come
 * later are asked after it.
 */
namespace vfio_user::memory_fault {

/** Guards a range, made of whole pages of what is mapped there. @p fault_fd is written (eventfd) at
 * each fault. Returns a slot number. */
guard::result<int> guard_range(void *start, size_t size, int fault_fd);

/** Ends the guard of a slot. No thread may touch the range any more. */
void release_range(int slot);

} // namespace vfio_user::memory_fault
