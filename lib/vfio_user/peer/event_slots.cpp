/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer/event_slots.hpp"

namespace vfio_user {

event_slots::~event_slots()
{
	for (const std::atomic<int> &slot : slots_)
		if (slot.load() != none)
			::close(slot.load() - 1);
}

guard::status
event_slots::refer(size_t which, int fd)
{
	int slot = slots_[which].load(std::memory_order_relaxed);

	if (slot != none)
		return ::dup3(fd, slot - 1, O_CLOEXEC) < 0 ? guard::last_error() : guard::status{};
	int fresh = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fresh < 0)
		return guard::last_error();
	slots_[which].store(fresh + 1, std::memory_order_release);
	return {};
}

guard::status
event_slots::set(size_t which, foreign_fd target)
{
	if (!target && !targets_[which])
		return {};
	if (!nowhere_)
		nowhere_ = TRY(guard::make_eventfd());
	TRY(refer(which, target ? target.get() : nowhere_.get()));
	targets_[which] = std::move(target);
	return {};
}

} // namespace vfio_user
