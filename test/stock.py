# SPDX-License-Identifier: BSD-3-Clause
"""What tests with stock programs share: a testpmd at a terminal, its telemetry, waiting.

Needs no pytest, so that the demonstration can use it too.
"""

import contextlib
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = Path(os.environ.get("EMUDEV_BUILD", ROOT / "build")).resolve()
TESTPMD = os.environ.get("EMUDEV_TESTPMD", "dpdk-testpmd")
# For a closer look: EMUDEV_LOG_LEVEL=lib.vfio_user:debug
LOG_LEVEL = [f"--log-level={level}" for level in os.environ.get("EMUDEV_LOG_LEVEL", "").split()]
PROMPT = "testpmd> "
# /proc/PID/syscall of who reads from its terminal, or waits for it there (x86-64, arm64).
READS_TERMINAL = re.compile(r"(0|63) 0x0 |(7|73) ")
# Before a command: it does not outlive us, whatever ends us.
DIE_WITH_US = ["setpriv", "--pdeathsig", "KILL"]


class Failure(Exception):
	"""What was expected did not happen."""


def wait_for(condition, what, seconds=10.0, interval=0.05):
	"""Polls until condition() is true, and returns its value: often at first, as most things come
	soon, later each interval."""
	deadline = time.monotonic() + seconds
	pause = min(0.001, interval)
	while not (value := condition()):
		if time.monotonic() > deadline:
			raise Failure(f"no {what} within {seconds:g} s")
		time.sleep(pause)
		pause = min(2 * pause, interval)
	return value


def what_threads_do(pid):
	"""A line for each thread of a process: state, processor time, system call and where it sleeps.
	For reports of failures: of what cannot be read nothing is said."""
	lines = []
	for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
		with contextlib.suppress(OSError):
			name, rest = (task / "stat").read_text().rsplit(")", 1)
			fields = rest.split()
			lines.append(f"{name.split('(', 1)[1]}: {fields[0]}, {fields[11]} + {fields[12]} ticks, "
				f"call {(task / 'syscall').read_text().strip()}, in {(task / 'wchan').read_text()}")
	return "\n".join(lines)


def execute(*command):
	"""Runs a command that must succeed; returns what it prints."""
	done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
	if done.returncode:
		raise Failure(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
	return done.stdout


def compile_library(source, library):
	"""Of a C file, to be preloaded into a program."""
	execute("cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(library), str(source))


def sanitizer_environment(options="abort_on_error=1", leaks=False):
	"""Sanitized drivers in a stock program: the sanitizers' run-times must be loaded first."""
	build = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
	sanitizers = next(o["value"] for o in build if o["name"] == "b_sanitize")
	if isinstance(sanitizers, str):  # A list since Meson 1.8.
		sanitizers = sanitizers.split(",")
	libraries = {"address": "libasan.so", "undefined": "libubsan.so"}
	found = [execute("gcc", f"-print-file-name={libraries[name]}").strip()
		for name in sanitizers if name in libraries]
	options += ":halt_on_error=1"
	return {
		"LD_PRELOAD": ":".join(found),
		"ASAN_OPTIONS": f"{options}:detect_leaks={leaks:d}",
		"UBSAN_OPTIONS": f"{options}:print_stacktrace=1",
	} if found else {}


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


class StockTestpmd:
	"""A stock testpmd with two ports: an end of the emulated NIC, and a partner.

	A subclass calls start_() in its constructor; cleanup_ is undone by close().
	"""

	partner = None  # In the name of the partner's port, not in that of the NIC's.

	def __init__(self):
		self.cleanup_ = contextlib.ExitStack()

	def start_(self, prefix, memory, eal, options, launcher=(), cores=None):
		"""Starts it with EAL's and testpmd's options; it does not forward yet."""
		drivers = BUILD / "drivers"
		if not list(drivers.glob("librte_emu_iavf.so*")):
			raise Failure(f"no drivers in {drivers}: build first, or set EMUDEV_BUILD")
		runtime = Path("/var/run/dpdk") / prefix
		self.cleanup_.callback(shutil.rmtree, runtime, ignore_errors=True)
		self.spawn_((
			*launcher, TESTPMD, f"--lcores={cores or lcores(2)}", *memory, "--no-pci",
			f"--file-prefix={prefix}", "-d", str(drivers), *LOG_LEVEL, *eal, "--",
			"--interactive", "--forward-mode=io", *options))
		self.await_prompt_(0, 60)
		self.telemetry = Telemetry(runtime / "dpdk_telemetry.v2")
		self.cleanup_.callback(self.telemetry.close)

	def spawn_(self, command):
		terminal, inner = pty.openpty()
		self.output_ = bytearray()
		self.process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner,
			start_new_session=True, env=os.environ | sanitizer_environment())
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
		self.kill()
		self.reader_.join()
		os.close(self.terminal_)

	def kill(self):
		"""kill -9."""
		if self.alive():
			self.process.kill()
		self.process.wait()

	def quit(self):
		"""Ends testpmd as a user does; returns its exit status."""
		os.write(self.terminal_, b"quit\n")
		return self.process.wait(60)

	def close(self):
		self.cleanup_.close()

	def log(self):
		"""All output so far, without the hundred lines about an idle pool's caches."""
		text = self.output_.decode(errors="replace").replace("\r", "")
		return re.sub(r" +cache_count\[\d+\]=0\n", "", text)

	def alive(self):
		return self.process.poll() is None

	def await_prompt_(self, since, seconds):
		"""testpmd writes its prompt letter by letter: lines of other threads may have come between.
		Then an empty line brings another one."""
		prompt = PROMPT.encode()
		self.busy_ = time.monotonic()

		def over():
			if prompt in self.output_[since:] or not self.alive():
				return True
			if self.waits_for_command_(since):
				os.write(self.terminal_, b"\n")
				self.busy_ = time.monotonic()
			return False

		try:
			wait_for(over, "prompt of testpmd", seconds)
		except Failure as failure:
			raise Failure(f"{failure}: {bytes(self.output_[since:][-1000:])}") from None
		if not self.alive():
			status = self.process.returncode
			raise Failure(f"testpmd: status {status}:\n{self.log()[-3000:]}")

	def waits_for_command_(self, since):
		"""Whether it has echoed something since then, and has read from its terminal for a second."""
		pid, call = self.process.pid, ""
		with contextlib.suppress(OSError):
			call = Path(f"/proc/{pid}/task/{pid}/syscall").read_text()
		if len(self.output_) == since or not READS_TERMINAL.match(call):
			self.busy_ = time.monotonic()
		return time.monotonic() - self.busy_ > 1

	def command(self, line, seconds=30):
		"""Runs a command of testpmd; returns what it prints."""
		since = len(self.output_)
		os.write(self.terminal_, line.encode() + b"\n")
		self.await_prompt_(since, seconds)
		text = self.output_[since:].decode(errors="replace").replace("\r", "")
		return text[:text.rindex(PROMPT)].removeprefix(line).strip()

	def dump(self, what):
		"""What a dump shows; DPDK 25.11 has made two words of the command's name."""
		shown = self.command(f"dump_{what}")
		return self.command(f"dump {what}") if "Command not found" in shown else shown

	def port(self):
		"""Number of the port at the emulated NIC."""
		for port in self.telemetry("/ethdev/list"):
			if self.partner not in self.telemetry(f"/ethdev/info,{port}")["name"]:
				return port
		raise Failure("testpmd has no port at the emulated NIC")

	def port_stats(self):
		return self.telemetry(f"/ethdev/stats,{self.port()}")

	def mapped_files(self):
		return Path(f"/proc/{self.process.pid}/maps").read_text()

	def resources(self):
		"""What must not grow: open files, mapped files, buffers out of their pool, bytes in huge
		pages, its own and those of others that it has mapped."""
		return {
			"fds": len(os.listdir(f"/proc/{self.process.pid}/fd")),
			"mappings": len(re.findall(r" [1-9]\d* +/", self.mapped_files())),
			"mbufs": self.mbufs_in_use_(),
			"huge": huge_memory(self.process.pid),
		}

	def forwarded(self):
		"""By port, since "start": packets received, sent, and dropped as they could not be sent.
		Messages may come between: then it asks once more."""
		ports = set(self.telemetry("/ethdev/list"))

		def ask():
			counts = forwarding_counts(self.command("show fwd stats all"))
			return counts if counts.keys() == ports else None
		return wait_for(ask, "statistics")

	def unaccounted(self):
		"""Packets that have come at either of its ports, the NIC's first, and were neither sent at
		the other one nor counted as dropped; since "start", but for what the NIC had kept from its
		guest before. The same each time that all is still."""
		nic, counts = self.port(), self.forwarded()
		partner = next(port for port in counts if port != nic)
		kept = tx_drops(self.telemetry(f"/ethdev/xstats,{nic}"))
		received = lambda port: counts[port][0]
		passed_on = lambda port: sum(counts[port][1:])
		return received(nic) - passed_on(partner), received(partner) - passed_on(nic) - kept

	def mbufs_in_use_(self):
		dump = self.dump("mempool mb_pool_0")
		count = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)\n", dump + "\n")}
		return count["size"] - count["common_pool_count"] - count["total_cache_count"]


def huge_memory(process):
	"""Bytes in huge pages that a process has mapped, whether it has touched them or not."""
	smaps = Path(f"/proc/{process}/smaps").read_text()
	sizes = re.findall(r"^Size: +(\d+) kB\nKernelPageSize: +(\d+) kB", smaps, re.M)
	return sum(int(size) * 1024 for size, page in sizes if int(page) > 4)


def stream_counts(shown, port):
	"""What testpmd itself has counted of a port with several queues, by its statistics: received
	there, and sent."""
	row = re.compile(r"RX Port=(.*?)/Queue=.*TX Port=(.*?)/Queue=.*\n"
		r" +RX-packets: (\d+) +TX-packets: (\d+)")
	found = [tuple(map(int, each)) for each in row.findall(shown)]
	return (sum(received for at, _, received, _ in found if at == port),
		sum(sent for _, at, _, sent in found if at == port))


def forwarding_counts(shown):
	"""What testpmd's statistics of its forwarding say, see StockTestpmd.forwarded()."""
	row = re.compile(r"statistics for port (\d+) +-+\n +RX-packets: (\d+) .*\n"
		r"(?: +RX-(?:error|nombufs): .*\n)*"
		r" +TX-packets: (\d+) +TX-dropped: (\d+) ")
	return {port: tuple(counts) for port, *counts in
		(map(int, found) for found in row.findall(shown))}


class Counts:
	"""Frames of a guest that its device has taken, those that it has handed to it, and those that
	were taken, come back from the application, and are neither handed over nor dropped."""

	def __init__(self, tables):
		xstats = {name: int(n) for name, n in re.findall(r"^(\w+): (\d+)$", tables, re.M)}
		received, self.sent, refused = forwarding_counts(tables)[0]
		self.taken = received + rx_drops(xstats)
		self.unaccounted = received - self.sent - refused - tx_drops(xstats)


class HostCounts:
	"""Asks a testpmd without telemetry, whose port 0 echoes, what it has counted. It writes its
	tables when it has enough of them, in the order in which they were asked for, with its prompt
	anywhere in them."""

	TABLES = re.compile(r"extended statistics for port 0(.*?)Accumulated forward statistics", re.S)
	ASK = ("show port xstats 0", "show fwd stats all")
	PATIENCE = 1  # Seconds until it asks once more.
	PROMPT = re.compile(rf"{PROMPT}|(?:{'|'.join(ASK)})\r?\n")

	def __init__(self, server):
		self.server_, self.asked_ = server, 0

	def ask_(self):
		"""Twice, as what comes later pushes out what came first."""
		for line in 2 * self.ASK:
			self.server_.command(line)
		self.asked_ += 2

	def answers_(self, since):
		"""Those to a question from then on that can be read."""
		tables = self.TABLES.findall(self.PROMPT.sub("", self.server_.log()))[since:]
		return [table for table in tables if 0 in forwarding_counts(table)]

	def read(self):
		since, asked = self.asked_, -self.PATIENCE

		def answers():
			nonlocal asked
			if time.monotonic() - asked > self.PATIENCE:
				self.ask_()
				asked = time.monotonic()
			return self.answers_(since)
		return Counts(wait_for(answers, "statistics", 60)[0])


def tx_drops(xstats):
	"""How many packets our port has taken from its application and kept from the guest, beside its
	errors, which testpmd counts as dropped."""
	return sum(count for name, count in xstats.items()
		if re.fullmatch(r"tx_\w+_filtered_packets|tx_flow_dropped_packets", name))


def rx_drops(xstats):
	"""How many packets of the guest our port has taken and not handed to its application."""
	return sum(count for name, count in xstats.items()
		if re.fullmatch(r"rx_((missed_)?errors|(\w+_)?filtered_packets)", name))


def lcores(count):
	"""Logical cores that may run on any CPU, as they share few with QEMU."""
	cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
	return ",".join(f"{n}@({cpus})" for n in range(count))
