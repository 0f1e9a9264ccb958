/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/resource.h>
#include <thread>

#include "fixture.hpp"

/* Memory without a file: DMA by messages. */

using namespace test;
using namespace test::server_suite;

namespace {

/** Serves DMA messages from a block of memory at address 0 until the peer closes. */
void
serve_dma(raw_client &channel, std::span<std::byte> memory, std::atomic<int> &served)
{
	raw_message m;
	while (channel.receive(m)) {
		auto access = m.as<wire::dma_access>();
		guard::writer reply;
		reply.put(access);
		auto *place = memory.data() + access.address;
		if (m.header.command == static_cast<uint16_t>(command::dma_read))
			reply.put_bytes({place, access.count});
		else
			std::memcpy(place, m.payload.data() + sizeof(access), access.count);
		served++;
		channel.send(m.header.id, static_cast<command>(m.header.command), reply.view(), -1,
			     wire::header_flags::type_reply);
	}
}

outcome
check_message_dma(session &s, raw_client &channel)
{
	std::vector<std::byte> memory(64 * page);
	std::vector<uint8_t> out(10 * page), back(10 * page);
	std::atomic<int> served{0};

	for (size_t i = 0; i < out.size(); i++)
		out[i] = static_cast<uint8_t>(i * 7 + i / 256);
	CHECK_EQ(map_dma(s.client, 0, 64 * page, -1), 0);
	std::thread server_of_memory([&] { serve_dma(channel, memory, served); });
	int started =
		s.device.access(false, 3 * page + 1, out.data(), static_cast<uint32_t>(out.size()));
	bool written = s.device.wait_finished(1) && s.device.last_error == 0;
	int started2 = s.device.access(true, 3 * page + 1, back.data(),
				       static_cast<uint32_t>(back.size()));
	bool read = s.device.wait_finished(2) && s.device.last_error == 0;
	int outside =
		s.device.access(true, 60 * page, back.data(), static_cast<uint32_t>(back.size()));
	rte_vfio_user_server_disconnect(s.device.server);
	server_of_memory.join();

	CHECK_EQ(started, 0);
	CHECK_EQ(started2, 0);
	CHECK(written && read, "transfers: error %d", s.device.last_error.load());
	CHECK(out == back, "content");
	CHECK_EQ(outside, -EFAULT);
	/* 40960 bytes in messages of 10000 at most */
	CHECK_EQ(served, 10);
	return success;
}

outcome
memory_without_a_file_is_reached_by_messages()
{
	session s;
	CHECK(s.start("{\"capabilities\":{\"max_data_xfer_size\":10000}}"));
	return check_message_dma(s, s.client);
}

outcome
memory_without_a_file_is_reached_over_the_twin_socket()
{
	session s;
	CHECK(s.start("{\"capabilities\":{\"max_data_xfer_size\":10000,\"max_msg_fds\":4,"
		      "\"twin_socket\":{\"supported\":true}}}"));
	CHECK_EQ(s.version.fds.size(), 1);
	raw_client twin(std::move(s.version.fds[0]));
	return check_message_dma(s, twin);
}

outcome
a_client_that_dies_ends_its_transfers()
{
	session s;
	uint8_t data[16];
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), 0);
	CHECK_EQ(s.device.access(true, 8, data, sizeof(data)), 0);
	s.client.close();
	CHECK(s.device.wait_finished(2));
	CHECK_EQ(s.device.last_error, -ENOTCONN);
	return success;
}

/* As many as the bound says wait for the client, which does not answer; the device has to keep one
 * more. */
outcome
transfers_have_a_bound()
{
	session s;
	uint8_t data[8];
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	for (int i = 0; i < 64; i++)
		CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), 0);
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), -EBUSY);
	CHECK_EQ(s.device.finished, 0);
	s.client.close();
	CHECK(s.device.wait_finished(64));
	return success;
}

/** Nothing can be opened while it lives. */
class no_descriptors {
public:
	no_descriptors()
	{
		::getrlimit(RLIMIT_NOFILE, &before_);
		struct rlimit none = {.rlim_cur = 0, .rlim_max = before_.rlim_max};
		::setrlimit(RLIMIT_NOFILE, &none);
	}
	~no_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
	struct rlimit before_;
};

outcome
a_transfer_times_out_though_descriptors_have_run_out()
{
	session s;
	raw_client next;
	raw_message m;
	uint8_t data[16];
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), 0);
	CHECK(next.open());
	{
		no_descriptors left;
		CHECK(next.connect_open(s.device.path));
		CHECK(wait_until([&] { return s.device.finished > 0; }, 10000));
	}
	CHECK_EQ(s.device.last_error, -ENOTCONN);
	CHECK(next.negotiate("", m), "the next client is served when there are descriptors again");
	return success;
}

outcome
a_completion_may_start_the_next_transfer()
{
	session s;
	std::vector<std::byte> memory(page);
	std::atomic<int> served{0};
	uint8_t data[8];
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	s.device.chained = 5;
	std::thread server_of_memory([&] { serve_dma(s.client, memory, served); });
	int started = s.device.access(true, 0, data, sizeof(data));
	bool done = s.device.wait_finished(6);
	rte_vfio_user_server_disconnect(s.device.server);
	server_of_memory.join();
	CHECK_EQ(started, 0);
	CHECK(done && s.device.last_error == 0, "error %d", s.device.last_error.load());
	CHECK_EQ(served, 6);
	return success;
}

outcome
a_wrong_dma_reply_is_an_error()
{
	session s;
	raw_message m;
	uint8_t data[16];
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), 0);
	CHECK(s.client.receive(m));
	CHECK_EQ(m.header.command, static_cast<uint16_t>(command::dma_read));
	/* shorter than asked for */
	wire::dma_access lie = {0, 16};
	CHECK(s.client.send(m.header.id, command::dma_read, guard::as_bytes(lie), -1, 1));
	CHECK(s.device.wait_finished(1));
	CHECK_EQ(s.device.last_error, -EPROTO);
	/* a reply to nothing at all */
	CHECK(s.client.send(7, command::dma_read, guard::as_bytes(lie), -1, 1));
	CHECK(s.client.is_closed());
	return success;
}

constexpr test_case cases[] = {
	{"memory without a file is reached by messages",
	 memory_without_a_file_is_reached_by_messages},
	{"memory without a file is reached over the twin socket",
	 memory_without_a_file_is_reached_over_the_twin_socket},
	{"a client that dies ends its transfers", a_client_that_dies_ends_its_transfers},
	{"transfers have a bound", transfers_have_a_bound},
	{"a transfer times out though descriptors have run out",
	 a_transfer_times_out_though_descriptors_have_run_out},
	{"a completion may start the next transfer", a_completion_may_start_the_next_transfer},
	{"a wrong DMA reply is an error", a_wrong_dma_reply_is_an_error},
};

} // namespace

constinit const case_table test::server_suite::message_cases = cases;
