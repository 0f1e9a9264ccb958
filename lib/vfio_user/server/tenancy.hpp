/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "rte_vfio_user.h"
#include "result.hpp"

namespace vfio_user {

struct service;

/**
 * What a client has of the device: its memory in the DMA table, its interrupts, and that the device
 * knows of it. The destructor takes all of it back, before the next client comes.
 */
class tenancy {
public:
	explicit tenancy(service &of) : of_(of) {}
	~tenancy();
	tenancy(const tenancy &) = delete;
	tenancy &operator=(const tenancy &) = delete;

	/** Makes room for the client's memory. */
	guard::status open();

	/** Shows the client to the device, which may refuse it. */
	guard::status begin(const rte_vfio_user_session &session);
	bool has_begun() const { return begun_; }

	/** Says once that the client does not share its memory. To be asked when it goes on after
	 * it has described that: firmware and display of a guest that shares its RAM have no
	 * files either, but are less. */
	void check_sharing();

	/** Lets go of the memory that was removed from @p first to @p last, when no data thread
	 * uses it; see memory_removed of rte_vfio_user_server_ops. */
	void reclaim_memory(uint64_t first, uint64_t last);

private:
	void await_data_path(uint64_t first, uint64_t last) const;

	service &of_;
	bool begun_ = false;
	bool told_to_share_ = false;
};

} // namespace vfio_user
