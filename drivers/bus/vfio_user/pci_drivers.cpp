/* SPDX-License-Identifier: BSD-3-Clause */
#include "pci_drivers.hpp"

#include <algorithm>

#include <bus_pci_driver.h>
#include <rte_tailq.h>

namespace vfio_user_pci {
namespace {

RTE_TAILQ_HEAD(driver_list, rte_pci_driver);

template <class T>
bool
is(T wanted, T any, T actual)
{
	return wanted == actual || wanted == any;
}

bool
matches(const rte_pci_id &row, const rte_pci_id &id)
{
	constexpr uint16_t any = RTE_PCI_ANY_ID;
	constexpr uint32_t any_class = RTE_CLASS_ANY_ID;

	return is(row.vendor_id, any, id.vendor_id) && is(row.device_id, any, id.device_id) &&
	       is(row.subsystem_vendor_id, any, id.subsystem_vendor_id) &&
	       is(row.subsystem_device_id, any, id.subsystem_device_id) &&
	       is(row.class_id, any_class, id.class_id);
}

bool
drives(const rte_pci_driver *driver, const rte_pci_id &id)
{
	if (driver->id_table == nullptr)
		return false;
	for (const rte_pci_id *row = driver->id_table; row->vendor_id != 0; row++)
		if (matches(*row, id))
			return true;
	return false;
}

} // namespace

/*
 * The PCI bus keeps its list to itself. A driver that is registered last has all others before it:
 * a tail queue is walked backwards from any of its elements, and ends at the head without knowing
 * it.
 */
std::vector<rte_pci_driver *>
find_pci_drivers(const rte_pci_id &id)
{
	static const rte_pci_id no_device{};
	rte_pci_driver sentinel{};
	std::vector<rte_pci_driver *> found;

	sentinel.driver.name = "vfio_user_pci_sentinel";
	sentinel.id_table = &no_device;
	rte_pci_register(&sentinel);
	for (rte_pci_driver *at = &sentinel; (at = TAILQ_PREV(at, driver_list, next)) != nullptr;)
		if (drives(at, id))
			found.push_back(at);
	rte_pci_unregister(&sentinel);
	std::reverse(found.begin(), found.end());
	return found;
}

} // namespace vfio_user_pci
