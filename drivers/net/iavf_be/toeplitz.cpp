/* SPDX-License-Identifier: BSD-3-Clause */

#include "toeplitz.hpp"

#include <rte_cpuflags.h>

#ifdef RTE_ARCH_X86_64
#include <immintrin.h>
#endif

/* In DPDK 22.11 it is not ready for C++. */
extern "C" {
#include <rte_vect.h>
}

#include "big_endian.hpp"

namespace iavf_be {

toeplitz::toeplitz(const uint8_t (&key)[RTE_EMUDEV_NET_RSS_KEY_SIZE])
{
	constexpr unsigned int half = 4, halves = 16, word = 64;
	constexpr size_t bits = RTE_EMUDEV_NET_RSS_KEY_SIZE * 8;
	const auto bit = [&key](size_t at) -> uint64_t {
		at %= bits;
		return key[at / 8] >> (7 - at % 8) & 1u;
	};

	for (size_t i = 0; i < windows_.size(); i++)
		for (unsigned int n = 0; n < word; n++) {
			windows_[i].low |= bit(i * word + n) << n;
			windows_[i].high |= bit((i + 1) * word + n) << n;
		}
	/* Each bit adds the 32 bits of the key from its place on. */
	for (size_t i = 0; i < table_.size(); i++) {
		uint64_t from_here = 0;
		for (size_t n = 0; n < sizeof(uint32_t) + 1; n++)
			from_here = from_here << 8 | key[(i + n) % RTE_EMUDEV_NET_RSS_KEY_SIZE];
		const auto sum = [from_here](unsigned int value) {
			uint32_t out = 0;
			for (unsigned int n = 0; n < 8; n++)
				if ((value << n & 0x80) != 0)
					out ^= static_cast<uint32_t>(from_here >> (8 - n));
			return out;
		};
		for (unsigned int value = 0; value < halves; value++) {
			table_[i].high[value] = sum(value << half);
			table_[i].low[value] = sum(value);
		}
	}
}

uint32_t
toeplitz::by_tables(const toeplitz &self, const uint8_t *bytes, size_t length)
{
	uint32_t out = 0;

	for (size_t i = 0; i < length; i++)
		out ^= self.table_[i].high[bytes[i] >> 4] ^ self.table_[i].low[bytes[i] & 0xf];
	return out;
}

#ifdef RTE_ARCH_X86_64

namespace {

constexpr uint32_t
reversed(uint32_t value)
{
	value = (value >> 1 & 0x55555555) | (value & 0x55555555) << 1;
	value = (value >> 2 & 0x33333333) | (value & 0x33333333) << 2;
	value = (value >> 4 & 0x0f0f0f0f) | (value & 0x0f0f0f0f) << 4;
	return __builtin_bswap32(value);
}

/** Bytes that are less than a block. */
uint64_t
load_end(const uint8_t *at, size_t length)
{
	uint64_t out = 0;

	if (length == sizeof(uint32_t))
		return load<uint32_t>(at);
	for (size_t i = 0; i < length; i++)
		out |= uint64_t{at[i]} << 8 * i;
	return out;
}

} // namespace

/**
 * Bit j of the hash is the sum of all input bits i times key bits i + j. With the input bits of a
 * block in falling and those of the key in rising powers, these are the products that make the
 * coefficient 63 + j, for j from 0 to 31; others do not reach it.
 */
[[gnu::target("pclmul")]] uint32_t
toeplitz::by_products(const toeplitz &self, const uint8_t *bytes, size_t length)
{
	__m128i low = _mm_setzero_si128(), high = low;
	const window *key = self.windows_.data();

	for (;; key++, bytes += block, length -= block) {
		const uint64_t input =
			length >= block ? load<uint64_t>(bytes) : load_end(bytes, length);
		const __m128i in =
			_mm_cvtsi64_si128(static_cast<long long>(__builtin_bswap64(input)));
		const __m128i with = _mm_load_si128(reinterpret_cast<const __m128i *>(key));
		low = _mm_xor_si128(low, _mm_clmulepi64_si128(in, with, 0x00));
		high = _mm_xor_si128(high, _mm_clmulepi64_si128(in, with, 0x10));
		if (length <= block)
			break;
	}
	const auto first = static_cast<uint64_t>(_mm_cvtsi128_si64(low));
	const auto second = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(low, low)));
	const auto third = static_cast<uint64_t>(_mm_cvtsi128_si64(high));
	return reversed(static_cast<uint32_t>(first >> 63 ^ (second ^ third) << 1));
}

toeplitz::hash_fn
toeplitz::select()
{
	const bool wide = rte_vect_get_max_simd_bitwidth() >= RTE_VECT_SIMD_128;
	return wide && rte_cpu_get_flag_enabled(RTE_CPUFLAG_PCLMULQDQ) == 1 ? by_products
									    : by_tables;
}

#else

toeplitz::hash_fn
toeplitz::select()
{
	return by_tables;
}

#endif

} // namespace iavf_be
