/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.hpp"

#include <cstring>

#include "log.hpp"

/* What the client sees: regions, interrupts, and its accesses to them. */

namespace iavf {

namespace {

/** A trapped register whose write makes the device do something. */
struct effect_row {
	uint32_t offset;
	void (device::*effect)();
};

constexpr effect_row effects[] = {
	{reg::vfint_icr0_ena1, &device::interrupt_control_written},
	{reg::vfint_dyn_ctl01, &device::interrupt_control_written},
	{reg::vf_arqt1, &device::arq_tail_written},
	{reg::vf_arqlen1, &device::arq_len_written},
	{reg::vf_atqt1, &device::atq_tail_written},
};

uint32_t
read_register(device &dev, uint32_t offset)
{
	int index = reg::find(offset);

	if (index < 0)
		return 0;
	if (reg::rows[static_cast<size_t>(index)].access == reg::access::read_clear)
		return dev.take_cause();
	return dev.registers().load(offset);
}

void
write_register(device &dev, uint32_t offset, uint32_t value)
{
	int index = reg::find(offset);

	if (index < 0 || reg::rows[static_cast<size_t>(index)].access != reg::access::read_write)
		return;
	dev.registers().store(offset, value);
	for (const effect_row &row : effects)
		if (row.offset == offset)
			(dev.*row.effect)();
}

/** Reads of any size and place are cut out of whole registers. */
void
read_bar0(device &dev, uint32_t offset, guard::mutable_bytes to)
{
	while (!to.empty()) {
		uint32_t skip = offset % 4;
		uint32_t value = read_register(dev, offset - skip) >> (8 * skip);
		size_t n = std::min<size_t>(4 - skip, to.size());

		std::memcpy(to.data(), &value, n);
		to = to.subspan(n);
		offset += static_cast<uint32_t>(n);
	}
}

/** Writes of less than a register do nothing: the hardware has no byte enables for them. */
void
write_bar0(device &dev, uint32_t offset, guard::bytes from)
{
	uint32_t skip = -offset % 4;

	if (skip >= from.size())
		return;
	for (from = from.subspan(skip), offset += skip; from.size() >= 4; offset += 4) {
		write_register(dev, offset, guard::load<uint32_t>(from, 0).value());
		from = from.subspan(4);
	}
}

device &
of(void *ctx)
{
	return *static_cast<device *>(ctx);
}

int
region_read(void *ctx, uint32_t region, uint64_t offset, void *data, uint32_t count)
{
	of(ctx).read(region, static_cast<uint32_t>(offset),
		     {static_cast<std::byte *>(data), count});
	return 0;
}

int
region_write(void *ctx, uint32_t region, uint64_t offset, const void *data, uint32_t count)
{
	of(ctx).write(region, static_cast<uint32_t>(offset),
		      {static_cast<const std::byte *>(data), count});
	return 0;
}

int
new_device(void *ctx, const rte_vfio_user_session *session)
{
	of(ctx).connected(*session);
	return 0;
}

void
destroy_device(void *ctx)
{
	of(ctx).disconnected();
}

void
update_device(void *ctx, uint32_t what)
{
	if ((what & RTE_VFIO_USER_UPDATE_DMA) != 0)
		of(ctx).memory_changed();
	if ((what & RTE_VFIO_USER_UPDATE_IRQ) != 0)
		of(ctx).interrupts_changed();
}

int
reset_device(void *ctx)
{
	of(ctx).reset(vf_event::device_reset);
	return 0;
}

void
memory_removed(void *ctx, uint64_t first, uint64_t last)
{
	of(ctx).memory_removed(first, last);
}

void
poll(void *ctx)
{
	of(ctx).poll();
}

void
work(void *ctx)
{
	of(ctx).work();
}

constexpr rte_vfio_user_server_ops server_ops{
	.region_read = region_read,
	.region_write = region_write,
	.new_device = new_device,
	.destroy_device = destroy_device,
	.update_device = update_device,
	.reset_device = reset_device,
	.memory_removed = memory_removed,
	.poll = poll,
	.work = work,
};

/** The packet path's registers. One area: some clients take one descriptor for each area. */
constexpr rte_vfio_user_area shared_area{0, shared_size};

} // namespace

void
device::read(uint32_t region, uint32_t offset, guard::mutable_bytes to)
{
	switch (region) {
	case RTE_VFIO_USER_REGION_BAR0:
		return read_bar0(*this, offset, to);
	case RTE_VFIO_USER_REGION_BAR3:
		return msix_.read(offset, to);
	case RTE_VFIO_USER_REGION_CONFIG:
		return pci_.read(offset, to);
	}
}

void
device::write(uint32_t region, uint32_t offset, guard::bytes from)
{
	switch (region) {
	case RTE_VFIO_USER_REGION_BAR0:
		return write_bar0(*this, offset, from);
	case RTE_VFIO_USER_REGION_BAR3:
		return msix_.write(offset, from);
	case RTE_VFIO_USER_REGION_CONFIG:
		if (pci_.write(offset, from))
			reset(vf_event::flr);
	}
}

int
device::serve()
{
	constexpr uint32_t read_write = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE;
	std::array<rte_vfio_user_region, RTE_VFIO_USER_PCI_REGIONS> regions{};
	std::array<rte_vfio_user_irq, RTE_VFIO_USER_PCI_IRQS> irqs{};

	for (rte_vfio_user_region &region : regions)
		region.fd = -1;
	rte_vfio_user_region &bar0 = regions[RTE_VFIO_USER_REGION_BAR0];
	bar0.size = bar0_size;
	bar0.flags = read_write | RTE_VFIO_USER_REGION_MMAP;
	bar0.fd = registers_->fd();
	bar0.areas = &shared_area;
	bar0.nb_areas = 1;
	bar0.map_whole_on_request = 1;
	regions[RTE_VFIO_USER_REGION_BAR3].size = bar3_size;
	regions[RTE_VFIO_USER_REGION_BAR3].flags = read_write;
	regions[RTE_VFIO_USER_REGION_CONFIG].size = config_size;
	regions[RTE_VFIO_USER_REGION_CONFIG].flags = read_write;
	irqs[RTE_VFIO_USER_IRQ_MSIX].count = config_.queue_pairs + 1u;
	irqs[RTE_VFIO_USER_IRQ_MSIX].flags = RTE_VFIO_USER_IRQ_EVENTFD;

	rte_vfio_user_server_conf conf;
	rte_vfio_user_server_conf_init(&conf);
	conf.path = config_.path.c_str();
	conf.ops = &server_ops;
	conf.ctx = this;
	conf.flags = RTE_VFIO_USER_DEVICE_RESET | RTE_VFIO_USER_DEVICE_PCI;
	conf.nb_regions = regions.size();
	conf.regions = regions.data();
	conf.nb_irqs = irqs.size();
	conf.irqs = irqs.data();
	conf.rights = &config_.rights;
	conf.max_memory = config_.max_memory;
	int ret = rte_vfio_user_server_register(&conf, &server_);

	if (ret < 0)
		return ret;
	vectors_.attach(server_);
	mailbox_.attach(server_);
	return 0;
}

} // namespace iavf
