/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <vector>

#include "bars.hpp"
#include "bus.hpp"
#include "config_registers.hpp"

namespace pci_device {

/**
 * MSI-X: a BAR with the table and the pending bits, and the vectors.
 *
 * Clients that keep a table of their own, as QEMU does, never come to the BAR; others may not write
 * it at all. So it is storage, and only the client's wiring says whether a vector can be signalled.
 */
class msix_bar final : public bar {
public:
	/** Offsets of @p place are inside the BAR, and the parts do not overlap; see valid(). */
	msix_bar(const bar_facts &facts, const msix_place &place, bus &machine);

	bool valid() const;
	const msix_place &place() const { return place_; }

	/**
	 * Signals a vector, or, if the client has not wired it, sets its pending bit and does it
	 * later. Any thread. For devices that keep no pending events of their own.
	 */
	void raise(uint16_t vector);
	/** The client has wired vectors: signals what is pending. */
	void rewired();

	void read(uint32_t offset, guard::mutable_bytes to) override;
	void write(uint32_t offset, guard::bytes from) override;
	void reset() override;
	void each_state(state_walk &walk) override;

private:
	uint32_t table_size() const;

	msix_place place_;
	bus &bus_;
	std::vector<std::byte> table_;
	std::vector<std::atomic<uint64_t>> pending_;
};

/** INTx: one level that the device holds as long as it wants something. Control thread. */
class intx_pin {
public:
	intx_pin(config_registers &config, bus &machine) : config_(config), bus_(machine) {}

	/** What the device wants now. */
	void assert_level(bool level);
	/** Something else in the way may have changed: the command register, the client's mask. */
	void update();
	/** Behind that of the configuration space, in which the level is shown. */
	void each_state(state_walk &walk);

private:
	config_registers &config_;
	bus &bus_;
	bool level_ = false;
};

} // namespace pci_device
