/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <ucontext.h>

namespace test {

#ifdef __x86_64__

/** Whether threads can be stepped here. */
constexpr bool can_step = true;

/**
 * In a handler of a signal: whether the thread, once the handler has returned, gets SIGTRAP after
 * its next instruction. It is the trap flag (Intel SDM, volume 3, "Single-Step Exception").
 * @param context The handler's third argument.
 */
inline void
single_step(void *context, bool yes)
{
	constexpr greg_t trap_flag = 0x100;
	greg_t &flags = static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_EFL];

	flags = yes ? flags | trap_flag : flags & ~trap_flag;
}

#else

constexpr bool can_step = false;

inline void
single_step(void *, bool)
{
}

#endif

} // namespace test
