/* SPDX-License-Identifier: BSD-3-Clause */
#include "dma_memory.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <vector>

#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_vfio_user_client.h>

#include <bytes.hpp>

#include "log.hpp"

namespace vfio_user_pci {
namespace {

uint64_t
address_of(const void *addr)
{
	return reinterpret_cast<uintptr_t>(addr);
}

void *
pointer_to(uint64_t addr)
{
	return reinterpret_cast<void *>(static_cast<uintptr_t>(addr));
}

} // namespace

dma_memory::region
dma_memory::region::part(uint64_t from, uint64_t to) const
{
	return {from, to - from, fd, offset + (from - iova), stays};
}

dma_memory::dma_memory(rte_vfio_user_client *client, const char *device, uint32_t timeout_ms,
		       drop_callback dropped, void *ctx)
    : client_(client), device_(device), callback_name_(device_.substr(0, 48)), timeout_(timeout_ms),
      dropped_(dropped), ctx_(ctx)
{
}

dma_memory::~dma_memory()
{
	/* The regions are closed with the connection. */
	if (follows_)
		rte_mem_event_callback_unregister(callback_name_.c_str(), this);
}

guard::status
dma_memory::start()
{
	/* First the callback, then the walk: a page that comes in between is seen twice. */
	follows_ = rte_mem_event_callback_register(callback_name_.c_str(), on_event, this) == 0;
	if (!follows_ && rte_errno != ENOTSUP) {
		BUS_LOG(ERR, "%s: cannot follow memory events: %s", device_.c_str(),
			rte_strerror(rte_errno));
		return guard::failure{rte_errno};
	}

	rte_mcfg_mem_read_lock();
	int error = open_all();
	rte_mcfg_mem_read_unlock();
	if (error < 0)
		return guard::failure{-error};
	return {};
}

int
dma_memory::open_all()
{
	std::lock_guard guard(lock_);

	start_clock();
	rte_memseg_walk_thread_unsafe(visit, this);
	open_pending();
	skipped_ = nullptr;
	BUS_LOG(INFO, "%s: %zu DMA regions", device_.c_str(), open_.size());
	return error_;
}

bool
dma_memory::covers(uint64_t iova, uint64_t len)
{
	std::lock_guard guard(lock_);

	while (len > 0) {
		auto next = open_.upper_bound(iova);
		if (next == open_.begin())
			return false;
		const region &at = std::prev(next)->second;
		if (iova - at.iova >= at.size)
			return false;
		uint64_t step = std::min(len, at.size - (iova - at.iova));
		iova += step;
		len -= step;
	}
	return true;
}

int
dma_memory::visit(const rte_memseg_list *list, const rte_memseg *page, void *self)
{
	auto *memory = static_cast<dma_memory *>(self);
	region next;

	if (memory->describe(list, page, next))
		memory->append(next);
	else
		memory->skip(list);
	return memory->error_;
}

/** Called inside EAL's memory lock, as are the look-ups without a lock of their own. */
bool
dma_memory::describe(const rte_memseg_list *list, const rte_memseg *page, region &out) const
{
	size_t offset = 0;

	if (list->external || page->iova == RTE_BAD_IOVA)
		return false;
	out.fd = rte_memseg_get_fd_thread_unsafe(page);
	if (out.fd < 0 || rte_memseg_get_fd_offset_thread_unsafe(page, &offset) != 0)
		return false;
	out.iova = page->iova;
	out.size = page->len;
	out.offset = offset;
	out.stays = !follows_ || (page->flags & RTE_MEMSEG_FLAG_DO_NOT_FREE) != 0;
	return true;
}

/** Says once per list that it is left out. */
void
dma_memory::skip(const rte_memseg_list *list)
{
	if (list == skipped_)
		return;
	skipped_ = list;
	BUS_LOG(NOTICE,
		"%s: memory at %p (%zu bytes) has no file descriptor to pass: "
		"the device cannot reach it",
		device_.c_str(), list->base_va, list->len);
}

void
dma_memory::append(const region &next)
{
	if (pending_.size != 0 && pending_.continued_by(next)) {
		pending_.size += next.size;
		return;
	}
	open_pending();
	pending_ = next;
}

void
dma_memory::open_pending()
{
	if (pending_.size != 0)
		open(pending_);
	pending_ = {};
}

void
dma_memory::open(const region &what)
{
	if (error_ == 0 && is_late())
		error_ = -ETIMEDOUT;
	if (error_ != 0 || !open_.try_emplace(what.iova, what).second)
		return;
	int error = rte_vfio_user_client_dma_map(client_, what.iova, what.size,
						 RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE, what.fd,
						 what.offset, pointer_to(what.iova));
	if (error < 0) {
		open_.erase(what.iova);
		error_ = fail("open", what, error);
	}
}

void
dma_memory::start_clock()
{
	deadline_ = std::chrono::steady_clock::now() + timeout_;
}

/** Whether the server has had its time, and is dropped. */
bool
dma_memory::is_late()
{
	if (is_dropped_ || std::chrono::steady_clock::now() <= deadline_)
		return is_dropped_;
	BUS_LOG(ERR,
		"%s: the server is dropped: it has not opened or closed memory in %ld ms, and "
		"all memory of this process is locked meanwhile",
		device_.c_str(), static_cast<long>(timeout_.count()));
	is_dropped_ = true;
	rte_vfio_user_client_cancel(client_);
	dropped_(ctx_, -ETIMEDOUT);
	return true;
}

int
dma_memory::fail(const char *what, const region &where, int error)
{
	/* When the server is gone its disconnection has been logged. */
	if (error != -ENOTCONN && error != -ECANCELED)
		BUS_LOG(ERR, "%s: cannot %s memory at 0x%" PRIx64 " (%" PRIu64 " bytes): %s",
			device_.c_str(), what, where.iova, where.size, strerror(-error));
	return error;
}

void
dma_memory::on_event(rte_mem_event type, const void *addr, size_t len, void *self)
{
	auto *memory = static_cast<dma_memory *>(self);
	std::lock_guard guard(memory->lock_);

	memory->start_clock();
	if (type == RTE_MEM_EVENT_ALLOC)
		memory->open_range(address_of(addr), len);
	else
		memory->close_range(address_of(addr), len);
}

/** Returns when the device can use the memory: EAL hands it to its allocators after that. */
void
dma_memory::open_range(uint64_t addr, uint64_t len)
{
	const rte_memseg_list *list = rte_mem_virt2memseg_list(pointer_to(addr));

	if (list == nullptr)
		return;
	error_ = 0; /* A failure is that of its pages only. */
	for (uint64_t at = addr; at - addr < len; at += list->page_sz) {
		const rte_memseg *page = rte_mem_virt2memseg(pointer_to(at), list);

		if (page != nullptr)
			visit(list, page, this);
	}
	open_pending();
	skipped_ = nullptr;
}

/** Closes what is being freed. EAL frees the pages, with their files, after that. */
void
dma_memory::close_range(uint64_t addr, uint64_t len)
{
	std::vector<region> hit;

	error_ = 0;
	for (const auto &[iova, at] : open_)
		if (iova < addr + len && addr < iova + at.size)
			hit.push_back(at);
	for (const region &at : hit) {
		open_.erase(at.iova);
		unmap(at);
		/* Only at the end of EAL is a part of a merged region freed: the rest stays in use
		 * by drivers that are not closed yet. */
		if (at.iova < addr)
			open(at.part(at.iova, addr));
		if (addr + len < at.iova + at.size)
			open(at.part(addr + len, at.iova + at.size));
	}
}

void
dma_memory::unmap(const region &what)
{
	int error = is_late() ? -ECANCELED
			      : rte_vfio_user_client_dma_unmap(client_, what.iova, what.size);

	if (error < 0)
		fail("close", what, error);
}

} // namespace vfio_user_pci
