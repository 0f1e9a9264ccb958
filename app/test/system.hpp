/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>
#include <dirent.h>
#include <sys/mman.h>
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

/** Waits 5 s at most for what another thread brings about; whether it has. */
template <class condition>
bool
wait_until(condition holds)
{
	for (int i = 0; i < 5000 && !holds(); i++)
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

inline guard::mapping
map_file(const guard::unique_fd &fd, size_t size)
{
	auto m = guard::mapping::make(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(),
				      0);
	return m ? std::move(*m) : guard::mapping();
}

/** Memory to share, seen from here too. */
struct test_memory {
	explicit test_memory(size_t size) : fd(make_file(size)), map(map_file(fd, size)) {}

	guard::unique_fd fd;
	guard::mapping map;
};

} // namespace test
