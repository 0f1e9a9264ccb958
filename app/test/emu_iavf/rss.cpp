/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

/* How a driver wants packets to be spread: hostile messages first, then what is pushed. */

using namespace test;
namespace op = iavf::vc_op;
namespace cap = iavf::vc_cap;
using iavf::vc_status;

namespace {

constexpr int err_param = static_cast<int>(vc_status::err_param);
constexpr int not_supported = static_cast<int>(vc_status::err_not_supported);
constexpr uint32_t both = cap::offload_rss_pf | cap::offload_adv_rss_pf;

/* The layout and the numbers of the protocol, by hand. */
enum header_type { none, eth, s_vlan, c_vlan, ipv4, ipv6, tcp, udp, sctp, gtpu, frag4 = 22, frag6 };
constexpr uint32_t src = 1, dst = 2, protocol = 16;
constexpr uint16_t toeplitz = 0, exclusive_or = 1, symmetric = 2;

struct header {
	int32_t type;
	uint32_t fields;
	uint8_t bytes[64] = {};
};

struct cfg {
	uint8_t level = 0;
	uint8_t pad[3] = {};
	int32_t count = 0;
	header headers[32] = {};
	int32_t algorithm = toeplitz;
	uint8_t reserved[128] = {};
};

cfg
hash(std::initializer_list<header> headers, int algorithm = toeplitz)
{
	cfg out;

	std::ranges::copy(headers, out.headers);
	out.count = static_cast<int32_t>(headers.size());
	out.algorithm = algorithm;
	return out;
}

/** Keys and tables. */
std::vector<std::byte>
table(uint16_t length, size_t bytes, uint8_t each = 0, uint16_t vsi = iavf::vsi_id)
{
	guard::writer out;

	out.put(vsi).put(length);
	for (size_t i = 0; i < bytes; i++)
		out.put(each);
	return std::move(out).take();
}

bool
bring_up(fake_driver &driver, uint32_t wanted = both)
{
	driver.open_mailbox();
	return driver.ask_struct(op::version, iavf::vc_version_info{1, 1}) == 0 &&
	       driver.ask_struct(op::get_vf_resources, wanted) == 0;
}

constexpr uint16_t addresses = RTE_EMUDEV_NET_RSS_SRC_ADDRESS | RTE_EMUDEV_NET_RSS_DST_ADDRESS;
constexpr uint16_t ports = RTE_EMUDEV_NET_RSS_SRC_PORT | RTE_EMUDEV_NET_RSS_DST_PORT;

outcome
hostile_rss_messages_are_refused()
{
	fake_driver driver;

	CHECK(bring_up(driver, 0));
	for (const auto &[what, body] :
	     std::initializer_list<std::pair<uint32_t, std::vector<std::byte>>>{
		     {op::config_rss_key, table(52, 53)},
		     {op::config_rss_lut, table(64, 65)},
		     {op::get_rss_hena_caps, {}},
		     {op::set_rss_hena, std::vector<std::byte>(8)},
		     {op::add_rss_cfg, std::vector<std::byte>(sizeof(cfg))},
		     {op::config_rss_hfunc, std::vector<std::byte>(8)}})
		CHECK_EQ(driver.ask(what, body), not_supported);
	CHECK(bring_up(driver, cap::offload_rss_pf));
	CHECK_EQ(driver.ask_struct(op::del_rss_cfg, hash({{ipv4, src}})), not_supported);
	CHECK_EQ(driver.ask(op::config_rss_hfunc, table(2, 4)), not_supported);

	CHECK(bring_up(driver));
	const auto before = driver.rss;
	const size_t pushed = driver.configs;
	CHECK(before);
	for (const auto &key :
	     {table(0, 0), table(0, 1), table(51, 51), table(51, 52), table(53, 53), table(53, 54),
	      table(52, 51), table(52, 54), table(0xffff, 64), table(52, 53, 1, iavf::vsi_id + 1)})
		CHECK_EQ(driver.ask(op::config_rss_key, key), err_param);
	for (const auto &lut :
	     {table(0, 0), table(63, 63), table(65, 65), table(64, 63), table(64, 66),
	      table(128, 128), table(512, 512), table(0xffff, 64), table(64, 65, 4),
	      table(64, 65, 0xff), table(64, 65, 0, iavf::vsi_id + 1)})
		CHECK_EQ(driver.ask(op::config_rss_lut, lut), err_param);
	for (unsigned int bit = 0; bit < 64; bit++)
		if (bit < 29 || bit == 37 || bit == 38 || bit > 46)
			CHECK_EQ(driver.ask_struct(op::set_rss_hena, uint64_t{1} << bit),
				 err_param);
	CHECK_EQ(driver.ask(op::config_rss_hfunc, table(2, 4, 0, iavf::vsi_id + 1)), err_param);
	CHECK_EQ(driver.configs, pushed);
	CHECK(memcmp(&*before, &*driver.rss, sizeof(*before)) == 0);
	return success;
}

outcome
hostile_rss_rules_are_refused()
{
	fake_driver driver;

	CHECK(bring_up(driver));
	const size_t pushed = driver.configs;
	cfg good = hash({{ipv4, src}, {tcp, src}});
	const auto changed = [&good](auto change) {
		cfg out = good;
		change(out);
		return out;
	};
	const cfg bad[] = {
		changed([](cfg &c) { c.count = 0; }), changed([](cfg &c) { c.count = -1; }),
		changed([](cfg &c) { c.count = 33; }), changed([](cfg &c) { c.count = INT32_MAX; }),
		changed([](cfg &c) { c.count = INT32_MIN; }),
		changed([](cfg &c) { c.count = 32; }), /* headers of type none */
		changed([](cfg &c) { c.level = 2; }), changed([](cfg &c) { c.level = 255; }),
		changed([](cfg &c) { c.algorithm = 3; }), changed([](cfg &c) { c.algorithm = -1; }),
		changed([](cfg &c) { c.algorithm = INT32_MAX; }), hash({{tcp, src}}),
		hash({{eth, src}}), hash({{none, 0}, {ipv4, src}}), hash({{tcp, src}, {ipv4, src}}),
		hash({{ipv4, src}, {ipv6, src}}), hash({{ipv4, src}, {ipv4, src}}),
		hash({{ipv4, src}, {udp, src}, {tcp, src}}), hash({{ipv4, src}, {eth, src}}),
		hash({{ipv4, src}, {frag6, 1}}), hash({{ipv6, src}, {frag4, 1}}),
		hash({{ipv4, src}, {udp, 0}, {gtpu, 1}, {ipv4, src}}), hash({{25, 1}}),
		hash({{-1, 1}, {ipv4, src}}), hash({{INT32_MAX, 1}}),
		/* nothing to hash, or what cannot be */
		hash({{ipv4, 0}}), hash({{ipv4, protocol}}), hash({{ipv4, src}, {tcp, 4}}),
		hash({{ipv4, src | 32}}), hash({{ipv6, src | 32}}), hash({{ipv4, 0xffffffff}})};
	for (const cfg &one : bad)
		CHECK_EQ(driver.ask_struct(op::add_rss_cfg, one), err_param);
	CHECK_EQ(driver.configs, pushed);
	const auto bytes = guard::as_bytes(good);
	CHECK_EQ(driver.ask(op::add_rss_cfg, bytes.first(bytes.size() - 1)), err_param);
	CHECK_EQ(driver.ask(op::add_rss_cfg, bytes.first(76)), err_param);
	CHECK_EQ(driver.ask_struct(op::add_rss_cfg, good), 0);
	/* However many there are, there is one for a kind of packets. */
	for (uint32_t i = 0; i < 5000; i++)
		CHECK_EQ(driver.ask_struct(op::add_rss_cfg, hash({{ipv4, i % 3 + 1}})), 0);
	CHECK_EQ(driver.rss->fields[RTE_EMUDEV_NET_RSS_IPV4], RTE_EMUDEV_NET_RSS_DST_ADDRESS);
	CHECK_EQ(driver.rss->fields[RTE_EMUDEV_NET_RSS_IPV4_TCP],
		 RTE_EMUDEV_NET_RSS_SRC_ADDRESS | RTE_EMUDEV_NET_RSS_SRC_PORT);
	return success;
}

/** Linux sends a key and a table and nothing else. */
outcome
rss_begins_as_with_a_pf()
{
	fake_driver driver;

	CHECK(bring_up(driver, 0));
	CHECK(!driver.rss);
	CHECK(bring_up(driver));
	CHECK(driver.rss);
	CHECK_EQ(driver.rss->lut_size, 64);
	for (uint16_t i = 0; i < 64; i++)
		CHECK_EQ(driver.rss->lut[i], i % fake_driver::pairs);
	for (size_t i = 0; i < RTE_EMUDEV_NET_RSS_TYPES; i++)
		CHECK_EQ(driver.rss->fields[i], addresses | (i % 5 < 2 ? 0 : ports));
	CHECK_EQ(driver.rss->function, RTE_EMUDEV_NET_RSS_TOEPLITZ);
	/* As long as drivers built with either declaration of the array send it. */
	for (const size_t more : {0, 1}) {
		const auto value = static_cast<uint8_t>(2 + more);
		CHECK_EQ(driver.ask(op::config_rss_key, table(52, 52 + more, value)), 0);
		CHECK_EQ(driver.ask(op::config_rss_lut, table(64, 64 + more, value)), 0);
		CHECK(std::ranges::count(driver.rss->key, value) == 52);
		CHECK(std::ranges::count(driver.rss->lut, value) == 64);
	}
	/* A driver that asks again keeps what it has; one that begins does not. */
	CHECK_EQ(driver.ask_struct(op::get_vf_resources, both), 0);
	CHECK_EQ(driver.rss->lut[0], 3);
	driver.send(op::reset_vf);
	CHECK(!driver.rss);
	CHECK(bring_up(driver));
	CHECK_EQ(driver.rss->lut[0], 0);
	CHECK(std::ranges::count(driver.rss->key, 3) < 52);
	return success;
}

outcome
tables_are_shown()
{
	fake_driver driver;
	std::string key, queues;

	CHECK(has(shown(driver, "rss"), "\"enabled\":0"));
	CHECK(bring_up(driver));
	CHECK_EQ(driver.ask(op::config_rss_key, table(52, 52, 0x5a)), 0);
	CHECK_EQ(driver.ask(op::config_rss_lut, table(64, 64, 3)), 0);
	CHECK_EQ(driver.ask_struct(op::add_rss_cfg, hash({{ipv4, dst}, {tcp, src}})), 0);
	for (int i = 0; i < 52; i++)
		key += "5a";
	for (int i = 0; i < 64; i++)
		queues += i == 0 ? "3" : ",3";
	const std::string told = shown(driver, "rss");
	for (const std::string &part :
	     {std::string("\"enabled\":1"), std::string("\"function\":\"toeplitz\""),
	      "\"key\":\"" + key + "\"", "\"table\":[" + queues + "]",
	      std::string("\"ipv4_tcp\":\"dst src_port\"")})
		CHECK(has(told, part), "%s in %s", part.c_str(), told.c_str());
	return success;
}

outcome
types_of_packets_are_chosen()
{
	fake_driver driver;

	CHECK(bring_up(driver));
	driver.send(op::get_rss_hena_caps);
	const auto caps = driver.receive();
	CHECK(caps && caps->status == vc_status::success);
	CHECK_EQ(guard::load<uint64_t>(caps->body, 0).value(), 0x7f9f'e000'0000);
	CHECK_EQ(driver.ask_struct(op::set_rss_hena, uint64_t{0}), 0);
	CHECK(!driver.rss);
	CHECK_EQ(driver.ask_struct(op::set_rss_hena, uint64_t{1} << 33), 0);
	CHECK(driver.rss);
	for (size_t i = 0; i < RTE_EMUDEV_NET_RSS_TYPES; i++)
		CHECK_EQ(driver.rss->fields[i],
			 i == RTE_EMUDEV_NET_RSS_IPV4_TCP ? addresses | ports : 0);
	/* It ends what was added, as with a PF. */
	CHECK_EQ(driver.ask_struct(op::add_rss_cfg, hash({{ipv6, src | dst}})), 0);
	CHECK_EQ(driver.rss->fields[RTE_EMUDEV_NET_RSS_IPV6_SCTP], addresses);
	CHECK_EQ(driver.ask_struct(op::set_rss_hena, uint64_t{0}), 0);
	CHECK(!driver.rss);
	return success;
}

/* As with a PF: what a rule asks for holds until all is symmetric no more. */
outcome
symmetry_of_a_rule_ends_with_that_of_all()
{
	fake_driver driver;
	constexpr uint16_t plain = addresses | ports;
	constexpr uint16_t both_ways = plain | RTE_EMUDEV_NET_RSS_SYMMETRIC;
	const auto fields = [&driver] { return driver.rss->fields[RTE_EMUDEV_NET_RSS_IPV6_TCP]; };

	CHECK(bring_up(driver));
	CHECK_EQ(driver.ask_struct(op::add_rss_cfg,
				   hash({{ipv6, src | dst}, {tcp, src | dst}}, symmetric)),
		 0);
	CHECK_EQ(driver.ask(op::config_rss_hfunc, table(toeplitz, 4)), 0);
	CHECK_EQ(fields(), both_ways);
	CHECK_EQ(driver.ask(op::config_rss_hfunc, table(symmetric, 4)), 0);
	CHECK_EQ(fields(), both_ways);
	CHECK_EQ(driver.ask(op::config_rss_hfunc, table(toeplitz, 4)), 0);
	CHECK_EQ(fields(), plain);
	return success;
}

/** As stock drivers name headers. */
outcome
what_is_hashed_is_chosen()
{
	fake_driver driver;
	const auto fields = [&driver](rte_emudev_net_rss_type type) {
		return driver.rss ? driver.rss->fields[type] : 0;
	};
	const auto add = [&driver](const cfg &what) {
		return driver.ask_struct(op::add_rss_cfg, what);
	};
	constexpr uint16_t both_ways = RTE_EMUDEV_NET_RSS_SYMMETRIC;

	CHECK(bring_up(driver));
	CHECK_EQ(driver.ask_struct(op::set_rss_hena, uint64_t{0}), 0);
	/* net_iavf, when it starts */
	cfg inner = hash({{ipv4, src | dst | protocol}, {udp, src | dst}});
	inner.level = 1;
	CHECK_EQ(add(inner), 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV4_UDP), addresses | ports);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV4_TCP), 0);
	/* What has no rule of its own has that of its IP version. */
	CHECK_EQ(add(hash({{eth, 0}, {s_vlan, 0}, {c_vlan, 0}, {ipv4, src}})), 0);
	for (const auto type : {RTE_EMUDEV_NET_RSS_IPV4, RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT,
				RTE_EMUDEV_NET_RSS_IPV4_TCP, RTE_EMUDEV_NET_RSS_IPV4_SCTP})
		CHECK_EQ(fields(type), RTE_EMUDEV_NET_RSS_SRC_ADDRESS);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV4_UDP), addresses | ports);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV6), 0);
	/* ethtool -N ethX rx-flow-hash udp4 s, and the symmetric one of ethtool -X */
	CHECK_EQ(add(hash({{ipv4, src}, {udp, 0}})), 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV4_UDP), RTE_EMUDEV_NET_RSS_SRC_ADDRESS);
	CHECK_EQ(add(hash({{ipv6, src | dst}, {tcp, src | dst}}, symmetric)), 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV6_TCP), addresses | ports | both_ways);
	CHECK_EQ(driver.ask(op::config_rss_hfunc, table(symmetric, 4)), 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV4_UDP), RTE_EMUDEV_NET_RSS_SRC_ADDRESS | both_ways);
	CHECK_EQ(driver.ask(op::config_rss_hfunc, table(toeplitz, 4)), 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV4_UDP), RTE_EMUDEV_NET_RSS_SRC_ADDRESS);
	/* testpmd */
	CHECK_EQ(add(hash({{eth, src | dst}, {s_vlan, 1}, {c_vlan, 1}, {ipv6, 3 << 13}})), 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV6),
		 RTE_EMUDEV_NET_RSS_ETH_SRC | RTE_EMUDEV_NET_RSS_ETH_DST |
			 RTE_EMUDEV_NET_RSS_OUTER_VLAN | RTE_EMUDEV_NET_RSS_VLAN |
			 RTE_EMUDEV_NET_RSS_SRC_PREFIX | RTE_EMUDEV_NET_RSS_DST_PREFIX);
	CHECK_EQ(add(hash({{ipv4, src | dst}, {frag4, 1}})), 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV4_FRAGMENT),
		 addresses | RTE_EMUDEV_NET_RSS_FRAGMENT_ID);
	/* The function has no headers. */
	CHECK_EQ(add(hash({}, exclusive_or)), 0);
	CHECK_EQ(driver.rss->function, RTE_EMUDEV_NET_RSS_XOR);
	CHECK_EQ(driver.ask_struct(op::del_rss_cfg, hash({}, exclusive_or)), 0);
	CHECK_EQ(driver.rss->function, RTE_EMUDEV_NET_RSS_TOEPLITZ);
	/* What is removed has the rule of its IP version again. */
	CHECK_EQ(driver.ask_struct(op::del_rss_cfg, hash({{ipv6, src | dst}, {tcp, src | dst}})),
		 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV6_TCP), fields(RTE_EMUDEV_NET_RSS_IPV6));
	CHECK_EQ(driver.ask_struct(op::del_rss_cfg, hash({{ipv4, src}})), 0);
	CHECK_EQ(fields(RTE_EMUDEV_NET_RSS_IPV4_TCP), 0);
	CHECK_EQ(driver.ask_struct(op::del_rss_cfg, hash({{ipv4, src}})), 0);
	CHECK_EQ(driver.ask_struct(op::del_rss_cfg, hash({{gtpu, 1}})), err_param);
	return success;
}

constexpr test_case cases[] = {
	{"hostile RSS messages are refused", hostile_rss_messages_are_refused},
	{"hostile RSS rules are refused", hostile_rss_rules_are_refused},
	{"RSS begins as with a PF", rss_begins_as_with_a_pf},
	{"tables of RSS are shown", tables_are_shown},
	{"types of packets are chosen", types_of_packets_are_chosen},
	{"what is hashed is chosen", what_is_hashed_is_chosen},
	{"symmetry of a rule ends with that of all", symmetry_of_a_rule_ends_with_that_of_all},
};

} // namespace

constinit const case_table test::rss_cases = cases;
