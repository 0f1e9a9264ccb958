/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "bytes.hpp"
#include "event_signal.hpp"
#include "foreign_fd.hpp"
#include "owner.hpp"
#include "rte_vfio_user.h"
#include "wire.hpp"

/**
 * The interrupts of a device [spec: VFIO_USER_DEVICE_SET_IRQS].
 *
 * Data threads trigger while the control thread rewires. So a vector keeps one descriptor number
 * for life: wiring puts the client's eventfd behind that number (dup3), unwiring puts an eventfd of
 * our own there. A data thread can thus never write to a descriptor that was closed or reused.
 */
namespace vfio_user {

class irq_table {
public:
	/** One entry per interrupt type. */
	explicit irq_table(std::span<const rte_vfio_user_irq> types);

	std::span<const rte_vfio_user_irq> types() const { return types_; }

	/**
	 * Carries out VFIO_USER_DEVICE_SET_IRQS. EINVAL: any field or combination that the
	 * specification or the interrupt type does not allow; nothing has changed then.
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
	struct vector_state {
		std::atomic<int> slot{-1}; /* descriptor number, constant once set */
		std::atomic<bool> wired{false}, masked{false}, pending{false};
		guard::unique_fd slot_owner;
		foreign_fd mask_event, unmask_event;
	};
	struct type_state {
		std::unique_ptr<vector_state[]> vectors;
	};

	guard::status check(const wire::irq_set &request, guard::bytes booleans,
			    std::span<foreign_fd> fds) const;
	vector_state *find(uint32_t index, uint32_t vector) const;
	guard::status wire_trigger(vector_state &v, const foreign_fd *fd);
	void apply(vector_state &v, uint32_t index, uint32_t action);
	int fire(vector_state &v, uint32_t index);

	std::vector<rte_vfio_user_irq> types_;
	std::vector<type_state> states_;
	std::atomic<uint64_t> fired_{0};
	event_signal signal_;
};

} // namespace vfio_user
