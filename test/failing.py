# SPDX-License-Identifier: BSD-3-Clause
"""Calls that fail in another process, one after the other: see protocol/fail.c."""

import mmap
import os
import struct
from collections import Counter
from pathlib import Path

from stock import compile_library

SOURCE = Path(__file__).with_name("protocol") / "fail.c"
CALLS = 4093
EACH = (1 << 64) - 1


class Orders:
    """The file by which fail.c is told what is to fail, and tells what was called."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb+") as file:
            file.truncate(16 * (CALLS + 3))
            self.map = mmap.mmap(file.fileno(), 0)

    def give(self, number, name="", also=""):
        """The call with this name and number fails, counted from now on, or EACH with the name does;
        without a name all are counted and none fails; with 0 none is counted. Each call that is
        also named fails meanwhile."""
        self.map[0:8] = bytes(8)
        self.map[8:] = struct.pack("<Q16s16s", 0, name.encode(), also.encode()).ljust(len(self.map) - 8, b"\0")
        self.map[0:8] = struct.pack("<Q", number)

    def count(self):
        return struct.unpack("<Q", self.map[8:16])[0]

    def calls(self):
        """Their names, in order."""
        end = 48 + 16 * self.count()
        assert end <= len(self.map)
        return [self.map[at:at + 16].rstrip(b"\0").decode() for at in range(48, end, 16)]

    def library(self):
        """To be preloaded."""
        library = self.path.with_name("fail.so")
        if not library.exists():
            compile_library(SOURCE, library)
        return library

    def environment(self):
        return {"EMUDEV_FAIL": str(self.path)}

    def plan(self, every):
        """The calls that were counted, each by its name and its number among those with the name:
        threads make their calls in no order that could be relied on. Of each name one in so many as
        every(name, how many there are) says, or all, if EMUDEV_EACH is set."""
        for name, count in Counter(self.calls()).items():
            step = 1 if os.environ.get("EMUDEV_EACH") else every(name, count)
            for number in range(step, count + 1, step):
                yield name, number
