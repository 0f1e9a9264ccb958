/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <span>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "result.hpp"

/** Owners of kernel resources: acquired by a factory, released by the destructor, moved but not
 * copied. */
namespace guard {

/** What the whole process has one of, and no end destroys: others of its threads go on using it
 * while one is in exit(). */
template <class T>
T &
lasting()
{
	return *new T;
}

/** Owns one file descriptor. */
class unique_fd {
public:
	unique_fd() = default;
	explicit unique_fd(int fd) : fd_(fd) {}
	unique_fd(unique_fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
	unique_fd &operator=(unique_fd &&other) noexcept
	{
		if (this != &other) {
			reset();
			fd_ = std::exchange(other.fd_, -1);
		}
		return *this;
	}
	~unique_fd() { reset(); }

	explicit operator bool() const { return fd_ >= 0; }
	int get() const { return fd_; }
	int release() { return std::exchange(fd_, -1); }
	void reset()
	{
		if (fd_ >= 0)
			::close(fd_);
		fd_ = -1;
	}

private:
	int fd_ = -1;
};

/** Owns one memory mapping. */
class mapping {
public:
	mapping() = default;
	mapping(mapping &&other) noexcept
	    : addr_(std::exchange(other.addr_, nullptr)), size_(std::exchange(other.size_, 0))
	{
	}
	mapping &operator=(mapping &&other) noexcept
	{
		if (this != &other) {
			reset();
			addr_ = std::exchange(other.addr_, nullptr);
			size_ = std::exchange(other.size_, 0);
		}
		return *this;
	}
	~mapping() { reset(); }

	/** mmap(2) with the same arguments; the mapping of @p size bytes is then owned. */
	static result<mapping> make(void *hint, size_t size, int prot, int flags, int fd,
				    off_t offset)
	{
		void *addr = ::mmap(hint, size, prot, flags, fd, offset);
		if (addr == MAP_FAILED)
			return last_error();
		return mapping(addr, size);
	}

	/** Maps other memory, with mmap(2)'s arguments, at the same address in one step. */
	status replace(int prot, int flags, int fd, off_t offset)
	{
		if (::mmap(addr_, size_, prot, flags | MAP_FIXED, fd, offset) == MAP_FAILED)
			return last_error();
		return {};
	}

	explicit operator bool() const { return addr_ != nullptr; }
	std::byte *data() const { return static_cast<std::byte *>(addr_); }
	size_t size() const { return size_; }
	std::span<std::byte> bytes() const { return {data(), size_}; }
	/** Gives up the first @p size bytes, whole pages of it; the rest is still owned. */
	void reset_front(size_t size)
	{
		let_go(addr_, size);
		size_ -= size;
		addr_ = size_ == 0 ? nullptr : data() + size;
	}
	void reset()
	{
		if (addr_ != nullptr)
			let_go(addr_, size_);
		addr_ = nullptr;
		size_ = 0;
	}

private:
	mapping(void *addr, size_t size) : addr_(addr), size_(size) {}
	/** If the kernel has no memory to do it, the addresses stay taken, but not what was there.
	 */
	static void let_go(void *addr, size_t size)
	{
		if (::munmap(addr, size) != 0)
			::mmap(addr, size, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
	}

	void *addr_ = nullptr;
	size_t size_ = 0;
};

/** A new non-blocking eventfd with counter 0. */
inline result<unique_fd>
make_eventfd()
{
	unique_fd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	if (!fd)
		return last_error();
	return fd;
}

/** A memory file of @p size bytes whose size nobody can change any more. */
inline result<unique_fd>
make_sealed_memfd(const char *name, size_t size)
{
	unique_fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
	if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
		return last_error();
	/* Without the seals a client could truncate the file and kill us by SIGBUS. */
	if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return last_error();
	return fd;
}

} // namespace guard
