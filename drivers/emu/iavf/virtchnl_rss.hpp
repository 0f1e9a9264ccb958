/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "virtchnl_server.hpp"

/* Handlers of the operations for RSS, for the table in virtchnl_server.cpp. */

namespace iavf {

vc_reply config_rss_hfunc(device &dev, guard::bytes body);
vc_reply config_rss_key(device &dev, guard::bytes body);
vc_reply config_rss_lut(device &dev, guard::bytes body);
vc_reply get_rss_hena_caps(device &dev, guard::bytes body);
vc_reply set_rss_hena(device &dev, guard::bytes body);
vc_reply add_rss_cfg(device &dev, guard::bytes body);
vc_reply del_rss_cfg(device &dev, guard::bytes body);

} // namespace iavf
