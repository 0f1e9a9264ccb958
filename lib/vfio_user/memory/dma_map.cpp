/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory/dma_map.hpp"

#include "rte_vfio_user.h"

namespace vfio_user {

namespace {

const char *
rights(uint32_t flags)
{
	static const char *const names[] = {"--", "r-", "-w", "rw"};
	return names[flags & 3];
}

} // namespace

guard::status
dma_map::check(const wire::dma_map &request)
{
	constexpr uint64_t in_page = wire::page_size - 1;
	uint32_t known = RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE;

	if (request.size == 0 || request.size - 1 > UINT64_MAX - request.address)
		return guard::failure{EINVAL};
	if (((request.size | request.address | request.offset) & in_page) != 0)
		return guard::failure{EINVAL};
	if (request.flags == 0 || (request.flags & ~known) != 0)
		return guard::failure{EINVAL};
	return {};
}

guard::status
dma_map::map(const wire::dma_map &request, int fd)
{
	TRY(check(request));
	if (regions_.overlaps(request.address, request.address + (request.size - 1)))
		return guard::failure{EEXIST};
	if (current().nb_regions >= RTE_VFIO_USER_MAX_DMA_REGIONS)
		return guard::failure{ENOSPC};

	memory_files::place in{.addr = nullptr, .file = 0};
	if (fd >= 0)
		in = TRY(files_.take(request, fd));
	regions_.insert({.iova = request.address,
			 .size = request.size,
			 .addr = in.addr,
			 .flags = request.flags,
			 .file = in.file});
	bytes_of(in.addr != nullptr) += request.size;
	VFIO_USER_LOG(DEBUG, "DMA map 0x%016lx +0x%lx %s file %u", request.address, request.size,
		      rights(request.flags), in.file);
	return {};
}

guard::result<uint32_t>
dma_map::unmap(uint64_t iova, uint64_t size)
{
	if (size == 0 || size - 1 > UINT64_MAX - iova)
		return guard::failure{EINVAL};
	uint64_t last = iova + (size - 1);
	if (regions_.cuts(iova, last))
		return guard::failure{EINVAL};

	const rte_guest_mem_table *before = &current();
	const rte_guest_mem_region *r = rte_guest_mem_next(before, iova);
	for (; r != nullptr && r->iova <= last; r = rte_guest_mem_after(before, r)) {
		files_.release(r->file);
		bytes_of(r->addr != nullptr) -= r->size;
	}
	regions_.remove(iova, last);
	uint32_t removed = before->nb_regions - current().nb_regions;
	VFIO_USER_LOG(DEBUG, "DMA unmap 0x%016lx +0x%lx, %u regions", iova, size, removed);
	return removed;
}

void
dma_map::clear()
{
	files_.release_all();
	regions_.clear();
	bytes_ = {};
}

void
dma_map::reclaim()
{
	regions_.reclaim();
	files_.reclaim();
}

void
dma_map::close()
{
	regions_.reclaim();
	files_.close();
}

} // namespace vfio_user
