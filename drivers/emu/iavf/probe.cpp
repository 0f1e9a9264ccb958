/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include <bus_vdev_driver.h>
#include <rte_eal.h>

#include "devargs.hpp"
#include "device.hpp"
#include "log.hpp"
#include "owner.hpp"
#include "registry.hpp"

RTE_LOG_REGISTER_SUFFIX(emu_iavf_log_driver, driver, NOTICE);
RTE_LOG_REGISTER_SUFFIX(emu_iavf_log_init, init, NOTICE);

namespace iavf {

namespace {

/* The devices of this process. The mutex is for probe and remove against telemetry. */
std::mutex devices_mutex;
auto &devices = guard::lasting<std::vector<std::unique_ptr<device>>>();

std::unique_ptr<device> *
find_device(std::string_view name)
{
	auto found = std::ranges::find_if(
		devices, [&](const auto &dev) { return dev->config().name == name; });
	return found == devices.end() ? nullptr : &*found;
}

int
add_port(device &dev)
{
	int ret = rte_emudev_backend_attach(dev.emudev());

	if (ret != 0)
		INIT_LOG(ERR,
			 "%s: cannot create its port (%d); is the driver net_iavf_be loaded? "
			 "With ethdev=0 the device comes without a port",
			 dev.config().name.c_str(), ret);
	return ret == 0 ? 0 : -ENODEV;
}

guard::result<std::unique_ptr<device>>
create(rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	device_config config = TRY(parse_devargs(name, rte_vdev_device_args(vdev)));
	std::unique_ptr<device> dev = TRY(device::make(std::move(config)));
	int ret = dev->publish(&vdev->device);

	if (ret < 0)
		return guard::failure{-ret};
	return dev;
}

/** The port is there before the first client is: a guest that boots at once finds a link. */
int
bring_up(device &dev)
{
	if (dev.config().ethdev)
		if (int ret = add_port(dev); ret != 0)
			return ret;
	int ret = dev.listen();

	if (ret != 0) {
		INIT_LOG(ERR, "%s: cannot listen on path=%s: %s", dev.config().name.c_str(),
			 dev.config().path.c_str(), std::strerror(-ret));
		rte_emudev_backend_detach(dev.emudev());
	}
	return ret;
}

/** Only the primary process emulates the device; of its port a secondary one sees something. */
int
show_port(rte_vdev_device *vdev)
{
	int ret = rte_emudev_backend_show(ring_type, &vdev->device);

	if (ret == -ENODEV) {
		INIT_LOG(NOTICE, "%s: has no port in the primary process that is named like it",
			 rte_vdev_device_name(vdev));
		return 0;
	}
	return ret;
}

int
probe(rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return show_port(vdev);
	guard::result<std::unique_ptr<device>> made = create(vdev);

	if (!made) {
		INIT_LOG(ERR, "%s: cannot create the device: %s", name,
			 std::strerror(made.error().code));
		return made.to_c();
	}
	std::unique_ptr<device> dev = std::move(made).value();
	int ret = bring_up(*dev);

	if (ret != 0) {
		destroy(std::move(dev));
		return ret;
	}
	INIT_LOG(INFO, "%s: listens on %s", name, dev->config().path.c_str());
	std::lock_guard lock(devices_mutex);
	devices.push_back(std::move(dev));
	return 0;
}

int
remove(rte_vdev_device *vdev)
{
	std::unique_ptr<device> dev;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return rte_emudev_backend_hide(ring_type, &vdev->device);
	{
		std::lock_guard lock(devices_mutex);
		std::unique_ptr<device> *found = find_device(rte_vdev_device_name(vdev));

		if (found == nullptr)
			return -ENODEV;
		dev = std::move(*found);
		devices.erase(devices.begin() + (found - devices.data()));
	}
	rte_emudev_backend_detach(dev->emudev());
	destroy(std::move(dev));
	return 0;
}

} // namespace

int
with_device(std::string_view name, const std::function<int(device &)> &act)
{
	std::lock_guard lock(devices_mutex);
	std::unique_ptr<device> *found = find_device(name);

	if (found == nullptr)
		return -ENOENT;
	return on_control_thread([&] { return act(**found); });
}

void
each_device_name(const std::function<void(const char *)> &visit)
{
	std::lock_guard lock(devices_mutex);

	for (const auto &dev : devices)
		visit(dev->config().name.c_str());
}

} // namespace iavf

extern "C" {
/* Constant-initialised: the registration constructor may run before those of this file. */
extern constinit rte_vdev_driver emu_iavf_driver;
constinit rte_vdev_driver emu_iavf_driver = {
	.next = {},
	.driver = {},
	.probe = iavf::probe,
	.remove = iavf::remove,
	.dma_map = nullptr,
	.dma_unmap = nullptr,
	.drv_flags = 0,
};
}
