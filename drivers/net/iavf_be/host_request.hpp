/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "headers.hpp"
#include "offload.hpp"

namespace iavf_be {

/** What an application may enable on a Tx queue to have done to its frames. */
inline constexpr uint64_t request_offloads =
	RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
	RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_SCTP_CKSUM |
	RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM |
	RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_VXLAN_TNL_TSO |
	RTE_ETH_TX_OFFLOAD_GENEVE_TNL_TSO | RTE_ETH_TX_OFFLOAD_GRE_TNL_TSO |
	RTE_ETH_TX_OFFLOAD_IPIP_TNL_TSO | RTE_ETH_TX_OFFLOAD_UDP_TNL_TSO;

/** Flags of a mbuf that ask for something: such a frame may not be sent as it is. */
inline constexpr uint64_t request_flags =
	RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG |
	RTE_MBUF_F_TX_UDP_SEG | RTE_MBUF_F_TX_OUTER_IP_CKSUM | RTE_MBUF_F_TX_OUTER_UDP_CKSUM |
	RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_QINQ | RTE_MBUF_F_TX_MACSEC | RTE_MBUF_F_TX_SEC_OFFLOAD |
	RTE_MBUF_F_TX_IEEE1588_TMST;

inline bool
asks_for_something(const rte_mbuf &frame)
{
	return (frame.ol_flags & request_flags) != 0;
}

enum class request_verdict {
	good,
	disabled,  /**< The application has not enabled it, or could not. */
	malformed, /**< It contradicts itself or its frame. */
};

/** What a mbuf asks for. */
struct host_request {
	offload what; /**< Without a segment size: not TSO. */
	/* Where that ends of which checksums are to be inserted; the frame may be longer. */
	uint32_t l4_end = 0;
	uint32_t outer_end = 0;

	/** Reads the request of a mbuf on a queue with these offloads; it is only complete if it is
	 * good. Its frame is only read. */
	request_verdict decode(const rte_mbuf &frame, uint64_t offloads);

private:
	bool take_lengths(const rte_mbuf &frame);
	bool take_tunnel(const rte_mbuf &frame);
	bool take_ends(const uint8_t *front, uint32_t length);
	bool fits(const uint8_t *front) const;
};

} // namespace iavf_be
