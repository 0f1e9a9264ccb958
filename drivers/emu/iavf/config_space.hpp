/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>

#include <bytes.hpp>

namespace iavf {

constexpr uint32_t config_size = 4096;
constexpr uint32_t bar3_size = 16 * 1024;
/** The MSI-X pending bits stand half way into BAR3, as in hardware. */
constexpr uint32_t msix_pba_offset = 8 * 1024;

/**
 * PCI configuration space of the function: bytes and, for each bit, whether the guest may write it.
 *
 * Masks make BAR sizing come by itself: address bits below a BAR's size cannot be written.
 * Deviations: values written to BARs and to the command register have no effect here. The client
 * decides where BARs are, and DMA is limited by the DMA table, not by bus mastering.
 */
class config_space {
public:
	/** @param vectors MSI-X vectors of the function. */
	explicit config_space(uint16_t vectors);

	/** The range is inside the space. */
	void read(uint32_t offset, guard::mutable_bytes to) const;
	/** @return Whether the write asks for a function level reset. */
	bool write(uint32_t offset, guard::bytes from);
	void reset();

private:
	std::array<uint8_t, config_size> bytes_{};
	std::array<uint8_t, config_size> writable_{};
	uint16_t vectors_;
};

/** BAR3: the MSI-X table. Clients that keep a table of their own, as QEMU does, never come here. */
class msix_table {
public:
	explicit msix_table(uint16_t vectors) : vectors_(vectors) { reset(); }

	void read(uint32_t offset, guard::mutable_bytes to) const;
	void write(uint32_t offset, guard::bytes from);
	void reset();

private:
	static constexpr uint32_t entry_size = 16;

	std::array<uint8_t, bar3_size> bytes_{};
	uint16_t vectors_;
};

} // namespace iavf
