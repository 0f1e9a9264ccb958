/* SPDX-License-Identifier: BSD-3-Clause */
#include "devargs.hpp"

#include <charconv>
#include <string_view>

#include <rte_vfio_user.h>

#include <device_arguments.hpp>

#include "log.hpp"

namespace vfio_user_pci {
namespace {

constexpr uint32_t max_ms = 600000;

bool
set_path(options &to, std::string_view value)
{
	to.path = value;
	return !value.empty() && value.size() <= RTE_VFIO_USER_PATH_MAX;
}

template <uint32_t options::*member, uint32_t min>
bool
set_ms(options &to, std::string_view value)
{
	auto [end, error] = std::from_chars(value.begin(), value.end(), to.*member);

	return error == std::errc{} && end == value.end() && to.*member >= min &&
	       to.*member <= max_ms;
}

struct key_row {
	const char *name;
	const char *allowed;
	bool (*set)(options &to, std::string_view value);
};

constexpr key_row keys[] = {
	{"path", "the path of a socket, at most 107 bytes", set_path},
	{"timeout_ms", "1 to 600000 (milliseconds)", set_ms<&options::timeout_ms, 1>},
	{"wait_ms", "0 to 600000 (milliseconds)", set_ms<&options::wait_ms, 0>},
	{"attach_ms", "1 to 600000 (milliseconds)", set_ms<&options::attach_ms, 1>},
};

const key_row *
find_key(std::string_view name)
{
	for (const key_row &row : keys)
		if (name == row.name)
			return &row;
	return nullptr;
}

guard::status
set_pair(const char *device, options &to, const rte_kvargs_pair &pair)
{
	const char *value = pair.value != nullptr ? pair.value : "";
	const key_row *row = find_key(pair.key);

	if (row == nullptr) {
		BUS_LOG(ERR,
			"%s: unknown key in \"%s=%s\"; allowed are path, timeout_ms, wait_ms, "
			"attach_ms",
			device, pair.key, value);
		return guard::failure{EINVAL};
	}
	if (!row->set(to, value)) {
		BUS_LOG(ERR, "%s: \"%s=%s\" is not valid; allowed is %s", device, pair.key, value,
			row->allowed);
		return guard::failure{EINVAL};
	}
	return {};
}

} // namespace

guard::result<options>
parse_devargs(const char *device, const char *args)
{
	options out;
	device_arguments::unique_list list(rte_kvargs_parse(args != nullptr ? args : "", nullptr));

	if (list == nullptr) {
		BUS_LOG(ERR, "%s: cannot parse \"%s\"; allowed is key=value[,key=value...]", device,
			args);
		return guard::failure{EINVAL};
	}
	if (const char *key = device_arguments::repeated_key(*list)) {
		BUS_LOG(ERR, "%s: the key %s is given twice", device, key);
		return guard::failure{EINVAL};
	}
	for (unsigned i = 0; i < list->count; i++)
		TRY(set_pair(device, out, list->pairs[i]));
	if (out.path.empty()) {
		BUS_LOG(ERR, "%s: the key path is missing: path=<socket>", device);
		return guard::failure{EINVAL};
	}
	return out;
}

} // namespace vfio_user_pci
