# SPDX-License-Identifier: BSD-3-Clause
"""A stock guest finds the device, loads its driver and moves data: each kernel, each memory."""

import json
import re
import time

import pytest

import guest as guests
from features import differences, other_differences
from host import ADDRESS, TAP


@pytest.mark.parametrize("kernel, memory", [
	("6.12", "memfd"),
	("6.12", "hugetlb"),
	("6.1", "memfd"),
])
def test_boot(boot, kernel, memory):
	guest = boot(kernel=kernel, memory=memory)
	guest.load()
	assert differences(guest, guests.NIC, kernel) == {}
	assert other_differences(guest, guests.NIC, kernel) == {}
	guest.ping()
	assert guest.iperf() > 0
	assert guest.iperf("-R") > 0
	assert not guest.complaints()


def test_private_memory_gets_no_link(boot, testpmd):
	"""The mailbox works through QEMU, packets cannot: both sides say so, and that is all."""
	guest = boot(memory="private")
	guest.check("modprobe iavf")
	guest.await_interface()
	resets = testpmd.telemetry("/emu_iavf/info,emu_iavf0")["resets"]
	for _ in range(3):
		guest.check(f"ip link set {guests.NIC} up")
		guest.start(f"ping -I {guests.NIC} {ADDRESS}")
		time.sleep(2)
		assert not guest.carrier()
		guest.check(f"ip link set {guests.NIC} down")
	said = guest.complaints()
	assert said and all("PF returned error" in line for line in said)
	assert len(said) <= 2 * 3  # for CONFIG_VSI_QUEUES and ENABLE_QUEUES each time
	assert testpmd.log().count("memory that is not shared are refused") == 1
	assert testpmd.telemetry("/emu_iavf/info,emu_iavf0")["resets"] == resets


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
