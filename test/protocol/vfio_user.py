# SPDX-License-Identifier: BSD-3-Clause
"""A raw-byte vfio-user client for tests.

Builds every message by hand, so that a test can also send what no client should. The protocol is
specified in QEMU's docs/interop/vfio-user.rst; names below are those of the specification.
"""

import array
import errno
import json
import mmap
import os
import select
import socket
import struct
import time
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

TIMEOUT = 5.0  # seconds; a limit on hangs, not a claim about speed
PAGE = 4096
MEMORY_NAME = "emudev-test"  # of our memfds; server.py looks for it in /proc/PID/maps


class Command(IntEnum):
    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    DEVICE_GET_INFO = 4
    DEVICE_GET_REGION_INFO = 5
    DEVICE_GET_REGION_IO_FDS = 6
    DEVICE_GET_IRQ_INFO = 7
    DEVICE_SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DMA_READ = 11
    DMA_WRITE = 12
    DEVICE_RESET = 13
    REGION_WRITE_MULTI = 15
    DEVICE_FEATURE = 16
    MIG_DATA_READ = 17
    MIG_DATA_WRITE = 18


class Flag(IntFlag):
    COMMAND = 0x0
    REPLY = 0x1
    TYPE = 0xF
    NO_REPLY = 0x10
    ERROR = 0x20


class Region(IntEnum):
    BAR0 = 0
    BAR3 = 3
    ROM = 6
    CONFIG = 7
    COUNT = 9


class RegionFlag(IntFlag):
    READ = 0x1
    WRITE = 0x2
    MMAP = 0x4
    CAPS = 0x8


class Irq(IntEnum):
    INTX = 0
    MSI = 1
    MSIX = 2
    ERR = 3
    REQ = 4
    COUNT = 5


class IrqSet(IntFlag):
    NONE = 0x1
    BOOL = 0x2
    EVENTFD = 0x4
    MASK = 0x8
    UNMASK = 0x10
    TRIGGER = 0x20


class DmaFlag(IntFlag):
    READ = 0x1
    WRITE = 0x2
    RW = 0x3


CAP_SPARSE_MMAP = 1
CAPABILITIES = {  # what QEMU 10.1 and later propose
    "max_msg_fds": 16,
    "max_data_xfer_size": 1 << 20,
    "max_dma_maps": 65535,
    "pgsizes": PAGE,
    "write_multiple": True,
}

HEADER = struct.Struct("<HHIII")  # message id, command, size, flags, error


class Closed(Exception):
    """The server has closed the connection."""


class ReplyError(Exception):
    """The server answered with an error."""

    def __init__(self, command, code):
        super().__init__(f"{command!r}: {errno.errorcode.get(code, code)}")
        self.code = code


@dataclass
class Message:
    id: int
    command: int
    flags: int
    error: int
    payload: bytes
    fds: list = field(default_factory=list)

    @property
    def is_reply(self):
        return self.flags & Flag.TYPE == Flag.REPLY

    @property
    def failed(self):
        return bool(self.flags & Flag.ERROR)

    def close_fds(self):
        while self.fds:
            os.close(self.fds.pop())


def message(command, payload=b"", msg_id=1, flags=0, size=None, error=0):
    """The bytes of a message; size overrides the true one."""
    size = HEADER.size + len(payload) if size is None else size
    return HEADER.pack(msg_id, command, size, flags, error) + payload


# Payloads of the commands. All arguments can be given wrong values.

def version(capabilities=CAPABILITIES, major=0, minor=1):
    text = b"" if capabilities is None else \
        json.dumps({"capabilities": capabilities}).encode() + b"\0"
    return struct.pack("<HH", major, minor) + text


def dma_map(address, size, offset=0, flags=DmaFlag.RW, argsz=32):
    return struct.pack("<IIQQQ", argsz, flags, offset, address, size)


def dma_unmap(address, size, flags=0, argsz=24):
    return struct.pack("<IIQQ", argsz, flags, address, size)


def get_info(argsz=16, flags=0):
    return struct.pack("<IIII", argsz, flags, 0, 0)


def get_region_info(index, argsz=32):
    return struct.pack("<IIIIQQ", argsz, 0, index, 0, 0, 0)


def get_region_io_fds(index, argsz=16, flags=0, count=0):
    return struct.pack("<IIII", argsz, flags, index, count)


def get_irq_info(index, argsz=16):
    return struct.pack("<IIII", argsz, 0, index, 0)


def set_irqs(flags, index=Irq.MSIX, start=0, count=1, data=b"", argsz=None):
    argsz = 20 + len(data) if argsz is None else argsz
    return struct.pack("<IIIII", argsz, flags, index, start, count) + data


def region_read(region, offset, count):
    return struct.pack("<QII", offset, region, count)


def region_write(region, offset, data, count=None):
    return struct.pack("<QII", offset, region, len(data) if count is None else count) + data


def write_multi(writes, count=None):
    """writes: (region, offset, data up to 8 bytes[, count]) each."""
    entries = b""
    for region, offset, data, *override in writes:
        entries += struct.pack("<QII8s", offset, region, override[0] if override else len(data),
                               data)
    return struct.pack("<Q", len(writes) if count is None else count) + entries


@dataclass
class RegionInfo:
    argsz: int
    flags: int
    size: int
    offset: int
    fds: list
    areas: list  # (offset, size) of the sparse mmap capability; None without it


class Channel:
    """A socket that carries messages. A with block closes it and every descriptor it received."""

    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(TIMEOUT)
        self.next_id = 1
        self.on_command = None  # called with the channel and each command of the server
        self.received_fds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        for fd in self.received_fds:
            os.close(fd)
        self.received_fds = []

    # Bytes

    def send_bytes(self, data, fds=()):
        try:
            if fds:
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                data = data[self.socket.sendmsg([data], ancillary):]
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive_bytes(self, count):
        data, fds = b"", []
        while len(data) < count:
            try:
                part, ancillary, _, _ = self.socket.recvmsg(
                    count - len(data), socket.CMSG_SPACE(16 * 4))
            except ConnectionResetError as error:
                raise Closed from error
            for level, kind, raw in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds += array.array("i", raw[:len(raw) - len(raw) % 4])
            if not part:
                raise Closed
            data += part
        self.received_fds += fds
        return data, fds

    def is_closed(self):
        """Whether the server closes the connection within the time limit; skips what it sends."""
        try:
            while self.socket.recv(65536):
                pass
            return True
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False

    # Messages

    def send(self, command, payload=b"", fds=(), **overrides):
        msg_id = overrides.setdefault("msg_id", self.next_id)
        self.next_id = self.next_id % 0xFFFF + 1
        self.send_bytes(message(command, payload, **overrides), fds)
        return msg_id

    def receive(self):
        header, fds = self.receive_bytes(HEADER.size)
        msg_id, command, size, flags, error = HEADER.unpack(header)
        assert size >= HEADER.size, f"server sent a message of size {size}"
        payload, more = self.receive_bytes(size - HEADER.size)
        return Message(msg_id, command, flags, error, payload, fds + more)

    def receive_reply(self):
        """The next reply; commands of the server on the way go to on_command."""
        while True:
            reply = self.receive()
            if reply.is_reply:
                return reply
            self.handle(reply)

    def handle(self, command):
        assert self.on_command, f"unexpected command {command.command} from the server"
        self.on_command(self, command)

    def pump(self):
        """Handles the commands of the server that have arrived."""
        while select.select([self.socket], [], [], 0)[0]:
            self.handle(self.receive())


class Client(Channel):
    """A connection to a device, with a method for each command."""

    def __init__(self, path, negotiate=True, capabilities=CAPABILITIES, minor=1):
        super().__init__(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        self.capabilities = {}
        self.twin = None  # channel of the server's commands, if negotiated
        try:
            self.socket.connect(path)
            if negotiate:
                self.negotiate(capabilities, minor)
        except BaseException:
            self.close()
            raise

    def close(self):
        super().close()
        if self.twin:
            self.twin.close()

    def exchange(self, command, payload=b"", fds=(), **overrides):
        """Sends a command and returns its reply, error or not."""
        msg_id = self.send(command, payload, fds, **overrides)
        reply = self.receive_reply()
        assert (reply.id, reply.command) == (msg_id, command)
        if reply.failed:
            assert reply.payload == b"", "an error reply is only a header"
        return reply

    def call(self, command, payload=b"", fds=(), **overrides):
        """Sends a command that must succeed; returns the payload of the reply."""
        reply = self.exchange(command, payload, fds, **overrides)
        if reply.failed:
            raise ReplyError(Command(command), reply.error)
        return reply.payload

    # Commands

    def negotiate(self, capabilities=CAPABILITIES, minor=1):
        reply = self.exchange(Command.VERSION, version(capabilities, minor=minor))
        if reply.failed:
            raise ReplyError(Command.VERSION, reply.error)
        text = reply.payload[4:].rstrip(b"\0")
        self.capabilities = json.loads(text).get("capabilities", {}) if text else {}
        twin = self.capabilities.get("twin_socket", {})
        if twin.get("supported"):
            self.twin = Channel(socket.socket(fileno=os.dup(reply.fds[twin["fd_index"]])))
        return reply

    def device_info(self):
        """flags, number of regions, number of interrupt types"""
        return struct.unpack("<IIII", self.call(Command.DEVICE_GET_INFO, get_info()))[1:]

    def region_info(self, index, argsz=4096):
        reply = self.exchange(Command.DEVICE_GET_REGION_INFO, get_region_info(index, argsz))
        if reply.failed:
            raise ReplyError(Command.DEVICE_GET_REGION_INFO, reply.error)
        needed, flags, region, cap, size, offset = struct.unpack_from("<IIIIQQ", reply.payload)
        assert region == index
        areas = None
        while cap and flags & RegionFlag.CAPS and argsz >= needed:
            cap_id, _, next_cap = struct.unpack_from("<HHI", reply.payload, cap)
            if cap_id == CAP_SPARSE_MMAP:
                count, = struct.unpack_from("<I", reply.payload, cap + 8)
                areas = [struct.unpack_from("<QQ", reply.payload, cap + 16 + 16 * i)
                         for i in range(count)]
            assert next_cap == 0 or next_cap > cap
            cap = next_cap
        return RegionInfo(needed, flags, size, offset, reply.fds, areas)

    def irq_info(self, index):
        """flags and number of vectors"""
        _, flags, _, count = struct.unpack(
            "<IIII", self.call(Command.DEVICE_GET_IRQ_INFO, get_irq_info(index)))
        return flags, count

    def read_region(self, region, offset, count):
        reply = self.call(Command.REGION_READ, region_read(region, offset, count))
        assert reply[:16] == region_read(region, offset, count)
        assert len(reply) == 16 + count
        return reply[16:]

    def write_region(self, region, offset, data):
        self.call(Command.REGION_WRITE, region_write(region, offset, data))

    def map_dma(self, address, size, fd=None, offset=0, flags=DmaFlag.RW):
        self.call(Command.DMA_MAP, dma_map(address, size, offset, flags),
                  () if fd is None else (fd,))

    def unmap_dma(self, address, size):
        self.call(Command.DMA_UNMAP, dma_unmap(address, size))

    def reset(self):
        self.call(Command.DEVICE_RESET)


def connect(path, **options):
    """A client, once the server has taken leave of the one before."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return Client(path, **options)
        except (Closed, ConnectionRefusedError, FileNotFoundError, BlockingIOError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)


class DmaMemory:
    """Guest memory: a memfd with an allocator, to be mapped at an I/O virtual address."""

    def __init__(self, size=4 << 20, iova=0x1000_0000, flags=0):
        self.fd = os.memfd_create(MEMORY_NAME, flags | os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self.size, self.iova = size, iova
        self.map = mmap.mmap(self.fd, size)
        self.used = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.map.close()
        os.close(self.fd)

    def share(self, client, flags=DmaFlag.RW, with_fd=True):
        client.map_dma(self.iova, self.size, self.fd if with_fd else None, flags=flags)
        if not with_fd:
            (client.twin or client).on_command = self.serve

    def serve(self, channel, command):
        """Answers DMA_READ and DMA_WRITE for memory that was mapped without a descriptor."""
        iova, count = struct.unpack_from("<QQ", command.payload)
        assert self.iova <= iova and iova + count <= self.iova + self.size
        payload = command.payload[:16]
        if command.command == Command.DMA_READ:
            payload += self.read(iova, count)
        else:
            assert command.command == Command.DMA_WRITE and len(command.payload) == 16 + count
            self.write(iova, command.payload[16:])
        channel.send_bytes(message(command.command, payload, command.id, Flag.REPLY))

    def alloc(self, size, align=PAGE):
        start = (self.used + align - 1) // align * align
        assert start + size <= self.size, "test memory is full"
        self.used = start + size
        return self.iova + start

    def read(self, iova, size):
        offset = iova - self.iova
        return self.map[offset:offset + size]

    def write(self, iova, data):
        offset = iova - self.iova
        self.map[offset:offset + len(data)] = data

    def unpack(self, fmt, iova):
        return struct.unpack(fmt, self.read(iova, struct.calcsize(fmt)))

    def pack(self, fmt, iova, *values):
        self.write(iova, struct.pack(fmt, *values))


class PagedMemory(DmaMemory):
    """Likewise, mapped page by page, each elsewhere: what a kernel makes behind a virtual IOMMU.

    One piece in I/O addresses, many in the file. As many spare pages follow in the file.
    """

    def __init__(self, size=4 << 20, flags=0):
        super().__init__(2 * size, flags=flags)
        self.size = size
        self.places = [page ^ 1 for page in range(size // PAGE)]  # by page of the I/O addresses

    def share(self, client):
        for page in range(len(self.places)):
            self.map_page(client, page)

    def map_page(self, client, page):
        client.map_dma(self.iova + page * PAGE, PAGE, self.fd, self.places[page] * PAGE)

    def unmap_page(self, client, page):
        client.unmap_dma(self.iova + page * PAGE, PAGE)

    def move_page(self, client, page):
        """To the spare page of its own, or back from there."""
        content = self.read(self.iova + page * PAGE, PAGE)
        self.unmap_page(client, page)
        self.places[page] = (self.places[page] + len(self.places)) % (2 * len(self.places))
        self.write(self.iova + page * PAGE, content)
        self.map_page(client, page)

    def pieces(self, iova, size):
        """Where a range is in the file: offset and length of each piece."""
        start = iova - self.iova
        while size:
            piece = min(size, PAGE - start % PAGE)
            yield self.places[start // PAGE] * PAGE + start % PAGE, piece
            start, size = start + piece, size - piece

    def read(self, iova, size):
        return b"".join(self.map[at:at + piece] for at, piece in self.pieces(iova, size))

    def write(self, iova, data):
        for at, piece in self.pieces(iova, len(data)):
            self.map[at:at + piece], data = data[:piece], data[piece:]


CLOSED = "closed"


def outcome(client, command, payload=b"", fds=(), **overrides):
    """What became of a command: 0, a positive errno, or CLOSED."""
    try:
        reply = client.exchange(command, payload, fds, **overrides)
    except Closed:
        return CLOSED
    return (reply.error or errno.EIO) if reply.failed else 0


def refused(result):
    """Answered with an error, or the connection was closed."""
    return result != 0
