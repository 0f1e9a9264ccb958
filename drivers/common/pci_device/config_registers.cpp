/* SPDX-License-Identifier: BSD-3-Clause */
#include "config_registers.hpp"

#include <algorithm>
#include <cstring>

namespace pci_device {

namespace {

void
put(uint8_t *at, uint8_t width, uint32_t value)
{
	std::memcpy(at, &value, width); /* little-endian, as the machines that DPDK runs on */
}

} // namespace

config_registers::config_registers(config_layout layout) : layout_(std::move(layout))
{
	for (const config_row &row : layout_.rows()) {
		put(&writable_[row.offset], row.width, row.writable);
		put(&cleared_by_one_[row.offset], row.width, row.cleared_by_one);
	}
	reset();
}

void
config_registers::reset()
{
	for (const config_row &row : layout_.rows())
		put(&bytes_[row.offset], row.width, row.value);
}

void
config_registers::read(uint32_t offset, guard::mutable_bytes to) const
{
	std::memcpy(to.data(), &bytes_[offset], to.size());
}

config_events
config_registers::write(uint32_t offset, guard::bytes from)
{
	for (size_t i = 0; i < from.size(); i++) {
		auto value = std::to_integer<uint8_t>(from[i]);
		uint8_t mask = writable_[offset + i];
		uint8_t &byte = bytes_[offset + i];

		byte = static_cast<uint8_t>((byte & ~mask) | (value & mask));
		byte = static_cast<uint8_t>(byte & ~(value & cleared_by_one_[offset + i]));
	}
	return events_of(offset, from);
}

/** What of the rows that were written is an event; a part of a row may be. */
config_events
config_registers::events_of(uint32_t offset, guard::bytes from) const
{
	config_events events = 0;

	for (const config_row &row : layout_.rows()) {
		for (uint32_t at = std::max<uint32_t>(row.offset, offset);
		     at < std::min<uint64_t>(row.end(), offset + from.size()); at++) {
			auto value = std::to_integer<uint32_t>(from[at - offset]);

			events |= row.any_write_event;
			if ((row.event_bits & value << 8 * (at - row.offset)) != 0)
				events |= row.event;
		}
	}
	return events;
}

void
config_registers::each_state(state_walk &walk)
{
	space fixed = bytes_;

	walk(bytes_);
	for (size_t i = 0; i < bytes_.size(); i++) {
		auto changes = static_cast<uint8_t>(writable_[i] | cleared_by_one_[i]);
		bytes_[i] = static_cast<uint8_t>((bytes_[i] & changes) | (fixed[i] & ~changes));
	}
}

uint16_t
config_registers::load(uint16_t offset) const
{
	uint16_t value;

	std::memcpy(&value, &bytes_[offset], sizeof(value));
	return value;
}

void
config_registers::assign(uint16_t offset, uint16_t bits, bool set)
{
	uint16_t value = load(offset);

	put(&bytes_[offset], 2, set ? value | bits : value & ~bits);
}

} // namespace pci_device
