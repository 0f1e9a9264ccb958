/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <libaio.h>

#include "owner.hpp"

/**
 * Signals eventfds that somebody else holds too, without ever blocking.
 *
 * A write(2) to an eventfd blocks while its counter is full, unless the file is non-blocking. That
 * flag belongs to the open file, which a client shares and can change at any moment. The kernel's
 * own signalling never blocks, and completions of asynchronous I/O use it: so an event is signalled
 * by a read of one byte of a file of ours that completes at once and names the eventfd as the one
 * to notify. One system call, like write(2); each 64th time one more takes completions away.
 */
namespace vfio_user {

/** Whether a descriptor is an eventfd. */
bool is_eventfd(int fd);

class event_signal {
public:
	event_signal();
	~event_signal();
	event_signal(const event_signal &) = delete;
	event_signal &operator=(const event_signal &) = delete;

	/** Adds 1 to the counter of @p fd. Any thread, no lock. */
	void operator()(int fd);

private:
	void reap();

	io_context_t context_ = nullptr; /* null: no asynchronous I/O here, write(2) has to do */
	guard::unique_fd file_;
	std::atomic<unsigned int> submitted_{0};
};

} // namespace vfio_user
