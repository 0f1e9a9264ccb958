/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

namespace iavf_be {

/**
 * Copies bytes and sums them up in the same pass. The sum is that of RFC 1071 in the order of the
 * network, of 16-bit words and not folded: what is not a multiple of 0xffff is wrong if the bytes
 * cover a checksum, and that of the copy, whoever writes to the source meanwhile. It takes
 * copy_sum_pays bytes or more.
 */
using copy_sum_fn = uint64_t (*)(uint8_t *to, const uint8_t *from, uint32_t length);

/** The fastest that this processor and the application's choice (--force-max-simd-bitwidth) allow;
 * nullptr if a pass of its own is no slower. */
copy_sum_fn select_copy_sum();

/** From so many bytes on it is faster than copying first and then summing up what is in the cache.
 */
inline constexpr uint32_t copy_sum_pays = 96;

/** The sum of RFC 1071 over bytes that come in pieces of any length. */
class running_sum {
public:
	/** @p sum is that of the piece alone, and not folded. */
	void add(uint64_t sum, uint32_t length);
	uint64_t get() const { return sum_; }

private:
	uint64_t sum_ = 0;
	bool odd_ = false; /**< The next piece begins at an odd byte. */
};

/** Copies piece by piece and sums up. */
class summing_copy {
public:
	explicit summing_copy(copy_sum_fn fastest) : fastest_(fastest) {}

	/** @p own is the one of both that nobody else writes to meanwhile. */
	void copy(uint8_t *to, const uint8_t *from, uint32_t length, const uint8_t *own);
	uint64_t sum() const { return sum_.get(); }

private:
	copy_sum_fn fastest_;
	running_sum sum_;
};

} // namespace iavf_be
