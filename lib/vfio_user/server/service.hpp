/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <memory>
#include <string>

#include "log.hpp"
#include "loop/timer.hpp"
#include "loop/turn.hpp"
#include "memory/dma_map.hpp"
#include "server/connection.hpp"
#include "server/device.hpp"
#include "server/irq_table.hpp"

namespace vfio_user {

/**
 * What lasts from one client to the next, and each connection works with: the device, the tables
 * that data threads look into, counters, and what bounds a peer, whose past counts.
 */
struct service {
	explicit service(const rte_vfio_user_server_conf &conf)
	    : path(conf.path), dev(conf),
	      irqs(std::span(conf.irqs, conf.nb_irqs), conf.irq_inline != 0),
	      foreign(closer::of(closer::peer::client, path)), dma(foreign, conf.max_memory)
	{
	}
	guard::status open();

	/** Ends the connection, if there is one; from one of its own handlers when that returns. */
	void disconnect(const char *why);

	const std::string path;
	const device dev;
	irq_table irqs;
	const std::shared_ptr<closer> foreign; /* of what clients bring */
	dma_map dma;
	guard::unique_fd fault_event; /* a client has truncated memory */
	turn_share share;             /* of whoever is or was the client */
	guard::rate_limit log;        /* for all that clients can make us say */
	guard::rate_limit life_log;   /* but that they come and go, which is to hide nothing else */
	rte_vfio_user_server_stats stats{};
	/* Lent to the connection, so that it takes no descriptor that may not be there. */
	timer patience_timer, room_timer, answer_timer;

	std::unique_ptr<connection> client;
};

} // namespace vfio_user
