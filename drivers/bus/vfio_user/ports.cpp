/* SPDX-License-Identifier: BSD-3-Clause */
#include "ports.hpp"

#include <cstddef>

#include "remote_device.hpp"

namespace vfio_user_pci {

void
ports::adopt(remote_device &device, const rte_device *parent)
{
	uint16_t id;

	RTE_ETH_FOREACH_DEV_OF(id, parent) {
		rte_eth_dev *dev = &rte_eth_devices[id];
		auto row = std::make_unique<port>(port{id, &device, dev->dev_ops, *dev->dev_ops});

		row->ops.dev_configure = configure;
		row->ops.dev_start = start;
		row->ops.dev_stop = stop;
		row->ops.dev_reset = reset;
		row->ops.is_removed = is_removed;
		put_back(dev, *row);
		ports_.push_back(std::move(row));
	}
}

void
ports::release()
{
	for (const auto &row : ports_)
		if (rte_eth_devices[row->id].dev_ops == &row->ops)
			rte_eth_devices[row->id].dev_ops = row->original;
	ports_.clear();
}

std::vector<uint16_t>
ports::ids() const
{
	std::vector<uint16_t> out;

	for (const auto &row : ports_)
		out.push_back(row->id);
	return out;
}

/** The row whose table a port uses: only our tables have our functions in them. */
ports::port *
ports::find(const rte_eth_dev *dev)
{
	auto *ops = const_cast<eth_dev_ops *>(dev->dev_ops);

	return container_of(ops, port, ops);
}

/** Drivers reset by their own uninit and init, which set their table and their flags. */
void
ports::put_back(rte_eth_dev *dev, port &row)
{
	if (dev->dev_ops == row.original)
		dev->dev_ops = &row.ops;
	dev->data->dev_flags |= RTE_ETH_DEV_INTR_RMV;
}

/** net_iavf resets itself here when it has asked the device for another number of queues. */
int
ports::configure(rte_eth_dev *dev)
{
	port *row = find(dev);
	int error = row->original->dev_configure(dev);

	put_back(dev, *row);
	return error;
}

int
ports::start(rte_eth_dev *dev)
{
	port *row = find(dev);
	int error = row->original->dev_start(dev);

	if (error != 0)
		return error;
	auto wired = row->device->interrupt_vectors().wire_queues();
	if (!wired)
		row->original->dev_stop(dev);
	return wired.to_c();
}

int
ports::stop(rte_eth_dev *dev)
{
	port *row = find(dev);

	row->device->interrupt_vectors().unwire_queues();
	return row->original->dev_stop(dev);
}

int
ports::reset(rte_eth_dev *dev)
{
	port *row = find(dev);

	if (row->original->dev_reset == nullptr)
		return -ENOTSUP;
	int error = row->device->with_config_space([&] { return row->original->dev_reset(dev); });
	put_back(dev, *row);
	return error;
}

int
ports::is_removed(rte_eth_dev *dev)
{
	return find(dev)->device->is_gone();
}

} // namespace vfio_user_pci
