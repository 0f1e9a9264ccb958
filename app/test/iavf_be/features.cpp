/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

#include <fstream>
#include <map>
#include <string>

#include <ethdev_driver.h>

/*
 * What the guides say of the port's features is what it has. The matrix in DPDK's form
 * (features/iavf_be.ini), the table for readers (features.rst) and the driver are compared, each
 * feature that DPDK has a name for.
 */

using namespace test;
using namespace test::port_suite;

namespace {

struct seen {
	const eth_dev_ops &ops;
	const rte_eth_dev &dev;
	const rte_eth_dev_info &info;
};

/** How much of a feature the driver's structures tell of. */
enum class extent { none, part, whole, told_elsewhere };

extent
of_bits(uint64_t has, uint64_t all)
{
	return (has & all) == 0 ? extent::none : (has & all) == all ? extent::whole : extent::part;
}

extent
whole_if(bool yes)
{
	return yes ? extent::whole : extent::none;
}

template <auto op>
extent
has(const seen &port)
{
	return whole_if(port.ops.*op != nullptr);
}

template <uint64_t rx, uint64_t tx>
extent
offloads(const seen &port)
{
	const bool receives = (port.info.rx_offload_capa & rx) == rx;
	const bool sends = (port.info.tx_offload_capa & tx) == tx;
	const bool any = ((port.info.rx_offload_capa & rx) | (port.info.tx_offload_capa & tx)) != 0;
	return !any ? extent::none : receives && sends ? extent::whole : extent::part;
}

template <uint64_t all>
extent
receives_with(const seen &port)
{
	return of_bits(port.info.rx_offload_capa, all);
}

template <uint64_t all>
extent
sends_with(const seen &port)
{
	return of_bits(port.info.tx_offload_capa, all);
}

template <uint64_t flag>
extent
can(const seen &port)
{
	return of_bits(port.info.dev_capa, flag);
}

template <uint32_t flag>
extent
is(const seen &port)
{
	return of_bits(port.dev.data->dev_flags, flag);
}

/** Nothing of the driver's structures tells; tests of their own do. */
extent
tested_elsewhere(const seen &)
{
	return extent::told_elsewhere;
}

extent
never(const seen &)
{
	return extent::none;
}

using ops = eth_dev_ops;

constexpr struct {
	const char *name;
	extent (*is_there)(const seen &port);
} features[] = {
	{"Speed capabilities",
	 [](const seen &port) { return whole_if(port.info.speed_capa != 0); }},
	{"Link status", has<&ops::link_update>},
	{"Link status event", is<RTE_ETH_DEV_INTR_LSC>},
	{"Removal event", is<RTE_ETH_DEV_INTR_RMV>},
	{"Queue status event", tested_elsewhere},
	{"Rx interrupt", has<&ops::rx_queue_intr_enable>},
	{"Lock-free Tx queue", sends_with<RTE_ETH_TX_OFFLOAD_MT_LOCKFREE>},
	{"Fast mbuf free", sends_with<RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE>},
	{"Free Tx mbuf on demand", has<&ops::tx_done_cleanup>},
	{"Queue start/stop",
	 [](const seen &port) {
		 return whole_if(
			 port.ops.rx_queue_start != nullptr && port.ops.rx_queue_stop != nullptr &&
			 port.ops.tx_queue_start != nullptr && port.ops.tx_queue_stop != nullptr);
	 }},
	{"Runtime Rx queue setup", can<RTE_ETH_DEV_CAPA_RUNTIME_RX_QUEUE_SETUP>},
	{"Runtime Tx queue setup", can<RTE_ETH_DEV_CAPA_RUNTIME_TX_QUEUE_SETUP>},
	{"Shared Rx queue", can<RTE_ETH_DEV_CAPA_RXQ_SHARE>},
	{"Burst mode info", has<&ops::rx_burst_mode_get>},
	{"Power mgmt address monitor", has<&ops::get_monitor_addr>},
	{"MTU update", has<&ops::mtu_set>},
	{"Buffer split on Rx", receives_with<RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT>},
	{"Scattered Rx", receives_with<RTE_ETH_RX_OFFLOAD_SCATTER>},
	{"LRO", receives_with<RTE_ETH_RX_OFFLOAD_TCP_LRO>},
	{"TSO", sends_with<RTE_ETH_TX_OFFLOAD_TCP_TSO>},
	{"Promiscuous mode", has<&ops::promiscuous_enable>},
	{"Allmulticast mode", has<&ops::allmulticast_enable>},
	{"Unicast MAC filter", has<&ops::mac_addr_add>},
	{"Multicast MAC filter", has<&ops::set_mc_addr_list>},
	{"RSS hash", receives_with<RTE_ETH_RX_OFFLOAD_RSS_HASH>},
	{"RSS key update", has<&ops::rss_hash_update>},
	{"RSS reta update", has<&ops::reta_update>},
	{"Inner RSS", never},
	{"VMDq", [](const seen &port) { return whole_if(port.info.max_vmdq_pools != 0); }},
	{"SR-IOV", [](const seen &port) { return whole_if(port.info.max_vfs != 0); }},
	{"DCB", has<&ops::get_dcb_info>},
	{"VLAN filter", receives_with<RTE_ETH_RX_OFFLOAD_VLAN_FILTER>},
	{"Flow control", has<&ops::flow_ctrl_get>},
	{"Rate limitation", has<&ops::set_queue_rate_limit>},
	{"Congestion management", has<&ops::cman_info_get>},
	{"Inline crypto", offloads<RTE_ETH_RX_OFFLOAD_SECURITY, RTE_ETH_TX_OFFLOAD_SECURITY>},
	{"Inline protocol", offloads<RTE_ETH_RX_OFFLOAD_SECURITY, RTE_ETH_TX_OFFLOAD_SECURITY>},
	{"CRC offload", receives_with<RTE_ETH_RX_OFFLOAD_KEEP_CRC>},
	{"VLAN offload", offloads<RTE_ETH_RX_OFFLOAD_VLAN_STRIP, RTE_ETH_TX_OFFLOAD_VLAN_INSERT>},
	{"QinQ offload", offloads<RTE_ETH_RX_OFFLOAD_QINQ_STRIP, RTE_ETH_TX_OFFLOAD_QINQ_INSERT>},
	{"FEC", has<&ops::fec_get>},
	{"IP reassembly", has<&ops::ip_reassembly_capability_get>},
	{"L3 checksum offload",
	 offloads<RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM>},
	{"L4 checksum offload",
	 offloads<RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM |
			  RTE_ETH_RX_OFFLOAD_SCTP_CKSUM,
		  RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
			  RTE_ETH_TX_OFFLOAD_SCTP_CKSUM>},
	{"Timestamp offload",
	 offloads<RTE_ETH_RX_OFFLOAD_TIMESTAMP, RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP>},
	{"MACsec offload",
	 offloads<RTE_ETH_RX_OFFLOAD_MACSEC_STRIP, RTE_ETH_TX_OFFLOAD_MACSEC_INSERT>},
	{"Inner L3 checksum",
	 offloads<RTE_ETH_RX_OFFLOAD_OUTER_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_OUTER_IPV4_CKSUM>},
	{"Inner L4 checksum",
	 offloads<RTE_ETH_RX_OFFLOAD_OUTER_UDP_CKSUM, RTE_ETH_TX_OFFLOAD_OUTER_UDP_CKSUM>},
	{"Packet type parsing", has<&ops::dev_supported_ptypes_get>},
	{"Timesync", has<&ops::timesync_enable>},
	{"Rx descriptor status",
	 [](const seen &port) { return whole_if(port.dev.rx_descriptor_status != nullptr); }},
	{"Tx descriptor status",
	 [](const seen &port) { return whole_if(port.dev.tx_descriptor_status != nullptr); }},
	{"Basic stats", has<&ops::stats_get>},
	{"Extended stats", has<&ops::xstats_get>},
	{"Stats per queue", is<RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS>},
	{"FW version", has<&ops::fw_version_get>},
	{"EEPROM dump", has<&ops::get_eeprom>},
	{"Module EEPROM dump", has<&ops::get_module_eeprom>},
	{"Registers dump", has<&ops::get_reg>},
	{"LED", has<&ops::dev_led_on>},
	{"Multiprocess aware", tested_elsewhere},
	{"FreeBSD", never},
	{"Linux", tested_elsewhere},
	{"Windows", never},
	{"ARMv7", never},
	{"ARMv8", never},
	{"LoongArch64", never},
	{"Power8", never},
	{"rv64", never},
	{"x86-32", never},
	{"x86-64", tested_elsewhere},
	{"Usage doc", tested_elsewhere},
	{"Design doc", tested_elsewhere},
	{"Perf doc", tested_elsewhere},
};

std::string
trimmed(const std::string &text)
{
	const size_t begin = text.find_first_not_of(' '), end = text.find_last_not_of(' ');
	return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

/** Sections by name: keys and values. */
auto
read_ini(const char *path)
{
	std::map<std::string, std::map<std::string, std::string>> sections;
	std::ifstream file(path);
	std::string section;
	for (std::string line; std::getline(file, line);) {
		const size_t equals = line.find('=');
		if (line.starts_with('['))
			section = line.substr(1, line.find(']') - 1);
		else if (!line.starts_with(';') && equals != std::string::npos)
			sections[section][trimmed(line.substr(0, equals))] =
				trimmed(line.substr(equals + 1));
	}
	return sections;
}

/** Names and states of the rows of the last table that has a state in its second column. */
auto
read_table(const char *path)
{
	std::map<std::string, std::string> rows;
	std::ifstream file(path);
	size_t second = 0, third = 0;
	for (std::string line; std::getline(file, line);) {
		if (line.starts_with("=====") && line.find("  ") != std::string::npos) {
			second = line.find("  ") + 2;
			third = line.find("  ", second) + 2;
		} else if (line.empty()) {
			second = 0;
		} else if (second != 0 && line.size() > second) {
			rows[trimmed(line.substr(0, second))] =
				trimmed(line.substr(second, third - second));
		}
	}
	return rows;
}

outcome
the_guides_say_what_there_is()
{
	fake_guest guest;
	fake_port port(guest);
	rte_eth_dev_info info{};
	CHECK_EQ(rte_eth_dev_info_get(port.id(), &info), 0);
	const rte_eth_dev &dev = rte_eth_devices[port.id()];
	const seen here{*dev.dev_ops, dev, info};
	auto ini = read_ini(GUIDES "/nics/features/iavf_be.ini");
	auto table = read_table(GUIDES "/nics/features.rst");
	auto &told = ini["Features"];
	unsigned int wrong = 0;

	CHECK(!told.empty() && !table.empty());
	for (const auto &one : features) {
		const std::string state = told.contains(one.name) ? told[one.name] : "";
		const char *words = state == "Y"   ? "yes"
				    : state == "P" ? "partly"
						   : "not supported";
		const extent there = one.is_there(here);
		const extent said = state == "Y"   ? extent::whole
				    : state == "P" ? extent::part
						   : extent::none;
		if (there == extent::told_elsewhere ? said == extent::none : said != there) {
			constexpr const char *names[] = {"none of it", "a part", "all", "it"};
			printf("iavf_be.ini: \"%s\" is \"%s\"; the port has %s\n", one.name,
			       state.c_str(), names[static_cast<size_t>(there)]);
			wrong++;
		}
		if (table[one.name] != words) {
			printf("features.rst: \"%s\" is \"%s\", in iavf_be.ini \"%s\"\n", one.name,
			       table[one.name].c_str(), state.c_str());
			wrong++;
		}
		told.erase(one.name);
	}
	for (const auto &unknown : told) {
		printf("iavf_be.ini: \"%s\" is no feature\n", unknown.first.c_str());
		wrong++;
	}
	/* Rows for each item of rte_flow belong to a port that has any. */
	CHECK_EQ(ini.contains("rte_flow items"), here.ops.flow_ops_get != nullptr);
	CHECK_EQ(wrong, 0);
	return success;
}

constexpr test_case cases[] = {
	{"the guides say what there is", the_guides_say_what_there_is},
};

} // namespace

constinit const case_table test::port_suite::feature_cases = cases;
