/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/client.hpp"

/**
 * What the server asks for: access to memory that it cannot map [spec: VFIO_USER_DMA_READ,
 * VFIO_USER_DMA_WRITE]. All on the control thread.
 */
namespace vfio_user {

guard::result<guard::writer>
client::serve(const message &m)
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
	if (access.count == 0 || access.count > wire::max_dma_data)
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
