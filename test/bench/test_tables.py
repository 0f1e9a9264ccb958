# SPDX-License-Identifier: BSD-3-Clause
"""The command that makes the tables of the guide finds each of them there, and changes nothing else; that
of the targets says what the others do."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import tables  # noqa: E402
import targets  # noqa: E402


def test_each_table_is_in_the_guide():
    text = tables.GUIDE.read_text()
    for name in tables.TABLES:
        changed = tables.replaced(text, name, "\n  row 1\n\n  row 2\n\n")
        assert "::\n\n     row 1\n\n     row 2\n\n" in changed
        before, after = text.split(f".. table: {name}\n")
        begin, end = changed.split(f".. table: {name}\n")
        assert begin == before
        assert after.endswith(end.split("row 2\n\n")[1])
        assert changed.count(".. table: ") == text.count(".. table: ")


def test_a_table_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="0 tables \"new\""):
        tables.replaced(tables.GUIDE.read_text(), "new", "row")


def test_a_table_of_moved_cores_is_told():
    assert tables.moved("64 B  26.3 (26.3-26.3)  12 (11-13) x2.04 30%") == 0
    assert tables.moved("64 B  26.3 (26.3-26.3) moved  2.17e+03 (1e+03-3e+03)") == 0.5


def test_what_is_written(tmp_path, monkeypatch):
    guide = tmp_path / "guide.rst"
    guide.write_text("Words.\n\n.. table: queues\n\n::\n\n   old\n\n   old\n\nMore words.\n")
    monkeypatch.setattr(tables, "PICTURE", tmp_path / "picture.svg")
    program = tmp_path / "program.py"
    row = tables.Table("queues", str(program))
    monkeypatch.setattr(tables, "TABLES", {"queues": row})
    run = lambda: tables.main(["--tables", "queues", "--write", "--guide", str(guide)])
    program.write_text("print('new 1 (1-1) moved'); raise SystemExit(0)")
    assert run() == 1 and "   old\n" in guide.read_text()
    program.write_text("print('new'); raise SystemExit(1)")
    assert run() == 1 and "   old\n" in guide.read_text()
    program.write_text("print('new\\n\\n  row')")
    assert run() == 0
    assert guide.read_text() == \
        "Words.\n\n.. table: queues\n\n::\n\n   new\n\n     row\n\nMore words.\n"


def test_the_targets_are_what_the_tables_say(capsys):
    text = tables.GUIDE.read_text()
    assert targets.main([]) == 0
    assert tables.replaced(text, "targets", capsys.readouterr().out) == text


NEAR = """.. table: near

::

   consumer to host, Mpps
     frame   iavf                vhost-split            vhost-packed           memif                  memif-zc               limit
     64 B    105 (98.4-112) 23%  45.1 (1-45.3) x2.33    70.1 (67-73) x1.5 16%  61.4 (60-62) x1.71     69.5 (67-71) x1.61 1%  449 (411-452)
     256 B   5 (5-5) 80%         1 (1-1) x5.00          1 (1-1) moved          1 (1-1) x5.00          1 (1-1) x5.00          9 (9-9)

   round-trip time, 1 in flight, us
     frame   iavf                vhost-split            vhost-packed           memif                  memif-zc
     64 B    0.1 (0.1-0.1)       0.2 (0.1-0.2) x0.5     0.3 (0.3-0.3) x0.3     0.3 (0.3-0.3) x0.3     0.2 (0.2-0.2) x0.75

Words.
"""


def test_a_target_is_for_the_best_peer():
    rows = {tuple(row[:2]): row[2:] for row in targets.make_rows(NEAR)}
    assert rows["64 B", "consumer to host"] == [">= 1.6", "1.50 missed", "not compared"]
    assert rows["64 B", "of the limit, consumer to host"] == [">= 0.5", "0.23 missed", "not compared"]
    assert rows["64 B", "round-trip time, 1 in flight"] == ["<= 0.75", "0.75", "not compared"]
    assert rows["256 B", "consumer to host"] == [">= 1.4", "not compared", "not compared"]


def test_streams_and_checksums_have_targets():
    text = tables.GUIDE.read_text()
    rows = [*targets.stream_rows(text)]
    assert len(rows) == 2 * 2 * 4, "received and processor time, one and four streams, four ways"
    name = targets.STREAM_TABLES[0]
    slow = targets.find_table(name).search(text)["block"]
    slow = re.sub(r"(guest a to b   1 .* x)[\d.]+( )", r"\g<1>9.99\2", slow)
    changed = [*targets.stream_rows(tables.replaced(text, name, re.sub("(?m)^   ", "", slow)))]
    assert [row[3] for row in changed if row[0] == "TCP, guest a to b, 1 stream"] == ["9.99", "9.99 missed"]
    assert [row for row in changed if "a to b, 1 " not in row[0]] == [
        row for row in rows if "a to b, 1 " not in row[0]]
    near, far = targets.sum_rows(text)
    fast = tables.replaced(text, "features", "  off  40 (1-2)  10 (9-11)\n  checked  40 (1-2) +0.0  9.5 (9-11) +5.3")
    assert [*targets.sum_rows(fast)] == [[*near[:3], "5 %"], far]
