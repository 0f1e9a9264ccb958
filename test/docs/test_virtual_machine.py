# SPDX-License-Identifier: BSD-3-Clause
"""The virtual machine of the documents: what they say for host, QEMU and guest, and the guest is answered."""

import contextlib
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "guest"))

from documents import README, Testpmd, block, command  # noqa: E402
from guest import KERNEL, Guest, images  # noqa: E402

GUIDE = "doc/guides/howto/virtual_machine.rst"


class DocumentedGuest(Guest):
    """Its command line is that of the documents, but that there need not be a KVM, and that its disk is
    the kernel and initrd of the tests."""

    def __init__(self, place, folder, text):
        self.place_ = place
        self.text_ = text
        super().__init__(folder, None)

    def command_line_(self, folder, *_):
        serial = [f"-chardev file,id=console,path={self.folder}/console.log",
                  f"-chardev socket,id=agent,path={self.folder}/agent.sock,server=on,wait=off",
                  "-serial chardev:console -serial chardev:agent",
                  f"-qmp unix:{self.folder}/qmp.sock,server=on,wait=off"]
        changes = {
            "qemu-system-x86_64": str(folder / "qemu-system-x86_64"),
            "-accel kvm -cpu host": "-accel tcg,thread=multi -cpu max",
            "disk.qcow2": " ".join([f"-kernel {folder}/{KERNEL}/vmlinuz -initrd {folder}/{KERNEL}/initrd",
                                    "-append console=ttyS0 -display none", *serial]),
        }
        text = self.text_
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        return self.place_.enter(f"exec {text}")


def documented(begin, take=command):
    text = take(README, begin)
    assert text == take(GUIDE, begin), "README and guide differ"
    return text


def test_ping(place):
    with contextlib.ExitStack() as cleanup:
        host = Testpmd(place, documented("dpdk-testpmd -l 0-1"))
        cleanup.callback(host.close)
        place.run(documented("ip address add 192.0.2.1/24", block))
        folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="emudev-"))
        guest = DocumentedGuest(place, folder, documented("qemu-system-x86_64"))
        cleanup.callback(guest.close)
        guest.check("modprobe iavf")
        guest.await_interface()
        assert "driver: iavf" in guest.check("ethtool -i eth0")
        *set_up, ping = documented("ip address add 192.0.2.2/24", block).splitlines()
        for line in set_up:
            guest.check(line)
        guest.await_link()
        assert "3 packets received" in guest.check(ping)
