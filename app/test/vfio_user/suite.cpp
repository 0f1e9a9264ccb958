/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

/*
 * The server side of librte_vfio_user with a device made for the test: what a real device does not
 * reach (INTx masking, I/O descriptors, memory without a file, a memory file that is cut off). The
 * bytes of the protocol are tested from outside by test/protocol.
 */

using namespace test::server_suite;

static test::outcome
run()
{
	return test::run_cases("vfio_user", {device_cases, memory_cases, message_cases,
					     interrupt_cases, turn_cases, ending_cases});
}

REGISTER_TEST(vfio_user_autotest, run)
