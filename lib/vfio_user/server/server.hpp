/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loop/control_thread.hpp"
#include "memory/dma_map.hpp"
#include "server/irq_table.hpp"
#include "log.hpp"
#include "rte_vfio_user.h"
#include "server/socket_rights.hpp"
#include "loop/timer.hpp"
#include "wire/transport.hpp"
#include "loop/turn.hpp"
#include "wire/version.hpp"

/** The server side: one device at one socket, one client at a time. */
namespace vfio_user {

/** What a handler answers. Descriptors are borrowed until the reply has left. */
struct reply {
	guard::writer payload;
	std::vector<int> fds;
};

/** A transfer to or from client memory that has no mapping here, in progress. */
struct dma_transfer {
	wire::command command;
	uint16_t id; /* of the message that is out */
	uint64_t iova;
	std::span<std::byte> into; /* for a read */
	guard::bytes from;         /* for a write */
	uint32_t done_bytes;
	uint32_t chunk; /* bytes that the message asks for */
	rte_vfio_user_dma_done done;
	void *ctx;

	uint32_t size() const { return static_cast<uint32_t>(into.size() + from.size()); }
};

class server {
public:
	/** Checks and copies the description. EINVAL: the log names the field. */
	static guard::result<std::unique_ptr<server>> make(const rte_vfio_user_server_conf &conf);
	~server();
	server(const server &) = delete;

	/* Everything below runs on the control thread unless it says otherwise. */
	guard::status listen();
	void disconnect(const char *why);
	guard::status set_poll(uint32_t interval_us);
	/** Whether the client has anything left of its share of this turn. */
	bool has_turn() const { return share_.left(); }
	/** Calls ops.work in the next turn. */
	void defer();
	guard::status dma_access(wire::command command, uint64_t iova, std::span<std::byte> into,
				 guard::bytes from, rte_vfio_user_dma_done done, void *ctx);
	rte_vfio_user_server_stats stats() const;

	/* Any thread. */
	const std::string &path() const { return path_; }
	irq_table &irqs() { return *irqs_; }
	const irq_table &irqs() const { return *irqs_; }
	const rte_guest_mem_table *const *dma_table() const { return dma_.table(); }

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

private:
	struct region {
		rte_vfio_user_region desc;
		std::vector<rte_vfio_user_area> areas;
		std::vector<rte_vfio_user_io_fd> io_fds;
	};

	explicit server(const rte_vfio_user_server_conf &conf);
	static guard::status check(const rte_vfio_user_server_conf &conf);
	static guard::status check_region(uint32_t index, const rte_vfio_user_region &region);

	/* server.cpp: the socket and the life of a client */
	static void on_listen(void *self, uint32_t events);
	static void on_client(void *self, uint32_t events);
	static void on_twin(void *self, uint32_t events);
	static void on_memory_fault(void *self, uint32_t events);
	static void on_poll_timer(void *self);
	static void on_dma_timer(void *self);
	static void on_accept_timer(void *self);
	static void on_patience_timer(void *self);
	static void on_room_timer(void *self);
	static void on_work(void *self);
	guard::status bind_socket();
	void accept_clients();
	bool accept_client();
	bool client_is_gone() const;
	void pause_accepting(const char *why);
	transport make_channel(guard::unique_fd socket) const;
	guard::status attach(transport &fresh);
	void receive_commands(transport &from, bool is_main);
	uint32_t wanted_events(const transport &of) const;
	void update_client_events();
	void update_patience();
	void wait_for_room();
	void await_data_path(uint64_t first, uint64_t last);
	void reclaim_memory(uint64_t first, uint64_t last);

	/* commands.cpp: client to server */
	void handle(message &&m);
	guard::result<reply> dispatch(message &m);
	void conclude(const wire::header &of, const guard::result<reply> &r);
	void answer(const wire::header &to, const guard::result<reply> &r);
	guard::result<reply> do_version(request &r);
	guard::result<reply> do_dma_map(request &r);
	guard::result<reply> do_dma_unmap(request &r);
	guard::status unmap_all(const wire::dma_unmap &wanted);
	guard::result<reply> do_device_get_info(request &r);
	guard::result<reply> do_device_get_region_info(request &r);
	guard::result<reply> do_device_get_region_io_fds(request &r);
	guard::result<reply> do_device_get_irq_info(request &r);
	guard::result<reply> do_device_set_irqs(request &r);
	guard::result<reply> do_region_read(request &r);
	guard::result<reply> do_region_write(request &r);
	guard::result<reply> do_region_write_multi(request &r);
	guard::status carry_on(write_batch &b);
	void finish_batch();
	guard::result<reply> do_device_reset(request &r);
	guard::result<reply> do_unsupported(request &r);
	capabilities negotiate(const capabilities &asked, std::vector<int> &fds);
	guard::result<const region *> find_region(uint32_t index) const;
	bool maps_whole(const region &r) const;
	guard::result<const region *> check_access(const wire::region_access &access,
						   uint32_t right) const;
	guard::status write_region(const wire::region_access &access, guard::bytes data);

	/* dma_access.cpp: server to client */
	guard::result<bool> access_mapped(uint64_t iova, std::span<std::byte> into,
					  guard::bytes from);
	guard::status check_reachable(uint64_t iova, uint32_t size, uint32_t access) const;
	transport &reverse_channel() { return twin_ ? twin_ : client_; }
	guard::status send_transfer();
	void finish_transfer(int error);
	void start_next_transfer();
	bool handle_reply(const message &m);
	int take_transfer_data(const message &m);
	void abort_transfers();

	friend struct handler_table;

	std::string path_;
	socket_rights rights_;
	rte_vfio_user_server_ops ops_;
	void *ctx_;
	uint32_t flags_;
	std::vector<region> regions_;
	std::unique_ptr<irq_table> irqs_;
	const std::shared_ptr<closer> closer_; /* of what clients bring */
	dma_map dma_;

	foreign_fd listener_; /* clients may have sent to what it has not accepted */
	guard::unique_fd fault_event_;
	control::watch_id listen_watch_ = 0, client_watch_ = 0, twin_watch_ = 0, fault_watch_ = 0;
	timer poll_timer_, dma_timer_, accept_timer_, patience_timer_, room_timer_;
	turn_share share_; /* of whoever is or was the client */
	control::job work_;
	guard::rate_limit log_; /* for all that clients can make us say */

	/* The connection, between attach() and disconnect(). */
	transport client_, twin_;
	guard::unique_fd twin_peer_; /* the client's end, until the version reply has left */
	bool negotiated_ = false;
	bool device_attached_ = false;       /* new_device was called */
	const char *close_reason_ = nullptr; /* disconnect when the current message is done */
	uint64_t nb_received_ = 0;           /* messages, of all connections */
	uint64_t awaited_ = 0; /* which message has to come before patience_timer_; 0: none */
	rte_vfio_user_session session_{};
	std::optional<write_batch> batch_; /* nothing is taken from the client until it is done */
	bool device_has_work_ = false;     /* ops.work is due */
	unsigned int waits_for_room_ = 0;  /* one after the other; 0: none is under way */

	std::deque<dma_transfer> transfers_;
	bool transfer_is_out_ = false; /* the first one waits for its reply */
	uint16_t next_id_ = 0;
	rte_vfio_user_server_stats stats_{};
};

} // namespace vfio_user
