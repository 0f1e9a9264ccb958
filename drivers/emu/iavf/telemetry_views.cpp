/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string>

#include <rte_ether.h>

#include <telemetry_data.hpp>

#include "virtchnl_server.hpp"

/* What telemetry shows of a device: one row for each command, all on the control thread. */

namespace iavf {

static std::array<char, RTE_ETHER_ADDR_FMT_SIZE>
format_mac(const mac_address &mac)
{
	std::array<char, RTE_ETHER_ADDR_FMT_SIZE> text;
	rte_ether_addr address;

	std::memcpy(address.addr_bytes, mac.data(), sizeof(address.addr_bytes));
	rte_ether_format_addr(text.data(), text.size(), &address);
	return text;
}

void
describe_policy(device &dev, rte_tel_data *out)
{
	rte_tel_data_add_dict_string(out, "mac", format_mac(dev.agreed().mac).data());
	for (const policy_key &part : policy_keys())
		rte_tel_data_add_dict_string(out, part.name, part.get(dev.host().policy).c_str());
}

namespace {

void
add_hex(rte_tel_data *out, const char *name, uint64_t value)
{
	char text[20];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	rte_tel_data_add_dict_string(out, name, text);
}

void
add_number(rte_tel_data *out, const char *name, int value)
{
	rte_tel_data_add_dict_int(out, name, value);
}

/** A counter or setting that telemetry shows. */
struct telemetry_row {
	const char *name;
	uint64_t (*value)(device &dev);
};

constexpr telemetry_row telemetry_rows[] = {
	{"connected", [](device &dev) -> uint64_t { return dev.client().connected; }},
	{"mapped_bars",
	 [](device &dev) -> uint64_t { return dev.function().registers().mapped(); }},
	{"irq_inline", [](device &dev) -> uint64_t { return dev.config().irq_inline; }},
	{"link_up", [](device &dev) -> uint64_t { return dev.path().started(); }},
	{"queue_pairs_offered", [](device &dev) -> uint64_t { return dev.host().offered_pairs; }},
	{"queue_pairs_requested",
	 [](device &dev) -> uint64_t { return dev.agreed().requested_pairs; }},
	{"queue_pairs_told", [](device &dev) -> uint64_t { return dev.agreed().told_pairs; }},
	{"queue_pairs_enabled",
	 [](device &dev) -> uint64_t { return dev.session().rings().enabled_pairs(); }},
	{"mac_filters", [](device &dev) -> uint64_t { return dev.session().filters().size(); }},
	{"promiscuous", [](device &dev) -> uint64_t { return dev.session().promiscuous(); }},
	{"flows", [](device &dev) -> uint64_t { return dev.session().rules().all().size(); }},
	{"clients", [](device &dev) { return dev.stats().clients; }},
	{"resets", [](device &dev) { return dev.stats().resets; }},
	{"resets_by_host", [](device &dev) { return dev.stats().resets_by_host; }},
	{"refused_addresses", [](device &dev) { return dev.stats().refused_addresses; }},
	{"refused_limits", [](device &dev) { return dev.stats().refused_limits; }},
	{"ignored_promiscuous", [](device &dev) { return dev.stats().ignored_promiscuous; }},
	{"virtchnl_errors", [](device &dev) { return dev.stats().virtchnl_errors; }},
	{"adminq_received", [](device &dev) { return dev.mailbox().stats().received; }},
	{"adminq_sent", [](device &dev) { return dev.mailbox().stats().sent; }},
	{"adminq_dropped", [](device &dev) { return dev.mailbox().stats().dropped; }},
	{"adminq_errors", [](device &dev) { return dev.mailbox().stats().errors; }},
};

int
show_info(device &dev, uint16_t, rte_tel_data *out)
{
	static const char *const states[] = {"initial", "negotiated", "active"};
	rte_vfio_user_server_stats server{};

	rte_tel_data_start_dict(out);
	rte_tel_data_add_dict_string(out, "name", dev.config().name.c_str());
	rte_tel_data_add_dict_string(out, "path", dev.config().path.c_str());
	rte_tel_data_add_dict_string(out, "state", states[static_cast<size_t>(dev.agreed().state)]);
	describe_policy(dev, out);
	for (const telemetry_row &row : telemetry_rows)
		telemetry_data::add_uint(out, row.name, row.value(dev));
	rte_vfio_user_server_stats_get(dev.server(), &server);
	telemetry_data::add_uint(out, "vfio_user_messages", server.messages);
	telemetry_data::add_uint(out, "vfio_user_errors", server.errors);
	telemetry_data::add_uint(out, "vfio_user_protocol_errors", server.protocol_errors);
	telemetry_data::add_uint(out, "vfio_user_interrupts", server.interrupts);
	telemetry_data::add_uint(out, "vfio_user_dma_regions", server.dma_regions);
	return 0;
}

/* --- queues --- */

/** Direction as everywhere: the guest's. */
constexpr struct {
	rte_emudev_dir dir;
	const char *name;
	uint32_t (*tail)(uint16_t queue);
} directions[] = {
	{RTE_EMUDEV_FROM_GUEST, "from_guest", reg::qtx_tail},
	{RTE_EMUDEV_TO_GUEST, "to_guest", reg::qrx_tail},
};

void
describe_interrupt(device &dev, const queue &q, rte_tel_data *out)
{
	const bool mapped = q.vector != no_vector;
	const bool timed = mapped && q.timer < dyn_ctl::no_itr;
	const auto load = [&](uint32_t at) { return dev.function().registers().load(at); };

	add_number(out, "vector", mapped ? q.vector : -1);
	add_number(out, "vector_enabled",
		   mapped && dyn_ctl::intena::is_set(load(reg::dyn_ctl(q.vector))));
	add_number(out, "itr_index", timed ? q.timer : -1);
	add_number(out, "itr_us",
		   timed ? static_cast<int>(dev.function().signals().interval_us(q.vector, q.timer))
			 : 0);
}

void
describe_queue(device &dev, const queue &q, uint32_t tail, bool receives, rte_tel_data *out)
{
	rte_tel_data_start_dict(out);
	add_number(out, "enabled", q.enabled);
	add_hex(out, "ring", q.ring.iova);
	add_number(out, "size", q.ring.size);
	/* As the guest has left it: any value. */
	telemetry_data::add_uint(out, "tail", dev.function().registers().load(tail));
	describe_interrupt(dev, q, out);
	if (!receives)
		return;
	telemetry_data::add_uint(out, "buffer_size", q.ring.buffer_size);
	telemetry_data::add_uint(out, "max_frame", q.ring.max_frame);
	add_number(out, "descriptor_format", q.ring.format);
}

int
show_queue(device &dev, uint16_t index, rte_tel_data *out)
{
	if (index >= dev.config().queue_pairs)
		return -EINVAL;
	rte_tel_data_start_dict(out);
	add_number(out, "index", index);
	for (const auto &one : directions)
		telemetry_data::add_part(out, one.name, [&](rte_tel_data *part) {
			describe_queue(dev, dev.session().rings().at(one.dir, index),
				       one.tail(index), one.dir == RTE_EMUDEV_TO_GUEST, part);
		});
	return 0;
}

/* --- virtchnl --- */

/** All that are served, and what else has come. */
int
show_virtchnl(device &dev, uint16_t, rte_tel_data *out)
{
	const virtchnl_counts &counts = dev.stats().virtchnl;
	const auto each = [&](auto visit) {
		for (size_t i = 0; i < vc_ops.size(); i++)
			visit(vc_ops[i], counts.of[i]);
	};

	rte_tel_data_start_dict(out);
	add_hex(out, "granted", dev.session().granted());
	rte_tel_data_add_dict_string(out, "last_refused",
				     vc_find_op(counts.last_refused).name.data());
	add_number(out, "last_status", counts.last_status);
	telemetry_data::add_part(out, "received", [&](rte_tel_data *part) {
		rte_tel_data_start_dict(part);
		each([part](const vc_op_row &op, const virtchnl_count &count) {
			if (count.received != 0 || vc_service_of(op.number).served)
				telemetry_data::add_uint(part, op.name.data(), count.received);
		});
	});
	telemetry_data::add_part(out, "refused", [&](rte_tel_data *part) {
		rte_tel_data_start_dict(part);
		each([part](const vc_op_row &op, const virtchnl_count &count) {
			if (count.refused != 0)
				telemetry_data::add_uint(part, op.name.data(), count.refused);
		});
	});
	return 0;
}

/* --- RSS --- */

/** A bit, and what it is called. */
struct bit_name {
	uint32_t bit;
	const char *name;
};

template <size_t n>
std::string
names_of(uint32_t bits, const bit_name (&names)[n])
{
	std::string out;

	for (const bit_name &one : names)
		if ((bits & one.bit) != 0)
			out.append(out.empty() ? "" : " ").append(one.name);
	return out;
}

constexpr bit_name rss_fields[] = {
	{RTE_EMUDEV_NET_RSS_ETH_SRC, "eth_src"},
	{RTE_EMUDEV_NET_RSS_ETH_DST, "eth_dst"},
	{RTE_EMUDEV_NET_RSS_OUTER_VLAN, "outer_vlan"},
	{RTE_EMUDEV_NET_RSS_VLAN, "vlan"},
	{RTE_EMUDEV_NET_RSS_SRC_ADDRESS, "src"},
	{RTE_EMUDEV_NET_RSS_DST_ADDRESS, "dst"},
	{RTE_EMUDEV_NET_RSS_SRC_PREFIX, "src_prefix"},
	{RTE_EMUDEV_NET_RSS_DST_PREFIX, "dst_prefix"},
	{RTE_EMUDEV_NET_RSS_FRAGMENT_ID, "fragment_id"},
	{RTE_EMUDEV_NET_RSS_SRC_PORT, "src_port"},
	{RTE_EMUDEV_NET_RSS_DST_PORT, "dst_port"},
	{RTE_EMUDEV_NET_RSS_SYMMETRIC, "symmetric"},
};

/** In the order of rte_emudev_net_rss_type. */
constexpr std::array<const char *, RTE_EMUDEV_NET_RSS_TYPES> rss_types{
	"ipv4", "ipv4_fragment", "ipv4_tcp", "ipv4_udp", "ipv4_sctp",
	"ipv6", "ipv6_fragment", "ipv6_tcp", "ipv6_udp", "ipv6_sctp",
};

void
describe_rss(const rte_emudev_net_rss &rss, rte_tel_data *out)
{
	std::string key;
	char byte[3];

	for (uint8_t one : rss.key) {
		snprintf(byte, sizeof(byte), "%02x", one);
		key += byte;
	}
	rte_tel_data_add_dict_string(out, "function",
				     rss.function == RTE_EMUDEV_NET_RSS_XOR ? "xor" : "toeplitz");
	rte_tel_data_add_dict_string(out, "key", key.c_str());
	telemetry_data::add_part(out, "fields", [&](rte_tel_data *part) {
		rte_tel_data_start_dict(part);
		for (size_t i = 0; i < rss_types.size(); i++)
			rte_tel_data_add_dict_string(part, rss_types[i],
						     names_of(rss.fields[i], rss_fields).c_str());
	});
	telemetry_data::add_part(out, "table", [&](rte_tel_data *part) {
		rte_tel_data_start_array(part, RTE_TEL_INT_VAL);
		for (uint16_t queue : std::span(rss.lut).first(rss.lut_size))
			rte_tel_data_add_array_int(part, queue);
	});
}

int
show_rss(device &dev, uint16_t, rte_tel_data *out)
{
	const rte_emudev_net_rss *rss = dev.session().rss().describe();

	rte_tel_data_start_dict(out);
	add_number(out, "enabled", rss != nullptr);
	if (rss != nullptr)
		describe_rss(*rss, out);
	return 0;
}

/* --- filters --- */

/** Ranges of VLANs that are listed, of each type; the answer has a limit. */
constexpr size_t max_ranges = 100;

/** The ids of a type as ranges: "5", "7-9". */
void
list_vlans(const uint64_t (&ids)[64], rte_tel_data *out)
{
	const auto is_set = [&](unsigned int id) {
		return id < 4096 && (ids[id / 64] >> id % 64 & 1) != 0;
	};
	size_t left = max_ranges;

	rte_tel_data_start_array(out, RTE_TEL_STRING_VAL);
	for (unsigned int id = 0; id < 4096 && left != 0; id++) {
		const unsigned int first = id;
		char text[16];

		if (!is_set(id))
			continue;
		while (is_set(id + 1))
			id++;
		snprintf(text, sizeof(text), first == id ? "%u" : "%u-%u", first, id);
		rte_tel_data_add_array_string(out, text);
		left--;
	}
}

int
show_filters(device &dev, uint16_t, rte_tel_data *out)
{
	static const char *const types[] = {"vlans_8100", "vlans_88a8", "vlans_9100"};
	const iavf::session &session = dev.session();

	rte_tel_data_start_dict(out);
	add_number(out, "promiscuous", session.promiscuous());
	telemetry_data::add_uint(out, "vlans", session.vlans().filters());
	telemetry_data::add_part(out, "macs", [&](rte_tel_data *part) {
		rte_tel_data_start_array(part, RTE_TEL_STRING_VAL);
		for (const mac_address &one : session.filters())
			rte_tel_data_add_array_string(part, format_mac(one).data());
	});
	for (size_t i = 0; i < std::size(types); i++)
		telemetry_data::add_part(out, types[i], [&](rte_tel_data *part) {
			list_vlans(session.vlans().ids().of[i], part);
		});
	return 0;
}

constexpr bit_name flow_needs[] = {
	{RTE_EMUDEV_NET_FLOW_IPV4, "ipv4"},         {RTE_EMUDEV_NET_FLOW_IPV6, "ipv6"},
	{RTE_EMUDEV_NET_FLOW_PROTOCOL, "protocol"}, {RTE_EMUDEV_NET_FLOW_WHOLE, "whole"},
	{RTE_EMUDEV_NET_FLOW_FRAGMENT, "fragment"},
};

/** A rule on a line: what frames must be, how many bits are looked at, and what becomes of it. */
std::string
line_of(const rte_emudev_net_flow &flow)
{
	static const char *const actions[] = {"pass", "drop", "queue"};
	char text[RTE_TEL_MAX_STRING_LEN], where[16] = "", mark[20] = "";

	if (flow.action == RTE_EMUDEV_NET_FLOW_QUEUE)
		snprintf(where, sizeof(where), " %u-%u", flow.queue, flow.queue + flow.queues - 1);
	if (flow.has_mark != 0)
		snprintf(mark, sizeof(mark), ", mark %u", flow.mark);
	snprintf(text, sizeof(text), "%u: %s, protocol %u, rank %u: %s%s%s", flow.id,
		 names_of(flow.needs, flow_needs).c_str(), flow.protocol, flow.rank,
		 actions[flow.action], where, mark);
	return text;
}

int
show_flows(device &dev, uint16_t, rte_tel_data *out)
{
	rte_tel_data_start_array(out, RTE_TEL_STRING_VAL);
	for (const rte_emudev_net_flow &one : dev.session().rules().all())
		rte_tel_data_add_array_string(out, line_of(one).c_str());
	return 0;
}

constexpr telemetry_view views[] = {
	{"/emu_iavf/info", "Returns state and counters. Parameters: string name", show_info},
	{"/emu_iavf/queue",
	 "Returns what the guest has set up of a pair of queues. Parameters: string name, int "
	 "index",
	 show_queue, max_queue_pairs},
	{"/emu_iavf/virtchnl",
	 "Returns the virtchnl messages of the guest, by operation. Parameters: string name",
	 show_virtchnl},
	{"/emu_iavf/rss", "Returns how the guest spreads packets. Parameters: string name",
	 show_rss},
	{"/emu_iavf/filters",
	 "Returns the addresses and VLANs that the guest wants. Parameters: string name",
	 show_filters},
	{"/emu_iavf/flows", "Returns the flow rules of the guest. Parameters: string name",
	 show_flows},
};

} // namespace

std::span<const telemetry_view>
telemetry_views()
{
	return views;
}

} // namespace iavf
