/* SPDX-License-Identifier: BSD-3-Clause */
#include "vectors.hpp"

#include <rte_cycles.h>

namespace iavf {

void
vectors::raise(uint32_t cause)
{
	registers_.set_bits(reg::vfint_icr01, cause);
	unsignalled_ |= cause;
	evaluate();
}

void
vectors::evaluate()
{
	uint32_t control = registers_.load(reg::vfint_dyn_ctl01);

	if (dyn_ctl::swint_trig::is_set(control)) {
		registers_.clear_bits(reg::vfint_dyn_ctl01, dyn_ctl::swint_trig::mask);
		registers_.set_bits(reg::vfint_icr01, icr0::swint::mask);
		unsignalled_ |= icr0::swint::mask;
		control = registers_.load(reg::vfint_dyn_ctl01);
	}
	/* A software interrupt needs no enabling as a cause. */
	uint32_t enabled = registers_.load(reg::vfint_icr0_ena1) | icr0::swint::mask;

	if ((unsignalled_ & enabled) != 0 && dyn_ctl::intena::is_set(control) &&
	    signal(0, control, last_[0].load(std::memory_order_relaxed)))
		unsignalled_ = 0;
}

void
vectors::reset()
{
	unsignalled_ = 0;
	for (std::atomic<uint64_t> &last : last_)
		last.store(0, std::memory_order_relaxed);
	for (std::atomic<uint64_t> &since : waits_since_)
		since.store(0, std::memory_order_relaxed);
}

/**
 * Clears INTENA and signals the vector, if the control register is still as it was seen: else the
 * driver or another thread was quicker, and the caller tries again later. So does it if the client
 * has unwired the vector since it was looked at: then it is as if nobody had tried.
 *
 * @param now
 *   Is the time of the latest interrupt when this one can be seen: the driver may enable the vector
 *   at once, and another thread look whether it may fire.
 */
bool
vectors::signal(uint16_t vector, uint32_t seen, uint64_t now)
{
	if (!bus_.irq_wired(RTE_VFIO_USER_IRQ_MSIX, vector))
		return false;
	std::atomic_ref control(*registers_.word(reg::dyn_ctl(vector)));
	uint32_t fired = seen & ~(dyn_ctl::intena::mask | dyn_ctl::swint_trig::mask |
				  dyn_ctl::clearpba::mask);

	/* An interval that came with INTENA is taken over once; see interval(). */
	fired = dyn_ctl::itr_indx::set(fired, dyn_ctl::no_itr);
	/* acq_rel: the event's writes to guest memory come before the vector is seen as fired. */
	uint32_t before = seen;
	if (!control.compare_exchange_strong(before, fired, std::memory_order_acq_rel))
		return false;
	uint8_t timer = static_cast<uint8_t>(dyn_ctl::itr_indx::get(seen));

	if (timer != dyn_ctl::no_itr)
		registers_.store(reg::itr(vector, timer), dyn_ctl::interval::get(seen));
	uint64_t latest = last_[vector].exchange(now, std::memory_order_relaxed);
	if (bus_.irq_trigger(RTE_VFIO_USER_IRQ_MSIX, vector) >= 0)
		return true;
	last_[vector].store(latest, std::memory_order_relaxed);
	/* Unless the driver has written it meanwhile, and wants something else. */
	control.compare_exchange_strong(fired, seen, std::memory_order_acq_rel);
	return false;
}

/**
 * The interval of a timer. A write of the control register with an ITR_INDX other than 3
 * sets that timer's interval; nobody sees the write itself, as the register is shared memory, so it
 * is looked at when it matters.
 */
uint32_t
vectors::interval_us(uint16_t vector, uint8_t timer, uint32_t control) const
{
	if (timer >= dyn_ctl::no_itr)
		return 0;
	uint32_t units = dyn_ctl::itr_indx::get(control) == timer
				 ? dyn_ctl::interval::get(control)
				 : itr::interval::get(registers_.load(reg::itr(vector, timer)));
	return units * itr::unit_us;
}

/** The same in TSC. */
uint64_t
vectors::interval(uint16_t vector, uint8_t timer, uint32_t control) const
{
	return interval_us(vector, timer, control) * rte_get_tsc_hz() / 1000000;
}

/**
 * Whether an event that can wait has to. It waits for one interval from when it was first heard of,
 * or for the next interrupt of the vector, which tells of it, too.
 */
bool
vectors::waits(uint16_t vector, uint64_t interval, uint64_t now)
{
	uint64_t since = waits_since_[vector].load(std::memory_order_relaxed);

	if (since <= last_[vector].load(std::memory_order_relaxed)) {
		waits_since_[vector].store(now, std::memory_order_relaxed);
		since = now;
	}
	return now - since < interval;
}

int
vectors::fire(uint16_t vector, uint8_t timer, rte_emudev_irq_cause why)
{
	if (vector >= max_vectors)
		return 1; /* a queue without a vector: nobody waits */
	uint32_t control = registers_.load(reg::dyn_ctl(vector));
	bool event = why != RTE_EMUDEV_IRQ_FORCED;
	bool forced = dyn_ctl::swint_trig::is_set(control);

	if (!dyn_ctl::intena::is_set(control) || (!event && !forced))
		return 0;
	if (forced)
		timer = dyn_ctl::sw_itr_indx_ena::is_set(control)
				? static_cast<uint8_t>(dyn_ctl::sw_itr_indx::get(control))
				: dyn_ctl::no_itr;
	uint64_t now = rte_get_tsc_cycles();
	uint64_t apart = interval(vector, timer, control);

	if (why == RTE_EMUDEV_IRQ_PATIENT && !forced && waits(vector, apart, now))
		return 0;
	if (now - last_[vector].load(std::memory_order_relaxed) < apart)
		return 0;
	/* Before the driver can come and look why. */
	if (vector == 0)
		registers_.set_bits(reg::vfint_icr01,
				    event ? icr0::queue_0::mask : icr0::swint::mask);
	return signal(vector, control, now) ? 1 : 0;
}

} // namespace iavf
