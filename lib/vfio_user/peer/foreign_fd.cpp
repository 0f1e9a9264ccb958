/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer/foreign_fd.hpp"

#include <chrono>
#include <map>
#include <utility>

#include "compat.hpp"
#include "log.hpp"

namespace vfio_user {

namespace {

using namespace std::chrono_literals;

/* How long a closer's thread waits for more before it ends. */
constexpr auto idle_time = 1s;

std::mutex closers_mutex; /* guards the map */
auto &closers =
	guard::lasting<std::map<std::pair<closer::peer, std::string>, std::weak_ptr<closer>>>();

} // namespace

bool
is_memory_file(int fd)
{
	/* Of all files only these have seals, or could have. */
	return ::fcntl(fd, F_GET_SEALS) >= 0;
}

std::shared_ptr<closer>
closer::of(peer who, const std::string &path)
{
	std::lock_guard lock(closers_mutex);
	std::erase_if(closers, [](const auto &entry) { return entry.second.expired(); });
	std::weak_ptr<closer> &kept = closers[{who, path}];
	std::shared_ptr<closer> found = kept.lock();
	if (!found)
		kept = found = std::make_shared<closer>();
	return found;
}

void
closer::close(guard::unique_fd fd)
{
	if (fd)
		drop(std::make_shared<guard::unique_fd>(std::move(fd)), 1);
}

void
closer::drop(std::shared_ptr<void> last, size_t weight)
{
	std::lock_guard lock(mutex_);
	queue_.push_back({std::move(last), weight});
	waiting_ += weight;
	if (running_)
		arrived_.notify_one();
	else
		start();
}

bool
closer::is_full()
{
	if (waiting_ < max_waiting)
		return false;
	/* There may have been no thread to be had when the last item came. */
	std::lock_guard lock(mutex_);
	if (!running_)
		start();
	return true;
}

/* If there can be no thread now, what waits is for the one that is started at the next call. */
void
closer::start()
{
	auto *self = new std::shared_ptr<closer>(shared_from_this());
	compat::thread_id thread;
	int error = compat::create_control_thread<main>(&thread, "vfio-user-close", self);

	running_ = error == 0;
	if (running_)
		return compat::detach(thread);
	if (no_thread_log_.passes())
		VFIO_USER_LOG(ERR, "no thread to close descriptors: %s", strerror(-error));
	delete self;
}

uint32_t
closer::main(void *arg)
{
	std::unique_ptr<std::shared_ptr<closer>> self(static_cast<std::shared_ptr<closer> *>(arg));
	(*self)->run();
	return 0;
}

void
closer::run()
{
	std::unique_lock lock(mutex_);
	while (arrived_.wait_for(lock, idle_time, [this] { return !queue_.empty(); })) {
		item next = std::move(queue_.front());
		queue_.pop_front();
		lock.unlock();
		next.object.reset();
		waiting_ -= next.weight;
		lock.lock();
	}
	running_ = false;
}

} // namespace vfio_user
