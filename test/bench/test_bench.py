# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark itself: figures, options, the limit program, and one short run of a peer."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path[:0] = map(str, Path(__file__).resolve().parents[:2])

import bench  # noqa: E402
import endpoint  # noqa: E402
import picture  # noqa: E402
import results as figures  # noqa: E402
from peers import LIMIT, OURS, OURS_EARLY, OURS_LENDING, PEERS, TESTS  # noqa: E402
from stock import BUILD  # noqa: E402

FREE_PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")


def line(**changes):
    found = dict(sent=1000, received=1000, checked=15, damaged=0, disordered=0, packets=800,
                 seconds=0.001, cpu_share=1.0, preempted=0, median_ns=0.0, p99_ns=0.0,
                 distance_ns=200.0)
    return {**found, **changes}


def results_of(values, peers=(OURS, LIMIT), test="c2h"):
    """Results with these Mpps for each peer, one per round."""
    found = figures.Results(list(peers), [test], [64])
    for peer in peers:
        for value in values[peer]:
            passive = line(packets=value * 1000)
            sample = figures.make_sample(TESTS[test], line(), passive)
            found.add(peer, test, 64, sample)
    return found


def test_rate_is_the_receivers():
    sample = figures.make_sample(TESTS["c2h"], line(packets=1), line(received=990, packets=500))
    assert sample.value == pytest.approx(0.5)
    assert sample.lost == 10


def test_round_trip_is_measured_by_the_active_end():
    sample = figures.make_sample(TESTS["latency-1"], line(median_ns=250.0, p99_ns=900.0),
                                 line(received=0))
    assert (sample.value, sample.p99, sample.lost) == (0.25, 0.9, 0)


def test_median_spread_and_ratio():
    found = results_of({OURS: [10, 30, 20], LIMIT: [40, 40, 41]})
    assert found.get(OURS, "c2h", 64).median == pytest.approx(20)
    assert found.get(OURS, "c2h", 64).spread == pytest.approx(1.0)
    assert found.ratio(LIMIT, "c2h", 64) == pytest.approx(0.5)
    assert "20 (10-30)" in figures.to_table(found)
    assert found.share(OURS, "c2h", 64) == pytest.approx(0.5)
    assert "20 (10-30) 50%" in figures.to_table(found)
    other = results_of({OURS: [10], "memif": [8], LIMIT: [40]}, (OURS, "memif", LIMIT))
    assert "8 (8-8) x1.25 20%" in figures.to_table(other)
    assert figures.to_cell(other, LIMIT, "c2h", 64) == "40 (40-40)", "it is not to be beaten"


def test_a_round_trip_has_no_limit():
    found = figures.Results([OURS, LIMIT], ["latency-1"], [64])
    for peer, value in (OURS, 150), (LIMIT, 300):
        found.add(peer, "latency-1", 64,
                  figures.make_sample(TESTS["latency-1"], line(median_ns=value), line()))
    assert found.share(OURS, "latency-1", 64) is None
    assert figures.to_cell(found, LIMIT, "latency-1", 64).endswith("x0.50")


def test_noise_is_named():
    quiet = results_of({OURS: [10, 30], LIMIT: [40, 41]})
    assert figures.find_noise(quiet, steal=0.0) == []
    assert "hypervisor took" in figures.find_noise(quiet, steal=0.05)[0]
    varying = results_of({OURS: [10, 10], LIMIT: [20, 40]})
    assert "limit itself" in figures.find_noise(varying, steal=0.0)[0]
    quiet.get(OURS, "c2h", 64).samples[0].core_distance = 0.9
    assert "1 of 4 measurements the cores were not 0.20 us" in figures.find_noise(quiet, 0.0)[0]
    for row in varying.rows.values():
        row.samples[0].cpu_share = 0.5
    assert "of its core" in figures.find_noise(varying, steal=0.0)[0]


def test_rounds_with_moved_cores_are_dropped():
    found = results_of({OURS: [10, 5, 11, 30], LIMIT: [40, 40, 40, 90]})
    ours, limit = found.get(OURS, "c2h", 64).samples, found.get(LIMIT, "c2h", 64).samples
    ours[1].core_distance, ours[3].core_distance = 0.9, 0.1
    assert found.keep_usual() == 2
    assert found.get(OURS, "c2h", 64).values == pytest.approx([10, 11])
    assert found.ratio(LIMIT, "c2h", 64) and "moved" not in figures.to_table(found)
    for sample in limit:
        sample.core_distance = 0.1
    assert found.keep_usual() == 0, "something stays of each row"
    assert found.ratio(LIMIT, "c2h", 64) is None
    assert "10.5 (10-11) moved" in figures.to_table(found)
    assert picture.draw(found, "").count("<polyline") == 1


def test_measurement_is_repeated_while_the_cores_are_elsewhere():
    class Moving:
        distances = [200.0, 200.0, 900.0, 900.0, 200.0]

        def measure(self, *_):
            return line(distance_ns=self.distances.pop(0)), line()

    found, pair = figures.Results([OURS], ["c2h"], [64]), Moving()
    settings = SimpleNamespace(warmup=0, seconds=0, distance=None)
    for left in (4, 3, 0):
        bench.measure(settings, found, pair, (OURS, "c2h", 64))
        assert len(pair.distances) == left

    found, pair.distances = figures.Results([OURS], ["c2h"], [64], 0.1), [900.0] * 20 + [110.0]
    settings.distance = 0.1
    bench.measure(settings, found, pair, (OURS, "c2h", 64))
    assert not pair.distances and found.keep_usual() == 20


def test_losses_are_named():
    found = results_of({OURS: [10], LIMIT: [40]})
    found.get(OURS, "c2h", 64).samples[0].lost = 7
    assert "iavf c2h 64 B: 7 lost" in figures.to_verdict(found, [])


def test_picture_is_well_formed():
    drawn = picture.draw(results_of({OURS: [10, 12], LIMIT: [200, 190]}), "a <CPU>")
    assert drawn.startswith("<!-- SPDX-License-Identifier: BSD-3-Clause -->\n<svg ")
    root = ElementTree.fromstring(drawn)
    assert len(root.findall("{*}polyline")) == 2


@pytest.mark.parametrize("options", (["--frames", "66"], ["--frames", "9004"], ["--rounds", "0"],
                                     ["--peers", "nobody"], ["--seconds", "-1"],
                                     ["--ring", "1000"], ["--ring", "2048"], ["--ring", "32"],
                                     ["--ours", "memif"]))
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        bench.parse([*options, "--build", "."])
    assert options[0] in capsys.readouterr().err


def test_either_of_ours_is_compared():
    found = results_of({OURS: [10], OURS_LENDING: [30], "memif": [15]},
                       (OURS, OURS_LENDING, "memif"))
    assert found.ratio("memif", "c2h", 64) == pytest.approx(10 / 15)
    found.ours = OURS_LENDING
    assert found.ratio("memif", "c2h", 64) == pytest.approx(2)
    assert found.ratio(OURS, "c2h", 64) == pytest.approx(3)
    assert "xN: iavf-zc divided by this peer" in figures.to_table(found)
    chosen = bench.parse(["--ours", OURS_LENDING, "--peers", "memif", "--build", "."])
    assert chosen.peers == [OURS_LENDING, "memif"]


@pytest.mark.parametrize("peer", PEERS)
def test_rings_are_as_long_as_they_are_to_be(peer, monkeypatch, tmp_path):
    """Of both ends; no contestant has a size of its own."""
    ends = []

    class Noted:
        def __init__(self, program, core, options, arguments, meeting, log):
            ends.append(" ".join([*options, *arguments]))

        def command(self, *_):
            pass

        def reply(self, *_):
            return {"up": True}

        def close(self):
            pass

    monkeypatch.setattr(endpoint, "Endpoint", Noted)
    settings = bench.parse(["--ring", "256", "--build", "."])
    settings.work = tmp_path
    with endpoint.Pair(settings, PEERS[peer], False):
        pass
    assert len(ends) == 2
    for end in ends:
        assert "--descriptors 256" in end
        assert ("net_memif" in end) == ("rsize=8" in end)
        assert ("net_virtio_user" in end) == ("queue_size=256" in end)
    early = [end for end in ends if "--free-thresh 192" in end]
    assert early == (ends[1:] if peer == OURS_EARLY else []), "of the sender"


def run(tmp_path, peer, *options):
    """A short run as from the command line; returns its JSON."""
    out = tmp_path / "out.json"
    status = bench.main([*options, "--peers", peer, "--frames", "64,9000", "--rounds", "1", "--seconds",
                         "0.05", "--json", str(out), "--svg", str(tmp_path / "out.svg"),
                         "--build", str(BUILD)])
    found = json.loads(out.read_text())
    assert status == 0, found["failures"]
    return found


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
@pytest.mark.parametrize("peer,options", ((LIMIT, ()), ("memif", ()), ("memif", ("--udp",))))
def test_short_run(tmp_path, peer, options):
    assert (BUILD / "app/bench/dpdk-emudev-bench").exists(), \
        f"no benchmark in {BUILD}: build first, or set EMUDEV_BUILD"
    if peer != LIMIT and int(FREE_PAGES.read_text()) < 300:
        pytest.skip("needs 300 free huge pages of 2 MiB")
    rows = run(tmp_path, peer, *options)["results"]
    assert {(row["test"], row["frame"]) for row in rows} == \
        {(test, frame) for test in TESTS for frame in (64, 9000)}
    for row in rows:
        assert row["received"] > 0 and row["damaged"] == 0, row


def test_fairness_has_a_row_for_each_abuse():
    done = subprocess.run([sys.executable, "-B", Path(bench.__file__).with_name("fairness.py"),
                           "--rounds", "1", "--seconds", "1", "--abuses", "commands,memory"],
                          env=os.environ | {"EMUDEV_BUILD": str(BUILD)}, text=True,
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    reads, rates = ({line.split()[0]: line.split() for line in table.splitlines() if " x" in line}
                    for table in done.stdout.split("\nframes that"))
    assert set(reads) == {"undisturbed", "commands", "memory"} and set(rates) == {"commands", "memory"}
    assert all(int(row[1]) > 0 and float(row[4]) > 0 for row in reads.values()), done.stdout
    assert all(float(row[at]) > 0 for row in rates.values() for at in (1, 2, 4)), done.stdout
    assert all(row[at].startswith("x") for row in rates.values() for at in (3, 5)), done.stdout
    assert reads["undisturbed"][-1] == "x1.00"


def test_memory_has_a_row_for_each_number_of_regions():
    done = subprocess.run([sys.executable, "-B", Path(bench.__file__).with_name("memory.py"),
                           "--rounds", "1", "--changes", "256", "--regions", "8,5000"],
                          env=os.environ | {"EMUDEV_BUILD": str(BUILD)}, text=True,
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.replace("(", " ").replace(")", "").split()
            for line in done.stdout.splitlines() if line.endswith(")") and "CPU" not in line}
    assert set(rows) == {"8", "5000"}
    found = [line.split() for line in done.stdout.splitlines() if " x" in line]
    assert [row[0] for row in found] == ["8", "5000"] and float(found[1][1]) > 0
    assert all(float(value) > 0 for row in rows.values() for value in row[1:] if value != "-")
    assert "-" in rows["8"] and "-" not in rows["5000"], "few regions have no last maps"
    lost, sent = re.search(r"(\S+) of ([\d,]+) frames lost", done.stdout).groups()
    assert lost == "0" and int(sent.replace(",", "")) > 0, done.stdout
