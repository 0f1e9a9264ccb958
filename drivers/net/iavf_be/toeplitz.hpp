/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <rte_emudev_net.h>

namespace iavf_be {

/**
 * The hashes of a key; where that ends it begins anew.
 *
 * A hash is a product of polynomials, of which processors with an instruction for that need few.
 * Others have tables: by place and value of each half of a byte, what it adds, small enough to stay
 * in the first cache beside the packets.
 */
class toeplitz {
public:
	/** Two MAC addresses, two tags, two addresses, the number of a fragment, two ports. */
	static constexpr size_t longest = 2 * 6 + 2 * 2 + 2 * 16 + 4 + 2 * 2;

	explicit toeplitz(const uint8_t (&key)[RTE_EMUDEV_NET_RSS_KEY_SIZE]);

	/** @p length is at most the longest. */
	uint32_t hash(const uint8_t *bytes, size_t length) const
	{
		return hash_(*this, bytes, length);
	}
	/** The same by tables, for tests. */
	uint32_t hash_by_tables(const uint8_t *bytes, size_t length) const
	{
		return by_tables(*this, bytes, length);
	}

private:
	using hash_fn = uint32_t (*)(const toeplitz &, const uint8_t *, size_t);

	static uint32_t by_tables(const toeplitz &self, const uint8_t *bytes, size_t length);
	static uint32_t by_products(const toeplitz &self, const uint8_t *bytes, size_t length);
	static hash_fn select();

	struct place {
		std::array<uint32_t, 16> high, low;
	};
	/** Bit n: that of the key which is n bits behind the beginning of the block. */
	struct alignas(16) window {
		uint64_t low, high;
	};
	static constexpr size_t block = sizeof(uint64_t);

	hash_fn hash_ = select();
	std::array<window, (longest + block - 1) / block> windows_{};
	std::array<place, longest> table_;
};

} // namespace iavf_be
