/* SPDX-License-Identifier: BSD-3-Clause */

/* What the emulated device tells, and the state of the link that follows from it. */

#include <rte_alarm.h>

#include "log.hpp"
#include "port.hpp"

namespace iavf_be {

void
port::on_event(void *ctx, const rte_emudev_event *event)
{
	static_cast<port *>(ctx)->handle(*event);
}

void
port::on_stats_get(void *ctx, rte_emudev_net_stats *stats)
{
	static_cast<port *>(ctx)->guest_stats(*stats);
}

void
port::handle(const rte_emudev_event &event)
{
	switch (event.type) {
	case RTE_EMUDEV_EVENT_MEMORY_GONE:
		rings_.memory_gone(event.gone.first, event.gone.last);
		break;
	case RTE_EMUDEV_EVENT_MEMORY:
		rings_.memory_came();
		break;
	case RTE_EMUDEV_EVENT_QUEUE:
		/* What is there from the beginning is no change. */
		if (rings_.take_context(*event.queue) && subscribed_)
			queue_notice_.tell();
		report_link();
		break;
	case RTE_EMUDEV_EVENT_STATE:
		rings_.take_state(event.state);
		break;
	case RTE_EMUDEV_EVENT_LINK:
		take_link(*event.link);
		report_link();
		break;
	case RTE_EMUDEV_EVENT_CONFIG:
		if (rings_.take_config(*event.net))
			report_link();
		break;
	case RTE_EMUDEV_EVENT_REMOVE:
		remove();
		break;
	}
}

void
port::remove()
{
	removed_.store(true, std::memory_order_relaxed);
	rings_.forget();
	rings_.keep_loans();
	report_link();
	rte_eth_dev_callback_process(eth_, RTE_ETH_EVENT_INTR_RMV, nullptr);
}

void
port::take_link(const rte_emudev_link &now)
{
	if (now.connected && !connected_.exchange(true, std::memory_order_relaxed))
		rings_.guest_came();
	connected_.store(now.connected, std::memory_order_relaxed);
	shared_.link_speed.store(now.speed, std::memory_order_relaxed);
	if (now.numa_node >= 0)
		eth_->data->numa_node = now.numa_node;
}

/** Link is up while the host serves a guest whose driver has a queue enabled. */
const char *
port::why_down()
{
	if (removed())
		return "the device is gone";
	if (!connected_.load(std::memory_order_relaxed))
		return "no client is connected";
	return rings_.why_idle();
}

bool
port::update_link()
{
	const char *why = why_down();
	const bool up = why == nullptr;
	rte_eth_link link{};
	link.link_speed =
		up ? shared_.link_speed.load(std::memory_order_relaxed) : RTE_ETH_SPEED_NUM_NONE;
	link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	link.link_autoneg = RTE_ETH_LINK_FIXED;
	link.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
	if (rte_eth_linkstatus_set(eth_, &link) != 0)
		return false;
	say_link(link, why);
	return true;
}

/** A guest can make its link come and go. */
void
port::say_link(const rte_eth_link &now, const char *why_down)
{
	const std::lock_guard hold(log_lock_);

	if (why_down == nullptr)
		IAVF_BE_LOG_LIMITED(log_, NOTICE, "%s: link up, %u Mbit/s", eth_->data->name,
				    now.link_speed);
	else
		IAVF_BE_LOG_LIMITED(log_, NOTICE, "%s: link down: %s", eth_->data->name, why_down);
}

void
port::report_link()
{
	if (update_link() && eth_->data->dev_conf.intr_conf.lsc != 0)
		link_notice_.tell();
}

notice::~notice()
{
	rte_eal_alarm_cancel(on_alarm, this);
}

void
notice::tell()
{
	constexpr uint64_t second = 1000000; /* us */
	{
		const std::lock_guard hold(lock_);
		if (alarm_)
			return;
		alarm_ = !limit_.passes() && rte_eal_alarm_set(second, on_alarm, this) == 0;
		if (alarm_)
			return;
	}
	rte_eth_dev_callback_process(eth_, type_, nullptr);
}

void
notice::on_alarm(void *self)
{
	notice &mine = *static_cast<notice *>(self);
	{
		const std::lock_guard hold(mine.lock_);
		mine.alarm_ = false;
	}
	rte_eth_dev_callback_process(mine.eth_, mine.type_, nullptr);
}

} // namespace iavf_be
