# SPDX-License-Identifier: BSD-3-Clause
"""usage: make-devargs.py [--check]

Writes doc/guides/devargs.rst: the arguments of each driver, out of the tables that the code parses and
of what its registration tells tools. With --check it writes nothing, says what differs, and that tables,
registration and the guides explain the same keys; the exit status is 1 if they do not.
"""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "doc/guides/devargs.rst"
STRING = r'"(?:[^"\\]|\\.)*"'

# Driver: what it is, its registration, its tables (file, name of the array), and where keys are explained.
DRIVERS = {
	"emu_iavf": ("the emulated device", "drivers/emu/iavf/pmd.c",
		[("drivers/emu/iavf/devargs.cpp", "keys"), ("drivers/emu/iavf/policy.cpp", "keys")],
		"emudevs/iavf"),
	"net_iavf_be": ("the port, where it is a vdev of its own", "drivers/net/iavf_be/pmd.c",
		[("drivers/net/iavf_be/probe.cpp", "keys")], "nics/iavf_be"),
	"vfio_user_pci": ("a remote device", "drivers/bus/vfio_user/pmd.c",
		[("drivers/bus/vfio_user/devargs.cpp", "keys")], "nics/vfio_user_pci"),
}

HEAD = """..  SPDX-License-Identifier: BSD-3-Clause
..  Made by devtools/make-devargs.py. Do not edit.

Arguments of all devices
========================

Each key of ``--vdev=<driver>[N],<key>=<value>,...``, as the code has it: "form" is what
``dpdk-pmdinfo.py`` shows, "allowed" what an error message says. What a key means, and its default, is on the
page of its driver.
"""


def joined(strings):
	return "".join(one[1:-1] for one in re.findall(STRING, strings))


def table(file, array):
	"""Rows of an array of C++: key, and the text of what is allowed, if the row has one."""
	text = (TOP / file).read_text()
	body = re.search(rf"^constexpr \w+ {array}\[\] = \{{\n(.*?)^\}};", text, re.MULTILINE | re.DOTALL)[1]
	for row in re.findall(r"^\t\{(.*?)\},$", body, re.MULTILINE | re.DOTALL):
		name, *rest = re.split(r",\s+", row, maxsplit=1)
		allowed = re.match(rf"(?:{STRING}\s*)+", rest[0])
		if allowed:
			yield joined(name), joined(allowed[0])
			continue
		constant = re.match(r"\w+", rest[0])[0]
		stands = re.search(rf"constexpr const char \*{constant} = ((?:{STRING}\s*)+);", text)
		yield joined(name), joined(stands[1]) if stands else ""


def keys_of(driver):
	return [row for source in DRIVERS[driver][2] for row in table(*source)]


def forms(driver):
	"""What the registration says of each key."""
	text = (TOP / DRIVERS[driver][1]).read_text()
	registered = re.search(rf"PARAM_STRING\({driver},(.*?)\);", text, re.DOTALL)[1]
	return dict(word.split("=", 1) for word in re.findall(r"[\w-]+=(?:<[^>]*>|[^\s<])+(?:\[.*\])?", joined(registered)))


def render(rows):
	"""A simple table of reStructuredText."""
	widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
	line = "  ".join("=" * width for width in widths)
	head, *body = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
	return "\n".join([line, head, line, *body, line])


def page():
	text = HEAD
	for driver, (what, _, _, guide) in DRIVERS.items():
		registered = forms(driver)
		rows = [("key", "form", "allowed")]
		rows += [(f"``{key}``", f"``{registered.get(key, '?')}``", allowed or "\\-")
			for key, allowed in keys_of(driver)]
		if not any(allowed for _, allowed in keys_of(driver)):
			rows = [row[:2] for row in rows]
		title = f"``{driver}``: {what}"
		text += f"\n{title}\n{'-' * len(title)}\n\nExplained in :doc:`{guide}`.\n\n{render(rows)}\n"
	return text


def wrong():
	if not PAGE.exists() or PAGE.read_text() != page():
		yield f"{PAGE.relative_to(TOP)} is not what the tables of the code say: run devtools/make-devargs.py"
	for driver, (_, registration, _, guide) in DRIVERS.items():
		parsed, registered = {key for key, _ in keys_of(driver)}, set(forms(driver))
		explained = (TOP / f"doc/guides/{guide}.rst").read_text()
		for key in sorted(parsed ^ registered):
			yield f"{registration}: key {key} is {'not registered' if key in parsed else 'not parsed'}"
		for key in sorted(parsed):
			if not re.search(rf"(?<![\w-])``{key}(=|``)", explained):
				yield f"doc/guides/{guide}.rst does not explain {key} of {driver}"


def main():
	if sys.argv[1:] == ["--check"]:
		found = list(wrong())
		print("\n".join(found), end="\n" if found else "")
		return 1 if found else 0
	if sys.argv[1:]:
		print(__doc__.splitlines()[0], file=sys.stderr)
		return 2
	PAGE.write_text(page())
	return 0


if __name__ == "__main__":
	sys.exit(main())
