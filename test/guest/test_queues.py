# SPDX-License-Identifier: BSD-3-Clause
"""A guest with several queue pairs, and hosts that serve more than it uses."""

import re

import pytest

import guest as guests

QUEUES = 4


def channels(guest):
	return int(re.findall(r"Combined:\s*(\d+)", guest.check(f"ethtool -l {guests.NIC}"))[-1])


def vectors(guest):
	return int(guest.check("grep -c iavf-.*TxRx /proc/interrupts"))


def packets(guest):
	"""Packets of each direction and queue."""
	counters = guest.check(f"ethtool -S {guests.NIC}")
	return {name: int(n) for name, n in re.findall(r"([tr]x-\d+)\.packets: (\d+)", counters)}


@pytest.mark.parametrize("cpus", [1, 4])
def test_queues(boot, cpus):
	"""iavf takes as many queue pairs as it has CPUs."""
	guest = boot(cpus=cpus)
	guest.load()
	assert (channels(guest), vectors(guest)) == (cpus, cpus)
	guest.ping()
	assert guest.iperf("-P", str(4 * cpus)) > 0
	assert guest.iperf("-P", str(4 * cpus), "-R") > 0
	used = packets(guest)
	for direction in ("tx", "rx"):
		assert all(used[f"{direction}-{n}"] for n in range(cpus))
	assert not guest.complaints()


def test_channel_change(boot):
	guest = boot(cpus=4)
	guest.load()
	for queues in (2, 1, 4):
		guest.reconfigure(f"ethtool -L {guests.NIC} combined {queues}")
		assert (channels(guest), vectors(guest)) == (queues, queues)
		guest.ping()
	assert guest.iperf("-P", "8") > 0
	assert not guest.complaints()
