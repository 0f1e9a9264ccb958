/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <frame.hpp>
#include <limits.hpp>
#include <rte_vfio_user.h>

#include <option_rom.hpp>

#include "policy.hpp"

namespace iavf {

/** Kind of the rings, by which a back-end is found. */
constexpr const char *ring_type = "iavf";
/** Link speeds that can be announced, in Mbit/s. */
constexpr uint32_t min_speed = 100;
constexpr uint32_t max_speed = 400000;
/** Largest limit of a client's memory, in MiB. */
constexpr uint32_t max_memory_limit = 4 << 20;
/** The one virtual station interface of the function. */
constexpr uint16_t vsi_id = 1;

using mac_address = std::array<uint8_t, 6>;

/** What the user asked for. */
struct device_config {
	std::string name;
	std::string path;
	mac_address mac;
	uint16_t queue_pairs = 4;
	uint16_t vectors = max_vectors; /**< At most, with that of the mailbox. */
	uint32_t speed = 25000;         /**< Mbit/s */
	bool ethdev = true;
	iavf::policy policy;
	uint64_t max_memory = 0;    /**< Bytes that a client may share, 0: any number. */
	bool irq_inline = false;    /**< Who has an event signals the client's eventfd itself. */
	pci_device::option_rom rom; /**< For the machine's firmware, of no size: none. */
	rte_vfio_user_socket_rights rights = {RTE_VFIO_USER_KEEP, RTE_VFIO_USER_KEEP,
					      RTE_VFIO_USER_KEEP};
};

} // namespace iavf
