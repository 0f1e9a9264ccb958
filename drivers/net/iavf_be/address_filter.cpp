/* SPDX-License-Identifier: BSD-3-Clause */

#include "address_filter.hpp"

#include <algorithm>
#include <bit>

#include <rte_random.h>

namespace iavf_be {

/**
 * A guest may choose the addresses, so that a factor by chance is what keeps them apart: with the
 * table at least four times as large as needed most do, and the rest is tried again.
 */
address_filter::address_filter(const wanted_addresses &wanted)
    : own_(load_mac(wanted.own.addr_bytes)), promiscuous_(wanted.promiscuous)
{
	const size_t places = std::bit_ceil(wanted.others.size() * 4 + 2);

	shift_ = static_cast<uint8_t>(64 - std::countr_zero(places));
	table_.resize(places + most_probes);
	do
		factor_ = rte_rand() | 1;
	while (!fill(wanted.others));
}

/** @return Whether all are found within few probes. */
bool
address_filter::fill(const std::vector<rte_ether_addr> &all)
{
	std::ranges::fill(table_, nobody);
	for (const rte_ether_addr &one : all) {
		const uint64_t address = load_mac(one.addr_bytes);
		const auto first = table_.begin() + static_cast<ptrdiff_t>(place_of(address));
		const auto end = first + most_probes;
		const auto at = std::find_if(first, end, [address](uint64_t entry) {
			return entry == nobody || entry == address;
		});
		if (at == end)
			return false;
		*at = address;
	}
	return true;
}

bool
address_filter::admits_other(uint64_t to) const
{
	constexpr uint64_t broadcast = UINT64_MAX >> 16;
	const uint32_t mode = (to & RTE_ETHER_GROUP_ADDR) != 0
				      ? RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST
				      : RTE_EMUDEV_NET_PROMISCUOUS_UNICAST;

	if (to == broadcast || (promiscuous_ & mode) != 0)
		return true;
	const uint64_t *entry = &table_[place_of(to)];
	for (uint32_t i = 0; i < most_probes && entry[i] != nobody; i++)
		if (entry[i] == to)
			return true;
	return false;
}

} // namespace iavf_be
