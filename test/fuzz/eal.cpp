/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.hpp"

#include <iterator>

#include <rte_eal.h>
#include <rte_log.h>

void
fuzz::init_eal()
{
	static const char *args[] = {"fuzz",
				     "--no-huge",
				     "--no-shconf",
				     "--no-pci",
				     "--no-telemetry",
				     "--iova-mode=va",
				     "-m",
				     "64",
				     "-l",
				     "0",
				     "--log-level=*:critical",
				     "--log-level=user1:critical"};

	if (rte_eal_init(std::size(args), const_cast<char **>(args)) < 0)
		MUST(!"EAL can be initialised");
	/* What a peer does is logged, which is no finding. */
	rte_log_set_global_level(RTE_LOG_CRIT);
}
