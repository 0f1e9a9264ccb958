/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

#include <rte_emudev_net.h>

#include "rx_format.hpp"

namespace iavf_be {

/** What RSS looks at of a packet. */
struct rss_input {
	/** Two addresses and two ports. */
	static constexpr size_t longest = 2 * 16 + 2 * sizeof(uint16_t);

	uint8_t type; /**< Of rte_emudev_net_rss_type; RTE_EMUDEV_NET_RSS_TYPES: it is not IP. */
	uint8_t address_length;             /**< Of one. */
	std::array<uint8_t, longest> bytes; /**< Source, destination; ports if there are any. */
};

/** Finds it in a frame of any form: what is behind tags, and not in a tunnel. */
rss_input find_rss_input(const rte_mbuf &frame);

/** The hashes of a key. */
class toeplitz {
public:
	explicit toeplitz(const uint8_t *key);

	uint32_t hash(const uint8_t *bytes, size_t length) const
	{
		uint32_t out = 0;

		for (size_t i = 0; i < length; i++)
			out ^= table_[i][bytes[i]];
		return out;
	}

private:
	/** By place and value of a byte: what it adds. */
	std::array<std::array<uint32_t, 256>, rss_input::longest> table_;
};

/** Chooses queues as the guest's driver has set it up. */
class rss {
public:
	/** @p served: indices of the queues that there are, at least one. */
	rss(const rte_emudev_net_rss &how, const std::vector<uint16_t> &served);

	/** @return The index of a queue; and labels a frame that is hashed. */
	uint16_t choose(const rte_mbuf &frame, frame_label &label) const;

private:
	uint32_t hash(rss_input &input, uint16_t fields) const;

	std::array<uint16_t, RTE_EMUDEV_NET_RSS_TYPES + 1> fields_{};
	bool xor_;
	uint32_t mask_;
	toeplitz key_;
	std::array<uint16_t, RTE_EMUDEV_NET_RSS_MAX_LUT> lut_;
};

} // namespace iavf_be
