# SPDX-License-Identifier: BSD-3-Clause
"""A dpdk-testpmd with two emulated devices, as the peer of the protocol tests.

Port topology "loop" with forward mode "io" sends each frame of a guest back to it unchanged.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import vfio_user  # noqa: E402
from stock import BUILD, TESTPMD, Failure, sanitizer_environment, wait_for  # noqa: E402
from vfio_user import Command, IrqSet  # noqa: E402

QUEUES = 4
START_TIMEOUT = 30.0


class Server:
    def __init__(self, folder, queues=QUEUES, host_queues=QUEUES, preload=None, environment=None,
                 cores=1):
        """A library may be loaded before all but the sanitizers' run-times. Cores are threads."""
        threads = range(cores + 1)
        self.path = str(folder / "nic0.sock")
        self.other_path = str(folder / "nic1.sock")  # a device that must never notice the tests
        self.inline_path = str(folder / "nic2.sock")  # its bursts signal interrupts themselves
        self.log_path = folder / "testpmd.log"
        self.report = folder / "sanitizer"
        command = [
            TESTPMD, "--lcores", ",".join(f"{each}@(0-1)" for each in threads)
            if os.cpu_count() > 1 else f"({','.join(map(str, threads))})@0",
            "--no-pci", "--no-shconf", "--no-huge", "-m", "256", "--no-telemetry",
            "-d", str(BUILD / "drivers"),
            f"--vdev=emu_iavf,path={self.path},queues={queues}",
            f"--vdev=emu_iavf1,path={self.other_path},queues={queues}",
            f"--vdev=emu_iavf2,path={self.inline_path},queues={queues},irq-inline=1",
            "--", "-i", "--auto-start", "--forward-mode=io", "--port-topology=loop",
            f"--nb-cores={cores}", f"--rxq={host_queues}", f"--txq={host_queues}", "--total-num-mbufs=8192",
            # A frame that comes before "start" has ended is not to be thrown away.
            "--disable-link-check", "--no-flush-rx",
        ]
        sanitizers = sanitizer_environment(f"log_path={self.report}", leaks=True)
        if preload:
            sanitizers["LD_PRELOAD"] = ":".join(filter(None, (sanitizers.get("LD_PRELOAD"),
                                                              str(preload))))
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                env=os.environ | sanitizers | (environment or {}))
        self.pid = self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def wait_until_ready(self):
        wait_for(lambda: "Press" in self.log() or "testpmd>" in self.log() or not self.alive(),
                 "start of testpmd", START_TIMEOUT)
        assert self.alive(), self.log()
        for path in (self.path, self.other_path, self.inline_path):
            self.wire_each_vector(path)
        self.idle_fds = self.settled_fds(50)

    @staticmethod
    def wire_each_vector(path):
        """A server may keep one descriptor for each vector that was ever wired, but no more."""
        with vfio_user.connect(path) as client:
            Server.wire_vectors_of(client)
            client.socket.shutdown(socket.SHUT_WR)
            assert client.is_closed(), "the server takes no leave"

    @staticmethod
    def wire_vectors_of(client):
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

    def settled_fds(self, looks=10):
        """Likewise, once they no longer change: there is more of a client than its socket, and on a
        busy machine it goes late."""
        seen = []
        while len(seen) < looks or seen[-looks:] != [seen[-1]] * looks:
            seen.append(self.fds())
            time.sleep(0.01)
        return seen[-1]

    def client_mappings(self):
        maps = Path(f"/proc/{self.pid}/maps").read_text()
        return [line for line in maps.splitlines() if vfio_user.MEMORY_NAME in line]

    def keeps_what_is_freed(self):
        """Whether it runs with AddressSanitizer, which does so for a while."""
        return "libasan" in sanitizer_environment().get("LD_PRELOAD", "")

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
        try:
            wait_for(lambda: (self.fds(), self.client_mappings()) == (self.idle_fds, []),
                     "return to what was held", vfio_user.TIMEOUT)
        except Failure:
            before, now = Counter(self.idle_fds), Counter(self.fds())
            assert now == before, f"descriptors: leaked {now - before}, lost {before - now}"
            assert self.client_mappings() == [], "mappings of client memory leaked"

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
