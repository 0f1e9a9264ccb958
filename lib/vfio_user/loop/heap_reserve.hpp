/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/**
 * What is left when the heap has nothing: memory that is set aside while the control thread runs.
 * An allocation of this process that fails gets it, so that what is under way can be ended in
 * order; without, the process would end. Whose turn it is loses its connection, and so frees what
 * it holds.
 */
namespace vfio_user::heap_reserve {

/** Sets it aside, if no other handler for a lack of memory is installed. */
void set_up();
/** Gives it back. */
void give_up();
/** Whether it was needed since the control thread has last made it whole. */
bool is_used();
/** Makes it whole again, or tries to. */
void refill();

} // namespace vfio_user::heap_reserve
