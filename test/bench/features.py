#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What each feature of our NIC costs a frame, beside the same NIC without any.

Started by "devtools/bench.sh features". Both ends are the same program in each row, which sends, and
checks, UDP over IPv4. The rows are measured in interleaved rounds, one core for each end."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench  # noqa: E402
import results as figures  # noqa: E402
from peers import Peer  # noqa: E402

TO_HOST, TO_CONSUMER = "c2h", "h2c"
TESTS = (TO_CONSUMER, TO_HOST)
FRAMES = (64, 1500)
OFF = "off"
SEGMENTS = 6  # of a request of TSO: what fits a mbuf


@dataclass(frozen=True)
class Feature:
    """A row. What an end is told for one direction does no harm in the other."""
    name: str
    title: str
    device: str = ""            # devargs of the emulated device
    port: str = ""              # of its port
    host: str = ""              # options of the ends
    consumer: str = ""
    tests: tuple = TESTS
    frames: tuple = FRAMES

    def to_peer(self):
        checksum = "" if "rx_checksum" in self.port else ",rx_checksum=trust"
        return Peer(self.name, self.title,
                    "-d {drivers} --vdev=emu_iavf0,path={path},ethdev=0,mac=02:00:00:00:00:02"
                    f"{self.device} --vdev=net_iavf_be0,emu=emu_iavf0{checksum}{self.port}",
                    "-d {drivers} --vdev=vfio_user_pci0,path={path}",
                    f"--fast-free --plain {self.host}", f"--fast-free --plain {self.consumer}",
                    self.tests, self.frames)


FEATURES = {row.name: row for row in (
    Feature(OFF, "one queue, promiscuous, no offloads, rx_checksum=trust"),
    Feature("off-again", "the same after 8 addresses and 16 rules that are removed",
            host="--to 8 --flows 16", consumer="--addresses 8 --rules 16 --undone",
            tests=(TO_CONSUMER,)),
    Feature("queues", "4 queues on both sides",
            host="--queues 4", consumer="--queues 4"),
    Feature("rss", "4 queues of the consumer, by RSS, one of the host",
            host="--flows 256", consumer="--queues 4 --rss", tests=(TO_CONSUMER,)),
    Feature("rss-hash", "one queue, which has the hash (steering=rss)", port=",steering=rss",
            host="--flows 256", consumer="--rss", tests=(TO_CONSUMER,)),
    Feature("addresses", "consumer: 8 addresses; host: its own; not promiscuous",
            host="--addresses 1 --to 8", consumer="--addresses 8"),
    Feature("rules", "16 rules of the consumer's flow director",
            host="--flows 16", consumer="--rules 16", tests=(TO_CONSUMER,)),
    Feature("tag-consumer", "VLAN tag that the consumer has stripped and inserted",
            host="--tag-in-frame", consumer="--tag-in-mbuf"),
    Feature("tag-host", "VLAN tag that the host has stripped and inserted",
            host="--tag-in-mbuf", consumer="--tag-in-frame"),
    Feature("checked", "checksums checked for the consumer (rx_checksum=check, the default)",
            port=",rx_checksum=check", tests=(TO_CONSUMER,)),
    Feature("checksums", "checksums of IP and UDP made for the sender",
            host="--make-checksums", consumer="--make-checksums"),
    Feature("spoofchk", "source addresses checked (spoofchk=on)", ",spoofchk=on",
            tests=(TO_HOST,)),
    Feature("port-vlan", "port VLAN (vlan=100)", ",vlan=100", host="--tag-in-frame"),
    Feature("rate", "a rate limit that is not reached (rate=400000)", ",rate=400000",
            tests=(TO_HOST,)),
    Feature("chains", "the receiver's buffers have 1024 bytes: a frame takes two",
            host="--room 1024", consumer="--room 1024", frames=(1500,)),
    Feature("tso-cut", f"requests of TSO, {SEGMENTS} frames each, cut by the device",
            host=f"--max-frame 9018 --segments {SEGMENTS}",
            consumer=f"--max-frame 9018 --segments {SEGMENTS}", frames=(1500,)),
    Feature("tso-whole", "the same, received whole (LRO, lro=1)", port=",lro=1",
            host=f"--max-frame 9018 --segments {SEGMENTS} --merged",
            consumer=f"--max-frame 9018 --segments {SEGMENTS} --merged", frames=(1500,)),
)}


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench.sh features", description=__doc__.splitlines()[0])
    bench.add_run_options(parser)
    parser.add_argument("--features", type=bench.names(FEATURES), default=list(FEATURES),
                        metavar="LIST", help="of " + ",".join(FEATURES))
    settings = bench.complete(parser, parser.parse_args(arguments))
    settings.peers = [OFF, *(name for name in settings.features if name != OFF)]
    settings.rows = {name: FEATURES[name].to_peer() for name in settings.peers}
    settings.tests, settings.frames, settings.udp = TESTS, FRAMES, True
    return settings


def to_cost(results, name, test, frame):
    """Nanoseconds a frame beyond "off", or None if they cannot be compared."""
    off, row = (results.get(one, test, frame) for one in (OFF, name))
    if name == OFF or not off or not row or not off.median or not row.median:
        return None
    if results.is_unusual(off) or results.is_unusual(row):
        return None
    return 1000 / row.median - 1000 / off.median


def to_cell(results, name, test, frame):
    row = results.get(name, test, frame)
    if row is None:
        return "-"
    text = f"{row.median:.3g} ({min(row.values):.3g}-{max(row.values):.3g})"
    cost = to_cost(results, name, test, frame)
    if cost is not None:
        return f"{text} {cost:+.1f}"
    return text if name == OFF else f"{text} moved"


def to_table(results):
    columns = [(test, frame) for test in results.tests for frame in results.frames]
    rows = [["", *(f"{'to the consumer' if test == TO_CONSUMER else 'to the host'}, {frame} B"
                   for test, frame in columns)]]
    rows += [[name, *(to_cell(results, name, *column) for column in columns)]
             for name in results.measured_peers()]
    lines = ["Mpps, median (min-max) over the rounds; +N: ns a frame more than off", ""]
    lines += [f"  {line}" for line in figures.align(rows)]
    lines.append("")
    lines += [f"  {name:14}{FEATURES[name].title}" for name in results.measured_peers()]
    return "\n".join([*lines, ""])


def main(arguments=None):
    settings = parse(arguments)
    with bench.machine(settings) as steal:
        results = bench.run_rounds(settings)
    bench.report(settings, results, steal(), to_table)
    return 1 if results.failures or results.total("damaged") else 0


if __name__ == "__main__":
    sys.exit(main())
