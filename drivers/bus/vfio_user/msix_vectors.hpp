/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>
#include <memory>

#include <owner.hpp>
#include <result.hpp>

#include "dpdk_internals.hpp"
#include "late_event.hpp"

struct rte_vfio_user_client;

namespace vfio_user_pci {

/**
 * A device's MSI-X vectors as EAL knows them from VFIO: vector 0 for the driver's own use (link,
 * mailbox), vectors from 1 on for Rx queues.
 *
 * EAL would wire them by an ioctl on the handle's device descriptor; there is no kernel device, so
 * the handle has no such descriptor, rte_intr_enable() does nothing, and the wiring is done here:
 * vector 0 for good, the queues' vectors each time the driver has made eventfds for them.
 */
class msix_vectors {
public:
	msix_vectors(rte_vfio_user_client *client, const char *device)
	    : client_(client), device_(device)
	{
	}

	/** Makes the handles and wires vector 0. */
	guard::status start();

	rte_intr_handle *handle() const { return handle_.get(); }
	/** For the VFIO request interrupt, which no device sends; drivers may expect a handle. */
	rte_intr_handle *request_handle() const { return request_.get(); }

	/** Wires the eventfds that the driver has put into the handle, if any. */
	guard::status wire_queues();
	/** Undoes wire_queues(). */
	void unwire_queues();
	/** Whether vector 0 comes late, so that who polls the mailbox sees what is in it first. */
	void delay(bool yes);

private:
	guard::status wire(uint32_t start, uint32_t count, const int *fds);

	rte_vfio_user_client *const client_;
	const char *const device_;
	uint32_t vectors_ = 0; /**< What the device has. */
	uint32_t queues_ = 0;  /**< Wired for queues, from vector 1 on. */
	guard::unique_fd event_;
	std::unique_ptr<late_event> late_;
	intr_handle handle_;
	intr_handle request_;
};

} // namespace vfio_user_pci
