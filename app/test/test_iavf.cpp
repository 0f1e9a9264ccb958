/* SPDX-License-Identifier: BSD-3-Clause */
#include <cstring>
#include <vector>

#include "adminq.hpp"
#include "descriptors.hpp"
#include "registers.hpp"
#include "test.hpp"
#include "virtchnl.hpp"

/*
 * drivers/common/iavf: the tables that the emulated device and its data path go by. The device
 * itself is driven by emu_iavf (in process), test/protocol (bytes) and test/guest (stock drivers).
 */

using namespace test;

namespace {

/* Whether a message of @p size bytes, whose count field is @p count, fits its operation. */
bool
fits(uint32_t op, size_t size, uint16_t count = 0)
{
	const iavf::vc_format &format = iavf::vc_find_op(op).format;
	std::vector<std::byte> message(size);

	if (format.count_at + sizeof(count) <= size)
		std::memcpy(message.data() + format.count_at, &count, sizeof(count));
	return iavf::vc_length_fits(format, message);
}

outcome
message_lengths_are_exact()
{
	namespace op = iavf::vc_op;
	struct {
		uint32_t op;
		size_t size;
		uint16_t count;
		bool fits;
	} rows[] = {
		{op::version, 8, 0, true},
		{op::version, 7, 0, false},
		{op::version, 9, 0, false},
		{op::version, 0, 0, false},
		{op::reset_vf, 0, 0, true},
		{op::reset_vf, 1, 0, false},
		{op::get_vf_resources, 0, 0, true},
		{op::get_vf_resources, 4, 0, true},
		{op::get_vf_resources, 3, 0, false},
		{op::enable_queues, 12, 0, true},
		{op::enable_queues, 11, 0, false},
		/* header 8, element 64; one element more than counted is what older drivers send */
		{op::config_vsi_queues, 8 + 64, 1, true},
		{op::config_vsi_queues, 8 + 64 - 1, 1, false},
		{op::config_vsi_queues, 8 + 2 * 64, 1, true},
		{op::config_vsi_queues, 8 + 2 * 64 + 1, 1, false},
		{op::config_vsi_queues, 8, 0, false},
		{op::config_vsi_queues, 2, 0, false},
		{op::config_vsi_queues, 8 + 64, UINT16_MAX, false},
		{op::config_vsi_queues, 4096, UINT16_MAX, false},
		/* header 2, element 12 */
		{op::config_irq_map, 2 + 12, 1, true},
		{op::config_irq_map, 2 + 12, 2, false},
		{op::config_irq_map, 1, 0, false},
		/* header 4, element 8 */
		{op::add_eth_addr, 4 + 3 * 8, 3, true},
		{op::add_eth_addr, 4 + 3 * 8 - 1, 3, false},
		{op::request_queues, 2, 0, true},
		{op::request_queues, 1, 0, false},
		{op::get_max_rss_qregion, 0, 0, true},
		/* header 8, element 8 */
		{op::enable_queues_v2, 8 + 2 * 8, 2, true},
		{op::enable_queues_v2, 8 + 2 * 8, 3, false},
		{op::disable_queues_v2, 8, 0, false},
		/* header 8, element 16 */
		{op::map_queue_vector, 8 + 128 * 16, 128, true},
		{op::map_queue_vector, 8 + 128 * 16, UINT16_MAX, false},
	};
	for (auto &r : rows)
		CHECK(fits(r.op, r.size, r.count) == r.fits, "row %zu", &r - rows);
	return success;
}

outcome
every_operation_has_one_name()
{
	CHECK(iavf::vc_find_op(iavf::vc_op::enable_queues).name == "ENABLE_QUEUES");
	CHECK(iavf::vc_find_op(51).name == "GET_OFFLOAD_VLAN_V2_CAPS");
	for (uint32_t op : {0u, 16u, 136u, UINT32_MAX})
		CHECK(iavf::vc_find_op(op).name == "UNKNOWN", "operation %u", op);
	return success;
}

outcome
registers_are_where_drivers_look()
{
	using namespace iavf::reg;

	CHECK_EQ(qtx_tail(15), 0x3c);
	CHECK_EQ(qrx_tail(15), 0x203c);
	CHECK_EQ(qtx_tail(255), 0x3fc);
	CHECK_EQ(qrx_tail(255), 0x23fc);
	CHECK_EQ(dyn_ctl(0), 0x5c00);
	CHECK_EQ(dyn_ctl(1), 0x3800);
	CHECK_EQ(itr(1, 2), 0x2800 + 2 * 64);
	CHECK_EQ(itr(0, 1), 0x4c04);
	CHECK(rows[find(0x8800)].name == "VFGEN_RSTAT");
	for (uint32_t hole :
	     {0x400u, 0x2u, 0x2400u, 0x3840u, 0x8801u, 0x8804u, 0xfffcu, UINT32_MAX})
		CHECK(find(hole) == -1, "offset 0x%x", hole);
	return success;
}

outcome
the_hot_registers_are_shared_and_the_others_are_not()
{
	using namespace iavf::reg;

	for (const row &r : rows) {
		bool hot = r.name.find("TAIL") != std::string_view::npos ||
			   r.name == "VFINT_ITRN1" || r.name == "VFINT_DYN_CTLN1";
		CHECK(r.shared() == hot, "%.*s", static_cast<int>(r.name.size()), r.name.data());
	}
	return success;
}

outcome
descriptor_words_are_as_hardware_has_them()
{
	/* A frame of 1514 bytes with EOP and RS, and what a receiver reads of 9728 bytes. */
	uint64_t tx = iavf::txd::eop::mask | iavf::txd::rs::mask | iavf::txd::length::of(1514);
	uint64_t rx = iavf::rxd::dd::mask | iavf::rxd::eof::mask | iavf::rxd::length::of(9728);

	CHECK_EQ(tx, (uint64_t{1514} << 34) | 0x30);
	CHECK_EQ(rx, (uint64_t{9728} << 38) | 0x3);
	CHECK_EQ(iavf::txd::length::get(UINT64_MAX), 16383);
	CHECK_EQ(sizeof(iavf::tx_descriptor), 16);
	CHECK_EQ(sizeof(iavf::rx_descriptor), 32);
	CHECK_EQ(sizeof(iavf::adminq_desc), 32);
	return success;
}

outcome
iavf_autotest()
{
	return run_cases(
		"iavf",
		{
			{"message lengths are exact", message_lengths_are_exact},
			{"every operation has one name", every_operation_has_one_name},
			{"registers are where drivers look", registers_are_where_drivers_look},
			{"the hot registers are shared and the others are not",
			 the_hot_registers_are_shared_and_the_others_are_not},
			{"descriptor words are as hardware has them",
			 descriptor_words_are_as_hardware_has_them},
		});
}

} // namespace

REGISTER_TEST(iavf_autotest, iavf_autotest);
