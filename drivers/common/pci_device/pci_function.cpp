/* SPDX-License-Identifier: BSD-3-Clause */
#include "pci_function.hpp"

#include <algorithm>
#include <cerrno>

#include <linux/pci_regs.h>

namespace pci_device {

namespace {

pci_function &
of(void *ctx)
{
	return *static_cast<pci_function *>(ctx);
}

int
region_read(void *ctx, uint32_t region, uint64_t offset, void *data, uint32_t count)
{
	return of(ctx).read(region, static_cast<uint32_t>(offset),
			    {static_cast<std::byte *>(data), count});
}

int
region_write(void *ctx, uint32_t region, uint64_t offset, const void *data, uint32_t count)
{
	return of(ctx).write(region, static_cast<uint32_t>(offset),
			     {static_cast<const std::byte *>(data), count});
}

int
new_device(void *ctx, const rte_vfio_user_session *session)
{
	return of(ctx).behaviour().connected(*session);
}

void
destroy_device(void *ctx)
{
	of(ctx).behaviour().disconnected();
	of(ctx).reset(reset_cause::client_gone);
}

void
update_device(void *ctx, uint32_t what)
{
	if ((what & RTE_VFIO_USER_UPDATE_DMA) != 0)
		of(ctx).behaviour().memory_changed();
	if ((what & RTE_VFIO_USER_UPDATE_IRQ) != 0)
		of(ctx).interrupts_changed();
}

int
reset_device(void *ctx)
{
	of(ctx).reset(reset_cause::message);
	return 0;
}

void
memory_removed(void *ctx, uint64_t first, uint64_t last)
{
	of(ctx).behaviour().memory_removed(first, last);
}

void
poll(void *ctx)
{
	of(ctx).behaviour().poll();
}

void
work(void *ctx)
{
	of(ctx).behaviour().work();
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

constexpr uint32_t read_write = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE;

config_layout
with_bars(config_layout config, std::span<bar *const> bars, const option_rom *rom)
{
	for (const bar *each : bars)
		config.add(each->facts());
	if (rom != nullptr && rom->size() != 0)
		config.add_rom(rom->size());
	return config;
}

} // namespace

pci_function::pci_function(config_layout config, std::span<bar *const> bars, uint16_t vectors,
			   device_behaviour &behaviour, bus &machine, const option_rom *rom)
    : config_(with_bars(std::move(config), bars, rom)), vectors_(vectors), rom_(rom),
      behaviour_(behaviour), intx_(config_, machine)
{
	for (bar *each : bars)
		bars_[each->facts().index] = each;
}

bool
pci_function::has_pin() const
{
	return (config_.load(PCI_INTERRUPT_LINE) >> 8) != 0; /* the pin is the byte behind */
}

void
pci_function::describe(rte_vfio_user_server_conf &conf)
{
	for (rte_vfio_user_region &region : regions_)
		region.fd = -1;
	for (const bar *each : bars_) {
		if (each == nullptr)
			continue;
		rte_vfio_user_region &region = regions_[each->facts().index];

		region.size = each->facts().size;
		region.flags = read_write;
		each->describe(region);
	}
	if (has_rom()) {
		regions_[RTE_VFIO_USER_REGION_ROM].size = rom_->size();
		regions_[RTE_VFIO_USER_REGION_ROM].flags = RTE_VFIO_USER_REGION_READ;
	}
	regions_[RTE_VFIO_USER_REGION_CONFIG].size = config_.layout().size();
	regions_[RTE_VFIO_USER_REGION_CONFIG].flags = read_write;
	if (has_pin())
		irqs_[RTE_VFIO_USER_IRQ_INTX] = {1, RTE_VFIO_USER_IRQ_EVENTFD |
							    RTE_VFIO_USER_IRQ_MASKABLE |
							    RTE_VFIO_USER_IRQ_AUTOMASKED};
	irqs_[RTE_VFIO_USER_IRQ_MSIX] = {vectors_, vectors_ == 0 ? 0 : RTE_VFIO_USER_IRQ_EVENTFD};

	conf.ops = &server_ops;
	conf.ctx = this;
	conf.flags = RTE_VFIO_USER_DEVICE_RESET | RTE_VFIO_USER_DEVICE_PCI;
	conf.nb_regions = static_cast<uint32_t>(regions_.size());
	conf.regions = regions_.data();
	conf.nb_irqs = static_cast<uint32_t>(irqs_.size());
	conf.irqs = irqs_.data();
}

int
pci_function::read(uint32_t region, uint32_t offset, guard::mutable_bytes to)
{
	if (region == RTE_VFIO_USER_REGION_CONFIG)
		config_.read(offset, to);
	else if (region < bars_.size() && bars_[region] != nullptr)
		bars_[region]->read(offset, to);
	else if (region == RTE_VFIO_USER_REGION_ROM && has_rom())
		std::ranges::copy(rom_->bytes().subspan(offset, to.size()), to.begin());
	else
		return -EINVAL;
	return 0;
}

int
pci_function::write(uint32_t region, uint32_t offset, guard::bytes from)
{
	if (region < bars_.size() && bars_[region] != nullptr) {
		bars_[region]->write(offset, from);
		return 0;
	}
	if (region != RTE_VFIO_USER_REGION_CONFIG)
		return -EINVAL;
	config_events events = config_.write(offset, from);

	if ((events & initiate_flr) != 0)
		reset(reset_cause::function_level);
	else if ((events & command_written) != 0)
		intx_.update();
	return 0;
}

void
pci_function::reset(reset_cause cause)
{
	behaviour_.stop(cause);
	config_.reset();
	intx_.assert_level(false);
	for (bar *each : bars_)
		if (each != nullptr)
			each->reset();
	behaviour_.reset(cause);
}

void
pci_function::each_state(state_walk &walk)
{
	walk(config_, intx_);
	for (bar *each : bars_)
		if (each != nullptr)
			each->each_state(walk);
}

void
pci_function::interrupts_changed()
{
	intx_.update();
	behaviour_.interrupts_changed();
}

} // namespace pci_device
