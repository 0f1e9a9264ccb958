/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "owner.hpp"
#include "rate_limit.hpp"

/**
 * Descriptors and memory that came from a peer. Anything can be behind them: close(2) of a TCP
 * socket may wait for as long as its owner likes (SO_LINGER), nearly every call on a file of FUSE
 * waits for its owner's daemon, an eventfd may have hundreds of thousands of waiters, and the last
 * reference to a memory file frees gigabytes. So nothing is asked of such a descriptor but its
 * kind, and a thread that nobody waits for lets go of it.
 */
namespace vfio_user {

/** Whether this is a file of memory: memfd, tmpfs or hugetlbfs. Asks no file system. */
bool is_memory_file(int fd);

/**
 * Lets go of what one peer has brought, so that it can delay nobody but itself. The thread is there
 * only while there is work.
 */
class closer : public std::enable_shared_from_this<closer> {
public:
	/** Who has brought it: a process may be at both ends of a path. */
	enum class peer { client, server };

	/** The closer for the peer at a socket path. It lasts while something waits, so that a
	 * peer does not get rid of its past by a new connection. */
	static std::shared_ptr<closer> of(peer who, const std::string &path);

	/** Takes over a descriptor. Any thread; does not wait. */
	void close(guard::unique_fd fd);

	/**
	 * Takes over anything else whose destructor may take its time. Any thread; does not wait.
	 * @param weight How many descriptors it counts for.
	 */
	void drop(std::shared_ptr<void> last, size_t weight);

	/** Whether so much waits that the peer should bring no more. One message can bring 253
	 * descriptors. Sees to it that the thread runs. */
	bool is_full();

	static constexpr size_t max_waiting = 256;

private:
	struct item {
		std::shared_ptr<void> object;
		size_t weight;
	};

	void start();
	static uint32_t main(void *self);
	void run();

	std::atomic<size_t> waiting_{0};
	std::mutex mutex_; /* guards what follows */
	std::condition_variable arrived_;
	std::deque<item> queue_;
	bool running_ = false;
	guard::rate_limit no_thread_log_{1};
};

/** Owns a descriptor that came from a peer. */
class foreign_fd {
public:
	foreign_fd() = default;
	foreign_fd(guard::unique_fd fd, std::shared_ptr<closer> by)
	    : fd_(std::move(fd)), closer_(std::move(by))
	{
	}
	foreign_fd(foreign_fd &&) = default;
	foreign_fd &operator=(foreign_fd &&other) noexcept
	{
		if (this != &other) {
			reset();
			fd_ = std::move(other.fd_);
			closer_ = std::move(other.closer_);
		}
		return *this;
	}
	~foreign_fd() { reset(); }

	explicit operator bool() const { return static_cast<bool>(fd_); }
	int get() const { return fd_.get(); }
	const std::shared_ptr<closer> &closed_by() const { return closer_; }
	void reset()
	{
		if (fd_)
			closer_->close(std::move(fd_));
	}
	/** Closes it here and now: for who knows that it is of a file of memory and not the last
	 * reference to it. */
	void close_here() { fd_.reset(); }

private:
	guard::unique_fd fd_;
	std::shared_ptr<closer> closer_;
};

} // namespace vfio_user
