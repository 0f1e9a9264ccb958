#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What it costs one core of the host to poll few and very many queues, beside net_vhost with as many.

Started by "devtools/bench.sh queues". Cycles are those of the time-stamp counter: within bursts that found
packets, less what reading it takes, for each packet, while the consumer sends on all queues; and for
each queue while it sends nothing, where all queues are polled between two readings. One of our devices has all queues; a device of
net_virtio_user has eight at most, so there are as many devices of net_vhost as it takes."""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench  # noqa: E402
import results as figures  # noqa: E402
from endpoint import Pair, PeerError  # noqa: E402
from peers import OURS, Peer, Test  # noqa: E402

VHOST = "vhost-split"
CONTESTANTS = (OURS, VHOST)
RING = 256
MOST_OF_VIRTIO_USER = 8
FRAME = 64
BUSY = Test("busy", "busy", "consumer", "tx", "poll")
IDLE = Test("idle", "idle", "consumer", "rest", "poll")


def to_peer(contestant, queues):
    if contestant == OURS:
        return Peer(f"{OURS}-{queues}", "",
                    f"-d {{drivers}} --vdev=emu_iavf0,path={{path}},queues={queues}",
                    "-d {drivers} --vdev=vfio_user_pci0,path={path}", *options(queues))
    each = min(queues, MOST_OF_VIRTIO_USER)
    numbers = range(queues // each)
    return Peer(f"{VHOST}-{queues}", "",
                " ".join(f"--vdev=net_vhost{n},iface={{path}}.{n},queues={each}" for n in numbers),
                " ".join(f"--vdev=net_virtio_user{n},path={{path}}.{n},queues={each},cq=1,"
                         f"queue_size={RING},mrg_rxbuf=0,vectorized=1,in_order=0"
                         for n in numbers), *options(each))


def options(queues):
    return 2 * [f"--descriptors {RING} --fast-free --plain --every-port --queues {queues}"]


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench.sh queues", description=__doc__.splitlines()[0])
    bench.add_run_options(parser)
    parser.add_argument("--queues", dest="numbers", default="1,4,16,64,256", metavar="LIST",
                        help="powers of 2, 256 at most")
    settings = bench.complete(parser, parser.parse_args(arguments))
    settings.numbers = [int(number) for number in settings.numbers.split(",")]
    if not all(0 < number <= 256 and number & number - 1 == 0 for number in settings.numbers):
        parser.error("--queues: powers of 2, 256 at most")
    settings.udp = False
    return settings


def measure(settings, pair):
    """(cycles a packet, packets a burst, Mpps, cycles of an idle burst, GHz)"""
    sent, busy = pair.measure(BUSY, FRAME, settings.warmup, settings.seconds)
    _, idle = pair.measure(IDLE, FRAME, settings.warmup, settings.seconds)
    if not busy["polled"] or not idle["idle_polls"]:
        raise PeerError("nothing arrived, or no burst was idle")
    return {"packet": busy["busy_ticks"] / busy["polled"],
            "burst": busy["polled"] / busy["busy_polls"],
            "rate": busy["polled"] / settings.seconds / 1e6,
            "idle": idle["idle_ticks"] / idle["idle_polls"],
            "clock": idle["tick_rate"] / 1e9,
            "distance": sent["distance_ns"] / 1000}


def usual_distance(settings, found):
    return settings.distance or statistics.median(
        result["distance"] for results in found.values() for result in results)


def is_usual(result, distance):
    """Whether the cores were about as far apart as most of the time."""
    return figures.is_about(distance, result["distance"])


def keep_usual(settings, found):
    """Drops what was measured at another distance, also whole rows; returns the usual one."""
    distance = usual_distance(settings, found)
    for row, results in list(found.items()):
        found[row] = [result for result in results if is_usual(result, distance)]
        if not found[row]:
            del found[row]
    return distance


def run(settings):
    """{(queues, contestant): [figures of each round]}, and what failed."""
    found, failures = {}, {}
    rows = [(queues, one) for queues in settings.numbers for one in CONTESTANTS]
    progress = bench.Progress(settings.rounds * len(rows))
    for turn in range(settings.rounds):
        for row in rows:
            if row not in failures:
                queues, one = row
                progress.say(f"round {turn + 1} of {settings.rounds}: {one}, {queues} queues")
                try:
                    with Pair(settings, to_peer(one, queues), jumbo=False) as pair:
                        settings.dpdk = pair.ends["host"].dpdk
                        for _ in range(bench.MAX_TRIES):
                            found.setdefault(row, []).append(measure(settings, pair))
                            if is_usual(found[row][-1], usual_distance(settings, found)):
                                break
                except PeerError as error:
                    failures[row] = str(error)
                    progress.say(f"it fails: {error}")
            progress.step()
    return found, failures


def cell(found, key, form="{:.3g}"):
    values = [result[key] for result in found]
    return (f"{form.format(statistics.median(values))} ({form.format(min(values))}-"
            f"{form.format(max(values))})")


def to_table(found, queues):
    head = ["queues", *(f"{one}: {what}" for one in CONTESTANTS
                        for what in ("a packet", "packets a burst", "an idle queue"))]
    rows = [head]
    for number in queues:
        row = [str(number)]
        for one in CONTESTANTS:
            got = found.get((number, one))
            row += [cell(got, "packet"), cell(got, "burst", "{:.1f}"),
                    cell(got, "idle")] if got else ["-"] * 3
        rows.append(row)
    return "\n".join(f"  {line}" for line in figures.align(rows))


def main(arguments=None):
    settings = parse(arguments)
    with bench.machine(settings):
        found, failures = run(settings)
    if found:
        distance = keep_usual(settings, found)
        rows = [result for results in found.values() for result in results]
        print(f"{figures.describe(settings)}\n\none core of the host polls queues, cycles of "
              f"{rows[0]['clock']:.2f} GHz, median (min-max)\n")
        print(to_table(found, settings.numbers))
        print(f"\n  the cores: {distance:.2f} us for a cache line there and back; -: the "
              "hypervisor kept them at another distance")
    for (queues, one), why in failures.items():
        print(f"{one} with {queues} queues was not measured: {why}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
