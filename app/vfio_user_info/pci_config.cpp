/* SPDX-License-Identifier: BSD-3-Clause */
#include "pci_config.hpp"

#include <bit>
#include <optional>

namespace vfio_user_info::pci {

namespace {

struct value_name {
	uint32_t value;
	const char *name;
};

/** A field: where it stands in the header or from the start of its capability. */
struct field_row {
	const char *key;
	const char *title;
	uint16_t offset;
	uint8_t width; /* bytes that are read, little endian */
	uint32_t mask;
	format shown;
	uint32_t (*value)(uint32_t word, uint32_t mask);
	std::span<const value_name> names = {};
};

/* What a field's value is, from its word. */
constexpr uint32_t
plain(uint32_t word, uint32_t mask)
{
	return (word & mask) >> std::countr_zero(mask);
}

constexpr uint32_t
in_place(uint32_t word, uint32_t mask)
{
	return word & mask;
}

constexpr uint32_t
plus_one(uint32_t word, uint32_t mask)
{
	return plain(word, mask) + 1;
}

constexpr uint32_t
power_of_two(uint32_t word, uint32_t mask)
{
	return 1u << plain(word, mask);
}

constexpr uint32_t
payload_bytes(uint32_t word, uint32_t mask)
{
	return 128u << plain(word, mask);
}

/* PCI Code and ID Assignment Specification, class codes; the base class alone. */
constexpr value_name class_names[] = {
	{0x00, "unclassified"}, {0x01, "mass storage"},    {0x02, "network"},
	{0x03, "display"},      {0x04, "multimedia"},      {0x05, "memory"},
	{0x06, "bridge"},       {0x07, "communication"},   {0x08, "system peripheral"},
	{0x09, "input"},        {0x0a, "docking station"}, {0x0b, "processor"},
	{0x0c, "serial bus"},   {0x0d, "wireless"},        {0x0e, "intelligent I/O"},
	{0x0f, "satellite"},    {0x10, "encryption"},      {0x11, "signal processing"},
	{0x12, "accelerator"},  {0x13, "instrumentation"}, {0xff, "unassigned"},
};

/* PCI Express Capabilities Register, Device/Port Type. */
constexpr value_name port_types[] = {
	{0, "endpoint"},
	{1, "legacy endpoint"},
	{4, "root port"},
	{5, "upstream port"},
	{6, "downstream port"},
	{7, "PCIe to PCI bridge"},
	{8, "PCI to PCIe bridge"},
	{9, "root complex endpoint"},
	{10, "root complex event collector"},
};

constexpr field_row header_rows[] = {
	{"vendor_id", "vendor", 0x00, 2, 0xffff, format::hex, plain},
	{"device_id", "device", 0x02, 2, 0xffff, format::hex, plain},
	{"subsystem_vendor_id", "subsystem vendor", 0x2c, 2, 0xffff, format::hex, plain},
	{"subsystem_id", "subsystem", 0x2e, 2, 0xffff, format::hex, plain},
	{"base_class", "class", 0x0b, 1, 0xff, format::hex, plain, class_names},
	{"sub_class", "sub-class", 0x0a, 1, 0xff, format::hex, plain},
	{"prog_if", "programming interface", 0x09, 1, 0xff, format::hex, plain},
	{"revision", "revision", 0x08, 1, 0xff, format::hex, plain},
	{"command", "command", 0x04, 2, 0xffff, format::hex, plain},
	{"status", "status", 0x06, 2, 0xffff, format::hex, plain},
	{"header_type", "header type", 0x0e, 1, 0x7f, format::hex, plain},
	{"interrupt_pin", "interrupt pin", 0x3d, 1, 0xff, format::number, plain},
};

constexpr field_row power_rows[] = {
	{"version", "version", 2, 2, 0x7, format::number, plain},
	{"state", "power state", 4, 2, 0x3, format::number, plain},
};

constexpr field_row msi_rows[] = {
	{"enabled", "enabled", 2, 2, 1u << 0, format::flag, plain},
	{"vectors", "vectors", 2, 2, 0x7 << 1, format::number, power_of_two},
	{"address_64", "64-bit address", 2, 2, 1u << 7, format::flag, plain},
	{"maskable", "maskable", 2, 2, 1u << 8, format::flag, plain},
};

constexpr field_row express_rows[] = {
	{"version", "version", 2, 2, 0xf, format::number, plain},
	{"port_type", "type", 2, 2, 0xf0, format::number, plain, port_types},
	{"max_payload", "largest payload", 4, 4, 0x7, format::number, payload_bytes},
	{"flr", "function level reset", 4, 4, 1u << 28, format::flag, plain},
};

constexpr field_row msix_rows[] = {
	{"enabled", "enabled", 2, 2, 1u << 15, format::flag, plain},
	{"masked", "all masked", 2, 2, 1u << 14, format::flag, plain},
	{"vectors", "vectors", 2, 2, 0x7ff, format::number, plus_one},
	{"table_bar", "table in BAR", 4, 4, 0x7, format::number, plain},
	{"table_offset", "at", 4, 4, ~0x7u, format::hex, in_place},
	{"pba_bar", "pending bits in BAR", 8, 4, 0x7, format::number, plain},
	{"pba_offset", "at", 8, 4, ~0x7u, format::hex, in_place},
};

struct capability_row {
	uint16_t id;
	const char *name;
	std::span<const field_row> fields = {};
};

/* PCI Code and ID Assignment Specification, capability IDs. */
constexpr capability_row capability_rows[] = {
	{0x01, "power management", power_rows},
	{0x03, "vital product data"},
	{0x05, "MSI", msi_rows},
	{0x09, "vendor specific"},
	{0x0d, "subsystem"},
	{0x10, "PCI Express", express_rows},
	{0x11, "MSI-X", msix_rows},
	{0x13, "advanced features"},
};

constexpr capability_row extended_rows[] = {
	{0x0001, "advanced error reporting"},
	{0x0002, "virtual channel"},
	{0x0003, "device serial number"},
	{0x0004, "power budgeting"},
	{0x000b, "vendor specific"},
	{0x000d, "access control services"},
	{0x000e, "alternative routing ID"},
	{0x000f, "address translation services"},
	{0x0010, "SR-IOV"},
	{0x0013, "page request"},
	{0x0015, "resizable BAR"},
	{0x0017, "TPH requester"},
	{0x0018, "latency tolerance reporting"},
	{0x0019, "secondary PCI Express"},
	{0x001b, "PASID"},
	{0x0023, "designated vendor specific"},
};

constexpr uint32_t status_offset = 0x06, status_has_capabilities = 1u << 4;
constexpr uint32_t header_type_offset = 0x0e;
constexpr uint32_t bar_offset = 0x10, nb_bars = 6;
constexpr uint32_t capability_pointer = 0x34, first_capability = 0x40;
constexpr uint32_t first_extended = 0x100, config_end = 0x1000;

/* A little-endian number of 1, 2 or 4 bytes. */
std::optional<uint32_t>
read(guard::bytes config, uint32_t offset, uint32_t width)
{
	if (!guard::contains(0, config.size(), offset, width))
		return {};
	uint32_t value = 0;
	for (uint32_t i = 0; i < width; i++)
		value |= static_cast<uint32_t>(config[offset + i]) << 8 * i;
	return value;
}

const char *
meaning_of(std::span<const value_name> names, uint32_t value)
{
	for (const value_name &n : names)
		if (n.value == value)
			return n.name;
	return nullptr;
}

std::vector<decoded_field>
decode_fields(guard::bytes config, uint32_t base, std::span<const field_row> rows)
{
	std::vector<decoded_field> out;
	for (const field_row &row : rows) {
		auto word = read(config, base + row.offset, row.width);
		if (!word)
			continue;
		uint32_t value = row.value(*word, row.mask);
		out.push_back({.key = row.key,
			       .title = row.title,
			       .shown = row.shown,
			       .digits = row.width * 2u,
			       .value = value,
			       .meaning = meaning_of(row.names, value)});
	}
	return out;
}

/* PCI Local Bus Specification 3.0, 6.2.5.1. Bridges have headers of type 1, with fewer BARs. */
std::vector<decoded_bar>
decode_bars(guard::bytes config)
{
	constexpr uint32_t io = 1, type = 3 << 1, type_64_bit = 2 << 1, prefetchable = 1 << 3;
	std::vector<decoded_bar> out;

	if ((read(config, header_type_offset, 1).value_or(0x7f) & 0x7f) != 0)
		return out;
	for (uint32_t i = 0; i < nb_bars; i++) {
		auto low = read(config, bar_offset + 4 * i, 4);
		if (!low)
			break;
		bool is_io = (*low & io) != 0, wide = !is_io && (*low & type) == type_64_bit;
		decoded_bar bar = {.index = i,
				   .io = is_io,
				   .wide = wide,
				   .prefetchable = !is_io && (*low & prefetchable) != 0,
				   .address = is_io ? *low & ~0x3u : *low & ~0xfu};
		if (wide)
			bar.address |= uint64_t{read(config, bar_offset + 4 * ++i, 4).value_or(0)}
				       << 32;
		out.push_back(bar);
	}
	return out;
}

decoded_capability
decode_capability(guard::bytes config, uint32_t offset, uint16_t id,
		  std::span<const capability_row> rows)
{
	decoded_capability out = {.offset = offset,
				  .id = id,
				  .version = 0,
				  .extended = false,
				  .name = "?",
				  .fields = {}};
	for (const capability_row &row : rows) {
		if (row.id != id)
			continue;
		out.name = row.name;
		out.fields = decode_fields(config, offset, row.fields);
	}
	return out;
}

/* Where a list has been, so that one that loops comes to an end. */
class visited_offsets {
public:
	bool first_visit(uint32_t offset)
	{
		bool seen = seen_[offset / 4];
		seen_[offset / 4] = true;
		return !seen;
	}

private:
	std::vector<bool> seen_ = std::vector<bool>(config_end / 4);
};

void
decode_capabilities(guard::bytes config, std::vector<decoded_capability> &out)
{
	visited_offsets visited;

	if ((read(config, status_offset, 2).value_or(0) & status_has_capabilities) == 0)
		return;
	uint32_t offset = read(config, capability_pointer, 1).value_or(0) & ~0x3u;
	while (offset >= first_capability && visited.first_visit(offset)) {
		auto head = read(config, offset, 2);
		if (!head)
			return;
		out.push_back(decode_capability(config, offset, *head & 0xff, capability_rows));
		offset = *head >> 8 & ~0x3u;
	}
}

/* PCI Express Base Specification, 7.6.3: no list at all is one entry of zeroes. */
void
decode_extended(guard::bytes config, std::vector<decoded_capability> &out)
{
	visited_offsets visited;

	for (uint32_t offset = first_extended;
	     offset >= first_extended && visited.first_visit(offset);) {
		auto head = read(config, offset, 4);
		if (!head || *head == 0 || *head == UINT32_MAX)
			return;
		out.push_back(decode_capability(config, offset, *head & 0xffff, extended_rows));
		out.back().extended = true;
		out.back().version = *head >> 16 & 0xf;
		offset = *head >> 20 & ~0x3u;
	}
}

} // namespace

decoded_config
decode(guard::bytes config)
{
	decoded_config out;
	out.header = decode_fields(config, 0, header_rows);
	out.bars = decode_bars(config);
	decode_capabilities(config, out.capabilities);
	decode_extended(config, out.capabilities);
	return out;
}

} // namespace vfio_user_info::pci
