# SPDX-License-Identifier: BSD-3-Clause
"""Two stock testpmds: the provider has the emulated NIC, the consumer drives it by net_iavf.

Each side joins the NIC to a net_pcap port and forwards from each to the other: the frames of the files
that it reads go to the peer, and the peer's frames go to files that the test compares.
"""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "guest"))

from host import (BUILD, PROMPT, TESTPMD, Failure, Telemetry, lcores,  # noqa: E402
	sanitizer_environment, wait_for)

MEMORY = ("--in-memory", "-m", "128")
BURST = 32


class Endpoint:
	"""A testpmd whose first port is its end of the NIC and whose second is a net_pcap port."""

	count_ = 0

	def __init__(self, folder, name, device, queues=1, memory=MEMORY, eal=(), options=(),
			setup=(), frames=None, start=True):
		Endpoint.count_ += 1
		self.folder = Path(folder) / f"{name}{Endpoint.count_}"
		self.folder.mkdir()
		self.queues = queues
		self.is_consumer = name == "consumer"
		self.prefix = f"emudev-pair-{os.getpid()}-{Endpoint.count_}"
		self.runtime = Path("/var/run/dpdk") / self.prefix
		self.cleanup_ = contextlib.ExitStack()
		try:
			self.spawn_(device, memory, eal, options, frames or {})
			for line in setup:
				self.command(line)
			if start:
				self.command("start")
		except BaseException:
			self.close()
			raise

	def spawn_(self, device, memory, eal, options, frames):
		pcap = ",".join(self.pcap_queue_(queue, frames.get(queue, [])) for queue in range(self.queues))
		terminal, inner = pty.openpty()
		self.output_ = bytearray()
		self.process = subprocess.Popen((
			TESTPMD, f"--lcores={lcores(2)}", *memory, "--no-pci",
			f"--file-prefix={self.prefix}", "-d", str(BUILD / "drivers"),
			f"--vdev={device}", f"--vdev=net_pcap0,{pcap}", *eal, "--",
			"--interactive", "--no-flush-rx", "--forward-mode=io", f"--burst={BURST}",
			"--rxd=1024", "--txd=1024", f"--rxq={self.queues}", f"--txq={self.queues}",
			f"--total-num-mbufs={4096 + 1024 * self.queues}", *options), stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
			env=os.environ | sanitizer_environment())
		os.close(inner)
		self.terminal_ = terminal
		self.reader_ = threading.Thread(target=self.read_, daemon=True)
		self.reader_.start()
		self.cleanup_.callback(self.stop_)
		self.await_prompt_(0, 60)
		self.telemetry = Telemetry(self.runtime / "dpdk_telemetry.v2")
		self.cleanup_.callback(self.telemetry.close)

	def pcap_queue_(self, queue, frames):
		write_pcap(self.folder / f"send{queue}.pcap", frames)
		return f"rx_pcap={self.folder}/send{queue}.pcap,tx_pcap={self.folder}/got{queue}.pcap"

	def read_(self):
		# Reading a terminal whose other end is closed is an error (EIO), not an end of file.
		with contextlib.suppress(OSError):
			while data := os.read(self.terminal_, 65536):
				self.output_ += data

	def stop_(self):
		self.kill()
		self.reader_.join()
		os.close(self.terminal_)
		shutil.rmtree(self.runtime, ignore_errors=True)

	def kill(self):
		"""kill -9."""
		if self.process.poll() is None:
			self.process.kill()
		self.process.wait()

	def close(self):
		self.cleanup_.close()

	def quit(self):
		"""Ends testpmd as a user does; returns its exit status."""
		os.write(self.terminal_, b"quit\n")
		return self.process.wait(60)

	def log(self):
		return self.output_.decode(errors="replace").replace("\r", "")

	def alive(self):
		return self.process.poll() is None

	def await_log(self, text, seconds=10):
		wait_for(lambda: text in self.log(), f"\"{text}\" in the log", seconds)

	def await_prompt_(self, since, seconds):
		prompt = PROMPT.encode()
		wait_for(lambda: prompt in self.output_[since:] or not self.alive(),
			"prompt of testpmd", seconds)
		if not self.alive():
			raise Failure(f"testpmd ended with status {self.process.returncode}:\n{self.log()[-3000:]}")

	def command(self, line, seconds=30):
		"""Runs a command of testpmd; returns what it prints."""
		since = len(self.output_)
		os.write(self.terminal_, line.encode() + b"\n")
		self.await_prompt_(since, seconds)
		text = self.output_[since:].decode(errors="replace").replace("\r", "")
		return text[:text.rindex(PROMPT)].removeprefix(line).strip()

	def port(self):
		"""Number of the port at the NIC."""
		for port in self.telemetry("/ethdev/list"):
			if "pcap" not in self.telemetry(f"/ethdev/info,{port}")["name"]:
				return port
		raise Failure("no port for the NIC")

	def has_port(self):
		return len(self.telemetry("/ethdev/list")) == 2

	def link_is_up(self):
		return self.telemetry(f"/ethdev/link_status,{self.port()}")["status"] == "UP"

	def await_link(self):
		wait_for(self.link_is_up, "link", 15)

	def stats(self):
		return self.telemetry(f"/ethdev/stats,{self.port()}")

	def received(self):
		"""The frames that have arrived, by queue. testpmd flushes the files after each burst."""
		return [read_pcap(self.folder / f"got{queue}.pcap") for queue in range(self.queues)]

	def all_received(self):
		return sorted(frame for frames in self.received() for frame in frames)

	def resources(self):
		"""What must not grow: open files, mapped files, buffers out of their pool."""
		maps = Path(f"/proc/{self.process.pid}/maps").read_text()
		return {
			"fds": len(os.listdir(f"/proc/{self.process.pid}/fd")),
			"mappings": len(re.findall(r" [1-9]\d* +/", maps)),
			"mbufs": self.mbufs_in_use_(),
		}

	def mbufs_in_use_(self):
		dump = self.command("dump_mempool mb_pool_0")
		count = {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)\n", dump + "\n")}
		return count["size"] - count["common_pool_count"] - count["total_cache_count"]


class Pair:
	"""A provider, and consumers one after the other."""

	def __init__(self, folder, socket):
		self.folder = Path(folder)
		self.socket = Path(socket)
		self.ends_ = []

	def start_provider(self, queues=1, **options):
		self.provider = self.add_(Endpoint(self.folder, "provider",
			f"emu_iavf0,path={self.socket},queues={queues}", queues, **options))
		return self.provider

	def start_consumer(self, queues=1, devargs="", **options):
		self.consumer = self.add_(Endpoint(self.folder, "consumer",
			f"vfio_user_pci0,path={self.socket}{devargs}", queues, start=False, **options))
		return self.consumer

	def add_(self, end):
		self.ends_.append(end)
		return end

	def start_both(self, queues=1, to_provider=None, to_consumer=None, **options):
		"""Both sides with a link; the provider sends once the consumer is ready to receive."""
		self.start_provider(queues, frames=to_consumer, start=False, **options)
		self.start_consumer(queues, frames=to_provider, **options)
		self.consumer.await_link()
		for end in self.consumer, self.provider:
			end.command("start")

	def stats_agree(self):
		"""What one side has sent the other has received."""
		there, here = self.consumer.stats(), self.provider.stats()
		names = (("opackets", "ipackets"), ("obytes", "ibytes"))
		return all(there[out] == here[into] and here[out] == there[into] for out, into in names)

	def close(self):
		for end in reversed(self.ends_):
			end.close()


PCAP_HEADER = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000")


def write_pcap(path, frames):
	with open(path, "wb") as file:
		file.write(PCAP_HEADER)
		for frame in frames:
			length = len(frame).to_bytes(4, "little")
			file.write(bytes(8) + length + length + frame)


def read_pcap(path):
	"""The whole frames of a file that may be being written."""
	data = path.read_bytes() if path.exists() else b""
	frames, at = [], len(PCAP_HEADER)
	while at + 16 <= len(data):
		length = int.from_bytes(data[at + 8:at + 12], "little")
		if at + 16 + length > len(data):
			break
		frames.append(data[at + 16:at + 16 + length])
		at += 16 + length
	return frames
