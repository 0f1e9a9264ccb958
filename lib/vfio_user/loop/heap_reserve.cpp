/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/heap_reserve.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace vfio_user::heap_reserve {

namespace {

/* More than all that one message of a peer can have us allocate: the reply to a read of 1 MiB, and
 * a copy that waits to be sent, which may grow to twice its size. */
constexpr size_t size = 4 << 20;

std::atomic<void *> reserve;
std::atomic<bool> in_charge; /* for the control thread, from set_up() to give_up() */

/* Called by operator new, which tries again when this returns; any thread may be the one. With no
 * handler it fails as it would without us. */
void
on_lack()
{
	if (void *last = reserve.exchange(nullptr); last != nullptr)
		return std::free(last);
	std::set_new_handler(nullptr);
}

} // namespace

void
set_up()
{
	if (std::get_new_handler() == nullptr)
		std::set_new_handler(on_lack);
	in_charge = std::get_new_handler() == on_lack;
	refill();
}

void
give_up()
{
	if (in_charge.exchange(false) && std::get_new_handler() == on_lack)
		std::set_new_handler(nullptr);
	std::free(reserve.exchange(nullptr));
}

bool
is_used()
{
	return in_charge.load(std::memory_order_relaxed) &&
	       reserve.load(std::memory_order_relaxed) == nullptr;
}

void
refill()
{
	if (!in_charge.load(std::memory_order_relaxed) ||
	    reserve.load(std::memory_order_relaxed) != nullptr)
		return;
	void *fresh = std::malloc(size);

	if (fresh == nullptr)
		return;
	reserve = fresh;
	std::set_new_handler(on_lack);
}

} // namespace vfio_user::heap_reserve
