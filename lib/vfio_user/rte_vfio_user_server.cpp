/* SPDX-License-Identifier: BSD-3-Clause */
#include <map>
#include <mutex>
#include <unistd.h>

#include <rte_telemetry.h>

#include "log.hpp"
#include "owner.hpp"
#include "server/server.hpp"
#include "telemetry.hpp"

/** The C interface of the server side, and its telemetry. */

using vfio_user::control;
using vfio_user::server;

RTE_LOG_REGISTER_DEFAULT(vfio_user_logtype, NOTICE);

/** A handle is the server itself. */
struct rte_vfio_user_server {
	std::unique_ptr<server> impl;
};

struct rte_vfio_user_memory_hold {
	std::shared_ptr<vfio_user::memory_hold> impl;
};

namespace vfio_user {

namespace {

std::mutex registry_mutex; /* guards the two below; taken for moments only */
pid_t owner_pid;           /* of the sockets */
auto &registry = guard::lasting<std::map<std::string, rte_vfio_user_server *>>();

/* Whoever exits without unregistering leaves no sockets behind that nobody listens at. Threads of
 * ours may still run, so nothing else is touched. A forked child leaves the sockets to its parent.
 */
RTE_FINI(remove_sockets)
{
	const std::unique_lock lock(registry_mutex, std::try_to_lock);

	if (!lock || owner_pid != getpid())
		return;
	for (const auto &[path, handle] : registry)
		handle->impl->remove_socket();
}

} // namespace

} // namespace vfio_user

using vfio_user::on_control_thread;
using vfio_user::owner_pid;
using vfio_user::registry;
using vfio_user::registry_mutex;

static guard::status
enter_registry(rte_vfio_user_server *handle)
{
	std::lock_guard lock(registry_mutex);
	if (!registry.emplace(handle->impl->path(), handle).second)
		return guard::failure{EEXIST};
	owner_pid = getpid();
	return {};
}

static guard::result<rte_vfio_user_server *>
register_server(const rte_vfio_user_server_conf &conf)
{
	auto handle = std::make_unique<rte_vfio_user_server>();
	handle->impl = TRY(server::make(conf));
	TRY(enter_registry(handle.get()));
	return handle.release();
}

int
rte_vfio_user_server_register(const rte_vfio_user_server_conf *conf, rte_vfio_user_server **out)
{
	if (conf == nullptr || out == nullptr)
		return -EINVAL;
	if (guard::status s = control::keep(); !s)
		return s.to_c();
	int error = on_control_thread([&] {
		auto made = register_server(*conf);
		if (made)
			*out = *made;
		return made.to_c();
	});
	if (error != 0)
		control::drop();
	return error;
}

/* Runs a function with the server on the control thread. */
template <class F>
static int
with_server(rte_vfio_user_server *handle, F fn)
{
	if (handle == nullptr)
		return -EINVAL;
	return on_control_thread([=] { return fn(*handle->impl); });
}

/* The same for what is called there only. */
template <class F>
static int
with_server_here(const rte_vfio_user_server *handle, F fn)
{
	if (handle == nullptr)
		return -EINVAL;
	if (!control::is_here()) {
		VFIO_USER_LOG(ERR, "%s: called on a thread that is not the control thread",
			      handle->impl->path().c_str());
		return -EPERM;
	}
	return fn(*handle->impl);
}

int
rte_vfio_user_server_start(rte_vfio_user_server *handle)
{
	return with_server(handle, [](server &s) { return s.listen().to_c(); });
}

int
rte_vfio_user_server_unregister(rte_vfio_user_server *handle)
{
	if (handle == nullptr)
		return -EINVAL;
	/* A callback would return into what is gone, and the thread would wait for its own end. */
	if (control::is_here())
		return -EDEADLK;
	{
		std::lock_guard lock(registry_mutex);
		registry.erase(handle->impl->path());
	}
	on_control_thread([=] {
		/* First and apart: destroy_device may still use the handle. */
		handle->impl->disconnect("server ends");
		handle->impl.reset();
		return 0;
	});
	delete handle;
	control::drop();
	return 0;
}

int
rte_vfio_user_server_disconnect(rte_vfio_user_server *handle)
{
	return with_server(handle, [](server &s) {
		s.disconnect("asked by the device");
		return 0;
	});
}

const rte_guest_mem_table *const *
rte_vfio_user_server_dma_table(const rte_vfio_user_server *handle)
{
	return handle == nullptr ? nullptr : handle->impl->dma_table();
}

rte_vfio_user_memory_hold *
rte_vfio_user_server_memory_hold(rte_vfio_user_server *handle)
{
	if (handle == nullptr)
		return nullptr;
	return new rte_vfio_user_memory_hold{handle->impl->hold_memory()};
}

void
rte_vfio_user_memory_release(rte_vfio_user_memory_hold *hold)
{
	delete hold;
}

int
rte_vfio_user_server_irq_trigger(rte_vfio_user_server *handle, uint32_t index, uint32_t vector)
{
	return handle == nullptr ? -EINVAL : handle->impl->irqs().trigger(index, vector);
}

int
rte_vfio_user_server_irq_wired(const rte_vfio_user_server *handle, uint32_t index, uint32_t vector)
{
	return handle == nullptr ? -EINVAL : handle->impl->irqs().wired(index, vector);
}

static int
start_transfer(rte_vfio_user_server *handle, const vfio_user::dma_transfers::access &wanted,
	       const void *data)
{
	if (data == nullptr || wanted.done == nullptr)
		return -EINVAL;
	return with_server_here(handle, [&](server &s) { return s.start_transfer(wanted).to_c(); });
}

int
rte_vfio_user_server_dma_read(rte_vfio_user_server *handle, uint64_t iova, void *data,
			      uint32_t count, rte_vfio_user_dma_done done, void *ctx)
{
	return start_transfer(handle,
			      {.command = vfio_user::wire::command::dma_read,
			       .iova = iova,
			       .into = {static_cast<std::byte *>(data), count},
			       .from = {},
			       .done = done,
			       .ctx = ctx},
			      data);
}

int
rte_vfio_user_server_dma_write(rte_vfio_user_server *handle, uint64_t iova, const void *data,
			       uint32_t count, rte_vfio_user_dma_done done, void *ctx)
{
	return start_transfer(handle,
			      {.command = vfio_user::wire::command::dma_write,
			       .iova = iova,
			       .into = {},
			       .from = {static_cast<const std::byte *>(data), count},
			       .done = done,
			       .ctx = ctx},
			      data);
}

int
rte_vfio_user_server_set_poll(rte_vfio_user_server *handle, uint32_t interval_us)
{
	return with_server(handle, [=](server &s) { return s.set_poll(interval_us).to_c(); });
}

int
rte_vfio_user_server_has_turn(const rte_vfio_user_server *handle)
{
	return with_server_here(handle, [](const server &s) -> int { return s.has_turn(); });
}

int
rte_vfio_user_server_defer(rte_vfio_user_server *handle)
{
	return with_server_here(handle, [](server &s) {
		s.defer();
		return 0;
	});
}

int
rte_vfio_user_server_stats_get(rte_vfio_user_server *handle, rte_vfio_user_server_stats *stats)
{
	if (stats == nullptr)
		return -EINVAL;
	return with_server(handle, [=](const server &s) {
		*stats = s.stats();
		return 0;
	});
}

int
rte_vfio_user_control_call(int (*fn)(void *), void *arg)
{
	return fn == nullptr ? -EINVAL : control::call(fn, arg);
}

/* --- telemetry --- */

static constexpr vfio_user::counter_row<rte_vfio_user_server_stats> counters[] = {
	{"messages", &rte_vfio_user_server_stats::messages},
	{"replies", &rte_vfio_user_server_stats::replies},
	{"errors", &rte_vfio_user_server_stats::errors},
	{"connections", &rte_vfio_user_server_stats::connections},
	{"refused", &rte_vfio_user_server_stats::refused},
	{"protocol_errors", &rte_vfio_user_server_stats::protocol_errors},
	{"dma_maps", &rte_vfio_user_server_stats::dma_maps},
	{"dma_unmaps", &rte_vfio_user_server_stats::dma_unmaps},
	{"dma_regions", &rte_vfio_user_server_stats::dma_regions},
	{"dma_files", &rte_vfio_user_server_stats::dma_files},
	{"memory_faults", &rte_vfio_user_server_stats::memory_faults},
	{"interrupts", &rte_vfio_user_server_stats::interrupts},
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
	rte_vfio_user_server_stats stats;
	/* On the control thread a server that is in the registry cannot go away meanwhile. */
	int error = on_control_thread([&] {
		std::lock_guard lock(registry_mutex);
		auto found = registry.find(params == nullptr ? "" : params);
		if (found == registry.end())
			return -ENOENT;
		stats = found->second->impl->stats();
		return 0;
	});
	if (error != 0)
		return error;
	rte_tel_data_start_dict(out);
	vfio_user::add_counters(out, counters, stats);
	return 0;
}

RTE_INIT(vfio_user_telemetry)
{
	rte_telemetry_register_cmd(
		"/vfio_user/list", telemetry_list,
		"Returns the socket paths of the vfio-user servers. No parameters");
	rte_telemetry_register_cmd(
		"/vfio_user/stats", telemetry_stats,
		"Returns the counters of a vfio-user server. Parameters: string path");
}
