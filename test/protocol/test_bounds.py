# SPDX-License-Identifier: BSD-3-Clause
"""Bounds of the guide's page on security: what is at one is taken, what is past it is not."""

import contextlib
import os
import re
import struct
import time
from collections import Counter

import pytest

import vfio_user
from iavf import AQ_BUFFER, Nic, Op, Reg, Status, ether_addrs, queue_select
from vfio_user import Command, HEADER, IrqSet, PAGE, dma_map, get_info, message

QUEUES, HOST_QUEUES = 16, 4  # Of the devices: with more vectors than a message has descriptors.
MAX_FDS = 16
MAX_PAYLOAD = 16 + (1 << 20)  # Of a REGION_WRITE that carries as much as may be.
MAX_REGIONS = 65535
MAX_ADDRESSES = 256
ROUNDS = 100
COMMANDS_PER_TURN, ACCEPTS_PER_TURN = 64, 8
PATIENCE = 3
IOVA = 1 << 32
LINES_AT_ONCE = 10
LOG_LIMITS = {"VFIO_USER": 3, "EMU_IAVF": 2, "net_iavf_be": 2}  # Of one device, by the line's start.
LEFT_OUT = re.compile("messages like the next one were left out")


@pytest.fixture
def nic(client, memory):
    return Nic(client, memory).open_mailbox()


@pytest.mark.parametrize("count", [MAX_FDS, MAX_FDS + 1])
def test_descriptors_up_to_the_bound_are_taken(server, client, count):
    fds = [os.eventfd(0) for _ in range(count)]
    before = len(server.fds())
    try:
        wired = vfio_user.outcome(client, Command.DEVICE_SET_IRQS, vfio_user.set_irqs(
            IrqSet.EVENTFD | IrqSet.TRIGGER, count=count), fds)
    finally:
        for fd in fds:
            os.close(fd)
    if count <= MAX_FDS:
        assert wired == 0 and len(server.fds()) == before + count
    else:
        assert vfio_user.refused(wired)


@pytest.mark.parametrize("size", [MAX_PAYLOAD, MAX_PAYLOAD + 1])
def test_messages_up_to_the_bound_are_read(client, size):
    """What is in it makes no sense, and is answered; a longer one is not even read."""
    try:
        client.send_bytes(message(Command.DEVICE_GET_INFO, get_info().ljust(size, b"\0")))
        answered = client.receive().is_reply
    except vfio_user.Closed:
        answered = False
    assert answered == (size <= MAX_PAYLOAD)


@pytest.mark.parametrize("count", [COMMANDS_PER_TURN, COMMANDS_PER_TURN + 1])
def test_commands_of_a_turn_and_more_are_answered(client, other, count):
    client.send_bytes(b"".join(message(Command.DEVICE_GET_INFO, get_info(), number)
                               for number in range(count)))
    other.device_info()
    assert [client.receive().id for _ in range(count)] == list(range(count))


@pytest.mark.parametrize("count", [ACCEPTS_PER_TURN, ACCEPTS_PER_TURN + 1])
def test_connections_of_a_turn_and_more_are_accepted(server, client, count):
    """And turned away, as there is a client already."""
    with contextlib.ExitStack() as together:
        others = [together.enter_context(vfio_user.Client(server.path, negotiate=False))
                  for _ in range(count)]
        assert all(each.is_closed() for each in others)
    client.device_info()


def test_client_within_its_patience_is_served(server):
    """Most of the time for VERSION, and most of it for the rest of a message."""
    with vfio_user.connect(server.path, negotiate=False) as slow:
        time.sleep(PATIENCE * 2 / 3)
        assert not slow.negotiate().failed
        whole = message(Command.DEVICE_GET_INFO, get_info())
        slow.send_bytes(whole[:10])
        time.sleep(PATIENCE * 2 / 3)
        slow.send_bytes(whole[10:])
        assert not slow.receive().failed


def test_client_past_its_patience_is_closed(server):
    """Not before, and before what limits hangs here is over."""
    begin = time.monotonic()
    with vfio_user.connect(server.path, negotiate=False) as mute:
        assert mute.is_closed()
    assert time.monotonic() - begin >= PATIENCE
    with vfio_user.connect(server.path) as slow:
        begin = time.monotonic()
        slow.send_bytes(message(Command.DEVICE_GET_INFO, get_info())[:10])
        assert slow.is_closed()
    assert time.monotonic() - begin >= PATIENCE


def lines_by_start(server):
    """How many the library and the drivers have written, but for those that say what is left out."""
    return Counter(line.split(":")[0] for line in server.log().splitlines()
                   if not LEFT_OUT.search(line))


def provoke(server):
    """All lines that a client can cause, by one that comes, does what is wrong, and goes."""
    with vfio_user.connect(server.path) as hostile, vfio_user.DmaMemory() as memory:
        nic = Nic(hostile, memory).open_mailbox()
        for _ in range(5):
            nic.post(0, opcode=0x7777)
            nic.ask(Op.CONFIG_VSI_QUEUES, bytes(8))
            vfio_user.outcome(hostile, Command.DMA_MAP, dma_map(0, PAGE), [hostile.socket.fileno()])
        nic.create_rings()
        nic.configure()
        for _ in range(5):
            nic.enable()
            nic.call(Op.DISABLE_QUEUES, queue_select(nic.vsi, 1, 1))
        with contextlib.suppress(vfio_user.Closed):
            os.ftruncate(memory.fd, 0)
            nic.write32(Reg.ATQT, 0)
            nic.write32(Reg.ATQT, 5)
            hostile.send_bytes(message(Command.VERSION, size=0))
    with vfio_user.connect(server.path, negotiate=False):
        pass


def test_lines_of_all_limits_are_so_many(server):
    """However much a client does: each limit lets some through at once, and one a second."""
    before, begin = lines_by_start(server), time.monotonic()
    for _ in range(ROUNDS):
        provoke(server)
    lines, allowed = lines_by_start(server) - before, LINES_AT_ONCE + 1 + time.monotonic() - begin
    for start, limits in LOG_LIMITS.items():
        assert lines[start] <= limits * allowed, lines
    assert LEFT_OUT.search(server.log())


def maps(client, numbers):
    """The errors of maps of a page each, that have no neighbours."""
    errors = []
    for number in numbers:
        client.send(Command.DMA_MAP, dma_map(IOVA + number * 2 * PAGE, PAGE))
    for _ in numbers:
        errors.append(HEADER.unpack(client.receive_bytes(HEADER.size)[0])[4])
    return errors


def test_regions_up_to_the_bound_are_mapped(client):
    for first in range(0, MAX_REGIONS, 255):
        assert not any(maps(client, range(first, first + 255)))
    assert all(maps(client, range(MAX_REGIONS, MAX_REGIONS + 3)))
    client.unmap_dma(IOVA, PAGE)
    assert maps(client, range(MAX_REGIONS, MAX_REGIONS + 2))[0] == 0
    client.unmap_dma(0, 1 << 63)


def add(nic, first, count):
    addresses = [struct.pack(">HI", 0x0200, number) for number in range(first, first + count)]
    return nic.ask(Op.ADD_ETH_ADDR, ether_addrs(nic.vsi, addresses))[0]


def test_addresses_up_to_the_bound_are_added(nic):
    """Beside the device's own."""
    assert add(nic, 1, MAX_ADDRESSES) == Status.SUCCESS
    assert add(nic, 1000, 1) != Status.SUCCESS
    assert add(nic, 1, 1) == Status.SUCCESS  # It is there.


@pytest.mark.parametrize("length", [AQ_BUFFER, AQ_BUFFER + 1])
def test_virtchnl_messages_up_to_the_bound_are_read(nic, length):
    """Of an operation that there is not: it is answered, or its descriptor says why not."""
    desc = nic.send(1000, bytes(AQ_BUFFER), length=length)
    _, _, _, refused = nic.memory.unpack("<HHHH", desc)
    assert bool(refused) == (length > AQ_BUFFER)
    if not refused:
        assert nic.reply(1000)[0] == Status.NOT_SUPPORTED
