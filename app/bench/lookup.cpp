/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "memory/region_table.hpp"
#include "meter.hpp"

/*
 * dpdk-emudev-bench-lookup: what it takes to find a guest's address in a table of few and of very
 * many regions, for working sets of the same sizes: 8 and 256 regions at most, spread over the
 * table, of which each look-up is in another one than the last. Prints the nanoseconds of a look-up
 * for both, the medians of rounds that are interleaved.
 */

namespace bench {
namespace {

constexpr uint64_t page = 4096;
constexpr std::array<uint32_t, 2> working_sets{8, 256};
constexpr uint32_t least = working_sets[0], most = 65535, rounds = 9, lookups = 1 << 18;

/** Pages that are no neighbours, so that no two are one piece. */
uint64_t
address_of(uint64_t number)
{
	return (uint64_t{1} << 32) + 2 * number * page;
}

class subject {
public:
	subject(uint32_t regions, uint32_t working_set)
	{
		const uint32_t used = std::min(regions, working_set);
		for (uint32_t i = 0; i < regions; i++)
			table_.insert({address_of(i), page,
				       reinterpret_cast<uint8_t *>(address_of(i)),
				       RTE_GUEST_MEM_READ, 1});
		table_.reclaim();
		std::mt19937 random(1);
		uint32_t last = 0;
		for (uint64_t &address : addresses_) {
			last = (last + 1 + random() % (used - 1)) % used;
			address = address_of(uint64_t{last} * regions / used) + random() % page;
		}
	}

	/** Nanoseconds of a look-up; 0 if one found nothing. */
	double measure() const
	{
		rte_guest_mem_cache cache{};
		const rte_guest_mem_table *table = rte_guest_mem_get(table_.table());
		uint64_t found = 0;
		const uint64_t begin = ticks();
		for (uint32_t i = 0; i < lookups; i++)
			found += rte_guest_mem_translate(table, &cache,
							 addresses_[i % addresses_.size()], 1,
							 RTE_GUEST_MEM_READ) != nullptr;
		const uint64_t taken = ticks() - begin;
		return found == lookups
			       ? static_cast<double>(taken) / lookups / ticks_per_second() * 1e9
			       : 0;
	}

private:
	vfio_user::region_table table_;
	/* More than a processor can learn by heart. */
	std::array<uint64_t, 8192> addresses_;
};

int
run(const std::vector<uint32_t> &sizes)
{
	std::vector<std::unique_ptr<subject>> tables;
	for (const uint32_t regions : sizes)
		for (const uint32_t used : working_sets)
			tables.push_back(std::make_unique<subject>(regions, used));
	std::vector<std::array<double, rounds>> times(tables.size());
	for (uint32_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < tables.size(); i++)
			times[i][round] = tables[i]->measure();
	for (size_t i = 0; i < times.size(); i++) {
		std::nth_element(times[i].begin(), times[i].begin() + rounds / 2, times[i].end());
		const size_t set = i % working_sets.size();
		if (set == 0)
			std::printf("%u", sizes[i / working_sets.size()]);
		std::printf(" %.2f%s", times[i][rounds / 2],
			    set + 1 == working_sets.size() ? "\n" : "");
	}
	return EXIT_SUCCESS;
}

} // namespace
} // namespace bench

int
main(int argc, char **argv)
{
	std::vector<uint32_t> sizes;
	for (int i = 1; i < argc; i++)
		sizes.push_back(std::strtoul(argv[i], nullptr, 0));
	if (sizes.empty() || std::any_of(sizes.begin(), sizes.end(), [](uint32_t size) {
		    return size < bench::least || size > bench::most;
	    })) {
		std::fprintf(stderr, "usage: dpdk-emudev-bench-lookup REGIONS... (%u to %u)\n",
			     bench::least, bench::most);
		return EXIT_FAILURE;
	}
	return bench::run(sizes);
}
