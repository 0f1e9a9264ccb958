/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "virtchnl_server.hpp"

/* The operations on rules of the flow director. */

namespace iavf {

vc_reply add_fdir_filter(device &dev, guard::bytes body);
vc_reply del_fdir_filter(device &dev, guard::bytes body);

} // namespace iavf
