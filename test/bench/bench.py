#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compares our NIC with the other ways to pass packets between two DPDK processes.

Started by devtools/bench.sh, which builds what it needs."""

import argparse
import contextlib
import datetime
import itertools
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import picture  # noqa: E402
import results as figures  # noqa: E402
from endpoint import Limit, Pair, PeerError  # noqa: E402
from peers import (LIMIT, OURS, OURS_EARLY, OURS_LENDING, PEERS,  # noqa: E402
                   SEVERAL_QUEUES, SMALL_FRAME, TESTS, USUAL_RING, with_queues)  # noqa: E402

FRAMES = (64, 256, 1024, 1500, 9000)
ALL_PEERS = (*PEERS, LIMIT)
# Compared only if they are named: variants of ours are no peers.
DEFAULT_PEERS = [peer for peer in ALL_PEERS if peer not in (OURS_LENDING, OURS_EARLY)]
MAX_TRIES, MAX_TRIES_AT_DISTANCE = 4, 30


class Progress:
    """Says on standard error what is being done and how long it may take."""

    def __init__(self, steps):
        self.steps, self.done, self.started = steps, 0, time.monotonic()

    def say(self, what):
        elapsed = time.monotonic() - self.started
        left = f", {elapsed / self.done * (self.steps - self.done):.0f} s left" if self.done else ""
        print(f"[{elapsed:4.0f} s{left}] {what}", file=sys.stderr, flush=True)

    def step(self, count=1):
        self.done += count


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench.sh", description=__doc__.splitlines()[0])
    add_run_options(parser)
    parser.add_argument("--peers", type=names(ALL_PEERS), default=DEFAULT_PEERS,
                        metavar="LIST", help="of " + ",".join(ALL_PEERS))
    parser.add_argument("--tests", type=names(TESTS), default=list(TESTS), metavar="LIST",
                        help="of " + ",".join(TESTS))
    parser.add_argument("--frames", type=frames, default=list(FRAMES), metavar="LIST",
                        help="sizes in bytes, without checksum: multiples of 4 from 64 to 9000")
    parser.add_argument("--udp", action="store_true",
                        help="frames are UDP over IPv4 with right checksums, which a NIC may check "
                             "(default: of a type that no NIC knows)")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    parser.add_argument("--queues", type=positive(int), default=1,
                        help="pairs, all polled by the one core of each end; more than one: only "
                             f"{', '.join(SEVERAL_QUEUES)}, and one way")
    parser.add_argument("--ring", type=ring, default=USUAL_RING,
                        help=f"descriptors (default: {USUAL_RING})")
    parser.add_argument("--ours", choices=(OURS, OURS_LENDING, OURS_EARLY), default=OURS,
                        help="which of ours the others are compared with")
    settings = complete(parser, parser.parse_args(arguments))
    settings.rows = PEERS
    if settings.ours != OURS and settings.ours not in settings.peers:
        settings.peers = [settings.ours, *settings.peers]
    if settings.queues > 1:
        settings.rows = {name: with_queues(PEERS[name], settings.queues) for name in SEVERAL_QUEUES}
        settings.peers = [peer for peer in settings.peers if peer in SEVERAL_QUEUES]
        settings.tests = [test for test in settings.tests if TESTS[test].is_one_way]
    return settings


def add_run_options(parser):
    """How, where and when to measure."""
    parser.add_argument("--quick", action="store_true",
                        help="3 short rounds instead of 7 longer ones")
    parser.add_argument("--rounds", type=positive(int), help="interleaved rounds")
    parser.add_argument("--seconds", type=positive(float),
                        help="of each measurement, after a warm-up of a fifth of it")
    parser.add_argument("--host-core", type=int, help="default: the first this process may use")
    parser.add_argument("--consumer-core", type=int, help="default: the second")
    parser.add_argument("--distance", type=positive(float), metavar="US",
                        help="measure while a cache line takes about this long to the other "
                             "core and back; hypervisors change it (default: what it is mostly)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--date", default=str(datetime.date.today()), help="to write into the JSON")
    parser.add_argument("--build", type=Path, help="the build folder",
                        default=os.environ.get("EMUDEV_BUILD"))


def positive(convert):
    def check(text):
        value = convert(text)
        if value <= 0:
            raise argparse.ArgumentTypeError("must be more than 0")
        return value
    return check


def names(known):
    def check(text):
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of {','.join(known)}")
        return [name for name in known if name in chosen]
    return check


def frames(text):
    chosen = sorted({int(word) for word in text.split(",")})
    for frame in chosen:
        if frame % 4 or not 64 <= frame <= 9000:
            raise argparse.ArgumentTypeError(f"{frame} is no multiple of 4 from 64 to 9000")
    return chosen


def ring(text):
    size = int(text)
    if size & (size - 1) or not 64 <= size <= USUAL_RING:
        raise argparse.ArgumentTypeError(f"{size} is no power of two from 64 to {USUAL_RING}")
    return size


def complete(parser, settings):
    """Fills in what depends on other options or on the machine."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        parser.error("two cores are needed, one for each side")
    if settings.host_core is None:
        settings.host_core = cores[0]
    if settings.consumer_core is None:
        settings.consumer_core = next(core for core in cores if core != settings.host_core)
    settings.rounds = settings.rounds or (3 if settings.quick else 7)
    settings.seconds = settings.seconds or (0.15 if settings.quick else 0.5)
    settings.warmup = settings.seconds / 5
    settings.dpdk = None
    settings.ring = getattr(settings, "ring", USUAL_RING)
    if settings.build is None:
        parser.error("--build or EMUDEV_BUILD must name the build folder")
    settings.drivers = settings.build.resolve() / "drivers"
    settings.program = settings.build / "app/bench/dpdk-emudev-bench"
    settings.limit_program = settings.build / "app/bench/dpdk-emudev-bench-limit"
    return settings


def open_peer(settings, peer, jumbo):
    return Limit(settings) if peer == LIMIT else Pair(settings, settings.rows[peer], jumbo)


def is_measured(settings, peer, test, frame):
    return peer == LIMIT or settings.rows[peer].is_measured(test, frame)


def measure_peer(settings, results, peer, sizes):
    """All tests of one peer with frames that share an mbuf size."""
    with open_peer(settings, peer, sizes[-1] > SMALL_FRAME) as pair:
        if peer != LIMIT:
            settings.dpdk = pair.ends["host"].dpdk
        for frame in sizes:
            for name in settings.tests:
                if is_measured(settings, peer, name, frame):
                    measure(settings, results, pair, (peer, name, frame))


def measure(settings, results, pair, row):
    """One test; again, a few times, if the hypervisor has moved the cores."""
    _, name, frame = row
    for _ in range(MAX_TRIES_AT_DISTANCE if settings.distance else MAX_TRIES):
        found = pair.measure(TESTS[name], frame, settings.warmup, settings.seconds)
        sample = figures.make_sample(TESTS[name], *found)
        results.add(*row, sample)
        if results.is_usual(sample):
            break


def run_rounds(settings):
    """Interleaved, so that a slow change of the machine meets all peers; the order rotates."""
    results = figures.Results(settings.peers, settings.tests, settings.frames,
                              settings.distance, getattr(settings, "ours", OURS))
    classes = [[f for f in settings.frames if f <= SMALL_FRAME],
               [f for f in settings.frames if f > SMALL_FRAME]]
    classes = [sizes for sizes in classes if sizes]
    progress = Progress(settings.rounds * len(settings.peers) * len(settings.frames))
    for turn in range(settings.rounds):
        first = turn % len(settings.peers)
        for peer in settings.peers[first:] + settings.peers[:first]:
            for sizes in classes:
                if peer not in results.failures and any(
                        is_measured(settings, peer, *row)
                        for row in itertools.product(settings.tests, sizes)):
                    progress.say(f"round {turn + 1} of {settings.rounds}: {peer}, "
                                 f"{', '.join(map(str, sizes))} B")
                    try:
                        measure_peer(settings, results, peer, sizes)
                    except PeerError as error:
                        results.failures[peer] = str(error)
                        progress.say(f"{peer} fails: {error}")
                progress.step(len(sizes))
    return results


@contextlib.contextmanager
def machine(settings):
    """The machine to ourselves, as far as can be; gives a function that tells what share of the CPU
    time the hypervisor took meanwhile."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the ends are closed
    with contextlib.suppress(PermissionError):
        os.nice(-20)  # other processes of this machine take less of the two cores
    with tempfile.TemporaryDirectory(prefix="emudev-bench.") as work:
        settings.work = Path(work)
        before = figures.read_steal()
        steal = []
        yield lambda: steal[0]
        taken, passed = (after - begun for after, begun in zip(figures.read_steal(), before))
        steal.append(taken / max(passed, 1))


def report(settings, results, steal, to_table):
    """Prints the title, a table, and whether to believe it; writes the JSON."""
    dropped = results.keep_usual()
    noise = figures.find_noise(results, steal)
    print(figures.describe(settings), end="\n\n")
    print(to_table(results))
    print(f"the cores: {results.usual_distance():.2f} us for a cache line there and back; "
          f"{dropped} measurements with another distance are left out")
    print(figures.to_verdict(results, noise))
    if settings.json:
        found = figures.to_json(results, settings, noise, steal)
        settings.json.write_text(json.dumps(found, indent=1) + "\n")


def main(arguments=None):
    settings = parse(arguments)
    with machine(settings) as steal:
        results = run_rounds(settings)
    report(settings, results, steal(), figures.to_table)
    if settings.svg:
        settings.svg.write_text(picture.draw(results, figures.describe(settings)))
    return 1 if results.failures or results.total("damaged") else 0


if __name__ == "__main__":
    sys.exit(main())
