/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>

#include <virtchnl.hpp>

namespace iavf {

/** Who says something. */
enum class vc_speaker : uint8_t {
	driver,
	device,
};

/**
 * A body for people: its fields by their names; in hexadecimal what has no layout here. The body
 * may be anything.
 */
std::string vc_text(vc_speaker from, uint32_t op, guard::bytes body);

} // namespace iavf
