/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <bus_vdev_driver.h>

#include <rte_vfio_user_client.h>

#include <result.hpp>

#include "devargs.hpp"
#include "dma_memory.hpp"
#include "dpdk_internals.hpp"
#include "msix_vectors.hpp"
#include "pci_header.hpp"
#include "removal.hpp"

namespace vfio_user_pci {

struct known_device;

/**
 * One device at a vfio-user server, shown to DPDK's PCI drivers as an rte_pci_device.
 *
 * The server is not trusted, and may die at any moment: the BARs stay mapped until the device is
 * removed, so a driver that still polls reads old values and never faults.
 */
class remote_device final : private port_listener {
public:
	/** Attaches, and probes a driver. */
	static guard::result<std::unique_ptr<remote_device>> make(const rte_vdev_device *vdev,
								  const options &from);
	~remote_device();

	/** Lets the driver go. On failure the device stays as it is. */
	guard::status remove_driver();

	const char *name() const { return name_.c_str(); }
	const rte_device *generic() const { return pci_.generic(); }
	bool is_gone() const override { return removal_->is_gone(); }
	dma_memory &memory() { return *memory_; }

private:
	struct detach {
		void operator()(rte_vfio_user_client *client) const;
	};

	explicit remote_device(const rte_vdev_device *vdev);

	guard::status port_started() override { return vectors_->wire_queues(); }
	void port_stops() override { vectors_->unwire_queues(); }
	void queues_change(bool begins) override { vectors_->delay(begins); }

	guard::status connect(const options &from);
	guard::status set_up(uint32_t timeout_ms, uint32_t ready_ms);
	guard::status reset();
	guard::status map_bars(const known_device *row);
	guard::status map_bar(unsigned bar);
	guard::status check_bar(const known_device &row) const;
	guard::status wait_until_ready(const known_device &row, uint32_t timeout_ms) const;
	guard::status probe_driver();

	static void on_disconnect(void *self, int error);

	const std::string name_;
	std::string path_;
	pci_view pci_;
	const std::shared_ptr<removal> removal_ = std::make_shared<removal>(name_, pci_.generic());
	pci_header config_;
	std::unique_ptr<rte_vfio_user_client, detach> client_;
	std::optional<dma_memory> memory_;
	std::optional<msix_vectors> vectors_;
};

} // namespace vfio_user_pci
