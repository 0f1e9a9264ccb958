/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_emudev_net_driver.h>

namespace iavf {

/**
 * The device in the registry of emulated devices, and what it tells the data path that serves it:
 * all events start here. Nothing happens while it is not in the registry. Control thread.
 */
class data_path {
public:
	/** Enters the registry. @p device is the vdev; @p ops and @p priv stay until withdraw(). */
	int publish(const char *name, rte_device *device, const rte_emudev_ops &ops, void *priv);
	/** No event comes any more. */
	void withdraw();
	rte_emudev *emudev() const { return emudev_; }

	/** Whether the back-end serves the rings. */
	bool started() const { return emudev_ != nullptr && rte_emudev_started(emudev_); }

	/** Says something for which the type is all. */
	void notify(rte_emudev_event_type type);
	/** Memory from @p first to @p last is gone. Returns when no data thread uses it. */
	void memory_gone(uint64_t first, uint64_t last);
	void push(const rte_emudev_link &link);
	void push(const rte_emudev_net_config &config);
	/** Returns when no data thread uses a queue that was disabled. */
	void push(const rte_emudev_queue &queue);

	/** Since the guest's counters began. */
	rte_emudev_net_stats traffic() const;
	/** As on hardware, where a reset of the function clears its counters. */
	void begin_counting();

private:
	void send(const rte_emudev_event &event);

	rte_emudev *emudev_ = nullptr;
};

} // namespace iavf
