/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

/* What the administrator of the host decides, and what becomes of guests that want it otherwise. */

using namespace test;
namespace op = iavf::vc_op;
namespace cap = iavf::vc_cap;
using iavf::vc_status;

namespace {

constexpr int err_param = static_cast<int>(vc_status::err_param);
constexpr int err_no_memory = static_cast<int>(vc_status::err_no_memory);
constexpr iavf::mac_address other{2, 0, 0, 0, 0, 2}, group{0x33, 0x33, 0, 0, 0, 1};
constexpr uint8_t extra = 2, primary = 1;

struct address {
	iavf::mac_address mac;
	uint8_t type = extra;
};

std::vector<std::byte>
list_of(std::initializer_list<address> addresses)
{
	guard::writer out;

	out.put(iavf::vc_ether_addr_list{iavf::vsi_id, static_cast<uint16_t>(addresses.size())});
	for (const address &one : addresses) {
		iavf::vc_ether_addr entry{};
		std::ranges::copy(one.mac, entry.addr);
		entry.type = one.type;
		out.put(entry);
	}
	return std::move(out).take();
}

iavf::policy
with(std::initializer_list<std::pair<const char *, const char *>> parts, iavf::policy from = {})
{
	for (const auto &[key, value] : parts)
		for (const iavf::policy_key &row : iavf::policy_keys())
			if (key == std::string_view(row.name))
				row.set(from, value);
	return from;
}

int
promiscuous(fake_driver &driver, uint16_t flags)
{
	return driver.ask_struct(op::config_promiscuous_mode,
				 iavf::vc_promisc_info{iavf::vsi_id, flags});
}

/** A driver that has been granted what it wants. */
bool
begin(fake_driver &driver, uint32_t wanted)
{
	driver.open_mailbox();
	return driver.ask_struct(op::version, iavf::vc_version_info{1, 1}) == 0 &&
	       driver.ask_struct(op::get_vf_resources, wanted) == 0;
}

/** The next event of the device. */
std::optional<iavf::vc_pf_event>
next_event(fake_driver &driver)
{
	while (std::optional<received> got = driver.receive())
		if (got->op == op::event)
			return *guard::load<iavf::vc_pf_event>(got->body, 0);
	return {};
}

outcome
texts_that_are_no_policy_change_nothing()
{
	const struct {
		const char *key;
		std::vector<const char *> bad, good;
	} rows[] = {
		{"trust", {"", "0", "1", "yes", "ON", "on ", "onoff"}, {"on", "off"}},
		{"spoofchk", {"", "2", "true"}, {"on", "off"}},
		{"vlan",
		 {"", "4095", "-1", "5:", "5:8", "5:3:", "5:3:8100", "5:3:802.1",
		  "5:3:802.1q:", "5:3:802.1q:1", ":3", "0:3", "0:0:802.1q", "5,3", "99999999999",
		  "0x5", "5:-1:802.1q", "00"},
		 {"0", "1:0:802.1q", "4094:7:802.1ad"}},
		{"rate",
		 {"", "400001", "-5", "1.5", "4294967296", "1k", "5:6", "5:", ":5", "5:1:1",
		  "0:400001"},
		 {"0", "1", "400000", "0:400000", "5:5", "5:4"}},
		{"link", {"", "enable", "UP", "0"}, {"auto", "up", "down"}},
		{"macs", {"", "4097", "-1"}, {"0", "64", "4096"}},
		{"mcast", {"", "4097", "all"}, {"0", "4096"}},
	};

	for (const iavf::policy_key &key : iavf::policy_keys()) {
		const auto *row = std::ranges::find_if(rows, [&](const auto &one) {
			return std::string_view(one.key) == key.name;
		});
		CHECK(row != std::end(rows), "%s", key.name);
		for (const char *text : row->good) {
			iavf::policy changed;
			CHECK(key.set(changed, text), "%s=%s", key.name, text);
			CHECK(key.get(changed) == text, "%s=%s", key.name, text);
			for (const char *bad : row->bad) {
				const iavf::policy before = changed;
				CHECK(!key.set(changed, bad), "%s=%s", key.name, bad);
				CHECK(changed == before, "%s=%s", key.name, bad);
			}
		}
	}
	iavf::policy out;
	CHECK(iavf::policy_keys()[2].set(out, "5:3"));
	CHECK_EQ(out.vlan_type, 0x8100);
	CHECK_EQ(out.vlan_tci, 0x6005);
	return success;
}

/* All or nothing, in each form: an address that was given stays. */
outcome
an_untrusted_guest_keeps_the_address_that_it_was_given()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	driver.dev().set_mac(other);
	driver.dev().set_policy(with({{"trust", "off"}}, driver.dev().host().policy));
	CHECK(driver.bring_up());
	CHECK_EQ(driver.ask(op::add_eth_addr, list_of({{other, primary}})), 0);
	CHECK_EQ(driver.ask(op::add_eth_addr, list_of({{other}, {group}})), 0);
	const size_t filters = driver.dev().session().filters().size();
	for (uint8_t type : {uint8_t{0}, primary, extra, uint8_t{3}}) {
		CHECK_EQ(driver.ask(op::add_eth_addr, list_of({{fake_driver::mac, type}})),
			 err_param);
		CHECK_EQ(driver.ask(op::add_eth_addr,
				    list_of({{group}, {fake_driver::mac, type}, {other}})),
			 err_param);
	}
	CHECK(driver.dev().agreed().mac == other);
	CHECK_EQ(driver.dev().session().filters().size(), filters);
	CHECK_EQ(driver.dev().stats().refused_addresses, 8);
	/* It is the device's address even if the guest takes the filter out. */
	CHECK_EQ(driver.ask(op::del_eth_addr, list_of({{other}})), 0);
	CHECK(driver.dev().agreed().mac == other);
	CHECK(std::memcmp(driver.config.mac.addr_bytes, other.data(), 6) == 0);
	/* Trusted, it may have any. */
	driver.dev().set_policy(with({{"trust", "on"}}, driver.dev().host().policy));
	CHECK(driver.bring_up());
	CHECK_EQ(driver.ask(op::add_eth_addr, list_of({{fake_driver::mac, primary}})), 0);
	CHECK(driver.dev().agreed().mac == fake_driver::mac);
	/* And loses it with the trust. */
	driver.dev().set_policy(with({{"trust", "off"}}, driver.dev().host().policy));
	CHECK(driver.dev().agreed().mac == other);
	return success;
}

/* As on hardware: what nobody has given it may change. */
outcome
an_untrusted_guest_may_change_an_address_that_was_made_up()
{
	fake_driver driver;

	driver.dev().set_policy(with({{"trust", "off"}}));
	CHECK(driver.bring_up());
	CHECK_EQ(driver.ask(op::add_eth_addr, list_of({{other, primary}})), 0);
	CHECK(driver.dev().agreed().mac == other);
	CHECK_EQ(driver.dev().stats().refused_addresses, 0);
	return success;
}

/* It is told that it has it, as a physical function does. */
outcome
promiscuous_mode_of_an_untrusted_guest_is_ignored()
{
	fake_driver driver;

	driver.dev().set_policy(with({{"trust", "off"}}));
	CHECK(driver.bring_up());
	const size_t pushes = driver.configs;
	for (unsigned int i = 0; i < 1000; i++)
		CHECK_EQ(promiscuous(driver, 3), 0);
	CHECK_EQ(promiscuous(driver, 0), 0);
	CHECK_EQ(driver.dev().session().promiscuous(), 0);
	CHECK_EQ(driver.configs, pushes);
	CHECK_EQ(driver.dev().stats().ignored_promiscuous, 1000);
	driver.dev().set_policy(with({{"trust", "on"}}));
	CHECK(driver.bring_up());
	CHECK_EQ(promiscuous(driver, 3), 0);
	CHECK_EQ(driver.config.promiscuous, 3);
	/* Trust that is withdrawn takes along what it had allowed. */
	driver.dev().set_policy(with({{"trust", "off"}}));
	CHECK_EQ(driver.config.promiscuous, 0);
	return success;
}

/** How many addresses of stations or groups a driver can add, one by one. */
unsigned int
room_for(fake_driver &driver, bool groups)
{
	unsigned int n = 0;

	for (; n < 300; n++) {
		iavf::mac_address mac{static_cast<uint8_t>(groups ? 3 : 2),
				      1,
				      0,
				      0,
				      static_cast<uint8_t>(n >> 8),
				      static_cast<uint8_t>(n)};
		if (int status = driver.ask(op::add_eth_addr, list_of({{mac}})); status != 0)
			return status == err_no_memory ? n : 1000;
	}
	return n;
}

outcome
addresses_have_limits()
{
	const struct {
		const char *trust, *macs, *mcast;
		bool groups;
		unsigned int room;
	} rows[] = {
		{"on", "4096", "4096", false, 256}, {"off", "4096", "4096", false, 16},
		{"off", "5", "4096", false, 5},     {"on", "5", "4096", true, 5},
		{"on", "4096", "3", true, 3},       {"on", "4096", "0", false, 256},
		{"off", "4096", "0", true, 0},      {"on", "0", "4096", false, 0},
	};
	for (const auto &row : rows) {
		fake_driver driver;

		driver.dev().set_policy(
			with({{"trust", row.trust}, {"macs", row.macs}, {"mcast", row.mcast}}));
		CHECK(driver.bring_up());
		CHECK_EQ(room_for(driver, row.groups), row.room);
		CHECK_EQ(driver.dev().stats().refused_limits, 1);
		/* Its own needs no room. */
		CHECK_EQ(driver.ask(op::add_eth_addr, list_of({{fake_driver::mac, primary}})), 0);
	}
	return success;
}

outcome
the_data_path_is_told_the_policy()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	driver.events.clear();
	driver.dev().set_policy(with({{"spoofchk", "on"}, {"rate", "100"}}));
	CHECK_EQ(driver.config.policy.check_source, 1);
	CHECK_EQ(driver.config.policy.max_rate, 100);
	CHECK_EQ(driver.config.policy.min_rate, 0);
	driver.dev().set_policy(with({{"spoofchk", "on"}, {"rate", "100:7"}}));
	CHECK_EQ(driver.config.policy.min_rate, 7);
	CHECK(driver.config.policy.from_vlans != nullptr);
	CHECK_EQ(driver.config.policy.link_down, 0);
	CHECK(driver.dev().agreed().state == iavf::vf_state::active, "that resets nobody");
	driver.dev().set_policy(with({{"spoofchk", "on"}, {"vlan", "5:3:802.1ad"}}));
	CHECK_EQ(driver.config.policy.port_vlan_type, 0x88a8);
	CHECK_EQ(driver.config.policy.port_vlan_tci, 0x6005);
	CHECK_EQ(driver.config.policy.max_rate, 0);
	CHECK(driver.config.policy.from_vlans == nullptr, "its own tags are its own matter");
	driver.dev().set_policy({});
	CHECK_EQ(driver.config.policy.check_source + driver.config.policy.port_vlan_type, 0);
	return success;
}

/* Byte by byte what a PF of the E810 in double VLAN mode says of a VF in a port VLAN. */
outcome
in_a_port_vlan_a_driver_has_the_inner_tag()
{
	constexpr uint32_t inner = 1u << 31 | 1 | 1u << 8;
	const uint32_t want[] = {0, 0, 0, 0, 0, inner, 0, inner, 1, 0};
	struct setting {
		uint32_t outer, inner;
		uint16_t vport = iavf::vsi_id;
		uint8_t pad[6] = {};
	};
	struct {
		uint16_t vport = iavf::vsi_id, count = 1;
		uint32_t pad = 0;
		uint16_t inner[4] = {}, outer[4] = {7, 0, 0x8100, 0};
		uint8_t more[16] = {};
	} filter;
	fake_driver driver;

	driver.dev().set_policy(with({{"vlan", "5"}}));
	CHECK(begin(driver, cap::offload_vlan_v2));
	driver.send(op::get_offload_vlan_v2_caps);
	std::optional<received> reply;
	while ((reply = driver.receive()) && reply->op != op::get_offload_vlan_v2_caps)
		;
	CHECK(reply && reply->body.size() == sizeof(want));
	CHECK(std::memcmp(reply->body.data(), want, sizeof(want)) == 0);
	for (uint32_t which : {54u, 55u, 56u, 57u}) {
		CHECK_EQ(driver.ask_struct(which, setting{1, 0}), err_param);
		CHECK_EQ(driver.ask_struct(which, setting{1, 1}), err_param);
	}
	CHECK_EQ(driver.ask_struct(op::add_vlan_v2, filter), err_param);
	CHECK_EQ(driver.config.vlan.strip_outer, 0);
	CHECK_EQ(driver.ask_struct(op::enable_vlan_stripping_v2, setting{0, 1}), 0);
	/* For the data path it is the first one, as that of the port is gone. */
	CHECK_EQ(driver.config.vlan.strip_outer, 0x8100);
	CHECK_EQ(driver.config.vlan.strip_inner, 0);
	CHECK_EQ(driver.config.vlan.outer_in_second, 0);
	/* The first version means the same tag. */
	CHECK(begin(driver, cap::offload_vlan));
	CHECK_EQ(driver.config.vlan.strip_outer, 0x8100);
	CHECK_EQ(driver.config.vlan.outer_in_second, 0);
	return success;
}

/** Whether the driver was told of a reset, and finds a device that has been reset. */
bool
was_reset(fake_driver &driver)
{
	const auto event = next_event(driver);

	return event && event->event == 2 && event->severity == 255 &&
	       driver.read(iavf::reg::vf_arqlen1) == 0 &&
	       driver.read(iavf::reg::vfgen_rstat) == iavf::rstat::vf_active &&
	       driver.dev().session().granted() == 0;
}

outcome
a_reset_by_the_host_is_announced()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	CHECK_EQ(driver.enable(), 0);
	while (driver.receive())
		;
	driver.events.clear();
	driver.dev().reset_by_host();
	CHECK(was_reset(driver));
	CHECK_EQ(driver.events.size(), 2);
	for (const queue_event &e : driver.events)
		CHECK(!e.info.enabled && e.arq_len != 0, "queues end before registers go");
	CHECK_EQ(driver.dev().stats().resets_by_host, 1);
	/* A driver that has not begun hears nothing, and one that is deaf may come later. */
	driver.dev().reset_by_host();
	CHECK(!driver.receive());
	CHECK(driver.bring_up());
	CHECK_EQ(driver.enable(), 0);
	return success;
}

outcome
another_address_comes_with_a_reset()
{
	fake_driver driver;

	CHECK(driver.bring_up());
	driver.dev().set_mac(other);
	CHECK(was_reset(driver));
	driver.open_mailbox();
	driver.send(op::get_vf_resources, guard::as_bytes(uint32_t{0}));
	std::optional<received> reply;
	while ((reply = driver.receive()) && reply->op != op::get_vf_resources)
		;
	CHECK(reply && reply->body.size() == 36);
	CHECK(std::memcmp(&reply->body[30], other.data(), 6) == 0);
	CHECK(std::memcmp(driver.config.mac.addr_bytes, other.data(), 6) == 0);
	driver.pci().reset(pci_device::reset_cause::client_gone);
	CHECK(driver.dev().agreed().mac == other, "it is that of the device");
	return success;
}

/* What a driver was told must hold as long as it goes by it. */
outcome
only_what_a_driver_has_to_know_resets_it()
{
	const struct {
		const char *key, *value;
		bool resets;
	} rows[] = {
		{"trust", "on", false}, {"trust", "off", true},     {"spoofchk", "on", false},
		{"rate", "10", false},  {"link", "down", false},    {"vlan", "0", false},
		{"vlan", "7", true},    {"vlan", "0", true},        {"macs", "10", true},
		{"macs", "12", false},  {"mcast", "0", true},       {"trust", "on", true},
		{"link", "up", false},  {"spoofchk", "off", false},
	};
	fake_driver driver;

	for (const auto &row : rows) {
		CHECK(driver.bring_up());
		driver.dev().set_policy(with({{row.key, row.value}}, driver.dev().host().policy));
		const bool active = driver.dev().agreed().state == iavf::vf_state::active;
		CHECK_EQ(!active, row.resets);
	}
	return success;
}

outcome
the_link_is_what_the_administrator_says()
{
	const struct {
		const char *policy;
		bool port, up;
	} rows[] = {
		{"auto", true, true},  {"auto", false, false}, {"up", false, true},
		{"down", true, false}, {"down", false, false}, {"up", true, true},
	};
	for (const uint32_t format : {0u, cap::adv_link_speed}) {
		fake_driver driver;
		rte_emudev_conf conf{.struct_size = sizeof(conf), .queue_pairs = 1, .net = nullptr};

		CHECK_EQ(rte_emudev_configure(driver.dev().emudev(), &conf), 0);
		CHECK_EQ(rte_emudev_start(driver.dev().emudev()), 0);
		CHECK(driver.bring_up());
		CHECK_EQ(driver.ask_struct(op::get_vf_resources, format), 0);
		CHECK_EQ(driver.enable(), 0);
		bool before = true;
		while (driver.receive())
			;
		for (const auto &row : rows) {
			driver.dev().set_port_link(row.port);
			driver.dev().set_policy(with({{"link", row.policy}}));
			std::optional<iavf::vc_pf_event> last, event;
			while ((event = next_event(driver)))
				last = event;
			CHECK(last || row.up == before);
			if (last) {
				CHECK_EQ(last->event, 1);
				CHECK_EQ(last->link_status, row.up);
				CHECK_EQ(last->link_speed, format != 0 ? 25000 : 1 << 6);
			}
			CHECK_EQ(driver.config.policy.link_down, !row.up);
			before = row.up;
		}
	}
	return success;
}

/* As drivers know them: in Mbit/s, or by the bits of virtchnl's older format. */
outcome
speeds_are_told_in_both_formats()
{
	constexpr struct {
		uint32_t mbps, code;
	} rows[] = {{100, 2},    {1000, 4},   {2500, 1},   {5000, 128}, {10000, 8},
		    {20000, 32}, {25000, 64}, {40000, 16}, {50000, 16}, {100000, 16}};

	for (const uint32_t format : {0u, cap::adv_link_speed}) {
		fake_driver driver;
		rte_emudev_conf conf{.struct_size = sizeof(conf), .queue_pairs = 1, .net = nullptr};

		CHECK_EQ(rte_emudev_configure(driver.dev().emudev(), &conf), 0);
		CHECK_EQ(rte_emudev_start(driver.dev().emudev()), 0);
		driver.dev().set_port_link(true);
		CHECK(driver.bring_up());
		CHECK_EQ(driver.ask_struct(op::get_vf_resources, format), 0);
		CHECK_EQ(driver.enable(), 0);
		for (const auto &row : rows) {
			while (driver.receive())
				;
			driver.dev().set_speed(row.mbps);
			const auto event = next_event(driver);
			CHECK(event && event->event == 1 && event->link_status == 1, "%u",
			      row.mbps);
			CHECK_EQ(event->link_speed, format != 0 ? row.mbps : row.code);
		}
	}
	return success;
}

/* Whoever makes the link flap, the driver ends up with what is true. */
outcome
a_flapping_link_ends_as_it_is()
{
	fake_driver driver;
	rte_emudev_conf conf{.struct_size = sizeof(conf), .queue_pairs = 1, .net = nullptr};

	CHECK_EQ(rte_emudev_configure(driver.dev().emudev(), &conf), 0);
	CHECK_EQ(rte_emudev_start(driver.dev().emudev()), 0);
	for (const bool up : {false, true}) {
		CHECK(driver.bring_up());
		CHECK_EQ(driver.enable(), 0);
		for (unsigned int i = 0; i < 3000; i++) {
			driver.dev().set_port_link(!up);
			driver.dev().set_port_link(up);
		}
		std::optional<iavf::vc_pf_event> last, event;
		unsigned int events = 0;
		while ((event = next_event(driver))) {
			last = event;
			events++;
		}
		CHECK(last && last->link_status == up, "%u events", events);
		CHECK(events < 300, "%u events", events);
	}
	return success;
}

outcome
attributes_are_the_policy()
{
	const struct {
		uint32_t id;
		std::vector<uint32_t> good, bad;
	} rows[] = {
		{RTE_EMUDEV_NET_ATTR_TRUST, {0, 1}, {2, UINT32_MAX}},
		{RTE_EMUDEV_NET_ATTR_SPOOFCHK, {1, 0}, {2}},
		{RTE_EMUDEV_NET_ATTR_PORT_VLAN,
		 {0x81000001, 0x88a8effe, 0},
		 {5, 0x81000000, 0x81000fff, 0x81001005, 0x91000005, 0x00010005, UINT32_MAX}},
		{RTE_EMUDEV_NET_ATTR_MAX_RATE, {1, 0, 400000}, {400001}},
		{RTE_EMUDEV_NET_ATTR_MIN_RATE, {1, 400000, 0}, {400001}},
		{RTE_EMUDEV_NET_ATTR_LINK_STATE,
		 {RTE_EMUDEV_NET_LINK_UP, RTE_EMUDEV_NET_LINK_DOWN, RTE_EMUDEV_NET_LINK_AUTO},
		 {3}},
		{RTE_EMUDEV_NET_ATTR_MAX_MACS, {0, 4096}, {4097}},
		{RTE_EMUDEV_NET_ATTR_MAX_MCAST, {0, 4096}, {4097}},
	};
	fake_driver driver;
	rte_emudev *dev = driver.dev().emudev();

	CHECK(driver.bring_up());
	for (const auto &row : rows) {
		rte_emudev_attr attr{};
		for (uint32_t value : row.good) {
			attr.id = row.id;
			attr.u32 = value;
			CHECK_EQ(rte_emudev_attr_set(dev, &attr), 0);
			for (uint32_t wrong : row.bad) {
				attr.u32 = wrong;
				CHECK_EQ(rte_emudev_attr_set(dev, &attr), -EINVAL);
			}
			attr.u32 = 77;
			CHECK_EQ(rte_emudev_attr_get(dev, &attr), 0);
			CHECK_EQ(attr.u32, value);
		}
	}
	rte_emudev_attr attr{};
	attr.id = RTE_EMUDEV_NET_ATTR_MAC;
	std::ranges::copy(other, attr.bytes);
	CHECK_EQ(rte_emudev_attr_set(dev, &attr), 0);
	CHECK(driver.dev().host().policy.mac_given && driver.dev().agreed().mac == other);
	attr.id = RTE_EMUDEV_ATTR_RESETS;
	CHECK_EQ(rte_emudev_attr_get(dev, &attr), 0);
	const uint32_t before = attr.u32;
	CHECK_EQ(rte_emudev_attr_set(dev, &attr), 0);
	CHECK_EQ(rte_emudev_attr_get(dev, &attr), 0);
	CHECK_EQ(attr.u32, before + 1);
	return success;
}

/* The guest may send what it is to have. */
outcome
the_minimum_rate_is_not_above_the_maximum()
{
	fake_driver driver;
	rte_emudev *dev = driver.dev().emudev();
	rte_emudev_attr attr{};

	const std::pair<uint32_t, uint32_t> rates[] = {{RTE_EMUDEV_NET_ATTR_MAX_RATE, 100},
						       {RTE_EMUDEV_NET_ATTR_MIN_RATE, 50}};
	for (const auto &[id, mbps] : rates) {
		attr.id = id;
		attr.u32 = mbps;
		CHECK_EQ(rte_emudev_attr_set(dev, &attr), 0);
	}
	attr.u32 = 101;
	CHECK_EQ(rte_emudev_attr_set(dev, &attr), -EINVAL);
	attr.id = RTE_EMUDEV_NET_ATTR_MAX_RATE;
	attr.u32 = 49;
	CHECK_EQ(rte_emudev_attr_set(dev, &attr), -EINVAL);
	CHECK_EQ(driver.dev().host().policy.min_rate, 50);
	return success;
}

constexpr test_case cases[] = {
	{"texts that are no policy change nothing", texts_that_are_no_policy_change_nothing},
	{"an untrusted guest keeps the address that it was given",
	 an_untrusted_guest_keeps_the_address_that_it_was_given},
	{"an untrusted guest may change an address that was made up",
	 an_untrusted_guest_may_change_an_address_that_was_made_up},
	{"promiscuous mode of an untrusted guest is ignored",
	 promiscuous_mode_of_an_untrusted_guest_is_ignored},
	{"addresses have limits", addresses_have_limits},
	{"the data path is told the policy", the_data_path_is_told_the_policy},
	{"in a port VLAN a driver has the inner tag", in_a_port_vlan_a_driver_has_the_inner_tag},
	{"a reset by the host is announced", a_reset_by_the_host_is_announced},
	{"another address comes with a reset", another_address_comes_with_a_reset},
	{"only what a driver has to know resets it", only_what_a_driver_has_to_know_resets_it},
	{"the link is what the administrator says", the_link_is_what_the_administrator_says},
	{"a flapping link ends as it is", a_flapping_link_ends_as_it_is},
	{"speeds are told in both formats", speeds_are_told_in_both_formats},
	{"attributes are the policy", attributes_are_the_policy},
	{"the minimum rate is not above the maximum", the_minimum_rate_is_not_above_the_maximum},
};

} // namespace

constinit const case_table test::policy_cases = cases;
