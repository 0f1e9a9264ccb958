# SPDX-License-Identifier: BSD-3-Clause
"""From what the ends found to figures: medians, spreads, ratios, and whether to believe them."""

import os
import platform
import re
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

from peers import LIMIT, OURS, TESTS, USUAL_RING

# Beyond these the machine is called noisy.
MAX_STEAL = 0.01            # share of the CPU time that the hypervisor took
MIN_CPU_SHARE = 0.97        # an end that had less of its core was disturbed
MAX_DISTURBED = 0.1         # share of measurements with a disturbed end
MAX_DISTANCE_RATIO = 1.5    # how far the two cores may be from their usual distance
MAX_LIMIT_SPREAD = 0.2      # (max - min) / median of the limit, median over the frames


@dataclass
class Sample:
    value: float            # Mpps or us
    p99: float              # us, of latencies
    lost: int
    damaged: int
    disordered: int
    checked: int
    cpu_share: float        # of the end that had less
    received: int
    core_distance: float    # us, a cache line's way to the other core and back


def is_about(usual, distance):
    """Whether a distance of the cores is that one."""
    return usual / MAX_DISTANCE_RATIO <= distance <= usual * MAX_DISTANCE_RATIO


def make_sample(test, active, passive):
    """`active` and `passive` are the lines that the ends printed."""
    receiver = passive if test.is_one_way else active
    if test.is_latency:
        value = active["median_ns"] / 1000
    elif receiver["seconds"] > 0:
        value = receiver["packets"] / receiver["seconds"] / 1e6
    else:
        value = 0.0
    return Sample(value=value, p99=active["p99_ns"] / 1000,
                  lost=active["sent"] - receiver["received"], damaged=receiver["damaged"],
                  disordered=receiver["disordered"], checked=receiver["checked"],
                  cpu_share=min(active["cpu_share"], passive["cpu_share"]),
                  received=receiver["received"],
                  core_distance=active["distance_ns"] / 1000)


@dataclass
class Result:
    """All rounds of one peer, test and frame size."""
    samples: list = field(default_factory=list)

    @property
    def values(self):
        return [sample.value for sample in self.samples]

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def spread(self):
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0

    def total(self, name):
        return sum(getattr(sample, name) for sample in self.samples)


class Results:
    """Filled round by round; asked at the end."""

    def __init__(self, peers, tests, frames, distance=None, ours=OURS):
        self.peers, self.tests, self.frames = peers, tests, frames
        self.wanted_distance, self.ours = distance, ours
        self.rows = {}
        self.failures = {}

    def add(self, peer, test, frame, sample):
        self.rows.setdefault((peer, test, frame), Result()).samples.append(sample)

    def get(self, peer, test, frame):
        return self.rows.get((peer, test, frame))

    def ratio(self, peer, test, frame):
        """Our median divided by the peer's, or None if they cannot be compared."""
        ours, other = self.get(self.ours, test, frame), self.get(peer, test, frame)
        if peer == self.ours or not ours or not other or not other.median:
            return None
        if self.is_unusual(ours) or self.is_unusual(other):
            return None
        return ours.median / other.median

    def share(self, peer, test, frame):
        """Of the limit's median that this peer reaches, or None if they cannot be compared, or it
        is no bound."""
        row, limit = self.get(peer, test, frame), self.get(LIMIT, test, frame)
        if peer == LIMIT or TESTS[test].is_latency or not row or not limit or not limit.median:
            return None
        if self.is_unusual(row) or self.is_unusual(limit):
            return None
        return row.median / limit.median

    def core_distances(self):
        return [sample.core_distance for row in self.rows.values() for sample in row.samples]

    def usual_distance(self):
        return self.wanted_distance or statistics.median(self.core_distances() or [0.0])

    def is_usual(self, sample):
        """Whether the two cores were about as far apart as most of the time."""
        return is_about(self.usual_distance(), sample.core_distance)

    def is_unusual(self, row):
        """Whether the cores were at another distance in each round."""
        return not any(map(self.is_usual, row.samples))

    def keep_usual(self):
        """Drops what was measured with the cores at another distance than most, unless nothing
        would stay of a row. Returns how many."""
        before = len(self.core_distances())
        kept = {key: Result([s for s in row.samples if self.is_usual(s)])
                for key, row in self.rows.items()}
        self.rows = {key: kept[key] if kept[key].samples else row
                     for key, row in self.rows.items()}
        return before - len(self.core_distances())

    def measured_peers(self):
        return [peer for peer in self.peers if any(key[0] == peer for key in self.rows)]

    def total(self, name):
        return sum(row.total(name) for row in self.rows.values())


def read_steal():
    """(steal, all) CPU time of the machine so far, in ticks."""
    words = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    ticks = list(map(int, words))
    return ticks[7], sum(ticks)


def find_noise(results, steal):
    """The reasons to distrust the figures; empty if there are none. `steal` is a share."""
    samples = [sample for row in results.rows.values() for sample in row.samples]
    reasons = []
    if steal > MAX_STEAL:
        reasons.append(f"the hypervisor took {steal:.1%} of the CPU time")
    disturbed = sum(sample.cpu_share < MIN_CPU_SHARE for sample in samples)
    if samples and disturbed > MAX_DISTURBED * len(samples):
        reasons.append(f"in {disturbed} of {len(samples)} measurements an end had less than "
                       f"{MIN_CPU_SHARE:.0%} of its core")
    moved = sum(not results.is_usual(sample) for sample in samples)
    if moved:
        reasons.append(f"in {moved} of {len(samples)} measurements the cores were not "
                       f"{results.usual_distance():.2f} us apart: the hypervisor moved them")
    spreads = [row.spread for (peer, test, _), row in results.rows.items()
               if peer == LIMIT and not TESTS[test].is_latency]
    if spreads and statistics.median(spreads) > MAX_LIMIT_SPREAD:
        reasons.append(f"the limit itself varied by {statistics.median(spreads):.0%}")
    return reasons


def describe_machine():
    cpuinfo = Path("/proc/cpuinfo").read_text()
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    return {
        "cpu": fields.get("model name", platform.machine()),
        "cpu_family_model": f"{fields.get('cpu family', '?')}/{fields.get('model', '?')}",
        "cpus": os.cpu_count(),
        "virtual": "hypervisor" in fields.get("flags", ""),
        "avx512": "avx512bw" in fields.get("flags", ""),
        # Without what a distribution or a hoster appends.
        "kernel": re.match(r"[\d.]*", platform.release())[0],
        "memory_kib": int(Path("/proc/meminfo").read_text().split()[1]),
    }


def where():
    """This machine, in a few words."""
    machine = describe_machine()
    cpu = [f"family/model {machine['cpu_family_model']}", f"{machine['cpus']} cores"]
    cpu += ["virtual"] if machine["virtual"] else []
    cpu += ["AVX-512"] if machine["avx512"] else []
    return f"{machine['cpu']} ({', '.join(cpu)}), Linux {machine['kernel']}"


def where_and_when():
    """The same, today."""
    return f"{where()}, {time.strftime('%Y-%m-%d')}"


def describe(settings):
    """Where, when, and how often."""
    return (f"{where()}, {settings.dpdk or 'no DPDK'}, {settings.date}, "
            f"{settings.rounds} rounds of {settings.seconds:g} s"
            f"{f', rings of {settings.ring}' if settings.ring != USUAL_RING else ''}"
            f"{', UDP over IPv4' if settings.udp else ''}"
            f"{f', {queues} queues' if (queues := getattr(settings, 'queues', 1)) != 1 else ''}")


def to_json(results, settings, noise, steal):
    rows = []
    for (peer, test, frame), row in results.rows.items():
        rows.append({
            "peer": peer, "test": test, "frame": frame, "unit": TESTS[test].unit,
            "median": round(row.median, 4), "min": round(min(row.values), 4),
            "max": round(max(row.values), 4), "samples": [round(v, 4) for v in row.values],
            "core_distances_us": [round(s.core_distance, 3) for s in row.samples],
            "p99": round(statistics.median(s.p99 for s in row.samples), 4)
            if TESTS[test].is_latency else None,
            "ours_to_peer": results.ratio(peer, test, frame),
            "share_of_limit": results.share(peer, test, frame),
            "received": row.total("received"), "lost": row.total("lost"),
            "checked": row.total("checked"), "damaged": row.total("damaged"),
            "disordered": row.total("disordered"),
            "min_cpu_share": min(s.cpu_share for s in row.samples),
        })
    return {
        "date": settings.date,
        "machine": {**describe_machine(), "dpdk": settings.dpdk},
        "settings": {"rounds": settings.rounds, "seconds": settings.seconds,
                     "warmup": settings.warmup, "descriptors": settings.ring, "burst": 32,
                     "host_core": settings.host_core, "consumer_core": settings.consumer_core},
        "peers": {peer: settings.rows[peer].title if peer in settings.rows
                  else "cache lines, one copy" for peer in results.peers},
        "noise": noise, "steal": round(steal, 5),
        "failures": results.failures,
        "results": rows,
    }


def to_cell(results, peer, test, frame):
    """median (min-max) xRATIO SHARE%, or "moved" instead of both"""
    row = results.get(peer, test, frame)
    if row is None:
        return "-"
    text = f"{row.median:.3g} ({min(row.values):.3g}-{max(row.values):.3g})"
    if results.is_unusual(row):
        return f"{text} moved"
    ratio, share = results.ratio(peer, test, frame), results.share(peer, test, frame)
    if ratio is not None and (peer != LIMIT or TESTS[test].is_latency):
        text += f" x{ratio:.2f}"
    return text if share is None else f"{text} {share:.0%}"


def align(rows):
    """Lines of rows of cells, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def to_table(results):
    """The text for standard output."""
    peers = results.measured_peers()
    lines = []
    for test in results.tests:
        rows = [["frame", *peers]]
        rows += [[f"{frame} B", *(to_cell(results, peer, test, frame) for peer in peers)]
                 for frame in results.frames]
        lines.append(f"{TESTS[test].title}, {TESTS[test].unit}")
        lines += [f"  {line}" for line in align(rows)]
        lines.append("")
    lines.append(f"median (min-max) over the rounds; xN: {results.ours} divided by this peer"
                 " (of round-trip times, less is better)")
    if LIMIT in peers:
        lines.append("N%: this much of the limit")
    if any(map(results.is_unusual, results.rows.values())):
        lines.append("moved: the hypervisor kept the cores at another distance; no ratio")
    return "\n".join(lines)


def to_verdict(results, noise):
    """Losses, damage and noise, in words."""
    lines = [f"{results.total('received'):,} frames received in sequence, "
             f"{results.total('checked'):,} of them checked whole: {results.total('lost'):,} lost, "
             f"{results.total('damaged'):,} damaged, {results.total('disordered'):,} out of order"]
    for (peer, test, frame), row in results.rows.items():
        if row.total("lost") or row.total("damaged") or row.total("disordered"):
            lines.append(f"  {peer} {test} {frame} B: {row.total('lost')} lost, "
                         f"{row.total('damaged')} damaged, {row.total('disordered')} out of order")
    lines += [f"{peer} was not measured: {why}" for peer, why in results.failures.items()]
    lines += [f"NOISY MACHINE, do not compare: {reason}" for reason in noise]
    if not noise:
        rounds = min((len(row.samples) for row in results.rows.values()), default=0)
        lines.append("the machine was quiet" if rounds > 1 else
                     "no noise was seen, but one round says nothing about the spread")
    return "\n".join(lines)
