/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>

#include <bytes.hpp>

#include "config_layout.hpp"
#include "state_walk.hpp"

namespace pci_device {

/**
 * The configuration space while the function lives: bytes, and for each bit what a write does.
 *
 * Deviations: values written to BARs have no effect here, nor do those of the command register but
 * for INTx. The client decides where BARs are, and DMA is limited by the DMA table, not by bus
 * mastering.
 */
class config_registers {
public:
	explicit config_registers(config_layout layout);

	const config_layout &layout() const { return layout_; }
	/** The range is inside the space. */
	void read(uint32_t offset, guard::mutable_bytes to) const;
	/** @return What the write asks for. */
	config_events write(uint32_t offset, guard::bytes from);
	void reset();

	/** 16 bits, such as the command register. */
	uint16_t load(uint16_t offset) const;
	/** Sets or clears bits that the device decides on, such as those of the status register. */
	void assign(uint16_t offset, uint16_t bits, bool set);
	/** Bits that no driver can write are as the layout has them, whatever is loaded. */
	void each_state(state_walk &walk);

private:
	static constexpr size_t max_size = 4096;

	using space = std::array<uint8_t, max_size>;

	config_events events_of(uint32_t offset, guard::bytes from) const;

	config_layout layout_;
	space bytes_{}; /* all that changes */
	space writable_{}, cleared_by_one_{};
};

} // namespace pci_device
