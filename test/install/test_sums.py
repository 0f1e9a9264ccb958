# SPDX-License-Identifier: BSD-3-Clause
"""The last line of the tests: what is counted as passed, and what is named."""

import subprocess
import sys
from pathlib import Path

import pytest

SUM = Path(__file__).resolve().parents[2] / "devtools/sum-results.py"

GOOD, BAD, LATE, SKIPPED = "", '<failure message="bad"/>', '<error message="late"/>', "<skipped/>"


def write(path, **cases):
    path.write_text("<testsuites><testsuite>" + "".join(
        f'<testcase classname="a.b" name="{name}">{found}</testcase>'
        for name, found in cases.items()) + "</testsuite></testsuites>")


def sums(folder):
    done = subprocess.run([sys.executable, "-B", SUM, *sorted(folder.glob("*.xml"))], text=True,
                          capture_output=True, check=True, timeout=30)
    return tuple(map(int, done.stdout.split())), done.stderr


def test_failures_are_named(tmp_path):
    write(tmp_path / "one.xml", first=GOOD, second=BAD, third=SKIPPED)
    write(tmp_path / "two.xml", first=LATE)
    assert sums(tmp_path) == ((1, 2, 1),
                              "failed: one: a.b::second: bad\nfailed: two: a.b::first: late\n")


@pytest.mark.parametrize("printed,told", [
    ("one\n../app/x.cpp:153: most is 46\n + TestCase [3] : of many FAILED\nend", "../app/x.cpp:153: most is 46"),
    ("one\n + TestCase [3] : of many FAILED\nend", "+ TestCase [3] : of many FAILED"),
    ("==1==ERROR: AddressSanitizer: heap\nend", "==1==ERROR: AddressSanitizer: heap"),
    ("one\nend", "a warning")])
def test_failures_without_a_message_say_what_was_printed(tmp_path, printed, told):
    write(tmp_path / "one.xml", first="<failure/><system-out>" + printed + "</system-out>"
                                      "<system-err>a warning</system-err>")
    assert sums(tmp_path) == ((0, 1, 0), f"failed: one: a.b::first: {told}\n")


@pytest.mark.parametrize("text", ["", "<testsuites>", "<testsuites></testsuites>"])
def test_a_suite_without_results_has_failed(tmp_path, text):
    (tmp_path / "one.xml").write_text(text)
    assert sums(tmp_path)[0] == (0, 1, 0)


def test_what_passes_at_the_second_try_is_counted_and_named(tmp_path):
    write(tmp_path / "one.xml", first=GOOD, second=BAD, third=LATE)
    write(tmp_path / "one.again.xml", second=GOOD, third=BAD)
    assert sums(tmp_path) == ((2, 1, 0), "failed once, passed at the second try: one: a.b::second: bad\n"
                                         "failed: one: a.b::third: late\n")


@pytest.mark.parametrize("again", [{"second": SKIPPED}, {"first": GOOD}, {}])
def test_a_second_try_that_was_none_changes_nothing(tmp_path, again):
    write(tmp_path / "one.xml", first=GOOD, second=BAD)
    write(tmp_path / "one.again.xml", **again)
    assert sums(tmp_path)[0] == (1, 1, 0)


def test_a_broken_second_try_changes_nothing(tmp_path):
    write(tmp_path / "one.xml", first=BAD)
    (tmp_path / "one.again.xml").write_text("")
    assert sums(tmp_path)[0] == (0, 1, 0)
