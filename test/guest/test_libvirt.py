# SPDX-License-Identifier: BSD-3-Clause
"""The domain of the how-to on libvirt: its schema takes it, and libvirt starts a QEMU of another user
by it, which finds the device. Neither a daemon nor root's rights are needed."""

import json
import re
import shutil
import subprocess
import textwrap
import xml.etree.ElementTree as etree

import pytest

import guest as guests
from stock import ROOT, execute

GUIDE = ROOT / "doc/guides/howto/libvirt.rst"
USER, GROUP = "nobody", "nogroup"
DEVARGS = f",mode=660,group={GROUP}"
NAME = "guest0"
MODULES = "/usr/lib/x86_64-linux-gnu/qemu"  # Of the QEMU that is installed, if there is one.
# What a user may reach: the programs, the socket's folder, huge pages. All of it goes with the shell.
SHELL = """
set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/images /mnt/host /mnt/home /mnt/huge
mount --bind "$1" /mnt/images
mount --bind "$2" /mnt/host
mount --bind "$3" /mnt/home
mount -t hugetlbfs -o mode=1777 hugetlbfs /mnt/huge
# Our QEMU would try these of another one, and die of them when libvirt asks for all types.
[ ! -d {modules} ] || mount -t tmpfs tmpfs {modules}
cd /mnt
exec setpriv --pdeathsig KILL --reuid={user} --regid={group} --clear-groups \\
	env HOME=/mnt/home XDG_RUNTIME_DIR=/mnt/home \\
	virsh --quiet --connect "qemu:///embed?root=/mnt/home"
"""


def documented():
	"""The domain as it stands in the guide."""
	block = re.search(r"code-block:: xml\n\n((?: {3}.*\n|\n)+)", GUIDE.read_text())[1]
	return textwrap.dedent(block)


def here(domain, socket):
	"""The domain with the places of this machine, and without what it may lack."""
	root = etree.fromstring(domain.replace("/run/emudev/nic0.sock", f"/mnt/host/{socket.name}"))
	root.set("type", "qemu")
	root.find("memory").text, root.find("memory").attrib["unit"] = "512", "MiB"
	root.remove(root.find("cpu"))
	root.find("devices/emulator").text = "/mnt/images/qemu-system-x86_64"
	return root


def bootable(root):
	"""A kernel instead of a disk, and ordinary pages."""
	memory, devices = root.find("memoryBacking"), root.find("devices")
	memory.remove(memory.find("hugepages"))
	devices.remove(devices.find("disk"))
	for name, value in (("kernel", f"/mnt/images/{guests.KERNEL}/vmlinuz"),
			("initrd", f"/mnt/images/{guests.KERNEL}/initrd")):
		etree.SubElement(root.find("os"), name).text = value
	return root


@pytest.fixture(name="virsh")
def fixture_virsh(testpmd, tmp_path_factory):
	"""Runs commands of virsh by a user's own libvirt; returns what they say."""
	if not shutil.which("virsh"):
		pytest.skip("libvirt-clients is not installed")
	home = tmp_path_factory.mktemp("libvirt")
	(home / "etc").mkdir()
	(home / "etc/qemu.conf").write_text('hugetlbfs_mount = "/mnt/huge"\n')
	shutil.chown(home, USER, GROUP)
	testpmd.socket.parent.chmod(0o711)

	def run(domain, *commands):
		(home / "domain.xml").write_text(etree.tostring(domain, encoding="unicode"))
		done = subprocess.run(["unshare", "--mount", "sh", "-c",
			SHELL.format(user=USER, group=GROUP, modules=MODULES), "sh", str(guests.images()),
			str(testpmd.socket.parent), str(home)], input="\n".join(commands) + "\n",
			capture_output=True, text=True, timeout=90)
		return done.stdout + done.stderr
	return run


def test_the_schema_takes_the_domain(tmp_path):
	if not shutil.which("virt-xml-validate"):
		pytest.skip("libvirt-clients is not installed")
	(tmp_path / "domain.xml").write_text(documented())
	execute("virt-xml-validate", str(tmp_path / "domain.xml"), "domain")


def test_libvirt_makes_a_command_line_of_the_domain(virsh, testpmd):
	said = virsh(here(documented(), testpmd.socket),
		"domxml-to-native qemu-argv --xml /mnt/home/domain.xml")
	for words in ('"share":true', '"hugetlb":true', "-machine pc-q35",
			"pcie-root-port,id=emudev.0", '"driver":"vfio-user-pci"', "/mnt/host/nic0.sock"):
		assert words in said, (words, said)


def test_a_domain_of_another_user_has_the_nic(virsh, testpmd):
	"""QEMU starts with libvirt's own sandbox. The device is behind the root port that was named;
	QEMU is asked for its objects, for "query-pci" waits for the firmware."""
	def ask(what):
		path = {"path": "/machine/peripheral/nic0", "property": what}
		request = json.dumps({"execute": "qom-get", "arguments": path})
		return f"qemu-monitor-command {NAME} '{request}'"
	said = virsh(bootable(here(documented(), testpmd.socket)), "create /mnt/home/domain.xml",
		*map(ask, ("type", "realized", "parent_bus")), f"destroy {NAME}")
	answers = [json.loads(line)["return"] for line in re.findall(r'^\{"return".*$', said, re.M)]
	assert answers == ["vfio-user-pci", True, "/machine/peripheral/emudev.0/emudev.0"], said
