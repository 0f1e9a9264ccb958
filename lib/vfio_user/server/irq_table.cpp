/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/irq_table.hpp"

#include <bit>

namespace vfio_user {

namespace {

namespace flags = wire::irq_set_flags;

} // namespace

irq_table::irq_table(std::span<const rte_vfio_user_irq> types, bool in_place)
    : types_(types.begin(), types.end()), states_(types.size())
{
	size_t next_event = 0;

	for (size_t i = 0; i < types.size(); i++) {
		states_[i].vectors = std::make_unique<vector_state[]>(types[i].count);
		for (uint32_t n = 0; n < types[i].count; n++, next_event += nb_events)
			states_[i].vectors[n].first_event = next_event;
	}
	relay_ = std::make_shared<event_relay>(next_event);
	if (in_place)
		slots_ = std::make_unique<event_slots>(next_event);
}

irq_table::~irq_table()
{
	relay_->stop();
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
			TRY(wire_trigger(states_[request.index].vectors[i], {}));
		return {};
	}
	for (uint32_t i = 0; i < request.count; i++) {
		vector_state &v = *find(request.index, request.start + i);

		if (data == flags::data_bool && booleans[i] == std::byte{0})
			continue;
		if (data != flags::data_eventfd) {
			apply(v, request.index, action);
			continue;
		}
		foreign_fd fd = fds.empty() ? foreign_fd() : std::move(fds[i]);
		if (action == flags::action_trigger)
			TRY(wire_trigger(v, std::move(fd)));
		else
			TRY(wire_event(v, action == flags::action_mask ? was_masked : was_unmasked,
				       std::move(fd)));
	}
	return {};
}

guard::status
irq_table::wire_event(vector_state &v, event which, foreign_fd fd)
{
	return relay_->set(v.first_event + which, std::move(fd));
}

guard::status
irq_table::wire_trigger(vector_state &v, foreign_fd fd)
{
	bool wired = static_cast<bool>(fd), before = is_wired(v);

	/* Sequentially consistent, as in fire(). */
	if (!wired && before)
		v.wiring.fetch_add(1);
	TRY(slots_ ? slots_->set(v.first_event + fires, std::move(fd))
		   : wire_event(v, fires, std::move(fd)));
	if (!wired) {
		v.masked.store(false);
		v.pending.store(false);
	} else if (!before) {
		v.wiring.fetch_add(1);
	} else if (slots_) {
		/* Another one: what is just being signalled may go to that of before, after the
		 * client has stopped looking at it. The relay sees to that itself. */
		v.wiring.fetch_add(2);
	}
	return {};
}

bool
irq_table::is_wired(const vector_state &v)
{
	return v.wiring.load() % 2 != 0;
}

void
irq_table::apply(vector_state &v, uint32_t index, uint32_t action)
{
	switch (action) {
	case flags::action_mask:
		v.masked.store(true);
		tell(v, was_masked);
		break;
	case flags::action_unmask:
		v.masked.store(false);
		tell(v, was_unmasked);
		if (v.pending.exchange(false))
			fire(v, index);
		break;
	default:
		fire(v, index);
	}
}

/**
 * An event that meets a vector which is being unwired may have nowhere to go. What was marked while
 * the vector was wired is passed on, see event_relay::set(); if the wiring is another one after
 * that, it is not certain, and the caller is told that it has to come again: once too often rather
 * than never.
 */
int
irq_table::fire(vector_state &v, uint32_t index)
{
	uint32_t wiring = v.wiring.load();

	if (wiring % 2 == 0)
		return -ENOTCONN;
	int done = fire_wired(v, index);
	if (v.wiring.load() != wiring)
		return -ENOTCONN;
	if (done == 1)
		fired_.fetch_add(1, std::memory_order_relaxed);
	return done;
}

int
irq_table::fire_wired(vector_state &v, uint32_t index)
{
	if (v.masked.load()) {
		v.pending.store(true);
		/* An unmask between the two lines above has not seen the pending event: take it
		 * back. */
		if (v.masked.load() || !v.pending.exchange(false))
			return 0;
	}
	if (types_[index].flags & RTE_VFIO_USER_IRQ_AUTOMASKED)
		v.masked.store(true);
	tell_fired(v);
	return 1;
}

void
irq_table::tell_fired(const vector_state &v)
{
	if (slots_)
		slots_->signal(v.first_event + fires, relay_->signaller());
	else
		tell(v, fires);
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
	return v != nullptr && is_wired(*v);
}

void
irq_table::reset()
{
	for (size_t t = 0; t < types_.size(); t++) {
		for (uint32_t i = 0; i < types_[t].count; i++) {
			vector_state &v = states_[t].vectors[i];
			(void)wire_trigger(v, {});
			v.masked.store(false);
			v.pending.store(false);
			(void)wire_event(v, was_masked, {});
			(void)wire_event(v, was_unmasked, {});
		}
	}
}

} // namespace vfio_user
