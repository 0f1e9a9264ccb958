/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <rte_telemetry.h>

#include "device.hpp"

namespace iavf {

/** A command of telemetry that shows something of a device. */
struct telemetry_view {
	std::string_view command;
	const char *help;
	/** Fills @p out. Control thread. */
	int (*show)(device &dev, uint16_t index, rte_tel_data *out);
	uint32_t max_index = 0; /**< Behind the name stands an index below this; 0: none. */
};
std::span<const telemetry_view> telemetry_views();

/** What the administrator has decided; @p out is a dictionary. */
void describe_policy(device &dev, rte_tel_data *out);

} // namespace iavf
