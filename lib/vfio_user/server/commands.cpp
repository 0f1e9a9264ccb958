/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <array>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "log.hpp"
#include "server/server.hpp"

/** The commands that a client sends: one row each, and their handlers. */
namespace vfio_user {

/** Who carries out a command. The rest of what there is to know about it: wire/commands.hpp. */
struct server::handler_row {
	wire::command number;
	guard::result<reply> (server::*handler)(request &);
};

struct handler_table {
	using c = wire::command;
	using s = server;
	static constexpr server::handler_row rows[] = {
		{c::version, &s::do_version},
		{c::dma_map, &s::do_dma_map},
		{c::dma_unmap, &s::do_dma_unmap},
		{c::device_get_info, &s::do_device_get_info},
		{c::device_get_region_info, &s::do_device_get_region_info},
		{c::device_get_region_io_fds, &s::do_device_get_region_io_fds},
		{c::device_get_irq_info, &s::do_device_get_irq_info},
		{c::device_set_irqs, &s::do_device_set_irqs},
		{c::region_read, &s::do_region_read},
		{c::region_write, &s::do_region_write},
		{c::device_reset, &s::do_device_reset},
		{c::region_write_multi, &s::do_region_write_multi},
		{c::device_feature, &s::do_unsupported},
		{c::mig_data_read, &s::do_unsupported},
		{c::mig_data_write, &s::do_unsupported},
	};

	/** Whether each command of a client has a handler, in the order of the commands. */
	static constexpr bool is_complete()
	{
		size_t next = 0;
		for (const wire::command_row &row : wire::commands)
			if (row.from == wire::sender::client &&
			    (next == std::size(rows) || rows[next++].number != row.number))
				return false;
		return next == std::size(rows);
	}
};

static_assert(handler_table::is_complete());

void
server::handle(message &&m)
{
	wire::header header = m.header;

	stats_.messages++;
	guard::result<reply> r = dispatch(m);
	/* A batch that goes on in the next turn is answered then. */
	if (!batch_)
		conclude(header, r);
}

void
server::conclude(const wire::header &of, const guard::result<reply> &r)
{
	if (!r)
		stats_.errors++;
	if (client_)
		answer(of, r);
	twin_peer_.reset();
}

guard::result<reply>
server::dispatch(message &m)
{
	const wire::command_row *row = wire::find_command(m.header.command);

	/* Types other than command and reply are not defined. */
	if (wire::header_flags::type::get(m.header.flags) != wire::header_flags::type_command)
		return guard::failure{EINVAL};
	if (!negotiated_ && (row == nullptr || row->when != wire::phase::negotiation)) {
		close_reason_ = "a command before VERSION";
		return guard::failure{EPROTO};
	}
	if (row == nullptr || row->from != wire::sender::client)
		return guard::failure{EOPNOTSUPP};
	if (m.fds_lost)
		return guard::failure{EMFILE};
	if (!m.is_within(row->request) || (negotiated_ && row->when != wire::phase::session))
		return guard::failure{EINVAL};
	request r{m, guard::reader(m.payload), m.fds};
	auto bound = std::find_if(std::begin(handler_table::rows), std::end(handler_table::rows),
				  [=](const handler_row &h) { return h.number == row->number; });
	return (this->*bound->handler)(r);
}

void
server::answer(const wire::header &to, const guard::result<reply> &r)
{
	namespace hf = wire::header_flags;

	VFIO_USER_LOG(DEBUG, "%s: %s(%u) id %u size %u: %s", path_.c_str(),
		      wire::name_of(to.command), to.command, to.id, to.size,
		      r ? "ok" : strerror(r.error().code));
	if (hf::no_reply::is_set(to.flags))
		return;
	wire::header header = {.id = to.id,
			       .command = to.command,
			       .size = sizeof(header),
			       .flags = hf::type::of(hf::type_reply),
			       .error = 0};
	guard::status sent;
	if (r) {
		header.size += static_cast<uint32_t>(r->payload.size());
		sent = client_.send(header, r->payload.view(), r->fds);
	} else {
		/* [spec: Header] an error reply is the header alone */
		header.flags |= hf::error::mask;
		header.error = static_cast<uint32_t>(r.error().code);
		sent = client_.send(header, {});
	}
	if (!sent)
		close_reason_ = "cannot send";
	stats_.replies++;
}

/* --- VERSION --- */

capabilities
server::negotiate(const capabilities &asked, std::vector<int> &fds)
{
	/* The limits are stated to whoever asks for nothing, too: it would assume the
	 * specification's defaults, which are larger. The rest is for who knows of it. */
	capabilities::present named = asked.named;
	named.max_msg_fds = named.max_data_xfer_size = named.max_dma_maps = named.pgsizes = true;
	capabilities ours = {
		.named = named,
		.max_msg_fds = wire::max_msg_fds,
		.max_data_xfer_size = RTE_VFIO_USER_MAX_DATA_XFER,
		.max_dma_maps = RTE_VFIO_USER_MAX_DMA_REGIONS,
		.pgsizes = wire::page_size,
		.write_multiple = asked.write_multiple,
	};
	ours.mapped_bars = asked.mapped_bars &&
			   std::any_of(regions_.begin(), regions_.end(),
				       [](const region &r) { return r.desc.map_whole_on_request; });
	int pair[2];
	if (asked.twin_socket && asked.max_msg_fds > 0 &&
	    ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0) {
		guard::unique_fd mine(pair[0]);
		twin_peer_ = guard::unique_fd(pair[1]);
		if (auto watch = control::running()->watch(mine.get(), EPOLLIN, on_twin, this)) {
			twin_watch_ = *watch;
			twin_ = make_channel(std::move(mine));
			fds.push_back(twin_peer_.get());
			ours.twin_socket = true;
			ours.twin_fd_index = 0;
		}
	}
	return ours;
}

guard::result<reply>
server::do_version(request &r)
{
	wire::version asked = TRY(r.payload.read<wire::version>());

	close_reason_ = "no common version";
	if (asked.major != wire::major_version)
		return guard::failure{EINVAL};
	capabilities wanted = TRY(parse_capabilities(r.payload.rest()));
	if (wanted.max_data_xfer_size == 0)
		return guard::failure{EINVAL};

	reply out;
	capabilities ours = negotiate(wanted, out.fds);
	session_ = {.major = wire::major_version,
		    .minor = std::min(asked.minor, wire::minor_version),
		    .max_data_xfer = static_cast<uint32_t>(std::min<uint64_t>(
			    wanted.max_data_xfer_size, RTE_VFIO_USER_MAX_DATA_XFER)),
		    .max_msg_fds = static_cast<uint32_t>(
			    std::min<uint64_t>(wanted.max_msg_fds, wire::scm_max_fd)),
		    .twin_socket = ours.twin_socket,
		    .write_multiple = ours.write_multiple,
		    .mapped_bars = ours.mapped_bars};
	if (ops_.new_device != nullptr)
		if (int error = ops_.new_device(ctx_, &session_); error != 0)
			return guard::failure{-error};
	device_attached_ = true;
	negotiated_ = true;
	close_reason_ = nullptr;

	std::string json = format_capabilities(ours);
	out.payload.put(wire::version{session_.major, session_.minor});
	out.payload.put_bytes(std::as_bytes(std::span(json)));
	return out;
}

/* --- DMA --- */

guard::result<reply>
server::do_dma_map(request &r)
{
	wire::dma_map wanted = TRY(r.payload.read<wire::dma_map>());

	stats_.dma_maps++;
	if (wanted.argsz < sizeof(wanted))
		return guard::failure{EINVAL};
	TRY(dma_.map(wanted, r.fds.empty() ? -1 : r.fds[0].get()));
	/* It is mapped, so this is not the last reference: the thread of the closer is spared. */
	if (!r.fds.empty())
		r.fds[0].close_here();
	/* Nobody waits because memory comes. But what has been replaced must not become too much.
	 */
	if (dma_.wants_reclaim())
		reclaim_memory(1, 0);
	if (ops_.update_device != nullptr)
		ops_.update_device(ctx_, RTE_VFIO_USER_UPDATE_DMA);
	return reply{};
}

/* As QEMU asks for when a guest turns its virtual IOMMU on. */
guard::status
server::unmap_all(const wire::dma_unmap &wanted)
{
	if (wanted.address != 0 || wanted.size != 0)
		return guard::failure{EINVAL};
	dma_.clear();
	reclaim_memory(0, UINT64_MAX);
	return {};
}

guard::result<reply>
server::do_dma_unmap(request &r)
{
	wire::dma_unmap wanted = TRY(r.payload.read<wire::dma_unmap>());

	stats_.dma_unmaps++;
	namespace flags = wire::dma_unmap_flags;
	if (wanted.argsz < sizeof(wanted) ||
	    (wanted.flags & ~(flags::get_dirty_bitmap | flags::all)) != 0)
		return guard::failure{EINVAL};
	if ((wanted.flags & flags::get_dirty_bitmap) != 0)
		return guard::failure{EOPNOTSUPP}; /* it is for migration */
	/* The specification wants an exact match; QEMU's teardown sends ranges around any number of
	 * regions. The reply leaves only when no data thread uses what is gone. */
	if ((wanted.flags & flags::all) != 0)
		TRY(unmap_all(wanted));
	else if (TRY(dma_.unmap(wanted.address, wanted.size)) > 0)
		reclaim_memory(wanted.address, wanted.address + (wanted.size - 1));
	reply out;
	out.payload.put(wanted);
	return out;
}

/* --- device, region and interrupt information --- */

guard::result<reply>
server::do_device_get_info(request &r)
{
	wire::device_info asked = TRY(r.payload.read<wire::device_info>());

	if (asked.argsz < sizeof(asked))
		return guard::failure{EINVAL};
	reply out;
	out.payload.put(
		wire::device_info{.argsz = sizeof(wire::device_info),
				  .flags = flags_,
				  .num_regions = static_cast<uint32_t>(regions_.size()),
				  .num_irqs = static_cast<uint32_t>(irqs_->types().size())});
	return out;
}

guard::result<const server::region *>
server::find_region(uint32_t index) const
{
	if (index >= regions_.size())
		return guard::failure{EINVAL};
	return &regions_[index];
}

bool
server::maps_whole(const region &r) const
{
	return r.areas.empty() || (r.desc.map_whole_on_request != 0 && session_.mapped_bars != 0);
}

guard::result<reply>
server::do_device_get_region_info(request &r)
{
	wire::region_info asked = TRY(r.payload.read<wire::region_info>());
	const region &found = *TRY(find_region(asked.index));

	if (asked.argsz < sizeof(asked))
		return guard::failure{EINVAL};
	/* A mappable region comes with a descriptor, which the client may not take. */
	uint32_t hidden = session_.max_msg_fds == 0 ? RTE_VFIO_USER_REGION_MMAP : 0;
	bool mappable = (found.desc.flags & RTE_VFIO_USER_REGION_MMAP & ~hidden) != 0;
	wire::region_info info = {.argsz = sizeof(info),
				  .flags = found.desc.flags & ~hidden,
				  .index = asked.index,
				  .cap_offset = 0,
				  .size = found.desc.size,
				  .offset = mappable ? found.desc.fd_offset : 0};
	guard::writer caps;
	if (mappable && !maps_whole(found)) {
		auto count = static_cast<uint32_t>(found.areas.size());
		caps.put(wire::sparse_mmap{{wire::cap_sparse_mmap, 1, 0}, count, 0});
		for (const rte_vfio_user_area &a : found.areas)
			caps.put(wire::sparse_area{a.offset, a.size});
		info.argsz += static_cast<uint32_t>(caps.size());
	}
	reply out;
	/* [spec: Message sizes] if the reply does not fit, argsz says what would, and what is not
	 * there is not announced: an offset would lead behind the reply */
	bool fits = asked.argsz >= info.argsz;
	if (fits && caps.size() > 0) {
		info.flags |= RTE_VFIO_USER_REGION_CAPS;
		info.cap_offset = sizeof(info);
	}
	out.payload.put(info);
	if (fits) {
		out.payload.put_bytes(caps.view());
		if (mappable)
			out.fds.push_back(found.desc.fd);
	}
	return out;
}

guard::result<reply>
server::do_device_get_region_io_fds(request &r)
{
	wire::region_io_fds asked = TRY(r.payload.read<wire::region_io_fds>());
	const region &found = *TRY(find_region(asked.index));

	if (asked.argsz < sizeof(asked) || asked.flags != 0 || asked.count != 0)
		return guard::failure{EINVAL};
	/* What the client cannot take is left out: those parts are reached by messages. */
	auto count =
		static_cast<uint32_t>(std::min<size_t>(found.io_fds.size(), session_.max_msg_fds));
	wire::region_io_fds info = {
		.argsz = static_cast<uint32_t>(sizeof(info) + count * sizeof(wire::io_fd)),
		.flags = 0,
		.index = asked.index,
		.count = count};
	reply out;
	out.payload.put(info);
	if (asked.argsz < info.argsz)
		return out;
	for (uint32_t i = 0; i < count; i++) {
		const rte_vfio_user_io_fd &f = found.io_fds[i];
		out.payload.put(wire::io_fd{.offset = f.offset,
					    .size = f.size,
					    .fd_index = i,
					    .type = f.type,
					    .flags = f.flags,
					    .padding = 0,
					    .datamatch = f.datamatch});
		out.fds.push_back(f.fd);
	}
	return out;
}

guard::result<reply>
server::do_device_get_irq_info(request &r)
{
	wire::irq_info asked = TRY(r.payload.read<wire::irq_info>());

	if (asked.argsz < sizeof(asked) || asked.index >= irqs_->types().size())
		return guard::failure{EINVAL};
	const rte_vfio_user_irq &type = irqs_->types()[asked.index];
	reply out;
	out.payload.put(wire::irq_info{sizeof(asked), type.flags, asked.index, type.count});
	return out;
}

guard::result<reply>
server::do_device_set_irqs(request &r)
{
	wire::irq_set wanted = TRY(r.payload.read<wire::irq_set>());

	if (wanted.argsz < sizeof(wanted))
		return guard::failure{EINVAL};
	TRY(irqs_->set(wanted, r.payload.rest(), r.fds));
	if (ops_.update_device != nullptr)
		ops_.update_device(ctx_, RTE_VFIO_USER_UPDATE_IRQ);
	return reply{};
}

/* --- region access --- */

guard::result<const server::region *>
server::check_access(const wire::region_access &access, uint32_t right) const
{
	const region *found = TRY(find_region(access.region));

	if (access.count == 0 || access.count > RTE_VFIO_USER_MAX_DATA_XFER ||
	    !guard::contains(0, found->desc.size, access.offset, access.count))
		return guard::failure{EINVAL};
	if ((found->desc.flags & right) == 0)
		return guard::failure{EPERM};
	return found;
}

guard::result<reply>
server::do_region_read(request &r)
{
	wire::region_access access = TRY(r.payload.read<wire::region_access>());

	TRY(check_access(access, RTE_VFIO_USER_REGION_READ));
	std::vector<std::byte> data(access.count);
	if (int error =
		    ops_.region_read(ctx_, access.region, access.offset, data.data(), access.count);
	    error != 0)
		return guard::failure{-error};
	reply out;
	out.payload.put(access).put_bytes(data);
	return out;
}

guard::status
server::write_region(const wire::region_access &access, guard::bytes data)
{
	TRY(check_access(access, RTE_VFIO_USER_REGION_WRITE));
	if (int error = ops_.region_write(ctx_, access.region, access.offset, data.data(),
					  access.count);
	    error != 0)
		return guard::failure{-error};
	return {};
}

guard::result<reply>
server::do_region_write(request &r)
{
	wire::region_access access = TRY(r.payload.read<wire::region_access>());

	if (r.payload.left() != access.count)
		return guard::failure{EINVAL};
	TRY(write_region(access, r.payload.rest()));
	reply out;
	out.payload.put(access);
	return out;
}

/* Carries out what is left of a batch, or of it as much as the turn allows. */
guard::status
server::carry_on(write_batch &b)
{
	guard::bytes writes = guard::bytes(b.payload).subspan(sizeof(wire::write_multi));

	while (b.next < b.count && share_.left()) {
		auto w = TRY(guard::load<wire::single_write>(
			writes, b.next++ * sizeof(wire::single_write)));
		if (w.count > sizeof(w.data))
			return guard::failure{EINVAL};
		TRY(write_region({w.offset, w.region, w.count},
				 std::as_bytes(std::span(w.data, w.count))));
	}
	return {};
}

guard::result<reply>
server::do_region_write_multi(request &r)
{
	wire::write_multi head = TRY(r.payload.read<wire::write_multi>());

	if (head.count > wire::max_payload / sizeof(wire::single_write) ||
	    r.payload.left() != head.count * sizeof(wire::single_write))
		return guard::failure{EINVAL};
	write_batch b{r.whole.header, std::move(r.whole.payload), head.count, 0};
	TRY(carry_on(b));
	/* A write may have the device end the connection. */
	if (b.next < b.count && client_) {
		batch_ = std::move(b);
		work_.schedule();
	}
	reply out;
	out.payload.put(head);
	return out;
}

/* Goes on with the batch in a later turn, and answers it when it is done. */
void
server::finish_batch()
{
	/* Out of the server's hands: a write may have the device end the connection. */
	write_batch b = std::move(*batch_);
	batch_.reset();
	guard::status s = carry_on(b);

	if (!client_)
		return;
	if (s && b.next < b.count) {
		batch_ = std::move(b);
		return work_.schedule();
	}
	reply out;
	out.payload.put(wire::write_multi{b.count});
	conclude(b.header, s ? guard::result<reply>(std::move(out)) : s.error());
	if (close_reason_ != nullptr)
		return disconnect(close_reason_);
	update_client_events();
}

/* --- the rest --- */

guard::result<reply>
server::do_device_reset(request &)
{
	if ((flags_ & RTE_VFIO_USER_DEVICE_RESET) == 0 || ops_.reset_device == nullptr)
		return guard::failure{EOPNOTSUPP};
	if (int error = ops_.reset_device(ctx_); error != 0)
		return guard::failure{-error};
	return reply{};
}

/* Migration and its features. */
guard::result<reply>
server::do_unsupported(request &)
{
	return guard::failure{EOPNOTSUPP};
}

} // namespace vfio_user
