/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "loop/control_thread.hpp"
#include "owner.hpp"
#include "wire/transport.hpp"

/**
 * The interrupts that a client has wired.
 *
 * Whoever holds an eventfd can read it, and can make it blocking for everybody else. So the server
 * never gets the caller's: each vector has an eventfd of ours, and what comes there is passed on.
 * Ours is not read either, since that could block; edge-triggered epoll tells of each write
 * without.
 *
 * A server that floods has one event per vector in epoll's queue, behind those of everybody else.
 */
namespace vfio_user {

class client_irqs {
public:
	/** One wired vector. */
	struct relay {
		guard::unique_fd source; /* the server has it too */
		guard::unique_fd target; /* the caller has it too */
		control::watch_id watch = 0;
	};

	/** Relays to these eventfds. EINVAL: one is no eventfd. Any thread. */
	static guard::result<std::vector<relay>> make(borrowed_fds targets);

	/** The rest on the control thread. The server knows the sources of vectors from @p start
	 * on. */
	guard::status adopt(uint32_t index, uint32_t start, std::vector<relay> fresh);
	/** No interrupt of these vectors is passed on any more. */
	void drop(uint32_t index, uint32_t start, uint32_t count);
	/** No interrupt at all is. */
	void stop();

	/** Any thread. */
	size_t nb_fds() const { return nb_fds_.load(std::memory_order_relaxed); }

private:
	using vector_id = std::pair<uint32_t, uint32_t>; /* index and number */

	static void on_event(void *self, uint32_t events);

	std::map<vector_id, relay> relays_;
	std::atomic<size_t> nb_fds_{0};
};

} // namespace vfio_user
