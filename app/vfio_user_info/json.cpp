/* SPDX-License-Identifier: BSD-3-Clause */
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <jansson.h>
#include <memory>

#include "device_facts.hpp"
#include "pci_config.hpp"

/** The form for programs. */
namespace vfio_user_info {

namespace {

json_t *
flags_json(uint32_t flags, std::span<const name_row> names)
{
	json_t *out = json_array();
	for (const name_row &n : names)
		if ((flags & n.value) != 0)
			json_array_append_new(out, json_string(n.name));
	return out;
}

/* JSON's numbers have no limit, but jansson's end at 2^63 - 1, as those of many readers do: what is
 * larger is a string of decimal digits, exact. */
json_t *
number(uint64_t value)
{
	if (value <= INT64_MAX)
		return json_integer(static_cast<json_int_t>(value));
	char digits[24];
	std::snprintf(digits, sizeof(digits), "%" PRIu64, value);
	return json_string(digits);
}

json_t *
version_json(const device_facts &facts)
{
	const rte_vfio_user_session &s = facts.session;
	json_t *out = json_object();
	json_object_set_new(out, "major", number(s.major));
	json_object_set_new(out, "minor", number(s.minor));
	json_object_set_new(out, "max_data_xfer", number(s.max_data_xfer));
	json_object_set_new(out, "max_msg_fds", number(s.max_msg_fds));
	json_object_set_new(out, "twin_socket", json_boolean(s.twin_socket));
	json_object_set_new(out, "write_multiple", json_boolean(s.write_multiple));
	/* As the server has sent it. */
	json_t *sent = json_loads(facts.capabilities.c_str(), 0, nullptr);
	json_object_set_new(out, "sent", sent != nullptr ? sent : json_null());
	return out;
}

json_t *
region_json(uint32_t index, const device_facts::region_facts &facts)
{
	const rte_vfio_user_client_region &r = facts.region;
	json_t *out = json_object();
	json_object_set_new(out, "index", number(index));
	json_object_set_new(out, "name", json_string(region_name(index)));
	if (facts.error != 0) {
		json_object_set_new(out, "error", number(static_cast<uint64_t>(-facts.error)));
		return out;
	}
	json_object_set_new(out, "size", number(r.size));
	json_object_set_new(out, "flags", flags_json(r.flags, region_flags()));
	json_t *areas = json_array();
	for (uint32_t a = 0; a < r.nb_areas; a++) {
		json_t *area = json_object();
		json_object_set_new(area, "offset", number(r.areas[a].offset));
		json_object_set_new(area, "size", number(r.areas[a].size));
		json_array_append_new(areas, area);
	}
	json_object_set_new(out, "areas", areas);
	return out;
}

json_t *
irq_json(uint32_t index, const device_facts::irq_facts &facts)
{
	json_t *out = json_object();
	json_object_set_new(out, "index", number(index));
	json_object_set_new(out, "name", json_string(irq_name(index)));
	if (facts.error != 0) {
		json_object_set_new(out, "error", number(static_cast<uint64_t>(-facts.error)));
		return out;
	}
	json_object_set_new(out, "vectors", number(facts.irq.count));
	json_object_set_new(out, "flags", flags_json(facts.irq.flags, irq_flags()));
	return out;
}

void
add_fields(json_t *object, std::span<const pci::decoded_field> fields)
{
	for (const pci::decoded_field &f : fields)
		json_object_set_new(object, f.key,
				    f.shown == pci::format::flag ? json_boolean(f.value != 0)
								 : number(f.value));
}

json_t *
bar_json(const pci::decoded_bar &bar)
{
	json_t *out = json_object();
	json_object_set_new(out, "index", number(bar.index));
	json_object_set_new(out, "io", json_boolean(bar.io));
	json_object_set_new(out, "64bit", json_boolean(bar.wide));
	json_object_set_new(out, "prefetchable", json_boolean(bar.prefetchable));
	json_object_set_new(out, "address", number(bar.address));
	return out;
}

json_t *
capability_json(const pci::decoded_capability &c)
{
	json_t *out = json_object();
	json_object_set_new(out, "offset", number(c.offset));
	json_object_set_new(out, "id", number(c.id));
	json_object_set_new(out, "name", json_string(c.name));
	json_object_set_new(out, "extended", json_boolean(c.extended));
	add_fields(out, c.fields);
	return out;
}

std::string
hex_string(guard::bytes data)
{
	std::string out;
	for (std::byte b : data) {
		char digits[3];
		std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned int>(b));
		out += digits;
	}
	return out;
}

json_t *
config_json(const device_facts &facts)
{
	if (facts.config.empty())
		return json_null();
	pci::decoded_config config = pci::decode(facts.config);
	json_t *out = json_object(), *bars = json_array(), *capabilities = json_array();
	add_fields(out, config.header);
	for (const pci::decoded_bar &bar : config.bars)
		json_array_append_new(bars, bar_json(bar));
	for (const pci::decoded_capability &c : config.capabilities)
		json_array_append_new(capabilities, capability_json(c));
	json_object_set_new(out, "bars", bars);
	json_object_set_new(out, "capabilities", capabilities);
	json_object_set_new(out, "bytes", json_string(hex_string(facts.config).c_str()));
	return out;
}

/* ASCII only: what the server sent must not reach a terminal as control characters. The last of
 * ASCII is one, which jansson does not escape. It can only stand in strings. */
void
dump(const json_t *root)
{
	std::unique_ptr<char, decltype(&std::free)> text(
		json_dumps(root, JSON_INDENT(2) | JSON_ENSURE_ASCII), std::free);
	for (const char *at = text.get(); at != nullptr && *at != '\0'; at++)
		if (*at == '\x7f')
			std::fputs("\\u007f", stdout);
		else
			std::putchar(*at);
	std::putchar('\n');
}

} // namespace

void
print_json(const device_facts &facts)
{
	json_t *root = json_object(), *regions = json_array(), *irqs = json_array();

	json_object_set_new(root, "path", json_string(facts.path.c_str()));
	json_object_set_new(root, "version", version_json(facts));
	json_object_set_new(root, "device_flags", flags_json(facts.flags, device_flags()));
	for (uint32_t i = 0; i < facts.regions.size(); i++)
		json_array_append_new(regions, region_json(i, facts.regions[i]));
	for (uint32_t i = 0; i < facts.irqs.size(); i++)
		json_array_append_new(irqs, irq_json(i, facts.irqs[i]));
	json_object_set_new(root, "regions", regions);
	json_object_set_new(root, "interrupts", irqs);
	json_object_set_new(root, "config", config_json(facts));
	dump(root);
	json_decref(root);
}

} // namespace vfio_user_info
