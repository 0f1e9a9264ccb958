/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ethdev_driver.h>

namespace vfio_user_pci {

class remote_device;

/**
 * The Ethernet ports that a driver has made for a remote device.
 *
 * Their tables of operations are replaced by copies in which a few rows are ours: start and stop,
 * since the driver makes and closes the eventfds of its Rx queues in them and nothing else tells
 * when; configure and reset, after which the copy is put back; and is_removed. The driver itself is
 * not changed.
 */
class ports {
public:
	/** Takes over the ports of @p device that exist now. */
	void adopt(remote_device &device, const rte_device *parent);
	/** Gives the ports that still exist their own tables back. */
	void release();
	/** The numbers of the ports. */
	std::vector<uint16_t> ids() const;

private:
	struct port {
		uint16_t id;
		remote_device *device;
		const eth_dev_ops *original;
		eth_dev_ops ops;
	};

	static port *find(const rte_eth_dev *dev);
	static void put_back(rte_eth_dev *dev, port &row);
	static int configure(rte_eth_dev *dev);
	static int start(rte_eth_dev *dev);
	static int stop(rte_eth_dev *dev);
	static int reset(rte_eth_dev *dev);
	static int is_removed(rte_eth_dev *dev);

	std::vector<std::unique_ptr<port>> ports_;
};

} // namespace vfio_user_pci
