/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_layout.hpp"

#include <algorithm>

#include <linux/pci_regs.h>

namespace pci_device {

namespace {

constexpr uint32_t conventional_size = 256;
constexpr uint32_t express_size = 4096;
/** Of the PCI Express capability, version 2, with the slot registers that are not there. */
constexpr uint16_t express_capability_size = 0x3c;
constexpr uint16_t extended_start = 0x100;
/** Where the vendor-specific capability has its length, and then its bytes. */
constexpr uint16_t vendor_length = 2;
constexpr uint16_t vendor_body = 3;

/** Writable bits of Device Control: all but bit 15, which starts a reset and reads as 0. */
constexpr uint32_t device_control_writable = 0x7fff;

constexpr uint32_t
low_bits(uint8_t width)
{
	return width >= 4 ? UINT32_MAX : (1u << 8 * width) - 1;
}

uint32_t
type_bits(const bar_facts &bar)
{
	uint32_t bits = bar.prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0u;

	switch (bar.type) {
	case bar_type::memory_32:
		return bits | PCI_BASE_ADDRESS_MEM_TYPE_32;
	case bar_type::memory_64:
		return bits | PCI_BASE_ADDRESS_MEM_TYPE_64;
	case bar_type::io:
		break;
	}
	return PCI_BASE_ADDRESS_SPACE_IO;
}

bool
has_valid_place(const bar_facts &bar)
{
	uint32_t smallest = bar.type == bar_type::io ? 4 : 16;
	uint32_t last = bar.type == bar_type::memory_64 ? 4 : 5;

	return bar.size >= smallest && (bar.size & (bar.size - 1)) == 0 && bar.index <= last;
}

} // namespace

capability
power_management()
{
	constexpr uint32_t version_3 = 3;

	return {PCI_CAP_ID_PM,
		PCI_PM_SIZEOF,
		{{"Power Management Capabilities", PCI_PM_PMC, 2, version_3},
		 {"Power Management Control", PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET,
		  PCI_PM_CTRL_STATE_MASK}}};
}

capability
msix_capability(const msix_place &place)
{
	return {PCI_CAP_ID_MSIX,
		PCI_CAP_MSIX_SIZEOF,
		{{"MSI-X Message Control", PCI_MSIX_FLAGS, 2, place.vectors - 1u,
		  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL},
		 {"MSI-X Table", PCI_MSIX_TABLE, 4, place.table_offset | place.bar},
		 {"MSI-X PBA", PCI_MSIX_PBA, 4, place.pba_offset | place.bar}}};
}

capability
express_capability(const express_facts &facts)
{
	bool flr = (facts.device_capabilities & PCI_EXP_DEVCAP_FLR) != 0;
	constexpr uint32_t version_2_endpoint = 2;

	return {PCI_CAP_ID_EXP,
		express_capability_size,
		{{"PCI Express Capabilities", PCI_EXP_FLAGS, 2, version_2_endpoint},
		 {"Device Capabilities", PCI_EXP_DEVCAP, 4, facts.device_capabilities},
		 {.name = "Device Control",
		  .offset = PCI_EXP_DEVCTL,
		  .width = 2,
		  .value = facts.device_control,
		  .writable = device_control_writable,
		  .event_bits = flr ? uint32_t{PCI_EXP_DEVCTL_BCR_FLR} : 0u,
		  .event = initiate_flr},
		 {"Link Capabilities", PCI_EXP_LNKCAP, 4, facts.link_capabilities},
		 {"Link Control", PCI_EXP_LNKCTL, 2, 0, facts.link_control_writable},
		 {"Link Status", PCI_EXP_LNKSTA, 2, facts.link_status},
		 {"Device Capabilities 2", PCI_EXP_DEVCAP2, 4, facts.device_capabilities_2},
		 {"Device Control 2", PCI_EXP_DEVCTL2, 2, 0, facts.device_control_2_writable},
		 {"Link Capabilities 2", PCI_EXP_LNKCAP2, 4, facts.link_capabilities_2}}};
}

capability
vendor_capability(std::span<const uint8_t> body)
{
	uint16_t size = static_cast<uint16_t>(vendor_body + body.size());
	capability out{PCI_CAP_ID_VNDR, size, {{"Length", vendor_length, 1, size}}};

	for (uint8_t byte : body) {
		uint16_t at = static_cast<uint16_t>(out.rows.back().end());

		out.rows.push_back({"Vendor", at, 1, byte});
	}
	return out;
}

capability
error_capability(const error_facts &facts)
{
	constexpr uint16_t size = 0x2c;

	return {PCI_EXT_CAP_ID_ERR,
		size,
		{{"Uncorrectable Error Mask", PCI_ERR_UNCOR_MASK, 4, 0,
		  facts.uncorrectable_writable},
		 {"Uncorrectable Error Severity", PCI_ERR_UNCOR_SEVER, 4,
		  facts.uncorrectable_severity, facts.uncorrectable_writable},
		 {"Correctable Error Mask", PCI_ERR_COR_MASK, 4, facts.correctable_mask,
		  facts.correctable_writable},
		 {"AER Control", PCI_ERR_CAP, 4, facts.control, facts.control_writable}},
		2};
}

config_layout::config_layout(const identity &who)
    : size_(conventional_size), free_(PCI_STD_HEADER_SIZEOF), free_extended_(extended_start)
{
	put({"Vendor ID", PCI_VENDOR_ID, 2, who.vendor});
	put({"Device ID", PCI_DEVICE_ID, 2, who.device});
	put({.name = "Command",
	     .offset = PCI_COMMAND,
	     .width = 2,
	     .writable = who.command_writable,
	     .any_write_event = command_written});
	put({"Status", PCI_STATUS, 2});
	put({"Revision ID", PCI_REVISION_ID, 1, who.revision});
	put({"Class Code", PCI_CLASS_PROG, 2, who.class_code & 0xffff});
	put({"Base Class", PCI_CLASS_DEVICE + 1, 1, who.class_code >> 16});
	put({"Cache Line Size", PCI_CACHE_LINE_SIZE, 1, 0, 0xff});
	put({"Subsystem Vendor ID", PCI_SUBSYSTEM_VENDOR_ID, 2, who.subsystem_vendor});
	put({"Subsystem ID", PCI_SUBSYSTEM_ID, 2, who.subsystem});
	put({"Capabilities Pointer", PCI_CAPABILITY_LIST, 1});
	put({"Interrupt Line", PCI_INTERRUPT_LINE, 1, 0, 0xff});
	put({"Interrupt Pin", PCI_INTERRUPT_PIN, 1, who.intx ? 1u : 0u});
}

config_layout &
config_layout::add(const bar_facts &bar)
{
	uint16_t at = static_cast<uint16_t>(PCI_BASE_ADDRESS_0 + 4 * bar.index);

	misplaced_ |= !has_valid_place(bar);
	put({"BAR", at, 4, type_bits(bar), ~(bar.size - 1)});
	if (bar.type == bar_type::memory_64)
		put({"BAR high", static_cast<uint16_t>(at + 4), 4, 0, UINT32_MAX});
	return *this;
}

config_layout &
config_layout::add_rom(uint32_t size)
{
	put({"Expansion ROM", PCI_ROM_ADDRESS, 4, 0, ~(size - 1) | PCI_ROM_ADDRESS_ENABLE});
	return *this;
}

config_layout &
config_layout::add(const capability &what, uint16_t at)
{
	uint32_t &free = what.version != 0 ? free_extended_ : free_;

	if (at == 0)
		at = static_cast<uint16_t>(free);
	misplaced_ |= at % 4 != 0 || at < free;
	if (what.id == PCI_CAP_ID_EXP && what.version == 0)
		size_ = express_size;
	link(what, at);
	for (config_row row : what.rows) {
		row.offset = static_cast<uint16_t>(at + row.offset);
		put(row);
	}
	/* Only upwards, so that the free place is behind all of them. */
	free = (at + what.size + 3u) & ~3u;
	misplaced_ |= free > (what.version != 0 ? size_ : conventional_size);
	return *this;
}

/** Writes the header, and into the one before where this one is. */
void
config_layout::link(const capability &what, uint16_t at)
{
	bool extended = what.version != 0;
	auto last = std::ranges::find(capabilities_.rbegin(), capabilities_.rend(), extended,
				      &placed::extended);

	if (extended) {
		misplaced_ |= last == capabilities_.rend() && at != extended_start;
		put({"Extended Capability", at, 4,
		     what.id | uint32_t{what.version} << 16}); /* the next one: bits 20 to 31 */
		if (last != capabilities_.rend())
			row_at(last->at)->value |= uint32_t{at} << 20;
	} else {
		put({"Capability", at, 1, what.id});
		put({"Next Capability", static_cast<uint16_t>(at + PCI_CAP_LIST_NEXT), 1});
		uint16_t pointer = last == capabilities_.rend()
					   ? uint16_t{PCI_CAPABILITY_LIST}
					   : static_cast<uint16_t>(last->at + PCI_CAP_LIST_NEXT);
		row_at(pointer)->value = at;
		row_at(PCI_STATUS)->value |= PCI_STATUS_CAP_LIST;
	}
	capabilities_.push_back({what.id, at, extended});
}

config_row *
config_layout::row_at(uint16_t offset)
{
	return &*std::ranges::find(rows_, offset, &config_row::offset);
}

void
config_layout::put(const config_row &row)
{
	rows_.insert(std::ranges::upper_bound(rows_, row.offset, {}, &config_row::offset), row);
	misplaced_ |= (row.value & ~low_bits(row.width)) != 0;
}

bool
config_layout::valid() const
{
	uint32_t end = 0;

	for (const config_row &row : rows_) {
		if (row.offset < end)
			return false;
		end = row.end();
	}
	return !misplaced_ && end <= size_;
}

uint16_t
config_layout::find(uint16_t id, bool extended) const
{
	for (const placed &each : capabilities_)
		if (each.id == id && each.extended == extended)
			return each.at;
	return 0;
}

} // namespace pci_device
