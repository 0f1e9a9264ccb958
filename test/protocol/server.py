# SPDX-License-Identifier: BSD-3-Clause
"""A dpdk-testpmd with two emulated devices, as the peer of the protocol tests.

Port topology "loop" with forward mode "io" sends each frame of a guest back to it unchanged.
"""

import os
import re
import subprocess
import time
from collections import Counter
from pathlib import Path

import vfio_user
from vfio_user import Command, IrqSet

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("EMUDEV_BUILD", ROOT / "build")).resolve()
TESTPMD = os.environ.get("EMUDEV_TESTPMD", "dpdk-testpmd")
QUEUES = 4
START_TIMEOUT = 30.0


def sanitizer_environment(report):
    """What the stock testpmd needs to load plugins that are built with sanitizers."""
    options = subprocess.run(["meson", "introspect", "--buildoptions", BUILD], check=True,
                             capture_output=True, text=True).stdout
    match = re.search(r'"name": "b_sanitize", "value": "([^"]*)"', options)
    sanitizers = match.group(1).split(",") if match else []
    names = {"address": "libasan.so", "undefined": "libubsan.so"}
    libraries = [subprocess.run(["gcc", f"-print-file-name={names[name]}"], check=True,
                                capture_output=True, text=True).stdout.strip()
                 for name in sanitizers if name in names]
    if not libraries:
        return {}
    return {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": f"log_path={report}:halt_on_error=1:detect_leaks=1",
        "UBSAN_OPTIONS": f"log_path={report}:halt_on_error=1:print_stacktrace=1",
    }


class Server:
    def __init__(self, folder):
        self.path = str(folder / "nic0.sock")
        self.other_path = str(folder / "nic1.sock")  # a device that must never notice the tests
        self.log_path = folder / "testpmd.log"
        self.report = folder / "sanitizer"
        command = [
            TESTPMD, "--lcores", "0@(0-1),1@(0-1)" if os.cpu_count() > 1 else "(0,1)@0",
            "--no-pci", "--no-shconf", "--no-huge", "-m", "256", "--no-telemetry",
            "-d", str(BUILD / "drivers"),
            f"--vdev=emu_iavf,path={self.path},queues={QUEUES}",
            f"--vdev=emu_iavf1,path={self.other_path},queues={QUEUES}",
            "--", "-i", "--auto-start", "--forward-mode=io", "--port-topology=loop",
            "--nb-cores=1", f"--rxq={QUEUES}", f"--txq={QUEUES}", "--total-num-mbufs=8192",
            "--disable-link-check",
        ]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                env=os.environ | sanitizer_environment(self.report))
        self.pid = self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def wait_until_ready(self):
        deadline = time.monotonic() + START_TIMEOUT
        while "Press" not in self.log() and "testpmd>" not in self.log():
            assert self.alive() and time.monotonic() < deadline, self.log()
            time.sleep(0.05)
        for path in (self.path, self.other_path):
            with vfio_user.connect(path) as client:
                self.wire_each_vector(client)
        time.sleep(0.2)  # the server notices the disconnect
        self.idle_fds = self.fds()

    @staticmethod
    def wire_each_vector(client):
        """A server may keep one descriptor for each vector that was ever wired, but no more."""
        fd = os.eventfd(0)
        for index in range(client.device_info()[2]):
            for vector in range(client.irq_info(index)[1]):
                client.call(Command.DEVICE_SET_IRQS, vfio_user.set_irqs(
                    IrqSet.EVENTFD | IrqSet.TRIGGER, index, vector), [fd])
        os.close(fd)

    def fds(self):
        """What each open descriptor of the process is."""
        names = []
        for fd in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                names.append(re.sub(r"\d+", "N", os.readlink(fd)))
            except FileNotFoundError:
                pass  # closed in between
        return sorted(names)

    def client_mappings(self):
        maps = Path(f"/proc/{self.pid}/maps").read_text()
        return [line for line in maps.splitlines() if vfio_user.MEMORY_NAME in line]

    def memory(self):
        """Resident bytes, without what is shared with a client or is testpmd's own pool."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status).group(1)) * 1024

    def check_health(self):
        """The server lives, serves fresh clients of both devices, and has let go of the last."""
        assert self.alive(), self.log()
        for path in (self.path, self.other_path):
            with vfio_user.connect(path) as client:
                assert client.device_info()[1] >= vfio_user.Region.COUNT
        deadline = time.monotonic() + vfio_user.TIMEOUT
        while (self.fds(), self.client_mappings()) != (self.idle_fds, []):
            if time.monotonic() > deadline:
                before, now = Counter(self.idle_fds), Counter(self.fds())
                assert now == before, f"descriptors: leaked {now - before}, lost {before - now}"
                assert self.client_mappings() == [], "mappings of client memory leaked"
            time.sleep(0.01)

    def command(self, text):
        """Types a line at testpmd's prompt."""
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def quit(self):
        if self.alive():
            self.command("quit")
        try:
            status = self.process.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server does not quit:\n" + self.log()) from None
        reports = [report.read_text() for report in self.report.parent.glob("sanitizer.*")]
        assert not reports, "\n".join(reports)
        assert status == 0, f"exit status {status}\n{self.log()}"
