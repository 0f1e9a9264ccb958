# SPDX-License-Identifier: BSD-3-Clause
"""Two guests on one testpmd, which joins them. One of them also has a NIC towards the host, so that
it has traffic while the other is away."""

import json
from pathlib import Path

import pytest

import guest as guests
import host
from stock import Failure, wait_for

MTU = 1500
A, B = "198.51.100.1", "198.51.100.2"
MACS = {"host": "02:00:00:00:00:10", "a": "02:00:00:00:00:11", "b": "02:00:00:00:00:12"}


class Switch(host.Testpmd):
	"""emu_iavf0 and the tap are joined, as are emu_iavf1 (of guest a) and emu_iavf2 (of guest b, which
	its bursts interrupt themselves)."""

	def __init__(self, folder):
		self.sockets = {side: Path(folder) / f"{side}.sock" for side in "ab"}
		super().__init__(folder, devargs=f",mac={MACS['host']}", eal=[
			f"--vdev=emu_iavf{number},path={self.sockets[side]},mac={MACS[side]},tso=1,lro=1,"
			f"irq-inline={side == 'b':d}"
			for number, side in enumerate("ab", 1)])
		self.ends = {self.telemetry(f"/ethdev/info,{port}")["name"]: port
			for port in self.telemetry("/ethdev/list")}
		self.offload_()

	def offload_(self):
		"""Between the guests frames are neither cut nor summed up by anybody."""
		checksums = ("ipv4_cksum", "tcp_cksum", "udp_cksum")
		self.command("stop")
		self.command("port stop all")
		for name in ("emu_iavf1", "emu_iavf2"):
			for way, offloads in {"rx": (*checksums, "tcp_lro", "scatter"),
					"tx": (*checksums, "tcp_tso", "multi_segs")}.items():
				for offload in offloads:
					self.command(f"port config {self.ends[name]} {way}_offload {offload} on")
		assert "Fail to" not in self.command("port start all")
		self.command("start")

	def between(self):
		"""Statistics of the ports at guests a and b that are joined."""
		return [self.telemetry(f"/ethdev/stats,{self.ends[f'emu_iavf{n}']}") for n in (1, 2)]

	def interrupts(self):
		"""Of guests a and b since testpmd began."""
		return [self.telemetry(f"/vfio_user/stats,{self.sockets[side]}")["interrupts"]
			for side in "ab"]

	def connected_to(self, side):
		return self.telemetry(f"/vfio_user/stats,{self.sockets[side]}")["dma_regions"] > 0


@pytest.fixture(scope="module")
def testpmd(tmp_path_factory):
	process = Switch(tmp_path_factory.mktemp("host"))
	try:
		process.wire_vectors(*process.sockets.values())
		yield process
		assert process.quit() == 0, process.log()[-3000:]
	finally:
		process.close()


class End(guests.Guest):
	"""Guest a has the NIC of the host first, and then, as guest b, that towards the other."""

	def __init__(self, folder, switch, side):
		self.side_ = side
		device = {"driver": "vfio-user-pci",
			"socket": {"type": "unix", "path": str(switch.sockets[side])}}
		super().__init__(folder, switch.socket if side == "a" else None,
			more=["-device", json.dumps(device)])
		# So nothing is sent before both are there.
		self.check("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
		self.check("modprobe iavf")
		for mac, name, address in self.nics_():
			find = f"grep -l {mac} /sys/class/net/*/address"
			here = Path(wait_for(lambda: self.run(find)[1], f"NIC {mac}")).parent.name
			self.check(f"ip link set {here} name {name} && ip link set {name} up")
			self.check(f"ip address add {address}/24 dev {name}")
			wait_for(lambda: self.run(f"cat /sys/class/net/{name}/carrier") == (0, "1"),
				f"link of {name}", 15)

	def nics_(self):
		if self.side_ == "a":
			yield MACS["host"], "host0", guests.GUEST_ADDRESS
		yield MACS[self.side_], "other0", A if self.side_ == "a" else B

	def counted(self):
		"""{way: (packets, bytes)} of the NIC towards the other, as on the wire that there is not. With
		what is received there is a CRC."""
		path = "/sys/class/net/other0/statistics"
		read = lambda name: int(self.check(f"cat {path}/{name}"))
		received, sent = read("rx_packets"), read("tx_packets")
		return {"received": (received, read("rx_bytes") - 4 * received),
			"sent": (sent, read("tx_bytes"))}

	def streams_to(self, address, *options, seconds=1):
		command = " ".join(["iperf3 -J -c", address, f"-t {seconds}", *options])
		return json.loads(self.check(command, seconds + 30))["end"]["sum_received"]["bytes"]


@pytest.fixture
def begin(testpmd, tmp_path):
	begun = []

	def start(side):
		begun.append(End(tmp_path / str(len(begun)), testpmd, side))
		begun[-1].check("iperf3 -s -D")
		return begun[-1]
	yield start
	for guest in begun:
		guest.close()


def agree(a, b):
	"""The drivers ask for their statistics every few seconds."""
	def counts():
		return a.counted(), b.counted()
	def same():
		one, other = counts()
		return one["sent"] == other["received"] and other["sent"] == one["received"]
	try:
		wait_for(same, "agreement", 10, 0.5)
	except Failure as error:
		pytest.fail(f"{error}: {counts()}")


def largest_frames(testpmd, stream):
	"""Bytes of a frame, on average, at the ports by which it goes from one guest to the other."""
	before = testpmd.between()
	stream()
	frames = []
	for old, new in zip(before, testpmd.between()):
		for way in "io":
			more = [new[f"{way}{what}"] - old[f"{way}{what}"] for what in ("bytes", "packets")]
			frames.append(more[0] / max(more[1], 1))
	return max(frames[:2]), max(frames[2:])


def test_two_guests(testpmd, begin):
	testpmd.command("set burst tx delay 50 retry 2000")
	testpmd.forward("io retry")
	a, b = begin("a"), begin("b")
	assert " 0% packet loss" in a.check(f"ping -c 5 -i 0.2 -W 5 {B}")
	assert [testpmd.telemetry(f"/emu_iavf/info,emu_iavf{n}")["irq_inline"] for n in (1, 2)] == [0, 1]
	interrupts = testpmd.interrupts()
	for options in (), ("-R",):
		stream = lambda: a.streams_to(B, *options)
		assert all(size > 2 * MTU for size in largest_frames(testpmd, stream)), options
	agree(a, b)
	assert all(new > old + 100 for old, new in zip(interrupts, testpmd.interrupts()))

	testpmd.forward("io")
	# It has traffic with the host while the other is killed and comes again.
	a.start(f"iperf3 -c {host.ADDRESS} -t 600")
	goes_on(testpmd)
	b.kill()
	wait_for(lambda: not testpmd.connected_to("b"), "end of the connection")
	assert a.run(f"ping -c 2 -i 0.2 -W 1 {B}")[0]
	goes_on(testpmd)
	b = begin("b")
	wait_for(lambda: a.run(f"ping -c 2 -i 0.2 -W 1 {B}")[0] == 0, "answer of the other guest", 20)
	assert a.streams_to(B) > 0 and a.streams_to(B, "-R") > 0
	goes_on(testpmd)
	a.check("killall iperf3")
	for guest in a, b:
		assert guest.complaints() == []


def goes_on(testpmd):
	"""The traffic of guest a with the host."""
	before = testpmd.port_stats()
	wait_for(lambda: all(testpmd.port_stats()[way] > before[way] + 100
		for way in ("ipackets", "opackets")), "traffic with the host", 20)
