/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtchnl_fdir.hpp"

#include "device.hpp"
#include "flow_pattern.hpp"
#include "virtchnl_message.hpp"

namespace iavf {

namespace {

/** Queues of a region at most. */
constexpr uint8_t max_region = 7;

/** Takes over where frames go; false if there is no such queue. */
bool
aim(const vc_action &action, uint16_t queue_pairs, rte_emudev_net_flow &out)
{
	const auto to = guard::load<vc_action_queue>(std::span(action.detail), 0).value();
	const bool one = action.type == static_cast<int32_t>(vc_action_type::queue);

	if (!one && to.region > max_region)
		return false;
	out.action = RTE_EMUDEV_NET_FLOW_QUEUE;
	out.queue = to.index;
	out.queues = static_cast<uint16_t>(one ? 1 : 1 << to.region);
	return out.queue < queue_pairs && out.queues <= queue_pairs - out.queue;
}

/** Exactly one says where frames go; a mark may come besides. */
bool
read_actions(const vc_action_set &set, uint16_t queue_pairs, rte_emudev_net_flow &out)
{
	unsigned int destinations = 0, marks = 0;

	if (set.count < 0 || set.count > vc_action_set::max)
		return false;
	for (int32_t i = 0; i < set.count; i++) {
		const vc_action &action = set.actions[i];

		switch (static_cast<vc_action_type>(action.type)) {
		case vc_action_type::drop:
			out.action = RTE_EMUDEV_NET_FLOW_DROP;
			destinations++;
			break;
		case vc_action_type::passthru:
			out.action = RTE_EMUDEV_NET_FLOW_PASS;
			destinations++;
			break;
		case vc_action_type::queue:
		case vc_action_type::queue_region:
			if (!aim(action, queue_pairs, out))
				return false;
			destinations++;
			break;
		case vc_action_type::mark:
			out.has_mark = 1;
			out.mark = guard::load<uint32_t>(std::span(action.detail), 0).value();
			marks++;
			break;
		default: /* as those of an E810, VFs have no counters */
			return false;
		}
	}
	return destinations == 1 && marks <= 1;
}

template <guard::wire T>
vc_reply
reply(vc_status status, T answer, vc_fdir_status detail)
{
	answer.status = static_cast<int32_t>(detail);
	const guard::bytes body = guard::as_bytes(answer);
	return {status, {body.begin(), body.end()}};
}

} // namespace

/** Only what makes no sense is an error of the message: the status of the rule tells the rest. */
vc_reply
add_fdir_filter(device &dev, guard::bytes body)
{
	const auto wanted = header<vc_fdir_add>(body);
	vc_fdir_add answer{};

	if (wanted.vsi_id != vsi_id)
		return iavf::answer(vc_status::err_param);
	std::optional<rte_emudev_net_flow> flow = read_pattern(wanted.pattern);

	if (!flow || !read_actions(wanted.actions, dev.agreed().told_pairs, *flow))
		return reply(vc_status::err_param, answer, vc_fdir_status::invalid);
	flow->rank = rank_of(*flow);
	if (wanted.validate_only != 0)
		return reply(vc_status::success, answer, vc_fdir_status::success);
	flow_rules &rules = dev.session().rules();
	const vc_fdir_status can = rules.check(*flow);

	if (can != vc_fdir_status::success)
		return reply(vc_status::success, answer, can);
	answer.flow_id = rules.add(*flow);
	dev.push_config();
	return reply(vc_status::success, answer, can);
}

vc_reply
del_fdir_filter(device &dev, guard::bytes body)
{
	const auto wanted = header<vc_fdir_del>(body);

	if (wanted.vsi_id != vsi_id)
		return iavf::answer(vc_status::err_param);
	if (!dev.session().rules().remove(wanted.flow_id))
		return reply(vc_status::err_param, vc_fdir_del{}, vc_fdir_status::does_not_exist);
	dev.push_config();
	return reply(vc_status::success, vc_fdir_del{}, vc_fdir_status::success);
}

} // namespace iavf
