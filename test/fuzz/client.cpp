/* SPDX-License-Identifier: BSD-3-Clause */
#include "hostile.hpp"

/* The client: an input is what a program asks of it, and how a server answers. */

namespace {

using namespace fuzz;

enum step : uint8_t {
	region_info,
	irq_info,
	map_region,
	read_region,
	write_region,
	write_many,
	map_memory,
	share_file,
	unmap_memory,
	wire_vectors,
	act_on_vectors,
	reset,
	touch_memory, /**< That is mapped, whatever has become of the file. */
	ask_state,
	from_control, /**< The next step is one of the control thread, as in a callback. */
	set_deadline,
	cancel,
	nb_steps,
};

/** Memory without a file, which the server asks for by messages. */
std::array<uint8_t, 2 * 4096> memory;

void
ask_region(rte_vfio_user_client *client, uint32_t index)
{
	rte_vfio_user_client_region region{};

	if (rte_vfio_user_client_region_info_get(client, index, &region) != 0)
		return;
	MUST(region.index == index && region.nb_areas <= std::size(region.areas));
	for (uint32_t i = 0; i < region.nb_areas; i++)
		MUST(guard::contains(0, region.size, region.areas[i].offset, region.areas[i].size));
}

struct mapped {
	volatile uint8_t *at;
	uint64_t size;

	/** The first and the last byte are there, whatever becomes of the file. */
	void touch() const
	{
		(void)at[0];
		(void)at[size - 1];
	}
};
std::vector<mapped> all_mapped;

void
map(rte_vfio_user_client *client, uint32_t index, uint32_t area)
{
	rte_vfio_user_client_region region{};
	void *at = nullptr;

	if (rte_vfio_user_client_region_map(client, index, area, &at) != 0)
		return;
	MUST(rte_vfio_user_client_region_info_get(client, index, &region) == 0);
	MUST(area < region.nb_areas && region.areas[area].size != 0);
	all_mapped.push_back({static_cast<volatile uint8_t *>(at), region.areas[area].size});
	all_mapped.back().touch();
}

void
ask(rte_vfio_user_client *client)
{
	rte_vfio_user_client_stats stats{};
	rte_vfio_user_session session{};

	MUST(rte_vfio_user_client_stats_get(client, &stats) == 0);
	MUST(stats.replies <= stats.requests && stats.fds <= 1000);
	MUST(stats.dma_bytes >= stats.dma_regions * files::page);
	MUST(rte_vfio_user_client_session_get(client, &session) == 0);
	MUST(session.max_data_xfer <= RTE_VFIO_USER_MAX_DATA_XFER);
	MUST(::strlen(rte_vfio_user_client_capabilities(client)) < 65536);
}

void
wire(rte_vfio_user_client *client, input &in, const files &descriptors, uint32_t index)
{
	std::vector<int> fds(in.u8() % 20, descriptors.of(files::event));

	if (!fds.empty() && in.u8() & 1)
		fds[in.u8() % fds.size()] = -1;
	const uint32_t start = in.u8();
	rte_vfio_user_client_irq_wire(client, index, start, static_cast<uint32_t>(fds.size()),
				      in.u8() & 1 ? nullptr : fds.data());
}

/** By messages. */
void
access(rte_vfio_user_client *client, input &in, uint8_t what, uint32_t index)
{
	static std::array<uint8_t, 8192> data;

	switch (what) {
	case read_region: {
		const uint64_t offset = in.u16();
		rte_vfio_user_client_region_read(client, index, offset, data.data(),
						 in.u16() % data.size());
		return;
	}
	case write_region: {
		const uint64_t offset = in.u16();
		rte_vfio_user_client_region_write(client, index, offset, data.data(),
						  in.u16() % data.size());
		return;
	}
	case write_many: {
		rte_vfio_user_write writes[3]{};
		for (rte_vfio_user_write &one : writes)
			one = {in.u16(), index, in.u8() % 10u, {}};
		rte_vfio_user_client_region_write_multi(client, writes, 1 + in.u8() % 3);
		return;
	}
	}
}

void play(rte_vfio_user_client *client, input &in, const files &descriptors);

/** As a callback of the control thread: what would wait for it is refused. */
void
play_on_control(rte_vfio_user_client *client, input &in, const files &descriptors)
{
	struct {
		rte_vfio_user_client *client;
		input &in;
		const files &descriptors;
	} all{client, in, descriptors};

	rte_vfio_user_control_call(
		[](void *arg) {
			const auto &a = *static_cast<decltype(all) *>(arg);

			play(a.client, a.in, a.descriptors);
			return 0;
		},
		&all);
}

void
play(rte_vfio_user_client *client, input &in, const files &descriptors)
{
	const uint8_t what = in.u8() % nb_steps, index = in.u8() % 10;

	switch (what) {
	case region_info:
		return ask_region(client, index);
	case irq_info: {
		rte_vfio_user_irq irq{};
		rte_vfio_user_client_irq_info_get(client, index, &irq);
		return;
	}
	case map_region:
		return map(client, index, in.u8() % 20);
	case read_region:
	case write_region:
	case write_many:
		return access(client, in, what, index);
	case map_memory:
		rte_vfio_user_client_dma_map(client, index * 4096u, 4096u * (1 + in.u8() % 2),
					     in.u8() % 4, -1, 0, memory.data());
		return;
	case share_file:
		rte_vfio_user_client_dma_map(client, index * 4096u, 4096, 3,
					     descriptors.of(in.u8()), 0, nullptr);
		return;
	case unmap_memory:
		rte_vfio_user_client_dma_unmap(client, index * 4096u, 4096u * (1 + in.u8() % 2));
		return;
	case wire_vectors:
		return wire(client, in, descriptors, index);
	case act_on_vectors:
		rte_vfio_user_client_irq_action(client, index, in.u8(), in.u8(),
						static_cast<rte_vfio_user_irq_action>(in.u8() % 3));
		return;
	case reset:
		rte_vfio_user_client_reset(client);
		return;
	case touch_memory:
		for (const mapped &one : all_mapped)
			one.touch();
		return;
	case ask_state:
		return ask(client);
	case from_control:
		return play_on_control(client, in, descriptors);
	case set_deadline:
		rte_vfio_user_client_deadline_set(client, 1 + in.u8());
		return;
	case cancel:
		rte_vfio_user_client_cancel(client);
		return;
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static files descriptors;
	input in(data, size);
	const uint8_t how = in.u8();
	test::client_suite::test_client client;

	descriptors.renew();
	all_mapped.clear();
	/* What the program asks for stands first. */
	const auto program = in.bytes(in.u8());
	input asks(program.data(), program.size());
	answers server_says(input(in.rest().data(), in.size()), descriptors);
	server_says.offers_twin = how & 8;
	server_says.bar_file = how & 16 ? files::truncated : files::memory;
	test::client_suite::hostile_server server(
		[&](test::client_suite::raw_peer &peer) { server_says.serve(peer); });
	const guard::unique_fd gives_up(::eventfd(how & 32, EFD_CLOEXEC));
	client.timeout_ms = 100;
	/* One waits for a socket that never comes, until it is told not to. */
	const std::string path = how & 64 ? server.path + ".none" : server.path;
	const uint32_t flags = (how & 7u) | (how & 128 ? RTE_VFIO_USER_CLIENT_ATTACH_GOES_ON : 0);
	if (client.attach(path, flags, how & 64 ? 1 : 0, gives_up.get()) != 0)
		return 0;
	while (!asks.empty())
		play(client.handle, asks, descriptors);
	return 0;
}
