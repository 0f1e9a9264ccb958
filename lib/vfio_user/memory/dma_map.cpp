/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory/dma_map.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <sys/stat.h>

#include "bytes.hpp"
#include "peer/foreign_fd.hpp"
#include "rte_vfio_user.h"

namespace vfio_user {

namespace {

std::atomic<uint64_t> last_generation;

/* What memory that is to be let go of counts for, in descriptors: of each peer some gigabytes may
 * wait for it. */
constexpr size_t max_weight = closer::max_waiting / 4;

constexpr size_t
weight_of(uint64_t size)
{
	return std::min<uint64_t>(1 + (size >> 26), max_weight);
}

const char *
rights(uint32_t flags)
{
	static const char *const names[] = {"--", "r-", "-w", "rw"};
	return names[flags & 3];
}

} // namespace

dma_map::dma_map(std::shared_ptr<closer> by, uint64_t max_bytes)
    : closer_(std::move(by)), max_bytes_(max_bytes)
{
	publish(allocate(0));
}

dma_map::~dma_map()
{
	close();
}

guard::status
dma_map::open(int fault_fd)
{
	auto fresh = std::make_shared<arena>();
	TRY(fresh->reserve(fault_fd));
	arena_ = std::move(fresh);
	return {};
}

size_t
dma_map::bytes_of(uint32_t nb_regions)
{
	return sizeof(rte_guest_mem_table) + nb_regions * sizeof(rte_guest_mem_region);
}

dma_map::snapshot
dma_map::allocate(uint32_t nb_regions)
{
	snapshot fresh(static_cast<rte_guest_mem_table *>(std::malloc(bytes_of(nb_regions))));
	*fresh = {.generation = ++last_generation, .nb_regions = nb_regions, .reserved = 0};
	return fresh;
}

void
dma_map::publish(snapshot next)
{
	/* Release: a data thread that loads the pointer sees the regions behind it. */
	__atomic_store_n(&published_, next.get(), __ATOMIC_RELEASE);
	if (current_) {
		retired_bytes_ += bytes_of(current_->nb_regions);
		retired_.push_back(std::move(current_));
	}
	current_ = std::move(next);
}

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
	const rte_guest_mem_region *begin = current_->regions, *end = begin + current_->nb_regions;
	const rte_guest_mem_region *next = std::lower_bound(
		begin, end, request.address,
		[](const rte_guest_mem_region &r, uint64_t iova) { return r.iova < iova; });

	if (next != end && next->iova - request.address < request.size)
		return guard::failure{EEXIST};
	if (next != begin && request.address - next[-1].iova < next[-1].size)
		return guard::failure{EEXIST};
	if (current_->nb_regions >= RTE_VFIO_USER_MAX_DMA_REGIONS)
		return guard::failure{ENOSPC};

	rte_guest_mem_region region = {.iova = request.address,
				       .size = request.size,
				       .addr = nullptr,
				       .flags = request.flags,
				       .file = 0};
	if (fd >= 0) {
		file *memory = TRY(find_or_map_file(request, fd));
		memory->regions++;
		region.addr = memory->addr + request.offset;
		region.file = memory->id;
	}
	insert(static_cast<uint32_t>(next - begin), region);
	VFIO_USER_LOG(DEBUG, "DMA map 0x%016lx +0x%lx %s file %u", region.iova, region.size,
		      rights(region.flags), region.file);
	return {};
}

void
dma_map::insert(uint32_t position, const rte_guest_mem_region &region)
{
	snapshot next = allocate(current_->nb_regions + 1);
	rte_guest_mem_region *out = std::copy_n(current_->regions, position, next->regions);
	*out++ = region;
	std::copy(current_->regions + position, current_->regions + current_->nb_regions, out);
	publish(std::move(next));
}

guard::result<dma_map::file *>
dma_map::find_or_map_file(const wire::dma_map &request, int fd)
{
	struct stat st;
	int mode = ::fcntl(fd, F_GETFL);

	/* First: it asks no file system, which could let us wait. */
	if (!is_memory_file(fd)) {
		VFIO_USER_LOG_LIMITED(
			refusal_log_, ERR,
			"DMA map 0x%016lx: not a file of memory (memfd, tmpfs, hugetlbfs)",
			request.address);
		return guard::failure{ENODEV};
	}
	if (mode < 0 || ::fstat(fd, &st) != 0)
		return guard::last_error();
	if (!S_ISREG(st.st_mode))
		return guard::failure{ENODEV};
	if (!guard::contains(0, static_cast<uint64_t>(st.st_size), request.offset, request.size))
		return guard::failure{EINVAL};
	bool writable = (mode & O_ACCMODE) == O_RDWR;
	if ((mode & O_ACCMODE) == O_WRONLY ||
	    ((request.flags & RTE_GUEST_MEM_WRITE) != 0 && !writable))
		return guard::failure{EACCES};

	file wanted = {.dev = st.st_dev,
		       .ino = st.st_ino,
		       .writable = writable,
		       .size = static_cast<uint64_t>(st.st_size),
		       .addr = nullptr,
		       .id = 0,
		       .regions = 0};
	for (file &f : files_) {
		bool same = f.dev == wanted.dev && f.ino == wanted.ino && f.writable == writable;
		/* A file that has grown since needs a second, longer mapping. */
		if (same && guard::contains(0, f.size, request.offset, request.size))
			return &f;
	}
	/* For hugetlbfs st_blksize is the huge page size. */
	return map_file(wanted, fd, std::max<uint64_t>(wire::page_size, st.st_blksize), request);
}

guard::result<dma_map::file *>
dma_map::map_file(file wanted, int fd, uint64_t align, const wire::dma_map &request)
{
	uint64_t in_use = bytes_of_files();
	if (max_bytes_ != 0 && wanted.size > max_bytes_ - std::min(in_use, max_bytes_)) {
		VFIO_USER_LOG_LIMITED(refusal_log_, ERR,
				      "DMA map 0x%016lx: a file of %lu bytes beside %lu that are "
				      "mapped; %lu in all are allowed",
				      request.address, wanted.size, in_use, max_bytes_);
		return guard::failure{ENOSPC};
	}
	uint8_t *place = request.address >= request.offset
				 ? arena_->place_of(request.address - request.offset)
				 : nullptr;
	int prot = PROT_READ | (wanted.writable ? PROT_WRITE : 0);
	wanted.addr = TRY(arena_->map(fd, wanted.size, align, prot, place));
	wanted.id = ++last_file_id_;
	files_.push_back(wanted);
	return &files_.back();
}

uint64_t
dma_map::bytes_of_files() const
{
	uint64_t sum = 0;
	for (const file &f : files_)
		sum += f.size;
	return sum;
}

guard::result<uint32_t>
dma_map::unmap(uint64_t iova, uint64_t size)
{
	if (size == 0 || size - 1 > UINT64_MAX - iova)
		return guard::failure{EINVAL};

	uint32_t removed = 0;
	std::span<rte_guest_mem_region> regions(current_->regions, current_->nb_regions);
	for (const rte_guest_mem_region &r : regions) {
		bool apart = r.iova < iova ? iova - r.iova >= r.size : r.iova - iova >= size;
		if (apart)
			continue;
		if (!guard::contains(iova, size, r.iova, r.size))
			return guard::failure{EINVAL};
		removed++;
	}
	if (removed == 0)
		return 0u;

	snapshot next = allocate(current_->nb_regions - removed);
	rte_guest_mem_region *out = next->regions;
	for (const rte_guest_mem_region &r : regions) {
		if (guard::contains(iova, size, r.iova, r.size))
			release_file(r.file);
		else
			*out++ = r;
	}
	publish(std::move(next));
	VFIO_USER_LOG(DEBUG, "DMA unmap 0x%016lx +0x%lx, %u regions", iova, size, removed);
	return removed;
}

void
dma_map::release_file(uint32_t id)
{
	auto found = std::lower_bound(files_.begin(), files_.end(), id,
				      [](const file &f, uint32_t wanted) { return f.id < wanted; });
	if (found != files_.end() && found->id == id)
		found->regions--;
}

void
dma_map::clear()
{
	for (file &f : files_)
		f.regions = 0;
	publish(allocate(0));
}

void
dma_map::reclaim()
{
	retired_.clear();
	retired_bytes_ = 0;
	std::erase_if(files_, [this](const file &f) {
		if (f.regions == 0)
			closer_->drop(arena_->retire(f.addr), weight_of(f.size));
		return f.regions == 0;
	});
	if (current_->nb_regions == 0)
		last_file_id_ = 0;
}

void
dma_map::close()
{
	retired_.clear();
	retired_bytes_ = 0;
	files_.clear();
	last_file_id_ = 0;
	if (!arena_)
		return;
	/* As a whole, however many files it holds. */
	arena_->retire();
	closer_->drop(std::move(arena_), max_weight);
}

guard::result<uint8_t *>
dma_map::translate(uint64_t iova, uint64_t size, uint32_t access) const
{
	rte_guest_mem_cache cache = {};

	if (rte_guest_mem_cache_fill(current_.get(), &cache, iova) != 0 ||
	    !guard::contains(cache.iova, cache.size, iova, size))
		return guard::failure{EFAULT};
	if ((cache.flags & access) != access)
		return guard::failure{EACCES};
	return cache.addr == nullptr ? nullptr : cache.addr + (iova - cache.iova);
}

} // namespace vfio_user
