#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What it costs to map and unmap a DMA region beside few and beside very many others.

Started by "devtools/bench.sh memory". A client behind a virtual IOMMU makes one region per page, over
one file, and with a strict one maps and unmaps for each packet. The server is a testpmd that polls
the device's rings meanwhile. Messages are sent a few at a time, so that the client's own pace counts
little; "CPU" is the time of the server's control thread. Last, how much a stock consumer of another
device sends meanwhile: beside a flood of maps at the same server, and beside one at another server,
which takes as much of the processors and cannot be in the way otherwise. Nothing is asserted here.
"""

import argparse
import contextlib
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "protocol"),
    str(Path(__file__).resolve().parents[1])]

import vfio_user  # noqa: E402
from results import where_and_when  # noqa: E402
from server import Server  # noqa: E402
from stock import BUILD, DIE_WITH_US, StockTestpmd  # noqa: E402
from threads import CONTROL, schedule  # noqa: E402
from vfio_user import HEADER, PAGE, Command  # noqa: E402

WINDOW = 32  # messages under way
SPARE = 256  # pages beside those that are mapped all the time
IOVA = 1 << 32


def parse():
    parser = argparse.ArgumentParser(prog="bench.sh memory", description=__doc__.splitlines()[0])
    parser.add_argument("--regions", default="8,1000,60000", metavar="LIST",
                        help="how many others there are, at most 65000")
    parser.add_argument("--changes", type=int, default=4096, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--seconds", type=float, default=3,
                        help="of each measurement of the consumer's rate")
    parser.add_argument("--flood", metavar="SOCKET", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    settings.regions = [int(number) for number in settings.regions.split(",")]
    if not all(0 < number <= 65000 for number in settings.regions):
        parser.error("--regions: 1 to 65000")
    return settings


class Pages:
    """A memory file whose pages a client maps one by one; page n is at I/O address IOVA + 2n pages,
    so that no two are neighbours."""

    def __init__(self, client, count):
        self.client = client
        self.fd = os.memfd_create(vfio_user.MEMORY_NAME, os.MFD_CLOEXEC)
        os.ftruncate(self.fd, count * PAGE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def send_map(self, page):
        self.client.send_bytes(vfio_user.message(
            Command.DMA_MAP, vfio_user.dma_map(IOVA + 2 * page * PAGE, PAGE, page * PAGE)), [self.fd])

    def send_unmap(self, page):
        self.client.send_bytes(vfio_user.message(
            Command.DMA_UNMAP, vfio_user.dma_unmap(IOVA + 2 * page * PAGE, PAGE)))

    def change(self, messages, replied):
        """Sends messages, a window of them ahead of the replies, which have this many bytes."""
        waiting = 0
        for send, page in messages:
            send(page)
            waiting += 1
            if waiting == WINDOW:
                self.take_replies(waiting, replied)
                waiting = 0
        self.take_replies(waiting, replied)

    def take_replies(self, count, size):
        data, _ = self.client.receive_bytes(count * size)
        for at in range(0, len(data), size):
            _, command, length, _, error = HEADER.unpack_from(data, at)
            if (length, error) != (size, 0):
                raise vfio_user.ReplyError(command, error)

    def map(self, pages):
        self.change([(self.send_map, page) for page in pages], HEADER.size)

    def unmap(self, pages):
        self.change([(self.send_unmap, page) for page in pages], HEADER.size + 24)


class Meter:
    """Adds up what many changes take, also of the server's control thread."""

    def __init__(self, pid):
        self.pid, self.changes, self.seconds, self.cpu = pid, 0, 0.0, 0.0

    def measure(self, change, pages):
        begin, cpu = time.perf_counter(), schedule(self.pid, CONTROL)[0]
        change(pages)
        self.seconds += time.perf_counter() - begin
        self.cpu += schedule(self.pid, CONTROL)[0] - cpu
        self.changes += len(pages)

    def result(self):
        return self.changes / self.seconds, self.cpu / self.changes * 1e6


def measure(server, regions, changes):
    """(messages per second, microseconds of CPU for each) of: the first maps, the last ones, and of
    single maps and unmaps when all are there."""
    meters = {name: Meter(server.pid) for name in ("first", "last", "map", "unmap")}
    order = random.Random(regions).sample(range(regions + SPARE), regions + SPARE)
    spare, kept = order[:SPARE], order[SPARE:]
    some = min(len(kept), 2000)
    with vfio_user.connect(server.path) as client, Pages(client, regions + SPARE) as pages:
        client.socket.settimeout(60)
        meters["first"].measure(pages.map, kept[:some])
        pages.map(kept[some:-some])
        meters["last"].measure(pages.map, kept[-some:] if len(kept) > 2 * some else [])
        for _ in range(0, changes, SPARE):
            meters["map"].measure(pages.map, spare)
            meters["unmap"].measure(pages.unmap, spare)
    return {name: meter.result() for name, meter in meters.items() if meter.changes}


def flood(path, regions):
    """Maps and unmaps so many regions until killed."""
    with vfio_user.connect(path) as client, Pages(client, regions) as pages:
        client.socket.settimeout(60)
        while True:
            pages.map(range(regions))
            pages.unmap(range(regions))


class Consumer(StockTestpmd):
    """Sends as many frames of 64 bytes as the device takes."""

    def __init__(self, path):
        super().__init__()
        self.start_(f"emudev-memory-{os.getpid()}", ("--in-memory", "-m", "128"),
                    (f"--vdev=vfio_user_pci0,path={path}",), ("--total-num-mbufs=4096",))
        self.command("set fwd txonly")
        self.command("start")

    def rate(self, seconds):
        begin, sent = time.perf_counter(), self.sent()
        time.sleep(seconds)
        return (self.sent() - sent) / (time.perf_counter() - begin)

    def sent(self):
        return self.telemetry("/ethdev/stats,0")["opackets"]


def count_lost(consumer, server):
    """(frames that are nowhere, frames that the consumer has sent); the server ends, for what it
    prints stays in its buffers until then."""
    consumer.command("stop")
    # Its driver asks the device, which counts what it has taken: first the ring is to be empty.
    time.sleep(1)
    sent = consumer.sent()
    server.process.communicate(b"show port stats 1\nquit\n", 30)
    shown = server.log().split("NIC statistics for port 1", 1)[1]
    taken = (re.search(rf"{name}:\s+(\d+)", shown) for name in ("RX-packets", "RX-missed", "RX-errors"))
    return sent - sum(int(found[1]) for found in taken), sent


ALONE, SAME, OTHER = "alone", "maps at the same server", "maps at another server"


def measure_consumer(consumer, flooded, seconds, regions):
    """Packets per second by what goes on beside."""
    rates = {ALONE: consumer.rate(seconds)}
    for name, server in flooded.items():
        flooder = subprocess.Popen([*DIE_WITH_US, sys.executable, "-B", __file__, "--flood",
                                    server.path, "--regions", str(regions)])
        try:
            time.sleep(1)
            rates[name] = consumer.rate(seconds)
        finally:
            flooder.kill()
            flooder.wait()
    return rates


def show_consumer(rounds):
    print("\nframes that a consumer of another device sends meanwhile, millions per second\n")
    for name in rounds[0]:
        print(f"  {name:24} {statistics.median(rates[name] for rates in rounds) / 1e6:6.2f}")
    # The cores may be elsewhere in each round: what counts are the ratios of rounds.
    for words, other in (f"of what {OTHER} leave", OTHER), ("of what there is without", ALONE):
        shares = [rates[SAME] / rates[other] for rates in rounds]
        print(f"{'' if other == ALONE else chr(10)}  {SAME} leave {statistics.median(shares):.2f} "
              f"({min(shares):.2f}-{max(shares):.2f}) {words}")


def look_up(regions):
    """Nanoseconds of a look-up by number of regions, for few and for many buffers; fewer regions than
    the few are left out."""
    program = BUILD / "app/bench/dpdk-emudev-bench-lookup"
    done = subprocess.run([program, *(str(number) for number in regions if number >= 8)],
                          stdout=subprocess.PIPE, text=True, check=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return {int(number): [float(time) for time in times] for number, *times in rows}


def show_look_up(times):
    print("\nfinding an address, each in another of 8 or 256 regions, of so many, ns\n")
    print(f"  {'':>8}  {'of 8':>12}  {'of 256':>12}")
    first = next(iter(times.values()))
    for regions, row in times.items():
        print(f"  {regions:8}", *(f" {one:6.2f} x{one / least:.2f}" for one, least in zip(row, first)))


def show(rounds):
    print("mapping and unmapping a region beside others, messages per second (CPU us each)\n")
    print(f"  {'others':>8}  {'first maps':>16} {'last maps':>16} {'one more':>16} {'one less':>16}")
    for regions, results in rounds.items():
        row = f"  {regions:8}  "
        for name in ("first", "last", "map", "unmap"):
            values = [result[name] for result in results if name in result]
            rate, cpu = (statistics.median(column) for column in zip(*values)) if values else (0, 0)
            row += f"{rate:8.0f} ({cpu:5.1f}) " if values else f"{'-':>16} "
        print(row.rstrip())


def main():
    settings = parse()
    if settings.flood:
        flood(settings.flood, max(settings.regions))
    rounds = {regions: [] for regions in settings.regions}
    consumed = []
    with tempfile.TemporaryDirectory(prefix="emudev-") as folder, contextlib.ExitStack() as running:
        server, other = (start_server(Path(folder) / name, running) for name in ("same", "other"))
        for number in range(settings.rounds):
            for regions in settings.regions:
                say(number, settings.rounds, f"{regions} regions")
                rounds[regions].append(measure(server, regions, settings.changes))
        other.process.stdin.write(b"stop\n")  # else it would take a core of its own
        other.process.stdin.flush()
        consumer = Consumer(server.other_path)
        running.callback(consumer.close)
        for number in range(settings.rounds):
            say(number, settings.rounds, "a consumer of another device")
            consumed.append(measure_consumer(consumer, {SAME: server, OTHER: other},
                                             settings.seconds, max(settings.regions)))
        lost, sent = count_lost(consumer, server)
    times = look_up(settings.regions)
    show(rounds)
    show_look_up(times)
    show_consumer(consumed)
    print(f"\n  {lost} of {sent:,} frames lost")
    print(f"\n{where_and_when()}")
    return 1 if lost else 0


def start_server(folder, running):
    folder.mkdir()
    server = Server(folder)
    running.callback(server.process.wait)
    running.callback(server.process.kill)
    server.wait_until_ready()
    return server


def say(number, rounds, what):
    print(f"round {number + 1} of {rounds}: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
