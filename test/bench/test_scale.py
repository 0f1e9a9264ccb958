# SPDX-License-Identifier: BSD-3-Clause
"""Very many queues and devices, and the start of a guest: tables, and a short run of each that needs no
guest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path[:0] = map(str, Path(__file__).resolve().parents[:2])

import bench  # noqa: E402
import boot  # noqa: E402
import devices  # noqa: E402
import peers  # noqa: E402
import queues  # noqa: E402
from stock import BUILD, sanitizer_environment  # noqa: E402

TWO_CORES = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


def figures(distance=0.1, **changes):
    return {"packet": 40.0, "burst": 32.0, "rate": 60.0, "idle": 50.0, "clock": 2.6,
            "distance": distance, **changes}


def settings(tmp_path, *options):
    return queues.parse([*options, "--build", str(tmp_path)])


def test_rows_at_another_distance_are_left_out(tmp_path):
    found = {(1, "iavf"): [figures(), figures(0.4, packet=200.0)], (4, "iavf"): [figures(0.3)],
             (4, "vhost-split"): [figures(packet=80.0), figures(0.11, packet=90.0)]}
    distance = queues.keep_usual(settings(tmp_path), found)
    assert distance == pytest.approx(0.11)
    lines = [line.split() for line in queues.to_table(found, (1, 4)).splitlines()]
    assert lines[1] == ["1", "40", "(40-40)", "32.0", "(32.0-32.0)", "50", "(50-50)", "-", "-", "-"]
    assert lines[2][:5] == ["4", "-", "-", "-", "85"]


def test_each_has_as_many_queues():
    for number in 1, 4, 16, 256:
        ours, vhost = (queues.to_peer(one, number) for one in queues.CONTESTANTS)
        each = min(number, 8)
        assert f"queues={number}" in ours.host and f"--queues {number}" in ours.host_options
        assert vhost.host.count("net_vhost") * each == number
        assert vhost.consumer.count(f"queues={each},") * each == number


@pytest.mark.parametrize("options", (["--queues", "3"], ["--queues", "512"], ["--queues", "0"]))
def test_bad_numbers_are_refused(options, tmp_path, capsys):
    with pytest.raises(SystemExit):
        settings(tmp_path, *options)
    assert "--queues" in capsys.readouterr().err


def test_several_queues_of_those_that_can_have_them(tmp_path):
    chosen = bench.parse(["--queues", "4", "--build", str(tmp_path)])
    assert set(chosen.peers) == set(peers.SEVERAL_QUEUES)
    assert chosen.tests == ["c2h", "h2c"]
    for peer in chosen.rows.values():
        assert "queues=4" in peer.host and "--queues 4" in peer.consumer_options


@TWO_CORES
def test_queues_are_polled(tmp_path, capsys):
    assert queues.main(["--queues", "16", "--rounds", "1", "--seconds", "0.05", "--build",
                        str(BUILD)]) == 0
    row, = (line.split() for line in capsys.readouterr().out.splitlines()
            if line.split()[:1] == ["16"])
    assert len(row) > 7, "one of them was measured"
    assert all(float(value) > 0 for value in row if value[0].isdigit())


@TWO_CORES
def test_several_queues_lose_nothing(tmp_path):
    assert bench.main(["--queues", "4", "--peers", "iavf,vhost-packed", "--frames", "64", "--rounds",
                       "1", "--seconds", "0.05", "--build", str(BUILD)]) == 0


@TWO_CORES
def test_each_device_has_its_client():
    """What was sent arrives, and a device takes little memory in an application that locks it."""
    done = subprocess.run([sys.executable, "-B", devices.__file__, "--devices", "4", "--senders", "2",
                           "--rounds", "1", "--seconds", "0.2", "--idle", "0.2", "--settle", "0"],
                          env=os.environ | {"EMUDEV_BUILD": str(BUILD)}, text=True,
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = {line.split("  ")[1]: line.split() for line in done.stdout.splitlines() if "  " in line}
    assert float(rows["2 of 4 send"][4]) > 0
    version = subprocess.run(["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True)
    if version.stdout.startswith("22.") and not sanitizer_environment():
        assert 0 < float(rows["memory of the host, MiB"][-1]) < 2


def test_a_guest_without_a_nic_has_fewer_steps(capsys):
    boot.show({boot.NONE: [[10.0], [12.0]], boot.OURS: [[10.0, 0.5, 0.25], [11.0, 0.5, 0.25]]}, "6.12")
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split()[-4:] == ["11.00", "(10.00-12.00)", "10.50", "(10.00-11.00)"]
    assert lines[4].split()[-3:] == ["-", "0.50", "(0.50-0.50)"]
    assert lines[-1].split()[-2:] == ["11.25", "(10.75-11.75)"]
