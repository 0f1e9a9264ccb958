# SPDX-License-Identifier: BSD-3-Clause
"""usage: check-security.py

Compares doc/guides/security.rst with the tree: the tests that it names exist, its bounds are the
numbers of the code, each has a test at it and one past it, its files are there, of what an
administrator does each point names a test, and it says where flaws are reported, as MAINTAINERS does.
Names in quotes are cases of the autotests. Prints what differs; the exit status is 1 if anything does.
"""

import re
import sys
from pathlib import Path

BOUNDS = "What a peer can make us do\n-"
ADMINISTRATOR = "What an administrator does\n-"
REPORTS = "How to report a flaw\n-"
ADDRESS = "git log -1 --format='%an <%ae>'"  # What shows it.
TEST = re.compile(r'``test_\w+``|"[^"]+"')
TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "doc/guides/security.rst"


def texts(folder, pattern):
	return (path.read_text() for path in (TOP / folder).rglob(pattern))


def find_all(expression, files):
	return {name for text in files for name in re.findall(expression, text, re.MULTILINE)}


def wrong_tests(page):
	functions = find_all(r"^def (test_\w+)", texts("test", "*.py"))
	cases = find_all(r'\{\s*"([^"]+)",', texts("app/test", "*.cpp"))
	for name in re.findall(r"``(test_\w+)``", page):
		if name not in functions:
			yield f"there is no test {name}"
	for name in re.findall(r'"([^"]+)"', page):
		if " ".join(name.split()) not in cases:
			yield f'there is no case "{name}"'


def wrong_files(page):
	for name in re.findall(r"``([\w.]+/[\w./-]+?)(?:: \w+)?``", page):
		if not (TOP / name).exists():
			yield f"there is no file {name}"


def wrong_bounds(page):
	"""Rows of a table: a number, and in the next cell where it stands in the code."""
	for number, file, name in re.findall(r"- ([^\n]+)\n +- ``([\w./-]+): (\w+)``", page):
		stands = rf"\b{name}(?:\{{|\[| = | +|\(){re.escape(number)}\b"
		if not re.search(stands, (TOP / file).read_text()):
			yield f"{name} in {file} is not {number}"


def wrong_rows(page):
	"""Rows of the bounds: the last two cells name a test at the bound and tests past it."""
	section = page.split(BOUNDS)[1].split("\n\nHow long others wait")[0]
	rows = [re.split(r"^     -", row, flags=re.MULTILINE)
		for row in re.split(r"^   \* -", section, flags=re.MULTILINE)[1:]]
	header, *bounds = rows
	if len(bounds) < 2:
		yield "there are no bounds"
	for bound, *cells in bounds:
		if len(cells) + 1 != len(header) or not all(map(TEST.search, cells[-2:])):
			yield f"no test at or past the bound: {bound.strip()}"


def wrong_points(page):
	for point in re.split(r"^\* ", page.split(ADMINISTRATOR)[1], flags=re.MULTILINE)[1:]:
		if not TEST.search(point.split("\n\n")[0]):
			yield f"names no test: {point.splitlines()[0]}"


def wrong_reports(page):
	"""An address that somebody reads, and that it is private."""
	for name, text in (("the page", page.partition(REPORTS)[2]),
			   ("MAINTAINERS", (TOP / "MAINTAINERS").read_text())):
		words = " ".join(text.split())
		if ADDRESS not in words or "privately" not in words.lower():
			yield f"{name} does not say where flaws are reported"


def main():
	page = PAGE.read_text()
	wrong = [*wrong_tests(page), *wrong_files(page), *wrong_bounds(page), *wrong_rows(page),
		*wrong_points(page), *wrong_reports(page)]
	for line in wrong:
		print(f"{PAGE.relative_to(TOP)}: {line}")
	return 1 if wrong else 0


if __name__ == "__main__":
	sys.exit(main())
