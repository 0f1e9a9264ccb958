/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <deque>
#include <vector>

#include <virtchnl.hpp>

#include "admin_ring.hpp"
#include "vectors.hpp"

namespace iavf {

/** What the driver wants, in a private copy. The driver has its descriptor back. */
struct command {
	enum class kind : uint8_t {
		message,        /**< virtchnl. */
		queue_shutdown, /**< The driver shuts its queues down. */
		blank,          /**< Nobody has written it: all zeros. */
	};

	kind what;
	uint32_t op = 0; /**< Of a message. */
	std::vector<std::byte> body = {};
};

/** The ATQ: takes commands of the driver, one after the other. */
class command_ring final : public admin_ring {
public:
	command_ring(pci_device::register_bar &registers, pci_device::bus &machine,
		     mailbox_stats &stats, guard::rate_limit &log);

	/** The next one, or nothing for now. @param may_begin Else only ends what is begun. */
	std::optional<command> next(bool may_begin);

private:
	void check();
	void complete(adminq_rc rc);
	std::optional<command> take();

	adminq_rc rc_ = adminq_rc::ok;
	bool blank_ = false;
	std::vector<std::byte> body_;
};

/** The ARQ: delivers messages to the driver, as far as it makes room. At once, as a reset may
 * follow what it tells of; they are as few as there were commands. */
class message_ring final : public admin_ring {
public:
	message_ring(pci_device::register_bar &registers, pci_device::bus &machine,
		     mailbox_stats &stats, guard::rate_limit &log);

	/** Keeps a message until it is delivered. */
	void keep(uint32_t op, vc_status status, guard::bytes body);
	/** Puts an event in the place of one of its kind that waits. @return Whether there is one.
	 */
	bool replace_event(guard::bytes body);
	/** Delivers the next one. @return The head behind it, or nothing: not now. */
	std::optional<uint32_t> deliver();
	/** Forgets what waits to be sent: it is for a driver that is gone. */
	void forget();
	/** Whether so much waits that no further command should be taken. */
	bool congested() const;
	void each_state(pci_device::state_walk &walk);

private:
	struct outgoing {
		uint32_t op;
		vc_status status;
		std::vector<std::byte> body;

		void each_state(pci_device::state_walk &walk) { walk(op, status, body); }
	};

	static bool is_event(const outgoing &one);
	bool begin_next();
	void fill();
	void hand_over(bool fits);

	outgoing current_{};
	std::deque<outgoing> waiting_messages_;
};

/**
 * Both admin queues of the VF [AVF HAS, section on the VF mailbox]. The device asks for commands
 * and sends replies; nothing here calls the device.
 */
class mailbox {
public:
	mailbox(pci_device::register_bar &registers, vectors &signals, pci_device::bus &machine,
		guard::rate_limit &log);

	/** The next command, as long as replies have room. */
	std::optional<command> next_command();
	/** Sends a message to the driver, or keeps it until there is room. */
	void send(uint32_t op, vc_status status, guard::bytes body);
	/** The same for an event, of which only the latest of its kind counts: however often it
	 * happens while there is no room, the driver ends up with what is true. */
	void send_event(const vc_pf_event &event);
	/** Delivers what waits, as far as there is room. */
	void deliver();
	/** The ARQ is set up anew: what waits is for a driver that is gone. */
	void forget_messages() { messages_.forget(); }
	/** Likewise for both directions. */
	void forget();
	/** For a client that cannot trap: looks at the registers. @return Whether one changed. */
	bool poll();
	/** Whether no access to the guest's memory is under way. */
	bool idle() const { return commands_.idle() && messages_.idle(); }
	/** While it is idle. */
	void each_state(pci_device::state_walk &walk) { walk(stats_, messages_); }

	const mailbox_stats &stats() const { return stats_; }

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

	pci_device::register_bar &registers_;
	vectors &signals_;
	mailbox_stats stats_{};
	command_ring commands_;
	message_ring messages_;
	snapshot seen_atq_{}, seen_arq_{};
};

} // namespace iavf
