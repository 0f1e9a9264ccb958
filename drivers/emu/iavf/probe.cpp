/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <cstring>
#include <iterator>
#include <mutex>
#include <optional>
#include <vector>

#include <bus_vdev_driver.h>
#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_telemetry.h>

#include <device_arguments.hpp>

#include "compat.hpp"
#include "devargs.hpp"
#include "device.hpp"
#include "log.hpp"

RTE_LOG_REGISTER_SUFFIX(emu_iavf_log_driver, driver, NOTICE);
RTE_LOG_REGISTER_SUFFIX(emu_iavf_log_init, init, NOTICE);

namespace iavf {

namespace {

/* The devices of this process. The mutex is for probe and remove against telemetry. */
std::mutex devices_mutex;
std::vector<std::unique_ptr<device>> devices;

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

/** A counter or setting that telemetry shows. */
struct telemetry_row {
	const char *name;
	uint64_t (*value)(device &dev);
};

constexpr telemetry_row telemetry_rows[] = {
	{"connected", [](device &dev) -> uint64_t { return dev.client().connected; }},
	{"mapped_bars",
	 [](device &dev) -> uint64_t { return dev.function().registers().mapped(); }},
	{"link_up", [](device &dev) -> uint64_t { return dev.path().started(); }},
	{"queue_pairs_offered", [](device &dev) -> uint64_t { return dev.host().offered_pairs; }},
	{"queue_pairs_requested",
	 [](device &dev) -> uint64_t { return dev.agreed().requested_pairs; }},
	{"queue_pairs_told", [](device &dev) -> uint64_t { return dev.agreed().told_pairs; }},
	{"queue_pairs_enabled",
	 [](device &dev) -> uint64_t { return dev.session().rings().enabled_pairs(); }},
	{"mac_filters", [](device &dev) -> uint64_t { return dev.session().filters().size(); }},
	{"promiscuous", [](device &dev) -> uint64_t { return dev.session().promiscuous(); }},
	{"flows", [](device &dev) -> uint64_t { return dev.session().rules().all().size(); }},
	{"clients", [](device &dev) { return dev.stats().clients; }},
	{"resets", [](device &dev) { return dev.stats().resets; }},
	{"resets_by_host", [](device &dev) { return dev.stats().resets_by_host; }},
	{"refused_addresses", [](device &dev) { return dev.stats().refused_addresses; }},
	{"ignored_promiscuous", [](device &dev) { return dev.stats().ignored_promiscuous; }},
	{"virtchnl_errors", [](device &dev) { return dev.stats().virtchnl_errors; }},
	{"adminq_received", [](device &dev) { return dev.mailbox().stats().received; }},
	{"adminq_sent", [](device &dev) { return dev.mailbox().stats().sent; }},
	{"adminq_dropped", [](device &dev) { return dev.mailbox().stats().dropped; }},
	{"adminq_errors", [](device &dev) { return dev.mailbox().stats().errors; }},
};

/** What the administrator has decided. */
void
describe_policy(device &dev, rte_tel_data *out)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	rte_ether_addr own;

	std::ranges::copy(dev.agreed().mac, own.addr_bytes);
	rte_ether_format_addr(mac, sizeof(mac), &own);
	rte_tel_data_add_dict_string(out, "mac", mac);
	for (const policy_key &part : policy_keys())
		rte_tel_data_add_dict_string(out, part.name, part.get(dev.host().policy).c_str());
}

void
describe(device &dev, rte_tel_data *out)
{
	static const char *const states[] = {"initial", "negotiated", "active"};
	rte_vfio_user_server_stats server{};

	rte_tel_data_start_dict(out);
	rte_tel_data_add_dict_string(out, "name", dev.config().name.c_str());
	rte_tel_data_add_dict_string(out, "path", dev.config().path.c_str());
	rte_tel_data_add_dict_string(out, "state", states[static_cast<size_t>(dev.agreed().state)]);
	describe_policy(dev, out);
	for (const telemetry_row &row : telemetry_rows)
		compat::add_dict_uint(out, row.name, row.value(dev));
	rte_vfio_user_server_stats_get(dev.server(), &server);
	compat::add_dict_uint(out, "vfio_user_messages", server.messages);
	compat::add_dict_uint(out, "vfio_user_errors", server.errors);
	compat::add_dict_uint(out, "vfio_user_protocol_errors", server.protocol_errors);
	compat::add_dict_uint(out, "vfio_user_interrupts", server.interrupts);
	compat::add_dict_uint(out, "vfio_user_dma_regions", server.dma_regions);
}

int
telemetry_list(const char *, const char *, rte_tel_data *out)
{
	std::lock_guard lock(devices_mutex);

	rte_tel_data_start_array(out, RTE_TEL_STRING_VAL);
	for (const auto &dev : devices)
		rte_tel_data_add_array_string(out, dev->config().name.c_str());
	return 0;
}

int
telemetry_info(const char *, const char *params, rte_tel_data *out)
{
	std::lock_guard lock(devices_mutex);
	std::unique_ptr<device> *found = find_device(params == nullptr ? "" : params);

	if (found == nullptr)
		return -ENOENT;
	return on_control_thread([&] {
		describe(**found, out);
		return 0;
	});
}

/** What is to change: key=value, as the arguments of the device. */
struct change {
	policy wanted;
	std::optional<mac_address> mac;
};

int
take_change(const char *key, const char *value, void *opaque)
{
	change &to = *static_cast<change *>(opaque);

	if (std::strcmp(key, "mac") == 0)
		return (to.mac = parse_mac(value == nullptr ? "" : value)) ? 0 : -EINVAL;
	const policy_key &part =
		*std::ranges::find(policy_keys(), std::string_view(key), &policy_key::name);
	if (value != nullptr && part.set(to.wanted, value))
		return 0;
	DRIVER_LOG(ERR, "%s=%s is not valid, allowed: %s", key, value == nullptr ? "" : value,
		   part.allowed);
	return -EINVAL;
}

/** All of it, or nothing. */
int
change_policy(device &dev, const char *text)
{
	std::vector<const char *> valid{"mac"};
	change to{.wanted = dev.host().policy, .mac = {}};

	std::ranges::transform(policy_keys(), std::back_inserter(valid), &policy_key::name);
	valid.push_back(nullptr);
	device_arguments::unique_list list(rte_kvargs_parse(text, valid.data()));
	if (!list || list->count == 0 || device_arguments::repeated_key(*list) != nullptr ||
	    rte_kvargs_process(list.get(), nullptr, take_change, &to) != 0) {
		DRIVER_LOG(ERR, "%s: '%s' is not valid, nothing is changed",
			   dev.config().name.c_str(), text);
		return -EINVAL;
	}
	dev.set_policy(to.wanted);
	if (to.mac)
		dev.set_mac(*to.mac);
	return 0;
}

/** Runs @p act with the device that is named before the first comma, and what is behind that. */
template <class F>
int
telemetry_act(const char *params, rte_tel_data *out, F act)
{
	const std::string_view all = params == nullptr ? "" : params;
	const size_t comma = std::min(all.find(','), all.size());
	const char *rest = comma == all.size() ? "" : params + comma + 1;
	std::lock_guard lock(devices_mutex);
	std::unique_ptr<device> *found = find_device(all.substr(0, comma));

	if (found == nullptr)
		return -ENOENT;
	return on_control_thread([&] {
		const int ret = act(**found, rest);
		if (ret == 0) {
			rte_tel_data_start_dict(out);
			describe_policy(**found, out);
		}
		return ret;
	});
}

int
telemetry_set(const char *, const char *params, rte_tel_data *out)
{
	return telemetry_act(params, out, change_policy);
}

int
telemetry_reset(const char *, const char *params, rte_tel_data *out)
{
	return telemetry_act(params, out, [](device &dev, const char *) {
		dev.reset_by_host();
		return 0;
	});
}

RTE_INIT(emu_iavf_telemetry)
{
	rte_telemetry_register_cmd(
		"/emu_iavf/set", telemetry_set,
		"Changes the policy of the host, and shows it. Parameters: string name, "
		"key=value, ...");
	rte_telemetry_register_cmd(
		"/emu_iavf/reset", telemetry_reset,
		"Resets the device, which tells its driver. Parameters: string name");
	rte_telemetry_register_cmd("/emu_iavf/list", telemetry_list,
				   "Returns the names of the emulated iavf devices. No parameters");
	rte_telemetry_register_cmd("/emu_iavf/info", telemetry_info,
				   "Returns state and counters. Parameters: string name");
}

} // namespace

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
