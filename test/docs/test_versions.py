# SPDX-License-Identifier: BSD-3-Clause
"""Each program and script says which version it is of, and does nothing besides."""

import os
import subprocess

import pytest

from documents import ROOT, Failure

VERSION = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
SCRIPTS = sorted((ROOT / "devtools").glob("*.sh"))
SHARED = {"common.sh", "roots.sh", "source.sh"}  # They are no commands.


@pytest.mark.parametrize("script", [one for one in SCRIPTS if one.name not in SHARED], ids=lambda one: one.name)
def test_script(script):
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=10, check=True,
                          env=os.environ | {"EMUDEV_CACHE": "/nowhere", "EMUDEV_BUILD": "/nowhere"})
    assert done.stdout == f"{script.name} of dpdk-emudev {VERSION}\n" and not done.stderr


def test_installed_programs(place):
    programs = [name for name in place.run("ls /usr/local/bin").split() if name.startswith("dpdk-")]
    if not programs:
        raise Failure("no program is installed")
    for name in programs:
        assert VERSION in place.run(f"{name} --version"), name
