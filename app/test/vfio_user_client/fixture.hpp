/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "raw_client.hpp"
#include "system.hpp"
#include "test.hpp"
#include "rte_vfio_user_client.h"

/** A client, an honest device for it, and a server that sends what no server should. */
namespace test::client_suite {

using command = wire::command;

/** The cases of each file. */
extern const case_table connection_cases, version_cases, region_cases, memory_cases,
	interrupt_cases, telemetry_cases;

constexpr uint64_t page = 4096;
constexpr uint32_t big_size = 160 * 1024; /* more than one message carries */
constexpr uint32_t nb_vectors = 40;       /* more than one message carries descriptors for */

inline std::string
test_path()
{
	char path[64];
	std::snprintf(path, sizeof(path), "/tmp/vfio_user_client_autotest.%d", ::getpid());
	return path;
}

/** A client handle that detaches itself, and what its callback was told. */
struct test_client {
	rte_vfio_user_client *handle = nullptr;
	std::atomic<int> calls{0}, error{0}, from_callback{0};
	std::atomic<bool> asks_in_callback{false};
	uint32_t timeout_ms = 2000, attach_ms = 0;

	~test_client() { detach(); }
	void detach()
	{
		if (handle != nullptr)
			rte_vfio_user_client_detach(std::exchange(handle, nullptr));
	}
	int attach(const std::string &path, uint32_t flags = 0, uint32_t wait_ms = 0,
		   int cancel_fd = -1)
	{
		rte_vfio_user_client_conf conf;
		rte_vfio_user_client_conf_init(&conf);
		conf.path = path.c_str();
		conf.flags = flags;
		conf.timeout_ms = timeout_ms;
		conf.wait_ms = wait_ms;
		conf.attach_ms = attach_ms;
		conf.disconnected = on_disconnected;
		conf.ctx = this;
		return rte_vfio_user_client_attach(&conf, cancel_fd, &handle);
	}
	rte_vfio_user_client_stats stats()
	{
		rte_vfio_user_client_stats out = {};
		rte_vfio_user_client_stats_get(handle, &out);
		return out;
	}
	rte_vfio_user_client_region region(uint32_t index)
	{
		rte_vfio_user_client_region out = {};
		rte_vfio_user_client_region_info_get(handle, index, &out);
		return out;
	}
	int read(uint32_t index, uint64_t offset, void *data, uint32_t count)
	{
		return rte_vfio_user_client_region_read(handle, index, offset, data, count);
	}
	int write(uint32_t index, uint64_t offset, const void *data, uint32_t count)
	{
		return rte_vfio_user_client_region_write(handle, index, offset, data, count);
	}

private:
	static void on_disconnected(void *ctx, int error)
	{
		auto *c = static_cast<test_client *>(ctx);
		uint32_t value;
		if (c->asks_in_callback)
			c->from_callback = c->read(1, 0, &value, sizeof(value));
		c->error = error;
		c->calls++;
	}
};

/** Region 0 is mappable in part, region 1 is not, region 2 is large, 7 is there for its index. */
class test_device {
public:
	bool start()
	{
		static constexpr rte_vfio_user_server_ops ops = {
			.region_read = on_read,
			.region_write = on_write,
			.new_device = nullptr,
			.destroy_device = nullptr,
			.update_device = nullptr,
			.reset_device = on_reset,
			.memory_removed = nullptr,
			.poll = nullptr,
			.work = on_work,
		};
		constexpr uint32_t rw = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE;
		static constexpr rte_vfio_user_area areas[] = {{0, page}, {2 * page, page}};
		rte_vfio_user_region regions[RTE_VFIO_USER_PCI_REGIONS] = {};
		for (rte_vfio_user_region &r : regions)
			r.fd = -1;
		regions[0] = {.size = 4 * page,
			      .flags = rw | RTE_VFIO_USER_REGION_MMAP,
			      .fd = file.get(),
			      .fd_offset = page,
			      .areas = areas,
			      .nb_areas = 2,
			      .map_whole_on_request = 1,
			      .io_fds = nullptr,
			      .nb_io_fds = 0};
		regions[1].size = 64;
		regions[1].flags = rw;
		regions[2].size = big_size;
		regions[2].flags = rw;
		regions[RTE_VFIO_USER_REGION_CONFIG].size = 256;
		regions[RTE_VFIO_USER_REGION_CONFIG].flags = rw;
		constexpr uint32_t intx = RTE_VFIO_USER_IRQ_EVENTFD | RTE_VFIO_USER_IRQ_MASKABLE;
		rte_vfio_user_irq irqs[] = {
			{1, intx}, {0, 0}, {nb_vectors, RTE_VFIO_USER_IRQ_EVENTFD}};
		rte_vfio_user_server_conf conf;
		rte_vfio_user_server_conf_init(&conf);
		conf.path = path.c_str();
		conf.ops = &ops;
		conf.ctx = this;
		conf.flags = RTE_VFIO_USER_DEVICE_RESET | RTE_VFIO_USER_DEVICE_PCI;
		conf.nb_regions = RTE_VFIO_USER_PCI_REGIONS;
		conf.regions = regions;
		conf.nb_irqs = 3;
		conf.irqs = irqs;
		return rte_vfio_user_server_register(&conf, &server) == 0 &&
		       rte_vfio_user_server_start(server) == 0;
	}
	~test_device() { stop(); }
	void stop()
	{
		if (server != nullptr)
			rte_vfio_user_server_unregister(std::exchange(server, nullptr));
	}

	/** A DMA access of the device, waited for. */
	int dma(bool read, uint64_t iova, void *data, uint32_t count)
	{
		struct access {
			rte_vfio_user_server *server;
			bool read;
			uint64_t iova;
			void *data;
			uint32_t count;
			std::atomic<int> error{1};
		} a = {server, read, iova, data, count};
		int started = rte_vfio_user_control_call(
			[](void *p) {
				auto *x = static_cast<access *>(p);
				auto done = [](void *ctx, int error) {
					static_cast<access *>(ctx)->error = error;
				};
				return x->read ? rte_vfio_user_server_dma_read(x->server, x->iova,
									       x->data, x->count,
									       done, x)
					       : rte_vfio_user_server_dma_write(x->server, x->iova,
										x->data, x->count,
										done, x);
			},
			&a);
		if (started == 0)
			wait_until([&] { return a.error <= 0; });
		return started != 0 ? started : a.error.load();
	}

	std::string path = test_path();
	rte_vfio_user_server *server = nullptr;
	guard::unique_fd file = make_file(5 * page); /* region 0 starts at its second page */
	std::vector<uint8_t> memory = std::vector<uint8_t>(big_size);
	std::atomic<int> resets{0};
	std::function<void()> at_work; /* whenever it has put work off */

private:
	static void on_work(void *ctx)
	{
		if (const auto &work = static_cast<test_device *>(ctx)->at_work)
			work();
	}
	static int on_read(void *ctx, uint32_t, uint64_t offset, void *data, uint32_t count)
	{
		std::memcpy(data, static_cast<test_device *>(ctx)->memory.data() + offset, count);
		return 0;
	}
	static int on_write(void *ctx, uint32_t, uint64_t offset, const void *data, uint32_t count)
	{
		std::memcpy(static_cast<test_device *>(ctx)->memory.data() + offset, data, count);
		return 0;
	}
	static int on_reset(void *ctx)
	{
		static_cast<test_device *>(ctx)->resets++;
		return 0;
	}
};

/** A server's end of a connection, as raw bytes. */
class raw_peer : public raw_client {
public:
	using raw_client::fd;
	using raw_client::raw_client;

	bool reply(const wire::header &to, guard::bytes payload, std::span<const int> fds = {},
		   uint32_t error = 0)
	{
		using namespace wire::header_flags;
		wire::header header = {
			.id = to.id,
			.command = to.command,
			.size = static_cast<uint32_t>(sizeof(header) + payload.size()),
			.flags = type::of(type_reply) |
				 (error != 0 ? wire::header_flags::error::mask : 0),
			.error = error};
		guard::writer whole;
		whole.put(header).put_bytes(payload);
		return send_bytes(whole.view(), fds);
	}

	/** Receives a request and answers it. */
	bool answer(guard::bytes payload, std::span<const int> fds = {}, uint32_t error = 0)
	{
		raw_message m;
		return receive(m) && reply(m.header, payload, fds, error);
	}
	bool answer_version(std::string_view json = "", uint16_t major = 0, uint16_t minor = 0,
			    std::span<const int> fds = {})
	{
		guard::writer payload;
		payload.put(wire::version{major, minor});
		if (!json.empty())
			payload.put_bytes(std::as_bytes(std::span(json.data(), json.size() + 1)));
		return answer(payload.view(), fds);
	}
	bool handshake(std::string_view json = "")
	{
		return answer_version(json) && answer(guard::as_bytes(wire::device_info{
						       16, RTE_VFIO_USER_DEVICE_PCI, 9, 5}));
	}
	void hang_up() { ::shutdown(fd(), SHUT_RDWR); }
	/** Waits until the client goes. */
	void linger()
	{
		raw_message m;
		while (receive(m)) {
		}
	}
};

/** A server that follows a script, on a thread of its own, for one connection; then it lingers. */
class hostile_server {
public:
	using script = std::function<void(raw_peer &)>;

	explicit hostile_server(script s, std::string at = test_path())
	    : path(std::move(at)), script_(std::move(s))
	{
		sockaddr_un address = {};
		address.sun_family = AF_UNIX;
		path.copy(address.sun_path, sizeof(address.sun_path) - 1);
		::unlink(path.c_str());
		listener_ = guard::unique_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		if (::bind(listener_.get(), reinterpret_cast<sockaddr *>(&address),
			   sizeof(address)) == 0 &&
		    ::listen(listener_.get(), 4) == 0)
			thread_ = std::thread([this] { run(); });
	}
	~hostile_server()
	{
		::shutdown(listener_.get(), SHUT_RDWR);
		::shutdown(connection_, SHUT_RDWR); /* ends the lingering */
		if (thread_.joinable())
			thread_.join();
		::unlink(path.c_str());
	}

	const std::string path;

private:
	void run()
	{
		guard::unique_fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
		if (!fd)
			return;
		connection_ = fd.get();
		raw_peer peer(std::move(fd));
		script_(peer);
		peer.linger();
		connection_ = -1;
	}

	script script_;
	guard::unique_fd listener_;
	std::atomic<int> connection_{-1};
	std::thread thread_;
};

} // namespace test::client_suite
