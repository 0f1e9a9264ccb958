/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include <bus_vdev_driver.h>
#include <rte_eal.h>

#include "log.hpp"
#include "remote_device.hpp"

/*
 * The vdev "vfio_user_pci": shows a device behind a vfio-user socket to DPDK's PCI drivers. The
 * virtual device is the handle by which the user attaches and detaches; the PCI device that the
 * driver gets belongs to a bus of our own. That scans and probes nothing: it carries the operations
 * that applications call by way of the device, and lets them look for devices, as testpmd's "show
 * device info" does.
 */
namespace vfio_user_pci {
namespace {

/** The devices of this process. Never destroyed: at exit threads may still use what it holds. */
class registry {
public:
	static registry &get()
	{
		static auto &only = *new registry;
		return only;
	}

	void add(std::unique_ptr<remote_device> device)
	{
		std::lock_guard guard(lock_);
		devices_.push_back(std::move(device));
	}

	template <class F> remote_device *find(F wanted)
	{
		std::lock_guard guard(lock_);
		auto at = std::find_if(devices_.begin(), devices_.end(), wanted);
		return at != devices_.end() ? at->get() : nullptr;
	}

	/** The first device behind @p start, or of all without one, that is wanted. */
	template <class F> const rte_device *find_next(const rte_device *start, F wanted)
	{
		std::lock_guard guard(lock_);
		auto at = devices_.begin();
		if (start != nullptr) {
			at = std::find_if(at, devices_.end(), [=](const auto &device) {
				return device->generic() == start;
			});
			if (at != devices_.end())
				++at;
		}
		at = std::find_if(at, devices_.end(),
				  [&](const auto &device) { return wanted(device->generic()); });
		return at != devices_.end() ? (*at)->generic() : nullptr;
	}

	std::unique_ptr<remote_device> take(const remote_device *which)
	{
		std::lock_guard guard(lock_);
		auto at = std::find_if(devices_.begin(), devices_.end(),
				       [=](const auto &device) { return device.get() == which; });
		if (at == devices_.end())
			return nullptr;
		auto device = std::move(*at);
		devices_.erase(at);
		return device;
	}

private:
	std::mutex lock_;
	std::vector<std::unique_ptr<remote_device>> devices_;
};

remote_device *
find(const rte_device *generic)
{
	return registry::get().find(
		[=](const auto &device) { return device->generic() == generic; });
}

const rte_device *
next_device(const rte_device *start, rte_dev_cmp_t compare, const void *data)
{
	return registry::get().find_next(
		start, [=](const rte_device *device) { return compare(device, data) == 0; });
}

/** `port detach` of the PCI device removes the virtual device, which removes the PCI device. */
int
unplug(const rte_device *generic)
{
	remote_device *device = find(generic);

	if (device == nullptr)
		return -ENODEV;
	return rte_vdev_uninit(std::string(device->name()).c_str());
}

int
reaches(const rte_device *generic, uint64_t iova, uint64_t len)
{
	remote_device *device = find(generic);

	if (device == nullptr)
		return -ENODEV;
	return device->memory().covers(iova, len) ? 0 : -ENOTSUP;
}

int
probe(rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);

	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		BUS_LOG(ERR, "%s: only a primary process can attach to a remote device", name);
		return -ENOTSUP;
	}
	auto from = parse_devargs(name, rte_vdev_device_args(vdev));
	if (!from)
		return from.to_c();
	auto device = remote_device::make(vdev, *from);
	if (!device)
		return device.to_c();
	registry::get().add(std::move(device).value());
	return 0;
}

int
remove(rte_vdev_device *vdev)
{
	std::string name = rte_vdev_device_name(vdev);
	remote_device *device =
		registry::get().find([&](const auto &other) { return name == other->name(); });

	if (device == nullptr)
		return -ENODEV;
	auto removed = device->remove_driver();
	if (removed)
		registry::get().take(device);
	return removed.to_c();
}

} // namespace

const bus_answers answers = {.next = next_device, .unplug = unplug, .reaches = reaches};

} // namespace vfio_user_pci

extern "C" {
extern constinit rte_vdev_driver vfio_user_pci_driver;
constinit rte_vdev_driver vfio_user_pci_driver = {
	.probe = vfio_user_pci::probe,
	.remove = vfio_user_pci::remove,
	.drv_flags = RTE_VDEV_DRV_NEED_IOVA_AS_VA,
};
}
