/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstdint>

namespace vfio_user_pci {

/**
 * What a device must have before it is probed.
 *
 * Its registers: drivers of known devices know how many there are, and do not ask how long the BAR
 * is. A register that says when it is ready: PCI has no general one, and drivers wait long for a
 * device that never becomes ready, net_iavf up to 40 s.
 */
struct readiness {
	uint16_t vendor;
	uint16_t device;
	uint8_t bar;
	uint32_t min_bar_size;
	uint32_t offset;
	uint32_t mask;
	uint32_t min, max; /**< Ready when the masked value is in this range. */
};

constexpr readiness readiness_rows[] = {
	/* Intel adaptive virtual function: VFGEN_RSTAT.VFR_STATE is COMPLETED or VFACTIVE. */
	{0x8086, 0x1889, 0, 0x10000, 0x8800, 0x3, 1, 2},
};
static_assert(std::ranges::all_of(readiness_rows, [](const readiness &row) {
	return row.offset + sizeof(uint32_t) <= row.min_bar_size;
}));

} // namespace vfio_user_pci
