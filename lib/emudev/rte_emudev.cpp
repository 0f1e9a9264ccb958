/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "log.hpp"
#include "rte_emudev_driver.h"

RTE_LOG_REGISTER_DEFAULT(emudev_logtype, NOTICE);

/**
 * A device: what the registry knows of it. What changes belongs to the provider's control thread.
 * The registry and the subscription of a back-end keep it in existence.
 */
struct rte_emudev {
	std::string name;
	rte_device *device;
	const rte_emudev_ops *ops;
	void *priv;
	bool released = false; /**< priv is no longer to be used. */
	rte_emudev_state state = RTE_EMUDEV_ALLOCATED;
	const rte_emudev_backend_ops *backend = nullptr;
	void *backend_ctx = nullptr;
	/** What the guest is told beyond the back-end's counters, modulo 2^64. */
	rte_emudev_stats offset{};
	std::shared_ptr<rte_emudev> kept; /**< By the subscription. */
	/** Has made a back-end for the device; of the thread that probes and removes it. */
	const rte_emudev_backend_driver *own_backend = nullptr;
};

namespace emudev {

namespace {

/* Smallest MTU of IPv4, RFC 791; an Ethernet header and two VLAN tags fit below max_frame. */
constexpr uint16_t min_mtu = RTE_ETHER_MIN_MTU;
constexpr uint16_t frame_overhead = RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN;

std::mutex registry_mutex; /* guards the array below */
std::array<std::shared_ptr<rte_emudev>, RTE_EMUDEV_MAX_DEVICES> registry;

/* Drivers of back-ends, one for each type. Guarded by the mutex too. */
std::vector<const rte_emudev_backend_driver *> backend_drivers;

const rte_emudev_backend_driver *
find_backend_driver(const char *type)
{
	std::lock_guard lock(registry_mutex);
	for (const rte_emudev_backend_driver *driver : backend_drivers)
		if (std::strcmp(driver->type, type) == 0)
			return driver;
	return nullptr;
}

/** Where a device is in the registry. */
template <class F>
auto
place_of(F is_it)
{
	return std::find_if(registry.begin(), registry.end(), is_it);
}

rte_emudev *
find(const char *name)
{
	auto found =
		place_of([name](const auto &dev) { return dev != nullptr && dev->name == name; });
	return found == registry.end() ? nullptr : found->get();
}

/** Runs a callable where events are delivered. Nothing else is used of the device. */
template <class F>
int
on_control_thread(const rte_emudev_ops *ops, F fn)
{
	return ops->control_call([](void *f) { return (*static_cast<F *>(f))(); }, &fn);
}

/** Runs a callable there, unless the device was released before its turn came. */
template <class F>
int
call(rte_emudev *dev, F fn)
{
	return on_control_thread(dev->ops, [&] { return dev->released ? -ENODEV : fn(); });
}

/** Runs a callable there with the device of a name, which nobody keeps in existence for us. */
template <class F>
int
call_by_name(const char *name, F fn)
{
	const rte_emudev_ops *ops;
	{
		std::lock_guard lock(registry_mutex);
		rte_emudev *dev = name == nullptr ? nullptr : find(name);
		if (dev == nullptr)
			return -ENOENT;
		ops = dev->ops;
	}
	return on_control_thread(ops, [&] {
		rte_emudev *dev = rte_emudev_get_by_name(name);
		return dev == nullptr ? -ENOENT : fn(dev);
	});
}

constexpr uint64_t rte_emudev_stats::*stats_fields[] = {
	&rte_emudev_stats::from_guest_packets,   &rte_emudev_stats::from_guest_bytes,
	&rte_emudev_stats::from_guest_multicast, &rte_emudev_stats::from_guest_broadcast,
	&rte_emudev_stats::from_guest_errors,    &rte_emudev_stats::to_guest_packets,
	&rte_emudev_stats::to_guest_bytes,       &rte_emudev_stats::to_guest_multicast,
	&rte_emudev_stats::to_guest_broadcast,   &rte_emudev_stats::to_guest_dropped,
};
static_assert(sizeof(rte_emudev_stats) == sizeof(uint64_t) * std::size(stats_fields));

rte_emudev_stats
counted_by_backend(const rte_emudev *dev)
{
	rte_emudev_stats stats{};

	if (dev->backend != nullptr)
		dev->backend->stats_get(dev->backend_ctx, &stats);
	return stats;
}

bool
complete(const rte_emudev_ops &ops)
{
	return ops.info_get && ops.configure && ops.start && ops.stop && ops.close &&
	       ops.control_call && ops.mem_table && ops.push && ops.queue_leave && ops.irq_fire &&
	       ops.attr_get && ops.attr_set && ops.region_map;
}

int
check_conf(rte_emudev *dev, const rte_emudev_conf &conf)
{
	rte_emudev_info info;
	int error = rte_emudev_info_get(dev, &info);

	if (error != 0)
		return error;
	if (conf.queue_pairs == 0 || conf.queue_pairs > info.max_queue_pairs) {
		EMUDEV_LOG(ERR, "%s: queue_pairs %u is not valid, allowed: 1 to %u", info.name,
			   conf.queue_pairs, info.max_queue_pairs);
		return -ERANGE;
	}
	if (conf.mtu < min_mtu || conf.mtu > info.max_frame - frame_overhead) {
		EMUDEV_LOG(ERR, "%s: mtu %u is not valid, allowed: %u to %u", info.name, conf.mtu,
			   min_mtu, info.max_frame - frame_overhead);
		return -ERANGE;
	}
	return 0;
}

} // namespace

} // namespace emudev

using namespace emudev;

/* --- provider --- */

int
rte_emudev_allocate(const char *name, rte_device *device, const rte_emudev_ops *ops, void *priv,
		    rte_emudev **dev)
{
	if (name == nullptr || ops == nullptr || dev == nullptr || !complete(*ops))
		return -EINVAL;
	if (name[0] == '\0' || std::strlen(name) >= RTE_EMUDEV_NAME_MAX) {
		EMUDEV_LOG(ERR, "device name '%s' is not valid, allowed: 1 to %d characters", name,
			   RTE_EMUDEV_NAME_MAX - 1);
		return -EINVAL;
	}
	std::lock_guard lock(registry_mutex);
	if (find(name) != nullptr)
		return -EEXIST;
	auto free_place = std::find(registry.begin(), registry.end(), nullptr);
	if (free_place == registry.end())
		return -ENOSPC;
	*free_place = std::make_shared<rte_emudev>();
	*dev = free_place->get();
	(*dev)->name = name;
	(*dev)->device = device;
	(*dev)->ops = ops;
	(*dev)->priv = priv;
	return 0;
}

int
rte_emudev_release(rte_emudev *dev)
{
	return call(dev, [dev] {
		rte_emudev_event event = {};
		event.type = RTE_EMUDEV_EVENT_REMOVE;
		rte_emudev_notify(dev, &event);
		dev->backend = nullptr;
		rte_emudev_close(dev);
		dev->released = true;
		std::lock_guard lock(registry_mutex);
		place_of([dev](const auto &entry) { return entry.get() == dev; })->reset();
		return 0;
	});
}

void
rte_emudev_notify(rte_emudev *dev, const rte_emudev_event *event)
{
	if (dev->backend != nullptr)
		dev->backend->event(dev->backend_ctx, event);
}

void
rte_emudev_stats_get(rte_emudev *dev, rte_emudev_stats *stats)
{
	*stats = counted_by_backend(dev);
	for (auto field : stats_fields)
		stats->*field += dev->offset.*field;
}

void
rte_emudev_stats_reset(rte_emudev *dev)
{
	const rte_emudev_stats now = counted_by_backend(dev);

	for (auto field : stats_fields)
		dev->offset.*field = 0 - now.*field;
}

rte_device *
rte_emudev_device(const rte_emudev *dev)
{
	return dev->device;
}

int
rte_emudev_started(const rte_emudev *dev)
{
	return __atomic_load_n(&dev->state, __ATOMIC_RELAXED) == RTE_EMUDEV_STARTED;
}

/* --- look-up --- */

uint16_t
rte_emudev_count(void)
{
	std::lock_guard lock(registry_mutex);
	return static_cast<uint16_t>(std::count_if(registry.begin(), registry.end(),
						   [](const auto &dev) { return dev != nullptr; }));
}

rte_emudev *
rte_emudev_get_by_name(const char *name)
{
	std::lock_guard lock(registry_mutex);
	return name == nullptr ? nullptr : find(name);
}

rte_emudev *
rte_emudev_next(const rte_emudev *previous)
{
	std::lock_guard lock(registry_mutex);
	auto at = registry.begin();
	if (previous != nullptr) {
		at = place_of([previous](const auto &dev) { return dev.get() == previous; });
		if (at != registry.end())
			++at;
	}
	at = std::find_if(at, registry.end(), [](const auto &dev) { return dev != nullptr; });
	return at == registry.end() ? nullptr : at->get();
}

int
rte_emudev_info_get(rte_emudev *dev, rte_emudev_info *info)
{
	return call(dev, [=] {
		*info = {};
		std::memcpy(info->name, dev->name.c_str(), dev->name.size() + 1);
		info->state = dev->state;
		return dev->ops->info_get(dev->priv, info);
	});
}

/* --- life cycle --- */

static void
set_state(rte_emudev *dev, rte_emudev_state state)
{
	__atomic_store_n(&dev->state, state, __ATOMIC_RELAXED);
}

static void
tell_state(rte_emudev *dev)
{
	rte_emudev_event event = {};

	event.type = RTE_EMUDEV_EVENT_STATE;
	event.state = dev->state;
	rte_emudev_notify(dev, &event);
}

int
rte_emudev_configure(rte_emudev *dev, const rte_emudev_conf *conf)
{
	return call(dev, [=] {
		if (dev->state == RTE_EMUDEV_STARTED)
			return -EBUSY;
		int error = check_conf(dev, *conf);
		if (error == 0)
			error = dev->ops->configure(dev->priv, conf);
		if (error == 0)
			set_state(dev, RTE_EMUDEV_CONFIGURED);
		return error;
	});
}

int
rte_emudev_start(rte_emudev *dev)
{
	return call(dev, [=] {
		if (dev->state == RTE_EMUDEV_STARTED)
			return 0;
		if (dev->state != RTE_EMUDEV_CONFIGURED)
			return -EINVAL;
		/* First, so that the provider finds the device started when it tells the guest. */
		set_state(dev, RTE_EMUDEV_STARTED);
		int error = dev->ops->start(dev->priv);
		if (error != 0)
			set_state(dev, RTE_EMUDEV_CONFIGURED);
		else
			tell_state(dev);
		return error;
	});
}

int
rte_emudev_stop(rte_emudev *dev)
{
	return call(dev, [=] {
		if (dev->state != RTE_EMUDEV_STARTED)
			return 0;
		set_state(dev, RTE_EMUDEV_CONFIGURED);
		tell_state(dev);
		return dev->ops->stop(dev->priv);
	});
}

int
rte_emudev_close(rte_emudev *dev)
{
	return call(dev, [=] {
		int error = rte_emudev_stop(dev);

		if (dev->state != RTE_EMUDEV_CONFIGURED)
			return error;
		set_state(dev, RTE_EMUDEV_ALLOCATED);
		int closed = dev->ops->close(dev->priv);
		return error != 0 ? error : closed;
	});
}

/* --- back-end --- */

int
rte_emudev_subscribe(rte_emudev *dev, const rte_emudev_backend_ops *ops, void *ctx)
{
	if (ops == nullptr || ops->event == nullptr || ops->stats_get == nullptr)
		return -EINVAL;
	return call(dev, [=] {
		if (dev->backend != nullptr)
			return -EBUSY;
		dev->backend = ops;
		dev->backend_ctx = ctx;
		{
			std::lock_guard lock(registry_mutex);
			dev->kept =
				*place_of([dev](const auto &entry) { return entry.get() == dev; });
		}
		dev->ops->push(dev->priv);
		return 0;
	});
}

int
rte_emudev_unsubscribe(rte_emudev *dev)
{
	std::shared_ptr<rte_emudev> until_return;

	return on_control_thread(dev->ops, [&] {
		/* The guest's counters do not go back when the next one begins with its own. */
		rte_emudev_stats so_far;
		rte_emudev_stats_get(dev, &so_far);
		dev->offset = so_far;
		dev->backend = nullptr;
		until_return = std::move(dev->kept);
		return 0;
	});
}

int
rte_emudev_backend_register(const rte_emudev_backend_driver *driver)
{
	if (driver == nullptr || driver->name == nullptr || driver->type == nullptr ||
	    driver->create == nullptr || driver->destroy == nullptr)
		return -EINVAL;
	if (find_backend_driver(driver->type) != nullptr) {
		EMUDEV_LOG(ERR, "back-end %s: type \"%s\" has a driver already", driver->name,
			   driver->type);
		return -EEXIST;
	}
	std::lock_guard lock(registry_mutex);
	backend_drivers.push_back(driver);
	return 0;
}

int
rte_emudev_backend_unregister(const rte_emudev_backend_driver *driver)
{
	std::lock_guard lock(registry_mutex);
	return std::erase(backend_drivers, driver) == 1 ? 0 : -ENOENT;
}

/* The driver subscribes and looks around by calls of its own, so nothing is locked here. */
int
rte_emudev_backend_attach(rte_emudev *dev)
{
	rte_emudev_info info;
	int error = rte_emudev_info_get(dev, &info);

	if (error != 0)
		return error;
	if (dev->own_backend != nullptr)
		return -EEXIST;
	const rte_emudev_backend_driver *driver = find_backend_driver(info.type);
	if (driver == nullptr) {
		EMUDEV_LOG(ERR, "%s: no driver that is loaded serves rings of type \"%s\"",
			   info.name, info.type);
		return -ENOENT;
	}
	error = driver->create(dev, dev->device);
	if (error == 0)
		dev->own_backend = driver;
	return error;
}

int
rte_emudev_backend_detach(rte_emudev *dev)
{
	const rte_emudev_backend_driver *driver = std::exchange(dev->own_backend, nullptr);

	return driver == nullptr ? 0 : driver->destroy(dev->device);
}

const rte_guest_mem_table *const *
rte_emudev_mem_table(rte_emudev *dev)
{
	return dev->ops->mem_table(dev->priv);
}

int
rte_emudev_queue_leave(rte_emudev *dev, uint16_t queue, rte_emudev_dir dir, uint16_t head)
{
	return call(dev, [=] { return dev->ops->queue_leave(dev->priv, queue, dir, head); });
}

int
rte_emudev_irq_fire(rte_emudev *dev, uint16_t vector, uint8_t irq_timer, int event)
{
	return dev->ops->irq_fire(dev->priv, vector, irq_timer, event);
}

int
rte_emudev_attr_get(rte_emudev *dev, rte_emudev_attr *attr)
{
	return call(dev, [=] { return dev->ops->attr_get(dev->priv, attr); });
}

int
rte_emudev_attr_set(rte_emudev *dev, const rte_emudev_attr *attr)
{
	return call(dev, [=] { return dev->ops->attr_set(dev->priv, attr); });
}

int
rte_emudev_region_map(rte_emudev *dev, uint32_t region, volatile void **addr, uint64_t *size)
{
	return call(dev, [=] { return dev->ops->region_map(dev->priv, region, addr, size); });
}

/* --- telemetry --- */

static int
telemetry_list(const char *, const char *, rte_tel_data *out)
{
	rte_tel_data_start_array(out, RTE_TEL_STRING_VAL);
	std::lock_guard lock(registry_mutex);
	for (const auto &dev : registry)
		if (dev != nullptr)
			rte_tel_data_add_array_string(out, dev->name.c_str());
	return 0;
}

static int
telemetry_info(const char *, const char *params, rte_tel_data *out)
{
	static const char *const states[] = {"allocated", "configured", "started"};
	rte_emudev_info info;
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	int error = call_by_name(params,
				 [&](rte_emudev *dev) { return rte_emudev_info_get(dev, &info); });

	if (error != 0)
		return error;
	rte_ether_format_addr(mac, sizeof(mac), &info.mac);
	rte_tel_data_start_dict(out);
	rte_tel_data_add_dict_string(out, "name", info.name);
	rte_tel_data_add_dict_string(out, "driver", info.driver);
	rte_tel_data_add_dict_string(out, "type", info.type);
	rte_tel_data_add_dict_string(out, "state", states[info.state]);
	rte_tel_data_add_dict_string(out, "mac", mac);
	rte_tel_data_add_dict_int(out, "connected", info.connected);
	rte_tel_data_add_dict_int(out, "queue_pairs", info.queue_pairs);
	rte_tel_data_add_dict_int(out, "max_queue_pairs", info.max_queue_pairs);
	rte_tel_data_add_dict_int(out, "max_frame", info.max_frame);
	rte_tel_data_add_dict_int(out, "link_speed", static_cast<int>(info.link_speed));
	rte_tel_data_add_dict_int(out, "numa_node", info.numa_node);
	return 0;
}

RTE_INIT(emudev_telemetry)
{
	rte_telemetry_register_cmd("/emudev/list", telemetry_list,
				   "Returns the names of the emulated devices. No parameters");
	rte_telemetry_register_cmd("/emudev/info", telemetry_info,
				   "Returns what an emulated device is. Parameters: string name");
}
