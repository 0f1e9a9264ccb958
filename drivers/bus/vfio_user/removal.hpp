/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct rte_device;

namespace vfio_user_pci {

/**
 * Tells the application, once, that a device has died: RTE_ETH_EVENT_INTR_RMV for its ports and
 * RTE_DEV_EVENT_REMOVE.
 *
 * Applications expect these on EAL's interrupt thread, and remove the device in them. A device that
 * is being removed at that moment by another thread must not wait for them: that thread holds a
 * lock of the vdev bus, which the callback wants. So what the events need is kept here, and shared.
 */
class removal : public std::enable_shared_from_this<removal> {
public:
	/** @p device is what its ports are known by; it is never looked into. */
	removal(std::string name, const rte_device *device)
	    : name_(std::move(name)), device_(device)
	{
	}

	bool is_gone() const { return gone_.load(std::memory_order_acquire); }
	/** The server is gone. Any thread. */
	void device_is_gone();
	/** The device has its driver, and these ports: from now on there is something to remove. */
	void device_is_driven(std::vector<uint16_t> ports);
	/** The application removes the device: it need not be told any more. */
	void device_is_removed() { state_.store(state::removed); }
	/** No, it stays. */
	void device_stays();

private:
	enum class state {
		probing, /**< goes on to driven */
		driven,  /**< goes on to told, when the server is gone */
		told,    /**< once */
		removed, /**< from each of them; back to driven if that fails */
	};

	void tell_once();
	static void on_alarm(void *shared);
	void announce();
	bool is_attached() const { return state_.load() == state::told; }

	const std::string name_;
	const rte_device *const device_;
	std::vector<uint16_t> ports_; /* constant from driven on */
	std::atomic<bool> gone_{false};
	std::atomic<state> state_{state::probing};
};

} // namespace vfio_user_pci
