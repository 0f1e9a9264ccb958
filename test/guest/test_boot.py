# SPDX-License-Identifier: BSD-3-Clause
"""A stock guest finds the device, loads its driver and moves data: each kernel, each memory."""

import json
import re

import pytest

import guest as guests
from host import ADDRESS, TAP


@pytest.mark.parametrize("kernel, memory", [
	("6.12", "memfd"),
	("6.12", "hugetlb"),
	("6.1", "memfd"),
])
def test_boot(boot, kernel, memory):
	guest = boot(kernel=kernel, memory=memory)
	guest.load()
	assert "driver: iavf" in guest.check(f"ethtool -i {guests.NIC}")
	guest.ping()
	assert guest.iperf() > 0
	assert guest.iperf("-R") > 0
	assert not guest.complaints()


def test_pci_device(guest):
	"""lspci shows an Intel VF with the capabilities that iavf needs."""
	shown = guest.check("lspci -vvnn -d 8086:1889")
	assert "Ethernet controller" in shown
	assert re.search(r"Capabilities: \[\w+\] Express .*Endpoint", shown)
	assert "FLReset+" in shown
	assert re.search(r"Capabilities: \[\w+\] MSI-X: Enable\+ Count=\d+ Masked-", shown)
	assert "Kernel driver in use: iavf" in shown
	assert "Memory at" in shown


def test_link(guest):
	assert guest.carrier()
	assert "Link detected: yes" in guest.check(f"ethtool {guests.NIC}")


def test_neighbour_is_the_host(guest, testpmd):
	guest.ping()
	tap = json.loads(testpmd.namespace.run("ip", "-json", "link", "show", TAP))[0]["address"]
	assert tap in guest.check(f"ip neigh show {ADDRESS}").lower()
