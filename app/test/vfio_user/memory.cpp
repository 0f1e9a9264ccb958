/* SPDX-License-Identifier: BSD-3-Clause */
#include <array>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "fixture.hpp"
#include "quick_driver.hpp"

/* Memory that clients open for DMA. */

using namespace test;
using namespace test::server_suite;

namespace {

outcome
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

outcome
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
	CHECK_EQ(s.device.waits, 0);
	CHECK_EQ(unmap_dma(s.client, 6 * page, 4 * page), 0);
	CHECK_EQ(s.device.stats().dma_regions, 2);
	CHECK_EQ(s.device.waits, 1);
	CHECK_EQ(s.device.first_removed, 6 * page);
	CHECK_EQ(s.device.last_removed, 10 * page - 1);
	/* up to the very end of the address space */
	CHECK_EQ(unmap_dma(s.client, page, UINT64_MAX - page + 1), 0);
	CHECK_EQ(s.device.stats().dma_regions, 0);
	CHECK_EQ(s.device.stats().dma_files, 0);
	CHECK_EQ(s.device.last_removed, UINT64_MAX);
	return success;
}

outcome
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
	/* Data threads are left alone, but for the end of tables that have become too many. */
	CHECK(s.device.waits < 5, "%d", s.device.waits.load());
	CHECK_EQ(s.device.stats().dma_files, 1);
	memory.map.data()[37 * page + 5] = std::byte{0xa5};
	uint8_t got = 0;
	CHECK_EQ(s.device.access(true, (1024 - 1) * 2 * page + 5, &got, 1), 0);
	CHECK_EQ(got, 0xa5);
	return success;
}

outcome
neighbouring_files_are_one_range()
{
	session s;
	test_memory low(4 * page), high(4 * page);
	constexpr uint64_t base = 0x100000000;
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, base + 4 * page, 4 * page, high.fd.get()), 0);
	CHECK_EQ(map_dma(s.client, base, 4 * page, low.fd.get()), 0);
	const rte_guest_mem_table *table =
		rte_guest_mem_get(rte_vfio_user_server_dma_table(s.device.server));
	rte_guest_mem_cache cache = {};
	uint8_t *at = rte_guest_mem_translate(table, &cache, base + page, 6 * page,
					      RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE);
	CHECK(at != nullptr, "two files, one range");
	at[3 * page] = 0x77;
	CHECK(high.map.data()[0] == std::byte{0x77}, "the second file");
	return success;
}

/** A descriptor of the device's, written by it and polled by the driver. */
outcome
a_driver_that_polls_takes_a_descriptor_once()
{
	session s;
	test_memory memory(page);
	std::array<uint8_t, 32> descriptor;
	CHECK(s.start());
	CHECK_EQ(map_dma(s.client, 0, page, memory.fd.get()), 0);
	rte_guest_mem_cache cache = {};
	uint8_t *at = rte_guest_mem_translate(
		rte_guest_mem_get(rte_vfio_user_server_dma_table(s.device.server)), &cache, 0, page,
		RTE_GUEST_MEM_WRITE);
	CHECK(at != nullptr, "memory of the driver");
	descriptor.fill(0xff);
	const quick_driver driver(std::span(at + 64, descriptor.size()));
	CHECK_EQ(s.device.access(false, 64, descriptor.data(), descriptor.size()), 0);
	CHECK(s.device.wait_finished(1), "written");
	if (can_step)
		CHECK(driver.taken() == 1 && driver.was_whole(), "%d times", driver.taken());
	return success;
}

outcome
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
	/* Each page fault of a mapping would ask its file system. */
	guard::unique_fd on_disk(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	CHECK_EQ(map_dma(s.client, 0, page, on_disk.get(), 0, RTE_GUEST_MEM_READ), ENODEV);
	guard::unique_fd read_only = open_again(memory.fd, O_RDONLY);
	CHECK_EQ(map_dma(s.client, 0, page, read_only.get()), EACCES);
	CHECK_EQ(map_dma(s.client, 0, page, read_only.get(), 0, RTE_GUEST_MEM_READ), 0);
	uint8_t byte = 1;
	CHECK_EQ(s.device.access(false, 0, &byte, 1), -EACCES);
	CHECK_EQ(set_irqs(s.client, {20, 0x24, 2, 0, 1}, in.get()), EINVAL);
	return success;
}

/* Files count as a whole, however little of them is mapped, and once. */
outcome
memory_may_be_limited()
{
	session s;
	s.device.max_memory = 100 * page;
	CHECK(s.start());
	guard::unique_fd first = make_file(60 * page), second = make_file(41 * page),
			 third = make_file(40 * page), sparse = make_file(uint64_t{1} << 40);
	CHECK_EQ(map_dma(s.client, 0, page, first.get()), 0);
	CHECK_EQ(map_dma(s.client, 60 * page, page, first.get(), page), 0);
	CHECK_EQ(map_dma(s.client, 100 * page, page, second.get()), ENOSPC);
	CHECK_EQ(map_dma(s.client, 100 * page, page, sparse.get()), ENOSPC);
	CHECK_EQ(map_dma(s.client, 100 * page, page, third.get()), 0);
	/* What has no file is not ours to fill. */
	CHECK_EQ(map_dma(s.client, 1000 * page, 1000 * page, -1), 0);
	CHECK_EQ(unmap_dma(s.client, 0, 100 * page), 0);
	CHECK_EQ(map_dma(s.client, 0, page, second.get()), 0);
	return success;
}

outcome
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

/** A hold on the memory of the client that there is. */
class memory_hold {
public:
	explicit memory_hold(test_device &of)
	{
		struct args {
			rte_vfio_user_server *server;
			rte_vfio_user_memory_hold *hold;
		} a{of.server, nullptr};
		rte_vfio_user_control_call(
			[](void *p) {
				auto *x = static_cast<args *>(p);
				x->hold = rte_vfio_user_server_memory_hold(x->server);
				return 0;
			},
			&a);
		hold_ = a.hold;
	}
	~memory_hold() { release(); }
	memory_hold(const memory_hold &) = delete;
	memory_hold &operator=(const memory_hold &) = delete;

	explicit operator bool() const { return hold_ != nullptr; }
	void release() { rte_vfio_user_memory_release(std::exchange(hold_, nullptr)); }

private:
	rte_vfio_user_memory_hold *hold_ = nullptr;
};

/** Where the client's memory is mapped. */
const volatile std::byte *
mapped_at(const test_device &device, uint64_t iova)
{
	rte_guest_mem_cache cache = {};
	return reinterpret_cast<const volatile std::byte *>(rte_guest_mem_translate(
		rte_guest_mem_get(rte_vfio_user_server_dma_table(device.server)), &cache, iova, 1,
		RTE_GUEST_MEM_READ));
}

/** Whether something is mapped there; what is only reserved counts, too. */
bool
is_of_file(const volatile std::byte *at)
{
	std::ifstream maps("/proc/self/maps");
	const auto wanted = reinterpret_cast<uintptr_t>(at);
	for (std::string line; std::getline(maps, line);) {
		uintptr_t begin = 0, end = 0;
		char rights[5] = {};
		if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, rights) == 3 &&
		    wanted >= begin && wanted < end)
			return rights[0] == 'r' && rights[3] == 's';
	}
	return false;
}

outcome
memory_that_is_held_stays()
{
	session s;
	test_memory memory(4 * page), other(4 * page);
	s.device.max_memory = 8 * page;
	CHECK(s.start());
	memory.map.data()[page] = std::byte{0xa5};
	CHECK_EQ(map_dma(s.client, 0, 4 * page, memory.fd.get()), 0);
	const volatile std::byte *at = mapped_at(s.device, page);
	CHECK(at != nullptr);
	{
		memory_hold first(s.device), second(s.device);
		CHECK(first && second);
		CHECK_EQ(unmap_dma(s.client, 0, 4 * page), 0);
		CHECK_EQ(s.device.stats().dma_regions, 0);
		CHECK(*at == std::byte{0xa5});
		memory.map.data()[page] = std::byte{0x5a};
		first.release();
		CHECK(is_of_file(at), "with the second");
		CHECK(*at == std::byte{0x5a});
		/* It counts as the client's: there is room for one more. */
		CHECK_EQ(map_dma(s.client, 0, 4 * page, other.fd.get()), 0);
		CHECK_EQ(map_dma(s.client, 4 * page, 4 * page, memory.fd.get()), ENOSPC);
	}
	CHECK(wait_until([&] { return !is_of_file(at); }), "without any");
	bool mapped = false;
	CHECK(wait_until([&] {
		mapped = mapped || map_dma(s.client, 4 * page, 4 * page, memory.fd.get()) == 0;
		return mapped;
	}));
	/* One that comes later keeps nothing of it. */
	at = mapped_at(s.device, 4 * page);
	CHECK_EQ(unmap_dma(s.client, 4 * page, 4 * page), 0);
	memory_hold late(s.device);
	CHECK(wait_until([&] { return !is_of_file(at); }), "before the hold");
	return success;
}

outcome
memory_that_is_held_outlives_its_client()
{
	test_memory memory(4 * page);
	auto s = std::make_unique<session>();
	CHECK(s->start());
	memory.map.data()[page] = std::byte{0xa5};
	CHECK_EQ(map_dma(s->client, 0, 4 * page, memory.fd.get()), 0);
	const volatile std::byte *at = mapped_at(s->device, page);
	memory_hold hold(s->device);
	s->client.close();
	CHECK(wait_until([&] { return s->device.attached == 0; }));
	CHECK(*at == std::byte{0xa5});
	/* What became of its file is not the next one's fault. */
	raw_client next;
	raw_message m;
	CHECK(next.connect(s->device.path) && next.negotiate("", m), "the next client");
	CHECK_EQ(::ftruncate(memory.fd.get(), 0), 0);
	CHECK(*at == std::byte{0});
	test_memory mine(page);
	CHECK_EQ(map_dma(next, 0, page, mine.fd.get()), 0);
	CHECK_EQ(s->device.stats().memory_faults, 0);
	s.reset();
	CHECK(*at == std::byte{0}, "without the server");
	hold.release();
	return success;
}

constexpr test_case cases[] = {
	{"memory that is held stays", memory_that_is_held_stays},
	{"memory that is held outlives its client", memory_that_is_held_outlives_its_client},
	{"memory may be limited", memory_may_be_limited},
	{"overlapping memory is refused", overlapping_memory_is_refused},
	{"unmap takes whole regions only", unmap_takes_whole_regions_only},
	{"many regions share one mapping", many_regions_share_one_mapping},
	{"neighbouring files are one range", neighbouring_files_are_one_range},
	{"a driver that polls takes a descriptor once",
	 a_driver_that_polls_takes_a_descriptor_once},
	{"unsuitable descriptors are refused", unsuitable_descriptors_are_refused},
	{"a truncated file costs the client its connection",
	 a_truncated_file_costs_the_client_its_connection},
};

} // namespace

constinit const case_table test::server_suite::memory_cases = cases;
