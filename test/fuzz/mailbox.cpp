/* SPDX-License-Identifier: BSD-3-Clause */
#include <dlfcn.h>

#include "driver_messages.hpp"

#include "../../drivers/emu/iavf/log.hpp"
#include "../../drivers/emu/iavf/telemetry.hpp"
#include "../../drivers/emu/iavf/virtchnl_text.hpp"

/*
 * The emulated device: an input is what a driver does with mailbox, registers and configuration
 * space, how its machine answers, and what the administrator does meanwhile.
 */

namespace {

using namespace fuzz;
using test::fake_driver;

enum step : uint8_t {
	ask,        /**< A message, whose reply is taken. */
	send,       /**< One whose reply is not. */
	descriptor, /**< Any command in the ring of the mailbox. */
	take,       /**< What the device has sent. */
	start,      /**< With capabilities. */
	bring_up,
	enable,
	write_register,
	access, /**< Any bytes of any region. */
	poke,   /**< Memory. */
	machine,
	end_access,
	turn,
	reset,
	host,
	save,
	fire, /**< As the back-end does. */
	look, /**< The administrator, at all there is to see. */
	print,
	nb_steps,
};

void
ask_message(fake_driver &driver, input &in, bool waits)
{
	const vc_request request = take_message(in);

	if (waits)
		driver.ask(request.op, request.body);
	else
		driver.send(request.op, request.body);
}

void
send_descriptor(fake_driver &driver, input &in)
{
	const auto desc = in.take<iavf::adminq_desc>();

	driver.send(desc, std::as_bytes(in.bytes(in.u8())));
}

void
access_region(fake_driver &driver, input &in)
{
	const uint8_t how = in.u8();
	const bool config = how % 2 != 0;
	const uint32_t region = config         ? RTE_VFIO_USER_REGION_CONFIG
				: how % 4 == 2 ? RTE_VFIO_USER_REGION_BAR0 + 3
					       : RTE_VFIO_USER_REGION_BAR0;
	rte_vfio_user_server_conf conf{};
	driver.pci().describe(conf);
	const uint64_t size = conf.regions[region].size;
	std::array<std::byte, 64> data{};
	/* The server has checked that it is inside. */
	const uint32_t length = 1 + in.u8() % 64;
	if (size < length)
		return;
	const auto offset = static_cast<uint32_t>(in.u32() % (size - length + 1));

	if (how & 8) {
		driver.pci().read(region, offset, std::span(data).first(length));
		return;
	}
	in.fill({reinterpret_cast<uint8_t *>(data.data()), length});
	driver.pci().write(region, offset, std::span(data).first(length));
}

void
poke_memory(fake_driver &driver, input &in)
{
	const size_t at = in.u32() % driver.machine.memory.size();
	const auto from = std::as_bytes(in.bytes(in.u8()));

	std::ranges::copy(from.first(std::min(from.size(), driver.machine.memory.size() - at)),
			  driver.machine.memory.begin() + static_cast<ptrdiff_t>(at));
}

void
change_machine(fake_driver &driver, input &in)
{
	const uint8_t how = in.u8();

	driver.machine.wired = how & 1;
	driver.machine.trigger_result = how & 2 ? 1 : how & 4 ? -ENOENT : 0;
	driver.machine.without_files = how & 8;
	driver.machine.turns = how & 16 ? in.u8() : test::fake_machine::unlimited;
	if (how & 32)
		driver.pci().behaviour().interrupts_changed();
	if (how & 64)
		driver.pci().behaviour().memory_changed();
	if (how & 128)
		driver.pci().behaviour().memory_removed(0, in.u32());
}

void
act_as_host(fake_driver &driver, input &in)
{
	const uint8_t what = in.u8();
	const auto number = in.u16();
	iavf::policy policy = driver.dev().host().policy;
	char text[16];

	switch (what % 5) {
	case 0:
		for (const iavf::policy_key &key : iavf::policy_keys()) {
			std::snprintf(text, sizeof(text), "%u", number);
			if (&key - iavf::policy_keys().data() ==
			    what / 5 % static_cast<ptrdiff_t>(iavf::policy_keys().size()))
				key.set(policy, number & 1 ? text : number & 2 ? "on" : "off");
		}
		return driver.dev().set_policy(policy);
	case 1:
		return driver.dev().set_mac(in.take<iavf::mac_address>());
	case 2:
		return driver.dev().reset_by_host();
	case 3:
		return driver.dev().set_port_link(number & 1);
	case 4:
		return driver.dev().set_speed(
			std::clamp<uint32_t>(number, iavf::min_speed, iavf::max_speed));
	}
}

void
reset_device(fake_driver &driver, input &in)
{
	static constexpr pci_device::reset_cause causes[] = {
		pci_device::reset_cause::function_level, pci_device::reset_cause::message,
		pci_device::reset_cause::client_gone};
	const uint8_t which = in.u8() % 5;

	if (which < 3)
		return driver.pci().reset(causes[which]);
	rte_vfio_user_session session{};
	session.mapped_bars = which & 1;
	driver.pci().behaviour().disconnected();
	driver.pci().behaviour().connected(session);
}

/** What was made for one answer; telemetry frees it when that is sent. */
std::vector<rte_tel_data *> told;

/** Of what the driver has set up people see each part. */
void
look_at(iavf::device &dev, uint16_t index)
{
	for (const iavf::telemetry_view &view : iavf::telemetry_views()) {
		view.show(dev, view.max_index != 0 ? index % view.max_index : 0,
			  rte_tel_data_alloc());
		for (rte_tel_data *part : std::exchange(told, {}))
			rte_tel_data_free(part);
	}
}

/** What people are shown of messages is bounded. */
void
print_message(fake_driver &driver, input &in)
{
	const vc_request request = take_message(in);
	constexpr size_t most = 4096;

	MUST(iavf::vc_text(iavf::vc_speaker::driver, request.op, request.body).size() < most);
	MUST(iavf::vc_text(iavf::vc_speaker::device, request.op, request.body).size() < most);
	/* Who wants to see messages sees them in the log. */
	static FILE *const nowhere = std::fopen("/dev/null", "w");
	static const int set = rte_openlog_stream(nowhere);
	MUST(set == 0);
	const uint32_t level = rte_log_get_global_level();
	rte_log_set_global_level(RTE_LOG_DEBUG);
	rte_log_set_level(static_cast<uint32_t>(emu_iavf_log_driver), RTE_LOG_DEBUG);
	driver.send(request.op, request.body);
	rte_log_set_level(static_cast<uint32_t>(emu_iavf_log_driver), RTE_LOG_NOTICE);
	rte_log_set_global_level(level);
	if (const auto reply = driver.receive())
		MUST(iavf::vc_text(iavf::vc_speaker::device, reply->op, reply->body).size() < most);
}

/** What is saved can be loaded, and is the same then. */
void
carry_over(fake_driver &driver)
{
	const auto saved = driver.dev().save();

	if (!saved)
		return;
	MUST(driver.dev().load(*saved));
	const auto again = driver.dev().save();
	MUST(again && *again == *saved);
}

void
play(fake_driver &driver, input &in)
{
	switch (in.u8() % nb_steps) {
	case ask:
		return ask_message(driver, in, true);
	case send:
		return ask_message(driver, in, false);
	case descriptor:
		return send_descriptor(driver, in);
	case take:
		(void)driver.receive();
		return;
	case start:
		return begin(driver, in.u32());
	case bring_up:
		driver.bring_up();
		return;
	case enable:
		driver.enable(in.u32());
		return;
	case write_register: {
		const uint32_t at = in.u16() % iavf::bar0_size & ~3u;
		return driver.write(at, in.u32());
	}
	case access:
		return access_region(driver, in);
	case poke:
		return poke_memory(driver, in);
	case machine:
		return change_machine(driver, in);
	case end_access:
		driver.machine.end_access(in.u8() % 2 != 0 ? -EIO : 0);
		return;
	case turn:
		driver.pci().behaviour().work();
		return driver.pci().behaviour().poll();
	case reset:
		return reset_device(driver, in);
	case host:
		return act_as_host(driver, in);
	case save:
		return carry_over(driver);
	case fire: {
		const uint16_t vector = in.u8();
		const uint8_t how = in.u8();
		rte_emudev_irq_fire(driver.dev().emudev(), vector, how & 3,
				    how & 8   ? RTE_EMUDEV_IRQ_PATIENT
				    : how & 4 ? RTE_EMUDEV_IRQ_EVENT
					      : RTE_EMUDEV_IRQ_FORCED);
		return;
	}
	case look:
		return look_at(driver.dev(), in.u8());
	case print:
		return print_message(driver, in);
	}
}

} // namespace

/** Telemetry's own, but for that it is remembered. */
extern "C" rte_tel_data *
rte_tel_data_alloc()
{
	static const auto other = reinterpret_cast<decltype(&rte_tel_data_alloc)>(
		::dlsym(RTLD_NEXT, "rte_tel_data_alloc"));
	rte_tel_data *made = other();

	MUST(made != nullptr);
	told.push_back(made);
	return made;
}

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static constexpr uint16_t pairs[] = {4, 1, 16, 17, 64, 256};
	input in(data, size);
	fake_driver driver(pairs[in.u8() % std::size(pairs)]);

	while (!in.empty()) {
		play(driver, in);
		check_events(driver);
	}
	while (driver.machine.end_access(-EIO))
		driver.pci().behaviour().work();
	return 0;
}
