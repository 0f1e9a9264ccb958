/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>
#include <cstdlib>
#include <dirent.h>
#include <linux/vfio.h>
#include <memory>
#include <thread>

#include "raw_client.hpp"
#include "rte_vfio_user.h"
#include "test.hpp"

/*
 * The server side of librte_vfio_user with a device made for the test: what a real device does not
 * reach (INTx masking, I/O descriptors, memory without a file, a memory file that is cut off). The
 * bytes of the protocol are tested from outside by test/protocol.
 */

using namespace test;
using command = wire::command;

static_assert(sizeof(wire::region_info) == sizeof(struct vfio_region_info));
static_assert(offsetof(wire::region_info, size) == offsetof(struct vfio_region_info, size));
static_assert(offsetof(wire::region_info, cap_offset) ==
	      offsetof(struct vfio_region_info, cap_offset));
static_assert(sizeof(wire::irq_info) == sizeof(struct vfio_irq_info));
static_assert(sizeof(wire::irq_set) == offsetof(struct vfio_irq_set, data));
static_assert(sizeof(wire::cap_header) == sizeof(struct vfio_info_cap_header));
static_assert(offsetof(wire::sparse_mmap, nr_areas) ==
	      offsetof(struct vfio_region_info_cap_sparse_mmap, nr_areas));
static_assert(sizeof(wire::sparse_area) == sizeof(struct vfio_region_sparse_mmap_area));
static_assert(wire::irq_set_flags::data_eventfd == VFIO_IRQ_SET_DATA_EVENTFD);
static_assert(wire::irq_set_flags::action_trigger == VFIO_IRQ_SET_ACTION_TRIGGER);
static_assert(wire::cap_sparse_mmap == VFIO_REGION_INFO_CAP_SPARSE_MMAP);
static_assert(RTE_VFIO_USER_IRQ_AUTOMASKED == VFIO_IRQ_INFO_AUTOMASKED);
static_assert(RTE_VFIO_USER_REGION_CAPS == VFIO_REGION_INFO_FLAG_CAPS);
static_assert(RTE_VFIO_USER_REGION_CONFIG == VFIO_PCI_CONFIG_REGION_INDEX);
static_assert(RTE_VFIO_USER_IRQ_REQ == VFIO_PCI_REQ_IRQ_INDEX);

constexpr uint64_t page = 4096;

static size_t
count_entries(const char *folder)
{
	size_t count = 0;
	DIR *dir = ::opendir(folder);
	while (dir != nullptr && ::readdir(dir) != nullptr)
		count++;
	if (dir != nullptr)
		::closedir(dir);
	return count;
}

/** A device with 64 bytes of registers in region 0, and a server for it. */
class test_device {
public:
	bool start()
	{
		static constexpr rte_vfio_user_server_ops ops = {
			.region_read = on_read,
			.region_write = on_write,
			.new_device = on_new,
			.destroy_device = on_destroy,
			.update_device = on_update,
			.reset_device = on_reset,
			.lock_data_path = on_lock,
			.poll = nullptr,
		};
		std::snprintf(path, sizeof(path), "/tmp/vfio_user_autotest.%d", ::getpid());
		io_event = *guard::make_eventfd();
		rte_vfio_user_io_fd io = {.offset = 8,
					  .size = 4,
					  .datamatch = 0,
					  .type = 0,
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
			 .io_fds = &io,
			 .nb_io_fds = 1},
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
		rte_vfio_user_server_conf conf = {.path = path,
						  .ops = &ops,
						  .ctx = this,
						  .flags = RTE_VFIO_USER_DEVICE_RESET,
						  .nb_regions = 2,
						  .regions = regions,
						  .nb_irqs = 3,
						  .irqs = irqs};
		return rte_vfio_user_server_register(&conf, &server) == 0 &&
		       rte_vfio_user_server_start(server) == 0;
	}
	~test_device()
	{
		if (server != nullptr)
			rte_vfio_user_server_unregister(server);
	}

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
		for (int i = 0; i < 5000 && finished < count; i++)
			::usleep(1000);
		return finished == count;
	}

	char path[64] = {};
	rte_vfio_user_server *server = nullptr;
	guard::unique_fd io_event;
	uint8_t registers[64] = {};
	int chained = 0;
	uint8_t chained_data[8] = {};
	std::atomic<int> attached{0}, resets{0}, locks{0}, locked{0}, updates{0}, finished{0},
		last_error{1};

private:
	static test_device *self(void *ctx) { return static_cast<test_device *>(ctx); }
	static int on_read(void *ctx, uint32_t region, uint64_t offset, void *data, uint32_t count)
	{
		if (region != 0)
			return -EIO;
		std::memcpy(data, self(ctx)->registers + offset, count);
		return 0;
	}
	static int on_write(void *ctx, uint32_t, uint64_t offset, const void *data, uint32_t count)
	{
		std::memcpy(self(ctx)->registers + offset, data, count);
		return 0;
	}
	static int on_new(void *ctx, const rte_vfio_user_session *)
	{
		self(ctx)->attached++;
		return 0;
	}
	static void on_destroy(void *ctx)
	{
		self(ctx)->attached--;
		/* The handle is good until the server is unregistered, and here too. */
		rte_vfio_user_server_set_poll(self(ctx)->server, 0);
	}
	static void on_update(void *ctx, uint32_t) { self(ctx)->updates++; }
	static int on_reset(void *ctx)
	{
		self(ctx)->resets++;
		return 0;
	}
	static void on_lock(void *ctx, int lock)
	{
		self(ctx)->locked += lock != 0 ? 1 : -1;
		self(ctx)->locks += lock;
	}
};

/** Memory to share, or to serve by messages. */
class test_memory {
public:
	explicit test_memory(size_t size, const char *name = "test")
	    : fd(::memfd_create(name, MFD_CLOEXEC))
	{
		if (::ftruncate(fd.get(), static_cast<off_t>(size)) == 0)
			if (auto m = guard::mapping::make(nullptr, size, PROT_READ | PROT_WRITE,
							  MAP_SHARED, fd.get(), 0))
				map = std::move(*m);
	}
	guard::unique_fd fd;
	guard::mapping map;
};

static uint32_t
map_dma(raw_client &c, uint64_t iova, uint64_t size, int fd, uint64_t offset = 0,
	uint32_t flags = 3)
{
	raw_message m;
	wire::dma_map request = {32, flags, offset, iova, size};
	if (!c.call(command::dma_map, guard::as_bytes(request), m, fd))
		return UINT32_MAX;
	return m.header.error;
}

static uint32_t
unmap_dma(raw_client &c, uint64_t iova, uint64_t size)
{
	raw_message m;
	wire::dma_unmap request = {24, 0, iova, size};
	if (!c.call(command::dma_unmap, guard::as_bytes(request), m))
		return UINT32_MAX;
	return m.header.error;
}

static uint32_t
set_irqs(raw_client &c, wire::irq_set request, int fd = -1)
{
	raw_message m;
	if (!c.call(command::device_set_irqs, guard::as_bytes(request), m, fd))
		return UINT32_MAX;
	return m.header.error;
}

static bool
signalled(const guard::unique_fd &event)
{
	eventfd_t value;
	return eventfd_read(event.get(), &value) == 0;
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

static outcome
bad_descriptions_are_refused()
{
	static constexpr rte_vfio_user_server_ops ops = {
		.region_read = [](void *, uint32_t, uint64_t, void *, uint32_t) { return 0; },
		.region_write = [](void *, uint32_t, uint64_t, const void *,
				   uint32_t) { return 0; },
	};
	rte_vfio_user_area unaligned = {100, 4096}, outside = {4096, 8192};
	rte_vfio_user_region region = {.size = 8192, .flags = RTE_VFIO_USER_REGION_MMAP, .fd = -1};
	rte_vfio_user_irq too_many = {2049, 0};
	rte_vfio_user_server_conf good = {.path = "/tmp/never",
					  .ops = &ops,
					  .nb_regions = 1,
					  .regions = &region},
				  conf;
	rte_vfio_user_server *server = nullptr;

	CHECK_EQ(rte_vfio_user_server_register(&good, &server),
		 -EINVAL); /* mappable without a file */
	region.flags = 0;
	region.areas = &unaligned;
	region.nb_areas = 1;
	CHECK_EQ(rte_vfio_user_server_register(&good, &server), -EINVAL);
	region.areas = &outside;
	CHECK_EQ(rte_vfio_user_server_register(&good, &server), -EINVAL);
	region.nb_areas = 0;
	conf = good;
	conf.path = "";
	CHECK_EQ(rte_vfio_user_server_register(&conf, &server), -EINVAL);
	std::string long_path(108, 'x');
	conf.path = long_path.c_str();
	CHECK_EQ(rte_vfio_user_server_register(&conf, &server), -ENAMETOOLONG);
	conf = good;
	conf.nb_irqs = 1;
	conf.irqs = &too_many;
	CHECK_EQ(rte_vfio_user_server_register(&conf, &server), -EINVAL);
	return success;
}

static outcome
a_path_is_served_once()
{
	test_device device, other;
	CHECK(device.start());
	CHECK(!other.start(), "same path twice in a process");
	CHECK_EQ(rte_vfio_user_server_start(device.server), -EALREADY);
	return success;
}

static outcome
a_stale_socket_is_replaced_and_a_file_is_not()
{
	test_device device;
	std::snprintf(device.path, sizeof(device.path), "/tmp/vfio_user_autotest.%d", ::getpid());
	raw_client none;
	{
		guard::unique_fd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
		sockaddr_un address = {};
		address.sun_family = AF_UNIX;
		std::string_view(device.path).copy(address.sun_path, sizeof(address.sun_path) - 1);
		CHECK_EQ(
			::bind(dead.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)),
			0);
	}
	CHECK(device.start(), "over a stale socket");
	CHECK(none.connect(device.path));
	rte_vfio_user_server_unregister(std::exchange(device.server, nullptr));

	guard::unique_fd file(::open(device.path, O_CREAT | O_RDWR, 0600));
	CHECK(!device.start(), "over a regular file");
	CHECK_EQ(::access(device.path, F_OK), 0);
	::unlink(device.path);
	return success;
}

static outcome
a_second_client_is_refused()
{
	session s;
	CHECK(s.start());
	raw_client second;
	CHECK(second.connect(s.device.path));
	CHECK(second.is_closed());
	CHECK_EQ(s.device.stats().refused, 1);
	return success;
}

static outcome
overlapping_memory_is_refused()
{
	session s;
	test_memory memory(16 * page);
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 4 * page, 4 * page, memory.fd.get()), 0);
	struct {
		uint64_t iova, size;
		uint32_t error;
	} rows[] = {
		{4 * page, 4 * page, EEXIST},
		{3 * page, 2 * page, EEXIST},
		{7 * page, 2 * page, EEXIST},
		{5 * page, page, EEXIST},
		{0, 16 * page, EEXIST},
		{8 * page, page, 0},
		{3 * page, page, 0},
		{0, 0, EINVAL},
		{page / 2, page, EINVAL},
		{0, page + 1, EINVAL},
		{UINT64_MAX - page + 1, 2 * page, EINVAL},
		{0, 17 * page, EEXIST},
		{32 * page, 17 * page, EINVAL},
	};
	for (auto &r : rows)
		CHECK(map_dma(s.client, r.iova, r.size, memory.fd.get()) == r.error, "row %zu",
		      &r - rows);
	CHECK_EQ(s.device.stats().dma_regions, 3);
	CHECK_EQ(s.device.stats().dma_files, 1);
	return success;
}

static outcome
unmap_takes_whole_regions_only()
{
	session s;
	test_memory memory(16 * page);
	CHECK(s.start());
	for (uint64_t i = 0; i < 4; i++)
		CHECK_EQ(map_dma(s.client, (4 + 2 * i) * page, 2 * page, memory.fd.get(),
				 i * 2 * page),
			 0);
	CHECK_EQ(unmap_dma(s.client, 5 * page, page), EINVAL);
	CHECK_EQ(unmap_dma(s.client, 4 * page, 3 * page), EINVAL);
	CHECK_EQ(unmap_dma(s.client, 4 * page, 0), EINVAL);
	CHECK_EQ(unmap_dma(s.client, 2 * page, UINT64_MAX), EINVAL);
	CHECK_EQ(unmap_dma(s.client, 100 * page, page), 0);
	CHECK_EQ(s.device.stats().dma_regions, 4);
	CHECK_EQ(s.device.locks, 0);
	CHECK_EQ(unmap_dma(s.client, 6 * page, 4 * page), 0);
	CHECK_EQ(s.device.stats().dma_regions, 2);
	CHECK_EQ(s.device.locks, 1);
	/* up to the very end of the address space */
	CHECK_EQ(unmap_dma(s.client, page, UINT64_MAX - page + 1), 0);
	CHECK_EQ(s.device.stats().dma_regions, 0);
	CHECK_EQ(s.device.stats().dma_files, 0);
	CHECK_EQ(s.device.locked, 0);
	return success;
}

static outcome
many_regions_share_one_mapping()
{
	session s;
	test_memory memory(512 * page);
	CHECK(s.start());
	/* backwards and scattered, as a virtual IOMMU hands them out */
	for (uint64_t i = 0; i < 512; i++)
		CHECK_EQ(map_dma(s.client, (1024 - i) * 2 * page, page, memory.fd.get(),
				 (i * 37 % 512) * page),
			 0);
	CHECK_EQ(s.device.stats().dma_regions, 512);
	CHECK_EQ(s.device.stats().dma_files, 1);
	memory.map.data()[37 * page + 5] = std::byte{0xa5};
	uint8_t got = 0;
	CHECK_EQ(s.device.access(true, (1024 - 1) * 2 * page + 5, &got, 1), 0);
	CHECK_EQ(got, 0xa5);
	return success;
}

static outcome
neighbouring_files_are_one_range()
{
	session s;
	test_memory low(4 * page, "low"), high(4 * page, "high");
	constexpr uint64_t base = 0x100000000;
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, base + 4 * page, 4 * page, high.fd.get()), 0);
	CHECK_EQ(map_dma(s.client, base, 4 * page, low.fd.get()), 0);
	const rte_dma_table *table =
		__atomic_load_n(rte_vfio_user_server_dma_table(s.device.server), __ATOMIC_ACQUIRE);
	rte_dma_cache cache = {};
	uint8_t *at = rte_dma_translate(table, &cache, base + page, 6 * page,
					RTE_DMA_READ | RTE_DMA_WRITE);
	CHECK(at != nullptr, "two files, one range");
	at[3 * page] = 0x77;
	CHECK(high.map.data()[0] == std::byte{0x77}, "the second file");
	return success;
}

static outcome
unsuitable_descriptors_are_refused()
{
	session s;
	int pipes[2];
	CHECK_EQ(::pipe2(pipes, O_CLOEXEC), 0);
	guard::unique_fd in(pipes[0]), out(pipes[1]), null(::open("/dev/null", O_RDWR));
	guard::unique_fd folder(::open("/tmp", O_RDONLY | O_DIRECTORY));
	test_memory memory(4 * page);
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, in.get()), ENODEV);
	CHECK_EQ(map_dma(s.client, 0, page, null.get()), ENODEV);
	CHECK_EQ(map_dma(s.client, 0, page, folder.get()), ENODEV);
	char name[64];
	std::snprintf(name, sizeof(name), "/proc/self/fd/%d", memory.fd.get());
	guard::unique_fd read_only(::open(name, O_RDONLY));
	CHECK_EQ(map_dma(s.client, 0, page, read_only.get()), EACCES);
	CHECK_EQ(map_dma(s.client, 0, page, read_only.get(), 0, RTE_DMA_READ), 0);
	uint8_t byte = 1;
	CHECK_EQ(s.device.access(false, 0, &byte, 1), -EACCES);
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, in.get()), EINVAL);
	return success;
}

static outcome
a_truncated_file_costs_the_client_its_connection()
{
	session s;
	test_memory memory(4 * page);
	uint8_t byte = 0xff;
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, 4 * page, memory.fd.get()), 0);
	CHECK_EQ(::ftruncate(memory.fd.get(), page), 0);
	CHECK_EQ(s.device.access(true, 2 * page, &byte, 1), 0);
	CHECK_EQ(byte, 0);
	CHECK(s.client.is_closed());
	CHECK_EQ(s.device.stats().memory_faults, 1);
	CHECK_EQ(s.device.attached, 0);
	raw_client next;
	raw_message m;
	CHECK(next.connect(s.device.path) && next.negotiate("", m), "the next client");
	return success;
}

/** Serves DMA messages from a block of memory at address 0 until the peer closes. */
static void
serve_dma(raw_client &channel, std::span<std::byte> memory, std::atomic<int> &served)
{
	raw_message m;
	while (channel.receive(m)) {
		auto access = m.as<wire::dma_access>();
		guard::writer reply;
		reply.put(access);
		auto *place = memory.data() + access.address;
		if (m.header.command == static_cast<uint16_t>(command::dma_read))
			reply.put_bytes({place, access.count});
		else
			std::memcpy(place, m.payload.data() + sizeof(access), access.count);
		served++;
		channel.send(m.header.id, static_cast<command>(m.header.command), reply.view(), -1,
			     wire::header_flags::type_reply);
	}
}

static outcome
check_message_dma(session &s, raw_client &channel)
{
	std::vector<std::byte> memory(64 * page);
	std::vector<uint8_t> out(10 * page), back(10 * page);
	std::atomic<int> served{0};

	for (size_t i = 0; i < out.size(); i++)
		out[i] = static_cast<uint8_t>(i * 7 + i / 256);
	CHECK_EQ(map_dma(s.client, 0, 64 * page, -1), 0);
	std::thread server_of_memory([&] { serve_dma(channel, memory, served); });
	int started =
		s.device.access(false, 3 * page + 1, out.data(), static_cast<uint32_t>(out.size()));
	bool written = s.device.wait_finished(1) && s.device.last_error == 0;
	int started2 = s.device.access(true, 3 * page + 1, back.data(),
				       static_cast<uint32_t>(back.size()));
	bool read = s.device.wait_finished(2) && s.device.last_error == 0;
	int outside =
		s.device.access(true, 60 * page, back.data(), static_cast<uint32_t>(back.size()));
	rte_vfio_user_server_disconnect(s.device.server);
	server_of_memory.join();

	CHECK_EQ(started, 0);
	CHECK_EQ(started2, 0);
	CHECK(written && read, "transfers: error %d", s.device.last_error.load());
	CHECK(out == back, "content");
	CHECK_EQ(outside, -EFAULT);
	/* 40960 bytes in messages of 10000 at most */
	CHECK_EQ(served, 10);
	return success;
}

static outcome
memory_without_a_file_is_reached_by_messages()
{
	session s;
	CHECK(s.start("{\"capabilities\":{\"max_data_xfer_size\":10000}}"));
	return check_message_dma(s, s.client);
}

static outcome
memory_without_a_file_is_reached_over_the_twin_socket()
{
	session s;
	CHECK(s.start("{\"capabilities\":{\"max_data_xfer_size\":10000,\"max_msg_fds\":4,"
		      "\"twin_socket\":{\"supported\":true}}}"));
	CHECK_EQ(s.version.fds.size(), 1);
	raw_client twin(std::move(s.version.fds[0]));
	return check_message_dma(s, twin);
}

static outcome
a_client_that_dies_ends_its_transfers()
{
	session s;
	uint8_t data[16];
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), 0);
	CHECK_EQ(s.device.access(true, 8, data, sizeof(data)), 0);
	s.client.close();
	CHECK(s.device.wait_finished(2));
	CHECK_EQ(s.device.last_error, -ENOTCONN);
	return success;
}

static outcome
a_completion_may_start_the_next_transfer()
{
	session s;
	std::vector<std::byte> memory(page);
	std::atomic<int> served{0};
	uint8_t data[8];
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	s.device.chained = 5;
	std::thread server_of_memory([&] { serve_dma(s.client, memory, served); });
	int started = s.device.access(true, 0, data, sizeof(data));
	bool done = s.device.wait_finished(6);
	rte_vfio_user_server_disconnect(s.device.server);
	server_of_memory.join();
	CHECK_EQ(started, 0);
	CHECK(done && s.device.last_error == 0, "error %d", s.device.last_error.load());
	CHECK_EQ(served, 6);
	return success;
}

static outcome
a_wrong_dma_reply_is_an_error()
{
	session s;
	raw_message m;
	uint8_t data[16];
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	CHECK_EQ(s.device.access(true, 0, data, sizeof(data)), 0);
	CHECK(s.client.receive(m));
	CHECK_EQ(m.header.command, static_cast<uint16_t>(command::dma_read));
	/* shorter than asked for */
	wire::dma_access lie = {0, 16};
	CHECK(s.client.send(m.header.id, command::dma_read, guard::as_bytes(lie), -1, 1));
	CHECK(s.device.wait_finished(1));
	CHECK_EQ(s.device.last_error, -EPROTO);
	/* a reply to nothing at all */
	CHECK(s.client.send(7, command::dma_read, guard::as_bytes(lie), -1, 1));
	CHECK(s.client.is_closed());
	return success;
}

static outcome
interrupts_mask_and_keep_one_event()
{
	session s;
	guard::unique_fd event = *guard::make_eventfd();
	CHECK(s.start());
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 0), -ENOTCONN);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 1), -EINVAL);
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 0, 0, 1}, event.get()), 0);
	CHECK_EQ(rte_vfio_user_server_irq_wired(s.device.server, 0, 0), 1);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 0), 1);
	CHECK(signalled(event), "first");
	/* INTx masks itself */
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 0), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 0, 0), 0);
	CHECK(!signalled(event), "while masked");
	CHECK_EQ(set_irqs(s.client, {20, 0x11, 0, 0, 1}), 0);
	CHECK(signalled(event), "at the unmask");
	CHECK_EQ(set_irqs(s.client, {20, 0x11, 0, 0, 1}), 0);
	CHECK(!signalled(event), "kept one event, not two");
	return success;
}

static outcome
bad_interrupt_requests_change_nothing()
{
	session s;
	guard::unique_fd event = *guard::make_eventfd();
	CHECK(s.start());
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 1, 1}, event.get()), 0);
	struct {
		wire::irq_set request;
		int fd;
	} rows[] = {
		{{20, 0x24, 3, 0, 1}, -1},          {{20, 0x24, 2, 4, 1}, -1},
		{{20, 0x24, 2, 0, 5}, -1},          {{20, 0x24, 2, UINT32_MAX, 2}, -1},
		{{20, 0x21, 2, 1, 0}, -1},          {{20, 0x24, 2, 0, 0}, -1},
		{{20, 0x20, 2, 0, 1}, -1},          {{20, 0x01, 2, 0, 1}, -1},
		{{20, 0x23, 2, 0, 1}, -1},          {{20, 0x31, 2, 0, 1}, -1},
		{{20, 0x64, 2, 0, 1}, -1},          {{20, 0x09, 2, 0, 1}, -1},
		{{19, 0x21, 2, 0, 1}, -1},          {{20, 0x22, 2, 0, 1}, -1},
		{{20, 0x21, 2, 0, 1}, event.get()}, {{20, 0x24, 2, 0, 2}, event.get()},
		{{20, 0x24, 1, 0, 1}, -1},
	};
	for (auto &r : rows)
		CHECK(set_irqs(s.client, r.request, r.fd) == EINVAL, "row %zu", &r - rows);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 1), 1);
	CHECK(signalled(event));
	/* all off */
	CHECK_EQ(set_irqs(s.client, {20, 0x21, 2, 0, 0}), 0);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(s.device.server, 2, 1), -ENOTCONN);
	return success;
}

static outcome
io_descriptors_are_handed_out()
{
	session s;
	raw_message m;
	wire::region_io_fds ask = {16, 0, 0, 0};
	CHECK(s.start());
	CHECK(s.client.call(command::device_get_region_io_fds, guard::as_bytes(ask), m));
	CHECK_EQ(m.as<wire::region_io_fds>().argsz, 56);
	CHECK_EQ(m.payload.size(), 16);
	CHECK(m.fds.empty());
	ask.argsz = 56;
	CHECK(s.client.call(command::device_get_region_io_fds, guard::as_bytes(ask), m));
	CHECK_EQ(m.payload.size(), 56);
	CHECK_EQ(m.fds.size(), 1);
	eventfd_write(m.fds[0].get(), 1);
	CHECK(signalled(s.device.io_event), "the descriptor is the device's");
	return success;
}

static outcome
region_rights_are_kept()
{
	session s;
	raw_message m;
	CHECK(s.start());
	guard::writer write;
	write.put(wire::region_access{0, 1, 4}).put(uint32_t{1});
	CHECK(s.client.call(command::region_write, write.view(), m));
	CHECK_EQ(m.header.error, EPERM);
	wire::region_access read = {0, 1, 4};
	CHECK(s.client.call(command::region_read, guard::as_bytes(read), m));
	CHECK_EQ(m.header.error, EIO); /* what the device answered */
	CHECK_EQ(m.payload.size(), 0);
	return success;
}

static outcome
nothing_is_left_behind()
{
	size_t before = count_entries("/proc/self/fd");
	for (int i = 0; i < 20; i++) {
		session s;
		test_memory memory(4 * page);
		guard::unique_fd event = *guard::make_eventfd();
		CHECK(s.start("{\"capabilities\":{\"max_msg_fds\":4,\"twin_socket\":{\"supported\":"
			      "true}}}"));
		CHECK_EQ(map_dma(s.client, 0, 4 * page, memory.fd.get()), 0);
		CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 1, 1}, event.get()), 0);
		CHECK_EQ(s.device.attached, 1);
		if (i % 2 == 0) {
			s.client.close();
			for (int t = 0; t < 5000 && s.device.attached != 0; t++)
				::usleep(1000);
			CHECK_EQ(s.device.attached, 0);
		}
	}
	CHECK_EQ(count_entries("/proc/self/fd"), before);
	return success;
}

static outcome
vfio_user_autotest()
{
	return run_cases(
		"vfio_user",
		{
			{"bad descriptions are refused", bad_descriptions_are_refused},
			{"a path is served once", a_path_is_served_once},
			{"a stale socket is replaced and a file is not",
			 a_stale_socket_is_replaced_and_a_file_is_not},
			{"a second client is refused", a_second_client_is_refused},
			{"overlapping memory is refused", overlapping_memory_is_refused},
			{"unmap takes whole regions only", unmap_takes_whole_regions_only},
			{"many regions share one mapping", many_regions_share_one_mapping},
			{"neighbouring files are one range", neighbouring_files_are_one_range},
			{"unsuitable descriptors are refused", unsuitable_descriptors_are_refused},
			{"a truncated file costs the client its connection",
			 a_truncated_file_costs_the_client_its_connection},
			{"memory without a file is reached by messages",
			 memory_without_a_file_is_reached_by_messages},
			{"memory without a file is reached over the twin socket",
			 memory_without_a_file_is_reached_over_the_twin_socket},
			{"a client that dies ends its transfers",
			 a_client_that_dies_ends_its_transfers},
			{"a completion may start the next transfer",
			 a_completion_may_start_the_next_transfer},
			{"a wrong DMA reply is an error", a_wrong_dma_reply_is_an_error},
			{"interrupts mask and keep one event", interrupts_mask_and_keep_one_event},
			{"bad interrupt requests change nothing",
			 bad_interrupt_requests_change_nothing},
			{"I/O descriptors are handed out", io_descriptors_are_handed_out},
			{"region rights are kept", region_rights_are_kept},
			{"nothing is left behind", nothing_is_left_behind},
		});
}

REGISTER_TEST(vfio_user_autotest, vfio_user_autotest);
