/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/timer.hpp"

#include <algorithm>
#include <iterator>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <utility>
#include <vector>

#include "owner.hpp"

namespace vfio_user {

namespace {

struct timespec
to_timespec(std::chrono::microseconds time)
{
	auto seconds = std::chrono::floor<std::chrono::seconds>(time);
	return {.tv_sec = seconds.count(),
		.tv_nsec = std::chrono::nanoseconds(time - seconds).count()};
}

/* Of the control thread: the timers that repeat, of which the first of each interval is set; and
 * those whose handlers are still to be called, as one has expired for all. */
auto &repeating = guard::lasting<std::vector<timer *>>();
auto &expired = guard::lasting<std::vector<timer *>>();

} // namespace

timer::~timer()
{
	(void)leave();
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
	if (::read(t->fd_.get(), &count, sizeof(count)) != sizeof(count))
		return;
	if (t->interval_ == t->interval_.zero())
		return t->fn_(t->ctx_);
	std::copy_if(repeating.begin(), repeating.end(), std::back_inserter(expired),
		     [=](const timer *other) { return other->interval_ == t->interval_; });
	/* A handler may change or end any of them. */
	while (!expired.empty()) {
		timer *next = expired.back();
		expired.pop_back();
		next->fn_(next->ctx_);
	}
}

guard::status
timer::start(std::chrono::microseconds time)
{
	TRY(leave());
	return set(time, {});
}

guard::status
timer::repeat(std::chrono::microseconds interval)
{
	TRY(leave());
	if (interval == interval.zero())
		return set({}, {});
	const bool alone =
		std::none_of(repeating.begin(), repeating.end(),
			     [=](const timer *other) { return other->interval_ == interval; });
	interval_ = interval;
	repeating.push_back(this);
	return alone ? set_repeating() : set({}, {});
}

/** Repeats no more. If it was set for others, too, the next of them takes that over; what had
 * expired just then is lost, once. */
guard::status
timer::leave()
{
	const auto interval = std::exchange(interval_, interval_.zero());

	if (interval == interval.zero())
		return {};
	std::erase(expired, this);
	const auto at = std::find(repeating.begin(), repeating.end(), this);
	const auto is_other = [=](const timer *other) { return other->interval_ == interval; };
	const bool was_set = std::none_of(repeating.begin(), at, is_other);
	const auto behind = repeating.erase(at);
	const auto next = std::find_if(behind, repeating.end(), is_other);
	return was_set && next != repeating.end() ? (*next)->set_repeating() : guard::status{};
}

/** At multiples of the interval on the clock: all of a process look at the same moments. */
guard::status
timer::set_repeating()
{
	const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
		std::chrono::steady_clock::now().time_since_epoch());
	return set(now - now % interval_ + interval_, interval_, TFD_TIMER_ABSTIME);
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
