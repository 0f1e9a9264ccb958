# SPDX-License-Identifier: BSD-3-Clause
"""A vfio-user server that says whatever a test wants, for what attaches to one."""

import socket
import struct
import threading
import time
from dataclasses import dataclass

from vfio_user import (CAP_SPARSE_MMAP, Channel, Closed, Command, Flag, Irq, Region,
                       RegionFlag, message, version)

PCI_WITH_RESET = 0x3  # flags of the device


@dataclass
class FakeRegion:
    size: int = 0
    flags: int = RegionFlag.READ | RegionFlag.WRITE
    offset: int = 0  # of the region in its file
    areas: tuple = ()  # (offset, size) of the sparse mmap capability; none without it
    fd: int = -1
    data: bytes = b""  # what REGION_READ finds, then zeroes

    def describe(self, index, argsz):
        caps, at = b"", 0
        flags = self.flags
        if self.areas:
            at, flags = 32, flags | RegionFlag.CAPS
            caps = struct.pack("<HHIII", CAP_SPARSE_MMAP, 1, 0, len(self.areas), 0)
            caps += b"".join(struct.pack("<QQ", *area) for area in self.areas)
        info = struct.pack("<IIIIQQ", 32 + len(caps), flags, index, at, self.size, self.offset)
        return info + (caps if argsz >= 32 + len(caps) else b"")


class FakeServer:
    """Serves one client after the other, each request as it comes, until closed."""

    def __init__(self, path, regions, vectors=5, delays=None, capabilities=None):
        self.regions = [regions.get(index, FakeRegion()) for index in range(Region.COUNT)]
        self.vectors = vectors
        self.capabilities = capabilities or {}
        self.delays = delays or {}  # command: seconds that its answer takes
        self.seen = []  # the commands, in order
        self.ended_ = False
        self.listener_ = socket.socket(socket.AF_UNIX)
        self.listener_.bind(str(path))
        self.listener_.listen()
        self.channel_ = None
        self.thread_ = threading.Thread(target=self.run_)
        self.thread_.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended_ = True
        for sock in (self.listener_, self.channel_ and self.channel_.socket):
            if sock:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has ended already
        self.thread_.join()
        self.listener_.close()

    def seen_dma(self):
        """Whether a client has opened memory."""
        return Command.DMA_MAP in self.seen

    def run_(self):
        while not self.ended_:
            try:
                accepted, _ = self.listener_.accept()
            except OSError:
                return
            with Channel(accepted) as self.channel_:
                accepted.settimeout(None)
                try:
                    while not self.ended_:
                        self.answer_(self.channel_.receive())
                except Closed:
                    pass

    def answer_(self, command):
        self.seen.append(Command(command.command))
        time.sleep(self.delays.get(command.command, 0))
        payload, fds = self.carry_out_(command)
        if not command.flags & Flag.NO_REPLY:
            self.channel_.send_bytes(message(command.command, payload, command.id, Flag.REPLY), fds)

    def carry_out_(self, command):
        """Payload and descriptors of the reply: all that has no answer here is a success."""
        payload = command.payload
        if command.command == Command.VERSION:
            return version({"max_msg_fds": 16} | self.capabilities), ()
        if command.command == Command.DEVICE_GET_INFO:
            return struct.pack("<IIII", 16, PCI_WITH_RESET, Region.COUNT, Irq.COUNT), ()
        if command.command == Command.DEVICE_GET_REGION_INFO:
            argsz, _, index = struct.unpack_from("<III", payload)
            region = self.regions[index]
            return region.describe(index, argsz), () if region.fd < 0 else (region.fd,)
        if command.command == Command.DEVICE_GET_IRQ_INFO:
            index, = struct.unpack_from("<8xI", payload)
            return struct.pack("<IIII", 16, 1, index, self.vectors if index == Irq.MSIX else 0), ()
        if command.command == Command.REGION_READ:
            offset, index, count = struct.unpack("<QII", payload)
            data = self.regions[index].data[offset:offset + count]
            return payload + data + bytes(count - len(data)), ()
        if command.command == Command.REGION_WRITE:
            return payload[:16], ()
        return b"", ()


def config_space(vendor=0x8086, device=0x1889):
    """The first bytes of the configuration space of a network controller without capabilities."""
    return struct.pack("<HHHHI", vendor, device, 0, 0, 0x020000 << 8)
