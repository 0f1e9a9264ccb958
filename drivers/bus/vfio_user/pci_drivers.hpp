/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <vector>

struct rte_pci_driver;
struct rte_pci_id;

namespace vfio_user_pci {

/** The PCI drivers of this process whose id table has @p id, in the order of their registration. */
std::vector<rte_pci_driver *> find_pci_drivers(const rte_pci_id &id);

} // namespace vfio_user_pci
