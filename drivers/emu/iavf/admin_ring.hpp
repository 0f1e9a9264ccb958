/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <optional>
#include <string_view>

#include <adminq.hpp>
#include <rate_limit.hpp>
#include <registers.hpp>

#include <bars.hpp>
#include <bus.hpp>

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
 * What both admin queues have in common: registers, and a walk through the guest's memory stage by
 * stage. A stage ends with an access at most. Memory that came with a file is accessed at once;
 * other memory is asked of the client, and the device gets to work again when the answer is there.
 *
 * It keeps no copy of a ring's state: the registers are looked at each time, so that a driver may
 * set them in any order (Linux enables a queue before it says where it is) and begin anew whenever
 * it likes.
 */
class admin_ring {
public:
	admin_ring(const admin_ring &) = delete;
	admin_ring &operator=(const admin_ring &) = delete;

	/** Gives up what is going on. */
	void cancel();
	/** Whether nothing is going on: then all that there is to the ring is in registers. */
	bool idle() const { return stage_ == stage::nothing && !waiting_; }

protected:
	/** What was started last. */
	enum class stage { nothing, descriptor, body, completion };

	/** A look at the registers. */
	struct ring_view {
		uint64_t base;
		uint32_t size, head, tail;

		bool empty() const { return head == tail; }
		uint64_t at_head() const { return base + head * sizeof(adminq_desc); }
		uint32_t next() const { return head + 1 == size ? 0 : head + 1; }
	};

	/** @param log Limits what the device logs of its guest. */
	admin_ring(const ring_registers &at, pci_device::register_bar &registers,
		   pci_device::bus &machine, mailbox_stats &stats, guard::rate_limit &log)
	    : at_(at), registers_(registers), stats_(stats), log_(log), bus_(machine)
	{
	}
	~admin_ring() = default;

	/** Begins with the descriptor at the head, if there is one for us. */
	bool begin();
	/** The queue stops. The driver sees the bit and has to set it up anew. */
	void critical(const char *what);
	/** Starts an access; error() has its result when it is no longer waited for. */
	void read(stage next, uint64_t iova, guard::mutable_bytes to);
	void write(stage next, uint64_t iova, guard::bytes from);
	/** Writes the descriptor at the head back. The word with its flags comes last: see
	 * rte_vfio_user_server_dma_write(). */
	void write_back() { write(stage::completion, at_head_, guard::as_bytes(desc_)); }
	/** The last stage is over. Whether the driver has the descriptor now. */
	bool finish();
	/** An access is under way, so nothing else can be done. */
	bool waiting() const { return waiting_; }
	/** 0 or a negative errno: how the latest access went. */
	int error() const { return error_; }
	uint32_t head_after() const { return next_; }

	const ring_registers &at_;
	pci_device::register_bar &registers_;
	mailbox_stats &stats_;
	guard::rate_limit &log_;
	stage stage_ = stage::nothing;
	adminq_desc desc_{};

private:
	static void done(void *ctx, int error);
	std::optional<ring_view> look();
	void start(stage next);
	void started(int error);

	pci_device::bus &bus_;
	uint64_t at_head_ = 0;
	uint32_t next_ = 0;
	int error_ = 0;
	bool waiting_ = false;
	bool starting_ = false;  /* within the call that starts an access, which may end it */
	bool cancelled_ = false; /* the access that is waited for belongs to the past */
};

} // namespace iavf
