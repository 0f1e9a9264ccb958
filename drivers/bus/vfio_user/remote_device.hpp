/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <bus_pci_driver.h>
#include <bus_vdev_driver.h>

#include <rte_vfio_user_client.h>

#include <result.hpp>

#include "config_space.hpp"
#include "devargs.hpp"
#include "dma_memory.hpp"
#include "interrupts.hpp"
#include "ports.hpp"
#include "removal.hpp"

namespace vfio_user_pci {

struct readiness;

/**
 * One device at a vfio-user server, shown to DPDK's PCI drivers as an rte_pci_device.
 *
 * The server is not trusted, and may die at any moment: the BARs stay mapped until the device is
 * removed, so a driver that still polls reads old values and never faults.
 */
class remote_device {
public:
	/** Attaches, and probes a driver. @p bus is set as the device's bus. */
	static guard::result<std::unique_ptr<remote_device>>
	make(const rte_vdev_device *vdev, const rte_bus *bus, const options &from);
	~remote_device();

	/** Lets the driver go. On failure the device stays as it is. */
	guard::status remove_driver();

	const char *name() const { return name_.c_str(); }
	const rte_device *generic() const { return &pci_.device; }
	bool is_gone() const { return removal_->is_gone(); }
	interrupts &interrupt_vectors() { return *interrupts_; }
	dma_memory &memory() { return *memory_; }

	/**
	 * Calls a function of the driver that reads configuration space, as net_iavf does after the
	 * device has announced a reset: it wants to see that bus mastering is on. EAL finds the
	 * configuration space by the handle's device descriptor, which would also lead it to wire
	 * interrupts by itself, in vain; so there is none at other times. What is written stays in
	 * our copy.
	 */
	template <class function> auto with_config_space(function call)
	{
		rte_intr_dev_fd_set(pci_.intr_handle, config_file_.get());
		pci_.kdrv = RTE_PCI_KDRV_UIO_GENERIC;
		auto done = call();
		pci_.kdrv = RTE_PCI_KDRV_NONE;
		rte_intr_dev_fd_set(pci_.intr_handle, -1);
		return done;
	}

private:
	struct detach {
		void operator()(rte_vfio_user_client *client) const;
	};

	explicit remote_device(const rte_vdev_device *vdev, const rte_bus *bus);

	guard::status connect(const options &from);
	guard::status set_up(uint32_t timeout_ms, uint32_t ready_ms);
	guard::status reset();
	guard::status map_bars(const readiness *row);
	guard::status map_bar(unsigned bar);
	guard::status check_bar(const readiness &row) const;
	guard::status wait_until_ready(const readiness &row, uint32_t timeout_ms) const;
	guard::status probe_driver();
	guard::result<bool> probe_one(rte_pci_driver *driver);

	static void on_disconnect(void *self, int error);

	const std::string name_;
	std::string path_;
	std::string bus_info_;
	rte_pci_device pci_{};
	const std::shared_ptr<removal> removal_ = std::make_shared<removal>(name_, &pci_.device);
	config_space config_;
	guard::unique_fd config_file_;
	std::unique_ptr<rte_vfio_user_client, detach> client_;
	std::optional<dma_memory> memory_;
	std::optional<interrupts> interrupts_;
	ports ports_;
};

} // namespace vfio_user_pci
