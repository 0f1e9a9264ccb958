/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <pthread.h>
#include <signal.h>

#include <rte_lcore.h>
#include <rte_telemetry.h>
#include <rte_version.h>
#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)
#include <rte_thread.h>
#endif

/** What differs between the DPDK versions that this library builds with (22.11 to 25.11). */
namespace vfio_user::compat {

/** Whether the EAL runs. Without it, as in a small tool, it cannot make threads. */
inline bool
has_eal()
{
	return rte_lcore_count() > 0;
}

/** Of a thread that does little. An application that locks its memory, as testpmd does, has all of
 * each thread's stack in memory, by default 8 MiB. */
inline constexpr size_t small_stack = 256 << 10;

/**
 * Keeps signals from threads that are made meanwhile, but for those that a thread causes itself. An
 * application's signals are not for the threads of a library, and can be many: net_tap is told of
 * each frame by one.
 */
class signals_blocked {
public:
	signals_blocked()
	{
		sigset_t all;
		sigfillset(&all);
		for (int own : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT})
			sigdelset(&all, own);
		pthread_sigmask(SIG_BLOCK, &all, &before_);
	}
	signals_blocked(const signals_blocked &) = delete;
	signals_blocked &operator=(const signals_blocked &) = delete;
	~signals_blocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
	sigset_t before_;
};

#if RTE_VERSION >= RTE_VERSION_NUM(23, 7, 0, 0)

using thread_id = rte_thread_t;

/** The stack is the default one here: there is no attribute for it. */
template <uint32_t (*main)(void *)>
int
create_control_thread(thread_id *thread, const char *name, void *arg, size_t = 0)
{
	const signals_blocked during;

	if (!has_eal())
		return -rte_thread_create(thread, nullptr, main, arg);
	return rte_thread_create_control(thread, name, main, arg);
}

inline void
join(thread_id thread)
{
	rte_thread_join(thread, nullptr);
}

inline void
detach(thread_id thread)
{
	rte_thread_detach(thread);
}

#else

using thread_id = pthread_t;

/** Bytes of stack; 0: as many as threads have by default. */
template <uint32_t (*main)(void *)>
int
create_control_thread(thread_id *thread, const char *name, void *arg, size_t stack = 0)
{
	auto start = [](void *a) -> void * {
		main(a);
		return nullptr;
	};
	const signals_blocked during;
	pthread_attr_t attributes;
	if (int error = pthread_attr_init(&attributes); error != 0)
		return -error;
	if (stack != 0)
		pthread_attr_setstacksize(&attributes, stack);
	const int error = has_eal() ? rte_ctrl_thread_create(thread, name, &attributes, start, arg)
				    : -pthread_create(thread, &attributes, start, arg);
	pthread_attr_destroy(&attributes);
	return error;
}

inline void
join(thread_id thread)
{
	pthread_join(thread, nullptr);
}

inline void
detach(thread_id thread)
{
	pthread_detach(thread);
}

#endif

inline void
add_dict_uint(rte_tel_data *dict, const char *name, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	rte_tel_data_add_dict_uint(dict, name, value);
#else
	rte_tel_data_add_dict_u64(dict, name, value);
#endif
}

} // namespace vfio_user::compat
