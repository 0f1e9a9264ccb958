# SPDX-License-Identifier: BSD-3-Clause
"""Where a document shows a command, a test runs it; what no test runs is listed here, with the reason."""

import re

import pytest

from documents import ROOT, blocks, documents

COMMAND = re.compile(r"(\w+=\S+ )*(dpdk-|--> /|qemu-|devtools/|build\S*/|ovs-|ip |ping |modprobe [\w-]{3,}|echo |cc |gcc |ninja |"
                     r"meson |mount |apt |apt-get |virsh |git |dnsmasq |python3 |doxygen |sphinx-)")

# Block: document and how it begins; and the test that runs it to the letter.
TWO, MACHINE = "test/docs/test_two_processes.py", "test/docs/test_virtual_machine.py"
BOOT = "test/docs/test_network_boot.py"
FOLLOWED = {
    ("README.md", "dpdk-testpmd -l 0-1"): MACHINE,
    ("README.md", "ip address add 192.0.2.1"): MACHINE,
    ("README.md", "qemu-system-x86_64"): MACHINE,
    ("README.md", "ip address add 192.0.2.2"): MACHINE,
    ("README.md", "dpdk-testpmd --lcores 0@0"): TWO,
    ("README.md", "dpdk-vfio-user-info"): TWO,
    ("README.md", "dpdk-testpmd --lcores 0@1"): TWO,
    ("doc/guides/howto/two_processes.rst", "dpdk-testpmd --lcores 0@0"): TWO,
    ("doc/guides/howto/two_processes.rst", "dpdk-vfio-user-info"): TWO,
    ("doc/guides/howto/two_processes.rst", "dpdk-testpmd --lcores 0@1"): TWO,
    ("doc/guides/howto/virtual_machine.rst", "dpdk-testpmd -l 0-1 --in-memory --no-pci"): MACHINE,
    ("doc/guides/howto/virtual_machine.rst", "ip address add 192.0.2.1"): MACHINE,
    ("doc/guides/howto/virtual_machine.rst", "qemu-system-x86_64"): MACHINE,
    ("doc/guides/howto/virtual_machine.rst", "ip address add 192.0.2.2"): MACHINE,
    ("doc/guides/howto/look_inside.rst", "dpdk-testpmd --log-level"): "test/docs/test_look_inside.py",
    ("doc/guides/emudevs/iavf.rst", "dpdk-telemetry.py"): "test/docs/test_look_inside.py",
    ("doc/guides/howto/virtual_machine.rst", "--> /emu_iavf/set"): "test/docs/test_look_inside.py",
    ("doc/guides/howto/troubleshooting.rst", "--> /"): "test/dpdk/test_pair_troubleshooting.py",
    ("doc/guides/howto/prometheus.rst", "dpdk-telemetry-exporter.py"): "test/docs/test_prometheus.py",
    ("doc/guides/howto/network_boot.rst", "dpdk-testpmd"): BOOT,
    ("doc/guides/howto/network_boot.rst", "ip address add"): BOOT,
    ("doc/guides/howto/network_boot.rst", "dnsmasq"): BOOT,
    ("doc/guides/howto/network_boot.rst", "qemu-system-x86_64"): BOOT,
}
# A test does the same in words of its own: other folders, other numbers, more steps between.
REWORDED = {
    ("doc/guides/howto/virtual_machine.rst", "modprobe vfio_iommu_type1"): "test/guest/test_dpdk_in_guest.py",
    ("doc/guides/howto/open_vswitch.rst", "ovs-vsctl"): "test/ovs/test_ovs.py",
    ("doc/guides/prog_guide/vfio_user_lib.rst", "cc "): "test/install/test_install.py",
    ("doc/guides/nics/iavf_be.rst", "dpdk-proc-info"): "test/dpdk/test_pair_processes.py",
    ("doc/guides/howto/packages.rst", "dpdk-testpmd -l 0-1"): "test/install/test_install.py",
    ("doc/guides/howto/libvirt.rst", "dpdk-testpmd -l 0-1"): "test/guest/test_libvirt.py",
    ("doc/guides/howto/libvirt.rst", "virsh qemu-monitor-command"): "test/guest/test_boot.py",
    ("doc/guides/howto/look_inside.rst", "dpdk-testpmd --trace"): "test/dpdk/test_pair_top.py",
}
EXCUSED = {
    ("README.md", "devtools/demo.sh"): "the one is how all tests are run, and the other tests less than they do",
    ("doc/guides/howto/fuzzing.rst", "devtools/fuzz.sh"): "minutes to hours; the stage fuzz runs the script for 3 s",
    ("doc/guides/howto/fuzzing.rst", "build-fuzz"): "only where something was found; the script runs the same program",
}
ALL = [*FOLLOWED, *REWORDED, *EXCUSED]


def command_blocks():
    for document in documents():
        for one in blocks(document):
            if any(COMMAND.match(line.strip()) for line in one.splitlines()):
                yield document, one


def listed(document, text, rows):
    return [row for row in rows if row[0] == document and text.startswith(row[1])]


@pytest.mark.parametrize("document", documents())
def test_each_command_is_run_or_excused(document):
    unknown = [text for where, text in command_blocks()
               if where == document and len(listed(where, text, ALL)) != 1]
    assert not unknown, "not in the tables of test/docs/test_documents.py, or twice"


def test_tables_have_nothing_else():
    found = list(command_blocks())
    idle = [row for row in ALL if not any(listed(*block, [row]) for block in found)]
    assert not idle, "no such block any more"
    missing = [test for test in (FOLLOWED | REWORDED).values() if not (ROOT / test).exists()]
    assert not missing


def script_options(script):
    """All options that a script and the program behind it know."""
    text = (ROOT / script).read_text(encoding="utf-8")
    for program in re.findall(r"(\w+\.py)", text):
        for path in (ROOT / "test").rglob(program):
            text += path.read_text(encoding="utf-8")
    return set(re.findall(r"--[a-z][\w-]*", text))


def test_scripts_exist_and_know_their_options():
    """Also where a command stands in a sentence."""
    wrong = []
    for document in documents():
        text = (ROOT / document).read_text(encoding="utf-8")
        for script, rest in re.findall(r"\b(devtools/[\w-]+\.(?:sh|py))((?: [^`\n#)]+)?)", text):
            if not (ROOT / script).exists():
                wrong.append(f"{document}: {script}")
                continue
            unknown = set(re.findall(r"(?<!\S)--[a-z][\w-]*", rest)) - script_options(script)
            wrong += [f"{document}: {script} {option}" for option in unknown]
    assert not wrong
