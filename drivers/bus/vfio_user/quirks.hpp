/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

namespace vfio_user_pci {

/**
 * A register that says when a device can be probed. PCI has no general one, and drivers wait
 * long for a device that never becomes ready: net_iavf up to 40 s.
 */
struct readiness {
	uint16_t vendor;
	uint16_t device;
	uint8_t bar;
	uint32_t offset;
	uint32_t mask;
	uint32_t min, max; /**< Ready when the masked value is in this range. */
};

constexpr readiness readiness_rows[] = {
	/* Intel adaptive virtual function: VFGEN_RSTAT.VFR_STATE is COMPLETED or VFACTIVE. */
	{0x8086, 0x1889, 0, 0x8800, 0x3, 1, 2},
};

} // namespace vfio_user_pci
