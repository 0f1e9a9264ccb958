#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sums test results.

usage: sum-results.py JUNIT_XML...

Prints "PASSED FAILED SKIPPED". A file that is missing or broken counts as one failure: the suite
that should have written it did not get so far.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter


def outcome(case):
	for tag in ("failure", "error", "skipped"):
		if case.find(tag) is not None:
			return "skipped" if tag == "skipped" else "failed"
	return "passed"


def results(path):
	try:
		cases = ElementTree.parse(path).iter("testcase")
		return Counter(map(outcome, cases)) or {"failed": 1}
	except (OSError, ElementTree.ParseError) as error:
		print(f"{path}: {error}", file=sys.stderr)
		return {"failed": 1}


def main():
	total = Counter()
	for path in sys.argv[1:]:
		total.update(results(path))
	print(total["passed"], total["failed"], total["skipped"])


if __name__ == "__main__":
	main()
