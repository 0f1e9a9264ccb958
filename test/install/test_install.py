# SPDX-License-Identifier: BSD-3-Clause
"""What a person gets from "ninja install": drivers that the distribution's tools load and describe.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1]))

from installed import installed  # noqa: E402
from stock import BUILD  # noqa: E402

PYTHON = "/usr/bin/python3"  # another python3 may come first in PATH and lack pyelftools
PMDINFO = "/usr/bin/dpdk-pmdinfo.py"

PARAMETERS = {
    "emu_iavf": {"path", "mac", "queues", "vectors", "speed", "ethdev", "mode", "owner", "group",
                 "max_memory", "irq-inline", "rom", "tso", "lro", "zero-copy", "steering", "trust",
                 "spoofchk", "vlan", "rate", "link", "macs", "mcast"},
    "net_iavf_be": {"emu", "mac", "rx_checksum", "tso", "lro", "steering",
                    "zero-copy"},
    "vfio_user_pci": {"path", "timeout_ms", "wait_ms", "attach_ms"},
}

EAL = "-l 0,1 --no-pci --no-huge --no-shconf -m 128 --no-telemetry"


def pmdinfo(library):
    shown = subprocess.run([PYTHON, PMDINFO, str(library)], capture_output=True, text=True,
                           timeout=60, check=True)
    return json.loads(shown.stdout)


@pytest.mark.parametrize("library", sorted((BUILD / "drivers").glob("*.so")), ids=lambda p: p.name)
def test_pmdinfo_describes_each_driver(library):
    (driver,) = pmdinfo(library)
    assert set(re.findall(r"([\w-]+)=", driver["params"])) == PARAMETERS[driver["name"]]


def test_every_driver_is_described():
    libraries = (BUILD / "drivers").glob("*.so")
    found = [driver["name"] for library in libraries for driver in pmdinfo(library)]
    assert sorted(found) == sorted(PARAMETERS)


def test_stock_testpmd_loads_what_was_installed(tmp_path):
    run = installed(tmp_path, "printf 'show port info 0\\nquit\\n' | "
                    f"dpdk-testpmd {EAL} --vdev=emu_iavf,path={tmp_path}/nic0.sock "
                    "-- -i --total-num-mbufs=2048")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Driver name: emu_iavf" in run.stdout


def test_installed_headers_and_libraries_are_found(tmp_path):
    program = ("#include <rte_emudev.h>\\n#include <rte_vfio_user.h>\\n"
               "static int nothing(void *arg) { (void)arg; return 0; }\\n"
               "int main(void) { return rte_emudev_count(); }\\n"
               "int linked(void) { return rte_vfio_user_control_call(nothing, 0); }\\n")
    run = installed(tmp_path, f"printf '{program}' >{tmp_path}/p.c; gcc -DALLOW_EXPERIMENTAL_API "
                    f"-Wall -Werror -o {tmp_path}/p {tmp_path}/p.c "
                    "$(pkg-config --cflags --libs rte_emudev rte_vfio_user) "
                    f"&& {tmp_path}/p && dpdk-vfio-user-info --help")
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_program_stands_before_one_of_the_distribution(tmp_path):
    run = installed(tmp_path, "for each in $(ls /usr/local/bin); do ! test -e /usr/bin/$each; done "
                    "&& ls /usr/local/bin")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "dpdk-vfio-user-info" in run.stdout.split()
    assert "dpdk-test" not in run.stdout.split()


@pytest.mark.parametrize("vdev, words", [
    ("emu_iavf", ["path"]),
    ("emu_iavf,path=/run/x,queues=257", ["queues", "257", "1 to 256"]),
    ("emu_iavf,path=/run/x,queues=", ["queues", "1 to 256"]),
    ("emu_iavf,path=/run/x,vectors=1", ["vectors=1", "2 to 17"]),
    ("emu_iavf,path=/run/x,vectors=18", ["vectors=18", "2 to 17"]),
    ("emu_iavf,path=/run/x,mac=ff:ff:ff:ff:ff:ff", ["mac", "ff:ff:ff:ff:ff:ff", "unicast"]),
    ("emu_iavf,path=/run/x,speed=1", ["speed", "1", "100 to 400000"]),
    ("emu_iavf,path=/run/x,ethdev=2", ["ethdev", "2", "0 or 1"]),
    ("emu_iavf,path=/run/x,max_memory=4194305", ["max_memory=4194305", "0", "4194304"]),
    ("emu_iavf,path=/run/x,irq-inline=on", ["irq-inline=on", "0 or 1"]),
    ("emu_iavf,path=/run/x,rom=/nowhere", ["rom=/nowhere", "No such file"]),
    ("emu_iavf,path=/run/x,rom=/dev/zero", ["rom=/dev/zero", "no regular file"]),
    ("emu_iavf,path=/run/x,rom=/etc/passwd", ["rom=/etc/passwd", "55 aa"]),
    ("emu_iavf,path=/run/x,rom=/etc/passwd", ["rom=/etc/passwd", "8086:1889", "4 MiB"]),
    ("emu_iavf,path=/run/x,tso=2", ["tso=2", "0 or 1"]),
    ("emu_iavf,path=/run/x,lro=2", ["lro=2", "0 or 1"]),
    ("emu_iavf,path=/run/x,steering=hash", ["steering=hash", "rss or queue"]),
    ("emu_iavf,path=/run/x,mode=778", ["mode=778", "octal", "0 to 777"]),
    ("emu_iavf,path=/run/x,mode=1777", ["mode=1777", "0 to 777"]),
    ("emu_iavf,path=/run/x,mode=rw", ["mode=rw", "0 to 777"]),
    ("emu_iavf,path=/run/x,owner=no-such-user", ["owner=no-such-user", "name or number"]),
    ("emu_iavf,path=/run/x,owner=-1", ["owner=-1", "name or number"]),
    ("emu_iavf,path=/run/x,group=4294967295", ["group=4294967295", "name or number"]),
    ("emu_iavf,path=/run/x,trust=1", ["trust=1", "on or off"]),
    ("emu_iavf,path=/run/x,spoofchk=", ["spoofchk=", "on or off"]),
    ("emu_iavf,path=/run/x,vlan=4095", ["vlan=4095", "1 to 4094", "0 to 7", "802.1ad"]),
    ("emu_iavf,path=/run/x,vlan=5:8", ["vlan=5:8", "0 to 7"]),
    ("emu_iavf,path=/run/x,rate=400001", ["rate=400001", "0 (no limit) to 400000"]),
    ("emu_iavf,path=/run/x,link=enable", ["link=enable", "auto, up or down"]),
    ("emu_iavf,path=/run/x,macs=4097", ["macs=4097", "0 to 4096"]),
    ("emu_iavf,path=/run/x,mcast=all", ["mcast=all", "0 to 4096"]),
    ("emu_iavf,path=/run/x,trust=on,trust=off", ["trust", "twice"]),
    ("emu_iavf,path=/run/x,color=red", ["color", "allowed"]),
    ("emu_iavf,path=/run/x,path=/run/y", ["path", "twice"]),
    ("net_iavf_be,emu=nobody", ["emu", "nobody"]),
    ("net_iavf_be,emu=x,emu=y", ["emu", "twice"]),
    ("vfio_user_pci0", ["path"]),
    ("vfio_user_pci0,path=/run/x,path=/run/y", ["path", "twice"]),
    ("vfio_user_pci0,path=/run/x,attach_ms=0", ["attach_ms", "0", "600000"]),
    ("vfio_user_pci0,path=/run/x,timeout_ms=0", ["timeout_ms", "0", "600000"]),
])
def test_a_wrong_argument_is_named(vdev, words):
    run = subprocess.run(
        ["dpdk-testpmd", *EAL.split(), "-d", str(BUILD / "drivers"), f"--vdev={vdev}", "--",
         "--total-num-mbufs=2048"],
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    lines = (run.stdout + run.stderr).splitlines()
    assert any(all(word in line for word in words) for line in lines), lines
    assert any("probe" in line and "failed" in line for line in lines), lines
