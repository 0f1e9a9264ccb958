#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the tables of the benchmark's guide say of the project's targets, as a table of its own.

It is read from these tables, so that it cannot say anything else than they do."""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import PEERS, TESTS  # noqa: E402
from results import align  # noqa: E402
from tables import GUIDE, find_table  # noqa: E402

# Its variants are no peers of the NIC, nor is the limit.
RIVALS = tuple(name for name in PEERS if not name.startswith("iavf"))
TITLES = {f"{test.title}, {test.unit}": name for name, test in TESTS.items()}
CELL = re.compile(r"[\d.e+-]+ \([\d.e+-]+-[\d.e+-]+\)(?: x(?P<ratio>[\d.]+))?(?: (?P<share>\d+)%)?")
THROUGHPUT = tuple(name for name, test in TESTS.items() if not test.is_latency)
LATENCY = tuple(name for name, test in TESTS.items() if test.is_latency)


@dataclass(frozen=True)
class Target:
    """A bound for what the tables of each distance have, at each of the sizes in bytes."""
    what: str           # as a reader sees it, before the name of the test
    tests: tuple
    frames: tuple
    bound: float        # of the ratio to the best peer, or of the share of the limit
    tables: tuple = ("near", "far")
    of_limit: bool = False

    def is_met(self, test, value):
        return value <= self.bound if TESTS[test].is_latency else value >= self.bound

    def bound_text(self, test):
        return f"{'<=' if TESTS[test].is_latency else '>='} {self.bound:g}"


COPY, LENT, LIMIT = "", "zero copy, ", "of the limit, "
LARGE = (1024, 1500)
LENT_TABLES = ("zero-copy", "zero-copy-far")
SHORT_RINGS = ("9000-256", "9000-256-far")
SHORT_LENT = ("zero-copy-256", "zero-copy-256-far")

TARGETS = (
    Target(COPY, THROUGHPUT, (64,), 1.6), Target(COPY, LATENCY, (64,), 0.75),
    Target(COPY, THROUGHPUT, (256,), 1.4), Target(COPY, LATENCY, (256,), 0.8),
    Target(COPY, ("c2h",), LARGE, 1.15), Target(COPY, ("h2c", "forward"), LARGE, 1.3),
    Target(COPY, LATENCY, LARGE, 0.8),
    Target(LENT, ("c2h",), LARGE, 2.0, LENT_TABLES),
    Target(LENT, ("forward",), LARGE, 1.5, LENT_TABLES),
    Target("rings of 256, ", THROUGHPUT, (9000,), 1.1, SHORT_RINGS),
    Target("rings of 256, ", LATENCY, (9000,), 0.8, SHORT_RINGS),
    Target("rings of 256, zero copy, ", ("c2h",), (9000,), 2.0, SHORT_LENT),
    Target("rings of 256, zero copy, ", ("forward",), (9000,), 1.5, SHORT_LENT),
    Target(COPY, THROUGHPUT, (9000,), 1.0),
    Target(LIMIT, THROUGHPUT, (64,), 0.5, of_limit=True),
    Target(LIMIT, THROUGHPUT, (*LARGE, 9000), 0.8, of_limit=True),
)

# TCP of guests, beside virtio-net.
STREAM_TABLES = ("iperf-many", "iperf-tap")
STREAM_ROW = re.compile(r"\s+(?P<way>\w[\w ]*?)\s{2,}(?P<streams>\d+)\s+(?P<cells>.*)")
OURS_AND_ALL = "iavf, lro=1, irq-inline=1"
SUM_TABLES = {"features": "near", "features-far": "far"}
MOST_FOR_SUMS = 8   # %, of the time of a frame


@dataclass(frozen=True)
class StreamTarget:
    """A bound for ratios to virtio-net."""
    title: str          # of a part of the table
    what: str           # as a reader sees it
    bound: float
    more_is_better: bool

    def is_met(self, ratio):
        return ratio >= self.bound if self.more_is_better else ratio <= self.bound


STREAM_TARGETS = (
    StreamTarget("received, Gbit/s (more is better)", "received", 1.0, True),
    StreamTarget("the same with the control threads of vfio-user and vhost, s/GB (less is better)",
                 "the host's processor time a byte", 0.8, False),
)


def read_table(text, name):
    """{(test, frame, contestant): the match of CELL} of a table of the guide, {} if it has none."""
    found = find_table(name).search(text)
    cells, test, peers = {}, None, ()
    for line in found["block"].splitlines() if found else ():
        words = re.split(r"\s{2,}", line.strip())
        if line.strip() in TITLES:
            test = TITLES[line.strip()]
        elif words[0] == "frame":
            peers = words[1:]
        elif test and (size := re.fullmatch(r"(\d+) B", words[0])):
            cells |= {(test, int(size[1]), peer): CELL.fullmatch(cell)
                      for peer, cell in zip(peers, words[1:])}
    return cells


def value(cells, target, test, frame):
    """What is to be compared with the bound, None if the table does not have it."""
    if target.of_limit:
        own = cells.get((test, frame, "iavf"))
        return int(own["share"]) / 100 if own and own["share"] else None
    rows = {peer: cells.get((test, frame, peer)) for peer in RIVALS}
    ratios = [float(row["ratio"]) for row in rows.values() if row and row["ratio"]]
    if len(ratios) < len(RIVALS):
        return None
    return max(ratios) if TESTS[test].is_latency else min(ratios)


def make_rows(text):
    """One for each target, test and size; as words."""
    tables = {name: read_table(text, name) for target in TARGETS for name in target.tables}
    for target in TARGETS:
        for frame in target.frames:
            for test in target.tests:
                row = [f"{frame} B", target.what + TESTS[test].title, target.bound_text(test)]
                for name in target.tables:
                    found = value(tables[name], target, test, frame)
                    row.append("not compared" if found is None else
                               f"{found:.2f}{'' if target.is_met(test, found) else ' missed'}")
                yield row


def read_streams(text, name):
    """{(title, way, streams): ratio} of ours with lro=1 and irq-inline=1."""
    found = find_table(name).search(text)
    ratios, title, at = {}, None, None
    for line in found["block"].splitlines() if found else ():
        row = STREAM_ROW.fullmatch(line)
        if line.strip().endswith("is better)"):
            title = line.strip()
        elif line.split()[:1] == ["streams"]:
            at = re.split(r"\s{2,}", line.strip()).index(OURS_AND_ALL) - 1
        elif title and row:
            _, _, ratio = re.split(r"\s{2,}", row["cells"].strip())[at].partition(" x")
            if ratio:
                ratios[title, row["way"], int(row["streams"])] = float(ratio)
    return ratios


def stream_rows(text):
    ratios = {key: ratio for name in STREAM_TABLES for key, ratio in read_streams(text, name).items()}
    for target in STREAM_TARGETS:
        for (title, way, streams), ratio in ratios.items():
            if title == target.title:
                yield [f"TCP, {way}, {streams} stream{'s' * (streams > 1)}", target.what,
                       f"{'>=' if target.more_is_better else '<='} {target.bound:g}",
                       f"{ratio:.2f}{'' if target.is_met(ratio) else ' missed'}"]


def read_sums(text, name):
    """{feature: Mpps to the consumer, 1500 B} of a table, with checksums checked and not."""
    found = find_table(name).search(text)
    rows = (re.split(r"\s{2,}", line.strip()) for line in (found["block"].splitlines() if found else ()))
    return {words[0]: float(words[2].split()[0]) for words in rows
            if words[0] in ("off", "checked") and len(words) > 2}


def sum_rows(text):
    """What it adds to the time of a frame that its checksums are checked, %."""
    for name, where in SUM_TABLES.items():
        rates = read_sums(text, name)
        if len(rates) == 2:
            cost = (rates["off"] / rates["checked"] - 1) * 100
            yield [f"1500 B, to the consumer, {where}", "more time with checksums checked",
                   f"<= {MOST_FOR_SUMS} %",
                   f"{cost:.0f} %{'' if cost <= MOST_FOR_SUMS else ' missed'}"]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("guide", nargs="?", type=Path, default=GUIDE)
    text = parser.parse_args(arguments).guide.read_text()
    rows = [["frame", "", "target", "near", "far"], *make_rows(text)]
    others = [["", "", "target", ""], *stream_rows(text), *sum_rows(text)]
    print("\n".join([*align(rows), "", *align(others)]))
    cells = [cell for row in rows[1:] + others[1:] for cell in row[3:]]
    print(f"\n{sum('missed' in cell for cell in cells)} of {len(cells)} missed, "
          f"{cells.count('not compared')} not compared: a peer was not measured, or the cores moved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
