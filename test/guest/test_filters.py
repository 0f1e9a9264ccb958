# SPDX-License-Identifier: BSD-3-Clause
"""What stock Linux filters: the addresses that it listens to, and rules of ethtool -N. Frames that
the host sends are judged by the guest's queues and by the counters of the host's port."""

import ipaddress
import re

import pytest

import frames
import guest as guests
from guest import NIC
from stock import wait_for
from wire import COUNT, GROUP, IP, OTHER, by_queue, comes, info, own_address, send

QUEUES = 4
MACS = 5  # That the guest may add: there are groups that Linux joins by itself.
DEVARGS = f",macs={MACS},speed=10000"
MACVLAN = "02:00:00:00:00:66"
TC = "/usr/bin/tc"  # Busybox has one of its own, too.


@pytest.fixture(scope="module")
def running_guest(testpmd, tmp_path_factory):
	guest = guests.Guest(tmp_path_factory.mktemp("guest"), testpmd.socket, cpus=QUEUES)
	try:
		guest.load()
		yield guest
	finally:
		guest.close()


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


def change(guest, testpmd, what):
	"""Sets a policy upon which the device is reset."""
	before = guest.links()
	assert testpmd.telemetry(f"/emu_iavf/set,emu_iavf0,{what}")
	wait_for(lambda: guest.links() > before and guest.carrier(), "end of the reset", 30)


def fills_up(guest, testpmd, room, mtu):
	"""The guest makes one macvlan more than there is room for. Linux does without the filter that is
	refused, and adds the others again after a reset."""
	filters, refused = (info(testpmd, name) for name in ("mac_filters", "refused_limits"))
	addresses = [f"02:00:00:00:01:{n:02x}" for n in range(room + 1)]
	for n, mac in enumerate(addresses):
		guest.check(f"{IP} link add mv{n} link {NIC} address {mac} type macvlan")
		guest.check(f"{IP} link set mv{n} up")
		if n < room:
			wait_for(lambda: info(testpmd, "mac_filters") == filters + n + 1, "a filter")
	wait_for(lambda: info(testpmd, "refused_limits") == refused + 1, "the refusal")
	assert "Failed to add MAC filter" in guest.check("dmesg")
	come = lambda: [comes(guest, testpmd, mac) for mac in (own_address(guest), *addresses)]
	assert come() == [True] * (room + 1) + [False]
	guest.set_mtu(mtu)
	wait_for(lambda: info(testpmd, "mac_filters") == filters + room, "the filters of before")
	assert come() == [True] * (room + 1) + [False]
	for n in range(room + 1):
		guest.check(f"{IP} link del mv{n}")
	wait_for(lambda: info(testpmd, "mac_filters") == filters, "the end of the macvlans")


@pytest.mark.guest_may_say("Failed to add MAC filter", "Hardware reset detected")
def test_limits_of_addresses(guest, testpmd):
	"""As the device was made with them, and as they are set at run time."""
	guest.check("modprobe macvlan")
	guest.check("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")  # Nor groups of it.
	groups = info(testpmd, "mac_filters") - 1
	assert info(testpmd, "macs") == str(MACS)
	assert MACS - groups > 1
	fills_up(guest, testpmd, MACS - groups, 2000)
	change(guest, testpmd, f"macs={groups + 1}")
	fills_up(guest, testpmd, 1, 1500)
	assert testpmd.telemetry(f"/emu_iavf/set,emu_iavf0,macs={MACS}")
	change(guest, testpmd, "mcast=0")
	refused = info(testpmd, "refused_limits")
	guest.check(f"{IP} maddr add {GROUP} dev {NIC}")
	wait_for(lambda: info(testpmd, "refused_limits") > refused, "the refusal")
	assert not comes(guest, testpmd, GROUP)
	assert comes(guest, testpmd, own_address(guest)) and comes(guest, testpmd, "ff:ff:ff:ff:ff:ff")
	guest.check(f"{IP} maddr del {GROUP} dev {NIC}")
	# Its own groups were refused with all that Linux had to add again, and are so no more.
	assert testpmd.telemetry("/emu_iavf/set,emu_iavf0,mcast=4096")
	guest.check(f"{IP} link set {NIC} down")
	guest.up()
	wait_for(lambda: info(testpmd, "mac_filters") == groups + 1, "the driver's filters")


def test_speed(guest):
	assert "Speed: 10000Mb/s" in guest.check(f"ethtool {NIC}")


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


# What ethtool calls a part of a rule when it is asked for it, and when it shows it.
PARTS = {"src-ip": "Src IP addr", "dst-ip": "Dest IP addr", "src-port": "Src port",
	"dst-port": "Dest port", "tos": "TOS", "spi": "SPI", "proto": "Ethertype",
	"user-def": "User-defined"}
TYPES = {"tcp4": "TCP over IPv4", "udp4": "UDP over IPv4", "sctp4": "SCTP over IPv4",
	"ip4": "Raw IPv4", "esp4": "IPSEC ESP over IPv4", "ah4": "IPSEC AH over IPv4",
	"tcp6": "TCP over IPv6", "udp6": "UDP over IPv6", "ip6": "Raw IPv6", "ether": "Raw Ethernet"}


def number(text):
	"""Of a number or an address; ethtool shows some in base 16, some in 10."""
	if re.fullmatch(r"0x\w+|\d+", text):
		return int(text, 0)
	if re.fullmatch(r"(\w\w:){5}\w\w", text):
		return int(text.replace(":", ""), 16)
	return int(ipaddress.ip_address(text))


def asked_for(text, action):
	"""A rule in ethtool's words when it shows one."""
	kind, *parts = text.split()
	return {"Filter": "5", "Rule Type": TYPES[kind],
		"Action": "Drop" if action < 0 else f"Direct to queue {action}",
		**{PARTS[name]: number(value) for name, value in zip(parts[::2], parts[1::2])}}


def shown(guest):
	"""The only rule, without the fields that do not count."""
	rows = {}
	for line in guest.check(f"ethtool -u {NIC}").splitlines()[2:]:
		name, _, value = line.strip().replace("Flow Type", "Rule Type").partition(": ")
		value, _, mask = value.partition(" mask: ")
		if name and not (mask and number(mask)):
			rows[name] = number(value) if mask else value
	return rows


@pytest.fixture
def rule(guest, testpmd):
	"""Adds a rule as ethtool does, and waits until the driver has told the device."""
	def add(text, action):
		command = f"ethtool -N {NIC} flow-type {text} action {action} loc 5"
		# The driver says "invalid" also while it is busy with something else.
		wait_for(lambda: guest.run(command)[0] == 0, "ethtool")
		wait_for(lambda: info(testpmd, "flows") == 1, "the rule")
		assert shown(guest) == asked_for(text, action)
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
	wait_for(lambda: info(testpmd, "flows") == rules(guest) == 1, "the driver's rule")
	assert send(guest, testpmd, own, meant)[2] == COUNT


@pytest.mark.guest_may_say("Failed to add Flow Director filter", "iavf 0000:00:01.0:")
def test_rule_that_cannot_be(guest, testpmd):
	"""The driver forgets what the device refuses. It also prints the reply as if that were text."""
	before = info(testpmd, "virtchnl_errors")
	command = f"ethtool -N {NIC} flow-type tcp4 action 1 loc 9"  # It names no field.
	wait_for(lambda: guest.run(command)[0] == 0, "ethtool")
	wait_for(lambda: rules(guest) == 0, "the end of the rule")
	assert info(testpmd, "virtchnl_errors") == before + 1
	assert info(testpmd, "flows") == 0


@pytest.mark.guest_may_say("ADq not supported")
def test_what_tc_cannot_offload(guest, testpmd):
	"""What Linux does itself it does."""
	before = info(testpmd, "virtchnl_errors"), by_queue(guest)
	guest.check("modprobe -a sch_ingress sch_mqprio cls_flower act_gact")
	guest.check(f"{TC} qdisc add dev {NIC} ingress")
	flower = f"{TC} filter add dev {NIC} ingress protocol ip flower %s ip_proto udp action drop"
	mqprio = f"{TC} qdisc add dev {NIC} root mqprio num_tc 2 map 0 1 queues 2@0 2@2 hw %s"
	status, said = guest.run(flower % "skip_sw")
	assert status and "offload is disabled" in said
	guest.check(flower % "skip_hw")
	guest.check(f"{TC} qdisc del dev {NIC} ingress")
	status, said = guest.run(mqprio % "1 mode channel")
	assert status and "not supported" in said
	assert guest.run(f"{TC} qdisc show dev {NIC}")[1].count("mqprio") == 0
	guest.check(mqprio % 0)
	guest.check(f"{TC} qdisc del dev {NIC} root")
	assert info(testpmd, "virtchnl_errors") == before[0]
	assert comes(guest, testpmd, own_address(guest)) and len(by_queue(guest)) == len(before[1])
