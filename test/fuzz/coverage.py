# SPDX-License-Identifier: BSD-3-Clause
"""Which lines of the code that reads a peer's data were run, by the profiles of fuzz targets."""

import subprocess
from collections import defaultdict
from itertools import groupby
from pathlib import Path

TOP = Path(__file__).parent.parent.parent

# What reads what a peer says, or acts upon it: not what reads arguments and makes devices, and not
# the faces of libraries.
READERS = (
    "lib/guard/*.hpp", "lib/guard/rte_guest_mem.h",
    "lib/vfio_user/wire/*.[ch]pp", "lib/vfio_user/server/*.[ch]pp",
    "lib/vfio_user/client/*.[ch]pp", "lib/vfio_user/memory/*.[ch]pp",
    "lib/vfio_user/peer/*.[ch]pp",
    "drivers/common/iavf/*.hpp", "drivers/common/pci_device/*.[ch]pp",
    "drivers/emu/iavf/*.[ch]pp",
    "drivers/net/iavf_be/*.[ch]pp",
    "drivers/bus/vfio_user/pci_header.[ch]pp", "drivers/bus/vfio_user/remote_device.[ch]pp",
    "drivers/bus/vfio_user/dma_memory.[ch]pp", "drivers/bus/vfio_user/msix_vectors.[ch]pp",
)
# What the user and the application say, where it stands between.
OTHERS = (
    "drivers/emu/iavf/devargs.*", "drivers/emu/iavf/probe.cpp", "drivers/emu/iavf/policy.cpp",
    "drivers/emu/iavf/administration.cpp", "drivers/emu/iavf/provider.cpp",
    "drivers/emu/iavf/host.hpp", "lib/vfio_user/server/conf_copy.*",
    "lib/vfio_user/server/socket_rights.*", "drivers/net/iavf_be/probe.cpp",
    "drivers/net/iavf_be/ops.cpp", "drivers/net/iavf_be/port.*", "drivers/net/iavf_be/policy.*",
    "drivers/net/iavf_be/stats.cpp", "drivers/net/iavf_be/rx_interrupts.*",
    "drivers/net/iavf_be/ring_state.cpp", "drivers/net/iavf_be/rings_setup.cpp",
)


def readers():
    def of(patterns):
        return {path for pattern in patterns for path in TOP.glob(pattern)}
    return sorted(of(READERS) - of(OTHERS))


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
