/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <memory>
#include <random>
#include <sys/wait.h>

#include <rte_dev.h>
#include <rte_log.h>

#include "peer/arena.hpp"
#include "peer/foreign_fd.hpp"
#include "peer/memory_fault.hpp"
#include "system.hpp"
#include "test.hpp"

/*
 * Memory files of a peer in this process: their mappings, and what becomes of an access behind the
 * end of a file. What may kill is done by children.
 */

using namespace test;
using namespace vfio_user;

/* The library's own is hidden. */
extern int vfio_user_logtype;
int vfio_user_logtype = RTE_LOGTYPE_USER1;

namespace {

constexpr size_t page = 4096;
constexpr int told_before = 40; /* exit status of a child: who handled SIGBUS before has got it */

/** Runs a function in a child, which starts with the default action for SIGBUS; its exit status, or
 * the negative number of the signal that has killed it. */
template <class F>
int
in_child(F run)
{
	std::fflush(nullptr);
	pid_t child = ::fork();
	if (child == 0) {
		::signal(SIGBUS, SIG_DFL);
		::alarm(60);
		::_exit(run());
	}
	int status = 0;
	::waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/** A file that is mapped in the middle of other memory, all of which holds a pattern. */
struct surrounded_file {
	static constexpr size_t size = 16 * page, place = huge_page + 32 * page,
				all = 4 * huge_page;
	static constexpr std::byte pattern{0x5a};

	guard::unique_fd fd = make_file(size);
	guard::mapping around = std::move(*guard::mapping::make(
		nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	std::byte *aligned =
		around.data() + (huge_page - uintptr_t(around.data()) % huge_page) % huge_page;
	std::byte *file = aligned + place;

	surrounded_file()
	{
		std::ranges::fill(around.bytes(), pattern);
		::mmap(file, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd.get(), 0);
	}
	bool neighbours_are_intact() const
	{
		auto bytes = around.bytes();
		return std::all_of(bytes.data(), file, [](auto b) { return b == pattern; }) &&
		       std::all_of(file + size, bytes.data() + bytes.size(),
				   [](auto b) { return b == pattern; });
	}
};

/** One access, which the compiler neither knows the result of nor leaves out. */
std::byte
load(const volatile std::byte *at)
{
	return *at;
}

/** Cuts memory into mappings until the kernel refuses one more. */
void
exhaust_mappings()
{
	constexpr size_t size = size_t{1} << 32;
	auto *at = static_cast<char *>(::mmap(nullptr, size, PROT_NONE,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	for (size_t i = page; i < size && ::mprotect(at + i, page, PROT_READ) == 0; i += 2 * page)
		;
}

surrounded_file *guarded_file;

outcome
an_access_behind_the_end_finds_zeroes()
{
	int status = in_child([] {
		surrounded_file f;
		guard::unique_fd event = *guard::make_eventfd();
		eventfd_t faults = 0;
		f.file[page] = std::byte{7};
		if (!memory_fault::guard_range(f.file, f.size, event.get()) ||
		    ::ftruncate(f.fd.get(), 0) != 0)
			return 1;
		bool zero = load(&f.file[page]) == std::byte{0};
		const_cast<volatile std::byte &>(f.file[f.size - 1]) = std::byte{1};
		eventfd_read(event.get(), &faults);
		return zero && faults == 2 && f.neighbours_are_intact() ? 0 : 2;
	});
	CHECK_EQ(status, 0);
	return success;
}

outcome
no_room_for_a_mapping_harms_no_neighbour()
{
	int status = in_child([] {
		static surrounded_file f;
		guarded_file = &f;
		::signal(SIGBUS, [](int) {
			::_exit(guarded_file->neighbours_are_intact() ? told_before : 3);
		});
		if (!memory_fault::guard_range(f.file, f.size, -1) ||
		    ::ftruncate(f.fd.get(), 0) != 0)
			return 1;
		exhaust_mappings();
		load(&f.file[2 * page]);
		return f.neighbours_are_intact() ? 0 : 2;
	});
	CHECK_EQ(status, told_before);
	return success;
}

outcome
a_huge_page_is_replaced_as_a_whole()
{
	guard::unique_fd fd = make_huge_file(2 * huge_page);
	if (!fd)
		return skipped;
	guard::mapping memory = map_file(fd, 2 * huge_page);
	int status = in_child([&] {
		memory.data()[page] = std::byte{7};
		if (!memory_fault::guard_range(memory.data(), memory.size(), -1) ||
		    ::ftruncate(fd.get(), huge_page) != 0)
			return 1;
		bool zero = load(&memory.data()[huge_page + page]) == std::byte{0};
		return zero && load(&memory.data()[page]) == std::byte{7} ? 0 : 2;
	});
	CHECK_EQ(status, 0);
	return success;
}

/* A process has 65,530 mappings, and the client that truncates is dropped only when the control
 * thread comes to it. */
outcome
a_truncated_file_costs_few_mappings()
{
	constexpr size_t size = size_t{40000} * 2 * page;
	int status = in_child([] {
		guard::unique_fd fd = make_file(size), event = *guard::make_eventfd();
		eventfd_t faults = 0;
		arena a;
		if (!a.reserve(event.get()))
			return 1;
		auto file = a.map(fd.get(), size, page, PROT_READ | PROT_WRITE, a.place_of(0));
		size_t before = count_mappings("");
		if (!file || ::ftruncate(fd.get(), 0) != 0)
			return 2;
		for (size_t at = 0; at < size; at += 2 * page)
			const_cast<volatile uint8_t &>((*file)[at]) = 1;
		eventfd_read(event.get(), &faults);
		return faults > 0 && faults < 50 && count_mappings("") < before + 100 ? 0 : 3;
	});
	CHECK_EQ(status, 0);
	return success;
}

/* All of them belong to one client, who goes. */
outcome
what_stands_beside_a_truncated_file_can_still_be_used()
{
	int status = in_child([] {
		guard::unique_fd cut = make_file(64 * page), kept = make_file(64 * page);
		arena a;
		if (!a.reserve(-1))
			return 1;
		auto first =
			a.map(cut.get(), 64 * page, page, PROT_READ | PROT_WRITE, a.place_of(0));
		auto second = a.map(kept.get(), 64 * page, page, PROT_READ | PROT_WRITE,
				    a.place_of(64 * page));
		if (!first || !second || ::ftruncate(cut.get(), 0) != 0)
			return 2;
		for (size_t at = 0; at < 64 * page; at += page) {
			const_cast<volatile uint8_t &>((*first)[at]) = 1;
			const_cast<volatile uint8_t &>((*second)[at]) = 1;
		}
		a.unmap(*first);
		a.unmap(*second);
		return a.map(kept.get(), 64 * page, page, PROT_READ, a.place_of(0)) ? 0 : 3;
	});
	CHECK_EQ(status, 0);
	return success;
}

/** A file that has been cut off, with or without a guard. */
struct short_file {
	surrounded_file f;

	explicit short_file(bool guarded)
	{
		if (guarded && !memory_fault::guard_range(f.file, f.size, -1))
			::_exit(10);
		if (::ftruncate(f.fd.get(), 0) != 0)
			::_exit(11);
	}
	std::byte first() const { return load(f.file); }
};

/* EAL's handler tells the one before it the number of the signal, and nothing else. */
outcome
the_handler_of_hot_plugging_is_no_obstacle()
{
	int status = in_child([] {
		short_file before(true);
		if (rte_dev_hotplug_handle_enable() != 0)
			return 1;
		bool zero = before.first() == std::byte{0};
		short_file after(true);
		return zero && after.first() == std::byte{0} ? 0 : 2;
	});
	CHECK_EQ(status, 0);
	return success;
}

outcome
what_nobody_handles_kills()
{
	int status = in_child([] {
		short_file mine(true), foreign(false);
		if (rte_dev_hotplug_handle_enable() != 0)
			return 1;
		mine.first(); /* now both handlers believe that the other was there before */
		foreign.first();
		return 2;
	});
	CHECK_EQ(status, -SIGBUS);
	return success;
}

outcome
the_handler_of_before_is_told()
{
	int status = in_child([] {
		::signal(SIGBUS, [](int) { ::_exit(told_before); });
		surrounded_file f;
		auto slot = memory_fault::guard_range(f.file, f.size, -1);
		if (!slot || rte_dev_hotplug_handle_enable() != 0)
			return 1;
		memory_fault::release_range(*slot);
		short_file mine(true), foreign(false);
		mine.first();
		foreign.first();
		return 2;
	});
	CHECK_EQ(status, told_before);
	return success;
}

/* Each file costs two of the kernel's mappings: itself and the gap behind. */
size_t
fill(arena &a, int fd)
{
	size_t count = 0;
	while (a.map(fd, page, page, PROT_READ, a.place_of(2 * page * count)))
		count++;
	return count;
}

outcome
clients_share_the_mappings_of_the_process()
{
	size_t limit = 0;
	std::ifstream("/proc/sys/vm/max_map_count") >> limit;
	if (limit == 0 || limit > 1000000)
		return skipped;
	guard::unique_fd file = make_file(page);
	auto first = std::make_unique<arena>();
	arena second;
	CHECK(first->reserve(-1));
	CHECK(second.reserve(-1));
	size_t of_first = fill(*first, file.get()), of_second = fill(second, file.get());
	size_t all = count_mappings("");
	/* Three quarters, and of these no client has more than it leaves to others. */
	const size_t ours = limit / 4 * 3, half = ours / 2, next = (ours - half) / 2;
	CHECK(of_first * 2 <= half + 2 && of_first * 2 > half - 4, "%zu of %zu", of_first, half);
	CHECK(of_second * 2 <= next + 4 && of_second * 2 > next - 8, "%zu of %zu", of_second, next);
	CHECK(all < limit - limit / 5, "%zu of %zu mappings", all, limit);
	CHECK_EQ(second.map(file.get(), page, page, PROT_READ, nullptr).to_c(), -ENOSPC);
	first.reset();
	const size_t more = fill(second, file.get());
	CHECK((of_second + more) * 2 > half - 4, "%zu more", more);
	return success;
}

/* Files come and go in any order: none lies on another, and in the end all is free in one piece. */
outcome
files_find_room_as_long_as_there_is_any()
{
	constexpr uint64_t half = uint64_t{600} << 30; /* of what is reserved, and more */
	arena a;
	CHECK(a.reserve(-1));
	std::mt19937_64 random(5);
	std::vector<guard::unique_fd> files;
	std::vector<std::pair<size_t, uint8_t *>> mapped; /* file, address */
	for (uint32_t i = 0; i < 40; i++) {
		files.push_back(make_file((1 + i % 4) * page));
		CHECK_EQ(::pwrite(files[i].get(), &i, sizeof(i), i % 4 * page), sizeof(i));
	}
	guard::unique_fd large = make_file(half);
	arena fresh; /* a process with limits may have less of an arena */
	CHECK(fresh.reserve(-1));
	const bool fresh_holds =
		static_cast<bool>(fresh.map(large.get(), half, page, PROT_READ, nullptr));
	for (uint32_t n = 0; n < 4000; n++) {
		const size_t pick = random() % files.size();
		if (random() % 3 != 0) {
			uint8_t *near =
				random() % 2 != 0 ? nullptr : a.place_of(random() % 200 * page);
			auto at = a.map(files[pick].get(), (1 + pick % 4) * page, page, PROT_READ,
					near);
			CHECK(at, "file %zu", pick);
			mapped.emplace_back(pick, *at);
		} else if (!mapped.empty()) {
			std::swap(mapped[random() % mapped.size()], mapped.back());
			a.unmap(mapped.back().second);
			mapped.pop_back();
		}
		if (n % 500 == 0)
			for (auto [file, at] : mapped)
				CHECK_EQ(*reinterpret_cast<uint32_t *>(at + file % 4 * page), file);
	}
	while (!mapped.empty()) {
		a.unmap(mapped.back().second);
		mapped.pop_back();
	}
	auto whole = a.map(large.get(), half, page, PROT_READ, nullptr);
	CHECK(whole || !fresh_holds, "the gaps are not joined");
	return success;
}

/* A process may be both ends of a path: what a client has brought is not the server's. */
outcome
what_one_end_brings_is_not_the_others()
{
	const auto of_client = closer::of(closer::peer::client, "path");
	const auto of_server = closer::of(closer::peer::server, "path");
	std::latch may_go(1);
	auto slow = std::shared_ptr<void>(&may_go,
					  [](void *at) { static_cast<std::latch *>(at)->wait(); });

	of_client->drop(std::move(slow), closer::max_waiting);
	const bool full = of_client->is_full(), other = of_server->is_full();
	const bool same = closer::of(closer::peer::client, "path") == of_client;
	may_go.count_down();
	CHECK(full && !other && same);
	CHECK(wait_until([&] { return !of_client->is_full(); }), "it is let go");
	return success;
}

outcome
run()
{
	static constexpr test_case cases[] = {
		{"an access behind the end finds zeroes", an_access_behind_the_end_finds_zeroes},
		{"no room for a mapping harms no neighbour",
		 no_room_for_a_mapping_harms_no_neighbour},
		{"a huge page is replaced as a whole", a_huge_page_is_replaced_as_a_whole},
		{"a truncated file costs few mappings", a_truncated_file_costs_few_mappings},
		{"what stands beside a truncated file can still be used",
		 what_stands_beside_a_truncated_file_can_still_be_used},
		{"the handler of hot-plugging is no obstacle",
		 the_handler_of_hot_plugging_is_no_obstacle},
		{"what nobody handles kills", what_nobody_handles_kills},
		{"the handler of before is told", the_handler_of_before_is_told},
		{"files find room as long as there is any",
		 files_find_room_as_long_as_there_is_any},
		{"clients share the mappings of the process",
		 clients_share_the_mappings_of_the_process},
		{"what one end brings is not the other's", what_one_end_brings_is_not_the_others},
	};
	return run_cases("peer_memory", cases);
}

} // namespace

REGISTER_TEST(peer_memory_autotest, run)
