/* SPDX-License-Identifier: BSD-3-Clause */
#include "rx_interrupts.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include <sys/eventfd.h>
#include <sys/prctl.h>

#include "compat.hpp"
#include "log.hpp"
#include "owner.hpp"
#include "port.hpp"

namespace iavf_be {

/**
 * The thread that looks at doorbells, and what it looks at. It exists while a port has Rx
 * interrupts; whoever comes or goes meets it at the mutex.
 */
class doorbell_watch {
public:
	static doorbell_watch &instance()
	{
		static auto &one = guard::lasting<doorbell_watch>();
		return one;
	}

	int add(rx_interrupts &port)
	{
		const std::lock_guard lifetime(lifetime_);
		{
			const std::lock_guard hold(lock_);
			ports_.push_back(&port);
		}
		if (running_)
			return 0;
		const int rc = compat::create_control_thread<main>(&thread_, "iavf-be-rx", this);
		running_ = rc == 0;
		if (rc != 0)
			forget(port);
		return rc;
	}

	void drop(rx_interrupts &port)
	{
		const std::lock_guard lifetime(lifetime_);
		if (!forget(port) || !running_)
			return;
		change_.notify_one();
		compat::join(thread_);
		running_ = false;
	}

	void arm(rx_interrupts::watched &queue, bool yes)
	{
		const std::lock_guard hold(lock_);
		if (queue.armed != yes)
			armed_ += yes ? 1 : -1;
		queue.armed = yes;
		pause_ = shortest;
		if (yes && armed_ == 1)
			change_.notify_one();
	}

private:
	using time = std::chrono::nanoseconds;
	static constexpr time shortest = std::chrono::microseconds(20);
	static constexpr time longest = std::chrono::microseconds(500);

	/** @return Whether it was the last. */
	bool forget(rx_interrupts &port)
	{
		const std::lock_guard hold(lock_);
		for (auto &queue : port.queues_)
			armed_ -= std::exchange(queue.armed, false) ? 1 : 0;
		std::erase(ports_, &port);
		return ports_.empty();
	}

	static uint32_t main(void *self)
	{
		static_cast<doorbell_watch *>(self)->run();
		return 0;
	}

	void run()
	{
		prctl(PR_SET_TIMERSLACK, 1);
		std::unique_lock hold(lock_);
		while (!ports_.empty()) {
			if (armed_ == 0) {
				change_.wait(hold);
				continue;
			}
			for (rx_interrupts *port : ports_)
				for (auto &queue : port->queues_)
					look_at(queue);
			pause_ = std::min(longest, pause_ + pause_ / 8);
			change_.wait_for(hold, pause_);
		}
	}

	void look_at(rx_interrupts::watched &queue)
	{
		if (!queue.armed || !has_work(*queue.queue))
			return;
		queue.armed = false;
		armed_--;
		eventfd_write(queue.event.get(), 1);
	}

	std::mutex lifetime_; /**< Of the thread. */
	std::mutex lock_;     /**< Guards what follows. */
	std::condition_variable change_;
	std::vector<rx_interrupts *> ports_;
	int armed_ = 0; /**< Queues. */
	time pause_ = shortest;
	bool running_ = false; /**< Guarded by lifetime_. */
	compat::thread_id thread_{};
};

int
rx_interrupts::install(rte_eth_dev *eth)
{
	for (uint16_t i = 0; i < eth->data->nb_rx_queues; i++) {
		guard::unique_fd event(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
		if (!event)
			return -errno;
		queues_.push_back(
			{static_cast<from_guest *>(eth->data->rx_queues[i]), std::move(event)});
	}
	const int rc = connect(eth);
	return rc == 0 ? doorbell_watch::instance().add(*this) : rc;
}

/** Tells DPDK of the descriptors. */
int
rx_interrupts::connect(rte_eth_dev *eth)
{
	const auto count = static_cast<int>(queues_.size());
	rte_intr_handle *handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);

	if (handle == nullptr)
		return -ENOMEM;
	eth->intr_handle = handle;
	eth_ = eth;
	bool ok = rte_intr_type_set(handle, RTE_INTR_HANDLE_VDEV) == 0 &&
		  rte_intr_efd_counter_size_set(handle, sizeof(eventfd_t)) == 0 &&
		  rte_intr_vec_list_alloc(handle, nullptr, count) == 0 &&
		  rte_intr_nb_efd_set(handle, count) == 0 &&
		  rte_intr_max_intr_set(handle, count + RTE_INTR_VEC_RXTX_OFFSET) == 0;
	for (int i = 0; ok && i < count; i++)
		ok = rte_intr_vec_list_index_set(handle, i, RTE_INTR_VEC_RXTX_OFFSET + i) == 0 &&
		     rte_intr_efds_index_set(handle, i,
					     queues_[static_cast<size_t>(i)].event.get()) == 0;
	return ok ? 0 : -rte_errno;
}

void
rx_interrupts::remove()
{
	if (queues_.empty())
		return;
	doorbell_watch::instance().drop(*this);
	if (eth_ != nullptr) {
		rte_intr_free_epoll_fd(eth_->intr_handle);
		rte_intr_vec_list_free(eth_->intr_handle);
		rte_intr_instance_free(eth_->intr_handle);
		eth_->intr_handle = nullptr;
		eth_ = nullptr;
	}
	queues_.clear();
}

int
rx_interrupts::arm(uint16_t queue, bool yes)
{
	if (queue >= queues_.size())
		return -ENOTSUP;
	doorbell_watch::instance().arm(queues_[queue], yes);
	return 0;
}

} // namespace iavf_be
