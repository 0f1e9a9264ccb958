/* SPDX-License-Identifier: BSD-3-Clause */
#include "irq.hpp"

#include <bit>

namespace vfio_user {

namespace {

namespace flags = wire::irq_set_flags;

} // namespace

irq_table::irq_table(std::span<const rte_vfio_user_irq> types)
    : types_(types.begin(), types.end()), states_(types.size())
{
	for (size_t i = 0; i < types.size(); i++)
		states_[i].vectors = std::make_unique<vector_state[]>(types[i].count);
}

irq_table::vector_state *
irq_table::find(uint32_t index, uint32_t vector) const
{
	if (index >= types_.size() || vector >= types_[index].count)
		return nullptr;
	return &states_[index].vectors[vector];
}

guard::status
irq_table::check(const wire::irq_set &request, guard::bytes booleans,
		 std::span<foreign_fd> fds) const
{
	constexpr guard::failure invalid{EINVAL};
	uint32_t data = request.flags & flags::data, action = request.flags & flags::action;

	if (request.index >= types_.size() || std::popcount(data) != 1 ||
	    std::popcount(action) != 1 || request.flags != (data | action))
		return invalid;
	const rte_vfio_user_irq &type = types_[request.index];
	if (!guard::contains(0, type.count, request.start, request.count))
		return invalid;
	/* A count of 0 means "all off" and is defined for this one combination only. */
	if (request.count == 0 &&
	    (request.start != 0 || request.flags != (flags::data_none | flags::action_trigger)))
		return invalid;
	if (action != flags::action_trigger && (type.flags & RTE_VFIO_USER_IRQ_MASKABLE) == 0)
		return invalid;
	if (booleans.size() != (data == flags::data_bool ? request.count : 0))
		return invalid;
	/* No descriptors at all de-assign the range. */
	if (data == flags::data_eventfd ? !fds.empty() && fds.size() != request.count
					: !fds.empty())
		return invalid;
	for (const foreign_fd &fd : fds)
		if (!is_eventfd(fd.get()))
			return invalid;
	return {};
}

guard::status
irq_table::set(const wire::irq_set &request, guard::bytes booleans, std::span<foreign_fd> fds)
{
	uint32_t data = request.flags & flags::data, action = request.flags & flags::action;

	TRY(check(request, booleans, fds));
	if (request.count == 0) {
		for (uint32_t i = 0; i < types_[request.index].count; i++)
			TRY(wire_trigger(states_[request.index].vectors[i], nullptr));
		return {};
	}
	for (uint32_t i = 0; i < request.count; i++) {
		vector_state &v = *find(request.index, request.start + i);
		foreign_fd *fd = fds.empty() ? nullptr : &fds[i];

		if (data == flags::data_bool && booleans[i] == std::byte{0})
			continue;
		if (data != flags::data_eventfd)
			apply(v, request.index, action);
		else if (action == flags::action_trigger)
			TRY(wire_trigger(v, fd));
		else
			(action == flags::action_mask ? v.mask_event : v.unmask_event) =
				fd == nullptr ? foreign_fd() : std::move(*fd);
	}
	return {};
}

guard::status
irq_table::wire_trigger(vector_state &v, const foreign_fd *fd)
{
	if (fd == nullptr && !v.slot_owner)
		return {};
	if (!v.slot_owner) {
		guard::unique_fd slot(::fcntl(fd->get(), F_DUPFD_CLOEXEC, 0));
		if (!slot)
			return guard::last_error();
		v.slot_owner = std::move(slot);
		v.slot.store(v.slot_owner.get(), std::memory_order_release);
	} else {
		guard::unique_fd idle;
		if (fd == nullptr) {
			v.wired.store(false);
			idle = TRY(guard::make_eventfd());
		}
		if (::dup3(fd == nullptr ? idle.get() : fd->get(), v.slot_owner.get(), O_CLOEXEC) <
		    0)
			return guard::last_error();
	}
	if (fd == nullptr) {
		v.masked.store(false);
		v.pending.store(false);
	}
	v.wired.store(fd != nullptr, std::memory_order_release);
	return {};
}

void
irq_table::apply(vector_state &v, uint32_t index, uint32_t action)
{
	switch (action) {
	case flags::action_mask:
		v.masked.store(true);
		if (v.mask_event)
			signal_(v.mask_event.get());
		break;
	case flags::action_unmask:
		v.masked.store(false);
		if (v.unmask_event)
			signal_(v.unmask_event.get());
		if (v.pending.exchange(false))
			fire(v, index);
		break;
	default:
		fire(v, index);
	}
}

int
irq_table::fire(vector_state &v, uint32_t index)
{
	if (!v.wired.load(std::memory_order_acquire))
		return -ENOTCONN;
	if (v.masked.load()) {
		v.pending.store(true);
		/* An unmask between the two lines above has not seen the pending event: take it
		 * back. */
		if (v.masked.load() || !v.pending.exchange(false))
			return 0;
	}
	if (types_[index].flags & RTE_VFIO_USER_IRQ_AUTOMASKED)
		v.masked.store(true);
	fired_.fetch_add(1, std::memory_order_relaxed);
	signal_(v.slot.load(std::memory_order_acquire));
	return 1;
}

int
irq_table::trigger(uint32_t index, uint32_t vector)
{
	vector_state *v = find(index, vector);
	return v == nullptr ? -EINVAL : fire(*v, index);
}

bool
irq_table::wired(uint32_t index, uint32_t vector) const
{
	const vector_state *v = find(index, vector);
	return v != nullptr && v->wired.load(std::memory_order_acquire);
}

void
irq_table::reset()
{
	for (size_t t = 0; t < types_.size(); t++) {
		for (uint32_t i = 0; i < types_[t].count; i++) {
			vector_state &v = states_[t].vectors[i];
			/* Out of descriptors: the client's eventfd stays open a while, unused. */
			(void)wire_trigger(v, nullptr);
			v.masked.store(false);
			v.pending.store(false);
			v.mask_event.reset();
			v.unmask_event.reset();
		}
	}
}

} // namespace vfio_user
