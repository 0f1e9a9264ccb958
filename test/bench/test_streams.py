# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmark of TCP streams makes of its figures; and that no two of its ends are alike."""

import shlex
import sys
from argparse import Namespace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import streams  # noqa: E402


def settings(**more):
    return Namespace(contestants=list(streams.USUAL), ways=[streams.WAYS[0]], streams=[4],
                     rounds=3, seconds=2, kernel="6.12", retry=False, window=None,
                     mtu=1480, **more)


def figures(value):
    return [{key: one for key in streams.FIGURES} for one in (value / 2, value, 2 * value)]


def test_the_table_compares_medians(capsys):
    row = (streams.WAYS[0], 4)
    found = {(*row, one): figures(value)
             for one, value in zip(streams.USUAL, (2.0, 3.0, 0.0, 4.0, 2.0))}
    streams.show(settings(), found)
    shown = capsys.readouterr().out
    lines = [line for line in shown.splitlines() if line.strip().startswith("guest a to b")]
    assert len(lines) == len(streams.FIGURES)
    assert lines[0].split() == ["guest", "a", "to", "b", "4", "2", "(1-4)", "3", "(1.5-6)", "x1.50",
                                "0", "(0-0)", "x0.00", "4", "(2-8)", "x2.00", "2", "(1-4)", "x1.00"]
    assert "x" not in lines[-1], "segments that were sent again have no ratio"


def test_a_peer_that_is_missing_or_nothing_has_no_ratio(capsys):
    row = (streams.WAYS[0], 4)
    for peer in {}, {(*row, streams.VIRTIO): figures(0.0)}:
        found = {(*row, streams.LARGE): figures(1.0), **peer}
        assert "x" not in streams.cell(found, row, streams.LARGE, "rate")
    assert capsys.readouterr().out == ""


def test_interrupts_of_queues_are_counted():
    assert streams.count_interrupts("""           CPU0       CPU1
  1:          9          0   IO-APIC   1-edge      i8042
 24:          7          0  PCI-MSIX-0000:00:03.0   0-edge      virtio0-config
 25:        100         20  PCI-MSIX-0000:00:03.0   1-edge      virtio0-input.0
 26:       3000          0  PCI-MSIX-0000:00:03.0   2-edge      virtio0-output.0
 27:          5          0  PCI-MSIX-0000:00:04.0   0-edge      iavf-0000:00:04.0:mbx
 28:      50000          4  PCI-MSIX-0000:00:04.0   1-edge      iavf-eth1-TxRx-0
NMI:          8          8   Non-maskable interrupts
""") == 53124


@pytest.mark.parametrize("options,expected", [
    ("", "guest a to b,guest b to a,guest to tap,tap to guest"),
    ("--mtu 9000", "guest a to b,guest b to a"),
    ("--mtu 9000 --ways 'guest b to a'", "guest b to a"),
    ("--ways 'tap to guest,guest a to b'", "guest a to b,tap to guest")])
def test_what_the_tap_cannot_carry_is_left_out(options, expected):
    chosen = streams.parse(shlex.split(options))
    assert [streams.WAY_NAMES[way] for way in chosen.ways] == expected.split(",")


@pytest.mark.parametrize("options,said", [
    ("--mtu 9001", "--mtu=9001: 1280 to 9000"), ("--mtu 1279", "--mtu=1279: 1280 to 9000"),
    ("--mtu 1481 --ways 'tap to guest'", "--ways=tap to guest: of guest a to b, guest b to a"),
    ("--ways moon", "--ways=moon: of guest a to b, guest b to a, guest to tap, tap to guest"),
    ("--contestants 'iavf;vhost'", "--contestants=vhost: of virtio-net")])
def test_wrong_options_are_named(options, said, capsys):
    with pytest.raises(SystemExit):
        streams.parse(shlex.split(options))
    assert said in capsys.readouterr().err


def test_no_two_ends_are_alike():
    ends = [(side, one) for side in streams.SIDES for one in streams.CONTESTANTS]
    for make in streams.device, streams.socket_name, streams.mac, streams.address:
        assert len({make(*end) for end in ends}) == len(ends)
    ours = [one for one in streams.CONTESTANTS if one != streams.VIRTIO]
    assert [streams.devargs(one) for one in ours] == [",lro=1,irq-inline=1", ",lro=1", ",irq-inline=1",
                                                    "", ",lro=1,irq-inline=1,zero-copy=1"]
    assert {streams.device(*end).rstrip("0123456789") for end in ends} <= streams.OFFLOADS.keys()
