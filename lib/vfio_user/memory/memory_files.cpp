/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory/memory_files.hpp"

#include <algorithm>
#include <sys/stat.h>

#include "bytes.hpp"
#include "rte_guest_mem.h"

namespace vfio_user {

namespace {

/* What memory that is to be let go of counts for, in descriptors: of each peer some gigabytes may
 * wait for it. */
constexpr size_t max_weight = closer::max_waiting / 4;

constexpr size_t
weight_of(uint64_t size)
{
	return std::min<uint64_t>(1 + (size >> 26), max_weight);
}

} // namespace

memory_files::memory_files(std::shared_ptr<closer> by, uint64_t max_bytes)
    : closer_(std::move(by)), max_bytes_(max_bytes)
{
}

guard::status
memory_files::open(int fault_fd)
{
	auto fresh = std::make_shared<arena>();
	TRY(fresh->reserve(fault_fd));
	arena_ = std::move(fresh);
	return {};
}

guard::result<memory_files::place>
memory_files::take(const wire::dma_map &request, int fd)
{
	file &found = TRY(find_or_map(request, fd))->second;

	found.regions++;
	return place{found.addr + request.offset, found.id};
}

guard::result<memory_files::file_map::iterator>
memory_files::find_or_map(const wire::dma_map &request, int fd)
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
	auto size = static_cast<uint64_t>(st.st_size);
	if (!guard::contains(0, size, request.offset, request.size))
		return guard::failure{EINVAL};
	bool writable = (mode & O_ACCMODE) == O_RDWR;
	bool writes = (request.flags & RTE_GUEST_MEM_WRITE) != 0;
	if ((mode & O_ACCMODE) == O_WRONLY || (writes && !writable))
		return guard::failure{EACCES};

	identity wanted{st.st_dev, st.st_ino, writable, request.offset + request.size};
	auto found = files_.lower_bound(wanted);
	if (found != files_.end() && found->first.dev == wanted.dev &&
	    found->first.ino == wanted.ino && found->first.writable == writable)
		return found;
	wanted.size = size;
	/* For hugetlbfs st_blksize is the huge page size. */
	return map_file(wanted, std::max<uint64_t>(wire::page_size, st.st_blksize), fd, request);
}

guard::result<memory_files::file_map::iterator>
memory_files::map_file(const identity &wanted, uint64_t align, int fd, const wire::dma_map &request)
{
	if (max_bytes_ != 0 && wanted.size > max_bytes_ - std::min(bytes_, max_bytes_)) {
		VFIO_USER_LOG_LIMITED(refusal_log_, ERR,
				      "DMA map 0x%016lx: a file of %lu bytes beside %lu that are "
				      "mapped; %lu in all are allowed",
				      request.address, wanted.size, bytes_, max_bytes_);
		return guard::failure{ENOSPC};
	}
	uint8_t *near = request.address >= request.offset
				? arena_->place_of(request.address - request.offset)
				: nullptr;
	int prot = PROT_READ | (wanted.writable ? PROT_WRITE : 0);
	uint8_t *addr = TRY(arena_->map(fd, wanted.size, align, prot, near));
	auto added = files_.emplace(wanted, file{.addr = addr, .id = ++last_id_, .regions = 0});
	by_id_[last_id_] = added.first;
	bytes_ += wanted.size;
	return added.first;
}

void
memory_files::release(uint32_t id)
{
	if (auto found = by_id_.find(id);
	    found != by_id_.end() && --found->second->second.regions == 0)
		idle_.push_back(id);
}

void
memory_files::release_all()
{
	idle_.clear();
	for (auto &[key, f] : files_) {
		f.regions = 0;
		idle_.push_back(f.id);
	}
}

void
memory_files::reclaim()
{
	for (uint32_t id : idle_) {
		auto found = by_id_.find(id);
		/* It may have come to use again, or be here twice. */
		if (found == by_id_.end() || found->second->second.regions != 0)
			continue;
		auto &[key, f] = *found->second;
		closer_->drop(arena_->retire(f.addr), weight_of(key.size));
		bytes_ -= key.size;
		files_.erase(found->second);
		by_id_.erase(found);
	}
	idle_.clear();
	if (files_.empty())
		last_id_ = 0;
}

void
memory_files::close()
{
	files_.clear();
	by_id_.clear();
	idle_.clear();
	bytes_ = 0;
	last_id_ = 0;
	if (!arena_)
		return;
	/* As a whole, however many files it holds. */
	arena_->retire();
	closer_->drop(std::move(arena_), max_weight);
}

} // namespace vfio_user
