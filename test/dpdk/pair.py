# SPDX-License-Identifier: BSD-3-Clause
"""Two stock testpmds: the provider has the emulated NIC, the consumer drives it by net_iavf.

Each side joins the NIC to a net_pcap port and forwards from each to the other: the frames of the
files that it reads go to the peer, and the peer's frames go to files that the test compares.
"""

import contextlib
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from stock import StockTestpmd, wait_for  # noqa: E402

MEMORY = ("--in-memory", "-m", "128")
BURST = 32


class Endpoint(StockTestpmd):
	"""A testpmd whose first port is its end of the NIC and whose second is a net_pcap port."""

	partner = "pcap"
	count_ = 0

	def __init__(self, folder, name, device, queues=1, memory=MEMORY, eal=(), options=(),
			setup=(), frames=None, start=True, launcher=(), alone=False):
		"""An end that is alone has no net_pcap port, which could not have many queues."""
		super().__init__()
		Endpoint.count_ += 1
		self.folder = Path(folder) / f"{name}{Endpoint.count_}"
		self.folder.mkdir()
		self.queues = queues
		self.is_consumer = name == "consumer"
		self.prefix = f"emudev-pair-{os.getpid()}-{Endpoint.count_}"
		with contextlib.ExitStack() as on_failure:
			on_failure.callback(self.close)
			self.start_(self.prefix, memory,
				(f"--vdev={device}", *(() if alone else [self.pcap_(frames or {})]),
				*eal), (
				"--no-flush-rx", f"--burst={BURST}", "--rxd=1024", "--txd=1024",
				f"--rxq={queues}", f"--txq={queues}",
				f"--total-num-mbufs={4096 + 1024 * queues}", *options), launcher)
			for line in (*setup, *(["start"] if start else [])):
				self.command(line)
			on_failure.pop_all()

	def pcap_(self, frames):
		"""The option for the net_pcap port, whose files with frames to send are written."""
		device = "--vdev=net_pcap0"
		for queue in range(self.queues):
			send = self.folder / f"send{queue}.pcap"
			write_pcap(send, frames.get(queue, []))
			device += f",rx_pcap={send},tx_pcap={self.folder}/got{queue}.pcap"
		return device

	def await_log(self, text, seconds=10):
		wait_for(lambda: text in self.log(), f"\"{text}\" in the log", seconds)

	def port_named(self, part):
		"""Number of the port whose name contains this."""
		return next(port for port in self.telemetry("/ethdev/list")
			if part in self.telemetry(f"/ethdev/info,{port}")["name"])

	def has_port(self):
		return len(self.telemetry("/ethdev/list")) == 2

	def link_is_up(self):
		return self.telemetry(f"/ethdev/link_status,{self.port()}")["status"] == "UP"

	def await_link(self):
		wait_for(self.link_is_up, "link", 15)

	def received(self):
		"""The frames that have arrived, by queue: testpmd flushes after each burst."""
		return [read_pcap(self.folder / f"got{queue}.pcap") for queue in range(self.queues)]

	def all_received(self):
		return sorted(frame for frames in self.received() for frame in frames)


class Pair:
	"""A provider, and consumers one after the other."""

	def __init__(self, folder, socket):
		self.folder = Path(folder)
		self.socket = Path(socket)
		self.ends_ = []

	def start_provider(self, queues=1, devargs="", **options):
		self.provider = self.add_(Endpoint(self.folder, "provider",
			f"emu_iavf0,path={self.socket},queues={queues}{devargs}", queues,
			**options))
		return self.provider

	def start_consumer(self, queues=1, devargs="", **options):
		self.consumer = self.add_(Endpoint(self.folder, "consumer",
			f"vfio_user_pci0,path={self.socket}{devargs}", queues, start=False,
			**options))
		return self.consumer

	def add_(self, end):
		self.ends_.append(end)
		return end

	def start_both(self, queues=1, to_provider=None, to_consumer=None, **options):
		"""Both sides with a link; the provider sends once the consumer is ready."""
		self.start_provider(queues, frames=to_consumer, start=False, **options)
		self.start_consumer(queues, frames=to_provider, **options)
		self.consumer.await_link()
		for end in self.consumer, self.provider:
			end.command("start")

	def stats_agree(self):
		"""What one side has sent the other has received."""
		there, here = self.consumer.port_stats(), self.provider.port_stats()
		names = (("opackets", "ipackets"), ("obytes", "ibytes"))
		return all(there[out] == here[into] and here[out] == there[into]
			for out, into in names)

	def close(self):
		for end in reversed(self.ends_):
			end.close()


def traffic_passes(pair):
	"""A burst from the consumer arrives: testpmd's own frames, counted at both ends."""
	before = pair.provider.port_stats()["ipackets"]
	sent = pair.consumer.port_stats()["opackets"]
	pair.consumer.command("set fwd txonly")
	pair.consumer.command("start")
	try:
		wait_for(lambda: pair.provider.port_stats()["ipackets"] > before + 1000,
			"traffic", 15)
	finally:
		pair.consumer.command("stop")
		pair.consumer.command("set fwd io")
	wait_for(lambda: pair.provider.port_stats()["ipackets"] - before ==
		pair.consumer.port_stats()["opackets"] - sent, "arrival of all that was sent")


def attach(pair, seconds=60):
	consumer = pair.consumer
	# A testpmd whose device was removed while it sent forwards again, with what is left.
	consumer.command("stop")
	consumer.command(f"port attach vfio_user_pci0,path={pair.socket},wait_ms=10000", seconds)
	wait_for(consumer.has_port, "port of the attached device")
	port = consumer.port()
	consumer.command(f"port config {port} rxq 1")
	consumer.command(f"port start {port}", seconds)
	consumer.await_link()


def attach_another(consumer, name, path):
	"""Attaches one more device; returns the number of its port, which is started."""
	consumer.command(f"port attach {name},path={path}", 60)
	port = consumer.port_named(name)
	consumer.command(f"port start {port}", 60)
	link = lambda: consumer.telemetry(f"/ethdev/link_status,{port}")["status"]
	wait_for(lambda: link() == "UP", "link", 15)
	return port


def detach(pair):
	detach_port(pair.consumer)


def detach_port(end):
	port = end.port()
	end.command(f"port stop {port}")
	end.command(f"port detach {port}")
	wait_for(lambda: not end.has_port(), "end of the port")


def start_without_device(pair):
	"""The device is attached later: EAL can not know that it wants virtual I/O addresses."""
	return pair.add_(Endpoint(pair.folder, "consumer", "net_null0", eal=("--iova-mode=va",),
		start=False))


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
