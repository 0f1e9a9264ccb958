#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sums test results.

usage: sum-results.py JUNIT_XML...

Prints "PASSED FAILED SKIPPED", and on standard error what failed. A file that is missing or broken
counts as one failure: the suite that should have written it did not get so far. SUITE.again.xml has
second tries of what failed in SUITE.xml: what passes in one has passed, and is named.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

AGAIN = ".again"
# As an autotest says what does not hold, a sanitizer what it found.
FAULT = re.compile(r"\.cpp:\d+: |FAILED|ERROR: |runtime error: ")


def outcome(case):
	for tag in ("failure", "error", "skipped"):
		if case.find(tag) is not None:
			return "skipped" if tag == "skipped" else "failed"
	return "passed"


def name_of(case):
	return f"{case.get('classname') or ''}::{case.get('name')}"


def tell(what, path, case):
	"""Names a failure, with the first line of its reason, where nobody has to search for it."""
	reason = next(part for tag in ("failure", "error") for part in case.iter(tag))
	message = (reason.get("message") or reason.text or "").strip().splitlines()[:1]
	# Meson gives no reason, but what was printed.
	printed = [(case.findtext(tag) or "").strip().splitlines()
	           for tag in ("system-err", "system-out")]
	faults = [[line.strip() for line in lines if FAULT.search(line)][:1] for lines in printed]
	last = [lines[-1:] for lines in printed]
	print(f"{what}: {path.stem}: {name_of(case)}: "
	      f"{next(filter(None, [message, *faults, *last]), [''])[0]}", file=sys.stderr)


def passed_again(path):
	"""The tests that passed at a second try, if there was one."""
	found = {"passed": set(), "failed": set(), "skipped": set()}
	try:
		for case in ElementTree.parse(path.with_suffix(AGAIN + path.suffix)).iter("testcase"):
			found[outcome(case)].add(name_of(case))
	except (OSError, ElementTree.ParseError):
		return set()
	return found["passed"] - found["failed"]


def results(path):
	total, good = Counter(), passed_again(path)
	try:
		for case in ElementTree.parse(path).iter("testcase"):
			found = outcome(case)
			if found == "failed" and name_of(case) in good:
				tell("failed once, passed at the second try", path, case)
				found = "passed"
			elif found == "failed":
				tell("failed", path, case)
			total[found] += 1
		return total or {"failed": 1}
	except (OSError, ElementTree.ParseError) as error:
		print(f"{path}: {error}", file=sys.stderr)
		return {"failed": 1}


def main():
	total = Counter()
	for path in map(Path, sys.argv[1:]):
		if not path.stem.endswith(AGAIN):
			total.update(results(path))
	print(total["passed"], total["failed"], total["skipped"])


if __name__ == "__main__":
	main()
