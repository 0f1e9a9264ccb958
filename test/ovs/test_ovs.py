# SPDX-License-Identifier: BSD-3-Clause
"""Open vSwitch with DPDK as the distribution has it: its port is an emulated NIC, made by itself.

Each test has a switch and a database of its own, and nothing of the machine's.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[1] / "dpdk"))

from pair import BURST, Endpoint, attach_another  # noqa: E402
from test_pair_handover import FRAMES, PAYLOADS, PEER, SEGMENT  # noqa: E402
from test_pair_host_offloads import stream_of  # noqa: E402
from test_pair_offloads import MACS, checksum, is_right, pseudo, tcp_frame  # noqa: E402
from stock import BUILD, DIE_WITH_US, execute, wait_for  # noqa: E402

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"

pytestmark = pytest.mark.skipif(not Path(VSWITCHD).exists(),
	reason="openvswitch-switch-dpdk is not installed")


class Switch:
	"""A bridge "br0" in a switch that polls with one thread."""

	def __init__(self, folder, *settings):
		self.folder = folder
		self.more_settings_ = settings
		self.prefix = f"emudev-ovs-{os.getpid()}"
		self.environment_ = os.environ | {name: str(folder)
			for name in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR")}
		self.database_ = f"unix:{folder}/db.sock"
		self.cleanup_ = contextlib.ExitStack()
		runtime = f"/var/run/dpdk/{self.prefix}"
		self.cleanup_.callback(shutil.rmtree, runtime, ignore_errors=True)
		with contextlib.ExitStack() as on_failure:
			on_failure.callback(self.close)
			execute("ovsdb-tool", "create", f"{folder}/conf.db", SCHEMA)
			self.spawn_("ovsdb", "ovsdb-server", f"{folder}/conf.db",
				f"--remote=p{self.database_}")
			wait_for((folder / "db.sock").exists, "database")
			self.vsctl("--no-wait", "init")
			self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *self.settings_())
			self.start_()
			self.vsctl("add-br", "br0", "--", "set", "bridge", "br0",
				"datapath_type=netdev")
			on_failure.pop_all()

	def start_(self):
		self.process = self.spawn_("vswitchd", VSWITCHD, self.database_,
			f"--unixctl={self.folder}/vswitchd.ctl")

	def restart(self):
		"""What the database says comes back by itself."""
		self.end_(self.process)
		self.start_()

	def settings_(self):
		extra = f"--no-pci --in-memory --file-prefix={self.prefix} -d {BUILD}/drivers"
		return ("other_config:dpdk-init=true", "other_config:dpdk-socket-mem=64",
			"other_config:per-port-memory=true", "other_config:pmd-cpu-mask=0x1",
			f"other_config:dpdk-extra=\"{extra}\"", *self.more_settings_)

	def spawn_(self, name, *command):
		with (self.folder / f"{name}.log").open("wb") as log:
			process = subprocess.Popen((*DIE_WITH_US, *command, "-vconsole:info"),
				stdin=subprocess.DEVNULL, stdout=log, stderr=log,
				env=self.environment_)
		self.cleanup_.callback(self.end_, process)
		return process

	@staticmethod
	def end_(process):
		if process.poll() is None:
			process.send_signal(signal.SIGTERM)
		try:
			process.wait(10)
		except subprocess.TimeoutExpired:
			process.kill()
			process.wait()

	def close(self):
		self.cleanup_.close()

	def vsctl(self, *arguments):
		command = "ovs-vsctl", f"--db={self.database_}", "--timeout=20", *arguments
		return execute(*command).strip()

	def appctl(self, *arguments):
		return execute("ovs-appctl", "-t", f"{self.folder}/vswitchd.ctl", *arguments)

	def add_nic(self, name, path, more="", options=()):
		device = f"emu_iavf{name[1:]}"
		self.vsctl("add-port", "br0", name, "--", "set", "Interface", name, "type=dpdk",
			f"options:dpdk-devargs=\"{device},path={path}{more}\"", *options)

	def get(self, interface, column):
		return self.vsctl("get", "Interface", interface, column)

	def request_mtu(self, interface, mtu):
		self.vsctl("set", "Interface", interface, f"mtu_request={mtu}")
		wait_for(lambda: self.get(interface, "mtu") == str(mtu), f"MTU {mtu}")
		assert self.get(interface, "error") == "[]"


@pytest.fixture
def switch(request):
	"""A test may have further settings: a parameter."""
	folder = Path(tempfile.mkdtemp(prefix="emudev-ovs-"))
	switch = Switch(folder, *getattr(request, "param", ()))
	try:
		yield switch
	finally:
		switch.close()
		shutil.rmtree(folder)


@pytest.fixture
def consumer(tmp_path):
	end = Endpoint(tmp_path, "consumer", "net_null0", eal=("--iova-mode=va",), start=False)
	try:
		yield end
	finally:
		end.close()


def received(switch):
	"""Packets that the switch has had from the consumer."""
	return counted(switch, "n0", "rx_packets")


def counted(switch, interface, what):
	return int(switch.get(interface, f"statistics:{what}"))


def traffic_passes(switch, consumer):
	"""OVS updates its counters every few seconds."""
	before = received(switch)
	consumer.command("set fwd txonly")
	consumer.command("start")
	wait_for(lambda: received(switch) > before, "traffic", 20, 0.2)
	consumer.command("stop")


def test_port_comes_and_goes_in_one_step(switch):
	path = switch.folder / "nic.sock"
	for _ in range(2):
		switch.add_nic("n0", path)
		assert switch.get("n0", "error") == "[]"
		assert path.is_socket()
		switch.vsctl("del-port", "n0")
		wait_for(lambda: not path.exists(), "end of the socket")
	assert switch.process.poll() is None


def test_mtu_is_requested_at_run_time(switch, consumer):
	path = switch.folder / "nic.sock"
	switch.add_nic("n0", path)
	port = attach_another(consumer, "vfio_user_pci0", path)
	traffic_passes(switch, consumer)
	for mtu in 9000, 1500, 9000:
		switch.request_mtu("n0", mtu)
	link = f"/ethdev/link_status,{port}"
	wait_for(lambda: consumer.telemetry(link)["status"] == "UP", "link", 15)
	traffic_passes(switch, consumer)


def burst(switch, sender):
	"""A burst from each of two queues, which the switch has received when this returns."""
	sender.command("start tx_first")
	sender.command("stop")
	sent = sender.port_stats()["opackets"]
	assert sent % (2 * BURST) == 0
	wait_for(lambda: re.search(rf"n0 .*\n *RX packets:{sent} ", switch.appctl("dpctl/show", "-s")),
		f"{sent} packets at the switch")


def listens(path):
	"""Of those that are left over nobody does."""
	sockets = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
	return any(words[3] == "00010000" and words[-1] == str(path) for words in sockets)


def await_frames(end, tags):
	"""By the tags that they have, None of those without."""
	def found():
		return Counter(int.from_bytes(frame[14:16], "big") if frame[12:14] == b"\x81\0" else None
			for frame in end.all_received())
	wait_for(lambda: found() == tags, f"frames with tags {tags}")


def use_tag(switch, *change):
	"""Flows that the switch remembers follow later than the command ends."""
	switch.vsctl(*change)
	switch.appctl("revalidator/wait")


def use_vlans(switch, first, second):
	"""The one NIC is in VLAN 10; the other is a trunk, in another VLAN, and in the same."""
	second.command("start")
	burst(switch, first)
	await_frames(second, {10: 2 * BURST})
	use_tag(switch, "set", "Port", "n1", "tag=20")
	burst(switch, first)
	use_tag(switch, "set", "Port", "n1", "tag=10")
	burst(switch, first)
	await_frames(second, {10: 2 * BURST, None: 2 * BURST})
	use_tag(switch, "clear", "Port", "n1", "tag")


def test_two_nics_on_a_bridge(switch, tmp_path):
	"""Also after a restart of the switch, to which nobody has said anything again."""
	paths = [switch.folder / f"n{number}.sock" for number in range(2)]
	switch.add_nic("n0", paths[0], ",queues=2", ("options:n_rxq=2", "--", "set", "Port", "n0", "tag=10"))
	switch.add_nic("n1", paths[1], ",spoofchk=on")
	for life in "first", "after a restart":
		wait_for(lambda: all(map(listens, paths)), "sockets", 20)
		with contextlib.ExitStack() as cleanup:
			first, second = (cleanup.enter_context(contextlib.closing(Endpoint(tmp_path, "consumer",
				f"vfio_user_pci0,path={path}", start=False, **options)))
				for path, options in zip(paths, ({"queues": 2, "alone": True}, {"frames": {0: FRAMES}})))
			first.await_link()
			second.await_link()
			use_vlans(switch, first, second)
			polled = re.findall(r"port: n0 +queue-id: +(\d)", switch.appctl("dpif-netdev/pmd-rxq-show"))
			assert polled == ["0", "1"]
			if life == "first":
				# Each frame that the second sends has the address of somebody else.
				wait_for(lambda: counted(switch, "n1", "rx_spoofed_errors") == len(FRAMES), "drops", 20)
				switch.restart()


TAP = "emudevovs0"
SOL_PACKET, PACKET_VNET_HDR = 263, 15


@pytest.fixture
def tap(switch):
	"""A tap of the switch, which would outlive it."""
	switch.vsctl("add-port", "br0", TAP, "--", "set", "Interface", TAP, "type=tap")
	execute("ip", "link", "set", TAP, "up")
	yield TAP
	switch.vsctl("del-port", "br0", TAP)
	wait_for(lambda: not Path(f"/sys/class/net/{TAP}").exists(), "end of the tap")


def take(wire, count):
	"""Frames of the consumer at the tap."""
	frames = []

	def all_came():
		try:
			frame = wire.recv(65536)
		except TimeoutError:
			return False
		frames.extend([frame] if frame[:6] == PEER else [])
		return len(frames) == count
	wait_for(all_came, "frames at the tap", 20)
	return frames


@pytest.mark.parametrize("switch", [("other_config:userspace-tso-enable=true",)], indirect=True)
def test_large_packets_pass(switch, tap, tmp_path):
	"""OVS cannot enable LRO. Its mbufs have room for a large MTU, and must not be chained."""
	path = switch.folder / "nic.sock"
	switch.add_nic("n0", path, ",tso=1")
	switch.request_mtu("n0", 9000)
	with contextlib.closing(Endpoint(tmp_path, "consumer", f"vfio_user_pci0,path={path}",
			frames={0: FRAMES}, start=False)) as consumer:
		port = consumer.port()
		for line in ("port stop all", f"csum set ip hw {port}", f"csum set tcp hw {port}",
				f"tso set {SEGMENT} {port}", "port start all", "set fwd csum"):
			consumer.command(line)
		consumer.await_link()
		with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
			wire.bind((tap, 0))
			wire.settimeout(0.2)
			consumer.command("start")
			frames = take(wire, len(FRAMES))
	assert sorted(frame[54:] for frame in frames) == sorted(PAYLOADS)


def large_frames(count, size, segment):
	"""Frames as a host's kernel leaves them to its device, with their struct virtio_net_hdr."""
	needs_checksum, tcp_over_ipv4, headers = 1, 1, 54
	payloads = [random.Random(n).randbytes(size) for n in range(count)]
	frames = []
	for n, payload in enumerate(payloads):
		frame = tcp_frame(payload, n, 1 + size * n)
		begun = ~checksum(pseudo(6, 20 + size)) & 0xffff
		head = struct.pack("<BBHHHH", needs_checksum, tcp_over_ipv4, headers, segment, 34, 16)
		frames.append(head + frame[:50] + begun.to_bytes(2, "big") + frame[52:])
	return frames, b"".join(payloads)


@pytest.mark.parametrize("switch", [("other_config:userspace-tso-enable=true",)], indirect=True)
def test_large_packets_pass_to_the_guest(switch, tap, tmp_path):
	"""The host's kernel hands OVS requests, and OVS leaves them to our port."""
	path = switch.folder / "nic.sock"
	switch.add_nic("n0", path, ",tso=1")
	frames, payload = large_frames(20, 20000, 1000)
	with contextlib.closing(Endpoint(tmp_path, "consumer", f"vfio_user_pci0,path={path}",
			start=False)) as consumer:
		consumer.await_link()
		consumer.command("start")
		with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
			wire.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
			wire.bind((tap, 0))
			for frame in frames:
				wire.send(frame)
				time.sleep(0.01)
		ours = lambda: [frame for frame in consumer.all_received() if frame[:12] == MACS]
		wait_for(lambda: sum(len(frame) - 54 for frame in ours()) >= len(payload), "all bytes", 15)
		got = ours()
	assert all(len(frame) <= 1514 and is_right(frame) for frame in got)
	assert stream_of(got) == payload
