/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "client/opened_memory.hpp"
#include "client/irq_relays.hpp"
#include "client/mapped_region.hpp"
#include "loop/control_thread.hpp"
#include "rte_vfio_user_client.h"
#include "wire/transport.hpp"
#include "wire/version.hpp"

/**
 * The client side: a connection to a device that somebody else implements.
 *
 * The control thread receives: it hands replies to the threads that wait for them, and serves what
 * the server asks for. Requests are sent by the threads that make them. Nobody blocks on the
 * socket: what it does not take is kept, and sent by the control thread when there is room.
 */
namespace vfio_user {

class client {
public:
	/** Connects and negotiates; see rte_vfio_user_client_attach(). */
	static guard::result<std::unique_ptr<client>> make(const rte_vfio_user_client_conf &conf,
							   int cancel_fd);
	~client();
	client(const client &) = delete;

	/* All of these may be called from any thread but the control thread, concurrently. */
	void cancel() { end(cause::cancelled); }
	/** For all requests together, from now on; 0 lifts it. */
	void set_deadline(std::chrono::milliseconds from_now);
	guard::result<const client_region *> region(uint32_t index);
	guard::result<void *> map_area(uint32_t index, uint32_t area);
	guard::result<rte_vfio_user_irq> irq_info(uint32_t index);
	guard::status region_read(uint32_t index, uint64_t offset, guard::mutable_bytes into);
	guard::status region_write(uint32_t index, uint64_t offset, guard::bytes from);
	guard::status region_write_multi(std::span<const rte_vfio_user_write> writes);
	guard::status dma_map(const rte_guest_mem_region &region, int fd, uint64_t offset);
	guard::status dma_unmap(uint64_t iova, uint64_t size);
	guard::status irq_wire(uint32_t index, uint32_t start, uint32_t count, const int *fds);
	guard::status irq_action(uint32_t index, uint32_t start, uint32_t count, uint32_t action);
	guard::status reset();
	/* client_stats.cpp */
	rte_vfio_user_client_stats stats();
	/** How the connection is doing, for people: "connected", or why it ended. */
	const char *state();

	/* Constant after make(). */
	const std::string &path() const { return path_; }
	const rte_vfio_user_session &session() const { return session_; }
	const std::string &capabilities_text() const { return capabilities_text_; }
	const wire::device_info &device() const { return device_; }

private:
	/** Why a connection ended; the value is the errno that callback and log tell. */
	enum class cause {
		none = 0,
		gone = ENOTCONN,
		broken = EPROTO,
		late = ETIMEDOUT,
		truncated = EFAULT,
		cancelled = ECANCELED,
	};
	/** A request that is out, on the stack of its thread. */
	struct waiter {
		wire::command command;
		uint16_t id = 0;
		message reply{};
		int error = 0;
		bool done = false;
		std::condition_variable ready{};
	};
	class cancel_watch;

	explicit client(const rte_vfio_user_client_conf &conf);
	static guard::status check(const rte_vfio_user_client_conf &conf);

	/* client.cpp: the connection */
	guard::status open(const rte_vfio_user_client_conf &conf, int cancel_fd);
	guard::status start(guard::unique_fd socket);
	static void on_socket(void *self, uint32_t events);
	static void on_twin(void *self, uint32_t events);
	static void on_memory_fault(void *self, uint32_t events);
	void serve(transport &channel);
	void receive(transport &from);
	void take(transport &from, message &&m);
	bool deliver(message &m);
	void update_events();
	void close();
	void end(cause why, const char *detail = nullptr);
	void end_locked(cause why, const char *detail = nullptr);
	int ended_error() const;

	/* client.cpp: requests */
	guard::result<message> request(wire::command command, guard::bytes payload,
				       borrowed_fds fds = {});
	guard::status send_request(waiter &mine, guard::bytes payload, borrowed_fds fds);
	void await(waiter &mine, std::unique_lock<std::mutex> &lock);
	guard::result<message> check_reply(wire::command command, message &&reply);
	guard::failure broken(wire::command command);

	/* client_serve.cpp: what the server asks for */
	void serve_command(transport &from, const message &m);
	guard::result<guard::writer> carry_out(const message &m);

	/* client_stats.cpp; with mutex_ held */
	void count_end(cause why);

	/* client_requests.cpp */
	guard::status negotiate();
	guard::status adopt_version(message &reply);
	guard::status adopt_twin(const capabilities &theirs, std::vector<foreign_fd> &fds);
	guard::status ask_device_info();
	guard::result<message> ask_region_info(uint32_t index);
	guard::status set_irqs(wire::irq_set set, borrowed_fds fds = {});
	guard::status wire_run(uint32_t index, uint32_t start, borrowed_fds fds);
	guard::status unwire_run(uint32_t index, uint32_t start, uint32_t count);
	void drop_irqs(uint32_t index, uint32_t start, uint32_t count);

	const std::string path_;
	const uint32_t flags_;
	const std::chrono::milliseconds timeout_;
	void (*const disconnected_)(void *ctx, int error);
	void *const ctx_;

	const std::shared_ptr<closer> closer_; /* of what the server brings */
	/* Their receiving half belongs to the control thread, their sending half to mutex_. */
	transport socket_, twin_;
	control::watch_id socket_watch_ = 0, twin_watch_ = 0, fault_watch_ = 0;
	turn_share share_; /* the server's */
	guard::unique_fd fault_event_;

	rte_vfio_user_session session_{};
	std::string capabilities_text_;
	wire::device_info device_{};
	client_dma dma_;

	std::mutex irqs_mutex_; /* one change of the wiring at a time; the server sees the same
				   order */
	client_irqs irqs_;      /* the control thread's */

	std::mutex regions_mutex_;
	std::map<uint32_t, client_region> regions_;

	std::mutex mutex_; /* guards what follows */
	std::map<uint16_t, waiter *> waiting_;
	uint16_t next_id_ = 0;
	std::chrono::steady_clock::time_point deadline_ =
		std::chrono::steady_clock::time_point::max();
	cause ended_ = cause::none;
	bool attached_ = false; /* make() has succeeded: the end is reported by callback */
	rte_vfio_user_client_stats stats_{};
};

} // namespace vfio_user
