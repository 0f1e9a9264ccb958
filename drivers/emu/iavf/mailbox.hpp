/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <deque>
#include <vector>

#include <virtchnl.hpp>

#include "admin_ring.hpp"
#include "interrupts.hpp"

namespace iavf {

/** Who gets what arrives in the mailbox. */
class mailbox_client {
public:
	/** A virtchnl message, in a private copy. */
	virtual void message(uint32_t op, guard::bytes body) = 0;
	/** The driver shuts its queues down. */
	virtual void queue_shutdown() = 0;
	/** A command is there that nobody has written: all zeros. */
	virtual void blank_command() = 0;

protected:
	~mailbox_client() = default;
};

class mailbox;

/** The ATQ: takes commands of the driver, one after the other. */
class command_ring final : public admin_ring {
public:
	command_ring(register_file &registers, mailbox_stats &stats, guard::rate_limit &log,
		     mailbox &owner);

	/** Gives up a command that is being taken. */
	void forget() { cancel(); }

private:
	/** What was started last. */
	enum class stage { nothing, descriptor, body, completion };

	bool step() override;
	/** One doorbell can have a thousand commands behind it. */
	bool may_step() const override { return has_turn(); }
	void restart() override { stage_ = stage::nothing; }
	bool begin();
	bool check();
	bool complete(adminq_rc rc);
	bool finish();

	mailbox &owner_;
	stage stage_ = stage::nothing;
	uint64_t at_head_ = 0;
	uint32_t next_ = 0;
	adminq_desc desc_{};       /* as it was read */
	adminq_desc completion_{}; /* as it is written back */
	adminq_rc rc_ = adminq_rc::ok;
	std::vector<std::byte> body_;
};

/** The ARQ: delivers messages to the driver, as far as it makes room. At once, as a reset may
 * follow what it tells of; they are as few as there were commands. */
class message_ring final : public admin_ring {
public:
	message_ring(register_file &registers, mailbox_stats &stats, guard::rate_limit &log,
		     mailbox &owner);

	/** Sends a message, or keeps it until there is room. */
	void send(uint32_t op, vc_status status, guard::bytes body);
	/** Forgets what waits to be sent: it is for a driver that is gone. */
	void forget();
	/** Whether so much waits that no further command should be taken. */
	bool congested() const;

private:
	enum class stage { nothing, descriptor, body, completion };

	struct outgoing {
		uint32_t op;
		vc_status status;
		std::vector<std::byte> body;
	};

	bool step() override;
	void restart() override { stage_ = stage::nothing; }
	bool begin();
	bool fill();
	bool hand_over(bool fits);
	bool finish();

	mailbox &owner_;
	stage stage_ = stage::nothing;
	uint64_t at_head_ = 0;
	uint32_t next_ = 0;
	adminq_desc desc_{};
	outgoing current_{};
	std::deque<outgoing> waiting_;
};

/** Both admin queues of the VF [AVF HAS, section on the VF mailbox]. */
class mailbox {
public:
	mailbox(register_file &registers, interrupts &vectors, mailbox_client &client,
		guard::rate_limit &log);

	void attach(rte_vfio_user_server *server);
	/** The ATQ's tail moved: takes what is there, as long as replies have room. */
	void receive() { commands_.run(); }
	/** The ARQ's tail moved: there may be room for what waits. */
	void room();
	/** Sends a message to the driver, or keeps it until there is room. */
	void send(uint32_t op, vc_status status, guard::bytes body)
	{
		messages_.send(op, status, body);
	}
	/** The ARQ is set up anew: what waits is for a driver that is gone. */
	void forget_messages() { messages_.forget(); }
	/** Likewise for both directions. */
	void forget();
	/** For a client that cannot trap: looks at the registers. @return Whether one changed. */
	bool poll();

	const mailbox_stats &stats() const { return stats_; }

	/* For the rings. */
	bool congested() const { return messages_.congested(); }
	mailbox_client &client() const { return client_; }
	void sent(uint32_t head);

private:
	struct snapshot {
		uint32_t len, bal, bah, head, tail;

		bool operator==(const snapshot &) const = default;
		bool same_ring(const snapshot &other) const
		{
			return len == other.len && bal == other.bal && bah == other.bah &&
			       head == other.head;
		}
	};

	snapshot take_snapshot(const ring_registers &at) const;

	register_file &registers_;
	interrupts &vectors_;
	mailbox_client &client_;
	mailbox_stats stats_{};
	command_ring commands_;
	message_ring messages_;
	snapshot seen_atq_{}, seen_arq_{};
};

} // namespace iavf
