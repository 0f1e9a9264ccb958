# SPDX-License-Identifier: BSD-3-Clause
"""Which lines of the code that reads a peer's data were run, by the profiles of fuzz targets."""

import subprocess
from collections import defaultdict
from itertools import groupby
from pathlib import Path

TOP = Path(__file__).parent.parent.parent

# What reads what a peer says, or acts upon it, as the targets reach it.
READERS = (
    "lib/guard/*.hpp", "lib/guard/rte_guest_mem.h",
    "lib/vfio_user/wire/*.[ch]pp", "lib/vfio_user/server/*.[ch]pp",
    "lib/vfio_user/memory/*.[ch]pp", "lib/vfio_user/peer/*.[ch]pp",
)


def readers():
    return sorted({path for pattern in READERS for path in TOP.glob(pattern)})


def line_counts(text):
    """Of each file of an lcov trace, how often each line was run; a line of a template or of an
    inline function stands there several times."""
    counts = defaultdict(dict)
    for line in text.splitlines():
        kind, _, value = line.partition(":")
        if kind == "SF":
            file = counts[value]
        elif kind == "DA":
            number, count = (int(part) for part in value.split(",")[:2])
            file[number] = max(count, file.get(number, 0))
    return counts


def ranges(numbers):
    """[1, 2, 3, 7] as 1-3, 7."""
    runs = (list(run) for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]))
    return ", ".join(f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else f"{run[0][1]}"
                     for run in runs)


def collect(profiles, llvm, programs):
    merged = profiles / "all.profdata"
    subprocess.run([f"llvm-profdata-{llvm}", "merge", "-sparse", "-failure-mode=all", "-o", merged,
                    *profiles.glob("*.profraw")], check=True)
    objects = [word for program in programs[1:] for word in ("-object", program)]
    return subprocess.run([f"llvm-cov-{llvm}", "export", "-format=lcov", "-skip-functions",
                           f"-instr-profile={merged}", programs[0], *objects, *readers()],
                          check=True, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL).stdout


def report(profiles, llvm, programs):
    if not any(profiles.glob("*.profraw")):
        return
    counts = line_counts(collect(profiles, llvm, programs))
    total = missed = 0
    print("\nlines of the code that reads a peer's data that were not run:")
    for path in readers():
        file = counts.get(str(path), {})
        rest = [number for number, count in sorted(file.items()) if count == 0]
        total += len(file)
        missed += len(rest)
        if rest:
            print(f"  {path.relative_to(TOP)}: {len(rest)} of {len(file)}: {ranges(rest)}")
    if total:
        print(f"{total - missed} of {total} lines were run, {100 * (total - missed) / total:.1f} %")
