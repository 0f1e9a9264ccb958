/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cerrno>

#include "pci_function.hpp"

namespace test {

/** A bus to a client that shares no memory, of which only interrupts are left to be said. */
class memoryless_bus : public pci_device::bus {
public:
	bool lacks_file(uint64_t) const override { return false; }
	const void *first_memory() const override { return nullptr; }
	int dma_read(uint64_t, void *, uint32_t, rte_vfio_user_dma_done, void *) override
	{
		return -EFAULT;
	}
	int dma_write(uint64_t, const void *, uint32_t, rte_vfio_user_dma_done, void *) override
	{
		return -EFAULT;
	}
	bool has_turn() const override { return true; }
	void defer() override {}
	void set_poll(uint32_t) override {}

protected:
	~memoryless_bus() = default;
};

} // namespace test
