/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <span>

#include "msix_intx.hpp"
#include "option_rom.hpp"

namespace pci_device {

/** Why a function is reset. */
enum class reset_cause : uint8_t {
	function_level, /**< The driver has set the bit in Device Control. */
	message,        /**< VFIO_USER_DEVICE_RESET: mostly a reset of the machine. */
	client_gone,
};

/**
 * What a device does when its client or its driver touch it. Control thread. Those that a device
 * has no use for need not be there.
 */
class device_behaviour : public register_effects {
public:
	/** A reset begins: what works on its own, such as a data path, ends. */
	virtual void stop(reset_cause) {}
	/** The function itself has been reset, all of it. */
	virtual void reset(reset_cause) {}
	virtual void register_written(uint8_t, uint32_t) override {}
	/** A client has come. A negative errno refuses it. */
	virtual int connected(const rte_vfio_user_session &) { return 0; }
	/** The client is gone. A reset follows. */
	virtual void disconnected() {}
	virtual void memory_changed() {}
	virtual void interrupts_changed() {}
	/** Memory has left the table; return when nothing uses it any more. */
	virtual void memory_removed(uint64_t, uint64_t) {}
	virtual void poll() {}
	virtual void work() {}

protected:
	~device_behaviour() = default;
};

/**
 * A PCI function at a vfio-user server: configuration space and BARs. It describes itself to the
 * server, takes the client's accesses where they belong, and resets what it is made of.
 */
class pci_function {
public:
	/**
	 * @param config With the capabilities; the base address registers are added.
	 * @param bars Owned by the device, and there as long as this.
	 * @param vectors MSI-X vectors that the client may wire.
	 * @param rom Likewise; nullptr or one of no size: there is none.
	 */
	pci_function(config_layout config, std::span<bar *const> bars, uint16_t vectors,
		     device_behaviour &behaviour, bus &machine, const option_rom *rom = nullptr);

	config_registers &config() { return config_; }
	/** None if the layout has no interrupt pin. */
	intx_pin &intx() { return intx_; }

	/** Whether the layout is sane; the server is not to be registered if not. */
	bool valid() const { return config_.layout().valid(); }
	/** Fills in all but the path and what is the user's. It points into this object. */
	void describe(rte_vfio_user_server_conf &conf);

	/* Accesses of the client, inside the region. 0 or a negative errno. */
	int read(uint32_t region, uint32_t offset, guard::mutable_bytes to);
	int write(uint32_t region, uint32_t offset, guard::bytes from);
	/** Stops the device, resets configuration space and BARs, then the device. */
	void reset(reset_cause cause);
	/** Configuration space, BARs, and the pin; the device's own state is the device's to walk.
	 */
	void each_state(state_walk &walk);
	device_behaviour &behaviour() { return behaviour_; }
	void interrupts_changed();

private:
	bool has_pin() const;
	bool has_rom() const { return rom_ != nullptr && rom_->size() != 0; }

	config_registers config_;
	std::array<bar *, 6> bars_{};
	uint16_t vectors_;
	const option_rom *rom_;
	device_behaviour &behaviour_;
	intx_pin intx_;
	std::array<rte_vfio_user_region, RTE_VFIO_USER_PCI_REGIONS> regions_{};
	std::array<rte_vfio_user_irq, RTE_VFIO_USER_PCI_IRQS> irqs_{};
};

} // namespace pci_device
