# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-vfio-user-info on the NIC's socket: what a person and what a program gets."""

import json
import socket
import subprocess

import pytest

import vfio_user
from fake_server import FakeRegion, FakeServer, config_space
from stock import BUILD
from vfio_user import Region, RegionFlag

TOOL = BUILD / "app" / "vfio_user_info" / "dpdk-vfio-user-info"


def run(*arguments):
    return subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=30,
                          check=False)


def shown(server, *options):
    result = run(*options, server.path)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_missing_socket_is_named(server, tmp_path):
    result = run(tmp_path / "nothing.sock")
    assert result.returncode != 0
    assert "nothing.sock" in result.stderr


def test_silent_server_times_out(server, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute.sock"))
        listener.listen()
        result = run("--timeout", 1, tmp_path / "mute.sock")
    assert result.returncode != 0 and "mute.sock" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--color"], ["a", "b"], ["--timeout", "0", "a"]])
def test_wrong_usage_is_refused(server, arguments):
    result = run(*arguments)
    assert result.returncode != 0 and result.stderr


def test_text_names_device_regions_and_interrupts(server):
    text = shown(server)
    for words in ("8086", "1889", "0x4000", "MSI-X"):
        assert words in text, text


def test_json_is_for_programs(server):
    facts = json.loads(shown(server, "--json"))
    bar0 = facts["regions"][0]
    assert bar0["size"] == 0x10000
    assert json.dumps(facts)  # no value that a reader would stumble over


@pytest.mark.parametrize("size, shown_as", [
    (2**63 - 1, 2**63 - 1), (2**63, str(2**63)), (2**64 - 1, str(2**64 - 1))])
def test_large_sizes_are_exact(server, tmp_path, size, shown_as):
    regions = {
        Region.BAR0: FakeRegion(size, RegionFlag.READ | RegionFlag.MMAP, areas=((size - 1, 1),)),
        Region.CONFIG: FakeRegion(256, data=config_space()),
    }
    with FakeServer(tmp_path / "large.sock", regions):
        result = run("--json", tmp_path / "large.sock")
    assert result.returncode == 0, result.stderr
    bar0 = json.loads(result.stdout)["regions"][0]
    assert bar0["size"] == shown_as
    offset = size - 1
    assert bar0["areas"] == [{"offset": str(offset) if offset >= 2**63 else offset, "size": 1}]


# Of C0, DEL, and of C1, which some terminals obey as bytes and some as UTF-8.
CONTROLS = "\x1b]0;owned\x07 \x7f \u009b31m \x80\u0085 \u2028"


@pytest.mark.parametrize("option", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "utf8"])
def test_no_control_character_reaches_a_terminal(server, tmp_path, option, escaped):
    """From the server, or from the name of its socket."""
    path = tmp_path / "a\x1b[31m\x7f\u009b.sock"
    dumps = json.dumps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vfio_user.json, "dumps",
                      lambda value: dumps(value, ensure_ascii=escaped))
        with FakeServer(path, {}, capabilities={CONTROLS: CONTROLS}):
            result = subprocess.run([TOOL, *option, path], capture_output=True, timeout=30,
                                    check=False)
    shown = result.stdout + result.stderr
    assert b"owned" in result.stdout
    assert not [byte for byte in shown if not 0x20 <= byte < 0x7F and byte != 0x0A], shown
    if option:
        assert json.loads(result.stdout)["version"]["sent"]["capabilities"][CONTROLS] == CONTROLS


def test_hex_is_what_lspci_reads(server, tmp_path):
    dump = tmp_path / "config"
    dump.write_text(shown(server, "--hex"))
    lspci = subprocess.run(["lspci", "-F", dump, "-nvv"], capture_output=True, text=True,
                           timeout=30, check=True)
    for words in ("8086:1889", "MSI-X: Enable- Count=", "FLReset+"):
        assert words in lspci.stdout, lspci.stdout
