/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <optional>

#include <rte_emudev_net.h>
#include <virtchnl.hpp>

namespace iavf {

/**
 * The frames that a pattern of a rule is for: needs, protocol, spec and mask of a flow. Nothing if
 * the pattern makes no sense, or names what cannot be matched here.
 */
std::optional<rte_emudev_net_flow> read_pattern(const vc_pattern &pattern);

} // namespace iavf
