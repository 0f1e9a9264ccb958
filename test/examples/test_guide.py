# SPDX-License-Identifier: BSD-3-Clause
"""The guide quotes the examples, and nothing that is not there."""

import re

import pytest

from conftest import EXAMPLES
from stock import ROOT

GUIDE = ROOT / "doc/guides/howto/write_a_device.rst"
QUOTE = re.compile(r"^\.\. literalinclude:: (\S+)\n((?:   :.*\n)+)", re.M)
MARK = re.compile(r"^\s*(/\* \w+ 8< \*/|/\* >8 End of \w+\. \*/)$", re.M)


def quotes():
    for path, options in QUOTE.findall(GUIDE.read_text()):
        yield GUIDE.parent / path, dict(re.findall(r":([\w-]+): ?(.*)", options))


def test_what_it_quotes_is_there():
    for path, options in quotes():
        text = path.read_text()
        if "start-after" in options:
            before, start, behind = text.partition(options["start-after"])
            assert start and options["end-before"] in behind, (path, options)
            assert options["start-after"] not in behind


def test_what_is_marked_is_quoted():
    quoted = {(path.resolve(), options[key]) for path, options in quotes()
              for key in ("start-after", "end-before") if key in options}
    marked = {(path, mark) for path in (ROOT / "examples").glob("*/*.c")
              for mark in MARK.findall(path.read_text())}
    assert marked and marked == quoted


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_tells_how_to_build_each(name):
    assert f"make -C examples/{name}" in GUIDE.read_text()
