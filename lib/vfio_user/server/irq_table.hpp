/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "bytes.hpp"
#include "peer/event_relay.hpp"
#include "peer/event_slots.hpp"
#include "peer/foreign_fd.hpp"
#include "rte_vfio_user.h"
#include "wire/protocol.hpp"

/**
 * The interrupts of a device [spec: VFIO_USER_DEVICE_SET_IRQS].
 *
 * Data threads trigger while the control thread rewires. The client's eventfds are out of their
 * reach, see event_relay: they name events only, which go to wherever the vector is wired by then.
 * Those of a client that is trusted are signalled on the spot, see event_slots.
 */
namespace vfio_user {

class irq_table {
public:
	/**
	 * One entry per interrupt type.
	 * @param in_place
	 *   Whoever triggers an interrupt signals it.
	 */
	irq_table(std::span<const rte_vfio_user_irq> types, bool in_place);
	~irq_table();
	irq_table(const irq_table &) = delete;
	irq_table &operator=(const irq_table &) = delete;

	std::span<const rte_vfio_user_irq> types() const { return types_; }

	/**
	 * Carries out VFIO_USER_DEVICE_SET_IRQS. EINVAL: any field or combination that the
	 * specification or the interrupt type does not allow; nothing has changed then. EAGAIN and
	 * the like: no thread can be had that signals.
	 * @param booleans
	 *   The bytes behind the structure.
	 */
	guard::status set(const wire::irq_set &request, guard::bytes booleans,
			  std::span<foreign_fd> fds);

	/** Unwires and unmasks everything. */
	void reset();

	/** Any thread; see rte_vfio_user_server_irq_trigger(). */
	int trigger(uint32_t index, uint32_t vector);
	bool wired(uint32_t index, uint32_t vector) const;
	uint64_t fired() const { return fired_.load(std::memory_order_relaxed); }

private:
	/** The eventfds of a vector: to tell that it fires, and that it was masked or unmasked. */
	enum event : size_t { fires, was_masked, was_unmasked, nb_events };

	struct vector_state {
		/* How often it was wired and unwired: odd while it is wired. */
		std::atomic<uint32_t> wiring{0};
		std::atomic<bool> masked{false}, pending{false};
		size_t first_event = 0; /* in the relay */
	};
	struct type_state {
		std::unique_ptr<vector_state[]> vectors;
	};

	guard::status check(const wire::irq_set &request, guard::bytes booleans,
			    std::span<foreign_fd> fds) const;
	vector_state *find(uint32_t index, uint32_t vector) const;
	guard::status wire_trigger(vector_state &v, foreign_fd fd);
	guard::status wire_event(vector_state &v, event which, foreign_fd fd);
	void apply(vector_state &v, uint32_t index, uint32_t action);
	static bool is_wired(const vector_state &v);
	int fire(vector_state &v, uint32_t index);
	int fire_wired(vector_state &v, uint32_t index);
	void tell(const vector_state &v, event which) { relay_->signal(v.first_event + which); }
	void tell_fired(const vector_state &v);

	std::vector<rte_vfio_user_irq> types_;
	std::vector<type_state> states_;
	std::atomic<uint64_t> fired_{0};
	std::shared_ptr<event_relay> relay_;
	std::unique_ptr<event_slots> slots_; /* of what fires, or null: by the relay */
};

} // namespace vfio_user
