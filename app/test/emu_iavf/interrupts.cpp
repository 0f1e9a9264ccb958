/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>

#include <rte_cycles.h>

#include "cases.hpp"

/* When vectors fire, by the rules of the registers that a driver writes. */

using namespace test;
namespace op = iavf::vc_op;
using iavf::dyn_ctl;
using iavf::icr0;

namespace {

constexpr uint32_t enabled = dyn_ctl::intena::mask | dyn_ctl::itr_indx::mask; /* no timer */
constexpr uint16_t queue_vector = 1;

/** What a back-end asks for. */
int
ask(fake_driver &driver, uint8_t timer, rte_emudev_irq_cause why, uint16_t vector = queue_vector)
{
	return driver.dev().function().signals().fire(vector, timer, why);
}

/** What a back-end has that an event happened to. */
int
fire(fake_driver &driver, uint16_t vector = queue_vector, uint8_t timer = 0, bool event = true)
{
	return ask(driver, timer, event ? RTE_EMUDEV_IRQ_EVENT : RTE_EMUDEV_IRQ_FORCED, vector);
}

/** A value of the control register that also sets a timer. */
constexpr uint32_t
with_interval(uint8_t timer, uint32_t us)
{
	return dyn_ctl::intena::mask | dyn_ctl::itr_indx::set(0, timer) |
	       dyn_ctl::interval::set(0, us / iavf::itr::unit_us);
}

bool
is_enabled(fake_driver &driver, uint16_t vector = queue_vector)
{
	return dyn_ctl::intena::is_set(driver.read(iavf::reg::dyn_ctl(vector)));
}

outcome
a_vector_fires_once_each_time_it_is_enabled()
{
	fake_driver driver;
	const uint32_t control = iavf::reg::dyn_ctl(queue_vector);

	CHECK_EQ(fire(driver), 0);
	/* WB_ON_ITR, and an interval, enable nothing. */
	driver.write(control, dyn_ctl::wb_on_itr::mask | dyn_ctl::itr_indx::mask);
	CHECK_EQ(fire(driver), 0);
	driver.write(control, dyn_ctl::interval::set(0, 25));
	CHECK_EQ(fire(driver), 0);
	for (int times = 1; times <= 3; times++) {
		driver.write(control, enabled | dyn_ctl::clearpba::mask);
		CHECK_EQ(fire(driver, queue_vector, 0, false), 0); /* nothing happened */
		CHECK_EQ(fire(driver), 1);
		CHECK(!is_enabled(driver));
		CHECK_EQ(fire(driver), 0);
		CHECK_EQ(driver.machine.fired[queue_vector], times);
	}
	CHECK_EQ(driver.machine.fired[0], 0);
	CHECK_EQ(fire(driver, iavf::max_vectors), 1); /* no such vector: nobody waits */
	return success;
}

/* Between the look whether it is wired and the signal. */
outcome
a_vector_that_is_unwired_meanwhile_loses_nothing()
{
	for (uint16_t vector : {uint16_t{0}, queue_vector}) {
		fake_driver driver;
		const uint32_t control = iavf::reg::dyn_ctl(vector);
		const uint32_t wanted = with_interval(1, 100) | dyn_ctl::swint_trig::mask |
					dyn_ctl::sw_itr_indx_ena::mask;

		driver.machine.wired = vector != 0; /* its control is acted on when written */
		driver.write(control, enabled);
		driver.machine.wired = true;
		driver.machine.trigger_result = -ENOTCONN;
		CHECK_EQ(fire(driver, vector), 0);
		CHECK_EQ(driver.read(control), enabled);
		if (vector != 0) {
			/* All that the driver asked for is still asked for. */
			driver.write(control, wanted);
			CHECK_EQ(fire(driver, vector), 0);
			CHECK_EQ(driver.read(control), wanted);
		}
		CHECK_EQ(driver.machine.fired[vector], 0);
		driver.machine.trigger_result = 1;
		CHECK_EQ(fire(driver, vector), 1); /* and no interval has begun */
		CHECK(!is_enabled(driver, vector));
		CHECK_EQ(driver.machine.fired[vector], 1);
	}
	return success;
}

outcome
a_driver_that_writes_meanwhile_has_its_way()
{
	const uint32_t control = iavf::reg::dyn_ctl(queue_vector);

	for (uint32_t written : {0u, with_interval(2, 50)}) {
		fake_driver driver;

		driver.write(control, enabled);
		driver.machine.trigger_result = -ENOTCONN;
		driver.machine.at_trigger = [&] { driver.write(control, written); };
		CHECK_EQ(fire(driver), 0);
		CHECK_EQ(driver.read(control), written);
	}
	return success;
}

outcome
the_mailbox_waits_for_its_vector()
{
	fake_driver driver;

	driver.open_mailbox();
	driver.write(iavf::reg::vfint_icr0_ena1, icr0::adminq::mask);
	driver.machine.trigger_result = -ENOTCONN;
	driver.write(iavf::reg::vfint_dyn_ctl01, enabled);
	CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	CHECK(is_enabled(driver, 0));
	driver.machine.trigger_result = 1;
	driver.machine.wired = false;
	driver.pci().behaviour().interrupts_changed();
	CHECK_EQ(driver.machine.fired[0], 0);
	driver.machine.wired = true;
	driver.pci().behaviour().interrupts_changed();
	CHECK_EQ(driver.machine.fired[0], 1);
	CHECK(!is_enabled(driver, 0));
	driver.pci().behaviour().interrupts_changed();
	driver.write(iavf::reg::vfint_dyn_ctl01, enabled);
	CHECK_EQ(driver.machine.fired[0], 1);
	return success;
}

/** Enables and fires as often as it goes for a while. @return Interrupts. */
int
count_for(fake_driver &driver, uint32_t control, uint32_t us, std::initializer_list<uint8_t> timers)
{
	const uint64_t end = rte_get_tsc_cycles() + us * rte_get_tsc_hz() / 1000000;
	const int before = driver.machine.fired[queue_vector];

	while (rte_get_tsc_cycles() < end) {
		if (!is_enabled(driver))
			driver.write(iavf::reg::dyn_ctl(queue_vector), control);
		for (uint8_t timer : timers)
			fire(driver, queue_vector, timer);
	}
	return driver.machine.fired[queue_vector] - before;
}

/** Fires twice. @return From before the first to after the second, in TSC; 0: something is wrong.
 */
uint64_t
two_interrupts(fake_driver &driver, uint8_t timer, uint32_t control)
{
	driver.write(iavf::reg::dyn_ctl(queue_vector), control);
	uint64_t before = rte_get_tsc_cycles();
	while (fire(driver, queue_vector, timer) == 0)
		before = rte_get_tsc_cycles();
	driver.write(iavf::reg::dyn_ctl(queue_vector), enabled);
	while (fire(driver, queue_vector, timer) == 0)
		if (!is_enabled(driver))
			return 0;
	return rte_get_tsc_cycles() - before;
}

/* An interval that comes with the control register, or is in the timer's own. */
outcome
an_interval_passes_between_interrupts()
{
	for (uint8_t timer : {uint8_t{0}, uint8_t{1}, uint8_t{2}}) {
		for (uint32_t us : {50u, 200u, 1000u, 8190u}) {
			fake_driver driver;
			const uint64_t interval = us * rte_get_tsc_hz() / 1000000;
			const uint64_t limit = interval * 5 / 4 + rte_get_tsc_hz() / 10000;
			uint64_t took = UINT64_MAX;

			if (timer == 1)
				driver.write(iavf::reg::itr(queue_vector, timer), us / 2);
			/* Something else may have had the processor. */
			for (int i = 0; i < 100 && took > limit; i++) {
				took = two_interrupts(driver, timer,
						      timer == 1 ? enabled
								 : with_interval(timer, us));
				CHECK(took >= interval, "%u us: %lu of %lu", us, took, interval);
			}
			CHECK(took <= limit, "%u us: %lu of %lu", us, took, interval);
			CHECK_EQ(driver.read(iavf::reg::itr(queue_vector, timer)), us / 2);
			/* Without a timer nothing is held up. */
			driver.write(iavf::reg::dyn_ctl(queue_vector), enabled);
			CHECK_EQ(fire(driver, queue_vector, dyn_ctl::no_itr), 1);
		}
	}
	return success;
}

outcome
rates_are_bounded_as_programmed()
{
	constexpr uint32_t measured_us = 20000;

	for (uint32_t us : {50u, 200u, 1000u}) {
		fake_driver driver;
		int most = static_cast<int>(measured_us / us) + 1;
		int one = count_for(driver, with_interval(0, us), measured_us, {0});
		CHECK(one <= most && one > 1, "%u us: %d", us, one);
		/* Two queues of a vector share its interrupts. */
		int both = count_for(driver, with_interval(0, us), measured_us, {0, 0});
		CHECK(both <= most && both > 1, "%u us, two queues: %d", us, both);
	}
	fake_driver driver;
	CHECK(count_for(driver, with_interval(0, 0), measured_us, {0}) > 1000, "no interval");
	return success;
}

outcome
the_shorter_of_two_timers_bounds_a_vector()
{
	fake_driver driver;
	constexpr uint32_t measured_us = 20000;

	driver.write(iavf::reg::itr(queue_vector, 0), 1000 / 2);
	driver.write(iavf::reg::itr(queue_vector, 1), 200 / 2);
	int fired = count_for(driver, enabled, measured_us, {0, 1});
	CHECK(fired <= 101 && fired > 1, "%d", fired);
	/* The vector's other timer does not wait for itself only. */
	fired = count_for(driver, enabled, measured_us, {0});
	CHECK(fired <= 21, "%d", fired);
	return success;
}

/* For one interval, from when it is first heard of, or for the vector's next interrupt. */
outcome
a_patient_event_waits_for_others()
{
	constexpr uint32_t us = 4000;
	const uint64_t interval = us * rte_get_tsc_hz() / 1000000;
	fake_driver driver;

	driver.write(iavf::reg::itr(queue_vector, 1), us / iavf::itr::unit_us);
	for (int times = 1; times <= 2; times++) {
		rte_delay_us_block(us); /* The interval since the latest interrupt is over. */
		driver.write(iavf::reg::dyn_ctl(queue_vector), enabled);
		uint64_t begin = rte_get_tsc_cycles();
		CHECK_EQ(ask(driver, 1, RTE_EMUDEV_IRQ_PATIENT), 0);
		while (ask(driver, 1, RTE_EMUDEV_IRQ_PATIENT) == 0)
			CHECK(is_enabled(driver));
		CHECK(rte_get_tsc_cycles() - begin >= interval);
		CHECK_EQ(driver.machine.fired[queue_vector], times);
	}
	/* A prompt one does not wait with it, and the next patient one waits anew. */
	for (int times = 3; times <= 4; times++) {
		rte_delay_us_block(us);
		driver.write(iavf::reg::dyn_ctl(queue_vector), enabled);
		CHECK_EQ(ask(driver, 1, RTE_EMUDEV_IRQ_PATIENT), 0);
		CHECK_EQ(ask(driver, 1, RTE_EMUDEV_IRQ_EVENT), 1);
		CHECK_EQ(driver.machine.fired[queue_vector], times);
	}
	/* Nor does one that the driver forces, or whose timer has no interval. */
	driver.write(iavf::reg::dyn_ctl(queue_vector), enabled | dyn_ctl::swint_trig::mask);
	CHECK_EQ(ask(driver, 1, RTE_EMUDEV_IRQ_PATIENT), 1);
	driver.write(iavf::reg::dyn_ctl(queue_vector), enabled);
	CHECK_EQ(ask(driver, 0, RTE_EMUDEV_IRQ_PATIENT), 1);
	driver.write(iavf::reg::dyn_ctl(queue_vector), enabled);
	CHECK_EQ(ask(driver, dyn_ctl::no_itr, RTE_EMUDEV_IRQ_PATIENT), 1);
	return success;
}

outcome
a_software_interrupt_needs_no_event()
{
	fake_driver driver;
	const uint32_t control = iavf::reg::dyn_ctl(queue_vector);
	const uint32_t forced = enabled | dyn_ctl::swint_trig::mask;

	driver.write(control, dyn_ctl::swint_trig::mask | dyn_ctl::itr_indx::mask);
	CHECK_EQ(fire(driver, queue_vector, 0, false), 0); /* waits to be enabled */
	CHECK(dyn_ctl::swint_trig::is_set(driver.read(control)));
	driver.write(control, forced);
	CHECK_EQ(fire(driver, queue_vector, 0, false), 1);
	CHECK(!dyn_ctl::swint_trig::is_set(driver.read(control)));
	/* A timer holds it up if it is named for it, and only then. */
	driver.write(iavf::reg::itr(queue_vector, 0), 4000);
	driver.write(iavf::reg::itr(queue_vector, 2), 4000);
	driver.write(control, forced);
	CHECK_EQ(fire(driver, queue_vector, 0, false), 1);
	driver.write(control,
		     forced | dyn_ctl::sw_itr_indx_ena::mask | dyn_ctl::sw_itr_indx::set(0, 2));
	CHECK_EQ(fire(driver, queue_vector, dyn_ctl::no_itr, false), 0);
	CHECK(is_enabled(driver));
	driver.write(iavf::reg::itr(queue_vector, 2), 0);
	CHECK_EQ(fire(driver, queue_vector, dyn_ctl::no_itr, false), 1);
	CHECK_EQ(driver.machine.fired[queue_vector], 3);
	return success;
}

/* Vector 0 says why it fires, before it does. */
outcome
vector_0_may_have_all_queues()
{
	fake_driver driver;
	uint32_t cause = 0;

	driver.machine.at_trigger = [&] { cause = driver.read(iavf::reg::vfint_icr01); };
	driver.write(iavf::reg::vfint_dyn_ctl01, enabled);
	CHECK_EQ(fire(driver, 0), 1);
	CHECK_EQ(cause, icr0::queue_0::mask | icr0::intevent::mask);
	CHECK_EQ(driver.read(iavf::reg::vfint_icr01), 0);
	/* A software interrupt is the mailbox thread's, with or without a queue's event. */
	driver.write(iavf::reg::vfint_dyn_ctl01, enabled | dyn_ctl::swint_trig::mask);
	CHECK_EQ(driver.machine.fired[0], 2);
	CHECK_EQ(cause, icr0::swint::mask | icr0::intevent::mask);
	/* The mailbox and a queue while it is disabled: each fires it by itself. */
	driver.open_mailbox();
	driver.write(iavf::reg::vfint_icr0_ena1, icr0::adminq::mask);
	CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	CHECK_EQ(fire(driver, 0), 0);
	driver.write(iavf::reg::vfint_dyn_ctl01, enabled);
	CHECK_EQ(cause, icr0::adminq::mask | icr0::intevent::mask);
	driver.write(iavf::reg::vfint_dyn_ctl01, enabled);
	CHECK_EQ(fire(driver, 0), 1);
	CHECK_EQ(cause, icr0::queue_0::mask | icr0::intevent::mask);
	CHECK_EQ(driver.machine.fired[0], 4);
	/* A link event that its driver has not enabled as a cause waits. */
	driver.write(iavf::reg::vfint_icr0_ena1, icr0::link_stat_change::mask);
	driver.write(iavf::reg::vfint_dyn_ctl01, enabled);
	CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	CHECK_EQ(driver.machine.fired[0], 4);
	return success;
}

outcome
a_reset_ends_intervals_and_causes()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	driver.write(iavf::reg::itr(queue_vector, 0), 4095);
	driver.write(iavf::reg::dyn_ctl(queue_vector), enabled);
	CHECK_EQ(fire(driver), 1);
	driver.write(iavf::reg::dyn_ctl(queue_vector), enabled);
	CHECK_EQ(fire(driver), 0);
	driver.pci().reset(pci_device::reset_cause::function_level);
	CHECK_EQ(driver.read(iavf::reg::itr(queue_vector, 0)), 0);
	CHECK_EQ(driver.read(iavf::reg::dyn_ctl(queue_vector)), 0);
	CHECK_EQ(driver.read(iavf::reg::vfint_icr01), 0);
	driver.write(iavf::reg::vfint_icr0_ena1, UINT32_MAX);
	driver.write(iavf::reg::vfint_dyn_ctl01, enabled);
	CHECK_EQ(driver.machine.fired[0], 0);
	driver.write(iavf::reg::dyn_ctl(queue_vector), with_interval(0, 8000));
	CHECK_EQ(fire(driver), 1);
	return success;
}

/* Of a client that maps them all: after each look it is known when the next one is due. */
outcome
mapped_registers_are_looked_at_now_and_then()
{
	constexpr uint32_t shortest = 100, after_a_while = 5000, while_ms = 20;
	fake_driver driver;
	pci_device::device_behaviour &device = driver.pci().behaviour();
	rte_vfio_user_session session = {};
	int busy = 0;

	CHECK_EQ(driver.machine.poll_us, 0);
	session.mapped_bars = 1;
	CHECK_EQ(device.connected(session), 0);
	CHECK_EQ(driver.machine.poll_us, shortest);
	driver.open_mailbox();
	for (int i = 0; i < 100; i++) {
		CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
		device.poll();
		CHECK(driver.machine.poll_us >= shortest);
		busy += driver.machine.poll_us == shortest;
	}
	CHECK(busy > 0);
	::usleep(while_ms * 1000 + 1000);
	device.poll();
	CHECK_EQ(driver.machine.poll_us, after_a_while);
	device.disconnected();
	CHECK_EQ(driver.machine.poll_us, 0);
	return success;
}

constexpr test_case cases[] = {
	{"mapped registers are looked at now and then",
	 mapped_registers_are_looked_at_now_and_then},
	{"a vector fires once each time it is enabled",
	 a_vector_fires_once_each_time_it_is_enabled},
	{"a vector that is unwired meanwhile loses nothing",
	 a_vector_that_is_unwired_meanwhile_loses_nothing},
	{"a driver that writes meanwhile has its way", a_driver_that_writes_meanwhile_has_its_way},
	{"the mailbox waits for its vector", the_mailbox_waits_for_its_vector},
	{"an interval passes between interrupts", an_interval_passes_between_interrupts},
	{"rates are bounded as programmed", rates_are_bounded_as_programmed},
	{"the shorter of two timers bounds a vector", the_shorter_of_two_timers_bounds_a_vector},
	{"a patient event waits for others", a_patient_event_waits_for_others},
	{"a software interrupt needs no event", a_software_interrupt_needs_no_event},
	{"vector 0 may have all queues", vector_0_may_have_all_queues},
	{"a reset ends intervals and causes", a_reset_ends_intervals_and_causes},
};

} // namespace

constinit const case_table test::interrupt_cases = cases;
