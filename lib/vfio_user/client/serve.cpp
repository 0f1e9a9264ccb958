/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/client.hpp"
#include "log.hpp"

/**
 * What the server asks for: access to memory that it cannot map [spec: VFIO_USER_DMA_READ,
 * VFIO_USER_DMA_WRITE]. All on the control thread.
 */
namespace vfio_user {

void
client::serve_command(transport &from, const message &m)
{
	namespace hf = wire::header_flags;

	guard::result<guard::writer> done = carry_out(m);
	wire::header header = {.id = m.header.id,
			       .command = m.header.command,
			       .size = sizeof(header),
			       .flags = hf::type::of(hf::type_reply),
			       .error = 0};
	guard::bytes payload;
	if (done) {
		payload = done->view();
		header.size += static_cast<uint32_t>(payload.size());
	} else {
		VFIO_USER_LOG(DEBUG, "%s: %s of the server refused: %s", path_.c_str(),
			      wire::name_of(m.header.command), strerror(done.error().code));
		header.flags |= hf::error::mask;
		header.error = static_cast<uint32_t>(done.error().code);
	}
	bool read = m.header.command == static_cast<uint16_t>(wire::command::dma_read);
	std::lock_guard lock(mutex_);
	(!done ? stats_.refused : read ? stats_.dma_reads : stats_.dma_writes)++;
	if (!hf::no_reply::is_set(m.header.flags) && !from.send(header, payload))
		end_locked(cause::gone);
}

guard::result<guard::writer>
client::carry_out(const message &m)
{
	constexpr guard::failure invalid{EINVAL};
	const wire::command_row *row = wire::find_command(m.header.command);

	if (row == nullptr || row->from != wire::sender::server)
		return guard::failure{EOPNOTSUPP};
	if (!m.is_within(row->request))
		return invalid;
	bool read = row->number == wire::command::dma_read;
	guard::reader in(m.payload);
	wire::dma_access access = TRY(in.read<wire::dma_access>());
	if (access.count == 0 || access.count > RTE_VFIO_USER_MAX_DATA_XFER)
		return invalid;
	if (in.left() != (read ? 0 : access.count))
		return invalid;

	guard::writer out;
	out.put(access);
	if (read) {
		std::vector<std::byte> data(access.count);
		TRY(dma_.read(access.address, data));
		out.put_bytes(data);
	} else {
		TRY(dma_.write(access.address, in.rest()));
	}
	return out;
}

} // namespace vfio_user
