/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <vector>

#include "fuzz.hpp"

namespace fuzz {

/** One store of the guest between two accesses of the host. */
struct late_store {
	uint8_t after; /**< Accesses since the store before. */
	uint8_t page;  /**< Of those that are watched. */
	uint16_t at;
	uint64_t value;
};

/**
 * Another processor of the guest that stores while a burst reads, at moments that the input names:
 * so what it finds can be found again. Pages are not accessible; each instruction that accesses one
 * faults, is carried out alone, and then the stores are made that are due. That is slow, so it ends
 * with the last store.
 */
class second_writer {
public:
	static constexpr size_t page_size = 4096;
	static constexpr size_t most_stores = 16;

	/** Takes the stores from an input. On other processors than x86-64 there are none. */
	second_writer(input &in, std::vector<uint8_t *> pages);
	/** The rest is not made. */
	~second_writer();
	second_writer(const second_writer &) = delete;
	second_writer &operator=(const second_writer &) = delete;

private:
	friend struct writer_signals;

	void protect(bool yes);
	bool watches(const void *address) const;
	void accessed();

	std::vector<uint8_t *> pages_;
	std::vector<late_store> stores_;
	size_t next_ = 0;
	uint8_t seen_ = 0; /**< Accesses since the last store. */
};

} // namespace fuzz
