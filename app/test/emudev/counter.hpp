/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "test.hpp"

namespace test {

/** Cases of a device that is no network device. */
extern const case_table counter_cases;

} // namespace test
