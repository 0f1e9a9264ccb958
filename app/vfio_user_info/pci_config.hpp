/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>
#include <vector>

#include "bytes.hpp"

/** PCI configuration space, decoded: PCI Local Bus and PCI Express Base Specifications. */
namespace vfio_user_info::pci {

/** How a field is to be shown. */
enum class format { hex, number, flag };

/** A field with its value. */
struct decoded_field {
	const char *key;   /* for programs */
	const char *title; /* for people */
	format shown;
	unsigned int digits; /* of format::hex */
	uint64_t value;
	const char *meaning; /* of the value, or nullptr */
};

struct decoded_bar {
	uint32_t index;
	bool io, wide, prefetchable;
	uint64_t address;
};

struct decoded_capability {
	uint32_t offset;
	uint16_t id;
	uint8_t version; /* of an extended capability */
	bool extended;
	const char *name; /* "?" if unknown */
	std::vector<decoded_field> fields;
};

struct decoded_config {
	std::vector<decoded_field> header;
	std::vector<decoded_bar> bars; /* those that exist */
	std::vector<decoded_capability> capabilities;
};

/** Decodes as far as @p config reaches. A capability list that loops is followed once. */
decoded_config decode(guard::bytes config);

} // namespace vfio_user_info::pci
