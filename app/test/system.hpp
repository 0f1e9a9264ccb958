/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "owner.hpp"

/** What cases ask of the operating system. */
namespace test {

/** How many descriptors this process has open, give or take a constant. */
inline size_t
open_descriptors()
{
	size_t count = 0;
	DIR *dir = ::opendir("/proc/self/fd");
	while (dir != nullptr && ::readdir(dir) != nullptr)
		count++;
	if (dir != nullptr)
		::closedir(dir);
	return count;
}

/** How many mappings this process has whose line in /proc/self/maps contains @p what. */
inline size_t
count_mappings(const char *what)
{
	size_t count = 0;
	char line[512];
	FILE *maps = std::fopen("/proc/self/maps", "re");
	while (maps != nullptr && std::fgets(line, sizeof(line), maps) != nullptr)
		count += std::strstr(line, what) != nullptr;
	if (maps != nullptr)
		std::fclose(maps);
	return count;
}

/**
 * Bytes of freed memory that stay with the process: AddressSanitizer's quarantine. It holds 256 MiB
 * by its own account; what lies around each piece comes on top (some percent of pieces of 64 KiB).
 */
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kept_after_free = size_t{320} << 20;
#else
constexpr size_t kept_after_free = 0;
#endif

/** Bytes of this process that are in memory and belong to no file. */
inline size_t
anonymous_memory()
{
	size_t kib = 0;
	char line[512];
	FILE *status = std::fopen("/proc/self/status", "re");
	while (status != nullptr && std::fgets(line, sizeof(line), status) != nullptr)
		std::sscanf(line, "RssAnon: %zu", &kib);
	if (status != nullptr)
		std::fclose(status);
	return kib * 1024;
}

/** Nanoseconds of processor time by a clock such as CLOCK_THREAD_CPUTIME_ID. */
inline uint64_t
cpu_time(clockid_t clock)
{
	timespec t = {};
	::clock_gettime(clock, &t);
	return static_cast<uint64_t>(t.tv_sec) * 1000000000 + static_cast<uint64_t>(t.tv_nsec);
}

/** Waits at most so long for what another thread brings about; whether it has. Long, as only what
 * is broken takes all of it, while a thread on a machine with few cores may wait seconds for one.
 */
template <class condition>
bool
wait_until(condition holds, int limit_ms = 30000)
{
	for (int i = 0; i < limit_ms && !holds(); i++)
		::usleep(1000);
	return holds();
}

/** A file of memory; without a descriptor if there can be none. */
inline guard::unique_fd
make_file(size_t size)
{
	guard::unique_fd fd(::memfd_create("test", MFD_CLOEXEC));
	if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
		fd.reset();
	return fd;
}

constexpr size_t huge_page = 2 << 20;

/** Another descriptor of the same file. */
inline guard::unique_fd
open_again(const guard::unique_fd &fd, int flags)
{
	char name[64];
	std::snprintf(name, sizeof(name), "/proc/self/fd/%d", fd.get());
	return guard::unique_fd(::open(name, flags | O_CLOEXEC));
}

inline guard::mapping
map_file(const guard::unique_fd &fd, size_t size)
{
	auto m = guard::mapping::make(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(),
				      0);
	return m ? std::move(*m) : guard::mapping();
}

/** A file of huge pages; without a descriptor where the machine has none to spare. */
inline guard::unique_fd
make_huge_file(size_t size)
{
	guard::unique_fd fd(::memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB));
	struct stat st;
	if (!fd || ::fstat(fd.get(), &st) != 0 || st.st_blksize != huge_page ||
	    ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 || !map_file(fd, size))
		fd.reset();
	return fd;
}

/** Memory to share, seen from here too. */
struct test_memory {
	explicit test_memory(size_t size) : fd(make_file(size)), map(map_file(fd, size)) {}

	guard::unique_fd fd;
	guard::mapping map;
};

} // namespace test
