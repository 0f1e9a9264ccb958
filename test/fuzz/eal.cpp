/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.hpp"

#include <iterator>
#include <string>

#include <sched.h>

#include <rte_eal.h>
#include <rte_log.h>

#include "loop/control_thread.hpp"

namespace {

/** One logical core, which is all processors: else EAL would bind this thread to one of them. */
std::string
cores()
{
	std::string out = "--lcores=0@(";
	cpu_set_t set;

	MUST(::sched_getaffinity(0, sizeof(set), &set) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			out += std::to_string(cpu) + ',';
	out.back() = ')';
	return out;
}

} // namespace

/** For the targets that need EAL, once: without huge pages, devices and files that others see. */
extern "C" int
LLVMFuzzerInitialize(int *, char ***)
{
	static const std::string lcores = cores();
	static const char *args[] = {"fuzz",
				     "--no-huge",
				     "--no-shconf",
				     "--no-pci",
				     "--no-telemetry",
				     "--iova-mode=va",
				     "-m",
				     "64",
				     lcores.c_str(),
				     "--log-level=*:critical",
				     "--log-level=user1:critical"};

	if (rte_eal_init(std::size(args), const_cast<char **>(args)) < 0)
		MUST(!"EAL can be initialised");
	rte_log_set_global_level(RTE_LOG_CRIT); /* EAL has set it anew */
	/* It would be started for each input. */
	MUST(vfio_user::control::keep());
	return 0;
}
