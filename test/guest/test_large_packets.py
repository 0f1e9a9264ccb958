# SPDX-License-Identifier: BSD-3-Clause
"""Large packets of TCP stay large on their way between two guests.

One guest is given them whole (lro=1), the other gets frames, and its own are not copied
(zero-copy=1), whatever becomes of its driver while the application still has some.
"""

import json
import os
import struct
import subprocess
import sys

import pytest

import guest as guests
import host
from frames import checksum
from stock import Failure, StockTestpmd, wait_for

# Linux wonders, once, at receives that are longer than a segment and do not say of how many.
pytestmark = pytest.mark.guest_may_say("suspect GRO implementation")

PEER_ADDRESS = "192.0.2.3"
LINK_MTU = 1500
REQUESTS = "tcp_lro", "ipv4_cksum", "tcp_cksum", "udp_cksum"
OUT = "ipv4_cksum", "tcp_cksum", "udp_cksum", "tcp_tso"

# Frames that testpmd keeps in its mode "noisy" until others come, at most, and how many are lent to
# it, fewer than half of any ring here.
KEPT, LENT = 127, 96
LONG, SHORT = 1400, 128


@pytest.fixture(scope="module")
def testpmd(tmp_path_factory):
	"""Two devices and a tap, whose ports hand on what they have not carried out."""
	folder = tmp_path_factory.mktemp("host")
	second = f"--vdev=emu_iavf1,path={folder}/nic1.sock,zero-copy=1"
	process = host.Testpmd(folder, devargs=",lro=1", eal=(second,),
		options=(f"--noisy-tx-sw-buffer-size={KEPT + 1}",))
	try:
		process.wire_vectors()
		for line in ("stop", "port stop all"):
			process.command(line)
		for name in ("emu_iavf0", "emu_iavf1"):
			configure(process, port_named(process, name), REQUESTS, OUT)
		configure(process, port_named(process, "net_tap"), (), OUT)
		process.command("port start all")
		yield process
		assert process.quit() == 0, process.log()[-3000:]
	finally:
		process.close()


def configure(process, port, rx, tx):
	for what, names in (("rx", rx), ("tx", tx)):
		for name in names:
			process.command(f"port config {port} {what}_offload {name} on")


def port_named(process, name):
	return next(port for port in process.telemetry("/ethdev/list")
		if name in process.telemetry(f"/ethdev/info,{port}")["name"])


def join(process, *names):
	"""Forwards between two ports; returns their numbers."""
	ports = [port_named(process, name) for name in names]
	process.command("stop")
	process.command(f"set portlist {ports[0]},{ports[1]}")
	process.command("start")
	return ports


@pytest.fixture(scope="module")
def peer(testpmd, tmp_path_factory):
	"""The guest that gets frames."""
	folder = tmp_path_factory.mktemp("peer")
	join(testpmd, "emu_iavf0", "emu_iavf1")
	other = guests.Guest(folder, testpmd.socket.with_name("nic1.sock"))
	try:
		other.load()
		other.check(f"ip address flush dev {guests.NIC} && "
			f"ip address add {PEER_ADDRESS}/{host.PREFIX} dev {guests.NIC}")
		other.start("iperf3 -s")
		yield other
	finally:
		other.close()


def stream(guest, to, *options):
	"""Runs iperf3; returns the received bits per second, and how many segments were lost."""
	command = " ".join([f"iperf3 -J -c {to} -t 3", *options])
	status, output = guest.run(command, 60)
	report = json.loads(output) if output.startswith("{") else {"error": output}
	if status or "error" in report:
		raise Failure(f"guest: {command}: status {status}: {report.get('error')}")
	end = report["end"]
	return end["sum_received"]["bits_per_second"], end["sum_sent"].get("retransmits", 0)


def lengths(process, ports, run):
	"""Average lengths of what the ports receive and send while a stream runs towards the second."""
	names = [(ports[0], "i"), (ports[1], "o")]

	def read():
		found = [(process.telemetry(f"/ethdev/stats,{port}"), way) for port, way in names]
		return [(one[f"{way}bytes"], one[f"{way}packets"]) for one, way in found]
	before = read()
	rate, lost = run()
	after = read()
	return rate, lost, [(b[0] - a[0]) / (b[1] - a[1]) for a, b in zip(before, after)]


def errors(process, port):
	xstats = process.telemetry(f"/ethdev/xstats,{port}")
	return {name: value for name, value in xstats.items() if value and "error" in name}


@pytest.mark.parametrize("options", [(), ("-P", "4")], ids=["1 stream", "4 streams"])
@pytest.mark.parametrize("whole", [False, True], ids=["cut", "lro=1"])
def test_guest_to_guest(guest, peer, testpmd, whole, options):
	names = ("emu_iavf1", "emu_iavf0") if whole else ("emu_iavf0", "emu_iavf1")
	ports = join(testpmd, *names)
	more = ("-R",) if whole else ()
	rate, lost, (received, sent) = lengths(testpmd, ports,
		lambda: stream(guest, PEER_ADDRESS, *options, *more))
	print(f"{rate / 1e6:.0f} Mbit/s, {lost} lost, {received:.0f} to {sent:.0f} bytes")
	assert rate > 0
	assert received > 2 * LINK_MTU, "TSO requests are handed over"
	assert sent > 2 * LINK_MTU if whole else sent <= LINK_MTU + 14
	assert not errors(testpmd, ports[0]) and not errors(testpmd, ports[1])
	assert (lent(testpmd, ports[0]) > 0) == whole, "the one has zero-copy=1, the other not"


def test_linux_joins_what_is_received_of_one_packet(guest, peer, testpmd):
	"""A packet of 64 KiB takes three receives of 16 buffers; the stack gets, and acknowledges, one."""
	_, port = join(testpmd, "emu_iavf1", "emu_iavf0")
	count = lambda: (testpmd.telemetry(f"/ethdev/stats,{port}")["opackets"],
		int(guest.check("awk '/^Tcp: [0-9]/ { print $11 }' /proc/net/snmp")))
	before = count()
	stream(guest, PEER_ADDRESS, "-R")
	receives, segments = (now - then for now, then in zip(count(), before))
	print(f"{receives} receives, {segments} segments for TCP")
	assert segments < 0.75 * receives


def lent(process, port):
	"""Frames that were not copied."""
	return process.telemetry(f"/ethdev/xstats,{port}").get("rx_zero_copy_packets", 0)


def test_tap_to_guest(guest, testpmd):
	ports = join(testpmd, "emu_iavf0", "net_tap")
	rate, lost = stream(guest, guests.ADDRESS, "-R")
	print(f"{rate / 1e6:.0f} Mbit/s, {lost} lost")
	assert rate > 0
	assert not errors(testpmd, ports[0])



WATCH = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
	wire.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
	wire.bind((sys.argv[1], 3))  # ETH_P_ALL
	wire.setblocking(False)
	print(flush=True)
	for line in sys.stdin:
		try:
			while True:
				print(wire.recv(65536).hex())
		except BlockingIOError:
			print(flush=True)
"""


class Wire:
	"""All frames that have come out of the tap, in order."""

	def __init__(self, process):
		self.process_ = subprocess.Popen(
			process.namespace.enter(sys.executable, "-c", WATCH, host.TAP), text=True,
			stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		self.frames_ = self.read_()

	def read_(self):
		lines = []
		while (line := self.process_.stdout.readline()) != "\n":
			if not line:
				raise Failure("the watcher of the tap has ended")
			lines.append(bytes.fromhex(line))
		return lines

	def frames(self, length):
		self.process_.stdin.write("\n")
		self.process_.stdin.flush()
		self.frames_ += self.read_()
		return [frame for frame in self.frames_ if len(frame) == length]

	def close(self):
		self.process_.kill()
		self.process_.communicate()


def number_of(frame):
	"""What pktgen has numbered a datagram with; None if that is not as it was sent."""
	segment = frame[34:]
	pseudo = frame[26:34] + struct.pack(">HH", 17, len(segment))
	magic, number = struct.unpack_from(">II", segment, 8)
	right = magic == 0xbe9be955 and checksum(frame[14:34]) == checksum(pseudo + segment) == 0
	return number if right else None


class Keeper:
	"""A port with zero copy whose application keeps frames until more come."""

	def __init__(self, peer, process):
		self.peer, self.process, self.wire = peer, process, Wire(process)
		self.port, _ = join(process, "emu_iavf1", "net_tap")
		self.mbufs = process.resources()["mbufs"]
		self.sent = {LONG: 0, SHORT: 0}
		peer.check("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
		peer.check(f"echo 1 > /proc/sys/net/ipv6/conf/{guests.NIC}/disable_ipv6")
		process.forward("noisy")

	def send(self, count, length, wait=True):
		"""Datagrams whose checksum the guest itself makes, until the host has them."""
		taken = lambda: self.process.telemetry(f"/ethdev/stats,{self.port}")["ipackets"]
		before = taken()
		self.peer.transmit(count, length, settings=("flag UDPCSUM",), wait=wait)
		wait_for(lambda: taken() >= before + count, "frames of the guest")
		self.sent[length] += count

	def lend(self):
		"""The application keeps frames of the guest, and none of them is a copy."""
		self.peer.check(f"ethtool -K {guests.NIC} tx off")
		before = lent(self.process, self.port)
		self.send(LENT, LONG, wait=False)
		wait_for(lambda: lent(self.process, self.port) == before + LENT, "frames without a copy")
		assert len(self.wire.frames(LONG)) == self.sent[LONG] - LENT

	def push_out(self):
		"""What the guest sends now comes out behind what it has lent."""
		self.send(3 * KEPT, SHORT)
		self.come_out()
		wait_for(lambda: len(self.wire.frames(SHORT)) >= self.sent[SHORT] - KEPT, "copies")
		assert self.process.resources()["mbufs"] <= self.mbufs + KEPT

	def come_out(self):
		wait_for(lambda: len(self.wire.frames(LONG)) >= self.sent[LONG], "frames that were kept")

	def close(self):
		self.wire.close()
		self.process.forward("io")


@pytest.fixture
def keeper(peer, testpmd):
	one = Keeper(peer, testpmd)
	yield one
	one.close()


class Successor(StockTestpmd):
	"""Takes the device over from a guest."""

	def __init__(self, path):
		super().__init__()
		self.start_(f"emudev-next-{os.getpid()}", ("--in-memory", "-m", "64"),
			(f"--vdev=vfio_user_pci0,path={path}",), ("--total-num-mbufs=4096", "--no-flush-rx"))
		wait_for(lambda: self.telemetry("/ethdev/link_status,0")["status"] == "UP", "link", 15)


# While frames are kept: what resets the device under a driver, and another one.
EVENTS = (
	(f"echo 1 > /sys/class/net/{guests.NIC}/device/reset",),
	(f"ethtool -G {guests.NIC} tx 448", f"ip link set {guests.NIC} mtu {LINK_MTU - 50}"),
	("rmmod iavf && modprobe iavf",),
)


@pytest.mark.host_may_keep("mbufs")  # testpmd forgets what it keeps when its mode ends.
def test_guest_goes_on_while_its_frames_are_kept(peer, testpmd, keeper):
	"""Whatever it does, all come out once, and what it sends after it as it was sent. The guest may
	use the memory of the others meanwhile, but not that of a guest that is dead."""
	for commands in EVENTS:
		keeper.lend()
		for command in commands:
			if "modprobe" in command:
				peer.check(command)
				peer.up()
			else:
				peer.reconfigure(command)
		keeper.push_out()
	intact = [number for frame in keeper.wire.frames(LONG) if (number := number_of(frame))]
	print(f"{len(intact)} of {keeper.sent[LONG]} kept frames are what they were")
	# On a busy machine it may take 5 s: then Linux begins anew by itself.
	expected = "Hardware reset detected", "timed out"
	assert not [line for line in peer.complaints() if not any(text in line for text in expected)]
	assert not errors(testpmd, keeper.port)

	keeper.lend()
	memory = testpmd.resources()["guest mappings"]
	peer.kill()
	down = lambda: testpmd.telemetry(f"/ethdev/link_status,{keeper.port}")["status"] == "DOWN"
	wait_for(down, "end of the link")
	assert testpmd.resources()["guest mappings"] == memory
	following = Successor(testpmd.socket.with_name("nic1.sock"))
	try:
		for line in ("set fwd rxonly", f"start tx_first {3 * KEPT // 32 + 1}"):
			following.command(line)
		keeper.come_out()
	finally:
		following.close()
	wait_for(lambda: testpmd.resources()["guest mappings"] == memory - 1, "end of its memory")
	long, short = ([number_of(frame) for frame in keeper.wire.frames(length)]
		for length in (LONG, SHORT))
	assert len(long) == keeper.sent[LONG]
	assert long[-LENT:] == [*range(1, LENT + 1)]
	assert short == len(EVENTS) * [*range(1, 3 * KEPT + 1)]
