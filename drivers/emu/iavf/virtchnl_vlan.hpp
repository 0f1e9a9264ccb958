/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "virtchnl_server.hpp"

/* Handlers of the operations for VLAN tags, for the table in virtchnl_server.cpp. */

namespace iavf {

vc_reply get_offload_vlan_v2_caps(device &dev, guard::bytes body);
vc_reply add_vlan(device &dev, guard::bytes body);
vc_reply del_vlan(device &dev, guard::bytes body);
vc_reply enable_vlan_stripping(device &dev, guard::bytes body);
vc_reply disable_vlan_stripping(device &dev, guard::bytes body);
vc_reply add_vlan_v2(device &dev, guard::bytes body);
vc_reply del_vlan_v2(device &dev, guard::bytes body);
vc_reply enable_vlan_stripping_v2(device &dev, guard::bytes body);
vc_reply disable_vlan_stripping_v2(device &dev, guard::bytes body);
vc_reply enable_vlan_insertion_v2(device &dev, guard::bytes body);
vc_reply disable_vlan_insertion_v2(device &dev, guard::bytes body);

} // namespace iavf
