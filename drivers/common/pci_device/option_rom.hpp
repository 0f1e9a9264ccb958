/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>
#include <vector>

#include <bytes.hpp>

namespace pci_device {

/** Why a file is no option ROM for a function, in words for its user. */
using rom_fault = std::string;

/**
 * A PCI option ROM: code of which a machine's firmware runs the image that is for it. Formats are
 * those of the PCI Firmware Specification 3.0, section 5.1.
 *
 * Only what a firmware needs to find its image is checked. What the code does is between the
 * machine and whoever has given us the file; nothing of it runs here.
 */
class option_rom {
public:
	static constexpr uint32_t max_size = 4 << 20;
	/** A base address register has no smaller size: bits 1 to 10 are reserved. */
	static constexpr uint32_t min_size = 2048;

	option_rom() = default;

	/**
	 * Reads a file and checks it: each image has its signatures, lies inside, and is for
	 * @p vendor and @p device, and the last one says that it is.
	 * @return What is wrong; an empty text: nothing.
	 */
	rom_fault read_file(const char *path, uint16_t vendor, uint16_t device);
	/** The same of bytes. */
	rom_fault take(std::vector<std::byte> image, uint16_t vendor, uint16_t device);

	/** A power of 2, what is behind the images is all ones; 0: there is none. */
	uint32_t size() const { return static_cast<uint32_t>(bytes_.size()); }
	guard::bytes bytes() const { return bytes_; }

private:
	std::vector<std::byte> bytes_;
};

} // namespace pci_device
