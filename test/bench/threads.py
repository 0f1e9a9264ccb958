# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel says of the threads of a process."""

import contextlib
import re
from pathlib import Path

CONTROL = re.compile(r"vfio-user$")     # as the library names its thread


def schedule(pid, wanted=None):
    """(seconds that the threads whose names fit have had of the processors, seconds that they have
    waited for one), so far; `wanted` is a pattern, or nothing for all of them."""
    ran = waited = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):    # it ends just now
            if wanted is None or wanted.search((task / "comm").read_text().strip()):
                fields = (task / "schedstat").read_text().split()
                ran, waited = ran + int(fields[0]), waited + int(fields[1])
    return ran / 1e9, waited / 1e9
