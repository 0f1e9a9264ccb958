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


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("guide", nargs="?", type=Path, default=GUIDE)
    rows = [["frame", "", "target", "near", "far"],
            *make_rows(parser.parse_args(arguments).guide.read_text())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip())
    cells = [cell for row in rows[1:] for cell in row[3:]]
    print(f"\n{sum('missed' in cell for cell in cells)} of {len(cells)} missed, "
          f"{cells.count('not compared')} not compared: a peer was not measured, or the cores moved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
