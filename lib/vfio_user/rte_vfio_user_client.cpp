/* SPDX-License-Identifier: BSD-3-Clause */
#include "rte_vfio_user_client.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "client/client.hpp"
#include "log.hpp"
#include "owner.hpp"
#include "sized_copy.hpp"
#include "telemetry.hpp"

/** The C interface of the client side, and its telemetry. */

using vfio_user::client;
using vfio_user::control;

/** A handle is the client itself. */
struct rte_vfio_user_client {
	std::unique_ptr<client> impl;
};

namespace {

/* By path, and in the order of attaching: one that is dead may not be detached yet when the next is
 * attached to the same server. */
using client_registry = std::multimap<std::string, rte_vfio_user_client *>;

std::mutex registry_mutex; /* guards the registry: what is in it stays until it is released */
auto &registry = guard::lasting<client_registry>();

/** What every request does first: @p valid says that no pointer is null that must not be. */
template <class F>
int
ask(rte_vfio_user_client *handle, bool valid, F fn)
{
	if (handle == nullptr || !valid)
		return -EINVAL;
	/* The thread that would receive the reply. */
	if (control::is_here())
		return -EDEADLK;
	return fn(*handle->impl).to_c();
}

void
enter_registry(rte_vfio_user_client *handle)
{
	std::lock_guard lock(registry_mutex);
	registry.emplace(handle->impl->path(), handle);
}

void
leave_registry(const rte_vfio_user_client *handle)
{
	std::lock_guard lock(registry_mutex);
	std::erase_if(registry, [=](const auto &entry) { return entry.second == handle; });
}

} // namespace

int
rte_vfio_user_client_attach(const rte_vfio_user_client_conf *conf, int cancel_fd,
			    rte_vfio_user_client **out)
{
	if (conf == nullptr || out == nullptr)
		return -EINVAL;
	if (control::is_here())
		return -EDEADLK;
	rte_vfio_user_client_conf known{};
	if (guard::status s = vfio_user::copy_sized("client", "conf", known, conf, conf->size); !s)
		return s.to_c();
	if (guard::status s = control::keep(); !s)
		return s.to_c();
	auto made = client::make(known, cancel_fd);
	if (!made) {
		control::drop();
		return made.to_c();
	}
	*out = new rte_vfio_user_client{std::move(*made)};
	enter_registry(*out);
	return 0;
}

int
rte_vfio_user_client_deadline_set(rte_vfio_user_client *handle, uint32_t ms)
{
	if (handle == nullptr)
		return -EINVAL;
	handle->impl->set_deadline(std::chrono::milliseconds(ms));
	return 0;
}

int
rte_vfio_user_client_detach(rte_vfio_user_client *handle)
{
	if (handle == nullptr)
		return -EINVAL;
	if (control::is_here())
		return -EDEADLK;
	leave_registry(handle);
	delete handle;
	control::drop();
	return 0;
}

int
rte_vfio_user_client_cancel(rte_vfio_user_client *handle)
{
	if (handle == nullptr)
		return -EINVAL;
	handle->impl->cancel();
	return 0;
}

int
rte_vfio_user_client_session_get(rte_vfio_user_client *handle, rte_vfio_user_session *session)
{
	if (handle == nullptr || session == nullptr)
		return -EINVAL;
	*session = handle->impl->session();
	return 0;
}

const char *
rte_vfio_user_client_capabilities(rte_vfio_user_client *handle)
{
	return handle == nullptr ? nullptr : handle->impl->capabilities_text().c_str();
}

int
rte_vfio_user_client_device_info_get(rte_vfio_user_client *handle, uint32_t *flags,
				     uint32_t *nb_regions, uint32_t *nb_irqs)
{
	if (handle == nullptr || flags == nullptr || nb_regions == nullptr || nb_irqs == nullptr)
		return -EINVAL;
	const vfio_user::wire::device_info &info = handle->impl->device();
	*flags = info.flags;
	*nb_regions = info.num_regions;
	*nb_irqs = info.num_irqs;
	return 0;
}

int
rte_vfio_user_client_region_info_get(rte_vfio_user_client *handle, uint32_t index,
				     rte_vfio_user_client_region *region)
{
	return ask(handle, region != nullptr, [=](client &c) {
		auto found = c.region(index);
		if (found)
			*region = (*found)->description();
		return found;
	});
}

int
rte_vfio_user_client_irq_info_get(rte_vfio_user_client *handle, uint32_t index,
				  rte_vfio_user_irq *irq)
{
	return ask(handle, irq != nullptr, [=](client &c) {
		auto info = c.irq_info(index);
		if (info)
			*irq = *info;
		return info;
	});
}

int
rte_vfio_user_client_region_map(rte_vfio_user_client *handle, uint32_t index, uint32_t area,
				void **addr)
{
	return ask(handle, addr != nullptr, [=](client &c) {
		auto mapped = c.map_area(index, area);
		if (mapped)
			*addr = *mapped;
		return mapped;
	});
}

int
rte_vfio_user_client_region_read(rte_vfio_user_client *handle, uint32_t index, uint64_t offset,
				 void *data, uint32_t count)
{
	guard::mutable_bytes into(static_cast<std::byte *>(data), count);
	return ask(handle, data != nullptr,
		   [=](client &c) { return c.region_read(index, offset, into); });
}

int
rte_vfio_user_client_region_write(rte_vfio_user_client *handle, uint32_t index, uint64_t offset,
				  const void *data, uint32_t count)
{
	guard::bytes from(static_cast<const std::byte *>(data), count);
	return ask(handle, data != nullptr,
		   [=](client &c) { return c.region_write(index, offset, from); });
}

int
rte_vfio_user_client_region_write_multi(rte_vfio_user_client *handle,
					const rte_vfio_user_write *writes, uint32_t count)
{
	return ask(handle, writes != nullptr,
		   [=](client &c) { return c.region_write_multi(std::span(writes, count)); });
}

int
rte_vfio_user_client_dma_map(rte_vfio_user_client *handle, uint64_t iova, uint64_t size,
			     uint32_t flags, int fd, uint64_t offset, void *addr)
{
	/* Memory with a file is the server's to map: it gets no access by messages. */
	rte_guest_mem_region region = {.iova = iova,
				       .size = size,
				       .addr = fd < 0 ? static_cast<uint8_t *>(addr) : nullptr,
				       .flags = flags,
				       .file = 0};
	return ask(handle, true, [=](client &c) { return c.dma_map(region, fd, offset); });
}

int
rte_vfio_user_client_dma_unmap(rte_vfio_user_client *handle, uint64_t iova, uint64_t size)
{
	return ask(handle, true, [=](client &c) { return c.dma_unmap(iova, size); });
}

int
rte_vfio_user_client_irq_wire(rte_vfio_user_client *handle, uint32_t index, uint32_t start,
			      uint32_t count, const int *fds)
{
	return ask(handle, true, [=](client &c) { return c.irq_wire(index, start, count, fds); });
}

int
rte_vfio_user_client_irq_action(rte_vfio_user_client *handle, uint32_t index, uint32_t start,
				uint32_t count, rte_vfio_user_irq_action action)
{
	namespace irq_flags = vfio_user::wire::irq_set_flags;
	static constexpr uint32_t actions[] = {irq_flags::action_mask, irq_flags::action_unmask,
					       irq_flags::action_trigger};
	static_assert(RTE_VFIO_USER_IRQ_MASK == 0 && RTE_VFIO_USER_IRQ_UNMASK == 1 &&
		      RTE_VFIO_USER_IRQ_TRIGGER == 2);

	if (static_cast<size_t>(action) >= std::size(actions))
		return -EINVAL;
	return ask(handle, true,
		   [=](client &c) { return c.irq_action(index, start, count, actions[action]); });
}

int
rte_vfio_user_client_reset(rte_vfio_user_client *handle)
{
	return ask(handle, true, [](client &c) { return c.reset(); });
}

int
rte_vfio_user_client_stats_get(rte_vfio_user_client *handle, rte_vfio_user_client_stats *stats)
{
	if (handle == nullptr || stats == nullptr)
		return -EINVAL;
	*stats = handle->impl->stats();
	return 0;
}

/* --- telemetry --- */

static constexpr vfio_user::counter_row<rte_vfio_user_client_stats> counters[] = {
	{"requests", &rte_vfio_user_client_stats::requests},
	{"replies", &rte_vfio_user_client_stats::replies},
	{"errors", &rte_vfio_user_client_stats::errors},
	{"dma_reads", &rte_vfio_user_client_stats::dma_reads},
	{"dma_writes", &rte_vfio_user_client_stats::dma_writes},
	{"refused", &rte_vfio_user_client_stats::refused},
	{"timeouts", &rte_vfio_user_client_stats::timeouts},
	{"protocol_errors", &rte_vfio_user_client_stats::protocol_errors},
	{"memory_faults", &rte_vfio_user_client_stats::memory_faults},
	{"dma_regions", &rte_vfio_user_client_stats::dma_regions},
	{"dma_bytes", &rte_vfio_user_client_stats::dma_bytes},
	{"fds", &rte_vfio_user_client_stats::fds},
};

static int
telemetry_list(const char *, const char *, rte_tel_data *out)
{
	std::lock_guard lock(registry_mutex);
	return vfio_user::list_paths(out, registry);
}

static int
telemetry_stats(const char *, const char *params, rte_tel_data *out)
{
	std::lock_guard lock(registry_mutex);
	auto [first, end] = registry.equal_range(params == nullptr ? "" : params);

	if (first == end)
		return -ENOENT;
	client &newest = *std::prev(end)->second->impl;
	rte_tel_data_start_dict(out);
	rte_tel_data_add_dict_string(out, "path", newest.path().c_str());
	rte_tel_data_add_dict_string(out, "state", newest.state());
	vfio_user::add_counters(out, counters, newest.stats());
	return 0;
}

RTE_INIT(vfio_user_client_telemetry)
{
	rte_telemetry_register_cmd(
		"/vfio_user/client/list", telemetry_list,
		"Returns the socket paths of the vfio-user clients. No parameters");
	rte_telemetry_register_cmd("/vfio_user/client/stats", telemetry_stats,
				   "Returns state and counters of a vfio-user client. "
				   "Parameters: string path");
}
