/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>
#include <string_view>

#include "fake_driver.hpp"
#include "test.hpp"

namespace test {

/** The cases of further files. */
extern const case_table many_queue_cases, vlan_cases, state_cases, rss_cases, fdir_cases,
	policy_cases, operation_cases, interrupt_cases, twin_cases, view_cases;

/** The answer of telemetry to /emu_iavf/WHAT, as JSON. */
std::string shown(fake_driver &driver, std::string_view what, uint16_t index = 0);

/** Whether an answer has a part; of one object in it, where the name of that is given. */
inline bool
has(std::string_view text, std::string_view part, std::string_view name = "")
{
	const size_t begin = text.find(name),
		     end = name.empty() ? text.npos : text.find('}', begin);

	return begin != text.npos && text.substr(begin, end - begin).find(part) != text.npos;
}

} // namespace test
