/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <vector>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.hpp"
#include "owner.hpp"

namespace fuzz {

/** Descriptors of all kinds that a peer may send. They are made once, but for the truncated file.
 */
class files {
public:
	static constexpr size_t page = 4096, size = 16 * page;
	enum kind : uint8_t {
		memory,
		other_memory,
		read_only,
		truncated,
		event,
		full_event,
		pipe_end,
		socket_end,
		null_device,
		folder,
		nb_kinds,
	};

	files()
	{
		int ends[2];

		for (kind k : {memory, other_memory, truncated})
			all_[k] = make(size);
		all_[read_only] = reopen(all_[memory], O_RDONLY);
		all_[event] = guard::unique_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
		all_[full_event] = guard::unique_fd(::eventfd(~0u, EFD_NONBLOCK | EFD_CLOEXEC));
		MUST(::pipe2(ends, O_CLOEXEC) == 0);
		all_[pipe_end] = guard::unique_fd(ends[1]);
		pipe_ = guard::unique_fd(ends[0]);
		MUST(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
		all_[socket_end] = guard::unique_fd(ends[0]);
		socket_ = guard::unique_fd(ends[1]);
		all_[null_device] = guard::unique_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
		all_[folder] = guard::unique_fd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	}

	int of(uint8_t k) const { return all_[k % nb_kinds].get(); }
	/** Descriptors for a message, as a byte says: how many, and of which kind the first one is.
	 */
	std::vector<int> choose(uint8_t how) const
	{
		static constexpr uint8_t counts[] = {0, 1, 1, 2, 3, 16, 17, 32};
		std::vector<int> out(counts[how & 7]);

		for (size_t i = 0; i < out.size(); i++)
			out[i] = of(
				static_cast<uint8_t>((how >> 3) + (counts[how & 7] > 3 ? 0 : i)));
		return out;
	}
	/** Shortens a file under whoever has mapped it. */
	void truncate(uint16_t pages) const
	{
		MUST(::ftruncate(of(truncated), static_cast<off_t>(pages % 17 * page)) == 0);
	}
	/** As new for the next input. */
	void renew() { truncate(16); }

	static guard::unique_fd make(size_t bytes)
	{
		guard::unique_fd fd(::memfd_create("fuzz", MFD_CLOEXEC));

		MUST(fd && ::ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0);
		return fd;
	}

private:
	static guard::unique_fd reopen(const guard::unique_fd &fd, int flags)
	{
		char name[64];

		std::snprintf(name, sizeof(name), "/proc/self/fd/%d", fd.get());
		return guard::unique_fd(::open(name, flags | O_CLOEXEC));
	}

	std::array<guard::unique_fd, nb_kinds> all_;
	guard::unique_fd pipe_, socket_;
};

} // namespace fuzz
