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


@pytest.fixture(scope="module")
def program(tmp_path_factory):
	path = tmp_path_factory.mktemp("program") / "rx_interrupt"
	flags = shlex.split(execute("pkg-config", "--cflags", "--libs", "libdpdk"))
	source = Path(__file__).with_name("rx_interrupt.c")
	execute("cc", "-O2", "-Wall", "-o", str(path), str(source), *flags)
	return path


class Receiver:
	"""The program on one end of the NIC."""

	def __init__(self, program, name, device, queues, frames, log):
		self.log_ = open(log, "w+", encoding="utf-8")
		self.process = subprocess.Popen((program, f"--lcores={lcores(1)}", *MEMORY, "--no-pci",
			f"--file-prefix=emudev-rx-{os.getpid()}-{name}", "-d", str(BUILD / "drivers"),
			f"--vdev={device}", "--", str(queues), str(sum(map(len, frames.values())))),
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

	def check(self, queues, frames):
		assert self.process.wait(40) == 0, self.output()
		seen = re.findall(r"queue (\d+): (\d+) frames, (\d+) wakes", self.output())
		assert len(seen) == queues, self.output()
		for queue, received, wakes in seen:
			expected = len(frames.get(int(queue), ()))
			assert int(received) == expected, self.output()
			assert (int(wakes) > 0) == (expected > 0), self.output()


# Frames come on one queue, which has to do the waking: awake, the program looks at all of them.
@pytest.mark.parametrize("queues, used", [(1, 0), (4, 0), (4, 3)])
def test_sleeping_receiver(pair, make_frames, program, queues, used, tmp_path):
	frames = {used: make_frames(200)}
	provider = pair.start_provider(queues, frames=frames, start=False)
	with Receiver(program, "there", f"vfio_user_pci0,path={pair.socket}", queues, frames,
			tmp_path / "receiver.log") as receiver:
		provider.await_link()
		provider.command("start")
		receiver.check(queues, frames)


@pytest.mark.parametrize("queues, used", [(1, 0), (4, 0), (4, 3)])
def test_sleeping_host(pair, make_frames, program, queues, used, tmp_path):
	"""The guest writes its doorbells to memory, and yet the host sleeps."""
	frames = {used: make_frames(200)}
	with Receiver(program, "here", f"emu_iavf0,path={pair.socket},queues={queues}", queues,
			frames, tmp_path / "receiver.log") as receiver:
		consumer = pair.start_consumer(queues, frames=frames)
		consumer.await_link()
		before = receiver.spent()
		time.sleep(1)
		assert receiver.spent() - before < 0.3, "it does not sleep"
		consumer.command("start")
		receiver.check(queues, frames)
