/* SPDX-License-Identifier: BSD-3-Clause */
#include "twins.hpp"

#include "cases.hpp"

#include "../../../drivers/emu/iavf/virtchnl_server.hpp"

/*
 * The same questions for each operation: is its good message carried out; are its hostile twins
 * refused, by the right status, and does nothing change then; does the device go on to serve. What
 * is peculiar to one operation is in the file of its subject.
 */

using namespace test;
namespace op = iavf::vc_op;
using iavf::vc_status;

namespace {

constexpr int err_param = static_cast<int>(vc_status::err_param);
constexpr int not_supported = static_cast<int>(vc_status::err_not_supported);
constexpr int many = 1000;

const char *
name(const twin &one)
{
	return iavf::vc_find_op(one.op).name.data();
}

const twin &
twin_of(uint32_t number)
{
	return *std::ranges::find(twins(), number, &twin::op);
}

/** What must not change: what was set up, and what the back-end was told. */
struct standing {
	explicit standing(fake_driver &driver)
	    : configs(driver.configs), events(driver.events.size())
	{
		pci_device::state_walk walk;

		walk(driver.dev().agreed(), driver.dev().session());
		state = walk.take();
	}
	bool operator==(const standing &) const = default;

	std::vector<std::byte> state;
	size_t configs, events;
};

/** A driver says who it is. */
bool
introduce(fake_driver &driver, uint32_t caps)
{
	driver.dev().host().offered_pairs = twin_pairs;
	driver.open_mailbox();
	return driver.ask_struct(op::version, iavf::vc_version_info{1, 1}) == 0 &&
	       driver.ask_struct(op::get_vf_resources, caps) == 0;
}

/** All good messages that come before that of the operation. */
bool
prepare(fake_driver &driver, const twin &one, uint32_t caps)
{
	driver.dev().host().offered_pairs = twin_pairs;
	return driver.bring_up() && driver.ask_struct(op::get_vf_resources, caps) == 0 &&
	       (one.after == 0 || driver.ask(one.after, twin_of(one.after).good) == 0);
}

/** The same with a queue that runs. */
bool
prepare_running(fake_driver &driver, const twin &one)
{
	if (!prepare(driver, one, one.caps) || driver.enable() != 0)
		return false;
	while (driver.receive())
		;
	return true;
}

/** Whether a driver that is up is served. */
bool
serves(fake_driver &driver)
{
	return driver.ask(op::get_stats, twin_of(op::get_stats).good) == 0 &&
	       driver.dev().session().rings().at(RTE_EMUDEV_TO_GUEST, 0).enabled;
}

/** The same after a reset, which a driver may also begin with. */
bool
serves_the_next(fake_driver &driver)
{
	driver.pci().reset(pci_device::reset_cause::function_level);
	return driver.bring_up() && driver.enable() == 0 && serves(driver);
}

/** Whether a message is answered so, once, and nothing else happens. */
bool
is_only_answered(fake_driver &driver, uint32_t number, guard::bytes body, int status)
{
	const standing before(driver);

	return driver.ask(number, body) == status && !driver.receive() &&
	       standing(driver) == before;
}

message
with(message good, size_t at, size_t width, uint64_t value)
{
	std::memcpy(&good.at(at), &value, width);
	return good;
}

uint16_t
count_in(const twin &one)
{
	return guard::load<uint16_t>(one.good, one.elements.count_at).value();
}

/** Bytes before the elements. */
size_t
header_of(const twin &one)
{
	return one.good.size() - count_in(one) * one.elements.element;
}

/** Calls @p check with each twin. */
outcome
each_twin(outcome (*check)(const twin &one))
{
	for (const twin &one : twins())
		if (check(one) != success) {
			printf("that was %s\n", name(one));
			return failed;
		}
	return success;
}

outcome
each_operation_has_a_twin()
{
	int without = 0;

	for (const iavf::vc_op_row &row : iavf::vc_ops) {
		const auto twins_of_it = std::ranges::count(twins(), row.number, &twin::op);

		if (twins_of_it == iavf::vc_service_of(row.number).served)
			continue;
		printf("%s has %d twins: see twin_rows.cpp\n", row.name.data(),
		       static_cast<int>(twins_of_it));
		without++;
	}
	CHECK_EQ(without, 0);
	return success;
}

outcome
good_message_is_carried_out(const twin &one)
{
	fake_driver driver(twin_most_pairs);

	CHECK(prepare(driver, one, one.caps));
	const standing before(driver);
	CHECK_EQ(driver.ask(one.op, one.good), one.repeats ? 0 : fake_driver::no_reply);
	const standing after(driver);
	CHECK((after.state != before.state) == one.changes);
	if (!one.repeats)
		return success;
	CHECK_EQ(driver.ask(one.op, one.good), one.again ? 0 : err_param);
	CHECK(standing(driver).state == after.state, "twice is another thing than once");
	if (one.elements.element == 0)
		return success;
	/* With the element more that older declarations of the protocol have. */
	message longer = one.good;
	longer.resize(longer.size() + one.elements.element, std::byte{0xff});
	fake_driver other(twin_most_pairs);
	CHECK(prepare(other, one, one.caps));
	CHECK_EQ(other.ask(one.op, longer), 0);
	CHECK_EQ(standing(other).state.size(), after.state.size());
	return success;
}

outcome
good_messages_are_carried_out()
{
	return each_twin(good_message_is_carried_out);
}

outcome
lengths_are_refused(const twin &one)
{
	const size_t good = one.good.size(), most = good + one.elements.element;
	fake_driver driver(twin_most_pairs);
	std::vector<size_t> sizes{0, 1, good - 1, most + 1, iavf::adminq_max_buffer};

	if (one.elements.element != 0)
		sizes.insert(sizes.end(), {header_of(one) - 1, header_of(one)});
	CHECK(prepare_running(driver, one));
	for (const size_t size : sizes) {
		if ((size >= good && size <= most) || size > iavf::adminq_max_buffer)
			continue;
		for (const auto filler : {std::byte{0}, std::byte{0xff}}) {
			message bad = one.good;

			bad.resize(size, filler);
			CHECK(is_only_answered(driver, one.op, bad, err_param), "%zu bytes", size);
		}
	}
	CHECK(serves(driver));
	return success;
}

outcome
wrong_lengths_are_refused()
{
	return each_twin(lengths_are_refused);
}

outcome
counts_are_refused(const twin &one)
{
	const list &has = one.elements;
	fake_driver driver(twin_most_pairs);

	if (has.element == 0)
		return success;
	std::vector<int> wrong{0, count_in(one) + 1, 0x7fff, 0x8000, 0xffff};

	if (has.element == 1) /* else it is the element more that may be there */
		wrong.push_back(count_in(one) - 1);
	CHECK(prepare_running(driver, one));
	for (const int count : wrong) {
		message bad = with(one.good, has.count_at, 2, static_cast<uint16_t>(count));

		CHECK(is_only_answered(driver, one.op, bad, err_param), "%d", count);
		bad.resize(iavf::adminq_max_buffer, std::byte{0xff});
		CHECK(is_only_answered(driver, one.op, bad, err_param), "%d in 4096", count);
	}
	CHECK(is_only_answered(driver, one.op, has.make(0), err_param));
	/* One beyond what there can be, and as many as a message has room for. */
	const size_t room = (iavf::adminq_max_buffer - header_of(one)) / has.element;
	if (has.most < room)
		CHECK(is_only_answered(driver, one.op, has.make(has.most + 1), has.beyond));
	if (has.most < room)
		CHECK(is_only_answered(driver, one.op, has.make(static_cast<uint16_t>(room)),
				       has.beyond));
	CHECK(serves(driver));
	CHECK_EQ(driver.ask(one.op,
			    has.make(static_cast<uint16_t>(std::min<size_t>(has.most, room)))),
		 0);
	return success;
}

outcome
wrong_counts_are_refused()
{
	return each_twin(counts_are_refused);
}

outcome
fields_are_refused(const twin &one)
{
	const list &has = one.elements;
	fake_driver driver(twin_most_pairs);

	CHECK(prepare_running(driver, one));
	for (const lie &field : one.lies) {
		for (const uint64_t value : field.values) {
			const message bad = with(one.good, field.at, field.width, value);

			CHECK(is_only_answered(driver, one.op, bad, field.status), "%#llx at %zu",
			      static_cast<unsigned long long>(value), field.at);
			if (has.element < 2 || field.at < header_of(one))
				continue;
			/* Behind a good one, which must not be taken over either. */
			CHECK(is_only_answered(
				      driver, one.op,
				      with(has.make(2), field.at + has.element, field.width, value),
				      field.status),
			      "%#llx at %zu, second", static_cast<unsigned long long>(value),
			      field.at);
		}
	}
	CHECK(serves(driver));
	return success;
}

outcome
wrong_fields_are_refused()
{
	return each_twin(fields_are_refused);
}

/** The good message, and what is wrong at any time. */
outcome
all_are_refused(fake_driver &driver, const twin &one, int status)
{
	message longer = one.good;

	longer.resize(longer.size() + one.elements.element + 1);
	CHECK(is_only_answered(driver, one.op, one.good, status));
	CHECK(is_only_answered(driver, one.op, longer, status));
	CHECK(is_only_answered(driver, one.op, message(iavf::adminq_max_buffer), status));
	for (const lie &field : one.lies)
		CHECK(is_only_answered(driver, one.op,
				       with(one.good, field.at, field.width, field.values[0]),
				       status));
	return success;
}

outcome
is_refused_too_early(const twin &one)
{
	const int status = iavf::vc_service_of(one.op).needs != 0 ? not_supported : err_param;
	fake_driver driver(twin_most_pairs);

	if (one.first == since::always)
		return success;
	driver.open_mailbox();
	CHECK(all_are_refused(driver, one, status) == success, "before VERSION");
	if (one.first == since::version)
		return success;
	CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	CHECK(all_are_refused(driver, one, status) == success, "before GET_VF_RESOURCES");
	CHECK(prepare_running(driver, one));
	driver.send(op::reset_vf);
	driver.open_mailbox();
	CHECK(all_are_refused(driver, one, status) == success, "after a reset");
	CHECK(serves_the_next(driver));
	return success;
}

outcome
what_comes_too_early_is_refused()
{
	return each_twin(is_refused_too_early);
}

/* In one ring: what the driver says after RESET_VF is said to nobody. */
outcome
is_lost_behind_a_reset(const twin &one)
{
	fake_driver driver(twin_most_pairs);

	CHECK(prepare_running(driver, one));
	driver.machine.turns = 0;
	driver.send(op::reset_vf);
	driver.send(one.op, one.good);
	CHECK_EQ(driver.dev().stats().resets, 0);
	driver.machine.turns = fake_machine::unlimited;
	driver.pci().behaviour().work();
	CHECK_EQ(driver.dev().stats().resets, 1);
	CHECK(!driver.receive());
	CHECK(driver.dev().agreed().state == iavf::vf_state::negotiated);
	CHECK_EQ(driver.dev().session().granted(), 0);
	CHECK(driver.dev().session().filters().empty());
	CHECK_EQ(driver.dev().session().rings().pairs(), 0);
	CHECK(serves_the_next(driver));
	return success;
}

outcome
what_comes_behind_a_reset_is_lost()
{
	return each_twin(is_lost_behind_a_reset);
}

outcome
is_refused_without_its_capability(const twin &one)
{
	const uint32_t needs = iavf::vc_service_of(one.op).needs;

	for (uint32_t left = needs; left != 0; left &= left - 1) {
		const uint32_t bit = left & -left;
		fake_driver driver(twin_most_pairs);

		CHECK(introduce(driver, one.caps & ~bit));
		CHECK_EQ(all_are_refused(driver, one, not_supported), success);
		CHECK(serves_the_next(driver));
	}
	return success;
}

outcome
what_was_not_granted_is_refused()
{
	return each_twin(is_refused_without_its_capability);
}

/* Queues that were never described cannot begin; all else may be said before. */
outcome
knows_whether_queues_are_there(const twin &one)
{
	fake_driver driver(twin_most_pairs);

	CHECK(introduce(driver, one.caps));
	if (one.after != 0 && twin_of(one.after).before_queues)
		CHECK_EQ(driver.ask(one.after, twin_of(one.after).good), 0);
	if (one.before_queues)
		CHECK_EQ(driver.ask(one.op, one.good), one.repeats ? 0 : fake_driver::no_reply);
	else
		CHECK(is_only_answered(driver, one.op, one.good, err_param));
	CHECK(driver.events.empty(), "a queue was told");
	CHECK(serves_the_next(driver));
	return success;
}

outcome
queues_that_are_not_there_stay_away()
{
	return each_twin(knows_whether_queues_are_there);
}

/* While a queue runs: it goes on, unless the message is for it. */
outcome
spares_a_running_queue(const twin &one)
{
	const bool ends_it =
		!one.repeats || one.op == op::disable_queues || one.op == op::disable_queues_v2;
	fake_driver driver(twin_most_pairs);

	CHECK(prepare_running(driver, one));
	CHECK_EQ(driver.ask(one.op, one.good), one.repeats ? 0 : fake_driver::no_reply);
	CHECK_EQ(driver.dev().session().rings().at(RTE_EMUDEV_TO_GUEST, 0).enabled, !ends_it);
	CHECK_EQ(driver.dev().session().rings().at(RTE_EMUDEV_FROM_GUEST, 0).enabled, !ends_it);
	CHECK(serves_the_next(driver));
	return success;
}

outcome
running_queues_are_spared()
{
	return each_twin(spares_a_running_queue);
}

/* Good ones and bad ones in turns: after the first nothing grows, and each is answered. */
outcome
floods_take_no_room(const twin &one)
{
	fake_driver driver(twin_most_pairs);
	message bad = one.good;

	bad.resize(one.good.size() + one.elements.element + 1);
	CHECK(prepare_running(driver, one));
	if (one.repeats)
		driver.ask(one.op, one.good);
	const standing after(driver);
	const uint64_t sent = driver.dev().mailbox().stats().sent;
	for (int i = 0; i < many; i++) {
		CHECK_EQ(driver.ask(one.op, bad), err_param);
		if (one.repeats)
			CHECK_EQ(driver.ask(one.op, one.good), one.again ? 0 : err_param);
	}
	CHECK_EQ(driver.dev().mailbox().stats().sent - sent, many * (one.repeats ? 2 : 1));
	CHECK_EQ(driver.dev().mailbox().stats().dropped, 0);
	CHECK(standing(driver).state == after.state);
	CHECK(serves_the_next(driver));
	return success;
}

outcome
floods_are_answered_and_take_no_room()
{
	return each_twin(floods_take_no_room);
}

constexpr test_case cases[] = {
	{"each operation has a twin", each_operation_has_a_twin},
	{"wrong lengths are refused", wrong_lengths_are_refused},
	{"wrong counts are refused", wrong_counts_are_refused},
	{"wrong fields are refused", wrong_fields_are_refused},
	{"what comes too early is refused", what_comes_too_early_is_refused},
	{"what comes behind a reset is lost", what_comes_behind_a_reset_is_lost},
	{"what was not granted is refused", what_was_not_granted_is_refused},
	{"queues that are not there stay away", queues_that_are_not_there_stay_away},
	{"running queues are spared", running_queues_are_spared},
	{"floods are answered and take no room", floods_are_answered_and_take_no_room},
	{"good messages are carried out", good_messages_are_carried_out},
};

} // namespace

constinit const case_table test::twin_cases = cases;
