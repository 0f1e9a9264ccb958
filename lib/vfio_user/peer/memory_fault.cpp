/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer/memory_fault.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <sys/eventfd.h>
#include <sys/mman.h>

namespace vfio_user::memory_fault {

namespace {

/* One slot per connected client at most. */
constexpr size_t max_ranges = 256;
/* A fault replaces one page of this machine at least. */
constexpr size_t page_size = 4096;

struct guarded {
	std::atomic<uintptr_t> start{0}; /* 0: free; published last, withdrawn first */
	std::atomic<size_t> size{0};
	std::atomic<int> fault_fd{-1};
	std::atomic<size_t> block{0}; /* what the next fault replaces at least */
};

std::array<guarded, max_ranges> ranges;
std::mutex slots_mutex; /* guards the choice of a slot */

/* Who handled SIGBUS before we did, and who has stepped in front of us since: the last one is asked
 * first. Only ever grows; more than there is room for are forgotten. */
std::array<struct sigaction, 8> others;
std::atomic<size_t> nb_others;

/* A signal that this thread is passing on. Initial-exec, as nothing may be allocated here. */
struct passed_signal {
	size_t asked; /* how many of the others */
	siginfo_t *info;
	void *context;
};
[[gnu::tls_model("initial-exec")]] thread_local constinit passed_signal passed{};

guarded *
find_range(uintptr_t addr)
{
	for (guarded &r : ranges) {
		uintptr_t start = r.start.load(std::memory_order_acquire);
		if (start != 0 && addr >= start &&
		    addr - start < r.size.load(std::memory_order_relaxed))
			return &r;
	}
	return nullptr;
}

/* Maps zeroes over the block of this size that holds an address, or as much of it as is guarded. */
int
replace_block(const guarded &range, uintptr_t addr, size_t size)
{
	uintptr_t first = range.start.load(std::memory_order_relaxed);
	uintptr_t end = first + range.size.load(std::memory_order_relaxed);
	uintptr_t block = addr / size * size;
	uintptr_t from = std::max(block, first), to = std::min(block + size, end);

	if (::mmap(reinterpret_cast<void *>(from), to - from, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
		return errno;
	return 0;
}

/* A huge page cannot be replaced in part: the kernel answers EINVAL until the block fits, and so
 * tells the page size of the mapping. It may also refuse so much memory at once, where memory must
 * not be overcommitted. */
bool
replace(guarded &range, uintptr_t addr)
{
	size_t limit = range.size.load(std::memory_order_relaxed);
	size_t block = range.block.load(std::memory_order_relaxed);
	int error = replace_block(range, addr, block);

	if (error == ENOMEM)
		error = replace_block(range, addr, block = page_size);
	while (error == EINVAL && block < limit)
		error = replace_block(range, addr, block *= 2);
	if (error == 0 && block < limit)
		range.block.store(2 * block, std::memory_order_relaxed);
	return error == 0;
}

void
ask(const struct sigaction &other, int signal)
{
	if (other.sa_flags & SA_SIGINFO)
		other.sa_sigaction(signal, passed.info, passed.context);
	else if (other.sa_handler != SIG_DFL && other.sa_handler != SIG_IGN)
		other.sa_handler(signal);
	else
		::signal(signal, SIG_DFL); /* the access is repeated and kills the process */
}

/* Each of the others may come back to us, who handled the signal before it did: then it is the next
 * one's turn. */
void
pass_on(int signal)
{
	size_t count = nb_others.load(std::memory_order_acquire);

	if (passed.asked >= count) {
		::signal(signal, SIG_DFL);
		return;
	}
	const struct sigaction &other = others[count - 1 - passed.asked];
	passed.asked++;
	ask(other, signal);
	passed.asked--;
}

void on_sigbus(int signal, siginfo_t *info, void *context);

void
remember(const struct sigaction &other)
{
	size_t count = nb_others.load(std::memory_order_acquire);

	if (count > 0 && others[count - 1].sa_sigaction == other.sa_sigaction)
		return;
	if (count < others.size()) {
		others[count] = other;
		nb_others.store(count + 1, std::memory_order_release);
	}
}

/* Makes us the first to be told of SIGBUS; false if we are. For signal handlers too: two threads
 * that meet here remember the same. */
bool
step_in_front()
{
	struct sigaction now, ours = {};

	if (::sigaction(SIGBUS, nullptr, &now) != 0 ||
	    ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_sigbus))
		return false;
	remember(now);
	ours.sa_sigaction = on_sigbus;
	ours.sa_flags = SA_SIGINFO;
	return ::sigaction(SIGBUS, &ours, nullptr) == 0;
}

bool
repair(const siginfo_t &info)
{
	auto addr = reinterpret_cast<uintptr_t>(info.si_addr);
	guarded *range = info.si_code == BUS_ADRERR ? find_range(addr) : nullptr;

	if (range == nullptr || !replace(*range, addr))
		return false;
	if (int fd = range->fault_fd.load(std::memory_order_relaxed); fd >= 0)
		eventfd_write(fd, 1);
	return true;
}

void
on_sigbus(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	/* Whoever stands in front of us may have called us with the signal's number only, as EAL's
	 * handler for hot-plugging does. The access, repeated, comes to us first. */
	if (passed.asked > 0) {
		pass_on(signal);
	} else if (!step_in_front() && !repair(*info)) {
		passed.info = info;
		passed.context = context;
		pass_on(signal);
	}
	errno = saved_errno;
}

} // namespace

guard::result<int>
guard_range(void *start, size_t size, int fault_fd)
{
	std::lock_guard lock(slots_mutex);

	step_in_front();
	for (size_t i = 0; i < max_ranges; i++) {
		if (ranges[i].start.load(std::memory_order_relaxed) != 0)
			continue;
		ranges[i].size.store(size, std::memory_order_relaxed);
		ranges[i].fault_fd.store(fault_fd, std::memory_order_relaxed);
		ranges[i].block.store(page_size, std::memory_order_relaxed);
		ranges[i].start.store(reinterpret_cast<uintptr_t>(start),
				      std::memory_order_release);
		return static_cast<int>(i);
	}
	return guard::failure{ENOSPC};
}

void
silence_range(int slot)
{
	ranges[static_cast<size_t>(slot)].fault_fd.store(-1, std::memory_order_relaxed);
}

void
release_range(int slot)
{
	std::lock_guard lock(slots_mutex);

	ranges[static_cast<size_t>(slot)].start.store(0, std::memory_order_release);
}

} // namespace vfio_user::memory_fault
