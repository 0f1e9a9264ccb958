/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

/* What a driver sets up for VLAN tags: hostile messages first, then what is pushed. */

using namespace test;
namespace op = iavf::vc_op;
namespace cap = iavf::vc_cap;
using iavf::vc_status;

namespace {

constexpr int err_param = static_cast<int>(vc_status::err_param);
constexpr int not_supported = static_cast<int>(vc_status::err_not_supported);

/* The layout and the numbers of the protocol, by hand. */
struct setting {
	uint32_t outer, inner;
	uint16_t vport = iavf::vsi_id;
	uint8_t pad[6] = {};
};
struct tag {
	uint16_t tci, mask, tpid, pad = 0;
};
struct filter {
	tag inner, outer;
	uint8_t pad[16] = {};
};
constexpr uint32_t type_8100 = 1, type_88a8 = 2, type_9100 = 4;

std::vector<std::byte>
list_v1(std::initializer_list<uint16_t> ids, uint16_t vsi = iavf::vsi_id)
{
	guard::writer out;

	out.put(vsi).put(static_cast<uint16_t>(ids.size()));
	for (uint16_t id : ids)
		out.put(id);
	return std::move(out).take();
}

std::vector<std::byte>
list_v2(const std::vector<filter> &filters, uint16_t vport = iavf::vsi_id)
{
	guard::writer out;

	out.put(vport).put(static_cast<uint16_t>(filters.size())).put(uint32_t{0});
	for (const filter &one : filters)
		out.put(one);
	return std::move(out).take();
}

filter
outer(uint16_t tci, uint16_t tpid = 0x8100)
{
	return {.inner = {}, .outer = {.tci = tci, .mask = 0, .tpid = tpid}};
}

/** A driver that has been granted what it wants. */
bool
bring_up(fake_driver &driver, uint32_t wanted)
{
	driver.open_mailbox();
	return driver.ask_struct(op::version, iavf::vc_version_info{1, 1}) == 0 &&
	       driver.ask_struct(op::get_vf_resources, wanted) == 0;
}

bool
has_id(const fake_driver &driver, int type, uint16_t id)
{
	return (driver.vlan_ids->of[type][id / 64] >> id % 64 & 1) != 0;
}

size_t
ids_of(const fake_driver &driver)
{
	size_t sum = 0;

	for (const auto &type : driver.vlan_ids->of)
		for (uint64_t word : type)
			sum += static_cast<size_t>(__builtin_popcountll(word));
	return sum;
}

outcome
one_version_is_granted_the_second_if_wanted()
{
	const struct {
		uint32_t wanted, granted;
	} rows[] = {
		{0, 0},
		{cap::offload_vlan, cap::offload_vlan},
		{cap::offload_vlan_v2, cap::offload_vlan_v2},
		{cap::offload_vlan | cap::offload_vlan_v2, cap::offload_vlan_v2},
	};
	for (const auto &row : rows) {
		fake_driver driver;

		CHECK(bring_up(driver, row.wanted));
		CHECK_EQ(driver.dev().session().granted(), row.granted);
		const bool v1 = row.granted == cap::offload_vlan;
		const bool v2 = row.granted == cap::offload_vlan_v2;
		const int first = v1 ? 0 : not_supported, second = v2 ? 0 : not_supported;
		CHECK_EQ(driver.ask(op::enable_vlan_stripping), first);
		CHECK_EQ(driver.ask(op::disable_vlan_stripping), first);
		CHECK_EQ(driver.ask(op::add_vlan, list_v1({1})), first);
		CHECK_EQ(driver.ask(op::del_vlan, list_v1({1})), first);
		CHECK_EQ(driver.ask(op::get_offload_vlan_v2_caps), second);
		CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(1)})), second);
		CHECK_EQ(driver.ask(op::del_vlan_v2, list_v2({outer(1)})), second);
		for (uint32_t which : {54u, 55u, 56u, 57u})
			CHECK_EQ(driver.ask_struct(which, setting{type_8100, 0}), second);
		for (uint32_t which : {58u, 59u}) /* the device filters, or does not */
			CHECK_EQ(driver.ask_struct(which, setting{type_8100, 0}), not_supported);
	}
	return success;
}

/* Byte by byte what a PF of the E810 in double VLAN mode says. */
outcome
the_capabilities_are_those_of_double_vlan_mode()
{
	constexpr uint32_t toggle = 1u << 31, exclusive = 1u << 30, together = 1u << 29;
	const uint32_t want[] = {
		7 | together, /* filtering, outer */
		0,
		7,    /* to begin with */
		4096, /* filters, and padding */
		toggle | exclusive | 7 | 1u << 10,
		toggle | 1 | 1u << 8,
		toggle | exclusive | 7 | 1u << 9,
		toggle | 1 | 1u << 8,
		1,
		0,
	};
	fake_driver driver;

	CHECK(bring_up(driver, cap::offload_vlan_v2));
	driver.send(op::get_offload_vlan_v2_caps);
	std::optional<received> reply;
	while ((reply = driver.receive()) && reply->op != op::get_offload_vlan_v2_caps)
		;
	CHECK(reply && reply->status == vc_status::success);
	CHECK_EQ(reply->body.size(), sizeof(want));
	CHECK(std::memcmp(reply->body.data(), want, sizeof(want)) == 0);
	return success;
}

outcome
hostile_settings_are_refused()
{
	constexpr uint16_t other_vport = iavf::vsi_id + 1;
	const setting bad[] = {
		{0, 0},
		{type_8100, 0, other_vport},
		{type_8100 | type_88a8, 0},
		{type_8100 | type_88a8 | type_9100, 0},
		{8, 0},
		{1u << 8, 0},
		{1u << 31, 0},
		{UINT32_MAX, 0},
		{0, type_88a8},
		{0, type_9100},
		{0, type_8100 | type_88a8},
		{type_8100, UINT32_MAX},
		{type_8100, 1u << 31},
		{type_8100 | 1u << 31, type_8100},
	};
	fake_driver driver;

	CHECK(bring_up(driver, cap::offload_vlan_v2));
	CHECK_EQ(driver.ask_struct(op::enable_vlan_stripping_v2, setting{type_88a8, 0}), 0);
	const size_t pushes = driver.configs;
	for (const setting &one : bad)
		for (uint32_t which : {54u, 55u, 56u, 57u})
			CHECK_EQ(driver.ask_struct(which, one), err_param);
	CHECK_EQ(driver.configs, pushes);
	CHECK_EQ(driver.config.vlan.strip_outer, 0x88a8);
	CHECK_EQ(driver.config.vlan.strip_inner, 0);
	return success;
}

outcome
settings_are_pushed()
{
	const struct {
		uint32_t op;
		setting what;
		uint16_t strip_outer, strip_inner, insert_outer;
	} rows[] = {
		{op::enable_vlan_stripping_v2, {type_8100, 0}, 0x8100, 0, 0x8100},
		{op::enable_vlan_stripping_v2, {type_88a8, type_8100}, 0x88a8, 0x8100, 0x8100},
		{op::enable_vlan_insertion_v2, {type_88a8, 0}, 0x88a8, 0x8100, 0x88a8},
		{op::disable_vlan_stripping_v2, {0, type_8100}, 0x88a8, 0, 0x88a8},
		{op::enable_vlan_insertion_v2, {type_9100, type_8100}, 0x88a8, 0, 0x9100},
		{op::disable_vlan_stripping_v2, {type_8100, 0}, 0, 0, 0x9100},
		/* What is on its way still has tags in its descriptors. */
		{op::disable_vlan_insertion_v2, {type_9100, 0}, 0, 0, 0x9100},
		{op::enable_vlan_stripping_v2, {0, type_8100}, 0, 0x8100, 0x9100},
	};
	fake_driver driver;

	CHECK(bring_up(driver, cap::offload_vlan_v2));
	CHECK_EQ(driver.config.vlan.strip_outer, 0);
	CHECK_EQ(driver.config.vlan.outer_in_second, 1);
	for (const auto &row : rows) {
		CHECK_EQ(driver.ask_struct(row.op, row.what), 0);
		CHECK_EQ(driver.config.vlan.strip_outer, row.strip_outer);
		CHECK_EQ(driver.config.vlan.strip_inner, row.strip_inner);
		CHECK_EQ(driver.config.vlan.insert_outer, row.insert_outer);
		CHECK_EQ(driver.config.vlan.outer_in_second, 1);
	}
	return success;
}

/* The first version: one tag, in the first field, stripped from the beginning. */
outcome
the_first_version_has_one_tag()
{
	fake_driver driver;

	CHECK(bring_up(driver, cap::offload_vlan));
	CHECK_EQ(driver.config.vlan.strip_outer, 0x8100);
	CHECK_EQ(driver.config.vlan.outer_in_second, 0);
	CHECK_EQ(driver.ask(op::disable_vlan_stripping), 0);
	CHECK_EQ(driver.config.vlan.strip_outer, 0);
	CHECK_EQ(driver.ask(op::enable_vlan_stripping), 0);
	CHECK_EQ(driver.config.vlan.strip_outer, 0x8100);
	CHECK_EQ(driver.config.vlan.strip_inner, 0);
	CHECK(!driver.vlan_ids, "nothing is filtered yet");
	CHECK_EQ(driver.ask(op::add_vlan, list_v1({0, 5, 4095, 5})), 0);
	CHECK(driver.vlan_ids && ids_of(driver) == 2);
	CHECK(has_id(driver, 0, 5) && has_id(driver, 0, 4095));
	CHECK_EQ(driver.ask(op::del_vlan, list_v1({5, 6})), 0);
	CHECK(driver.vlan_ids && ids_of(driver) == 1);
	CHECK_EQ(driver.ask(op::del_vlan, list_v1({4095})), 0);
	CHECK(!driver.vlan_ids, "the last one has gone");
	/* Hostile ones: all or nothing. */
	CHECK_EQ(driver.ask(op::add_vlan, list_v1({7, 4096})), err_param);
	CHECK_EQ(driver.ask(op::add_vlan, list_v1({7, UINT16_MAX})), err_param);
	CHECK_EQ(driver.ask(op::add_vlan, list_v1({7}, 2)), err_param);
	CHECK_EQ(driver.ask(op::del_vlan, list_v1({4096})), err_param);
	CHECK_EQ(driver.ask(op::add_vlan, list_v1({})), err_param);
	std::vector<std::byte> lies = list_v1({7});
	for (uint16_t count : {uint16_t{2}, uint16_t{3}, uint16_t{UINT16_MAX}}) {
		std::memcpy(&lies[2], &count, sizeof(count));
		CHECK_EQ(driver.ask(op::add_vlan, lies), err_param);
	}
	CHECK(!driver.vlan_ids);
	return success;
}

outcome
hostile_filters_are_refused()
{
	filter masked = outer(5), prioritised = outer(0x2005), inner = outer(5);
	masked.outer.mask = 0xfff;
	inner.inner = {.tci = 6, .mask = 0, .tpid = 0x8100};
	filter inner_mask = outer(5), inner_priority = outer(5);
	inner_mask.inner.mask = 1;
	inner_priority.inner.tci = 0x8000;
	const filter bad[] = {masked,           prioritised,      inner,
			      inner_mask,       inner_priority,   outer(5, 0x88a9),
			      outer(5, 0x0081), outer(5, 0xffff), outer(5, 0x0800)};
	fake_driver driver;

	CHECK(bring_up(driver, cap::offload_vlan_v2));
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(9)})), 0);
	const size_t pushes = driver.configs;
	for (const filter &one : bad) {
		CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(7), one})), err_param);
		CHECK_EQ(driver.ask(op::del_vlan_v2, list_v2({outer(9), one})), err_param);
	}
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(7)}, 2)), err_param);
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({})), err_param);
	std::vector<std::byte> lies = list_v2({outer(7)});
	for (uint16_t count : {uint16_t{2}, uint16_t{2048}, uint16_t{UINT16_MAX}}) {
		std::memcpy(&lies[2], &count, sizeof(count));
		CHECK_EQ(driver.ask(op::add_vlan_v2, lies), err_param);
	}
	CHECK_EQ(driver.configs, pushes);
	CHECK(driver.vlan_ids && ids_of(driver) == 1 && has_id(driver, 0, 9));
	/* What is not set is left out: so a physical function takes VLAN 0. */
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(0), outer(3, 0), outer(8, 0x9100)})),
		 0);
	CHECK(ids_of(driver) == 2 && has_id(driver, 2, 8));
	/* The drop eligible indicator belongs neither to the id nor to the priority. */
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(0x1fff), outer(0x1000)})), 0);
	CHECK(ids_of(driver) == 3 && has_id(driver, 0, 4095));
	return success;
}

outcome
filters_have_types_and_a_limit()
{
	fake_driver driver;

	CHECK(bring_up(driver, cap::offload_vlan_v2));
	CHECK_EQ(driver.ask(op::add_vlan_v2,
			    list_v2({outer(5), outer(5, 0x88a8), outer(6, 0x9100)})),
		 0);
	CHECK(ids_of(driver) == 3 && has_id(driver, 1, 5) && !has_id(driver, 1, 6));
	CHECK_EQ(driver.ask(op::del_vlan_v2, list_v2({outer(5)})), 0);
	CHECK(ids_of(driver) == 2 && has_id(driver, 1, 5) && !has_id(driver, 0, 5));
	/* 4095 of one type, two of others: the last message goes beyond 4096. */
	std::vector<filter> batch;
	for (uint16_t id = 1; id <= 4095; id++) {
		batch.push_back(outer(id));
		if (batch.size() < 100 && id != 4094 && id != 4095)
			continue;
		const bool fits = id != 4095;
		CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2(batch)), fits ? 0 : err_param);
		CHECK_EQ(ids_of(driver), 2u + (fits ? id : 4094u));
		batch.clear();
	}
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(1), outer(2)})), 0);
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(99, 0x88a8), outer(98, 0x88a8)})),
		 err_param);
	CHECK_EQ(ids_of(driver), 4096);
	return success;
}

/* A promiscuous guest sees all VLANs; its filters wait. */
outcome
promiscuous_mode_lifts_the_filter()
{
	fake_driver driver;
	const auto promiscuous = [&](uint16_t flags) {
		return driver.ask_struct(op::config_promiscuous_mode,
					 iavf::vc_promisc_info{iavf::vsi_id, flags});
	};

	CHECK(bring_up(driver, cap::offload_vlan_v2));
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(5)})), 0);
	CHECK(driver.vlan_ids);
	CHECK_EQ(promiscuous(3), 0);
	CHECK(!driver.vlan_ids);
	CHECK_EQ(promiscuous(2), 0); /* multicast of the VLANs that it has */
	CHECK(driver.vlan_ids && has_id(driver, 0, 5));
	return success;
}

/* Nothing is left for the next driver, and one that asks again keeps what it has. */
outcome
tags_end_with_the_session()
{
	fake_driver driver;

	CHECK(bring_up(driver, cap::offload_vlan_v2));
	CHECK_EQ(driver.ask_struct(op::enable_vlan_stripping_v2, setting{type_88a8, type_8100}), 0);
	CHECK_EQ(driver.ask_struct(op::enable_vlan_insertion_v2, setting{type_88a8, 0}), 0);
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(5)})), 0);
	CHECK_EQ(driver.ask_struct(op::get_vf_resources, cap::offload_vlan_v2), 0);
	CHECK(driver.config.vlan.strip_outer == 0x88a8 && driver.vlan_ids);
	driver.send(op::reset_vf);
	CHECK_EQ(driver.config.vlan.strip_outer, 0);
	CHECK_EQ(driver.config.vlan.strip_inner, 0);
	CHECK_EQ(driver.config.vlan.insert_outer, 0);
	CHECK(!driver.vlan_ids);
	CHECK(bring_up(driver, cap::offload_vlan));
	CHECK_EQ(driver.config.vlan.strip_outer, 0x8100);
	CHECK_EQ(driver.config.vlan.outer_in_second, 0);
	driver.pci().reset(pci_device::reset_cause::function_level);
	CHECK_EQ(driver.config.vlan.strip_outer, 0);
	return success;
}

outcome
filters_are_shown()
{
	fake_driver driver;

	CHECK(bring_up(driver, cap::offload_vlan_v2));
	CHECK_EQ(driver.ask(op::add_vlan_v2, list_v2({outer(5), outer(7), outer(8), outer(9),
						      outer(4095), outer(6, 0x88a8)})),
		 0);
	const std::string told = shown(driver, "filters");
	for (const char *part : {"\"vlans\":6", "\"vlans_8100\":[\"5\",\"7-9\",\"4095\"]",
				 "\"vlans_88a8\":[\"6\"]", "\"vlans_9100\":[]"})
		CHECK(has(told, part), "%s in %s", part, told.c_str());
	return success;
}

constexpr test_case cases[] = {
	{"hostile VLAN settings are refused", hostile_settings_are_refused},
	{"hostile VLAN filters are refused", hostile_filters_are_refused},
	{"one version of VLAN messages is granted, the second if wanted",
	 one_version_is_granted_the_second_if_wanted},
	{"the VLAN capabilities are those of double VLAN mode",
	 the_capabilities_are_those_of_double_vlan_mode},
	{"VLAN settings are pushed", settings_are_pushed},
	{"the first version has one tag", the_first_version_has_one_tag},
	{"VLAN filters have types and a limit", filters_have_types_and_a_limit},
	{"promiscuous mode lifts the VLAN filter", promiscuous_mode_lifts_the_filter},
	{"tags end with the session", tags_end_with_the_session},
	{"VLAN filters are shown", filters_are_shown},
};

} // namespace

constinit const case_table test::vlan_cases = cases;
