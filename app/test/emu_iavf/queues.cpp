/* SPDX-License-Identifier: BSD-3-Clause */
#include "cases.hpp"

/* How many queues a driver has, and what the back-end hears of them. */

using namespace test;
namespace op = iavf::vc_op;
namespace cap = iavf::vc_cap;
using iavf::vc_status;

namespace {

constexpr uint32_t large = cap::req_queues | cap::large_num_qpairs | cap::adv_link_speed;

/** A driver begins. @return Whether it was told so many queues. */
bool
is_told(fake_driver &driver, uint32_t wanted, uint16_t pairs)
{
	driver.open_mailbox();
	return driver.ask_struct(op::version, iavf::vc_version_info{1, 1}) == 0 &&
	       driver.ask_struct(op::get_vf_resources, wanted) == 0 &&
	       driver.dev().agreed().told_pairs == pairs;
}

/** Asks for queues. @return Whether a reset is announced, done, and all of an answer. */
bool
is_granted(fake_driver &driver, uint16_t pairs)
{
	driver.send_struct(op::request_queues, iavf::vc_vf_res_request{pairs});
	auto told = driver.receive();
	bool announced = told && told->op == op::event &&
			 guard::load<iavf::vc_pf_event>(told->body, 0)->event ==
				 static_cast<int32_t>(iavf::vc_event::reset_impending);

	return announced && !driver.receive() && driver.read(iavf::reg::vf_atqlen1) == 0 &&
	       driver.dev().agreed().state == iavf::vf_state::negotiated;
}

/** Of a few queues one by one, and of all at once. */
template <size_t n> struct chunks {
	iavf::vc_queue_chunks head{iavf::vsi_id, 0, n, 0};
	std::array<iavf::vc_queue_chunk, n> chunk;
};

outcome
a_request_ends_in_a_reset()
{
	fake_driver driver(64);

	CHECK(driver.bring_up());
	CHECK_EQ(driver.enable(), 0);
	CHECK(is_told(driver, large, iavf::max_base_pairs));
	CHECK(driver.bring_up());
	CHECK_EQ(driver.enable(), 0);
	driver.events.clear();
	CHECK_EQ(driver.ask_struct(op::request_queues, iavf::vc_vf_res_request{40}),
		 static_cast<int>(vc_status::err_not_supported)); /* bring_up() has not asked */
	CHECK(is_told(driver, large, iavf::max_base_pairs));
	CHECK_EQ(driver.events.size(), 2); /* what the driver had before it began */
	CHECK(is_granted(driver, 40));
	CHECK(is_told(driver, large, 40));
	CHECK(is_granted(driver, 64));
	CHECK(is_told(driver, large, 64));
	CHECK(is_told(driver, cap::req_queues, iavf::max_base_pairs));
	CHECK(is_granted(driver, 1));
	CHECK(is_told(driver, large, 1));
	return success;
}

outcome
queues_stop_while_the_registers_are_there()
{
	fake_driver driver(64);

	CHECK(driver.bring_up());
	CHECK_EQ(driver.ask_struct(op::get_vf_resources, large), 0);
	CHECK_EQ(driver.enable(), 0);
	driver.receive(); /* the link */
	driver.events.clear();
	CHECK(is_granted(driver, 40));
	CHECK_EQ(driver.events.size(), 2);
	for (const queue_event &e : driver.events) {
		CHECK_EQ(e.info.enabled, 0);
		CHECK(iavf::aqlen::enable::is_set(e.arq_len));
	}
	return success;
}

outcome
a_small_device_grants_no_large_capability()
{
	fake_driver driver(iavf::max_base_pairs);

	CHECK(is_told(driver, large, iavf::max_base_pairs));
	CHECK_EQ(driver.dev().session().granted(), large & ~cap::large_num_qpairs);
	CHECK_EQ(driver.ask(op::get_max_rss_qregion),
		 static_cast<int>(vc_status::err_not_supported));
	return success;
}

outcome
only_a_queue_that_moves_is_told()
{
	struct {
		iavf::vc_queue_vector_maps head{iavf::vsi_id, 2, {}};
		iavf::vc_queue_vector map[2] = {
			{0, 1, {}, 0, iavf::vc_queue_type::rx},
			{0, 1, {}, 2, iavf::vc_queue_type::tx},
		};
	} message;
	fake_driver driver(64);

	CHECK(driver.bring_up());
	CHECK_EQ(driver.ask_struct(op::get_vf_resources, large), 0);
	CHECK_EQ(driver.enable(), 0);
	CHECK_EQ(driver.events.size(), 2);
	CHECK_EQ(driver.ask_struct(op::map_queue_vector, message), 0);
	CHECK_EQ(driver.events.size(), 2); /* as bring_up() has mapped them */
	message.map[1].vector_id = 16;
	CHECK_EQ(driver.ask_struct(op::map_queue_vector, message), 0);
	CHECK_EQ(driver.events.size(), 3);
	CHECK_EQ(driver.events[2].info.dir, RTE_EMUDEV_FROM_GUEST);
	CHECK_EQ(driver.events[2].info.vector.index, 16);
	message.map[0].queue_id = 63; /* is not enabled, and message.map[1] stays */
	CHECK_EQ(driver.ask_struct(op::map_queue_vector, message),
		 static_cast<int>(vc_status::err_param)); /* the driver was told of 16 */
	message.map[0].queue_id = 15;
	CHECK_EQ(driver.ask_struct(op::map_queue_vector, message), 0);
	CHECK_EQ(driver.events.size(), 3);
	return success;
}

/** A chunk that names a queue which is not configured enables none of the others. */
outcome
chunks_are_taken_whole()
{
	chunks<3> message{.chunk = {{{iavf::vc_queue_type::rx, 0, 1},
				     {iavf::vc_queue_type::tx, 0, 1},
				     {iavf::vc_queue_type::tx, 1, 1}}}};
	fake_driver driver(64);

	CHECK(driver.bring_up());
	CHECK_EQ(driver.ask_struct(op::get_vf_resources, large), 0);
	CHECK_EQ(driver.ask_struct(op::enable_queues_v2, message),
		 static_cast<int>(vc_status::err_param));
	CHECK(driver.events.empty());
	message.chunk[2].start_queue_id = 0; /* once more */
	CHECK_EQ(driver.ask_struct(op::enable_queues_v2, message), 0);
	CHECK_EQ(driver.events.size(), 2);
	CHECK_EQ(driver.ask_struct(op::disable_queues_v2, message), 0);
	CHECK_EQ(driver.events.size(), 4);
	for (size_t i = 0; i < 4; i++)
		CHECK_EQ(driver.events[i].info.more, i % 2 == 0);
	return success;
}

/** Configures and enables a queue on which the driver transmits. */
bool
transmits_on(fake_driver &driver, uint16_t queue)
{
	chunks<1> chunk{.chunk = {{{iavf::vc_queue_type::tx, queue, 1}}}};

	return driver.ask_struct(op::config_tx_queue, iavf::vc_txq_info{.vsi_id = iavf::vsi_id,
									.queue_id = queue,
									.ring_len = 64,
									.headwb_enabled = 0,
									.dma_ring_addr = 0x80000,
									.dma_headwb_addr = 0}) ==
		       0 &&
	       driver.ask_struct(op::enable_queues_v2, chunk) == 0;
}

outcome
a_state_has_the_queues_that_there_are()
{
	fake_driver source(64), driver(64), small(32);

	CHECK(is_told(source, large, iavf::max_base_pairs));
	CHECK(is_granted(source, 40));
	CHECK(is_told(source, large, 40));
	CHECK(transmits_on(source, 39));
	auto saved = source.dev().save();
	CHECK(saved);
	CHECK(!small.dev().load(*saved), "it has no such queue");
	CHECK(small.events.empty() || !small.events.back().info.enabled);
	driver.take_over(source);
	CHECK(driver.dev().load(*saved));
	CHECK_EQ(driver.events.size(), 1);
	CHECK_EQ(driver.events[0].info.index, 39);
	CHECK_EQ(driver.dev().agreed().requested_pairs, 40);
	/* A queue beyond those that the driver knows. */
	source.dev().agreed().told_pairs = 39;
	saved = source.dev().save();
	CHECK(saved && !small.dev().load(*saved));
	CHECK(!driver.dev().load(*saved));
	CHECK(!driver.events.back().info.enabled);
	return success;
}

/** A driver that has fewer vectors than queues lets these share them. */
outcome
queues_share_the_vectors_that_there_are()
{
	constexpr uint16_t vectors = 3;
	fake_driver driver(fake_driver::pairs, vectors);
	struct {
		iavf::vc_irq_map_info head;
		uint16_t map[12];
	} spread{{2},
		 {iavf::vsi_id, 1, 0b0101, 0b0101, 0, 1, iavf::vsi_id, 2, 0b1010, 0b1010, 0, 1}};

	driver.open_mailbox();
	CHECK_EQ(driver.ask_struct(op::version, iavf::vc_version_info{1, 1}), 0);
	driver.send_struct(op::get_vf_resources, large);
	auto told = driver.receive();
	CHECK(told.has_value());
	auto resources = guard::load<iavf::vc_vf_resource>(told->body, 0);
	CHECK(static_cast<bool>(resources));
	CHECK_EQ(resources->num_queue_pairs, fake_driver::pairs);
	CHECK_EQ(resources->max_vectors, vectors);
	CHECK_EQ(driver.ask_struct(op::config_irq_map, spread), 0);
	const iavf::queues &rings = driver.dev().session().rings();
	for (uint16_t i = 0; i < fake_driver::pairs; i++)
		CHECK_EQ(rings.at(RTE_EMUDEV_TO_GUEST, i).vector, 1 + i % 2);
	spread.map[7] = vectors;
	CHECK(driver.ask_struct(op::config_irq_map, spread) != 0, "there is no such vector");
	return success;
}

constexpr test_case cases[] = {
	{"a state has the queues that there are", a_state_has_the_queues_that_there_are},
	{"a request for queues ends in a reset", a_request_ends_in_a_reset},
	{"queues stop before the reset that was requested",
	 queues_stop_while_the_registers_are_there},
	{"a small device grants no large capability", a_small_device_grants_no_large_capability},
	{"only a queue that moves is told", only_a_queue_that_moves_is_told},
	{"chunks are taken whole", chunks_are_taken_whole},
	{"queues share the vectors that there are", queues_share_the_vectors_that_there_are},
};

} // namespace

constinit const case_table test::many_queue_cases = cases;
