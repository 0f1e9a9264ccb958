/* SPDX-License-Identifier: BSD-3-Clause */
#include "remote_device.hpp"

#include <cinttypes>
#include <cstring>

#include <rte_cycles.h>
#include <rte_io.h>

#include "known_devices.hpp"
#include "log.hpp"

namespace vfio_user_pci {
namespace {

/** More than network devices have; a process that locks its memory holds all of it. */
constexpr uint64_t max_bar_size = uint64_t{1} << 30;

const known_device *
find_known(const rte_pci_id &id)
{
	for (const known_device &row : known_devices)
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
is_ready(const known_device &row, const void *bar)
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
remote_device::make(const rte_vdev_device *vdev, const options &from)
{
	std::unique_ptr<remote_device> device(new remote_device(vdev));

	TRY(device->connect(from));
	TRY(device->set_up(from.timeout_ms, std::min(from.timeout_ms, from.attach_limit_ms())));
	TRY(device->probe_driver());
	rte_vfio_user_client_deadline_set(device->client_.get(), 0);
	return device;
}

remote_device::remote_device(const rte_vdev_device *vdev)
    : name_(rte_vdev_device_name(vdev)), pci_(name_, rte_dev_numa_node(&vdev->device), *this)
{
}

remote_device::~remote_device()
{
	memory_.reset();
	client_.reset();
	pci_.release_ports();
}

guard::status
remote_device::connect(const options &from)
{
	rte_vfio_user_client *client = nullptr;
	rte_vfio_user_client_conf conf;
	uint32_t flags = 0, regions = 0, irqs = 0;

	path_ = from.path;
	rte_vfio_user_client_conf_init(&conf);
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
	auto config = pci_header::read(client_.get());
	if (!config)
		return report(name(), "read the configuration space", config.to_c());
	config_ = *config;
	pci_.set_id(config_.id());

	const known_device *row = find_known(config_.id());
	TRY(map_bars(row));
	memory_.emplace(client_.get(), name(), timeout_ms, on_disconnect, this);
	TRY(memory_->start());
	vectors_.emplace(client_.get(), name());
	TRY(vectors_->start());
	pci_.set_interrupts(vectors_->handle(), vectors_->request_handle());

	auto enabled = config_.enable(client_.get());
	if (!enabled)
		return report(name(), "enable memory access and bus mastering", enabled.to_c());
	pci_.set_config_file(TRY(config_.to_file()));
	return row != nullptr ? wait_until_ready(*row, ready_ms) : guard::status();
}

guard::status
remote_device::map_bars(const known_device *row)
{
	bool any = false;

	for (unsigned bar = RTE_VFIO_USER_REGION_BAR0; bar <= RTE_VFIO_USER_REGION_BAR5; bar++) {
		TRY(map_bar(bar));
		any = any || pci_.bar(bar) != nullptr;
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
	pci_.set_bar(bar, addr, region.size);
	return {};
}

/** Behind the end of a BAR that is too short the driver would find whatever is mapped there, and at
 * one that is not mapped nothing. */
guard::status
remote_device::check_bar(const known_device &row) const
{
	uint64_t size = pci_.bar_size(row.bar);

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
remote_device::wait_until_ready(const known_device &row, uint32_t timeout_ms) const
{
	for (uint32_t ms = 0; !is_ready(row, pci_.bar(row.bar)); ms++) {
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
	TRY(pci_.probe());
	removal_->device_is_driven(pci_.port_ids());
	return {};
}

guard::status
remote_device::remove_driver()
{
	removal_->device_is_removed();
	auto removed = pci_.remove();
	if (!removed)
		removal_->device_stays();
	return removed;
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
