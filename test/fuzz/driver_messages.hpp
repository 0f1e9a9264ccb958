/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "emu_iavf/fake_driver.hpp"
#include "fuzz.hpp"

/** What targets of the emulated device share: messages of a driver, and what a back-end relies on.
 */
namespace fuzz {

struct vc_request {
	uint32_t op;
	std::vector<std::byte> body;
};

/** A message with a length that its operation can have, mostly: a short input is enough for a long
 * message. */
inline vc_request
take_message(input &in)
{
	constexpr size_t longest = 4096;
	const uint8_t number = in.u8();
	const uint32_t op =
		number == UINT8_MAX ? in.u32() : iavf::vc_ops[number % iavf::vc_ops.size()].number;
	const iavf::vc_op_row &row = iavf::vc_find_op(op);
	const bool fits = in.u8() % 8 != 0;
	const auto from = std::as_bytes(in.bytes(in.u16() % longest));
	vc_request out{op, {from.begin(), from.end()}};

	if (!fits)
		return out;
	out.body.resize(std::max<size_t>(out.body.size(), row.format.length));
	if (row.format.element != 0) {
		const size_t count = *guard::load<uint16_t>(out.body, row.format.count_at);
		out.body.resize(
			std::min<size_t>(longest, row.format.length + count * row.format.element));
	} else {
		out.body.resize(row.format.length);
	}
	return out;
}

/** What the device has told its back-end, which takes it as it is. */
inline void
check_events(test::fake_driver &driver)
{
	for (const test::queue_event &event : driver.events) {
		const rte_emudev_queue &queue = event.info;

		MUST(queue.index < driver.dev().host().max_pairs);
		if (!queue.enabled)
			continue;
		MUST(queue.vector.index < iavf::max_vectors && queue.vector.timer <= 3);
		MUST(queue.size >= 8 && queue.size <= 4096 && queue.tail != nullptr);
		MUST(queue.ring_iova + uint64_t{queue.size} * queue.desc_size >= queue.ring_iova);
		MUST(queue.dir == RTE_EMUDEV_FROM_GUEST || queue.buffer_size >= 128);
		MUST(!queue.resumed || queue.head < queue.size);
	}
	driver.events.clear();
	MUST(driver.config.nb_filters <= iavf::any_number_of_addresses);
	MUST(driver.flows.size() <= RTE_EMUDEV_NET_MAX_FLOWS);
	for (const rte_emudev_net_flow &flow : driver.flows)
		MUST(flow.action != RTE_EMUDEV_NET_FLOW_QUEUE ||
		     (flow.queues != 0 && (flow.queues & (flow.queues - 1)) == 0));
	if (driver.rss) {
		MUST(driver.rss->lut_size != 0 &&
		     driver.rss->lut_size <= RTE_EMUDEV_NET_RSS_MAX_LUT);
		MUST((driver.rss->lut_size & (driver.rss->lut_size - 1)) == 0);
	}
}

/** Asks for resources with these capabilities. */
inline void
begin(test::fake_driver &driver, uint32_t wanted)
{
	driver.open_mailbox();
	driver.ask_struct(iavf::vc_op::version, iavf::vc_version_info{1, 1});
	driver.ask_struct(iavf::vc_op::get_vf_resources, wanted);
}

} // namespace fuzz
