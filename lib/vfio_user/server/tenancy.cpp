/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/tenancy.hpp"

#include "server/service.hpp"

namespace vfio_user {

/* [spec: Client Disconnection] memory and interrupts go at once; the rest is the device's. */
tenancy::~tenancy()
{
	of_.dma.clear();
	of_.irqs.reset();
	await_data_path(0, UINT64_MAX);
	of_.dma.close();
	/* Faults of this client are not the next one's. */
	eventfd_t ignored;
	eventfd_read(of_.fault_event.get(), &ignored);
	if (begun_)
		of_.dev.detach();
}

guard::status
tenancy::open()
{
	return of_.dma.open(of_.fault_event.get());
}

guard::status
tenancy::begin(const rte_vfio_user_session &session)
{
	TRY(of_.dev.attach(session));
	begun_ = true;
	return {};
}

void
tenancy::check_sharing()
{
	const dma_map::amounts &bytes = of_.dma.bytes();

	if (told_to_share_ || bytes.without_file <= bytes.with_file)
		return;
	told_to_share_ = true;
	VFIO_USER_LOG_LIMITED(
		of_.log, WARNING,
		"%s: memory of the guest is not shared (share=on): %lu KiB of it came "
		"without a file descriptor, %lu KiB with one",
		of_.path.c_str(), bytes.without_file >> 10, bytes.with_file >> 10);
}

void
tenancy::reclaim_memory(uint64_t first, uint64_t last)
{
	await_data_path(first, last);
	of_.dma.reclaim();
}

/* Returns once no data thread uses regions of a range that are no longer in the table, nor an older
 * table. A device that knows of no client has no data thread in its memory. */
void
tenancy::await_data_path(uint64_t first, uint64_t last) const
{
	if (begun_)
		of_.dev.memory_removed(first, last);
}

} // namespace vfio_user
