/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/client.hpp"

/** What a client counts, and how it says that it is doing. */
namespace vfio_user {

void
client::count_end(cause why)
{
	stats_.protocol_errors += why == cause::broken;
	stats_.timeouts += why == cause::late;
	stats_.memory_faults += why == cause::truncated;
}

rte_vfio_user_client_stats
client::stats()
{
	uint64_t region_fds = 0;
	{
		std::lock_guard lock(regions_mutex_);
		for (const auto &[index, r] : regions_)
			region_fds += r.nb_fds();
	}
	client_dma::usage dma = dma_.in_use();

	std::lock_guard lock(mutex_);
	rte_vfio_user_client_stats out = stats_;
	out.dma_regions = dma.regions;
	out.dma_bytes = dma.bytes;
	out.fds = region_fds + irqs_.nb_fds() + (socket_.fd() >= 0) + (twin_.fd() >= 0) +
		  (fault_event_.get() >= 0);
	return out;
}

const char *
client::state()
{
	std::lock_guard lock(mutex_);
	switch (ended_) {
	case cause::none:
		return "connected";
	case cause::gone:
		return "gone";
	case cause::broken:
		return "protocol error";
	case cause::late:
		return "timed out";
	case cause::truncated:
		return "memory truncated";
	case cause::cancelled:
		return "cancelled";
	}
	return "?";
}

} // namespace vfio_user
