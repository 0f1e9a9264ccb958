/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <rte_emudev_net.h>

#include "shared_port.hpp"
#include "steering.hpp"

namespace iavf_be {

/** Who chooses the guest's queue for a frame. */
enum class steering_mode : uint8_t {
	automatic, /**< The guest if it has more queues than the application, else that. */
	rss,       /**< The guest, by its RSS. */
	queue,     /**< The application, by its own queue. */
};

/**
 * Keeps what the steering of a port follows from, and makes it anew when any of it changes. Control
 * plane, with the lock of rings held.
 */
class steering_maker {
public:
	/** @p queues outlives it. */
	explicit steering_maker(const shared_port &queues);

	/** Keeps what the guest has set up. @return Whether it is other than it was. */
	bool take(const rte_emudev_net_config &now);
	/** Aims the application's Tx queues, of which there are so many, at the rings that are
	 * served now, and publishes what chooses between them. */
	void publish(uint16_t host_queues, steering_mode mode);
	/** Whether something chooses. */
	bool chooses() const { return now_ != nullptr; }

private:
	void aim();
	steering::stages make_stages(bool by_rss) const;
	void swap(std::unique_ptr<const steering> fresh);

	const shared_port &queues_;
	std::vector<to_guest *> served_; /**< It has room for all. */
	std::unique_ptr<const steering> now_;
	/* What the guest has set up. */
	std::optional<wanted_addresses> addresses_; /**< None: it is not known. */
	std::vector<rte_emudev_net_flow> flows_;
	std::optional<rte_emudev_net_rss> rss_;
};

} // namespace iavf_be
