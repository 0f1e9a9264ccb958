#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""One device in a process beside 32 of them, each with its client.

Started by "devtools/bench.sh devices". Both ends are a stock testpmd: the host has the devices, and its
one core polls all of them; the consumer has a connection of its own to each, and sends on some. How
long it takes until all are there, memory of the host beyond that of its mbufs, processor time of its
control thread while nobody asks for anything, and frames of 64 bytes that arrive."""

import argparse
import contextlib
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from results import where_and_when  # noqa: E402
from stock import Failure, StockTestpmd, wait_for  # noqa: E402
from threads import CONTROL, schedule  # noqa: E402

MOST = 32  # RTE_MAX_ETHPORTS of Debian
RING = 256
OPTIONS = ("--total-num-mbufs=32768", f"--rxd={RING}", f"--txd={RING}", "--port-topology=loop",
           "--no-flush-rx", "--disable-link-check")


def parse():
    parser = argparse.ArgumentParser(prog="bench.sh devices", description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=MOST, help="beside one, 32 at most")
    parser.add_argument("--senders", default="1,4", metavar="LIST",
                        help="how many of the clients send at the same time")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement of a rate")
    parser.add_argument("--idle", type=float, default=10, metavar="SECONDS",
                        help="for which the control thread is watched")
    parser.add_argument("--settle", type=float, default=6, metavar="SECONDS",
                        help="before that: mailboxes are looked at more often for a while")
    settings = parser.parse_args()
    settings.senders = [int(number) for number in settings.senders.split(",")]
    if not 2 <= settings.devices <= MOST or not all(
            0 < number <= settings.devices for number in settings.senders):
        parser.error(f"2 to {MOST} devices, and no more senders")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two cores are needed, one for each end")
    return settings


class End(StockTestpmd):
    """A testpmd with so many devices or clients, whose forwarding core is its own."""

    def __init__(self, name, device, count, core, folder):
        super().__init__()
        self.count, begin = count, time.monotonic()
        self.start_(f"emudev-devices-{os.getpid()}-{name}{count}", ("--in-memory", "-m", "128"),
                    [f"--vdev={device}{n},path={folder}/{count}-{n}.sock" for n in range(count)],
                    OPTIONS, cores=f"0@({','.join(map(str, sorted(os.sched_getaffinity(0))))}),"
                                   f"1@{core}")
        self.seconds = time.monotonic() - begin

    def links(self):
        return sum(self.telemetry(f"/ethdev/link_status,{port}")["status"] == "UP"
                   for port in self.telemetry("/ethdev/list"))

    def packets(self, name):
        return sum(self.telemetry(f"/ethdev/stats,{port}")[name]
                   for port in self.telemetry("/ethdev/list"))

    def memory(self):
        """Bytes: anonymous memory, and what is allocated of EAL's heap."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        heap = self.telemetry("/eal/heap_info,0")["Alloc_size"]
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024 + heap

    def control_seconds(self):
        """Processor time of the control thread so far."""
        return schedule(self.process.pid, CONTROL)[0]


class Set:
    """So many devices, and a client at each."""

    def __init__(self, count, cores, folder, running):
        self.host = End("host", "emu_iavf", count, cores[0], folder)
        running.callback(self.host.close)
        self.consumer = End("consumer", "vfio_user_pci", count, cores[1], folder)
        running.callback(self.consumer.close)
        self.host.command("set fwd rxonly")
        self.consumer.command("set fwd txonly")
        self.host.command("start")  # a port that is not polled has a link, too
        wait_for(lambda: self.consumer.links() == count, f"{count} links", 30)
        self.host.command("stop")

    def idle_share(self, seconds):
        before = self.host.control_seconds()
        time.sleep(seconds)
        return (self.host.control_seconds() - before) / seconds

    def rate(self, senders, seconds):
        """Frames that arrive, millions per second; each that was sent must."""
        self.consumer.command(f"set portlist {','.join(map(str, range(senders)))}")
        self.host.command("start")
        self.consumer.command("start")
        time.sleep(0.2)
        begin, before = time.perf_counter(), self.host.packets("ipackets")
        time.sleep(seconds)
        rate = (self.host.packets("ipackets") - before) / (time.perf_counter() - begin)
        self.consumer.command("stop")
        wait_for(lambda: self.host.packets("ipackets") == self.consumer.packets("opackets"),
                 "arrival of all that was sent", 10)
        self.host.command("stop")
        return rate / 1e6


def run(settings):
    found = {}
    with tempfile.TemporaryDirectory(prefix="emudev-") as folder, contextlib.ExitStack() as running:
        cores = sorted(os.sched_getaffinity(0))
        say("starting both sets")
        one, many = (Set(count, cores, folder, running) for count in (1, settings.devices))
        found["host"] = one.host.seconds, many.host.seconds
        found["consumer"] = one.consumer.seconds, many.consumer.seconds
        found["memory"] = one.host.memory(), many.host.memory()
        say(f"watching control threads for {settings.idle:g} s each, after "
            f"{settings.settle:g} s")
        time.sleep(settings.settle)
        found["idle"] = one.idle_share(settings.idle), many.idle_share(settings.idle)
        rows = [(one, 1), *((many, number) for number in settings.senders)]
        rates = {(group.host.count, senders): [] for group, senders in rows}
        for turn in range(settings.rounds):
            for group, senders in rows:
                say(f"round {turn + 1} of {settings.rounds}: {senders} of {group.host.count} send")
                rates[group.host.count, senders].append(group.rate(senders, settings.seconds))
        found["rates"] = rates
    return found


def say(what):
    print(what, file=sys.stderr, flush=True)


def each(pair, devices):
    return (pair[1] - pair[0]) / (devices - 1)


def show(found, devices):
    print("devices in one process, each with a client\n")
    print(f"  {'':28} {'1 device':>12} {f'{devices} devices':>12} {'each more':>12}")
    for key, title in ("host", "devices there after, s"), ("consumer", "clients there after, s"):
        one, many = found[key]
        print(f"  {title:28} {one:12.2f} {many:12.2f} {each(found[key], devices):12.3f}")
    one, many = (size / 2**20 for size in found["memory"])
    print(f"  {'memory of the host, MiB':28} {one:12.1f} {many:12.1f} "
          f"{each(found['memory'], devices) / 2**20:12.2f}")
    one, many = found["idle"]
    print(f"  {'idle control thread':28} {one:12.3%} {many:12.3%} {each(found['idle'], devices):12.4%}")
    print("\nframes of 64 bytes that arrive, millions per second, median (min-max)\n")
    alone = statistics.median(found["rates"][1, 1])
    for (count, senders), values in found["rates"].items():
        middle = statistics.median(values)
        print(f"  {f'{senders} of {count} send':18} {middle:6.2f} ({min(values):.2f}-"
              f"{max(values):.2f}) x{middle / alone:.2f}")


def main():
    settings = parse()
    try:
        found = run(settings)
    except Failure as error:
        print(error, file=sys.stderr)
        return 1
    show(found, settings.devices)
    print(f"\n{where_and_when()}")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
