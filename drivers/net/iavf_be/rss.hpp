/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

#include <rte_emudev_net.h>

#include "rx_format.hpp"

namespace iavf_be {

/**
 * The hashes of a key. By tables: by place and value of each half of a byte, what it adds. They are
 * small enough to stay in the first cache beside the packets, and need no instructions that only
 * some processors have.
 */
class toeplitz {
public:
	/** Two MAC addresses, two tags, two addresses, the number of a fragment, two ports. */
	static constexpr size_t longest = 2 * 6 + 2 * 2 + 2 * 16 + 4 + 2 * 2;

	explicit toeplitz(const uint8_t (&key)[RTE_EMUDEV_NET_RSS_KEY_SIZE]);

	/** What bytes add that are hashed behind @p begin others. */
	uint32_t hash(const uint8_t *bytes, size_t length, size_t begin = 0) const
	{
		const uint8_t *end = bytes + length;
		uint32_t out = 0;

		for (const place *at = &table_[begin]; bytes != end; bytes++, at++)
			out ^= at->high[*bytes >> 4] ^ at->low[*bytes & 0xf];
		return out;
	}

private:
	struct place {
		std::array<uint32_t, 16> high, low;
	};
	std::array<place, longest> table_;
};

/** Chooses queues as the guest's driver has set it up. */
class rss {
public:
	/** @p served: indices of the queues that there are, at least one. */
	rss(const rte_emudev_net_rss &how, const std::vector<uint16_t> &served);

	/** @return The index of a queue; and labels a frame that is hashed. */
	uint16_t choose(const rte_mbuf &frame, frame_label &label) const;

private:
	/** By type; the last one is what is not IP. */
	std::array<uint16_t, RTE_EMUDEV_NET_RSS_TYPES + 1> fields_{};
	bool xor_;
	uint32_t mask_;
	std::array<uint16_t, RTE_EMUDEV_NET_RSS_MAX_LUT> lut_;
	toeplitz key_;
};

} // namespace iavf_be
