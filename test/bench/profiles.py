#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Where the host's core is while frames pass through our NIC.

Started by "devtools/bench.sh profile". "perf record -e cpu-clock" looks a few thousand times a second
which instruction the host's process is at; debugging information says which functions were inlined
there, and so to which pass of the data path it belongs. Code is compiled as always: nothing is taken
out of line for this. A machine without counters of cycles or misses has no more to give."""

import argparse
import bisect
import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bench  # noqa: E402
import results as figures  # noqa: E402
from endpoint import Pair, PeerError  # noqa: E402
from peers import OURS, OURS_LENDING, PEERS, SMALL_FRAME, TESTS  # noqa: E402

FREQUENCY = 4000    # samples a second
LIBC = "libc.so"
APPLICATION = "the application, its mbufs"
AROUND = "the burst around them, tails"
LENDING = "lending"
RETURNS = "returns of what was lent"
LIBRARY = "the C library: copies from 256 bytes on"

# What a function belongs to; of those that are inlined into each other the innermost that is here counts.
# DPDK's copy is not inlined everywhere.
FROM_GUEST = {
    "read_plain": "from the guest: descriptors, addresses",
    "asks_for_checksums": "from the guest: descriptors, addresses",
    "copy_plain": "from the guest: the copy", "rte_memcpy": "from the guest: the copy",
    "allocate_some": "mbufs from their pool",
    "complete_plain": "completion",
    "lends_next": LENDING, "lent_span": LENDING,
    "lend": LENDING, "finish": LENDING, "settle": RETURNS, "bound_tail": LENDING,
    "take": AROUND, "serve": AROUND, "from_guest_burst": AROUND,
}
TO_GUEST = {
    "find_buffers": "to the guest: descriptors, addresses",
    "fetch_next": "to the guest: descriptors, addresses",
    "copy_plain": "to the guest: the copy", "rte_memcpy": "to the guest: the copy",
    "find_what_to_say": "write-back",
    "write_back_plain": "write-back",
    "free_frames": APPLICATION,
    "give": AROUND, "hand_over": AROUND, "to_guest_burst": AROUND,
}
# By the source that was compiled.
PASSES = {"from_guest.cpp": FROM_GUEST, "to_guest.cpp": TO_GUEST, "loans.cpp": {"give_back": RETURNS}}
ROWS = list(dict.fromkeys([*FROM_GUEST.values(), *TO_GUEST.values()]))
ROWS.append(LIBRARY)
ROWS.append(ROWS.pop(ROWS.index(AROUND)))
ROWS.append(ROWS.pop(ROWS.index(APPLICATION)))


@dataclass(frozen=True)
class Column:
    test: str
    frame: int
    peer: str = OURS
    ring: int = 1024

    @property
    def title(self):
        return " ".join([f"{self.frame} B", *(["lent"] if self.peer == OURS_LENDING else []),
                         *([f"/{self.ring}"] if self.ring != 1024 else [])])


COLUMNS = (
    *(Column("c2h", frame) for frame in (64, 256, 1500, 9000)),
    Column("c2h", 9000, ring=256), Column("c2h", 1024, OURS_LENDING), Column("c2h", 1500, OURS_LENDING),
    *(Column("h2c", frame) for frame in (64, 256, 1500, 9000)), Column("h2c", 9000, ring=256),
    *(Column("forward", frame) for frame in (64, 256, 1500)), Column("forward", 9000, ring=256),
    Column("forward", 1024, OURS_LENDING), Column("forward", 1500, OURS_LENDING),
    *(Column("latency-1", frame) for frame in (64, 1500)), Column("latency-1", 9000, ring=256),
    *(Column("latency-32", frame) for frame in (64, 1500)), Column("latency-32", 9000, ring=256),
)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="bench.sh profile", description=__doc__.splitlines()[0])
    bench.add_run_options(parser)
    parser.add_argument("--tests", type=bench.names(TESTS), default=list(TESTS), metavar="LIST",
                        help="of " + ",".join(TESTS))
    parser.add_argument("--frames", type=bench.frames, metavar="LIST", help="only those sizes")
    parser.set_defaults(build=os.environ.get("EMUDEV_PROFILED_BUILD"))
    settings = parser.parse_args(arguments)
    settings.build = settings.build and Path(settings.build)
    settings = bench.complete(parser, settings)
    for program in ("perf", "addr2line"):
        if shutil.which(program) is None:
            parser.error(f"{program} is needed")
    settings.udp, settings.rows = False, PEERS
    settings.columns = [column for column in COLUMNS if column.test in settings.tests and
                        (settings.frames is None or column.frame in settings.frames)]
    return settings


class Code:
    """The executable parts of a process; says of an address what is inlined there, and which source
    was compiled to it."""

    def __init__(self, pid):
        self.parts = []     # (begin, end, offset in the file, file)
        self.known = {}
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            words = line.split(None, 5)
            if "x" in words[1] and len(words) == 6 and words[5].startswith("/"):
                begin, end = (int(word, 16) for word in words[0].split("-"))
                self.parts.append((begin, end, int(words[2], 16), words[5]))
        self.parts.sort()

    def place(self, address):
        """(file, address in it as debugging information has it), None if it is not in a file."""
        at = bisect.bisect_right(self.parts, (address, float("inf"))) - 1
        if at < 0 or address >= self.parts[at][1]:
            return None
        begin, _, offset, file = self.parts[at]
        return file, address - begin + offset

    def learn(self, addresses):
        """Asks once for all of a file."""
        by_file = collections.defaultdict(set)
        for place in map(self.place, addresses):
            if place is not None and place not in self.known and not is_library(place[0]):
                by_file[place[0]].add(place[1])
        for file, offsets in by_file.items():
            offsets = sorted(offsets)
            with open(file, "rb") as stream:
                elf = ELFFile(stream)
                addresses = [to_address(elf, offset) for offset in offsets]
                sources = find_sources(elf, addresses)
            answer = subprocess.run(["addr2line", "-e", file, "-i", "-f", "-C", "-a", *map(hex, addresses)],
                                    capture_output=True, text=True, check=True).stdout
            chains = re.split(r"(?m)^0x[0-9a-f]+\n", answer)[1:]
            for offset, chain, source in zip(offsets, chains, sources, strict=True):
                self.known[file, offset] = to_chain(chain), source

    def find(self, address):
        """([(file, function), ..], the innermost first, and the source), or the name of a library
        without debugging information."""
        place = self.place(address)
        if place is not None and is_library(place[0]):
            return [], LIBC
        return self.known.get(place, ([], ""))


def is_library(file):
    """Whether it is the C library, of whose functions none is asked for."""
    return Path(file).name.startswith(LIBC)


def to_address(elf, offset):
    """Of an offset in the file."""
    return next((offset - segment["p_offset"] + segment["p_vaddr"] for segment in elf.iter_segments("PT_LOAD")
                 if 0 <= offset - segment["p_offset"] < segment["p_filesz"]), offset)


def find_sources(elf, addresses):
    """The source file of each; nothing where debugging information has none."""
    dwarf = elf.get_dwarf_info() if elf.has_dwarf_info() else None
    ranges = dwarf and dwarf.get_aranges()
    if not ranges:
        return [""] * len(addresses)
    units = [ranges.cu_offset_at_addr(address) for address in addresses]
    names = {unit: Path(dwarf.get_CU_at(unit).get_top_DIE().attributes["DW_AT_name"].value.decode()).name
             for unit in set(units) if unit is not None}
    return [names.get(unit, "") for unit in units]


def to_chain(answer):
    lines = answer.splitlines()
    return [(Path(place.split(":")[0]).name, base_name(function))
            for function, place in zip(lines[::2], lines[1::2])]


def base_name(function):
    """"unsigned short a::(anonymous namespace)::f<(b)1>(int)" is "f"."""
    found = re.match(r"(?:.*?[\s:])?(~?\w+)(?:<|\(|\[|$)", function.replace("(anonymous namespace)", ""))
    return found[1] if found else function


def to_row(chain, source):
    """The pass that a sample belongs to; None while the program finds out how far the cores are,
    which is no part of a measurement."""
    if source == "main.cpp" and any(function in ("ping", "pong", "await") for _, function in chain):
        return None
    if source == LIBC:
        return LIBRARY
    passes = PASSES.get(source, {})
    return next((passes[function] for _, function in chain if function in passes), APPLICATION)


def to_counts(code, addresses):
    code.learn(addresses)
    rows = collections.Counter(to_row(*code.find(address)) for address in addresses)
    rows.pop(None, None)
    return rows


def read_samples(file):
    """The addresses in user space at which a process was found."""
    listing = subprocess.run(["perf", "script", "-i", str(file), "-F", "ip"], capture_output=True, text=True)
    addresses = (int(line, 16) for line in listing.stdout.split())
    return [address for address in addresses if address < 1 << 63]


def watch(settings, pair, column):
    """(sample of the measurement, {row: samples of perf})"""
    pid = pair.ends["host"].process.pid
    data = settings.work / "perf.data"
    perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY),
                             "-p", str(pid), "-o", str(data)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)     # until it looks
    try:
        found = pair.measure(TESTS[column.test], column.frame, settings.warmup, settings.seconds)
    finally:
        perf.send_signal(signal.SIGINT)
        errors = perf.communicate()[1]
    addresses = read_samples(data)
    if not addresses:
        raise PeerError(f"perf has found nothing: {errors.strip()}")
    counts = to_counts(Code(pid), addresses)
    if set(counts) <= {APPLICATION}:
        raise PeerError("no sample is in the data path: was it built with -Ddebug=true?")
    return figures.make_sample(TESTS[column.test], *found), counts


def measure(settings, column):
    """Once a round, again if the hypervisor has moved the cores: [(sample, counts)]"""
    tries = bench.MAX_TRIES_AT_DISTANCE if settings.distance else 1
    found = []
    peer = PEERS[column.peer]
    place = argparse.Namespace(**{**vars(settings), "ring": column.ring})
    with Pair(place, peer, column.frame > SMALL_FRAME) as pair:
        settings.dpdk = pair.ends["host"].dpdk
        for _ in range(tries * settings.rounds):
            one = watch(settings, pair, column)
            found += [one] if is_wanted(settings, one[0]) else []
            if len(found) == settings.rounds:
                break
    return found


def is_wanted(settings, sample):
    return settings.distance is None or figures.is_about(settings.distance, sample.core_distance)


def time_of(column, sample):
    """Of a frame, ns."""
    return sample.value * 1000 if TESTS[column.test].is_latency else 1000 / max(sample.value, 1e-3)


def to_figures(column, found):
    """{row: ns a frame}"""
    total = sum((counts for _, counts in found), collections.Counter())
    each = sum(time_of(column, sample) for sample, _ in found) / len(found)
    return {row: count / total.total() * each for row, count in total.items()}


def number(value):
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def to_table(test, found):
    """`found`: {column: figures} of that test."""
    rows = [[f"{test.title}, ns" + (" a round trip" if test.is_latency else " a frame"),
             *(column.title for column in found)]]
    for row in ROWS:
        if any(row in cells for cells in found.values()):
            rows.append([row, *(number(cells[row]) if row in cells else ""
                                for cells in found.values())])
    rows.append(["all", *(number(sum(cells.values())) for cells in found.values())])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  " + "  ".join(
        text.ljust(width) if not i else text.rjust(width)
        for i, (text, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def run(settings):
    """{column: [(sample, counts)]}, and what failed."""
    found, failures = {}, {}
    progress = bench.Progress(len(settings.columns))
    for column in settings.columns:
        progress.say(f"{TESTS[column.test].title}, {column.title}")
        try:
            found[column] = measure(settings, column)
        except PeerError as error:
            failures[column] = str(error)
        progress.step()
    return found, failures


def report(settings, found, failures):
    print(figures.describe(settings) + "\n\nthe host's core, by samples of "
          f"{FREQUENCY} a second; \"lent\": with zero copy; \"/256\": rings of 256, else of 1024")
    for test in settings.tests:
        cells = {column: to_figures(column, each) for column, each in found.items()
                 if column.test == test and each}
        if cells:
            print(f"\n{to_table(TESTS[test], cells)}")
    distances = [sample.core_distance for each in found.values() for sample, _ in each]
    if distances:
        print(f"\nthe cores: {min(distances):.2f} to {max(distances):.2f} us for a cache line there and back")
    for column in found:
        if not found[column]:
            failures[column] = "the hypervisor kept the cores at another distance"
    for column, why in failures.items():
        print(f"{TESTS[column.test].title}, {column.title}: not measured: {why}")


def main(arguments=None):
    settings = parse(arguments)
    with bench.machine(settings):
        found, failures = run(settings)
    report(settings, found, failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
