/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <memory>

#include <pci_function.hpp>

#include "vectors.hpp"

namespace iavf {

/** What a trapped write brings about that is not the function's own. */
enum effect : uint8_t {
	atq_tail_written, /**< There are commands. */
	arq_tail_written, /**< There is room for messages. */
	arq_len_written,  /**< The receive queue is set up anew. */
	interrupt_control_written,
	cause_read,
};

/**
 * What the PCI function is: configuration space, BARs, registers, vectors. It handles what concerns
 * interrupts; effects on the mailbox go to the device.
 */
class function final : private pci_device::register_effects {
public:
	/**
	 * @param nb_vectors One for the mailbox and one for each queue pair.
	 * @param rom There as long as this; of no size: none.
	 */
	static guard::result<std::unique_ptr<function>> make(const char *name, uint16_t nb_vectors,
							     const pci_device::option_rom &rom,
							     pci_device::device_behaviour &device,
							     pci_device::bus &machine);

	pci_device::pci_function &pci() { return pci_; }
	/** BAR0. */
	pci_device::register_bar &registers() { return registers_; }
	vectors &signals() { return signals_; }
	/** As after a reset by its driver: heads and tails of the admin queues survive. */
	void reset_by_driver();
	void each_state(pci_device::state_walk &walk) { walk(pci_, signals_); }

private:
	function(std::unique_ptr<pci_device::bar_memory> memory, uint16_t nb_vectors,
		 const pci_device::option_rom &rom, pci_device::device_behaviour &device,
		 pci_device::bus &machine);

	void register_written(uint8_t effect, uint32_t index) override;
	uint32_t register_read(uint8_t effect, uint32_t index, uint32_t value) override;

	pci_device::device_behaviour &device_;
	pci_device::register_bar registers_;
	pci_device::msix_bar msix_;
	vectors signals_;
	pci_device::pci_function pci_;
};

} // namespace iavf
