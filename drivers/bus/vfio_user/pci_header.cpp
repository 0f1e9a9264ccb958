/* SPDX-License-Identifier: BSD-3-Clause */
#include "pci_header.hpp"

#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

#include <rte_pci.h>
#include <rte_vfio_user_client.h>

#include <bytes.hpp>
#include <field.hpp>

namespace vfio_user_pci {
namespace {

/* Offsets and bits of the type 0 header [PCI 3.0, 6.1 and 6.2] and of MSI-X [6.8.2]. */
constexpr unsigned vendor_id = 0x00, device_id = 0x02, command = 0x04, status = 0x06;
constexpr unsigned revision_and_class = 0x08, bar0 = 0x10, subsystem_vendor_id = 0x2c;
constexpr unsigned subsystem_id = 0x2e, capabilities = 0x34;
constexpr unsigned msix_control = 2, msix_table = 4, msix_pba = 8;
constexpr uint8_t msix_id = 0x11;
/* Bytes of configuration space of a PCI Express device. */
constexpr off_t express_size = 4096;

using memory_space = guard::flag<uint16_t, 1>;
using bus_master = guard::flag<uint16_t, 2>;
using intx_disable = guard::flag<uint16_t, 10>;
using has_capabilities = guard::flag<uint16_t, 4>;
using io_space = guard::flag<uint32_t, 0>;
using class_code = guard::field<uint32_t, 8, 24>;
using msix_enable = guard::flag<uint16_t, 15>;
using msix_function_mask = guard::flag<uint16_t, 14>;
using bar_indicator = guard::field<uint32_t, 0, 3>;

} // namespace

guard::result<pci_header>
pci_header::read(rte_vfio_user_client *client)
{
	pci_header out;
	int error = rte_vfio_user_client_region_read(client, RTE_VFIO_USER_REGION_CONFIG, 0,
						     out.bytes_.data(), out.bytes_.size());
	if (error < 0)
		return guard::failure{-error};
	return out;
}

template <class T>
T
pci_header::load(unsigned offset) const
{
	/* Callers stay inside, but for capabilities: those read as 0 past the end. */
	auto value = guard::load<T>(bytes_, offset);
	return value ? *value : T{0};
}

rte_pci_id
pci_header::id() const
{
	rte_pci_id out{};

	out.vendor_id = load<uint16_t>(vendor_id);
	out.device_id = load<uint16_t>(device_id);
	out.class_id = class_code::get(load<uint32_t>(revision_and_class));
	out.subsystem_vendor_id = load<uint16_t>(subsystem_vendor_id);
	out.subsystem_device_id = load<uint16_t>(subsystem_id);
	return out;
}

bool
pci_header::is_io(unsigned bar) const
{
	return io_space::is_set(load<uint32_t>(bar0 + 4 * bar));
}

unsigned
pci_header::find_capability(uint8_t id) const
{
	if (!has_capabilities::is_set(load<uint16_t>(status)))
		return 0;
	unsigned at = load<uint8_t>(capabilities) & ~3u;

	/* At most 48 capabilities fit: the bound ends a list that loops. */
	for (int i = 0; at != 0 && i < 48; i++, at = load<uint8_t>(at + 1) & ~3u)
		if (load<uint8_t>(at) == id)
			return at;
	return 0;
}

bool
pci_header::holds_msix(unsigned bar) const
{
	unsigned at = find_capability(msix_id);

	return at != 0 && (bar_indicator::get(load<uint32_t>(at + msix_table)) == bar ||
			   bar_indicator::get(load<uint32_t>(at + msix_pba)) == bar);
}

guard::status
pci_header::write(rte_vfio_user_client *client, unsigned offset, uint16_t value)
{
	int error = rte_vfio_user_client_region_write(client, RTE_VFIO_USER_REGION_CONFIG, offset,
						      &value, sizeof(value));
	if (error < 0)
		return guard::failure{-error};
	memcpy(&bytes_[offset], &value, sizeof(value));
	return {};
}

guard::result<guard::unique_fd>
pci_header::to_file() const
{
	guard::unique_fd fd(::memfd_create("vfio-user-config", MFD_CLOEXEC));

	if (!fd || ::ftruncate(fd.get(), express_size) != 0 ||
	    ::pwrite(fd.get(), bytes_.data(), bytes_.size(), 0) != ssize_t{sizeof(bytes_)})
		return guard::last_error();
	return fd;
}

guard::status
pci_header::enable(rte_vfio_user_client *client)
{
	uint16_t value = load<uint16_t>(command);

	value |= memory_space::mask | bus_master::mask | intx_disable::mask;
	TRY(write(client, command, value));

	unsigned at = find_capability(msix_id);
	if (at == 0)
		return {};
	uint16_t control = load<uint16_t>(at + msix_control);
	control = msix_function_mask::set(msix_enable::set(control, 1), 0);
	return write(client, at + msix_control, control);
}

} // namespace vfio_user_pci
