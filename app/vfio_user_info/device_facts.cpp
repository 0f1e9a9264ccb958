/* SPDX-License-Identifier: BSD-3-Clause */
#include "device_facts.hpp"

#include <algorithm>

namespace vfio_user_info {

namespace {

constexpr uint64_t max_config_size = 4096;

constexpr const char *region_names[] = {
	"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5", "ROM", "config", "VGA",
};
static_assert(std::size(region_names) == RTE_VFIO_USER_PCI_REGIONS);

constexpr const char *irq_names[] = {"INTx", "MSI", "MSI-X", "ERR", "REQ"};
static_assert(std::size(irq_names) == RTE_VFIO_USER_PCI_IRQS);

constexpr name_row device_flag_rows[] = {
	{RTE_VFIO_USER_DEVICE_RESET, "reset"},
	{RTE_VFIO_USER_DEVICE_PCI, "pci"},
};

constexpr name_row region_flag_rows[] = {
	{RTE_VFIO_USER_REGION_READ, "read"},
	{RTE_VFIO_USER_REGION_WRITE, "write"},
	{RTE_VFIO_USER_REGION_MMAP, "mmap"},
	{RTE_VFIO_USER_REGION_CAPS, "caps"},
};

constexpr name_row irq_flag_rows[] = {
	{RTE_VFIO_USER_IRQ_EVENTFD, "eventfd"},
	{RTE_VFIO_USER_IRQ_MASKABLE, "maskable"},
	{RTE_VFIO_USER_IRQ_AUTOMASKED, "automasked"},
	{RTE_VFIO_USER_IRQ_NORESIZE, "noresize"},
};

void
read_config(device_facts &facts, rte_vfio_user_client *client)
{
	if (facts.regions.size() <= RTE_VFIO_USER_REGION_CONFIG)
		return;
	const rte_vfio_user_client_region &r = facts.regions[RTE_VFIO_USER_REGION_CONFIG].region;
	auto size = static_cast<uint32_t>(std::min(r.size, max_config_size));
	if (size == 0)
		return;
	facts.config.resize(size);
	facts.config_error = rte_vfio_user_client_region_read(client, RTE_VFIO_USER_REGION_CONFIG,
							      0, facts.config.data(), size);
	if (facts.config_error != 0)
		facts.config.clear();
}

} // namespace

const char *
region_name(uint32_t index)
{
	return index < std::size(region_names) ? region_names[index] : "";
}

const char *
irq_name(uint32_t index)
{
	return index < std::size(irq_names) ? irq_names[index] : "";
}

std::span<const name_row>
device_flags()
{
	return device_flag_rows;
}

std::span<const name_row>
region_flags()
{
	return region_flag_rows;
}

std::span<const name_row>
irq_flags()
{
	return irq_flag_rows;
}

device_facts
gather(const char *path, rte_vfio_user_client *client)
{
	device_facts facts = {};
	uint32_t nb_regions, nb_irqs;

	facts.path = path;
	facts.capabilities = rte_vfio_user_client_capabilities(client);
	rte_vfio_user_client_session_get(client, &facts.session);
	rte_vfio_user_client_device_info_get(client, &facts.flags, &nb_regions, &nb_irqs);
	for (uint32_t i = 0; i < nb_regions; i++) {
		device_facts::region_facts r = {};
		r.error = rte_vfio_user_client_region_info_get(client, i, &r.region);
		facts.regions.push_back(r);
	}
	for (uint32_t i = 0; i < nb_irqs; i++) {
		device_facts::irq_facts irq = {};
		irq.error = rte_vfio_user_client_irq_info_get(client, i, &irq.irq);
		facts.irqs.push_back(irq);
	}
	read_config(facts, client);
	return facts;
}

} // namespace vfio_user_info
