/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "owner.hpp"
#include "rte_vfio_user_client.h"
#include "wire/transport.hpp"

/** The regions of a device as its server describes them, and their mappings here. */
namespace vfio_user {

/** A mapping of a file that its owner may truncate under us, see memory_fault.hpp. */
class guarded_mapping {
public:
	/** Like guard::mapping::make(); @p fault_fd is an eventfd to write when an access has
	 * failed. */
	static guard::result<guarded_mapping> make(size_t size, int prot, int fd, off_t offset,
						   int fault_fd);
	guarded_mapping(guarded_mapping &&other) noexcept
	    : memory_(std::move(other.memory_)), slot_(std::exchange(other.slot_, -1))
	{
	}
	~guarded_mapping();

	std::byte *data() const { return memory_.data(); }

private:
	guarded_mapping(guard::mapping memory, int slot) : memory_(std::move(memory)), slot_(slot)
	{
	}

	guard::mapping memory_;
	int slot_;
};

class client_region {
public:
	static constexpr uint32_t max_areas =
		std::extent_v<decltype(rte_vfio_user_client_region::areas)>;

	/**
	 * Reads the reply to DEVICE_GET_REGION_INFO and takes its descriptors. EPROTO: anything in
	 * it contradicts itself or the request, or passes our limits.
	 */
	static guard::result<client_region> parse(uint32_t index, message &&reply);

	const rte_vfio_user_client_region &description() const { return description_; }

	size_t nb_fds() const { return fds_.size(); }

	/** Maps an area, once. ENOTSUP: no descriptor; ENODEV: not a memory file; EINVAL: the file
	 * ends before the area, or the area is not made of pages. */
	guard::result<void *> map(uint32_t area, int fault_fd);

private:
	client_region() = default;
	guard::status read_capabilities(guard::bytes info, uint32_t offset);
	guard::status read_sparse_areas(guard::bytes capability);
	guard::result<guarded_mapping> map_file(const rte_vfio_user_area &area, int fd,
						int fault_fd) const;

	rte_vfio_user_client_region description_{};
	uint64_t file_offset_ = 0;
	std::vector<foreign_fd> fds_; /* none, one for all areas, or one for each */
	std::array<std::optional<guarded_mapping>, max_areas> mappings_;
};

} // namespace vfio_user
