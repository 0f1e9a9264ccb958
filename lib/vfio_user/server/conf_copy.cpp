/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/conf_copy.hpp"

#include "sized_copy.hpp"

namespace vfio_user {

namespace {

guard::status
invalid(const char *field, uint64_t value, uint64_t limit)
{
	VFIO_USER_LOG(ERR, "server: %s %lu is not valid, the limit is %lu", field, value, limit);
	return guard::failure{EINVAL};
}

template <class T>
guard::status
copy_one(const char *name, T &to, const void *from, size_t size)
{
	return copy_sized("server", name, to, from, size);
}

template <class T>
guard::status
copy_all(const char *name, std::vector<T> &to, const T *from, uint32_t count, uint32_t max,
	 size_t size)
{
	if (count > max)
		return invalid(name, count, max);
	to.resize(count);
	for (size_t i = 0; i < count; i++)
		TRY(copy_one(name, to[i],
			     from == nullptr ? nullptr
					     : reinterpret_cast<const uint8_t *>(from) + i * size,
			     size));
	return {};
}

} // namespace

guard::status
conf_copy::read_region(size_t index)
{
	const rte_vfio_user_sizes &sizes = conf_.sizes;
	rte_vfio_user_region &r = regions_[index];

	TRY(copy_all("number of areas", areas_[index], r.areas, r.nb_areas, max_areas, sizes.area));
	TRY(copy_all("number of I/O fds", io_fds_[index], r.io_fds, r.nb_io_fds, max_io_fds,
		     sizes.io_fd));
	r.areas = areas_[index].data();
	r.io_fds = io_fds_[index].data();
	return {};
}

guard::status
conf_copy::read(const rte_vfio_user_server_conf &from)
{
	TRY(copy_one("conf", conf_, &from, from.sizes.conf));
	const rte_vfio_user_sizes &sizes = conf_.sizes;

	TRY(copy_one("ops", ops_, conf_.ops, sizes.ops));
	conf_.ops = &ops_;
	if (conf_.rights != nullptr) {
		TRY(copy_one("rights", rights_, conf_.rights, sizes.rights));
		conf_.rights = &rights_;
	}
	TRY(copy_all("nb_irqs", irqs_, conf_.irqs, conf_.nb_irqs, max_irq_types, sizes.irq));
	conf_.irqs = irqs_.data();
	TRY(copy_all("nb_regions", regions_, conf_.regions, conf_.nb_regions, max_regions,
		     sizes.region));
	conf_.regions = regions_.data();
	for (size_t i = 0; i < regions_.size(); i++)
		TRY(read_region(i));
	return {};
}

} // namespace vfio_user
