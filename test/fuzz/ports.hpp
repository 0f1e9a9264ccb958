/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "frames.hpp"
#include "fuzz.hpp"
#include "iavf_be/fixture.hpp"

namespace fuzz {

/** A port with its guest, which stay for the next input. */
struct served_guest {
	test::fake_guest guest;
	test::fake_port port;

	served_guest(const std::string &name, test::fake_port::options options)
	    : guest(name.c_str()), port(guest, (options.guest = options.name = name, options))
	{
		MUST(port.ok());
	}

	/** The guest's memory in pages, each where the one @p distance bytes from it belongs; 0: in
	 * one piece. A table of pages takes its time. */
	void map(uint64_t distance)
	{
		if (distance != 0 || distance_ != 0)
			guest.map_pages(distance);
		if (distance == 0)
			guest.map_all();
		distance_ = distance;
	}

	/** Ends what an input has begun: all mbufs are back in the pool. */
	void end()
	{
		for (const rte_emudev_dir dir : {test::port_suite::from, test::port_suite::to})
			for (uint16_t queue = 0; queue < test::fake_guest::queues; queue++)
				guest.disable(dir, queue);
		guest.memory_gone();
		guest.forget_tables();
		MUST(port.complete());
		rte_eth_stats_reset(port.id());
	}

private:
	uint64_t distance_ = 0;
};

/** The port of a row of options; it is made for the first input that wants it. */
inline served_guest &
serve(std::span<const test::fake_port::options> rows, size_t number)
{
	static std::vector<std::unique_ptr<served_guest>> all(rows.size());
	std::unique_ptr<served_guest> &one = all[number % rows.size()];

	if (one == nullptr)
		one = std::make_unique<served_guest>("f" + std::to_string(number % rows.size()),
						     rows[number % rows.size()]);
	return *one;
}

/** Where a descriptor may point: mostly at what is there. */
inline uint64_t
take_address(input &in)
{
	using test::fake_memory;
	static constexpr uint64_t places[] = {
		fake_memory::second - 2048, fake_memory::second + fake_memory::size - 1024,
		fake_memory::read_only,     fake_memory::no_file,
		fake_memory::hole,          ~uint64_t{0} - 1023,
		fake_memory::zero + 2048,   fake_memory::base,
	};
	const uint8_t what = in.u8();

	if (what < 200)
		return test::port_suite::buffer(what % 32) + what / 32 * 16;
	return what == UINT8_MAX ? in.u64() : places[what % std::size(places)] + in.u8();
}

/** A frame that makes sense, with some bytes of the input instead of its own. @return Its length.
 */
inline uint32_t
write_frame(input &in, uint8_t *at, bool tso)
{
	const uint8_t kind = in.u8();
	test::port_suite::packet packet{
		.v6 = (kind & 1) != 0, .udp = (kind & 2) != 0, .payload = in.u16() % 2048u};

	if (kind & 4) {
		const auto raw = in.bytes(in.u8());
		std::ranges::copy(raw, at);
		return static_cast<uint32_t>(raw.size());
	}
	if (kind & 8) {
		const std::vector<uint8_t> layers = take_layers(in);
		std::ranges::copy(layers, at);
		return static_cast<uint32_t>(layers.size());
	}
	packet.write(at, tso);
	for (uint8_t changes = kind >> 4; changes != 0; changes--)
		at[in.u8() % 128] = in.u8();
	return packet.length();
}

} // namespace fuzz
