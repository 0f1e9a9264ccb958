# SPDX-License-Identifier: BSD-3-Clause
"""What the guides say to look at, and to set, in a running process."""

import json
import re

import pytest

from documents import Testpmd, block

HOST = ("dpdk-testpmd --no-huge -m 256 -l 0,1 --no-pci --vdev=emu_iavf0,path=/run/look.sock "
        "-- -i --total-num-mbufs=2048")


def test_log_levels(place):
    """The example of the guide, in front of a program that shows what has come of it."""
    options = block("doc/guides/howto/look_inside.rst", "dpdk-testpmd --log-level")
    text = HOST.replace("dpdk-testpmd", options.replace(" ...", ""))
    host = Testpmd(place, text)
    try:
        shown = host.dump("log_types")
    finally:
        host.close()
    assert re.search(r": lib\.vfio_user, level is info", shown), shown
    assert len(re.findall(r": pmd\.emu\.iavf\.\w+, level is debug", shown)) == 2


@pytest.mark.parametrize("document, begin", [
    ("doc/guides/emudevs/iavf.rst", "dpdk-telemetry.py"),
    ("doc/guides/howto/virtual_machine.rst", "--> /emu_iavf/set"),
])
def test_telemetry_commands(place, document, begin):
    lines = re.findall(r"^--> (\S+)$", block(document, begin), re.MULTILINE)
    host = Testpmd(place, HOST)
    try:
        shown = place.run("printf '" + "\\n".join([*lines, "quit"]) + "\\n' | dpdk-telemetry.py")
    finally:
        host.close()
    answers = [json.loads(line) for line in re.findall(r"^(?:--> )?(\{\"/emu_iavf.*\})$", shown, re.MULTILINE)]
    assert len(answers) == len(lines), shown
    for line, answer in zip(lines, answers):
        assert answer[line.split(",")[0]] not in (None, "", {}), shown
