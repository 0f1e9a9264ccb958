# SPDX-License-Identifier: BSD-3-Clause
"""The guide's table of what works in a guest that the host trusts, and in one that it does not.

The guest has two NICs, whose taps a bridge of the host joins."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import frames
import guest as guests
import host
from host import ADDRESS, GUEST_ADDRESS, TAP
from stock import Failure, wait_for

MACS = "02:00:00:00:00:10", "02:00:00:00:00:11"
NICS = "eth0", "eth1"
UNTRUSTED, TRUSTED = "trust=off,spoofchk=on", "trust=on,spoofchk=off"
OTHER, VRRP = "02:00:00:00:00:66", "00:00:5e:00:01:2a"
VRRP_GROUP, PARTNER = "01:00:5e:00:00:12", "02:00:00:00:00:99"
BEHIND = "192.0.2.3"
HOST6, GUEST6 = "2001:db8::1", "2001:db8::2"
IP = "/usr/bin/ip"  # Busybox has one of its own that knows less.


class BridgedTestpmd(host.Testpmd):
	def __init__(self, folder):
		self.second = Path(folder) / "nic1.sock"
		super().__init__(folder, devargs=f",mac={MACS[0]},{UNTRUSTED}", eal=(
			f"--vdev=emu_iavf1,path={self.second},queues=1,mac={MACS[1]},{UNTRUSTED}",
			"--vdev=net_tap1,iface=emu1"))
		run = self.namespace.run
		run("ip", "address", "flush", "dev", TAP)
		run("ip", "link", "add", "br0", "type", "bridge")
		for name in (TAP, "emu1", "br0"):
			if name != "br0":
				run("ip", "link", "set", name, "master", "br0")
			run("ip", "link", "set", name, "up")
		run("ip", "address", "add", f"{ADDRESS}/24", "dev", "br0")
		run("ip", "address", "add", f"{HOST6}/64", "dev", "br0", "nodad")

	def numbered(self, number):
		"""Counters of the port of one of the NICs."""
		for port in self.telemetry("/ethdev/list"):
			if self.telemetry(f"/ethdev/info,{port}")["name"] == f"emu_iavf{number}":
				return self.telemetry(f"/ethdev/xstats,{port}")
		raise Failure(f"no port emu_iavf{number}")

	def reaches(self, address):
		"""Of where it is nothing is known before."""
		run = self.namespace.run
		run("ip", "neigh", "flush", "dev", "br0")
		ping = ("ping", "-c", "2", "-i", "0.2", "-W", "1", address)
		return subprocess.run(self.namespace.enter(*ping), capture_output=True).returncode == 0

	def info(self, number=0):
		return self.telemetry(f"/emu_iavf/info,emu_iavf{number}")

	def set(self, number, what):
		assert self.telemetry(f"/emu_iavf/set,emu_iavf{number},{what}")


@pytest.fixture(scope="module")
def testpmd(tmp_path_factory):
	process = BridgedTestpmd(tmp_path_factory.mktemp("host"))
	try:
		process.wire_vectors(process.second)
		yield process
		assert process.quit() == 0, process.log()[-3000:]
	finally:
		process.close()


@pytest.fixture(scope="module")
def running_guest(testpmd, tmp_path_factory):
	second = {"driver": "vfio-user-pci", "socket": {"type": "unix", "path": str(testpmd.second)}}
	guest = guests.Guest(tmp_path_factory.mktemp("guest"), testpmd.socket,
		more=["-device", json.dumps(second)])
	try:
		guest.check("modprobe -a iavf macvlan bridge bonding 8021q veth")
		for name, mac in zip(("port0", "port1"), MACS):
			find = f"grep -l {mac} /sys/class/net/*/address"
			path = wait_for(lambda: guest.run(find)[1], f"NIC {mac}")
			guest.check(f"{IP} link set {Path(path).parent.name} name {name}")
		for name, nic in zip(("port0", "port1"), NICS):
			guest.check(f"{IP} link set {name} name {nic} && {IP} link set {nic} up")
		for nic in NICS:
			wait_for(lambda: carrier(guest, nic), "link")
		yield guest
	finally:
		guest.close()


def reaches(guest, device, to=ADDRESS):
	# Whether that address is somewhere else is known to nobody any more.
	guest.run(f"{IP} neigh flush all")
	return guest.run(f"ping -I {device} -c 2 -i 0.2 -W 1 {to}")[0] == 0


def comes_to_reach(guest, device, to=ADDRESS):
	wait_for(lambda: reaches(guest, device, to), f"answer to {device}", 20)


def carrier(guest, nic):
	return guest.run(f"cat /sys/class/net/{nic}/carrier") == (0, "1")


def with_address(guest, device, address=GUEST_ADDRESS):
	guest.check(f"{IP} link set {device} up && {IP} address add {address}/24 dev {device}")


def plain(guest, testpmd):
	with_address(guest, "eth0")
	comes_to_reach(guest, "eth0")
	neighbour_discovery(guest, testpmd)


def neighbour_discovery(guest, testpmd):
	"""The guest hears who looks for it, and who has an address that it wants. It listens to groups
	only after its driver has told the device, which takes a while."""
	groups = lambda: guest.check(f"{IP} maddr show dev eth0").count("link ")
	wait_for(lambda: testpmd.info()["mac_filters"] > groups(), "filters for groups")
	for address in GUEST6, HOST6:
		guest.check(f"{IP} address add {address}/64 dev eth0")
	shown = lambda address: guest.check(f"{IP} -6 -o address show dev eth0 to {address}")
	wait_for(lambda: "tentative" not in shown(GUEST6), "an address of the guest's own")
	wait_for(lambda: "dadfailed" in shown(HOST6), "the host's objection")
	guest.check(f"{IP} address del {HOST6}/64 dev eth0")
	wait_for(lambda: testpmd.reaches(GUEST6), "answer to the host, which asks first", 20)
	comes_to_reach(guest, "eth0", HOST6)


def vlan(guest, testpmd):
	"""Its frames pass, and are not answered."""
	guest.check(f"{IP} link set eth0 up")
	guest.check(f"{IP} link add link eth0 name v5 type vlan id 5")
	with_address(guest, "v5", "192.0.2.5")
	wait_for(lambda: carrier(guest, "v5"), "link")
	before, errors = testpmd.port_stats()["ipackets"], testpmd.errors()
	wait_for(lambda: not guest.run(f"arping -I v5 -c 1 -w 1 {ADDRESS}")[0] or
		testpmd.port_stats()["ipackets"] > before + 3, "frames of the VLAN")
	assert testpmd.errors() == errors


def vrrp(guest, testpmd, works):
	"""The virtual router has a macvlan with its address, as keepalived makes it."""
	guest.check(f"{IP} link set eth0 up")
	hears_other_routers(guest, testpmd)
	become_router(guest, "eth0")
	judge(guest, testpmd, "mv0", works)
	if works:
		another_takes_over(guest, testpmd)


def become_router(guest, nic):
	guest.check(f"{IP} link add link {nic} name mv0 address {VRRP} type macvlan mode bridge")
	with_address(guest, "mv0")


def hears_other_routers(guest, testpmd):
	"""As soon as it listens: until then their advertisements are filtered."""
	body = frames.V4 + frames.ip4(112, bytes.fromhex("212a640100640000c0000201"),
		addresses=bytes.fromhex("c0000207e0000012"))
	advertisement = bytes.fromhex(VRRP_GROUP.replace(":", "")) + frames.MACS[6:] + body

	def heard():
		"""None: the guest's ring was not there yet."""
		counts = lambda: (testpmd.numbered(0)["tx_address_filtered_packets"], received())
		received = lambda: int(re.search(r"rx-0\.packets: (\d+)",
			guest.check("ethtool -S eth0"))[1])
		before = counts()
		testpmd.namespace.send(TAP, [advertisement.ljust(60, b"\0")] * 10)
		more = lambda: [now - then for now, then in zip(counts(), before)]
		with contextlib.suppress(Failure):
			wait_for(lambda: sum(more()) >= 10, "advertisements", 2)
		return more()[0] == 0 if sum(more()) >= 10 else None
	wait_for(lambda: heard() is False, "advertisements that nobody wants", 30)
	guest.check(f"{IP} address add 224.0.0.18/32 dev eth0 autojoin")
	wait_for(heard, "the group of routers", 30)


def another_takes_over(guest, testpmd):
	"""The NIC of another router has the address, and says so; nobody but the bridge notices."""
	assert testpmd.reaches(GUEST_ADDRESS)
	pings = subprocess.Popen(testpmd.namespace.enter("ping", "-i", "0.1", GUEST_ADDRESS),
		stdout=subprocess.DEVNULL)
	try:
		to = lambda number: testpmd.numbered(number)["tx_good_packets"]
		guest.check(f"{IP} link del mv0")
		guest.check(f"{IP} link set eth1 up")
		become_router(guest, "eth1")
		wait_for(lambda: carrier(guest, "mv0"), "link")
		guest.check(f"arping -U -I mv0 -c 2 -w 1 {GUEST_ADDRESS} || true")
		before = [to(number) for number in (0, 1)]
		wait_for(lambda: to(1) >= before[1] + 10, "pings to the other NIC")
		assert to(0) < before[0] + 5 and pings.poll() is None
	finally:
		pings.kill()
		pings.wait()
	comes_to_reach(guest, "mv0")


def bridge(guest, testpmd, works):
	guest.check(f"{IP} link add br0 address {OTHER} type bridge forward_delay 0")
	guest.check(f"{IP} link set eth0 master br0 && {IP} link set eth0 up")
	with_address(guest, "br0")
	judge(guest, testpmd, "br0", works)
	behind_the_bridge(guest, testpmd, works)


def behind_the_bridge(guest, testpmd, works):
	"""Somebody else, whom the host calls first."""
	guest.check(f"mkdir -p /run && {IP} netns add behind")
	guest.check(f"{IP} link add ve0 type veth peer name ve1 netns behind")
	guest.check(f"{IP} link set ve0 master br0 && {IP} link set ve0 up")
	inside = f"{IP} netns exec behind"
	guest.check(f"{inside} {IP} link set ve1 up")
	guest.check(f"{inside} {IP} address add {BEHIND}/24 dev ve1")
	ping = f"{inside} ping -c 2 -i 0.2 -W 1 {ADDRESS}"
	if works:
		wait_for(lambda: testpmd.reaches(BEHIND), "answer from behind the bridge")
		guest.check(ping)
		return
	before = testpmd.errors()["rx_spoofed_errors"]
	assert not testpmd.reaches(BEHIND) and guest.run(ping)[0]
	assert testpmd.errors()["rx_spoofed_errors"] > before


def judge(guest, testpmd, device, works):
	if works:
		comes_to_reach(guest, device)
		return
	wait_for(lambda: carrier(guest, device), "link")
	before = testpmd.errors()["rx_spoofed_errors"]
	assert not reaches(guest, device)
	assert testpmd.errors()["rx_spoofed_errors"] > before


def bond(guest, testpmd, works, mode, options="", also=lambda guest: None):
	guest.check(f"{IP} link set eth0 down && {IP} link set eth1 down")
	guest.check(f"{IP} link add bond0 type bond mode {mode} miimon 50 {options}")
	guest.check(f"{IP} link set eth0 master bond0")
	status, said = guest.run(f"{IP} link set eth1 master bond0")
	assert (status == 0) == works, said
	if not works:
		return
	with_address(guest, "bond0")
	comes_to_reach(guest, "bond0")
	also(guest)
	testpmd.set(0, "link=down")
	wait_for(lambda: not carrier(guest, "eth0"), "loss of a link")
	comes_to_reach(guest, "bond0")
	testpmd.set(0, "link=auto")


def active_backup(guest, testpmd, works):
	bond(guest, testpmd, works, "active-backup")


def active_backup_own(guest, testpmd):
	"""The bond takes the address of the member that is active."""
	bond(guest, testpmd, True, "active-backup", "fail_over_mac 1")


def link_aggregation(guest, testpmd, works):
	with partner(testpmd):
		bond(guest, testpmd, works, "802.3ad", "lacp_rate fast", of_one_partner)


@contextlib.contextmanager
def partner(testpmd):
	"""The host's kernel may have no bonds: a program speaks LACP for it, and a bridge takes the
	frames of both ports."""
	program = Path(__file__).with_name("lacp_peer.py")
	process = subprocess.Popen(testpmd.namespace.enter(sys.executable, "-B", str(program), PARTNER,
		TAP, "emu1"), stdin=subprocess.PIPE)
	try:
		yield
	finally:
		process.stdin.close()
		process.wait(10)


def of_one_partner(guest):
	"""Both ports of the bond know the same partner, and make up one aggregator."""
	shown = lambda: guest.check("cat /proc/net/bonding/bond0")
	wait_for(lambda: f"Partner Mac Address: {PARTNER}" in shown()
		and "Number of ports: 2" in shown(), "an aggregate of two", 20)
	wait_for(lambda: re.findall(r"port state: (\d+)", shown()) == ["63"] * 4, "ports in step", 20)
	ids = re.findall(r"Aggregator ID: (\d+)", shown())
	assert len(ids) == 3 and len(set(ids)) == 1, shown()


# What works only in a guest that is trusted, and what in any. (macvlan: see test_driver.py)
MATTER_OF_TRUST = vrrp, active_backup, link_aggregation, bridge
ALWAYS = plain, vlan, active_backup_own  # The first of these is what all else stands on.


def undo(guest):
	guest.run(f"{IP} netns del behind")
	for name in ("v5", "mv0", "br0", "bond0"):
		guest.run(f"{IP} link del {name}")
	for nic in NICS:
		guest.check(f"{IP} address flush dev {nic}")
		guest.check(f"{IP} link set {nic} down")


@pytest.mark.guest_may_say("Failed to add MAC filter", "Error -13 calling dev_set_mac_address",
	"Hardware reset detected")
@pytest.mark.parametrize("policy", [UNTRUSTED, TRUSTED])
def test_policy(guest, testpmd, policy):
	if testpmd.info()["trust"] != policy[6:policy.index(",")]:
		for number in (0, 1):
			resets = testpmd.info(number)["resets_by_host"]
			testpmd.set(number, policy)
			assert testpmd.info(number)["resets_by_host"] == resets + 1
	for row in MATTER_OF_TRUST:
		row(guest, testpmd, policy == TRUSTED)
		undo(guest)
	for row in ALWAYS if policy == UNTRUSTED else ALWAYS[:1]:
		row(guest, testpmd)
		undo(guest)
