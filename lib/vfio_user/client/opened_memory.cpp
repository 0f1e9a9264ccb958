/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/opened_memory.hpp"

#include <algorithm>

#include "wire/protocol.hpp"

namespace vfio_user {

namespace {

guard::status
check(const rte_guest_mem_region &r)
{
	constexpr uint32_t known = RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE;

	if (r.size == 0 || r.size - 1 > UINT64_MAX - r.iova ||
	    (r.size | r.iova) % wire::page_size != 0)
		return guard::failure{EINVAL};
	if (r.flags == 0 || (r.flags & ~known) != 0)
		return guard::failure{EINVAL};
	return {};
}

} // namespace

guard::status
client_dma::add(const rte_guest_mem_region &region)
{
	TRY(check(region));
	std::lock_guard lock(mutex_);
	auto next = regions_.lower_bound(region.iova);

	if (next != regions_.end() && next->first - region.iova < region.size)
		return guard::failure{EEXIST};
	if (next != regions_.begin() &&
	    region.iova - std::prev(next)->first < std::prev(next)->second.size)
		return guard::failure{EEXIST};
	regions_.emplace_hint(next, region.iova, region);
	return {};
}

bool
client_dma::has(uint64_t iova, uint64_t size) const
{
	std::lock_guard lock(mutex_);
	auto found = regions_.find(iova);
	return found != regions_.end() && found->second.size == size;
}

client_dma::usage
client_dma::in_use() const
{
	std::lock_guard lock(mutex_);
	usage sum = {regions_.size(), 0};
	for (const auto &[iova, r] : regions_)
		sum.bytes += r.size;
	return sum;
}

void
client_dma::remove(uint64_t iova)
{
	std::lock_guard lock(mutex_);
	regions_.erase(iova);
}

/* Calls visit(memory, offset in the range, length) for each region that a range touches. */
template <class F>
guard::status
client_dma::for_pieces(uint64_t iova, uint64_t size, uint32_t access, F visit) const
{
	for (uint64_t at = 0, piece; at < size; at += piece) {
		/* Past the end of the address space there would be address 0 again. */
		if (at > UINT64_MAX - iova)
			return guard::failure{EFAULT};
		auto next = regions_.upper_bound(iova + at);
		if (next == regions_.begin())
			return guard::failure{EFAULT};
		const rte_guest_mem_region &r = std::prev(next)->second;
		uint64_t offset = iova + at - r.iova;
		if (offset >= r.size || r.addr == nullptr)
			return guard::failure{EFAULT};
		if ((r.flags & access) == 0)
			return guard::failure{EACCES};
		piece = std::min(r.size - offset, size - at);
		visit(r.addr + offset, at, piece);
	}
	return {};
}

guard::status
client_dma::read(uint64_t iova, guard::mutable_bytes into) const
{
	std::lock_guard lock(mutex_);
	TRY(for_pieces(iova, into.size(), RTE_GUEST_MEM_READ,
		       [](uint8_t *, uint64_t, uint64_t) {}));
	return for_pieces(iova, into.size(), RTE_GUEST_MEM_READ,
			  [&](uint8_t *memory, uint64_t at, uint64_t piece) {
				  std::memcpy(into.data() + at, memory, piece);
			  });
}

guard::status
client_dma::write(uint64_t iova, guard::bytes from)
{
	std::lock_guard lock(mutex_);
	TRY(for_pieces(iova, from.size(), RTE_GUEST_MEM_WRITE,
		       [](uint8_t *, uint64_t, uint64_t) {}));
	return for_pieces(iova, from.size(), RTE_GUEST_MEM_WRITE,
			  [&](uint8_t *memory, uint64_t at, uint64_t piece) {
				  guard::copy_to_polled(memory, from.subspan(at, piece));
			  });
}

} // namespace vfio_user
