/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <owner.hpp>
#include <result.hpp>

struct rte_vfio_user_client;
struct rte_pci_id;

namespace vfio_user_pci {

/** A copy of the first 256 bytes of a device's PCI configuration space [PCI 3.0, 6.1]. */
class pci_header {
public:
	static guard::result<pci_header> read(rte_vfio_user_client *client);

	rte_pci_id id() const;
	/** Whether a BAR is in I/O space, which plain loads and stores do not reach. */
	bool is_io(unsigned bar) const;
	/** Whether a BAR holds the MSI-X table or its pending bits. */
	bool holds_msix(unsigned bar) const;

	/** Sets memory decoding and bus mastering, clears INTx, and enables MSI-X. */
	guard::status enable(rte_vfio_user_client *client);
	/** A copy as a file of memory; zeroes follow, up to the size of PCI Express. */
	guard::result<guard::unique_fd> to_file() const;

private:
	template <class T> T load(unsigned offset) const;
	guard::status write(rte_vfio_user_client *client, unsigned offset, uint16_t value);
	/** Offset of a capability, 0 if there is none. */
	unsigned find_capability(uint8_t id) const;

	std::array<std::byte, 256> bytes_{};
};

} // namespace vfio_user_pci
