/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

/**
 * What stands in the configuration space of a PCI function, as rows. Names and places are those of
 * the PCI Express Base Specification 5.0, chapter 7; numbers of registers come from
 * <linux/pci_regs.h>.
 */
namespace pci_device {

/** What a write to the configuration space may ask for; a set. */
using config_events = uint32_t;
/** A function level reset. */
constexpr config_events initiate_flr = 1;
/** The command register may say something else now. */
constexpr config_events command_written = 2;

/** A field: little-endian, @p width bytes. Bits outside the masks are read-only. */
struct config_row {
	std::string_view name;
	uint16_t offset;
	uint8_t width;
	uint32_t value = 0;                /**< After a reset. */
	uint32_t writable = 0;             /**< Bits that keep what the driver writes. */
	uint32_t cleared_by_one = 0;       /**< Bits that a written 1 clears. */
	uint32_t event_bits = 0;           /**< Bits of which a written 1 is an event. */
	config_events event = 0;           /**< Which. */
	config_events any_write_event = 0; /**< An event whatever is written. */

	constexpr uint32_t end() const { return offset + uint32_t{width}; }
};

/** Who the function is. */
struct identity {
	uint16_t vendor;
	uint16_t device;
	uint32_t class_code; /**< Base class, subclass, programming interface: 24 bits. */
	uint8_t revision = 0;
	uint16_t subsystem_vendor = 0;
	uint16_t subsystem = 0;
	uint16_t command_writable = 0; /**< Bits of the command register, PCI_COMMAND_*. */
	bool intx = false;             /**< Has interrupt pin A. */
};

/** The kinds of base address registers. */
enum class bar_type : uint8_t {
	memory_32,
	memory_64, /**< Takes the next register, too. */
	io,
};

/** A base address register. */
struct bar_facts {
	uint8_t index; /**< 0 to 5. */
	bar_type type;
	bool prefetchable = false;
	uint32_t size; /**< In bytes, a power of 2; at least 16, I/O ports: 4. */
};

/** A capability that has no place yet: its rows count from its start, its header is not in them. */
struct capability {
	uint16_t id;
	uint16_t size; /**< In bytes, with its header. */
	std::vector<config_row> rows;
	uint8_t version = 0; /**< Of an extended capability; 0: an ordinary one. */
};

/** D0 to D3hot; nothing is lost by a transition, so that no reset follows one. */
capability power_management();

/** Where the MSI-X table and the pending bits are. */
struct msix_place {
	uint16_t vectors;
	uint8_t bar;
	uint32_t table_offset; /**< Multiples of 8. */
	uint32_t pba_offset;
};
capability msix_capability(const msix_place &place);

/** PCI Express, version 2, an endpoint; registers as the specification has them. */
struct express_facts {
	uint32_t device_capabilities; /**< PCI_EXP_DEVCAP_FLR: has function level reset. */
	uint16_t device_control = 0;
	uint32_t link_capabilities = 0;
	uint16_t link_status = 0;
	uint16_t link_control_writable = 0;
	uint32_t device_capabilities_2 = 0;
	uint16_t device_control_2_writable = 0;
	uint32_t link_capabilities_2 = 0;
};
capability express_capability(const express_facts &facts);

/** Read-only bytes that only the vendor's drivers understand. */
capability vendor_capability(std::span<const uint8_t> body);

/** Advanced error reporting, version 2. Nothing ever goes wrong. */
struct error_facts {
	uint32_t uncorrectable_writable; /**< Errors that can be masked and have a severity. */
	uint32_t uncorrectable_severity;
	uint32_t correctable_writable;
	uint32_t correctable_mask;
	uint32_t control = 0;
	uint32_t control_writable = 0;
};
capability error_capability(const error_facts &facts);

/**
 * All rows of a function. Each capability is linked to the one added before it. Mistakes of the
 * device's author, such as a row on top of another, are found by valid().
 */
class config_layout {
public:
	explicit config_layout(const identity &who);

	/**
	 * Adds a base address register. Its mask makes sizing come by itself: address bits below
	 * the size cannot be written.
	 */
	config_layout &add(const bar_facts &bar);
	/** Adds the register of an option ROM of so many bytes, a power of 2. */
	config_layout &add_rom(uint32_t size);
	/** Adds a capability at @p at, or in the first free place behind those before. */
	config_layout &add(const capability &what, uint16_t at = 0);

	/** Whether no row is on top of another or outside. */
	bool valid() const;
	/** Bytes of the space: 4096 if the function is one of PCI Express, else 256. */
	uint32_t size() const { return size_; }
	/** By offset. */
	std::span<const config_row> rows() const { return rows_; }
	/** Where an ordinary (@p extended false) capability is, 0: nowhere. */
	uint16_t find(uint16_t id, bool extended = false) const;

private:
	struct placed {
		uint16_t id;
		uint16_t at;
		bool extended;
	};

	config_row *row_at(uint16_t offset);
	void put(const config_row &row);
	void link(const capability &what, uint16_t at);

	std::vector<config_row> rows_;
	std::vector<placed> capabilities_;
	uint32_t size_;
	uint32_t free_, free_extended_; /* first free byte of either chain */
	bool misplaced_ = false;
};

} // namespace pci_device
