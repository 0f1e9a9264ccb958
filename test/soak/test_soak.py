# SPDX-License-Identifier: BSD-3-Clause
"""The soak, for as long as each of its clients needs to have had a turn."""

import os
import subprocess
import sys
from pathlib import Path

import kills
import soak
from stock import BUILD


def run(module, *options):
    done = subprocess.run([sys.executable, "-B", Path(module.__file__), *options],
                          env=os.environ | {"EMUDEV_BUILD": str(BUILD)}, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_either_side_killed_at_random_instants():
    kills.images()  # The first time, that takes long.
    done = run(kills, "--clients", "40", "--guests", "2", "--providers", "2", "--resets", "10")
    assert done.stdout.count("all as before") == 4


def test_short_soak():
    done = run(soak, "--minutes", "0.3", "--interval", "6")
    rows = dict(line.strip().rsplit("  ", 1) for line in done.stdout.splitlines() if "  " in line)
    numbers = {name.strip(): value for name, value in rows.items()}
    assert int(numbers["packets of the traffic"]) > 0
    assert int(numbers["resets while frames are sent"]) > 0


def test_an_interval_without_traffic_is_told():
    """Unless somebody had no processor for it."""
    assert soak.stalled([soak.Interval(packets=1, seconds=10, processor=9),
                         soak.Interval(packets=0, seconds=10, processor=0.1)]) == []
    wrong = soak.stalled([soak.Interval(packets=0, seconds=10, processor=0.5)])
    assert wrong == ["an interval of 0.0 kpps with 5% of a processor"]


def test_what_is_held_is_told():
    before = {"fds": 10, "mappings": 3, "mbufs": 5, "huge": 2, "anonymous": 0}
    assert soak.differences(before, before) == []
    assert soak.differences(before, before | {"fds": 11}) == ["fds: 10 before, 11 now"]
    assert soak.differences(before, before | {"mbufs": 4}) == ["mbufs: 5 before, 4 now"]
    assert soak.differences(before, before | {"huge": 4}) == ["huge: 2 before, 4 now"]
    assert "1000 MiB" in soak.differences(before, before | {"anonymous": 1000 << 20})[0]


class End:
    """A consumer that has received and sent so many packets."""

    def __init__(self, received, sent):
        self.packets = lambda: [received, sent]


class Host:
    def __init__(self, **counts):
        self.stats = lambda name: {"ipackets": 0, "imissed": 0, "ierrors": 0, "opackets": 0} | counts


def test_what_is_lost_is_told():
    host = Host(ipackets=90, imissed=10, opackets=80)
    assert soak.agreement(host, End(0, 100), End(80, 0)) == []
    assert soak.agreement(host, End(0, 101), End(80, 0)) == ["101 packets were sent, 100 received or dropped"]
    assert soak.agreement(host, End(0, 100), End(79, 0)) == ["80 packets were handed over, 79 arrived"]
