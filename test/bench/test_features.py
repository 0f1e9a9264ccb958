# SPDX-License-Identifier: BSD-3-Clause
"""The table of what features cost; and that ends with a feature exchange the frames that are meant."""

import json
import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = map(str, Path(__file__).resolve().parents[:2])

import features  # noqa: E402
import results as figures  # noqa: E402
from features import FEATURES, FRAMES, OFF, TESTS, TO_CONSUMER, TO_HOST  # noqa: E402
from stock import BUILD  # noqa: E402


def sample(value, distance=0.2):
    return figures.Sample(value=value, p99=0, lost=0, damaged=0, disordered=0, checked=1,
                          cpu_share=1, received=1, core_distance=distance)


def test_cost_is_nanoseconds_beside_off():
    found = figures.Results([OFF, "rss", "rules"], TESTS, FRAMES)
    for value in 50, 40, 60:
        found.add(OFF, TO_CONSUMER, 64, sample(value))
        found.add("rss", TO_CONSUMER, 64, sample(value / 2))
        found.add("rules", TO_CONSUMER, 64, sample(value / 2, distance=0.9))
    lines = {line.split()[0]: line.split() for line in features.to_table(found).splitlines()
             if "(" in line and "-" in line and "Mpps" not in line}
    assert lines["off"][1:3] == ["50", "(40-60)"]
    assert lines["rss"][1:4] == ["25", "(20-30)", "+20.0"]
    assert lines["rules"][3] == "moved"
    assert lines["rss"][4:] == ["-"] * 3, "nothing was measured there"


def test_each_row_says_what_it_is():
    for name, feature in FEATURES.items():
        assert name == feature.name and feature.title
        peer = feature.to_peer()
        assert peer.host.count("rx_checksum=") == 1
        assert peer.is_measured(TO_HOST, 1500) == (TO_HOST in feature.tests)


def test_off_is_always_among_them():
    settings = features.parse(["--features", "rss", "--build", "."])
    assert settings.peers == [OFF, "rss"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_features_exchange_what_is_meant(tmp_path):
    """A tag that stays, a checksum that is not made, or a request that is not cut is damage."""
    out = tmp_path / "out.json"
    chosen = "rss,tag-consumer,tag-host,checksums,chains,tso-whole"
    status = features.main(["--features", chosen, "--rounds", "1", "--seconds", "0.02",
                            "--json", str(out), "--build", str(BUILD)])
    found = json.loads(out.read_text())
    assert status == 0, found["failures"]
    rows = {(row["peer"], row["test"], row["frame"]): row for row in found["results"]}
    assert set(rows) == {(name, test, frame) for name in ("off", *chosen.split(","))
                         for test in TESTS for frame in FRAMES
                         if FEATURES[name].to_peer().is_measured(test, frame)}
    for row in rows.values():
        assert row["received"] > 0 and row["checked"] > 0, row
        assert (row["lost"], row["damaged"], row["disordered"]) == (0, 0, 0), row
