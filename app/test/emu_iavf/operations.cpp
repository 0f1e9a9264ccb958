/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "../../../drivers/emu/iavf/virtchnl_server.hpp"
#include "../../../drivers/emu/iavf/virtchnl_text.hpp"

/* What the guide says of each operation of virtchnl is what the table of the device has. */

using namespace test;

namespace {

constexpr int not_supported = static_cast<int>(iavf::vc_status::err_not_supported);

constexpr struct {
	uint32_t flag;
	const char *name;
} capabilities[] = {
	{iavf::vc_cap::req_queues, "REQ_QUEUES"},
	{iavf::vc_cap::large_num_qpairs, "LARGE_NUM_QPAIRS"},
	{iavf::vc_cap::offload_vlan_v2, "VLAN_V2"},
	{iavf::vc_cap::offload_vlan, "VLAN"},
	{iavf::vc_cap::offload_rss_pf, "RSS_PF"},
	{iavf::vc_cap::offload_adv_rss_pf, "ADV_RSS_PF"},
	{iavf::vc_cap::offload_fdir_pf, "FDIR_PF"},
};

/** The words of a row of the guide. */
std::string
row_of(const iavf::vc_op_row &op)
{
	const iavf::vc_service service = iavf::vc_service_of(op.number);
	const char *answer = op.number == iavf::vc_op::event ? "sent"
			     : service.served                ? "served"
			     : op.unless.empty()             ? "refused"
							     : "never";
	std::string out = std::to_string(op.number) + " " + std::string(op.name) + " " + answer;

	for (const auto &one : capabilities)
		if ((service.needs & one.flag) != 0)
			out += std::string(" ") + one.name;
	if (!op.unless.empty())
		out.append(1, ' ').append(op.unless);
	return out;
}

/** Lines that begin with a number, with one space between words. */
std::set<std::string>
rows_of_guide()
{
	std::ifstream guide(GUIDES "/emudevs/virtchnl.rst");
	std::set<std::string> out;

	for (std::string line, word; std::getline(guide, line);) {
		if (line.empty() || line[0] < '0' || line[0] > '9')
			continue;
		std::istringstream words(line);
		std::string row;
		while (words >> word)
			row += (row.empty() ? "" : " ") + word;
		out.insert(row);
	}
	return out;
}

outcome
the_guide_has_each_operation()
{
	std::set<std::string> said = rows_of_guide();
	int wrong = 0;

	for (const iavf::vc_op_row &op : iavf::vc_ops) {
		if (op.number == 0 || said.erase(row_of(op)) != 0)
			continue;
		printf("virtchnl.rst lacks: %s\n", row_of(op).c_str());
		wrong++;
	}
	for (const std::string &row : said) {
		printf("virtchnl.rst is wrong: %s\n", row.c_str());
		wrong++;
	}
	CHECK_EQ(wrong, 0);
	return success;
}

/** What of the matrix a driver learns from its capabilities, of which these are not offered. */
constexpr uint32_t crc = 1u << 10, adq = 1u << 23, ptp = 1u << 31;
constexpr struct {
	const char *feature;
	uint32_t flags;
} of_the_guest[] = {
	{"Link status, link events", iavf::vc_cap::adv_link_speed},
	/* LARGE_NUM_QPAIRS is for a device that has more than 16. */
	{"Several queues (1 to 256 pairs)", iavf::vc_cap::req_queues},
	{"RSS, RETA, hash key", iavf::vc_cap::offload_rss_pf | iavf::vc_cap::offload_adv_rss_pf},
	{"VLAN tag insertion", iavf::vc_cap::offload_vlan_v2},
	{"VLAN tag strip", iavf::vc_cap::offload_vlan_v2},
	{"VLAN filter", iavf::vc_cap::offload_vlan_v2},
	{"QinQ insertion, strip", iavf::vc_cap::offload_vlan_v2},
	{"Offloads of tunnelled frames",
	 iavf::vc_cap::offload_encap | iavf::vc_cap::offload_encap_csum},
	{"UDP segmentation (USO)", iavf::vc_cap::offload_uso},
	{"Flow director", iavf::vc_cap::offload_fdir_pf},
	{"Flow mark in Rx descriptors", iavf::vc_cap::offload_fdir_pf},
	{"CRC kept", crc},
	{"WB_ON_ITR", iavf::vc_cap::offload_wb_on_itr},
	{"Flexible Rx descriptors", iavf::vc_cap::offload_rx_flex_desc},
	{"Cloud filters, traffic classes", adq},
	{"PTP, IEEE 1588 time stamps", ptp},
};

/** What the first table of the guide to features says of the guest. */
std::string
said_of_guest(const std::string &feature)
{
	std::ifstream guide(GUIDES "/nics/features.rst");

	for (std::string line; std::getline(guide, line);) {
		if (!line.starts_with(feature + "  "))
			continue;
		const size_t at = line.find_first_not_of(' ', feature.size());
		return line.substr(at, line.find("  ", at) - at);
	}
	return "nothing";
}

outcome
the_matrix_has_what_a_driver_is_granted()
{
	fake_driver driver;

	driver.open_mailbox();
	CHECK_EQ(driver.ask_struct(iavf::vc_op::version, iavf::vc_version_info{1, 1}), 0);
	CHECK_EQ(driver.ask_struct(iavf::vc_op::get_vf_resources, UINT32_MAX), 0);
	const uint32_t granted = driver.dev().session().granted();
	for (const auto &one : of_the_guest) {
		const bool all = (granted & one.flags) == one.flags;
		const bool none = (granted & one.flags) == 0;
		const std::string said = said_of_guest(one.feature);
		CHECK(all || none, "%s", one.feature);
		CHECK(said == (all ? "yes" : "not supported"), "%s: %s", one.feature, said.c_str());
	}
	return success;
}

/* Also what has no row, in each state, with any body. */
outcome
what_is_not_served_is_refused()
{
	const std::vector<std::byte> body(4096, std::byte{0xff});
	fake_driver driver;

	driver.open_mailbox();
	for (int state = 0; state < 2; state++) {
		for (uint32_t op = 0; op < 200; op++) {
			if (iavf::vc_service_of(op).served)
				continue;
			for (size_t size : {size_t{0}, size_t{16}, body.size()})
				CHECK_EQ(driver.ask(op, std::span(body).first(size)),
					 not_supported);
		}
		CHECK_EQ(driver.ask(UINT32_MAX), not_supported);
		CHECK(driver.bring_up());
	}
	CHECK(driver.events.empty());
	return success;
}

/* What has no layout is a row of hexadecimal digits. */
outcome
each_message_can_be_read()
{
	const std::vector<std::byte> ones(4096, std::byte{0x11});

	for (const iavf::vc_op_row &op : iavf::vc_ops) {
		if (!iavf::vc_service_of(op.number).served || op.format.length == 0)
			continue;
		const size_t length = op.format.length + size_t{3} * op.format.element;
		const std::string text = iavf::vc_text(iavf::vc_speaker::driver, op.number,
						       std::span(ones).first(length));
		if (text.find('=') == std::string::npos)
			printf("no layout: %s\n", op.name.data());
		CHECK(text.find('=') != std::string::npos);
	}
	return success;
}

/* Any body, cut anywhere, with counts of any size; what is printed is bounded. */
outcome
any_message_can_be_read()
{
	constexpr size_t bound = 6000;

	for (int fill : {0x00, 0x7f, 0xff}) {
		const std::vector<std::byte> body(4096, static_cast<std::byte>(fill));
		for (const iavf::vc_op_row &op : iavf::vc_ops)
			for (size_t size = 0; size <= body.size(); size += size < 300 ? 1 : 377)
				for (auto from :
				     {iavf::vc_speaker::driver, iavf::vc_speaker::device}) {
					/* A copy of its length: sanitizers see what is behind it.
					 */
					const std::vector<std::byte> cut(
						body.begin(),
						body.begin() + static_cast<ptrdiff_t>(size));
					CHECK(iavf::vc_text(from, op.number, cut).size() < bound);
				}
	}
	return success;
}

constexpr test_case cases[] = {
	{"each message can be read", each_message_can_be_read},
	{"any message can be read", any_message_can_be_read},
	{"what is not served is refused", what_is_not_served_is_refused},
	{"the guide has each operation", the_guide_has_each_operation},
	{"the matrix has what a driver is granted", the_matrix_has_what_a_driver_is_granted},
};

} // namespace

constinit const case_table test::operation_cases = cases;
