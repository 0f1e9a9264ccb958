/* SPDX-License-Identifier: BSD-3-Clause */

/* In DPDK 22.11 it is not ready for C++, and others include it. */
extern "C" {
#include <rte_vect.h>
}

#include "copy_sum.hpp"

#include <array>

#include <rte_byteorder.h>
#include <rte_cpuflags.h>
#include <rte_ip.h>
#include <rte_memcpy.h>

#ifdef RTE_ARCH_X86_64
#include <immintrin.h>
#endif

#include "rx_check.hpp"

namespace iavf_be {

void
running_sum::add(uint64_t sum, uint32_t length)
{
	const uint16_t piece = quick::fold(sum);

	/* RFC 1071, section 2 (B): the sum of swapped bytes is the swapped sum. */
	sum_ += odd_ ? rte_bswap16(piece) : piece;
	odd_ = odd_ != (length % 2 != 0);
}

void
summing_copy::copy(uint8_t *to, const uint8_t *from, uint32_t length, const uint8_t *own)
{
	if (fastest_ != nullptr && length >= copy_sum_pays)
		return sum_.add(fastest_(to, from, length), length);
	rte_memcpy(to, from, length);
	sum_.add(rte_raw_cksum(own, length), length);
}

#ifdef RTE_ARCH_X86_64

/* Tuned for processors that have it: for those before them, which DPDK's flags are about, compilers
 * halve vectors that may not be aligned. */
#define WITH_AVX2 "avx2,tune=haswell"

namespace {

/** Sums of words that are taken for signed, in eight lanes of 32 bits: these cannot overflow in a
 * frame. */
struct lanes {
	/** Multiplication knows signed words only: each counts 0x8000 less meanwhile. */
	static constexpr int16_t offset = INT16_MIN;
	static constexpr uint32_t words = sizeof(__m256i) / sizeof(uint16_t);

	__m256i sum;

	[[gnu::target(WITH_AVX2), gnu::always_inline]] void add(__m256i vector)
	{
		const __m256i sign = _mm256_set1_epi16(offset), one = _mm256_set1_epi16(1);
		const __m256i less = _mm256_xor_si256(vector, sign);

		sum = _mm256_add_epi32(sum, _mm256_madd_epi16(less, one));
	}
	[[gnu::target(WITH_AVX2), gnu::always_inline]] void add(const lanes &other)
	{
		sum = _mm256_add_epi32(sum, other.sum);
	}

	/** The sum of all lanes, of so many vectors. */
	[[gnu::target(WITH_AVX2), gnu::always_inline]] uint64_t total(uint32_t vectors) const
	{
		__m128i all = _mm_add_epi32(_mm256_castsi256_si128(sum),
					    _mm256_extracti128_si256(sum, 1));

		all = _mm_add_epi32(all, _mm_shuffle_epi32(all, _MM_SHUFFLE(1, 0, 3, 2)));
		all = _mm_add_epi32(all, _mm_shuffle_epi32(all, _MM_SHUFFLE(2, 3, 0, 1)));
		return static_cast<uint64_t>(int64_t{_mm_cvtsi128_si32(all)} +
					     int64_t{vectors} * words * -int64_t{offset});
	}
};

/** @return The bytes, which are copied, too. */
[[gnu::target(WITH_AVX2), gnu::always_inline]] inline __m256i
copy_vector(uint8_t *to, const uint8_t *from)
{
	const __m256i out = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));

	_mm256_storeu_si256(reinterpret_cast<__m256i *>(to), out);
	return out;
}

/** From n on: a vector of which all but the last n bytes are 0. */
constexpr auto last_bytes = [] {
	std::array<uint8_t, 2 * sizeof(__m256i)> out{};

	for (size_t i = sizeof(__m256i); i < out.size(); i++)
		out[i] = 0xff;
	return out;
}();

/** What begins at an odd byte is the sum of swapped words (RFC 1071, section 2 (B)). */
uint64_t
swapped_sum(uint64_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return __builtin_bswap16(static_cast<uint16_t>((sum & 0xffff) + (sum >> 16)));
}

/**
 * What is less than a vector at the end is the end of one that begins before. That is copied first:
 * of bytes that are read twice, and may be written to meanwhile, those stay that are summed up.
 */
[[gnu::target(WITH_AVX2)]] uint64_t
copy_sum_avx2(uint8_t *to, const uint8_t *from, uint32_t length)
{
	constexpr uint32_t each = sizeof(__m256i), unroll = 4;
	/* Each by its name: they stay in registers. */
	lanes first{}, second{}, third{}, fourth{}, odd{};
	const uint32_t vectors = length / each, rest = length % each;
	uint32_t at = 0;

	if (rest != 0) {
		const __m256i mask =
			_mm256_loadu_si256(reinterpret_cast<const __m256i *>(&last_bytes[rest]));
		const __m256i last = copy_vector(to + length - each, from + length - each);
		const __m256i fresh = _mm256_and_si256(last, mask);
		if ((length & 1) == 0)
			first.add(fresh);
		else
			odd.add(fresh);
	}
	for (; at + unroll * each <= length; at += unroll * each) {
		first.add(copy_vector(to + at, from + at));
		second.add(copy_vector(to + at + each, from + at + each));
		third.add(copy_vector(to + at + 2 * each, from + at + 2 * each));
		fourth.add(copy_vector(to + at + 3 * each, from + at + 3 * each));
	}
	for (; at + each <= length; at += each)
		first.add(copy_vector(to + at, from + at));
	first.add(second);
	third.add(fourth);
	first.add(third);
	if ((length & 1) != 0)
		return first.total(vectors) + swapped_sum(odd.total(1));
	return first.total(vectors + (rest != 0));
}

} // namespace

copy_sum_fn
select_copy_sum()
{
	const bool wide = rte_vect_get_max_simd_bitwidth() >= RTE_VECT_SIMD_256;
	return wide && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) == 1 ? copy_sum_avx2 : nullptr;
}

#else

copy_sum_fn
select_copy_sum()
{
	return nullptr;
}

#endif

} // namespace iavf_be
