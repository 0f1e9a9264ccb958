/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <rte_vfio_user.h>

namespace pci_device {

/**
 * What a function has of the machine that it is plugged into: memory, interrupts, and time. The
 * functions of the vfio-user server, so that a test can stand in for it.
 *
 * Virtual although data threads signal interrupts by it: one indirect call before what is a system
 * call.
 */
class bus {
public:
	/* Any thread, no lock. */
	virtual bool irq_wired(uint32_t index, uint32_t vector) const = 0;
	virtual int irq_trigger(uint32_t index, uint32_t vector) = 0;

	/* Control thread. */
	/** Whether the memory at @p iova came without a file, so that only dma_read() and
	 * dma_write() reach it. */
	virtual bool lacks_file(uint64_t iova) const = 0;
	/** Where the first memory that came with a file is mapped here, or NULL. */
	virtual const void *first_memory() const = 0;
	virtual int dma_read(uint64_t iova, void *data, uint32_t count, rte_vfio_user_dma_done done,
			     void *ctx) = 0;
	virtual int dma_write(uint64_t iova, const void *data, uint32_t count,
			      rte_vfio_user_dma_done done, void *ctx) = 0;
	virtual bool has_turn() const = 0;
	virtual void defer() = 0;
	virtual void set_poll(uint32_t interval_us) = 0;

protected:
	~bus() = default;
};

/** The client of a vfio-user server. */
class vfio_user_bus final : public bus {
public:
	void attach(rte_vfio_user_server *server) { server_ = server; }
	rte_vfio_user_server *server() const { return server_; }

	bool irq_wired(uint32_t index, uint32_t vector) const override;
	int irq_trigger(uint32_t index, uint32_t vector) override;
	bool lacks_file(uint64_t iova) const override;
	const void *first_memory() const override;
	int dma_read(uint64_t iova, void *data, uint32_t count, rte_vfio_user_dma_done done,
		     void *ctx) override;
	int dma_write(uint64_t iova, const void *data, uint32_t count, rte_vfio_user_dma_done done,
		      void *ctx) override;
	bool has_turn() const override;
	void defer() override;
	void set_poll(uint32_t interval_us) override;

private:
	const rte_guest_mem_table *table() const;

	rte_vfio_user_server *server_ = nullptr;
};

} // namespace pci_device
