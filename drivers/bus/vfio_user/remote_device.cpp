/* SPDX-License-Identifier: BSD-3-Clause */
#include "remote_device.hpp"

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include <rte_cycles.h>
#include <rte_io.h>

#include "log.hpp"
#include "pci_drivers.hpp"
#include "quirks.hpp"

namespace vfio_user_pci {
namespace {

/** More than network devices have; a process that locks its memory holds all of it. */
constexpr uint64_t max_bar_size = uint64_t{1} << 30;

/** A location that no device of this machine has: VFIO and VMD use domains below. */
rte_pci_addr
next_address()
{
	static std::atomic<uint32_t> domain{0x7fff0000};

	return {domain.fetch_add(1, std::memory_order_relaxed), 0, 0, 0};
}

/** What a negative errno of the client means to the user, logged once at the place where it is
 * known. */
guard::failure
report(const char *device, const char *what, int error)
{
	BUS_LOG(ERR, "%s: cannot %s: %s", device, what, strerror(-error));
	return {-error};
}

const readiness *
find_readiness(const rte_pci_id &id)
{
	for (const readiness &row : readiness_rows)
		if (row.vendor == id.vendor_id && row.device == id.device_id)
			return &row;
	return nullptr;
}

/** What drivers, who do plain loads and stores, cannot do without in a BAR. The first row that
 * holds is told. */
struct hindrance {
	const char *text;
	bool (*holds)(const rte_vfio_user_client_region &bar);
};

bool
is_whole(const rte_vfio_user_client_region &bar)
{
	return bar.nb_areas == 1 && bar.areas[0].offset == 0 && bar.areas[0].size >= bar.size;
}

template <uint32_t right>
bool
lacks(const rte_vfio_user_client_region &bar)
{
	return (bar.flags & right) == 0;
}

constexpr hindrance hindrances[] = {
	{"cannot be mapped (no MMAP)", lacks<RTE_VFIO_USER_REGION_MMAP>},
	{"can be mapped in parts only",
	 [](const rte_vfio_user_client_region &bar) { return !is_whole(bar); }},
	{"can neither be read nor written",
	 lacks<RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE>},
	{"cannot be read (no READ)", lacks<RTE_VFIO_USER_REGION_READ>},
	{"cannot be written (no WRITE)", lacks<RTE_VFIO_USER_REGION_WRITE>},
};

const char *
find_hindrance(const rte_vfio_user_client_region &bar)
{
	for (const hindrance &row : hindrances)
		if (row.holds(bar))
			return row.text;
	return nullptr;
}

bool
is_ready(const readiness &row, const void *bar)
{
	uint32_t value = rte_read32(static_cast<const std::byte *>(bar) + row.offset) & row.mask;

	return value >= row.min && value <= row.max;
}

} // namespace

void
remote_device::detach::operator()(rte_vfio_user_client *client) const
{
	rte_vfio_user_client_detach(client);
}

guard::result<std::unique_ptr<remote_device>>
remote_device::make(const rte_vdev_device *vdev, const rte_bus *bus, const options &from)
{
	std::unique_ptr<remote_device> device(new remote_device(vdev, bus));

	TRY(device->connect(from));
	TRY(device->set_up(from.timeout_ms, std::min(from.timeout_ms, from.attach_limit_ms())));
	TRY(device->probe_driver());
	rte_vfio_user_client_deadline_set(device->client_.get(), 0);
	return device;
}

remote_device::remote_device(const rte_vdev_device *vdev, const rte_bus *bus)
    : name_(vdev->device.name)
{
	pci_.addr = next_address();
	rte_pci_device_name(&pci_.addr, pci_.name, sizeof(pci_.name));
	/* The port gets the name that the user knows. */
	pci_.device.name = name_.c_str();
	pci_.device.bus = bus;
	pci_.device.numa_node = vdev->device.numa_node;
	pci_.kdrv = RTE_PCI_KDRV_NONE;
}

remote_device::~remote_device()
{
	memory_.reset();
	client_.reset();
	ports_.release();
}

guard::status
remote_device::connect(const options &from)
{
	rte_vfio_user_client *client = nullptr;
	rte_vfio_user_client_conf conf{};
	uint32_t flags = 0, regions = 0, irqs = 0;

	path_ = from.path;
	conf.path = path_.c_str();
	conf.flags = RTE_VFIO_USER_CLIENT_TWIN_SOCKET | RTE_VFIO_USER_CLIENT_MAPPED_BARS |
		     RTE_VFIO_USER_CLIENT_ATTACH_GOES_ON;
	conf.timeout_ms = from.timeout_ms;
	conf.wait_ms = from.wait_ms;
	conf.attach_ms = from.attach_limit_ms();
	conf.disconnected = on_disconnect;
	conf.ctx = this;
	int error = rte_vfio_user_client_attach(&conf, -1, &client);
	if (error < 0)
		return report(name(), ("attach to " + path_).c_str(), error);
	client_.reset(client);

	error = rte_vfio_user_client_device_info_get(client, &flags, &regions, &irqs);
	if (error < 0)
		return report(name(), "read the device information", error);
	if ((flags & RTE_VFIO_USER_DEVICE_PCI) == 0 || regions <= RTE_VFIO_USER_REGION_CONFIG)
		return report(name(), "use a device that is not PCI", -ENODEV);
	if (flags & RTE_VFIO_USER_DEVICE_RESET)
		TRY(reset());
	return {};
}

/** As at each opening in the kernel's VFIO: an earlier client may have left the device running. */
guard::status
remote_device::reset()
{
	int error = rte_vfio_user_client_reset(client_.get());

	if (error < 0 && error != -EOPNOTSUPP)
		return report(name(), "reset the device", error);
	return {};
}

guard::status
remote_device::set_up(uint32_t timeout_ms, uint32_t ready_ms)
{
	auto config = config_space::read(client_.get());
	if (!config)
		return report(name(), "read the configuration space", config.to_c());
	config_ = *config;
	pci_.id = config_.id();
	char info[48];
	snprintf(info, sizeof(info), "vendor_id=%x, device_id=%x", pci_.id.vendor_id,
		 pci_.id.device_id);
	bus_info_ = info;
	pci_.device.bus_info = bus_info_.c_str();

	const readiness *row = find_readiness(pci_.id);
	TRY(map_bars(row));
	memory_.emplace(client_.get(), name(), timeout_ms, on_disconnect, this);
	TRY(memory_->start());
	interrupts_.emplace(client_.get(), name());
	TRY(interrupts_->start());
	pci_.intr_handle = interrupts_->handle();
	pci_.vfio_req_intr_handle = interrupts_->request_handle();

	auto enabled = config_.enable(client_.get());
	if (!enabled)
		return report(name(), "enable memory access and bus mastering", enabled.to_c());
	config_file_ = TRY(config_.to_file());
	return row != nullptr ? wait_until_ready(*row, ready_ms) : guard::status();
}

guard::status
remote_device::map_bars(const readiness *row)
{
	bool any = false;

	for (unsigned bar = RTE_VFIO_USER_REGION_BAR0; bar <= RTE_VFIO_USER_REGION_BAR5; bar++) {
		TRY(map_bar(bar));
		any = any || pci_.mem_resource[bar].addr != nullptr;
	}
	if (row != nullptr)
		return check_bar(*row);
	if (any)
		return {};
	/* Which BAR its driver wants is not known; but no driver does without any. */
	BUS_LOG(ERR, "%s: no BAR has memory; drivers look for registers in one at least", name());
	return guard::failure{ENODEV};
}

guard::status
remote_device::map_bar(unsigned bar)
{
	rte_vfio_user_client_region region{};
	void *addr = nullptr;

	int error = rte_vfio_user_client_region_info_get(client_.get(), bar, &region);
	if (error < 0)
		return report(name(), "read the description of a BAR", error);
	if (region.size == 0 || config_.is_io(bar))
		return {};
	if (region.size > max_bar_size) {
		BUS_LOG(ERR, "%s: BAR %u has %" PRIu64 " bytes; %" PRIu64 " are allowed", name(),
			bar, region.size, max_bar_size);
		return guard::failure{EFBIG};
	}
	if (config_.holds_msix(bar) && region.nb_areas == 0)
		return {}; /* The vectors are wired by messages: no driver needs their table. */
	if (const char *why = find_hindrance(region)) {
		BUS_LOG(ERR,
			"%s: BAR %u (%" PRIu64
			" bytes) %s: drivers here do plain loads and stores, "
			"which cannot be trapped, so it must be offered for READ, WRITE and MMAP "
			"as a whole; the server must grant \"mapped_bars\"",
			name(), bar, region.size, why);
		return guard::failure{ENOTSUP};
	}
	error = rte_vfio_user_client_region_map(client_.get(), bar, 0, &addr);
	if (error < 0)
		return report(name(), "map a BAR", error);
	pci_.mem_resource[bar].addr = addr;
	pci_.mem_resource[bar].len = region.size;
	pci_.mem_resource[bar].phys_addr = reinterpret_cast<uintptr_t>(addr);
	return {};
}

/** Behind the end of a BAR that is too short the driver would find whatever is mapped there, and at
 * one that is not mapped nothing. */
guard::status
remote_device::check_bar(const readiness &row) const
{
	uint64_t size = pci_.mem_resource[row.bar].len;

	if (size >= row.min_bar_size)
		return {};
	const char *why = size != 0                     ? ""
			  : config_.is_io(row.bar)      ? ", since it is in I/O space"
			  : config_.holds_msix(row.bar) ? ", since the server traps it for MSI-X"
							: ", since the server has none";
	BUS_LOG(ERR,
		"%s: BAR %u has %" PRIu64 " bytes of mapped memory%s; a device %04x:%04x has "
		"%u at least",
		name(), row.bar, size, why, row.vendor, row.device, row.min_bar_size);
	return guard::failure{ENODEV};
}

guard::status
remote_device::wait_until_ready(const readiness &row, uint32_t timeout_ms) const
{
	for (uint32_t ms = 0; !is_ready(row, pci_.mem_resource[row.bar].addr); ms++) {
		if (is_gone())
			return guard::failure{ENOTCONN};
		if (ms >= timeout_ms)
			return report(name(), "probe: the device does not become ready",
				      -ETIMEDOUT);
		rte_delay_us_sleep(1000);
	}
	return {};
}

guard::status
remote_device::probe_driver()
{
	for (rte_pci_driver *driver : find_pci_drivers(pci_.id))
		if (TRY(probe_one(driver))) {
			ports_.adopt(*this, &pci_.device);
			removal_->device_is_driven(ports_.ids());
			return {};
		}
	BUS_LOG(ERR, "%s: no driver for the PCI device %04x:%04x; is its plugin loaded?", name(),
		pci_.id.vendor_id, pci_.id.device_id);
	return guard::failure{ENODEV};
}

/** True: it drives the device. False: it does not want it. */
guard::result<bool>
remote_device::probe_one(rte_pci_driver *driver)
{
	BUS_LOG(INFO, "%s: probe driver %s (%04x:%04x)", name(), driver->driver.name,
		pci_.id.vendor_id, pci_.id.device_id);
	pci_.driver = driver;
	int error = driver->probe(driver, &pci_);
	if (error == 0) {
		pci_.device.driver = &driver->driver;
		return true;
	}
	pci_.driver = nullptr;
	if (error > 0)
		return false;
	return report(name(), (std::string("probe it with ") + driver->driver.name).c_str(), error);
}

guard::status
remote_device::remove_driver()
{
	removal_->device_is_removed();
	if (pci_.driver != nullptr && pci_.driver->remove != nullptr) {
		int error = pci_.driver->remove(&pci_);
		if (error < 0) {
			removal_->device_stays();
			return report(name(), "remove the driver", error);
		}
	}
	pci_.driver = nullptr;
	pci_.device.driver = nullptr;
	return {};
}

/** On the control thread, or where memory comes and goes. */
void
remote_device::on_disconnect(void *self, int error)
{
	auto *device = static_cast<remote_device *>(self);

	BUS_LOG(ERR,
		"%s: the server at %s is gone (%s): the device is dead until it is removed and "
		"attached again",
		device->name(), device->path_.c_str(), strerror(error < 0 ? -error : error));
	device->removal_->device_is_gone();
}

} // namespace vfio_user_pci
