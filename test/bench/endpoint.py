# SPDX-License-Identifier: BSD-3-Clause
"""The processes of a measurement: two dpdk-emudev-bench, or one dpdk-emudev-bench-limit."""

import json
import mmap
import os
import select
import subprocess
import time
from pathlib import Path

from peers import EAL, JUMBO_FRAME, SMALL_FRAME

START_TIMEOUT = 30


class PeerError(Exception):
    """A peer could not be measured."""


def simd_option():
    """EAL stops at 256 bits by itself; net_iavf and net_virtio_user have 512-bit paths."""
    flags = Path("/proc/cpuinfo").read_text()
    return ["--force-max-simd-bitwidth=512"] if " avx512bw" in flags else []


class Endpoint:
    """One dpdk-emudev-bench on one core."""

    def __init__(self, program, core, options, arguments, meeting, log):
        self.log = log
        command = [str(program), "-l", str(core), *EAL, *simd_option(), *options, "--", *arguments,
                   "--meeting", str(meeting)]
        self.file = open(log, "wb")
        self.file.write((" ".join(command) + "\n").encode())
        self.file.flush()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.file, pass_fds=[meeting])
        self.buffer = b""
        try:
            self.dpdk = self.reply("ready", START_TIMEOUT)["dpdk"]
        except PeerError:
            self.close()
            raise

    def command(self, *words):
        try:
            self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise PeerError(self.explain("ended")) from None

    def reply(self, role, timeout):
        """The next JSON line; drivers may print other lines."""
        deadline = time.monotonic() + timeout
        while True:
            line = self.read_line(deadline)
            if not line.startswith(b"{"):
                continue
            answer = json.loads(line)
            if answer.get("role") != role:
                raise PeerError(self.explain(f"answered {answer} instead of {role}"))
            return answer

    def read_line(self, deadline):
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise PeerError(self.explain("does not answer"))
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise PeerError(self.explain("ended"))
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def explain(self, what):
        tail = Path(self.log).read_text(errors="replace").splitlines()[-6:]
        return f"{Path(self.log).stem} {what}; its log ends with:\n    " + "\n    ".join(tail)

    def close(self):
        """Lets it end by itself; kills it when it does not."""
        try:
            self.process.stdin.write(b"quit\n")
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.file.close()


class Pair:
    """Both ends of a peer, connected; a context manager."""

    def __init__(self, settings, peer, jumbo):
        max_frame = JUMBO_FRAME if jumbo else SMALL_FRAME
        names = {"path": settings.work / f"{peer.name}.sock", "drivers": settings.drivers,
                 "buffer": 9728 if jumbo else 2048, "ring": settings.ring,
                 "early": settings.ring - 64,
                 "log2_ring": settings.ring.bit_length() - 1}
        names["path"].unlink(missing_ok=True)
        self.ends = {}
        self.measured = 0
        self.meeting = os.memfd_create("bench-meeting")
        os.ftruncate(self.meeting, mmap.PAGESIZE)
        sides = (("host", settings.host_core, peer.host, peer.host_options),
                 ("consumer", settings.consumer_core, peer.consumer, peer.consumer_options))
        try:
            for side, core, devices, options in sides:
                self.ends[side] = Endpoint(
                    settings.program, core, devices.format(**names).split(),
                    ["--max-frame", str(max_frame), "--descriptors", str(settings.ring),
                     *options.format(**names).split(),
                     *(["--udp"] if settings.udp else [])], self.meeting,
                    settings.work / f"{peer.name}-{side}.log")
            self.wait_for_link()
        except PeerError:
            self.close()
            raise

    def wait_for_link(self):
        for end in self.ends.values():
            end.command("wait", 10)
            if not end.reply("wait", 15)["up"]:
                raise PeerError(end.explain("has no link"))

    def measure(self, test, frame, warmup, seconds):
        """Returns what the active and what the passive end found."""
        active = self.ends[test.active]
        passive = self.ends["host" if test.active == "consumer" else "consumer"]
        timeout = warmup + seconds + 10
        self.measured += 1
        arguments = frame, warmup, seconds, test.in_flight, self.measured
        passive.command(test.passive_role, *arguments)
        active.command(test.active_role, *arguments)
        sent = active.reply(test.active_role, timeout)
        return sent, passive.reply(test.passive_role, timeout)

    def close(self):
        for side in ("consumer", "host"):
            if side in self.ends:
                self.ends.pop(side).close()
        os.close(self.meeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Limit:
    """The bare rings, in the same form as Pair."""

    def __init__(self, settings):
        self.program = settings.limit_program
        self.cores = {"host": settings.host_core, "consumer": settings.consumer_core}

    def measure(self, test, frame, warmup, seconds):
        other = "host" if test.active == "consumer" else "consumer"
        command = [self.program, "oneway" if test.is_one_way else "roundtrip",
                   self.cores[test.active], self.cores[other], frame, warmup, seconds,
                   test.in_flight]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                              timeout=warmup + seconds + 30)
        if done.returncode != 0:
            raise PeerError(f"the limit program failed: {done.stderr.strip()}")
        active, passive = map(json.loads, done.stdout.splitlines())
        return active, passive

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
