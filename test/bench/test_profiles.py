# SPDX-License-Identifier: BSD-3-Clause
"""Where samples of the host's core are found to belong to."""

import collections
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path[:0] = map(str, Path(__file__).resolve().parents[:2])

import endpoint  # noqa: E402
import profiles  # noqa: E402
from peers import OURS_LENDING, TESTS  # noqa: E402
from test_bench import line  # noqa: E402

# Three fifths of its time in one function that is inlined, with another in it that is no pass, and
# a fifth in each of two others, one of which is not inlined, as DPDK's copy.
PROGRAM = """
#include <cstdint>
#include <cstdio>
#include <unistd.h>
static volatile uint64_t seen;
namespace iavf_be { namespace {
template <bool lends> [[gnu::always_inline]] inline void
spin(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		seen = seen + 1;
}
template <bool lends> [[gnu::always_inline]] inline void
read_plain(unsigned n)
{
	spin<lends>(n);
}
[[gnu::always_inline]] inline void
allocate_some(unsigned n)
{
	spin<true>(n);
}
} }
#include "copy.h"
int
main()
{
	puts("ready");
	fflush(stdout);
	for (;;) {
		iavf_be::read_plain<false>(3000);
		iavf_be::allocate_some(1000);
		rte_memcpy(1000);
	}
}
"""
HEADER = """
[[gnu::noinline]] static void
rte_memcpy(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		seen = seen + 1;
}
"""
READ, MBUFS, COPY = (profiles.FROM_GUEST[name] for name in ("read_plain", "allocate_some", "copy_plain"))


@pytest.mark.parametrize("long,short", (
    ("unsigned short iavf_be::(anonymous namespace)::read_plain<false>(iavf_be::from_guest&, int)", "read_plain"),
    ("iavf_be::loan_book::lend(unsigned short)", "lend"), ("rte_mov16", "rte_mov16"),
    ("void give<(iavf_be::rx_variant)1>(int)", "give"), ("main", "main"), ("??", "??")))
def test_a_function_has_its_short_name(long, short):
    assert profiles.base_name(long) == short


def test_the_innermost_pass_counts():
    copy = [("emmintrin.h", "_mm_loadu_si128"), ("from_guest.cpp", "copy_one"),
            ("from_guest.cpp", "copy_plain"), ("from_guest.cpp", "take"), ("from_guest.cpp", "serve")]
    assert profiles.to_row(copy, "from_guest.cpp") == profiles.FROM_GUEST["copy_plain"]
    assert profiles.to_row(copy, "to_guest.cpp") == profiles.TO_GUEST["copy_plain"]
    assert profiles.to_row(copy[3:], "from_guest.cpp") == profiles.AROUND
    assert profiles.to_row(copy, "main.cpp") == profiles.to_row([], "") == profiles.APPLICATION
    assert profiles.to_row([], profiles.LIBC) == profiles.LIBRARY
    assert profiles.to_row([("rte_cycles.h", "rte_rdtsc"), ("meeting.hpp", "ping")], "main.cpp") is None


@pytest.mark.skipif(shutil.which("perf") is None, reason="needs perf")
def test_samples_are_found_where_they_were_taken(tmp_path):
    """In code that is inlined, in the executable of another process."""
    source = tmp_path / "from_guest.cpp"
    source.write_text(PROGRAM)
    (tmp_path / "copy.h").write_text(HEADER)
    subprocess.run(["c++", "-std=c++20", "-O2", "-g", "-o", tmp_path / "program", source], check=True)
    process = subprocess.Popen([tmp_path / "program"], stdout=subprocess.PIPE, text=True)

    class Busy:
        ends = {"host": SimpleNamespace(process=process)}

        def measure(self, *_):
            time.sleep(0.5)
            return line(), line(packets=500, seconds=0.0001)

    settings = SimpleNamespace(work=tmp_path, warmup=0.1, seconds=0.5)
    try:
        assert process.stdout.readline() == "ready\n"
        sample, counts = profiles.watch(settings, Busy(), profiles.Column("c2h", 64))
    finally:
        process.kill()
        process.wait()
    assert sample.value == pytest.approx(5)
    assert counts.total() > 100
    assert counts[READ] + counts[MBUFS] + counts[COPY] > 0.95 * counts.total()
    assert 2 < counts[READ] / counts[MBUFS] < 4.5 and 2 < counts[READ] / counts[COPY] < 4.5


def test_without_samples_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles, "read_samples", lambda _: [])
    process = subprocess.Popen(["true"])
    pair = SimpleNamespace(ends={"host": SimpleNamespace(process=process)},
                           measure=lambda *_: (line(), line()))
    process.wait()
    with pytest.raises(endpoint.PeerError, match="perf has found nothing"):
        profiles.watch(SimpleNamespace(work=tmp_path, warmup=0, seconds=0), pair,
                       profiles.Column("c2h", 64))


def test_without_debugging_information_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles, "read_samples", lambda _: [1, 2])
    with subprocess.Popen(["sleep", "60"]) as process:
        pair = SimpleNamespace(ends={"host": SimpleNamespace(process=process)},
                               measure=lambda *_: (line(), line()))
        with pytest.raises(endpoint.PeerError, match="-Ddebug=true"):
            profiles.watch(SimpleNamespace(work=tmp_path, warmup=0, seconds=0), pair,
                           profiles.Column("c2h", 64))
        process.kill()


def test_a_frame_s_time_is_shared_out():
    column = profiles.Column("c2h", 64)
    rate = profiles.figures.make_sample(TESTS["c2h"], line(), line(packets=500, seconds=0.00001))
    found = profiles.to_figures(column, [(rate, collections.Counter({READ: 3, MBUFS: 1}))] * 2)
    assert found == {READ: pytest.approx(15), MBUFS: pytest.approx(5)}
    trip = profiles.Column("latency-1", 64)
    taken = profiles.figures.make_sample(TESTS["latency-1"], line(median_ns=250.0), line())
    assert profiles.to_figures(trip, [(taken, collections.Counter({READ: 1}))]) == {READ: 250}
    lines = profiles.to_table(TESTS["c2h"], {column: found, profiles.Column("c2h", 1500, OURS_LENDING): found})
    rows = [line.split("  ") for line in lines.splitlines()]
    assert rows[0][-2:] == ["64 B", "1500 B lent"]
    assert rows[-1][1] == "all" and rows[-1][-1].strip() == "20.0"
    assert not [row for row in rows if row[1].startswith("to the guest")]
