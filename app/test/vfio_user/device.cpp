/* SPDX-License-Identifier: BSD-3-Clause */
#include <linux/vfio.h>
#include <algorithm>
#include <grp.h>
#include <memory>
#include <span>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include "fixture.hpp"

/* What a server accepts, and what of its device a client sees. */

using namespace test;
using namespace test::server_suite;

namespace {

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

outcome
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
	rte_vfio_user_io_fd no_event = {};
	rte_vfio_user_socket_rights sticky = {01777, RTE_VFIO_USER_KEEP, RTE_VFIO_USER_KEEP};
	rte_vfio_user_server_conf good, conf;
	rte_vfio_user_server *server = nullptr;

	rte_vfio_user_server_conf_init(&good);
	good.path = "/tmp/never";
	good.ops = &ops;
	good.nb_regions = 1;
	good.regions = &region;
	CHECK_EQ(rte_vfio_user_server_register(&good, &server),
		 -EINVAL); /* mappable without a file */
	region.fd = 0;     /* as in a structure that was only set to zeroes */
	CHECK_EQ(rte_vfio_user_server_register(&good, &server), -EINVAL);
	region.flags = 0;
	region.io_fds = &no_event;
	region.nb_io_fds = 1;
	CHECK_EQ(rte_vfio_user_server_register(&good, &server), -EINVAL);
	region.nb_io_fds = 0;
	conf = good;
	conf.rights = &sticky;
	CHECK_EQ(rte_vfio_user_server_register(&conf, &server), -EINVAL);
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

constexpr rte_vfio_user_server_ops plain_ops = {
	.region_read = [](void *, uint32_t, uint64_t, void *, uint32_t) { return 0; },
	.region_write = [](void *, uint32_t, uint64_t, const void *, uint32_t) { return 0; },
};

/** What registering says, with nothing left behind. */
int
try_to_register(const rte_vfio_user_server_conf &conf)
{
	rte_vfio_user_server *server = nullptr;
	int error = rte_vfio_user_server_register(&conf, &server);

	if (error == 0)
		rte_vfio_user_server_unregister(server);
	return error;
}

outcome
a_description_has_sizes()
{
	using sizes = rte_vfio_user_sizes;
	constexpr uint32_t sizes::*members[] = {&sizes::conf,  &sizes::ops,   &sizes::region,
						&sizes::area,  &sizes::io_fd, &sizes::irq,
						&sizes::rights};
	rte_vfio_user_area area = {0, 4096};
	rte_vfio_user_io_fd io = {.offset = 0, .size = 4, .datamatch = 0, .fd = 1};
	rte_vfio_user_region region = {.size = 4096,
				       .fd = -1,
				       .areas = &area,
				       .nb_areas = 1,
				       .io_fds = &io,
				       .nb_io_fds = 1};
	rte_vfio_user_irq irq = {1, 0};
	rte_vfio_user_socket_rights rights = {0600, RTE_VFIO_USER_KEEP, RTE_VFIO_USER_KEEP};
	rte_vfio_user_server_conf conf;

	static_assert(sizeof(sizes) == std::size(members) * sizeof(uint32_t));
	rte_vfio_user_server_conf_init(&conf);
	conf.path = "/tmp/never";
	conf.ops = &plain_ops;
	conf.nb_regions = 1;
	conf.regions = &region;
	conf.nb_irqs = 1;
	conf.irqs = &irq;
	conf.rights = &rights;
	CHECK_EQ(try_to_register(conf), 0);
	for (uint32_t sizes::*member : members) {
		for (uint32_t bad : {0u, conf.sizes.*member - 1}) {
			rte_vfio_user_server_conf wrong = conf;
			wrong.sizes.*member = bad;
			CHECK_EQ(try_to_register(wrong), -EINVAL);
		}
	}
	return success;
}

/* An application of a later version, with members that this one does not have. */
outcome
a_later_description_must_not_use_what_is_unknown()
{
	struct later_irq {
		rte_vfio_user_irq known;
		uint64_t added;
	} irqs[2] = {{{1, RTE_VFIO_USER_IRQ_EVENTFD}, 0}, {{4, RTE_VFIO_USER_IRQ_EVENTFD}, 0}};
	struct later_ops {
		rte_vfio_user_server_ops known;
		void (*added)(void *ctx);
	} ops = {plain_ops, nullptr};
	rte_vfio_user_server *server = nullptr;
	rte_vfio_user_server_conf conf;

	rte_vfio_user_server_conf_init(&conf);
	conf.sizes.irq = sizeof(later_irq);
	conf.sizes.ops = sizeof(later_ops);
	conf.path = "/tmp/never";
	conf.ops = &ops.known;
	conf.nb_irqs = 2;
	conf.irqs = &irqs[0].known;
	CHECK_EQ(rte_vfio_user_server_register(&conf, &server), 0);
	/* The second type was found behind the longer first one. */
	CHECK_EQ(rte_vfio_user_server_irq_trigger(server, 1, 3), -ENOTCONN);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(server, 1, 4), -EINVAL);
	rte_vfio_user_server_unregister(server);
	irqs[1].added = 1;
	CHECK_EQ(try_to_register(conf), -EINVAL);
	irqs[1].added = 0;
	ops.added = [](void *) {};
	CHECK_EQ(try_to_register(conf), -EINVAL);
	return success;
}

outcome
counts_without_arrays_are_refused()
{
	rte_vfio_user_region region = {.size = 4096, .fd = -1};
	rte_vfio_user_server_conf good, conf;

	rte_vfio_user_server_conf_init(&good);
	good.path = "/tmp/never";
	good.ops = &plain_ops;
	CHECK_EQ(try_to_register(good), 0);
	conf = good;
	conf.ops = nullptr;
	CHECK_EQ(try_to_register(conf), -EINVAL);
	for (uint32_t count : {1u, 17u, UINT32_MAX}) {
		conf = good;
		conf.nb_regions = count;
		CHECK_EQ(try_to_register(conf), -EINVAL);
		conf = good;
		conf.nb_irqs = count;
		CHECK_EQ(try_to_register(conf), -EINVAL);
		conf = good;
		conf.nb_regions = 1;
		conf.regions = &region;
		region.nb_areas = count;
		CHECK_EQ(try_to_register(conf), -EINVAL);
		region.nb_areas = 0;
		region.nb_io_fds = count;
		CHECK_EQ(try_to_register(conf), -EINVAL);
		region.nb_io_fds = 0;
	}
	return success;
}

outcome
no_server_is_an_error()
{
	auto done = [](void *, int) {};
	rte_vfio_user_server_stats stats;
	rte_vfio_user_server_conf conf;
	char byte = 0;

	rte_vfio_user_server_conf_init(&conf);
	CHECK_EQ(rte_vfio_user_server_register(&conf, nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_start(nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_unregister(nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_disconnect(nullptr), -EINVAL);
	CHECK(rte_vfio_user_server_dma_table(nullptr) == nullptr);
	CHECK_EQ(rte_vfio_user_server_irq_trigger(nullptr, 0, 0), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_irq_wired(nullptr, 0, 0), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_dma_read(nullptr, 0, &byte, 1, done, nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_dma_write(nullptr, 0, &byte, 1, done, nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_set_poll(nullptr, 0), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_has_turn(nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_defer(nullptr), -EINVAL);
	CHECK_EQ(rte_vfio_user_server_stats_get(nullptr, &stats), -EINVAL);
	CHECK_EQ(rte_vfio_user_control_call(nullptr, nullptr), -EINVAL);
	return success;
}

outcome
calls_on_the_wrong_thread_are_refused()
{
	auto done = [](void *, int) {};
	session s;
	char byte = 0;

	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	rte_vfio_user_server *server = s.device.server;
	CHECK_EQ(rte_vfio_user_server_dma_read(server, 0, &byte, 1, done, nullptr), -EPERM);
	CHECK_EQ(rte_vfio_user_server_dma_write(server, 0, &byte, 1, done, nullptr), -EPERM);
	CHECK_EQ(rte_vfio_user_server_has_turn(server), -EPERM);
	CHECK_EQ(rte_vfio_user_server_defer(server), -EPERM);
	auto unregister = [](void *of) {
		return rte_vfio_user_server_unregister(static_cast<rte_vfio_user_server *>(of));
	};
	CHECK_EQ(rte_vfio_user_control_call(unregister, server), -EDEADLK);
	CHECK_EQ(s.device.access(true, 0, nullptr, 1), -EINVAL);
	CHECK_EQ(s.device.works, 0);
	CHECK_EQ(s.device.attached, 1);
	return success;
}

outcome
a_path_is_served_once()
{
	test_device device, other;
	CHECK(device.start());
	CHECK(!other.start(), "same path twice in a process");
	CHECK_EQ(rte_vfio_user_server_start(device.server), -EALREADY);
	return success;
}

outcome
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

/** The umask of the process, for a while. */
class with_umask {
public:
	explicit with_umask(mode_t mask) : before_(::umask(mask)) {}
	~with_umask() { ::umask(before_); }

private:
	mode_t before_;
};

outcome
a_socket_has_the_rights_that_are_asked_for()
{
	constexpr uint32_t keep = RTE_VFIO_USER_KEEP;
	static constexpr struct {
		rte_vfio_user_socket_rights rights;
		mode_t umask, mode;
		uid_t owner;
		gid_t group;
	} rows[] = {
		{{keep, keep, keep}, 022, 0755, 0, 0},
		{{0660, keep, keep}, 022, 0660, 0, 0},
		{{0777, keep, keep}, 0777, 0777, 0, 0},
		{{0, keep, keep}, 0, 0, 0, 0},
		{{0600, 12345, keep}, 0, 0600, 12345, 0},
		{{0060, keep, 23456}, 0, 0060, 0, 23456},
		{{keep, 12345, 23456}, 077, 0700, 12345, 23456},
	};

	if (::geteuid() != 0)
		return skipped;
	for (const auto &row : rows) {
		test_device device;
		with_umask mask(row.umask);
		struct stat st;

		device.rights = &row.rights;
		CHECK(device.start());
		CHECK_EQ(::stat(device.path, &st), 0);
		CHECK_EQ(st.st_mode & 07777, row.mode);
		CHECK_EQ(st.st_uid, row.owner);
		CHECK_EQ(st.st_gid, row.group);
	}
	return success;
}

/** What connect(2) says to another user: 0 or an errno. */
int
connect_as(uid_t user, const char *path)
{
	pid_t child = ::fork();
	int status = -1;

	if (child == 0) {
		raw_client client;
		::_exit(::setgroups(0, nullptr) == 0 && ::setresgid(user, user, user) == 0 &&
					::setresuid(user, user, user) == 0 && client.connect(path)
				? 0
				: errno);
	}
	::waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

outcome
only_who_has_the_right_connects()
{
	constexpr rte_vfio_user_socket_rights theirs = {0600, 12345, RTE_VFIO_USER_KEEP};
	test_device device;

	if (::geteuid() != 0)
		return skipped;
	device.rights = &theirs;
	CHECK(device.start());
	CHECK_EQ(connect_as(12345, device.path), 0);
	CHECK_EQ(connect_as(12346, device.path), EACCES);
	return success;
}

outcome
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

outcome
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

outcome
no_more_descriptors_are_sent_than_the_client_takes()
{
	session s;
	raw_message m;
	wire::region_io_fds ask = {4096, 0, 0, 0};
	s.device.nb_io_fds = 3;
	CHECK(s.start("{\"capabilities\":{\"max_msg_fds\":2}}"));
	CHECK(s.client.call(command::device_get_region_io_fds, guard::as_bytes(ask), m));
	CHECK_EQ(m.as<wire::region_io_fds>().count, 2);
	CHECK_EQ(m.payload.size(), sizeof(wire::region_io_fds) + 2 * sizeof(wire::io_fd));
	CHECK_EQ(m.fds.size(), 2);
	return success;
}

outcome
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

/** What its bytes are. */
std::byte
large_byte(uint64_t at)
{
	return static_cast<std::byte>(at ^ at >> 8 ^ at >> 16);
}

constexpr rte_vfio_user_server_ops large_ops = {
	.region_read =
		[](void *, uint32_t, uint64_t offset, void *data, uint32_t count) {
			for (uint32_t i = 0; i < count; i++)
				static_cast<std::byte *>(data)[i] = large_byte(offset + i);
			return 0;
		},
	.region_write =
		[](void *, uint32_t, uint64_t offset, const void *data, uint32_t count) {
			for (uint32_t i = 0; i < count; i++)
				if (static_cast<const std::byte *>(data)[i] !=
				    large_byte(offset + i))
					return -EBADMSG;
			return 0;
		},
};

/* As QEMU reads an option ROM. What the socket does not take at once comes all the same. */
outcome
a_large_region_is_accessed_at_once_up_to_the_bound()
{
	constexpr uint32_t most = RTE_VFIO_USER_MAX_DATA_XFER;
	constexpr uint64_t offset = 12345;
	rte_vfio_user_region region = {.size = 4 * most,
				       .flags = RTE_VFIO_USER_REGION_READ |
						RTE_VFIO_USER_REGION_WRITE,
				       .fd = -1};
	rte_vfio_user_server_conf conf;
	rte_vfio_user_server *server;
	raw_client client;
	raw_message m;

	rte_vfio_user_server_conf_init(&conf);
	std::string path = "/tmp/vfio_user_autotest." + std::to_string(::getpid());
	conf.path = path.c_str();
	conf.ops = &large_ops;
	conf.nb_regions = 1;
	conf.regions = &region;
	CHECK_EQ(rte_vfio_user_server_register(&conf, &server), 0);
	std::unique_ptr<rte_vfio_user_server, int (*)(rte_vfio_user_server *)> owner(
		server, rte_vfio_user_server_unregister);
	CHECK_EQ(rte_vfio_user_server_start(server), 0);
	CHECK(client.connect(conf.path) && client.negotiate("", m));
	wire::region_access access = {offset, 0, most};
	CHECK(client.call(command::region_read, guard::as_bytes(access), m));
	CHECK_EQ(m.header.error, 0);
	CHECK_EQ(m.payload.size(), sizeof(access) + most);
	for (uint32_t i = 0; i < most; i++)
		CHECK(m.payload[sizeof(access) + i] == large_byte(offset + i), "byte %u", i);
	guard::bytes write = m.payload; /* The reply begins as the request. */
	raw_message answer;
	CHECK(client.call(command::region_write, write, answer));
	CHECK_EQ(answer.header.error, 0);
	access.count++;
	CHECK(client.call(command::region_read, guard::as_bytes(access), m));
	CHECK_EQ(m.header.error, EINVAL);
	return success;
}

outcome
nothing_is_left_behind()
{
	size_t before = open_descriptors();
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
			CHECK(wait_until([&] { return s.device.attached == 0; }));
		}
	}
	CHECK(wait_until([=] { return open_descriptors() == before; }));
	return success;
}

outcome
a_server_is_not_unregistered_on_the_control_thread()
{
	session s;
	CHECK(s.start());
	CHECK_EQ(rte_vfio_user_control_call(
			 [](void *server) {
				 return rte_vfio_user_server_unregister(
					 static_cast<rte_vfio_user_server *>(server));
			 },
			 s.device.server),
		 -EDEADLK);
	CHECK_EQ(s.device.attached, 1);
	CHECK_EQ(map_dma(s.client, 0, page, -1), 0);
	return success;
}

outcome
a_call_may_meet_the_last_unregister()
{
	std::atomic<bool> over{false};
	std::atomic<long> calls{0}, ran{0};
	std::thread caller([&] {
		while (!over) {
			calls += rte_vfio_user_control_call(
				[](void *count) {
					++*static_cast<std::atomic<long> *>(count);
					return 1;
				},
				&ran);
		}
	});
	bool started = true;
	for (int i = 0; i < 100 && started; i++) {
		test_device device;
		started = device.start();
	}
	over = true;
	caller.join();
	CHECK(started);
	CHECK(calls > 0);
	CHECK_EQ(calls, ran);
	return success;
}

/** Whether each of these is polled a few times more. */
bool
all_are_polled(std::span<const std::unique_ptr<test_device>> devices)
{
	for (const auto &d : devices)
		d->polls = 0;
	return wait_until([=] {
		return std::all_of(devices.begin(), devices.end(),
				   [](const auto &d) { return d->polls >= 3; });
	});
}

/** They are looked at together, but each may go its own way at any time, in a poll, too. */
outcome
devices_are_polled_whatever_others_do()
{
	constexpr uint32_t interval_us = 1000;
	std::vector<std::unique_ptr<test_device>> devices;

	for (const char *name : {"a", "b", "c", "d", "e", "f"}) {
		auto &d = *devices.emplace_back(std::make_unique<test_device>());
		CHECK(d.start(name));
		CHECK_EQ(rte_vfio_user_server_set_poll(d.server, interval_us), 0);
	}
	CHECK(all_are_polled(devices));
	/* The first ones and the last, which are called first or last. */
	devices.erase(devices.begin());
	CHECK(all_are_polled(devices));
	devices.pop_back();
	CHECK(all_are_polled(devices));
	for (const size_t i : {0, 3}) {
		devices[i]->next_interval_us = 2 * interval_us;
		CHECK(all_are_polled(devices));
		CHECK_EQ(devices[i]->next_interval_us, 0);
	}
	CHECK_EQ(rte_vfio_user_server_set_poll(devices[1]->server, 0), 0);
	const int before = devices[1]->polls;
	std::swap(devices[1], devices[3]);
	CHECK(all_are_polled({devices.begin(), 3}));
	CHECK_EQ(devices[3]->polls, before);
	CHECK_EQ(rte_vfio_user_server_set_poll(devices[3]->server, interval_us), 0);
	CHECK(all_are_polled(devices));
	return success;
}

constexpr test_case cases[] = {
	{"bad descriptions are refused", bad_descriptions_are_refused},
	{"a description has sizes", a_description_has_sizes},
	{"a later description must not use what is unknown",
	 a_later_description_must_not_use_what_is_unknown},
	{"counts without arrays are refused", counts_without_arrays_are_refused},
	{"no server is an error", no_server_is_an_error},
	{"calls on the wrong thread are refused", calls_on_the_wrong_thread_are_refused},
	{"a path is served once", a_path_is_served_once},
	{"a stale socket is replaced and a file is not",
	 a_stale_socket_is_replaced_and_a_file_is_not},
	{"a socket has the rights that are asked for", a_socket_has_the_rights_that_are_asked_for},
	{"only who has the right connects", only_who_has_the_right_connects},
	{"a second client is refused", a_second_client_is_refused},
	{"I/O descriptors are handed out", io_descriptors_are_handed_out},
	{"no more descriptors are sent than the client takes",
	 no_more_descriptors_are_sent_than_the_client_takes},
	{"region rights are kept", region_rights_are_kept},
	{"a large region is accessed at once, up to the bound",
	 a_large_region_is_accessed_at_once_up_to_the_bound},
	{"nothing is left behind", nothing_is_left_behind},
	{"a call may meet the last unregister", a_call_may_meet_the_last_unregister},
	{"devices are polled whatever others do", devices_are_polled_whatever_others_do},
	{"a server is not unregistered on the control thread",
	 a_server_is_not_unregistered_on_the_control_thread},
};

} // namespace

constinit const case_table test::server_suite::device_cases = cases;
