#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""All tables of the benchmark's guide, and its picture, by one command.

Started by "devtools/bench.sh all". Each table of the guide stands behind a comment with its name; with
--write it is replaced by what was measured. What a machine does not give, as cores that are far from
each other, stays as it is there, with the date of its own run."""

import argparse
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "doc/guides/howto/benchmark.rst"
PICTURE = GUIDE.with_suffix(".svg")
# Of the cells of a table, which then stays as it was.
MOST_MOVED = 0.3


@dataclass(frozen=True)
class Table:
    """A command, whose whole output is the table."""
    name: str
    program: str
    options: str = ""       # {near}, {far}: how far the cores are to be from each other, us; {guide}
    picture: bool = False
    takes_quick: bool = True

    def command(self, settings):
        return [sys.executable, "-B", str(Path(__file__).parent / self.program),
                *(option.format(**vars(settings)) for option in shlex.split(self.options)),
                *(["--quick"] if settings.quick and self.takes_quick else []),
                *(["--svg", str(PICTURE.with_suffix(".new"))] if self.picture else [])]


ZERO_COPY = ("--ours iavf-zc --peers iavf,iavf-zc,vhost-split,vhost-packed,memif,memif-zc "
             "--tests c2h,forward")
JUMBO = "--frames 9000 --peers iavf,iavf-early,vhost-split,vhost-packed,memif,memif-zc"
MANY = ("--rounds 12 --ways 'guest a to b,guest b to a' --contestants "
        "'virtio-net;iavf, lro=1, irq-inline=1;iavf, irq-inline=1'")
TAP = ("--rounds 12 --ways 'guest to tap,tap to guest' --contestants "
       "'virtio-net;iavf, lro=1, irq-inline=1'")
LENT = ("--rounds 6 --ways 'guest a to b,guest b to a' --contestants "
        "'virtio-net;iavf, lro=1, irq-inline=1;iavf, lro=1, irq-inline=1, zero-copy=1'")

TABLES = {table.name: table for table in (
    Table("near", "bench.py", "--distance {near}", picture=True),
    Table("far", "bench.py", "--distance {far}"),
    Table("zero-copy", "bench.py", "--distance {near} " + ZERO_COPY),
    Table("zero-copy-256", "bench.py", "--distance {near} --ring 256 " + ZERO_COPY),
    Table("zero-copy-far", "bench.py", "--distance {far} --frames 1024,1500 " + ZERO_COPY),
    Table("zero-copy-256-far", "bench.py", "--distance {far} --ring 256 --frames 9000 " + ZERO_COPY),
    Table("9000", "bench.py", "--distance {near} " + JUMBO),
    Table("9000-256", "bench.py", "--distance {near} --ring 256 " + JUMBO),
    Table("9000-256-far", "bench.py", "--distance {far} --ring 256 " + JUMBO),
    Table("profile", "profiles.py", "--distance {near} --rounds 3", takes_quick=False),
    Table("profile-far", "profiles.py", "--distance {far} --rounds 1 --seconds 0.8 --frames 64,1500 "
          "--tests c2h,h2c,forward,latency-1", takes_quick=False),
    Table("four-queues", "bench.py", "--distance {near} --queues 4 --frames 64,1500"),
    Table("four-queues-far", "bench.py", "--distance {far} --queues 4 --frames 64,1500"),
    Table("features", "features.py", "--distance {near}"),
    Table("features-far", "features.py", "--distance {far}"),
    Table("queues", "queues.py", "--distance {near}"),
    Table("queues-far", "queues.py", "--distance {far}"),
    Table("devices", "devices.py", takes_quick=False),
    Table("boot", "boot.py", takes_quick=False),
    Table("fairness", "fairness.py", takes_quick=False),
    Table("memory", "memory.py", takes_quick=False),
    Table("iperf", "streams.py", takes_quick=False),
    Table("iperf-9000", "streams.py", "--mtu 9000", takes_quick=False),
    Table("iperf-many", "streams.py", MANY, takes_quick=False),
    Table("iperf-tap", "streams.py", TAP, takes_quick=False),
    Table("iperf-zero-copy", "streams.py", LENT, takes_quick=False),
    Table("targets", "targets.py", "{guide}", takes_quick=False),   # the last: it reads the others
)}


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench.sh all", description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=",".join(TABLES), metavar="LIST",
                        help="of " + ",".join(TABLES))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    for place, usual in (("near", 0.09), ("far", 0.32)):
        parser.add_argument(f"--{place}", type=float, default=usual, metavar="US",
                            help=f"how long a cache line takes to the other core and back where the "
                                 f"cores are {place} (default: {usual})")
    parser.add_argument("--write", action="store_true", help="write them, and the picture, into the guide")
    parser.add_argument("--guide", type=Path, default=GUIDE, help=argparse.SUPPRESS)
    settings = parser.parse_args(arguments)
    settings.tables = settings.tables.split(",")
    for name in settings.tables:
        if name not in TABLES:
            parser.error(f"--tables: {name} is none of {','.join(TABLES)}")
    return settings


def find_table(name):
    """What finds a table in the text of the guide: the literal block behind the comment."""
    return re.compile(rf"(?m)^\.\. table: {re.escape(name)}\n\n::\n\n(?P<block>(?:(?:   .*)?\n)+)(?=\S)")


def replaced(text, name, table):
    """The guide with another table."""
    block = "".join(f"   {line}".rstrip() + "\n" for line in table.strip("\n").splitlines())
    found, count = find_table(name).subn(lambda _: f".. table: {name}\n\n::\n\n{block}\n", text)
    if count != 1:
        raise ValueError(f"the guide has {count} tables \"{name}\"")
    return found


def moved(output):
    """The share of cells that were measured with the cores at another distance."""
    cells = re.findall(r"\([\d.e+-]+-[\d.e+-]+\)( moved)?", output)
    return sum(map(bool, cells)) / max(len(cells), 1)


def measure(table, settings):
    """What the command prints; None if that is not to be used."""
    print(f"== {table.name}", file=sys.stderr, flush=True)
    done = subprocess.run(table.command(settings), stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    if done.returncode:
        print(f"{table.name} failed", file=sys.stderr)
        return None
    if moved(done.stdout) > MOST_MOVED:
        print(f"{table.name} stays as it was: the cores were elsewhere", file=sys.stderr)
        return None
    return done.stdout


def main(arguments=None):
    settings = parse(arguments)
    complete = True
    for name in settings.tables:
        output = measure(TABLES[name], settings)
        complete = complete and output is not None
        if settings.write and output is not None:
            settings.guide.write_text(replaced(settings.guide.read_text(), name, output))
            if TABLES[name].picture:
                PICTURE.with_suffix(".new").rename(PICTURE)
    PICTURE.with_suffix(".new").unlink(missing_ok=True)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
