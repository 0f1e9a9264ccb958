# SPDX-License-Identifier: BSD-3-Clause
"""What one client asks for at once does not keep the control thread from the clients of others."""

import array
import os
import socket
import struct
import threading
from contextlib import contextmanager

import pytest

import iavf
import vfio_user
from iavf import Nic, Op, Reg
from vfio_user import Command, Flag, Region

ENTRIES = 1023  # The longest ring of a mailbox.
WRITES = 2700  # About as many as one REGION_WRITE_MULTI holds.
SERVED = 30  # Accesses of the other client while the abuse goes on. Without turns it is one or two.


@contextmanager
def going_on(abuse):
    """Runs the abuse in a thread; gives what tells whether it still goes on."""
    thread = threading.Thread(target=abuse, daemon=True)
    thread.start()
    yield thread.is_alive
    thread.join(60)
    assert not thread.is_alive()


def is_served_during(other, abuse):
    served = 0
    with going_on(abuse) as lasts:
        while lasts():
            assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
            served += lasts()
    assert served >= SERVED, f"served {served} times"


def writer(client, writes, messages):
    """A function that sends the same writes in several messages at once, and awaits the replies."""
    one = vfio_user.message(Command.REGION_WRITE_MULTI, vfio_user.write_multi([
        (region, offset, struct.pack("<I", value)) for region, offset, value in writes]))
    client.socket.settimeout(60)

    def write():
        sender = threading.Thread(target=client.send_bytes, args=[one * messages], daemon=True)
        sender.start()
        for _ in range(messages):
            assert not client.receive().failed
        sender.join()
    return write


def full_mailbox(nic, entries):
    """Fills the longest ATQ with these descriptors, and makes an ARQ that has room for all."""
    memory = nic.memory
    atq, arq, buffer = memory.alloc(ENTRIES * 32), memory.alloc(ENTRIES * 32), memory.alloc(4096)
    memory.write(atq, b"".join(entries[i % len(entries)] for i in range(ENTRIES)))
    memory.write(arq, struct.pack(iavf.AQ_FORMAT, iavf.AQ_BUF, 0, 4096, 0, 0, 0, 0, 0, 0, buffer)
        * ENTRIES)
    nic.stop_mailbox()
    for base, high, length, ring in ((Reg.ATQBAL, Reg.ATQBAH, Reg.ATQLEN, atq),
                                     (Reg.ARQBAL, Reg.ARQBAH, Reg.ARQLEN, arq)):
        nic.write32(base, ring & 0xFFFFFFFF)
        nic.write32(high, ring >> 32)
        nic.write32(length, ENTRIES | iavf.LEN_ENABLE)
    nic.write32(Reg.ARQT, ENTRIES - 1)


def command(op, payload=b"", memory=None, opcode=iavf.AQ_SEND_TO_PF):
    address = 0
    if payload:
        address = memory.alloc(len(payload), 8)
        memory.write(address, payload)
    return struct.pack(iavf.AQ_FORMAT, iavf.AQ_BUF | iavf.AQ_RD if payload else 0, opcode,
        len(payload), 0, op, 0, 0, 0, address >> 32, address & 0xFFFFFFFF)


def doorbells(count):
    """Tells the device each time that the ring is full, of old commands."""
    head = 0
    for _ in range(count // 3):
        tail = (head - 1) % ENTRIES
        yield from ((0, Reg.ARQH, 0), (0, Reg.ARQT, ENTRIES - 1), (0, Reg.ATQT, tail))
        head = tail


@pytest.fixture
def nic(client, memory):
    return Nic(client, memory).open_mailbox()


@pytest.mark.parametrize("commands, messages", [("unknown", 20), ("stats", 8), ("toggle", 2)])
def test_a_full_mailbox_takes_turns(nic, other, commands, messages):
    memory, every = nic.memory, (1 << nic.max_pairs) - 1
    if commands == "unknown":
        entries = [command(0, opcode=0x7777)]
    elif commands == "stats":
        entries = [command(Op.GET_STATS, iavf.queue_select(nic.vsi, 0, 0), memory)]
    else:
        rings = memory.alloc(64 * 32 * 2 * nic.max_pairs)
        pairs = [iavf.queue_pair(nic.vsi, i, 64, rings + i * 4096, 64, rings + i * 4096 + 2048)
            for i in range(nic.max_pairs)]
        nic.call(Op.CONFIG_VSI_QUEUES, iavf.vsi_queues(nic.vsi, pairs))
        select = iavf.queue_select(nic.vsi, every, every)
        entries = [command(op, select, memory) for op in (Op.ENABLE_QUEUES, Op.DISABLE_QUEUES)]
    full_mailbox(nic, entries)
    is_served_during(other, writer(nic.client, list(doorbells(WRITES)), messages))


def test_a_doorbell_is_answered_before_its_commands_are_done(nic, other):
    full_mailbox(nic, [command(0, opcode=0x7777)])
    nic.write32(Reg.ATQT, ENTRIES - 1)
    head = lambda: nic.read32(Reg.ATQH)
    assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
    iavf.wait_for(lambda: head() == ENTRIES - 1, "the end of the commands")


def test_resets_in_one_message_take_turns(nic, other):
    flr = (Region.CONFIG, 0xA8, 0x8000)
    is_served_during(other, writer(nic.client, [flr] * WRITES, 20))


@pytest.mark.parametrize("kind", ["eventfd", "memory"])
def test_a_message_in_pieces_with_descriptors_takes_turns(client, other, kind):
    fd = os.eventfd(0) if kind == "eventfd" else os.memfd_create("pieces")
    message = vfio_user.message(Command.REGION_WRITE,
        vfio_user.region_write(0, Reg.ICR0_ENA1, bytes(4096)), flags=Flag.NO_REPLY)
    many = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd] * 253))]
    client.socket.settimeout(60)

    def abuse():
        try:
            for i in range(len(message)):
                client.socket.sendmsg([message[i:i + 1]], many)
        except OSError:
            pass  # thrown out

    is_served_during(other, abuse)
    os.close(fd)
