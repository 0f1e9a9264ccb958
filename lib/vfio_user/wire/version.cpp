/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/version.hpp"

#include <cstdlib>
#include <jansson.h>
#include <memory>

namespace vfio_user {

namespace {

struct json_release {
	void operator()(json_t *j) const { json_decref(j); }
};
using json_owner = std::unique_ptr<json_t, json_release>;

/* Each takes the key if it is there; false: there with the wrong type. */
bool
take_number(const json_t *object, const char *key, uint64_t &value)
{
	const json_t *j = json_object_get(object, key);
	if (j == nullptr)
		return true;
	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return false;
	value = static_cast<uint64_t>(json_integer_value(j));
	return true;
}

bool
take_bool(const json_t *object, const char *key, bool &value)
{
	const json_t *j = json_object_get(object, key);
	if (j == nullptr)
		return true;
	value = json_is_true(j);
	return json_is_boolean(j);
}

bool
take_twin_socket(const json_t *object, capabilities &caps)
{
	const json_t *twin = json_object_get(object, "twin_socket");
	if (twin == nullptr)
		return true;
	if (!json_is_object(twin) || !take_bool(twin, "supported", caps.twin_socket))
		return false;
	const json_t *index = json_object_get(twin, "fd_index");
	if (json_is_integer(index))
		caps.twin_fd_index = json_integer_value(index);
	return index == nullptr || json_is_integer(index);
}

capabilities::present
find_named(const json_t *object)
{
	auto has = [object](const char *key) { return json_object_get(object, key) != nullptr; };
	return {.max_msg_fds = has("max_msg_fds"),
		.max_data_xfer_size = has("max_data_xfer_size"),
		.max_dma_maps = has("max_dma_maps"),
		.pgsizes = has("pgsizes"),
		.twin_socket = has("twin_socket"),
		.write_multiple = has("write_multiple"),
		.mapped_bars = has("mapped_bars")};
}

void
set_number(json_t *object, bool named, const char *key, uint64_t value)
{
	if (named)
		json_object_set_new(object, key, json_integer(static_cast<json_int_t>(value)));
}

} // namespace

guard::result<capabilities>
parse_capabilities(guard::bytes data)
{
	capabilities caps;

	if (data.empty())
		return caps;
	if (data.back() != std::byte{0})
		return guard::failure{EINVAL};
	/* jansson bounds the nesting itself (JSON_PARSER_MAX_DEPTH). */
	const char *text = reinterpret_cast<const char *>(data.data());
	json_owner root(json_loads(text, 0, nullptr));
	if (!json_is_object(root.get()))
		return guard::failure{EINVAL};
	const json_t *object = json_object_get(root.get(), "capabilities");
	if (object == nullptr)
		return caps;
	bool valid =
		json_is_object(object) && take_number(object, "max_msg_fds", caps.max_msg_fds) &&
		take_number(object, "max_data_xfer_size", caps.max_data_xfer_size) &&
		take_number(object, "max_dma_maps", caps.max_dma_maps) &&
		take_number(object, "pgsizes", caps.pgsizes) && take_twin_socket(object, caps) &&
		take_bool(object, "write_multiple", caps.write_multiple) &&
		take_bool(object, "mapped_bars", caps.mapped_bars);
	if (!valid)
		return guard::failure{EINVAL};
	caps.named = find_named(object);
	return caps;
}

std::string
format_capabilities(const capabilities &caps)
{
	json_owner root(json_object());
	json_t *object = json_object();

	set_number(object, caps.named.max_msg_fds, "max_msg_fds", caps.max_msg_fds);
	set_number(object, caps.named.max_data_xfer_size, "max_data_xfer_size",
		   caps.max_data_xfer_size);
	set_number(object, caps.named.max_dma_maps, "max_dma_maps", caps.max_dma_maps);
	set_number(object, caps.named.pgsizes, "pgsizes", caps.pgsizes);
	if (caps.named.write_multiple)
		json_object_set_new(object, "write_multiple", json_boolean(caps.write_multiple));
	if (caps.named.mapped_bars)
		json_object_set_new(object, "mapped_bars", json_boolean(caps.mapped_bars));
	if (caps.named.twin_socket) {
		json_t *twin = json_pack("{sb}", "supported", caps.twin_socket);
		if (caps.twin_fd_index >= 0)
			json_object_set_new(twin, "fd_index", json_integer(caps.twin_fd_index));
		json_object_set_new(object, "twin_socket", twin);
	}
	bool empty = json_object_size(object) == 0;
	json_object_set_new(root.get(), "capabilities", object);
	if (empty)
		return {};
	std::unique_ptr<char, decltype(&std::free)> text(json_dumps(root.get(), JSON_COMPACT),
							 std::free);
	std::string out(text.get());
	out.push_back('\0');
	return out;
}

} // namespace vfio_user
