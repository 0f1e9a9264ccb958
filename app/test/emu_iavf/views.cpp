/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

#include "../../../drivers/emu/iavf/telemetry.hpp"
#include "../ask_telemetry.hpp"

/* What telemetry shows of a device: values. That its keys are those of the guide another test sees.
 */

using namespace test;
namespace op = iavf::vc_op;
namespace reg = iavf::reg;
using iavf::dyn_ctl;
using iavf::vc_status;

namespace {

/** What is asked for; whoever asks waits for the answer. */
struct {
	iavf::device *dev;
	const iavf::telemetry_view *view;
	uint16_t index;
} question;

int
answer(const char *, const char *, rte_tel_data *out)
{
	return question.view->show(*question.dev, question.index, out);
}

RTE_INIT(register_answer)
{
	rte_telemetry_register_cmd("/test/emu_iavf", answer, "A device of a test. No parameters");
}

} // namespace

std::string
test::shown(fake_driver &driver, std::string_view what, uint16_t index)
{
	const std::string command = "/emu_iavf/" + std::string(what);

	question = {&driver.dev(),
		    &*std::ranges::find(iavf::telemetry_views(), std::string_view(command),
					&iavf::telemetry_view::command),
		    index};
	return ask_telemetry("/test/emu_iavf");
}

namespace {

outcome
queues_are_shown_as_the_guest_has_set_them_up()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	CHECK_EQ(driver.enable(), 0);
	driver.write(reg::qtx_tail(0), 9);
	driver.write(reg::qrx_tail(0), 100);
	driver.write(reg::itr(1, 0), 50);
	driver.write(reg::itr(1, 2), 25);
	driver.write(reg::dyn_ctl(1), dyn_ctl::intena::mask | dyn_ctl::itr_indx::mask);
	const std::string told = shown(driver, "queue", 0);
	for (const char *part : {"\"enabled\":1", "\"size\":64", "\"tail\":9", "\"vector\":1",
				 "\"vector_enabled\":1", "\"itr_index\":2", "\"itr_us\":50"})
		CHECK(has(told, part, "from_guest"), "%s in %s", part, told.c_str());
	for (const char *part : {"\"enabled\":1", "\"size\":128", "\"tail\":100", "\"itr_index\":0",
				 "\"itr_us\":100", "\"buffer_size\":2048", "\"max_frame\":1518"})
		CHECK(has(told, part, "to_guest"), "%s in %s", part, told.c_str());
	const std::string second = shown(driver, "queue", 1);
	for (const char *part : {"\"enabled\":0", "\"size\":0", "\"vector\":-1"})
		CHECK(has(second, part, "from_guest"), "%s in %s", part, second.c_str());
	return success;
}

outcome
messages_are_shown_by_operation()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	for (int i = 0; i < 3; i++)
		CHECK_EQ(driver.ask_struct(op::get_stats,
					   iavf::vc_queue_select{iavf::vsi_id, 0, 0, 0}),
			 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(driver.enable(2), static_cast<int>(vc_status::err_param));
	const std::string told = shown(driver, "virtchnl", 0);
	CHECK(has(told, "\"GET_STATS\":3", "\"received\""), "%s", told.c_str());
	CHECK(has(told, "\"ENABLE_QUEUES\":2", "\"received\""), "%s", told.c_str());
	CHECK(has(told, "\"ENABLE_QUEUES\":2", "\"refused\""), "%s", told.c_str());
	CHECK(!has(told, "GET_STATS", "\"refused\""), "%s", told.c_str());
	CHECK(has(told, "\"last_refused\":\"ENABLE_QUEUES\",\"last_status\":-5"), "%s",
	      told.c_str());
	return success;
}

outcome
addresses_are_shown()
{
	fake_driver driver;
	guard::writer list;

	CHECK(driver.bring_up());
	list.put(iavf::vc_ether_addr_list{iavf::vsi_id, 2});
	list.put(iavf::vc_ether_addr{{2, 0, 0, 0, 0, 0xab}, 0, 0});
	list.put(iavf::vc_ether_addr{{1, 0, 0x5e, 0, 0, 1}, 0, 0});
	CHECK_EQ(driver.ask(op::add_eth_addr, std::move(list).take()), 0);
	const std::string told = shown(driver, "filters", 0);
	CHECK(has(told, "02:00:00:00:00:AB") && has(told, "01:00:5E:00:00:01"), "%s", told.c_str());
	return success;
}

constexpr test_case cases[] = {
	{"queues are shown as the guest has set them up",
	 queues_are_shown_as_the_guest_has_set_them_up},
	{"messages are shown by operation", messages_are_shown_by_operation},
	{"addresses are shown", addresses_are_shown},
};

} // namespace

constinit const case_table test::view_cases = cases;
