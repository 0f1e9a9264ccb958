/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "client/client.hpp"

/** The commands that a client sends: how each request is made and its reply understood. */
namespace vfio_user {

namespace {

using wire::command;

/* More than any PCI device has; what passes them is not taken for a description. */
constexpr uint32_t max_regions = 64;
constexpr uint32_t max_irq_types = 64;

/* A region's description with its capabilities. */
constexpr uint32_t max_region_info = 65536;

bool
is_stream_socket(int fd)
{
	int domain, type;
	socklen_t size = sizeof(int);
	return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
	       ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

capabilities
ours(uint32_t flags)
{
	bool twin = (flags & RTE_VFIO_USER_CLIENT_TWIN_SOCKET) != 0;
	bool write_multi = (flags & RTE_VFIO_USER_CLIENT_WRITE_MULTI) != 0;
	bool mapped_bars = (flags & RTE_VFIO_USER_CLIENT_MAPPED_BARS) != 0;

	return {.named = {.max_msg_fds = true,
			  .max_data_xfer_size = true,
			  .max_dma_maps = true,
			  .pgsizes = true,
			  .twin_socket = twin,
			  .write_multiple = write_multi,
			  .mapped_bars = mapped_bars},
		.max_msg_fds = wire::max_msg_fds,
		.max_data_xfer_size = wire::max_dma_data,
		.max_dma_maps = RTE_VFIO_USER_MAX_DMA_REGIONS,
		.pgsizes = wire::page_size,
		.twin_socket = twin,
		.write_multiple = write_multi,
		.mapped_bars = mapped_bars};
}

} // namespace

/* --- VERSION --- */

guard::status
client::negotiate()
{
	std::string json = TRY(format_capabilities(ours(flags_)));
	guard::writer payload;
	payload.put(wire::version{wire::major_version, wire::minor_version});
	payload.put_bytes(std::as_bytes(std::span(json)));

	message reply = TRY(talk_.request(command::version, payload.view()));
	if (!adopt_version(reply))
		return talk_.broken(command::version);
	return {};
}

guard::status
client::adopt_version(message &reply)
{
	constexpr guard::failure invalid{EPROTO};
	guard::reader in(reply.payload);
	wire::version version = TRY(in.read<wire::version>());
	capabilities theirs = TRY(parse_capabilities(in.rest()));

	if (version.major != wire::major_version || version.minor > wire::minor_version)
		return invalid;
	if (theirs.max_data_xfer_size == 0)
		return invalid;
	if (in.left() > 0)
		capabilities_text_ = reinterpret_cast<const char *>(in.rest().data());
	TRY(adopt_twin(theirs, reply.fds));
	session_ = {.major = version.major,
		    .minor = version.minor,
		    .max_data_xfer = static_cast<uint32_t>(std::min<uint64_t>(
			    theirs.max_data_xfer_size, RTE_VFIO_USER_MAX_DATA_XFER)),
		    .max_msg_fds = static_cast<uint32_t>(
			    std::min<uint64_t>(theirs.max_msg_fds, wire::scm_max_fd)),
		    .twin_socket = theirs.twin_socket,
		    .write_multiple = theirs.write_multiple &&
				      (flags_ & RTE_VFIO_USER_CLIENT_WRITE_MULTI) != 0,
		    .mapped_bars =
			    theirs.mapped_bars && (flags_ & RTE_VFIO_USER_CLIENT_MAPPED_BARS) != 0};
	return {};
}

guard::status
client::adopt_twin(const capabilities &theirs, std::vector<foreign_fd> &fds)
{
	if (!theirs.twin_socket)
		return {};
	bool asked = (flags_ & RTE_VFIO_USER_CLIENT_TWIN_SOCKET) != 0;
	auto index = static_cast<uint64_t>(theirs.twin_fd_index);
	if (!asked || index >= fds.size() || !is_stream_socket(fds[index].get()))
		return guard::failure{EPROTO};

	return talk_.add_twin(std::move(fds[index]));
}

/* --- device, region and interrupt information --- */

guard::status
client::ask_device_info()
{
	wire::device_info asked = {
		.argsz = sizeof(asked), .flags = 0, .num_regions = 0, .num_irqs = 0};
	message reply = TRY(talk_.request(command::device_get_info, guard::as_bytes(asked)));
	wire::device_info info = TRY(guard::load<wire::device_info>(reply.payload, 0));

	if (info.num_regions > max_regions || info.num_irqs > max_irq_types)
		return talk_.broken(command::device_get_info);
	device_ = info;
	return {};
}

/* Asks with room for the bare structure, and again with the room that the server wants. */
guard::result<message>
client::ask_region_info(uint32_t index)
{
	wire::region_info asked = {.argsz = sizeof(asked),
				   .flags = 0,
				   .index = index,
				   .cap_offset = 0,
				   .size = 0,
				   .offset = 0};
	message first = TRY(talk_.request(command::device_get_region_info, guard::as_bytes(asked)));
	wire::region_info info = TRY(guard::load<wire::region_info>(first.payload, 0));

	if (info.argsz <= asked.argsz)
		return first;
	if (info.argsz > max_region_info)
		return talk_.broken(command::device_get_region_info);
	asked.argsz = info.argsz;
	return talk_.request(command::device_get_region_info, guard::as_bytes(asked));
}

guard::result<const client_region *>
client::region(uint32_t index)
{
	if (index >= device_.num_regions)
		return guard::failure{EINVAL};
	{
		std::lock_guard lock(regions_mutex_);
		if (auto found = regions_.find(index); found != regions_.end())
			return &found->second;
	}
	message reply = TRY(ask_region_info(index));
	auto parsed = client_region::parse(index, std::move(reply));
	if (!parsed)
		return talk_.broken(command::device_get_region_info);
	/* Another thread may have been quicker: what is there stays, others hold pointers to it. */
	std::lock_guard lock(regions_mutex_);
	return &regions_.emplace(index, std::move(*parsed)).first->second;
}

guard::result<void *>
client::map_area(uint32_t index, uint32_t area)
{
	TRY(region(index));
	std::lock_guard lock(regions_mutex_);
	return regions_.find(index)->second.map(area, fault_event_.get());
}

guard::result<rte_vfio_user_irq>
client::irq_info(uint32_t index)
{
	if (index >= device_.num_irqs)
		return guard::failure{EINVAL};
	wire::irq_info asked = {.argsz = sizeof(asked), .flags = 0, .index = index, .count = 0};
	message reply = TRY(talk_.request(command::device_get_irq_info, guard::as_bytes(asked)));
	wire::irq_info info = TRY(guard::load<wire::irq_info>(reply.payload, 0));

	if (info.index != index || info.count > wire::max_vectors)
		return talk_.broken(command::device_get_irq_info);
	return rte_vfio_user_irq{.count = info.count, .flags = info.flags};
}

/* --- region access --- */

guard::status
client::region_read(uint32_t index, uint64_t offset, guard::mutable_bytes into)
{
	if (into.empty() || into.size() > UINT64_MAX - offset)
		return guard::failure{EINVAL};
	while (!into.empty()) {
		auto count = static_cast<uint32_t>(
			std::min<size_t>(into.size(), session_.max_data_xfer));
		wire::region_access asked = {.offset = offset, .region = index, .count = count};
		message reply = TRY(talk_.request(command::region_read, guard::as_bytes(asked)));
		guard::reader in(reply.payload);
		if (TRY(in.read<wire::region_access>()).count != count || in.left() != count)
			return talk_.broken(command::region_read);
		std::memcpy(into.data(), in.rest().data(), count);
		into = into.subspan(count);
		offset += count;
	}
	return {};
}

guard::status
client::region_write(uint32_t index, uint64_t offset, guard::bytes from)
{
	if (from.empty() || from.size() > UINT64_MAX - offset)
		return guard::failure{EINVAL};
	while (!from.empty()) {
		auto count = static_cast<uint32_t>(
			std::min<size_t>(from.size(), session_.max_data_xfer));
		guard::writer payload;
		payload.put(wire::region_access{.offset = offset, .region = index, .count = count});
		payload.put_bytes(from.first(count));
		message reply = TRY(talk_.request(command::region_write, payload.view()));
		if (TRY(guard::load<wire::region_access>(reply.payload, 0)).count != count)
			return talk_.broken(command::region_write);
		from = from.subspan(count);
		offset += count;
	}
	return {};
}

guard::status
client::region_write_multi(std::span<const rte_vfio_user_write> writes)
{
	if (session_.write_multiple == 0)
		return guard::failure{ENOTSUP};
	for (const rte_vfio_user_write &w : writes)
		if (w.count == 0 || w.count > sizeof(w.data))
			return guard::failure{EINVAL};

	size_t per_message =
		std::max<size_t>(1, session_.max_data_xfer / sizeof(wire::single_write));
	while (!writes.empty()) {
		auto batch = writes.first(std::min(writes.size(), per_message));
		guard::writer payload;
		payload.put(wire::write_multi{batch.size()});
		for (const rte_vfio_user_write &w : batch) {
			wire::single_write one = {.offset = w.offset,
						  .region = w.region,
						  .count = w.count,
						  .data = {}};
			std::copy_n(w.data, w.count, one.data);
			payload.put(one);
		}
		message reply = TRY(talk_.request(command::region_write_multi, payload.view()));
		if (TRY(guard::load<wire::write_multi>(reply.payload, 0)).count != batch.size())
			return talk_.broken(command::region_write_multi);
		writes = writes.subspan(batch.size());
	}
	return {};
}

/* --- DMA --- */

guard::status
client::dma_map(const rte_guest_mem_region &region, int fd, uint64_t offset)
{
	if (fd < 0 && region.addr == nullptr)
		return guard::failure{EINVAL};
	if (fd >= 0 && session_.max_msg_fds == 0)
		return guard::failure{ENOTSUP};
	/* First in the list: the server may use the memory before its reply is here. */
	TRY(dma_.add(region));
	wire::dma_map wanted = {.argsz = sizeof(wanted),
				.flags = region.flags,
				.offset = fd < 0 ? 0 : offset,
				.address = region.iova,
				.size = region.size};
	auto reply = talk_.request(command::dma_map, guard::as_bytes(wanted),
				   borrowed_fds(&fd, fd < 0 ? 0 : 1));
	if (!reply) {
		dma_.remove(region.iova);
		return reply.error();
	}
	return {};
}

guard::status
client::dma_unmap(uint64_t iova, uint64_t size)
{
	if (control::is_here())
		return guard::failure{EDEADLK};
	if (!dma_.has(iova, size))
		return guard::failure{ENOENT};
	wire::dma_unmap wanted = {
		.argsz = sizeof(wanted), .flags = 0, .address = iova, .size = size};
	auto reply = talk_.request(command::dma_unmap, guard::as_bytes(wanted));
	/* Whatever the server says, the caller is about to take its memory back. */
	dma_.remove(iova);
	return reply ? guard::status() : reply.error();
}

/* --- interrupts and reset --- */

guard::status
client::set_irqs(wire::irq_set set, borrowed_fds fds)
{
	set.argsz = sizeof(set);
	TRY(talk_.request(command::device_set_irqs, guard::as_bytes(set), fds));
	return {};
}

guard::status
client::wire_run(uint32_t index, uint32_t start, borrowed_fds fds)
{
	std::vector<client_irqs::relay> fresh = TRY(client_irqs::make(fds));
	std::vector<int> sources;
	for (const client_irqs::relay &one : fresh)
		sources.push_back(one.source.get());
	TRY(set_irqs(
		{.argsz = 0,
		 .flags = wire::irq_set_flags::data_eventfd | wire::irq_set_flags::action_trigger,
		 .index = index,
		 .start = start,
		 .count = static_cast<uint32_t>(fds.size())},
		sources));
	return try_on_control_thread([&] { return irqs_.adopt(index, start, std::move(fresh)); });
}

guard::status
client::unwire_run(uint32_t index, uint32_t start, uint32_t count)
{
	guard::status done = set_irqs(
		{.argsz = 0,
		 .flags = wire::irq_set_flags::data_eventfd | wire::irq_set_flags::action_trigger,
		 .index = index,
		 .start = start,
		 .count = count});
	/* Whatever the server says, the caller hears no more of them. */
	drop_irqs(index, start, count);
	return done;
}

void
client::drop_irqs(uint32_t index, uint32_t start, uint32_t count)
{
	on_control_thread([&] {
		irqs_.drop(index, start, count);
		return 0;
	});
}

/* A message brings a descriptor for each of its vectors or none at all; so runs of the one and of
 * the other kind go apart. */
guard::status
client::irq_wire(uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	if (count == 0 || !guard::contains(0, wire::max_vectors, start, count))
		return guard::failure{EINVAL};
	std::vector<int> all =
		fds == nullptr ? std::vector<int>(count, -1) : std::vector<int>(fds, fds + count);
	if (session_.max_msg_fds == 0 &&
	    std::any_of(all.begin(), all.end(), [](int fd) { return fd >= 0; }))
		return guard::failure{ENOTSUP};
	if (control::is_here())
		return guard::failure{EDEADLK};
	std::lock_guard lock(irqs_mutex_);
	for (borrowed_fds rest = all; !rest.empty();) {
		bool wire = rest[0] >= 0;
		auto end = std::find_if(rest.begin(), rest.end(),
					[=](int fd) { return (fd >= 0) != wire; });
		size_t run = std::min<size_t>(end - rest.begin(),
					      wire ? session_.max_msg_fds : wire::max_vectors);
		if (wire)
			TRY(wire_run(index, start, rest.first(run)));
		else
			TRY(unwire_run(index, start, static_cast<uint32_t>(run)));
		rest = rest.subspan(run);
		start += static_cast<uint32_t>(run);
	}
	return {};
}

guard::status
client::irq_action(uint32_t index, uint32_t start, uint32_t count, uint32_t action)
{
	if (control::is_here())
		return guard::failure{EDEADLK};
	std::lock_guard lock(irqs_mutex_);
	TRY(set_irqs({.argsz = 0,
		      .flags = wire::irq_set_flags::data_none | action,
		      .index = index,
		      .start = start,
		      .count = count}));
	if (action == wire::irq_set_flags::action_trigger && count == 0)
		drop_irqs(index, 0, wire::max_vectors);
	return {};
}

guard::status
client::reset()
{
	if ((device_.flags & RTE_VFIO_USER_DEVICE_RESET) == 0)
		return guard::failure{EOPNOTSUPP};
	TRY(talk_.request(command::device_reset, {}));
	return {};
}

} // namespace vfio_user
