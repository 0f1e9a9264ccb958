/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <rte_prefetch.h>

namespace iavf_be {

/**
 * Fetches a cache line that is about to be written, and takes it from the other core at once.
 *
 * rte_prefetch0_write() is the compiler's builtin, which falls back to a prefetch for reading
 * (PREFETCHT0) unless the build's flags have PRFCHW; those that DPDK hands on (-march=corei7) do
 * not. A line that the guest's core has is then asked for twice: to read it, and by the store to
 * own it. Every x86-64 processor takes the instruction; those without it do nothing.
 */
inline void
prefetch_for_writing(const volatile void *line)
{
#ifdef RTE_ARCH_X86_64
	asm volatile("prefetchw %0" : : "m"(*static_cast<const volatile char *>(line)));
#else
	rte_prefetch0_write(line);
#endif
}

} // namespace iavf_be
