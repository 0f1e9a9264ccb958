/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

/* Rules of the flow director: hostile messages first, then what is pushed. */

using namespace test;
namespace op = iavf::vc_op;
using iavf::vc_status;

namespace {

constexpr int err_param = static_cast<int>(vc_status::err_param);
constexpr int not_supported = static_cast<int>(vc_status::err_not_supported);

/* The layout and the numbers of the protocol, by hand. */
struct header {
	int32_t type;
	uint32_t fields;
	std::array<uint8_t, 64> bytes{};
};
struct action {
	int32_t type;
	std::array<uint8_t, 32> detail{};
};
struct add_message {
	uint16_t vsi = iavf::vsi_id, validate_only = 0;
	uint32_t flow_id = 0;
	uint8_t tunnel_level = 0, pad[3] = {};
	int32_t headers = 0;
	std::array<uint8_t, 2304> content{};
	int32_t actions = 0;
	std::array<action, 8> action_list{};
	int32_t status = 99;
};
static_assert(sizeof(add_message) == 2616);
struct del_message {
	uint16_t vsi = iavf::vsi_id, pad = 0;
	uint32_t flow_id;
	int32_t status = 99;
};
enum { ok, no_resource, exists, conflict, nonexistent, invalid };
enum { eth = 1, c_vlan = 3, ipv4, ipv6, tcp, udp, sctp, gtpu, gtpu_eh, l2tpv3 = 14, esp, ah, pfcp };
enum { frag4 = 22, frag6 = 23 };
enum { drop, passthru = 2, to_queue, to_region, mark, count };

action
queue(uint16_t index, uint8_t region = 0, int32_t type = to_queue)
{
	return {type, {static_cast<uint8_t>(index), static_cast<uint8_t>(index >> 8), region}};
}

add_message
rule(std::initializer_list<header> headers, std::initializer_list<action> actions = {queue(1)})
{
	add_message out;

	for (const header &one : headers)
		std::memcpy(&out.content[static_cast<size_t>(out.headers++) * sizeof(one)], &one,
			    sizeof(one));
	for (const action &one : actions)
		out.action_list[static_cast<size_t>(out.actions++)] = one;
	return out;
}

/** An IPv4 header with a destination that counts. */
header
to_address(uint8_t last, uint32_t fields = 2)
{
	header out{ipv4, fields};

	out.bytes[9] = 17;
	out.bytes[16] = 10;
	out.bytes[19] = last;
	return out;
}

header
to_port(int32_t type, uint16_t port, uint32_t fields = 2)
{
	return {type, fields, {0, 0, static_cast<uint8_t>(port >> 8), static_cast<uint8_t>(port)}};
}

add_message
raw(const std::vector<uint8_t> &spec, const std::vector<uint8_t> &mask)
{
	add_message out = rule({});

	out.content[0] = static_cast<uint8_t>(spec.size());
	out.content[1] = static_cast<uint8_t>(spec.size() >> 8);
	std::copy(spec.begin(), spec.end(), &out.content[2]);
	std::copy(mask.begin(), mask.end(), &out.content[2 + 1024]);
	return out;
}

/** What came of a message: its status, that of the rule, and the rule. */
struct result {
	int status;
	int32_t detail;
	uint32_t id;
	bool operator==(const result &) const = default;
};

result
came(int status, int32_t detail, uint32_t id)
{
	return {status, detail, id};
}

template <class T>
result
ask(fake_driver &driver, uint32_t number, const T &message)
{
	driver.send(number, std::as_bytes(std::span(&message, 1)));
	while (auto reply = driver.receive()) {
		T body{};

		if (reply->op != number)
			continue;
		if (reply->body.size() != sizeof(body))
			return {static_cast<int>(reply->status), -1, 0};
		std::memcpy(&body, reply->body.data(), sizeof(body));
		return {static_cast<int>(reply->status), body.status, body.flow_id};
	}
	return {fake_driver::no_reply, -1, 0};
}

result
add(fake_driver &driver, const add_message &message)
{
	return ask(driver, op::add_fdir_filter, message);
}

result
del(fake_driver &driver, uint32_t id)
{
	return ask(driver, op::del_fdir_filter, del_message{.flow_id = id});
}

bool
bring_up(fake_driver &driver, uint32_t wanted = iavf::vc_cap::offload_fdir_pf)
{
	driver.open_mailbox();
	return driver.ask_struct(op::version, iavf::vc_version_info{1, 1}) == 0 &&
	       driver.ask_struct(op::get_vf_resources, wanted) == 0;
}

outcome
without_the_capability_there_are_no_rules()
{
	fake_driver driver;

	CHECK(bring_up(driver, iavf::vc_cap::adv_link_speed));
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1)})).status, not_supported);
	CHECK_EQ(del(driver, 0).status, not_supported);
	return success;
}

outcome
messages_of_other_lengths_are_refused()
{
	fake_driver driver;
	const add_message good = rule({{eth, 0}, to_address(1)});
	std::vector<std::byte> bytes(sizeof(good) + 1);

	CHECK(bring_up(driver));
	std::memcpy(bytes.data(), &good, sizeof(good));
	const guard::bytes all(bytes);
	for (size_t length : {size_t{0}, size_t{8}, sizeof(good) - 1, sizeof(good) + 1})
		CHECK_EQ(driver.ask(op::add_fdir_filter, all.first(length)), err_param);
	for (size_t length : {0, 8, 11, 13})
		CHECK_EQ(driver.ask(op::del_fdir_filter, all.first(length)), err_param);
	CHECK_EQ(driver.config.nb_flows, 0);
	CHECK_EQ(add(driver, good).detail, ok);
	return success;
}

/* Each is refused, and none leaves anything behind. */
outcome
what_cannot_be_matched_is_refused()
{
	const std::vector<add_message> wrong = {
		rule({}),
		rule({{eth, 0}}),
		rule({{eth, 0}, {ipv4, 0}}),
		rule({{eth, 0}, {ipv4, 0}, {tcp, 0}}), /* names no field */
		rule({to_address(1)}),                 /* no Ethernet */
		rule({{eth, 0}, to_port(tcp, 1)}),     /* no IP */
		rule({{eth, 4}, {eth, 4}}),
		rule({{eth, 0}, to_address(1), to_address(1)}),
		rule({{eth, 0}, to_address(1), {ipv6, 0}}),
		rule({{eth, 0}, to_address(1), to_port(tcp, 1), to_port(udp, 1)}),
		rule({{eth, 0}, to_address(1), to_port(tcp, 1), {gtpu, 1}}),
		rule({{eth, 0}, {c_vlan, 1}, to_address(1)}),
		rule({{eth, 0}, to_address(1), {frag6, 0}}),
		rule({{eth, 0}, to_address(1), {frag4, 1}}),
		rule({{eth, 8}}), /* fields that are not there */
		rule({{eth, 0}, to_address(1, 2 | 1u << 31)}),
		rule({{eth, 0}, to_address(1, 1u << 5)}), /* a checksum */
		rule({{eth, 0}, {ipv6, 1u << 5}}),        /* a prefix */
		rule({{eth, 0}, to_address(1), to_port(tcp, 1, 4)}),
		rule({{eth, 0}, to_address(1, 1 << 4), to_port(tcp, 1)}), /* UDP and TCP */
		rule({{0, 1}}),
		rule({{-1, 1}}),
		rule({{24, 0}}),
		rule({{32, 1}}),
		rule({{1 << 30, 1}}),
	};
	fake_driver driver;

	CHECK(bring_up(driver));
	for (const add_message &one : wrong)
		CHECK(add(driver, one) == came(err_param, invalid, 0));
	for (int32_t headers : {-1, 33, 48, INT32_MAX, INT32_MIN}) {
		add_message many = rule({{eth, 0}, to_address(1)});

		many.headers = headers;
		CHECK(add(driver, many) == came(err_param, invalid, 0));
	}
	add_message inner = rule({{eth, 0}, to_address(1)});

	inner.tunnel_level = 1;
	CHECK(add(driver, inner) == came(err_param, invalid, 0));
	add_message elsewhere = rule({{eth, 0}, to_address(1)});

	elsewhere.vsi++;
	CHECK_EQ(add(driver, elsewhere).status, err_param);
	CHECK_EQ(driver.config.nb_flows, 0);
	return success;
}

outcome
actions_that_cannot_be_are_refused()
{
	constexpr uint16_t pairs = fake_driver::pairs;
	const std::vector<std::vector<action>> wrong = {
		{},
		{{mark}},
		{{count}},
		{queue(0), {count}},
		{{1}},
		{{-1}},
		{{7}},
		{queue(0), queue(1)},
		{queue(0), {drop}},
		{queue(0), {mark}, {mark}},
		{queue(pairs)},
		{queue(UINT16_MAX)},
		{queue(0, 3, to_region)},
		{queue(3, 1, to_region)},
		{queue(1, 2, to_region)},
		{queue(0, 8, to_region)},
		{queue(0, 32, to_region)},
		{queue(0, 255, to_region)},
	};
	fake_driver driver;

	CHECK(bring_up(driver));
	for (const auto &actions : wrong) {
		add_message one = rule({{eth, 0}, to_address(1)}, {});

		one.actions = static_cast<int32_t>(actions.size());
		std::copy(actions.begin(), actions.end(), one.action_list.begin());
		CHECK(add(driver, one) == came(err_param, invalid, 0));
	}
	for (int32_t actions : {-1, 9, INT32_MAX, INT32_MIN}) {
		add_message many = rule({{eth, 0}, to_address(1)});

		many.actions = actions;
		CHECK(add(driver, many) == came(err_param, invalid, 0));
	}
	CHECK_EQ(driver.config.nb_flows, 0);
	return success;
}

outcome
raw_patterns_have_lengths_and_places()
{
	fake_driver driver;
	std::vector<uint8_t> spec(1024), mask(1024);
	add_message empty = raw({}, {}), long_one = raw(spec, mask);

	CHECK(bring_up(driver));
	CHECK(add(driver, empty) == came(err_param, invalid, 0));
	CHECK(add(driver, long_one) == came(err_param, invalid, 0)); /* no bit counts */
	for (uint16_t length : {1025, 2304, 65535}) {
		std::memcpy(&long_one.content, &length, sizeof(length));
		CHECK(add(driver, long_one) == came(err_param, invalid, 0));
	}
	spec[12] = 0x08;
	spec[14] = 0x45;
	spec[23] = 17;
	mask[34 + 32] = 1; /* beyond what is looked at */
	CHECK(add(driver, raw(spec, mask)) == came(err_param, invalid, 0));
	mask[34 + 32] = 0;
	mask[34 + 31] = 1;
	spec[14] = 0x46; /* options */
	CHECK(add(driver, raw(spec, mask)) == came(err_param, invalid, 0));
	spec[14] = 0x65;
	CHECK(add(driver, raw(spec, mask)) == came(err_param, invalid, 0));
	spec[14] = 0x45;
	spec[12] = 0x81; /* a tag */
	CHECK(add(driver, raw(spec, mask)) == came(err_param, invalid, 0));
	spec[12] = 0x08;
	CHECK(add(driver, raw(spec, mask)) == came(0, ok, 0));
	const rte_emudev_net_flow &flow = driver.flows.at(0);

	CHECK_EQ(flow.needs, RTE_EMUDEV_NET_FLOW_IPV4 | RTE_EMUDEV_NET_FLOW_PROTOCOL |
				     RTE_EMUDEV_NET_FLOW_WHOLE);
	CHECK_EQ(flow.protocol, 17);
	CHECK_EQ(flow.mask.l4[31], 1);
	spec[12] = 0x88; /* not IP: nothing behind the type */
	mask.assign(1024, 0);
	mask[14] = 1;
	CHECK(add(driver, raw(spec, mask)) == came(err_param, invalid, 0));
	mask[14] = 0;
	mask[12] = 0xff;
	CHECK(add(driver, raw(spec, mask)) == came(0, ok, 1));
	return success;
}

/* Ids are those that were given, once. */
outcome
rules_go_by_their_ids()
{
	fake_driver driver;

	CHECK(bring_up(driver));
	for (uint32_t id : {0u, 1u, 127u, 128u, UINT32_MAX})
		CHECK_EQ(del(driver, id).detail, nonexistent);
	for (uint8_t i = 0; i < 3; i++)
		CHECK(add(driver, rule({{eth, 0}, to_address(i)})) == came(0, ok, i));
	CHECK_EQ(ask(driver, op::del_fdir_filter, del_message{.vsi = 7, .flow_id = 1}).status,
		 err_param);
	CHECK(del(driver, 1) == came(0, ok, 0));
	CHECK_EQ(del(driver, 1).detail, nonexistent);
	CHECK_EQ(driver.config.nb_flows, 2);
	CHECK_EQ(driver.flows[0].id, 0);
	CHECK_EQ(driver.flows[1].id, 2);
	CHECK(add(driver, rule({{eth, 0}, to_address(9)})) == came(0, ok, 1));
	return success;
}

outcome
the_same_frames_have_one_rule()
{
	fake_driver driver;
	add_message checked = rule({{eth, 0}, to_address(1)}, {{drop}});

	CHECK(bring_up(driver));
	checked.validate_only = 1;
	CHECK(add(driver, checked) == came(0, ok, 0));
	CHECK_EQ(driver.config.nb_flows, 0);
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1)})).detail, ok);
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1)})).detail, exists);
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1)}, {{drop}})).detail, exists);
	CHECK_EQ(driver.config.nb_flows, 1);
	/* More fields rank higher: no question which rule counts. */
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1), to_port(tcp, 80)}, {queue(2)})).detail,
		 ok);
	CHECK(driver.flows[1].rank > driver.flows[0].rank);
	/* From an address: a frame may meet both, and neither is more than the other. */
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1, 1)}, {queue(2)})).detail, conflict);
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1, 1)}, {queue(1)})).detail, ok);
	CHECK_EQ(add(driver, rule({{eth, 0}, {ipv6, 1 << 3}}, {{drop}})).detail, ok);
	return success;
}

outcome
the_table_has_an_end()
{
	fake_driver driver;

	CHECK(bring_up(driver));
	for (int i = 0; i < 128; i++)
		CHECK_EQ(add(driver, rule({{eth, 0}, to_address(static_cast<uint8_t>(i))})).detail,
			 ok);
	for (int i = 128; i < 256; i++)
		CHECK(add(driver, rule({{eth, 0}, to_address(static_cast<uint8_t>(i))})) ==
		      came(0, no_resource, 0));
	CHECK_EQ(driver.config.nb_flows, 128);
	CHECK_EQ(del(driver, 5).detail, ok);
	CHECK(add(driver, rule({{eth, 0}, to_address(200)})) == came(0, ok, 5));
	return success;
}

outcome
combinations_of_masks_have_an_end()
{
	fake_driver driver;
	uint32_t added = 0;

	CHECK(bring_up(driver));
	for (uint32_t fields = 1; fields < 16; fields++) {
		header one{ipv4, fields};

		CHECK_EQ(add(driver, rule({{eth, 0}, one, to_port(tcp, 1)})).detail, ok);
		one.bytes[12] = one.bytes[16] = one.bytes[1] = one.bytes[8] = 4;
		CHECK_EQ(add(driver, rule({{eth, 0}, one, to_port(tcp, 1)})).detail, ok);
		added += 2;
	}
	CHECK_EQ(add(driver, rule({{eth, 0}, {ipv4, 1}, to_port(udp, 1)})).detail, ok);
	CHECK_EQ(add(driver, rule({{eth, 0}, {ipv6, 1}, to_port(tcp, 1)})).detail, ok);
	CHECK_EQ(add(driver, rule({{eth, 0}, {ipv6, 3}, to_port(tcp, 1)})).detail, no_resource);
	CHECK_EQ(driver.config.nb_flows, added + 2);
	return success;
}

/** Bytes of a flow that count, by place and value. */
std::vector<std::pair<size_t, int>>
matched(const rte_emudev_net_flow &flow)
{
	const auto *spec = reinterpret_cast<const uint8_t *>(&flow.spec);
	const auto *mask = reinterpret_cast<const uint8_t *>(&flow.mask);
	std::vector<std::pair<size_t, int>> out;

	for (size_t i = 0; i < sizeof(flow.spec); i++)
		if (mask[i] != 0)
			out.emplace_back(i, mask[i] << 8 | spec[i]);
	return out;
}

constexpr uint16_t v4 = 1, v6 = 2, protocol = 4, whole = 8, fragment = 16;
constexpr size_t l3 = 16, l4 = 56;
const struct {
	add_message message;
	uint16_t needs;
	uint8_t protocol;
	std::vector<std::pair<size_t, int>> bytes;
} pattern_rows[] = {
	{rule({{eth, 4, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xf7}}}),
	 0,
	 0,
	 {{12, 0xff88}, {13, 0xfff7}}},
	{rule({{eth, 2, {2, 0, 0, 0, 0, 7}}}),
	 0,
	 0,
	 {{0, 0xff02}, {1, 0xff00}, {2, 0xff00}, {3, 0xff00}, {4, 0xff00}, {5, 0xff07}}},
	{rule({{eth, 0}, to_address(3, 2 | 1 << 4)}),
	 v4 | protocol,
	 17,
	 {{l3 + 16, 0xff0a}, {l3 + 17, 0xff00}, {l3 + 18, 0xff00}, {l3 + 19, 0xff03}}},
	{rule({{eth, 0}, {ipv4, 4 | 8, {0, 0xff, 0, 0, 0, 0, 0, 0, 9}}}),
	 v4,
	 0,
	 {{l3 + 1, 0xfcfc}, {l3 + 8, 0xff09}}},
	{rule({{eth, 0}, {ipv6, 4 | 8, {0x6a, 0xbc, 0, 0, 0, 0, 0, 7}}}),
	 v6,
	 0,
	 {{l3, 0x0f0a}, {l3 + 1, 0xf0b0}, {l3 + 7, 0xff07}}},
	{rule({{eth, 0}, {ipv4, 0}, to_port(tcp, 80)}),
	 v4 | protocol | whole,
	 6,
	 {{l4 + 2, 0xff00}, {l4 + 3, 0xff50}}},
	{rule({{eth, 0}, {ipv6, 0}, to_port(sctp, 80)}),
	 v6 | protocol | whole,
	 132,
	 {{l4 + 2, 0xff00}, {l4 + 3, 0xff50}}},
	{rule({{eth, 0},
	       {ipv4, 0},
	       {udp, 0},
	       {gtpu, 1, {0, 0, 0, 0, 1, 2, 3, 4}},
	       {gtpu_eh, 2, {0, 0x49}}}),
	 v4 | protocol | whole,
	 17,
	 {{l4 + 2, 0xff08},
	  {l4 + 3, 0xff68},
	  {l4 + 8, 0x0404},
	  {l4 + 9, 0xffff},
	  {l4 + 12, 0xff01},
	  {l4 + 13, 0xff02},
	  {l4 + 14, 0xff03},
	  {l4 + 15, 0xff04},
	  {l4 + 19, 0xff85},
	  {l4 + 22, 0x3f09}}},
	{rule({{eth, 0}, {ipv4, 0}, {udp, 0}, {esp, 1, {1, 2, 3, 4}}}),
	 v4 | protocol | whole,
	 17,
	 {{l4 + 2, 0xff11},
	  {l4 + 3, 0xff94},
	  {l4 + 8, 0xff01},
	  {l4 + 9, 0xff02},
	  {l4 + 10, 0xff03},
	  {l4 + 11, 0xff04}}},
	{rule({{eth, 0}, {ipv6, 0}, {esp, 1, {1, 2, 3, 4}}}),
	 v6 | protocol | whole,
	 50,
	 {{l4, 0xff01}, {l4 + 1, 0xff02}, {l4 + 2, 0xff03}, {l4 + 3, 0xff04}}},
	{rule({{eth, 0}, {ipv4, 0}, {ah, 1, {0, 0, 0, 0, 1, 2, 3, 4}}}),
	 v4 | protocol | whole,
	 51,
	 {{l4 + 4, 0xff01}, {l4 + 5, 0xff02}, {l4 + 6, 0xff03}, {l4 + 7, 0xff04}}},
	{rule({{eth, 0}, {ipv4, 0}, {l2tpv3, 1, {1, 2, 3, 4}}}),
	 v4 | protocol | whole,
	 115,
	 {{l4, 0xff01}, {l4 + 1, 0xff02}, {l4 + 2, 0xff03}, {l4 + 3, 0xff04}}},
	{rule({{eth, 0}, {ipv4, 0}, {udp, 0}, {pfcp, 1, {0x21}}}),
	 v4 | protocol | whole,
	 17,
	 {{l4 + 2, 0xff22}, {l4 + 3, 0xff65}, {l4 + 8, 0x0101}}},
	{rule({{eth, 4}, {ipv4, 0}, {frag4, 0}}), v4 | fragment, 0, {}},
	{rule({{eth, 4}, {ipv6, 0}, {frag6, 0}}), v6 | fragment, 0, {}},
};

outcome
patterns_become_bytes_of_headers()
{
	for (const auto &row : pattern_rows) {
		fake_driver driver;

		CHECK(bring_up(driver));
		CHECK(add(driver, row.message) == came(0, ok, 0));
		CHECK_EQ(driver.flows.size(), 1);
		CHECK_EQ(driver.flows[0].needs, row.needs);
		CHECK_EQ(driver.flows[0].protocol, row.protocol);
		CHECK(matched(driver.flows[0]) == row.bytes);
	}
	return success;
}

outcome
actions_are_pushed()
{
	const struct {
		std::initializer_list<action> actions;
		int what;
		uint16_t first, queues;
		bool marked;
	} rows[] = {
		{{{drop}}, RTE_EMUDEV_NET_FLOW_DROP, 0, 0, false},
		{{{passthru}, {mark, {0x78, 0x56, 0x34, 0x12}}},
		 RTE_EMUDEV_NET_FLOW_PASS,
		 0,
		 0,
		 true},
		{{{mark, {0x78, 0x56, 0x34, 0x12}}, queue(3)},
		 RTE_EMUDEV_NET_FLOW_QUEUE,
		 3,
		 1,
		 true},
		{{queue(2, 1, to_region)}, RTE_EMUDEV_NET_FLOW_QUEUE, 2, 2, false},
		{{queue(0, 2, to_region)}, RTE_EMUDEV_NET_FLOW_QUEUE, 0, 4, false},
	};
	for (const auto &row : rows) {
		fake_driver driver;

		CHECK(bring_up(driver));
		CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1)}, row.actions)).detail, ok);
		const rte_emudev_net_flow &flow = driver.flows.at(0);

		CHECK_EQ(flow.action, row.what);
		CHECK_EQ(flow.queue, row.first);
		CHECK_EQ(flow.queues, row.queues);
		CHECK_EQ(flow.has_mark, row.marked);
		CHECK_EQ(flow.mark, row.marked ? 0x12345678u : 0u);
	}
	return success;
}

outcome
a_reset_ends_all_rules()
{
	fake_driver driver;

	CHECK(bring_up(driver));
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1)})).detail, ok);
	CHECK_EQ(driver.config.nb_flows, 1);
	driver.send(op::reset_vf);
	CHECK_EQ(driver.config.nb_flows, 0);
	CHECK(bring_up(driver));
	CHECK_EQ(del(driver, 0).detail, nonexistent);
	CHECK(add(driver, rule({{eth, 0}, to_address(1)})) == came(0, ok, 0));
	return success;
}

/* Neither offered nor carried out: traffic classes, PTP, IPsec, and queries of rules. */
outcome
what_the_function_has_not_is_refused()
{
	constexpr uint32_t qos = 1u << 29, ptp = 1u << 31, adq = 1u << 23, ipsec = 1u << 8;
	fake_driver driver;
	const std::vector<std::byte> body(272);

	CHECK(bring_up(driver, UINT32_MAX));
	CHECK_EQ(driver.dev().session().granted() & (qos | ptp | adq | 1u << 24 | ipsec), 0);
	/* ENABLE_CHANNELS to INLINE_IPSEC_CRYPTO, 49 which had been QUERY_FDIR_FILTER, PTP, QoS. */
	for (uint32_t number : {30u, 31u, 32u, 33u, 34u, 49u, 60u, 61u, 62u, 63u, 64u, 65u, 66u,
				67u, 112u, 113u, 114u, 115u})
		for (size_t length : {size_t{0}, size_t{4}, body.size()})
			CHECK_EQ(driver.ask(number, guard::bytes(body).first(length)),
				 not_supported);
	return success;
}

outcome
rules_are_shown()
{
	fake_driver driver;

	CHECK(bring_up(driver));
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(1)}, {queue(3)})).detail, ok);
	CHECK_EQ(add(driver, rule({{eth, 0}, to_address(2)}, {{drop, {}}})).detail, ok);
	const std::string told = shown(driver, "flows");
	CHECK(has(told, "ipv4, protocol") && has(told, ": queue 3-3\"") && has(told, ": drop\""),
	      "%s", told.c_str());
	return success;
}

constexpr test_case cases[] = {
	{"without the capability there are no rules", without_the_capability_there_are_no_rules},
	{"rules: messages of other lengths are refused", messages_of_other_lengths_are_refused},
	{"rules: what cannot be matched is refused", what_cannot_be_matched_is_refused},
	{"rules: actions that cannot be are refused", actions_that_cannot_be_are_refused},
	{"rules: raw patterns have lengths and places", raw_patterns_have_lengths_and_places},
	{"rules go by their ids", rules_go_by_their_ids},
	{"the same frames have one rule", the_same_frames_have_one_rule},
	{"the table of rules has an end", the_table_has_an_end},
	{"combinations of masks have an end", combinations_of_masks_have_an_end},
	{"patterns become bytes of headers", patterns_become_bytes_of_headers},
	{"actions of rules are pushed", actions_are_pushed},
	{"a reset ends all rules", a_reset_ends_all_rules},
	{"rules are shown", rules_are_shown},
	{"what the function has not is refused", what_the_function_has_not_is_refused},
};

} // namespace

constinit const case_table test::fdir_cases = cases;
