/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <rte_dev.h>
#include <rte_interrupts.h>
#include <rte_pci.h>

#include <owner.hpp>
#include <result.hpp>

struct rte_bus;
struct rte_eth_dev;
struct rte_pci_device;
struct rte_pci_driver;

/*
 * All that reaches behind the interfaces that DPDK keeps stable: only dpdk_internals.cpp includes
 * its headers for buses, PCI drivers and Ethernet drivers (devtools/check-includes.py), and only
 * public ones stand here. All of it is tested with DPDK 22.11; where a later version is known to
 * differ that is said.
 *
 * - A bus (rte_bus, RTE_REGISTER_BUS): applications call operations by way of a device's bus, and
 *   look for devices on it. The PCI bus has the devices of the kernel only. After 25.11,
 *   find_device and dev_iterate get the bus itself first.
 * - A sentinel in the PCI bus's list of drivers (rte_pci_register): the bus has the list to itself,
 *   and lets nobody ask who drives an id. After 25.11 it is rte_bus::driver_list, which can be
 *   walked, and drivers have no link of their own.
 * - An rte_pci_device that no scan has found, and calls of rte_pci_driver's probe and remove: the
 *   bus probes only what it has scanned from the kernel.
 * - The operations of an Ethernet port (rte_eth_devices, dev_ops, dev_flags): a driver makes and
 *   closes the eventfds of its Rx queues in start and stop, and nothing else tells when.
 * - An interrupt handle filled by hand (rte_intr_instance_alloc and what follows): EAL fills it
 *   from kernel devices only.
 * - kdrv and the handle's device descriptor, set for the time of one call: see
 *   pci_view::with_config_space().
 * - rte_eth_dev_callback_process(): only drivers raise RTE_ETH_EVENT_INTR_RMV, and none of those
 *   that we serve does.
 */
namespace vfio_user_pci {

/** What DPDK takes for a kernel's interrupt; there is none. */
class intr_handle {
public:
	/** For MSI-X vectors: @p fd is signalled by vector 0. */
	static guard::result<intr_handle> make_vectors(int fd);
	/** For the VFIO request interrupt, which no device sends; drivers may expect a handle. */
	static guard::result<intr_handle> make_request();

	rte_intr_handle *get() const { return handle_.get(); }
	/** The eventfds that a driver has made for its Rx queues. */
	std::vector<int> queue_fds() const;

private:
	struct free_handle {
		void operator()(rte_intr_handle *handle) const;
	};

	static guard::result<intr_handle> make(rte_intr_handle_type type, int fd);

	std::unique_ptr<rte_intr_handle, free_handle> handle_;
};

/** Who is asked when an application calls a port. */
class port_listener {
public:
	/** The driver has started the port. On failure it is stopped again. */
	virtual guard::status port_started() = 0;
	virtual void port_stops() = 0;
	/** The driver may ask the device for another number of queues, and is reset, until this is
	 * called again. */
	virtual void queues_change(bool begins) = 0;
	virtual bool is_gone() const = 0;

protected:
	~port_listener() = default;
};

/** A remote device as DPDK's PCI drivers see it, and the Ethernet ports that they make of it. */
class pci_view {
public:
	/** @p name: what the user knows the device by, and its ports. */
	pci_view(std::string name, int numa_node, port_listener &listener);
	~pci_view();

	const rte_device *generic() const;
	void set_id(const rte_pci_id &id);
	/** Where a BAR is mapped, nullptr if it is not, and its size. */
	void *bar(unsigned bar) const;
	uint64_t bar_size(unsigned bar) const;
	void set_bar(unsigned bar, void *addr, uint64_t size);
	void set_interrupts(rte_intr_handle *vectors, rte_intr_handle *request);
	/** What a driver reads as configuration space; see with_config_space(). */
	void set_config_file(guard::unique_fd file) { config_file_ = std::move(file); }

	/** Offers it to the drivers whose table has its id, in the order of their registration. */
	guard::status probe();
	/** Lets the driver go. On failure it stays. */
	guard::status remove();
	/** The numbers of the ports. */
	std::vector<uint16_t> port_ids() const;
	/** Gives the ports that still exist their own operations back. */
	void release_ports();

private:
	struct port;

	guard::result<bool> probe_one(rte_pci_driver *driver);
	void adopt_ports();
	template <class function> auto with_config_space(function call);
	template <class function> int while_queues_change(function call);

	static port *find(const rte_eth_dev *dev);
	static void put_back(rte_eth_dev *dev, port &row);
	static int configure(rte_eth_dev *dev);
	static int close(rte_eth_dev *dev);
	static int start(rte_eth_dev *dev);
	static int stop(rte_eth_dev *dev);
	static int reset(rte_eth_dev *dev);
	static int is_removed(rte_eth_dev *dev);

	const std::string name_;
	port_listener &listener_;
	std::string bus_info_;
	const std::unique_ptr<rte_pci_device> pci_;
	guard::unique_fd config_file_;
	std::vector<std::unique_ptr<port>> ports_;
};

/** Raises RTE_ETH_EVENT_INTR_RMV for a port, if it is still one of @p device. */
void announce_removal(uint16_t port, const rte_device *device);

/** What the bus is asked, and passes on to who knows the devices. */
struct bus_answers {
	/** The device behind @p start, or of all if that is nullptr, that is wanted. */
	const rte_device *(*next)(const rte_device *start, rte_dev_cmp_t compare, const void *data);
	int (*unplug)(const rte_device *device);
	/** Whether the device reaches [iova, iova + len): 0 or a negative errno. */
	int (*reaches)(const rte_device *device, uint64_t iova, uint64_t len);
};
extern const bus_answers answers;

} // namespace vfio_user_pci
