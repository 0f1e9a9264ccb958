/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef DMA_DEVICE_H
#define DMA_DEVICE_H

/* What device and driver have agreed on. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* Of QEMU, which leaves them to devices of virtual machines; class: base system peripheral. */
#define DMA_VENDOR 0x1234
#define DMA_DEVICE 0x0d3a
#define DMA_CLASS  0x088000

#define DMA_BAR_SIZE    4096u  /* of BAR0 and BAR4 */
#define DMA_MEMORY_SIZE 65536u /* BAR2 */
#define DMA_MSIX_SIZE   16u    /* BAR4: a table of one vector, */
#define DMA_PBA_OFFSET  2048u  /* and the pending bits. */

/* The start of BAR0; little-endian, as all of PCI. */
struct dma_registers {
	uint64_t address; /* In the driver's memory. */
	uint32_t offset;  /* In the device's memory. */
	uint32_t length;  /* In bytes, both inside the device's memory. */
	uint32_t command; /* A write of DMA_COMMAND_* starts a copy. */
	uint32_t status;  /* DMA_STATUS_*, read only. */
};
static_assert(sizeof(struct dma_registers) == 24, "as the driver sees it");

#define DMA_COMMAND       offsetof(struct dma_registers, command)
#define DMA_COMMAND_FETCH 1u /* From the driver's memory to the device's. */
#define DMA_COMMAND_STORE 2u /* The other way. */

#define DMA_STATUS_IDLE   0u
#define DMA_STATUS_BUSY   1u
#define DMA_STATUS_DONE   2u
#define DMA_STATUS_FAILED 3u

#endif /* DMA_DEVICE_H */
