/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory/region_table.hpp"

#include <algorithm>
#include <atomic>
#include <span>

namespace vfio_user {

namespace {

std::atomic<uint64_t> last_generation;

constexpr size_t
bytes_of_list(uint32_t nb_parts)
{
	return sizeof(rte_guest_mem_table) + nb_parts * sizeof(rte_guest_mem_part);
}

constexpr size_t
bytes_of_part(uint32_t nb_regions)
{
	return nb_regions * sizeof(rte_guest_mem_region);
}

rte_guest_mem_table *
make_list(uint32_t nb_regions, uint32_t nb_parts)
{
	auto *list = static_cast<rte_guest_mem_table *>(::operator new(bytes_of_list(nb_parts)));
	*list = {.generation = ++last_generation, .nb_regions = nb_regions, .nb_parts = nb_parts};
	return list;
}

rte_guest_mem_part
make_part(const rte_guest_mem_region *from, uint32_t count)
{
	auto *regions = static_cast<rte_guest_mem_region *>(::operator new(bytes_of_part(count)));
	std::copy_n(from, count, regions);
	return {.iova = from->iova, .regions = regions, .nb_regions = count, .reserved = 0};
}

} // namespace

region_table::region_table()
{
	publish(make_list(0, 0));
}

region_table::~region_table()
{
	clear();
	retire(published_, 0);
}

bool
region_table::overlaps(uint64_t first, uint64_t last) const
{
	const rte_guest_mem_region *next = rte_guest_mem_next(published_, first);
	return next != nullptr && next->iova <= last;
}

/* Only those at its two ends can be. */
bool
region_table::cuts(uint64_t first, uint64_t last) const
{
	for (uint64_t end : {first, last}) {
		const rte_guest_mem_region *r = rte_guest_mem_find(published_, end);
		if (r != nullptr && (r->iova < first || r->iova + (r->size - 1) > last))
			return true;
	}
	return false;
}

/* Adds some regions of a part to the fresh ones. */
void
region_table::take(const rte_guest_mem_part &part, uint32_t begin, uint32_t end)
{
	fresh_.insert(fresh_.end(), part.regions + begin, part.regions + end);
}

void
region_table::insert(const rte_guest_mem_region &added)
{
	const rte_guest_mem_table &now = *published_;
	rte_guest_mem_place p{};
	bool is_first = rte_guest_mem_seek(&now, added.iova, &p) == 0;
	uint32_t at = is_first ? 0 : p.at + 1; /* behind so many regions of the part */

	fresh_.clear();
	/* Clients mostly map upwards or downwards: a full part at either end is left full. */
	bool is_last = at == max_regions && p.part + 1 == now.nb_parts;
	if (now.nb_parts == 0 || is_last || (is_first && now.parts[0].nb_regions == max_regions)) {
		fresh_.push_back(added);
		return replace(is_last ? now.nb_parts : 0, is_last ? now.nb_parts : 0);
	}
	take(now.parts[p.part], 0, at);
	fresh_.push_back(added);
	take(now.parts[p.part], at, now.parts[p.part].nb_regions);
	replace(p.part, p.part + 1);
}

void
region_table::remove(uint64_t first, uint64_t last)
{
	const rte_guest_mem_table &now = *published_;
	rte_guest_mem_place begin{}, end{};

	if (!overlaps(first, last))
		return;
	/* The first that goes: one that begins at or before `first` is there, or is left alone. */
	if (rte_guest_mem_seek(&now, first, &begin) && rte_guest_mem_at(&now, begin)->iova < first)
		rte_guest_mem_forward(&now, &begin);
	rte_guest_mem_seek(&now, last, &end);

	const rte_guest_mem_part &head = now.parts[begin.part], &tail = now.parts[end.part];
	uint32_t from = begin.part, to = end.part + 1;
	uint32_t left = begin.at + (tail.nb_regions - 1 - end.at);
	bool joins_before = from > 0 && now.parts[from - 1].nb_regions + left <= few_regions;
	if (joins_before)
		left += now.parts[--from].nb_regions;
	bool joins_behind = to < now.nb_parts && left + now.parts[to].nb_regions <= few_regions;

	fresh_.clear();
	if (joins_before)
		take(now.parts[from], 0, now.parts[from].nb_regions);
	take(head, 0, begin.at);
	take(tail, end.at + 1, tail.nb_regions);
	if (joins_behind)
		take(now.parts[to], 0, now.parts[to].nb_regions);
	replace(from, to + joins_behind);
}

/* Publishes a snapshot with the fresh regions, as parts of about the same size, in the place of
 * some parts. */
void
region_table::replace(uint32_t begin, uint32_t end)
{
	const rte_guest_mem_table &old = *published_;
	auto left = static_cast<uint32_t>(fresh_.size());
	uint32_t pieces = (left + max_regions - 1) / max_regions;
	uint32_t nb_regions = old.nb_regions + left;

	for (uint32_t i = begin; i < end; i++)
		nb_regions -= old.parts[i].nb_regions;
	rte_guest_mem_table *next = make_list(nb_regions, old.nb_parts - (end - begin) + pieces);
	rte_guest_mem_part *out = std::copy_n(old.parts, begin, next->parts);
	for (const rte_guest_mem_region *from = fresh_.data(); pieces > 0; pieces--) {
		uint32_t count = left / pieces;
		*out++ = make_part(from, count);
		from += count;
		left -= count;
	}
	std::copy(old.parts + end, old.parts + old.nb_parts, out);
	retire_parts(begin, end);
	publish(next);
}

void
region_table::clear()
{
	retire_parts(0, published_->nb_parts);
	publish(make_list(0, 0));
}

void
region_table::publish(rte_guest_mem_table *next)
{
	const rte_guest_mem_table *old = published_;

	/* Release: a thread that loads the pointer sees the regions behind it. */
	__atomic_store_n(&published_, next, __ATOMIC_RELEASE);
	if (old != nullptr)
		retire(old, bytes_of_list(old->nb_parts));
}

void
region_table::retire_parts(uint32_t begin, uint32_t end)
{
	for (const auto &part : std::span(published_->parts, end).subspan(begin))
		retire(part.regions, bytes_of_part(part.nb_regions));
}

void
region_table::retire(const void *at, size_t bytes)
{
	replaced_.emplace_back(at);
	replaced_bytes_ += bytes;
}

void
region_table::reclaim()
{
	replaced_.clear();
	replaced_bytes_ = 0;
}

} // namespace vfio_user
