/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "loop/control_thread.hpp"
#include "loop/timer.hpp"
#include "loop/turn.hpp"
#include "server/device.hpp"
#include "server/dma_transfers.hpp"
#include "server/tenancy.hpp"
#include "wire/transport.hpp"
#include "wire/version.hpp"

namespace vfio_user {

/** What a handler answers. Descriptors are borrowed until the reply has left. */
struct reply {
	guard::writer payload;
	std::vector<int> fds;
};

/** A socket to the client that is watched. It goes with this. */
class channel {
public:
	channel() = default;
	~channel();
	channel(const channel &) = delete;
	channel &operator=(const channel &) = delete;

	guard::status open(foreign_fd socket, control::handler fn, void *ctx);
	explicit operator bool() const { return static_cast<bool>(link_); }
	transport *operator->() { return &link_; }
	const transport *operator->() const { return &link_; }
	/** Which events to wait for. */
	void want(uint32_t events) const { control::running()->change(watch_, events); }

private:
	transport link_;
	control::watch_id watch_ = 0;
};

/**
 * The connection of a client, from when it is accepted. The destructor is the disconnect: whoever
 * waits is told, the sockets are closed, and what the client had of the device is taken back.
 *
 * All of it is for the control thread.
 *
 * Wide: the parts of one conversation, whose state no two of them share.
 */
class connection {
public:
	/** What is not accepted is closed. */
	static guard::result<std::unique_ptr<connection>> accept(service &of, foreign_fd socket);
	~connection();
	connection(const connection &) = delete;
	connection &operator=(const connection &) = delete;

	/**
	 * Whatever runs for a connection holds one of these: an operation of the device may end the
	 * connection, which is gone only when the outermost of them is. Time runs on the client's
	 * account.
	 */
	class use {
	public:
		explicit use(connection &of);
		~use();
		use(const use &) = delete;
		use &operator=(const use &) = delete;

		/** Whether the client has anything left of its share of this turn. */
		explicit operator bool() const { return static_cast<bool>(turn_); }

	private:
		turn_share::use turn_; /* first, since to end takes its time too */
		connection &of_;
	};

	/** Takes and gives nothing more. Only while it is in use. */
	void end(const char *why);
	/** The same because of what the client did. */
	void break_off(const char *why);
	bool is_ending() const { return ending_ != nullptr; }

	/** See rte_vfio_user_server_dma_read(). */
	guard::status start_transfer(const dma_transfers::access &wanted);
	/** Sends a command to the client. */
	guard::status send_command(const wire::header &header, guard::bytes payload);
	/** Constant once a version is agreed on. */
	const rte_vfio_user_session &session() const { return session_; }

private:
	/** Writes of one REGION_WRITE_MULTI that are carried out over several turns. */
	struct write_batch {
		wire::header header;
		std::vector<std::byte> payload; /* that of the message */
		uint64_t count, next;
	};
	/** A received command with what its handler may use. */
	struct request {
		message &whole;
		guard::reader payload;
		std::vector<foreign_fd> &fds;
	};
	/** One row of the handlers, see commands.cpp. */
	struct handler_row;
	friend struct handler_table;

	explicit connection(service &of);

	/* connection.cpp: what comes, and what does not */
	static void on_main(void *self, uint32_t events);
	static void on_twin(void *self, uint32_t events);
	static void on_patience_timer(void *self);
	static void on_room_timer(void *self);
	static void on_batch(void *self);
	void receive_from(channel &from);
	void take(const channel &from, message &&m);
	uint32_t wanted_events(const channel &of) const;
	void update_events();
	void update_patience();
	void wait_for_room();

	/* commands.cpp: what is asked for */
	void handle(message &&m);
	guard::result<reply> dispatch(message &m);
	void conclude(const wire::header &of, const guard::result<reply> &r);
	void answer(const wire::header &to, const guard::result<reply> &r);
	capabilities negotiate(const capabilities &asked, std::vector<int> &fds);
	bool open_twin();
	bool maps_whole(const device::region &r) const;
	guard::status unmap_all(const wire::dma_unmap &wanted);
	guard::status carry_on(write_batch &b);
	void finish_batch();
	guard::result<reply> do_version(request &r);
	guard::result<reply> do_dma_map(request &r);
	guard::result<reply> do_dma_unmap(request &r);
	guard::result<reply> do_device_get_info(request &r);
	guard::result<reply> do_device_get_region_info(request &r);
	guard::result<reply> do_device_get_region_io_fds(request &r);
	guard::result<reply> do_device_get_irq_info(request &r);
	guard::result<reply> do_device_set_irqs(request &r);
	guard::result<reply> do_region_read(request &r);
	guard::result<reply> do_region_write(request &r);
	guard::result<reply> do_region_write_multi(request &r);
	guard::result<reply> do_device_reset(request &r);
	guard::result<reply> do_unsupported(request &r);

	service &of_;
	unsigned int uses_ = 0;
	const char *ending_ = nullptr;

	/* In this order: the last is the first to go. */
	tenancy tenancy_;
	channel main_, twin_;
	guard::unique_fd twin_peer_; /* the client's end, until the version reply has left */
	dma_transfers transfers_;

	rte_vfio_user_session session_{};
	const char *close_reason_ = nullptr; /* end when the current message is answered */
	std::optional<write_batch> batch_;   /* nothing is taken from the client until it is done */
	control::job batch_job_;
	uint64_t nb_received_ = 0; /* messages */
	uint64_t awaited_ = 0;     /* which of them has to come in time; 0: none */
	lent_timer patience_timer_;
	unsigned int waits_for_room_ = 0; /* one after the other; 0: none is under way */
	lent_timer room_timer_;
};

} // namespace vfio_user
