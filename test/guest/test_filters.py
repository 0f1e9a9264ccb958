# SPDX-License-Identifier: BSD-3-Clause
"""What stock Linux filters: the addresses that it listens to. Frames that the host sends are judged
by the guest's queues and by the counters of the host's port."""

import re

import pytest

import frames
import guest as guests
from guest import NIC
from host import TAP
from stock import wait_for

QUEUES = 4
IP = "/usr/bin/ip"  # Busybox has one of its own that knows less.
OTHER, MACVLAN, GROUP = "02:00:00:00:00:77", "02:00:00:00:00:66", "01:00:5e:01:02:03"
COUNT = 10


@pytest.fixture(scope="module")
def running_guest(testpmd, tmp_path_factory):
	guest = guests.Guest(tmp_path_factory.mktemp("guest"), testpmd.socket, cpus=QUEUES)
	try:
		guest.load()
		yield guest
	finally:
		guest.close()


def by_queue(guest):
	counters = guest.check(f"ethtool -S {NIC}")
	return [int(n) for n in re.findall(r"rx-\d+\.packets: (\d+)", counters)]


def own_address(guest):
	return guest.check(f"cat /sys/class/net/{NIC}/address")


def send(guest, testpmd, mac, rest=b"\x88\xb5" + bytes(46)):
	"""Sends frames. (How many more each queue of the guest has got, what was not wanted)"""
	names = "tx_good_packets", "tx_address_filtered_packets"
	counts = lambda: [testpmd.xstats()[name] for name in names]
	before, queues = counts(), by_queue(guest)
	frame = bytes.fromhex(mac.replace(":", "")) + frames.MACS[6:] + rest
	testpmd.namespace.send(TAP, [frame.ljust(60, b"\0")] * COUNT)
	wait_for(lambda: sum(counts()) - sum(before) >= COUNT, "frames at the port")
	good, *dropped = (now - then for now, then in zip(counts(), before))
	wait_for(lambda: sum(by_queue(guest)) - sum(queues) >= good, "frames in the guest")
	return [now - then for now, then in zip(by_queue(guest), queues)], *dropped


def comes(guest, testpmd, mac):
	"""Whether frames to an address come, all or none."""
	queues, filtered = send(guest, testpmd, mac)
	assert sum(queues) + filtered >= COUNT and filtered in (0, COUNT)
	return filtered == 0


def test_addresses(guest, testpmd):
	heard = lambda mac: comes(guest, testpmd, mac)
	assert heard(own_address(guest)) and heard("ff:ff:ff:ff:ff:ff")
	assert not heard(OTHER) and not heard(GROUP)
	guest.check(f"{IP} maddr add {GROUP} dev {NIC}")
	wait_for(lambda: heard(GROUP), "the group")
	guest.check(f"{IP} maddr del {GROUP} dev {NIC}")
	wait_for(lambda: not heard(GROUP), "the group's end")


@pytest.mark.parametrize("mode, by_mode", [("promisc", (True, True)), ("allmulticast", (False, True))])
def test_modes(guest, testpmd, mode, by_mode):
	heard = lambda: (comes(guest, testpmd, OTHER), comes(guest, testpmd, GROUP))
	guest.check(f"{IP} link set {NIC} {mode} on")
	wait_for(lambda: heard() == by_mode, mode)
	guest.check(f"{IP} link set {NIC} {mode} off")
	wait_for(lambda: heard() == (False, False), f"end of {mode}")


def test_macvlan_outlives_a_reset(guest, testpmd):
	"""Its address is a filter of the driver, which is there again after a reset."""
	guest.check("modprobe macvlan")
	guest.check(f"ip link add mv0 link {NIC} address {MACVLAN} type macvlan mode bridge")
	guest.check("ip link set mv0 up")
	got = lambda: int(guest.check("cat /sys/class/net/mv0/statistics/rx_packets"))
	try:
		for _ in range(2):
			wait_for(lambda: comes(guest, testpmd, MACVLAN), "frames to the macvlan")
			assert not comes(guest, testpmd, OTHER)
			assert got() >= COUNT
			guest.set_mtu(2000)
			guest.set_mtu(1500)
	finally:
		guest.check("ip link del mv0")
	wait_for(lambda: not comes(guest, testpmd, MACVLAN), "the end of the macvlan")
