# SPDX-License-Identifier: BSD-3-Clause
"""The faults of the troubleshooting page: each is injected, and found by what the page says.

Its commands go to DPDK's own dpdk-telemetry.py, as a reader does it; a healthy device shows nothing
of the kind."""

import re
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from stock import ROOT, wait_for

sys.path.append(str(ROOT / "test" / "protocol"))

import vfio_user  # noqa: E402

PAGE = (ROOT / "doc" / "guides" / "howto" / "troubleshooting.rst").read_text(encoding="utf-8")
OWN_MAC = "02:00:00:00:00:05"


def sections():
	"""What is to be found, by title: commands with parts of their answers, and lines of the log."""
	parts = re.split(r"^(.+)\n-{4,}\n", PAGE, flags=re.MULTILINE)[1:]
	return {title: [line.strip() for block in re.findall(r"::\n((?:\n|   .*\n)+)", text)
		for line in block.splitlines() if line.strip()]
		for title, text in zip(parts[::2], parts[1::2])}


def pattern(line):
	"""<words> stand for what differs, and dots for other keys of a part."""
	words = re.escape(line).replace(re.escape("... "), "[^}]*")
	for name, meaning in {"path": r"/\S+", "count": r"[1-9]\d*", "size": r"\d+"}.items():
		words = words.replace(f"<{name}>", meaning)
	return words + r"(?![\w.])"


def missing(lines, provider, path):
	"""Lines of the page that are not true."""
	answer, wrong = "", []
	for line in lines:
		if command := line.removeprefix("--> ").replace("<path>", str(path)) \
				if line.startswith("--> ") else "":
			answer = subprocess.run(["dpdk-telemetry.py", "-f", provider.prefix],
				input=f"{command}\n", capture_output=True, text=True, timeout=30).stdout
		elif not re.search(pattern(line), answer if line.startswith('"') else provider.log()):
			wrong.append(line)
	return wrong


@contextmanager
def raw_client(pair, with_fd=True):
	with vfio_user.DmaMemory() as memory, vfio_user.connect(str(pair.socket)) as client:
		memory.share(client, with_fd=with_fd)
		client.device_info()
		yield


@contextmanager
def second_client(pair):
	with socket.socket(socket.AF_UNIX) as client:
		client.connect(str(pair.socket))
		assert client.recv(1) == b""
		yield


@contextmanager
def stopped_port(pair):
	pair.provider.command("stop")
	pair.provider.command("port stop 0")
	yield


@contextmanager
def no_receiver(pair):
	pair.provider.command("stop")
	pair.consumer.command("set fwd txonly")
	pair.consumer.command("start")
	yield


@contextmanager
def spoofing(pair):
	"""The frames' sources are not the address of the device."""
	assert pair.provider.telemetry("/emu_iavf/set,emu_iavf0,spoofchk=on")
	pair.consumer.command("start")
	yield


@contextmanager
def another_address(pair):
	pair.consumer.command(f"mac_addr add {pair.consumer.port()} 02:00:00:00:00:77")
	yield


WITHOUT_GUEST = {
	"The memory of the guest is not shared": lambda pair: raw_client(pair, with_fd=False),
	"The guest has no driver": raw_client,
}
WITH_GUEST = {
	"Two virtual machines have one socket": second_client,
	"The port is stopped": stopped_port,
	"The application does not receive": no_receiver,
	"Frames of the guest are dropped": spoofing,
	"The guest asks for what it may not have": another_address,
}


def test_all_are_tried():
	assert set(sections()) == {*WITHOUT_GUEST, *WITH_GUEST}


def check(pair, title, inject):
	lines = sections()[title]
	assert missing(lines, pair.provider, pair.socket), "seen without the fault"
	with inject(pair):
		wait_for(lambda: not missing(lines, pair.provider, pair.socket),
			f"\"{title}\": {missing(lines, pair.provider, pair.socket)}", 20, 0.3)


def test_without_guest(pair):
	pair.start_provider()
	for title, inject in WITHOUT_GUEST.items():
		check(pair, title, inject)


@pytest.mark.parametrize("title", WITH_GUEST)
def test_with_guest(pair, make_frames, title):
	pair.start_provider(devargs=f",mac={OWN_MAC},trust=off")
	pair.start_consumer(frames={0: make_frames(50)})
	pair.consumer.await_link()
	check(pair, title, WITH_GUEST[title])
