# SPDX-License-Identifier: BSD-3-Clause
"""usage: seeds.py FOLDER [TARGET...]

Writes the inputs that fuzzing begins with, a folder for each target: what honest peers send, in the
form that the target reads (the steps at the top of its source), made by what test/protocol builds
its messages with.
"""

import json
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "protocol"))

from vfio_user import (CAPABILITIES, Command, IrqSet, Region, dma_map, dma_unmap, get_info,
                       get_irq_info, get_region_info, get_region_io_fds, region_read, region_write,
                       set_irqs, version, write_multi)

PAGE = 4096


# What the version target reads: the text.

def version_seeds():
    full = CAPABILITIES | {"twin_socket": {"supported": True, "fd_index": 0}, "mapped_bars": True}
    yield json.dumps({"capabilities": full}).encode()
    yield json.dumps({"capabilities": {}, "more": [1, None, "\u00e9"]}).encode()
    for name, value in full.items():
        yield json.dumps({"capabilities": {name: value}}).encode()
        yield json.dumps({"capabilities": {name: [value]}}).encode()
        yield json.dumps({"capabilities": {name: -1}}).encode()
    yield b"[" * 3000


# What the server target reads: server.cpp, enum step.

RAW, MESSAGE, TRUNCATE, DEVICE_READS, DEVICE_WRITES, DEVICE_FIRES, ANSWER, TWIN, PAUSE = range(9)
NO_FD, ONE_FD = 0, 1
MEMORY, OTHER_MEMORY, READ_ONLY, TRUNCATED, EVENT = range(5)
INFO = (Command.DEVICE_GET_INFO, get_info())


def fds(count_code, kind=MEMORY):
    return count_code | kind << 3


def step(command, payload=b"", descriptors=NO_FD, flags=0, msg_id=1):
    return struct.pack("<BBBBBH", MESSAGE, msg_id, command, flags, descriptors,
                       len(payload)) + payload


def hello(**more):
    return step(Command.VERSION, version(CAPABILITIES | more))


def map_file(page, pages, kind=MEMORY):
    return step(Command.DMA_MAP, dma_map(page * PAGE, pages * PAGE), fds(ONE_FD, kind))


def without_file(page, pages):
    return step(Command.DMA_MAP, dma_map(page * PAGE, pages * PAGE))


def access(kind, page, count):
    return struct.pack("<BHH", kind, page * 8, count)


def server_seeds():
    twin = {"twin_socket": {"supported": True}}
    for device in (b"\0", b"\1"):
        yield device + hello()
        yield device + hello(mapped_bars=True) + b"".join(
            step(Command.DEVICE_GET_REGION_INFO, get_region_info(n, 256)) for n in range(9))
        yield device + hello() + step(*INFO) + b"".join(
            step(Command.DEVICE_GET_IRQ_INFO, get_irq_info(n)) for n in range(6))
        yield device + hello() + step(Command.DEVICE_GET_REGION_IO_FDS,
                                      get_region_io_fds(0, 1024, count=8))
        yield device + hello() + map_file(0, 4) + map_file(8, 4, OTHER_MEMORY) + \
            access(DEVICE_READS, 1, 64) + access(DEVICE_WRITES, 8, PAGE) + \
            step(Command.DMA_UNMAP, dma_unmap(0, 4 * PAGE), ONE_FD) + \
            step(Command.DMA_UNMAP, dma_unmap(0, 0, 2))
        yield device + hello() + map_file(0, 16, TRUNCATED) + bytes((TRUNCATE, 1)) + \
            access(DEVICE_READS, 3, 64) + bytes((PAUSE,))
        yield device + hello() + without_file(0, 16) + access(DEVICE_READS, 0, 8) + \
            struct.pack("<BBBBBHQQQB", ANSWER, 0, Command.DMA_READ, 0, 0, 24, 0, 8, 7, 0) + \
            access(DEVICE_WRITES, 0, 8) + \
            struct.pack("<BBBBBHQQB", ANSWER, 1, Command.DMA_WRITE, 0, 0, 16, 0, 8, 0)
        yield device + hello(**twin) + without_file(0, 16) + access(DEVICE_READS, 0, 8) + \
            bytes((PAUSE, TWIN, 40)) + struct.pack("<HHIIIQQQ", 0, Command.DMA_READ, 40, 1, 0, 0,
                                                   8, 5)
        yield device + hello() + b"".join(
            step(Command.REGION_READ, region_read(n, 4, 4)) +
            step(Command.REGION_WRITE, region_write(n, 8, b"1234")) for n in (0, 1, Region.CONFIG))
        yield device + hello() + step(Command.REGION_WRITE_MULTI, write_multi(
            [(0, 4 * n, b"abcd") for n in range(8)]), flags=0x10)
        for kind in (IrqSet.EVENTFD, IrqSet.BOOL, IrqSet.NONE):
            for action in (IrqSet.TRIGGER, IrqSet.MASK, IrqSet.UNMASK):
                yield device + hello() + step(
                    Command.DEVICE_SET_IRQS,
                    set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, 2), fds(ONE_FD, EVENT)) + step(
                    Command.DEVICE_SET_IRQS,
                    set_irqs(kind | action, 0 if action != IrqSet.TRIGGER else 2,
                             data=b"\1" if kind == IrqSet.BOOL else b""),
                    fds(ONE_FD if kind == IrqSet.EVENTFD else NO_FD, EVENT)) + \
                    bytes((DEVICE_FIRES, 2, 0))
        yield device + hello() + step(Command.DEVICE_RESET) + \
            step(Command.DEVICE_FEATURE, bytes(8))
        yield device + bytes((RAW, NO_FD, 5)) + b"\1\0\1\0\x20" + bytes((PAUSE,))


def targets():
    return [name.removesuffix("_seeds") for name in globals() if name.endswith("_seeds")]


def main(folder, *names):
    for target in names or targets():
        into = Path(folder) / target
        into.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(globals()[f"{target}_seeds"]()):
            (into / f"seed-{number}").write_bytes(seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
