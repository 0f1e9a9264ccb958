/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RTE_VFIO_USER_H
#define RTE_VFIO_USER_H

/**
 * @file
 * vfio-user: devices that one process implements and another process drives, over a UNIX socket.
 *
 * The protocol is specified in QEMU's docs/interop/vfio-user.rst (version 0.1 there); structures
 * and numbers below follow that document, section names are cited as [spec: ...].
 *
 * Server side: describe a device, register it on a socket path, start it. One control thread per
 * process serves all sockets, in turns; every callback runs on it, so callbacks need no lock
 * against each other, and must not block. Functions may be called from any thread unless they say
 * otherwise; off the control thread they wait until it has carried out the call.
 *
 * So who calls one off the control thread must not hold a lock that a callback takes: each would
 * wait for the other. No callback is called inside another one of the same device, but for the
 * completion of a DMA access, which may come before the function that asks for it returns.
 *
 * All of it works without an EAL too, server and client, in a program that never calls
 * rte_eal_init(). There is no telemetry then, and the log goes to standard error.
 *
 * All functions that return int return 0 (or a count) on success and a negative errno on failure:
 * -EINVAL also where a handle or another pointer is NULL that must not be; it may be where that is
 * said. What is for the control thread only is refused on another one with -EPERM.
 *
 * examples/serial and examples/dma are devices written with this header, examples/client drives
 * one.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_compat.h>

#include <rte_guest_mem.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/** @name PCI region indices, as in VFIO [spec: VFIO_USER_DEVICE_GET_REGION_INFO] */
/**@{*/
#define RTE_VFIO_USER_REGION_BAR0   0u
#define RTE_VFIO_USER_REGION_BAR1   1u
#define RTE_VFIO_USER_REGION_BAR2   2u
#define RTE_VFIO_USER_REGION_BAR3   3u
#define RTE_VFIO_USER_REGION_BAR4   4u
#define RTE_VFIO_USER_REGION_BAR5   5u
#define RTE_VFIO_USER_REGION_ROM    6u
#define RTE_VFIO_USER_REGION_CONFIG 7u
#define RTE_VFIO_USER_REGION_VGA    8u
#define RTE_VFIO_USER_PCI_REGIONS   9u /**< Number of regions of a PCI device. */
/**@}*/

/** @name PCI interrupt indices, as in VFIO [spec: VFIO_USER_DEVICE_GET_IRQ_INFO] */
/**@{*/
#define RTE_VFIO_USER_IRQ_INTX 0u
#define RTE_VFIO_USER_IRQ_MSI  1u
#define RTE_VFIO_USER_IRQ_MSIX 2u
#define RTE_VFIO_USER_IRQ_ERR  3u
#define RTE_VFIO_USER_IRQ_REQ  4u
#define RTE_VFIO_USER_PCI_IRQS 5u /**< Number of interrupt types of a PCI device. */
/**@}*/

/** @name Device flags [spec: VFIO_USER_DEVICE_GET_INFO] */
/**@{*/
#define RTE_VFIO_USER_DEVICE_RESET 0x1u /**< The device can be reset by message. */
#define RTE_VFIO_USER_DEVICE_PCI   0x2u
/**@}*/

/** @name Region flags [spec: VFIO_USER_DEVICE_GET_REGION_INFO] */
/**@{*/
#define RTE_VFIO_USER_REGION_READ  0x1u
#define RTE_VFIO_USER_REGION_WRITE 0x2u
#define RTE_VFIO_USER_REGION_MMAP  0x4u
#define RTE_VFIO_USER_REGION_CAPS  0x8u
/**@}*/

/** @name Interrupt flags [spec: VFIO_USER_DEVICE_GET_IRQ_INFO] */
/**@{*/
#define RTE_VFIO_USER_IRQ_EVENTFD    0x1u
#define RTE_VFIO_USER_IRQ_MASKABLE   0x2u
#define RTE_VFIO_USER_IRQ_AUTOMASKED 0x4u
#define RTE_VFIO_USER_IRQ_NORESIZE   0x8u
/**@}*/

/** Longest socket path in bytes, without the NUL (sun_path of sockaddr_un). */
#define RTE_VFIO_USER_PATH_MAX 107u

/** Most bytes in one region access that we take and ask for: what the specification has by default.
 * QEMU reads an option ROM by one access. */
#define RTE_VFIO_USER_MAX_DATA_XFER 1048576u

/** Most DMA regions that one client may have mapped at a time. */
#define RTE_VFIO_USER_MAX_DMA_REGIONS 65535u

/** A device at a socket, as its server sees it. */
struct rte_vfio_user_server;

/** A part of a region that the client may map. */
struct rte_vfio_user_area {
	uint64_t offset; /**< From the start of the region, a multiple of the page size. */
	uint64_t size;   /**< In bytes, a multiple of the page size. */
};

/** How accesses arrive by a file descriptor [spec: VFIO_USER_DEVICE_GET_REGION_IO_FDS]. */
enum rte_vfio_user_io_fd_type {
	RTE_VFIO_USER_IOEVENTFD = 0,
	RTE_VFIO_USER_IOREGIONFD = 1,
};

/** A part of a region whose accesses arrive by a file descriptor
 * [spec: VFIO_USER_DEVICE_GET_REGION_IO_FDS]. */
struct rte_vfio_user_io_fd {
	uint64_t offset;
	uint64_t size;
	uint64_t datamatch; /**< ioeventfd: the value to match; ioregionfd: user data. */
	enum rte_vfio_user_io_fd_type type;
	uint32_t flags; /**< KVM_IOEVENTFD_FLAG_* or KVM_IOREGION_*. */
	int fd;         /**< Borrowed until the server is unregistered; not 0, as for regions. */
};

/** One region of a device. A size of 0 means that the region does not exist. */
struct rte_vfio_user_region {
	uint64_t size;
	uint32_t flags; /**< RTE_VFIO_USER_REGION_READ, _WRITE and _MMAP. */
	/** Memory behind the mappable areas (with _MMAP), else -1. Borrowed until the server is
	 * unregistered. Seal it against truncation. With _MMAP 0 is refused: it is standard input,
	 * and what a structure holds that was only set to zeroes. */
	int fd;
	uint64_t fd_offset; /**< Where the region starts in the file. */
	/** Areas to offer as sparse mmap; with none, the whole region is mappable. At most 8. */
	const struct rte_vfio_user_area *areas;
	uint32_t nb_areas;
	/** With _MMAP and areas: a client that asks for "mapped_bars" in its version capabilities
	 * is offered the whole region instead. For clients that cannot trap accesses. */
	uint32_t map_whole_on_request;
	const struct rte_vfio_user_io_fd *io_fds; /**< At most 16. */
	uint32_t nb_io_fds;
};

/** One interrupt type of a device. */
struct rte_vfio_user_irq {
	uint32_t count; /**< Number of vectors, at most 2048; 0: not supported. */
	uint32_t flags; /**< RTE_VFIO_USER_IRQ_*. */
};

/** What a session negotiated [spec: VFIO_USER_VERSION]. */
struct rte_vfio_user_session {
	uint16_t major;
	uint16_t minor;
	uint32_t max_data_xfer; /**< Largest access the client takes, in bytes. */
	uint32_t max_msg_fds;   /**< Most file descriptors the client takes in one message. */
	uint8_t twin_socket;    /**< Server-to-client commands have a socket of their own. */
	uint8_t write_multiple; /**< The client may send VFIO_USER_REGION_WRITE_MULTI. */
	uint8_t mapped_bars;    /**< Regions with map_whole_on_request are offered whole. */
};

/** @name What rte_vfio_user_server_ops.update_device reports */
/**@{*/
#define RTE_VFIO_USER_UPDATE_DMA 0x1u /**< Regions were added to the DMA table. */
#define RTE_VFIO_USER_UPDATE_IRQ 0x2u /**< Interrupts were wired, unwired, masked or unmasked. */
/**@}*/

/**
 * What a device does. All run on the control thread and must not block. NULL members are allowed
 * but for region_read and region_write: who has no reset_device cannot be reset (-EOPNOTSUPP), and
 * of all else is not told. Each may use its own server, but not unregister it; if it disconnects
 * the client, memory_removed and destroy_device come after it has returned.
 */
struct rte_vfio_user_server_ops {
	/** The client reads @p count bytes (1 to RTE_VFIO_USER_MAX_DATA_XFER) at @p offset of a
	 * readable region; the range is inside the region. Return 0 or a negative errno. */
	int (*region_read)(void *ctx, uint32_t region, uint64_t offset, void *data, uint32_t count);
	/** Likewise for a write to a writable region. */
	int (*region_write)(void *ctx, uint32_t region, uint64_t offset, const void *data,
			    uint32_t count);
	/** A client has connected and agreed on a version. A negative errno refuses it. */
	int (*new_device)(void *ctx, const struct rte_vfio_user_session *session);
	/** The client is gone. Its DMA regions and interrupt descriptors are released already
	 * (after memory_removed()). */
	void (*destroy_device)(void *ctx);
	/** @p what is a set of RTE_VFIO_USER_UPDATE_*. */
	void (*update_device)(void *ctx, uint32_t what);
	/** VFIO_USER_DEVICE_RESET. Return 0 or a negative errno. */
	int (*reset_device)(void *ctx);
	/** To be there in a device whose data threads use the DMA table; all that a device need do
	 * about it (there is nothing to lock before and unlock after: no callback lock_data_path).
	 * All regions in the range from @p first to @p last have left the published DMA table, and
	 * go. Return only after no data thread uses them or an older table, or can begin to.
	 * What the published table holds may be used on: nobody who uses nothing else has to be
	 * held up. If first > last, no region goes, but older tables. */
	void (*memory_removed)(void *ctx, uint64_t first, uint64_t last);
	/** Periodic call, see rte_vfio_user_server_set_poll(). */
	void (*poll)(void *ctx);
	/** Goes on with what was put off, see rte_vfio_user_server_defer(). */
	void (*work)(void *ctx);
};

/** In struct rte_vfio_user_socket_rights: as the process and its umask make it. */
#define RTE_VFIO_USER_KEEP UINT32_MAX

/** Who may connect to a socket: those who may write to its file. In force before the first client
 * is accepted. */
struct rte_vfio_user_socket_rights {
	uint32_t mode;  /**< Permission bits, 0 to 0777, whatever the umask; or KEEP. */
	uint32_t owner; /**< User id, or KEEP. To give it away takes CAP_CHOWN. */
	uint32_t group; /**< Group id, or KEEP. Without CAP_CHOWN one of the process's groups. */
};

/** How large the structures of a description are where it is compiled, in bytes. Later versions of
 * the library may add members to each; they take 0 for what a description does not have yet. */
struct rte_vfio_user_sizes {
	uint32_t conf;   /**< struct rte_vfio_user_server_conf. */
	uint32_t ops;    /**< struct rte_vfio_user_server_ops. */
	uint32_t region; /**< struct rte_vfio_user_region. */
	uint32_t area;   /**< struct rte_vfio_user_area. */
	uint32_t io_fd;  /**< struct rte_vfio_user_io_fd. */
	uint32_t irq;    /**< struct rte_vfio_user_irq. */
	uint32_t rights; /**< struct rte_vfio_user_socket_rights. */
};

/** All there is to know about a device. Begin with rte_vfio_user_server_conf_init(). Copied at
 * registration but for what says "borrowed". */
struct rte_vfio_user_server_conf {
	struct rte_vfio_user_sizes sizes; /**< Set by rte_vfio_user_server_conf_init(). */
	const char *path; /**< Socket to listen on; a stale socket file is replaced. */
	const struct rte_vfio_user_server_ops *ops;
	void *ctx;           /**< First argument of each callback. */
	uint32_t flags;      /**< RTE_VFIO_USER_DEVICE_*. */
	uint32_t nb_regions; /**< At most 16. */
	const struct rte_vfio_user_region *regions;
	uint32_t nb_irqs; /**< At most 8. */
	const struct rte_vfio_user_irq *irqs;
	/** Of the socket's file; NULL: KEEP all. */
	const struct rte_vfio_user_socket_rights *rights;
	/** Most bytes that the memory files of a client may have in total, mapped or not; 0: any
	 * number. Who touches a page of such a file first is charged for it. */
	uint64_t max_memory;
	/**
	 * 1: who calls rte_vfio_user_server_irq_trigger() signals the client's event descriptor
	 * there and then; 0: a thread of the library does. The former saves that thread and waking
	 * it. But signalling calls all that wait for the descriptor, of which a client can have any
	 * number: it holds up the calling thread for as long as it likes. For clients that would
	 * not. Costs one descriptor for each interrupt that was ever wired.
	 */
	uint32_t irq_inline;
};

/** Sets the sizes of a description, and everything else to 0. Any thread. */
__rte_experimental
static inline void
rte_vfio_user_server_conf_init(struct rte_vfio_user_server_conf *conf)
{
	memset(conf, 0, sizeof(*conf));
	conf->sizes.conf = sizeof(struct rte_vfio_user_server_conf);
	conf->sizes.ops = sizeof(struct rte_vfio_user_server_ops);
	conf->sizes.region = sizeof(struct rte_vfio_user_region);
	conf->sizes.area = sizeof(struct rte_vfio_user_area);
	conf->sizes.io_fd = sizeof(struct rte_vfio_user_io_fd);
	conf->sizes.irq = sizeof(struct rte_vfio_user_irq);
	conf->sizes.rights = sizeof(struct rte_vfio_user_socket_rights);
}

/** Counters of a server since it was registered. */
struct rte_vfio_user_server_stats {
	uint64_t messages;        /**< Commands received. */
	uint64_t replies;         /**< Replies sent. */
	uint64_t errors;          /**< Commands answered with an error. */
	uint64_t connections;     /**< Clients accepted. */
	uint64_t refused;         /**< Clients turned away because one was connected already. */
	uint64_t protocol_errors; /**< Connections closed because the client broke the protocol, or
				       let us wait too long. */
	uint64_t dma_maps;
	uint64_t dma_unmaps;
	uint64_t dma_regions;   /**< Regions in the table now. */
	uint64_t dma_files;     /**< Memory files mapped now. */
	uint64_t memory_faults; /**< Clients dropped because they truncated a memory file. */
	uint64_t interrupts;    /**< Event descriptors signalled. */
};

/**
 * Creates a server for one device. It does not listen yet.
 *
 * @param[out] server
 *   The new server, owned by the caller until rte_vfio_user_server_unregister().
 * @return
 *   -EINVAL: the description is not valid (the log names the field); -ENAMETOOLONG: path;
 *   -EEXIST: another server of this process has the path.
 */
__rte_experimental
int rte_vfio_user_server_register(const struct rte_vfio_user_server_conf *conf,
				  struct rte_vfio_user_server **server);

/**
 * Creates the socket and begins to accept clients, one at a time; a second client is refused while
 * one is connected.
 *
 * @return -EADDRINUSE: another process listens on the path; -EALREADY; or an errno of bind(2), or
 * of chown(2) for the rights.
 */
__rte_experimental
int rte_vfio_user_server_start(struct rte_vfio_user_server *server);

/**
 * Disconnects the client (destroy_device is called), removes the socket and frees the server. Any
 * thread but the control thread, so not from a callback; no other thread may use the server any
 * more.
 *
 * @return -EDEADLK: on the control thread, nothing was done.
 */
__rte_experimental
int rte_vfio_user_server_unregister(struct rte_vfio_user_server *server);

/**
 * Disconnects the client, if any; the server goes on listening. For a client that misbehaves. When
 * it returns, destroy_device was called; but from an operation of the device the client gets no
 * reply any more, and the rest happens when the operation has returned.
 */
__rte_experimental
int rte_vfio_user_server_disconnect(struct rte_vfio_user_server *server);

/**
 * The place where the current DMA table is published. Load it with rte_guest_mem_get(), at
 * most once per burst, and use it only while memory_removed() would wait for you. Never NULL
 * inside; NULL without a server.
 */
__rte_experimental
const struct rte_guest_mem_table *const *
rte_vfio_user_server_dma_table(const struct rte_vfio_user_server *server);

/** Memory of a client that stays mapped. */
struct rte_vfio_user_memory_hold;

/**
 * Keeps all memory of the client mapped where it is, although the client may unmap it or go. For a
 * device that has handed parts of it to somebody who reads there for longer than memory_removed()
 * can wait: called there, it covers what is being removed. What the client does to its files
 * meanwhile (truncation) is survived, as before.
 *
 * Control thread. @return NULL without a server.
 */
__rte_experimental
struct rte_vfio_user_memory_hold *
rte_vfio_user_server_memory_hold(struct rte_vfio_user_server *server);

/** Ends a hold; NULL is none. Any thread, also after the server is gone; does not wait. */
__rte_experimental
void rte_vfio_user_memory_release(struct rte_vfio_user_memory_hold *hold);

/**
 * Signals an interrupt to the client. Any thread; takes no lock and does not block; one system call
 * at most, which wakes a thread of the library that writes the client's event descriptor: what
 * stands behind that costs the caller nothing. With irq_inline of the description the caller writes
 * it: one system call, now and then two, as long as the client makes it.
 *
 * @return
 *   1: signalled. 0: the client has masked it; it fires when unmasked. -ENOTCONN: the client has
 *   not wired it, nothing was signalled or kept; or it was being unwired, and nobody knows. A
 * caller that must not lose the event keeps it, and signals again when the interrupt is wired.
 *   -EINVAL: no such interrupt.
 */
__rte_experimental
int rte_vfio_user_server_irq_trigger(struct rte_vfio_user_server *server, uint32_t index,
				     uint32_t vector);

/** 1 if the client has given an event descriptor for the interrupt, else 0. Any thread, no lock. */
__rte_experimental
int rte_vfio_user_server_irq_wired(const struct rte_vfio_user_server *server, uint32_t index,
				   uint32_t vector);

/**
 * Completion of a DMA access. @p error is 0 or a negative errno: -ENOTCONN the client is gone, or
 * was disconnected because it did not answer for 5 s; -EPROTO its answer does not fit; what the
 * client answered; or why a message could not be sent.
 */
typedef void (*rte_vfio_user_dma_done)(void *ctx, int error);

/**
 * Reads client memory into @p data. Memory with a mapped file is copied at once and @p done is
 * called before the function returns; otherwise VFIO_USER_DMA_READ messages are sent and @p done is
 * called later on the control thread. Control thread only.
 *
 * @param data
 *   @p count bytes that stay valid until @p done is called.
 * @return
 *   0 if @p done was or will be called (exactly once); negative: it will not. -EFAULT: outside the
 *   DMA table; -EACCES: not allowed by the region; -ENOTCONN: no client; -EINVAL: no bytes; -EBUSY:
 *   64 wait; -EPERM: not on the control thread.
 */
__rte_experimental
int rte_vfio_user_server_dma_read(struct rte_vfio_user_server *server, uint64_t iova, void *data,
				  uint32_t count, rte_vfio_user_dma_done done, void *ctx);

/**
 * Writes client memory from @p data; otherwise like rte_vfio_user_server_dma_read(). A driver may
 * poll what is written: each byte is stored once, aligned words of up to 8 bytes whole, and the
 * first word last (of a range over several regions, in each). So a descriptor whose flags are in
 * its first word can be written as a whole.
 */
__rte_experimental
int rte_vfio_user_server_dma_write(struct rte_vfio_user_server *server, uint64_t iova,
				   const void *data, uint32_t count, rte_vfio_user_dma_done done,
				   void *ctx);

/** Calls ops.poll each @p interval_us microseconds from now on; 0 stops it. */
__rte_experimental
int rte_vfio_user_server_set_poll(struct rte_vfio_user_server *server, uint32_t interval_us);

/**
 * Whether the device may go on with work for its client. The control thread gives each client about
 * 1 ms, then the others get their turn. A device whose client can ask for much at once, such as a
 * ring of commands, asks between two steps, and puts off what is left when it gets 0. Control
 * thread only.
 *
 * @return 1: go on; 0: the share of this turn is used up; -EPERM: not on the control thread.
 */
__rte_experimental
int rte_vfio_user_server_has_turn(const struct rte_vfio_user_server *server);

/** Calls ops.work in the client's next turn, once however often this is called until then, also if
 * the client is gone by then. Control thread only, else -EPERM. */
__rte_experimental
int rte_vfio_user_server_defer(struct rte_vfio_user_server *server);

/** Copies the counters. */
__rte_experimental
int rte_vfio_user_server_stats_get(struct rte_vfio_user_server *server,
				   struct rte_vfio_user_server_stats *stats);

/**
 * Runs @p fn(@p arg) on the control thread and returns its result. On the control thread itself it
 * is a plain call. The way for application threads to touch state that the control thread owns. Not
 * from data threads: it waits. Without a server or client the thread is started for the call; if
 * that cannot be, the result is a negative errno.
 */
__rte_experimental
int rte_vfio_user_control_call(int (*fn)(void *arg), void *arg);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RTE_VFIO_USER_H */
