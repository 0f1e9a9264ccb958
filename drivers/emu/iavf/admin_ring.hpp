/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <optional>
#include <string_view>

#include <adminq.hpp>

#include <rate_limit.hpp>

#include "bar0.hpp"

struct rte_vfio_user_server;

namespace iavf {

/** The registers of one admin queue. */
struct ring_registers {
	std::string_view name;
	uint32_t bal, bah, len, head, tail;
};

/** Counters of the mailbox. */
struct mailbox_stats {
	uint64_t received;
	uint64_t sent;
	uint64_t dropped; /**< Messages to a driver that did not make room. */
	uint64_t errors;  /**< Commands completed with an error, and critical ring errors. */
};

/**
 * What both admin queues have in common: registers, and a walk through the guest's memory step by
 * step. A step starts at most one DMA access. Memory that came with a file is accessed at once and
 * the next step follows; other memory is asked of the client, and the next step follows its answer.
 *
 * It keeps no copy of a ring's state: the registers are looked at each time, so that a driver may
 * set them in any order (Linux enables a queue before it says where it is) and begin anew whenever
 * it likes.
 */
class admin_ring {
public:
	admin_ring(const admin_ring &) = delete;
	admin_ring &operator=(const admin_ring &) = delete;

	void attach(rte_vfio_user_server *server) { server_ = server; }
	/** Takes steps until there is nothing to do, or an access has to be waited for, or the rest
	 * has to wait for the guest's next turn. */
	void run();

protected:
	/** A look at the registers. */
	struct ring_view {
		uint64_t base;
		uint32_t size, head, tail;

		bool empty() const { return head == tail; }
		uint64_t at_head() const { return base + head * sizeof(adminq_desc); }
		uint32_t next() const { return head + 1 == size ? 0 : head + 1; }
	};

	/** @param log Limits what the device logs of its guest. */
	admin_ring(const ring_registers &at, register_file &registers, mailbox_stats &stats,
		   guard::rate_limit &log)
	    : at_(at), registers_(registers), stats_(stats), log_(log)
	{
	}
	~admin_ring() = default;

	/** The next step; whether there may be another one. */
	virtual bool step() = 0;
	/** Whether it may be taken now, or only in the guest's next turn. */
	virtual bool may_step() const { return true; }
	/** An access was cancelled and is over now. */
	virtual void restart() = 0;

	/** The queue if it is enabled and sane. */
	std::optional<ring_view> look();
	/** The queue stops. The driver sees the bit and has to set it up anew. @return false */
	bool critical(const char *what);
	/** Starts an access; the next step finds its result in error(). */
	void read(uint64_t iova, guard::mutable_bytes to);
	void write(uint64_t iova, guard::bytes from);
	/** 0 or a negative errno: how the latest access went. */
	int error() const { return error_; }
	/** Whether the guest has anything left of its share of this turn. */
	bool has_turn() const;
	/** Gives up what is going on; restart() is called now or when the access is over. */
	void cancel();

	const ring_registers &at_;
	register_file &registers_;
	mailbox_stats &stats_;
	guard::rate_limit &log_;

private:
	static void done(void *ctx, int error);

	rte_vfio_user_server *server_ = nullptr;
	int error_ = 0;
	bool running_ = false;
	bool waiting_ = false;   /* for an access */
	bool cancelled_ = false; /* the access that is waited for belongs to the past */
};

} // namespace iavf
