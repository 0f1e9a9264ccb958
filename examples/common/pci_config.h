/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PCI_CONFIG_H
#define PCI_CONFIG_H

/*
 * The configuration space of an emulated PCI device: 256 bytes, and a mask that says which of their
 * bits a driver may change. Offsets and bits are those of <linux/pci_regs.h>.
 */

#include <stdbool.h>
#include <stdint.h>

#define PCI_CONFIG_SIZE 256

struct pci_config {
	uint8_t value[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE]; /* 1: the driver may change the bit; 0 after a reset. */
	uint8_t end;                       /* Where the next capability goes. */
	uint8_t last_link;                 /* Where its place is to be entered. */
};

/* class_code: class, subclass and programming interface, 24 bits. */
void pci_config_init(struct pci_config *config, uint16_t vendor, uint16_t device,
		     uint32_t class_code);
/* size is a power of two; type is PCI_BASE_ADDRESS_SPACE_IO or 0, which is 32-bit memory. */
void pci_config_add_bar(struct pci_config *config, unsigned int index, uint32_t size, uint8_t type);
/* The device interrupts by INTA#. */
void pci_config_add_pin(struct pci_config *config);
/* The table stands at the start of a BAR, the pending bits at pba_offset. */
void pci_config_add_msix(struct pci_config *config, uint16_t vectors, uint8_t bar,
			 uint32_t pba_offset);

/* What a driver does; offset and count are inside the 256 bytes. */
void pci_config_read(const struct pci_config *config, uint64_t offset, void *data, uint32_t count);
void pci_config_write(struct pci_config *config, uint64_t offset, const void *data, uint32_t count);
void pci_config_reset(struct pci_config *config);

/* The pin's level, as the status register shows it. */
void pci_config_set_intx(struct pci_config *config, bool level);
bool pci_config_intx_disabled(const struct pci_config *config);
bool pci_config_is_bus_master(const struct pci_config *config);

#endif /* PCI_CONFIG_H */
