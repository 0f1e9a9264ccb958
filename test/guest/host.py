# SPDX-License-Identifier: BSD-3-Clause
"""The host's side: a network namespace, and a stock testpmd that joins the emulated NIC to a tap.

Needs no pytest, so that the demonstration can use it too.
"""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("EMUDEV_BUILD", ROOT / "build")).resolve()
TESTPMD = os.environ.get("EMUDEV_TESTPMD", "dpdk-testpmd")
# For a closer look: EMUDEV_LOG_LEVEL=lib.vfio_user:debug
LOG_LEVEL = [f"--log-level={level}" for level in os.environ.get("EMUDEV_LOG_LEVEL", "").split()]
TAP = "emu0"
ADDRESS, GUEST_ADDRESS, PREFIX = "192.0.2.1", "192.0.2.2", 24
JUMBO_MTU = 9706  # Frames of 9728 bytes with two VLAN tags.
PROMPT = "testpmd> "
# Before a command: it does not outlive us, whatever ends us.
DIE_WITH_US = ["setpriv", "--pdeathsig", "KILL"]


class Failure(Exception):
	"""What was expected did not happen."""


def wait_for(condition, what, seconds=10.0):
	"""Polls until condition() is true, and returns its value."""
	deadline = time.monotonic() + seconds
	while not (value := condition()):
		if time.monotonic() > deadline:
			raise Failure(f"no {what} within {seconds:g} s")
		time.sleep(0.05)
	return value


def execute(*command):
	"""Runs a command that must succeed; returns what it prints."""
	done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
	if done.returncode:
		raise Failure(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
	return done.stdout


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


def sanitizer_environment():
	"""A sanitized driver in a stock program: the sanitizer's run-time must be loaded first."""
	options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
	if "address" not in next(o["value"] for o in options if o["name"] == "b_sanitize"):
		return {}
	runtime = execute("gcc", "-print-file-name=libasan.so").strip()
	return {"LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}


class Telemetry:
	"""A client of DPDK's telemetry socket."""

	def __init__(self, path):
		self.socket_ = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		self.socket_.settimeout(10)
		self.socket_.connect(str(path))
		self.socket_.recv(65536)  # Greets with its version.

	def __call__(self, command):
		self.socket_.send(command.encode())
		return json.loads(self.socket_.recv(65536))[command.split(",")[0]]

	def close(self):
		self.socket_.close()


class Testpmd:
	"""A stock testpmd with the emulated NIC and a tap, forwarding from each to the other."""

	def __init__(self, folder, queues=1, mtu=JUMBO_MTU, devargs=""):
		self.folder = Path(folder)
		self.socket = self.folder / "nic0.sock"
		self.cleanup_ = contextlib.ExitStack()
		with contextlib.ExitStack() as on_failure:
			on_failure.callback(self.cleanup_.close)
			self.namespace = Namespace()
			self.cleanup_.callback(self.namespace.close)
			self.start_(queues, devargs)
			self.command(f"port config mtu {self.port()} {mtu}")
			self.command("start")
			self.set_up_tap_()
			on_failure.pop_all()

	def start_(self, queues, devargs):
		drivers = BUILD / "drivers"
		if not list(drivers.glob("librte_emu_iavf.so*")):
			raise Failure(f"no drivers in {drivers}: build first, or set EMUDEV_BUILD")
		prefix = self.namespace.name
		runtime = Path("/var/run/dpdk") / prefix
		self.cleanup_.callback(shutil.rmtree, runtime, ignore_errors=True)
		self.spawn_(
			TESTPMD, f"--lcores={lcores(2)}", "--in-memory", "-m", "256", "--no-pci",
			f"--file-prefix={prefix}", "-d", str(drivers), *LOG_LEVEL,
			f"--vdev=emu_iavf0,path={self.socket},queues={queues}{devargs}",
			f"--vdev=net_tap0,iface={TAP}", "--",
			"--interactive", "--forward-mode=io", "--total-num-mbufs=16384",
			f"--rxq={queues}", f"--txq={queues}", "--enable-scatter",
			"--tx-offloads=0x8000")  # RTE_ETH_TX_OFFLOAD_MULTI_SEGS
		self.await_prompt_(0, 30)
		self.telemetry = Telemetry(runtime / "dpdk_telemetry.v2")
		self.cleanup_.callback(self.telemetry.close)

	def spawn_(self, *command):
		terminal, inner = pty.openpty()
		self.output_ = bytearray()
		self.process = subprocess.Popen(self.namespace.enter(*command),
			stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
			env=os.environ | sanitizer_environment())
		os.close(inner)
		self.terminal_ = terminal
		self.reader_ = threading.Thread(target=self.read_, daemon=True)
		self.reader_.start()
		self.cleanup_.callback(self.stop_)

	def read_(self):
		# A terminal whose other end is closed gives an error (EIO), not an end of file.
		with contextlib.suppress(OSError):
			while data := os.read(self.terminal_, 65536):
				self.output_ += data

	def stop_(self):
		if self.process.poll() is None:
			self.process.kill()
		self.process.wait()
		self.reader_.join()
		os.close(self.terminal_)

	def log(self):
		"""All output so far, without the hundred lines about an idle pool's caches."""
		text = self.output_.decode(errors="replace").replace("\r", "")
		return re.sub(r" +cache_count\[\d+\]=0\n", "", text)

	def alive(self):
		return self.process.poll() is None

	def await_prompt_(self, since, seconds):
		prompt = PROMPT.encode()
		wait_for(lambda: prompt in self.output_[since:] or not self.alive(),
			"prompt of testpmd", seconds)
		if not self.alive():
			raise Failure(f"testpmd: status {self.process.returncode}:\n{self.log()[-3000:]}")

	def command(self, line, seconds=20):
		"""Runs a command of testpmd; returns what it prints."""
		since = len(self.output_)
		os.write(self.terminal_, line.encode() + b"\n")
		self.await_prompt_(since, seconds)
		text = self.output_[since:].decode(errors="replace").replace("\r", "")
		return text[:text.rindex(PROMPT)].removeprefix(line).strip()

	def forward(self, mode):
		"""Sets what is done with packets: io, or icmpecho, which answers pings itself."""
		self.command("stop")
		self.command(f"set fwd {mode}")
		self.command("start")

	def set_up_tap_(self):
		run = self.namespace.run
		run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{TAP}/disable_ipv6")
		run("ip", "address", "add", f"{ADDRESS}/{PREFIX}", "dev", TAP)
		run("ip", "link", "set", TAP, "up")
		self.namespace.serve_iperf()

	def port(self):
		"""Number of the port that serves the emulated NIC."""
		for port in self.telemetry("/ethdev/list"):
			if "tap" not in self.telemetry(f"/ethdev/info,{port}")["name"]:
				return port
		raise Failure("testpmd has no port for the emulated NIC")

	def wire_vectors(self):
		"""Wires each vector once: the server keeps a descriptor for each that ever was."""
		sys.path.append(str(ROOT / "test" / "protocol"))
		from server import Server
		from vfio_user import connect
		with connect(str(self.socket)) as client:
			Server.wire_each_vector(client)
		wait_for(lambda: not self.connected(), "end of the connection")

	def port_stats(self):
		return self.telemetry(f"/ethdev/stats,{self.port()}")

	def counts(self):
		"""What has been counted so far at the port, for a look after a failure."""
		xstats = self.telemetry(f"/ethdev/xstats,{self.port()}")
		return "\n".join(f"{name}: {value}" for name, value in xstats.items() if value)

	def stats(self):
		"""Counters of the vfio-user server."""
		return self.telemetry(f"/vfio_user/stats,{self.socket}")

	def connected(self):
		return self.stats()["dma_regions"] > 0

	def resources(self):
		"""What must not grow: open files, mapped files, buffers out of their pools."""
		maps = Path(f"/proc/{self.process.pid}/maps").read_text()
		return {
			"fds": len(os.listdir(f"/proc/{self.process.pid}/fd")),
			"mappings": len(re.findall(r" [1-9]\d* +/", maps)),
			"guest mappings": len(re.findall(r"memfd:memory-backend-memfd", maps)),
			"mbufs": self.mbufs_in_use_(),
		}

	def mbufs_in_use_(self):
		dump = self.command("dump_mempool mb_pool_0")
		count = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)\n", dump + "\n")}
		return count["size"] - count["common_pool_count"] - count["total_cache_count"]

	def quit(self):
		"""Ends testpmd as a user does; returns its exit status."""
		os.write(self.terminal_, b"quit\n")
		return self.process.wait(20)

	def close(self):
		self.cleanup_.close()


def lcores(count):
	"""Logical cores that may run on any CPU, as they share few with QEMU."""
	cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
	return ",".join(f"{n}@({cpus})" for n in range(count))


def interruptible():
	"""Lets a terminated program clean up like an interrupted one."""
	def interrupt(*_):
		raise KeyboardInterrupt
	signal.signal(signal.SIGTERM, interrupt)
