/* SPDX-License-Identifier: BSD-3-Clause */
#include "removal.hpp"

#include <rte_alarm.h>
#include <rte_dev.h>

#include "dpdk_internals.hpp"
#include "log.hpp"

namespace vfio_user_pci {

/* Sequentially consistent, as is the other one: of both threads that come together, the one that
 * died and the one that became driven, at least one sees what the other has done. */
void
removal::device_is_gone()
{
	gone_.store(true);
	tell_once();
}

void
removal::device_is_driven(std::vector<uint16_t> ports)
{
	ports_ = std::move(ports);
	device_stays();
}

void
removal::device_stays()
{
	state_.store(state::driven);
	if (gone_.load())
		tell_once();
}

void
removal::tell_once()
{
	state expected = state::driven;
	if (!state_.compare_exchange_strong(expected, state::told))
		return;
	auto *shared = new std::shared_ptr<removal>(shared_from_this());
	if (rte_eal_alarm_set(1, on_alarm, shared) == 0)
		return;
	BUS_LOG(ERR, "%s: no alarm: the application is not told of the removal", name_.c_str());
	delete shared;
}

void
removal::on_alarm(void *shared)
{
	std::unique_ptr<std::shared_ptr<removal>> self(
		static_cast<std::shared_ptr<removal> *>(shared));
	(*self)->announce();
}

/** Each callback may remove the device. */
void
removal::announce()
{
	for (uint16_t id : ports_)
		if (is_attached())
			announce_removal(id, device_);
	if (is_attached())
		rte_dev_event_callback_process(name_.c_str(), RTE_DEV_EVENT_REMOVE);
}

} // namespace vfio_user_pci
