/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RTE_EMUDEV_DRIVER_H
#define RTE_EMUDEV_DRIVER_H

/**
 * @file
 * The provider's side of an emulated device; for emulation drivers.
 */

#include <rte_emudev.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct rte_device;

struct rte_emudev_net_ops;

/**
 * What a provider implements. Two members are needed, info_get and control_call; of the others it
 * has those that its device needs. Without one of the life cycle, or push, there is nothing to do
 * at that moment; without another one, the call that wants it fails with -ENOTSUP.
 *
 * The library has checked the arguments and the device's state before it calls. Ops are called on
 * the provider's control thread, but for three: irq_fire runs on data threads and takes no lock,
 * mem_table on any thread, and control_call carries the others over.
 */
struct rte_emudev_ops {
	uint32_t struct_size; /**< Set by the provider. */
	/** To be there; sets driver and type at least. The library has filled name and state, and
	 * set numa_node to -1 and all else to 0. */
	int (*info_get)(void *priv, struct rte_emudev_info *info);
	/** To be there. Runs @p fn(@p arg) where events are delivered, waits, and returns its
	 * result; there already, it is a plain call: it has to be re-entrant, as @p fn leads to ops
	 * and events which call it again. Not for one device: callers may come for one that has
	 * been released meanwhile. rte_vfio_user_control_call() is one. */
	int (*control_call)(int (*fn)(void *arg), void *arg);
	/* Life cycle. */
	int (*configure)(void *priv, const struct rte_emudev_conf *conf);
	int (*start)(void *priv);
	int (*stop)(void *priv);
	int (*close)(void *priv);
	/** Tells a new back-end, by rte_emudev_notify(), all that there is: LINK, CONFIG, and QUEUE
	 * for each queue that is enabled. */
	void (*push)(void *priv);
	/* The rest. */
	const struct rte_guest_mem_table *const *(*mem_table)(void *priv);
	int (*queue_leave)(void *priv, uint16_t queue, enum rte_emudev_dir dir, uint16_t head);
	enum rte_emudev_irq_result (*irq_fire)(void *priv, uint16_t vector, uint8_t timer,
					       enum rte_emudev_irq_cause cause);
	int (*attr_get)(void *priv, struct rte_emudev_attr *attr);
	int (*attr_set)(void *priv, const struct rte_emudev_attr *attr);
	/** Of a network device, see rte_emudev_net_driver.h; kept. NULL: it is none. */
	const struct rte_emudev_net_ops *net;
	/** Keeps the guest's memory mapped, see rte_emudev_mem_hold(), until mem_release, which any
	 * thread calls and which may come after the device is released. Both or none. */
	void *(*mem_hold)(void *priv);
	void (*mem_release)(void *hold);
};

/**
 * Enters a device into the registry, in state ALLOCATED.
 *
 * @param name Unique, shorter than RTE_EMUDEV_NAME_MAX.
 * @param device The DPDK device behind it; NULL: there is none.
 * @param ops Copied.
 * @param priv First argument of each op.
 * @return -EEXIST: name taken; -ENOSPC: RTE_EMUDEV_MAX_DEVICES reached; -EINVAL.
 */
__rte_experimental
int rte_emudev_allocate(const char *name, struct rte_device *device,
			const struct rte_emudev_ops *ops, void *priv, struct rte_emudev **dev);

/**
 * Sends REMOVE to the back-end, closes the device and takes it out of the registry. No op is called
 * after the return, and the handle is not to be used any more: where messages of the guest may
 * still come, call it on the control thread and forget the handle there.
 */
__rte_experimental
int rte_emudev_release(struct rte_emudev *dev);

/**
 * Gives the device a back-end of its own, by the driver that is registered for its type; it belongs
 * to the DPDK device given at allocation. For the vdev's probe: not on
 * the control thread, and not on two threads at a time for one device.
 *
 * @return -ENOENT: no driver serves the type, the log names it; -EEXIST: it has one from here; or
 *   what the driver's create() has returned.
 */
__rte_experimental
int rte_emudev_backend_attach(struct rte_emudev *dev);

/** Removes what rte_emudev_backend_attach() has made, if anything; before the device is released,
 * on the same terms. */
__rte_experimental
int rte_emudev_backend_detach(struct rte_emudev *dev);

/**
 * In a secondary process, for the vdev's probe: shows the back-end that the device of this name has
 * in the primary process. There is nothing else of the device.
 * @param type Kind of rings that the device has.
 * @return -ENOENT: no driver serves the type; -ENOTSUP: it has nothing for secondary processes; or
 *   what the driver's show() has returned.
 */
__rte_experimental
int rte_emudev_backend_show(const char *type, struct rte_device *device);

/** Ends what rte_emudev_backend_show() has begun, if anything. */
__rte_experimental
int rte_emudev_backend_hide(const char *type, struct rte_device *device);

/**
 * Delivers an event to the back-end, if there is one. Control thread only.
 * @return -EINVAL: nothing is at the event's pointer, or struct_size is not set there.
 */
__rte_experimental
int rte_emudev_notify(struct rte_emudev *dev, const struct rte_emudev_event *event);

/** The DPDK device given at allocation; not for NULL. Any thread. */
__rte_experimental
struct rte_device *rte_emudev_device(const struct rte_emudev *dev);

/** Whether the back-end has started the device; NULL is not. Any thread. */
__rte_experimental
bool rte_emudev_started(const struct rte_emudev *dev);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RTE_EMUDEV_DRIVER_H */
