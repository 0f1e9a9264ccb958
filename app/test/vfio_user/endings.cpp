/* SPDX-License-Identifier: BSD-3-Clause */
#include <new>

#include "fixture.hpp"

/* A device ends its connection from within its own operations. */

using namespace test;
using namespace test::server_suite;

namespace {

/** What a client sends to have an operation called. */
void
provoke(raw_client &c, std::string_view operation)
{
	wire::region_access access = {0, 0, 8};
	wire::dma_map map = {sizeof(map), 3, 0, 0x100000, page};
	wire::dma_unmap unmap = {sizeof(unmap), 0, 0, page};
	guard::writer write;

	write.put(access).put(uint64_t{1});
	if (operation == "read")
		c.send(7, command::region_read, guard::as_bytes(access));
	else if (operation == "write")
		c.send(7, command::region_write, write.view());
	else if (operation == "update")
		c.send(7, command::dma_map, guard::as_bytes(map));
	else if (operation == "memory_removed")
		c.send(7, command::dma_unmap, guard::as_bytes(unmap));
	else if (operation == "reset")
		c.send(7, command::device_reset, {});
}

/* The connection ends when the operation returns, and without a reply. */
outcome
ends_in(std::string_view operation)
{
	session s;
	raw_message m;

	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	s.device.ends_in = operation;
	provoke(s.client, operation);
	CHECK(s.client.is_closed());
	CHECK(wait_until([&] { return s.device.attached == 0; }));
	CHECK_EQ(s.device.destroyed_inside, 0);
	CHECK_EQ(s.device.stats().protocol_errors, 0);
	CHECK_EQ(s.device.stats().dma_regions, 0);
	/* The next client finds all as the first did. */
	CHECK(s.client.connect(s.device.path) && s.client.negotiate("", m));
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	CHECK_EQ(s.device.attached, 1);
	return success;
}

outcome
a_device_may_disconnect_in_any_operation()
{
	for (const char *operation : {"read", "write", "update", "memory_removed", "reset"})
		CHECK(ends_in(operation) == success, "in %s", operation);
	return success;
}

outcome
a_device_may_disconnect_in_new_device()
{
	test_device device;
	raw_client client;
	raw_message m;

	CHECK(device.start());
	device.ends_in = "new";
	CHECK(client.connect(device.path));
	CHECK(!client.negotiate("", m));
	CHECK(wait_until([&] { return device.stats().connections == 1 && device.attached == 0; }));
	CHECK_EQ(device.destroyed_inside, 0);
	CHECK(client.connect(device.path) && client.negotiate("", m));
	CHECK_EQ(device.attached, 1);
	return success;
}

outcome
a_device_may_disconnect_in_destroy_device_and_work()
{
	session s;
	raw_message m;

	CHECK(s.start());
	s.device.ends_in = "destroy";
	s.client.close();
	CHECK(wait_until([&] { return s.device.attached == 0; }));
	CHECK(s.client.connect(s.device.path) && s.client.negotiate("", m));
	s.device.ends_in = "work";
	rte_vfio_user_control_call(
		[](void *server) {
			rte_vfio_user_server_defer(static_cast<rte_vfio_user_server *>(server));
			return 0;
		},
		s.device.server);
	CHECK(s.client.is_closed());
	CHECK(wait_until([&] { return s.device.attached == 0; }));
	return success;
}

/* Memory with a file: the completion runs inside of the call. */
outcome
a_device_may_disconnect_in_the_completion_of_a_copy()
{
	session s;
	test_memory memory(page);
	uint8_t data[8];

	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, memory.fd.get()), 0);
	s.device.ends_in = "done";
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), 0);
	CHECK_EQ(s.device.last_error, 0);
	CHECK(s.client.is_closed());
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), -ENOTCONN);
	CHECK_EQ(s.device.attached, 0);
	CHECK_EQ(s.device.destroyed_inside, 0);
	return success;
}

/* Three are under way; the completion of the first ends the others. */
outcome
a_device_may_disconnect_in_the_completion_of_a_message()
{
	session s;
	raw_message m;
	uint8_t data[3][8];

	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	for (auto &each : data)
		CHECK_EQ(s.device.access(true, 0, each, sizeof(each)), 0);
	CHECK(s.client.receive(m));
	s.device.ends_in = "done";
	guard::writer answer;
	answer.put(wire::dma_access{0, 8}).put(uint64_t{42});
	CHECK(s.client.send(m.header.id, command::dma_read, answer.view(), -1, 1));
	CHECK(s.device.wait_finished(3));
	CHECK_EQ(data[0][0], 42);
	CHECK_EQ(s.device.last_error, -ENOTCONN);
	CHECK(s.client.is_closed());
	CHECK(wait_until([&] { return s.device.attached == 0; }));
	CHECK_EQ(s.device.destroyed_inside, 0);
	return success;
}

/* What is left of the batch is not written any more. */
outcome
a_device_may_disconnect_in_a_batch()
{
	session s;
	guard::writer batch;

	CHECK(s.start(R"({"capabilities":{"write_multiple":true}})"));
	batch.put(wire::write_multi{3});
	for (uint64_t i = 0; i < 3; i++)
		batch.put(wire::single_write{8 * i, 0, 8, {1}});
	s.device.ends_in = "write";
	CHECK(s.client.send(7, command::region_write_multi, batch.view()));
	CHECK(s.client.is_closed());
	CHECK(wait_until([&] { return s.device.attached == 0; }));
	CHECK_EQ(s.device.writes, 1);
	CHECK_EQ(s.device.destroyed_inside, 0);
	return success;
}

/* Nothing that a client left behind is the next one's: a batch, transfers, their time-outs. */
outcome
the_next_client_starts_afresh()
{
	session s;
	raw_message m;
	uint8_t data[8];

	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), 0);
	CHECK(s.client.receive(m));
	uint16_t old_id = m.header.id;
	s.client.send_bytes(guard::bytes(m.payload).first(4)); /* of a header */
	s.client.close();
	CHECK(s.device.wait_finished(1));
	CHECK_EQ(s.device.last_error, -ENOTCONN);
	CHECK(s.client.connect(s.device.path) && s.client.negotiate("", m));
	/* The answer to the old client's command is nobody's. */
	guard::writer answer;
	answer.put(wire::dma_access{0, 8}).put(uint64_t{42});
	CHECK(s.client.send(old_id, command::dma_read, answer.view(), -1, 1));
	CHECK(s.client.is_closed());
	CHECK(s.client.connect(s.device.path) && s.client.negotiate("", m));
	::usleep(3500000); /* longer than the patience */
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), -EFAULT);
	CHECK_EQ(s.device.attached, 1);
	return success;
}

/* What operator new calls when it finds nothing: then it must find something, once. */
outcome
a_lack_of_memory_costs_a_client_its_connection()
{
	session s;
	raw_message m;

	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	std::new_handler lack = std::get_new_handler();
	CHECK(lack != nullptr);
	bool closed = false;
	/* The thread may be ending its last turn, and then finds something for the next one. */
	for (uint64_t i = 1; !closed && i <= 20; i++) {
		lack();
		/* It is finished and answered. */
		CHECK_EQ(map_dma(s.client, i * page, page, -1), 0);
		closed = s.client.is_closed(500);
	}
	CHECK(closed);
	CHECK(wait_until([&] { return s.device.attached == 0; }));
	/* All is as before. */
	CHECK(std::get_new_handler() == lack);
	CHECK(s.client.connect(s.device.path) && s.client.negotiate("", m));
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	CHECK_EQ(map_dma(s.client, page, page, -1), 0);
	return success;
}

constexpr test_case cases[] = {
	{"a device may disconnect in any operation", a_device_may_disconnect_in_any_operation},
	{"a device may disconnect in new_device", a_device_may_disconnect_in_new_device},
	{"a device may disconnect in destroy_device and work",
	 a_device_may_disconnect_in_destroy_device_and_work},
	{"a device may disconnect in the completion of a copy",
	 a_device_may_disconnect_in_the_completion_of_a_copy},
	{"a device may disconnect in the completion of a message",
	 a_device_may_disconnect_in_the_completion_of_a_message},
	{"a device may disconnect in a batch", a_device_may_disconnect_in_a_batch},
	{"the next client starts afresh", the_next_client_starts_afresh},
	{"a lack of memory costs a client its connection",
	 a_lack_of_memory_costs_a_client_its_connection},
};

} // namespace

constinit const case_table test::server_suite::ending_cases = cases;
