/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "compat.hpp"
#include "loop/run_delay.hpp"
#include "owner.hpp"

struct epoll_event;

/**
 * The control thread: one per process. It waits for descriptors with epoll and calls their
 * handlers; other threads have it run functions for them. It never runs packet code, and whatever
 * it owns is touched by no other thread.
 */
namespace vfio_user {

class control {
public:
	/** What to do when a descriptor is ready; @p events are those of epoll. */
	using handler = void (*)(void *ctx, uint32_t events);
	/** Names a watch; 0 is none. Never reused, so that a stale event finds nothing. */
	using watch_id = uint64_t;
	class job;

	/** The process's control thread. Only for whom keeps it. */
	static control *running();
	/** Keeps the control thread running until drop(); starts it for the first user. */
	static guard::status keep();
	static void drop();

	/** Runs fn(arg) on the control thread, waits, returns its result. Keeps the thread for as
	 * long; a negative errno if there is none and it cannot be started. */
	static int call(int (*fn)(void *), void *arg);
	/** Whether this is the control thread. */
	static bool is_here();

	/** Control thread only. */
	guard::result<watch_id> watch(int fd, uint32_t events, handler fn, void *ctx);
	void change(watch_id id, uint32_t events);
	void unwatch(watch_id id);
	/** Which round of the loop this is: each watch that is ready and each job that is due is
	 * served once in it. */
	uint64_t turn() const { return turn_; }
	/** How long in all there was nothing to do. */
	std::chrono::steady_clock::duration idle() const { return idle_; }
	/** How long it had to wait for a core since this was called last. */
	std::chrono::nanoseconds take_run_delay() { return run_delay_.take(); }

	control(const control &) = delete;
	~control();

private:
	struct watch_entry {
		int fd;
		handler fn;
		void *ctx;
	};
	struct request {
		int (*fn)(void *);
		void *arg;
		int result = 0;
		bool done = false;
	};

	control() = default;
	guard::status start();
	static uint32_t main(void *self);
	void loop();
	int wait(std::span<struct epoll_event> events);
	void run_jobs();
	void run_requests();
	int post(int (*fn)(void *), void *arg);

	guard::unique_fd epoll_, wakeup_;
	compat::thread_id thread_{};
	bool started_ = false;
	std::map<watch_id, watch_entry> watches_;
	watch_id last_id_ = 0;
	uint64_t turn_ = 1;
	std::chrono::steady_clock::duration idle_{0};
	run_delay run_delay_;
	std::vector<job *> due_;     /* of the next turn */
	std::vector<job *> running_; /* of this turn, those that have not run yet */

	std::mutex mutex_; /* guards what follows */
	std::condition_variable answered_;
	std::vector<request *> requests_;
	bool stopping_ = false;
};

/** Something to go on with in the next turn. All of it is for the control thread. */
class control::job {
public:
	using function = void (*)(void *ctx);

	job(function fn, void *ctx) : fn_(fn), ctx_(ctx) {}
	~job() { cancel(); }
	job(const job &) = delete;
	job &operator=(const job &) = delete;

	/** Runs once in the next turn, however often this is called until then. */
	void schedule();
	void cancel();

private:
	friend class control;

	function fn_;
	void *ctx_;
	bool scheduled_ = false;
};

/** Runs a callable on the control thread and returns its result. */
template <class F>
int
on_control_thread(F fn)
{
	return control::call([](void *f) { return (*static_cast<F *>(f))(); }, &fn);
}

/** The same for one that returns a guard::status. */
template <class F>
guard::status
try_on_control_thread(F fn)
{
	int error = on_control_thread([&] { return fn().to_c(); });
	return error == 0 ? guard::status() : guard::failure{-error};
}

} // namespace vfio_user
