/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <rte_branch_prediction.h>
#include <rte_ether.h>

#include <rte_emudev_net.h>

#include "big_endian.hpp"

namespace iavf_be {

/** The addresses of which a guest, or the application, wants frames. */
struct wanted_addresses {
	uint32_t promiscuous = 0; /**< Of rte_emudev_net_promiscuous. */
	rte_ether_addr own{};
	std::vector<rte_ether_addr> others;

	bool wants_all() const
	{
		constexpr uint32_t all =
			RTE_EMUDEV_NET_PROMISCUOUS_UNICAST | RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST;
		return (promiscuous & all) == all;
	}
};

/**
 * Tells the frames that somebody wants by where they go: to its own address, to one that it has
 * added, to all, or whatever its promiscuous modes let in. Most go to its own address, or a second
 * one, which takes a comparison.
 */
class address_filter {
public:
	explicit address_filter(const wanted_addresses &wanted);

	/** @p frame has an address at its front. */
	bool admits(const uint8_t *frame) const
	{
		const uint64_t to = load_mac(frame);
		return likely(to == own_) || admits_other(to);
	}

private:
	/** Entries that are looked at for one address at most. */
	static constexpr uint32_t most_probes = 8;
	/** Not an address: it has a bit above the 48. */
	static constexpr uint64_t nobody = UINT64_MAX;

	size_t place_of(uint64_t address) const { return address * factor_ >> shift_; }
	bool admits_other(uint64_t to) const;
	bool fill(const std::vector<rte_ether_addr> &all);

	uint64_t own_;
	uint32_t promiscuous_;
	uint8_t shift_; /**< Of a product, so that a place in the table is left. */
	uint64_t factor_;
	/** Addresses from their places on; the last ones are beyond the last place. */
	std::vector<uint64_t> table_;
};

} // namespace iavf_be
