/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer/event_relay.hpp"

#include <bit>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compat.hpp"
#include "log.hpp"

namespace vfio_user {

event_relay::event_relay(size_t count)
    : pending_((2 * count + per_word - 1) / per_word), count_(count), targets_(2 * count)
{
}

guard::status
event_relay::start()
{
	auto *self = new std::shared_ptr<event_relay>(shared_from_this());
	compat::thread_id thread;
	int error = compat::create_control_thread<main>(&thread, "vfio-user-irq", self,
							compat::small_stack);

	if (error != 0) {
		delete self;
		return guard::failure{-error};
	}
	compat::detach(thread);
	running_ = true;
	return {};
}

guard::status
event_relay::set(size_t which, foreign_fd to)
{
	target next = to ? std::make_shared<foreign_fd>(std::move(to)) : nullptr;

	if (next != nullptr && !running_)
		TRY(start());
	std::lock_guard lock(mutex_);
	targets_[which].swap(next);
	/* A client that unwires a vector for a moment, as QEMU does when its guest masks one,
	 * counts on what was signalled before. */
	bool unwired = targets_[which] == nullptr && next != nullptr;
	if (unwired &&
	    (pending_[which / per_word].fetch_and(~bit_of(which)) & bit_of(which)) != 0) {
		targets_[count_ + which].swap(next);
		signal(count_ + which);
	}
	return {};
}

void
event_relay::signal(size_t which)
{
	uint64_t bit = bit_of(which);

	/* Not yet taken by the thread, which is awake then. */
	if ((pending_[which / per_word].fetch_or(bit, std::memory_order_acq_rel) & bit) != 0)
		return;
	tell();
}

void
event_relay::stop()
{
	stopping_.store(true);
	tell();
}

/*
 * Sequentially consistent, as in wait(): either the sleeper sees the news, or it is seen that it
 * sleeps. Not that of std::atomic, which gives the processor away some times before it sleeps:
 * system calls, for each interrupt.
 */
void
event_relay::tell()
{
	news_.fetch_add(1);
	if (asleep_.load())
		::syscall(SYS_futex, &news_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void
event_relay::wait(uint32_t seen)
{
	asleep_.store(true);
	/* Returns at once if there are news. */
	::syscall(SYS_futex, &news_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
	asleep_.store(false);
}

uint32_t
event_relay::main(void *arg)
{
	std::unique_ptr<std::shared_ptr<event_relay>> self(
		static_cast<std::shared_ptr<event_relay> *>(arg));
	(*self)->run();
	return 0;
}

void
event_relay::run()
{
	while (!stopping_.load()) {
		uint32_t seen = news_.load(std::memory_order_acquire);

		for (size_t word = 0; word < pending_.size(); word++) {
			uint64_t bits = pending_[word].load(std::memory_order_acquire);
			for (; bits != 0; bits &= bits - 1)
				pass_on(word * per_word +
					static_cast<size_t>(std::countr_zero(bits)));
		}
		wait(seen);
	}
}

/* The event and its target are taken in one step, see set(). The target is kept while it is
 * signalled; the control thread may set another one meanwhile. Then that one is signalled, too: the
 * client may have stopped looking at the first before the event was there. */
void
event_relay::pass_on(size_t which)
{
	target to, next;
	{
		std::lock_guard lock(mutex_);
		uint64_t before = pending_[which / per_word].fetch_and(~bit_of(which),
								       std::memory_order_acq_rel);
		if ((before & bit_of(which)) == 0)
			return; /* set() has taken it since it was seen */
		to = targets_[which];
		if (which >= count_)
			targets_[which].reset();
	}
	if (to == nullptr)
		return;
	signal_(to->get());
	if (which >= count_)
		return;
	{
		std::lock_guard lock(mutex_);
		next = targets_[which];
	}
	if (next != nullptr && next != to)
		signal_(next->get());
}

} // namespace vfio_user
