/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <thread>

#include "fixture.hpp"
#include "turn_counter.hpp"

/* One peer does not keep the control thread from the others. */

using namespace test;
using namespace test::server_suite;

namespace {

/** Two devices, each with a client. */
struct neighbours {
	test_device busy, idle;
	raw_client at_busy, at_idle;
	raw_message version;

	bool start()
	{
		return busy.start("-busy") && idle.start("-idle") && at_busy.connect(busy.path) &&
		       at_idle.connect(idle.path) &&
		       at_busy.negotiate(R"({"capabilities":{"write_multiple":true}})", version) &&
		       at_idle.negotiate("", version);
	}
	bool idle_is_served()
	{
		raw_message m;
		wire::region_access access = {0, 0, 4};
		return at_idle.call(command::region_read, guard::as_bytes(access), m) &&
		       !m.is_error();
	}
};

/** One REGION_WRITE_MULTI; the value of the register at offset 0 counts up to @p count. */
guard::writer
batch_of(uint64_t count, uint32_t region = 0)
{
	std::vector<wire::single_write> writes(count);
	guard::writer out;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t value = i + 1;
		writes[i] = {0, region, sizeof(value), {}};
		std::memcpy(writes[i].data, &value, sizeof(value));
	}
	out.put(wire::write_multi{count}).put_bytes(std::as_bytes(std::span(writes)));
	return out;
}

outcome
a_batch_of_writes_takes_turns()
{
	constexpr uint64_t count = 1000;
	neighbours n;
	raw_message m;
	uint64_t last = 0;
	CHECK(n.start());
	n.busy.write_us = 500;
	CHECK(n.at_busy.send(7, command::region_write_multi, batch_of(count).view()));
	CHECK(wait_until([&] { return n.busy.writes > 0; }));
	for (int i = 0; i < 20; i++)
		CHECK(n.idle_is_served());
	CHECK(n.busy.writes < static_cast<int>(count), "it was served after the batch");
	CHECK(n.at_busy.receive(m));
	CHECK(!m.is_error() && m.header.id == 7);
	CHECK_EQ(m.as<wire::write_multi>().count, count);
	CHECK_EQ(n.busy.writes, count);
	std::memcpy(&last, n.busy.registers, sizeof(last));
	CHECK_EQ(last, count);
	return success;
}

/* The batch is not over, but the next command waits for it. */
outcome
commands_keep_their_order_behind_a_batch()
{
	neighbours n;
	raw_message m;
	wire::region_access access = {0, 0, 8};
	CHECK(n.start());
	n.busy.write_us = 500;
	CHECK(n.at_busy.send(7, command::region_write_multi, batch_of(20).view()));
	CHECK(n.at_busy.send(8, command::region_read, guard::as_bytes(access)));
	CHECK(n.at_busy.receive(m) && m.header.id == 7);
	CHECK(n.at_busy.receive(m) && m.header.id == 8);
	CHECK(!m.is_error() && m.payload.size() == sizeof(access) + 8);
	CHECK_EQ(std::to_integer<int>(m.payload[sizeof(access)]), 20);
	/* A batch that fails midway is answered with the error, late as it comes. */
	CHECK(n.at_busy.send(9, command::region_write_multi, batch_of(20, 1).view()));
	CHECK(n.at_busy.receive(m) && m.header.id == 9);
	CHECK_EQ(m.header.error, EPERM);
	return success;
}

outcome
a_client_may_leave_its_batch()
{
	neighbours n;
	CHECK(n.start());
	n.busy.write_us = 500;
	CHECK(n.at_busy.send(7, command::region_write_multi, batch_of(1000).view()));
	CHECK(wait_until([&] { return n.busy.writes > 0; }));
	n.at_busy.close();
	CHECK(wait_until([&] { return n.busy.attached == 0; }));
	CHECK(n.busy.writes < 1000);
	CHECK(n.at_busy.connect(n.busy.path) && n.at_busy.negotiate("", n.version));
	CHECK(n.idle_is_served());
	return success;
}

outcome
a_device_puts_work_off()
{
	neighbours n;
	CHECK(n.start());
	n.busy.steps_left = 200; /* of 100 us each at least */
	rte_vfio_user_control_call(
		[](void *server) {
			auto *s = static_cast<rte_vfio_user_server *>(server);
			/* Twice is as good as once. */
			rte_vfio_user_server_defer(s);
			rte_vfio_user_server_defer(s);
			return 0;
		},
		n.busy.server);
	CHECK(wait_until([&] { return n.busy.works > 0; }));
	CHECK(n.idle_is_served());
	CHECK(wait_until([&] { return n.busy.steps_left == 0; }));
	CHECK(n.busy.works >= 10, "%d turns", n.busy.works.load());
	int works = n.busy.works;
	::usleep(10000);
	CHECK_EQ(n.busy.works, works);
	return success;
}

/** A step that takes long, as one in which the thread loses its core does, is paid for by the time
 * for which nobody wants the thread, too: a device that is polled alone has few turns. */
outcome
a_long_step_is_paid_by_idle_time()
{
	constexpr uint32_t interval_us = 5000, step_ms = 600;
	neighbours n;
	raw_message m;
	CHECK(n.start());
	for (test_device *each : {&n.busy, &n.idle})
		CHECK_EQ(rte_vfio_user_server_set_poll(each->server, interval_us), 0);
	CHECK(wait_until([&] { return n.busy.polls > 0 && n.idle.polls > 0; }));
	n.busy.write_us = step_ms * 1000;
	CHECK(n.at_busy.send(7, command::region_write_multi, batch_of(1).view()));
	CHECK(n.at_busy.receive(m) && !m.is_error());
	const int before = n.busy.polls, others = n.idle.polls;
	CHECK(wait_until([&] { return n.busy.polls > before; }));
	/* Turns alone give a millisecond each. */
	CHECK(n.idle.polls - others < static_cast<int>(step_ms) / 2, "%d polls of the other",
	      n.idle.polls - others);
	return success;
}

/** Threads that have a core at all times, beside whoever is bound to it. */
class rivals {
public:
	rivals()
	{
		CPU_ZERO(&core_);
		CPU_SET(::sched_getcpu(), &core_);
		for (std::thread &t : threads_)
			t = std::thread([this] {
				bind();
				while (!over_)
					;
			});
	}
	~rivals()
	{
		leave();
		for (std::thread &t : threads_)
			t.join();
	}
	void leave() { over_ = true; }
	bool have_left() const { return over_; }
	/** Binds the calling thread to that core. */
	void bind() const { ::sched_setaffinity(0, sizeof(core_), &core_); }

private:
	cpu_set_t core_;
	std::atomic<bool> over_{false};
	std::array<std::thread, 8> threads_;
};

/** Goes on until the calling thread has been without its core for so long, while there are others
 * who take it. @return Milliseconds of the core that it has had. */
int
run_until_the_core_was_lost_for(rivals &others, uint64_t ms)
{
	constexpr uint64_t per_ms = 1000000;
	cpu_set_t before;

	::sched_getaffinity(0, sizeof(before), &before);
	others.bind();
	const uint64_t cpu = cpu_time(CLOCK_THREAD_CPUTIME_ID), all = cpu_time(CLOCK_MONOTONIC);
	uint64_t had = 0;
	while (!others.have_left() && cpu_time(CLOCK_MONOTONIC) - all < had + ms * per_ms)
		had = cpu_time(CLOCK_THREAD_CPUTIME_ID) - cpu;
	others.leave();
	::sched_setaffinity(0, sizeof(before), &before);
	return static_cast<int>(had / per_ms);
}

/* Who asks for little would wait for turns of who asks for much. */
outcome
nobody_pays_for_a_core_that_others_have_taken()
{
	constexpr int lost_ms = 50;
	if (::access("/proc/thread-self/schedstat", R_OK) != 0)
		return skipped;
	neighbours n;
	rivals others;
	int had_ms = 0;
	std::optional<int> before;
	std::atomic<int> turns{0};
	CHECK(n.start());
	/* Of which each turn has one call. */
	n.idle.at_work = [&] {
		if (turns == 0)
			rte_vfio_user_server_defer(n.idle.server);
	};
	n.busy.at_work = [&] {
		if (before) {
			turns = n.idle.works - *before;
			return;
		}
		had_ms = run_until_the_core_was_lost_for(others, lost_ms);
		before = n.idle.works;
		rte_vfio_user_server_defer(n.busy.server);
	};
	rte_vfio_user_control_call(
		[](void *both) {
			auto *of = static_cast<neighbours *>(both);
			rte_vfio_user_server_defer(of->idle.server);
			rte_vfio_user_server_defer(of->busy.server);
			return 0;
		},
		&n);
	CHECK(wait_until([&] { return turns != 0; }));
	/* Each gives a millisecond. */
	CHECK(turns < had_ms + lost_ms / 2, "%d turns for %d ms of the core", turns.load(), had_ms);
	return success;
}

outcome
connections_are_taken_in_turns()
{
	constexpr int nb_clients = 9, per_turn = 8; /* no more can wait */
	neighbours n;
	std::vector<raw_client> more(nb_clients);
	CHECK(n.start());
	turn_counter turns(n.idle, [&] { return static_cast<int>(n.busy.stats().refused); });
	CHECK(turns.run(
		[&] {
			for (raw_client &c : more)
				c.connect(n.busy.path);
		},
		nb_clients));
	CHECK(turns.most <= per_turn, "%d in a turn", turns.most);
	return success;
}

/** REGION_WRITE of a register, so often. */
void
send_writes(raw_client &c, int count)
{
	constexpr uint32_t value = 0;
	guard::writer one;

	one.put(wire::region_access{0, 0, sizeof(value)}).put(value);
	for (int i = 0; i < count; i++)
		c.send(static_cast<uint16_t>(i), command::region_write, one.view());
}

outcome
commands_are_handled_in_turns()
{
	constexpr int count = 140, per_turn = 64;
	neighbours n;
	CHECK(n.start());
	turn_counter turns(n.idle, [&] { return n.busy.writes.load(); });
	CHECK(turns.run([&] { send_writes(n.at_busy, count); }, count));
	CHECK(turns.most <= per_turn, "%d in a turn", turns.most);
	return success;
}

outcome
a_client_has_its_time_of_a_turn()
{
	constexpr int count = 40, share_us = 1000, each_us = 400;
	neighbours n;
	CHECK(n.start());
	n.busy.write_us = each_us;
	turn_counter turns(n.idle, [&] { return n.busy.writes.load(); });
	CHECK(turns.run([&] { send_writes(n.at_busy, count); }, count));
	/* The last one begins before the share is used up. */
	CHECK(turns.most <= share_us / each_us + 1, "%d in a turn", turns.most);
	return success;
}

/** A client that sends as much as fits, and is asked how much came that it has not read. */
class mute_client : public raw_client {
public:
	using raw_client::raw_client;
	/** Until the device takes nothing more for a while. */
	void send_until_stuck(guard::bytes message)
	{
		for (int in_vain = 0; in_vain < 1000; in_vain++, ::usleep(10))
			while (::send(fd(), message.data(), message.size(),
				      MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
				in_vain = 0;
	}
	size_t unread() const
	{
		int bytes = 0;
		::ioctl(fd(), FIONREAD, &bytes);
		return static_cast<size_t>(bytes);
	}
};

/* What the kernel does not take of a reply, and of no more than one. */
outcome
one_reply_waits_for_a_client_that_does_not_read()
{
	constexpr uint32_t count = sizeof(test_device::registers);
	constexpr size_t reply = sizeof(wire::header) + sizeof(wire::region_access) + count;
	constexpr size_t before = 1; /* that of VERSION */
	test_device device;
	mute_client c;
	raw_message m;
	guard::writer read;

	CHECK(device.start() && c.connect(device.path) && c.negotiate("", m));
	read.put(wire::header{1, static_cast<uint16_t>(command::region_read),
			      sizeof(wire::header) + sizeof(wire::region_access), 0, 0})
		.put(wire::region_access{0, 0, count});
	for (int i = 0; i < 3; i++) {
		c.send_until_stuck(read.view());
		const size_t waiting = (device.stats().replies - before) * reply - c.unread();
		CHECK(waiting > 0 && waiting <= reply, "%zu bytes wait", waiting);
	}
	return success;
}

clockid_t
clock_of_control_thread()
{
	clockid_t clock = {};
	rte_vfio_user_control_call(
		[](void *out) {
			return -::pthread_getcpuclockid(::pthread_self(),
							static_cast<clockid_t *>(out));
		},
		&clock);
	return clock;
}

/* The last reference to memory frees it, which takes its time. */
outcome
memory_is_let_go_by_another_thread()
{
	constexpr size_t size = 512 << 20;
	neighbours n;
	CHECK(n.start());
	clockid_t control = clock_of_control_thread();
	for (bool by_unmap : {true, false}) {
		{
			test_memory memory(size);
			std::memset(memory.map.data(), 1, size);
			CHECK_EQ(map_dma(n.at_busy, 0, size, memory.fd.get()), 0);
		}
		uint64_t before = cpu_time(control), all = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
		if (by_unmap)
			CHECK_EQ(unmap_dma(n.at_busy, 0, size), 0);
		else
			n.at_busy.close();
		CHECK(n.idle_is_served());
		CHECK(wait_until([] { return count_mappings("/memfd:test") == 0; }));
		before = cpu_time(control) - before;
		all = cpu_time(CLOCK_PROCESS_CPUTIME_ID) - all;
		CHECK(before < all / 4, "the control thread had %lu of %lu ns", before, all);
	}
	return success;
}

/** Threads that take the stacks which the C library keeps for new ones. */
struct stack_takers {
	std::array<std::thread, 16> threads;
	std::atomic<bool> over{false};

	stack_takers()
	{
		for (std::thread &t : threads)
			t = std::thread([this] { over.wait(false); });
	}
	~stack_takers()
	{
		over = true;
		over.notify_all();
		for (std::thread &t : threads)
			t.join();
	}
};

/* Descriptors wait for a thread to close them, and no thread can be had for a while. */
outcome
a_client_is_served_when_threads_can_be_had_again()
{
	constexpr int nb_messages = 20; /* with 16 descriptors each, more than may wait */
#ifdef __SANITIZE_ADDRESS__
	return skipped; /* it ends the process when it gets no memory */
#endif
	neighbours n;
	rlimit before;
	raw_message m;
	int ends[2];
	CHECK(n.start());
	::usleep(1200000); /* the thread that has closed earlier ones ends */
	CHECK_EQ(::pipe(ends), 0);
	guard::unique_fd one(ends[0]), other(ends[1]);
	std::vector<int> fds(16, one.get());
	wire::header header = {1, static_cast<uint16_t>(command::device_get_info), 32, 0, 0};
	wire::device_info info = {16, 0, 0, 0};
	guard::writer message;
	message.put(header).put(info);
	{
		stack_takers none_left;
		CHECK_EQ(::getrlimit(RLIMIT_AS, &before), 0);
		rlimit no_more = {1, before.rlim_max};
		CHECK_EQ(::setrlimit(RLIMIT_AS, &no_more), 0);
		for (int i = 0; i < nb_messages; i++)
			n.at_busy.send_bytes(message.view(), fds);
		::usleep(100000);
		CHECK_EQ(::setrlimit(RLIMIT_AS, &before), 0);
	}
	for (int i = 0; i < nb_messages; i++)
		CHECK(n.at_busy.receive(m) && m.header.error == EINVAL, "message %d", i);
	CHECK(n.idle_is_served());
	return success;
}

constexpr test_case cases[] = {
	{"a client is served when threads can be had again",
	 a_client_is_served_when_threads_can_be_had_again},
	{"a batch of writes takes turns", a_batch_of_writes_takes_turns},
	{"commands keep their order behind a batch", commands_keep_their_order_behind_a_batch},
	{"a client may leave its batch", a_client_may_leave_its_batch},
	{"a device puts work off", a_device_puts_work_off},
	{"connections are taken in turns", connections_are_taken_in_turns},
	{"commands are handled in turns", commands_are_handled_in_turns},
	{"a long step is paid by idle time", a_long_step_is_paid_by_idle_time},
	{"nobody pays for a core that others have taken",
	 nobody_pays_for_a_core_that_others_have_taken},
	{"a client has its time of a turn", a_client_has_its_time_of_a_turn},
	{"one reply waits for a client that does not read",
	 one_reply_waits_for_a_client_that_does_not_read},
	{"memory is let go by another thread", memory_is_let_go_by_another_thread},
};

} // namespace

constinit const case_table test::server_suite::turn_cases = cases;
