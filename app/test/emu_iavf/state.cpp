/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

#include <random>

/*
 * A device that goes on in another process, as after a migration: hostile states, then a driver
 * that does not notice. The machine is copied with its memory.
 */

using namespace test;
namespace op = iavf::vc_op;

namespace {

constexpr iavf::mac_address own_mac{2, 0, 0, 0, 0, 9}, group{1, 0, 0x5e, 0, 0, 1};

/** Registers by which a driver would notice. */
constexpr uint32_t telling_registers[] = {
	iavf::reg::vfgen_rstat, iavf::reg::vf_atqlen1,  iavf::reg::vf_atqh1,
	iavf::reg::vf_arqlen1,  iavf::reg::vf_arqh1,    iavf::reg::vfint_dyn_ctl01,
	iavf::reg::qtx_tail(0), iavf::reg::qrx_tail(0), iavf::reg::dyn_ctl(1)};

/** Sets up whatever there is to a driver. */
bool
set_up_all(fake_driver &driver)
{
	struct {
		iavf::vc_ether_addr_list head;
		iavf::vc_ether_addr entries[2];
	} macs{};
	const iavf::mac_address wanted[] = {own_mac, group};

	macs.head = {iavf::vsi_id, 2};
	for (size_t i = 0; i < 2; i++)
		std::ranges::copy(wanted[i], macs.entries[i].addr);
	macs.entries[0].type = iavf::vc_ether_addr::type_primary;
	if (!driver.bring_up() || driver.enable() != 0 ||
	    driver.ask_struct(op::add_eth_addr, macs) != 0 ||
	    driver.ask_struct(
		    op::config_promiscuous_mode,
		    iavf::vc_promisc_info{iavf::vsi_id, iavf::vc_promisc_info::multicast}) != 0)
		return false;
	driver.write(iavf::reg::qtx_tail(0), 11);
	driver.write(iavf::reg::qrx_tail(0), 99);
	driver.write(iavf::reg::dyn_ctl(1), iavf::dyn_ctl::intena::mask);
	driver.write_config(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return driver.dev().session().rings().leave(RTE_EMUDEV_FROM_GUEST, 0, 7);
}

outcome
what_is_no_state_is_refused()
{
	fake_driver source;

	CHECK(set_up_all(source));
	auto saved = source.dev().save();
	CHECK(saved);
	fake_driver driver;
	for (size_t length : {size_t{0}, size_t{3}, saved->size() / 2, saved->size() - 1}) {
		CHECK(!driver.dev().load(std::span(*saved).first(length)), "%zu bytes", length);
		CHECK_EQ(driver.read(iavf::reg::vf_atqlen1), 0);
		CHECK(driver.dev().agreed().state == iavf::vf_state::initial);
	}
	saved->push_back({});
	CHECK(!driver.dev().load(*saved), "a byte too many");
	CHECK(driver.events.empty() || !driver.events.back().info.enabled);
	CHECK(driver.bring_up(), "it is as new");
	CHECK_EQ(driver.enable(), 0);
	return success;
}

/* Whatever it is made of, what was loaded is used as a driver uses it. */
outcome
damaged_states_do_no_harm()
{
	fake_driver source;
	std::mt19937 random(1);
	unsigned int taken = 0;

	CHECK(set_up_all(source));
	const auto saved = source.dev().save();
	CHECK(saved);
	fake_driver driver;
	for (int turn = 0; turn < 3000; turn++) {
		std::vector<std::byte> bytes = *saved;

		for (uint32_t n = 1 + random() % 8; n > 0; n--)
			bytes[random() % bytes.size()] = static_cast<std::byte>(random());
		/* The session is at the end. */
		for (uint32_t n = random() % 8; n > 0; n--)
			bytes[bytes.size() - 1 - random() % std::min<size_t>(bytes.size(), 3000)] =
				static_cast<std::byte>(random());
		driver.events.clear();
		taken += driver.dev().load(bytes) ? 1 : 0;
		for (const queue_event &e : driver.events) {
			CHECK(e.info.vector.index < iavf::max_vectors && e.info.vector.timer <= 3);
			/* As if a driver had set it up. */
			CHECK(!e.info.enabled || (e.info.size >= 64 && e.info.size % 32 == 0 &&
						  e.info.ring_iova % 128 == 0));
			CHECK(!e.info.enabled || e.info.dir == RTE_EMUDEV_FROM_GUEST ||
			      (e.info.buffer_size >= 128 && e.info.max_frame >= 64));
		}
		driver.ask(op::get_stats,
			   guard::as_bytes(iavf::vc_queue_select{iavf::vsi_id, 0, 0, 0}));
		driver.ask_struct(op::disable_queues,
				  iavf::vc_queue_select{iavf::vsi_id, 0, 0xffff, 0xffff});
	}
	CHECK(taken != 0, "none was taken");
	driver.pci().reset(pci_device::reset_cause::client_gone);
	CHECK(driver.bring_up());
	return success;
}

outcome
an_access_under_way_has_to_end_first()
{
	fake_driver driver;

	driver.open_mailbox();
	driver.machine.without_files = true;
	driver.send_struct(op::version, iavf::vc_version_info{1, 1});
	auto saved = driver.dev().save();
	CHECK(!saved && saved.error().code == EBUSY);
	while (driver.machine.end_access())
		driver.pci().behaviour().work();
	CHECK(driver.dev().save());
	return success;
}

outcome
a_driver_goes_on_elsewhere()
{
	fake_driver source, driver;

	CHECK(set_up_all(source));
	const auto saved = source.dev().save();
	CHECK(saved);
	driver.take_over(source);
	CHECK(driver.dev().load(*saved));
	for (uint32_t reg : telling_registers)
		CHECK_EQ(driver.read(reg), source.read(reg));
	CHECK_EQ(driver.pci().config().load(PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	/* The back-end hears of all that there is. */
	CHECK_EQ(driver.events.size(), 2);
	for (const queue_event &e : driver.events) {
		CHECK_EQ(e.info.enabled, 1);
		CHECK_EQ(e.info.resumed, e.info.dir == RTE_EMUDEV_FROM_GUEST);
		CHECK_EQ(e.info.head, e.info.dir == RTE_EMUDEV_FROM_GUEST ? 7 : 0);
		CHECK_EQ(e.info.vector.index, 1);
	}
	CHECK_EQ(driver.config.nb_filters, source.config.nb_filters);
	CHECK_EQ(driver.config.promiscuous, RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST);
	CHECK(std::ranges::equal(driver.config.mac.addr_bytes, own_mac));
	/* The driver goes on in the middle of its rings. */
	CHECK_EQ(driver.enable(), 0);
	CHECK_EQ(driver.events.size(), 2);
	CHECK_EQ(
		driver.ask_struct(op::disable_queues, iavf::vc_queue_select{iavf::vsi_id, 0, 1, 1}),
		0);
	CHECK_EQ(driver.events.size(), 4);
	return success;
}

/* A reply that has found no room yet. */
outcome
messages_that_wait_are_carried()
{
	fake_driver source, driver;

	source.open_mailbox();
	source.write(iavf::reg::vf_arqt1, 0);
	source.send_struct(op::version, iavf::vc_version_info{1, 1});
	CHECK(!source.receive());
	const auto saved = source.dev().save();
	CHECK(saved);
	driver.take_over(source);
	CHECK(driver.dev().load(*saved));
	driver.write(iavf::reg::vf_arqt1, 8);
	auto reply = driver.receive();
	CHECK(reply && reply->op == op::version && reply->status == iavf::vc_status::success);
	CHECK(driver.dev().agreed().state == iavf::vf_state::negotiated);
	return success;
}

/* A driver may send the operation of events itself: what waits then is a reply without a body. */
outcome
a_waiting_reply_to_an_event_is_none()
{
	fake_driver source, driver;

	CHECK(source.bring_up());
	CHECK_EQ(source.enable(), 0);
	while (source.receive())
		;
	const uint32_t tail = source.read(iavf::reg::vf_arqt1);
	source.write(iavf::reg::vf_arqt1, source.read(iavf::reg::vf_arqh1));
	source.send_struct(op::event, iavf::vc_pf_event{.event = 1});
	/* Two events of one kind, which is asked of what waits. */
	source.dev().set_policy({.link = RTE_EMUDEV_NET_LINK_DOWN});
	source.dev().set_policy({.link = RTE_EMUDEV_NET_LINK_UP});
	CHECK(!source.receive());
	const auto saved = source.dev().save();
	CHECK(saved);
	driver.take_over(source);
	CHECK(driver.dev().load(*saved));
	driver.dev().set_policy({.link = RTE_EMUDEV_NET_LINK_DOWN});
	driver.write(iavf::reg::vf_arqt1, tail);
	const auto reply = driver.receive(), event = driver.receive();
	CHECK(reply && reply->op == op::event && reply->body.empty());
	CHECK(reply->status != iavf::vc_status::success);
	CHECK(event && event->op == op::event && event->body.size() == sizeof(iavf::vc_pf_event));
	CHECK_EQ(guard::load<iavf::vc_pf_event>(event->body, 0)->event, 1);
	CHECK_EQ(guard::load<iavf::vc_pf_event>(event->body, 0)->link_status, 0);
	CHECK(!driver.receive());
	return success;
}

constexpr test_case cases[] = {
	{"what is no state is refused", what_is_no_state_is_refused},
	{"damaged states do no harm", damaged_states_do_no_harm},
	{"an access under way has to end first", an_access_under_way_has_to_end_first},
	{"a driver goes on elsewhere", a_driver_goes_on_elsewhere},
	{"messages that wait are carried", messages_that_wait_are_carried},
	{"a waiting reply to an event is none", a_waiting_reply_to_an_event_is_none},
};

} // namespace

constinit const case_table test::state_cases = cases;
