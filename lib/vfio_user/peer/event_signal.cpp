/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer/event_signal.hpp"

#include <cstdio>
#include <string_view>

#include "log.hpp"

namespace vfio_user {

namespace {

/* Completions that the kernel keeps for us; nobody looks at them, they only have to be taken away.
 */
constexpr int queue_length = 256;
constexpr unsigned int reap_interval = 64;

} // namespace

bool
is_eventfd(int fd)
{
	char path[32], target[32];

	std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t length = ::readlink(path, target, sizeof(target));
	return length > 0 &&
	       std::string_view(target, static_cast<size_t>(length)) == "anon_inode:[eventfd]";
}

event_signal::event_signal()
{
	auto file = guard::make_sealed_memfd("vfio-user-signal", 1);
	int error = file ? ::io_setup(queue_length, &context_) : file.to_c();

	if (error == 0) {
		file_ = *std::move(file);
		return;
	}
	context_ = nullptr;
	VFIO_USER_LOG(WARNING,
		      "no asynchronous I/O (%s): a client can block interrupts of this process",
		      strerror(-error));
}

event_signal::~event_signal()
{
	if (context_ != nullptr)
		::io_destroy(context_);
}

void
event_signal::reap()
{
	struct io_event done[queue_length];
	struct timespec now = {};

	::io_getevents(context_, 0, queue_length, done, &now);
}

void
event_signal::operator()(int fd)
{
	if (context_ == nullptr) {
		eventfd_write(fd, 1);
		return;
	}
	char byte;
	struct iocb read;
	struct iocb *list[] = {&read};
	::io_prep_pread(&read, file_.get(), &byte, 1, 0);
	::io_set_eventfd(&read, fd);
	if (submitted_.fetch_add(1, std::memory_order_relaxed) % reap_interval == 0)
		reap();
	/* EAGAIN: other threads have filled the queue since; it is empty after one reap. */
	while (::io_submit(context_, 1, list) == -EAGAIN)
		reap();
}

} // namespace vfio_user
