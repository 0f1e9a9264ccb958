/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "client/conversation.hpp"
#include "client/irq_relays.hpp"
#include "client/mapped_region.hpp"
#include "client/opened_memory.hpp"
#include "loop/control_thread.hpp"
#include "rte_vfio_user_client.h"
#include "wire/transport.hpp"
#include "wire/version.hpp"

/** The client side: a device that somebody else implements. */
namespace vfio_user {

/** What is known of the device, and what is opened and wired for it. */
class client final : private conversation::partner {
public:
	/** Connects and negotiates; see rte_vfio_user_client_attach(). */
	static guard::result<std::unique_ptr<client>> make(const rte_vfio_user_client_conf &conf,
							   int cancel_fd);
	~client();
	client(const client &) = delete;
	client &operator=(const client &) = delete;

	/* All of these may be called from any thread but the control thread, concurrently. */
	void cancel() { talk_.end(conversation::cause::cancelled); }
	/** For all requests together, from now on; 0 lifts it. */
	void set_deadline(std::chrono::milliseconds from_now) { talk_.set_deadline(from_now); }
	guard::result<const client_region *> region(uint32_t index);
	guard::result<void *> map_area(uint32_t index, uint32_t area);
	guard::result<rte_vfio_user_irq> irq_info(uint32_t index);
	guard::status region_read(uint32_t index, uint64_t offset, guard::mutable_bytes into);
	guard::status region_write(uint32_t index, uint64_t offset, guard::bytes from);
	guard::status region_write_multi(std::span<const rte_vfio_user_write> writes);
	guard::status dma_map(const rte_guest_mem_region &region, int fd, uint64_t offset);
	guard::status dma_unmap(uint64_t iova, uint64_t size);
	guard::status irq_wire(uint32_t index, uint32_t start, uint32_t count, const int *fds);
	guard::status irq_action(uint32_t index, uint32_t start, uint32_t count, uint32_t action);
	guard::status reset();
	rte_vfio_user_client_stats stats();
	/** How the connection is doing, for people: "connected", or why it ended. */
	const char *state() { return talk_.state(); }

	/* Constant after make(). */
	const std::string &path() const { return talk_.path(); }
	const rte_vfio_user_session &session() const { return session_; }
	const std::string &capabilities_text() const { return capabilities_text_; }
	const wire::device_info &device() const { return device_; }

private:
	class cancel_watch;

	explicit client(const rte_vfio_user_client_conf &conf);
	static guard::status check(const rte_vfio_user_client_conf &conf);

	/* client.cpp: its life */
	guard::status open(const rte_vfio_user_client_conf &conf, int cancel_fd);
	guard::status watch_memory();
	static void on_memory_fault(void *self, uint32_t events);
	void ended(int why) override;

	/* serve.cpp: what the server asks for */
	guard::result<guard::writer> serve(const message &m) override;

	/* requests.cpp */
	guard::status negotiate();
	guard::status adopt_version(message &reply);
	guard::status adopt_twin(const capabilities &theirs, std::vector<foreign_fd> &fds);
	guard::status ask_device_info();
	guard::result<message> ask_region_info(uint32_t index);
	guard::status set_irqs(wire::irq_set set, borrowed_fds fds = {});
	guard::status wire_run(uint32_t index, uint32_t start, borrowed_fds fds);
	guard::status unwire_run(uint32_t index, uint32_t start, uint32_t count);
	void drop_irqs(uint32_t index, uint32_t start, uint32_t count);

	const uint32_t flags_;
	void (*const disconnected_)(void *ctx, int error);
	void *const ctx_;

	guard::unique_fd fault_event_;
	control::watch_id fault_watch_ = 0;

	rte_vfio_user_session session_{};
	std::string capabilities_text_;
	wire::device_info device_{};
	client_dma dma_;

	std::mutex irqs_mutex_; /* one change of the wiring at a time; the server sees the same
				   order */
	client_irqs irqs_;      /* the control thread's */

	std::mutex regions_mutex_;
	std::map<uint32_t, client_region> regions_;

	conversation talk_; /* last: it ends first */
};

} // namespace vfio_user
