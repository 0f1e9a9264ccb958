/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

/* Interrupts, honest and hostile. */

using namespace test;
using namespace test::client_suite;

namespace {

outcome
interrupts_arrive()
{
	test_device device;
	test_client c;
	rte_vfio_user_irq irq;
	std::vector<guard::unique_fd> events;
	std::vector<int> fds;
	eventfd_t value;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_irq_info_get(c.handle, RTE_VFIO_USER_IRQ_MSIX, &irq), 0);
	CHECK_EQ(irq.count, nb_vectors);
	CHECK_EQ(rte_vfio_user_client_irq_info_get(c.handle, 3, &irq), -EINVAL);
	for (uint32_t i = 0; i < nb_vectors; i++) {
		events.push_back(*guard::make_eventfd());
		fds.push_back(i == 20 ? -1 : events.back().get());
	}
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, RTE_VFIO_USER_IRQ_MSIX, 0, nb_vectors,
					       fds.data()),
		 0);
	for (uint32_t i = 0; i < nb_vectors; i++) {
		CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, RTE_VFIO_USER_IRQ_MSIX, i),
			 i == 20 ? -ENOTCONN : 1);
		CHECK_EQ(eventfd_read(events[i].get(), &value), i == 20 ? -1 : 0);
	}
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, RTE_VFIO_USER_IRQ_MSIX, 2, 3, nullptr), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, RTE_VFIO_USER_IRQ_MSIX, 3),
		 -ENOTCONN);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, RTE_VFIO_USER_IRQ_MSIX, 5), 1);
	CHECK_EQ(rte_vfio_user_client_irq_action(c.handle, RTE_VFIO_USER_IRQ_MSIX, 0, 0,
						 RTE_VFIO_USER_IRQ_TRIGGER),
		 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, RTE_VFIO_USER_IRQ_MSIX, 5),
		 -ENOTCONN);

	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 0, 0, 1, fds.data()), 0);
	CHECK_EQ(rte_vfio_user_client_irq_action(c.handle, 0, 0, 1, RTE_VFIO_USER_IRQ_MASK), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, 0, 0), 0);
	CHECK_EQ(rte_vfio_user_client_irq_action(c.handle, 0, 0, 1, RTE_VFIO_USER_IRQ_UNMASK), 0);
	CHECK_EQ(eventfd_read(events[0].get(), &value), 0);

	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, 0, 0, fds.data()), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, UINT32_MAX, 2, nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, nb_vectors - 1, 2, nullptr), -EINVAL);
	int closed = ::dup(0);
	::close(closed);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, 0, 1, &closed), -EBADF);
	CHECK_EQ(rte_vfio_user_client_reset(c.handle), 0);
	CHECK_EQ(device.resets, 1);
	return success;
}

outcome
bad_interrupt_descriptions_are_refused()
{
	const wire::irq_info rows[] = {{16, 1, 2, 2049}, {16, 1, 2, UINT32_MAX}, {16, 1, 3, 1}};
	for (const wire::irq_info &row : rows) {
		test_client c;
		rte_vfio_user_irq irq;
		hostile_server server([&](raw_peer &p) {
			p.handshake();
			p.answer(guard::as_bytes(row));
		});
		CHECK_EQ(c.attach(server.path), 0);
		CHECK_EQ(rte_vfio_user_client_irq_info_get(c.handle, 2, &irq), -EPROTO);
	}
	return success;
}

constexpr test_case cases[] = {
	{"interrupts arrive", interrupts_arrive},
	{"bad interrupt descriptions are refused", bad_interrupt_descriptions_are_refused},
};

} // namespace

constinit const case_table test::client_suite::interrupt_cases = cases;
