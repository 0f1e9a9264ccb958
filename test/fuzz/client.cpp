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

void
map(rte_vfio_user_client *client, uint32_t index, uint32_t area)
{
	rte_vfio_user_client_region region{};
	void *at = nullptr;

	if (rte_vfio_user_client_region_map(client, index, area, &at) != 0)
		return;
	MUST(rte_vfio_user_client_region_info_get(client, index, &region) == 0);
	MUST(area < region.nb_areas && region.areas[area].size != 0);
	/* The first and the last byte are there, whatever becomes of the file. */
	auto *bytes = static_cast<volatile uint8_t *>(at);
	(void)bytes[0];
	(void)bytes[region.areas[area].size - 1];
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

void
play(rte_vfio_user_client *client, input &in, const files &descriptors)
{
	static std::array<uint8_t, 8192> data;
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
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static files descriptors;
	input in(data, size);
	const uint8_t flags = in.u8() & 7;
	test::client_suite::test_client client;

	descriptors.renew();
	/* What the program asks for stands first. */
	const auto program = in.bytes(in.u8());
	input asks(program.data(), program.size());
	answers how(input(in.rest().data(), in.size()), descriptors);
	test::client_suite::hostile_server server(
		[&](test::client_suite::raw_peer &peer) { how.serve(peer); });
	client.timeout_ms = 100;
	if (client.attach(server.path, flags) != 0)
		return 0;
	while (!asks.empty())
		play(client.handle, asks, descriptors);
	return 0;
}
