/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RTE_VFIO_USER_CLIENT_H
#define RTE_VFIO_USER_CLIENT_H

/**
 * @file
 * vfio-user, client side: drive a device that another process implements.
 *
 * The server is not trusted: replies are copied and checked before use, sizes and counts have
 * limits, and every wait has a time-out. All functions may be called from any thread, concurrently;
 * requests are matched with replies by message id. None that waits for the server may be called
 * from a callback of this library (-EDEADLK), since the thread that receives replies runs the
 * callbacks; from there one may cancel, set the deadline, and read what is known already.
 *
 * All functions that return int return 0 (or a count) on success and a negative errno on failure:
 * -EINVAL where a handle or another pointer is NULL that must not be; what the server answered;
 * -ETIMEDOUT (the connection is then closed, since the reply may still
 * come), -ECANCELED, -ENOTCONN (the server is gone), -EPROTO (the server broke the protocol; the
 * connection is closed).
 */

#include <rte_vfio_user.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/** A connection to a device. */
struct rte_vfio_user_client;

/** @name What to ask for in the version capabilities; the server may decline each */
/**@{*/
#define RTE_VFIO_USER_CLIENT_TWIN_SOCKET 0x1u /**< A socket for the server's commands. */
/** Whole mapping of regions that are otherwise trapped; for clients of plain loads and stores. */
#define RTE_VFIO_USER_CLIENT_MAPPED_BARS 0x2u
#define RTE_VFIO_USER_CLIENT_WRITE_MULTI 0x4u /**< VFIO_USER_REGION_WRITE_MULTI. */
/** Asks the server for nothing: attach_ms goes on after attach, for requests that belong to it,
 * until rte_vfio_user_client_deadline_set(). */
#define RTE_VFIO_USER_CLIENT_ATTACH_GOES_ON 0x8u
/**@}*/

/** How to attach. Begin with rte_vfio_user_client_conf_init(). */
struct rte_vfio_user_client_conf {
	/** Of this structure where it is compiled, set by rte_vfio_user_client_conf_init(). Later
	 * versions of the library take 0 for the members that it does not have yet. */
	uint32_t size;
	const char *path;    /**< The server's socket. */
	uint32_t flags;      /**< RTE_VFIO_USER_CLIENT_*. */
	uint32_t timeout_ms; /**< For each answer, 1 to 600000; 0: 5000. */
	uint32_t wait_ms;    /**< For the socket to appear and accept; 0: do not wait. */
	/** For all that attach asks of the server once it is connected, however it answers: 1 to
	 * 600000; 0: 30000, or timeout_ms if that is more. */
	uint32_t attach_ms;
	/** The server is gone or was closed for cause; not after cancel or detach. On the control
	 * thread, once, perhaps before attach has returned; may be NULL. @p error is negative:
	 * -ENOTCONN gone, -EPROTO it broke the protocol, -ETIMEDOUT no answer, -EFAULT it truncated
	 * memory that is mapped here. */
	void (*disconnected)(void *ctx, int error);
	void *ctx;
};

/** Sets the size, and everything else to 0. Any thread. */
__rte_experimental
static inline void
rte_vfio_user_client_conf_init(struct rte_vfio_user_client_conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	conf->size = sizeof(*conf);
}

/** A region as the server describes it. */
struct rte_vfio_user_client_region {
	uint32_t index;
	uint32_t flags;    /**< RTE_VFIO_USER_REGION_*. */
	uint64_t size;     /**< In bytes. */
	uint32_t nb_areas; /**< Mappable areas; without sparse ones 1, the whole region. */
	struct rte_vfio_user_area areas[16];
};

/** Actions on interrupts [spec: VFIO_USER_DEVICE_SET_IRQS]. */
enum rte_vfio_user_irq_action {
	RTE_VFIO_USER_IRQ_MASK,
	RTE_VFIO_USER_IRQ_UNMASK,
	RTE_VFIO_USER_IRQ_TRIGGER,
};

/** One write of rte_vfio_user_client_region_write_multi(), as the protocol has it. */
struct rte_vfio_user_write {
	uint64_t offset;
	uint32_t region;
	uint32_t count; /**< 1 to 8 bytes. */
	uint8_t data[8];
};

/** Counters of a client since it attached. */
struct rte_vfio_user_client_stats {
	uint64_t requests;
	uint64_t replies;
	uint64_t errors;     /**< Error replies. */
	uint64_t dma_reads;  /**< VFIO_USER_DMA_READ served. */
	uint64_t dma_writes; /**< VFIO_USER_DMA_WRITE served. */
	uint64_t refused;    /**< Server commands answered with an error. */
	uint64_t timeouts;   /**< Requests without an answer in time; each ends the connection. */
	uint64_t protocol_errors; /**< Messages against the protocol; each ends the connection. */
	uint64_t memory_faults;   /**< Truncations of shared memory; each ends the connection. */
	uint64_t dma_regions;     /**< Open now. */
	uint64_t dma_bytes;       /**< In those regions. */
	/** Descriptors held now: sockets, eventfd, files of regions, two for each wired interrupt.
	 */
	uint64_t fds;
};

/**
 * Connects, negotiates a version and asks for the device information.
 *
 * @param cancel_fd
 *   -1, or a descriptor that ends the wait with -ECANCELED when it becomes readable.
 * @return -EBUSY: too many descriptors of earlier connections to this path wait to be closed.
 */
__rte_experimental
int rte_vfio_user_client_attach(const struct rte_vfio_user_client_conf *conf, int cancel_fd,
				struct rte_vfio_user_client **client);

/**
 * Sets when the server must have answered all requests from now on, whatever each may take: for a
 * series of them that is to be over in time, as a driver's start. A request that has no answer then
 * ends with -ETIMEDOUT, and the connection with it.
 *
 * @param ms In milliseconds from now; 0 lifts it.
 */
__rte_experimental
int rte_vfio_user_client_deadline_set(struct rte_vfio_user_client *client, uint32_t ms);

/**
 * Ends the connection, unmaps every region mapping and frees the client. Call it when no other
 * thread uses the client any more; rte_vfio_user_client_cancel() sends those home that wait.
 */
__rte_experimental
int rte_vfio_user_client_detach(struct rte_vfio_user_client *client);

/** Makes all waiting and future requests fail with -ECANCELED; only detach is useful then. */
__rte_experimental
int rte_vfio_user_client_cancel(struct rte_vfio_user_client *client);

/** What was negotiated. */
__rte_experimental
int rte_vfio_user_client_session_get(struct rte_vfio_user_client *client,
				     struct rte_vfio_user_session *session);

/** The JSON that the server sent in its VERSION reply, valid as long as the client; "" if none.
 * NULL without a client. */
__rte_experimental
const char *rte_vfio_user_client_capabilities(struct rte_vfio_user_client *client);

/** Device flags (RTE_VFIO_USER_DEVICE_*) and the numbers of regions and interrupt types. */
__rte_experimental
int rte_vfio_user_client_device_info_get(struct rte_vfio_user_client *client, uint32_t *flags,
					 uint32_t *nb_regions, uint32_t *nb_irqs);

/** Describes a region. -EINVAL: no such region. */
__rte_experimental
int rte_vfio_user_client_region_info_get(struct rte_vfio_user_client *client, uint32_t index,
					 struct rte_vfio_user_client_region *region);

/** Describes an interrupt type. */
__rte_experimental
int rte_vfio_user_client_irq_info_get(struct rte_vfio_user_client *client, uint32_t index,
				      struct rte_vfio_user_irq *irq);

/**
 * Maps an area of a region (areas[area] of its description), owned by the client until detach.
 * @return -ENOTSUP: the server gave no descriptor for it; -ENODEV: its descriptor is not for a file
 *   of memory (memfd, tmpfs, hugetlbfs).
 */
__rte_experimental
int rte_vfio_user_client_region_map(struct rte_vfio_user_client *client, uint32_t index,
				    uint32_t area, void **addr);

/** Reads @p count bytes at @p offset of a region by message. */
__rte_experimental
int rte_vfio_user_client_region_read(struct rte_vfio_user_client *client, uint32_t index,
				     uint64_t offset, void *data, uint32_t count);

/** Writes a region by message. */
__rte_experimental
int rte_vfio_user_client_region_write(struct rte_vfio_user_client *client, uint32_t index,
				      uint64_t offset, const void *data, uint32_t count);

/** Writes several small values by one message. -ENOTSUP: not negotiated. */
__rte_experimental
int rte_vfio_user_client_region_write_multi(struct rte_vfio_user_client *client,
					    const struct rte_vfio_user_write *writes,
					    uint32_t count);

/**
 * Opens memory for the device's DMA.
 *
 * @param iova,size First I/O address and length, multiples of 4096.
 * @param flags RTE_GUEST_MEM_READ, RTE_GUEST_MEM_WRITE.
 * @param fd Memory file to pass, or -1: the server then accesses @p addr by messages. Our servers
 *   take memfd, tmpfs and hugetlbfs only (-ENODEV).
 * @param offset Where the memory starts in the file.
 * @param addr The memory in this process; used only with fd -1, valid until unmapped. It may be
 * polled: what a message of the server's writes is stored as rte_vfio_user_server_dma_write() does.
 */
__rte_experimental
int rte_vfio_user_client_dma_map(struct rte_vfio_user_client *client, uint64_t iova, uint64_t size,
				 uint32_t flags, int fd, uint64_t offset, void *addr);

/**
 * Withdraws memory; when it returns, the server has ended its accesses.
 * @return -ENOENT: exactly this range was not mapped. After any other failure the server's messages
 *   no longer reach the memory, but a server that has mapped its file may go on using it.
 */
__rte_experimental
int rte_vfio_user_client_dma_unmap(struct rte_vfio_user_client *client, uint64_t iova,
				   uint64_t size);

/**
 * Wires interrupts [start, start + count) to eventfds; fds NULL unwires them. A descriptor of -1
 * leaves its vector unwired. Split into as many messages as the server's limit on descriptors
 * needs.
 *
 * The eventfds stay the caller's: the server never gets them, so that it can neither read them nor
 * change how they are read. It signals eventfds of the library, and the control thread passes that
 * on (several signals in short order may become one). After unwiring nothing more comes.
 */
__rte_experimental
int rte_vfio_user_client_irq_wire(struct rte_vfio_user_client *client, uint32_t index,
				  uint32_t start, uint32_t count, const int *fds);

/** Masks, unmasks or triggers interrupts; TRIGGER with start and count 0 disables the type. */
__rte_experimental
int rte_vfio_user_client_irq_action(struct rte_vfio_user_client *client, uint32_t index,
				    uint32_t start, uint32_t count,
				    enum rte_vfio_user_irq_action action);

/** Resets the device. -EOPNOTSUPP: it cannot. */
__rte_experimental
int rte_vfio_user_client_reset(struct rte_vfio_user_client *client);

/** Copies the counters. */
__rte_experimental
int rte_vfio_user_client_stats_get(struct rte_vfio_user_client *client,
				   struct rte_vfio_user_client_stats *stats);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RTE_VFIO_USER_CLIENT_H */
