# SPDX-License-Identifier: BSD-3-Clause
"""A guest with several queue pairs, and hosts that serve more than it uses."""

import re

import pytest

import guest as guests

QUEUES = 4


def use_all(guest, queues):
	channels = guest.check(f"ethtool -l {guests.NIC}")
	assert re.findall(r"Combined:\s*(\d+)", channels)[-1] == str(queues)
	assert int(guest.check("grep -c iavf-.*TxRx /proc/interrupts")) == queues
	guest.ping(count=10)
	assert guest.iperf("-P", str(2 * queues)) > 0
	assert guest.iperf("-P", str(2 * queues), "-R") > 0
	assert not guest.complaints()


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_queues(boot, cpus):
	"""iavf takes as many queue pairs as it has CPUs."""
	guest = boot(cpus=cpus)
	guest.load()
	use_all(guest, cpus)


def test_channel_change(boot):
	guest = boot(cpus=4)
	guest.load()
	for queues in (2, 1, 3, 4):
		guest.check(f"ethtool -L {guests.NIC} combined {queues}")
		guest.await_link()
		use_all(guest, queues)


def test_each_queue_is_used(boot):
	guest = boot(cpus=4)
	guest.load()
	guest.iperf("-P", "16")
	guest.iperf("-P", "16", "-R")
	counters = dict(re.findall(r"((?:tx|rx)-\d\.packets): (\d+)", guest.check(f"ethtool -S {guests.NIC}")))
	assert all(int(counters[f"{direction}-{n}.packets"]) for direction in ("tx", "rx") for n in range(4))
