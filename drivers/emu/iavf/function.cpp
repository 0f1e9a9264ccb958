/* SPDX-License-Identifier: BSD-3-Clause */
#include "function.hpp"

#include <algorithm>

#include <linux/pci_regs.h>

namespace iavf {

namespace {

using pci_device::access;
using pci_device::bar_facts;
using pci_device::bar_type;
using pci_device::msix_place;
using pci_device::register_row;

constexpr bar_facts bar0{0, bar_type::memory_64, true, bar0_size};
constexpr bar_facts bar3{3, bar_type::memory_64, true, 16 * 1024};
/** The MSI-X pending bits stand half way into BAR3, as in hardware. */
constexpr uint32_t msix_pba_offset = 8 * 1024;
/** The packet path's registers. One area: some clients take one descriptor for each area. */
constexpr rte_vfio_user_area shared_area{0, shared_size};

/* Where an Intel VF has its capabilities. */
constexpr uint16_t msix_at = 0x70;
constexpr uint16_t express_at = 0xa0;
constexpr uint16_t errors_at = 0x100;

/* Values as an Intel 700 series VF has them. */
constexpr pci_device::identity who{
	.vendor = pci_vendor_intel,
	.device = pci_device_adaptive_vf,
	.class_code = 0x020000, /* network, Ethernet */
	.revision = 0x01,
	.subsystem_vendor = pci_vendor_intel,
	.subsystem = 0,
	.command_writable = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE,
};

constexpr pci_device::express_facts express{
	/* Payload 2048, L0s < 512 ns, L1 < 64 us, extended tags, role-based errors, FLR. */
	.device_capabilities = 0x10008ce4,
	.device_control = 0x2810,
	.link_capabilities = 0x00400083, /* 8 GT/s, x8 */
	.link_status = 0x0083,
	.link_control_writable = 0x01c3,
	.device_capabilities_2 = 0x0000001f, /* completion time-outs */
	.device_control_2_writable = 0x001f,
	.link_capabilities_2 = 0x0000000e,
};

constexpr pci_device::error_facts errors{
	.uncorrectable_writable = 0x0ff7f030,
	.uncorrectable_severity = 0x00062030,
	.correctable_writable = 0x0000f1c1,
	.correctable_mask = 0x00002000,
	.control = 0x000000a0,
	.control_writable = 0x00000140,
};

/** What is more to a register than common/iavf says. */
struct detail {
	uint32_t offset;
	uint8_t effect;
	uint32_t reset = 0;
};

constexpr detail details[] = {
	{reg::vfint_icr01, cause_read},
	{reg::vfint_icr0_ena1, interrupt_control_written},
	{reg::vfint_dyn_ctl01, interrupt_control_written},
	{reg::vf_arqt1, arq_tail_written},
	{reg::vf_arqlen1, arq_len_written},
	{reg::vf_atqt1, atq_tail_written},
	{reg::vfgen_rstat, pci_device::no_effect, rstat::vf_active}, /* the function is ready */
};

consteval access
access_of(enum reg::access way)
{
	switch (way) {
	case reg::access::read_write:
		return access::read_write;
	case reg::access::read_clear:
		return access::read_clear;
	case reg::access::read_only:
		break;
	}
	return access::read_only;
}

consteval auto
make_rows()
{
	std::array<register_row, reg::rows.size()> out{};

	for (size_t i = 0; i < out.size(); i++) {
		const reg::row &row = reg::rows[i];

		out[i] = {row.name, row.offset, row.count, access_of(row.access)};
		for (const detail &more : details) {
			if (more.offset != row.offset)
				continue;
			out[i].effect = more.effect;
			out[i].reset = more.reset;
		}
	}
	return out;
}

constexpr auto rows = make_rows();
static_assert(pci_device::are_valid(rows, bar0_size));

pci_device::config_layout
layout(const msix_place &place)
{
	pci_device::config_layout out(who);

	out.add(msix_capability(place), msix_at);
	out.add(express_capability(express), express_at);
	out.add(error_capability(errors), errors_at);
	return out;
}

/**
 * Registers that a reset of the function leaves alone. Linux finds completed commands by the head,
 * and reads the event that announced a reset after it; both heads are written again before the
 * queues are used. Linux also writes the ring registers anew, so keeping them costs nothing.
 */
constexpr bool
survives_reset_by_driver(uint32_t offset)
{
	return offset == reg::vf_atqh1 || offset == reg::vf_arqh1 || offset == reg::vf_atqt1 ||
	       offset == reg::vf_arqt1;
}

} // namespace

guard::result<std::unique_ptr<function>>
function::make(const char *name, uint16_t nb_vectors, const pci_device::option_rom &rom,
	       pci_device::device_behaviour &device, pci_device::bus &machine)
{
	auto memory = std::make_unique<pci_device::bar_memory>(
		TRY(pci_device::bar_memory::make(name, bar0_size)));

	return std::unique_ptr<function>(
		new function(std::move(memory), nb_vectors, rom, device, machine));
}

function::function(std::unique_ptr<pci_device::bar_memory> memory, uint16_t nb_vectors,
		   const pci_device::option_rom &rom, pci_device::device_behaviour &device,
		   pci_device::bus &machine)
    : device_(device), registers_({.name = "",
				   .bar = bar0,
				   .rows = rows,
				   .shared = {&shared_area, 1},
				   .whole_on_request = true},
				  *this, std::move(memory)),
      msix_(bar3, {nb_vectors, bar3.index, 0, msix_pba_offset}, machine),
      signals_(registers_, machine),
      pci_(layout(msix_.place()), std::array<pci_device::bar *, 2>{&registers_, &msix_}, nb_vectors,
	   device, machine, &rom)
{
}

void
function::reset_by_driver()
{
	signals_.reset();
	/* Linux waits for "active", not "completed", before it talks to us again. */
	registers_.reset_but(survives_reset_by_driver);
}

void
function::register_written(uint8_t effect, uint32_t index)
{
	if (effect == interrupt_control_written)
		signals_.evaluate();
	else
		device_.register_written(effect, index);
}

/** VFINT_ICR01, the only one that a read clears. */
uint32_t
function::register_read(uint8_t, uint32_t, uint32_t cause)
{
	return cause == 0 ? 0 : cause | icr0::intevent::mask;
}

} // namespace iavf
