/* SPDX-License-Identifier: BSD-3-Clause */
#include <bus_vdev_driver.h>

/* In C, as the symbols that these macros make would be mangled in C++. */

extern struct rte_vdev_driver emu_iavf_driver;

RTE_PMD_REGISTER_VDEV(emu_iavf, emu_iavf_driver);
RTE_PMD_REGISTER_PARAM_STRING(emu_iavf, "path=<socket> "
					"mac=<xx:xx:xx:xx:xx:xx> "
					"queues=<1..256> "
					"vectors=<2..17> "
					"speed=<100..400000> "
					"ethdev=<0|1> "
					"mode=<0..777> "
					"owner=<user> "
					"group=<group> "
					"max_memory=<0..4194304> "
					"irq-inline=<0|1> "
					"rom=<file> "
					"tso=<0|1> "
					"lro=<0|1> "
					"zero-copy=<0|1> "
					"steering=<rss|queue> "
					"trust=<on|off> "
					"spoofchk=<on|off> "
					"vlan=<0..4094>[:<0..7>[:<802.1q|802.1ad>]] "
					"rate=<0..400000>[:<0..400000>] "
					"link=<auto|up|down> "
					"macs=<0..4096> "
					"mcast=<0..4096>");
