/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus.hpp"

namespace pci_device {

bool
vfio_user_bus::irq_wired(uint32_t index, uint32_t vector) const
{
	return rte_vfio_user_server_irq_wired(server_, index, vector) != 0;
}

int
vfio_user_bus::irq_trigger(uint32_t index, uint32_t vector)
{
	return rte_vfio_user_server_irq_trigger(server_, index, vector);
}

const rte_guest_mem_table *
vfio_user_bus::table() const
{
	return rte_guest_mem_get(rte_vfio_user_server_dma_table(server_));
}

bool
vfio_user_bus::lacks_file(uint64_t iova) const
{
	const rte_guest_mem_region *region = rte_guest_mem_find(table(), iova);

	return region != nullptr && region->addr == nullptr;
}

/** Of the first few regions: whatever a client maps, this must not take long. */
const void *
vfio_user_bus::first_memory() const
{
	const rte_guest_mem_table *all = table();
	const rte_guest_mem_region *region = rte_guest_mem_next(all, 0);

	for (int i = 0; i < 16 && region != nullptr; i++) {
		if (region->addr != nullptr)
			return region->addr;
		region = rte_guest_mem_after(all, region);
	}
	return nullptr;
}

int
vfio_user_bus::dma_read(uint64_t iova, void *data, uint32_t count, rte_vfio_user_dma_done done,
			void *ctx)
{
	return rte_vfio_user_server_dma_read(server_, iova, data, count, done, ctx);
}

int
vfio_user_bus::dma_write(uint64_t iova, const void *data, uint32_t count,
			 rte_vfio_user_dma_done done, void *ctx)
{
	return rte_vfio_user_server_dma_write(server_, iova, data, count, done, ctx);
}

bool
vfio_user_bus::has_turn() const
{
	return rte_vfio_user_server_has_turn(server_) > 0;
}

void
vfio_user_bus::defer()
{
	rte_vfio_user_server_defer(server_);
}

void
vfio_user_bus::set_poll(uint32_t interval_us)
{
	rte_vfio_user_server_set_poll(server_, interval_us);
}

} // namespace pci_device
