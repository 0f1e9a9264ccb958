/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <utility>

#include "rte_vfio_user.h"
#include "system.hpp"

namespace test {

/**
 * How far something counts up in one turn of the control thread: a device that puts its work off
 * comes to it once in each. It calls at_work then, and has a server.
 */
template <class device> class turn_counter {
public:
	turn_counter(device &by, std::function<int()> count) : by_(by), count_(std::move(count)) {}
	/** Does on the control thread what is to be counted, so that it is all there at the next
	 * turn. @return Whether it has counted up to @p all. */
	bool run(std::function<void()> begin, int all)
	{
		begin_ = std::move(begin);
		by_.at_work = [this] { look(); };
		rte_vfio_user_control_call(
			[](void *self) {
				auto &t = *static_cast<turn_counter *>(self);
				t.last_ = t.count_();
				t.begin_();
				rte_vfio_user_server_defer(t.by_.server);
				return 0;
			},
			this);
		const bool done = wait_until([&] { return last_ >= all; });
		over_ = true;
		rte_vfio_user_control_call([](void *) { return 0; }, nullptr);
		return done;
	}
	int most = 0;

private:
	void look()
	{
		const int now = count_();

		most = std::max(most, now - last_);
		last_ = now;
		if (!over_)
			rte_vfio_user_server_defer(by_.server);
	}

	device &by_;
	std::function<int()> count_;
	std::function<void()> begin_;
	std::atomic<int> last_{0};
	std::atomic<bool> over_{false};
};

} // namespace test
