/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver_messages.hpp"

/* A saved state: an input is one as a whole, or changes to one that a device has saved, and then
 * what a driver does with a device that has loaded it. */

namespace {

using namespace fuzz;
using test::fake_driver;

/** Of a device of which a driver has set up whatever there is. */
const std::vector<std::byte> &
saved()
{
	static const std::vector<std::byte> state = [] {
		fake_driver driver;

		begin(driver, UINT32_MAX);
		driver.bring_up();
		driver.enable();
		driver.ask_struct(iavf::vc_op::config_promiscuous_mode,
				  iavf::vc_promisc_info{iavf::vsi_id, 3});
		driver.write(iavf::reg::vf_arqt1, 0);
		driver.send_struct(iavf::vc_op::version, iavf::vc_version_info{1, 1});
		auto out = driver.dev().save();
		MUST(out);
		return std::move(*out);
	}();

	return state;
}

std::vector<std::byte>
make_state(input &in)
{
	const uint8_t changes = in.u8();

	if (changes == 0) {
		const auto all = std::as_bytes(in.bytes(in.u16()));
		return {all.begin(), all.end()};
	}
	std::vector<std::byte> state = saved();
	for (unsigned int n = 1; n < changes; n++) {
		const size_t at = in.u16() % state.size();
		const auto with = std::as_bytes(in.bytes(in.u8() % 64));
		std::ranges::copy(with.first(std::min(with.size(), state.size() - at)),
				  state.begin() + static_cast<ptrdiff_t>(at));
	}
	return state;
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input in(data, size);
	fake_driver driver;
	const std::vector<std::byte> state = make_state(in);

	if (driver.dev().load(state)) {
		auto again = driver.dev().save();
		MUST(again && driver.dev().load(*again));
	}
	check_events(driver);
	while (!in.empty()) {
		const vc_request request = take_message(in);

		driver.ask(request.op, request.body);
		check_events(driver);
	}
	driver.pci().reset(pci_device::reset_cause::client_gone);
	MUST(driver.bring_up() && driver.enable() == 0);
	return 0;
}
