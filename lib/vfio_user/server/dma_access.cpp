/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <cstring>

#include "log.hpp"
#include "server/server.hpp"

/**
 * Access of the device to client memory from the control thread: by memcpy where a file is mapped,
 * else by messages [spec: VFIO_USER_DMA_READ, VFIO_USER_DMA_WRITE]. One message is out at a time.
 */
namespace vfio_user {

namespace {

constexpr size_t max_transfers = 64;
constexpr std::chrono::seconds answer_timeout{5};

void
copy_piece(uint8_t *mapped, std::span<std::byte> into, guard::bytes from, uint64_t at,
	   uint64_t size)
{
	if (!into.empty())
		std::memcpy(into.data() + at, mapped, size);
	else
		std::memcpy(mapped, from.data() + at, size);
}

} // namespace

/* Whether all of a range lies in regions with the right, however many. */
guard::status
server::check_reachable(uint64_t iova, uint32_t size, uint32_t access) const
{
	const rte_guest_mem_table &table = dma_.current();

	for (uint64_t at = 0; at < size;) {
		const rte_guest_mem_region *r = rte_guest_mem_find(&table, iova + at);
		if (r == nullptr)
			return guard::failure{EFAULT};
		if ((r->flags & access) == 0)
			return guard::failure{EACCES};
		at += r->size - (iova + at - r->iova);
	}
	return {};
}

/* True: all was mapped and copied. False: some of it has no file, nothing was copied. */
guard::result<bool>
server::access_mapped(uint64_t iova, std::span<std::byte> into, guard::bytes from)
{
	const rte_guest_mem_table &table = dma_.current();
	uint64_t size = into.size() + from.size();

	for (bool copy : {false, true}) {
		for (uint64_t at = 0, piece; at < size; at += piece) {
			const rte_guest_mem_region &r = *rte_guest_mem_find(&table, iova + at);
			uint64_t offset = iova + at - r.iova;
			piece = std::min(r.size - offset, size - at);
			if (r.addr == nullptr)
				return false;
			if (copy)
				copy_piece(r.addr + offset, into, from, at, piece);
		}
	}
	return true;
}

guard::status
server::dma_access(wire::command command, uint64_t iova, std::span<std::byte> into,
		   guard::bytes from, rte_vfio_user_dma_done done, void *ctx)
{
	auto size = static_cast<uint32_t>(into.size() + from.size());

	if (!negotiated_)
		return guard::failure{ENOTCONN};
	if (size == 0)
		return guard::failure{EINVAL};
	TRY(check_reachable(iova, size,
			    command == wire::command::dma_read ? RTE_GUEST_MEM_READ
							       : RTE_GUEST_MEM_WRITE));
	if (TRY(access_mapped(iova, into, from))) {
		done(ctx, 0);
		return {};
	}
	if (transfers_.size() >= max_transfers)
		return guard::failure{EBUSY};
	transfers_.push_back({.command = command,
			      .id = 0,
			      .iova = iova,
			      .into = into,
			      .from = from,
			      .done_bytes = 0,
			      .chunk = 0,
			      .done = done,
			      .ctx = ctx});
	start_next_transfer();
	return {};
}

/* The completion of one transfer may ask for the next one: then it is out already. */
void
server::start_next_transfer()
{
	while (!transfers_.empty() && !transfer_is_out_) {
		guard::status sent = send_transfer();
		transfer_is_out_ = static_cast<bool>(sent);
		if (!sent)
			finish_transfer(sent.to_c());
	}
	if (transfers_.empty())
		dma_timer_.stop();
}

guard::status
server::send_transfer()
{
	dma_transfer &t = transfers_.front();

	t.id = next_id_++;
	t.chunk = std::min(t.size() - t.done_bytes, session_.max_data_xfer);
	guard::writer payload;
	payload.put(wire::dma_access{t.iova + t.done_bytes, t.chunk});
	if (t.command == wire::command::dma_write)
		payload.put_bytes(t.from.subspan(t.done_bytes, t.chunk));
	wire::header header = {.id = t.id,
			       .command = static_cast<uint16_t>(t.command),
			       .size = static_cast<uint32_t>(sizeof(header) + payload.size()),
			       .flags = 0,
			       .error = 0};
	TRY(dma_timer_.start(answer_timeout));
	TRY(reverse_channel().send(header, payload.view()));
	update_client_events();
	return {};
}

void
server::finish_transfer(int error)
{
	dma_transfer t = transfers_.front();
	transfers_.pop_front();
	t.done(t.ctx, error);
}

/* Takes what a reply brought; a negative errno ends the transfer. */
int
server::take_transfer_data(const message &m)
{
	dma_transfer &t = transfers_.front();

	if (guard::status s = status_of(m.header); !s)
		return s.to_c();
	if (!m.is_within(wire::row_of(t.command).reply))
		return -EPROTO;
	if (t.command == wire::command::dma_read) {
		guard::reader r{m.payload};
		auto access = r.read<wire::dma_access>();
		if (!access || access->count != t.chunk || r.left() != t.chunk)
			return -EPROTO;
		std::memcpy(t.into.data() + t.done_bytes, r.rest().data(), t.chunk);
	}
	t.done_bytes += t.chunk;
	return 0;
}

/* Whether the reply belongs to the message that is out. */
bool
server::handle_reply(const message &m)
{
	if (!transfer_is_out_ || transfers_.front().id != m.header.id ||
	    static_cast<uint16_t>(transfers_.front().command) != m.header.command)
		return false;
	transfer_is_out_ = false;
	int error = take_transfer_data(m);
	if (error != 0 || transfers_.front().done_bytes == transfers_.front().size())
		finish_transfer(error);
	start_next_transfer();
	return true;
}

void
server::abort_transfers()
{
	dma_timer_.stop();
	transfer_is_out_ = false;
	while (!transfers_.empty())
		finish_transfer(-ENOTCONN);
}

} // namespace vfio_user
