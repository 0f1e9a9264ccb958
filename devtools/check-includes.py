#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks that each room includes only what it may know (doc/guides/tour.rst).

usage: check-includes.py [ROOT]

    guard <- vfio_user <- emu/iavf -> emudev <- net/iavf_be -> ethdev
    guard <- common/iavf <- {emu/iavf, net/iavf_be, bus/vfio_user}
    guard <- vfio_user <- common/pci_device <- emu/iavf
    guard <- vfio_user <- bus/vfio_user
    common/args <- {emu/iavf, net/iavf_be, bus/vfio_user}

and inside vfio_user:

    {loop, peer} <- wire <- memory <- server
    {loop, peer} <- wire <- client

Each source file of the tree stands in a room, and the arrows have no cycle.
"""

import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SOURCES = (".c", ".h", ".cpp", ".hpp")
TOPS = ("lib", "drivers", "app", "examples", "test")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^">]+)[">]')
ETHDEV = re.compile(r"(rte_)?(ethdev|flow|tm|mtr)(_.*)?\.h$")
DPDK = re.compile(r"(rte_|bus_|dev_|ethdev_|eal_).*\.h$")
# DPDK's headers for drivers, but for what a virtual device needs to be one.
INTERNALS = re.compile(r"(bus|dev|ethdev|eal)_(?!vdev).*\.h$")

NO_DPDK, NO_ETHDEV, ALL_DPDK = range(3)


@dataclass(frozen=True)
class Room:
	path: str  # A folder, or a pattern of files. The first room that has a file is its room.
	dpdk: int
	knows: tuple = ()  # Rooms whose public headers (.h) it may include, besides its own.
	inside: tuple = ()  # Rooms whose private headers (.hpp) it may include too.
	open: bool = False  # Its .hpp are for all who know it.
	internals: str = "*"  # Which of its files may include DPDK's headers for drivers.

	def has(self, file):
		return file.startswith(self.path + "/") or fnmatchcase(file, self.path)

	def may_see(self, owner, suffix):
		if owner.path in self.inside:
			return True
		return owner.path in self.knows and (suffix == ".h" or owner.open)


# What the parts of lib/vfio_user share stands in its folder itself: log, DPDK versions, types.
VFIO_USER = "lib/vfio_user"
LOOP, PEER, WIRE, MEMORY, SERVER, CLIENT = (f"{VFIO_USER}/{part}"
	for part in ("loop", "peer", "wire", "memory", "server", "client"))
GUARD = ("lib/guard",)
DRIVER = ("lib/guard", "drivers/common/iavf", "drivers/common/args", "drivers/common/telemetry")

ROOMS = (
	Room("lib/guard", NO_DPDK, open=True),
	Room(LOOP, NO_ETHDEV, GUARD, (VFIO_USER,)),
	Room(PEER, NO_ETHDEV, GUARD, (VFIO_USER,)),
	Room(WIRE, NO_ETHDEV, GUARD, (VFIO_USER, LOOP, PEER)),
	Room(MEMORY, NO_ETHDEV, GUARD, (VFIO_USER, LOOP, PEER, WIRE)),
	Room(SERVER, NO_ETHDEV, GUARD, (VFIO_USER, LOOP, PEER, WIRE, MEMORY)),
	Room(CLIENT, NO_ETHDEV, GUARD, (VFIO_USER, LOOP, PEER, WIRE)),
	# The public face, on top of its parts.
	Room(f"{VFIO_USER}/rte_*.cpp", NO_ETHDEV, GUARD, (VFIO_USER, SERVER, CLIENT)),
	Room(VFIO_USER, NO_ETHDEV, GUARD),
	Room("lib/emudev", NO_ETHDEV, GUARD),
	Room("drivers/common/iavf", NO_DPDK, GUARD, open=True),
	Room("drivers/common/args", NO_ETHDEV, open=True),
	Room("drivers/common/telemetry", NO_ETHDEV, open=True),
	Room("drivers/common/pci_device", NO_ETHDEV, (*GUARD, VFIO_USER), open=True),
	Room("drivers/emu/iavf", NO_ETHDEV,
		(*DRIVER, VFIO_USER, "lib/emudev", "drivers/common/pci_device")),
	Room("drivers/net/iavf_be", ALL_DPDK, (*DRIVER, "lib/emudev")),
	Room("drivers/bus/vfio_user", ALL_DPDK, (*DRIVER, VFIO_USER), internals="dpdk_internals.cpp"),
	# The tests of a room know what it shows, and what they speak to it.
	Room("app/test/iavf_be", ALL_DPDK, (*GUARD, "lib/emudev", "drivers/common/iavf"),
		("app/test", "drivers/net/iavf_be")),
	Room("app/test/emu_iavf", NO_ETHDEV,
		(*DRIVER, VFIO_USER, "lib/emudev", "drivers/common/pci_device"),
		("app/test", "drivers/emu/iavf")),
	Room("app/test/*pci_device*", NO_ETHDEV,
		(*GUARD, VFIO_USER, "drivers/common/pci_device"), ("app/test",)),
	Room("app/test/guest_memory", NO_ETHDEV, (*GUARD, VFIO_USER), ("app/test", MEMORY)),
	Room("app/test/vfio_user*/*", NO_ETHDEV, (*GUARD, VFIO_USER), ("app/test", WIRE)),
	Room("app/test", ALL_DPDK, (*GUARD, VFIO_USER, "lib/emudev", "drivers/common/iavf"),
		(PEER, WIRE)),
	Room("app/vfio_user_info", NO_ETHDEV, (*GUARD, VFIO_USER)),
	# But for that, they measure any port, and know nothing of ours.
	Room("app/bench/lookup.cpp", NO_DPDK, GUARD, ("app/bench", MEMORY)),
	Room("app/bench", ALL_DPDK),
	# They are built against what is installed.
	Room("examples", NO_ETHDEV, (*GUARD, VFIO_USER, "lib/emudev")),
	# All of the project is built into fuzz targets, private parts included.
	Room("test/fuzz", ALL_DPDK,
		(*DRIVER, VFIO_USER, "lib/emudev", "drivers/common/pci_device"),
		("app/test", "app/test/iavf_be", "app/test/emu_iavf", "app/test/vfio_user*/*",
		 "app/test/*pci_device*", VFIO_USER, LOOP, WIRE, SERVER, CLIENT, "drivers/emu/iavf", "drivers/net/iavf_be",
		 "drivers/bus/vfio_user")),
	# What control and data threads share, of either side.
	Room("test/races", NO_ETHDEV, GUARD,
		(VFIO_USER, WIRE, PEER, MEMORY, SERVER, "lib/emudev", "drivers/net/iavf_be")),
	Room("test", ALL_DPDK),
)


def cycle():
	"""A cycle of the arrows, if there is one."""
	try:
		TopologicalSorter({room.path: {*room.knows, *room.inside} for room in ROOMS}).prepare()
	except CycleError as error:
		return " <- ".join(error.args[1])
	return None


def room_of(root, path):
	file = path.relative_to(root).as_posix()
	return next((room for room in ROOMS if room.has(file)), None)


def sources(root):
	for top in TOPS:
		for path in sorted((root / top).rglob("*")):
			if path.suffix in SOURCES:
				yield path


class Checker:
	def __init__(self, root):
		self.root = root
		self.headers = [path for path in sources(root) if path.suffix in (".h", ".hpp")]

	def target(self, source, name):
		"""The header of this tree that a directive means, if any."""
		near = (source.parent / name).resolve()
		if near.is_file():
			return near
		room = room_of(self.root, source)
		found = [path for path in self.headers if path.as_posix().endswith(f"/{name}")]
		known = [path for path in found if self.is_known(room, path)]
		return (known or found or [None])[0]

	def is_known(self, room, target):
		owner = room_of(self.root, target)
		return owner == room or owner and room.may_see(owner, target.suffix)

	def complaint(self, source, name):
		room = room_of(self.root, source)
		target = self.target(source, name)
		if target is None:
			return dpdk_complaint(room, source, name)
		if source.suffix == ".h" and target.suffix == ".hpp":
			return "a public header includes a private one"
		if self.is_known(room, target):
			return None
		owner = room_of(self.root, target)
		if owner and owner.path in room.knows:
			return f"it is private to {owner.path}"
		return f"{room.path} does not know {owner.path if owner else target.parent}"

	def check(self, source):
		"""Yields a line for each wrong directive of a file."""
		file = source.relative_to(self.root)
		if not room_of(self.root, source):
			yield f"{file}: it stands in no room of check-includes.py"
			return
		for number, line in enumerate(source.read_text().splitlines(), 1):
			if not (found := INCLUDE.match(line)):
				continue
			if complaint := self.complaint(source, found[1]):
				yield f"{file}:{number}: {found[1]}: {complaint}"


def dpdk_complaint(room, source, name):
	if ETHDEV.match(name) and room.dpdk < ALL_DPDK:
		return f"{room.path} does not know ethdev"
	if DPDK.match(name) and room.dpdk == NO_DPDK:
		return f"{room.path} does not know DPDK"
	if INTERNALS.match(name) and not fnmatchcase(source.name, room.internals):
		return f"this is for {room.internals} alone"
	return None


def main():
	root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
	if found := cycle():
		print(f"check-includes.py: the arrows have a cycle: {found}")
		return 1
	checker = Checker(root)
	complaints = [line for source in sources(root) for line in checker.check(source)]
	print("".join(f"{line}\n" for line in complaints), end="")
	return 1 if complaints else 0


if __name__ == "__main__":
	sys.exit(main())
