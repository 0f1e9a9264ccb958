/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "server/service.hpp"
#include "server/socket_rights.hpp"

/** The server side: one device at one socket, one client at a time. */
namespace vfio_user {

class server {
public:
	/** Checks and copies the description. EINVAL: the log names the field. */
	static guard::result<std::unique_ptr<server>> make(const rte_vfio_user_server_conf &conf);
	~server();
	server(const server &) = delete;

	/* Everything below runs on the control thread unless it says otherwise. */
	guard::status listen();
	void disconnect(const char *why) { service_.disconnect(why); }
	guard::status set_poll(uint32_t interval_us);
	/** Whether the client has anything left of its share of this turn. */
	bool has_turn() const { return service_.share.left(); }
	/** Has the device work in the next turn. */
	void defer() { work_.schedule(); }
	std::shared_ptr<memory_hold> hold_memory() { return service_.dma.hold(); }
	guard::status start_transfer(const dma_transfers::access &wanted);
	rte_vfio_user_server_stats stats() const;

	/* Any thread. */
	const std::string &path() const { return service_.path; }
	irq_table &irqs() { return service_.irqs; }
	const irq_table &irqs() const { return service_.irqs; }
	const rte_guest_mem_table *const *dma_table() const { return service_.dma.table(); }
	/** At the end, of the server or of the process. */
	void remove_socket() const;

private:
	explicit server(const rte_vfio_user_server_conf &conf);

	static void on_listen(void *self, uint32_t events);
	static void on_memory_fault(void *self, uint32_t events);
	static void on_poll_timer(void *self);
	static void on_accept_timer(void *self);
	static void on_work(void *self);
	guard::status bind_socket();
	void accept_clients();
	bool accept_client();
	void receive_client(foreign_fd socket);
	void pause_accepting(const char *why);

	const socket_rights rights_;
	foreign_fd listener_; /* clients may have sent to what it has not accepted */
	control::watch_id listen_watch_ = 0, fault_watch_ = 0;
	timer poll_timer_, accept_timer_;
	control::job work_;
	service service_;
};

} // namespace vfio_user
