/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"
#include "system.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <rte_epoll.h>

/* An application that sleeps until a queue of the port has something for it. */

using namespace test;
using namespace test::port_suite;

namespace {

constexpr int soon = 2000, quiet = 20; /* ms */

/** The queue whose interrupt comes within a time, or -1. */
int
woken_by(int timeout_ms)
{
	rte_epoll_event event;
	return rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, timeout_ms) == 1
		       ? static_cast<int>(reinterpret_cast<uintptr_t>(event.epdata.data))
		       : -1;
}

bool
listen(const fake_port &port, uint16_t queue)
{
	return rte_eth_dev_rx_intr_ctl_q(port.id(), queue, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD,
					 reinterpret_cast<void *>(uintptr_t{queue})) == 0;
}

void
transmit(fake_guest &guest, uint16_t ring)
{
	make_frame(guest.at(buffer(200)), 64, 1);
	guest.post_data(buffer(200), 64, true, 0, ring);
	guest.ring_tx(ring);
}

/** Threads of this process that look at doorbells. */
int
watchers()
{
	int n = 0;
	for (const auto &task : std::filesystem::directory_iterator("/proc/self/task")) {
		std::string name;
		std::ifstream(task.path() / "comm") >> name;
		n += name == "iavf-be-rx";
	}
	return n;
}

outcome
a_sleeper_is_woken_once()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 2, .tx_queues = 2, .rx_interrupts = true});
	const uint16_t id = port.id();
	CHECK(port.ok());
	CHECK(listen(port, 0) && listen(port, 1));
	for (uint16_t ring = 0; ring < 4; ring++) {
		guest.enable(from, ring);
		guest.enable(to, ring);
	}
	/* Nobody has asked. */
	transmit(guest, 0);
	CHECK_EQ(woken_by(quiet), -1);
	/* What has come before is not missed. */
	CHECK_EQ(rte_eth_dev_rx_intr_enable(id, 0), 0);
	CHECK_EQ(rte_eth_dev_rx_intr_enable(id, 1), 0);
	CHECK_EQ(woken_by(soon), 0);
	CHECK_EQ(woken_by(quiet), -1); /* once */
	CHECK_EQ(port.drain(0), 1);
	/* The other queue still waits; so it does for rings that it serves besides its own. */
	transmit(guest, 3);
	CHECK_EQ(woken_by(soon), 1);
	CHECK_EQ(port.drain(1), 1);
	CHECK_EQ(rte_eth_dev_rx_intr_enable(id, 0), 0);
	CHECK_EQ(woken_by(quiet), -1);
	CHECK_EQ(rte_eth_dev_rx_intr_disable(id, 0), 0);
	transmit(guest, 0);
	CHECK_EQ(woken_by(quiet), -1);
	CHECK_EQ(port.drain(0), 1);
	return success;
}

/** An empty burst fires it, if there is one. */
outcome
an_interrupt_that_is_due_wakes_the_sleeper()
{
	for (const bool transmits : {true, false}) {
		fake_guest guest;
		fake_port port(guest, {.rx_interrupts = true});
		CHECK(listen(port, 0));
		if (transmits)
			guest.enable(from);
		guest.enable(to);
		guest.post_rx(buffer(0));
		guest.ring_rx();
		CHECK_EQ(send_one(port, 64, 1), 1);
		CHECK_EQ(rte_eth_dev_rx_intr_enable(port.id(), 0), 0);
		CHECK_EQ(woken_by(quiet), -1); /* the guest polls */
		__atomic_store_n(&guest.control[1], 1, __ATOMIC_RELEASE);
		CHECK_EQ(woken_by(soon), 0);
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(guest.fired[1], 1);
		if (!transmits)
			continue;
		/* That of a frame which the guest has sent. */
		CHECK(goes_on(guest, port));
		CHECK_EQ(rte_eth_dev_rx_intr_enable(port.id(), 0), 0);
		CHECK_EQ(woken_by(quiet), -1);
		__atomic_store_n(&guest.control[1], 1, __ATOMIC_RELEASE);
		CHECK_EQ(woken_by(soon), 0);
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(guest.fired[1], 2);
	}
	return success;
}

outcome
rings_that_are_not_served_wake_nobody()
{
	fake_guest guest;
	fake_port port(guest, {.rx_interrupts = true});
	const uint16_t id = port.id();
	CHECK(listen(port, 0));
	CHECK_EQ(rte_eth_dev_rx_intr_enable(id, 0), 0);
	guest.enable(from);
	CHECK_EQ(woken_by(quiet), -1);
	CHECK_EQ(rte_eth_dev_rx_queue_stop(id, 0), 0);
	transmit(guest, 0);
	CHECK_EQ(woken_by(quiet), -1);
	CHECK_EQ(rte_eth_dev_rx_queue_start(id, 0), 0);
	CHECK_EQ(woken_by(soon), 0);
	CHECK_EQ(port.drain(), 1);
	/* Memory that is gone while the watch looks at the ring in it. */
	CHECK_EQ(rte_eth_dev_rx_intr_enable(id, 0), 0);
	for (int i = 0; i < 100; i++) {
		guest.take_away([&] {
			guest.map({});
			guest.forget_tables();
		});
		transmit(guest, 0);
		CHECK_EQ(woken_by(0), -1);
		guest.map_all();
		guest.notify(RTE_EMUDEV_EVENT_MEMORY);
		CHECK_EQ(woken_by(soon), 0);
		CHECK_EQ(port.drain(), 1);
		CHECK_EQ(rte_eth_dev_rx_intr_enable(id, 0), 0);
	}
	guest.disable(from);
	CHECK_EQ(woken_by(quiet), -1);
	return success;
}

outcome
the_watch_comes_and_goes()
{
	fake_guest guest;
	guest.enable(from);
	{
		fake_port without(guest);
		CHECK_EQ(watchers(), 0);
		CHECK_EQ(rte_eth_dev_rx_intr_enable(without.id(), 0), -ENOTSUP);
		CHECK(!listen(without, 0));
	}
	fake_port port(guest, {.rx_interrupts = true});
	for (int round = 0; round < 20; round++) {
		CHECK(wait_until([] { return watchers() == 1; }));
		CHECK(listen(port, 0));
		CHECK_EQ(rte_eth_dev_rx_intr_enable(port.id(), 0), 0);
		transmit(guest, 0);
		CHECK_EQ(woken_by(soon), 0);
		CHECK_EQ(port.drain(), 1);
		CHECK_EQ(rte_eth_dev_rx_intr_enable(port.id(), 0), 0);
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		CHECK(wait_until([] { return watchers() == 0; }));
		CHECK_EQ(rte_eth_dev_rx_intr_enable(port.id(), 0), -ENOTSUP);
		transmit(guest, 0);
		CHECK_EQ(woken_by(0), -1);
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
		CHECK_EQ(port.drain(), 1);
	}
	return success;
}

/** Frames one by one, to an application that sleeps between: each wakes it. */
outcome
no_wake_is_lost()
{
	fake_guest guest;
	fake_port port(guest, {.rx_interrupts = true});
	guest.enable(from);
	CHECK(listen(port, 0));
	std::atomic<uint64_t> received{0};
	std::atomic<bool> over{false};
	std::thread sender = start_thread([&] {
		for (uint64_t sent = 0; !over; sent++) {
			transmit(guest, 0);
			while (received <= sent && !over)
				rte_pause();
		}
	});
	bool lost = false;
	for (const race_time race; !lost && !race.over(received > 200);) {
		rte_eth_dev_rx_intr_enable(port.id(), 0);
		const size_t n = port.drain();
		if (n == 0)
			lost = woken_by(soon) != 0;
		rte_eth_dev_rx_intr_disable(port.id(), 0);
		received += n;
	}
	over = true;
	sender.join();
	CHECK(!lost, "after %llu frames", static_cast<unsigned long long>(received.load()));
	return success;
}

constexpr test_case cases[] = {
	{"a sleeper is woken once", a_sleeper_is_woken_once},
	{"an interrupt that is due wakes the sleeper", an_interrupt_that_is_due_wakes_the_sleeper},
	{"rings that are not served wake nobody", rings_that_are_not_served_wake_nobody},
	{"the watch comes and goes", the_watch_comes_and_goes},
	{"no wake is lost", no_wake_is_lost},
};

} // namespace

constinit const case_table test::port_suite::rx_interrupt_cases = cases;
