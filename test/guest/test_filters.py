# SPDX-License-Identifier: BSD-3-Clause
"""What stock Linux filters: the addresses that it listens to, and rules of ethtool -N. Frames that
the host sends are judged by the guest's queues and by the counters of the host's port."""

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


def info(testpmd, what):
	return testpmd.telemetry("/emu_iavf/info,emu_iavf0")[what]


def by_queue(guest):
	counters = guest.check(f"ethtool -S {NIC}")
	return [int(n) for n in re.findall(r"rx-\d+\.packets: (\d+)", counters)]


def own_address(guest):
	return guest.check(f"cat /sys/class/net/{NIC}/address")


def send(guest, testpmd, mac, rest=b"\x88\xb5" + bytes(46)):
	"""Sends frames. (How many more each queue of the guest has got, what was not wanted, and what
	a rule has dropped)"""
	names = "tx_good_packets", "tx_address_filtered_packets", "tx_flow_dropped_packets"
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
	queues, filtered, _ = send(guest, testpmd, mac)
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


def ip(version, transport, *more):
	build = frames.ip4 if version == 4 else frames.ip6
	return (frames.V4 if version == 4 else frames.V6) + build(*transport, *more)


def other(protocol, data):
	return protocol, data + bytes(40)


SPI = (0x1234).to_bytes(4, "big")
GTP = b"\x30\xff\x00\x08" + SPI
# What ethtool calls it; a frame that it is for; one that it is not for.
RULES = {
	"tcp4": ("tcp4 src-ip 10.0.0.1 dst-port 2000", ip(4, frames.tcp(b"")),
		ip(4, frames.udp(b""))),
	"udp4": ("udp4 dst-ip 10.0.0.2 dst-port 7000", ip(4, frames.udp(b"", 7000)),
		ip(4, frames.udp(b"", 7001))),
	"sctp4": ("sctp4 src-port 258", ip(4, other(132, b"\1\2\3\4")),
		ip(4, other(132, b"\1\1\3\4"))),
	"ip4": ("ip4 src-ip 10.0.0.1", ip(4, frames.udp(b"")),
		ip(4, frames.udp(b""), 0, bytes.fromhex("0a000009 0a000002"))),
	"tos": ("udp4 dst-port 2000 tos 0x28", ip(4, frames.udp(b""))[:3] + b"\x28"
		+ ip(4, frames.udp(b""))[4:], ip(4, frames.udp(b""))),
	"esp4": ("esp4 spi 0x1234", ip(4, other(50, SPI)), ip(4, other(51, SPI))),
	"ah4": ("ah4 spi 0x1234", ip(4, other(51, bytes(4) + SPI)), ip(4, other(50, SPI))),
	"tcp6": ("tcp6 dst-port 2000", ip(6, frames.tcp(b"")), ip(4, frames.tcp(b""))),
	"udp6": ("udp6 dst-port 2000", ip(6, frames.udp(b"")), ip(6, frames.udp(b"", 2001))),
	"ip6": ("ip6 dst-ip 1011:1213:1415:1617:1819:1a1b:1c1d:1e1f", ip(6, frames.udp(b"")),
		b"\x88\xb5" + ip(6, frames.udp(b""))[2:]),
	"ether": ("ether proto 0x88f7", b"\x88\xf7" + bytes(46), b"\x88\xf8" + bytes(46)),
	"gtp": ("udp4 dst-port 2152 user-def 0x002e000000301234",
		ip(4, frames.udp(GTP, 2152)), ip(4, frames.udp(bytes(8), 2152))),
}


def rules(guest):
	return int(re.search(r"Total (\d+) rules", guest.check(f"ethtool -n {NIC}"))[1])


@pytest.fixture
def rule(guest, testpmd):
	"""Adds a rule as ethtool does, and waits until the driver has told the device."""
	def add(text, action):
		command = f"ethtool -N {NIC} flow-type {text} action {action} loc 5"
		# The driver says "invalid" also while it is busy with something else.
		wait_for(lambda: guest.run(command)[0] == 0, "ethtool")
		wait_for(lambda: info(testpmd, "flows") == 1, "the rule")
	yield add
	if rules(guest):
		guest.check(f"ethtool -N {NIC} delete 5")
	wait_for(lambda: info(testpmd, "flows") == 0, "the end of the rule")


@pytest.mark.parametrize("name", RULES)
def test_rule(guest, testpmd, rule, name):
	text, meant, not_meant = RULES[name]
	own = own_address(guest)
	# A queue by which such frames do not come as it is: the tap has spread them, too.
	queue = send(guest, testpmd, own, not_meant)[0].index(0)
	rule(text, queue)
	assert rules(guest) == 1
	assert send(guest, testpmd, own, meant)[0][queue] >= COUNT
	assert send(guest, testpmd, own, not_meant)[0][queue] == 0


def test_rule_that_drops(guest, testpmd, rule):
	text, meant, not_meant = RULES["udp4"]
	own = own_address(guest)
	rule(text, -1)
	assert send(guest, testpmd, own, meant)[2] == COUNT
	assert send(guest, testpmd, own, not_meant)[2] == 0
	# A rule dies with a reset of the device, and Linux adds it again.
	guest.set_mtu(2000)
	guest.set_mtu(1500)
	wait_for(lambda: info(testpmd, "flows") == rules(guest), "the driver's rules")


@pytest.mark.guest_may_say("Failed to add Flow Director filter", "iavf 0000:00:01.0:")
def test_rule_that_cannot_be(guest, testpmd):
	"""The driver forgets what the device refuses. It also prints the reply as if that were text."""
	before = info(testpmd, "virtchnl_errors")
	command = f"ethtool -N {NIC} flow-type tcp4 action 1 loc 9"  # It names no field.
	wait_for(lambda: guest.run(command)[0] == 0, "ethtool")
	wait_for(lambda: rules(guest) == 0, "the end of the rule")
	assert info(testpmd, "virtchnl_errors") == before + 1
	assert info(testpmd, "flows") == 0
