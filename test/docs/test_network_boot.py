# SPDX-License-Identifier: BSD-3-Clause
"""Machines without a disk: one boots Linux from the network through iPXE, as the guide says, others from the
option ROM of the NIC that comes first."""

import contextlib
import json
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "guest"))

from documents import ROOT, Testpmd, block, command, start, wait_for  # noqa: E402
from guest import KERNEL, images  # noqa: E402
from stock import execute  # noqa: E402

GUIDE = "doc/guides/howto/network_boot.rst"


def test_boot_through_ipxe(place, tmp_path):
    """Up to where Linux has found its initrd, which is a small one here: to load takes its time."""
    ipxe = Path(execute(str(ROOT / "devtools" / "get-ipxe.sh")).split()[-1]) / "ipxe.lkrn"
    console = tmp_path / "console"
    with contextlib.ExitStack() as cleanup:
        host = Testpmd(place, command(GUIDE, "dpdk-testpmd"))
        cleanup.callback(host.close)
        place.run(block(GUIDE, "ip address add"))
        (tmp_path / "boot.ipxe").write_text(block(GUIDE, "#!ipxe") + "\n")
        (tmp_path / "initrd").write_bytes(bytes(4096))
        place.run(f"mount -t tmpfs tmpfs /srv && mkdir /srv/tftp && "
                  f"cp {tmp_path}/boot.ipxe {tmp_path}/initrd {images()}/{KERNEL}/vmlinuz /srv/tftp/")
        cleanup.callback(place.run, "umount -l /srv")
        start(cleanup, place, command(GUIDE, "dnsmasq"), tmp_path / "dnsmasq.log")
        qemu = command(GUIDE, "qemu-system-x86_64")
        start(cleanup, place, qemu.replace("qemu-system-x86_64", f"{images()}/qemu-system-x86_64")
              .replace("ipxe.lkrn", str(ipxe)), console)
        wait_for(lambda: b"RAMDISK: [mem" in console.read_bytes(), "Linux from the network", 120)


def option_rom(text, size):
    """Of a BIOS machine, which takes it for its checksum: says a text at the first serial port when it is
    booted from."""
    code, message = 0x60, 0x80
    rom = bytearray(random.Random(text).randbytes(size))
    rom[0:4] = 0x55, 0xaa, len(rom) // 512, 0xcb  # Initialisation returns at once.
    struct.pack_into("<HH", rom, 0x18, 0x1c, 0x40)
    rom[0x1c:0x34] = struct.pack("<4sHHHHB3sHHBBH", b"PCIR", 0x8086, 0x1889, 0, 24, 0, b"\0\0\2", len(rom) // 512, 1,
                                 0, 0x80, 0)
    rom[0x40:0x60] = struct.pack("<4sBBHBBIHH3sBHHHHH", b"$PnP", 1, 2, 0, 0, 0, 0, 0, message, b"\2\0\0", 0x14, 0, 0,
                                 code, 0, 0)
    rom[code:code + 20] = bytes.fromhex(
        "0e 1f"              # push cs; pop ds
        f"be {message:02x} 00"  # mov si, message
        "ac 84c0 7406"       # next: lodsb; test al, al; jz end
        "baf803 ee ebf5"     # mov dx, 3f8; out dx, al; jmp next
        "fa f4 ebfd")        # end: cli; hlt; jmp hlt
    data = f"booted from {text}\n\0".encode()
    rom[message:message + len(data)] = data
    rom[-1] = -sum(rom[:-1]) & 0xff
    return bytes(rom)


@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")], ids="-".join)
def test_option_rom(place, tmp_path, order):
    """The firmware boots from the one of two NICs that comes first by its bootindex. One ROM is small, the
    other as long as one may be for a BIOS."""
    with contextlib.ExitStack() as cleanup:
        vdevs, devices = [], []
        for number, (name, size) in enumerate({"first": 2048, "second": 120 << 10}.items()):
            (tmp_path / f"{name}.rom").write_bytes(option_rom(name, size))
            vdevs.append(f"--vdev=emu_iavf{number},path=/run/{name}.sock,rom={tmp_path}/{name}.rom")
            devices += ["-device", "'" + json.dumps({
                "driver": "vfio-user-pci", "bootindex": order.index(name),
                "socket": {"type": "unix", "path": f"/run/{name}.sock"}}) + "'"]
        host = Testpmd(place, f"dpdk-testpmd -l 0-1 --in-memory -m 64 --no-pci {' '.join(vdevs)} -- -i "
                       "--total-num-mbufs=4096")
        cleanup.callback(host.close)
        console = tmp_path / "console"
        machine = subprocess.Popen(place.enter(
            f"exec {images()}/qemu-system-x86_64 -no-user-config -nodefaults -display none -accel tcg -m 64 "
            "-M q35,memory-backend=ram -object memory-backend-memfd,id=ram,size=64M,share=on "
            f"-serial file:{console} {' '.join(devices)}"), stdin=subprocess.DEVNULL)
        cleanup.callback(machine.wait)
        cleanup.callback(machine.kill)
        wait_for(lambda: console.exists() and b"booted from" in console.read_bytes() and
                 console.read_bytes().endswith(b"\n"), "boot from an option ROM", 60)
        assert console.read_text() == f"booted from {order[0]}\n"
