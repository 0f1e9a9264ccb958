/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include <adminq.hpp>
#include <virtchnl.hpp>

#include "bar0.hpp"
#include "guest_memory.hpp"
#include "interrupts.hpp"

namespace iavf {

/** Who gets what arrives in the mailbox. */
class mailbox_client {
public:
	/** A virtchnl message, in a private copy. */
	virtual void message(uint32_t op, guard::bytes body) = 0;
	/** The driver shuts its queues down. */
	virtual void queue_shutdown() = 0;

protected:
	~mailbox_client() = default;
};

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
 * Both admin queues of the VF [AVF HAS, section on the VF mailbox].
 *
 * It keeps no copy of a ring's state: the registers are looked at each time, so that a driver may
 * set them in any order (Linux enables a queue before it says where it is) and begin anew at any time.
 */
class mailbox {
public:
	mailbox(register_file &registers, interrupts &vectors, mailbox_client &client)
	    : registers_(registers), vectors_(vectors), client_(client)
	{
	}

	void attach(guest_memory memory) { memory_ = memory; }

	/** The ATQ's tail moved: takes what is there, as long as replies have room. */
	void receive();
	/** The ARQ's tail moved: there may be room for what waits. */
	void room();
	/** Sends a message to the driver, or keeps it until there is room. */
	void send(uint32_t op, vc_status status, guard::bytes body);
	/** Forgets what waits to be sent: it is for a driver that is gone. */
	void forget() { waiting_.clear(); }

	/** For a client that cannot trap: looks at the registers. @return Whether any has changed. */
	bool poll();

	const mailbox_stats &stats() const { return stats_; }

private:
	/** A look at a ring's registers. */
	struct ring_view {
		uint64_t base;
		uint32_t size, head, tail;

		uint64_t at(uint32_t index) const { return base + index * sizeof(adminq_desc); }
		uint32_t next() const { return head + 1 == size ? 0 : head + 1; }
	};

	struct outgoing {
		uint32_t op;
		vc_status status;
		std::vector<std::byte> body;
	};

	struct snapshot {
		uint32_t len, bal, bah, head, tail;

		bool operator==(const snapshot &) const = default;
		bool same_ring(const snapshot &other) const
		{
			return len == other.len && bal == other.bal && bah == other.bah &&
			       head == other.head;
		}
	};

	std::optional<ring_view> look(const ring_registers &at);
	void critical(const ring_registers &at, const char *what);
	bool take(const ring_view &ring);
	adminq_rc fetch(const adminq_desc &desc, std::vector<std::byte> &body);
	bool complete(const ring_view &ring, adminq_desc desc, adminq_rc rc);
	void flush();
	bool put(const ring_view &ring, const outgoing &message);
	snapshot take_snapshot(const ring_registers &at) const;

	register_file &registers_;
	interrupts &vectors_;
	mailbox_client &client_;
	guest_memory memory_;
	std::deque<outgoing> waiting_;
	mailbox_stats stats_{};
	snapshot seen_atq_{}, seen_arq_{};
};

} // namespace iavf
