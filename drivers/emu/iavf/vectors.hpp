/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <atomic>

#include <bars.hpp>
#include <bus.hpp>
#include <registers.hpp>
#include <state_walk.hpp>

#include <rte_emudev.h>

namespace iavf {

/**
 * The MSI-X vectors, by the rules of [AVF HAS], section on interrupts:
 * a vector fires when its control register has INTENA, which is cleared by firing; what happens
 * meanwhile stays pending and fires when the driver enables the vector again.
 *
 * Deviation: CLEARPBA does not drop a pending event. Drivers write it together with INTENA after
 * they have emptied a queue; an event that came in between would be lost, as it can be on hardware.
 */
class vectors {
public:
	vectors(pci_device::register_bar &registers, pci_device::bus &machine)
	    : registers_(registers), bus_(machine)
	{
	}

	/** Something for vector 0 happened; @p cause is a bit of VFINT_ICR01. */
	void raise(uint32_t cause);
	/** Fires vector 0 if something is pending and the driver allows it now. */
	void evaluate();
	void reset();
	/** Without the times of interrupts: what is loaded may fire at once. */
	void each_state(pci_device::state_walk &walk) { walk(unsignalled_); }

	/** rte_emudev_irq_fire(): data threads, several at a time. */
	int fire(uint16_t vector, uint8_t timer, rte_emudev_irq_cause why);

	/** The interval of a timer of a vector as it is now. */
	uint32_t interval_us(uint16_t vector, uint8_t timer) const
	{
		return interval_us(vector, timer, registers_.load(reg::dyn_ctl(vector)));
	}

private:
	bool signal(uint16_t vector, uint32_t seen, uint64_t now);
	uint32_t interval_us(uint16_t vector, uint8_t timer, uint32_t control) const;
	uint64_t interval(uint16_t vector, uint8_t timer, uint32_t control) const;
	bool waits(uint16_t vector, uint64_t interval, uint64_t now);

	pci_device::register_bar &registers_;
	pci_device::bus &bus_;
	uint32_t unsignalled_ = 0; /* causes that no interrupt has reported yet */
	std::array<std::atomic<uint64_t>, max_vectors> last_{}; /* TSC of the latest interrupt */
	/* TSC when the first event since then came that can wait; not later: none has. */
	std::array<std::atomic<uint64_t>, max_vectors> waits_since_{};
};

} // namespace iavf
