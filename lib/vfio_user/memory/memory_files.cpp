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
	const uint64_t bytes = *bytes_;
	if (max_bytes_ != 0 && wanted.size > max_bytes_ - std::min(bytes, max_bytes_)) {
		VFIO_USER_LOG_LIMITED(refusal_log_, ERR,
				      "DMA map 0x%016lx: a file of %lu bytes beside %lu that are "
				      "mapped; %lu in all are allowed",
				      request.address, wanted.size, bytes, max_bytes_);
		return guard::failure{ENOSPC};
	}
	uint8_t *near = request.address >= request.offset
				? arena_->place_of(request.address - request.offset)
				: nullptr;
	int prot = PROT_READ | (wanted.writable ? PROT_WRITE : 0);
	uint8_t *addr = TRY(arena_->map(fd, wanted.size, align, prot, near));
	auto added = files_.emplace(wanted, file{.addr = addr, .id = ++last_id_, .regions = 0});
	by_id_[last_id_] = added.first;
	*bytes_ += wanted.size;
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

/* To the last of those who hold it, or at once. */
void
memory_files::let_go(uint64_t size, uint8_t *addr)
{
	std::shared_ptr<void> mapping = arena_->retire(addr);
	std::shared_ptr<idle_file> kept;

	for (const auto &each : holds_) {
		auto hold = each.lock();
		if (!hold)
			continue;
		if (!kept)
			kept = std::make_shared<idle_file>(bytes_, size, std::move(mapping));
		hold->keep(kept, weight_of(size));
	}
	if (kept)
		return;
	*bytes_ -= size;
	closer_->drop(std::move(mapping), weight_of(size));
}

std::shared_ptr<memory_hold>
memory_files::hold()
{
	auto fresh = std::make_shared<memory_hold>(arena_, closer_);

	std::erase_if(holds_, [](const auto &each) { return each.expired(); });
	holds_.push_back(fresh);
	return fresh;
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
		let_go(key.size, f.addr);
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
	bytes_ = std::make_shared<std::atomic<uint64_t>>(0);
	last_id_ = 0;
	bool is_held = std::any_of(holds_.begin(), holds_.end(),
				   [](const auto &each) { return !each.expired(); });
	holds_.clear();
	if (!arena_)
		return;
	/* As a whole, however many files it holds. Who still reads there must survive what the
	 * client does to its files; the next client has nothing to do with it. */
	if (is_held)
		arena_->silence();
	else
		arena_->retire();
	closer_->drop(std::move(arena_), max_weight);
}

} // namespace vfio_user
