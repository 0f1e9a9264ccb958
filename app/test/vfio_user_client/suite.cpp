/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_log.h>

#include "fixture.hpp"

/*
 * The client side of librte_vfio_user: against our own server with a device made for the test, and
 * against a server that sends what no server should.
 */

using namespace test;
using namespace test::client_suite;

namespace {

outcome
no_descriptor_is_left()
{
	size_t before = open_descriptors();
	for (int i = 0; i < 3; i++)
		for (case_table table : {version_cases, region_cases})
			for (const test_case &c : table)
				CHECK_EQ(c.run(), success);
	CHECK(wait_until([=] { return open_descriptors() == before; }));
	return success;
}

constexpr test_case own_cases[] = {
	{"no descriptor is left", no_descriptor_is_left},
};

outcome
run()
{
	/* What the hostile server does is an error each time. */
	rte_log_set_level_pattern("lib.vfio_user", RTE_LOG_CRIT);
	outcome o = run_cases("vfio_user_client",
			      {connection_cases, version_cases, region_cases, memory_cases,
			       interrupt_cases, telemetry_cases, own_cases});
	rte_log_set_level_pattern("lib.vfio_user", RTE_LOG_NOTICE);
	return o;
}

} // namespace

REGISTER_TEST(vfio_user_client_autotest, run)
