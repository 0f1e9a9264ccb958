/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

/* net_iavf_be on a guest made of plain memory. */

using namespace test::port_suite;

static test::outcome
run()
{
	return test::run_cases(
		"net_iavf_be",
		{port_cases,     queue_cases,         rx_interrupt_cases, statistics_cases,
		 feature_cases,  ring_cases,          page_cases,         from_guest_cases,
		 to_guest_cases, rx_fact_cases,       offload_cases,      handover_cases,
		 tunnel_cases,   host_request_cases,  vlan_cases,         vlan_to_guest_cases,
		 steering_cases, rss_cases,           address_cases,      flow_cases,
		 policy_cases,   checked_frame_cases, zero_copy_cases});
}

REGISTER_TEST(iavf_be_autotest, run)
