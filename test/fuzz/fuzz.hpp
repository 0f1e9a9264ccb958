/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "bytes.hpp"

/** What fuzz targets share: reading an input, and saying what must hold. */
namespace fuzz {

/** An input that is taken from the front. Behind its end there are zeros, so that each prefix of an
 * input is one, too. */
class input {
public:
	input(const uint8_t *data, size_t size) : rest_(data, size) {}

	bool empty() const { return rest_.empty(); }
	size_t size() const { return rest_.size(); }
	template <guard::wire T> T take()
	{
		T out{};
		const size_t n = std::min(sizeof(T), rest_.size());

		std::memcpy(&out, rest_.data(), n);
		rest_ = rest_.subspan(n);
		return out;
	}
	uint8_t u8() { return take<uint8_t>(); }
	uint16_t u16() { return take<uint16_t>(); }
	uint32_t u32() { return take<uint32_t>(); }
	uint64_t u64() { return take<uint64_t>(); }
	/** One of [0, n). */
	uint32_t below(uint32_t n) { return n == 0 ? 0 : u16() % n; }
	/** Up to @p n bytes: as many as there are. */
	std::span<const uint8_t> bytes(size_t n)
	{
		auto out = rest_.first(std::min(n, rest_.size()));

		rest_ = rest_.subspan(out.size());
		return out;
	}
	/** Fills @p to, with zeros behind the end. */
	void fill(std::span<uint8_t> to)
	{
		auto from = bytes(to.size());

		std::copy(from.begin(), from.end(), to.begin());
		std::fill(to.begin() + static_cast<ptrdiff_t>(from.size()), to.end(), uint8_t{0});
	}
	std::span<const uint8_t> rest() const { return rest_; }

private:
	std::span<const uint8_t> rest_;
};

[[noreturn]] inline void
broken(const char *file, int line, const char *what)
{
	std::fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
	std::abort();
}

} // namespace fuzz

/** A finding unless @p condition holds. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz::broken(__FILE__, __LINE__, #condition);                              \
	} while (0)
