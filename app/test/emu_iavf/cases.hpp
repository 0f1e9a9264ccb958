/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "fake_driver.hpp"
#include "test.hpp"

namespace test {

/** The cases of further files. */
extern const case_table many_queue_cases, vlan_cases, state_cases, rss_cases, fdir_cases,
	policy_cases, operation_cases, interrupt_cases, twin_cases;

} // namespace test
