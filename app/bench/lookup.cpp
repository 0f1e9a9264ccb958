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
 * many regions, for a working set of the same size: 8 regions, spread over the table, of which each
 * look-up is in another one than the last. Prints the nanoseconds of a look-up, the median of
 * rounds that are interleaved.
 */

namespace bench {
namespace {

constexpr uint64_t page = 4096;
constexpr uint32_t used = 8, most = 65535, rounds = 9, lookups = 1 << 18;

/** Pages that are no neighbours, so that no two are one piece. */
uint64_t
address_of(uint64_t number)
{
	return (uint64_t{1} << 32) + 2 * number * page;
}

class subject {
public:
	explicit subject(uint32_t regions)
	{
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
	std::array<uint64_t, 512> addresses_;
};

int
run(const std::vector<uint32_t> &sizes)
{
	std::vector<std::vector<double>> times(sizes.size());

	std::vector<std::unique_ptr<subject>> tables;
	for (uint32_t regions : sizes)
		tables.push_back(std::make_unique<subject>(regions));
	for (uint32_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < tables.size(); i++)
			times[i].push_back(tables[i]->measure());
	for (size_t i = 0; i < sizes.size(); i++) {
		std::nth_element(times[i].begin(), times[i].begin() + rounds / 2, times[i].end());
		std::printf("%u %.2f\n", sizes[i], times[i][rounds / 2]);
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
		    return size < bench::used || size > bench::most;
	    })) {
		std::fprintf(stderr, "usage: dpdk-emudev-bench-lookup REGIONS... (%u to %u)\n",
			     bench::used, bench::most);
		return EXIT_FAILURE;
	}
	return bench::run(sizes);
}
