/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>
#include <vector>

#include "bytes.hpp"
#include "rte_vfio_user_client.h"

/** All that a device's server tells about it. */
namespace vfio_user_info {

struct device_facts {
	struct region_facts {
		rte_vfio_user_client_region region;
		int error; /* 0, or why the server does not describe it */
	};
	struct irq_facts {
		rte_vfio_user_irq irq;
		int error;
	};

	std::string path;
	rte_vfio_user_session session;
	std::string capabilities; /* JSON, "" if none */
	uint32_t flags;
	std::vector<region_facts> regions;
	std::vector<irq_facts> irqs;
	std::vector<std::byte> config; /* empty: there is none, or config_error */
	int config_error = 0;
};

/** Asks a device that is attached. */
device_facts gather(const char *path, rte_vfio_user_client *client);

/** A name for a bit, or for a value. */
struct name_row {
	uint32_t value;
	const char *name;
};

/** Names of a PCI device's regions and interrupt types, and of flags; for text and JSON alike. */
const char *region_name(uint32_t index);
const char *irq_name(uint32_t index);
std::span<const name_row> device_flags();
std::span<const name_row> region_flags();
std::span<const name_row> irq_flags();

/** A text from outside without what could steer a terminal: '?' for all that is not visible ASCII.
 */
std::string printable(std::string text);

/** What the program prints, on standard output. */
void print_text(const device_facts &facts);
void print_json(const device_facts &facts);
/** The config space in the form that lspci -F reads. */
void print_hex(const device_facts &facts);

} // namespace vfio_user_info
