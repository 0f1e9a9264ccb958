/* SPDX-License-Identifier: BSD-3-Clause */
#include <array>

#include "fixture.hpp"

/* Regions, honest and hostile. */

using namespace test;
using namespace test::client_suite;

namespace {

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
	constexpr uint32_t places = 5000, count = 9 * places; /* more than one message has */
	test_device device;
	test_client plain, c;
	std::vector<rte_vfio_user_write> writes;

	for (uint32_t i = 0; i < count; i++) {
		rte_vfio_user_write w = {
			.offset = i % places * 8, .region = 2, .count = 4, .data = {}};
		std::memcpy(w.data, &i, sizeof(i));
		writes.push_back(w);
	}
	CHECK(device.start());
	CHECK_EQ(plain.attach(device.path), 0);
	CHECK_EQ(rte_vfio_user_client_region_write_multi(plain.handle, writes.data(), 1), -ENOTSUP);
	plain.detach();
	CHECK_EQ(c.attach(device.path, RTE_VFIO_USER_CLIENT_WRITE_MULTI), 0);
	uint64_t before = c.stats().requests;
	CHECK_EQ(rte_vfio_user_client_region_write_multi(c.handle, writes.data(), count), 0);
	CHECK_EQ(c.stats().requests - before, 2);
	uint32_t last;
	std::memcpy(&last, device.memory.data() + (places - 1) * 8, sizeof(last));
	CHECK_EQ(last, count - 1);
	writes[0].count = 9;
	CHECK_EQ(rte_vfio_user_client_region_write_multi(c.handle, writes.data(), 1), -EINVAL);
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
	CHECK_EQ(c.stats().memory_faults, 1);
	return success;
}

outcome
a_large_bar_takes_no_memory_though_all_is_locked()
{
	constexpr uint64_t size = 256 << 20;
	guard::unique_fd file = make_file(size);
	wire::region_info info = {
		32, RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_MMAP, 0, 0, size, 0};
	test_client c;
	hostile_server server([&](raw_peer &p) {
		int fd = file.get();
		p.handshake();
		p.answer(guard::as_bytes(info), std::span(&fd, 1));
	});
	void *addr;
	struct stat st;
	CHECK_EQ(c.attach(server.path), 0);
	if (::mlockall(MCL_FUTURE) != 0)
		return skipped;
	int error = rte_vfio_user_client_region_map(c.handle, 0, 0, &addr);
	::munlockall();
	CHECK_EQ(error, 0);
	CHECK_EQ(::fstat(file.get(), &st), 0);
	CHECK(st.st_blocks < 1024, "%ld KiB", st.st_blocks / 2);
	return success;
}

/** A region description as a hostile server sends it. */
struct region_reply {
	wire::region_info info;
	std::array<wire::sparse_mmap, 2> caps; /**< One without an id is not there. */
	std::vector<wire::sparse_area> areas;
	int nb_fds;

	std::vector<std::byte> bytes() const
	{
		guard::writer out;
		out.put(info);
		for (const wire::sparse_mmap &s : caps)
			if (s.header.id != 0)
				out.put(s);
		for (const wire::sparse_area &a : areas)
			out.put(a);
		return std::move(out).take();
	}
};

constexpr uint32_t mappable =
	RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE | RTE_VFIO_USER_REGION_MMAP;
constexpr uint32_t with_caps = mappable | RTE_VFIO_USER_REGION_CAPS;

constexpr uint64_t region_size = 64 * page;

constexpr wire::sparse_mmap
sparse(uint32_t count, uint32_t next = 0, uint16_t id = 1)
{
	return {{id, 1, next}, count, 0};
}

/** What a server says of its region 0, and what asking for it returns then. */
const struct {
	const char *name;
	region_reply reply;
	int error;
} region_replies[] = {
	{"good", {{64, with_caps, 0, 32, region_size, 0}, {sparse(1)}, {{0, page}}, 1}, 0},
	{"another index", {{32, mappable, 5, 0, region_size, 0}, {}, {}, 1}, -EPROTO},
	{"argsz wraps a buffer",
	 {{UINT32_MAX, with_caps, 0, 32, region_size, 0}, {sparse(1)}, {{0, page}}, 1},
	 -EPROTO},
	{"argsz over the limit",
	 {{65537, with_caps, 0, 32, region_size, 0}, {sparse(1)}, {{0, page}}, 1},
	 -EPROTO},
	{"end in the file wraps",
	 {{32, mappable, 0, 0, region_size, UINT64_MAX - page}, {}, {}, 1},
	 -EPROTO},
	{"capability behind the end",
	 {{64, with_caps, 0, 64, region_size, 0}, {sparse(1)}, {{0, page}}, 1},
	 -EPROTO},
	{"capability offset wraps",
	 {{64, with_caps, 0, UINT32_MAX - 3, region_size, 0}, {sparse(1)}, {{0, page}}, 1},
	 -EPROTO},
	{"capability in the structure",
	 {{64, with_caps, 0, 8, region_size, 0}, {sparse(1)}, {{0, page}}, 1},
	 -EPROTO},
	{"capability points to itself",
	 {{64, with_caps, 0, 32, region_size, 0}, {sparse(1, 32)}, {{0, page}}, 1},
	 -EPROTO},
	{"capabilities loop",
	 {{80, with_caps, 0, 32, region_size, 0}, {sparse(0, 48, 9), sparse(0, 32, 9)}, {}, 1},
	 -EPROTO},
	{"next capability wraps",
	 {{64, with_caps, 0, 32, region_size, 0}, {sparse(1, UINT32_MAX)}, {{0, page}}, 1},
	 -EPROTO},
	{"more areas than sent",
	 {{64, with_caps, 0, 32, region_size, 0}, {sparse(2)}, {{0, page}}, 1},
	 -EPROTO},
	{"area count wraps",
	 {{64, with_caps, 0, 32, region_size, 0}, {sparse(0x10000001)}, {{0, page}}, 1},
	 -EPROTO},
	{"17 areas",
	 {{320, with_caps, 0, 32, region_size, 0},
	  {sparse(17)},
	  std::vector<wire::sparse_area>(17, {0, page}),
	  1},
	 -EPROTO},
	{"area behind the region",
	 {{64, with_caps, 0, 32, region_size, 0}, {sparse(1)}, {{region_size, page}}, 1},
	 -EPROTO},
	{"area wraps",
	 {{64, with_caps, 0, 32, region_size, 0},
	  {sparse(1)},
	  {{UINT64_MAX - page + 1, 2 * page}},
	  1},
	 -EPROTO},
	{"2 descriptors for 1 area",
	 {{64, with_caps, 0, 32, region_size, 0}, {sparse(1)}, {{0, page}}, 2},
	 -EPROTO},
	{"17 descriptors", {{32, mappable, 0, 0, region_size, 0}, {}, {}, 17}, -EPROTO},
	{"16 areas, unknown capability first",
	 {{304, with_caps, 0, 32, region_size, 0},
	  {sparse(0, 48, 9), sparse(16)},
	  std::vector<wire::sparse_area>(16, {0, page}),
	  16},
	 0},
};

outcome
bad_region_descriptions_are_refused()
{
	guard::unique_fd file = make_file(region_size);

	for (const auto &row : region_replies) {
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
a_device_has_regions_up_to_a_bound()
{
	for (const uint32_t count : {64u, 65u}) {
		test_client c;
		hostile_server server([=](raw_peer &p) {
			p.answer_version("");
			p.answer(guard::as_bytes(
				wire::device_info{16, RTE_VFIO_USER_DEVICE_PCI, count, 5}));
		});
		CHECK_EQ(c.attach(server.path), count == 64 ? 0 : -EPROTO);
	}
	return success;
}

/* How a server describes region 0 in so many bytes, with so many areas. */
int
region_error(uint32_t size, uint32_t nb_areas)
{
	test_client c;
	guard::unique_fd file = make_file(region_size);
	region_reply reply{{size, with_caps, 0, 32, region_size, 0}, {sparse(nb_areas)}, {}, 1};
	for (uint64_t i = 0; i < nb_areas; i++)
		reply.areas.push_back({i * page, page});
	hostile_server server([&](raw_peer &p) {
		std::vector<std::byte> bytes = reply.bytes();
		const int fds[] = {file.get()};
		bytes.resize(size);
		p.handshake();
		p.answer(guard::bytes(bytes).first(32));
		p.answer(bytes, fds);
	});
	rte_vfio_user_client_region region;
	int error = c.attach(server.path);
	return error != 0 ? error : rte_vfio_user_client_region_info_get(c.handle, 0, &region);
}

outcome
a_description_of_a_region_has_a_bound()
{
	CHECK_EQ(region_error(65536, 1), 0);
	CHECK_EQ(region_error(65537, 1), -EPROTO);
	return success;
}

outcome
areas_of_a_region_have_a_bound()
{
	CHECK_EQ(region_error(4096, 16), 0);
	CHECK_EQ(region_error(4096, 17), -EPROTO);
	return success;
}

outcome
what_cannot_be_mapped_is_not()
{
	guard::unique_fd file = make_file(4 * page), dead_end(::eventfd(0, EFD_CLOEXEC));
	guard::unique_fd read_only = open_again(file, O_RDONLY);
	guard::unique_fd on_disk(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	struct {
		const char *name;
		wire::region_info info;
		int fd;
		int error;
	} rows[] = {
		{"good", {32, mappable, 0, 0, 2 * page, 2 * page}, file.get(), 0},
		{"no descriptor", {32, mappable, 0, 0, page, 0}, -1, -ENOTSUP},
		{"not a file", {32, mappable, 0, 0, page, 0}, dead_end.get(), -ENODEV},
		{"a file on a disk", {32, 5, 0, 0, page, 0}, on_disk.get(), -ENODEV},
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
a_bar_in_a_huge_page_is_unmapped()
{
	guard::unique_fd file = make_huge_file(huge_page);
	if (!file)
		return skipped;
	const wire::region_info bar = {32, mappable, 0, 0, 16 * page, 0};
	test_client c;
	hostile_server server([&](raw_peer &p) {
		p.handshake();
		int fd = file.get();
		p.answer(guard::as_bytes(bar), std::span(&fd, 1));
	});
	void *addr;
	size_t before = count_mappings("/memfd:huge");
	CHECK_EQ(c.attach(server.path), 0);
	CHECK_EQ(rte_vfio_user_client_region_map(c.handle, 0, 0, &addr), 0);
	static_cast<uint8_t *>(addr)[16 * page - 1] = 1;
	CHECK_EQ(count_mappings("/memfd:huge"), before + 1);
	c.detach();
	CHECK_EQ(count_mappings("/memfd:huge"), before);
	return success;
}

constexpr test_case cases[] = {
	{"regions are described and mapped", regions_are_described_and_mapped},
	{"a BAR is mapped whole on request", a_bar_is_mapped_whole_on_request},
	{"registers are read and written", registers_are_read_and_written},
	{"many writes go by one message", many_writes_go_by_one_message},
	{"a truncated BAR is survived", a_truncated_bar_is_survived},
	{"a large BAR takes no memory though all is locked",
	 a_large_bar_takes_no_memory_though_all_is_locked},
	{"a device has regions up to a bound", a_device_has_regions_up_to_a_bound},
	{"a description of a region has a bound", a_description_of_a_region_has_a_bound},
	{"areas of a region have a bound", areas_of_a_region_have_a_bound},
	{"bad region descriptions are refused", bad_region_descriptions_are_refused},
	{"what cannot be mapped is not", what_cannot_be_mapped_is_not},
	{"a BAR in a huge page is unmapped", a_bar_in_a_huge_page_is_unmapped},
};

} // namespace

constinit const case_table test::client_suite::region_cases = cases;
