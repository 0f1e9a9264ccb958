/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <functional>
#include <string_view>

#include "device.hpp"

namespace iavf {

/** Runs @p act with the device of a name, on the control thread; -ENOENT: there is none. */
int with_device(std::string_view name, const std::function<int(device &)> &act);

/** The devices of this process. */
void each_device_name(const std::function<void(const char *)> &visit);

} // namespace iavf
