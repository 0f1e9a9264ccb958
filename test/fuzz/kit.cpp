/* SPDX-License-Identifier: BSD-3-Clause */
#include <bit>
#include <memory>
#include <vector>

#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.hpp"
#include "pci_device_bus.hpp"
#include "pci_function.hpp"

/*
 * What a device of any kind is made of: an input is what a client reads and writes in configuration
 * space and BARs, and what the device does meanwhile. A plain model says what must be read.
 */

namespace {

using namespace fuzz;
using namespace pci_device;

class machine final : public test::memoryless_bus {
public:
	bool irq_wired(uint32_t, uint32_t) const override { return wired; }
	int irq_trigger(uint32_t, uint32_t) override { return wired && !gone_since ? 1 : -1; }

	bool wired = true;
	bool gone_since = false; /**< Since it was asked whether it is wired. */
};

constexpr register_row ports[] = {
	{"PLAIN", 0x00, 4, access::read_write, 0xa5a5a5a5},
	{"COUNT", 0x10, 1, access::read_clear, 7, 0},
	{"SILENT", 0x14, 1, access::read_clear, 9},
	{"ID", 0x18, 1, access::read_only, 0x1234},
	{"ADD", 0x20, 1, access::read_write, 0, 1},
};
constexpr register_row others[] = {{"HOT", 0, 2}, {"COLD", 4096, 2, access::read_write, 3, 2}};
constexpr rte_vfio_user_area first_page{0, 4096};
constexpr bar_facts memory_facts{0, bar_type::memory_32, false, 8192};
constexpr bar_facts port_facts{1, bar_type::io, false, 64};
constexpr bar_facts other_facts{2, bar_type::memory_32, true, 8192};
constexpr bar_facts vector_facts{4, bar_type::memory_64, true, 4096};
constexpr msix_place place{70, 4, 0, 2048};

class toy final : public device_behaviour {
public:
	explicit toy(const option_rom *rom = nullptr)
	    : memory(*memory_bar::make("kit", memory_facts, {&first_page, 1})),
	      registers(*register_bar::make({.name = "kit",
					     .bar = port_facts,
					     .rows = ports,
					     .partial = partial_writes::merged},
					    *this)),
	      shared(*register_bar::make({.name = "kit",
					  .bar = other_facts,
					  .rows = others,
					  .shared = {&first_page, 1},
					  .whole_on_request = true},
					 *this)),
	      msix(vector_facts, place, host),
	      function(layout(),
		       std::vector<bar *>{memory.get(), registers.get(), shared.get(), &msix},
		       place.vectors, *this, host, rom)
	{
		MUST(function.valid() && msix.valid());
	}
	static config_layout layout()
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
			.add(error_capability({0x30, 0x30, 1, 0}))
			.add({.id = 0x0b, .size = 16, .rows = {}, .version = 1}, 0x140);
	}
	void register_written(uint8_t effect, uint32_t) override { written[effect]++; }
	uint32_t register_read(uint8_t, uint32_t, uint32_t value) override { return value << 1; }
	void reset(reset_cause) override { resets++; }

	machine host;
	std::unique_ptr<memory_bar> memory;
	std::unique_ptr<register_bar> registers, shared;
	msix_bar msix;
	pci_function function;
	std::array<unsigned int, 3> written{};
	unsigned int resets = 0;
};

/** What stands in the parts that only keep what is written. */
struct model {
	std::array<uint8_t, memory_facts.size> memory{};
	std::array<uint8_t, 16> plain{};

	model() { reset(); }
	void reset()
	{
		memory.fill(0);
		plain.fill(0xa5);
	}
	/** A byte of a region, if it is known; else nullptr. */
	uint8_t *find(uint32_t region, size_t offset)
	{
		if (region == memory_facts.index)
			return &memory[offset];
		return region == port_facts.index && offset < plain.size() ? &plain[offset]
									   : nullptr;
	}
};

enum step : uint8_t {
	read_region,
	write_region,
	raise,
	rewire,
	set_level,
	reset,
	renew,
	carry_over,
	call, /**< As the server does. */
	nb_steps,
};

/** BAR 3 is not there; 5 is the second half of 4. */
constexpr uint32_t no_region = 3;

struct range {
	uint32_t region, offset;
	size_t length;
};

/** One that is inside, as the server has checked. */
range
take_range(toy &dev, input &in)
{
	static constexpr uint32_t regions[] = {
		0, 1, 2, 4, RTE_VFIO_USER_REGION_CONFIG, RTE_VFIO_USER_REGION_ROM};
	rte_vfio_user_server_conf conf{};

	dev.function.describe(conf);
	uint32_t region = regions[in.u8() % std::size(regions)];
	if (region == RTE_VFIO_USER_REGION_ROM && conf.regions[region].size == 0)
		region = no_region;
	const uint64_t size =
		region == no_region ? 64 : std::max<uint64_t>(conf.regions[region].size, 64);
	const size_t length = 1 + in.u8() % 64;
	return {region, static_cast<uint32_t>(in.u16() % (size - length + 1)), length};
}

void
read(toy &dev, model &known, input &in)
{
	const range at = take_range(dev, in);
	std::array<std::byte, 64> data{};
	const auto to = std::span(data).first(at.length);

	const int error = dev.function.read(at.region, at.offset, to);
	MUST((error != 0) == (at.region == no_region));
	for (size_t i = 0; i < at.length; i++)
		if (const uint8_t *wanted = known.find(at.region, at.offset + i))
			MUST(std::to_integer<uint8_t>(to[i]) == *wanted);
	constexpr uint32_t cleared = 0x14;
	if (at.region != port_facts.index || at.offset > cleared ||
	    at.offset + at.length < cleared + sizeof(uint32_t))
		return;
	dev.function.read(at.region, cleared, to.first(sizeof(uint32_t)));
	MUST(std::ranges::count(to.first(sizeof(uint32_t)), std::byte{0}) == sizeof(uint32_t));
}

void
write(toy &dev, model &known, input &in)
{
	const range at = take_range(dev, in);
	std::array<uint8_t, 64> data{};
	const auto from = std::span(data).first(at.length);
	const unsigned int resets = dev.resets;
	const uint32_t id = dev.function.config().load(PCI_VENDOR_ID);

	in.fill(from);
	const int error = dev.function.write(at.region, at.offset, std::as_bytes(from));
	MUST((error != 0) == (at.region == no_region || at.region == RTE_VFIO_USER_REGION_ROM));
	for (size_t i = 0; i < at.length; i++)
		if (uint8_t *there = known.find(at.region, at.offset + i))
			*there = from[i];
	MUST(dev.function.config().load(PCI_VENDOR_ID) == id);
	/* Only Device Control asks for it. */
	MUST(dev.resets == resets || at.region == RTE_VFIO_USER_REGION_CONFIG);
	if (dev.resets != resets)
		known.reset();
}

/** What is saved can be loaded by another one, and is the same there. */
void
load_into_another(toy &dev, const option_rom *rom)
{
	const auto save = [](toy &of) {
		state_walk walk;
		of.function.each_state(walk);
		return walk.take();
	};
	const std::vector<std::byte> saved = save(dev);
	toy other(rom);
	state_walk walk(saved);

	other.function.each_state(walk);
	MUST(walk.good() && save(other) == saved);
}

/** A file with two images, in which some bytes are others. @return Whether it is taken. */
bool
take_rom(option_rom &rom, input &in)
{
	static constexpr uint8_t begin[] = {0x55, 0xaa};
	static constexpr uint8_t facts[] = {'P', 'C', 'I', 'R', 0xf4, 0x1a, 1, 0, 0, 0, 24, 0,
					    0,   0,   0,   0,   1,    0,    0, 0, 0, 0, 0,  0};
	static const guard::unique_fd file(::memfd_create("rom", MFD_CLOEXEC));
	constexpr size_t unit = 512, at_facts = 32;
	std::array<uint8_t, 2 * unit> image{};
	const uint8_t how = in.u8();
	char path[32];

	for (const size_t at : {size_t{0}, unit}) {
		std::ranges::copy(begin, &image[at]);
		image[at + 24] = at_facts;
		std::ranges::copy(facts, &image[at + at_facts]);
	}
	image[unit + at_facts + 21] = 0x80; /* the last one */
	for (unsigned int n = how % 8; n != 0; n--) {
		const size_t at = in.u16() % image.size();
		image[at] = in.u8();
	}
	const size_t length = how & 8 ? in.u16() % (image.size() + 1) : image.size();
	MUST(::ftruncate(file.get(), 0) == 0);
	MUST(::pwrite(file.get(), image.data(), length, 0) == static_cast<ssize_t>(length));
	std::snprintf(path, sizeof(path), "/proc/self/fd/%d", file.get());
	if (!rom.read_file(how & 16 ? "/dev/null" : path, 0x1af4, 1).empty())
		return false;
	MUST(rom.size() >= length && std::has_single_bit(rom.size()));
	return true;
}

/** What the server tells a device that takes no notice. */
void
tell(toy &dev, model &known, uint8_t what)
{
	rte_vfio_user_server_conf conf{};
	const rte_vfio_user_session session{};

	dev.function.describe(conf);
	switch (what % 7) {
	case 0:
		MUST(conf.ops->new_device(conf.ctx, &session) == 0);
		return;
	case 1:
		known.reset();
		return conf.ops->destroy_device(conf.ctx);
	case 2:
		return conf.ops->update_device(conf.ctx,
					       RTE_VFIO_USER_UPDATE_DMA | RTE_VFIO_USER_UPDATE_IRQ);
	case 3:
		return conf.ops->memory_removed(conf.ctx, 0, UINT64_MAX);
	case 4:
		return conf.ops->poll(conf.ctx);
	case 5:
		return conf.ops->work(conf.ctx);
	case 6:
		MUST(dev.registers->renew()); /* of what is not shared nothing */
		MUST(dev.shared->shared_memory().size() == other_facts.size);
		MUST(dev.registers->shared_memory().empty());
	}
}

void
play(toy &dev, const option_rom *rom, model &known, input &in)
{
	switch (in.u8() % nb_steps) {
	case read_region:
		return read(dev, known, in);
	case write_region:
		return write(dev, known, in);
	case raise:
		return dev.msix.raise(in.u8() % place.vectors);
	case rewire: {
		const uint8_t how = in.u8();
		dev.host.wired = how & 1;
		dev.host.gone_since = how & 2;
		dev.msix.rewired();
		return dev.function.interrupts_changed();
	}
	case set_level:
		return dev.function.intx().assert_level(in.u8() & 1);
	case reset:
		known.reset();
		return dev.function.reset(in.u8() & 1 ? reset_cause::message
						      : reset_cause::client_gone);
	case renew: {
		const uint8_t how = in.u8();
		if (how & 1)
			MUST(dev.shared->renew());
		if (how & 2)
			dev.shared->set_mapped(how & 4);
		if (how & 8) {
			MUST(dev.memory->memory().renew());
			known.memory.fill(0);
		}
		return;
	}
	case carry_over:
		return load_into_another(dev, rom);
	case call:
		return tell(dev, known, in.u8());
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input in(data, size);
	option_rom rom;
	const bool has_rom = in.u8() & 1 && take_rom(rom, in);
	toy dev(has_rom ? &rom : nullptr);
	model known;

	while (!in.empty())
		play(dev, has_rom ? &rom : nullptr, known, in);
	return 0;
}
