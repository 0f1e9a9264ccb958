/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <deque>

#include "loop/timer.hpp"
#include "memory/dma_map.hpp"
#include "wire/transport.hpp"

namespace vfio_user {

class connection;
struct service;

/**
 * Access of the device to client memory from the control thread: copied where a file is mapped,
 * else by messages [spec: VFIO_USER_DMA_READ, VFIO_USER_DMA_WRITE]. One message is out at a time.
 * What is not done when the connection ends is told so by the destructor.
 */
class dma_transfers {
public:
	dma_transfers(service &of, connection &by);
	~dma_transfers();
	dma_transfers(const dma_transfers &) = delete;
	dma_transfers &operator=(const dma_transfers &) = delete;

	/** One access: @p into for a read, @p from for a write; the other is empty. */
	struct access {
		wire::command command;
		uint64_t iova;
		std::span<std::byte> into;
		guard::bytes from;
		rte_vfio_user_dma_done done;
		void *ctx;

		uint64_t size() const { return into.size() + from.size(); }
	};

	/** See rte_vfio_user_server_dma_read(). */
	guard::status start(const access &wanted);

	/** Whether the reply belongs to the message that is out; then it is taken. */
	bool take_reply(const message &m);

private:
	struct transfer {
		access what;
		uint16_t id = 0; /* of the message that is out */
		uint32_t done_bytes = 0;
		uint32_t chunk = 0; /* bytes that the message asks for */
	};

	static void on_timer(void *self);
	guard::status check_reachable(const access &wanted) const;
	bool copy_mapped(const access &wanted) const;
	guard::status send_first();
	void finish_first(int error);
	void start_next();
	int take_data(const message &m);

	const dma_map &memory_;
	connection &by_;
	lent_timer timer_;
	std::deque<transfer> queue_;
	bool is_out_ = false; /* the first one waits for its reply */
	uint16_t next_id_ = 0;
};

} // namespace vfio_user
