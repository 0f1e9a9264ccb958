/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/control_thread.hpp"

#include <algorithm>
#include <fcntl.h>
#include <memory>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <utility>

#include "log.hpp"
#include "loop/heap_reserve.hpp"
#include "owner.hpp"

namespace vfio_user {

namespace {

/* Room for so many descriptors is made before peers send any: 128 KiB of the kernel's memory. */
constexpr rlim_t descriptors = 16384;

/* When the table of a process with several threads is full, the kernel makes a larger one, and the
 * thread that needs it waits for a grace period of RCU: tens of milliseconds, in which nobody would
 * be served. So it is asked for a high one once. */
void
make_room_for_descriptors(int any)
{
	rlimit limit;

	if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == 0)
		return;
	const auto last = static_cast<int>(std::min(limit.rlim_cur, descriptors) - 1);
	guard::unique_fd highest(::fcntl(any, F_DUPFD_CLOEXEC, last));
}

std::mutex lifetime_mutex; /* guards the two below */
auto &the_control = guard::lasting<std::unique_ptr<control>>();
unsigned int users;
thread_local bool here;

} // namespace

control *
control::running()
{
	return the_control.get();
}

guard::status
control::keep()
{
	std::lock_guard lock(lifetime_mutex);
	if (users == 0) {
		std::unique_ptr<control> fresh(new control);
		TRY(fresh->start());
		the_control = std::move(fresh);
	}
	users++;
	return {};
}

void
control::drop()
{
	std::lock_guard lock(lifetime_mutex);
	if (--users == 0)
		the_control.reset();
}

guard::status
control::start()
{
	epoll_ = guard::unique_fd(::epoll_create1(EPOLL_CLOEXEC));
	if (!epoll_)
		return guard::last_error();
	wakeup_ = TRY(guard::make_eventfd());
	make_room_for_descriptors(epoll_.get());
	struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = 0}};
	if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wakeup_.get(), &event) != 0)
		return guard::last_error();
	int error = compat::create_control_thread<main>(&thread_, "vfio-user", this);
	if (error != 0)
		return guard::failure{-error};
	started_ = true;
	heap_reserve::set_up();
	return {};
}

control::~control()
{
	if (!started_)
		return;
	{
		std::lock_guard lock(mutex_);
		stopping_ = true;
	}
	eventfd_write(wakeup_.get(), 1);
	compat::join(thread_);
	heap_reserve::give_up();
}

uint32_t
control::main(void *self)
{
	auto *c = static_cast<control *>(self);

	here = true;
	c->run_delay_.open();
	c->loop();
	return 0;
}

/** Level-triggered: what is ready and was not served comes again, after the others. */
int
control::wait(std::span<struct epoll_event> events)
{
	using clock = std::chrono::steady_clock;
	const auto size = static_cast<int>(events.size());

	if (!due_.empty())
		return ::epoll_wait(epoll_.get(), events.data(), size, 0);
	const clock::time_point begin = clock::now();
	const int count = ::epoll_wait(epoll_.get(), events.data(), size, -1);
	idle_ += clock::now() - begin;
	return count;
}

void
control::loop()
{
	for (;;) {
		struct epoll_event events[16];
		int count = wait(events);

		turn_++;
		/* Before the events: who keeps its socket busy does not keep its jobs waiting. */
		run_jobs();
		for (int i = 0; i < count; i++) {
			/* An earlier handler of this round may have ended this watch. */
			watch_id id = events[i].data.u64; /* of a packed structure */
			auto found = watches_.find(id);
			if (found != watches_.end())
				found->second.fn(found->second.ctx, events[i].events);
		}
		run_requests();
		heap_reserve::refill();
		std::lock_guard lock(mutex_);
		if (stopping_ && requests_.empty())
			return;
	}
}

void
control::run_jobs()
{
	running_.swap(due_);
	while (!running_.empty()) {
		job *next = running_.back();
		running_.pop_back();
		next->scheduled_ = false;
		next->fn_(next->ctx_);
	}
}

void
control::job::schedule()
{
	if (std::exchange(scheduled_, true))
		return;
	running()->due_.push_back(this);
}

void
control::job::cancel()
{
	if (!std::exchange(scheduled_, false))
		return;
	/* Also of this turn: one job may end the owner of another. */
	std::erase(running()->due_, this);
	std::erase(running()->running_, this);
}

void
control::run_requests()
{
	eventfd_t ignored;
	eventfd_read(wakeup_.get(), &ignored);

	std::vector<request *> batch;
	{
		std::lock_guard lock(mutex_);
		batch.swap(requests_);
	}
	for (request *r : batch) {
		int result = r->fn(r->arg);
		std::lock_guard lock(mutex_);
		r->result = result;
		r->done = true;
		answered_.notify_all();
	}
}

int
control::post(int (*fn)(void *), void *arg)
{
	request mine{fn, arg};
	std::unique_lock lock(mutex_);
	requests_.push_back(&mine);
	eventfd_write(wakeup_.get(), 1);
	answered_.wait(lock, [&] { return mine.done; });
	return mine.result;
}

bool
control::is_here()
{
	return here;
}

int
control::call(int (*fn)(void *), void *arg)
{
	if (here)
		return fn(arg);
	/* Of our own: the last user may drop it meanwhile, or there may be none yet. */
	if (guard::status s = keep(); !s)
		return s.to_c();
	int result = running()->post(fn, arg);
	drop();
	return result;
}

guard::result<control::watch_id>
control::watch(int fd, uint32_t events, handler fn, void *ctx)
{
	watch_id id = ++last_id_;
	struct epoll_event event = {.events = events, .data = {.u64 = id}};
	if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
		return guard::last_error();
	watches_[id] = {fd, fn, ctx};
	return id;
}

void
control::change(watch_id id, uint32_t events)
{
	auto found = watches_.find(id);
	if (found == watches_.end())
		return;
	struct epoll_event event = {.events = events, .data = {.u64 = id}};
	::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event);
}

void
control::unwatch(watch_id id)
{
	auto found = watches_.find(id);
	if (found == watches_.end())
		return;
	::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
	watches_.erase(found);
}

} // namespace vfio_user
