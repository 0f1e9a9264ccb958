/* SPDX-License-Identifier: BSD-3-Clause */
#include "negotiated.hpp"

#include <algorithm>

namespace iavf {

namespace {

/** The state after an event, by the state before. */
struct transition_row {
	vf_event event;
	std::string_view name;
	std::array<vf_state, 3> next;
};

constexpr std::array forgotten{vf_state::initial, vf_state::initial, vf_state::initial};
constexpr std::array set_up_anew{vf_state::initial, vf_state::negotiated, vf_state::negotiated};

/**
 * All transitions. A reset ends what was set up, not what was negotiated: drivers that live on do
 * not repeat VERSION after one of any kind, nor after they have restarted their admin queues, so
 * only a new machine forgets it. The other way round, VERSION alone ends nothing: Linux says it in
 * the middle of its work when a command takes long; see device::tell_resources(). PROHIBITED:
 * "resources" before "version"; the dispatcher of virtchnl refuses the message.
 */
constexpr transition_row transitions[] = {
	{vf_event::version,
	 "version",
	 {vf_state::negotiated, vf_state::negotiated, vf_state::active}},
	{vf_event::resources, "resources", {vf_state::initial, vf_state::active, vf_state::active}},
	{vf_event::queue_shutdown, "queue shutdown", set_up_anew},
	{vf_event::reset_vf, "RESET_VF", set_up_anew},
	{vf_event::request_queues, "REQUEST_QUEUES", set_up_anew},
	{vf_event::reset_by_host, "reset by the host", set_up_anew},
	{vf_event::flr, "function level reset", set_up_anew},
	{vf_event::device_reset, "device reset", set_up_anew},
	{vf_event::client_gone, "client gone", forgotten},
};

const transition_row &
row_of(vf_event event)
{
	return *std::ranges::find(transitions, event, &transition_row::event);
}

} // namespace

std::string_view
name_of(vf_event event)
{
	return row_of(event).name;
}

void
negotiated::apply(vf_event event)
{
	begins = event == vf_event::version;
	state = row_of(event).next[static_cast<size_t>(state)];
}

} // namespace iavf
