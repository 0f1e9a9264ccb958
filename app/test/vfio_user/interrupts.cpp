/* SPDX-License-Identifier: BSD-3-Clause */
#include <csignal>
#include <thread>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

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

/** Threads of this process with a name. */
int
threads_named(std::string_view wanted)
{
	int found = 0;
	DIR *tasks = ::opendir("/proc/self/task");

	while (const dirent *task = tasks != nullptr ? ::readdir(tasks) : nullptr) {
		char path[300], name[32] = "";
		std::snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		if (FILE *comm = std::fopen(path, "re")) {
			if (std::fgets(name, sizeof(name), comm) != nullptr)
				found += std::string_view(name).starts_with(wanted);
			std::fclose(comm);
		}
	}
	if (tasks != nullptr)
		::closedir(tasks);
	return found;
}

outcome
with_irq_inline_the_caller_signals()
{
	session s;
	guard::unique_fd event = *guard::make_eventfd();
	s.device.irq_inline = 1;
	CHECK(s.start());
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), -ENOTCONN);
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, event.get()), 0);
	/* More than the completions that the kernel keeps. */
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
		CHECK(signalled(event, 0), "not there when it returns, round %d", i);
	}
	/* One of a case before may be about to end. */
	CHECK(wait_until([] { return threads_named("vfio-user-irq") == 0; }));
	CHECK_EQ(s.device.stats().interrupts, 1000);
	/* A client that makes its eventfd blocking, and fills it, still blocks nobody. */
	CHECK_EQ(::fcntl(event.get(), F_SETFL, 0), 0);
	CHECK_EQ(eventfd_write(event.get(), UINT64_MAX - 1), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
	return success;
}

/** Descriptors of this process that refer to an eventfd. */
int
references(const guard::unique_fd &event)
{
	const auto number = [](int fd) {
		char path[64], line[128];
		int id = -1;

		std::snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		FILE *info = std::fopen(path, "re");
		while (info != nullptr && std::fgets(line, sizeof(line), info) != nullptr)
			std::sscanf(line, "eventfd-id: %d", &id);
		if (info != nullptr)
			std::fclose(info);
		return id;
	};
	int found = 0, wanted = number(event.get());
	DIR *all = ::opendir("/proc/self/fd");

	while (const dirent *entry = all != nullptr ? ::readdir(all) : nullptr)
		if (entry->d_name[0] != '.')
			found += number(std::atoi(entry->d_name)) == wanted;
	if (all != nullptr)
		::closedir(all);
	return found;
}

outcome
with_irq_inline_an_eventfd_is_let_go_of()
{
	session s;
	guard::unique_fd event = *guard::make_eventfd(), next = *guard::make_eventfd();
	s.device.irq_inline = 1;
	CHECK(s.start());
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, event.get()), 0);
	CHECK(references(event) > 1);
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, next.get()), 0);
	CHECK(wait_until([&] { return references(event) == 1; }), "another one is wired");
	CHECK(references(next) > 1);
	CHECK_EQ(set_irqs(s.client, {20, 0x21, 2, 0, 0}), 0);
	CHECK(wait_until([&] { return references(next) == 1; }), "all off");
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, event.get()), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
	CHECK(signalled(event, 0));
	CHECK_EQ(rte_vfio_user_server_disconnect(s.device.server), 0);
	CHECK(wait_until([&] { return references(event) == 1; }), "the client is gone");
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

/** An eventfd that 60,000 wait for, all of whom are called by whoever signals it. */
struct crowded_event {
	static constexpr int nb_epolls = 6, nb_fds = 10000;

	guard::unique_fd fd = *guard::make_eventfd();
	std::vector<guard::unique_fd> fds, epolls;
	rlimit before = {};

	/** False: this process may not have so many descriptors. */
	bool crowd()
	{
		::getrlimit(RLIMIT_NOFILE, &before);
		rlimit files = {nb_fds + 1000, before.rlim_max};
		if (before.rlim_max < files.rlim_cur || ::setrlimit(RLIMIT_NOFILE, &files) != 0)
			return false;
		for (int i = 0; i < nb_fds; i++)
			fds.emplace_back(::dup(fd.get()));
		for (int i = 0; i < nb_epolls; i++) {
			epolls.emplace_back(::epoll_create1(0));
			for (const guard::unique_fd &each : fds) {
				epoll_event e = {.events = EPOLLIN | EPOLLET, .data = {}};
				::epoll_ctl(epolls.back().get(), EPOLL_CTL_ADD, each.get(), &e);
			}
		}
		return true;
	}
	~crowded_event()
	{
		fds.clear();
		::setrlimit(RLIMIT_NOFILE, &before);
	}
};

outcome
what_waits_for_an_event_costs_the_caller_nothing()
{
	crowded_event event;
	session s;
	CHECK(s.start());
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, event.fd.get()), 0);
	if (!event.crowd())
		return skipped;
	uint64_t mine = 0, all = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < 50; i++) {
		uint64_t begin = cpu_time(CLOCK_THREAD_CPUTIME_ID);
		CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
		mine += cpu_time(CLOCK_THREAD_CPUTIME_ID) - begin;
		/* To read it calls the waiters, too: that is not counted. */
		CHECK(signalled(event.fd));
	}
	all = cpu_time(CLOCK_PROCESS_CPUTIME_ID) - all;
	CHECK(mine < all / 20, "the caller had %lu of %lu ns", mine, all);
	return success;
}

/* However many they are: whoever waits for it is woken once, and so is the thread that tells it. */
outcome
events_that_come_while_one_is_told_are_one()
{
	constexpr int nb_events = 10000;
	crowded_event slow;
	guard::unique_fd event = *guard::make_eventfd();
	session s;
	CHECK(s.start());
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, slow.fd.get()), 0);
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 1, 1}, event.get()), 0);
	if (!slow.crowd())
		return skipped;
	uint64_t fewest = nb_events;
	for (int i = 0; i < 10 && fewest > 1; i++) {
		uint64_t told = 0, more = 0;
		pollfd any = {event.get(), POLLIN, 0};
		CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
		for (int n = 0; n < nb_events; n++)
			CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 1), 1);
		for (int limit_ms = 5000; ::poll(&any, 1, limit_ms) == 1; limit_ms = 20) {
			CHECK_EQ(eventfd_read(event.get(), &more), 0);
			told += more;
		}
		CHECK(told > 0 && signalled(slow.fd));
		fewest = std::min(fewest, told);
	}
	CHECK_EQ(fewest, 1);
	return success;
}

/** The signals that a thread blocks, bit n for signal n + 1; 0: it is not one of the library. */
uint64_t
blocked_by(const char *task)
{
	char path[300], line[512];
	uint64_t blocked = 0;
	bool ours = false;

	std::snprintf(path, sizeof(path), "/proc/self/task/%s/status", task);
	FILE *status = std::fopen(path, "re");
	while (status != nullptr && std::fgets(line, sizeof(line), status) != nullptr) {
		ours = ours || std::strncmp(line, "Name:\tvfio-user", 15) == 0;
		std::sscanf(line, "SigBlk: %lx", &blocked);
	}
	if (status != nullptr)
		std::fclose(status);
	return ours ? blocked : 0;
}

/* An application's signals are for its own threads; the library's wait for other things. */
outcome
threads_take_no_signals_of_the_application()
{
	constexpr auto bit = [](int signal) { return uint64_t{1} << (signal - 1); };
	guard::unique_fd event = *guard::make_eventfd();
	session s;
	CHECK(s.start());
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, event.get()), 0);
	/* A thread has its name a little later than its life. */
	const auto has_both = [&] {
		int ours = 0;
		DIR *tasks = ::opendir("/proc/self/task");
		while (const dirent *task = tasks != nullptr ? ::readdir(tasks) : nullptr) {
			uint64_t blocked = blocked_by(task->d_name);
			ours += (blocked & bit(SIGIO)) != 0 && (blocked & bit(SIGTERM)) != 0 &&
				(blocked & bit(SIGBUS)) == 0;
		}
		if (tasks != nullptr)
			::closedir(tasks);
		return ours >= 2;
	};
	CHECK(wait_until(has_both), "the control thread and the one that signals");
	sigset_t mine;
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &mine), 0);
	CHECK_EQ(sigismember(&mine, SIGIO), 0);
	return success;
}

/* QEMU unwires a vector for moments, and what was signalled before counts. */
outcome
an_event_from_before_it_was_unwired_is_told()
{
	crowded_event slow;
	session s;
	CHECK(s.start());
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, slow.fd.get()), 0);
	if (!slow.crowd())
		return skipped;
	for (int i = 0; i < 5; i++) {
		guard::unique_fd event = *guard::make_eventfd(), next = *guard::make_eventfd();
		CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 1, 1}, event.get()), 0);
		/* The thread that signals is busy with the first one. */
		CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
		CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 1), 1);
		CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 1, 1}), 0);
		CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 1, 1}, next.get()), 0);
		CHECK(signalled(event), "round %d", i);
		CHECK(quiet(next), "round %d", i);
	}
	return success;
}

/* What is being told to the eventfd that a vector had may be told too late. */
outcome
an_event_that_meets_a_new_wiring_is_told_there_too()
{
	crowded_event slow;
	session s;
	CHECK(s.start());
	if (!slow.crowd())
		return skipped;
	bool met = false;
	for (int i = 0; i < 300 && !met; i++) {
		guard::unique_fd next = *guard::make_eventfd();
		pollfd told = {slow.fd.get(), POLLIN, 0};
		uint64_t count;
		CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, slow.fd.get()), 0);
		CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
		/* Who waits for it is called last. */
		while (::poll(&told, 1, 0) == 0)
			;
		/* If its waiters are still being called. */
		CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, next.get()), 0);
		CHECK_EQ(::read(slow.fd.get(), &count, sizeof(count)), ssize_t{sizeof(count)});
		met = signalled(next, 10);
	}
	CHECK(met, "in no round");
	return success;
}

/* A data thread signals while the vector is unwired, and wired to another eventfd. */
outcome
what_is_said_to_be_signalled_is(uint32_t irq_inline)
{
	session s;
	s.device.irq_inline = irq_inline;
	CHECK(s.start());
	for (int i = 0; i < 500; i++) {
		guard::unique_fd first = *guard::make_eventfd(), next = *guard::make_eventfd();
		std::atomic<bool> go{false};
		std::atomic<int> result{0};
		CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, first.get()), 0);
		std::thread data([&] {
			while (!go)
				;
			do
				result = rte_vfio_user_server_irq_trigger(s.device.server, 2, 0);
			while (result == -ENOTCONN);
		});
		go = true;
		int unwired = set_irqs(s.client, {20, 0x24, 2, 0, 1});
		int wired = set_irqs(s.client, {20, 0x24, 2, 0, 1}, next.get());
		data.join();
		CHECK_EQ(unwired, 0);
		CHECK_EQ(wired, 0);
		CHECK_EQ(result.load(), 1);
		pollfd told[] = {{first.get(), POLLIN, 0}, {next.get(), POLLIN, 0}};
		CHECK(::poll(told, 2, 1000) >= 1, "lost in round %d", i);
	}
	return success;
}

/** In this thread io_setup(2) fails from now on. */
bool
forbid_asynchronous_io()
{
	sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const sock_fprog all = {std::size(rows), rows};

	return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0;
}

/** Whether a thread of this process waits in the kernel. */
bool
sleeps(pid_t thread)
{
	char path[64], state = '?';

	std::snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
	FILE *file = std::fopen(path, "re");
	if (file == nullptr || std::fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	if (file != nullptr)
		std::fclose(file);
	return state == 'S';
}

/* Where write(2) has to do, a signal can be held up while its vector gets another eventfd, and then
 * comes when nobody looks at the one before any more. */
outcome
with_irq_inline_a_signal_held_up_is_told_again()
{
	session s;
	bool forbidden = false, started = false;
	guard::unique_fd first = *guard::make_eventfd(), next = *guard::make_eventfd();
	std::atomic<pid_t> thread{0};
	std::atomic<int> result{1};
	uint64_t value;

	s.device.irq_inline = 1;
	std::thread([&] {
		forbidden = forbid_asynchronous_io();
		started = s.start();
	}).join();
	if (!forbidden)
		return skipped;
	CHECK(started);
	CHECK_EQ(::fcntl(first.get(), F_SETFL, 0), 0);
	CHECK_EQ(eventfd_write(first.get(), UINT64_MAX - 1), 0);
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, first.get()), 0);
	std::thread data([&] {
		thread = ::gettid();
		result = rte_vfio_user_server_irq_trigger(s.device.server, 2, 0);
	});
	const bool held_up = wait_until([&] { return thread != 0 && sleeps(thread); });
	const uint32_t rewired = set_irqs(s.client, {20, 0x24, 2, 0, 1}, next.get());
	const ssize_t got = ::read(first.get(), &value, sizeof(value));
	data.join();
	CHECK(held_up);
	CHECK_EQ(rewired, 0);
	CHECK_EQ(got, ssize_t{sizeof(value)});
	CHECK_EQ(result.load(), -ENOTCONN);
	CHECK(!signalled(next, 0));
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 0), 1);
	CHECK(signalled(next, 0));
	return success;
}

/* Where every signal counts, none is lost however the vector is wired meanwhile. */
outcome
with_irq_inline_every_signal_counts()
{
	session s;
	s.device.irq_inline = 1;
	CHECK(s.start());
	std::atomic<bool> over{false};
	uint64_t said = 0, seen = 0;
	std::thread data([&] {
		while (!over)
			said += rte_vfio_user_server_irq_trigger(s.device.server, 2, 0) == 1;
	});
	uint32_t failed = 0;
	const auto wire_to = [&](int fd) { failed |= set_irqs(s.client, {20, 0x24, 2, 0, 1}, fd); };
	const auto count = [&](const guard::unique_fd &event) {
		uint64_t value = 0;
		if (eventfd_read(event.get(), &value) == 0)
			seen += value;
	};
	guard::unique_fd last = *guard::make_eventfd();
	wire_to(last.get());
	for (int i = 0; i < 1500; i++) {
		guard::unique_fd next = *guard::make_eventfd();
		if (i % 2 != 0)
			wire_to(-1);
		wire_to(next.get());
		/* Now that this is answered, nobody looks at the one before any more. */
		count(last);
		last = std::move(next);
	}
	over = true;
	data.join();
	count(last);
	CHECK_EQ(failed, 0);
	CHECK(said > 1000 && seen >= said, "%lu said, %lu seen", said, seen);
	return success;
}

constexpr test_case cases[] = {
	{"an event that meets a new wiring is told there too",
	 an_event_that_meets_a_new_wiring_is_told_there_too},
	{"what is said to be signalled is", [] { return what_is_said_to_be_signalled_is(0); }},
	{"with irq_inline the caller signals", with_irq_inline_the_caller_signals},
	{"with irq_inline an eventfd is let go of", with_irq_inline_an_eventfd_is_let_go_of},
	{"with irq_inline a signal held up is told again",
	 with_irq_inline_a_signal_held_up_is_told_again},
	{"with irq_inline every signal counts", with_irq_inline_every_signal_counts},
	{"with irq_inline, too, what is said to be signalled is",
	 [] { return what_is_said_to_be_signalled_is(1); }},
	{"threads take no signals of the application", threads_take_no_signals_of_the_application},
	{"an event from before it was unwired is told",
	 an_event_from_before_it_was_unwired_is_told},
	{"what waits for an event costs the caller nothing",
	 what_waits_for_an_event_costs_the_caller_nothing},
	{"events that come while one is told are one", events_that_come_while_one_is_told_are_one},
	{"interrupts mask and keep one event", interrupts_mask_and_keep_one_event},
	{"bad interrupt requests change nothing", bad_interrupt_requests_change_nothing},
};

} // namespace

constinit const case_table test::server_suite::interrupt_cases = cases;
