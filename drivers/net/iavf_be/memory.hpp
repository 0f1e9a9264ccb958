/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include <rte_byteorder.h>
#include <rte_memcpy.h>

#include <rte_guest_mem.h>

#include "copy_sum.hpp"

namespace iavf_be {

/** A word of a guest's descriptor, read exactly once: the guest may change it at any time. */
inline uint64_t
read_once(const uint64_t &word)
{
	return rte_le_to_cpu_64(__atomic_load_n(&word, __ATOMIC_RELAXED));
}

/** A word of a guest's descriptor whose neighbours are published with publish() afterwards. */
inline void
write_once(uint64_t &word, uint64_t value)
{
	__atomic_store_n(&word, rte_cpu_to_le_64(value), __ATOMIC_RELAXED);
}

/** Hands a descriptor over: orders all earlier stores (data, other words) before this one. */
inline void
publish(uint64_t &word, uint64_t value)
{
	__atomic_store_n(&word, rte_cpu_to_le_64(value), __ATOMIC_RELEASE);
}

/** From so many bytes on the C library's copy is ahead: it knows what the processor is good at,
 * which this code was not compiled for: wide vectors, and string instructions, which need not read
 * the lines that they write. */
constexpr uint32_t long_copy = 256;

/** Copies a frame, or a part of it. Of short ones DPDK's copy, which is inlined: a call costs what
 * a short frame does. */
[[gnu::always_inline]] inline void
copy_frame(uint8_t *to, const uint8_t *from, uint32_t length)
{
	if (length < long_copy)
		rte_memcpy(to, from, length);
	else
		std::memcpy(to, from, length);
}

/** A buffer that crosses from one region into another that is elsewhere. */
struct two_pieces {
	uint8_t *first, *second;
	uint32_t cut; /**< Bytes of the first; the rest is in the second. */

	void copy_to(uint8_t *to, uint32_t length) const
	{
		copy_frame(to, first, cut);
		copy_frame(to + cut, second, length - cut);
	}
	void copy_from(const uint8_t *from, uint32_t length) const
	{
		copy_frame(first, from, cut);
		copy_frame(second, from + cut, length - cut);
	}
};

/** The guest's memory as one burst sees it. */
class guest_memory {
public:
	guest_memory(const rte_guest_mem_table *const *published, rte_guest_mem_cache &cache)
	    : table_(rte_guest_mem_get(published)), cache_(cache)
	{
	}

	/** Where the whole range is mapped, or nullptr if it is not in one piece. */
	uint8_t *whole(uint64_t iova, uint32_t length, uint32_t access)
	{
		return rte_guest_mem_translate(table_, &cache_, iova, length, access);
	}

	/** Whether what whole() has found last may be written, too. */
	bool is_writable() const { return (cache_.last.flags & RTE_GUEST_MEM_WRITE) != 0; }

	/** Where the two pieces of a range that is not whole are mapped; false if it has more, or
	 * if part of it is not mapped. */
	[[gnu::noinline]] bool halve(uint64_t iova, uint32_t length, uint32_t access,
				     two_pieces &out)
	{
		out.first = whole(iova, 1, access);
		if (out.first == nullptr)
			return false;
		const uint64_t left = cache_.last.size - (iova - cache_.last.iova);
		/* A range that wraps must not go on at address 0. */
		if (left >= length || left > std::numeric_limits<uint64_t>::max() - iova)
			return false;
		out.cut = static_cast<uint32_t>(left);
		out.second = whole(iova + left, length - out.cut, access);
		return out.second != nullptr;
	}

	/** Copies a range that may span regions, and sums it up if there is a @p sum; false if any
	 * part of it is not mapped for reading. */
	bool read(uint64_t iova, void *to, uint32_t length, summing_copy *sum = nullptr)
	{
		auto *out = static_cast<uint8_t *>(to);
		return each_piece(iova, length, RTE_GUEST_MEM_READ,
				  [&](uint8_t *piece, uint32_t size) {
					  if (sum != nullptr)
						  sum->copy(out, piece, size, out);
					  else
						  copy_frame(out, piece, size);
					  out += size;
				  });
	}

	/** Copies to a range that may span regions, and sums it up if there is a @p sum; false if
	 * part of it is not mapped for writing. */
	bool write(uint64_t iova, const void *from, uint32_t length, summing_copy *sum = nullptr)
	{
		auto *in = static_cast<const uint8_t *>(from);
		return each_piece(iova, length, RTE_GUEST_MEM_WRITE,
				  [&](uint8_t *piece, uint32_t size) {
					  if (sum != nullptr)
						  sum->copy(piece, in, size, in);
					  else
						  copy_frame(piece, in, size);
					  in += size;
				  });
	}

private:
	template <class copy>
	bool each_piece(uint64_t iova, uint32_t length, uint32_t access, copy copy_piece)
	{
		/* A range that wraps must not go on at address 0. */
		if (length != 0 && length - 1 > std::numeric_limits<uint64_t>::max() - iova)
			return false;
		while (length != 0) {
			/* Translating one byte leaves its whole region in the cache. */
			uint8_t *piece = whole(iova, 1, access);
			if (piece == nullptr)
				return false;
			const uint64_t left = cache_.last.size - (iova - cache_.last.iova);
			const auto size = static_cast<uint32_t>(std::min<uint64_t>(length, left));
			copy_piece(piece, size);
			iova += size;
			length -= size;
		}
		return true;
	}

	const rte_guest_mem_table *table_;
	rte_guest_mem_cache &cache_;
};

} // namespace iavf_be
