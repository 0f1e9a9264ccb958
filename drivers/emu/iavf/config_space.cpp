/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_space.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <registers.hpp>

namespace iavf {

namespace {

/** A field of the space: little-endian, @p width bytes. */
struct row {
	std::string_view name;
	uint16_t offset;
	uint8_t width;
	uint32_t value;
	uint32_t writable = 0;
};

/* Where an Intel VF has its capabilities. */
constexpr uint16_t msix = 0x70;
constexpr uint16_t pcie = 0xa0;
constexpr uint16_t aer = 0x100;
constexpr uint16_t msix_control = msix + 2;
constexpr uint16_t device_control = pcie + 8;
/** Device Control bit 15, "Initiate Function Level Reset", in its high byte. */
constexpr uint8_t initiate_flr = 0x80;

/* PCI Express Base Specification 5.0, chapter 7; values as an Intel 700 series VF has them. */
constexpr row rows[] = {
	{"Vendor ID", 0x00, 2, pci_vendor_intel},
	{"Device ID", 0x02, 2, pci_device_adaptive_vf},
	{"Command", 0x04, 2, 0, 0x0406}, /* memory, bus master, INTx disable */
	{"Status", 0x06, 2, 0x0010},     /* capability list */
	{"Revision ID", 0x08, 1, 0x01},
	{"Class Code", 0x09, 2, 0x0000},
	{"Base Class", 0x0b, 1, 0x02}, /* network, Ethernet */
	{"Cache Line Size", 0x0c, 1, 0, 0xff},
	{"BAR0", 0x10, 4, 0x0000000c, ~(bar0_size - 1)}, /* 64 bits, prefetchable */
	{"BAR0 high", 0x14, 4, 0, 0xffffffff},
	{"BAR3", 0x1c, 4, 0x0000000c, ~(bar3_size - 1)},
	{"BAR3 high", 0x20, 4, 0, 0xffffffff},
	{"Subsystem Vendor ID", 0x2c, 2, pci_vendor_intel},
	{"Subsystem ID", 0x2e, 2, 0},
	{"Capabilities Pointer", 0x34, 1, msix},
	{"Interrupt Line", 0x3c, 1, 0, 0xff},

	{"MSI-X", msix, 2, 0x0011 | pcie << 8},
	{"MSI-X Message Control", msix_control, 2, 0, 0xc000}, /* size: see reset() */
	{"MSI-X Table", msix + 4, 4, 0x3},                     /* BAR3, offset 0 */
	{"MSI-X PBA", msix + 8, 4, msix_pba_offset | 0x3},

	{"PCI Express", pcie, 2, 0x0010},
	{"PCI Express Capabilities", pcie + 2, 2, 0x0002}, /* version 2, endpoint */
	/* Payload 2048, L0s < 512 ns, L1 < 64 us, extended tags, role-based errors, FLR. */
	{"Device Capabilities", pcie + 4, 4, 0x10008ce4},
	{"Device Control", device_control, 2, 0x2810, 0x7fff},
	{"Link Capabilities", pcie + 0x0c, 4, 0x00400083}, /* 8 GT/s, x8 */
	{"Link Control", pcie + 0x10, 2, 0, 0x01c3},
	{"Link Status", pcie + 0x12, 2, 0x0083},
	{"Device Capabilities 2", pcie + 0x24, 4, 0x0000001f}, /* completion time-outs */
	{"Device Control 2", pcie + 0x28, 2, 0, 0x001f},
	{"Link Capabilities 2", pcie + 0x2c, 4, 0x0000000e},

	{"Advanced Error Reporting", aer, 4, 0x00020001}, /* version 2, the last one */
	{"Uncorrectable Error Mask", aer + 8, 4, 0, 0x0ff7f030},
	{"Uncorrectable Error Severity", aer + 0x0c, 4, 0x00062030, 0x0ff7f030},
	{"Correctable Error Mask", aer + 0x14, 4, 0x00002000, 0x0000f1c1},
	{"AER Control", aer + 0x18, 4, 0x000000a0, 0x00000140},
};

constexpr bool
rows_are_sorted_without_overlap()
{
	for (size_t i = 1; i < std::size(rows); i++)
		if (rows[i].offset < rows[i - 1].offset + rows[i - 1].width)
			return false;
	return true;
}
static_assert(rows_are_sorted_without_overlap());

void
put(uint8_t *at, uint8_t width, uint32_t value)
{
	std::memcpy(at, &value, width);
}

} // namespace

config_space::config_space(uint16_t vectors) : vectors_(vectors)
{
	for (const row &r : rows)
		put(&writable_[r.offset], r.width, r.writable);
	reset();
}

void
config_space::reset()
{
	for (const row &r : rows)
		put(&bytes_[r.offset], r.width, r.value);
	put(&bytes_[msix_control], 2, vectors_ - 1u);
}

void
config_space::read(uint32_t offset, guard::mutable_bytes to) const
{
	std::memcpy(to.data(), &bytes_[offset], to.size());
}

bool
config_space::write(uint32_t offset, guard::bytes from)
{
	bool flr = false;

	for (std::byte each : from) {
		auto value = std::to_integer<uint8_t>(each);
		uint8_t &byte = bytes_[offset];
		uint8_t mask = writable_[offset];

		flr |= offset == device_control + 1 && (value & initiate_flr) != 0;
		byte = static_cast<uint8_t>((byte & ~mask) | (value & mask));
		offset++;
	}
	return flr;
}

void
msix_table::read(uint32_t offset, guard::mutable_bytes to) const
{
	std::memcpy(to.data(), &bytes_[offset], to.size());
}

void
msix_table::write(uint32_t offset, guard::bytes from)
{
	uint32_t end = vectors_ * entry_size;

	if (offset < end)
		std::memcpy(&bytes_[offset], from.data(),
			    std::min<size_t>(from.size(), end - offset));
}

void
msix_table::reset()
{
	bytes_.fill(0);
	for (uint16_t vector = 0; vector < vectors_; vector++)
		bytes_[vector * entry_size + 12] = 1; /* Vector Control: masked */
}

} // namespace iavf
