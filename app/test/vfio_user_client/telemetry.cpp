/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"
#include "ask_telemetry.hpp"

/* What telemetry tells of clients. */

using namespace test;
using namespace test::client_suite;

namespace {

outcome
telemetry_tells_state_and_counters()
{
	auto has = [](const std::string &text, const std::string &part) {
		return text.find(part) != std::string::npos;
	};
	auto number = [](const char *key, uint64_t value) {
		return std::string("\"") + key + "\":" + std::to_string(value);
	};
	test_device device;
	test_client c;
	guard::unique_fd file = make_file(4 * page);
	const std::string list = "/vfio_user/client/list",
			  stats = "/vfio_user/client/stats," + device.path;

	CHECK(!ask_telemetry("/").empty());
	CHECK(!has(ask_telemetry(list), device.path));
	CHECK(device.start());
	CHECK_EQ(c.attach(device.path, RTE_VFIO_USER_CLIENT_TWIN_SOCKET), 0);
	CHECK(has(ask_telemetry(list), "\"" + device.path + "\""));
	CHECK_EQ(c.region(0).nb_areas, 2);
	CHECK_EQ(rte_vfio_user_client_dma_map(c.handle, 0, 3 * page, 3, file.get(), 0, nullptr), 0);
	std::string told = ask_telemetry(stats);
	for (const std::string &part :
	     {"\"path\":\"" + device.path + "\"", std::string("\"state\":\"connected\""),
	      number("requests", c.stats().requests), number("replies", c.stats().requests),
	      number("timeouts", 0), number("protocol_errors", 0), number("dma_regions", 1),
	      number("dma_bytes", 3 * page),
	      number("fds", 4) /* socket, twin, eventfd, region 0 */})
		CHECK(has(told, part), "%s in %s", part.c_str(), told.c_str());

	device.stop();
	CHECK(wait_until([&] { return c.calls > 0; }));
	CHECK(has(ask_telemetry(stats), "\"state\":\"gone\""));
	/* A second client of the same path is shown instead of the dead one. */
	test_client next;
	CHECK(device.start());
	CHECK_EQ(next.attach(device.path), 0);
	CHECK(has(ask_telemetry(stats), "\"state\":\"connected\""));
	next.detach();
	CHECK(has(ask_telemetry(stats), "\"state\":\"gone\""));
	c.detach();
	CHECK(!has(ask_telemetry(list), device.path));
	CHECK(has(ask_telemetry(stats), "null"));
	return success;
}

constexpr test_case cases[] = {
	{"telemetry tells state and counters", telemetry_tells_state_and_counters},
};

} // namespace

constinit const case_table test::client_suite::telemetry_cases = cases;
