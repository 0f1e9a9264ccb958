# SPDX-License-Identifier: BSD-3-Clause
"""Servers that a consumer cannot use, or that turn hostile: it says why and lives on."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "protocol"))

from fake_server import FakeRegion, FakeServer, config_space  # noqa: E402
from pair import (attach, attach_another, start_without_device,  # noqa: E402
	traffic_passes)
from stock import compile_library, sanitizer_environment, wait_for  # noqa: E402
from vfio_user import Command, Region, RegionFlag  # noqa: E402

BAR_SIZE = 0x10000
RW = RegionFlag.READ | RegionFlag.WRITE
MAPPABLE = RW | RegionFlag.MMAP
IN_PARTS = "BAR 0 (65536 bytes) can be mapped in parts only"

# How BAR0 is offered, the size of its file (None: no file), and what the log says of it.
NOT_WHOLE = {
	"not mappable": (RW, (), BAR_SIZE, "BAR 0 (65536 bytes) cannot be mapped (no MMAP)"),
	"its first part": (MAPPABLE, ((0, 0x4000),), BAR_SIZE, IN_PARTS),
	"its last part": (MAPPABLE, ((0x4000, 0xc000),), BAR_SIZE, IN_PARTS),
	"two parts": (MAPPABLE, ((0, 0x8000), (0x8000, 0x8000)), BAR_SIZE, IN_PARTS),
	"no rights": (RegionFlag.MMAP, (), BAR_SIZE, "can neither be read nor written"),
	"read only": (RegionFlag.MMAP | RegionFlag.READ, (), BAR_SIZE, "cannot be written"),
	"write only": (RegionFlag.MMAP | RegionFlag.WRITE, (), BAR_SIZE, "cannot be read"),
	"no file": (MAPPABLE, (), None, "cannot map a BAR: Operation not supported"),
	"short file": (MAPPABLE, (), BAR_SIZE - 4096, "cannot map a BAR: Invalid argument"),
}

# Sizes of BAR0, all of which is there and mappable, and what the log says of it.
NOT_AS_LONG = {
	0: "BAR 0 has 0 bytes of mapped memory, since the server has none; a device 8086:1889 has "
		"65536 at least",
	BAR_SIZE - 4096: "BAR 0 has 61440 bytes of mapped memory",
	1 << 40: "BAR 0 has 1099511627776 bytes; 1073741824 are allowed",
}


@pytest.mark.parametrize("offer", NOT_WHOLE)
def test_bar_that_is_not_whole(pair, offer):
	"""net_iavf would load and store where nothing is mapped: it is not even probed."""
	flags, areas, file_size, reason = NOT_WHOLE[offer]
	check_refusal(pair, FakeRegion(BAR_SIZE, flags, areas=areas), file_size, reason)


@pytest.mark.parametrize("size", NOT_AS_LONG)
def test_bar_that_is_not_as_long(pair, size):
	"""net_iavf would load and store behind its end."""
	check_refusal(pair, FakeRegion(size, MAPPABLE), size, NOT_AS_LONG[size])


# What the configuration space says of a BAR 0 that is trapped, and what the log says of it.
ELSEWHERE = {
	"I/O space": ({0x10: b"\1"}, "since it is in I/O space"),
	"vectors": ({0x06: b"\x10", 0x34: b"\x40", 0x40: b"\x11"}, "traps it for MSI-X"),
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_bar_that_is_not_memory(pair, where):
	"""Such BARs are left out, and net_iavf would store at address 0."""
	config, reason = ELSEWHERE[where]
	check_refusal(pair, FakeRegion(BAR_SIZE, RW), BAR_SIZE, reason, config=config)


@contextlib.contextmanager
def fake_iavf(pair, bar0, file_size, config=None, **options):
	"""A server of an iavf device; file_size None: BAR0 without a file."""
	space = bytearray(config_space().ljust(256, b"\0"))
	for offset, value in (config or {}).items():
		space[offset:offset + len(value)] = value
	try:
		if file_size is not None:
			bar0.fd = os.memfd_create("bar0")
			os.truncate(bar0.fd, file_size)
		regions = {Region.BAR0: bar0, Region.CONFIG: FakeRegion(256, data=bytes(space))}
		with FakeServer(pair.socket, regions, **options) as server:
			yield server
	finally:
		if bar0.fd >= 0:
			os.close(bar0.fd)
		pair.socket.unlink()


def check_unharmed(pair, consumer):
	"""An honest server at the same path is as good as ever."""
	assert consumer.telemetry("/vfio_user/client/list") == []
	pair.start_provider()
	attach_another(consumer, "vfio_user_pci0", pair.socket)


def check_refusal(pair, bar0, file_size, reason, **options):
	consumer = start_without_device(pair)
	ports, before = consumer.telemetry("/ethdev/list"), consumer.resources()
	with fake_iavf(pair, bar0, file_size, **options) as server:
		answer = consumer.command(f"port attach vfio_user_pci0,path={pair.socket}")
		assert reason in answer, answer
		assert "probe driver" not in consumer.log()
		assert not server.seen_dma()
	assert consumer.telemetry("/ethdev/list") == ports
	assert consumer.resources() == before
	check_unharmed(pair, consumer)


def test_slow_server(pair):
	"""Each answer comes in time, but all of them together hold EAL's memory lock for long."""
	consumer = start_without_device(pair)
	with fake_iavf(pair, FakeRegion(BAR_SIZE, MAPPABLE), BAR_SIZE,
			delays={Command.DMA_MAP: 0.3}) as server:
		answer = consumer.command(
			f"port attach vfio_user_pci0,path={pair.socket},timeout_ms=1000", 60)
		assert "it has not opened or closed memory in 1000 ms" in answer, answer
		assert server.seen.count(Command.DMA_MAP) == 4
	check_unharmed(pair, consumer)


def test_server_that_answers_late(pair):
	"""Each answer comes in time, and there are dozens: all of them together have an end."""
	consumer = start_without_device(pair)
	with fake_iavf(pair, FakeRegion(BAR_SIZE, MAPPABLE), BAR_SIZE,
			delays=dict.fromkeys(Command, 0.3)) as server:
		before = time.monotonic()
		answer = consumer.command(
			f"port attach vfio_user_pci0,path={pair.socket},attach_ms=2000", 60)
		assert "when the time for all answers was over" in answer, answer
		assert 1.9 < time.monotonic() - before < 4
		assert 5 < len(server.seen) < 9
	check_unharmed(pair, consumer)


@pytest.fixture(scope="module")
def unsealed(tmp_path_factory):
	"""The launcher of a server whose memory files can be truncated."""
	path = tmp_path_factory.mktemp("preload") / "unseal.so"
	source = Path(__file__).with_name("unseal.c")
	compile_library(source, path)
	runtime = sanitizer_environment().get("LD_PRELOAD")
	return "env", "LD_PRELOAD=" + ":".join(filter(None, (runtime, str(path))))


def truncate_bar(provider):
	"""Leaves nothing of BAR0. The server is stopped first: it would touch it too."""
	provider.process.send_signal(signal.SIGSTOP)
	files = [fd for fd in Path(f"/proc/{provider.process.pid}/fd").iterdir()
		if os.readlink(fd).startswith("/memfd:emu_iavf0")]
	assert len(files) == 1, files
	os.truncate(files[0], 0)


def test_truncated_bar(pair, unsealed):
	"""net_iavf's next access would be its death by SIGBUS; it finds zeroes, and is removed."""
	pair.start_provider(launcher=unsealed)
	consumer = pair.start_consumer()
	consumer.await_link()
	traffic_passes(pair)
	truncate_bar(pair.provider)
	consumer.command("set promisc all off", 60)  # Rings the doorbell of the admin queue.
	consumer.await_log("it has truncated memory that it shares")
	consumer.await_log("device removal event")
	assert f"the server at {pair.socket} is gone (Bad address)" in consumer.log()
	wait_for(lambda: not consumer.has_port(), "removal of the dead device", 60)
	pair.provider.kill()
	pair.start_provider()
	attach(pair)
	traffic_passes(pair)
