/* SPDX-License-Identifier: BSD-3-Clause */
#include "option_rom.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <owner.hpp>

namespace pci_device {

namespace {

/** Begins each image. */
struct rom_header {
	uint16_t signature;
	uint8_t of_processor[22];
	uint16_t data_offset; /**< From the image's start. */
};
static_assert(sizeof(rom_header) == 26);

/** The PCI data structure, as far as it is looked at. */
struct rom_data {
	uint32_t signature;
	uint16_t vendor;
	uint16_t device;
	uint16_t device_list;
	uint16_t length;
	uint8_t revision;
	uint8_t class_code[3];
	uint16_t image_units;
	uint16_t code_revision;
	uint8_t code_type;
	uint8_t indicator;
	uint16_t reserved;
};
static_assert(sizeof(rom_data) == 24);

constexpr uint16_t header_signature = 0xaa55;   /* bytes 55 AA */
constexpr uint32_t data_signature = 0x52494350; /* "PCIR" */
constexpr uint32_t unit = 512;
constexpr uint8_t last_image = 0x80;

std::string
hex(uint32_t value)
{
	char text[16];

	std::snprintf(text, sizeof(text), "%04x", value);
	return text;
}

/** One image, that begins what is left. @p length becomes its size, 0 of the last one. */
rom_fault
check_image(guard::bytes rest, uint16_t vendor, uint16_t device, uint32_t &length)
{
	const auto header = guard::load<rom_header>(rest, 0);

	if (!header || header->signature != header_signature)
		return "an image does not begin with 55 aa";
	const auto data = guard::load<rom_data>(rest, header->data_offset);
	if (!data || data->signature != data_signature)
		return "an image has no PCI data structure (\"PCIR\")";
	if (data->vendor != vendor || data->device != device)
		return "an image is for " + hex(data->vendor) + ":" + hex(data->device) +
		       ", the device is " + hex(vendor) + ":" + hex(device);
	length = data->image_units * unit;
	if (length == 0 || length > rest.size())
		return "an image of " + std::to_string(length) + " bytes is not inside the file";
	if ((data->indicator & last_image) != 0)
		length = 0;
	return {};
}

} // namespace

rom_fault
option_rom::take(std::vector<std::byte> image, uint16_t vendor, uint16_t device)
{
	guard::bytes rest = image;
	uint32_t length = 0;

	if (image.size() > max_size)
		return "it has more than " + std::to_string(max_size) + " bytes";
	do {
		if (rom_fault fault = check_image(rest, vendor, device, length); !fault.empty())
			return fault;
		rest = rest.subspan(length);
	} while (length != 0);
	image.resize(std::bit_ceil(std::max<size_t>(image.size(), min_size)), std::byte{0xff});
	bytes_ = std::move(image);
	return {};
}

rom_fault
option_rom::read_file(const char *path, uint16_t vendor, uint16_t device)
{
	const guard::unique_fd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
	struct stat facts;

	if (fd.get() < 0 || ::fstat(fd.get(), &facts) != 0)
		return std::strerror(errno);
	if (!S_ISREG(facts.st_mode))
		return "it is no regular file";
	std::vector<std::byte> image(std::min<uint64_t>(facts.st_size, max_size + 1));
	for (size_t at = 0; at < image.size();) {
		const ssize_t got = ::read(fd.get(), &image[at], image.size() - at);

		if (got <= 0)
			return got == 0 ? "it is being truncated" : std::strerror(errno);
		at += static_cast<size_t>(got);
	}
	return take(std::move(image), vendor, device);
}

} // namespace pci_device
