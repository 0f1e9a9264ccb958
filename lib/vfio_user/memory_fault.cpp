/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_fault.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "bytes.hpp"
#include "wire.hpp"

namespace vfio_user::memory_fault {

namespace {

/* One slot per connected client at most. */
constexpr size_t max_ranges = 256;

struct guarded {
	std::atomic<uintptr_t> start{0}; /* 0: free; published last, withdrawn first */
	std::atomic<size_t> size{0};
	std::atomic<int> fault_fd{-1};
};

std::array<guarded, max_ranges> ranges;
std::mutex install_mutex; /* guards the two below and the choice of a slot */
unsigned int in_use;
struct sigaction previous;

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

/* A huge page cannot be replaced in part: the kernel answers EINVAL until the size fits, and so
 * tells the page size of the mapping. After any other failure a larger block would hit what is not
 * ours. */
bool
replace_page(const guarded &range, uintptr_t addr)
{
	uintptr_t first = range.start.load(std::memory_order_relaxed);
	size_t size = range.size.load(std::memory_order_relaxed);

	for (size_t page = wire::page_size; page <= size; page *= 2) {
		uintptr_t at = addr / page * page;
		if (!guard::contains(first, size, at, page))
			return false;
		if (::mmap(reinterpret_cast<void *>(at), page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			   0) != MAP_FAILED)
			return true;
		if (errno != EINVAL)
			return false;
	}
	return false;
}

void
pass_on(int signal, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(signal, info, context);
	else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
		previous.sa_handler(signal);
	else
		::signal(signal, SIG_DFL); /* the access is repeated and kills the process */
}

void
on_sigbus(int signal, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	auto addr = reinterpret_cast<uintptr_t>(info->si_addr);
	guarded *range = info->si_code == BUS_ADRERR ? find_range(addr) : nullptr;

	if (range != nullptr && replace_page(*range, addr))
		eventfd_write(range->fault_fd.load(std::memory_order_relaxed), 1);
	else
		pass_on(signal, info, context);
	errno = saved_errno;
}

guard::status
install()
{
	struct sigaction action = {};
	action.sa_sigaction = on_sigbus;
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	if (::sigaction(SIGBUS, &action, &previous) != 0)
		return guard::last_error();
	return {};
}

} // namespace

guard::result<int>
guard_range(void *start, size_t size, int fault_fd)
{
	std::lock_guard lock(install_mutex);

	for (size_t i = 0; i < max_ranges; i++) {
		if (ranges[i].start.load(std::memory_order_relaxed) != 0)
			continue;
		if (in_use == 0)
			TRY(install());
		in_use++;
		ranges[i].size.store(size, std::memory_order_relaxed);
		ranges[i].fault_fd.store(fault_fd, std::memory_order_relaxed);
		ranges[i].start.store(reinterpret_cast<uintptr_t>(start),
				      std::memory_order_release);
		return static_cast<int>(i);
	}
	return guard::failure{ENOSPC};
}

void
release_range(int slot)
{
	std::lock_guard lock(install_mutex);

	ranges[static_cast<size_t>(slot)].start.store(0, std::memory_order_release);
	if (--in_use == 0)
		::sigaction(SIGBUS, &previous, nullptr);
}

} // namespace vfio_user::memory_fault
