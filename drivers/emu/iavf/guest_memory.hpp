/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstdint>

#include <rte_dma_table.h>

#include <bytes.hpp>

namespace iavf {

/**
 * The guest's memory, for the control thread: everything is copied, ranges may cross regions.
 *
 * Only memory with a mapped file is reached. Data threads need that for the rings anyway, so a
 * guest whose memory is not shared gets a critical admin queue error instead of a slow mailbox.
 */
class guest_memory {
public:
	/** @param table Where the current DMA table is published; NULL inside means no memory. */
	explicit guest_memory(const rte_dma_table *const *table = nullptr) : table_(table) {}

	guard::status read(uint64_t iova, guard::mutable_bytes to) const
	{
		return walk(iova, to.size(), RTE_DMA_READ, [&](std::byte *at, size_t done, size_t n) {
			std::copy_n(at, n, to.data() + done);
		});
	}

	guard::status write(uint64_t iova, guard::bytes from) const
	{
		return walk(iova, from.size(), RTE_DMA_WRITE,
			    [&](std::byte *at, size_t done, size_t n) {
				    std::copy_n(from.data() + done, n, at);
			    });
	}

	template <guard::wire T>
	guard::result<T> read(uint64_t iova) const
	{
		T out{};
		TRY(read(iova, std::as_writable_bytes(std::span<T, 1>(&out, 1))));
		return out;
	}

private:
	template <class Copy>
	guard::status walk(uint64_t iova, size_t len, uint32_t access, Copy copy) const
	{
		const rte_dma_table *table =
			table_ == nullptr ? nullptr : __atomic_load_n(table_, __ATOMIC_ACQUIRE);

		for (size_t done = 0; done < len;) {
			int64_t index = table == nullptr ? -1 : rte_dma_table_find(table, iova);

			if (index < 0)
				return guard::failure{EFAULT};
			const rte_dma_region &region = table->regions[index];
			uint64_t offset = iova - region.iova;
			size_t n = std::min<uint64_t>(len - done, region.size - offset);

			if (region.addr == nullptr || (region.flags & access) != access)
				return guard::failure{EFAULT};
			copy(static_cast<std::byte *>(static_cast<void *>(region.addr + offset)), done,
			     n);
			done += n;
			/* The table has no region that wraps: past the last address nothing is found. */
			if (done < len && iova + n < iova)
				return guard::failure{EFAULT};
			iova += n;
		}
		return {};
	}

	const rte_dma_table *const *table_;
};

} // namespace iavf
