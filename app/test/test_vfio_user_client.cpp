/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <dirent.h>
#include <functional>
#include <thread>

#include <rte_log.h>

#include "raw_client.hpp"
#include "rte_vfio_user_client.h"
#include "test.hpp"

/*
 * The client side of librte_vfio_user: against our own server with a device made for the test, and
 * against a server that sends what no server should.
 */

using namespace test;
using command = wire::command;

namespace {

constexpr uint64_t page = 4096;
constexpr uint32_t big_size = 160 * 1024; /* more than one message carries */
constexpr uint32_t nb_vectors = 40;       /* more than one message carries descriptors for */

std::string
test_path()
{
	char path[64];
	std::snprintf(path, sizeof(path), "/tmp/vfio_user_client_autotest.%d", ::getpid());
	return path;
}

size_t
count_fds()
{
	size_t count = 0;
	DIR *dir = ::opendir("/proc/self/fd");
	while (dir != nullptr && ::readdir(dir) != nullptr)
		count++;
	if (dir != nullptr)
		::closedir(dir);
	return count;
}

bool
wait_until(const std::function<bool()> &condition)
{
	for (int i = 0; i < 5000 && !condition(); i++)
		::usleep(1000);
	return condition();
}

guard::unique_fd
make_file(size_t size)
{
	guard::unique_fd fd(::memfd_create("client test", MFD_CLOEXEC));
	if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
		fd.reset();
	return fd;
}

guard::mapping
map_file(const guard::unique_fd &fd, size_t size)
{
	auto m = guard::mapping::make(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(),
				      0);
	return m ? std::move(*m) : guard::mapping();
}

/** A client handle that detaches itself, and what its callback was told. */
struct test_client {
	rte_vfio_user_client *handle = nullptr;
	std::atomic<int> calls{0}, error{0}, from_callback{0};
	std::atomic<bool> asks_in_callback{false};
	uint32_t timeout_ms = 2000;

	~test_client() { detach(); }
	void detach()
	{
		if (handle != nullptr)
			rte_vfio_user_client_detach(std::exchange(handle, nullptr));
	}
	int attach(const std::string &path, uint32_t flags = 0, uint32_t wait_ms = 0,
		   int cancel_fd = -1)
	{
		rte_vfio_user_client_conf conf = {.path = path.c_str(),
						  .flags = flags,
						  .timeout_ms = timeout_ms,
						  .wait_ms = wait_ms,
						  .disconnected = on_disconnected,
						  .ctx = this};
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
			.lock_data_path = nullptr,
			.poll = nullptr,
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
		rte_vfio_user_server_conf conf = {.path = path.c_str(),
						  .ops = &ops,
						  .ctx = this,
						  .flags = RTE_VFIO_USER_DEVICE_RESET |
							   RTE_VFIO_USER_DEVICE_PCI,
						  .nb_regions = RTE_VFIO_USER_PCI_REGIONS,
						  .regions = regions,
						  .nb_irqs = 3,
						  .irqs = irqs};
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

private:
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
	explicit raw_peer(guard::unique_fd socket)
	    : raw_client(guard::unique_fd(::dup(socket.get()))), fd_(std::move(socket))
	{
	}

	int fd() const { return fd_.get(); }

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
		alignas(cmsghdr) char control[CMSG_SPACE(32 * sizeof(int))] = {};
		struct iovec iov = {const_cast<std::byte *>(whole.view().data()), whole.size()};
		struct msghdr msg = {};
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		if (!fds.empty()) {
			msg.msg_control = control;
			msg.msg_controllen = CMSG_SPACE(fds.size_bytes());
			cmsghdr *c = CMSG_FIRSTHDR(&msg);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(fds.size_bytes());
			std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
		}
		return ::sendmsg(fd_.get(), &msg, MSG_NOSIGNAL) ==
		       static_cast<ssize_t>(whole.size());
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
	/** Waits until the client goes. */
	void linger()
	{
		raw_message m;
		while (receive(m)) {
		}
	}

private:
	guard::unique_fd fd_;
};

/** A server that follows a script, on a thread of its own, for one connection. */
class hostile_server {
public:
	using script = std::function<void(raw_peer &)>;

	explicit hostile_server(script s) : script_(std::move(s))
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
		::shutdown(connection_, SHUT_RDWR); /* ends a linger() */
		if (thread_.joinable())
			thread_.join();
		::unlink(path.c_str());
	}

	std::string path = test_path();

private:
	void run()
	{
		guard::unique_fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
		if (!fd)
			return;
		connection_ = fd.get();
		raw_peer peer(std::move(fd));
		script_(peer);
		connection_ = -1;
	}

	script script_;
	guard::unique_fd listener_;
	std::atomic<int> connection_{-1};
	std::thread thread_;
};

/* --- with our own server --- */

outcome
attach_refuses_a_bad_description()
{
	test_client c;
	rte_vfio_user_client_conf conf = {};

	CHECK_EQ(rte_vfio_user_client_attach(nullptr, -1, &c.handle), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_attach(&conf, -1, &c.handle), -EINVAL);
	CHECK_EQ(c.attach(""), -EINVAL);
	CHECK_EQ(c.attach(std::string(108, 'x')), -ENAMETOOLONG);
	CHECK_EQ(c.attach("/tmp/x", 0x80), -EINVAL);
	c.timeout_ms = 600001;
	CHECK_EQ(c.attach("/tmp/x"), -EINVAL);
	return success;
}

outcome
attach_says_why_nobody_answers()
{
	test_client c;
	std::string path = test_path();

	::unlink(path.c_str());
	CHECK_EQ(c.attach(path), -ENOENT);
	guard::unique_fd file(::open(path.c_str(), O_CREAT | O_RDWR, 0600));
	CHECK_EQ(c.attach(path), -ECONNREFUSED);
	::unlink(path.c_str());
	return success;
}

outcome
attach_waits_for_the_socket()
{
	test_device device;
	test_client c;
	std::thread later([&] {
		::usleep(100000);
		device.start();
	});
	int error = c.attach(device.path, 0, 5000);
	later.join();
	CHECK_EQ(error, 0);
	return success;
}

outcome
attach_can_be_cancelled()
{
	guard::unique_fd stop = *guard::make_eventfd();
	auto cancel_later = [&] {
		return std::thread([&] {
			::usleep(50000);
			eventfd_write(stop.get(), 1);
		});
	};
	test_client waits, asks;
	std::thread first = cancel_later();
	int error = waits.attach("/tmp/vfio_user_no_such_socket", 0, 60000, stop.get());
	first.join();
	CHECK_EQ(error, -ECANCELED);

	eventfd_t ignored;
	eventfd_read(stop.get(), &ignored);
	asks.timeout_ms = 60000;
	hostile_server mute([](raw_peer &p) { p.linger(); });
	std::thread second = cancel_later();
	error = asks.attach(mute.path, 0, 0, stop.get());
	second.join();
	CHECK_EQ(error, -ECANCELED);
	CHECK_EQ(asks.calls, 0);
	return success;
}

outcome
attach_tells_what_was_negotiated()
{
	test_device device;
	test_client c;
	rte_vfio_user_session session;
	uint32_t flags, regions, irqs;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path, RTE_VFIO_USER_CLIENT_TWIN_SOCKET |
					       RTE_VFIO_USER_CLIENT_MAPPED_BARS |
					       RTE_VFIO_USER_CLIENT_WRITE_MULTI),
		 0);
	CHECK_EQ(rte_vfio_user_client_session_get(c.handle, &session), 0);
	CHECK_EQ(session.major, 0);
	CHECK_EQ(session.minor, 1);
	CHECK_EQ(session.max_data_xfer, RTE_VFIO_USER_MAX_DATA_XFER);
	CHECK_EQ(session.max_msg_fds, 16);
	CHECK(session.twin_socket && session.write_multiple && session.mapped_bars);
	CHECK(std::strstr(rte_vfio_user_client_capabilities(c.handle), "twin_socket") != nullptr);
	CHECK_EQ(rte_vfio_user_client_device_info_get(c.handle, &flags, &regions, &irqs), 0);
	CHECK_EQ(flags, RTE_VFIO_USER_DEVICE_RESET | RTE_VFIO_USER_DEVICE_PCI);
	CHECK_EQ(regions, RTE_VFIO_USER_PCI_REGIONS);
	CHECK_EQ(irqs, 3);
	c.detach();

	CHECK_EQ(c.attach(device.path), 0);
	rte_vfio_user_client_session_get(c.handle, &session);
	CHECK(!session.twin_socket && !session.write_multiple && !session.mapped_bars);
	CHECK_EQ(c.calls, 0);
	return success;
}

outcome
regions_are_described_and_mapped()
{
	test_device device;
	test_client c;
	void *first, *second, *again;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	rte_vfio_user_client_region r = c.region(0);
	CHECK_EQ(r.size, 4 * page);
	CHECK_EQ(r.nb_areas, 2);
	CHECK_EQ(r.areas[1].offset, 2 * page);
	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 0, 0, &first), 0);
	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 0, 1, &second), 0);
	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 0, 1, &again), 0);
	CHECK(again == second);
	std::memcpy(static_cast<char *>(second) + 8, "ring", 4);
	CHECK(std::memcmp(map_file(device.file, 5 * page).data() + 3 * page + 8, "ring", 4) == 0);

	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 0, 2, &first), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 1, 0, &first), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 9, 0, &first), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_region_info_get(c.handle, 9, &r), -EINVAL);
	CHECK_EQ(c.region(1).nb_areas, 0);
	CHECK_EQ(c.region(1).size, 64);
	CHECK_EQ(c.region(3).size, 0);
	return success;
}

outcome
a_bar_is_mapped_whole_on_request()
{
	test_device device;
	test_client c;
	void *bar;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path, RTE_VFIO_USER_CLIENT_MAPPED_BARS), 0);
	CHECK_EQ(c.region(0).nb_areas, 1);
	CHECK_EQ(c.region(0).areas[0].size, 4 * page);
	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 0, 0, &bar), 0);
	static_cast<char *>(bar)[3 * page] = 7;
	CHECK(map_file(device.file, 5 * page).data()[4 * page] == std::byte{7});
	return success;
}

outcome
registers_are_read_and_written()
{
	test_device device;
	test_client c;
	uint32_t value = 0x12345678, back = 0;
	std::vector<uint8_t> big(big_size), copy(big_size);

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(c.write(1, 12, &value, sizeof(value)), 0);
	CHECK_EQ(c.read(1, 12, &back, sizeof(back)), 0);
	CHECK_EQ(back, value);
	for (size_t i = 0; i < big.size(); i++)
		big[i] = static_cast<uint8_t>(i * 7 + i / 4096);
	CHECK_EQ(c.write(2, 0, big.data(), big_size), 0);
	CHECK_EQ(c.read(2, 0, copy.data(), big_size), 0);
	CHECK(big == copy);

	/* An error reply is the answer to one request and nothing more. */
	CHECK_EQ(c.read(1, 61, &back, sizeof(back)), -EINVAL);
	CHECK_EQ(c.read(1, UINT64_MAX, &back, sizeof(back)), -EINVAL);
	CHECK_EQ(c.read(1, 0, &back, 0), -EINVAL);
	CHECK_EQ(c.read(77, 0, &back, sizeof(back)), -EINVAL);
	CHECK_EQ(c.stats().errors, 2);
	CHECK_EQ(c.read(1, 12, &back, sizeof(back)), 0);
	return success;
}

outcome
many_writes_go_by_one_message()
{
	test_device device;
	test_client plain, c;
	std::vector<rte_vfio_user_write> writes;

	for (uint32_t i = 0; i < 5000; i++) {
		rte_vfio_user_write w = {.offset = i * 8, .region = 2, .count = 4, .data = {}};
		std::memcpy(w.data, &i, sizeof(i));
		writes.push_back(w);
	}
	CHECK(device.start());
	CHECK_EQ(plain.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_region_write_multi(plain.handle, writes.data(), 1), -ENOTSUP);
	plain.detach();
	CHECK_EQ(c.attach(device.path, RTE_VFIO_USER_CLIENT_WRITE_MULTI), 0);
	uint64_t before = c.stats().requests;
	CHECK_EQ(rte_vfio_user_client_region_write_multi(c.handle, writes.data(), 5000), 0);
	CHECK_EQ(c.stats().requests - before, 2);
	uint32_t last;
	std::memcpy(&last, device.memory.data() + 4999 * 8, sizeof(last));
	CHECK_EQ(last, 4999);
	writes[0].count = 9;
	CHECK_EQ(rte_vfio_user_client_region_write_multi(c.handle, writes.data(), 1), -EINVAL);
	return success;
}

outcome
the_device_reaches_memory_with_a_file()
{
	test_device device;
	test_client c;
	guard::unique_fd file = make_file(4 * page);
	guard::mapping memory = map_file(file, 4 * page);
	char text[16] = {};

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0x100000, 2 * page, 3, file.get(), page,
					      nullptr),
		 0);
	std::memcpy(memory.data() + page + 16, "hello", 6);
	CHECK_EQ(device.dma(true, 0x100010, text, 6), 0);
	CHECK(std::strcmp(text, "hello") == 0);
	CHECK_EQ(c.stats().dma_reads, 0);

	int map_errors[] = {
		rte_vfio_user_client_dma_map(c.handle, 0x100000, page, 3, file.get(), 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, 0x200000, 100, 3, file.get(), 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, UINT64_MAX - page + 1, 2 * page, 3,
					     file.get(), 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, 0x200000, page, 0, file.get(), 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, 0x200000, page, 3, -1, 0, nullptr),
		rte_vfio_user_client_dma_map(c.handle, 0x200000, 8 * page, 3, file.get(), 0,
					     nullptr), /* the server says so */
		rte_vfio_user_client_dma_unmap(c.handle, 0x100000, page),
		rte_vfio_user_client_dma_unmap(c.handle, 0x200000, page),
	};
	constexpr int expected[] = {-EEXIST, -EINVAL, -EINVAL, -EINVAL,
				    -EINVAL, -EINVAL, -ENOENT, -ENOENT};
	for (size_t i = 0; i < std::size(expected); i++)
		CHECK(map_errors[i] == expected[i], "row %zu: %d", i, map_errors[i]);
	CHECK_EQ(rte_vfio_user_client_dma_unmap(c.handle, 0x100000, 2 * page), 0);
	CHECK_EQ(device.dma(true, 0x100010, text, 6), -EFAULT);
	return success;
}

outcome
reach_memory_by_messages(uint32_t flags)
{
	test_device device;
	test_client c;
	std::vector<uint8_t> memory(64 * page), copy(40 * page);

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path, flags), 0);
	/* Two regions side by side, whose memory here is not; and one for reading only. */
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, 20 * page, 3, -1, 0, &memory[30 * page]),
		 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 20 * page, 20 * page, 3, -1, 0,
					      memory.data()),
		 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 40 * page, page, RTE_DMA_READ, -1, 0,
					      &memory[60 * page]),
		 0);
	for (size_t i = 0; i < memory.size(); i++)
		memory[i] = static_cast<uint8_t>(i / 3);
	CHECK_EQ(device.dma(true, 0, copy.data(), 40 * page), 0);
	CHECK(std::memcmp(copy.data(), &memory[30 * page], 20 * page) == 0);
	CHECK(std::memcmp(&copy[20 * page], memory.data(), 20 * page) == 0);
	CHECK_EQ(c.stats().dma_reads, 3); /* of 64 KiB at most */

	CHECK_EQ(device.dma(false, 20 * page - 4, const_cast<char *>("borders!"), 8), 0);
	CHECK(std::memcmp(&memory[50 * page - 4], "bord", 4) == 0);
	CHECK(std::memcmp(memory.data(), "ers!", 4) == 0);
	CHECK_EQ(c.stats().dma_writes, 1);
	CHECK_EQ(device.dma(false, 40 * page, copy.data(), 8), -EACCES);
	CHECK_EQ(c.stats().refused, 0);

	CHECK_EQ(rte_vfio_user_client_dma_unmap(c.handle, 0, 20 * page), 0);
	CHECK_EQ(device.dma(true, 0, copy.data(), 8), -EFAULT);
	return success;
}

outcome
the_device_reaches_memory_by_messages()
{
	return reach_memory_by_messages(0);
}

outcome
the_device_reaches_memory_by_the_twin_socket()
{
	return reach_memory_by_messages(RTE_VFIO_USER_CLIENT_TWIN_SOCKET);
}

outcome
interrupts_arrive()
{
	test_device device;
	test_client c;
	rte_vfio_user_irq irq;
	std::vector<guard::unique_fd> events;
	std::vector<int> fds;
	eventfd_t value;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_irq_info_get(c.handle, RTE_VFIO_USER_IRQ_MSIX, &irq), 0);
	CHECK_EQ(irq.count, nb_vectors);
	CHECK_EQ(rte_vfio_user_client_irq_info_get(c.handle, 3, &irq), -EINVAL);
	for (uint32_t i = 0; i < nb_vectors; i++) {
		events.push_back(*guard::make_eventfd());
		fds.push_back(i == 20 ? -1 : events.back().get());
	}
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, RTE_VFIO_USER_IRQ_MSIX, 0, nb_vectors,
					       fds.data()),
		 0);
	for (uint32_t i = 0; i < nb_vectors; i++) {
		CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, RTE_VFIO_USER_IRQ_MSIX, i),
			 i == 20 ? -ENOTCONN : 1);
		CHECK_EQ(eventfd_read(events[i].get(), &value), i == 20 ? -1 : 0);
	}
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, RTE_VFIO_USER_IRQ_MSIX, 2, 3, nullptr), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, RTE_VFIO_USER_IRQ_MSIX, 3),
		 -ENOTCONN);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, RTE_VFIO_USER_IRQ_MSIX, 5), 1);
	CHECK_EQ(rte_vfio_user_client_irq_action(c.handle, RTE_VFIO_USER_IRQ_MSIX, 0, 0,
						 RTE_VFIO_USER_IRQ_TRIGGER),
		 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, RTE_VFIO_USER_IRQ_MSIX, 5),
		 -ENOTCONN);

	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 0, 0, 1, fds.data()), 0);
	CHECK_EQ(rte_vfio_user_client_irq_action(c.handle, 0, 0, 1, RTE_VFIO_USER_IRQ_MASK), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(device.server, 0, 0), 0);
	CHECK_EQ(rte_vfio_user_client_irq_action(c.handle, 0, 0, 1, RTE_VFIO_USER_IRQ_UNMASK), 0);
	CHECK_EQ(eventfd_read(events[0].get(), &value), 0);

	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, 0, 0, fds.data()), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, UINT32_MAX, 2, nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, nb_vectors - 1, 2, nullptr), -EINVAL);
	int closed = ::dup(0);
	::close(closed);
	CHECK_EQ(rte_vfio_user_client_irq_wire(c.handle, 2, 0, 1, &closed), -EBADF);
	CHECK_EQ(rte_vfio_user_client_reset(c.handle), 0);
	CHECK_EQ(device.resets, 1);
	return success;
}

outcome
threads_share_a_connection()
{
	test_device device;
	test_client c;
	std::vector<uint8_t> memory(16 * page, 0x5a), copy(16 * page);
	std::atomic<int> wrong{0};
	std::vector<std::thread> threads;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, 16 * page, 3, -1, 0, memory.data()), 0);
	for (uint32_t t = 0; t < 8; t++)
		threads.emplace_back([&, t] {
			for (uint32_t i = 0; i < 300; i++) {
				uint32_t value = t << 16 | i, back = 0;
				wrong += c.write(1, t * 4, &value, sizeof(value)) != 0;
				wrong +=
					c.read(1, t * 4, &back, sizeof(back)) != 0 || back != value;
			}
		});
	/* The memory of the test device stands for all its regions: this one leaves the registers
	 * alone. */
	std::thread large([&] {
		std::vector<uint8_t> data(128 * 1024);
		for (int i = 0; i < 50; i++)
			wrong += c.write(2, 4096, data.data(), 128 * 1024) != 0;
	});
	for (int i = 0; i < 50; i++)
		wrong += device.dma(true, 0, copy.data(), 16 * page) != 0;
	for (std::thread &t : threads)
		t.join();
	large.join();
	CHECK_EQ(wrong, 0);
	CHECK(copy == memory);
	CHECK_EQ(c.stats().requests, c.stats().replies);
	return success;
}

outcome
the_end_of_the_server_is_reported()
{
	test_device device;
	test_client c;
	uint32_t value;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	c.asks_in_callback = true;
	device.stop();
	CHECK(wait_until([&] { return c.calls > 0; }));
	CHECK_EQ(c.error, -ENOTCONN);
	CHECK_EQ(c.from_callback, -EDEADLK);
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), -ENOTCONN);
	CHECK_EQ(c.calls, 1);
	c.detach();
	CHECK(device.start());
	CHECK_EQ(c.attach(device.path), 0);
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), 0);
	return success;
}

outcome
a_truncated_bar_is_survived()
{
	test_device device;
	test_client c;
	void *bar;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path, RTE_VFIO_USER_CLIENT_MAPPED_BARS), 0);
	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 0, 0, &bar), 0);
	CHECK_EQ(::ftruncate(device.file.get(), 0), 0);
	CHECK_EQ(static_cast<volatile char *>(bar)[2 * page], 0);
	static_cast<volatile char *>(bar)[3 * page] = 1;
	CHECK(wait_until([&] { return c.calls > 0; }));
	CHECK_EQ(c.error, -EFAULT);
	CHECK_EQ(c.calls, 1);
	return success;
}

/* --- with a server that does not mean well --- */

outcome
bad_version_replies_are_refused()
{
	guard::unique_fd file = make_file(page);
	int fd = file.get();
	std::span<const int> one(&fd, 1);
	constexpr const char *twin =
		R"({"capabilities":{"twin_socket":{"supported":true,"fd_index":0}}})";
	struct {
		const char *name;
		uint32_t flags;
		int error;
		hostile_server::script script;
	} rows[] = {
		{"closes at once", 0, -ENOTCONN, [](raw_peer &) {}},
		{"error reply", 0, -EPERM,
		 [](raw_peer &p) {
			 p.answer({}, {}, EPERM);
			 p.linger();
		 }},
		{"error without a number", 0, -EIO,
		 [](raw_peer &p) {
			 raw_message m;
			 p.receive(m);
			 m.header.flags = 0x21;
			 m.header.size = 16;
			 p.send_bytes(guard::as_bytes(m.header));
			 p.linger();
		 }},
		{"shorter than its structure", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer(guard::as_bytes(uint16_t{0}));
			 p.linger();
		 }},
		{"another major version", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version("", 1, 0);
			 p.linger();
		 }},
		{"a newer minor version", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version("", 0, 2);
			 p.linger();
		 }},
		{"not JSON", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version("{\"capabilities\":");
			 p.linger();
		 }},
		{"no object", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version("[]");
			 p.linger();
		 }},
		{"no transfer at all", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version(R"({"capabilities":{"max_data_xfer_size":0}})");
			 p.linger();
		 }},
		{"negative", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version(R"({"capabilities":{"max_msg_fds":-1}})");
			 p.linger();
		 }},
		{"JSON without NUL", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer(std::as_bytes(std::span("\0\0\0\0{}", 6)));
			 p.linger();
		 }},
		{"deep JSON", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version(std::string(60000, '['));
			 p.linger();
		 }},
		{"twin socket not asked for", 0, -EPROTO,
		 [=](raw_peer &p) {
			 p.answer_version(twin, 0, 0, one);
			 p.linger();
		 }},
		{"twin socket not there", RTE_VFIO_USER_CLIENT_TWIN_SOCKET, -EPROTO,
		 [=](raw_peer &p) {
			 p.answer_version(twin);
			 p.linger();
		 }},
		{"twin socket is a file", RTE_VFIO_USER_CLIENT_TWIN_SOCKET, -EPROTO,
		 [=](raw_peer &p) {
			 p.answer_version(twin, 0, 0, one);
			 p.linger();
		 }},
		{"more descriptors than allowed", 0, -EPROTO,
		 [=](raw_peer &p) {
			 p.answer_version("", 0, 0, std::vector<int>(17, fd));
			 p.linger();
		 }},
		{"4 GiB long", 0, -EPROTO,
		 [](raw_peer &p) {
			 raw_message m;
			 p.receive(m);
			 m.header.flags = 1;
			 m.header.size = UINT32_MAX;
			 p.send_bytes(guard::as_bytes(m.header));
			 p.linger();
		 }},
		{"15 bytes long", 0, -EPROTO,
		 [](raw_peer &p) {
			 raw_message m;
			 p.receive(m);
			 m.header.flags = 1;
			 m.header.size = 15;
			 p.send_bytes(guard::as_bytes(m.header));
			 p.linger();
		 }},
		{"half a message", 0, -ENOTCONN,
		 [](raw_peer &p) {
			 raw_message m;
			 p.receive(m);
			 m.header.flags = 1;
			 p.send_bytes(guard::as_bytes(m.header));
		 }},
		{"too many regions", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version();
			 p.answer(guard::as_bytes(wire::device_info{16, 0, UINT32_MAX, 5}));
			 p.linger();
		 }},
		{"too many interrupt types", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version();
			 p.answer(guard::as_bytes(wire::device_info{16, 0, 9, 65}));
			 p.linger();
		 }},
		{"half a device", 0, -EPROTO,
		 [](raw_peer &p) {
			 p.answer_version();
			 p.answer(guard::as_bytes(uint64_t{16}));
			 p.linger();
		 }},
	};
	for (auto &row : rows) {
		test_client c;
		hostile_server server(row.script);
		int error = c.attach(server.path, row.flags);
		CHECK(error == row.error, "%s: %d", row.name, error);
		CHECK(c.calls == 0, "%s", row.name);
	}
	return success;
}

/** A region description as a hostile server sends it. */
struct region_reply {
	wire::region_info info;
	std::vector<wire::sparse_mmap> caps;
	std::vector<wire::sparse_area> areas;
	int nb_fds;

	std::vector<std::byte> bytes() const
	{
		guard::writer out;
		out.put(info);
		for (const wire::sparse_mmap &s : caps)
			out.put(s);
		for (const wire::sparse_area &a : areas)
			out.put(a);
		return std::move(out).take();
	}
};

constexpr uint32_t mappable =
	RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE | RTE_VFIO_USER_REGION_MMAP;
constexpr uint32_t with_caps = mappable | RTE_VFIO_USER_REGION_CAPS;

outcome
bad_region_descriptions_are_refused()
{
	constexpr uint64_t size = 64 * page;
	auto sparse = [](uint32_t count, uint32_t next = 0, uint16_t id = 1) {
		return wire::sparse_mmap{{id, 1, next}, count, 0};
	};
	guard::unique_fd file = make_file(size);
	struct {
		const char *name;
		region_reply reply;
		int error;
	} rows[] = {
		{"good", {{64, with_caps, 0, 32, size, 0}, {sparse(1)}, {{0, page}}, 1}, 0},
		{"another index", {{32, mappable, 5, 0, size, 0}, {}, {}, 1}, -EPROTO},
		{"argsz wraps a buffer",
		 {{UINT32_MAX, with_caps, 0, 32, size, 0}, {sparse(1)}, {{0, page}}, 1},
		 -EPROTO},
		{"argsz over the limit",
		 {{65537, with_caps, 0, 32, size, 0}, {sparse(1)}, {{0, page}}, 1},
		 -EPROTO},
		{"end in the file wraps",
		 {{32, mappable, 0, 0, size, UINT64_MAX - page}, {}, {}, 1},
		 -EPROTO},
		{"capability behind the end",
		 {{64, with_caps, 0, 64, size, 0}, {sparse(1)}, {{0, page}}, 1},
		 -EPROTO},
		{"capability offset wraps",
		 {{64, with_caps, 0, UINT32_MAX - 3, size, 0}, {sparse(1)}, {{0, page}}, 1},
		 -EPROTO},
		{"capability in the structure",
		 {{64, with_caps, 0, 8, size, 0}, {sparse(1)}, {{0, page}}, 1},
		 -EPROTO},
		{"capability points to itself",
		 {{64, with_caps, 0, 32, size, 0}, {sparse(1, 32)}, {{0, page}}, 1},
		 -EPROTO},
		{"capabilities loop",
		 {{80, with_caps, 0, 32, size, 0}, {sparse(0, 48, 9), sparse(0, 32, 9)}, {}, 1},
		 -EPROTO},
		{"next capability wraps",
		 {{64, with_caps, 0, 32, size, 0}, {sparse(1, UINT32_MAX)}, {{0, page}}, 1},
		 -EPROTO},
		{"more areas than sent",
		 {{64, with_caps, 0, 32, size, 0}, {sparse(2)}, {{0, page}}, 1},
		 -EPROTO},
		{"area count wraps",
		 {{64, with_caps, 0, 32, size, 0}, {sparse(0x10000001)}, {{0, page}}, 1},
		 -EPROTO},
		{"17 areas",
		 {{320, with_caps, 0, 32, size, 0},
		  {sparse(17)},
		  std::vector<wire::sparse_area>(17, {0, page}),
		  1},
		 -EPROTO},
		{"area behind the region",
		 {{64, with_caps, 0, 32, size, 0}, {sparse(1)}, {{size, page}}, 1},
		 -EPROTO},
		{"area wraps",
		 {{64, with_caps, 0, 32, size, 0},
		  {sparse(1)},
		  {{UINT64_MAX - page + 1, 2 * page}},
		  1},
		 -EPROTO},
		{"2 descriptors for 1 area",
		 {{64, with_caps, 0, 32, size, 0}, {sparse(1)}, {{0, page}}, 2},
		 -EPROTO},
		{"17 descriptors", {{32, mappable, 0, 0, size, 0}, {}, {}, 17}, -EPROTO},
		{"16 areas, unknown capability first",
		 {{304, with_caps, 0, 32, size, 0},
		  {sparse(0, 48, 9), sparse(16)},
		  std::vector<wire::sparse_area>(16, {0, page}),
		  16},
		 0},
	};
	for (auto &row : rows) {
		test_client c;
		hostile_server server([&](raw_peer &p) {
			p.handshake();
			std::vector<int> fds(static_cast<size_t>(row.reply.nb_fds), file.get());
			std::vector<std::byte> bytes = row.reply.bytes();
			/* The first question leaves no room for capabilities. */
			if (row.reply.info.argsz > 32)
				p.answer(guard::bytes(bytes).first(32));
			if (row.reply.info.argsz <= 65536)
				p.answer(bytes, fds);
			p.linger();
		});
		rte_vfio_user_client_region region;
		CHECK_EQ(c.attach(server.path), 0);
		int error = rte_vfio_user_client_region_info_get(c.handle, 0, &region);
		CHECK(error == row.error, "%s: %d", row.name, error);
		CHECK(wait_until([&] { return c.calls == (row.error == 0 ? 0 : 1); }), "%s",
		      row.name);
	}
	return success;
}

outcome
what_cannot_be_mapped_is_not()
{
	guard::unique_fd file = make_file(4 * page), dead_end(::eventfd(0, EFD_CLOEXEC));
	guard::unique_fd read_only(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	struct {
		const char *name;
		wire::region_info info;
		int fd;
		int error;
	} rows[] = {
		{"good", {32, mappable, 0, 0, 2 * page, 2 * page}, file.get(), 0},
		{"no descriptor", {32, mappable, 0, 0, page, 0}, -1, -ENOTSUP},
		{"not a file", {32, mappable, 0, 0, page, 0}, dead_end.get(), -ENODEV},
		{"file too short", {32, mappable, 0, 0, 2 * page, 3 * page}, file.get(), -EINVAL},
		{"behind the file", {32, mappable, 0, 0, page, 1ull << 62}, file.get(), -EINVAL},
		{"of 8 EiB", {32, mappable, 0, 0, 1ull << 63, 0}, file.get(), -EINVAL},
		{"unaligned offset", {32, mappable, 0, 0, page, 8}, file.get(), -EINVAL},
		{"unaligned size", {32, mappable, 0, 0, 100, 0}, file.get(), -EINVAL},
		{"empty", {32, mappable, 0, 0, 0, 0}, file.get(), -EINVAL},
		{"read-only file", {32, mappable, 0, 0, page, 0}, read_only.get(), -EACCES},
		{"a descriptor for no mapping", {32, 1, 0, 0, page, 0}, file.get(), -EINVAL},
	};
	for (auto &row : rows) {
		test_client c;
		hostile_server server([&](raw_peer &p) {
			p.handshake();
			p.answer(guard::as_bytes(row.info),
				 std::span(&row.fd, row.fd >= 0 ? 1 : 0));
			p.linger();
		});
		void *addr;
		CHECK_EQ(c.attach(server.path), 0);
		int error = rte_vfio_user_client_region_map(c.handle, 0, 0, &addr);
		CHECK(error == row.error, "%s: %d", row.name, error);
		CHECK(c.calls == 0, "%s", row.name);
	}
	return success;
}

outcome
bad_replies_end_the_connection()
{
	using peer = raw_peer &;
	constexpr wire::region_access access = {0, 1, 4};
	struct access_and_data {
		wire::region_access access;
		uint32_t data[2];
	};
	auto data = [](uint32_t count) { return access_and_data{{0, 1, count}, {1, 2}}; };
	int file = 0; /* any descriptor */
	struct {
		const char *name;
		int error;
		std::function<void(peer, const wire::header &)> reply;
	} rows[] = {
		{"shorter than its structure", -EPROTO,
		 [](peer p, const wire::header &h) { p.reply(h, guard::as_bytes(uint64_t{0})); }},
		{"without data", -EPROTO,
		 [=](peer p, const wire::header &h) { p.reply(h, guard::as_bytes(access)); }},
		{"with less data", -EPROTO,
		 [=](peer p, const wire::header &h) {
			 p.reply(h, guard::as_bytes(data(4)).first(18));
		 }},
		{"with more data", -EPROTO,
		 [=](peer p, const wire::header &h) { p.reply(h, guard::as_bytes(data(4))); }},
		{"with a larger count", -EPROTO,
		 [=](peer p, const wire::header &h) { p.reply(h, guard::as_bytes(data(8))); }},
		{"with a huge count", -EPROTO,
		 [=](peer p, const wire::header &h) {
			 p.reply(h, guard::as_bytes(data(UINT32_MAX)).first(20));
		 }},
		{"with a descriptor", -EPROTO,
		 [=](peer p, const wire::header &h) {
			 p.reply(h, guard::as_bytes(data(4)).first(20), std::span(&file, 1));
		 }},
		{"with another id", -EPROTO,
		 [=](peer p, wire::header h) {
			 h.id += 7;
			 p.reply(h, guard::as_bytes(data(4)).first(20));
		 }},
		{"of another command", -EPROTO,
		 [=](peer p, wire::header h) {
			 h.command = 10;
			 p.reply(h, guard::as_bytes(access));
		 }},
		{"of no command", -EPROTO,
		 [=](peer p, wire::header h) {
			 h.command = 999;
			 p.reply(h, {});
		 }},
		{"error with an impossible number", -EIO,
		 [](peer p, const wire::header &h) { p.reply(h, {}, {}, 1u << 31); }},
		{"error with a payload", -EBUSY,
		 [=](peer p, const wire::header &h) {
			 p.reply(h, guard::as_bytes(access), {}, EBUSY);
		 }},
		{"twice", 0,
		 [=](peer p, const wire::header &h) {
			 p.reply(h, guard::as_bytes(data(4)).first(20));
			 p.reply(h, guard::as_bytes(data(4)).first(20));
		 }},
		{"never, since it dies", -ENOTCONN,
		 [](peer p, const wire::header &) { ::shutdown(p.fd(), SHUT_RDWR); }},
		{"half, and it dies", -ENOTCONN,
		 [](peer p, wire::header h) {
			 h.flags = 1;
			 h.size = 36;
			 p.send_bytes(guard::as_bytes(h).first(9));
			 ::shutdown(p.fd(), SHUT_RDWR);
		 }},
	};
	for (auto &row : rows) {
		test_client c;
		hostile_server server([&](raw_peer &p) {
			raw_message m;
			p.handshake();
			if (p.receive(m))
				row.reply(p, m.header);
			p.linger();
		});
		uint32_t value;
		bool goes_on = row.error == -EIO || row.error == -EBUSY;
		CHECK_EQ(c.attach(server.path), 0);
		int error = c.read(1, 0, &value, sizeof(value));
		CHECK(error == row.error, "%s: %d", row.name, error);
		CHECK(wait_until([&] { return c.calls == (goes_on ? 0 : 1); }), "%s", row.name);
	}
	return success;
}

outcome
bad_interrupt_descriptions_are_refused()
{
	const wire::irq_info rows[] = {{16, 1, 2, 2049}, {16, 1, 2, UINT32_MAX}, {16, 1, 3, 1}};
	for (const wire::irq_info &row : rows) {
		test_client c;
		rte_vfio_user_irq irq;
		hostile_server server([&](raw_peer &p) {
			p.handshake();
			p.answer(guard::as_bytes(row));
			p.linger();
		});
		CHECK_EQ(c.attach(server.path), 0);
		CHECK_EQ(rte_vfio_user_client_irq_info_get(c.handle, 2, &irq), -EPROTO);
	}
	return success;
}

outcome
silence_ends_in_a_timeout()
{
	test_client c;
	hostile_server server([](raw_peer &p) {
		p.handshake();
		p.linger();
	});
	c.timeout_ms = 100;
	uint32_t value, other;
	int other_error = 0;
	CHECK_EQ(c.attach(server.path), 0);
	/* The second asks later, and is sent home with the first. */
	std::thread second([&] {
		::usleep(50000);
		other_error = c.read(1, 0, &other, sizeof(other));
	});
	int error = c.read(1, 0, &value, sizeof(value));
	second.join();
	CHECK_EQ(error, -ETIMEDOUT);
	CHECK_EQ(other_error, -ENOTCONN);
	CHECK(wait_until([&] { return c.calls == 1; }));
	CHECK_EQ(c.error, -ETIMEDOUT);
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), -ENOTCONN);
	return success;
}

outcome
waiting_can_be_cancelled()
{
	test_client c;
	hostile_server server([](raw_peer &p) {
		p.handshake();
		p.linger();
	});
	std::atomic<int> cancelled{0};
	std::vector<std::thread> threads;
	c.timeout_ms = 60000;
	CHECK_EQ(c.attach(server.path), 0);
	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			uint32_t value;
			cancelled += c.read(1, 0, &value, sizeof(value)) == -ECANCELED;
		});
	bool all_out = wait_until([&] { return c.stats().requests == 6; });
	rte_vfio_user_client_cancel(c.handle);
	for (std::thread &t : threads)
		t.join();
	CHECK(all_out);
	CHECK_EQ(cancelled, 4);
	uint32_t value;
	CHECK_EQ(c.read(1, 0, &value, sizeof(value)), -ECANCELED);
	CHECK_EQ(c.calls, 0);
	return success;
}

outcome
a_server_that_does_not_read_blocks_nobody()
{
	std::atomic<bool> over{false};
	test_client c, good;
	hostile_server server([&](raw_peer &p) {
		p.handshake();
		wait_until([&] { return over.load(); });
	});
	std::vector<uint8_t> data(4 << 20);
	c.timeout_ms = 300;
	CHECK_EQ(c.attach(server.path), 0);
	std::atomic<int> failures{0};
	std::vector<std::thread> threads;
	for (int i = 0; i < 8; i++)
		threads.emplace_back([&] { failures += c.write(2, 0, data.data(), 4 << 20) < 0; });
	for (std::thread &t : threads)
		t.join();
	over = true;
	CHECK_EQ(failures, 8);
	return success;
}

/* The server asks for far more than it reads: the client stops taking its commands. */
outcome
a_flood_of_dma_is_bounded()
{
	constexpr int flood = 200000;
	test_client c;
	std::vector<uint8_t> memory(16 * page);
	std::atomic<bool> over{false};
	std::atomic<int> sent{0};
	hostile_server server([&](raw_peer &p) {
		p.handshake();
		p.answer({});
		struct {
			wire::header header;
			wire::dma_access access;
		} read = {{1, 11, 32, 0, 0}, {0, 65536}};
		for (int i = 0; i < flood && !over; i++) {
			if (::send(p.fd(), &read, sizeof(read), MSG_DONTWAIT | MSG_NOSIGNAL) ==
			    sizeof(read))
				sent++;
			else
				::usleep(10);
		}
		wait_until([&] { return over.load(); });
	});
	CHECK_EQ(c.attach(server.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, 16 * page, 3, -1, 0, memory.data()), 0);
	::usleep(300000);
	uint64_t served = c.stats().dma_reads;
	over = true;
	CHECK(served > 0 && served < 64, "%lu of %d", static_cast<unsigned long>(served),
	      sent.load());
	return success;
}

outcome
dma_outside_the_map_is_refused()
{
	struct ask {
		const char *name;
		uint16_t command;
		wire::dma_access access;
		uint32_t data; /* bytes that follow */
		uint32_t error;
	};
	static const ask rows[] = {
		{"read", 11, {page, 8}, 0, 0},
		{"write", 12, {page, 8}, 8, 0},
		{"last bytes", 11, {2 * page - 8, 8}, 0, 0},
		{"before the region", 11, {page - 1, 8}, 0, EFAULT},
		{"over the end", 11, {2 * page - 4, 8}, 0, EFAULT},
		{"nowhere", 12, {64 * page, 8}, 8, EFAULT},
		{"wraps", 11, {UINT64_MAX - 3, 8}, 0, EFAULT},
		{"wraps into a region", 12, {UINT64_MAX - page + 1, 3 * page}, 3 * page, EFAULT},
		{"no bytes", 11, {page, 0}, 0, EINVAL},
		{"64 KiB and one", 11, {page, 65537}, 0, EINVAL},
		{"16 EiB", 11, {page, UINT64_MAX}, 0, EINVAL},
		{"write with less data", 12, {page, 8}, 7, EINVAL},
		{"write with more data", 12, {page, 8}, 9, EINVAL},
		{"read with data", 11, {page, 8}, 8, EINVAL},
		{"write to read-only memory", 12, {4 * page, 8}, 8, EACCES},
		{"read of write-only memory", 11, {6 * page, 8}, 0, EACCES},
		{"memory with a file", 11, {8 * page, 8}, 0, EFAULT},
		{"a command for servers", 9, {page, 8}, 0, EOPNOTSUPP},
		{"no command", 4711, {page, 8}, 0, EOPNOTSUPP},
	};
	static const char *wrong;
	wrong = nullptr;
	std::atomic<bool> done{false};
	test_client c;
	std::vector<uint8_t> memory(16 * page, 0x77);
	guard::unique_fd file = make_file(page);
	hostile_server server([&](raw_peer &p) {
		p.handshake();
		for (int i = 0; i < 4; i++)
			p.answer({});
		for (const ask &row : rows) {
			guard::writer payload;
			payload.put(row.access).put_bytes(std::vector<std::byte>(row.data));
			raw_message m;
			p.send(99, static_cast<command>(row.command), payload.view());
			bool as_expected = p.receive(m) && m.header.id == 99 &&
					   m.header.error == row.error &&
					   m.header.command == row.command;
			if (!as_expected && wrong == nullptr)
				wrong = row.name;
		}
		/* No reply wanted; then half a structure, and a descriptor too many. */
		raw_message m;
		p.send(1, command::dma_read, guard::as_bytes(rows[0].access), -1, 0x10);
		p.send(2, command::dma_read, guard::as_bytes(uint64_t{page}));
		bool invalid = p.receive(m) && m.header.id == 2 && m.header.error == EINVAL;
		p.send(3, command::dma_read, guard::as_bytes(rows[0].access), file.get());
		invalid = invalid && p.receive(m) && m.header.id == 3 && m.header.error == EINVAL;
		if (!invalid && wrong == nullptr)
			wrong = "malformed";
		done = true;
		p.linger();
	});
	CHECK_EQ(c.attach(server.path), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, page, page, 3, -1, 0, memory.data()), 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 4 * page, page, RTE_DMA_READ, -1, 0,
					      &memory[page]),
		 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 6 * page, page, RTE_DMA_WRITE, -1, 0,
					      &memory[2 * page]),
		 0);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 8 * page, page, 3, file.get(), 0, nullptr),
		 0);
	CHECK(wait_until([&] { return done.load(); }));
	CHECK(wrong == nullptr, "%s", wrong);
	CHECK_EQ(c.stats().dma_writes, 1);
	CHECK_EQ(c.stats().refused, 18);
	CHECK_EQ(memory[7], 0);
	CHECK_EQ(memory[8], 0x77);
	CHECK_EQ(memory[page], 0x77);
	return success;
}

outcome
a_reply_on_the_twin_socket_is_refused()
{
	int pair[2];
	CHECK_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	guard::unique_fd mine(pair[0]), theirs(pair[1]);
	test_client c;
	hostile_server server([&](raw_peer &p) {
		p.answer_version(
			R"({"capabilities":{"twin_socket":{"supported":true,"fd_index":0}}})", 0, 0,
			std::span(&pair[1], 1));
		p.answer(guard::as_bytes(wire::device_info{16, 0, 9, 5}));
		theirs.reset();
		raw_message m;
		if (p.receive(m)) {
			raw_peer twin(std::move(mine));
			twin.reply(m.header, guard::as_bytes(wire::region_access{0, 1, 4}));
			twin.linger();
		}
		p.linger();
	});
	uint32_t value = 0;
	CHECK_EQ(c.attach(server.path, RTE_VFIO_USER_CLIENT_TWIN_SOCKET), 0);
	CHECK_EQ(c.write(1, 0, &value, sizeof(value)), -EPROTO);
	return success;
}

outcome
no_descriptor_is_left()
{
	size_t before = count_fds();
	for (int i = 0; i < 3; i++) {
		regions_are_described_and_mapped();
		bad_version_replies_are_refused();
		bad_region_descriptions_are_refused();
	}
	CHECK_EQ(count_fds(), before);
	return success;
}

outcome
run()
{
	/* What the hostile server does is an error each time. */
	rte_log_set_level_pattern("lib.vfio_user", RTE_LOG_CRIT);
	static constexpr test_case cases[] = {
		{"attach refuses a bad description", attach_refuses_a_bad_description},
		{"attach says why nobody answers", attach_says_why_nobody_answers},
		{"attach waits for the socket", attach_waits_for_the_socket},
		{"attach can be cancelled", attach_can_be_cancelled},
		{"attach tells what was negotiated", attach_tells_what_was_negotiated},
		{"regions are described and mapped", regions_are_described_and_mapped},
		{"a BAR is mapped whole on request", a_bar_is_mapped_whole_on_request},
		{"registers are read and written", registers_are_read_and_written},
		{"many writes go by one message", many_writes_go_by_one_message},
		{"the device reaches memory with a file", the_device_reaches_memory_with_a_file},
		{"the device reaches memory by messages", the_device_reaches_memory_by_messages},
		{"the device reaches memory by the twin socket",
		 the_device_reaches_memory_by_the_twin_socket},
		{"interrupts arrive", interrupts_arrive},
		{"threads share a connection", threads_share_a_connection},
		{"the end of the server is reported", the_end_of_the_server_is_reported},
		{"a truncated BAR is survived", a_truncated_bar_is_survived},
		{"bad version replies are refused", bad_version_replies_are_refused},
		{"bad region descriptions are refused", bad_region_descriptions_are_refused},
		{"what cannot be mapped is not", what_cannot_be_mapped_is_not},
		{"bad replies end the connection", bad_replies_end_the_connection},
		{"bad interrupt descriptions are refused", bad_interrupt_descriptions_are_refused},
		{"silence ends in a time-out", silence_ends_in_a_timeout},
		{"waiting can be cancelled", waiting_can_be_cancelled},
		{"a server that does not read blocks nobody",
		 a_server_that_does_not_read_blocks_nobody},
		{"a flood of DMA is bounded", a_flood_of_dma_is_bounded},
		{"DMA outside the map is refused", dma_outside_the_map_is_refused},
		{"a reply on the twin socket is refused", a_reply_on_the_twin_socket_is_refused},
		{"no descriptor is left", no_descriptor_is_left},
	};
	outcome o = run_cases("vfio_user_client", cases);
	rte_log_set_level_pattern("lib.vfio_user", RTE_LOG_NOTICE);
	return o;
}

} // namespace

REGISTER_TEST(vfio_user_client_autotest, run)
