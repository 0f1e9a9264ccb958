/* SPDX-License-Identifier: BSD-3-Clause */
#include "interrupts.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include <rte_errno.h>
#include <rte_vfio_user_client.h>

#include "log.hpp"

namespace vfio_user_pci {

guard::result<interrupts::unique_handle>
interrupts::make_handle(rte_intr_handle_type type, int fd)
{
	unique_handle handle(rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE));

	if (handle == nullptr)
		return guard::failure{ENOMEM};
	/* A new handle holds 0, standard input, not -1. */
	if (rte_intr_type_set(handle.get(), type) != 0 || rte_intr_fd_set(handle.get(), fd) != 0 ||
	    rte_intr_dev_fd_set(handle.get(), -1) != 0)
		return guard::failure{rte_errno};
	return handle;
}

guard::status
interrupts::start()
{
	rte_vfio_user_irq info{};

	if (rte_vfio_user_client_irq_info_get(client_, RTE_VFIO_USER_IRQ_MSIX, &info) == 0)
		vectors_ = info.count;
	event_ = TRY(guard::make_eventfd());
	handle_ = TRY(make_handle(RTE_INTR_HANDLE_VFIO_MSIX, event_.get()));
	request_ = TRY(make_handle(RTE_INTR_HANDLE_VFIO_REQ, -1));
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
interrupts::wire(uint32_t start, uint32_t count, const int *fds)
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
interrupts::wire_queues()
{
	int made = rte_intr_nb_efd_get(handle_.get());

	if (made <= 0)
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
	uint32_t count = std::min<uint32_t>(made, vectors_ - RTE_INTR_VEC_RXTX_OFFSET);
	std::vector<int> fds(count);
	for (uint32_t i = 0; i < count; i++)
		fds[i] = rte_intr_efds_index_get(handle_.get(), i);
	TRY(wire(RTE_INTR_VEC_RXTX_OFFSET, count, fds.data()));
	queues_ = count;
	return {};
}

void
interrupts::unwire_queues()
{
	if (queues_ != 0)
		rte_vfio_user_client_irq_wire(client_, RTE_VFIO_USER_IRQ_MSIX,
					      RTE_INTR_VEC_RXTX_OFFSET, queues_, nullptr);
	queues_ = 0;
}

} // namespace vfio_user_pci
