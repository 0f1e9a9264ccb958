/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include <result.hpp>

namespace vfio_user_pci {

/** What the user says about one remote device. */
struct options {
	std::string path;
	uint32_t timeout_ms = 5000; /**< For each answer of the server. */
	uint32_t wait_ms = 0;       /**< For the socket to appear and accept. */
	/** From then on until the driver runs; 0: as attach_limit_ms() says. */
	uint32_t attach_ms = 0;

	uint32_t attach_limit_ms() const
	{
		return attach_ms != 0 ? attach_ms : std::max(30000u, timeout_ms);
	}
};

/** Reads "path=..,timeout_ms=..". The log says which key of @p device is wrong, and what is
 * allowed. */
guard::result<options> parse_devargs(const char *device, const char *args);

} // namespace vfio_user_pci
