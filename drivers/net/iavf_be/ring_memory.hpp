/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include <rte_guest_mem.h>

namespace iavf_be {

/**
 * Where the descriptors of a ring are.
 *
 * A ring is one piece in I/O addresses. In memory it mostly is one piece, too; but behind an IOMMU
 * a kernel builds it of single pages, wherever it finds them. Both are a table of pieces here: of
 * one that holds the whole ring, or of one for each page. A burst asks for a piece once and then
 * walks on in it, so that a ring costs it nothing to be scattered. (A mapping that shows the pages
 * one after the other would be no better for a burst, would cost mappings, of which the kernel has
 * few, and cannot be made of parts of huge pages.)
 */
class ring_memory {
public:
	static constexpr uint32_t access = RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE;
	static constexpr uint16_t max_descriptors = INT16_MAX;

	/** Looks up a ring of at most max_descriptors of @p each bytes. Returns nullptr, or why it
	 * cannot be used; *this is then to be forgotten. */
	const char *find(const rte_guest_mem_table &table, uint64_t iova, uint16_t size,
			 uint16_t each)
	{
		const uint64_t bytes = uint64_t{size} * each;
		/* A cache of its own: that of the data thread stays with the buffers. */
		rte_guest_mem_cache cache{};
		void *whole = rte_guest_mem_translate(&table, &cache, iova, bytes, access);

		if (whole != nullptr) {
			set(0, one_piece, 1);
			pieces_[0] = whole;
			return reinterpret_cast<uintptr_t>(whole) % sizeof(uint64_t) == 0
				       ? nullptr
				       : unaligned;
		}
		if (iova % each != 0)
			return unaligned;
		if (iova + bytes < iova)
			return not_mapped;
		return find_pages(table, cache, iova, bytes, each);
	}

	template <class descriptor> descriptor *at(uint16_t index) const
	{
		const uint32_t slot = first_ + index;
		return static_cast<descriptor *>(pieces_[slot >> shift_]) + (slot & mask_);
	}

	/** How many descriptors from this one on lie one after the other, at least in the ring. */
	uint32_t run(uint16_t index) const { return mask_ + 1 - ((first_ + index) & mask_); }

	/** Whether all descriptors are where they are in the other one, a ring of the same size. */
	bool operator==(const ring_memory &other) const
	{
		return first_ == other.first_ && shift_ == other.shift_ && count_ == other.count_ &&
		       std::equal(pieces_.begin(), pieces_.begin() + count_, other.pieces_.begin());
	}

private:
	/** The smallest page of a DMA region, in bytes. */
	static constexpr uint32_t page = 4096;
	static constexpr uint32_t largest_descriptor = 32;
	static constexpr uint32_t max_pieces = max_descriptors * largest_descriptor / page + 2;
	/** Base-2 logarithm of what is more than all descriptors. */
	static constexpr uint32_t one_piece = 16;
	static constexpr const char *unaligned = "is not aligned";
	static constexpr const char *not_mapped = "is not mapped for reading and writing";

	void set(uint32_t first, uint32_t shift, uint32_t count)
	{
		first_ = first;
		shift_ = shift;
		mask_ = (1u << shift) - 1;
		count_ = count;
	}

	const char *find_pages(const rte_guest_mem_table &table, rte_guest_mem_cache &cache,
			       uint64_t iova, uint64_t bytes, uint16_t each)
	{
		const uint64_t begin = iova / page * page;
		const uint64_t last = (iova + bytes - 1) / page * page;

		set(static_cast<uint32_t>(iova - begin) / each,
		    static_cast<uint32_t>(std::countr_zero(page / each)),
		    static_cast<uint32_t>((last - begin) / page) + 1);
		for (uint32_t i = 0; i < count_; i++) {
			pieces_[i] = rte_guest_mem_translate(
				&table, &cache, begin + uint64_t{i} * page, page, access);
			if (pieces_[i] == nullptr)
				return cache.last.size != 0 && cache.last.addr == nullptr
					       ? "is in memory that is not shared"
					       : not_mapped;
		}
		return nullptr;
	}

	uint32_t first_ = 0; /**< Place of descriptor 0 in its piece. */
	uint32_t shift_ = 0; /**< Base-2 logarithm of the descriptors of a piece. */
	uint32_t mask_ = 0;
	uint32_t count_ = 0;
	std::array<void *, max_pieces> pieces_{};
};

} // namespace iavf_be
