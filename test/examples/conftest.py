# SPDX-License-Identifier: BSD-3-Clause
"""The examples, built as a device author does: by make, against what "ninja install" gives."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part)
                for part in ("", "protocol", "guest")]

from installed import installed  # noqa: E402
from stock import BUILD, DIE_WITH_US, ROOT, wait_for  # noqa: E402

EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/Makefile"))
# A library with sanitizers wants programs with the same ones.
CFLAGS = "-O1 -g -Werror -fsanitize=address,undefined -fno-sanitize-recover=undefined"
LIBRARIES = ":".join(str(BUILD / "lib" / name) for name in ("vfio_user", "emudev"))
OPTIONS = "detect_leaks=1:abort_on_error=0:exitcode=99"


@pytest.fixture(name="programs", scope="session")
def fixture_programs(tmp_path_factory):
    """Folder of the programs, one for each example."""
    folder, work = tmp_path_factory.mktemp("programs"), tmp_path_factory.mktemp("installed")
    sources = folder / "source"
    shutil.copytree(ROOT / "examples", sources)
    run = installed(work, "\n".join(
        f"make -s -C {sources}/{name} O={folder} CFLAGS='{CFLAGS}'" for name in EXAMPLES))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "warning" not in run.stderr, run.stderr
    return folder


class Program:
    """An example that runs until it is told to end."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen(
            [*DIE_WITH_US, str(program), *map(str, arguments)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env=os.environ | {"LD_LIBRARY_PATH": LIBRARIES, "ASAN_OPTIONS": OPTIONS})
        self.lines = []
        self.reader_ = threading.Thread(target=self.read_, daemon=True)
        self.reader_.start()

    def read_(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def alive(self):
        return self.process.poll() is None

    def await_line(self, pattern):
        """The first line that matches, as a match."""
        def find():
            return next(filter(None, (re.search(pattern, line) for line in list(self.lines))), None)
        return wait_for(find, f"line {pattern!r} in {self.lines}")

    def end(self):
        """Ends it as a person does; its status, with which it also reports leaks."""
        if self.alive():
            self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()
            self.reader_.join()
        assert status == 0, "\n".join([f"status {status}", *self.lines])


@pytest.fixture(name="start")
def fixture_start(programs):
    """Starts an example; all end well with the test."""
    running = []

    def start(name, *arguments):
        running.append(Program(programs / name, *arguments))
        return running[-1]
    yield start
    for program in reversed(running):
        program.end()


def fired(fd, seconds=5):
    """Whether an eventfd is signalled in time; takes it back."""
    if not select.select([fd], [], [], seconds)[0]:
        return False
    os.eventfd_read(fd)
    return True
