/* SPDX-License-Identifier: BSD-3-Clause */
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
	CHECK(!signalled(event), "while masked");
	CHECK_EQ(set_irqs(s.client, {20, 0x11, 0, 0, 1}), 0);
	CHECK(signalled(event), "at the unmask");
	CHECK_EQ(set_irqs(s.client, {20, 0x11, 0, 0, 1}), 0);
	CHECK(!signalled(event), "kept one event, not two");
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

constexpr test_case cases[] = {
	{"interrupts mask and keep one event", interrupts_mask_and_keep_one_event},
	{"bad interrupt requests change nothing", bad_interrupt_requests_change_nothing},
};

} // namespace

constinit const case_table test::server_suite::interrupt_cases = cases;
