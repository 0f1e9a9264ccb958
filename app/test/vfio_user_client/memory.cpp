/* SPDX-License-Identifier: BSD-3-Clause */
#include <array>
#include <sys/ioctl.h>

#include "fixture.hpp"
#include "quick_driver.hpp"
#include "turn_counter.hpp"

/* DMA: memory of the client that the device reaches, or shall not. */

using namespace test;
using namespace test::client_suite;

namespace {

outcome
the_device_reaches_memory_with_a_file()
{
	test_device device;
	test_client c;
	guard::unique_fd file = make_file(4 * page);
	guard::mapping memory = map_file(file, 4 * page);
	char text[16] = {};

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0x100000, 2 * page, 3, file.get(), page,
					      nullptr),
		 0);
	std::memcpy(memory.data() + page + 16, "hello", 6);
	CHECK_EQ(device.dma(true, 0x100010, text, 6), 0);
	CHECK(std::strcmp(text, "hello") == 0);
	CHECK_EQ(c.stats().dma_reads, 0);
	CHECK_EQ(c.stats().dma_regions, 1);
	CHECK_EQ(c.stats().dma_bytes, 2 * page);

	int map_errors[] = {
		rte_vfio_user_client_dma_map(c.handle, 0x100000, page, 3, file.get(), 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, 0x200000, 100, 3, file.get(), 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, UINT64_MAX - page + 1, 2 * page, 3,
					     file.get(), 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, 0x200000, page, 0, file.get(), 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, 0x200000, page, 3, -1, 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, 0x200000, 8 * page, 3, file.get(), 0,
					     nullptr), /* the server says so */
		rte_vfio_user_client_dma_unmap(c.handle, 0x100000, page),
		rte_vfio_user_client_dma_unmap(c.handle, 0x200000, page),
	};
	constexpr int expected[] = {-EEXIST, -EINVAL, -EINVAL, -EINVAL,
				    -EINVAL, -EINVAL, -ENOENT, -ENOENT};
	for (size_t i = 0; i < std::size(expected); i++)
		CHECK(map_errors[i] == expected[i], "row %zu: %d", i, map_errors[i]);
	CHECK_EQ(rte_vfio_user_client_dma_unmap(c.handle, 0x100000, 2 * page), 0);
	CHECK_EQ(c.stats().dma_regions, 0);
	CHECK_EQ(c.stats().dma_bytes, 0);
	CHECK_EQ(device.dma(true, 0x100010, text, 6), -EFAULT);
	return success;
}

outcome
reach_memory_by_messages(uint32_t flags)
{
	test_device device;
	test_client c;
	std::vector<uint8_t> memory(64 * page), copy(40 * page);

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path, flags), 0);
	/* Two regions side by side, whose memory here is not; and one for reading only. */
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, 20 * page, 3, -1, 0, &memory[30 * page]),
		 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 20 * page, 20 * page, 3, -1, 0,
					      memory.data()),
		 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 40 * page, page, RTE_GUEST_MEM_READ, -1, 0,
					      &memory[60 * page]),
		 0);
	for (size_t i = 0; i < memory.size(); i++)
		memory[i] = static_cast<uint8_t>(i / 3);
	CHECK_EQ(device.dma(true, 0, copy.data(), 40 * page), 0);
	CHECK(std::memcmp(copy.data(), &memory[30 * page], 20 * page) == 0);
	CHECK(std::memcmp(&copy[20 * page], memory.data(), 20 * page) == 0);
	CHECK_EQ(c.stats().dma_reads, 3); /* of 64 KiB at most */

	CHECK_EQ(device.dma(false, 20 * page - 4, const_cast<char *>("borders!"), 8), 0);
	CHECK(std::memcmp(&memory[50 * page - 4], "bord", 4) == 0);
	CHECK(std::memcmp(memory.data(), "ers!", 4) == 0);
	CHECK_EQ(c.stats().dma_writes, 1);
	CHECK_EQ(device.dma(false, 40 * page, copy.data(), 8), -EACCES);
	CHECK_EQ(c.stats().refused, 0);

	CHECK_EQ(rte_vfio_user_client_dma_unmap(c.handle, 0, 20 * page), 0);
	CHECK_EQ(device.dma(true, 0, copy.data(), 8), -EFAULT);
	return success;
}

outcome
the_device_reaches_memory_by_messages()
{
	return reach_memory_by_messages(0);
}

outcome
the_device_reaches_memory_by_the_twin_socket()
{
	return reach_memory_by_messages(RTE_VFIO_USER_CLIENT_TWIN_SOCKET);
}

/** A descriptor of the device's in memory without a file, polled by the driver. */
outcome
a_driver_that_polls_takes_a_descriptor_once()
{
	test_device device;
	test_client c;
	const guard::mapping memory = map_file(make_file(page), page);
	std::array<uint8_t, 32> descriptor;

	auto *at = reinterpret_cast<uint8_t *>(memory.data());
	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, page, 3, -1, 0, at), 0);
	descriptor.fill(0xff);
	const quick_driver driver(std::span(at + 64, descriptor.size()));
	CHECK_EQ(device.dma(false, 64, descriptor.data(), descriptor.size()), 0);
	CHECK_EQ(c.stats().dma_writes, 1);
	if (can_step)
		CHECK(driver.taken() == 1 && driver.was_whole(), "%d times", driver.taken());
	return success;
}

/** A read of the client's memory, as a server sends it. */
struct dma_read {
	wire::header header{1, static_cast<uint16_t>(command::dma_read), sizeof(dma_read), 0, 0};
	wire::dma_access access;
};
static_assert(sizeof(dma_read) == 32);

/** @return How many of so many messages are handled in one turn at most, or -1. */
int
most_in_a_turn(int count)
{
	test_device other;
	test_client c;
	std::vector<uint8_t> memory(page);
	std::atomic<raw_peer *> peer{nullptr};
	hostile_server server(
		[&](raw_peer &p) {
			p.handshake();
			p.answer({});
			peer = &p;
		},
		test_path() + ".many");
	if (!other.start() || c.attach(server.path) != 0 ||
	    rte_vfio_user_client_dma_map(c.handle, 0, page, 3, -1, 0, memory.data()) != 0 ||
	    !wait_until([&] { return peer != nullptr; }))
		return -1;
	const std::vector<dma_read> reads(static_cast<size_t>(count), dma_read{.access = {0, 8}});
	turn_counter turns(other, [&] { return static_cast<int>(c.stats().dma_reads); });
	bool sent = false;
	const bool done = turns.run(
		[&] { sent = peer.load()->send_bytes(std::as_bytes(std::span(reads))); }, count);
	return sent && done ? turns.most : -1;
}

/* A turn may end earlier, by its time. */
outcome
messages_of_a_server_are_taken_in_turns()
{
	constexpr int per_turn = 64;

	for (int count : {per_turn, per_turn + 1, 3 * per_turn}) {
		const int most = most_in_a_turn(count);
		CHECK(most > 0 && most <= per_turn, "%d of %d in a turn", most, count);
	}
	return success;
}

/* The server asks for far more than it reads: the client stops taking its commands as soon as what
 * waits for it is more than the bound, and not before. */
outcome
a_flood_of_dma_is_bounded()
{
	constexpr int flood = 200000;
	constexpr size_t bound = 1 << 20, reply = sizeof(dma_read) + 65536;
	test_client c;
	std::vector<uint8_t> memory(16 * page);
	std::atomic<bool> over{false};
	std::atomic<int> sent{0}, stuck{0}; /* stuck: in vain, one after the other */
	std::atomic<size_t> unread{0};
	hostile_server server([&](raw_peer &p) {
		const dma_read read{.access = {0, 65536}};
		p.handshake();
		p.answer({});
		for (int i = 0; i < flood && !over; i++) {
			bool taken = ::send(p.fd(), &read, sizeof(read),
					    MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(read);
			int bytes = 0;
			::ioctl(p.fd(), FIONREAD, &bytes);
			unread = static_cast<size_t>(bytes);
			sent += taken;
			stuck = taken ? 0 : stuck + 1;
			if (!taken)
				::usleep(10);
		}
		wait_until([&] { return over.load(); });
	});
	CHECK_EQ(c.attach(server.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, 16 * page, 3, -1, 0, memory.data()), 0);
	const auto waiting = [&] { return c.stats().dma_reads * reply - unread; };
	const bool stopped = wait_until([&] {
		const size_t waits = waiting();
		return stuck > 100 && waits > bound && waits <= bound + reply;
	});
	const size_t waits = waiting();
	over = true;
	CHECK(stopped, "%d sent, then %d in vain; %zu bytes wait", sent.load(), stuck.load(),
	      waits);
	return success;
}

/* The server reads, but never all: there is always something left to send. */
outcome
a_server_that_is_always_behind_costs_no_memory()
{
	/* Without the limit this would be 500 MiB. */
	constexpr int behind = 8, total = 8000;
	constexpr size_t allowed = size_t{8} << 20;
	struct {
		wire::header header;
		wire::dma_access access;
	} read = {{1, 11, 32, 0, 0}, {0, 65536}};
	auto ask = [&](raw_peer &p) { return p.send_bytes(std::as_bytes(std::span(&read, 1))); };
	test_client c;
	std::vector<uint8_t> memory(16 * page);
	std::atomic<int> answered{0};
	size_t before = 0, after = 0;
	hostile_server server([&](raw_peer &p) {
		raw_message m;
		p.handshake();
		p.answer({});
		for (int i = 0; i < behind; i++)
			ask(p);
		before = anonymous_memory();
		while (answered < total && ask(p) && p.receive(m))
			answered++;
		after = anonymous_memory();
	});
	CHECK_EQ(c.attach(server.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, 16 * page, 3, -1, 0, memory.data()), 0);
	CHECK(wait_until([&] { return answered == total && after != 0; }));
	CHECK(after < before + allowed + kept_after_free, "%zu MiB more", (after - before) >> 20);
	return success;
}

/** What a server asks of a client's memory, and the error that it is answered. */
struct ask {
	const char *name;
	uint16_t command;
	wire::dma_access access;
	uint32_t data; /* bytes that follow */
	uint32_t error;
};

constexpr ask asks[] = {
	{"read", 11, {page, 8}, 0, 0},
	{"write", 12, {page, 8}, 8, 0},
	{"last bytes", 11, {2 * page - 8, 8}, 0, 0},
	{"before the region", 11, {page - 1, 8}, 0, EFAULT},
	{"over the end", 11, {2 * page - 4, 8}, 0, EFAULT},
	{"nowhere", 12, {64 * page, 8}, 8, EFAULT},
	{"wraps", 11, {UINT64_MAX - 3, 8}, 0, EFAULT},
	{"wraps into a region", 12, {UINT64_MAX - page + 1, 3 * page}, 3 * page, EFAULT},
	{"no bytes", 11, {page, 0}, 0, EINVAL},
	{"64 KiB and one", 11, {page, 65537}, 0, EINVAL},
	{"16 EiB", 11, {page, UINT64_MAX}, 0, EINVAL},
	{"write with less data", 12, {page, 8}, 7, EINVAL},
	{"write with more data", 12, {page, 8}, 9, EINVAL},
	{"read with data", 11, {page, 8}, 8, EINVAL},
	{"write to read-only memory", 12, {4 * page, 8}, 8, EACCES},
	{"read of write-only memory", 11, {6 * page, 8}, 0, EACCES},
	{"memory with a file", 11, {8 * page, 8}, 0, EFAULT},
	{"a command for servers", 9, {page, 8}, 0, EOPNOTSUPP},
	{"no command", 4711, {page, 8}, 0, EOPNOTSUPP},
};

/** Sends them. The name of the first one that is not answered as it has to be, or nullptr. */
const char *
first_wrong_answer(raw_peer &p)
{
	for (const ask &row : asks) {
		guard::writer payload;
		payload.put(row.access).put_bytes(std::vector<std::byte>(row.data));
		raw_message m;
		p.send(99, static_cast<command>(row.command), payload.view());
		if (!p.receive(m) || m.header.id != 99 || m.header.error != row.error ||
		    m.header.command != row.command)
			return row.name;
	}
	return nullptr;
}

/** No reply wanted; then half a structure, and a descriptor too many. */
bool
malformed_asks_are_invalid(raw_peer &p, int file)
{
	raw_message m;

	p.send(1, command::dma_read, guard::as_bytes(asks[0].access), -1, 0x10);
	p.send(2, command::dma_read, guard::as_bytes(uint64_t{page}));
	if (!p.receive(m) || m.header.id != 2 || m.header.error != EINVAL)
		return false;
	p.send(3, command::dma_read, guard::as_bytes(asks[0].access), file);
	return p.receive(m) && m.header.id == 3 && m.header.error == EINVAL;
}

outcome
dma_outside_the_map_is_refused()
{
	const char *wrong = nullptr;
	bool malformed_are_invalid = false;
	std::atomic<bool> done{false};
	test_client c;
	std::vector<uint8_t> memory(16 * page, 0x77);
	guard::unique_fd file = make_file(page);
	hostile_server server([&](raw_peer &p) {
		p.handshake();
		for (int i = 0; i < 4; i++)
			p.answer({});
		wrong = first_wrong_answer(p);
		malformed_are_invalid = malformed_asks_are_invalid(p, file.get());
		done = true;
	});
	CHECK_EQ(c.attach(server.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, page, page, 3, -1, 0, memory.data()), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 4 * page, page, RTE_GUEST_MEM_READ, -1, 0,
					      &memory[page]),
		 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 6 * page, page, RTE_GUEST_MEM_WRITE, -1, 0,
					      &memory[2 * page]),
		 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 8 * page, page, 3, file.get(), 0, nullptr),
		 0);
	CHECK(wait_until([&] { return done.load(); }));
	CHECK(wrong == nullptr, "%s", wrong);
	CHECK(malformed_are_invalid);
	CHECK_EQ(c.stats().dma_writes, 1);
	CHECK_EQ(c.stats().refused, 18);
	CHECK_EQ(memory[7], 0);
	CHECK_EQ(memory[8], 0x77);
	CHECK_EQ(memory[page], 0x77);
	return success;
}

outcome
a_reply_on_the_twin_socket_is_refused()
{
	int pair[2];
	CHECK_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	guard::unique_fd mine(pair[0]), theirs(pair[1]);
	test_client c;
	hostile_server server([&](raw_peer &p) {
		p.answer_version(
			R"({"capabilities":{"twin_socket":{"supported":true,"fd_index":0}}})", 0, 0,
			std::span(&pair[1], 1));
		p.answer(guard::as_bytes(wire::device_info{16, 0, 9, 5}));
		theirs.reset();
		raw_message m;
		if (p.receive(m)) {
			raw_peer twin(std::move(mine));
			twin.reply(m.header, guard::as_bytes(wire::region_access{0, 1, 4}));
			twin.linger();
		}
	});
	uint32_t value = 0;
	CHECK_EQ(c.attach(server.path, RTE_VFIO_USER_CLIENT_TWIN_SOCKET), 0);
	CHECK_EQ(c.write(1, 0, &value, sizeof(value)), -EPROTO);
	return success;
}

constexpr test_case cases[] = {
	{"the device reaches memory with a file", the_device_reaches_memory_with_a_file},
	{"the device reaches memory by messages", the_device_reaches_memory_by_messages},
	{"the device reaches memory by the twin socket",
	 the_device_reaches_memory_by_the_twin_socket},
	{"a driver that polls takes a descriptor once",
	 a_driver_that_polls_takes_a_descriptor_once},
	{"messages of a server are taken in turns", messages_of_a_server_are_taken_in_turns},
	{"a flood of DMA is bounded", a_flood_of_dma_is_bounded},
	{"a server that is always behind costs no memory",
	 a_server_that_is_always_behind_costs_no_memory},
	{"DMA outside the map is refused", dma_outside_the_map_is_refused},
	{"a reply on the twin socket is refused", a_reply_on_the_twin_socket_is_refused},
};

} // namespace

constinit const case_table test::client_suite::memory_cases = cases;
