/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstdint>

#include <registers.hpp>

namespace vfio_user_pci {

/**
 * What a device must have before it is probed.
 *
 * Its registers: drivers of known devices know how many there are, and do not ask how long the BAR
 * is. A register that says when it is ready: PCI has no general one, and drivers wait long for a
 * device that never becomes ready, net_iavf up to 40 s.
 */
struct known_device {
	uint16_t vendor;
	uint16_t device;
	uint8_t bar;
	uint32_t min_bar_size;
	uint32_t offset;
	uint32_t mask;
	uint32_t min, max; /**< Ready when the masked value is in this range. */
};

inline constexpr known_device known_devices[] = {
	{iavf::pci_vendor_intel, iavf::pci_device_adaptive_vf, 0, iavf::bar0_size,
	 iavf::reg::vfgen_rstat, iavf::rstat::vfr_state::mask, iavf::rstat::completed,
	 iavf::rstat::vf_active},
};
static_assert(std::ranges::all_of(known_devices, [](const known_device &row) {
	return row.offset + sizeof(uint32_t) <= row.min_bar_size;
}));

} // namespace vfio_user_pci
