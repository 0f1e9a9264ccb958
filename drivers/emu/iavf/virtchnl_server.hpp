/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <optional>
#include <vector>

#include <virtchnl.hpp>

namespace iavf {

class device;

/** What is to be answered; @p body is empty unless the operation says otherwise. */
struct vc_reply {
	vc_status status = vc_status::success;
	std::vector<std::byte> body;
	bool none = false; /**< The driver hears of the outcome in another way. */
};

/** Capabilities we can grant: those whose every operation and descriptor feature works. */
constexpr uint32_t vc_offered_caps =
	vc_cap::offload_l2 | vc_cap::req_queues | vc_cap::large_num_qpairs |
	/* Descriptors are written back at once, whether or not an interrupt may fire. */
	vc_cap::offload_wb_on_itr | vc_cap::adv_link_speed | vc_cap::offload_rx_flex_desc |
	vc_cap::offload_vlan | vc_cap::offload_vlan_v2 | vc_cap::offload_encap |
	vc_cap::offload_encap_csum | vc_cap::offload_uso | vc_cap::offload_rss_pf |
	vc_cap::offload_adv_rss_pf | vc_cap::offload_fdir_pf;

/** How an operation is answered. */
struct vc_service {
	bool served = false; /**< If not, with NOT_SUPPORTED. */
	uint32_t needs = 0;  /**< Of vc_cap: what must have been granted. */
};
vc_service vc_service_of(uint32_t op);

/** Carries out one message. @return Nothing if it is not answered. */
std::optional<vc_reply> vc_dispatch(device &dev, uint32_t op, guard::bytes body);

} // namespace iavf
