# SPDX-License-Identifier: BSD-3-Clause
"""The guide's table of what "ethtool -k" shows, beside what it does show."""

import re

from stock import ROOT

GUIDE = ROOT / "doc/guides/emudevs/linux_features.rst"
KERNELS = ("6.1", "6.12")
NO_ROW = "\\-"


def expected(kernel):
	"""{row: value}, as a guest with that kernel is to show it."""
	lines = GUIDE.read_text().splitlines()
	rules = [n for n, line in enumerate(lines) if re.fullmatch(r"=+(  =+){3}", line)]
	edges = [(found.start(), found.end()) for found in re.finditer(r"=+", lines[rules[0]])]
	rows = {}
	for line in lines[rules[1] + 1:rules[2]]:
		name, *values, here = (line[begin:end].strip() for begin, end in edges)
		value = dict(zip(KERNELS, values, strict=True))[kernel]
		if value != NO_ROW:
			rows[name] = here or value
	return rows


def shown(guest, nic):
	text = guest.check(f"ethtool -k {nic}")
	return dict(re.findall(r"^\s*(\S+): ((?:on|off)(?: \[fixed\])?)$", text, re.MULTILINE))


def differences(guest, nic, kernel):
	"""{row: (in the guide, in the guest)}"""
	want, have = expected(kernel), shown(guest, nic)
	return compared(want, have, want.keys() | have.keys())


def differences_in_common(guest, nic, kernel=KERNELS[-1]):
	"""Likewise, of a later kernel and of the rows that it shares with this one."""
	want, have = expected(kernel), shown(guest, nic)
	return compared(want, have, want.keys() & have.keys())


def compared(want, have, names):
	return {name: (want.get(name), have.get(name)) for name in names
		if want.get(name) != have.get(name)}
