/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include <rte_memory.h>

#include <result.hpp>

struct rte_vfio_user_client;

namespace vfio_user_pci {

/**
 * Keeps all of EAL's memory open for one device's DMA, at I/O addresses equal to EAL's (IOVA as
 * VA).
 *
 * Memory that EAL can give back page by page is opened page by page, so that closing one page never
 * disturbs its neighbours. Memory that stays is merged into one region per file.
 *
 * EAL's memory is locked while the server answers. So it has one time-out for all regions together,
 * whatever each answer may take, and is dropped after that.
 */
class dma_memory {
public:
	/** Told that the server was dropped, by a negative errno. */
	using drop_callback = void (*)(void *ctx, int error);

	dma_memory(rte_vfio_user_client *client, const char *device, uint32_t timeout_ms,
		   drop_callback dropped, void *ctx);
	~dma_memory();
	dma_memory(const dma_memory &) = delete;
	dma_memory &operator=(const dma_memory &) = delete;

	/** Opens what there is and follows what comes and goes. */
	guard::status start();
	/** Whether [addr, addr + len) is open at I/O address @p iova. */
	bool covers(uint64_t iova, uint64_t len);

private:
	/** One DMA region: memory side by side in one file. The descriptor is EAL's. */
	struct region {
		uint64_t iova = 0;
		uint64_t size = 0;
		int fd = -1;
		uint64_t offset = 0;
		bool stays = false; /**< EAL frees it at its end only. */

		bool continued_by(const region &next) const
		{
			return stays && next.stays && next.iova - iova == size && next.fd == fd &&
			       next.offset - offset == size;
		}
		region part(uint64_t from, uint64_t to) const;
	};

	static int visit(const rte_memseg_list *list, const rte_memseg *page, void *self);
	static void on_event(rte_mem_event type, const void *addr, size_t len, void *self);

	int open_all();
	bool describe(const rte_memseg_list *list, const rte_memseg *page, region &out) const;
	void skip(const rte_memseg_list *list);
	void append(const region &next);
	void open_pending();
	void start_clock();
	bool is_late();
	void open(const region &what);
	void open_range(uint64_t addr, uint64_t len);
	void close_range(uint64_t addr, uint64_t len);
	void unmap(const region &what);
	int fail(const char *what, const region &where, int error);

	rte_vfio_user_client *const client_;
	const std::string device_;
	const std::string callback_name_;
	const std::chrono::milliseconds timeout_;
	const drop_callback dropped_;
	void *const ctx_;
	std::chrono::steady_clock::time_point deadline_{}; /**< Of this walk or event. */
	bool is_dropped_ = false;
	bool follows_ = false; /**< The event callback is registered: memory can go away. */
	const rte_memseg_list *skipped_ = nullptr;
	int error_ = 0;
	region pending_;

	/** Taken inside EAL's memory lock, never around it. */
	std::mutex lock_;
	std::map<uint64_t, region> open_; /**< By first I/O address. */
};

} // namespace vfio_user_pci
