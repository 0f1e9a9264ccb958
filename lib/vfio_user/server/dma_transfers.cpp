/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/dma_transfers.hpp"

#include <algorithm>
#include <cstring>

#include "server/service.hpp"

namespace vfio_user {

namespace {

constexpr size_t max_transfers = 64;
constexpr std::chrono::seconds answer_timeout{5};

void
copy_piece(uint8_t *mapped, const dma_transfers::access &wanted, uint64_t at, uint64_t size)
{
	if (!wanted.into.empty())
		std::memcpy(wanted.into.data() + at, mapped, size);
	else
		guard::copy_to_polled(mapped, wanted.from.subspan(at, size));
}

} // namespace

dma_transfers::dma_transfers(service &of, connection &by)
    : memory_(of.dma), by_(by), timer_(of.answer_timer, on_timer, this)
{
}

dma_transfers::~dma_transfers()
{
	while (!queue_.empty())
		finish_first(-ENOTCONN);
}

/* Whether all of a range lies in regions with the right, however many. */
guard::status
dma_transfers::check_reachable(const access &wanted) const
{
	const rte_guest_mem_table &table = memory_.current();
	uint32_t right = wanted.command == wire::command::dma_read ? RTE_GUEST_MEM_READ
								   : RTE_GUEST_MEM_WRITE;

	for (uint64_t at = 0; at < wanted.size();) {
		const rte_guest_mem_region *r = rte_guest_mem_find(&table, wanted.iova + at);
		if (r == nullptr)
			return guard::failure{EFAULT};
		if ((r->flags & right) == 0)
			return guard::failure{EACCES};
		at += r->size - (wanted.iova + at - r->iova);
	}
	return {};
}

/* False: some of it has no file, nothing was copied. */
bool
dma_transfers::copy_mapped(const access &wanted) const
{
	const rte_guest_mem_table &table = memory_.current();

	for (bool copy : {false, true}) {
		for (uint64_t at = 0, piece; at < wanted.size(); at += piece) {
			const rte_guest_mem_region &r =
				*rte_guest_mem_find(&table, wanted.iova + at);
			uint64_t offset = wanted.iova + at - r.iova;
			piece = std::min(r.size - offset, wanted.size() - at);
			if (r.addr == nullptr)
				return false;
			if (copy)
				copy_piece(r.addr + offset, wanted, at, piece);
		}
	}
	return true;
}

guard::status
dma_transfers::start(const access &wanted)
{
	if (wanted.size() == 0)
		return guard::failure{EINVAL};
	TRY(check_reachable(wanted));
	if (copy_mapped(wanted)) {
		wanted.done(wanted.ctx, 0);
		return {};
	}
	if (queue_.size() >= max_transfers)
		return guard::failure{EBUSY};
	queue_.push_back({.what = wanted});
	start_next();
	return {};
}

/* The completion of one transfer may ask for the next one: then it is out already. Or it may end
 * the connection. */
void
dma_transfers::start_next()
{
	while (!queue_.empty() && !is_out_ && !by_.is_ending()) {
		guard::status sent = send_first();
		is_out_ = static_cast<bool>(sent);
		if (!sent)
			finish_first(sent.to_c());
	}
	if (queue_.empty())
		timer_.stop();
}

guard::status
dma_transfers::send_first()
{
	transfer &t = queue_.front();

	t.id = next_id_++;
	t.chunk = static_cast<uint32_t>(std::min<uint64_t>(
		{t.what.size() - t.done_bytes, by_.session().max_data_xfer, wire::max_dma_data}));
	guard::writer payload;
	payload.put(wire::dma_access{t.what.iova + t.done_bytes, t.chunk});
	if (t.what.command == wire::command::dma_write)
		payload.put_bytes(t.what.from.subspan(t.done_bytes, t.chunk));
	wire::header header = {.id = t.id,
			       .command = static_cast<uint16_t>(t.what.command),
			       .size = static_cast<uint32_t>(sizeof(header) + payload.size()),
			       .flags = 0,
			       .error = 0};
	TRY(timer_.start(answer_timeout));
	return by_.send_command(header, payload.view());
}

void
dma_transfers::finish_first(int error)
{
	access what = queue_.front().what;
	queue_.pop_front();
	what.done(what.ctx, error);
}

/* Takes what a reply brought; a negative errno ends the transfer. */
int
dma_transfers::take_data(const message &m)
{
	transfer &t = queue_.front();

	if (guard::status s = status_of(m.header); !s)
		return s.to_c();
	if (!m.is_within(wire::row_of(t.what.command).reply))
		return -EPROTO;
	if (t.what.command == wire::command::dma_read) {
		guard::reader r{m.payload};
		auto head = r.read<wire::dma_access>();
		if (!head || head->count != t.chunk || r.left() != t.chunk)
			return -EPROTO;
		std::memcpy(t.what.into.data() + t.done_bytes, r.rest().data(), t.chunk);
	}
	t.done_bytes += t.chunk;
	return 0;
}

bool
dma_transfers::take_reply(const message &m)
{
	if (!is_out_ || queue_.front().id != m.header.id ||
	    static_cast<uint16_t>(queue_.front().what.command) != m.header.command)
		return false;
	is_out_ = false;
	int error = take_data(m);
	if (error != 0 || queue_.front().done_bytes == queue_.front().what.size())
		finish_first(error);
	start_next();
	return true;
}

void
dma_transfers::on_timer(void *self)
{
	auto *t = static_cast<dma_transfers *>(self);
	connection::use now(t->by_);
	if (!t->queue_.empty())
		t->by_.break_off("no answer to a DMA access");
}

} // namespace vfio_user
