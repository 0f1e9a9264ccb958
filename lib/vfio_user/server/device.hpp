/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <span>
#include <vector>

#include "bytes.hpp"
#include "rte_vfio_user.h"
#include "wire/protocol.hpp"

namespace vfio_user {

/**
 * The device as its application describes it: its regions and what it does. Does not change. The
 * operations are for the control thread.
 */
class device {
public:
	struct region {
		rte_vfio_user_region desc;
		std::vector<rte_vfio_user_area> areas;
		std::vector<rte_vfio_user_io_fd> io_fds;
	};

	/** What a conf_copy holds. EINVAL: the log names the field. */
	static guard::status check(const rte_vfio_user_server_conf &conf);
	/** Copies what was checked. */
	explicit device(const rte_vfio_user_server_conf &conf);

	uint32_t flags() const { return flags_; }
	size_t nb_regions() const { return regions_.size(); }
	/** EINVAL: there is no such region. */
	guard::result<const region *> find_region(uint32_t index) const;
	/** Whether a client may ask for a region as a whole that is otherwise in areas. */
	bool maps_whole_on_request() const;

	/* What the device does. Failures are its own, and for an access also EINVAL: not inside a
	 * region; EPERM: against its flags. */
	guard::status read(const wire::region_access &what, guard::writer &into) const;
	guard::status write(const wire::region_access &what, const std::byte *from) const;
	guard::status reset() const;
	guard::status attach(const rte_vfio_user_session &session) const;
	void detach() const;
	void update(uint32_t what) const;
	void memory_removed(uint64_t first, uint64_t last) const;
	void poll() const;
	void work() const;

private:
	guard::status check_access(const wire::region_access &what, uint32_t right) const;

	rte_vfio_user_server_ops ops_;
	void *ctx_;
	uint32_t flags_;
	std::vector<region> regions_;
};

} // namespace vfio_user
