/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <optional>

#include "device.hpp"

namespace iavf {

/** An address that a device may have; nothing: the text is none, and the log has said so. */
std::optional<mac_address> parse_mac(const char *text);

/**
 * Reads the arguments of a vdev. Each is checked; an error is logged with the key, the value and
 * what is allowed. EINVAL: unknown key, bad value, key given twice; ENOENT: no path.
 */
guard::result<device_config> parse_devargs(const char *name, const char *args);

} // namespace iavf
