/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RTE_EMUDEV_H
#define RTE_EMUDEV_H

/**
 * @file
 * Emulated devices: what a device that is emulated here offers to the data path that serves it.
 *
 * Two sides meet in this library and do not know each other. The *provider* (an emulation driver
 * such as emu_iavf) owns registers, mailboxes and the transport to the driver in the guest. The
 * *back-end* (a data-path driver such as net_iavf_be) polls the rings. "Guest" means whoever drives
 * the device: the kernel of a virtual machine or another process.
 *
 * Queue directions are the guest's: *from guest* is what the guest transmits.
 *
 * Threads: control functions may be called from any application thread, also several at a time;
 * they are carried over to the provider's control thread, one after the other, and fail with
 * -ENODEV once the device is released. Events arrive on the control thread. Functions marked "data
 * thread" take no lock.
 *
 * So a caller must not hold a lock that a callback takes. Events that a call brings about, such as
 * STATE or those of rte_emudev_subscribe(), are delivered before it returns, and on the control
 * thread, where each function is a plain call, inside it: a back-end that calls one from its event
 * callback is called again in there.
 *
 * The core works without an EAL too, in a program that never calls rte_eal_init(); there is no
 * telemetry then.
 *
 * All functions that return int return 0 (or a count) on success and a negative errno on failure:
 * -EINVAL for a NULL argument, -ENOTSUP for what a device does not have.
 *
 * Structures that begin with struct_size may get more members. Who fills one, or has one filled,
 * sets that to its sizeof; what the other side knows beyond it is 0, and not written. (A back-end
 * that is newer than the library does not load.)
 *
 * Nothing here is about networks: that is in rte_emudev_net.h. examples/emudev is a device that is
 * none, with its back-end.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h> /* ssize_t: headers behind rte_ether.h use it, and do not ask for it. */

#include <rte_compat.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define RTE_EMUDEV_MAX_DEVICES 64 /**< Devices of one process. */
#define RTE_EMUDEV_NAME_MAX    64 /**< Bytes of a device name with its NUL. */

/**
 * An emulated device. What a look-up returns is valid until the device's vdev is removed, which the
 * application must not do meanwhile on another thread. For a back-end it is valid from
 * rte_emudev_subscribe() to rte_emudev_unsubscribe().
 */
struct rte_emudev;

struct rte_guest_mem_table;

/** Direction of a queue, seen from the guest. */
enum rte_emudev_dir {
	RTE_EMUDEV_FROM_GUEST = 0, /**< The guest transmits. */
	RTE_EMUDEV_TO_GUEST = 1,   /**< The guest receives. */
};

/** Where a device is in its life. */
enum rte_emudev_state {
	RTE_EMUDEV_ALLOCATED = 0, /**< Known, not configured. */
	RTE_EMUDEV_CONFIGURED,    /**< rte_emudev_configure() has succeeded. */
	RTE_EMUDEV_STARTED,       /**< The back-end serves the rings; the guest sees link up. */
};

/** What a device is. */
struct rte_emudev_info {
	uint32_t struct_size;           /**< Set by the caller. */
	char name[RTE_EMUDEV_NAME_MAX]; /**< Name of the device, that of its vdev. */
	const char *driver;             /**< Name of the provider, static. */
	const char *type;               /**< Kind of rings, such as "iavf"; static. */
	enum rte_emudev_state state;
	bool connected;           /**< A guest is attached. */
	uint16_t max_queue_pairs; /**< Most pairs of queues the device can have; one that has its
				   * queues in one direction only counts those. */
	uint16_t queue_pairs;     /**< Queue pairs offered to the guest. */
	int numa_node;            /**< Node of the guest's memory, -1 unknown. */
};

struct rte_emudev_net_conf;

/** What a back-end asks of a device. */
struct rte_emudev_conf {
	uint32_t struct_size; /**< Set by the caller. */
	uint16_t queue_pairs; /**< Queue pairs to offer, 1 to max_queue_pairs. Fewer are offered to
			       * the next driver only: one that is there may go on to use as many
			       * as it was told of, and the back-end serves them all. */
	/** Network devices, see rte_emudev_net.h; NULL leaves all that as it is. */
	const struct rte_emudev_net_conf *net;
};

/** An interrupt vector as a data thread sees it. */
struct rte_emudev_vector {
	/** Control register in memory shared with the guest, little-endian; NULL: the queue has no
	 * vector, and its driver polls. Valid as long as the device. */
	const volatile uint32_t *control;
	uint32_t enable_mask; /**< Any of these bits set: a pending event may be fired. */
	uint32_t force_mask;  /**< Any of these set as well: fire even without an event. */
	uint16_t index;       /**< For rte_emudev_irq_fire(). */
	uint8_t timer;        /**< Interval timer of the vector that throttles the queue. */
};

/**
 * The whole context of a queue: all that a back-end is told of it. Addresses are the guest's;
 * nothing here has been translated. A QUEUE event carries it whenever any of it changes while the
 * queue is enabled.
 */
struct rte_emudev_queue {
	uint32_t struct_size; /**< Set by the provider. */
	uint16_t index;
	enum rte_emudev_dir dir;
	bool enabled;       /**< The guest has configured and enabled the queue. */
	bool resumed;       /**< A back-end has served it before, and left it at head. */
	uint16_t head;      /**< Descriptor to begin at. */
	uint16_t size;      /**< Descriptors in the ring. */
	uint16_t desc_size; /**< Bytes of a descriptor. */
	bool more;          /**< Another queue follows at once: what is to be worked out of all of
			     * them can wait for the last. */
	/** To guest: how descriptors are written back, as the device's type numbers its formats
	 * (iavf: RXDID, 0 and 1 are the legacy one).
	 */
	uint8_t desc_format;
	uint64_t ring_iova;   /**< First descriptor, size * desc_size bytes. These are one piece in
			       * I/O addresses; in memory each page may be elsewhere. */
	uint32_t buffer_size; /**< To guest: bytes of each receive buffer. */
	uint32_t max_frame;   /**< To guest: largest frame to deliver, in bytes. */
	/** The doorbell: the guest's tail index in memory shared with it, little-endian. It changes
	 * at any time. NULL: there is none, and the queue cannot be served. Valid as long as the
	 * device. */
	const volatile uint32_t *tail;
	struct rte_emudev_vector vector;
};

/** The guest at the other end. */
struct rte_emudev_link {
	uint32_t struct_size; /**< Set by the provider. */
	bool connected;       /**< A guest is attached. */
	uint32_t speed;       /**< In Mbit/s; 0: there is no such thing. */
	int numa_node;        /**< Node of the guest's memory, -1 unknown. */
};

struct rte_emudev_net_config;

/** Attributes that can be read and set one by one. Kinds of devices have more. */
enum rte_emudev_attr_id {
	RTE_EMUDEV_ATTR_NUMA_NODE,   /**< i32: read only. */
	RTE_EMUDEV_ATTR_QUEUE_PAIRS, /**< u32: queue pairs the guest uses now; read only. */
	/** Set it, to any value, to reset the device, which announces that to the guest's driver;
	 * or read how often that was done (u32). */
	RTE_EMUDEV_ATTR_RESETS,
	RTE_EMUDEV_ATTR_CLASS = 256, /**< From here on: those of a kind of devices. */
};

#define RTE_EMUDEV_ATTR_BYTES 16 /**< Most bytes of a value. */

/** An attribute and its value. */
struct rte_emudev_attr {
	uint32_t id; /**< Of enum rte_emudev_attr_id, or of that of a kind of devices. */
	union {
		uint32_t u32;
		int32_t i32;
		uint8_t bytes[RTE_EMUDEV_ATTR_BYTES];
	};
};

/** What happened to a device. */
enum rte_emudev_event_type {
	/** All memory in the range rte_emudev_event.gone is no longer in the published table. There
	 * are no events LOCK and UNLOCK around a change: the table is never one that must not be
	 * used, and only what goes has to be waited for.
	 * Return only after no data thread uses it or can begin to: a ring in it ends, or goes on
	 * where it is now, and a burst that loaded an older table is over. Bursts that use nothing
	 * but what the table still holds may go on. If first > last, none has gone, but older
	 * tables go. */
	RTE_EMUDEV_EVENT_MEMORY_GONE,
	/** Memory was added; rings that could not be translated may be now. */
	RTE_EMUDEV_EVENT_MEMORY,
	/** A queue was enabled or disabled, or is another one now. Before returning from a disable
	 * no data thread may use the ring. */
	RTE_EMUDEV_EVENT_QUEUE,
	/** A guest connected or disconnected, or its driver came up or went away. */
	RTE_EMUDEV_EVENT_LINK,
	/** The guest has configured something beyond its queues. */
	RTE_EMUDEV_EVENT_CONFIG,
	/** The back-end itself has started or stopped the device. */
	RTE_EMUDEV_EVENT_STATE,
	/** The device is being released. Before returning from this no data thread may use anything
	 * of it; to unsubscribe is left to do, now or later. */
	RTE_EMUDEV_EVENT_REMOVE,
};

/** I/O virtual addresses from the first to the last. */
struct rte_emudev_range {
	uint64_t first, last;
};

/**
 * An event, and what is new by it. Whoever gets it copies what it needs: pointers are valid during
 * the call.
 */
struct rte_emudev_event {
	enum rte_emudev_event_type type;
	union {
		const struct rte_emudev_queue *queue; /**< QUEUE. */
		const struct rte_emudev_link *link;   /**< LINK. */
		enum rte_emudev_state state;          /**< STATE. */
		/** CONFIG of network devices, see rte_emudev_net.h. */
		const struct rte_emudev_net_config *net;
		struct rte_emudev_range gone; /**< MEMORY_GONE. */
	};
};

struct rte_emudev_net_backend_ops;

/** What a back-end hands in when it subscribes. */
struct rte_emudev_backend_ops {
	uint32_t struct_size; /**< Set by the back-end. */
	/** To be there. Control thread. May subscribe and unsubscribe nothing. */
	void (*event)(void *ctx, const struct rte_emudev_event *event);
	/** Of network devices, see rte_emudev_net.h; NULL: has none. */
	const struct rte_emudev_net_backend_ops *net;
};

struct rte_device;

/**
 * A driver of back-ends, for all devices whose rings are of one type. A device that brings its own
 * back-end along gets it from here, whoever has registered.
 */
struct rte_emudev_backend_driver {
	uint32_t struct_size; /**< Set by the driver. */
	const char *name;     /**< For the log; static. */
	const char *type;     /**< Kind of rings that it serves, as in rte_emudev_info; static. */
	/**
	 * Makes the back-end of a device, which subscribes to it.
	 * @param owner The DPDK device that it belongs to, by which applications find it: an ethdev
	 *   port has it as its device, and its name. NULL where the provider has none.
	 */
	int (*create)(struct rte_emudev *dev, struct rte_device *owner);
	/** Removes what create() has made, if it still exists: the application may have closed it.
	 */
	int (*destroy)(struct rte_device *owner);
	/**
	 * In a secondary process, optional: shows there what create() has made in the primary one,
	 * for an owner of the same name. destroy() ends that, too. There is no device there.
	 * @return -ENODEV: the primary process has no such thing.
	 */
	int (*show)(struct rte_device *owner);
};

/**
 * Registers a driver of back-ends, in a constructor mostly.
 *
 * @param driver All members set; to be kept until rte_emudev_backend_unregister().
 * @return -EINVAL: a member is missing; -EEXIST: the type has a driver.
 */
__rte_experimental
int rte_emudev_backend_register(const struct rte_emudev_backend_driver *driver);

/** Takes the driver out again. Back-ends that it has made stay, so do what they need of it. */
__rte_experimental
int rte_emudev_backend_unregister(const struct rte_emudev_backend_driver *driver);

/** Number of devices. */
__rte_experimental
uint16_t rte_emudev_count(void);

/** The device of that name, or NULL. */
__rte_experimental
struct rte_emudev *rte_emudev_get_by_name(const char *name);

/** The next device after @p previous (NULL: the first), or NULL. */
__rte_experimental
struct rte_emudev *rte_emudev_next(const struct rte_emudev *previous);

/**
 * Describes the device.
 * @param info struct_size set; filled as far as that goes.
 */
__rte_experimental
int rte_emudev_info_get(struct rte_emudev *dev, struct rte_emudev_info *info);

/**
 * Sets what the guest is offered. While stopped only (-EBUSY).
 * @return -ERANGE: a value outside its range; the log names it.
 */
__rte_experimental
int rte_emudev_configure(struct rte_emudev *dev, const struct rte_emudev_conf *conf);

/**
 * The back-end begins to serve the rings: it gets a STATE event, and the guest sees link up.
 * @return -EINVAL: not configured.
 */
__rte_experimental
int rte_emudev_start(struct rte_emudev *dev);

/** The back-end stops: the guest sees link down, its queues stay configured; a STATE event. */
__rte_experimental
int rte_emudev_stop(struct rte_emudev *dev);

/** Stops and forgets the configuration. */
__rte_experimental
int rte_emudev_close(struct rte_emudev *dev);

/**
 * Makes the caller the device's back-end. There is one at most (-EBUSY). Before this returns,
 * events have told all that there is: LINK, and QUEUE for each queue that is enabled. From then on
 * each change is told; nothing need be asked again.
 * @param ops What it points to is to be kept until rte_emudev_unsubscribe().
 * @param ctx First argument of each callback.
 */
__rte_experimental
int rte_emudev_subscribe(struct rte_emudev *dev, const struct rte_emudev_backend_ops *ops,
			 void *ctx);

/** Ends the subscription; no callback runs after the return. */
__rte_experimental
int rte_emudev_unsubscribe(struct rte_emudev *dev);

/** Where the current DMA table is published; see rte_guest_mem.h for how to read it. NULL: the
 * device reads and writes no memory. Any thread. */
__rte_experimental
const struct rte_guest_mem_table *const *rte_emudev_mem_table(struct rte_emudev *dev);

/** Memory of a guest that stays mapped. */
struct rte_emudev_memory_hold;

/**
 * Keeps all memory that is in the published table, or that a MEMORY_GONE event that is being
 * delivered takes out of it, mapped where it is until the hold is released: for a back-end that has
 * handed parts of it to somebody who reads there for longer than it can wait. It is not to be
 * written any more once it has gone.
 * @return NULL: the device cannot, or it is released.
 */
__rte_experimental
struct rte_emudev_memory_hold *rte_emudev_mem_hold(struct rte_emudev *dev);

/** Ends a hold; NULL is none. Any thread, also after the device is gone; does not wait. */
__rte_experimental
void rte_emudev_mem_release(struct rte_emudev_memory_hold *hold);

/**
 * Leaves a ring to the next back-end, which begins at descriptor @p head, if the guest does not
 * disable the queue before. For a stopped back-end, at its STATE event. Interrupts that are still
 * due are the next one's.
 * @return -EINVAL: no such queue, not enabled, or @p head is not in the ring.
 */
__rte_experimental
int rte_emudev_queue_leave(struct rte_emudev *dev, uint16_t queue, enum rte_emudev_dir dir,
			   uint16_t head);

/** Why a vector is to fire. */
enum rte_emudev_irq_cause {
	RTE_EMUDEV_IRQ_FORCED = 0, /**< Only because of a bit of force_mask. */
	RTE_EMUDEV_IRQ_EVENT = 1,  /**< Something happened. */
	/** The same, but nobody need hurry: the guest only gets back what it lent, or it was awake
	 * when it happened and may have seen it. One interval of the timer may pass before the
	 * vector fires, so that it tells of more at once. */
	RTE_EMUDEV_IRQ_PATIENT = 2,
};

/** What came of it. */
enum rte_emudev_irq_result {
	RTE_EMUDEV_IRQ_LATER = 0, /**< Not now: the caller keeps it pending, and tries again. */
	RTE_EMUDEV_IRQ_FIRED = 1, /**< Done, or there is no such vector and nobody waits. */
};

/**
 * Fires a vector if the guest has enabled it and its interval timer allows. Data thread; takes
 * no lock, does not block, and is normally one system call when it fires, at a price that no client
 * sets, unless the provider was told to trust it (emu_iavf: irq-inline=1).
 *
 * @param vector, timer From rte_emudev_queue.vector.
 */
__rte_experimental
enum rte_emudev_irq_result rte_emudev_irq_fire(struct rte_emudev *dev, uint16_t vector,
					       uint8_t timer, enum rte_emudev_irq_cause cause);

/** Reads attr->id into the value. -ENOTSUP: no such attribute. */
__rte_experimental
int rte_emudev_attr_get(struct rte_emudev *dev, struct rte_emudev_attr *attr);

/** Sets an attribute. -EROFS: read only; -EINVAL: value out of range; -ENOTSUP: none such. */
__rte_experimental
int rte_emudev_attr_set(struct rte_emudev *dev, const struct rte_emudev_attr *attr);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RTE_EMUDEV_H */
