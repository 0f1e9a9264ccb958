/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <mutex>

#include <ethdev_driver.h>

#include <rate_limit.hpp>

namespace iavf_be {

/**
 * An ethdev event of which a guest can make any number: the application is told as often as the
 * limit allows. What is held back is told a second later, whatever is true by then: the last state
 * is never missed.
 */
class notice {
public:
	notice(rte_eth_dev *eth, rte_eth_event_type type) : eth_(eth), type_(type) {}
	notice(const notice &) = delete;
	notice &operator=(const notice &) = delete;
	/** Nobody tells any more; waits for a callback that is under way. */
	~notice();

	void tell();

private:
	static void on_alarm(void *self);

	rte_eth_dev *eth_;
	rte_eth_event_type type_;
	std::mutex lock_; /**< Guards what follows. */
	guard::rate_limit limit_;
	bool alarm_ = false; /**< Something was held back; the alarm will tell. */
};

} // namespace iavf_be
