#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Unpacks the ELF file in a Linux kernel image for x86.

usage: unpack-kernel.py VMLINUZ VMLINUX

An emulated processor is seconds at it. QEMU boots what comes out by PVH, if the kernel was configured
for that, as Debian's are. Offsets are those of Documentation/arch/x86/boot.rst of Linux, which also
says that the size of what is unpacked stands behind it, in four bytes.
"""

import struct
import subprocess
import sys
from pathlib import Path

SETUP_SECTS, MAGIC, PAYLOAD = 0x1f1, 0x202, 0x248
TOOLS = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz", b"\x1f\x8b\x08\x00": "gzip"}


def main(image, elf):
	data = Path(image).read_bytes()
	if data[MAGIC:MAGIC + 4] != b"HdrS":
		sys.exit(f"{image} is no Linux kernel image for x86")
	begin = (1 + (data[SETUP_SECTS] or 4)) * 512
	offset, length = struct.unpack_from("<II", data, PAYLOAD)
	payload = data[begin + offset:begin + offset + length]
	if payload[:4] not in TOOLS:
		sys.exit(f"{image} is packed by none of {', '.join(TOOLS.values())}")
	with open(elf, "wb") as out:
		subprocess.run([TOOLS[payload[:4]], "-dc"], input=payload[:-4], stdout=out, check=True)
	if Path(elf).stat().st_size != struct.unpack("<I", payload[-4:])[0]:
		sys.exit(f"{image} was not unpacked whole")


if __name__ == "__main__":
	if len(sys.argv) != 3:
		sys.exit(__doc__)
	main(*sys.argv[1:])
