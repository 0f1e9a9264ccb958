# SPDX-License-Identifier: BSD-3-Clause
"""Where the set-up takes DPDK's driver headers from, when the archive no longer has its source.

apt, dpkg and pkg-config are stand-ins: the real archive is in one state only.
"""

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "devtools/get-driver-sdk.sh"
INSTALLED = "99.11.8-0+deb1"
HEADERS = ("bus_driver.h", "bus_pci_driver.h", "bus_vdev_driver.h", "dev_driver.h",
           "ethdev_driver.h", "ethdev_vdev.h")

# The archive lists the versions of $LISTED, and has the files of those in $KEPT.
STAND_INS = {
    "pkg-config": "exit 0",
    "dpkg-query": "echo {installed}",
    "apt-cache": "printf 'Version: %s\\n' $LISTED",
    "apt-get": """
case "$*" in
*--print-uris) echo "'http://archive.example/debian/dists/{release}/InRelease' lists 0" ;;
*" source "*)
    version=${{*##*dpdk=}}
    case " $KEPT " in
    *" $version "*)
        mkdir -p tree/lib
        for header in {headers}; do echo "$version" >tree/lib/$header; done
        tar -cJf "dpdk_${{version%-*}}.orig.tar.xz" tree ;;
    *)
        echo "E: Failed to fetch dpdk_$version 404" >&2
        exit 100 ;;
    esac ;;
esac
"""}


@pytest.fixture(name="get_sdk")
def fixture_get_sdk(tmp_path):
    """A function that runs the script with an archive, and returns its result."""
    if Path("/usr/include/bus_vdev_driver.h").exists():
        pytest.skip("this DPDK was installed with its driver headers")
    programs = tmp_path / "bin"
    programs.mkdir()
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    for name, text in STAND_INS.items():
        program = programs / name
        program.write_text("#!/bin/sh\n" + text.format(
            installed=INSTALLED, release=release, headers=" ".join(HEADERS)))
        program.chmod(0o755)

    def run(listed="", kept="", **more):
        env = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "LISTED": listed,
                            "KEPT": kept, "EMUDEV_CACHE": str(tmp_path / "cache"), **more}
        return subprocess.run([SCRIPT], env=env, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False)
    return run


def source_of(result):
    """What stands in all headers of the folder that was printed."""
    assert result.returncode == 0, result.stderr
    folder = Path(result.stdout.strip())
    assert sorted(path.name for path in folder.iterdir()) == sorted(HEADERS)
    (text,) = {path.read_text().strip() for path in folder.iterdir()}
    return text


def test_the_installed_version_comes_first(get_sdk):
    result = get_sdk(f"{INSTALLED} 99.11.9-1", f"{INSTALLED} 99.11.9-1")
    assert source_of(result) == INSTALLED
    assert "warning" not in result.stderr


@pytest.mark.parametrize("listed", [
    "99.11.10-1 99.11.9-1 99.07.1-1 99.110.1-1 1:100.11.1-1",  # the archive has moved on
    f"99.11.11-1 {INSTALLED} 99.11.10-1",                      # and lists what it lacks
])
def test_another_of_the_series_will_do(get_sdk, listed):
    kept = "99.11.10-1 99.11.9-1 99.07.1-1 99.110.1-1 1:100.11.1-1"
    result = get_sdk(listed, kept)
    assert source_of(result) == "99.11.10-1"
    assert re.search(f"warning: .*{re.escape(INSTALLED)}; .* 99\\.11\\.10-1$", result.stderr, re.M)


def test_the_second_run_asks_nobody(get_sdk):
    first = get_sdk(INSTALLED, INSTALLED)
    again = get_sdk()
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")


def test_an_archive_without_any_names_the_way_out(get_sdk):
    result = get_sdk(f"{INSTALLED} 99.07.1-1", "99.07.1-1")
    assert result.returncode != 0 and result.stdout == ""
    assert "404\n" in result.stderr and "EMUDEV_DPDK_SOURCE" in result.stderr
    assert "warning" not in result.stderr


def unpacked_source(folder, version):
    (folder / "lib/eal").mkdir(parents=True)
    (folder / "drivers").mkdir()
    (folder / "VERSION").write_text(f"{version}\n")
    for header in HEADERS:
        (folder / "lib/eal" / header).write_text("unpacked")
    return str(folder)


def test_a_source_of_the_user_is_taken(get_sdk, tmp_path):
    result = get_sdk(EMUDEV_DPDK_SOURCE=unpacked_source(tmp_path / "dpdk", "99.11.0"))
    assert source_of(result) == "unpacked"
    assert re.search(r"warning: .*/dpdk, DPDK 99\.11\.0$", result.stderr, re.M)


@pytest.mark.parametrize("version", ["99.07.3", "100.11.0", "99.1.1"])
def test_a_source_of_another_series_is_refused(get_sdk, tmp_path, version):
    result = get_sdk(EMUDEV_DPDK_SOURCE=unpacked_source(tmp_path / "dpdk", version))
    assert result.returncode != 0
    assert f"DPDK {version}, and {INSTALLED} is installed" in result.stderr
    assert get_sdk().returncode != 0, "nothing of it is kept"
