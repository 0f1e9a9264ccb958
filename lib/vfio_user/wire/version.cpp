/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/version.hpp"

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

/** All of what we can say, with its NUL. */
constexpr size_t max_formatted = 512;

/** A JSON object that is put together. What there was no memory for is not in it. */
class members {
public:
	void set(const char *key, json_t *value)
	{
		complete_ &= json_object_set_new(object_.get(), key, value) == 0;
	}
	void set_number(bool named, const char *key, uint64_t value)
	{
		if (named)
			set(key, json_integer(static_cast<json_int_t>(value)));
	}
	void set_bool(bool named, const char *key, bool value)
	{
		if (named)
			set(key, json_boolean(value));
	}
	bool is_empty() const { return json_object_size(object_.get()) == 0; }
	bool is_complete() const { return object_ != nullptr && complete_; }
	json_t *release() { return object_.release(); }
	const json_t *get() const { return object_.get(); }

private:
	json_owner object_{json_object()};
	bool complete_ = true;
};

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

guard::result<std::string>
format_capabilities(const capabilities &caps)
{
	members root, object;

	object.set_number(caps.named.max_msg_fds, "max_msg_fds", caps.max_msg_fds);
	object.set_number(caps.named.max_data_xfer_size, "max_data_xfer_size",
			  caps.max_data_xfer_size);
	object.set_number(caps.named.max_dma_maps, "max_dma_maps", caps.max_dma_maps);
	object.set_number(caps.named.pgsizes, "pgsizes", caps.pgsizes);
	object.set_bool(caps.named.write_multiple, "write_multiple", caps.write_multiple);
	object.set_bool(caps.named.mapped_bars, "mapped_bars", caps.mapped_bars);
	if (caps.named.twin_socket) {
		members twin;
		twin.set_bool(true, "supported", caps.twin_socket);
		if (caps.twin_fd_index >= 0)
			twin.set("fd_index", json_integer(caps.twin_fd_index));
		object.set("twin_socket", twin.is_complete() ? twin.release() : nullptr);
	}
	/* A limit that is not stated is another one. */
	if (!object.is_complete())
		return guard::failure{ENOMEM};
	if (object.is_empty())
		return std::string();
	root.set("capabilities", object.release());
	/* Not into memory of jansson's, which leaves out a key that it finds none for. */
	std::string out(max_formatted, '\0');
	size_t size = json_dumpb(root.get(), out.data(), out.size(), JSON_COMPACT);
	if (!root.is_complete() || size == 0 || size >= out.size())
		return guard::failure{ENOMEM};
	out.resize(size + 1);
	return out;
}

} // namespace vfio_user
