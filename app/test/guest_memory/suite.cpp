/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "memory/region_table.hpp"
#include "reader.h"
#include "test.hpp"

/* The table of a client's regions under many changes: what it holds, what a change costs, and what
 * those see who look something up meanwhile. */

using namespace test;
using vfio_user::region_table;

namespace {

constexpr uint64_t page = 4096;
using model = std::map<uint64_t, rte_guest_mem_region>;

/** Where a test's region is mapped: never looked at, but it tells regions apart. */
uint8_t *
home_of(uint64_t iova)
{
	return reinterpret_cast<uint8_t *>((uint64_t{1} << 40) + iova * 2);
}

rte_guest_mem_region
region_at(uint64_t iova, uint64_t size = page)
{
	return {iova, size, home_of(iova), RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE, 1};
}

bool
same(const rte_guest_mem_region &a, const rte_guest_mem_region &b)
{
	return a.iova == b.iova && a.size == b.size && a.addr == b.addr && a.flags == b.flags;
}

/** Whether a snapshot holds these regions, and is built as it should be. */
bool
holds(const rte_guest_mem_table &table, const model &wanted)
{
	auto next = wanted.begin();
	for (uint32_t i = 0; i < table.nb_parts; i++) {
		const rte_guest_mem_part &p = table.parts[i];
		const uint32_t before = i == 0 ? UINT16_MAX : table.parts[i - 1].nb_regions;
		if (p.nb_regions == 0 || p.nb_regions > region_table::max_regions ||
		    p.iova != p.regions[0].iova ||
		    before + p.nb_regions <= region_table::few_regions)
			return false;
		for (uint32_t at = 0; at < p.nb_regions; at++, ++next)
			if (next == wanted.end() || !same(p.regions[at], next->second))
				return false;
	}
	return next == wanted.end() && table.nb_regions == wanted.size();
}

/** Whether each address is found that should be, and no other. */
bool
finds(const rte_guest_mem_table &table, const model &wanted, uint64_t iova)
{
	const rte_guest_mem_region *got = rte_guest_mem_find(&table, iova);
	auto behind = wanted.upper_bound(iova);
	if (behind == wanted.begin())
		return got == nullptr;
	const rte_guest_mem_region &r = std::prev(behind)->second;
	return iova - r.iova < r.size ? got != nullptr && same(*got, r) : got == nullptr;
}

bool
overlaps(const model &m, uint64_t first, uint64_t last)
{
	auto behind = m.upper_bound(last);
	if (behind == m.begin())
		return false;
	const rte_guest_mem_region &r = std::prev(behind)->second;
	return r.iova + (r.size - 1) >= first;
}

bool
cuts(const model &m, uint64_t first, uint64_t last)
{
	for (const auto &[iova, r] : m) {
		const uint64_t end = iova + (r.size - 1);
		const bool apart = end < first || iova > last;
		if (!apart && (iova < first || end > last))
			return true;
	}
	return false;
}

/** Changes a table and a model of it alike. */
class twins {
public:
	twins(uint32_t seed, uint64_t pages) : random_(seed), pages_(pages) {}

	uint64_t pick() { return pick(pages_) * page; }
	uint64_t pick(uint64_t below) { return random_() % below; }

	/** Whether both agree that it can be done. */
	bool map(uint64_t iova, uint64_t size)
	{
		const bool taken = ::overlaps(wanted, iova, iova + size - 1);
		if (table.overlaps(iova, iova + size - 1) != taken)
			return false;
		if (!taken) {
			table.insert(region_at(iova, size));
			wanted[iova] = region_at(iova, size);
		}
		return true;
	}
	bool unmap(uint64_t iova, uint64_t size)
	{
		const bool cut = ::cuts(wanted, iova, iova + size - 1);
		if (table.cuts(iova, iova + size - 1) != cut)
			return false;
		if (!cut) {
			table.remove(iova, iova + size - 1);
			wanted.erase(wanted.lower_bound(iova), wanted.lower_bound(iova + size));
		}
		return true;
	}
	/** Maps mostly, or unmaps mostly, and now and then many at once. */
	bool change(bool growing)
	{
		const bool maps = pick(8) < (growing ? 6 : 2);
		const uint64_t size = pick(maps ? 4 : 64) + 1;
		if (!maps && pick(50) == 0)
			return unmap(pick(), pages_ / 8 * page);
		return maps ? map(pick(), size * page) : unmap(pick(), size * page);
	}

	region_table table;
	model wanted;

private:
	std::mt19937_64 random_;
	uint64_t pages_;
};

outcome
a_table_holds_what_a_list_would()
{
	for (uint32_t seed = 1; seed <= 8; seed++) {
		twins both(seed, seed <= 4 ? 4000 : 200);
		for (uint32_t i = 0; i < 6000; i++) {
			CHECK(both.change(i / 1500 % 2 == 0), "seed %u, change %u", seed, i);
			CHECK(holds(both.table.current(), both.wanted), "seed %u, change %u", seed,
			      i);
			for (int n = 0; n < 4; n++) {
				const uint64_t iova = both.pick() + both.pick(page);
				CHECK(finds(both.table.current(), both.wanted, iova),
				      "seed %u, change %u, address %lx", seed, i, iova);
			}
			if (i % 16 == 0)
				both.table.reclaim();
		}
		both.table.clear();
		CHECK(holds(both.table.current(), {}));
	}
	return success;
}

outcome
the_ends_of_the_address_space_are_in_it()
{
	twins both(1, 1);
	const uint64_t top = UINT64_MAX - page + 1;
	both.table.insert(region_at(top));
	both.table.insert(region_at(0));
	CHECK(both.table.overlaps(UINT64_MAX, UINT64_MAX));
	CHECK(!both.table.overlaps(page, top - 1));
	CHECK(both.table.cuts(top + 1, UINT64_MAX));
	CHECK(!both.table.cuts(0, UINT64_MAX));
	both.table.remove(page, UINT64_MAX);
	CHECK_EQ(both.table.current().nb_regions, 1);
	both.table.remove(0, UINT64_MAX);
	CHECK_EQ(both.table.current().nb_regions, 0);
	return success;
}

/** A snapshot is what it was until reclaim(). */
outcome
old_snapshots_stay_as_they_are()
{
	twins both(7, 1000);
	std::vector<std::pair<const rte_guest_mem_table *, model>> old;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 100; i++) {
			both.change(round % 4 < 2);
			old.emplace_back(&both.table.current(), both.wanted);
		}
		for (const auto &[table, wanted] : old)
			CHECK(holds(*table, wanted), "round %d", round);
		old.clear();
		both.table.reclaim();
		CHECK_EQ(both.table.replaced_bytes(), 0);
		CHECK(holds(both.table.current(), both.wanted));
	}
	return success;
}

/** In an order; what one change replaces says what it has copied. */
outcome
a_change_copies_little(const std::vector<uint64_t> &order)
{
	constexpr size_t limit = 64 << 10;
	region_table table;
	size_t most = 0;
	auto done = [&] {
		most = std::max(most, table.replaced_bytes());
		table.reclaim();
	};

	for (uint64_t n : order) {
		table.insert(region_at(2 * n * page));
		done();
	}
	CHECK_EQ(table.current().nb_regions, order.size());
	for (uint64_t n : order) {
		table.remove(2 * n * page, 2 * n * page + page - 1);
		done();
	}
	CHECK_EQ(table.current().nb_regions, 0);
	CHECK(most < limit, "%zu bytes", most);
	return success;
}

outcome
a_change_of_very_many_regions_copies_little()
{
	std::vector<uint64_t> order(60000);
	for (size_t i = 0; i < order.size(); i++)
		order[i] = i;
	if (a_change_copies_little(order) != success)
		return failed;
	std::reverse(order.begin(), order.end());
	if (a_change_copies_little(order) != success)
		return failed;
	std::shuffle(order.begin(), order.end(), std::mt19937_64(3));
	return a_change_copies_little(order);
}

outcome
a_c_program_reads_a_table()
{
	region_table table;
	rte_guest_mem_cache cache{};
	uint64_t bytes = 1;

	CHECK_EQ(reader_sum(table.table(), &bytes), 0);
	CHECK_EQ(bytes, 0);
	for (uint64_t i = 0; i < 1000; i++)
		table.insert(region_at(i * 3 * page, 2 * page));
	CHECK_EQ(reader_sum(table.table(), &bytes), 1000);
	CHECK_EQ(bytes, 2000 * page);
	CHECK(reader_find(table.table(), &cache, 300 * page + 5, page) == home_of(300 * page) + 5);
	CHECK(reader_find(table.table(), &cache, 302 * page, 1) == nullptr);
	table.remove(300 * page, 302 * page - 1);
	CHECK(reader_find(table.table(), &cache, 300 * page + 5, page) == nullptr);
	return success;
}

/** A data thread that looks addresses up, in bursts that the writer can wait for. */
class reader {
public:
	reader(const region_table &table, uint32_t seed)
	    : thread_([this, &table, seed] { run(table, seed); })
	{
	}
	~reader()
	{
		stop_ = true;
		thread_.join();
	}

	/** Returns once no burst goes on that began before. */
	void await_burst() const
	{
		const uint64_t seen = bursts_.load();
		while (seen % 2 == 1 && bursts_.load() == seen)
			std::this_thread::yield();
	}
	uint64_t found() const { return found_.load(); }
	uint64_t wrong() const { return wrong_.load(); }

private:
	void run(const region_table &table, uint32_t seed)
	{
		std::mt19937_64 random(seed);
		rte_guest_mem_cache cache{};
		while (!stop_) {
			bursts_++;
			for (int i = 0; i < 8; i++) {
				const uint64_t iova = random() % 2000 * page;
				const uint8_t *at = reader_find(table.table(), &cache, iova, 1);
				if (at == nullptr)
					continue;
				found_++;
				/* A region of several pages is mapped in one piece. */
				const uint64_t begin = iova - cache.last.iova;
				if (at != home_of(cache.last.iova) + begin)
					wrong_++;
			}
			bursts_++;
		}
	}

	std::atomic<bool> stop_{false};
	std::atomic<uint64_t> bursts_{0}, found_{0}, wrong_{0};
	std::thread thread_;
};

outcome
readers_go_on_under_changes()
{
	twins both(11, 2000);
	reader first(both.table, 1), second(both.table, 2);
	const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);

	for (uint32_t i = 0;
	     std::chrono::steady_clock::now() < end || first.found() == 0 || second.found() == 0;
	     i++) {
		CHECK(both.change(i / 500 % 2 == 0));
		first.await_burst();
		second.await_burst();
		both.table.reclaim();
	}
	CHECK_EQ(first.wrong() + second.wrong(), 0);
	CHECK(holds(both.table.current(), both.wanted));
	return success;
}

/** What a look-up with hits of before must give. */
uint8_t *
expected(const rte_guest_mem_table &table, uint64_t iova, uint64_t length, uint32_t access)
{
	rte_guest_mem_cache fresh{};
	return rte_guest_mem_translate(&table, &fresh, iova, length, access);
}

/** One cache sees regions come, go, and come back elsewhere, with other sizes and rights; what it
 * says is what an empty one would, in more places than it can keep. */
outcome
earlier_hits_end_with_their_snapshot()
{
	std::mt19937 random(17);
	rte_guest_mem_cache cache{};
	uint64_t found = 0, missed = 0;

	for (uint32_t turn = 0; turn < 200; turn++) {
		region_table table;
		const uint32_t places = turn % 4 == 0 ? 8 : 30 + random() % 200;
		for (uint32_t i = 0; i < places; i++) {
			const uint64_t iova = i * 4 * page;
			if (random() % 3 == 0)
				continue;
			table.insert({iova, page * (1 + random() % 4),
				      home_of(iova) + random() % 64 * page * 1024,
				      1 + static_cast<uint32_t>(random() % 3), 1});
		}
		table.reclaim();
		const rte_guest_mem_table &now = table.current();
		for (uint32_t i = 0; i < 2000; i++) {
			/* Few addresses, so that most have been found before. */
			const uint64_t iova =
				random() % 64 * (places * 4 * page / 64) + random() % page;
			const uint64_t length = 1 + random() % (2 * page);
			const uint32_t access = 1 + random() % 3;
			const uint8_t *got =
				rte_guest_mem_translate(&now, &cache, iova, length, access);
			CHECK(got == expected(now, iova, length, access));
			(got != nullptr ? found : missed)++;
		}
	}
	CHECK(found > 10000);
	CHECK(missed > 10000);
	return success;
}

outcome
guest_memory_autotest()
{
	static constexpr test_case cases[] = {
		{"a table holds what a list would", a_table_holds_what_a_list_would},
		{"the ends of the address space are in it",
		 the_ends_of_the_address_space_are_in_it},
		{"old snapshots stay as they are", old_snapshots_stay_as_they_are},
		{"a change of very many regions copies little",
		 a_change_of_very_many_regions_copies_little},
		{"a C program reads a table", a_c_program_reads_a_table},
		{"earlier hits end with their snapshot", earlier_hits_end_with_their_snapshot},
		{"readers go on under changes", readers_go_on_under_changes},
	};
	return run_cases("guest_memory", cases);
}

} // namespace

REGISTER_TEST(guest_memory_autotest, guest_memory_autotest);
