#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""From the start of QEMU to the link, step by step, beside a guest without a NIC.

Started by "devtools/bench.sh boot". A stock Linux guest whose processor QEMU emulates: nearly all of it
is the kernel's own start. The driver is loaded and the interface set up as soon as a shell runs."""

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "guest"),
                str(Path(__file__).resolve().parents[1])]

import guest as guests  # noqa: E402
from host import Testpmd, interruptible  # noqa: E402
from results import where_and_when  # noqa: E402
from stock import wait_for  # noqa: E402

NONE, OURS = "no NIC", "iavf"
STEPS = ("QEMU's start to a shell", "modprobe to an interface", "set up to the link at both ends")


def parse():
    parser = argparse.ArgumentParser(prog="bench.sh boot", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--kernel", default=guests.KERNELS[0], choices=guests.KERNELS)
    return parser.parse_args()


def link_is_up(testpmd):
    return testpmd.telemetry(f"/ethdev/link_status,{testpmd.port()}")["status"] == "UP"


def measure(folder, testpmd, kernel, nic):
    """Seconds of each step."""
    moments = [time.monotonic()]
    lap = lambda: moments.append(time.monotonic())
    with contextlib.closing(guests.Guest(folder, nic, kernel=kernel)) as guest:
        lap()
        if nic:
            guest.check("modprobe iavf")
            guest.await_interface()
            lap()
            guest.check(f"ip link set {guests.NIC} up")
            guest.await_link()
            wait_for(lambda: link_is_up(testpmd), "link at the host")
            lap()
    return [after - before for before, after in zip(moments, moments[1:])]


def run(settings):
    found = {NONE: [], OURS: []}
    with tempfile.TemporaryDirectory(prefix="emudev-") as name:
        folder = Path(name)
        with contextlib.closing(Testpmd(folder)) as testpmd:
            for turn in range(settings.rounds):
                for one, nic in ((NONE, None), (OURS, testpmd.socket)):
                    print(f"round {turn + 1} of {settings.rounds}: {one}", file=sys.stderr, flush=True)
                    found[one].append(measure(folder / f"{turn}{bool(nic)}", testpmd,
                                              settings.kernel, nic))
    return found


def cell(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def show(found, kernel):
    print(f"start of a Linux {kernel} guest, seconds, median (min-max)\n")
    print(f"  {'':34}{NONE:20}{OURS}")
    for step, title in enumerate(STEPS):
        columns = [cell([times[step] for times in rounds]) if len(rounds[0]) > step else "-"
                   for rounds in (found[NONE], found[OURS])]
        print(f"  {title:34}{columns[0]:20}{columns[1]}")
    print(f"  {'all':34}{cell([sum(times) for times in found[NONE]]):20}"
          f"{cell([sum(times) for times in found[OURS]])}")


def main():
    settings = parse()
    interruptible()
    show(run(settings), settings.kernel)
    print(f"\n{where_and_when()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
