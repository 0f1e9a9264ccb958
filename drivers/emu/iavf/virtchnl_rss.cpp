/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtchnl_rss.hpp"

#include "device.hpp"
#include "virtchnl_message.hpp"

namespace iavf {

namespace {

/** Tells the back-end, if the driver has got what it wants. */
vc_reply
push_if(device &dev, bool done)
{
	if (!done)
		return answer(vc_status::err_param);
	dev.push_config();
	return {};
}

/** The bytes behind the header; as many as it says, whatever else has come. */
template <bool (rss::*set)(std::span<const uint8_t>)>
vc_reply
config_table(device &dev, guard::bytes body)
{
	const auto [vsi, length] = header<vc_rss_table>(body);
	std::vector<uint8_t> bytes(length);

	if (vsi != vsi_id)
		return answer(vc_status::err_param);
	for (uint16_t i = 0; i < length; i++)
		bytes[i] = element<vc_rss_table, uint8_t>(body, i);
	return push_if(dev, (dev.session().rss().*set)(bytes));
}

} // namespace

/** A PF knows one other function here, and takes all others for the first. */
vc_reply
config_rss_hfunc(device &dev, guard::bytes body)
{
	const auto wanted = header<vc_rss_hfunc>(body);

	if (wanted.vsi_id != vsi_id)
		return answer(vc_status::err_param);
	dev.session().rss().set_symmetric(static_cast<vc_rss_algorithm>(wanted.rss_algorithm) ==
					  vc_rss_algorithm::symmetric_toeplitz);
	return push_if(dev, true);
}

vc_reply
config_rss_key(device &dev, guard::bytes body)
{
	return config_table<&rss::set_key>(dev, body);
}

vc_reply
config_rss_lut(device &dev, guard::bytes body)
{
	return config_table<&rss::set_lut>(dev, body);
}

vc_reply
get_rss_hena_caps(device &, guard::bytes)
{
	const vc_rss_hena caps{rss::all_types};
	guard::bytes reply = guard::as_bytes(caps);
	return {vc_status::success, {reply.begin(), reply.end()}};
}

vc_reply
set_rss_hena(device &dev, guard::bytes body)
{
	return push_if(dev, dev.session().rss().set_types(header<vc_rss_hena>(body).types));
}

vc_reply
add_rss_cfg(device &dev, guard::bytes body)
{
	return push_if(dev, dev.session().rss().add(header<vc_rss_cfg>(body)));
}

vc_reply
del_rss_cfg(device &dev, guard::bytes body)
{
	return push_if(dev, dev.session().rss().remove(header<vc_rss_cfg>(body)));
}

} // namespace iavf
