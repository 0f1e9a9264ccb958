/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>

#include "fixture.hpp"

/* Interrupts, honest and hostile. */

using namespace test;
using namespace test::client_suite;

namespace {

/** Takes an event, once it is there. */
bool
arrives(const guard::unique_fd &event)
{
	struct pollfd readable = {.fd = event.get(), .events = POLLIN, .revents = 0};
	eventfd_t value;
	return ::poll(&readable, 1, 5000) == 1 && eventfd_read(event.get(), &value) == 0;
}

outcome
interrupts_arrive()
{
	test_device device;
	test_client c;
	rte_vfio_user_irq irq;
	std::vector<guard::unique_fd> events;
	std::vector<int> fds;

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
		CHECK(i == 20 || arrives(events[i]), "vector %u", i);
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
	CHECK(arrives(events[0]));

	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, 0, 0, fds.data()), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, UINT32_MAX, 2, nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, nb_vectors - 1, 2, nullptr), -EINVAL);
	int closed = ::dup(0);
	::close(closed);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, 0, 1, &closed), -EBADF);
	int no_event = device.file.get();
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, 0, 1, &no_event), -EINVAL);
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

/** Wires vector 0 of MSI-X to @p event. */
int
wire(test_client &c, const guard::unique_fd &event)
{
	int fd = event.get();
	return rte_vfio_user_client_irq_wire(c.handle, RTE_VFIO_USER_IRQ_MSIX, 0, 1, &fd);
}

/** Answers the wiring of one vector; the eventfd that came with it. */
guard::unique_fd
take_event(raw_peer &p)
{
	raw_message m;
	if (!p.receive(m) || m.fds.size() != 1)
		return {};
	p.reply(m.header, {});
	return std::move(m.fds[0]);
}

/* Reading back what it has written, it would win a race against whoever waits; and blocking, hang
 * him. */
outcome
the_eventfd_is_out_of_the_servers_reach()
{
	guard::unique_fd event = *guard::make_eventfd();
	std::atomic<bool> signalled{false};
	test_client c;
	hostile_server server([&](raw_peer &p) {
		p.handshake();
		guard::unique_fd theirs = take_event(p);
		::fcntl(theirs.get(), F_SETFL, 0);
		eventfd_write(theirs.get(), 1);
		eventfd_t value;
		struct pollfd readable = {.fd = event.get(), .events = POLLIN, .revents = 0};
		::poll(&readable, 1, 5000);
		eventfd_read(theirs.get(), &value);
		signalled = value == 1;
		p.answer({}); /* to the unwiring */
		raw_message m;
		p.receive(m);
		eventfd_write(theirs.get(), 1);
		p.reply(m.header, guard::as_bytes(wire::region_access{0, 1, 4}));
	});
	CHECK_EQ(c.attach(server.path), 0);
	uint64_t fds = c.stats().fds;
	CHECK_EQ(wire(c, event), 0);
	CHECK_EQ(c.stats().fds, fds + 2);
	CHECK(wait_until([&] { return signalled.load(); }));
	CHECK_EQ(::fcntl(event.get(), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK(arrives(event), "the server has taken it back");
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, RTE_VFIO_USER_IRQ_MSIX, 0, 1, nullptr), 0);
	uint32_t value = 0;
	CHECK_EQ(c.write(1, 0, &value, sizeof(value)), 0);
	eventfd_t none;
	CHECK_EQ(eventfd_read(event.get(), &none), -1);
	CHECK_EQ(c.stats().fds, fds);
	return success;
}

outcome
a_flood_of_interrupts_stops_nobody()
{
	guard::unique_fd event = *guard::make_eventfd();
	std::atomic<bool> over{false};
	test_device device;
	test_client flooded, other;
	hostile_server server(
		[&](raw_peer &p) {
			p.handshake();
			guard::unique_fd theirs = take_event(p);
			while (!over)
				eventfd_write(theirs.get(), 1);
		},
		test_path() + ".flood");
	CHECK_EQ(flooded.attach(server.path), 0);
	CHECK_EQ(wire(flooded, event), 0);
	CHECK(device.start());
	int attached = other.attach(device.path);
	uint32_t value = 0;
	for (int i = 0; i < 100 && attached == 0; i++)
		attached = other.read(1, 0, &value, sizeof(value));
	bool came = arrives(event);
	over = true;
	CHECK_EQ(attached, 0);
	CHECK(came);
	return success;
}

constexpr test_case cases[] = {
	{"interrupts arrive", interrupts_arrive},
	{"the eventfd is out of the server's reach", the_eventfd_is_out_of_the_servers_reach},
	{"a flood of interrupts stops nobody", a_flood_of_interrupts_stops_nobody},
	{"bad interrupt descriptions are refused", bad_interrupt_descriptions_are_refused},
};

} // namespace

constinit const case_table test::client_suite::interrupt_cases = cases;
