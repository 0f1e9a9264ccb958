/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RTE_EMUDEV_NET_H
#define RTE_EMUDEV_NET_H

/**
 * @file
 * Emulated network devices: what rte_emudev.h says of any device, and what it leaves to them.
 *
 * Whatever a guest or a host configures is a member of a structure that travels as a whole: what is
 * new later becomes another member. Threads and errors are as in rte_emudev.h.
 */

#include <sys/types.h> /* ssize_t, which rte_ether.h needs if the C standard is strict */

#include <rte_ether.h>

#include <rte_emudev.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/** What a network device is, besides struct rte_emudev_info. */
struct rte_emudev_net_info {
	uint32_t struct_size;      /**< Set by the caller. */
	uint16_t max_frame;        /**< Largest frame in bytes, without CRC. */
	uint16_t max_mtu;          /**< Largest MTU in bytes. */
	uint32_t link_speed;       /**< In Mbit/s. */
	struct rte_ether_addr mac; /**< MAC address of the device in the guest. */
};

/** What a back-end asks of a network device, besides struct rte_emudev_conf. */
struct rte_emudev_net_conf {
	uint32_t struct_size; /**< Set by the caller. */
	uint16_t mtu;         /**< Largest MTU the guest may set, in bytes (68 to max_mtu). */
};

/** What the guest is told of its link. */
enum rte_emudev_net_link_state {
	/** What the application has set for its port, see RTE_EMUDEV_NET_ATTR_PORT_LINK. */
	RTE_EMUDEV_NET_LINK_AUTO,
	RTE_EMUDEV_NET_LINK_UP,   /**< Up, whatever that is; while the back-end serves the rings. */
	RTE_EMUDEV_NET_LINK_DOWN, /**< Down, and the guest is not served. */
};

/**
 * Attributes of network devices. Those from TRUST on are the policy of the host, for whoever
 * administrates it; a change that a guest's driver has to know of resets the device, as one of MAC
 * does. Such a reset is announced to the driver.
 */
enum rte_emudev_net_attr_id {
	/** bytes: MAC of the device, given by the administrator. Resets the device. */
	RTE_EMUDEV_NET_ATTR_MAC = RTE_EMUDEV_ATTR_CLASS,
	RTE_EMUDEV_NET_ATTR_MTU,        /**< u32: largest MTU offered to the guest. */
	RTE_EMUDEV_NET_ATTR_LINK_SPEED, /**< u32: Mbit/s. */
	/** u32: 0 if the application has set the link of its port down; by the back-end. */
	RTE_EMUDEV_NET_ATTR_PORT_LINK,
	/** u32: whether the guest may set promiscuous modes, and change a MAC that was given.
	 * Resets. */
	RTE_EMUDEV_NET_ATTR_TRUST,
	RTE_EMUDEV_NET_ATTR_SPOOFCHK, /**< u32: whether the sources of its frames are checked. */
	/** u32: the tag of its port VLAN, type and TCI as it stands on the wire; 0: none. Resets.
	 */
	RTE_EMUDEV_NET_ATTR_PORT_VLAN,
	RTE_EMUDEV_NET_ATTR_MAX_RATE,   /**< u32: most Mbit/s from the guest, 0: no limit. */
	RTE_EMUDEV_NET_ATTR_LINK_STATE, /**< u32: of enum rte_emudev_net_link_state. */
	/** u32: most addresses that it may add. Fewer than before reset. */
	RTE_EMUDEV_NET_ATTR_MAX_MACS,
	RTE_EMUDEV_NET_ATTR_MAX_MCAST, /**< u32: most of these that are of groups. Likewise. */
	/** u32: least Mbit/s that the guest is to have; not above MAX_RATE, unless that is 0. */
	RTE_EMUDEV_NET_ATTR_MIN_RATE,
};

/** Frames that a guest wants though they are not addressed to it; bits. */
enum rte_emudev_net_promiscuous {
	RTE_EMUDEV_NET_PROMISCUOUS_UNICAST = 1 << 0,
	RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST = 1 << 1,
};

/** Types of VLAN tags, by which filters are kept. */
enum rte_emudev_net_vlan_type {
	RTE_EMUDEV_NET_VLAN_8100, /**< IEEE 802.1Q. */
	RTE_EMUDEV_NET_VLAN_88A8, /**< IEEE 802.1ad. */
	RTE_EMUDEV_NET_VLAN_9100, /**< What came before 802.1ad. */
	RTE_EMUDEV_NET_VLAN_TYPES,
};

/** The VLANs of which a guest wants frames: bit n % 64 of word n / 64 is that of VLAN n. */
struct rte_emudev_net_vlan_ids {
	uint64_t of[RTE_EMUDEV_NET_VLAN_TYPES][64];
};

/**
 * What becomes of VLAN tags between a guest's frames and its descriptors. Types are those on the
 * wire (0x8100, 0x88a8, 0x9100). The first tag of a frame is the outer one, also if it is alone.
 */
struct rte_emudev_net_vlan {
	/** Type of an outer tag that leaves a frame to the guest for its descriptor; 0: none. */
	uint16_t strip_outer;
	/** The same for the tag behind the outer one. It goes to the first field for tags. */
	uint16_t strip_inner;
	/** Type of the tag in the second field of a frame from the guest, which goes in front of
	 * that in the first; the latter is 0x8100. 0: 0x8100. */
	uint16_t insert_outer;
	/** Whether an outer tag goes to the second field for tags. */
	uint8_t outer_in_second;
	uint8_t pad;
	/** Frames with an outer tag of other VLANs are not wanted; valid during the event. NULL:
	 * all are wanted. */
	const struct rte_emudev_net_vlan_ids *ids;
};

/** Packets that RSS tells apart, by the first IP header and what follows it. */
enum rte_emudev_net_rss_type {
	RTE_EMUDEV_NET_RSS_IPV4, /**< With none of the following. */
	RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT,
	RTE_EMUDEV_NET_RSS_IPV4_TCP,
	RTE_EMUDEV_NET_RSS_IPV4_UDP,
	RTE_EMUDEV_NET_RSS_IPV4_SCTP,
	RTE_EMUDEV_NET_RSS_IPV6, /**< In the same order. */
	RTE_EMUDEV_NET_RSS_IPV6_FRAGMENT,
	RTE_EMUDEV_NET_RSS_IPV6_TCP,
	RTE_EMUDEV_NET_RSS_IPV6_UDP,
	RTE_EMUDEV_NET_RSS_IPV6_SCTP,
	RTE_EMUDEV_NET_RSS_TYPES,
};

/** What of a packet is hashed, in this order, one behind the other; bits. */
enum rte_emudev_net_rss_field {
	RTE_EMUDEV_NET_RSS_ETH_SRC = 1 << 0,
	RTE_EMUDEV_NET_RSS_ETH_DST = 1 << 1,
	RTE_EMUDEV_NET_RSS_OUTER_VLAN = 1 << 2, /**< Of two tags: 16 bits, with the priority 0. */
	RTE_EMUDEV_NET_RSS_VLAN = 1 << 3,       /**< Of the last tag. */
	RTE_EMUDEV_NET_RSS_SRC_ADDRESS = 1 << 4,
	RTE_EMUDEV_NET_RSS_DST_ADDRESS = 1 << 5,
	RTE_EMUDEV_NET_RSS_SRC_PREFIX = 1 << 6, /**< IPv6: its first 64 bits. */
	RTE_EMUDEV_NET_RSS_DST_PREFIX = 1 << 7,
	RTE_EMUDEV_NET_RSS_FRAGMENT_ID = 1 << 8, /**< As long as it is in the header. */
	RTE_EMUDEV_NET_RSS_SRC_PORT = 1 << 9,
	RTE_EMUDEV_NET_RSS_DST_PORT = 1 << 10,
	/** Both of a pair are replaced by their exclusive or, so that both directions of a flow
	 * have one hash; one that is alone stays as it is. */
	RTE_EMUDEV_NET_RSS_SYMMETRIC = 1 << 15,
};

/** Hash functions of RSS. */
enum rte_emudev_net_rss_function {
	/** With a key; where that ends it begins anew. */
	RTE_EMUDEV_NET_RSS_TOEPLITZ,
	/** Exclusive or of all words of 32 bits, the last one with zeroes behind it. */
	RTE_EMUDEV_NET_RSS_XOR,
};

#define RTE_EMUDEV_NET_RSS_KEY_SIZE 52  /**< Bytes of a key. */
#define RTE_EMUDEV_NET_RSS_MAX_LUT  512 /**< Entries of a table. */

/** How a guest wants packets to be spread over its queues. What is not used is 0. */
struct rte_emudev_net_rss {
	uint16_t function; /**< Of enum rte_emudev_net_rss_function. */
	uint16_t lut_size; /**< Entries of the table; a power of 2. */
	/** By type: what is hashed of such a packet; 0: nothing, and it goes where entry 0 says. */
	uint16_t fields[RTE_EMUDEV_NET_RSS_TYPES];
	uint8_t key[RTE_EMUDEV_NET_RSS_KEY_SIZE];
	/** Queues, by the lowest bits of the hash; they need not exist. */
	uint16_t lut[RTE_EMUDEV_NET_RSS_MAX_LUT];
};

/** Bounds of what a guest may have: flows, and combinations of needs and masks among them. */
#define RTE_EMUDEV_NET_MAX_FLOWS      128
#define RTE_EMUDEV_NET_MAX_FLOW_MASKS 16

/** Headers of a frame, as on the wire: those bytes of each that a flow can name. */
struct rte_emudev_net_headers {
	uint8_t l2[14]; /**< Addresses, and the type behind VLAN tags. */
	uint8_t pad[2];
	uint8_t l3[40]; /**< Of IPv4 the first 20 bytes. */
	uint8_t l4[32]; /**< What follows IP and its extension headers, and a part of its payload.
			 */
};

/** What a frame must be for a flow; bits. */
enum rte_emudev_net_flow_needs {
	RTE_EMUDEV_NET_FLOW_IPV4 = 1 << 0,
	RTE_EMUDEV_NET_FLOW_IPV6 = 1 << 1,
	RTE_EMUDEV_NET_FLOW_PROTOCOL = 1 << 2, /**< What IP carries is that of the flow. */
	RTE_EMUDEV_NET_FLOW_WHOLE = 1 << 3,    /**< IP, and no fragment. */
	RTE_EMUDEV_NET_FLOW_FRAGMENT = 1 << 4,
};

/** What becomes of the frames of a flow. */
enum rte_emudev_net_flow_action {
	RTE_EMUDEV_NET_FLOW_PASS, /**< What would become of them without the flow. */
	RTE_EMUDEV_NET_FLOW_DROP,
	RTE_EMUDEV_NET_FLOW_QUEUE, /**< They go to a queue, or by their hash to one of several. */
};

/** Frames that a guest wants to be treated apart, and how. */
struct rte_emudev_net_flow {
	uint32_t id;      /**< By which the guest knows it. */
	uint16_t needs;   /**< Of enum rte_emudev_net_flow_needs. */
	uint16_t rank;    /**< Of several flows of a frame, the one that ranks highest counts. */
	uint8_t protocol; /**< Of IP, behind extension headers. */
	uint8_t action;   /**< Of enum rte_emudev_net_flow_action. */
	uint8_t has_mark; /**< Whether the guest is to find the mark in the descriptor. */
	uint8_t pad;
	uint16_t queue;  /**< First of the queues. */
	uint16_t queues; /**< A power of 2. */
	uint32_t mark;
	struct rte_emudev_net_headers spec; /**< 0 where the mask is. */
	struct rte_emudev_net_headers mask;
};

/**
 * What the administrator of the host has decided, which stands above what the guest configures. All
 * 0: nothing.
 */
struct rte_emudev_net_policy {
	/** The guest is not served, as if its cable were unplugged. */
	uint8_t link_down;
	/** Frames from the guest whose source is neither its own address nor one of its filters are
	 * dropped. */
	uint8_t check_source;
	/** Type of a tag (0x8100, 0x88a8) that each frame from the guest gets in front of its own
	 * ones. Only frames with such a tag reach the guest, and they lose it. 0: none. */
	uint16_t port_vlan_type;
	/** The VLAN and, for frames from the guest, the priority in that tag. */
	uint16_t port_vlan_tci;
	uint16_t pad;
	/** Most Mbit/s from the guest, in bytes of frames without CRC; 0: any number. More than
	 * that waits in the guest's rings. */
	uint32_t max_rate;
	/** Mbit/s that the guest is to have before others with a rate, as long as it has frames;
	 * 0: it comes after them. Not above max_rate, unless that is 0. */
	uint32_t min_rate;
	/** Frames from the guest with an outer tag of other VLANs are dropped; valid during the
	 * event. NULL: none are. */
	const struct rte_emudev_net_vlan_ids *from_vlans;
};

/**
 * What a guest has configured beyond its queues, whole. A CONFIG event carries it whenever any of
 * it changes.
 */
struct rte_emudev_net_config {
	uint32_t struct_size;                 /**< Set by the provider. */
	uint32_t promiscuous;                 /**< Of enum rte_emudev_net_promiscuous. */
	struct rte_ether_addr mac;            /**< The guest's own address. */
	uint16_t nb_filters;                  /**< Further addresses that it wants. */
	const struct rte_ether_addr *filters; /**< These; valid during the event. */
	struct rte_emudev_net_vlan vlan;
	/** How packets are spread, valid during the event; NULL: the guest does not care. */
	const struct rte_emudev_net_rss *rss;
	uint16_t nb_flows;                       /**< At most RTE_EMUDEV_NET_MAX_FLOWS. */
	const struct rte_emudev_net_flow *flows; /**< These; valid during the event. */
	struct rte_emudev_net_policy policy;
};

/** Packets and bytes as the guest's statistics want them: without CRC. */
struct rte_emudev_net_stats {
	uint64_t from_guest_packets;
	uint64_t from_guest_bytes;
	uint64_t from_guest_multicast;
	uint64_t from_guest_broadcast;
	uint64_t from_guest_errors;
	uint64_t to_guest_packets;
	uint64_t to_guest_bytes;
	uint64_t to_guest_multicast;
	uint64_t to_guest_broadcast;
	uint64_t to_guest_dropped;
};

/** What a back-end of network devices hands in by rte_emudev_backend_ops.net. */
struct rte_emudev_net_backend_ops {
	uint32_t struct_size; /**< Set by the back-end. */
	/**
	 * Fills the sums over all queues since the back-end exists, for the guest. Control thread.
	 * @param stats All 0.
	 */
	void (*stats_get)(void *ctx, struct rte_emudev_net_stats *stats);
};

/**
 * Describes a network device.
 * @param info struct_size set; filled as far as that goes.
 * @return -ENOTSUP: the device is of another kind; -EINVAL: NULL, or struct_size not set.
 */
__rte_experimental
int rte_emudev_net_info_get(struct rte_emudev *dev, struct rte_emudev_net_info *info);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* RTE_EMUDEV_NET_H */
