/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/epoll.h>
#include <sys/resource.h>

#include "fixture.hpp"

/* INTx masking, and requests that make no sense. */

using namespace test;
using namespace test::server_suite;

namespace {

outcome
interrupts_mask_and_keep_one_event()
{
	session s;
	guard::unique_fd event = *guard::make_eventfd();
	CHECK(s.start());
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 0), -ENOTCONN);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 1), -EINVAL);
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 0, 0, 1}, event.get()), 0);
	CHECK_EQ(rte_vfio_user_server_irq_wired(s.device.server, 0, 0), 1);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 0), 1);
	CHECK(signalled(event), "first");
	/* INTx masks itself */
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 0), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 0), 0);
	CHECK(quiet(event), "while masked");
	CHECK_EQ(set_irqs(s.client, {20, 0x11, 0, 0, 1}), 0);
	CHECK(signalled(event), "at the unmask");
	CHECK_EQ(set_irqs(s.client, {20, 0x11, 0, 0, 1}), 0);
	CHECK(quiet(event), "kept one event, not two");
	return success;
}

outcome
bad_interrupt_requests_change_nothing()
{
	session s;
	guard::unique_fd event = *guard::make_eventfd();
	CHECK(s.start());
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 1, 1}, event.get()), 0);
	struct {
		wire::irq_set request;
		int fd;
	} rows[] = {
		{{20, 0x24, 3, 0, 1}, -1},          {{20, 0x24, 2, 4, 1}, -1},
		{{20, 0x24, 2, 0, 5}, -1},          {{20, 0x24, 2, UINT32_MAX, 2}, -1},
		{{20, 0x21, 2, 1, 0}, -1},          {{20, 0x24, 2, 0, 0}, -1},
		{{20, 0x20, 2, 0, 1}, -1},          {{20, 0x01, 2, 0, 1}, -1},
		{{20, 0x23, 2, 0, 1}, -1},          {{20, 0x31, 2, 0, 1}, -1},
		{{20, 0x64, 2, 0, 1}, -1},          {{20, 0x09, 2, 0, 1}, -1},
		{{19, 0x21, 2, 0, 1}, -1},          {{20, 0x22, 2, 0, 1}, -1},
		{{20, 0x21, 2, 0, 1}, event.get()}, {{20, 0x24, 2, 0, 2}, event.get()},
		{{20, 0x24, 1, 0, 1}, -1},
	};
	for (auto &r : rows)
		CHECK(set_irqs(s.client, r.request, r.fd) == EINVAL, "row %zu", &r - rows);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 1), 1);
	CHECK(signalled(event));
	/* all off */
	CHECK_EQ(set_irqs(s.client, {20, 0x21, 2, 0, 0}), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 1), -ENOTCONN);
	return success;
}

/* Whoever signals an eventfd calls all its waiters: 200,000 here. */
outcome
what_waits_for_an_event_costs_the_caller_nothing()
{
	constexpr int nb_epolls = 20, nb_fds = 10000, nb_signals = 50;
	session s;
	guard::unique_fd event = *guard::make_eventfd();
	std::vector<guard::unique_fd> fds, epolls;
	rlimit files = {nb_fds + 1000, nb_fds + 1000}, before;
	CHECK_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
	if (before.rlim_max < files.rlim_cur)
		return skipped;
	files.rlim_max = before.rlim_max;
	CHECK_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
	CHECK(s.start());
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, event.get()), 0);
	for (int i = 0; i < nb_fds; i++)
		fds.emplace_back(::dup(event.get()));
	for (int i = 0; i < nb_epolls; i++) {
		epolls.emplace_back(::epoll_create1(0));
		for (const guard::unique_fd &fd : fds) {
			epoll_event e = {.events = EPOLLIN | EPOLLET, .data = {}};
			CHECK_EQ(::epoll_ctl(epolls.back().get(), EPOLL_CTL_ADD, fd.get(), &e), 0);
		}
	}
	uint64_t mine = 0, all = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < nb_signals; i++) {
		uint64_t begin = cpu_time(CLOCK_THREAD_CPUTIME_ID);
		CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
		mine += cpu_time(CLOCK_THREAD_CPUTIME_ID) - begin;
		/* To read it calls the waiters, too: that is not counted. */
		CHECK(signalled(event));
	}
	all = cpu_time(CLOCK_PROCESS_CPUTIME_ID) - all;
	CHECK(mine < all / 20, "the caller had %lu of %lu ns", mine, all);
	CHECK_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
	return success;
}

constexpr test_case cases[] = {
	{"what waits for an event costs the caller nothing",
	 what_waits_for_an_event_costs_the_caller_nothing},
	{"interrupts mask and keep one event", interrupts_mask_and_keep_one_event},
	{"bad interrupt requests change nothing", bad_interrupt_requests_change_nothing},
};

} // namespace

constinit const case_table test::server_suite::interrupt_cases = cases;
