/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <vector>

#include "bytes.hpp"
#include "field.hpp"
#include "owner.hpp"
#include "quick_driver.hpp"
#include "rate_limit.hpp"
#include "result.hpp"
#include "rte_guest_mem.h"
#include "test.hpp"

/* The guard room: untrusted bytes, owners, and the look-up in a DMA table. */

using test::failed;
using test::outcome;
using test::success;

static bool
fd_is_open(int fd)
{
	return ::fcntl(fd, F_GETFD) >= 0;
}

static outcome
ranges_never_wrap()
{
	struct {
		uint64_t base, size, addr, len;
		bool inside;
	} rows[] = {
		{0, 10, 0, 10, true},
		{0, 10, 0, 11, false},
		{0, 10, 10, 0, true},
		{0, 10, 11, 0, false},
		{0x1000, 0x1000, 0xfff, 1, false},
		{0x1000, 0x1000, 0x1fff, 1, true},
		{0x1000, 0x1000, 0x1fff, 2, false},
		{0x1000, 0x1000, 0x1800, UINT64_MAX, false},
		{0x1000, 0x1000, UINT64_MAX, 2, false},
		{UINT64_MAX - 9, 10, UINT64_MAX, 1, true},
		{UINT64_MAX - 9, 10, UINT64_MAX, 2, false},
		{0, UINT64_MAX, 1, UINT64_MAX, false},
	};
	for (auto &r : rows)
		CHECK(guard::contains(r.base, r.size, r.addr, r.len) == r.inside, "row %zu",
		      &r - rows);
	return success;
}

static outcome
reader_stops_at_the_end()
{
	std::vector<std::byte> seven(7);
	guard::reader r(seven);

	CHECK(r.read<uint32_t>(), "4 of 7 bytes");
	auto more = r.read<uint32_t>();
	CHECK(!more && more.error().code == EINVAL, "4 of the 3 bytes left");
	CHECK_EQ(r.left(), 3);
	CHECK(!r.take(4), "4 of the 3 bytes left");
	CHECK(r.take(3), "the rest");
	return success;
}

static outcome
load_and_store_check_the_place()
{
	std::vector<std::byte> eight(8);

	CHECK(guard::store<uint32_t>(eight, 4, 0x01020304), "last place");
	CHECK_EQ(*guard::load<uint32_t>(eight, 4), 0x01020304);
	CHECK(!guard::store<uint32_t>(eight, 5, 0), "one past");
	CHECK(!guard::load<uint32_t>(eight, UINT64_MAX - 1), "wrapping");
	return success;
}

static outcome
fields_cut_and_keep()
{
	using interval = guard::field<uint32_t, 5, 12>;
	using top = guard::field<uint64_t, 38, 14>;

	CHECK_EQ(interval::mask, 0xfff << 5);
	CHECK_EQ(interval::get(interval::of(0x1fff)), 0xfff);
	CHECK_EQ(interval::set(0xffffffff, 0), ~uint32_t{0xfff << 5});
	CHECK_EQ(top::get(top::of(9728)), 9728);
	return success;
}

static guard::result<int>
half(int n)
{
	if (n % 2 != 0)
		return guard::failure{ERANGE};
	return n / 2;
}

static guard::result<int>
quarter(int n)
{
	int once = TRY(half(n));
	return half(once);
}

static outcome
failures_travel_up()
{
	CHECK_EQ(*quarter(8), 2);
	CHECK_EQ(quarter(6).to_c(), -ERANGE);
	CHECK_EQ(quarter(8).to_c(), 0);
	return success;
}

static outcome
owners_release_once()
{
	int number;
	{
		auto made = guard::make_eventfd();
		CHECK(made, "eventfd");
		guard::unique_fd first = *std::move(made);
		number = first.get();
		guard::unique_fd second = std::move(first);
		CHECK(!first && second.get() == number, "moved");
		CHECK(fd_is_open(number), "owned");
	}
	CHECK(!fd_is_open(number), "released");

	auto file = guard::make_sealed_memfd("test", 8192);
	CHECK(file, "memfd");
	CHECK(::ftruncate(file->get(), 4096) != 0, "a sealed file shrank");
	return success;
}

/* A table over one block of memory: entries {page, pages, page of the memory, flags}. */
struct table_entry {
	uint64_t page, pages;
	int64_t memory_page; /* -1: no memory here */
	uint32_t flags;
};

constexpr uint64_t page = 4096;

class table_owner {
public:
	/** @param per_part Regions of each part but the last. */
	table_owner(const std::vector<table_entry> &entries, uint64_t generation,
		    uint32_t per_part = 2)
	    : memory_(64 * page),
	      raw_(sizeof(rte_guest_mem_table) + entries.size() * sizeof(rte_guest_mem_part))
	{
		for (const table_entry &e : entries)
			regions_.push_back({e.page * page, e.pages * page,
					    e.memory_page < 0 ? nullptr : at(e.memory_page),
					    e.flags, 0});
		get()->generation = generation;
		get()->nb_regions = static_cast<uint32_t>(entries.size());
		get()->nb_parts = 0;
		for (uint32_t i = 0; i < get()->nb_regions; i += per_part)
			get()->parts[get()->nb_parts++] = {
				regions_[i].iova, &regions_[i],
				std::min(per_part, get()->nb_regions - i), 0};
	}
	rte_guest_mem_table *get() { return reinterpret_cast<rte_guest_mem_table *>(raw_.data()); }
	uint8_t *at(int64_t memory_page) { return memory_.data() + memory_page * int64_t{page}; }

private:
	std::vector<uint8_t> memory_, raw_;
	std::vector<rte_guest_mem_region> regions_;
};

constexpr uint32_t rw = RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE;

/* However the regions are cut into parts. */
constexpr uint32_t cuts[] = {1, 2, 3, 4, 100};

static outcome
translation_refuses_what_is_not_mapped()
{
	struct {
		uint64_t iova, len;
		uint32_t access;
		bool ok;
	} rows[] = {
		{0, 1, RTE_GUEST_MEM_READ, false},
		{page, 2 * page, rw, true},
		{page, 2 * page + 1, RTE_GUEST_MEM_READ, false},
		{3 * page - 1, 1, rw, true},
		{3 * page, 1, RTE_GUEST_MEM_READ, false},
		{4 * page, page, RTE_GUEST_MEM_READ, true},
		{4 * page, 1, RTE_GUEST_MEM_WRITE, false},
		{5 * page - 1, 2, RTE_GUEST_MEM_READ, false},
		{6 * page, 1, RTE_GUEST_MEM_READ, false},
		{page, UINT64_MAX, RTE_GUEST_MEM_READ, false},
		{2 * page, UINT64_MAX - page, RTE_GUEST_MEM_READ, false},
		{UINT64_MAX, 1, rw, true},
		{UINT64_MAX, 2, rw, false},
	};
	for (uint32_t per_part : cuts) {
		/* pages 1-2, a gap, 4 read only, 5 elsewhere in memory, 6 without memory, last page
		 * of all */
		table_owner t({{1, 2, 0, rw},
			       {4, 1, 10, RTE_GUEST_MEM_READ},
			       {5, 1, 20, RTE_GUEST_MEM_READ},
			       {6, 1, -1, rw},
			       {UINT64_MAX / page, 1, 30, rw}},
			      1, per_part);
		rte_guest_mem_cache cache = {};
		for (auto &r : rows)
			CHECK((rte_guest_mem_translate(t.get(), &cache, r.iova, r.len, r.access) !=
			       nullptr) == r.ok,
			      "row %zu, parts of %u", &r - rows, per_part);
	}
	return success;
}

static outcome
translation_joins_neighbours()
{
	for (uint32_t per_part : cuts) {
		/* three pages in a row, then one that continues in I/O addresses only */
		table_owner t({{1, 1, 5, rw}, {2, 1, 6, rw}, {3, 1, 7, rw}, {4, 1, 20, rw}}, 1,
			      per_part);
		rte_guest_mem_cache cache = {};
		auto at = [&](uint64_t iova, uint64_t len) {
			return rte_guest_mem_translate(t.get(), &cache, iova, len, rw);
		};
		CHECK(at(page + 7, 3 * page - 7) == t.at(5) + 7, "from the first");
		CHECK(at(3 * page, page) == t.at(7), "the last");
		CHECK(at(3 * page, page + 1) == nullptr, "over the break");
		CHECK(at(4 * page, page) == t.at(20), "after the break");
	}
	return success;
}

static outcome
regions_are_visited_in_order()
{
	for (uint32_t per_part : cuts) {
		table_owner t({{1, 2, 0, rw},
			       {4, 1, 10, rw},
			       {5, 1, -1, rw},
			       {UINT64_MAX / page, 1, 30, rw}},
			      1, per_part);
		std::vector<uint64_t> pages;
		for (const auto *r = rte_guest_mem_next(t.get(), 0); r != nullptr;
		     r = rte_guest_mem_after(t.get(), r))
			pages.push_back(r->iova / page);
		CHECK((pages == std::vector<uint64_t>{1, 4, 5, UINT64_MAX / page}));
		CHECK_EQ(rte_guest_mem_next(t.get(), 3 * page)->iova, 4 * page);
		CHECK_EQ(rte_guest_mem_next(t.get(), 3 * page - 1)->iova, page);
		CHECK_EQ(rte_guest_mem_next(t.get(), 6 * page)->iova, UINT64_MAX - page + 1);
	}
	CHECK(rte_guest_mem_next(table_owner({}, 1).get(), 0) == nullptr, "an empty table");
	table_owner low({{1, 1, 0, rw}}, 1);
	CHECK(rte_guest_mem_next(low.get(), 2 * page) == nullptr, "nothing behind");
	return success;
}

static outcome
cache_forgets_an_old_table()
{
	table_owner before({{1, 1, 5, rw}}, 1), after({{1, 1, 6, rw}}, 2), empty({}, 3);
	rte_guest_mem_cache cache = {};

	CHECK(rte_guest_mem_translate(before.get(), &cache, page, 8, rw) == before.at(5), "before");
	CHECK(rte_guest_mem_translate(after.get(), &cache, page, 8, rw) == after.at(6), "after");
	CHECK(rte_guest_mem_translate(empty.get(), &cache, page, 8, rw) == nullptr, "empty");
	return success;
}

static outcome
limits_let_so_many_through()
{
	using clock = guard::rate_limit::clock;
	const auto count = [](guard::rate_limit &limit, clock::time_point now) {
		int passed = 0;
		while (passed < 1000 && limit.passes(now))
			passed++;
		return passed;
	};
	guard::rate_limit usual, small(3);
	const clock::time_point now{std::chrono::hours(1)};

	CHECK_EQ(count(usual, now), 10);
	CHECK_EQ(count(small, now), 3);
	CHECK_EQ(count(usual, now + std::chrono::milliseconds(999)), 0);
	CHECK_EQ(count(usual, now + std::chrono::milliseconds(1000)), 1);
	CHECK_EQ(count(usual, now + std::chrono::seconds(4)), 3);
	CHECK_EQ(count(usual, now + std::chrono::hours(2)), 10);
	CHECK_EQ(usual.take_held_back(), 5);
	CHECK_EQ(usual.take_held_back(), 0);
	return success;
}

static outcome
who_polls_finds_whole_words_once()
{
	constexpr size_t sizes[] = {1, 3, 8, 15, 16, 31, 32, 33, 63, 64, 200};
	const auto memory = guard::mapping::make(nullptr, page, PROT_READ | PROT_WRITE,
						 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory, "a page");
	const std::span<uint8_t> bytes(reinterpret_cast<uint8_t *>(memory->data()), page);
	const std::vector<std::byte> ones(page, std::byte{0xff});

	for (size_t offset = 0; offset < 16; offset++)
		for (size_t size : sizes) {
			std::ranges::fill(bytes, uint8_t{0});
			guard::copy_to_polled(&bytes[offset], std::span(ones).first(size));
			CHECK(std::ranges::count(bytes, 0xff) == static_cast<ptrdiff_t>(size) &&
				      bytes[offset] == 0xff && bytes[offset + size - 1] == 0xff,
			      "%zu at %zu", size, offset);
		}
	if (!test::can_step)
		return success;
	for (size_t size : {8, 16, 32, 64, 96}) {
		std::ranges::fill(bytes, uint8_t{0});
		const test::quick_driver driver(bytes.first(size));
		guard::copy_to_polled(bytes.data(), std::span(ones).first(size));
		CHECK(driver.taken() == 1 && driver.was_whole(), "%zu: %d times", size,
		      driver.taken());
	}
	return success;
}

static outcome
guard_autotest()
{
	return test::run_cases(
		"guard",
		{
			{"ranges never wrap", ranges_never_wrap},
			{"reader stops at the end", reader_stops_at_the_end},
			{"load and store check the place", load_and_store_check_the_place},
			{"fields cut and keep", fields_cut_and_keep},
			{"failures travel up", failures_travel_up},
			{"owners release once", owners_release_once},
			{"translation refuses what is not mapped",
			 translation_refuses_what_is_not_mapped},
			{"translation joins neighbours", translation_joins_neighbours},
			{"regions are visited in order", regions_are_visited_in_order},
			{"cache forgets an old table", cache_forgets_an_old_table},
			{"limits let so many through", limits_let_so_many_through},
			{"who polls finds whole words once", who_polls_finds_whole_words_once},
		});
}

REGISTER_TEST(guard_autotest, guard_autotest);
