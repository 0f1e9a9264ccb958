/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/timer.hpp"

#include <sys/epoll.h>
#include <sys/timerfd.h>

namespace vfio_user {

namespace {

struct timespec
to_timespec(std::chrono::microseconds time)
{
	auto seconds = std::chrono::floor<std::chrono::seconds>(time);
	return {.tv_sec = seconds.count(),
		.tv_nsec = std::chrono::nanoseconds(time - seconds).count()};
}

} // namespace

timer::~timer()
{
	if (watch_ != 0)
		control::running()->unwatch(watch_);
}

guard::status
timer::open(handler fn, void *ctx)
{
	fn_ = fn;
	ctx_ = ctx;
	fd_ = guard::unique_fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
	if (!fd_)
		return guard::last_error();
	watch_ = TRY(control::running()->watch(fd_.get(), EPOLLIN, on_ready, this));
	return {};
}

void
timer::lend(handler fn, void *ctx)
{
	stop();
	fn_ = fn;
	ctx_ = ctx;
}

void
timer::on_ready(void *self, uint32_t)
{
	auto *t = static_cast<timer *>(self);
	uint64_t count;

	/* Nothing to read: it was set anew after it had expired. */
	if (::read(t->fd_.get(), &count, sizeof(count)) == sizeof(count))
		t->fn_(t->ctx_);
}

/** At multiples of the interval on the clock: timers that have the same one wake the thread once.
 */
guard::status
timer::repeat(std::chrono::microseconds interval)
{
	if (interval == interval.zero())
		return set({}, {});
	const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
		std::chrono::steady_clock::now().time_since_epoch());
	return set(now - now % interval + interval, interval, TFD_TIMER_ABSTIME);
}

guard::status
timer::set(std::chrono::microseconds first, std::chrono::microseconds interval, int flags)
{
	struct itimerspec spec = {.it_interval = to_timespec(interval),
				  .it_value = to_timespec(first)};
	if (::timerfd_settime(fd_.get(), flags, &spec, nullptr) != 0)
		return guard::last_error();
	return {};
}

} // namespace vfio_user
