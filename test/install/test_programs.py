# SPDX-License-Identifier: BSD-3-Clause
"""What comes with each program that is installed: a manual page, and completion for bash. Both know
the options that the program itself names in its help."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))

from stock import BUILD  # noqa: E402

PREFIX = "usr/local"
COMPLETE = """
. "$0"
words=($(complete -p "$1")) || exit
"${words[@]: -2:1}" "$2" "$3" "$4"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module", name="tree")
def fixture_tree(tmp_path_factory):
    """A folder with all that "meson install" puts somewhere."""
    folder = tmp_path_factory.mktemp("tree")
    subprocess.run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet"], check=True,
                   env=os.environ | {"DESTDIR": str(folder)}, stdin=subprocess.DEVNULL, timeout=60)
    return folder


def programs(tree):
    return sorted(path.name for path in (tree / PREFIX / "bin").iterdir())


def options_of_help(tree, program):
    libraries = {str(path.parent) for path in tree.rglob("librte_*.so*")}
    run = subprocess.run([tree / PREFIX / "bin" / program, "--help"], capture_output=True, text=True,
                         env=os.environ | {"LD_LIBRARY_PATH": ":".join(libraries)}, timeout=60,
                         check=True)
    return set(re.findall(r"^ .*?(--[a-z][a-z-]*)", run.stdout, re.M)), libraries


def options_of_page(tree, program):
    text = (tree / PREFIX / "share/man/man1" / f"{program}.1").read_text()
    return set(re.findall(r"--[a-z][a-z-]*", text.replace("\\-", "-")))


def completed(tree, program, word, before="", folder="/", libraries=()):
    """What bash makes of a word of the command line behind another."""
    script = tree / PREFIX / "share/bash-completion/completions" / program
    run = subprocess.run(["bash", "-c", COMPLETE, script, program, tree / PREFIX / "bin" / program,
                          word, before], capture_output=True, text=True, cwd=folder, timeout=60,
                         env=os.environ | {"LD_LIBRARY_PATH": ":".join(libraries)}, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    return {line for line in run.stdout.splitlines() if line}


def test_manual_page_and_completion_know_all_options(tree):
    assert "dpdk-vfio-user-info" in programs(tree)
    for program in programs(tree):
        options, libraries = options_of_help(tree, program)
        assert "--help" in options, program
        assert options_of_page(tree, program) == options, program
        assert completed(tree, program, "--", libraries=libraries) == options, program


@pytest.mark.parametrize("word, before, found", [
    ("", "", {"a folder", "nic0.sock"}),  # no server is behind a plain file
    ("nic", "-j", {"nic0.sock"}),
    ("", "--timeout", set()),
])
def test_sockets_are_completed(tree, tmp_path, monkeypatch, word, before, found):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "nic.txt").write_text("")
    monkeypatch.chdir(tmp_path)  # the whole path may be too long for a socket
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("nic0.sock")
    assert completed(tree, "dpdk-vfio-user-info", word, before, tmp_path) == found
