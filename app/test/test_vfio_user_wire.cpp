/* SPDX-License-Identifier: BSD-3-Clause */
#include <cstring>

#include "test.hpp"
#include "wire/commands.hpp"

/* The rows of the commands against the specification. Sizes are written out here. */

using namespace test;
namespace wire = vfio_user::wire;

namespace {

/** [spec: Commands], the table there. */
constexpr struct {
	uint16_t number;
	const char *name;
	bool by_client;
} specified[] = {
	{1, "VERSION", true},
	{2, "DMA_MAP", true},
	{3, "DMA_UNMAP", true},
	{4, "DEVICE_GET_INFO", true},
	{5, "DEVICE_GET_REGION_INFO", true},
	{6, "DEVICE_GET_REGION_IO_FDS", true},
	{7, "DEVICE_GET_IRQ_INFO", true},
	{8, "DEVICE_SET_IRQS", true},
	{9, "REGION_READ", true},
	{10, "REGION_WRITE", true},
	{11, "DMA_READ", false},
	{12, "DMA_WRITE", false},
	{13, "DEVICE_RESET", true},
	{15, "REGION_WRITE_MULTI", true},
	{16, "DEVICE_FEATURE", true},
	{17, "MIG_DATA_READ", true},
	{18, "MIG_DATA_WRITE", true},
};

outcome
the_rows_are_those_of_the_specification()
{
	CHECK_EQ(std::size(wire::commands), std::size(specified));
	for (const auto &wanted : specified) {
		const wire::command_row *row = wire::find_command(wanted.number);
		CHECK(row != nullptr, "command %u", wanted.number);
		CHECK(std::strcmp(row->name, wanted.name) == 0, "%s", row->name);
		CHECK_EQ(row->from == wire::sender::client, wanted.by_client);
		CHECK_EQ(row->when == wire::phase::negotiation, wanted.number == 1);
	}
	return success;
}

outcome
other_numbers_have_no_row()
{
	for (uint16_t number : {0, 14, 19, 0xffff}) {
		CHECK(wire::find_command(number) == nullptr, "command %u", number);
		CHECK(std::strcmp(wire::name_of(number), "?") == 0);
	}
	return success;
}

outcome
limits_are_kept_on_both_sides()
{
	constexpr wire::message_limits limits = {8, 16, 1};
	CHECK(limits.allow(8, 0) && limits.allow(16, 1));
	CHECK(!limits.allow(7, 0) && !limits.allow(17, 0) && !limits.allow(8, 2));

	const wire::command_row &map = wire::row_of(wire::command::dma_map);
	CHECK(map.request.allow(32, 1) && map.request.allow(32, 0));
	CHECK(!map.request.allow(31, 1) && !map.request.allow(33, 1) && !map.request.allow(32, 2));
	const wire::command_row &write = wire::row_of(wire::command::region_write);
	CHECK(!write.request.allow(16, 0), "a write of no bytes");
	CHECK(write.request.allow(16 + 1048576, 0) && !write.request.allow(17 + 1048576, 0));
	CHECK(write.reply.allow(16, 0) && !write.reply.allow(17, 0));
	return success;
}

constexpr test_case cases[] = {
	{"the rows are those of the specification", the_rows_are_those_of_the_specification},
	{"other numbers have no row", other_numbers_have_no_row},
	{"limits are kept on both sides", limits_are_kept_on_both_sides},
};

outcome
run()
{
	return run_cases("vfio_user_wire", {cases});
}

} // namespace

REGISTER_TEST(vfio_user_wire_autotest, run)
