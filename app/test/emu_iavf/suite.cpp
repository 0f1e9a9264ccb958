/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

#include "../../../drivers/emu/iavf/log.hpp"

/*
 * drivers/emu/iavf with a driver in the test, which speaks mailbox and registers to it without a
 * socket. What is seen from outside is tested by test/protocol and test/guest; here the machine is
 * ours: memory without a file, turns, and the moment at which the back-end is told something.
 */

/* The driver's own are in a part that is not built into the test. */
int emu_iavf_log_driver = RTE_LOGTYPE_USER1;
int emu_iavf_log_init = RTE_LOGTYPE_USER1;

using namespace test;
namespace op = iavf::vc_op;
using iavf::vc_status;

namespace {

constexpr int err_param = static_cast<int>(vc_status::err_param);

outcome
a_driver_comes_up()
{
	fake_driver driver;

	CHECK_EQ(driver.read(iavf::reg::vfgen_rstat), iavf::rstat::vf_active);
	driver.open_mailbox();
	CHECK_EQ(driver.enable(), err_param); /* too early */
	CHECK(driver.bring_up());
	CHECK(driver.dev().agreed().state == iavf::vf_state::active);
	CHECK_EQ(driver.dev().agreed().told_pairs, fake_driver::pairs);
	CHECK_EQ(driver.dev().session().granted(), iavf::vc_cap::adv_link_speed);
	CHECK(driver.events.empty(), "nothing is enabled yet");
	CHECK_EQ(driver.enable(), 0);
	auto link = driver.receive();
	CHECK(link && link->op == op::event, "the link is told after the reply");
	CHECK(!driver.receive());
	return success;
}

outcome
what_is_enabled_is_pushed()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	CHECK_EQ(driver.enable(), 0);
	CHECK_EQ(driver.events.size(), 2);
	for (const queue_event &e : driver.events) {
		CHECK_EQ(e.info.index, 0);
		CHECK_EQ(e.info.enabled, 1);
		CHECK_EQ(e.info.vector.index, 1);
		CHECK_EQ(e.info.size, e.info.dir == RTE_EMUDEV_FROM_GUEST ? 64 : 128);
		CHECK_EQ(e.info.vector.timer, e.info.dir == RTE_EMUDEV_FROM_GUEST ? 2 : 0);
	}
	CHECK(driver.events[0].info.dir != driver.events[1].info.dir);
	CHECK_EQ(driver.enable(), 0);          /* again: no event */
	CHECK_EQ(driver.enable(2), err_param); /* not configured */
	CHECK_EQ(driver.events.size(), 2);
	CHECK_EQ(driver.dev().session().rings().enabled_pairs(), 1);
	return success;
}

outcome
a_tail_of_a_ring_that_is_away_does_not_count()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	driver.write(iavf::reg::qtx_tail(0), 9); /* posted before the queue is enabled */
	CHECK_EQ(driver.enable(), 0);
	CHECK_EQ(driver.read(iavf::reg::qtx_tail(0)), 9);
	driver.write(iavf::reg::qrx_tail(0), 7);
	CHECK_EQ(
		driver.ask_struct(op::disable_queues, iavf::vc_queue_select{iavf::vsi_id, 0, 1, 1}),
		0);
	CHECK_EQ(driver.events.size(), 4);
	CHECK_EQ(driver.read(iavf::reg::qtx_tail(0)), 0);
	CHECK_EQ(driver.read(iavf::reg::qrx_tail(0)), 7); /* drivers write it early */
	return success;
}

/* Queues stop while the registers are still there, and nothing of the session is left. */
outcome
a_reset_ends_the_session(void (*reset)(fake_driver &))
{
	fake_driver driver;

	CHECK(driver.bring_up());
	CHECK_EQ(driver.enable(), 0);
	driver.dev().session().set_promiscuous(3);
	driver.events.clear();
	reset(driver);
	CHECK_EQ(driver.events.size(), 2);
	for (const queue_event &e : driver.events) {
		CHECK_EQ(e.info.enabled, 0);
		CHECK(e.arq_len != 0, "the registers went first");
	}
	CHECK_EQ(driver.read(iavf::reg::vf_arqlen1), 0);
	CHECK_EQ(driver.read(iavf::reg::vfgen_rstat), iavf::rstat::vf_active);
	CHECK_EQ(driver.dev().session().granted(), 0);
	CHECK_EQ(driver.dev().session().promiscuous(), 0);
	CHECK(!driver.dev().session().rings().at(RTE_EMUDEV_TO_GUEST, 0).configured());
	CHECK_EQ(driver.dev().agreed().told_pairs, fake_driver::pairs);
	driver.open_mailbox();
	CHECK_EQ(driver.enable(), err_param);
	CHECK(driver.bring_up());
	return success;
}

outcome
reset_vf_ends_the_session()
{
	return a_reset_ends_the_session([](fake_driver &driver) { driver.send(op::reset_vf); });
}

outcome
a_function_level_reset_ends_the_session()
{
	return a_reset_ends_the_session([](fake_driver &driver) {
		uint16_t express = driver.pci().config().layout().find(PCI_CAP_ID_EXP);

		driver.write_config(express + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
	});
}

outcome
a_reset_by_message_ends_the_session()
{
	return a_reset_ends_the_session(
		[](fake_driver &driver) { driver.pci().reset(pci_device::reset_cause::message); });
}

/* Addresses and modes as the back-end hears of them, in one event for each message. */
outcome
addresses_and_modes_are_pushed()
{
	const auto list = [](std::initializer_list<uint8_t> last) {
		guard::writer out;

		out.put(iavf::vsi_id).put(static_cast<uint16_t>(last.size()));
		for (uint8_t byte : last)
			out.put(std::array<uint8_t, 8>{2, 0, 0, 0, 1, byte, 2});
		return std::move(out).take();
	};
	fake_driver driver;

	CHECK(driver.bring_up());
	size_t before = driver.configs;
	CHECK_EQ(driver.ask(op::add_eth_addr, list({9, 3, 9, 7})), 0);
	CHECK_EQ(driver.config.nb_filters, 3);
	CHECK_EQ(driver.ask(op::del_eth_addr, list({3, 4, 9})), 0);
	CHECK_EQ(driver.config.nb_filters, 1);
	CHECK_EQ(driver.configs, before + 2);
	CHECK_EQ(driver.dev().session().filters()[0][5], 7);
	/* By the flags of the message. */
	for (const auto &[flags, modes] : {std::pair{2, 2u}, {1, 3u}, {3, 3u}, {0, 0u}}) {
		const iavf::vc_promisc_info info{iavf::vsi_id, static_cast<uint16_t>(flags)};

		CHECK_EQ(driver.ask_struct(op::config_promiscuous_mode, info), 0);
		CHECK_EQ(driver.config.promiscuous, modes);
	}
	return success;
}

/* Linux finds completed commands by the head. */
outcome
only_reset_vf_spares_the_heads()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	driver.send(op::reset_vf);
	CHECK_EQ(driver.read(iavf::reg::vf_atqh1), 5);
	CHECK(!driver.receive(), "RESET_VF has no reply");
	driver.pci().reset(pci_device::reset_cause::function_level);
	CHECK_EQ(driver.read(iavf::reg::vf_atqh1), 0);
	return success;
}

outcome
a_new_client_is_a_new_machine()
{
	fake_driver driver;
	constexpr iavf::mac_address other{2, 0, 0, 0, 0, 2};

	CHECK(driver.bring_up());
	driver.dev().change_mac(other);
	driver.pci().reset(pci_device::reset_cause::message);
	CHECK(driver.dev().agreed().mac == other, "outlives a reset");
	driver.pci().reset(pci_device::reset_cause::client_gone);
	CHECK(driver.dev().agreed().mac == fake_driver::mac);
	CHECK(driver.dev().agreed().state == iavf::vf_state::initial);
	CHECK_EQ(driver.dev().agreed().told_pairs, 0);
	return success;
}

outcome
queue_shutdown_ends_the_session()
{
	fake_driver driver;
	iavf::adminq_desc shutdown{};

	CHECK(driver.bring_up());
	CHECK_EQ(driver.enable(), 0);
	driver.events.clear();
	shutdown.opcode = static_cast<uint16_t>(iavf::adminq_op::queue_shutdown);
	driver.send(shutdown);
	CHECK_EQ(driver.completion().retval, 0);
	CHECK_EQ(driver.events.size(), 2);
	CHECK_EQ(driver.dev().session().granted(), 0);
	return success;
}

outcome
hostile_lengths_are_refused()
{
	fake_driver driver;
	const std::vector<std::byte> body(4096, std::byte{0xff});

	CHECK(driver.bring_up());
	for (const iavf::vc_op_row &row : iavf::vc_ops) {
		if (row.format.length == 0)
			continue;
		for (size_t size : {size_t{1}, row.format.length - size_t{1},
				    row.format.length + size_t{1}, body.size()})
			CHECK(driver.ask(row.number, std::span(body).first(size)) < 0, "%s, %zu",
			      row.name.data(), size);
	}
	CHECK_EQ(driver.dev().agreed().told_pairs, fake_driver::pairs);
	CHECK(driver.events.empty());
	return success;
}

outcome
hostile_descriptors_are_completed_with_an_error()
{
	using iavf::adminq_rc;
	constexpr auto message = static_cast<uint16_t>(iavf::adminq_op::send_msg_to_pf);
	constexpr uint32_t beyond = fake_machine::size - 4;
	const struct {
		uint16_t opcode, datalen;
		uint32_t address;
		adminq_rc rc;
	} rows[] = {
		{0x7777, 0, 0, adminq_rc::bad_opcode},
		{message, 4097, 0, adminq_rc::too_big},
		{message, UINT16_MAX, 0, adminq_rc::too_big},
		{message, 8, beyond, adminq_rc::bad_address},
		{message, 4096, UINT32_MAX, adminq_rc::bad_address},
	};
	fake_driver driver;

	driver.open_mailbox();
	for (const auto &row : rows) {
		iavf::adminq_desc desc{};

		desc.opcode = row.opcode;
		desc.datalen = row.datalen;
		desc.addr_low = row.address;
		driver.send(desc);
		CHECK_EQ(driver.completion().retval, static_cast<int>(row.rc));
		CHECK(iavf::adminq_flag::err::is_set(driver.completion().flags));
		CHECK(!driver.receive());
	}
	CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	return success;
}

outcome
hostile_rings_stop()
{
	struct {
		uint32_t reg, value;
	} const rows[] = {
		{iavf::reg::vf_atqbal1, static_cast<uint32_t>(fake_machine::size)},
		{iavf::reg::vf_atqh1, fake_driver::entries},
		{iavf::reg::vf_atqlen1, iavf::aqlen::enable::mask},
	};
	for (const auto &row : rows) {
		fake_driver driver;

		driver.open_mailbox();
		driver.write(row.reg, row.value);
		driver.send(op::reset_vf);
		CHECK(iavf::aqlen::critical::is_set(driver.read(iavf::reg::vf_atqlen1)));
		CHECK_EQ(driver.dev().stats().resets, 0);
		driver.open_mailbox();
		CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	}
	return success;
}

outcome
commands_wait_while_replies_do()
{
	fake_driver driver;
	constexpr int sent = 64 + 8; /* the ring has 16 */

	driver.open_mailbox();
	driver.write(iavf::reg::vf_arqt1, 0); /* no room */
	for (int i = 0; i < sent; i++)
		driver.send(0, {});
	uint64_t taken = driver.dev().mailbox().stats().received;
	CHECK_EQ(taken, 64);
	CHECK_EQ(driver.dev().mailbox().stats().dropped, 0);
	driver.write(iavf::reg::vf_arqt1, 1); /* one reply, one command more */
	CHECK_EQ(driver.dev().mailbox().stats().received, taken + 1);
	CHECK_EQ(driver.dev().mailbox().stats().sent, 1);
	return success;
}

outcome
commands_are_taken_in_turns()
{
	fake_driver driver;

	driver.open_mailbox();
	driver.machine.turns = 0;
	for (int i = 0; i < 4; i++)
		driver.send(0, {});
	CHECK_EQ(driver.dev().mailbox().stats().received, 0);
	CHECK(driver.machine.deferred);
	for (uint64_t after : {2u, 4u}) {
		driver.machine.turns = 2;
		driver.machine.deferred = false;
		driver.pci().behaviour().work();
		CHECK_EQ(driver.dev().mailbox().stats().received, after);
		CHECK(driver.machine.deferred);
	}
	driver.machine.turns = fake_machine::unlimited;
	driver.machine.deferred = false;
	driver.pci().behaviour().work();
	CHECK(!driver.machine.deferred);
	return success;
}

/* Ends accesses, and lets the device work where it wants to, until all is quiet. */
int
end_all(fake_driver &driver)
{
	int accesses = 0;

	while (driver.machine.end_access()) {
		accesses++;
		if (std::exchange(driver.machine.deferred, false))
			driver.pci().behaviour().work();
	}
	return accesses;
}

outcome
memory_without_a_file_is_waited_for()
{
	fake_driver driver;

	driver.open_mailbox();
	driver.machine.without_files = true;
	driver.send_struct(op::version, iavf::vc_version_info{1, 1});
	driver.send(op::get_vf_resources);
	CHECK(driver.dev().agreed().state == iavf::vf_state::initial, "nothing was read yet");
	/* A command: descriptor, body, completion; a reply: descriptor, body, descriptor. The
	 * second ones have no body. */
	CHECK_EQ(end_all(driver), 6 + 4);
	CHECK(driver.dev().agreed().state == iavf::vf_state::negotiated);
	auto first = driver.receive(), second = driver.receive();
	CHECK(first && first->op == op::version && first->status == vc_status::success);
	CHECK(second && second->op == op::get_vf_resources);
	CHECK(second->status == vc_status::err_param, "1.1 has capabilities to ask for");
	return success;
}

outcome
what_a_reset_meets_under_way_is_dropped()
{
	for (int ended_before = 0; ended_before < 3; ended_before++) {
		fake_driver driver;

		driver.open_mailbox();
		driver.machine.without_files = true;
		driver.send_struct(op::version, iavf::vc_version_info{1, 1});
		for (int i = 0; i < ended_before; i++) {
			driver.machine.end_access();
			driver.pci().behaviour().work();
		}
		driver.pci().reset(pci_device::reset_cause::function_level);
		CHECK(end_all(driver) <= 1);
		CHECK_EQ(driver.dev().mailbox().stats().sent, 0);
		CHECK_EQ(driver.read(iavf::reg::vf_atqh1), 0);
		driver.machine.without_files = false;
		driver.open_mailbox();
		CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	}
	return success;
}

outcome
rings_in_memory_without_a_file_are_refused()
{
	fake_driver driver;
	iavf::vc_txq_info ring{iavf::vsi_id, 0, 64, 0, fake_machine::no_file, 0};

	CHECK(driver.bring_up());
	CHECK_EQ(driver.ask_struct(op::config_tx_queue, ring),
		 static_cast<int>(vc_status::err_no_memory));
	ring.dma_ring_addr = 0x1000;
	CHECK_EQ(driver.ask_struct(op::config_tx_queue, ring), 0);
	return success;
}

outcome
messages_fire_an_enabled_vector()
{
	fake_driver driver;

	driver.open_mailbox();
	CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	CHECK_EQ(driver.machine.fired[0], 0);
	driver.write(iavf::reg::vfint_icr0_ena1, iavf::icr0::adminq::mask);
	driver.write(iavf::reg::vfint_dyn_ctl01,
		     iavf::dyn_ctl::intena::mask | iavf::dyn_ctl::itr_indx::mask);
	CHECK_EQ(driver.machine.fired[0], 1); /* was pending */
	CHECK(!iavf::dyn_ctl::intena::is_set(driver.read(iavf::reg::vfint_dyn_ctl01)));
	CHECK_EQ(driver.read(iavf::reg::vfint_icr01),
		 iavf::icr0::adminq::mask | iavf::icr0::intevent::mask);
	CHECK_EQ(driver.read(iavf::reg::vfint_icr01), 0);
	return success;
}

constexpr test_case cases[] = {
	{"a driver comes up", a_driver_comes_up},
	{"what is enabled is pushed", what_is_enabled_is_pushed},
	{"a tail of a ring that is away does not count",
	 a_tail_of_a_ring_that_is_away_does_not_count},
	{"RESET_VF ends the session", reset_vf_ends_the_session},
	{"a function level reset ends the session", a_function_level_reset_ends_the_session},
	{"a reset by message ends the session", a_reset_by_message_ends_the_session},
	{"only RESET_VF spares the heads", only_reset_vf_spares_the_heads},
	{"a new client is a new machine", a_new_client_is_a_new_machine},
	{"queue shutdown ends the session", queue_shutdown_ends_the_session},
	{"addresses and modes are pushed", addresses_and_modes_are_pushed},
	{"hostile lengths are refused", hostile_lengths_are_refused},
	{"hostile descriptors are completed with an error",
	 hostile_descriptors_are_completed_with_an_error},
	{"hostile rings stop", hostile_rings_stop},
	{"commands wait while replies do", commands_wait_while_replies_do},
	{"commands are taken in turns", commands_are_taken_in_turns},
	{"memory without a file is waited for", memory_without_a_file_is_waited_for},
	{"what a reset meets under way is dropped", what_a_reset_meets_under_way_is_dropped},
	{"rings in memory without a file are refused", rings_in_memory_without_a_file_are_refused},
	{"messages fire an enabled vector", messages_fire_an_enabled_vector},
};

outcome
emu_iavf_autotest()
{
	return run_cases("emu_iavf", {case_table(cases), many_queue_cases, vlan_cases, state_cases,
				      rss_cases, fdir_cases, policy_cases, operation_cases,
				      interrupt_cases, twin_cases, view_cases});
}

} // namespace

REGISTER_TEST(emu_iavf_autotest, emu_iavf_autotest);
