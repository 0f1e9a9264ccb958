/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <chrono>

#include "fixture.hpp"

/* Attaching, threads that share a connection, and its end. */

using namespace test;
using namespace test::client_suite;

namespace {

outcome
attach_refuses_a_bad_description()
{
	test_client c;
	rte_vfio_user_client_conf conf;

	rte_vfio_user_client_conf_init(&conf);
	CHECK_EQ(rte_vfio_user_client_attach(nullptr, -1, &c.handle), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_attach(&conf, -1, &c.handle), -EINVAL);
	CHECK_EQ(c.attach(""), -EINVAL);
	CHECK_EQ(c.attach(std::string(108, 'x')), -ENAMETOOLONG);
	CHECK_EQ(c.attach("/tmp/x", 0x80), -EINVAL);
	c.timeout_ms = 600001;
	CHECK_EQ(c.attach("/tmp/x"), -EINVAL);
	c.timeout_ms = 0;
	c.attach_ms = 600001;
	CHECK_EQ(c.attach("/tmp/x"), -EINVAL);
	return success;
}

outcome
attach_knows_the_size_of_its_description()
{
	struct {
		rte_vfio_user_client_conf known;
		uint64_t added;
	} later;
	rte_vfio_user_client_conf &conf = later.known;
	test_client c;

	rte_vfio_user_client_conf_init(&conf);
	conf.path = "/tmp/never";
	for (uint32_t bad : {0u, conf.size - 1}) {
		conf.size = bad;
		CHECK_EQ(rte_vfio_user_client_attach(&conf, -1, &c.handle), -EINVAL);
	}
	conf.size = sizeof(later);
	later.added = 1;
	CHECK_EQ(rte_vfio_user_client_attach(&conf, -1, &c.handle), -EINVAL);
	later.added = 0;
	CHECK_EQ(rte_vfio_user_client_attach(&conf, -1, &c.handle), -ENOENT);
	return success;
}

outcome
no_client_is_an_error()
{
	rte_vfio_user_session session;
	rte_vfio_user_client_region region;
	rte_vfio_user_client_stats stats;
	rte_vfio_user_irq irq;
	rte_vfio_user_write write = {};
	uint32_t n;
	void *addr;
	char byte = 0;

	CHECK_EQ(rte_vfio_user_client_deadline_set(nullptr, 1), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_detach(nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_cancel(nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_session_get(nullptr, &session), -EINVAL);
	CHECK(rte_vfio_user_client_capabilities(nullptr) == nullptr);
	CHECK_EQ(rte_vfio_user_client_device_info_get(nullptr, &n, &n, &n), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_region_info_get(nullptr, 0, &region), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_info_get(nullptr, 0, &irq), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_region_map(nullptr, 0, 0, &addr), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_region_read(nullptr, 0, 0, &byte, 1), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_region_write(nullptr, 0, 0, &byte, 1), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_region_write_multi(nullptr, &write, 1), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_dma_map(nullptr, 0, page, 3, -1, 0, &byte), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_dma_unmap(nullptr, 0, page), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_wire(nullptr, 0, 0, 1, nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_action(nullptr, 0, 0, 1, RTE_VFIO_USER_IRQ_MASK),
		 -EINVAL);
	CHECK_EQ(rte_vfio_user_client_reset(nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_stats_get(nullptr, &stats), -EINVAL);
	return success;
}

outcome
attach_says_why_nobody_answers()
{
	test_client c;
	std::string path = test_path();

	::unlink(path.c_str());
	CHECK_EQ(c.attach(path), -ENOENT);
	guard::unique_fd file(::open(path.c_str(), O_CREAT | O_RDWR, 0600));
	CHECK_EQ(c.attach(path), -ECONNREFUSED);
	::unlink(path.c_str());
	return success;
}

outcome
attach_waits_for_the_socket()
{
	test_device device;
	test_client c;
	std::thread later([&] {
		::usleep(100000);
		device.start();
	});
	int error = c.attach(device.path, 0, 5000);
	later.join();
	CHECK_EQ(error, 0);
	return success;
}

outcome
attach_can_be_cancelled()
{
	guard::unique_fd stop = *guard::make_eventfd();
	auto cancel_later = [&] {
		return std::thread([&] {
			::usleep(50000);
			eventfd_write(stop.get(), 1);
		});
	};
	test_client waits, asks;
	std::thread first = cancel_later();
	int error = waits.attach("/tmp/vfio_user_no_such_socket", 0, 60000, stop.get());
	first.join();
	CHECK_EQ(error, -ECANCELED);

	eventfd_t ignored;
	eventfd_read(stop.get(), &ignored);
	asks.timeout_ms = 60000;
	hostile_server mute([](raw_peer &) {});
	std::thread second = cancel_later();
	error = asks.attach(mute.path, 0, 0, stop.get());
	second.join();
	CHECK_EQ(error, -ECANCELED);
	CHECK_EQ(asks.calls, 0);
	return success;
}

/** Milliseconds that a call takes. */
template <class F>
int64_t
time_of(F call)
{
	const auto start = std::chrono::steady_clock::now();
	call();
	return std::chrono::duration_cast<std::chrono::milliseconds>(
		       std::chrono::steady_clock::now() - start)
		.count();
}

/** Answers the same as raw_peer::handshake(), in single bytes. */
void
trickle(raw_peer &p)
{
	raw_message m;
	guard::writer whole;

	if (!p.receive(m))
		return;
	wire::header header = {.id = m.header.id,
			       .command = m.header.command,
			       .size = sizeof(header) + sizeof(wire::version),
			       .flags = wire::header_flags::type_reply,
			       .error = 0};
	whole.put(header).put(wire::version{0, 0});
	for (std::byte each : whole.view()) {
		::usleep(100000);
		if (!p.send_bytes({&each, 1}, {}))
			return;
	}
}

outcome
attach_has_one_deadline()
{
	struct {
		const char *name;
		hostile_server::script script;
	} rows[] = {
		{"each answer late",
		 [](raw_peer &p) {
			 raw_message m;
			 ::usleep(400000);
			 p.answer_version();
			 ::usleep(400000);
			 p.answer(guard::as_bytes(
				 wire::device_info{16, RTE_VFIO_USER_DEVICE_PCI, 9, 5}));
		 }},
		{"byte by byte", trickle},
		{"no answer", [](raw_peer &) {}},
	};

	for (auto &row : rows) {
		hostile_server server(row.script);
		test_client c;
		int error = 0;

		c.timeout_ms = 60000;
		c.attach_ms = 500;
		int64_t taken = time_of([&] { error = c.attach(server.path); });
		CHECK(error == -ETIMEDOUT, "%s: %d", row.name, error);
		CHECK(taken >= 450 && taken < 1500, "%s: %d ms", row.name, static_cast<int>(taken));
	}
	return success;
}

outcome
the_deadline_of_attach_may_go_on()
{
	for (const bool lifted : {false, true}) {
		test_device device;
		test_client c;
		uint32_t value;

		CHECK(device.start());
		c.attach_ms = 200;
		CHECK_EQ(c.attach(device.path, RTE_VFIO_USER_CLIENT_ATTACH_GOES_ON), 0);
		CHECK_EQ(c.read(1, 0, &value, sizeof(value)), 0);
		if (lifted)
			CHECK_EQ(rte_vfio_user_client_deadline_set(c.handle, 0), 0);
		::usleep(300000);
		int error = c.read(1, 0, &value, sizeof(value));
		CHECK(lifted ? error == 0 : error == -ETIMEDOUT, "%d", error);
	}
	/* Without the flag it ends with attach. */
	test_device device;
	test_client c;
	uint32_t value;
	CHECK(device.start());
	c.attach_ms = 200;
	CHECK_EQ(c.attach(device.path), 0);
	::usleep(300000);
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), 0);
	return success;
}

outcome
threads_share_a_connection()
{
	test_device device;
	test_client c;
	std::vector<uint8_t> memory(16 * page, 0x5a), copy(16 * page);
	std::atomic<int> wrong{0};
	std::vector<std::thread> threads;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, 16 * page, 3, -1, 0, memory.data()), 0);
	for (uint32_t t = 0; t < 8; t++)
		threads.emplace_back([&, t] {
			for (uint32_t i = 0; i < 300; i++) {
				uint32_t value = t << 16 | i, back = 0;
				wrong += c.write(1, t * 4, &value, sizeof(value)) != 0;
				wrong +=
					c.read(1, t * 4, &back, sizeof(back)) != 0 || back != value;
			}
		});
	/* The memory of the test device stands for all its regions: this one leaves the registers
	 * alone. */
	std::thread large([&] {
		std::vector<uint8_t> data(128 * 1024);
		for (int i = 0; i < 50; i++)
			wrong += c.write(2, 4096, data.data(), 128 * 1024) != 0;
	});
	for (int i = 0; i < 50; i++)
		wrong += device.dma(true, 0, copy.data(), 16 * page) != 0;
	for (std::thread &t : threads)
		t.join();
	large.join();
	CHECK_EQ(wrong, 0);
	CHECK(copy == memory);
	CHECK_EQ(c.stats().requests, c.stats().replies);
	return success;
}

outcome
the_end_of_the_server_is_reported()
{
	test_device device;
	test_client c;
	uint32_t value;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	c.asks_in_callback = true;
	device.stop();
	CHECK(wait_until([&] { return c.calls > 0; }));
	CHECK_EQ(c.error, -ENOTCONN);
	CHECK_EQ(c.from_callback, -EDEADLK);
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), -ENOTCONN);
	CHECK_EQ(c.calls, 1);
	c.detach();
	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), 0);
	return success;
}

constexpr wire::region_access only_access = {0, 1, 4};
constexpr int any_file = 0;

struct access_and_data {
	explicit access_and_data(uint32_t count) : access{0, 1, count} {}

	wire::region_access access;
	uint32_t data[2] = {1, 2};
};

/** What a server answers to a read of four bytes, and what that read returns then. */
constexpr struct {
	const char *name;
	int error;
	void (*reply)(raw_peer &p, wire::header h);
} bad_replies[] = {
	{"shorter than its structure", -EPROTO,
	 [](raw_peer &p, wire::header h) { p.reply(h, guard::as_bytes(uint64_t{0})); }},
	{"without data", -EPROTO,
	 [](raw_peer &p, wire::header h) { p.reply(h, guard::as_bytes(only_access)); }},
	{"with less data", -EPROTO,
	 [](raw_peer &p, wire::header h) {
		 p.reply(h, guard::as_bytes(access_and_data(4)).first(18));
	 }},
	{"with more data", -EPROTO,
	 [](raw_peer &p, wire::header h) { p.reply(h, guard::as_bytes(access_and_data(4))); }},
	{"with a larger count", -EPROTO,
	 [](raw_peer &p, wire::header h) { p.reply(h, guard::as_bytes(access_and_data(8))); }},
	{"with a huge count", -EPROTO,
	 [](raw_peer &p, wire::header h) {
		 p.reply(h, guard::as_bytes(access_and_data(UINT32_MAX)).first(20));
	 }},
	{"with a descriptor", -EPROTO,
	 [](raw_peer &p, wire::header h) {
		 p.reply(h, guard::as_bytes(access_and_data(4)).first(20), std::span(&any_file, 1));
	 }},
	{"with another id", -EPROTO,
	 [](raw_peer &p, wire::header h) {
		 h.id += 7;
		 p.reply(h, guard::as_bytes(access_and_data(4)).first(20));
	 }},
	{"of another command", -EPROTO,
	 [](raw_peer &p, wire::header h) {
		 h.command = 10;
		 p.reply(h, guard::as_bytes(only_access));
	 }},
	{"of no command", -EPROTO,
	 [](raw_peer &p, wire::header h) {
		 h.command = 999;
		 p.reply(h, {});
	 }},
	{"error with an impossible number", -EIO,
	 [](raw_peer &p, wire::header h) { p.reply(h, {}, {}, 1u << 31); }},
	{"error with a payload", -EBUSY,
	 [](raw_peer &p, wire::header h) { p.reply(h, guard::as_bytes(only_access), {}, EBUSY); }},
	{"twice", 0,
	 [](raw_peer &p, wire::header h) {
		 p.reply(h, guard::as_bytes(access_and_data(4)).first(20));
		 p.reply(h, guard::as_bytes(access_and_data(4)).first(20));
	 }},
	{"never, since it dies", -ENOTCONN, [](raw_peer &p, wire::header) { p.hang_up(); }},
	{"half, and it dies", -ENOTCONN,
	 [](raw_peer &p, wire::header h) {
		 h.flags = 1;
		 h.size = 36;
		 p.send_bytes(guard::as_bytes(h).first(9));
		 p.hang_up();
	 }},
};
outcome
bad_replies_end_the_connection()
{
	for (const auto &row : bad_replies) {
		test_client c;
		hostile_server server([&](raw_peer &p) {
			raw_message m;
			p.handshake();
			if (p.receive(m))
				row.reply(p, m.header);
		});
		uint32_t value;
		bool goes_on = row.error == -EIO || row.error == -EBUSY;
		CHECK_EQ(c.attach(server.path), 0);
		int error = c.read(1, 0, &value, sizeof(value));
		CHECK(error == row.error, "%s: %d", row.name, error);
		CHECK(wait_until([&] { return c.calls == (goes_on ? 0 : 1); }), "%s", row.name);
		bool honest = goes_on || row.error == -ENOTCONN;
		CHECK(c.stats().protocol_errors == (honest ? 0 : 1), "%s", row.name);
	}
	return success;
}

outcome
silence_ends_in_a_timeout()
{
	test_client c;
	hostile_server server([](raw_peer &p) { p.handshake(); });
	c.timeout_ms = 500;
	uint32_t value;
	int errors[2] = {};
	CHECK_EQ(c.attach(server.path), 0);
	/* One is the first to be out of time; the other is sent home with it. */
	auto ask = [&](int &error) {
		uint32_t nothing;
		error = c.read(1, 0, &nothing, sizeof(nothing));
	};
	std::thread other(ask, std::ref(errors[0]));
	ask(errors[1]);
	other.join();
	CHECK_EQ(std::min(errors[0], errors[1]), -ETIMEDOUT);
	CHECK_EQ(std::max(errors[0], errors[1]), -ENOTCONN);
	CHECK(wait_until([&] { return c.calls == 1; }));
	CHECK_EQ(c.error, -ETIMEDOUT);
	CHECK_EQ(c.stats().timeouts, 1);
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), -ENOTCONN);
	return success;
}

outcome
waiting_can_be_cancelled()
{
	test_client c;
	hostile_server server([](raw_peer &p) { p.handshake(); });
	std::atomic<int> cancelled{0};
	std::vector<std::thread> threads;
	c.timeout_ms = 60000;
	CHECK_EQ(c.attach(server.path), 0);
	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			uint32_t value;
			cancelled += c.read(1, 0, &value, sizeof(value)) == -ECANCELED;
		});
	bool all_out = wait_until([&] { return c.stats().requests == 6; });
	rte_vfio_user_client_cancel(c.handle);
	for (std::thread &t : threads)
		t.join();
	CHECK(all_out);
	CHECK_EQ(cancelled, 4);
	uint32_t value;
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), -ECANCELED);
	CHECK_EQ(c.calls, 0);
	return success;
}

outcome
a_server_that_does_not_read_blocks_nobody()
{
	using std::chrono::milliseconds, std::chrono::steady_clock;
	constexpr milliseconds moment{1500}; /* much more than it takes, less than it would */
	std::atomic<bool> over{false};
	test_device device;
	test_client c, good;
	hostile_server server(
		[&](raw_peer &p) {
			p.handshake();
			wait_until([&] { return over.load(); });
		},
		test_path() + ".mute");
	std::vector<uint8_t> data(4 << 20);
	c.timeout_ms = 300;
	CHECK(device.start());
	CHECK_EQ(good.attach(device.path), 0);
	CHECK_EQ(c.attach(server.path), 0);
	std::atomic<int> failures{0}, running{8};
	std::vector<std::thread> threads;
	const auto start = steady_clock::now();
	for (int i = 0; i < 8; i++)
		threads.emplace_back([&] {
			failures += c.write(2, 0, data.data(), 4 << 20) < 0;
			running--;
		});
	/* Neither the others of this process, whom the same thread serves ... */
	int served = 0;
	steady_clock::duration longest{};
	while (running > 0) {
		const auto asked = steady_clock::now();
		uint32_t word;
		served += good.read(2, 0, &word, sizeof(word)) == 0;
		longest = std::max(longest, steady_clock::now() - asked);
	}
	/* ... nor those who wait for it, longer than their time-out. */
	const auto taken = steady_clock::now() - start;
	over = true;
	for (std::thread &t : threads)
		t.join();
	CHECK_EQ(failures, 8);
	CHECK(served > 10, "%d reads", served);
	CHECK(longest < moment);
	CHECK(taken < moment);
	return success;
}

constexpr test_case cases[] = {
	{"attach refuses a bad description", attach_refuses_a_bad_description},
	{"attach knows the size of its description", attach_knows_the_size_of_its_description},
	{"no client is an error", no_client_is_an_error},
	{"attach says why nobody answers", attach_says_why_nobody_answers},
	{"attach waits for the socket", attach_waits_for_the_socket},
	{"attach can be cancelled", attach_can_be_cancelled},
	{"attach has one deadline", attach_has_one_deadline},
	{"the deadline of attach may go on", the_deadline_of_attach_may_go_on},
	{"threads share a connection", threads_share_a_connection},
	{"the end of the server is reported", the_end_of_the_server_is_reported},
	{"bad replies end the connection", bad_replies_end_the_connection},
	{"silence ends in a time-out", silence_ends_in_a_timeout},
	{"waiting can be cancelled", waiting_can_be_cancelled},
	{"a server that does not read blocks nobody", a_server_that_does_not_read_blocks_nobody},
};

} // namespace

constinit const case_table test::client_suite::connection_cases = cases;
