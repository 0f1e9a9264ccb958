/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <functional>
#include <string_view>
#include <utility>

#include "raw_client.hpp"
#include "system.hpp"
#include "test.hpp"
#include "rte_vfio_user.h"

/** A device made for the test, its server, and a client that sends raw bytes. */
namespace test::server_suite {

using command = wire::command;

/** The cases of each file. */
extern const case_table device_cases, memory_cases, message_cases, interrupt_cases, turn_cases,
	ending_cases;

constexpr uint64_t page = 4096;

/**
 * A device with 64 bytes of registers in region 0, and a server for it.
 *
 * Wide: what its operations saw, and how they shall behave, is for the cases to read and to set.
 */
class test_device {
public:
	/** @param name Tells devices of one case apart. */
	bool start(const char *name = "")
	{
		std::snprintf(path, sizeof(path), "/tmp/vfio_user_autotest.%d%s", ::getpid(), name);
		io_event = *guard::make_eventfd();
		rte_vfio_user_io_fd io[4] = {};
		for (rte_vfio_user_io_fd &each : io)
			each = {.offset = 8 + 4 * static_cast<uint64_t>(&each - io),
				.size = 4,
				.datamatch = 0,
				.type = RTE_VFIO_USER_IOEVENTFD,
				.flags = 0,
				.fd = io_event.get()};
		rte_vfio_user_region regions[] = {
			{.size = sizeof(registers),
			 .flags = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE,
			 .fd = -1,
			 .fd_offset = 0,
			 .areas = nullptr,
			 .nb_areas = 0,
			 .map_whole_on_request = 0,
			 .io_fds = io,
			 .nb_io_fds = nb_io_fds},
			{.size = 16,
			 .flags = RTE_VFIO_USER_REGION_READ,
			 .fd = -1,
			 .fd_offset = 0,
			 .areas = nullptr,
			 .nb_areas = 0,
			 .map_whole_on_request = 0,
			 .io_fds = nullptr,
			 .nb_io_fds = 0},
		};
		constexpr uint32_t intx_flags = RTE_VFIO_USER_IRQ_EVENTFD |
						RTE_VFIO_USER_IRQ_MASKABLE |
						RTE_VFIO_USER_IRQ_AUTOMASKED;
		rte_vfio_user_irq irqs[] = {
			{1, intx_flags}, {0, 0}, {4, RTE_VFIO_USER_IRQ_EVENTFD}};
		rte_vfio_user_server_conf conf;
		rte_vfio_user_server_conf_init(&conf);
		conf.path = path;
		conf.ops = &operations();
		conf.ctx = this;
		conf.flags = RTE_VFIO_USER_DEVICE_RESET;
		conf.nb_regions = 2;
		conf.regions = regions;
		conf.nb_irqs = 3;
		conf.irqs = irqs;
		conf.rights = rights;
		conf.max_memory = max_memory;
		conf.irq_inline = irq_inline;
		return rte_vfio_user_server_register(&conf, &server) == 0 &&
		       rte_vfio_user_server_start(server) == 0;
	}
	static const rte_vfio_user_server_ops &operations()
	{
		static constexpr rte_vfio_user_server_ops ops = {
			.region_read = on_read,
			.region_write = on_write,
			.new_device = on_new,
			.destroy_device = on_destroy,
			.update_device = on_update,
			.reset_device = on_reset,
			.memory_removed = on_memory_removed,
			.poll = on_poll,
			.work = on_work,
		};
		return ops;
	}
	~test_device()
	{
		if (server != nullptr)
			rte_vfio_user_server_unregister(server);
	}

	const rte_vfio_user_socket_rights *rights = nullptr;
	uint64_t max_memory = 0;
	uint32_t irq_inline = 0;

	rte_vfio_user_server_stats stats()
	{
		rte_vfio_user_server_stats out = {};
		rte_vfio_user_server_stats_get(server, &out);
		return out;
	}

	/** Starts a DMA access on the control thread, as a device does. */
	int access(bool read, uint64_t iova, void *data, uint32_t count)
	{
		struct args {
			test_device *self;
			bool read;
			uint64_t iova;
			void *data;
			uint32_t count;
		} a = {this, read, iova, data, count};
		return rte_vfio_user_control_call(
			[](void *p) {
				auto *x = static_cast<args *>(p);
				auto done = [](void *ctx, int error) {
					static_cast<test_device *>(ctx)->finish(error);
				};
				return x->read ? rte_vfio_user_server_dma_read(
							 x->self->server, x->iova, x->data,
							 x->count, done, x->self)
					       : rte_vfio_user_server_dma_write(
							 x->self->server, x->iova, x->data,
							 x->count, done, x->self);
			},
			&a);
	}
	void finish(int error)
	{
		callback running(*this, "done");
		last_error = error;
		finished++;
		/* A device may go on from within the completion. */
		if (error == 0 && chained > 0) {
			chained--;
			access(true, 0, chained_data, sizeof(chained_data));
		}
	}
	bool wait_finished(int count) const
	{
		return wait_until([&] { return finished >= count; }) && finished == count;
	}

	/** The operation in which the device ends the connection, once. */
	std::string_view ends_in;
	int destroyed_inside = 0; /* destroy_device was called while another one ran */

	char path[64] = {};
	rte_vfio_user_server *server = nullptr;
	guard::unique_fd io_event;
	uint32_t nb_io_fds = 1; /* of region 0, 4 at most */
	uint8_t registers[64] = {};
	int chained = 0;
	uint8_t chained_data[8] = {};
	useconds_t write_us = 0; /* that a write takes */
	std::atomic<uint64_t> first_removed{0}, last_removed{0};
	uint32_t next_interval_us = 0; /* that the next poll sets, if not 0 */
	std::atomic<int> writes{0}, works{0}, steps_left{0}, polls{0};
	std::function<void()> at_work; /* instead of its steps */
	std::atomic<int> attached{0}, resets{0}, waits{0}, updates{0}, finished{0}, last_error{1};

private:
	/** An operation of the device that runs. */
	class callback {
	public:
		callback(test_device &of, std::string_view name) : of_(of)
		{
			of_.running_++;
			if (of_.ends_in != name)
				return;
			of_.ends_in = {};
			rte_vfio_user_server_disconnect(of_.server);
		}
		~callback() { of_.running_--; }
		callback(const callback &) = delete;

	private:
		test_device &of_;
	};
	int running_ = 0;

	static test_device *self(void *ctx) { return static_cast<test_device *>(ctx); }
	static int on_read(void *ctx, uint32_t region, uint64_t offset, void *data, uint32_t count)
	{
		callback running(*self(ctx), "read");
		if (region != 0)
			return -EIO;
		std::memcpy(data, self(ctx)->registers + offset, count);
		return 0;
	}
	static int on_write(void *ctx, uint32_t, uint64_t offset, const void *data, uint32_t count)
	{
		callback running(*self(ctx), "write");
		self(ctx)->writes++;
		::usleep(self(ctx)->write_us);
		std::memcpy(self(ctx)->registers + offset, data, count);
		return 0;
	}
	static int on_new(void *ctx, const rte_vfio_user_session *)
	{
		callback running(*self(ctx), "new");
		self(ctx)->attached++;
		return 0;
	}
	static void on_destroy(void *ctx)
	{
		if (self(ctx)->running_ > 0)
			self(ctx)->destroyed_inside++;
		callback running(*self(ctx), "destroy");
		self(ctx)->attached--;
		/* The handle is good until the server is unregistered, and here too. */
		rte_vfio_user_server_set_poll(self(ctx)->server, 0);
	}
	static void on_update(void *ctx, uint32_t)
	{
		callback running(*self(ctx), "update");
		self(ctx)->updates++;
	}
	static int on_reset(void *ctx)
	{
		callback running(*self(ctx), "reset");
		self(ctx)->resets++;
		return 0;
	}
	static void on_poll(void *ctx)
	{
		test_device &d = *self(ctx);
		d.polls++;
		if (d.next_interval_us != 0)
			rte_vfio_user_server_set_poll(d.server,
						      std::exchange(d.next_interval_us, 0));
	}
	/** Works as long as there is anything to do, as a device should. */
	static void on_work(void *ctx)
	{
		test_device &d = *self(ctx);
		d.works++;
		if (d.at_work)
			return d.at_work();
		if (d.ends_in == "work")
			rte_vfio_user_server_disconnect(d.server);
		while (d.steps_left > 0 && rte_vfio_user_server_has_turn(d.server) > 0) {
			d.steps_left--;
			::usleep(100);
		}
		if (d.steps_left > 0)
			rte_vfio_user_server_defer(d.server);
	}
	static void on_memory_removed(void *ctx, uint64_t first, uint64_t last)
	{
		callback running(*self(ctx), "memory_removed");
		self(ctx)->first_removed = first;
		self(ctx)->last_removed = last;
		self(ctx)->waits++;
	}
};

inline uint32_t
map_dma(raw_client &c, uint64_t iova, uint64_t size, int fd, uint64_t offset = 0,
	uint32_t flags = 3)
{
	raw_message m;
	wire::dma_map request = {32, flags, offset, iova, size};
	if (!c.call(command::dma_map, guard::as_bytes(request), m, fd))
		return UINT32_MAX;
	return m.header.error;
}

inline uint32_t
unmap_dma(raw_client &c, uint64_t iova, uint64_t size)
{
	raw_message m;
	wire::dma_unmap request = {24, 0, iova, size};
	if (!c.call(command::dma_unmap, guard::as_bytes(request), m))
		return UINT32_MAX;
	return m.header.error;
}

inline uint32_t
set_irqs(raw_client &c, wire::irq_set request, int fd = -1)
{
	raw_message m;
	if (!c.call(command::device_set_irqs, guard::as_bytes(request), m, fd))
		return UINT32_MAX;
	return m.header.error;
}

/** Events come from a thread that nobody waits for. */
inline bool
signalled(const guard::unique_fd &event, int limit_ms = 5000)
{
	struct pollfd p = {.fd = event.get(), .events = POLLIN, .revents = 0};
	eventfd_t value;
	return ::poll(&p, 1, limit_ms) == 1 && eventfd_read(event.get(), &value) == 0;
}

/** Whether no event comes in a while. */
inline bool
quiet(const guard::unique_fd &event)
{
	return !signalled(event, 20);
}

/** A device with a client that has negotiated. */
struct session {
	test_device device;
	raw_client client;
	raw_message version;

	bool start(const char *json = "")
	{
		return device.start() && client.connect(device.path) &&
		       client.negotiate(json, version);
	}
};

} // namespace test::server_suite
