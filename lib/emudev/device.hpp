/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "rte_emudev_net_driver.h"

/**
 * A device: what the registry knows of it. What changes belongs to the provider's control thread.
 * The registry and the subscription of a back-end keep it in existence.
 */
struct rte_emudev {
	std::string name;
	rte_device *device;
	rte_emudev_ops ops;
	void *priv;
	bool released = false; /**< priv is no longer to be used. */
	rte_emudev_state state = RTE_EMUDEV_ALLOCATED;
	rte_emudev_backend_ops backend{}; /**< Without an event function: there is none. */
	void *backend_ctx = nullptr;
	std::shared_ptr<rte_emudev> kept; /**< By the subscription. */
	/** Has made a back-end for the device; of the thread that probes and removes it. */
	const rte_emudev_backend_driver *own_backend = nullptr;
	/** Network devices: what the guest is told beyond the back-end's counters, modulo 2^64. */
	rte_emudev_net_stats net_offset{};
};

namespace emudev {

/** Whether somebody has filled a structure, and said how much of it. */
template <class T>
bool
is_filled(const T *given)
{
	return given != nullptr && given->struct_size >= sizeof(given->struct_size);
}

/** The structure as it is known here; what whoever has filled it does not know is 0. */
template <class T>
T
known(const T &given)
{
	T out{};

	std::memcpy(static_cast<void *>(&out), &given,
		    std::min<size_t>(given.struct_size, sizeof(out)));
	out.struct_size = sizeof(out);
	return out;
}

/** Fills the structure of a caller as far as the caller knows it. */
template <class T>
void
hand_out(T filled, T *wanted)
{
	filled.struct_size = wanted->struct_size;
	std::memcpy(static_cast<void *>(wanted), &filled,
		    std::min<size_t>(wanted->struct_size, sizeof(filled)));
}

/** Runs a callable where events are delivered. Nothing else is used of the device. */
template <class F>
int
on_control_thread(decltype(rte_emudev_ops::control_call) control_call, F fn)
{
	return control_call([](void *f) { return (*static_cast<F *>(f))(); }, &fn);
}

/** Runs a callable there, unless the device was released before its turn came. */
template <class F>
int
call(rte_emudev *dev, F fn)
{
	if (dev == nullptr)
		return -EINVAL;
	return on_control_thread(dev->ops.control_call,
				 [&] { return dev->released ? -ENODEV : fn(); });
}

/* rte_emudev_net.cpp; all on the control thread. */

/** Whether a back-end of network devices has what it needs. */
bool is_complete(const rte_emudev_net_backend_ops *ops);
/** Whether a device can be configured so; the log says why not. */
int check_net_conf(rte_emudev *dev, const rte_emudev_net_conf &conf);
/** Lets the guest's counters go on when the back-end goes. */
void keep_counters(rte_emudev *dev);

} // namespace emudev
