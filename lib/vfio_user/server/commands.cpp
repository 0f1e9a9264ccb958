/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <sys/socket.h>

#include "log.hpp"
#include "server/service.hpp"

/** The commands that a client sends: one row each, and their handlers. */
namespace vfio_user {

/** Who carries out a command. The rest of what there is to know about it: wire/commands.hpp. */
struct connection::handler_row {
	wire::command number;
	guard::result<reply> (connection::*handler)(request &);
};

struct handler_table {
	using c = wire::command;
	using s = connection;
	static constexpr connection::handler_row rows[] = {
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
	static consteval bool is_complete()
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
connection::handle(message &&m)
{
	wire::header header = m.header;

	of_.stats.messages++;
	guard::result<reply> r = dispatch(m);
	/* A batch that goes on in the next turn is answered then. */
	if (!batch_)
		conclude(header, r);
}

/* Who ends the connection while its command is carried out wants no reply to leave. */
void
connection::conclude(const wire::header &of, const guard::result<reply> &r)
{
	if (!r)
		of_.stats.errors++;
	if (!is_ending())
		answer(of, r);
	twin_peer_.reset();
	if (close_reason_ != nullptr)
		break_off(close_reason_);
}

guard::result<reply>
connection::dispatch(message &m)
{
	const wire::command_row *row = wire::find_command(m.header.command);

	/* Types other than command and reply are not defined. */
	if (wire::header_flags::type::get(m.header.flags) != wire::header_flags::type_command)
		return guard::failure{EINVAL};
	if (!tenancy_.has_begun() && (row == nullptr || row->when != wire::phase::negotiation)) {
		close_reason_ = "a command before VERSION";
		return guard::failure{EPROTO};
	}
	if (row == nullptr || row->from != wire::sender::client)
		return guard::failure{EOPNOTSUPP};
	if (m.fds_lost)
		return guard::failure{EMFILE};
	if (!m.is_within(row->request) ||
	    (tenancy_.has_begun() && row->when != wire::phase::session))
		return guard::failure{EINVAL};
	if (row->number != wire::command::dma_map && row->number != wire::command::dma_unmap)
		tenancy_.check_sharing();
	request r{m, guard::reader(m.payload), m.fds};
	auto bound = std::find_if(std::begin(handler_table::rows), std::end(handler_table::rows),
				  [=](const handler_row &h) { return h.number == row->number; });
	return (this->*bound->handler)(r);
}

void
connection::answer(const wire::header &to, const guard::result<reply> &r)
{
	namespace hf = wire::header_flags;

	VFIO_USER_LOG(DEBUG, "%s: %s(%u) id %u size %u: %s", of_.path.c_str(),
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
		sent = main_->send(header, r->payload.view(), r->fds);
	} else {
		/* [spec: Header] an error reply is the header alone */
		header.flags |= hf::error::mask;
		header.error = static_cast<uint32_t>(r.error().code);
		sent = main_->send(header, {});
	}
	if (!sent)
		close_reason_ = "cannot send";
	of_.stats.replies++;
}

/* --- VERSION --- */

capabilities
connection::negotiate(const capabilities &asked, std::vector<int> &fds)
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
	ours.mapped_bars = asked.mapped_bars && of_.dev.maps_whole_on_request();
	if (asked.twin_socket && asked.max_msg_fds > 0 && open_twin()) {
		fds.push_back(twin_peer_.get());
		ours.twin_socket = true;
		ours.twin_fd_index = 0;
	}
	return ours;
}

bool
connection::open_twin()
{
	int pair[2];

	if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	foreign_fd mine(guard::unique_fd(pair[0]), of_.foreign);
	twin_peer_ = guard::unique_fd(pair[1]);
	return static_cast<bool>(twin_.open(std::move(mine), on_twin, this));
}

guard::result<reply>
connection::do_version(request &r)
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
	close_reason_ = "no session can begin";
	std::string json = TRY(format_capabilities(ours));
	TRY(tenancy_.begin(session_));
	close_reason_ = nullptr;

	out.payload.put(wire::version{session_.major, session_.minor});
	out.payload.put_bytes(std::as_bytes(std::span(json)));
	return out;
}

/* --- DMA --- */

guard::result<reply>
connection::do_dma_map(request &r)
{
	wire::dma_map wanted = TRY(r.payload.read<wire::dma_map>());

	of_.stats.dma_maps++;
	if (wanted.argsz < sizeof(wanted))
		return guard::failure{EINVAL};
	TRY(of_.dma.map(wanted, r.fds.empty() ? -1 : r.fds[0].get()));
	/* It is mapped, so this is not the last reference: the thread of the closer is spared. */
	if (!r.fds.empty())
		r.fds[0].close_here();
	/* Nobody waits because memory comes. But what has been replaced must not become too much.
	 */
	if (of_.dma.wants_reclaim())
		tenancy_.reclaim_memory(1, 0);
	of_.dev.update(RTE_VFIO_USER_UPDATE_DMA);
	return reply{};
}

/* As QEMU asks for when a guest turns its virtual IOMMU on. */
guard::status
connection::unmap_all(const wire::dma_unmap &wanted)
{
	if (wanted.address != 0 || wanted.size != 0)
		return guard::failure{EINVAL};
	of_.dma.clear();
	tenancy_.reclaim_memory(0, UINT64_MAX);
	return {};
}

guard::result<reply>
connection::do_dma_unmap(request &r)
{
	wire::dma_unmap wanted = TRY(r.payload.read<wire::dma_unmap>());

	of_.stats.dma_unmaps++;
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
	else if (TRY(of_.dma.unmap(wanted.address, wanted.size)) > 0)
		tenancy_.reclaim_memory(wanted.address, wanted.address + (wanted.size - 1));
	reply out;
	out.payload.put(wanted);
	return out;
}

/* --- device, region and interrupt information --- */

guard::result<reply>
connection::do_device_get_info(request &r)
{
	wire::device_info asked = TRY(r.payload.read<wire::device_info>());

	if (asked.argsz < sizeof(asked))
		return guard::failure{EINVAL};
	reply out;
	out.payload.put(
		wire::device_info{.argsz = sizeof(wire::device_info),
				  .flags = of_.dev.flags(),
				  .num_regions = static_cast<uint32_t>(of_.dev.nb_regions()),
				  .num_irqs = static_cast<uint32_t>(of_.irqs.types().size())});
	return out;
}

bool
connection::maps_whole(const device::region &r) const
{
	return r.areas.empty() || (r.desc.map_whole_on_request != 0 && session_.mapped_bars != 0);
}

guard::result<reply>
connection::do_device_get_region_info(request &r)
{
	wire::region_info asked = TRY(r.payload.read<wire::region_info>());
	const device::region &found = *TRY(of_.dev.find_region(asked.index));

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
connection::do_device_get_region_io_fds(request &r)
{
	wire::region_io_fds asked = TRY(r.payload.read<wire::region_io_fds>());
	const device::region &found = *TRY(of_.dev.find_region(asked.index));

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
connection::do_device_get_irq_info(request &r)
{
	wire::irq_info asked = TRY(r.payload.read<wire::irq_info>());

	if (asked.argsz < sizeof(asked) || asked.index >= of_.irqs.types().size())
		return guard::failure{EINVAL};
	const rte_vfio_user_irq &type = of_.irqs.types()[asked.index];
	reply out;
	out.payload.put(wire::irq_info{sizeof(asked), type.flags, asked.index, type.count});
	return out;
}

guard::result<reply>
connection::do_device_set_irqs(request &r)
{
	wire::irq_set wanted = TRY(r.payload.read<wire::irq_set>());

	if (wanted.argsz < sizeof(wanted))
		return guard::failure{EINVAL};
	TRY(of_.irqs.set(wanted, r.payload.rest(), r.fds));
	of_.dev.update(RTE_VFIO_USER_UPDATE_IRQ);
	return reply{};
}

/* --- region access --- */

guard::result<reply>
connection::do_region_read(request &r)
{
	wire::region_access access = TRY(r.payload.read<wire::region_access>());

	reply out;
	out.payload.put(access);
	TRY(of_.dev.read(access, out.payload));
	return out;
}

guard::result<reply>
connection::do_region_write(request &r)
{
	wire::region_access access = TRY(r.payload.read<wire::region_access>());

	if (r.payload.left() != access.count)
		return guard::failure{EINVAL};
	TRY(of_.dev.write(access, r.payload.rest().data()));
	reply out;
	out.payload.put(access);
	return out;
}

/* Carries out what is left of a batch, or of it as much as the turn allows. */
guard::status
connection::carry_on(write_batch &b)
{
	guard::bytes writes = guard::bytes(b.payload).subspan(sizeof(wire::write_multi));

	while (b.next < b.count && of_.share.left() && !is_ending()) {
		auto w = TRY(guard::load<wire::single_write>(
			writes, b.next++ * sizeof(wire::single_write)));
		if (w.count > sizeof(w.data))
			return guard::failure{EINVAL};
		TRY(of_.dev.write({w.offset, w.region, w.count},
				  std::as_bytes(std::span(w.data)).data()));
	}
	return {};
}

guard::result<reply>
connection::do_region_write_multi(request &r)
{
	wire::write_multi head = TRY(r.payload.read<wire::write_multi>());

	if (head.count > wire::max_payload / sizeof(wire::single_write) ||
	    r.payload.left() != head.count * sizeof(wire::single_write))
		return guard::failure{EINVAL};
	write_batch b{r.whole.header, std::move(r.whole.payload), head.count, 0};
	TRY(carry_on(b));
	/* A write may have the device end the connection. */
	if (b.next < b.count && !is_ending()) {
		batch_ = std::move(b);
		batch_job_.schedule();
	}
	reply out;
	out.payload.put(head);
	return out;
}

/* Goes on with the batch in a later turn, and answers it when it is done. */
void
connection::finish_batch()
{
	/* Out of the server's hands: a write may have the device end the connection. */
	write_batch b = std::move(*batch_);
	batch_.reset();
	guard::status s = carry_on(b);

	if (is_ending())
		return;
	if (s && b.next < b.count) {
		batch_ = std::move(b);
		return batch_job_.schedule();
	}
	reply out;
	out.payload.put(wire::write_multi{b.count});
	conclude(b.header, s ? guard::result<reply>(std::move(out)) : s.error());
	update_events();
}

/* --- the rest --- */

guard::result<reply>
connection::do_device_reset(request &)
{
	TRY(of_.dev.reset());
	return reply{};
}

/* Migration and its features. */
guard::result<reply>
connection::do_unsupported(request &)
{
	return guard::failure{EOPNOTSUPP};
}

} // namespace vfio_user
