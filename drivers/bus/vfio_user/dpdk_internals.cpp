/* SPDX-License-Identifier: BSD-3-Clause */
#include "dpdk_internals.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <bus_driver.h>
#include <bus_pci_driver.h>
#include <ethdev_driver.h>
#include <rte_errno.h>
#include <rte_tailq.h>

#include <device_arguments.hpp>
#include <limits.hpp>

#include "log.hpp"

namespace vfio_user_pci {
namespace {

/*
 * The bus. It scans and probes nothing: devices come as virtual devices, which the vdev bus finds.
 */

int
find_nothing()
{
	return 0;
}

int
unplug(rte_device *device)
{
	return answers.unplug(device);
}

/** All of EAL's memory is open already; other memory has no file that the server could map. */
int
dma_map(rte_device *device, void *, uint64_t iova, size_t len)
{
	int error = answers.reaches(device, iova, len);

	if (error == 0)
		return 0;
	rte_errno = -error;
	return -1;
}

rte_device *
find_device(const rte_device *start, rte_dev_cmp_t compare, const void *data)
{
	return const_cast<rte_device *>(answers.next(start, compare, data));
}

/** Compares as rte_dev_cmp_t does: 0 is equal. No name is every name. */
int
compare_name(const rte_device *device, const void *name)
{
	return name == nullptr ? 0 : strcmp(static_cast<const char *>(name), device->name);
}

/** @p wanted: "", or "name=<name>". */
void *
iterate(const void *start, const char *wanted, const rte_dev_iterator *)
{
	static constexpr const char *keys[] = {"name", nullptr};
	device_arguments::unique_list list(rte_kvargs_parse(wanted != nullptr ? wanted : "", keys));

	if (list == nullptr) {
		rte_errno = EINVAL;
		return nullptr;
	}
	return find_device(static_cast<const rte_device *>(start), compare_name,
			   rte_kvargs_get(list.get(), "name"));
}

constinit rte_bus remote_bus = {
	.scan = find_nothing,
	.probe = find_nothing,
	.find_device = find_device,
	.unplug = unplug,
	.dma_map = dma_map,
	.dma_unmap = dma_map, /* nothing is unmapped before the device goes */
	.dev_iterate = iterate,
};

RTE_REGISTER_BUS(vfio_user, remote_bus)

/*
 * The drivers of the PCI bus.
 */

RTE_TAILQ_HEAD(driver_list, rte_pci_driver);

template <class T>
bool
is(T wanted, T any, T actual)
{
	return wanted == actual || wanted == any;
}

bool
matches(const rte_pci_id &row, const rte_pci_id &id)
{
	constexpr uint16_t any = RTE_PCI_ANY_ID;
	constexpr uint32_t any_class = RTE_CLASS_ANY_ID;

	return is(row.vendor_id, any, id.vendor_id) && is(row.device_id, any, id.device_id) &&
	       is(row.subsystem_vendor_id, any, id.subsystem_vendor_id) &&
	       is(row.subsystem_device_id, any, id.subsystem_device_id) &&
	       is(row.class_id, any_class, id.class_id);
}

bool
drives(const rte_pci_driver *driver, const rte_pci_id &id)
{
	if (driver->id_table == nullptr)
		return false;
	for (const rte_pci_id *row = driver->id_table; row->vendor_id != 0; row++)
		if (matches(*row, id))
			return true;
	return false;
}

/**
 * The PCI drivers of this process whose id table has @p id, in the order of their registration.
 *
 * The PCI bus keeps its list to itself. A driver that is registered last has all others before it:
 * a tail queue is walked backwards from any of its elements, and ends at the head without knowing
 * it.
 */
std::vector<rte_pci_driver *>
find_pci_drivers(const rte_pci_id &id)
{
	static const rte_pci_id no_device{};
	rte_pci_driver sentinel{};
	std::vector<rte_pci_driver *> found;

	sentinel.driver.name = "vfio_user_pci_sentinel";
	sentinel.id_table = &no_device;
	rte_pci_register(&sentinel);
	for (rte_pci_driver *at = &sentinel; (at = TAILQ_PREV(at, driver_list, next)) != nullptr;)
		if (drives(at, id))
			found.push_back(at);
	rte_pci_unregister(&sentinel);
	std::reverse(found.begin(), found.end());
	return found;
}

/** A location that no device of this machine has: VFIO and VMD use domains below. */
rte_pci_addr
next_address()
{
	static std::atomic<uint32_t> domain{0x7fff0000};

	return {domain.fetch_add(1, std::memory_order_relaxed), 0, 0, 0};
}

} // namespace

/*
 * Interrupt handles.
 */

void
intr_handle::free_handle::operator()(rte_intr_handle *handle) const
{
	rte_intr_instance_free(handle);
}

guard::result<intr_handle>
intr_handle::make(rte_intr_handle_type type, int fd)
{
	intr_handle out;

	out.handle_.reset(rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE));
	if (out.handle_ == nullptr)
		return guard::failure{ENOMEM};
	/* A new handle holds 0, standard input, not -1. */
	if (rte_intr_type_set(out.get(), type) != 0 || rte_intr_fd_set(out.get(), fd) != 0 ||
	    rte_intr_dev_fd_set(out.get(), -1) != 0)
		return guard::failure{rte_errno};
	return out;
}

guard::result<intr_handle>
intr_handle::make_vectors(int fd)
{
	return make(RTE_INTR_HANDLE_VFIO_MSIX, fd);
}

guard::result<intr_handle>
intr_handle::make_request()
{
	return make(RTE_INTR_HANDLE_VFIO_REQ, -1);
}

std::vector<int>
intr_handle::queue_fds() const
{
	std::vector<int> out(std::max(0, rte_intr_nb_efd_get(get())));

	for (size_t i = 0; i < out.size(); i++)
		out[i] = rte_intr_efds_index_get(get(), static_cast<int>(i));
	return out;
}

/*
 * The PCI device.
 */

struct pci_view::port {
	uint16_t id;
	pci_view *view;
	const eth_dev_ops *original;
	eth_dev_ops ops;
	uint16_t queues = 1; /* with which it was configured last */
};

pci_view::pci_view(std::string name, int numa_node, port_listener &listener)
    : name_(std::move(name)), listener_(listener), pci_(new rte_pci_device{})
{
	pci_->addr = next_address();
	rte_pci_device_name(&pci_->addr, pci_->name, sizeof(pci_->name));
	/* The port gets the name that the user knows. */
	pci_->device.name = name_.c_str();
	pci_->device.bus = &remote_bus;
	pci_->device.numa_node = numa_node;
	pci_->kdrv = RTE_PCI_KDRV_NONE;
}

pci_view::~pci_view() = default;

const rte_device *
pci_view::generic() const
{
	return &pci_->device;
}

void
pci_view::set_id(const rte_pci_id &id)
{
	char info[48];

	pci_->id = id;
	snprintf(info, sizeof(info), "vendor_id=%x, device_id=%x", id.vendor_id, id.device_id);
	bus_info_ = info;
	pci_->device.bus_info = bus_info_.c_str();
}

void *
pci_view::bar(unsigned bar) const
{
	return pci_->mem_resource[bar].addr;
}

uint64_t
pci_view::bar_size(unsigned bar) const
{
	return pci_->mem_resource[bar].len;
}

void
pci_view::set_bar(unsigned bar, void *addr, uint64_t size)
{
	pci_->mem_resource[bar].addr = addr;
	pci_->mem_resource[bar].len = size;
	pci_->mem_resource[bar].phys_addr = reinterpret_cast<uintptr_t>(addr);
}

void
pci_view::set_interrupts(rte_intr_handle *vectors, rte_intr_handle *request)
{
	pci_->intr_handle = vectors;
	pci_->vfio_req_intr_handle = request;
}

guard::status
pci_view::probe()
{
	for (rte_pci_driver *driver : find_pci_drivers(pci_->id))
		if (TRY(probe_one(driver))) {
			adopt_ports();
			return {};
		}
	BUS_LOG(ERR, "%s: no driver for the PCI device %04x:%04x; is its plugin loaded?",
		name_.c_str(), pci_->id.vendor_id, pci_->id.device_id);
	return guard::failure{ENODEV};
}

/** True: it drives the device. False: it does not want it. */
guard::result<bool>
pci_view::probe_one(rte_pci_driver *driver)
{
	BUS_LOG(INFO, "%s: probe driver %s (%04x:%04x)", name_.c_str(), driver->driver.name,
		pci_->id.vendor_id, pci_->id.device_id);
	pci_->driver = driver;
	int error = driver->probe(driver, pci_.get());
	if (error == 0) {
		pci_->device.driver = &driver->driver;
		return true;
	}
	pci_->driver = nullptr;
	if (error > 0)
		return false;
	return report(name_.c_str(), (std::string("probe it with ") + driver->driver.name).c_str(),
		      error);
}

guard::status
pci_view::remove()
{
	if (pci_->driver != nullptr && pci_->driver->remove != nullptr) {
		int error = pci_->driver->remove(pci_.get());
		if (error < 0)
			return report(name_.c_str(), "remove the driver", error);
	}
	pci_->driver = nullptr;
	pci_->device.driver = nullptr;
	return {};
}

/**
 * Calls a function of the driver that reads configuration space, as net_iavf does after the device
 * has announced a reset: it wants to see that bus mastering is on. EAL finds the configuration
 * space by the handle's device descriptor, which would also lead it to wire interrupts by itself,
 * in vain; so there is none at other times. What is written stays in our copy.
 */
template <class function>
auto
pci_view::with_config_space(function call)
{
	rte_intr_dev_fd_set(pci_->intr_handle, config_file_.get());
	pci_->kdrv = RTE_PCI_KDRV_UIO_GENERIC;
	auto done = call();
	pci_->kdrv = RTE_PCI_KDRV_NONE;
	rte_intr_dev_fd_set(pci_->intr_handle, -1);
	return done;
}

/** Calls a function of the driver in which it may ask for another number of queues. */
template <class function>
int
pci_view::while_queues_change(function call)
{
	listener_.queues_change(true);
	int error = with_config_space(call);

	listener_.queues_change(false);
	return error;
}

/*
 * The ports. Their tables of operations are replaced by copies in which a few rows are ours: start
 * and stop; configure and reset, after which the copy is put back; close; and is_removed. The
 * driver itself is not changed.
 */

void
pci_view::adopt_ports()
{
	uint16_t id;

	RTE_ETH_FOREACH_DEV_OF(id, &pci_->device) {
		rte_eth_dev *dev = &rte_eth_devices[id];
		auto row = std::make_unique<port>(port{id, this, dev->dev_ops, *dev->dev_ops});

		row->ops.dev_configure = configure;
		row->ops.dev_start = start;
		row->ops.dev_stop = stop;
		row->ops.dev_reset = reset;
		row->ops.dev_close = close;
		row->ops.is_removed = is_removed;
		put_back(dev, *row);
		ports_.push_back(std::move(row));
	}
}

void
pci_view::release_ports()
{
	for (const auto &row : ports_)
		if (rte_eth_devices[row->id].dev_ops == &row->ops)
			rte_eth_devices[row->id].dev_ops = row->original;
	ports_.clear();
}

std::vector<uint16_t>
pci_view::port_ids() const
{
	std::vector<uint16_t> out;

	for (const auto &row : ports_)
		out.push_back(row->id);
	return out;
}

/** The row whose table a port uses: only our tables have our functions in them. */
pci_view::port *
pci_view::find(const rte_eth_dev *dev)
{
	auto *ops = const_cast<eth_dev_ops *>(dev->dev_ops);

	return container_of(ops, port, ops);
}

/** Drivers reset by their own uninit and init, which set their table and their flags. */
void
pci_view::put_back(rte_eth_dev *dev, port &row)
{
	if (dev->dev_ops == row.original)
		dev->dev_ops = &row.ops;
	dev->data->dev_flags |= RTE_ETH_DEV_INTR_RMV;
}

/**
 * net_iavf may ask the device for another number of queues here; then it is reset, and resets
 * itself. That of 22.11 switches its interrupts off meanwhile, which is lost on our handle, and
 * polls its mailbox for the announcement: it misses what its interrupt handler finds first.
 */
int
pci_view::configure(rte_eth_dev *dev)
{
	port *row = find(dev);
	uint16_t queues = std::max(dev->data->nb_rx_queues, dev->data->nb_tx_queues);

	/* More than the older messages are for it asks for each time. */
	if (queues == row->queues && queues <= iavf::max_base_pairs)
		return row->original->dev_configure(dev);
	int error =
		row->view->while_queues_change([&] { return row->original->dev_configure(dev); });
	row->queues = error == 0 ? queues : 0;
	put_back(dev, *row);
	return error;
}

/** It gives those back that it has asked for. */
int
pci_view::close(rte_eth_dev *dev)
{
	port *row = find(dev);

	if (row->queues <= iavf::max_base_pairs || row->view->listener_.is_gone())
		return row->original->dev_close(dev);
	return row->view->while_queues_change([&] { return row->original->dev_close(dev); });
}

int
pci_view::start(rte_eth_dev *dev)
{
	port *row = find(dev);
	int error = row->original->dev_start(dev);

	if (error != 0)
		return error;
	auto started = row->view->listener_.port_started();
	if (!started)
		row->original->dev_stop(dev);
	return started.to_c();
}

int
pci_view::stop(rte_eth_dev *dev)
{
	port *row = find(dev);

	row->view->listener_.port_stops();
	return row->original->dev_stop(dev);
}

int
pci_view::reset(rte_eth_dev *dev)
{
	port *row = find(dev);

	if (row->original->dev_reset == nullptr)
		return -ENOTSUP;
	int error = row->view->with_config_space([&] { return row->original->dev_reset(dev); });
	put_back(dev, *row);
	return error;
}

int
pci_view::is_removed(rte_eth_dev *dev)
{
	return find(dev)->view->listener_.is_gone();
}

/** A port that was closed may be somebody else's by now. */
void
announce_removal(uint16_t port, const rte_device *device)
{
	if (rte_eth_devices[port].device == device)
		rte_eth_dev_callback_process(&rte_eth_devices[port], RTE_ETH_EVENT_INTR_RMV,
					     nullptr);
}

} // namespace vfio_user_pci
