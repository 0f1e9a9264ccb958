# SPDX-License-Identifier: BSD-3-Clause
"""The host: a network namespace, and a stock testpmd that joins the emulated NIC to a tap."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from stock import DIE_WITH_US, ROOT, Failure, StockTestpmd, execute  # noqa: E402

TAP = "emu0"
ADDRESS, GUEST_ADDRESS, PREFIX = "192.0.2.1", "192.0.2.2", 24
SEND = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
	wire.bind((sys.argv[1], 0))
	for frame in sys.argv[2:]:
		wire.send(bytes.fromhex(frame))
"""
JUMBO_MTU = 9706  # Frames of 9728 bytes with two VLAN tags.


def remove_stale_namespaces():
	"""Removes what a killed run has left."""
	for path in Path("/run/netns").glob("emudev-*-*"):
		owner = path.name.split("-")[1]
		if owner.isdigit() and not Path("/proc", owner).exists():
			execute("ip", "netns", "del", path.name)


class Namespace:
	"""A network namespace. All interfaces and servers in it go with it."""

	def __init__(self):
		remove_stale_namespaces()
		self.name = f"emudev-{os.getpid()}-{time.monotonic_ns() % 1000000}"
		self.path = f"/run/netns/{self.name}"
		self.iperf_ = None
		execute("ip", "netns", "add", self.name)
		self.run("ip", "link", "set", "lo", "up")

	def enter(self, *command):
		"""The command line of a process inside; its id is that of the command."""
		return [*DIE_WITH_US, "nsenter", f"--net={self.path}", *command]

	def run(self, *command):
		return execute(*self.enter(*command))

	def run_with(self, text, *command):
		"""The same with an input, and not for ever."""
		done = subprocess.run(self.enter(*command), input=text, capture_output=True, text=True,
			timeout=60)
		if done.returncode:
			raise Failure(f"{command[0]}: {done.stderr}")
		return done.stdout

	def send(self, interface, frames):
		"""Sends frames as they are."""
		self.run(sys.executable, "-c", SEND, interface, *(frame.hex() for frame in frames))

	def serve_iperf(self):
		"""Starts an iperf3 server anew: one whose client was killed stays busy."""
		self.end_iperf_()
		self.iperf_ = subprocess.Popen(self.enter("iperf3", "-s"), stdin=subprocess.DEVNULL,
			stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

	def end_iperf_(self):
		if self.iperf_:
			self.iperf_.kill()
			self.iperf_.wait()
		self.iperf_ = None

	def close(self):
		self.end_iperf_()
		execute("ip", "netns", "del", self.name)


class Testpmd(StockTestpmd):
	"""A stock testpmd with the emulated NIC and a tap, forwarding from each to the other."""

	partner = "tap"

	def __init__(self, folder, queues=1, mtu=JUMBO_MTU, devargs="", eal=(), options=()):
		super().__init__()
		self.socket = Path(folder) / "nic0.sock"
		with contextlib.ExitStack() as on_failure:
			on_failure.callback(self.close)
			self.namespace = Namespace()
			self.cleanup_.callback(self.namespace.close)
			self.start_(self.namespace.name, ("--in-memory", "-m", "256"), (
				f"--vdev=emu_iavf0,path={self.socket},queues={queues}{devargs}",
				f"--vdev=net_tap0,iface={TAP}", *eal), (
				"--total-num-mbufs=16384", f"--rxq={queues}", f"--txq={queues}",
				"--enable-scatter",
				"--tx-offloads=0x8000",  # RTE_ETH_TX_OFFLOAD_MULTI_SEGS
				*options),
				self.namespace.enter())
			self.command(f"port config mtu {self.port()} {mtu}")
			self.command("start")
			self.set_up_tap_()
			on_failure.pop_all()

	def forward(self, mode):
		"""Sets what is done with packets: io, or icmpecho, which answers pings itself."""
		self.command("stop")
		self.command(f"set fwd {mode}")
		self.command("start")

	def set_queues(self, count):
		"""Configures both ports anew, with as many queues in each direction."""
		for line in ("stop", "port stop all", f"port config all rxq {count}",
				f"port config all txq {count}", "port start all", "start"):
			self.command(line)

	def set_up_tap_(self):
		run = self.namespace.run
		run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{TAP}/disable_ipv6")
		run("ip", "address", "add", f"{ADDRESS}/{PREFIX}", "dev", TAP)
		run("ip", "link", "set", TAP, "up")
		self.namespace.serve_iperf()

	def wire_vectors(self, *more):
		"""Wires each vector once, also of more sockets: a server keeps a descriptor for each that
		ever was."""
		sys.path.append(str(ROOT / "test" / "protocol"))
		from server import Server
		for path in (self.socket, *more):
			Server.wire_each_vector(str(path))

	def counts(self):
		"""What has been counted so far at the port, for a look after a failure."""
		return "\n".join(f"{name}: {value}" for name, value in self.xstats().items() if value)

	def xstats(self):
		return self.telemetry(f"/ethdev/xstats,{self.port()}")

	def errors(self):
		"""The port's error counters, by name."""
		xstats = self.xstats()
		return {name: value for name, value in xstats.items() if "error" in name}

	def stats(self):
		"""Counters of the vfio-user server."""
		return self.telemetry(f"/vfio_user/stats,{self.socket}")

	def connected(self):
		return self.stats()["dma_regions"] > 0

	def resources(self):
		guest = re.findall(r"memfd:memory-backend-memfd", self.mapped_files())
		return {**super().resources(), "guest mappings": len(guest)}


def interruptible():
	"""Lets a terminated program clean up like an interrupted one."""
	def interrupt(*_):
		raise KeyboardInterrupt
	signal.signal(signal.SIGTERM, interrupt)
