/* SPDX-License-Identifier: BSD-3-Clause */
#include "peer/arena.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <utility>

#include "bytes.hpp"
#include "log.hpp"
#include "peer/memory_fault.hpp"
#include "peer/unlocked.hpp"

namespace vfio_user {

namespace {

constexpr uint64_t gib = uint64_t{1} << 30;

/* The largest size that the process's limits allow is taken. The range costs address space only. */
#ifdef UNDER_THREAD_SANITIZER
/* It ends a program that has memory outside the 1.5 TiB it knows of. */
constexpr uint64_t sizes[] = {4 * gib};
#else
constexpr uint64_t sizes[] = {1024 * gib, 64 * gib, 4 * gib};
#endif

/* Files of any huge page size keep their alignment against I/O addresses. */
constexpr uint64_t anchor_align = gib;

constexpr int reserve_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/* Of four. */
constexpr size_t our_quarters = 3;

/* What all arenas may have. The rest is for the application, and for pages that take the place of
 * truncated ones. */
size_t
max_mappings()
{
	static const size_t max = [] {
		size_t limit = 65530; /* Linux's default */
		std::unique_ptr<FILE, int (*)(FILE *)> file(
			std::fopen("/proc/sys/vm/max_map_count", "re"), std::fclose);
		if (file == nullptr || std::fscanf(file.get(), "%zu", &limit) != 1)
			VFIO_USER_LOG(WARNING, "vm.max_map_count is not known, %zu is assumed",
				      limit);
		return limit / 4 * our_quarters;
	}();
	return max;
}

/* Of all arenas. */
std::atomic<size_t> mappings_in_use;

/* Memory that the kernel lets go of in one step, during which no other thread gets a mapping. */
constexpr size_t drop_step = 64 << 20;
/* And mappings: some hundred take it half a millisecond. */
constexpr size_t unmap_step = 256;

/* Lets go of what is mapped, which nobody uses any more, but not of the mapping. The kernel would
 * do it while it keeps all of the process's mappings to itself. */
void
drop_pages(uint64_t start, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += drop_step)
		::madvise(reinterpret_cast<void *>(start + at),
			  std::min<uint64_t>(drop_step, size - at), MADV_DONTNEED);
}

} // namespace

guard::status
arena::reserve(int fault_fd)
{
	for (uint64_t size : sizes) {
		auto attempt = guard::mapping::make(nullptr, size, PROT_NONE, reserve_flags, -1, 0);
		if (!attempt)
			continue;
		reserved_ = std::move(*attempt);
		gaps_ = {gap_below(used_.end())};
		leave_unlocked(reserved_.data(), size);
		fault_slot_ = TRY(memory_fault::guard_range(reserved_.data(), size, fault_fd));
		return {};
	}
	return guard::failure{ENOMEM};
}

arena::~arena()
{
	size_t ended = 0;

	retire();
	for (auto [start, size] : used_) {
		drop_pages(start, size);
		if (++ended % unmap_step == 0)
			reserved_.reset_front(start + size - begin());
	}
	reserved_.reset();
	release(mappings_);
}

uint64_t
arena::begin() const
{
	return reinterpret_cast<uint64_t>(reserved_.data());
}

void
arena::silence() const
{
	if (fault_slot_ >= 0)
		memory_fault::silence_range(fault_slot_);
}

void
arena::retire()
{
	if (fault_slot_ >= 0)
		memory_fault::release_range(std::exchange(fault_slot_, -1));
}

/* What a file adds to the kernel's mappings: itself, and the gap that it cuts in two, less the gaps
 * that it fills. */
size_t
arena::cost(uint64_t start, uint64_t size) const
{
	auto next = used_.upper_bound(start);
	bool below =
		next != used_.begin() && std::prev(next)->first + std::prev(next)->second == start;
	bool above = next != used_.end() && next->first == start + size;
	return 2u - below - above;
}

void
arena::release(size_t mappings)
{
	mappings_ -= mappings;
	mappings_in_use -= mappings;
}

uint8_t *
arena::place_of(uint64_t iova)
{
	uint64_t base = begin();
	uint64_t first = guard::align_up(base, anchor_align);

	if (!anchored_) {
		/* In the middle, since neighbours may come on either side. */
		uint64_t below = std::min(iova, reserved_.size() / 2) / anchor_align * anchor_align;
		anchor_iova_ = iova / anchor_align * anchor_align - below;
		anchored_ = true;
	}
	uint64_t offset = iova - anchor_iova_;
	if (iova < anchor_iova_ || offset >= reserved_.size() - (first - base))
		return nullptr;
	return reinterpret_cast<uint8_t *>(first + offset);
}

bool
arena::is_free(uint64_t start, uint64_t size) const
{
	if (!guard::contains(reinterpret_cast<uint64_t>(reserved_.data()), reserved_.size(), start,
			     size))
		return false;
	auto next = used_.lower_bound(start);
	if (next != used_.end() && next->first - start < size)
		return false;
	return next == used_.begin() || start - std::prev(next)->first >= std::prev(next)->second;
}

/* What is free between a file, or the end, and the file below it. */
arena::gap
arena::gap_below(files::const_iterator next) const
{
	auto base = reinterpret_cast<uint64_t>(reserved_.data());
	uint64_t end = next == used_.end() ? base + reserved_.size() : next->first;
	uint64_t start = base;

	if (next != used_.begin())
		start = std::prev(next)->first + std::prev(next)->second;
	return {end - start, start};
}

/* From the end of the largest gap, so that the places that I/O addresses ask for stay free as long
 * as possible. */
guard::result<uint64_t>
arena::find_gap(uint64_t size, uint64_t align) const
{
	constexpr int tries = 8; /* one that is large enough may not be so when aligned */
	auto it = gaps_.rbegin();

	for (int i = 0; i < tries && it != gaps_.rend() && it->first >= size; i++, ++it) {
		uint64_t start = (it->second + it->first - size) / align * align;
		if (start >= it->second)
			return start;
	}
	return guard::failure{ENOMEM};
}

void
arena::take(uint64_t start, uint64_t size)
{
	gaps_.erase(gap_below(used_.lower_bound(start)));
	auto added = used_.emplace(start, size).first;
	for (gap rest : {gap_below(added), gap_below(std::next(added))})
		if (rest.first > 0)
			gaps_.insert(rest);
}

void
arena::give_back(files::iterator file)
{
	gaps_.erase(gap_below(file));
	gaps_.erase(gap_below(std::next(file)));
	gaps_.insert(gap_below(used_.erase(file)));
}

/* Takes a range, if possible the wanted one, and the kernel's mappings that it costs. */
guard::result<uint64_t>
arena::place(uint64_t size, uint64_t align, uint64_t wanted)
{
	std::lock_guard lock(mutex_);
	uint64_t start = wanted;

	if (wanted == 0 || wanted % align != 0 || !is_free(wanted, size))
		start = TRY(find_gap(size, align));
	size_t more = cost(start, size);
	if (mappings_ + more > max_mappings() - mappings_in_use)
		return guard::failure{ENOSPC};
	take(start, size);
	mappings_ += more;
	mappings_in_use += more;
	return start;
}

uint64_t
arena::size_of(uint64_t start)
{
	std::lock_guard lock(mutex_);
	auto found = used_.find(start);
	return found == used_.end() ? 0 : found->second;
}

void
arena::forget(uint64_t start)
{
	std::lock_guard lock(mutex_);
	auto found = used_.find(start);
	uint64_t size = found->second;
	give_back(found);
	release(cost(start, size));
}

guard::result<uint8_t *>
arena::map(int fd, uint64_t size, uint64_t align, int prot, uint8_t *wanted)
{
	if (size == 0 || size > reserved_.size())
		return guard::failure{ENOMEM};
	size = guard::align_up(size, align);
	uint64_t start = TRY(place(size, align, reinterpret_cast<uint64_t>(wanted)));
	auto *addr = reinterpret_cast<uint8_t *>(start);
	if (::mmap(addr, size, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0) ==
	    MAP_FAILED) {
		guard::failure why = guard::last_error();
		forget(start);
		return why;
	}
	if (guard::status opened = open_unlocked(addr, size, prot); !opened) {
		unmap(addr);
		return opened.error();
	}
	return addr;
}

void
arena::unmap(uint8_t *addr)
{
	uint64_t start = reinterpret_cast<uint64_t>(addr), size = size_of(start);

	if (size == 0)
		return;
	drop_pages(start, size);
	/* One step: never a moment in which somebody else's mapping could land in the arena. */
	::mmap(addr, size, PROT_NONE, reserve_flags | MAP_FIXED, -1, 0);
	leave_unlocked(addr, size);
	forget(start);
}

std::shared_ptr<void>
arena::retire(uint8_t *addr)
{
	return {addr, [self = shared_from_this()](uint8_t *at) { self->unmap(at); }};
}

} // namespace vfio_user
