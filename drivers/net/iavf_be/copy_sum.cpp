/* SPDX-License-Identifier: BSD-3-Clause */

#include "copy_sum.hpp"

#include <cstring>

#include <rte_cpuflags.h>

#ifdef RTE_ARCH_X86_64
#include <immintrin.h>
#endif

/* In DPDK 22.11 it is not ready for C++. */
extern "C" {
#include <rte_vect.h>
}

namespace iavf_be {

#ifdef RTE_ARCH_X86_64

namespace {

/** The last few bytes. */
template <class word>
uint64_t
copy_word(uint8_t *&to, const uint8_t *&from)
{
	word value;

	memcpy(&value, from, sizeof(value));
	memcpy(to, &value, sizeof(value));
	from += sizeof(value);
	to += sizeof(value);
	return value;
}

/** Sums of words that are taken for signed, in eight lanes of 32 bits: these cannot overflow in a
 * frame. */
struct lanes {
	__m256i sum;

	[[gnu::target("avx2"), gnu::always_inline]] void add(__m256i words, __m256i sign,
							     __m256i one)
	{
		const __m256i less = _mm256_xor_si256(words, sign);
		sum = _mm256_add_epi32(sum, _mm256_madd_epi16(less, one));
	}
};

[[gnu::target("avx2")]] uint64_t
copy_sum_avx2(uint8_t *to, const uint8_t *from, uint32_t length)
{
	constexpr uint32_t each = 2 * sizeof(__m256i);
	/* Multiplication knows signed words only: each counts 0x8000 less meanwhile. */
	constexpr int16_t offset = INT16_MIN;
	const __m256i sign = _mm256_set1_epi16(offset), one = _mm256_set1_epi16(1);
	lanes even{_mm256_setzero_si256()}, odd = even;
	const uint32_t rounds = length / each;

	for (uint32_t i = 0; i < rounds; i++, from += each, to += each) {
		const auto *in = reinterpret_cast<const __m256i *>(from);
		auto *out = reinterpret_cast<__m256i *>(to);
		const __m256i first = _mm256_loadu_si256(in), second = _mm256_loadu_si256(in + 1);
		_mm256_storeu_si256(out, first);
		_mm256_storeu_si256(out + 1, second);
		even.add(first, sign, one);
		odd.add(second, sign, one);
	}
	const __m256i both = _mm256_add_epi32(even.sum, odd.sum);
	__m128i sum =
		_mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
	sum = _mm_hadd_epi32(sum, sum);
	sum = _mm_hadd_epi32(sum, sum);
	auto total = static_cast<uint64_t>(int64_t{_mm_cvtsi128_si32(sum)} +
					   int64_t{rounds} * (each / 2) * -int64_t{offset});
	for (length %= each; length >= sizeof(uint32_t); length -= sizeof(uint32_t))
		total += copy_word<uint32_t>(to, from);
	if ((length & sizeof(uint16_t)) != 0)
		total += copy_word<uint16_t>(to, from);
	if ((length & 1) != 0)
		total += copy_word<uint8_t>(to, from);
	return total;
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
