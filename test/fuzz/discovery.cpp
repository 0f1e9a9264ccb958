/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>

#include <bus_pci_driver.h>
#include <bus_vdev_driver.h>
#include <rte_vfio_user_client.h>

#include "hostile.hpp"

/*
 * A consumer that attaches to a hostile server: an input is the configuration space, and how the
 * server answers while BARs are found and mapped, memory is opened and vectors are wired. A driver
 * of any device reads what it was given.
 */

namespace {

using namespace fuzz;

int
probe(rte_pci_driver *, rte_pci_device *device)
{
	uint64_t sum = 0;

	for (const rte_mem_resource &bar : device->mem_resource) {
		if (bar.addr == nullptr || bar.len == 0)
			continue;
		const auto *bytes = static_cast<const volatile uint8_t *>(bar.addr);
		sum += bytes[0] + bytes[bar.len - 1];
		/* Drivers of known devices know how long their registers are. */
		if (device->id.vendor_id == 0x8086 && device->id.device_id == 0x1889)
			MUST(&bar != device->mem_resource || bar.len >= 0x10000);
	}
	return sum == 1 ? 1 : 0;
}

int
remove(rte_pci_device *)
{
	return 0;
}

/* Drivers that the distribution has come behind it, so none of them is asked. */
constinit const rte_pci_id any_device[] = {{.class_id = RTE_CLASS_ANY_ID,
					    .vendor_id = RTE_PCI_ANY_ID,
					    .device_id = RTE_PCI_ANY_ID,
					    .subsystem_vendor_id = RTE_PCI_ANY_ID,
					    .subsystem_device_id = RTE_PCI_ANY_ID},
					   {}};

rte_pci_driver driver = {
	.driver = {.name = "fuzz_any"},
	.probe = probe,
	.remove = remove,
	.id_table = any_device,
};

__attribute__((constructor)) void
register_driver()
{
	rte_pci_register(&driver);
}

} // namespace

extern "C" int
LLVMFuzzerInitialize(int *, char ***)
{
	init_eal();
	return 0;
}

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static files descriptors;
	/* Of a function with MSI-X in BAR 3, whose bytes an input may replace. */
	static constexpr uint8_t plain[] = {0x86, 0x80, 0x89, 0x18, 0, 0, 0x10};
	input in(data, size);
	const uint8_t changes = in.u8();

	descriptors.renew();
	std::array<uint8_t, 256> config{};
	std::copy(std::begin(plain), std::end(plain), config.begin());
	config[0x34] = 0x40;
	config[0x40] = 0x11;
	config[0x44] = config[0x48] = 3;
	for (unsigned int n = changes % 16; n != 0; n--) {
		const uint8_t at = in.u8();
		config[at] = in.u8();
	}
	const uint64_t bar_size = changes & 16 ? in.u32() * uint64_t{4096} : 0x10000;
	answers how(input(in.rest().data(), in.size()), descriptors);
	how.config = config;
	how.bar_size = bar_size;
	test::client_suite::hostile_server server(
		[&](test::client_suite::raw_peer &peer) { how.serve(peer); });
	const std::string args = "path=" + server.path + ",timeout_ms=100,attach_ms=400";
	if (rte_vdev_init("vfio_user_pci_fuzz", args.c_str()) == 0)
		MUST(rte_vdev_uninit("vfio_user_pci_fuzz") == 0);
	return 0;
}
