/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <optional>
#include <vector>

#include <rte_common.h>

#include <device_arguments.hpp>

#include "devargs.hpp"
#include "log.hpp"
#include "registry.hpp"

/* The commands of telemetry, which come on a thread of their own: those that act. */

namespace iavf {

namespace {

int
telemetry_list(const char *, const char *, rte_tel_data *out)
{
	rte_tel_data_start_array(out, RTE_TEL_STRING_VAL);
	each_device_name([out](const char *name) { rte_tel_data_add_array_string(out, name); });
	return 0;
}

/** What is to change: key=value, as the arguments of the device. */
struct change {
	policy wanted;
	std::optional<mac_address> mac;
};

int
take_change(const char *key, const char *value, void *opaque)
{
	change &to = *static_cast<change *>(opaque);

	if (std::strcmp(key, "mac") == 0)
		return (to.mac = parse_mac(value == nullptr ? "" : value)) ? 0 : -EINVAL;
	const policy_key &part =
		*std::ranges::find(policy_keys(), std::string_view(key), &policy_key::name);
	if (value != nullptr && part.set(to.wanted, value))
		return 0;
	DRIVER_LOG(ERR, "%s=%s is not valid, allowed: %s", key, value == nullptr ? "" : value,
		   part.allowed);
	return -EINVAL;
}

/** All of it, or nothing. */
int
change_policy(device &dev, const char *text)
{
	std::vector<const char *> valid{"mac"};
	change to{.wanted = dev.host().policy, .mac = {}};

	std::ranges::transform(policy_keys(), std::back_inserter(valid), &policy_key::name);
	valid.push_back(nullptr);
	device_arguments::unique_list list(rte_kvargs_parse(text, valid.data()));
	if (!list || list->count == 0 || device_arguments::repeated_key(*list) != nullptr ||
	    rte_kvargs_process(list.get(), nullptr, take_change, &to) != 0) {
		DRIVER_LOG(ERR, "%s: '%s' is not valid, nothing is changed",
			   dev.config().name.c_str(), text);
		return -EINVAL;
	}
	dev.set_policy(to.wanted);
	if (to.mac)
		dev.set_mac(*to.mac);
	return 0;
}

/** What stands before the first comma, and behind it. */
std::pair<std::string_view, const char *>
split(const char *params)
{
	const std::string_view all = params == nullptr ? "" : params;
	const size_t comma = std::min(all.find(','), all.size());

	return {all.substr(0, comma), comma == all.size() ? "" : params + comma + 1};
}

/** Runs @p act with the device that is named first, and what is behind that. */
template <class F>
int
telemetry_act(const char *params, rte_tel_data *out, F act)
{
	const auto [name, rest] = split(params);

	return with_device(name, [&, what = rest](device &dev) {
		const int ret = act(dev, what);
		if (ret == 0) {
			rte_tel_data_start_dict(out);
			describe_policy(dev, out);
		}
		return ret;
	});
}

/** The table of what is shown has a row for each command but those above. */
int
telemetry_show(const char *command, const char *params, rte_tel_data *out)
{
	const telemetry_view &view = *std::ranges::find(
		telemetry_views(), std::string_view(command), &telemetry_view::command);
	const auto [name, rest] = split(params);
	const char *end = rest + std::strlen(rest);
	uint16_t index = 0;

	if (view.max_index != 0) {
		const auto [behind, error] = std::from_chars(rest, end, index);
		if (error != std::errc() || behind != end || index >= view.max_index)
			return -EINVAL;
	}
	return with_device(name, [&, of = index](device &dev) { return view.show(dev, of, out); });
}

int
telemetry_set(const char *, const char *params, rte_tel_data *out)
{
	return telemetry_act(params, out, change_policy);
}

int
telemetry_reset(const char *, const char *params, rte_tel_data *out)
{
	return telemetry_act(params, out, [](device &dev, const char *) {
		dev.reset_by_host();
		return 0;
	});
}

RTE_INIT(emu_iavf_telemetry)
{
	rte_telemetry_register_cmd(
		"/emu_iavf/set", telemetry_set,
		"Changes the policy of the host, and shows it. Parameters: string name, "
		"key=value, ...");
	rte_telemetry_register_cmd(
		"/emu_iavf/reset", telemetry_reset,
		"Resets the device, which tells its driver. Parameters: string name");
	rte_telemetry_register_cmd("/emu_iavf/list", telemetry_list,
				   "Returns the names of the emulated iavf devices. No parameters");
	for (const telemetry_view &view : telemetry_views())
		rte_telemetry_register_cmd(view.command.data(), telemetry_show, view.help);
}

} // namespace

} // namespace iavf
