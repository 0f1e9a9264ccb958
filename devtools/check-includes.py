#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks that each room includes only what it may know (doc/guides/tour.rst).

usage: check-includes.py [ROOT]

    guard <- vfio_user <- emu/iavf -> emudev <- net/iavf_be -> ethdev
    guard <- common/iavf <- {emu/iavf, net/iavf_be}
    guard <- vfio_user <- bus/vfio_user
    common/args <- {emu/iavf, net/iavf_be, bus/vfio_user}
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCES = (".c", ".h", ".cpp", ".hpp")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
ETHDEV = re.compile(r"(rte_)?(ethdev|flow|tm|mtr)(_.*)?\.h$")
DPDK = re.compile(r"(rte_|bus_|dev_|ethdev_|eal_).*\.h$")

NO_DPDK, NO_ETHDEV, ALL_DPDK = range(3)


@dataclass(frozen=True)
class Room:
	path: str
	knows: tuple  # Rooms whose headers it may include, besides its own.
	dpdk: int
	open: bool = False  # Its .hpp are for others too.


ROOMS = (
	Room("lib/guard", (), NO_DPDK, open=True),
	Room("lib/vfio_user", ("lib/guard",), NO_ETHDEV),
	Room("lib/emudev", ("lib/guard",), NO_ETHDEV),
	Room("drivers/common/iavf", ("lib/guard",), NO_DPDK, open=True),
	Room("drivers/common/args", (), NO_ETHDEV, open=True),
	Room("drivers/emu/iavf",
		("lib/guard", "lib/vfio_user", "lib/emudev", "drivers/common/iavf",
			"drivers/common/args"), NO_ETHDEV),
	Room("drivers/net/iavf_be",
		("lib/guard", "lib/emudev", "drivers/common/iavf", "drivers/common/args"),
		ALL_DPDK),
	Room("drivers/bus/vfio_user",
		("lib/guard", "lib/vfio_user", "drivers/common/args"), ALL_DPDK),
)


def room_of(root, path):
	folder = path.relative_to(root).as_posix()
	return next((room for room in ROOMS if folder.startswith(room.path + "/")), None)


def sources(root):
	for room in ROOMS:
		for path in sorted((root / room.path).rglob("*")):
			if path.suffix in SOURCES:
				yield path


class Checker:
	def __init__(self, root):
		self.root = root
		self.headers = {}  # Name -> folders it stands in.
		for path in sources(root):
			if path.suffix in (".h", ".hpp"):
				self.headers.setdefault(path.name, []).append(path)

	def target(self, source, name):
		"""The header of this tree that a directive means, if any."""
		near = (source.parent / name).resolve()
		if near.is_file():
			return near
		found = self.headers.get(Path(name).name, [])
		room = room_of(self.root, source)
		known = [path for path in found
			if room_of(self.root, path).path in (room.path, *room.knows)]
		return (known or found or [None])[0]

	def complaint(self, source, name):
		room = room_of(self.root, source)
		target = self.target(source, name)
		if target is None:
			return dpdk_complaint(room, name)
		owner = room_of(self.root, target)
		if owner is None or owner == room:
			return None
		if owner.path not in room.knows:
			return f"{room.path} does not know {owner.path}"
		if target.suffix == ".hpp" and not owner.open:
			return f"{name} is private to {owner.path}"
		return None

	def check(self, source):
		"""Yields a line for each wrong directive of a file."""
		for number, line in enumerate(source.read_text().splitlines(), 1):
			if not (found := INCLUDE.match(line)):
				continue
			if complaint := self.complaint(source, found[1]):
				where = f"{source.relative_to(self.root)}:{number}"
				yield f"{where}: {found[1]}: {complaint}"


def dpdk_complaint(room, name):
	if ETHDEV.match(name) and room.dpdk < ALL_DPDK:
		return f"{room.path} does not know ethdev"
	if DPDK.match(name) and room.dpdk == NO_DPDK:
		return f"{room.path} does not know DPDK"
	return None


def main():
	root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
	checker = Checker(root)
	complaints = [line for source in sources(root) for line in checker.check(source)]
	print("".join(f"{line}\n" for line in complaints), end="")
	return 1 if complaints else 0


if __name__ == "__main__":
	sys.exit(main())
