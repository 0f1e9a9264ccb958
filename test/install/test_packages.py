# SPDX-License-Identifier: BSD-3-Clause
"""What can be said of the Debian packages without building them: what is installed has its place in
one of them. devtools/check-packages.sh builds and tries them."""

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))

from stock import BUILD, ROOT  # noqa: E402

DEBIAN = ROOT / "debian"


@pytest.fixture(scope="module", name="installed")
def fixture_installed(tmp_path_factory):
    """What "meson install" gives, by its paths below the prefix of packages."""
    folder = tmp_path_factory.mktemp("tree")
    subprocess.run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet"], check=True,
                   env=os.environ | {"DESTDIR": str(folder)}, stdin=subprocess.DEVNULL, timeout=60)
    return {str(path.relative_to(folder)).replace("usr/local/", "usr/")
            for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def packages():
    return re.findall(r"^Package: (.*)$", (DEBIAN / "control").read_text(), re.M)


def patterns(package):
    path = DEBIAN / f"{package}.install"
    return path.read_text().split() if path.exists() else []


def belongs(path, pattern):
    """A pattern may name a folder; a star ends at a slash."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) >= len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def test_each_file_is_in_one_package(installed):
    places = {path: [package for package in packages()
                     if any(belongs(path, each) for each in patterns(package))]
              for path in installed}
    assert {path: found for path, found in places.items() if len(found) != 1} == {}


def test_each_pattern_is_of_a_file(installed):
    for package in packages():
        # The guides are not built by default.
        for pattern in set(patterns(package)) - {"usr/share/doc/dpdk-emudev"}:
            assert any(belongs(path, pattern) for path in installed), (package, pattern)


def test_packages_have_the_version_of_the_project():
    newest = re.match(r"dpdk-emudev \((.*?)\) ", (DEBIAN / "changelog").read_text())
    assert newest[1] == (ROOT / "VERSION").read_text().strip()


def test_packages_of_libraries_are_named_by_their_soname(installed):
    names = {Path(path).name for path in installed if re.search(r"\.so\.\d+$", path)}
    expected = {re.sub(r"\.so\.", "", name).replace("_", "-") for name in names}
    assert expected == {package for package in packages() if package.startswith("librte-")}


def test_nothing_has_the_name_of_a_file_of_the_distribution(installed):
    """Neither in its place, nor before it by standing in /usr/local."""
    run = subprocess.run(["dpkg-query", "--search", *(f"/{path}" for path in installed)],
                         capture_output=True, text=True, check=False, timeout=60)
    owners = {line for line in run.stdout.splitlines()
              if not set(line.split(": ")[0].replace(":amd64", "").split(", ")) <= set(packages())}
    assert not owners
