/* SPDX-License-Identifier: BSD-3-Clause */
#include <cstring>
#include <vector>

#include <linux/pci_regs.h>

#include "pci_device_bus.hpp"
#include "pci_function.hpp"
#include "test.hpp"

/*
 * drivers/common/pci_device, with a device made for the test: what a driver sees that probes it,
 * and one that is hostile. No socket.
 */

using namespace test;
using namespace pci_device;

namespace {

/** A machine that counts interrupts. */
class test_bus final : public memoryless_bus {
public:
	bool irq_wired(uint32_t, uint32_t) const override { return wired; }
	int irq_trigger(uint32_t index, uint32_t vector) override
	{
		if (!wired || unwired_since)
			return -ENOTCONN;
		fired[index]++;
		last_vector = vector;
		return 1;
	}

	bool wired = true;
	bool unwired_since = false; /* since irq_wired() */
	int fired[RTE_VFIO_USER_PCI_IRQS] = {};
	uint32_t last_vector = 0;
};

/* A toy: one register that adds, one that a read clears, four of storage; the whole device. */
constexpr uint8_t add = 0, total = 1;
constexpr register_row toy_rows[] = {
	{"ADD", 0x00, 1, access::read_write, 0, add},
	{"TOTAL", 0x04, 1, access::read_clear, 7, total},
	{"ID", 0x08, 1, access::read_only, 0x1234},
	{"SCRATCH", 0x10, 4, access::read_write, 0xa5a5a5a5},
};
static_assert(are_valid(toy_rows, 64));

class toy final : public device_behaviour {
public:
	static constexpr bar_facts ports{2, bar_type::io, false, 64};
	static constexpr bar_facts vectors{4, bar_type::memory_64, true, 4096};
	static constexpr msix_place place{3, 4, 0, 2048};

	toy()
	    : registers(*register_bar::make({.name = "toy",
					     .bar = ports,
					     .rows = toy_rows,
					     .partial = partial_writes::merged},
					    *this)),
	      msix(vectors, place, machine),
	      function(config(), std::vector<bar *>{registers.get(), &msix}, place.vectors, *this,
		       machine)
	{
	}
	static config_layout config()
	{
		constexpr uint8_t secret[] = {1, 2, 3};

		return config_layout({.vendor = 0x1af4,
				      .device = 1,
				      .class_code = 0xff0001,
				      .command_writable = PCI_COMMAND_IO | PCI_COMMAND_INTX_DISABLE,
				      .intx = true})
			.add(power_management())
			.add(msix_capability(place))
			.add(express_capability({.device_capabilities = PCI_EXP_DEVCAP_FLR}))
			.add(vendor_capability(secret))
			.add(error_capability({0x30, 0x30, 1, 0}));
	}
	void register_written(uint8_t, uint32_t) override
	{
		registers->store(4, registers->load(4) + registers->load(0));
	}
	uint32_t register_read(uint8_t, uint32_t, uint32_t value) override { return value << 1; }
	void stop(reset_cause) override { total_at_stop = registers->load(4); }
	void reset(reset_cause cause) override { causes.push_back(cause); }

	test_bus machine;
	std::unique_ptr<register_bar> registers;
	msix_bar msix;
	pci_function function;
	uint32_t total_at_stop = 0;
	std::vector<reset_cause> causes;
};

constexpr uint32_t config_region = RTE_VFIO_USER_REGION_CONFIG;

template <class T = uint32_t>
T
get(toy &dev, uint32_t region, uint32_t offset)
{
	T value{};

	dev.function.read(region, offset, std::as_writable_bytes(std::span<T, 1>(&value, 1)));
	return value;
}

template <class T = uint32_t>
void
put(toy &dev, uint32_t region, uint32_t offset, T value)
{
	dev.function.write(region, offset, guard::as_bytes(value));
}

outcome
bars_tell_their_size()
{
	toy dev;

	for (uint32_t index = 0; index < 6; index++)
		put(dev, config_region, PCI_BASE_ADDRESS_0 + 4 * index, UINT32_MAX);
	CHECK_EQ(get(dev, config_region, PCI_BASE_ADDRESS_0), 0);
	CHECK_EQ(get(dev, config_region, PCI_BASE_ADDRESS_2), 0xffffffc1);
	CHECK_EQ(get(dev, config_region, PCI_BASE_ADDRESS_3), 0);
	CHECK_EQ(get(dev, config_region, PCI_BASE_ADDRESS_4), 0xfffff00c);
	CHECK_EQ(get(dev, config_region, PCI_BASE_ADDRESS_5), 0xffffffff);
	return success;
}

outcome
capabilities_are_a_chain()
{
	toy dev;
	std::vector<uint8_t> ids;

	CHECK((get<uint16_t>(dev, config_region, PCI_STATUS) & PCI_STATUS_CAP_LIST) != 0);
	for (uint8_t at = get<uint8_t>(dev, config_region, PCI_CAPABILITY_LIST); at != 0;
	     at = get<uint8_t>(dev, config_region, at + 1u)) {
		CHECK(at >= 0x40 && at % 4 == 0 && ids.size() < 48);
		ids.push_back(get<uint8_t>(dev, config_region, at));
	}
	CHECK((ids == std::vector<uint8_t>{PCI_CAP_ID_PM, PCI_CAP_ID_MSIX, PCI_CAP_ID_EXP,
					   PCI_CAP_ID_VNDR}));
	CHECK_EQ(get(dev, config_region, 0x100), 0x00020001);
	uint16_t vendor = dev.function.config().layout().find(PCI_CAP_ID_VNDR);
	CHECK_EQ(get(dev, config_region, vendor + 2u), 0x03020106);
	return success;
}

outcome
extended_capabilities_are_a_chain()
{
	config_layout layout = toy::config();

	layout.add({.id = 0x0b, .size = 16, .rows = {}, .version = 1}, 0x140);
	CHECK(layout.valid());
	config_registers space(layout);
	CHECK_EQ(space.load(0x102) >> 4, 0x140);
	CHECK_EQ(layout.find(PCI_EXT_CAP_ID_ERR, true), 0x100);
	CHECK_EQ(layout.find(0x0b, true), 0x140);
	return success;
}

outcome
mistakes_of_a_layout_are_found()
{
	CHECK(toy::config().valid());
	CHECK(!toy::config().add(power_management(), 0x44).valid(), "inside another");
	CHECK(!toy::config().add(power_management(), 0xfc).valid(), "beyond the end");
	CHECK(!toy::config().add(power_management(), 0xe2).valid(), "not aligned");
	CHECK(!toy::config().add(bar_facts{0, bar_type::memory_32, false, 48}).valid());
	CHECK(!toy::config().add(bar_facts{0, bar_type::memory_32, false, 8}).valid());
	CHECK(!toy::config().add(bar_facts{5, bar_type::memory_64, false, 64}).valid());
	CHECK(!toy::config()
		       .add(bar_facts{1, bar_type::memory_64, false, 64})
		       .add(bar_facts{2, bar_type::io, false, 64})
		       .valid(),
	      "two in one place");
	constexpr register_row twice[] = {{"A", 0, 2}, {"B", 4}};
	constexpr register_row beyond[] = {{"A", 60, 2}};
	CHECK(!are_valid(twice, 64) && !are_valid(beyond, 64));
	return success;
}

outcome
only_what_is_writable_changes()
{
	for (uint32_t size : {1u, 2u, 3u, 4u, 256u}) {
		toy dev;
		std::vector<std::byte> before(4096), after(4096), ones(size, std::byte{0xff});

		dev.function.read(config_region, 0, before);
		for (uint32_t at = 0; at + size <= 4096; at += size)
			dev.function.write(config_region, at, ones);
		CHECK(!dev.causes.empty(), "ones ask for a reset");
		dev.function.read(config_region, 0, after);
		CHECK(std::memcmp(before.data(), after.data(), 4) == 0, "the IDs");
		CHECK_EQ(get<uint16_t>(dev, config_region, PCI_COMMAND) & ~0x401, 0);
	}
	toy dev;
	uint16_t pm = dev.function.config().layout().find(PCI_CAP_ID_PM);
	put<uint16_t>(dev, config_region, pm + 4u, 0xffff);
	CHECK_EQ(get<uint16_t>(dev, config_region, pm + 4u), 0x000b);
	return success;
}

outcome
a_written_one_clears()
{
	config_layout layout({.vendor = 1, .device = 2, .class_code = 0});
	layout.add({.id = PCI_CAP_ID_VNDR,
		    .size = 8,
		    .rows = {{.name = "Status",
			      .offset = 4,
			      .width = 2,
			      .value = 0x0f0f,
			      .cleared_by_one = 0x00ff}}});
	config_registers space(layout);
	constexpr uint16_t bits = 0x0f05;

	space.write(0x44, guard::as_bytes(bits));
	CHECK_EQ(space.load(0x44), 0x0f0a);
	return success;
}

outcome
a_function_level_reset_resets_all()
{
	toy dev;
	uint32_t control = dev.function.config().layout().find(PCI_CAP_ID_EXP) + 8u;

	put(dev, 2, 0x10, 1);
	put(dev, 2, 0, 5);
	put<uint16_t>(dev, config_region, PCI_COMMAND, PCI_COMMAND_IO);
	put<uint8_t>(dev, 4, 0, 9);
	put<uint8_t>(dev, config_region, control, 0xff); /* the low byte does not have the bit */
	CHECK_EQ(dev.causes.size(), 0);
	put<uint8_t>(dev, config_region, control + 1, PCI_EXP_DEVCTL_BCR_FLR >> 8);
	CHECK_EQ(dev.causes.size(), 1);
	CHECK(dev.causes[0] == reset_cause::function_level);
	CHECK_EQ(dev.total_at_stop, 7 + 5);
	CHECK_EQ(get(dev, 2, 0x10), 0xa5a5a5a5);
	CHECK_EQ(get<uint16_t>(dev, config_region, PCI_COMMAND), 0);
	CHECK_EQ(get<uint16_t>(dev, config_region, control), 0);
	CHECK_EQ(get<uint8_t>(dev, 4, 0), 0);
	return success;
}

outcome
registers_have_effects()
{
	toy dev;

	put(dev, 2, 0, 5);
	put(dev, 2, 4, 100); /* a write of what reads clear does nothing */
	CHECK_EQ(get(dev, 2, 4), (7 + 5) << 1);
	CHECK_EQ(get(dev, 2, 4), 0);
	put(dev, 2, 8, 0);
	CHECK_EQ(get(dev, 2, 8), 0x1234);
	put(dev, 2, 0x0c, 1);
	CHECK_EQ(get(dev, 2, 0x0c), 0); /* no register */
	return success;
}

outcome
accesses_may_be_odd()
{
	toy dev;

	CHECK_EQ(get<uint16_t>(dev, 2, 0x09), 0x0012);
	CHECK_EQ(get<uint32_t>(dev, 2, 0x0e), 0xa5a50000);
	put<uint8_t>(dev, 2, 0x11, 0x5a);
	CHECK_EQ(get(dev, 2, 0x10), 0xa5a55aa5);
	put<uint64_t>(dev, 2, 0x12, 0x1122334455667788);
	CHECK_EQ(get(dev, 2, 0x10), 0x77885aa5);
	CHECK_EQ(get(dev, 2, 0x14), 0x33445566);
	CHECK_EQ(get(dev, 2, 0x18), 0xa5a51122);
	std::vector<std::byte> all(64);
	CHECK_EQ(dev.function.read(2, 0, all), 0);
	CHECK_EQ(dev.function.write(2, 0, all), 0);
	CHECK_EQ(dev.function.read(0, 0, all), -EINVAL);
	CHECK_EQ(dev.function.write(6, 0, all), -EINVAL);
	return success;
}

/* As of hardware without byte enables: what is less than a register is not written. */
outcome
partial_writes_may_be_ignored()
{
	toy dev;
	auto registers =
		register_bar::make({.name = "x", .bar = toy::ports, .rows = toy_rows}, dev);
	const std::vector<std::byte> zeros(7);

	(*registers)->write(0x11, zeros); /* the end of one, and all of the next */
	CHECK_EQ((*registers)->load(0x10), 0xa5a5a5a5);
	CHECK_EQ((*registers)->load(0x14), 0);
	(*registers)->write(0x18, std::span(zeros).first(3));
	CHECK_EQ((*registers)->load(0x18), 0xa5a5a5a5);
	return success;
}

outcome
shared_areas_are_memory_and_the_rest_is_not()
{
	toy dev;
	constexpr rte_vfio_user_area first_page{0, 4096};
	constexpr register_row rows[] = {{"HOT", 0}, {"COLD", 4096, 1, access::read_write, 3}};
	auto made = register_bar::make({.name = "x",
					.bar = {0, bar_type::memory_32, false, 8192},
					.rows = rows,
					.shared = {&first_page, 1},
					.whole_on_request = true},
				       dev);
	register_bar &registers = **made;
	std::byte *memory = registers.shared_memory().data();
	rte_vfio_user_region region{};

	registers.describe(region);
	CHECK_EQ(region.nb_areas, 1);
	CHECK_EQ(region.map_whole_on_request, 1);
	memory[0] = std::byte{1};
	memory[4096] = std::byte{9};
	CHECK_EQ(registers.load(0), 1);
	CHECK_EQ(registers.load(4096), 3); /* not what the client wrote behind our back */
	registers.set_mapped(true);
	CHECK_EQ(std::to_integer<int>(memory[4096]), 3);
	memory[4096] = std::byte{9};
	CHECK_EQ(registers.load(4096), 9);
	int fd = region.fd;
	CHECK(registers.renew());
	registers.describe(region);
	CHECK_EQ(region.fd, fd);
	CHECK(registers.shared_memory().data() == memory);
	CHECK_EQ(registers.load(4096), 3);
	return success;
}

outcome
memory_bars_are_memory()
{
	constexpr rte_vfio_user_area second_page{4096, 4096};
	auto made = memory_bar::make("x", {1, bar_type::memory_32, true, 8192}, {&second_page, 1});
	constexpr uint32_t value = 0x01020304;
	rte_vfio_user_region region{};
	uint8_t odd = 0;

	(*made)->write(4095, guard::as_bytes(value));
	(*made)->read(4097, std::as_writable_bytes(std::span<uint8_t, 1>(&odd, 1)));
	CHECK_EQ(odd, 2);
	(*made)->describe(region);
	CHECK(region.fd > 0 && region.areas == &second_page && region.map_whole_on_request == 0);
	(*made)->reset();
	(*made)->read(4097, std::as_writable_bytes(std::span<uint8_t, 1>(&odd, 1)));
	CHECK_EQ(odd, 0);
	return success;
}

outcome
msix_keeps_the_table_and_what_is_pending()
{
	toy dev;

	CHECK(dev.msix.valid());
	CHECK_EQ(get(dev, 4, 12), 1);            /* masked */
	put<uint64_t>(dev, 4, 0x2c, UINT64_MAX); /* the end of the table and what is behind */
	CHECK_EQ(get(dev, 4, 0x2c), 0xffffffff);
	CHECK_EQ(get(dev, 4, 0x30), 0);
	put<uint64_t>(dev, 4, 2048, UINT64_MAX);
	CHECK_EQ(get(dev, 4, 2048), 0); /* read-only */
	dev.machine.wired = false;
	dev.msix.raise(2);
	CHECK_EQ(get(dev, 4, 2048), 4);
	CHECK_EQ(dev.machine.fired[RTE_VFIO_USER_IRQ_MSIX], 0);
	dev.machine.wired = true;
	dev.machine.unwired_since = true;
	dev.msix.rewired();
	CHECK_EQ(get(dev, 4, 2048), 4);
	dev.machine.unwired_since = false;
	dev.msix.rewired();
	dev.msix.rewired();
	CHECK_EQ(dev.machine.fired[RTE_VFIO_USER_IRQ_MSIX], 1);
	CHECK_EQ(dev.machine.last_vector, 2);
	CHECK_EQ(get(dev, 4, 2048), 0);
	dev.msix.raise(0);
	CHECK_EQ(dev.machine.fired[RTE_VFIO_USER_IRQ_MSIX], 2);
	CHECK(!msix_bar(toy::vectors, {3, 4, 0, 40}, dev.machine).valid(), "on the table");
	CHECK(!msix_bar(toy::vectors, {3, 4, 0, 4096}, dev.machine).valid(), "beyond the BAR");
	CHECK(!msix_bar(toy::vectors, {300, 4, 0, 0xff8}, dev.machine).valid());
	return success;
}

/* A guest that goes on with a device that was loaded finds the level where it was. */
outcome
a_level_is_carried_over()
{
	for (const bool level : {true, false}) {
		toy dev, other;
		state_walk saves;

		dev.function.intx().assert_level(level);
		other.function.intx().assert_level(!level);
		dev.function.each_state(saves);
		const std::vector<std::byte> saved = saves.take();
		state_walk loads(saved);
		other.function.each_state(loads);
		CHECK(loads.good());
		CHECK_EQ(get<uint16_t>(other, config_region, PCI_STATUS) & PCI_STATUS_INTERRUPT,
			 level ? PCI_STATUS_INTERRUPT : 0);
	}
	return success;
}

outcome
intx_is_a_level()
{
	toy dev;
	int &fired = dev.machine.fired[RTE_VFIO_USER_IRQ_INTX];

	put<uint16_t>(dev, config_region, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	dev.function.intx().assert_level(true);
	CHECK_EQ(fired, 0);
	CHECK((get<uint16_t>(dev, config_region, PCI_STATUS) & PCI_STATUS_INTERRUPT) != 0);
	put<uint8_t>(dev, config_region, PCI_COMMAND + 1, 0);
	CHECK_EQ(fired, 1);
	dev.function.interrupts_changed(); /* as after an unmask, while the device still wants */
	CHECK_EQ(fired, 2);
	dev.function.intx().assert_level(false);
	dev.function.interrupts_changed();
	CHECK_EQ(fired, 2);
	CHECK((get<uint16_t>(dev, config_region, PCI_STATUS) & PCI_STATUS_INTERRUPT) == 0);
	return success;
}

outcome
the_function_describes_itself()
{
	toy dev;
	rte_vfio_user_server_conf conf;
	rte_vfio_user_server_conf_init(&conf);

	CHECK(dev.function.valid());
	dev.function.describe(conf);
	CHECK_EQ(conf.nb_regions, RTE_VFIO_USER_PCI_REGIONS);
	CHECK_EQ(conf.regions[2].size, 64);
	CHECK_EQ(conf.regions[4].size, 4096);
	CHECK_EQ(conf.regions[0].size, 0);
	CHECK_EQ(conf.regions[config_region].size, 4096);
	CHECK_EQ(conf.irqs[RTE_VFIO_USER_IRQ_INTX].count, 1);
	CHECK_EQ(conf.irqs[RTE_VFIO_USER_IRQ_MSIX].count, 3);
	CHECK_EQ(conf.ops->reset_device(conf.ctx), 0);
	CHECK(dev.causes.back() == reset_cause::message);
	conf.ops->destroy_device(conf.ctx);
	CHECK(dev.causes.back() == reset_cause::client_gone);
	return success;
}

/* Option ROMs */

constexpr uint16_t rom_vendor = 0x8086, rom_device = 0x1889;

/** An image of some units of 512 bytes, whose PCI data structure is at 0x40. */
std::vector<std::byte>
rom_image(uint8_t units, bool last)
{
	std::vector<std::byte> image(512u * units, std::byte{0x11});
	constexpr uint8_t data[] = {'P', 'C', 'I', 'R', 0x86, 0x80, 0x89, 0x18, 0, 0, 24, 0,
				    3,   0,   0,   2,   0,    0,    0,    0,    0, 0, 0,  0};

	image[0] = std::byte{0x55};
	image[1] = std::byte{0xaa};
	image[0x18] = std::byte{0x40};
	image[0x19] = std::byte{0};
	std::memcpy(&image[0x40], data, sizeof(data));
	image[0x50] = std::byte{units};
	image[0x55] = std::byte{last ? uint8_t{0x80} : uint8_t{0}};
	return image;
}

std::vector<std::byte>
joined(std::vector<std::byte> first, const std::vector<std::byte> &second)
{
	first.insert(first.end(), second.begin(), second.end());
	return first;
}

bool
takes(std::vector<std::byte> image, size_t at = 0, uint8_t value = 0)
{
	option_rom rom;

	if (at != 0)
		image[at] = std::byte{value};
	const bool taken = rom.take(std::move(image), rom_vendor, rom_device).empty();
	return taken && rom.size() != 0;
}

outcome
an_option_rom_is_checked()
{
	const auto good = rom_image(3, true);

	CHECK(takes(good));
	CHECK(takes(joined(rom_image(1, false), rom_image(2, true))));
	CHECK(takes(joined(good, std::vector<std::byte>(100)))); /* what is behind the last one */
	CHECK(!takes({}));
	CHECK(!takes({good.begin(), good.begin() + 25}));
	CHECK(!takes(good, 1, 0x55));
	CHECK(!takes(good, 0x19, 0xff)); /* its data structure is outside */
	CHECK(!takes(good, 0x43, 'X'));
	CHECK(!takes(good, 0x44, 0x87)); /* vendor */
	CHECK(!takes(good, 0x46, 0x8a)); /* device */
	CHECK(!takes(good, 0x50, 0));
	CHECK(!takes(good, 0x50, 4)); /* longer than the file */
	CHECK(!takes(good, 0x51, 0xff));
	CHECK(!takes(good, 0x55, 0x00)); /* no image is the last one */
	CHECK(!takes(joined(rom_image(1, false), std::vector<std::byte>(512))));
	CHECK(!takes(joined(good, std::vector<std::byte>(option_rom::max_size))));
	return success;
}

outcome
an_option_rom_is_a_region()
{
	const auto image = rom_image(5, true);
	option_rom rom;
	toy dev;
	rte_vfio_user_server_conf conf;
	rte_vfio_user_server_conf_init(&conf);

	CHECK(rom.take(image, rom_vendor, rom_device).empty());
	CHECK_EQ(rom.size(), 4096);
	pci_function function(toy::config(), {}, 0, dev, dev.machine, &rom);
	CHECK(function.valid());
	function.describe(conf);
	constexpr uint32_t region = RTE_VFIO_USER_REGION_ROM;
	CHECK_EQ(conf.regions[region].size, 4096);
	CHECK_EQ(conf.regions[region].flags, RTE_VFIO_USER_REGION_READ);

	uint32_t value = UINT32_MAX;
	auto to = std::as_writable_bytes(std::span(&value, 1));
	CHECK_EQ(function.write(config_region, PCI_ROM_ADDRESS, to), 0);
	CHECK_EQ(function.read(config_region, PCI_ROM_ADDRESS, to), 0);
	CHECK_EQ(value, 0xfffff001);
	CHECK_EQ(function.read(region, 0x40, to), 0);
	CHECK_EQ(value, 0x52494350);
	CHECK_EQ(function.read(region, 4092, to), 0);
	CHECK_EQ(value, UINT32_MAX);
	CHECK_EQ(function.write(region, 0, to), -EINVAL);

	/* Without one there is neither region nor register. */
	dev.function.describe(conf);
	CHECK_EQ(conf.regions[region].size, 0);
	CHECK_EQ(dev.function.read(region, 0, to), -EINVAL);
	put(dev, config_region, PCI_ROM_ADDRESS, UINT32_MAX);
	CHECK_EQ(get(dev, config_region, PCI_ROM_ADDRESS), 0);
	return success;
}

outcome
pci_device_autotest()
{
	return run_cases(
		"pci_device",
		{
			{"BARs tell their size", bars_tell_their_size},
			{"capabilities are a chain", capabilities_are_a_chain},
			{"extended capabilities are a chain", extended_capabilities_are_a_chain},
			{"mistakes of a layout are found", mistakes_of_a_layout_are_found},
			{"only what is writable changes", only_what_is_writable_changes},
			{"a written one clears", a_written_one_clears},
			{"a function level reset resets all", a_function_level_reset_resets_all},
			{"registers have effects", registers_have_effects},
			{"accesses may be odd", accesses_may_be_odd},
			{"partial writes may be ignored", partial_writes_may_be_ignored},
			{"shared areas are memory and the rest is not",
			 shared_areas_are_memory_and_the_rest_is_not},
			{"memory BARs are memory", memory_bars_are_memory},
			{"MSI-X keeps the table and what is pending",
			 msix_keeps_the_table_and_what_is_pending},
			{"INTx is a level", intx_is_a_level},
			{"a level is carried over", a_level_is_carried_over},
			{"the function describes itself", the_function_describes_itself},
			{"an option ROM is checked", an_option_rom_is_checked},
			{"an option ROM is a region", an_option_rom_is_a_region},
		});
}

} // namespace

REGISTER_TEST(pci_device_autotest, pci_device_autotest);
