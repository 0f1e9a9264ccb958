/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "virtchnl_server.hpp"

/* Handlers of the operations for queues and their vectors, for the table in virtchnl_server.cpp. */

namespace iavf {

vc_reply config_tx_queue(device &dev, guard::bytes body);
vc_reply config_rx_queue(device &dev, guard::bytes body);
vc_reply config_vsi_queues(device &dev, guard::bytes body);
vc_reply config_irq_map(device &dev, guard::bytes body);
vc_reply map_queue_vector(device &dev, guard::bytes body);
vc_reply enable_queues(device &dev, guard::bytes body);
vc_reply disable_queues(device &dev, guard::bytes body);
vc_reply enable_queues_v2(device &dev, guard::bytes body);
vc_reply disable_queues_v2(device &dev, guard::bytes body);
vc_reply request_queues(device &dev, guard::bytes body);
vc_reply get_max_rss_qregion(device &dev, guard::bytes body);

} // namespace iavf
