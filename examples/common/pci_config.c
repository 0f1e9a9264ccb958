/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <linux/pci_regs.h>

#include "pci_config.h"

static void
put(uint8_t *to, uint32_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		to[i] = value >> (8 * i);
}

void
pci_config_init(struct pci_config *config, uint16_t vendor, uint16_t device, uint32_t class_code)
{
	memset(config, 0, sizeof(*config));
	put(&config->value[PCI_VENDOR_ID], vendor, 2);
	put(&config->value[PCI_DEVICE_ID], device, 2);
	put(&config->value[PCI_CLASS_PROG], class_code, 3);
	put(&config->value[PCI_SUBSYSTEM_VENDOR_ID], vendor, 2);
	put(&config->value[PCI_SUBSYSTEM_ID], device, 2);
	put(&config->writable[PCI_COMMAND],
	    PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE, 2);
	config->writable[PCI_CACHE_LINE_SIZE] = UINT8_MAX;
	config->writable[PCI_INTERRUPT_LINE] = UINT8_MAX;
	config->end = PCI_STD_HEADER_SIZEOF;
	config->last_link = PCI_CAPABILITY_LIST;
}

void
pci_config_add_bar(struct pci_config *config, unsigned int index, uint32_t size, uint8_t type)
{
	const unsigned int at = PCI_BASE_ADDRESS_0 + 4 * index;

	config->value[at] = type;
	/* Address bits below the size stay 0: that is how a driver learns the size. */
	put(&config->writable[at], ~(size - 1), 4);
}

void
pci_config_add_pin(struct pci_config *config)
{
	config->value[PCI_INTERRUPT_PIN] = 1;
}

void
pci_config_add_msix(struct pci_config *config, uint16_t vectors, uint8_t bar, uint32_t pba_offset)
{
	uint8_t *const at = &config->value[config->end];

	config->value[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	config->value[config->last_link] = config->end;
	at[PCI_CAP_LIST_ID] = PCI_CAP_ID_MSIX;
	put(&at[PCI_MSIX_FLAGS], vectors - 1, 2);
	put(&at[PCI_MSIX_TABLE], bar, 4);
	put(&at[PCI_MSIX_PBA], pba_offset | bar, 4);
	put(&config->writable[config->end + PCI_MSIX_FLAGS],
	    PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	config->last_link = config->end + PCI_CAP_LIST_NEXT;
	config->end += PCI_CAP_MSIX_SIZEOF;
}

void
pci_config_read(const struct pci_config *config, uint64_t offset, void *data, uint32_t count)
{
	memcpy(data, &config->value[offset], count);
}

void
pci_config_write(struct pci_config *config, uint64_t offset, const void *data, uint32_t count)
{
	const uint8_t *const from = data;

	for (uint32_t i = 0; i < count; i++) {
		const uint8_t mask = config->writable[offset + i];
		uint8_t *const byte = &config->value[offset + i];

		*byte = (*byte & ~mask) | (from[i] & mask);
	}
}

void
pci_config_reset(struct pci_config *config)
{
	for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i++)
		config->value[i] &= ~config->writable[i];
	pci_config_set_intx(config, false);
}

void
pci_config_set_intx(struct pci_config *config, bool level)
{
	config->value[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
	if (level)
		config->value[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
}

bool
pci_config_intx_disabled(const struct pci_config *config)
{
	return (config->value[PCI_COMMAND + 1] & PCI_COMMAND_INTX_DISABLE >> 8) != 0;
}

bool
pci_config_is_bus_master(const struct pci_config *config)
{
	return (config->value[PCI_COMMAND] & PCI_COMMAND_MASTER) != 0;
}
