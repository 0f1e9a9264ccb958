/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/device.hpp"

#include <algorithm>

#include "log.hpp"

namespace vfio_user {

namespace {

guard::status
invalid(const char *field, uint64_t value, const char *allowed)
{
	VFIO_USER_LOG(ERR, "server: %s %lu is not valid, allowed: %s", field, value, allowed);
	return guard::failure{EINVAL};
}

guard::status
check_region(uint32_t index, const rte_vfio_user_region &r)
{
	constexpr uint32_t known =
		RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE | RTE_VFIO_USER_REGION_MMAP;

	if ((r.flags & ~known) != 0)
		return invalid("region flags", r.flags, "READ, WRITE, MMAP");
	/* 0 is standard input: most probably a field that nobody has set. */
	if ((r.flags & RTE_VFIO_USER_REGION_MMAP) != 0 && r.fd <= 0)
		return invalid("fd of mappable region", index, "a memory file, at no descriptor 0");
	for (const rte_vfio_user_io_fd &io : std::span(r.io_fds, r.nb_io_fds)) {
		if (io.fd <= 0)
			return invalid("I/O fd of region", index, "a descriptor, but not 0");
		if (io.type != RTE_VFIO_USER_IOEVENTFD && io.type != RTE_VFIO_USER_IOREGIONFD)
			return invalid("type of an I/O fd of region", index, "one of the two");
	}
	for (const rte_vfio_user_area &a : std::span(r.areas, r.nb_areas)) {
		bool aligned = (a.offset | a.size) % wire::page_size == 0;
		if (!aligned || a.size == 0 || !guard::contains(0, r.size, a.offset, a.size))
			return invalid("area of region", index, "whole pages inside the region");
	}
	return {};
}

/** What an operation returned. */
guard::status
status_of(int error)
{
	if (error != 0)
		return guard::failure{-error};
	return {};
}

} // namespace

guard::status
device::check(const rte_vfio_user_server_conf &conf)
{
	if (conf.ops->region_read == nullptr || conf.ops->region_write == nullptr)
		return invalid("ops", 0, "region_read and region_write set");
	for (uint32_t i = 0; i < conf.nb_regions; i++)
		TRY(check_region(i, conf.regions[i]));
	for (uint32_t i = 0; i < conf.nb_irqs; i++)
		if (conf.irqs[i].count > wire::max_vectors)
			return invalid("irq count", conf.irqs[i].count, "0 to 2048");
	return {};
}

device::device(const rte_vfio_user_server_conf &conf)
    : ops_(*conf.ops), ctx_(conf.ctx), flags_(conf.flags)
{
	for (const rte_vfio_user_region &r : std::span(conf.regions, conf.nb_regions))
		regions_.push_back({.desc = r,
				    .areas = {r.areas, r.areas + r.nb_areas},
				    .io_fds = {r.io_fds, r.io_fds + r.nb_io_fds}});
}

guard::result<const device::region *>
device::find_region(uint32_t index) const
{
	if (index >= regions_.size())
		return guard::failure{EINVAL};
	return &regions_[index];
}

bool
device::maps_whole_on_request() const
{
	return std::any_of(regions_.begin(), regions_.end(),
			   [](const region &r) { return r.desc.map_whole_on_request; });
}

guard::status
device::check_access(const wire::region_access &what, uint32_t right) const
{
	const region *found = TRY(find_region(what.region));

	if (what.count == 0 || what.count > RTE_VFIO_USER_MAX_DATA_XFER ||
	    !guard::contains(0, found->desc.size, what.offset, what.count))
		return guard::failure{EINVAL};
	if ((found->desc.flags & right) == 0)
		return guard::failure{EPERM};
	return {};
}

guard::status
device::read(const wire::region_access &what, guard::writer &into) const
{
	/* First, so that there is no memory for what is not read. */
	TRY(check_access(what, RTE_VFIO_USER_REGION_READ));
	std::byte *room = into.put_room(what.count).data();
	return status_of(ops_.region_read(ctx_, what.region, what.offset, room, what.count));
}

guard::status
device::write(const wire::region_access &what, const std::byte *from) const
{
	TRY(check_access(what, RTE_VFIO_USER_REGION_WRITE));
	return status_of(ops_.region_write(ctx_, what.region, what.offset, from, what.count));
}

guard::status
device::reset() const
{
	if ((flags_ & RTE_VFIO_USER_DEVICE_RESET) == 0 || ops_.reset_device == nullptr)
		return guard::failure{EOPNOTSUPP};
	return status_of(ops_.reset_device(ctx_));
}

guard::status
device::attach(const rte_vfio_user_session &session) const
{
	return status_of(ops_.new_device == nullptr ? 0 : ops_.new_device(ctx_, &session));
}

void
device::detach() const
{
	if (ops_.destroy_device != nullptr)
		ops_.destroy_device(ctx_);
}

void
device::update(uint32_t what) const
{
	if (ops_.update_device != nullptr)
		ops_.update_device(ctx_, what);
}

void
device::memory_removed(uint64_t first, uint64_t last) const
{
	if (ops_.memory_removed != nullptr)
		ops_.memory_removed(ctx_, first, last);
}

void
device::poll() const
{
	if (ops_.poll != nullptr)
		ops_.poll(ctx_);
}

void
device::work() const
{
	if (ops_.work != nullptr)
		ops_.work(ctx_);
}

} // namespace vfio_user
