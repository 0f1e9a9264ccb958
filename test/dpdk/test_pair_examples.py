# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own examples, unchanged, between two emulated NICs that stock net_iavf drives.

Each has two ports of ours. What one peer sends the other gets, as the example is documented to pass
it on.
"""

import contextlib
import os
import random
import struct
import subprocess
from pathlib import Path

import pytest

from pair import MEMORY, Endpoint
from stock import BUILD, DIE_WITH_US, ROOT, execute, lcores, sanitizer_environment, wait_for
from test_pair_offloads import MACS, checksum

COUNT = 200


@pytest.fixture(scope="module")
def programs():
	return Path(execute(str(ROOT / "devtools" / "get-examples.sh")).split()[-1])


class Example:
	"""A program with two ports, nic0 and nic1, and a peer at each: "a" and "b"."""

	def __init__(self, folder, sockets, command, frames, options=()):
		self.cleanup_ = contextlib.ExitStack()
		with contextlib.ExitStack() as on_failure:
			on_failure.callback(self.close)
			self.log_ = folder / "example.log"
			program, *arguments = command
			devices = [f"--vdev=emu_iavf{n},path={path}" for n, path in enumerate(sockets)]
			with open(self.log_, "wb") as log:
				self.process = subprocess.Popen([*DIE_WITH_US, program, f"--lcores={lcores(1)}",
					*MEMORY, "--no-pci", f"--file-prefix=emudev-example-{os.getpid()}", "-d",
					str(BUILD / "drivers"), *devices, "--", *arguments], stdout=log, stderr=log,
					stdin=subprocess.DEVNULL, env=os.environ | sanitizer_environment())
			self.cleanup_.callback(self.end_)
			for path in sockets:
				wait_for(lambda: path.is_socket() or self.process.poll() is not None,
					"socket of the example", 30)
			self.peers = {}
			for name, path in zip("ab", sockets):
				self.peers[name] = Endpoint(folder, "consumer", f"vfio_user_pci0,path={path}",
					frames={0: frames.get(name, [])}, start=False, options=options)
				self.cleanup_.callback(self.peers[name].close)
			for peer in self.peers.values():
				peer.await_link()
			for peer in self.peers.values():
				peer.command("start")
			on_failure.pop_all()

	def end_(self):
		self.process.kill()
		self.process.wait()

	def close(self):
		self.cleanup_.close()

	def received(self, name, count):
		"""All that has come when so much has."""
		peer = self.peers[name]
		wait_for(lambda: len(peer.all_received()) >= count or self.process.poll() is not None,
			f"{count} frames at peer {name}; the example says:\n" +
			self.log_.read_text(errors="replace")[-1500:], 20)
		return peer.all_received()


@pytest.fixture
def start(pair, tmp_path):
	"""The pair has a folder with a short path."""
	sockets = [pair.socket.with_name(f"nic{n}.sock") for n in range(2)]
	running = []

	def begin(command, frames, options=()):
		running.append(Example(tmp_path, sockets, command, frames, options))
		return running[-1]
	yield begin
	for one in running:
		one.close()


def test_l2fwd(start, programs, make_frames):
	frames = {"a": make_frames(COUNT), "b": make_frames(COUNT)}
	example = start((programs / "l2fwd", "-p", "3", "-q", "2", "-P"), frames)
	for here, there, port in ("a", "b", 1), ("b", "a", 0):
		got = example.received(there, COUNT)
		# It writes both addresses: 02:00:00:00:00:<port>, and that of the port.
		assert all(frame[:6] == bytes([2, 0, 0, 0, 0, port]) for frame in got)
		assert sorted(frame[12:] for frame in got) == sorted(frame[12:] for frame in frames[here])


def ipv4_udp(destination, payload, number=1, ttl=64):
	udp = struct.pack(">HHHH", 1000, 2000, 8 + len(payload), 0) + payload
	head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), number, 0, ttl, 17, 0)
	head += bytes([10, 0, 0, 1]) + destination
	return MACS + b"\x08\x00" + head[:10] + struct.pack(">H", checksum(head)) + head[12:] + udp


def ipv6_udp(destination, payload, hops=64):
	udp = struct.pack(">HHHH", 1000, 2000, 8 + len(payload), 1) + payload
	head = struct.pack(">IHBB", 6 << 28, len(udp), 17, hops) + bytes(15) + b"\x01" + destination
	return MACS + b"\x86\xdd" + head + udp


def payloads(count, size):
	return [random.Random(n).randbytes(size + n % 100) for n in range(count)]


def younger(frame):
	"""Without addresses; of IPv4, whose checksum was looked at, one hop earlier."""
	if frame[12] != 8:
		return frame[12:]
	older = int.from_bytes(frame[24:26], "big") - 0x100
	value = older if older >= 0 else older + 0xffff
	return frame[12:22] + bytes([frame[22] + 1, frame[23]]) + value.to_bytes(2, "big") + frame[26:]


V4_RULES = "R198.18.0.0/24 0\nR198.18.1.0/24 1\n"
V6_RULES = "R2001:0200:0000:0000:0000:0000:0000:0000/64 0\nR2001:0200:0000:0001:0000:0000:0000:0000/64 1\n"


@pytest.mark.parametrize("lookup", ["lpm", "fib"])
def test_l3fwd(start, programs, tmp_path, lookup):
	"""It reads packet types of the port, or makes them itself as here."""
	(tmp_path / "v4").write_text(V4_RULES)
	(tmp_path / "v6").write_text(V6_RULES)
	data = payloads(COUNT, 200)
	v6 = lambda net: bytes.fromhex(f"20010200 0000 000{net} 0000 0000 0000 0009")
	frames = {name: [ipv4_udp(bytes([198, 18, net, 9]), one, n) if n % 2 else ipv6_udp(v6(net), one)
		for n, one in enumerate(data)] for name, net in (("a", 1), ("b", 0))}
	example = start((programs / "l3fwd", "-p", "3", "-P", "--parse-ptype", f"--lookup={lookup}",
		"--config=(0,0,0),(1,0,0)", f"--rule_ipv4={tmp_path}/v4", f"--rule_ipv6={tmp_path}/v6"),
		frames)
	for here, there, port in ("a", "b", 1), ("b", "a", 0):
		got = example.received(there, COUNT)
		assert all(frame[:6] == bytes([2, 0, 0, 0, 0, port]) for frame in got)
		# It makes IPv4 older, and leaves IPv6 as it is.
		assert all(checksum(frame[14:34]) == 0 for frame in got if frame[12] == 8)
		assert sorted(map(younger, got)) == sorted(frame[12:] for frame in frames[here])


def test_ip_fragmentation(start, programs):
	"""Jumbo frames of the guest leave as fragments with checksums that the port makes."""
	data = payloads(50, 4000)
	frames = {"a": [ipv4_udp(bytes([100, 20, 0, 9]), one, n) for n, one in enumerate(data)]}
	example = start((programs / "ip_fragmentation", "-p", "3", "-q", "2"), frames,
		("--mbuf-size=6000", "--max-pkt-len=9000"))
	parts = {}
	got = example.received("b", 3 * len(data))
	assert len(got) == 3 * len(data)
	for frame in got:
		length, number, offset = struct.unpack(">HHH", frame[16:22])
		assert len(frame) <= 1514 and checksum(frame[14:34]) == 0
		parts.setdefault(number, []).append(((offset & 0x1fff) * 8, frame[34:14 + length]))
	whole = {number: b"".join(part for _, part in sorted(some)) for number, some in parts.items()}
	assert [whole[n][8:] for n in sorted(whole)] == data
