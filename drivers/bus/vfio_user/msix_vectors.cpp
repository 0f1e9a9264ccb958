/* SPDX-License-Identifier: BSD-3-Clause */
#include "msix_vectors.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include <rte_vfio_user_client.h>

#include "log.hpp"

namespace vfio_user_pci {

guard::status
msix_vectors::start()
{
	rte_vfio_user_irq info{};

	if (rte_vfio_user_client_irq_info_get(client_, RTE_VFIO_USER_IRQ_MSIX, &info) == 0)
		vectors_ = info.count;
	event_ = TRY(guard::make_eventfd());
	handle_ = TRY(intr_handle::make_vectors(event_.get()));
	request_ = TRY(intr_handle::make_request());
	if (vectors_ == 0) {
		BUS_LOG(NOTICE,
			"%s: the device has no MSI-X, its driver must do without interrupts",
			device_);
		return {};
	}
	int fd = event_.get();
	return wire(0, 1, &fd);
}

guard::status
msix_vectors::wire(uint32_t start, uint32_t count, const int *fds)
{
	int error =
		rte_vfio_user_client_irq_wire(client_, RTE_VFIO_USER_IRQ_MSIX, start, count, fds);

	if (error >= 0)
		return {};
	BUS_LOG(ERR, "%s: cannot wire %u MSI-X vectors from %u on: %s", device_, count, start,
		strerror(-error));
	return guard::failure{-error};
}

guard::status
msix_vectors::wire_queues()
{
	std::vector<int> fds = handle_.queue_fds();

	if (fds.empty())
		return {};
	if (vectors_ <= RTE_INTR_VEC_RXTX_OFFSET) {
		/* Whoever sleeps on these queues would never be woken. */
		BUS_LOG(ERR,
			"%s: no Rx interrupts: the device has %u MSI-X vectors, and vectors of "
			"queues begin at %u",
			device_, vectors_, RTE_INTR_VEC_RXTX_OFFSET);
		return guard::failure{ENOTSUP};
	}
	/* A driver with more queues than vectors lets queues share the vectors there are. */
	uint32_t count = std::min<uint32_t>(fds.size(), vectors_ - RTE_INTR_VEC_RXTX_OFFSET);
	TRY(wire(RTE_INTR_VEC_RXTX_OFFSET, count, fds.data()));
	queues_ = count;
	return {};
}

void
msix_vectors::unwire_queues()
{
	if (queues_ != 0)
		rte_vfio_user_client_irq_wire(client_, RTE_VFIO_USER_IRQ_MSIX,
					      RTE_INTR_VEC_RXTX_OFFSET, queues_, nullptr);
	queues_ = 0;
}

/** Where it cannot be delayed it comes at once, as ever. */
void
msix_vectors::delay(bool yes)
{
	int fd = event_.get();

	if (vectors_ == 0)
		return;
	if (yes) {
		late_ = std::make_unique<late_event>(fd);
		if (late_->start() && wire(0, 1, &(fd = late_->fd())))
			return;
		fd = event_.get();
	}
	(void)wire(0, 1, &fd);
	late_.reset();
}

} // namespace vfio_user_pci
