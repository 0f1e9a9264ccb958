# SPDX-License-Identifier: BSD-3-Clause
"""A stock guest finds the device, loads its driver and moves data: each kernel, each memory, and QEMU
of another user."""

import json
import re
import time

import pytest

import guest as guests
from features import differences, other_differences
from host import ADDRESS, TAP
from stock import wait_for

DEVARGS = ",mode=660,group=nogroup"


@pytest.mark.parametrize("kernel, memory", [
	("6.12", "memfd"),
	("6.12", "hugetlb"),
])
def test_boot(boot, kernel, memory):
	guest = boot(kernel=kernel, memory=memory)
	guest.load()
	works(guest, kernel)


def test_another_user_plugs_the_nic_in(boot, testpmd):
	"""The socket lets its group in, and nobody else; QMP plugs the NIC in."""
	testpmd.socket.parent.chmod(0o711)
	with pytest.raises(guests.Failure, match="nic0.sock.*Permission denied"):
		boot(user="nobody:games")
	guest = boot(kernel="6.1", root_port=True, plugged=False, user="nobody:nogroup")
	assert guest.check("lspci -d 8086:1889") == ""
	guest.plug()
	# The kernel waits some seconds for a person at the attention button.
	guests.wait_for(lambda: guest.check("lspci -d 8086:1889"), "NIC in the root port", 30)
	guest.load()
	works(guest, "6.1")


def works(guest, kernel):
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
		time.sleep(1)
		assert not guest.carrier()
		guest.check(f"ip link set {guests.NIC} down")
	said = guest.complaints()
	assert said and all("PF returned error" in line for line in said)
	assert len(said) <= 2 * 3  # for CONFIG_VSI_QUEUES and ENABLE_QUEUES each time
	assert testpmd.log().count("memory that is not shared are refused") == 1
	assert testpmd.log().count("memory of the guest is not shared (share=on)") == 1
	assert testpmd.telemetry("/emu_iavf/info,emu_iavf0")["resets"] == resets
	does_not_loop_after_resets(guest, testpmd)


def does_not_loop_after_resets(guest, testpmd):
	"""Each is over once the driver has been refused its queues again, and the host says why."""
	guest.check(f"ip link set {guests.NIC} up")
	for reset in (lambda: testpmd.telemetry("/emu_iavf/reset,emu_iavf0"),
			lambda: guest.check(f"echo 1 > /sys/class/net/{guests.NIC}/device/reset")):
		counts = lambda: testpmd.telemetry("/emu_iavf/virtchnl,emu_iavf0")
		before = counts()["refused"].get("CONFIG_VSI_QUEUES", 0)
		reset()
		wait_for(lambda: counts()["refused"]["CONFIG_VSI_QUEUES"] > before, "set-up anew", 20)
		time.sleep(1)
		settled, resets = counts(), testpmd.telemetry("/emu_iavf/info,emu_iavf0")["resets"]
		time.sleep(4)  # The driver's watchdog has looked twice, at least.
		assert counts()["refused"] == settled["refused"]
		assert testpmd.telemetry("/emu_iavf/info,emu_iavf0")["resets"] == resets
		assert not guest.carrier()
	port = testpmd.telemetry(f"/net_iavf_be/info,{testpmd.port()}")
	assert port["link_down_because"] == "the guest's driver has enabled no queue"


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
