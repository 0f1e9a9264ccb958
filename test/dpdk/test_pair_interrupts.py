# SPDX-License-Identifier: BSD-3-Clause
"""Rx-queue interrupts: an application that sleeps is woken by the queue that has frames."""

import os
import re
import shlex
import subprocess
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


@pytest.mark.parametrize("queues", [1, 4])
def test_sleeping_receiver(pair, make_frames, program, queues, tmp_path):
	count = 200
	frames = {queue: make_frames(count) for queue in range(queues)}
	provider = pair.start_provider(queues, frames=frames, start=False)
	with open(tmp_path / "receiver.log", "w+", encoding="utf-8") as log:
		receiver = subprocess.Popen((program, f"--lcores={lcores(1)}", *MEMORY, "--no-pci",
			f"--file-prefix={provider.prefix}-rx", "-d", str(BUILD / "drivers"),
			f"--vdev=vfio_user_pci0,path={pair.socket}",
			"--", str(queues), str(queues * count)), stdout=log,
			stderr=subprocess.STDOUT, env=os.environ | sanitizer_environment())
		try:
			output = lambda: Path(log.name).read_text(encoding="utf-8")
			wait_for(lambda: "ready" in output() or receiver.poll() is not None,
				"receiver", 30)
			provider.await_link()
			provider.command("start")
			assert receiver.wait(40) == 0, output()
		finally:
			receiver.kill()
			receiver.wait()
	seen = re.findall(r"queue (\d+): (\d+) frames, (\d+) wakes", output())
	assert len(seen) == queues, output()
	for queue, received, wakes in seen:
		assert int(received) == count, output()
		assert int(wakes) > 0, f"queue {queue} woke nobody:\n{output()}"
