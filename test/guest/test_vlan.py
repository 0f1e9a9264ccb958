# SPDX-License-Identifier: BSD-3-Clause
"""VLAN tags in stock Linux: interfaces of one tag and of two, with and without each offload.

The host has no driver for VLANs, so a program of the test answers on the tap, and tells what tags
it has seen on the wire.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guest import NIC
from host import TAP
from stock import wait_for

PEER = "02:00:00:00:00:99"
C_TAG, S_TAG = 0x8100, 0x88a8
# By interface: the tags of its frames, and its part of the address.
INTERFACES = {
	"c7": ([(C_TAG, 7)], 1),
	"s5": ([(S_TAG, 5)], 2),
	"s5c6": ([(S_TAG, 5), (C_TAG, 6)], 3),
	"c7c8": ([(C_TAG, 7), (C_TAG, 8)], 4),
}
# What ethtool calls it: outer tags of 802.1Q or 802.1ad, one of both.
C_OFFLOADS, S_OFFLOADS = ("rxvlan", "txvlan"), ("rx-vlan-stag-hw-parse", "tx-vlan-stag-hw-insert")


class Peer:
	"""Answers pings, with the tags that they have, and remembers those."""

	def __init__(self, namespace):
		# Else a program may send no more than one tag of 802.1Q above the MTU.
		namespace.run("ip", "link", "set", TAP, "mtu", "1508")
		program = Path(__file__).with_name("vlan_peer.py")
		self.process = subprocess.Popen(namespace.enter(sys.executable, "-B", str(program), TAP,
			PEER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		assert self.process.stdout.readline() == "ready\n"

	def ask(self, what):
		self.process.stdin.write(what + "\n")
		self.process.stdin.flush()
		return json.loads(self.process.stdout.readline())

	def seen(self):
		"""The stacks of tags since the last call, by how often they came."""
		return {tuple(map(tuple, stack)): count for stack, count in self.ask("seen")}

	def send(self, mac, tags, count=1):
		"""Sends frames of no protocol."""
		return self.ask(json.dumps({"mac": mac, "tags": tags, "count": count}))

	def close(self):
		self.process.stdin.close()
		self.process.wait(10)


@pytest.fixture(scope="module")
def peer(testpmd):
	peer = Peer(testpmd.namespace)
	yield peer
	peer.close()


@pytest.fixture(scope="module")
def interfaces(running_guest):
	"""VLANs in the guest."""
	guest = running_guest
	guest.check("modprobe 8021q")
	for name, (tags, number) in INTERFACES.items():
		kind, vid = tags[-1]
		below = name.removesuffix(f"c{vid}") if len(tags) == 2 else NIC
		protocol = "802.1q" if kind == C_TAG else "802.1ad"
		guest.check(f"ip link add link {below} name {name} type vlan proto {protocol} id {vid}")
		guest.check(f"ip address add 198.51.{number}.2/24 dev {name}")
		guest.check(f"ip link set {name} up")
	yield guest
	for name in reversed(INTERFACES):
		guest.check(f"ip link del {name}")


def features(guest):
	"""What ethtool -k says, by name."""
	lines = guest.check(f"ethtool -k {NIC}").splitlines()
	return {name.strip(): state.strip() for name, _, state in (line.partition(":")
		for line in lines)}


def set_offloads(guest, testpmd, names):
	"""Switches exactly these on, and waits until the driver has told the device so. It does
	that later, and not in order: what is asked for faster than that ends in a mess."""
	others = [name for name in (*C_OFFLOADS, *S_OFFLOADS) if name not in names]
	for state, which in ("off", others), ("on", names):
		if which:
			guest.check(f"ethtool -K {NIC} " + " ".join(f"{n} {state}" for n in which))
			await_silence(testpmd)


def set_promiscuous(guest, testpmd, on):
	"""The driver tells the device within two seconds."""
	guest.check(f"ip link set {NIC} promisc {'on' if on else 'off'}")
	wait_for(lambda: info(testpmd)["promiscuous"] == (3 if on else 0), "promiscuous mode")


def info(testpmd):
	return testpmd.telemetry("/emu_iavf/info,emu_iavf0")


def await_silence(testpmd):
	count = lambda: info(testpmd)["adminq_received"]
	before = None
	while (now := count()) != before:
		before = now
		time.sleep(0.3)


def loss(guest, number, size=1500, count=4, interval=0.05):
	"""Pings over an interface with IP packets of that many bytes; per cent without an answer."""
	status, output = guest.run(
		f"ping -c {count} -i {interval} -W 2 -s {size - 28} 198.51.{number}.1", 60)
	del status
	return int(output.split("% packet loss")[0].split()[-1])


def test_features_are_those_of_an_e810_vf(interfaces):
	"""In double VLAN mode; see the guide."""
	found = features(interfaces)
	assert {name: found[name] for name in found if "vlan" in name} == {
		"rx-vlan-offload": "on", "tx-vlan-offload": "on", "rx-vlan-filter": "on [fixed]",
		"vlan-challenged": "off [fixed]", "tx-vlan-stag-hw-insert": "off",
		"rx-vlan-stag-hw-parse": "off", "rx-vlan-stag-filter": "on [fixed]"}


@pytest.mark.parametrize("offloads", [C_OFFLOADS, (), S_OFFLOADS, C_OFFLOADS[:1], C_OFFLOADS[1:],
	S_OFFLOADS[:1], S_OFFLOADS[1:]], ids=lambda names: "+".join(names) or "none")
def test_full_frames_pass(guest, interfaces, peer, testpmd, offloads):
	"""Over each interface, with the tags that it has."""
	errors = testpmd.errors()
	set_offloads(guest, testpmd, offloads)
	for name, (tags, number) in INTERFACES.items():
		peer.seen()
		assert loss(guest, number) == 0, name
		assert peer.seen().get(tuple(tags)) == 4, name
	assert testpmd.errors() == errors


def test_offloads_are_toggled_under_traffic(guest, interfaces, peer, testpmd):
	"""Few frames may be lost: the driver's features and the device's change one after the
	other, as on hardware."""
	set_offloads(guest, testpmd, C_OFFLOADS)
	results = "/tmp/ping"
	for number in 1, 3:
		guest.check(f"(ping -c 250 -i 0.03 -W 1 -s 1472 198.51.{number}.1 > {results}{number};"
			f" echo end >> {results}{number}) >/dev/null 2>&1 &")
	for offloads in (S_OFFLOADS, C_OFFLOADS, (), C_OFFLOADS, S_OFFLOADS, C_OFFLOADS):
		set_offloads(guest, testpmd, offloads)
	for number in 1, 3:
		guest.check(f"while ! grep -q end {results}{number}; do sleep 0.1; done", 60)
		output = guest.check(f"cat {results}{number}")
		assert int(output.split("% packet loss")[0].split()[-1]) <= 15, output
	peer.seen()
	assert loss(guest, 1) == loss(guest, 3) == 0


def received(guest):
	return int(guest.check(f"cat /sys/class/net/{NIC}/statistics/rx_packets"))


def test_frames_of_other_vlans_do_not_reach_the_guest(guest, interfaces, peer, testpmd):
	set_offloads(guest, testpmd, C_OFFLOADS)
	mac = guest.check(f"cat /sys/class/net/{NIC}/address")
	count = lambda: testpmd.xstats()["tx_vlan_filtered_packets"]
	before = count()
	for tags in [[C_TAG, 99]], [[S_TAG, 7]], [[S_TAG, 99], [C_TAG, 7]]:
		assert peer.send(mac, tags, 10) == 10
	assert loss(guest, 1) == 0  # What was sent before has come, or not.
	assert count() - before == 30
	# A promiscuous guest sees all.
	set_promiscuous(guest, testpmd, True)
	try:
		assert loss(guest, 1) == 0
		before, packets = count(), received(guest)
		assert peer.send(mac, [[C_TAG, 99]], 50) == 50
		assert loss(guest, 1) == 0
		assert count() == before
		# The driver asks for its statistics every few seconds.
		wait_for(lambda: received(guest) - packets >= 50, "frames of any VLAN")
	finally:
		set_promiscuous(guest, testpmd, False)


def test_filters_outlive_a_reset(guest, interfaces, peer, testpmd):
	"""The driver adds them again, and its offloads."""
	guest.set_mtu(2000)
	guest.set_mtu(1500)
	for name, (_, number) in INTERFACES.items():
		assert loss(guest, number) == 0, name
	mac = guest.check(f"cat /sys/class/net/{NIC}/address")
	count = lambda: testpmd.xstats()["tx_vlan_filtered_packets"]
	before = count()
	assert peer.send(mac, [[C_TAG, 99]], 10) == 10
	assert loss(guest, 1) == 0
	assert count() - before == 10


def set_port_vlan(guest, testpmd, value):
	before = guest.links()
	assert testpmd.telemetry(f"/emu_iavf/set,emu_iavf0,vlan={value}")
	wait_for(lambda: guest.links() > before and guest.carrier(), "end of the reset", 30)


@pytest.mark.parametrize("value, tag", [
	("42:3", (C_TAG, 3 << 13 | 42)), ("43:0:802.1ad", (S_TAG, 43))])
def test_port_vlan(guest, interfaces, peer, testpmd, value, tag):
	"""The guest's tags come behind that of its port, of which it does not know."""
	set_port_vlan(guest, testpmd, value)
	try:
		found = features(guest)
		assert found["rx-vlan-offload"] == found["tx-vlan-offload"] == "on"
		assert found["rx-vlan-filter"] == "off [fixed]"
		for name, (tags, number) in INTERFACES.items():
			peer.seen()
			assert loss(guest, number, size=1400) == 0, name
			assert peer.seen().get((tag, *tags)) == 4, name
		mac = guest.check(f"cat /sys/class/net/{NIC}/address")
		before = testpmd.xstats()["tx_port_vlan_filtered_packets"]
		for tags in [], [[C_TAG, 7]], [[C_TAG, 44]]:
			assert peer.send(mac, tags, 10) == 10
		assert loss(guest, 1) == 0
		assert testpmd.xstats()["tx_port_vlan_filtered_packets"] >= before + 30
	finally:
		set_port_vlan(guest, testpmd, "0")
	assert loss(guest, 1) == 0
