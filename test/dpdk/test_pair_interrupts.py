# SPDX-License-Identifier: BSD-3-Clause
"""Rx-queue interrupts: an application that sleeps is woken by the queue that has frames, on either
side of the NIC."""

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from pair import MEMORY
from stock import BUILD, execute, lcores, sanitizer_environment, wait_for


def compiled(folder, name):
	flags = shlex.split(execute("pkg-config", "--cflags", "--libs", "libdpdk"))
	source = Path(__file__).with_name(f"{name}.c")
	execute("cc", "-O2", "-Wall", "-o", str(folder / name), str(source), *flags)
	return folder / name


@pytest.fixture(scope="module")
def program(tmp_path_factory):
	return compiled(tmp_path_factory.mktemp("program"), "rx_interrupt")


@pytest.fixture(scope="module")
def vpp(tmp_path_factory):
	return compiled(tmp_path_factory.mktemp("program"), "vpp_calls")


class Receiver:
	"""A program on one end of the NIC."""

	def __init__(self, program, name, device, arguments, log):
		self.log_ = open(log, "w+", encoding="utf-8")
		self.process = subprocess.Popen((program, f"--lcores={lcores(1)}", *MEMORY, "--no-pci",
			f"--file-prefix=emudev-rx-{os.getpid()}-{name}", "-d", str(BUILD / "drivers"),
			f"--vdev={device}", "--", *map(str, arguments)),
			stdout=self.log_, stderr=subprocess.STDOUT,
			env=os.environ | sanitizer_environment())

	def __enter__(self):
		wait_for(lambda: "ready" in self.output() or self.process.poll() is not None,
			"receiver", 30)
		return self

	def __exit__(self, *_):
		self.process.kill()
		self.process.wait()
		self.log_.close()

	def output(self):
		return Path(self.log_.name).read_text(encoding="utf-8")

	def spent(self):
		"""Seconds of CPU time."""
		fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
		return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

	def check(self, queues, frames, vectors=None):
		"""Queues that have frames wake, by vectors of their own or by those that they share."""
		assert self.process.wait(40) == 0, self.output()
		seen = re.findall(r"queue (\d+): (\d+) frames, (\d+) wakes", self.output())
		assert len(seen) == queues, self.output()
		for queue, received, _ in seen:
			assert int(received) == len(frames.get(int(queue), ())), self.output()
		woken = {int(queue) for queue, _, wakes in seen if int(wakes) > 0}
		assert woken == {queue % (vectors or queues) for queue in frames}, self.output()


# Frames come on one queue, which has to do the waking: awake, the program looks at all of them.
# With fewer vectors than queues, net_iavf hands them out in turns; the mailbox has one, too.
@pytest.mark.parametrize("queues, used, vectors", [(1, 0, None), (4, 0, None), (4, 3, None),
	(4, 3, 1), (4, 3, 2), (4, 2, 2), (4, 3, 3)])
def test_sleeping_receiver(pair, make_frames, program, queues, used, vectors, tmp_path):
	frames = {used: make_frames(200)}
	provider = pair.start_provider(queues, frames=frames, start=False,
		devargs=f",vectors={vectors + 1}" if vectors else "")
	with Receiver(program, "there", f"vfio_user_pci0,path={pair.socket}", (queues, 200),
			tmp_path / "receiver.log") as receiver:
		provider.await_link()
		provider.command("start")
		receiver.check(queues, frames, vectors)


@pytest.mark.parametrize("queues, used", [(1, 0), (4, 0), (4, 3)])
def test_sleeping_host(pair, make_frames, program, queues, used, tmp_path):
	"""The guest writes its doorbells to memory, and yet the host sleeps."""
	frames = {used: make_frames(200)}
	with Receiver(program, "here", f"emu_iavf0,path={pair.socket},queues={queues}", (queues, 200),
			tmp_path / "receiver.log") as receiver:
		consumer = pair.start_consumer(queues, frames=frames)
		consumer.await_link()
		before = receiver.spent()
		time.sleep(1)
		assert receiver.spent() - before < 0.3, "it does not sleep"
		consumer.command("start")
		receiver.check(queues, frames)


def spare(frame):
	"""The same to an address that is nobody's."""
	return bytes.fromhex("0200000000ee") + frame[6:]


@pytest.mark.parametrize("mode", ["polling", "interrupt", "adaptive"])
def test_host_asks_what_vpp_does(pair, make_frames, vpp, mode, tmp_path):
	"""A wave of frames that come back, and some that the port must not take; then it sleeps, and is
	woken for another wave."""
	mine = make_frames(300)  # And as many others: testpmd drops what a ring has no room for.
	sent = [frame for pair_of in zip(mine, map(spare, mine)) for frame in pair_of]
	with Receiver(vpp, "vpp", f"emu_iavf0,path={pair.socket}", (mode, len(mine) + 1),
			tmp_path / "vpp.log") as receiver:
		consumer = pair.start_consumer(frames={0: sent})
		consumer.await_link()
		consumer.command("start")
		wait_for(lambda: consumer.all_received() == sorted(mine), "frames sent back", 15)
		consumer.command("stop")
		before = receiver.spent()
		time.sleep(1)
		sleeps = receiver.spent() - before < 0.3
		assert sleeps == (mode != "polling")
		consumer.command(f"set eth-peer {consumer.port()} 02:00:00:00:00:0a")
		consumer.command("set fwd txonly")
		consumer.command("start")
		assert receiver.process.wait(40) == 0, receiver.output()
	said = re.search(r"received (\d+), counted (\d+), wakes (\d+), to polling (\d+)", receiver.output())
	received, counted, wakes, to_polling = map(int, said.groups())
	assert received == counted > len(mine)
	assert (wakes >= 2) == (mode != "polling")
	assert (to_polling >= 1) == (mode == "adaptive")
