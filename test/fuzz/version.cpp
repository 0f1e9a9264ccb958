/* SPDX-License-Identifier: BSD-3-Clause */
#include <string>

#include "fuzz.hpp"
#include "wire/version.hpp"

/* The JSON of VERSION: what is taken is told again as it was understood. */

using vfio_user::capabilities;

namespace {

void
parse(guard::bytes data)
{
	const auto parsed = vfio_user::parse_capabilities(data);

	if (!parsed)
		return;
	const std::string text = vfio_user::format_capabilities(*parsed).value();
	const auto again = vfio_user::parse_capabilities(std::as_bytes(std::span(text)));
	MUST(again);
	const capabilities &a = *parsed, &b = *again;
	MUST(a.max_msg_fds == b.max_msg_fds && a.max_data_xfer_size == b.max_data_xfer_size);
	MUST(a.max_dma_maps == b.max_dma_maps && a.pgsizes == b.pgsizes);
	MUST(a.twin_socket == b.twin_socket && a.write_multiple == b.write_multiple);
	MUST(a.mapped_bars == b.mapped_bars);
	MUST(a.twin_fd_index < 0 || a.twin_fd_index == b.twin_fd_index);
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	std::vector<uint8_t> text(data, data + size);

	parse(std::as_bytes(std::span(text)));
	/* Most of what is tried lacks the NUL. */
	text.push_back(0);
	parse(std::as_bytes(std::span(text)));
	return 0;
}
