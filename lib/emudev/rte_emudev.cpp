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

#include "device.hpp"
#include "log.hpp"
#include "owner.hpp"

RTE_LOG_REGISTER_DEFAULT(emudev_logtype, NOTICE);

namespace emudev {

namespace {

std::mutex registry_mutex; /* guards the array below */
auto &registry = guard::lasting<std::array<std::shared_ptr<rte_emudev>, RTE_EMUDEV_MAX_DEVICES>>();

/** Drivers of back-ends, one for each type. Guarded by the mutex too. They come by constructors,
 * maybe before those of this file. */
auto &
backend_drivers()
{
	static auto &all = guard::lasting<std::vector<const rte_emudev_backend_driver *>>();
	return all;
}

const rte_emudev_backend_driver *
find_backend_driver(const char *type)
{
	std::lock_guard lock(registry_mutex);
	for (const rte_emudev_backend_driver *driver : backend_drivers())
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

/** Runs a callable there with the device of a name, which nobody keeps in existence for us. */
template <class F>
int
call_by_name(const char *name, F fn)
{
	decltype(rte_emudev_ops::control_call) control_call;
	{
		std::lock_guard lock(registry_mutex);
		rte_emudev *dev = name == nullptr ? nullptr : find(name);
		if (dev == nullptr)
			return -ENOENT;
		control_call = dev->ops.control_call;
	}
	return on_control_thread(control_call, [&] {
		rte_emudev *dev = rte_emudev_get_by_name(name);
		return dev == nullptr ? -ENOENT : fn(dev);
	});
}

/** Whether all is there that the library cannot do without. */
bool
is_complete(const rte_emudev_ops &ops)
{
	return ops.info_get != nullptr && ops.control_call != nullptr &&
	       (ops.net == nullptr || (is_filled(ops.net) && ops.net->info_get != nullptr));
}

/** Runs an op that is there, else fails. */
template <class... parameters, class... arguments>
int
run(rte_emudev *dev, int (*op)(void *, parameters...), arguments... args)
{
	return op == nullptr ? -ENOTSUP : op(dev->priv, args...);
}

/** Runs an op of the life cycle; without one there is nothing to do. */
template <class... parameters, class... arguments>
int
run_if_any(rte_emudev *dev, int (*op)(void *, parameters...), arguments... args)
{
	return op == nullptr ? 0 : op(dev->priv, args...);
}

int
check_conf(rte_emudev *dev, const rte_emudev_conf &conf)
{
	rte_emudev_info info{};

	info.struct_size = sizeof(info);
	if (int error = rte_emudev_info_get(dev, &info); error != 0)
		return error;
	if (conf.queue_pairs == 0 || conf.queue_pairs > info.max_queue_pairs) {
		EMUDEV_LOG(ERR, "%s: queue_pairs %u is not valid, allowed: 1 to %u", info.name,
			   conf.queue_pairs, info.max_queue_pairs);
		return -ERANGE;
	}
	return conf.net == nullptr ? 0 : check_net_conf(dev, *conf.net);
}

/** Gives the back-end @p event with what is new: a structure that its sender has filled. */
template <class T>
int
deliver(rte_emudev *dev, rte_emudev_event event, const T *rte_emudev_event::*payload)
{
	if (!is_filled(event.*payload))
		return -EINVAL;
	const T whole = known(*(event.*payload));

	event.*payload = &whole;
	dev->backend.event(dev->backend_ctx, &event);
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
	if (name == nullptr || dev == nullptr || !is_filled(ops) || !is_complete(known(*ops)))
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
	(*dev)->ops = known(*ops);
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
		dev->backend = {};
		rte_emudev_close(dev);
		dev->released = true;
		std::lock_guard lock(registry_mutex);
		place_of([dev](const auto &entry) { return entry.get() == dev; })->reset();
		return 0;
	});
}

int
rte_emudev_notify(rte_emudev *dev, const rte_emudev_event *event)
{
	if (dev == nullptr || event == nullptr)
		return -EINVAL;
	if (dev->backend.event == nullptr)
		return 0;
	switch (event->type) {
	case RTE_EMUDEV_EVENT_QUEUE:
		return deliver(dev, *event, &rte_emudev_event::queue);
	case RTE_EMUDEV_EVENT_LINK:
		return deliver(dev, *event, &rte_emudev_event::link);
	case RTE_EMUDEV_EVENT_CONFIG:
		return deliver(dev, *event, &rte_emudev_event::net);
	default:
		dev->backend.event(dev->backend_ctx, event);
		return 0;
	}
}

rte_device *
rte_emudev_device(const rte_emudev *dev)
{
	return dev->device;
}

bool
rte_emudev_started(const rte_emudev *dev)
{
	return dev != nullptr &&
	       __atomic_load_n(&dev->state, __ATOMIC_RELAXED) == RTE_EMUDEV_STARTED;
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
	if (!is_filled(info))
		return -EINVAL;
	return call(dev, [=] {
		rte_emudev_info filled{};
		filled.struct_size = sizeof(filled);
		std::memcpy(filled.name, dev->name.c_str(), dev->name.size() + 1);
		filled.state = dev->state;
		filled.numa_node = -1;
		int error = dev->ops.info_get(dev->priv, &filled);
		if (error == 0)
			hand_out(filled, info);
		return error;
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
	if (!is_filled(conf) || (conf->net != nullptr && !is_filled(conf->net)))
		return -EINVAL;
	return call(dev, [=] {
		if (dev->state == RTE_EMUDEV_STARTED)
			return -EBUSY;
		rte_emudev_conf wanted = known(*conf);
		rte_emudev_net_conf net{};
		if (wanted.net != nullptr) {
			net = known(*wanted.net);
			wanted.net = &net;
		}
		int error = check_conf(dev, wanted);
		if (error == 0)
			error = run_if_any(dev, dev->ops.configure, &wanted);
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
		int error = run_if_any(dev, dev->ops.start);
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
		return run_if_any(dev, dev->ops.stop);
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
		int closed = run_if_any(dev, dev->ops.close);
		return error != 0 ? error : closed;
	});
}

/* --- back-end --- */

int
rte_emudev_subscribe(rte_emudev *dev, const rte_emudev_backend_ops *ops, void *ctx)
{
	if (!is_filled(ops) || ops->event == nullptr || !is_complete(known(*ops).net))
		return -EINVAL;
	return call(dev, [=] {
		if (dev->backend.event != nullptr)
			return -EBUSY;
		dev->backend = known(*ops);
		dev->backend_ctx = ctx;
		{
			std::lock_guard lock(registry_mutex);
			dev->kept =
				*place_of([dev](const auto &entry) { return entry.get() == dev; });
		}
		if (dev->ops.push != nullptr)
			dev->ops.push(dev->priv);
		return 0;
	});
}

int
rte_emudev_unsubscribe(rte_emudev *dev)
{
	std::shared_ptr<rte_emudev> until_return;

	if (dev == nullptr)
		return -EINVAL;
	return on_control_thread(dev->ops.control_call, [&] {
		/* The guest's counters do not go back when the next one begins with its own. */
		keep_counters(dev);
		dev->backend = {};
		until_return = std::move(dev->kept);
		return 0;
	});
}

int
rte_emudev_backend_register(const rte_emudev_backend_driver *driver)
{
	if (!is_filled(driver) || driver->name == nullptr || driver->type == nullptr ||
	    driver->create == nullptr || driver->destroy == nullptr)
		return -EINVAL;
	if (find_backend_driver(driver->type) != nullptr) {
		EMUDEV_LOG(ERR, "back-end %s: type \"%s\" has a driver already", driver->name,
			   driver->type);
		return -EEXIST;
	}
	std::lock_guard lock(registry_mutex);
	backend_drivers().push_back(driver);
	return 0;
}

int
rte_emudev_backend_unregister(const rte_emudev_backend_driver *driver)
{
	std::lock_guard lock(registry_mutex);
	return std::erase(backend_drivers(), driver) == 1 ? 0 : -ENOENT;
}

/* The driver subscribes and looks around by calls of its own, so nothing is locked here. */
int
rte_emudev_backend_attach(rte_emudev *dev)
{
	rte_emudev_info info{};

	info.struct_size = sizeof(info);
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
	if (dev == nullptr)
		return -EINVAL;
	const rte_emudev_backend_driver *driver = std::exchange(dev->own_backend, nullptr);

	return driver == nullptr ? 0 : driver->destroy(dev->device);
}

int
rte_emudev_backend_show(const char *type, rte_device *device)
{
	if (type == nullptr || device == nullptr)
		return -EINVAL;
	const rte_emudev_backend_driver *driver = find_backend_driver(type);
	if (driver == nullptr) {
		EMUDEV_LOG(ERR, "no driver that is loaded serves rings of type \"%s\"", type);
		return -ENOENT;
	}
	const auto show = known(*driver).show;
	return show == nullptr ? -ENOTSUP : show(device);
}

int
rte_emudev_backend_hide(const char *type, rte_device *device)
{
	if (type == nullptr || device == nullptr)
		return -EINVAL;
	const rte_emudev_backend_driver *driver = find_backend_driver(type);

	return driver == nullptr ? -ENOENT : driver->destroy(device);
}

const rte_guest_mem_table *const *
rte_emudev_mem_table(rte_emudev *dev)
{
	return dev == nullptr || dev->ops.mem_table == nullptr ? nullptr
							       : dev->ops.mem_table(dev->priv);
}

/** A hold outlives the device. */
struct rte_emudev_memory_hold {
	void *what;
	decltype(rte_emudev_ops::mem_release) release;
};

rte_emudev_memory_hold *
rte_emudev_mem_hold(rte_emudev *dev)
{
	rte_emudev_memory_hold *out = nullptr;

	call(dev, [&] {
		if (dev->ops.mem_hold == nullptr || dev->ops.mem_release == nullptr)
			return -ENOTSUP;
		if (void *what = dev->ops.mem_hold(dev->priv); what != nullptr)
			out = new rte_emudev_memory_hold{what, dev->ops.mem_release};
		return 0;
	});
	return out;
}

void
rte_emudev_mem_release(rte_emudev_memory_hold *hold)
{
	if (hold == nullptr)
		return;
	hold->release(hold->what);
	delete hold;
}

int
rte_emudev_queue_leave(rte_emudev *dev, uint16_t queue, rte_emudev_dir dir, uint16_t head)
{
	return call(dev, [=] { return run(dev, dev->ops.queue_leave, queue, dir, head); });
}

rte_emudev_irq_result
rte_emudev_irq_fire(rte_emudev *dev, uint16_t vector, uint8_t timer, rte_emudev_irq_cause cause)
{
	if (dev == nullptr || dev->ops.irq_fire == nullptr)
		return RTE_EMUDEV_IRQ_FIRED;
	return dev->ops.irq_fire(dev->priv, vector, timer, cause);
}

int
rte_emudev_attr_get(rte_emudev *dev, rte_emudev_attr *attr)
{
	if (attr == nullptr)
		return -EINVAL;
	return call(dev, [=] { return run(dev, dev->ops.attr_get, attr); });
}

int
rte_emudev_attr_set(rte_emudev *dev, const rte_emudev_attr *attr)
{
	if (attr == nullptr)
		return -EINVAL;
	return call(dev, [=] { return run(dev, dev->ops.attr_set, attr); });
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

static void
describe_net(const rte_emudev_net_info &info, rte_tel_data *out)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];

	rte_ether_format_addr(mac, sizeof(mac), &info.mac);
	rte_tel_data_add_dict_string(out, "mac", mac);
	rte_tel_data_add_dict_int(out, "max_frame", info.max_frame);
	rte_tel_data_add_dict_int(out, "link_speed", static_cast<int>(info.link_speed));
}

static int
telemetry_info(const char *, const char *params, rte_tel_data *out)
{
	static const char *const states[] = {"allocated", "configured", "started"};
	rte_emudev_info info{};
	rte_emudev_net_info net{};
	bool is_net = false;

	info.struct_size = sizeof(info);
	net.struct_size = sizeof(net);
	int error = call_by_name(params, [&](rte_emudev *dev) {
		is_net = rte_emudev_net_info_get(dev, &net) == 0;
		return rte_emudev_info_get(dev, &info);
	});
	if (error != 0)
		return error;
	rte_tel_data_start_dict(out);
	rte_tel_data_add_dict_string(out, "name", info.name);
	rte_tel_data_add_dict_string(out, "driver", info.driver);
	rte_tel_data_add_dict_string(out, "type", info.type);
	rte_tel_data_add_dict_string(out, "state", states[info.state]);
	rte_tel_data_add_dict_int(out, "connected", info.connected);
	rte_tel_data_add_dict_int(out, "queue_pairs", info.queue_pairs);
	rte_tel_data_add_dict_int(out, "max_queue_pairs", info.max_queue_pairs);
	rte_tel_data_add_dict_int(out, "numa_node", info.numa_node);
	if (is_net)
		describe_net(net, out);
	return 0;
}

RTE_INIT(emudev_telemetry)
{
	rte_telemetry_register_cmd("/emudev/list", telemetry_list,
				   "Returns the names of the emulated devices. No parameters");
	rte_telemetry_register_cmd("/emudev/info", telemetry_info,
				   "Returns what an emulated device is. Parameters: string name");
}
