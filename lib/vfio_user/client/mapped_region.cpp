/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/mapped_region.hpp"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "log.hpp"
#include "peer/memory_fault.hpp"
#include "peer/unlocked.hpp"

namespace vfio_user {

namespace {

constexpr guard::failure broken{EPROTO};

/* More capabilities than the specification knows, few enough to walk. */
constexpr int max_capabilities = 16;

/* Bytes that a mapping of @p size takes: on hugetlbfs the kernel unmaps whole huge pages only. */
guard::result<size_t>
whole_pages(int fd, size_t size)
{
	struct statfs fs;

	if (::fstatfs(fd, &fs) != 0)
		return guard::last_error();
	size_t page =
		fs.f_type == HUGETLBFS_MAGIC ? static_cast<size_t>(fs.f_bsize) : wire::page_size;
	return guard::align_up(size, page);
}

} // namespace

guard::result<guarded_mapping>
guarded_mapping::make(size_t size, int prot, int fd, off_t offset, int fault_fd)
{
	guard::mapping memory = TRY(guard::mapping::make(nullptr, size, PROT_NONE,
							 MAP_SHARED | MAP_NORESERVE, fd, offset));
	TRY(open_unlocked(memory.data(), memory.size(), prot));
	int slot = TRY(memory_fault::guard_range(memory.data(), memory.size(), fault_fd));
	return guarded_mapping(std::move(memory), slot);
}

guarded_mapping::~guarded_mapping()
{
	if (slot_ >= 0)
		memory_fault::release_range(slot_);
}

guard::result<client_region>
client_region::parse(uint32_t index, message &&reply)
{
	auto info = guard::load<wire::region_info>(reply.payload, 0);
	client_region out;
	rte_vfio_user_client_region &d = out.description_;

	if (!info || info->index != index)
		return broken;
	d = {.index = index, .flags = info->flags, .size = info->size, .nb_areas = 0, .areas = {}};
	out.file_offset_ = info->offset;
	if ((info->flags & RTE_VFIO_USER_REGION_MMAP) == 0)
		return out;
	if (info->offset > UINT64_MAX - info->size)
		return broken;
	if (info->size > 0) {
		d.nb_areas = 1;
		d.areas[0] = {0, info->size};
	}
	if ((info->flags & RTE_VFIO_USER_REGION_CAPS) != 0 && info->cap_offset != 0)
		TRY(out.read_capabilities(reply.payload, info->cap_offset));
	if (reply.fds.size() > 1 && reply.fds.size() != d.nb_areas)
		return broken;
	out.fds_ = std::move(reply.fds);
	return out;
}

/* Each capability must lie behind the one before, so that a chain cannot loop. */
guard::status
client_region::read_capabilities(guard::bytes info, uint32_t offset)
{
	uint32_t floor = sizeof(wire::region_info);

	for (int i = 0; offset != 0; i++) {
		auto header = guard::load<wire::cap_header>(info, offset);
		if (!header || offset < floor || i >= max_capabilities)
			return broken;
		if (header->id == wire::cap_sparse_mmap)
			TRY(read_sparse_areas(info.subspan(offset)));
		floor = offset + sizeof(wire::cap_header);
		offset = header->next;
	}
	return {};
}

guard::status
client_region::read_sparse_areas(guard::bytes capability)
{
	guard::reader in(capability);
	auto head = in.read<wire::sparse_mmap>();

	if (!head || head->nr_areas > max_areas)
		return broken;
	description_.nb_areas = 0;
	for (uint32_t i = 0; i < head->nr_areas; i++) {
		auto area = in.read<wire::sparse_area>();
		if (!area || !guard::contains(0, description_.size, area->offset, area->size))
			return broken;
		description_.areas[description_.nb_areas++] = {area->offset, area->size};
	}
	return {};
}

guard::result<guarded_mapping>
client_region::map_file(const rte_vfio_user_area &area, int fd, int fault_fd) const
{
	struct stat st;

	/* First: it asks no file system, which could let us wait. */
	if (!is_memory_file(fd)) {
		VFIO_USER_LOG(ERR, "region %u is in no memory file, it cannot be mapped",
			      description_.index);
		return guard::failure{ENODEV};
	}
	if (::fstat(fd, &st) != 0)
		return guard::last_error();
	if (!S_ISREG(st.st_mode))
		return guard::failure{ENODEV};
	/* Both were checked against the region, whose end in the file does not wrap. */
	uint64_t offset = file_offset_ + area.offset;
	if ((offset | area.size) % wire::page_size != 0 || area.size == 0 ||
	    !guard::contains(0, static_cast<uint64_t>(st.st_size), offset, area.size))
		return guard::failure{EINVAL};
	int prot = ((description_.flags & RTE_VFIO_USER_REGION_READ) != 0 ? PROT_READ : 0) |
		   ((description_.flags & RTE_VFIO_USER_REGION_WRITE) != 0 ? PROT_WRITE : 0);
	size_t size = TRY(whole_pages(fd, area.size));
	return guarded_mapping::make(size, prot, fd, static_cast<off_t>(offset), fault_fd);
}

guard::result<void *>
client_region::map(uint32_t area, int fault_fd)
{
	if (area >= description_.nb_areas)
		return guard::failure{EINVAL};
	if (fds_.empty())
		return guard::failure{ENOTSUP};
	auto &mapping = mappings_[area];
	if (!mapping)
		mapping.emplace(TRY(map_file(description_.areas[area],
					     fds_[fds_.size() == 1 ? 0 : area].get(), fault_fd)));
	return static_cast<void *>(mapping->data());
}

} // namespace vfio_user
