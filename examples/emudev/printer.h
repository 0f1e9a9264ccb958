/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PRINTER_H
#define PRINTER_H

/*
 * A line printer as its driver sees it. All numbers are little-endian.
 *
 * The driver puts a ring of descriptors into its memory, writes PRINTER_RING and PRINTER_SIZE, and
 * then 1 to PRINTER_ENABLE. It prints by filling descriptors and moving the tail, in BAR2, behind
 * the last one. What is printed has a status in its descriptor, and an interrupt follows if the
 * control word, beside the tail, has bit 0 set; the interrupt clears it.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define PRINTER_VENDOR 0x1234
#define PRINTER_DEVICE 0x0d3b
#define PRINTER_CLASS  0x078000 /* Communication controller, of another kind. */

#define PRINTER_RING_TYPE "printer" /* By which device and back-end find each other. */
#define PRINTER_MAX_SIZE  1024u     /* Descriptors in a ring, 2 at least. */
#define PRINTER_MAX_TEXT  4096u     /* Bytes of one descriptor. */

/* BAR0: each access goes to the device. */
#define PRINTER_BAR_SIZE 4096u
struct printer_registers {
	uint64_t ring; /* I/O address, a multiple of 16. */
	uint32_t size;
	uint32_t enable; /* 1 or 0; reads as 0 if ring or size were refused. */
};
#define PRINTER_ENABLE offsetof(struct printer_registers, enable)

/* BAR2: one page of memory that both share; no access is a message. */
struct printer_doorbell {
	uint32_t tail;
	uint32_t control; /* Bit 0: interrupt. */
};
#define PRINTER_CONTROL_ENABLE 1u

/* BAR4: a table of one vector, and the pending bits. */
#define PRINTER_MSIX_SIZE  16u
#define PRINTER_PBA_OFFSET 2048u

struct printer_descriptor {
	uint64_t text; /* I/O address. */
	uint32_t length;
	uint32_t status;
};
static_assert(sizeof(struct printer_descriptor) == 16, "as the driver sees it");
#define PRINTER_STATUS_PRINTED 1u
#define PRINTER_STATUS_FAILED  2u /* Too long, or the text is not in memory that may be read. */

#endif /* PRINTER_H */
