#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sums test results.

usage: sum-results.py JUNIT_XML...

Prints "PASSED FAILED SKIPPED", and on standard error what failed. A file that is missing or broken
counts as one failure: the suite that should have written it did not get so far.
"""

import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path


def outcome(case):
	for tag in ("failure", "error", "skipped"):
		if case.find(tag) is not None:
			return "skipped" if tag == "skipped" else "failed"
	return "passed"


def tell(path, case):
	"""Names a failure, with the first line of its reason, where nobody has to search for it."""
	reason = next(part for tag in ("failure", "error") for part in case.iter(tag))
	what = (reason.get("message") or reason.text or "").strip().splitlines()[:1]
	# Meson gives no reason, but what was printed last.
	printed = [(case.findtext(tag) or "").strip().splitlines()[-1:]
	           for tag in ("system-err", "system-out")]
	print(f"failed: {Path(path).stem}: {case.get('classname') or ''}::{case.get('name')}: "
	      f"{next(filter(None, [what, *printed]), [''])[0]}", file=sys.stderr)


def results(path):
	try:
		cases = list(ElementTree.parse(path).iter("testcase"))
		for case in cases:
			if outcome(case) == "failed":
				tell(path, case)
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
