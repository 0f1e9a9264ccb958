/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "files.hpp"
#include "fuzz.hpp"
#include "vfio_user_client/fixture.hpp"

namespace fuzz {

namespace wire = vfio_user::wire;

/**
 * A server that answers as an input says: rightly, with some bytes changed, with something else, or
 * not at all; and which asks for memory in between. When the input is at its end it hangs up, so
 * that no client waits.
 */
class answers {
public:
	answers(input in, const files &descriptors) : in_(in), descriptors_(descriptors) {}

	std::array<uint8_t, 256> config{}; /**< What a client reads of the configuration space. */
	uint64_t bar_size = 0x10000;       /**< Of BAR 0; there is no other. */
	files::kind bar_file = files::memory;
	uint32_t vectors = 4;     /**< Of each kind. */
	bool offers_twin = false; /**< A second socket, on which it sends its commands. */

	void serve(test::client_suite::raw_peer &peer)
	{
		while (!in_.empty() && serve_one(peer)) {
		}
		peer.hang_up();
	}

private:
	using raw_peer = test::client_suite::raw_peer;
	enum how : uint8_t { right, changed = 10, other, error, raw, command, fire, shorten, last };

	/** @return Whether the client is still there, as far as is known. */
	bool serve_one(raw_peer &peer)
	{
		const uint8_t what = in_.u8() % last;

		if (what == raw) {
			const auto bytes = in_.bytes(in_.u8());
			return peer.send_bytes(std::as_bytes(bytes));
		}
		if (what == command)
			return send_command(peer);
		if (what == fire) {
			for (const guard::unique_fd &event : wired_)
				(void)!::eventfd_write(event.get(), 1);
			return true;
		}
		if (what == shorten) {
			descriptors_.truncate(in_.u8());
			return true;
		}
		test::raw_message request;
		if (!peer.receive(request))
			return false;
		if (request.header.command == static_cast<uint16_t>(wire::command::device_set_irqs))
			wired_ = std::move(request.fds);
		/* Its answers to commands are not waited for. */
		if (wire::header_flags::type::get(request.header.flags) ==
		    wire::header_flags::type_reply)
			return true;
		if (wire::header_flags::no_reply::is_set(request.header.flags))
			return true;
		return answer(peer, request, what);
	}
	bool send_command(raw_peer &peer)
	{
		const uint8_t kind = in_.u8();
		const bool read = kind & 1;
		guard::writer body;

		body.put(wire::dma_access{in_.u16() * uint64_t{512}, kind & 2 ? in_.u64() : 16});
		if (!read)
			body.put_bytes(std::as_bytes(in_.bytes(kind & 4 ? in_.u8() : 16)));
		raw_peer &by = twin_ ? *twin_ : peer;
		return by.send(in_.u8(), read ? wire::command::dma_read : wire::command::dma_write,
			       body.view(), kind & 8 ? descriptors_.of(kind >> 4) : -1);
	}
	bool answer(raw_peer &peer, const test::raw_message &request, uint8_t what)
	{
		wire::header to = request.header;
		std::vector<int> fds;
		std::vector<std::byte> body = right_answer(request, fds);

		if (what == error)
			return peer.reply(to, {}, {}, in_.u8());
		if (what == other) {
			const auto bytes = std::as_bytes(in_.bytes(take_length()));
			body.assign(bytes.begin(), bytes.end());
			fds = descriptors_.choose(in_.u8());
		}
		if (what == changed) {
			body.resize(body.size() + in_.u8() % 64);
			for (unsigned int n = in_.u8() % 8; n != 0 && !body.empty(); n--) {
				const size_t at = in_.u8() % body.size();
				body[at] = static_cast<std::byte>(in_.u8());
			}
			const uint8_t more = in_.u8();
			if (more & 1)
				fds = descriptors_.choose(more >> 1);
			if (more >= 250)
				to.id++;
			if (more == 249)
				to.command++;
		}
		return peer.reply(to, body, fds);
	}
	/** Mostly short; but some descriptions are long. */
	size_t take_length()
	{
		const size_t n = in_.u8();

		return n < 128 ? n : 16 * (n - 120);
	}
	/** The client's end of a second socket. */
	int make_twin()
	{
		int ends[2];

		MUST(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
		twin_.emplace(guard::unique_fd(ends[0]));
		theirs_ = guard::unique_fd(ends[1]);
		return ends[1];
	}
	void answer_version(guard::writer &out, std::vector<int> &fds)
	{
		static constexpr char json[] =
			"{\"capabilities\":{\"max_msg_fds\":8,\"write_multiple\":true,"
			"\"mapped_bars\":true}}";
		static constexpr char json_with_twin[] =
			"{\"capabilities\":{\"max_msg_fds\":8,\"mapped_bars\":true,"
			"\"twin_socket\":{\"supported\":true,\"fd_index\":0}}}";

		out.put(wire::version{0, 0});
		if (!offers_twin) {
			out.put_bytes(std::as_bytes(std::span(json)));
			return;
		}
		out.put_bytes(std::as_bytes(std::span(json_with_twin)));
		fds.push_back(make_twin());
	}
	std::vector<std::byte> right_answer(const test::raw_message &request, std::vector<int> &fds)
	{
		constexpr uint32_t rw = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE;
		guard::writer out;

		switch (static_cast<wire::command>(request.header.command)) {
		case wire::command::version:
			answer_version(out, fds);
			break;
		case wire::command::device_get_info:
			out.put(wire::device_info{
				16, RTE_VFIO_USER_DEVICE_PCI | RTE_VFIO_USER_DEVICE_RESET, 9, 5});
			break;
		case wire::command::device_get_region_info: {
			const auto asked = request.as<wire::region_info>();
			const bool bar = asked.index == 0;
			const bool config_space = asked.index == RTE_VFIO_USER_REGION_CONFIG;
			wire::region_info info{32, bar || config_space ? rw : 0, asked.index, 0, 0,
					       0};
			info.size = bar ? bar_size : config_space ? config.size() : 0;
			if (bar) {
				info.flags |= RTE_VFIO_USER_REGION_MMAP;
				fds.push_back(descriptors_.of(bar_file));
			}
			out.put(info);
			break;
		}
		case wire::command::device_get_irq_info: {
			const auto asked = request.as<wire::irq_info>();
			out.put(wire::irq_info{16, RTE_VFIO_USER_IRQ_EVENTFD, asked.index,
					       vectors});
			break;
		}
		case wire::command::region_read: {
			const auto asked = request.as<wire::region_access>();
			std::vector<uint8_t> data(asked.count % 65536);
			for (size_t i = 0; i < data.size(); i++)
				data[i] = config[(asked.offset + i) % config.size()];
			out.put(asked).put_bytes(std::as_bytes(std::span(data)));
			break;
		}
		case wire::command::region_write:
			out.put(request.as<wire::region_access>());
			break;
		case wire::command::region_write_multi:
			out.put(request.as<wire::write_multi>());
			break;
		default: /* an answer that is nothing but a header */
			break;
		}
		return {out.view().begin(), out.view().end()};
	}

	input in_;
	const files &descriptors_;
	std::vector<guard::unique_fd> wired_; /**< Of the latest message that brought any. */
	std::optional<raw_peer> twin_;
	guard::unique_fd theirs_; /**< The other end of it. */
};

} // namespace fuzz
