# SPDX-License-Identifier: BSD-3-Clause
"""The guide's tables of what ethtool shows, beside what it does show."""

import re

from stock import ROOT

GUIDE = ROOT / "doc/guides/emudevs/linux_features.rst"
KERNELS = ("6.1", "6.12")
NO_ROW = "\\-"
# Options of the second table, and what their commands say behind the name of the NIC.
OPTIONS = {option: "" for option in ("none", "-i", "-l", "-g", "-x", "-c", "-n", "-u", "-S", "-T",
	"-d", "-m", "-t", "-a", "-e")} | {"-n .. tcp4": "rx-flow-hash tcp4"}
UNKNOWN, EMPTY = "n/a", "(empty)"


def rows_of(table):
	"""The cells of each row of a table, without space and quotation marks around them."""
	lines = GUIDE.read_text().splitlines()
	rules = [n for n, line in enumerate(lines) if re.fullmatch(r"=+(  =+)+", line)]
	top, middle, bottom = rules[3 * table:3 * table + 3]
	edges = [(found.start(), found.end()) for found in re.finditer(r"=+", lines[top])]
	return [[line[begin:end].strip().strip("`") for begin, end in edges]
		for line in lines[middle + 1:bottom]]


def expected(kernel, table, names):
	"""{name: value}, as a guest with that kernel is to show it; so many columns are the name."""
	rows = {}
	for cells in rows_of(table):
		*values, here = cells[names:]
		value = dict(zip(KERNELS, values, strict=True))[kernel]
		if value != NO_ROW:
			rows[" ".join(cells[:names])] = here or value
	return rows


def compared(want, have):
	"""{name: (in the guide, in the guest)}"""
	return {name: (want.get(name), have.get(name)) for name in want.keys() | have.keys()
		if want.get(name) != have.get(name)}


def offloads(guest, nic):
	text = guest.check(f"ethtool -k {nic}")
	return dict(re.findall(r"^\s*(\S+): ((?:on|off)(?: \[fixed\])?)$", text, re.MULTILINE))


def differences(guest, nic, kernel):
	"""Of the features, "ethtool -k"."""
	return compared(expected(kernel, 0, 1), offloads(guest, nic))


def differences_in_common(guest, nic, kernel=KERNELS[-1]):
	"""Likewise, of a later kernel and of the rows that it shares with this one."""
	want, have = expected(kernel, 0, 1), offloads(guest, nic)
	both = want.keys() & have.keys()
	return compared(*({name: rows[name] for name in both} for rows in (want, have)))


# Rows of options that are not one line with a colon each.

def of_table(text):
	"""ethtool -x: the key and the table are told by their lengths."""
	found = lambda pattern: re.search(pattern, text, re.MULTILINE)
	rows = dict(re.findall(r"^    ([a-z]\S+): (\w+)$", text, re.MULTILINE))
	rows["rings"] = found(r"with (\d+) RX ring")[1]
	rows["table"] = str(sum(len(line.split()) for line in
		re.findall(r"^\s*\d+:((?:\s+\d+)+)$", text, re.MULTILINE)))
	rows["key"] = str(len(found(r"key:\s+([0-9a-f:]+)$")[1].split(":")))
	return rows


def of_rules(text):
	return {"rings": re.search(r"(\d+) RX rings", text)[1],
		"rules": re.search(r"Total (\d+) rules", text)[1]}


def of_counters(text):
	"""Those of the first queues; there are as many of others as there are queues."""
	return {name: "a number" for name in re.findall(r"^\s*(\S+): \d+$", text, re.MULTILINE)
		if not re.match(r".x-[1-9]", name)}


def of_coalescing(text):
	both = re.search(r"Adaptive RX: (\w+)  TX: (\w+)", text)
	rows = {"adaptive-rx": both[1], "adaptive-tx": both[2]}
	return rows | of_lines("\n".join(line for line in text.splitlines() if "  TX:" not in line))


def of_lines(text):
	"""A colon in each; a line without one continues that before."""
	rows, name, section = {}, None, ""
	for line in map(str.strip, text.splitlines()[1:]):
		if line in ("Pre-set maximums:", "Current hardware settings:"):
			section = "most " if line[0] == "P" else ""
		elif ":" in line:
			name, value = line.split(":", 1)
			name = section + name
			rows[name] = " ".join(value.split()) or EMPTY
		elif line:
			rows[name] = f"{rows[name]} {line}".removeprefix(f"{EMPTY} ")
	return {name: value for name, value in rows.items() if value != UNKNOWN}


def of_driver(text):
	"""Where the device is, and which kernel it is, is another matter."""
	rows = of_lines("\n" + text)
	return {name: value for name, value in rows.items() if name not in ("version", "bus-info")}


READ = {"-i": of_driver, "-x": of_table, "-n": of_rules, "-u": of_rules, "-S": of_counters,
	"-c": of_coalescing}


def shown(guest, nic, option):
	first = "" if option == "none" else option.split()[0]
	status, text = guest.run(f"ethtool {first} {nic} {OPTIONS[option]}")
	if status:
		return {"(all)": text.split(": ")[-1]}
	return READ.get(option, of_lines)(text)


def other_differences(guest, nic, kernel):
	"""Of the other options. The guest has one processor, and the host's port one queue."""
	want = {name: "1" if value == "as the port" else value
		for name, value in expected(kernel, 1, 2).items()}
	have = {f"{option} {name}": value for option in OPTIONS
		for name, value in shown(guest, nic, option).items()}
	return compared(want, have)
