/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "loop/control_thread.hpp"
#include "rte_vfio_user_client.h"
#include "wire/commands.hpp"
#include "wire/transport.hpp"

/** The connection of a client: what is asked and answered on it, whatever it means. */
namespace vfio_user {

/**
 * The control thread receives: it hands replies to the threads that wait for them, and what the
 * server asks for to the partner. Requests are sent by the threads that make them. Nobody blocks on
 * the socket: what it does not take is kept, and sent by the control thread when there is room.
 */
class conversation {
public:
	/** Why it ended; the value is the errno that callback and log tell. */
	enum class cause {
		none = 0,
		gone = ENOTCONN,
		broken = EPROTO,
		late = ETIMEDOUT,
		truncated = EFAULT,
		cancelled = ECANCELED,
	};

	/** Who speaks with the server. Called on the control thread. */
	class partner {
	public:
		/** The server asks for something. @return What to reply. */
		virtual guard::result<guard::writer> serve(const message &m) = 0;
		/** It has ended; @p why_told is 0 where the application ended it itself. */
		virtual void ended(int why_told) = 0;

	protected:
		~partner() = default;
	};

	/** @p timeout is for each request. */
	conversation(partner &who, std::string path, std::chrono::milliseconds timeout);
	~conversation();
	conversation(const conversation &) = delete;
	conversation &operator=(const conversation &) = delete;

	/** Begins on a connected socket. */
	guard::status start(guard::unique_fd socket);
	/** Goes on with a second socket, on which the server asks. */
	guard::status add_twin(foreign_fd socket);
	/** From now on the end is told. Fails if it has ended before. */
	guard::status settle(bool lift_deadline);

	/* Any thread but the control thread, concurrently. */
	/** For all requests together, from now on; 0 lifts it. */
	void set_deadline(std::chrono::milliseconds from_now);
	/** Sends a request and waits for its reply, which is as long as the command's may be. */
	guard::result<message> request(wire::command command, guard::bytes payload,
				       borrowed_fds fds = {});
	/** Ends it because a reply makes no sense. */
	guard::failure broken(wire::command command);

	/* Any thread. */
	void end(cause why, const char *detail = nullptr);
	/** How it is doing, for people: "connected", or why it ended. */
	const char *state();
	/** Of messages, errors and descriptors, as far as they are the connection's. */
	rte_vfio_user_client_stats stats();
	/** Whether more of the server's descriptors wait to be closed than may. */
	bool is_full() const { return closer_->is_full(); }
	const std::string &path() const { return path_; }

private:
	/** A request that is out, on the stack of its thread. */
	struct waiter {
		wire::command command;
		uint16_t id = 0;
		message reply{};
		int error = 0;
		bool done = false;
		std::condition_variable ready{};
	};
	/** Its receiving half belongs to the control thread, its sending half to mutex_. */
	struct channel {
		transport link;
		control::watch_id watch = 0;
	};

	static void on_main(void *self, uint32_t events);
	static void on_twin(void *self, uint32_t events);
	void serve(channel &which);
	void receive(channel &from);
	void take(channel &from, message &&m);
	bool deliver(message &m);
	void answer(channel &to, const message &m);
	void update_events();
	void close();
	void end_locked(cause why, const char *detail = nullptr);
	int ended_error() const;

	guard::status send_request(waiter &mine, guard::bytes payload, borrowed_fds fds);
	void await(waiter &mine, std::unique_lock<std::mutex> &lock);
	guard::result<message> check_reply(wire::command command, message &&reply);

	partner &partner_;
	const std::string path_;
	const std::chrono::milliseconds timeout_;
	const std::shared_ptr<closer> closer_; /* of what the server brings */
	channel main_, twin_;
	turn_share share_; /* the server's */

	std::mutex mutex_; /* guards what follows */
	std::map<uint16_t, waiter *> waiting_;
	uint16_t next_id_ = 0;
	std::chrono::steady_clock::time_point deadline_ =
		std::chrono::steady_clock::time_point::max();
	cause ended_ = cause::none;
	bool settled_ = false; /* the end is told */
	rte_vfio_user_client_stats stats_{};
};

} // namespace vfio_user
