# SPDX-License-Identifier: BSD-3-Clause
"""Clients that ask for more than their share. Each is a function of a client, which has negotiated,
and gives one that asks once more; they are for the tests of turns and for the benchmark of fairness.
"""

import array
import itertools
import os
import socket
import struct
import threading
from contextlib import suppress

import iavf
import vfio_user
from iavf import Nic, Op, Reg
from vfio_user import Command, Flag, IrqSet, PAGE, Region

ENTRIES = 1023  # The longest ring of a mailbox.
WRITES = 2700  # About as many as one REGION_WRITE_MULTI holds.
PATIENCE = 60  # Seconds until an answer.


def writes(client, one, messages):
    """Sends the same writes in several messages at once, and awaits the replies."""
    message = vfio_user.message(Command.REGION_WRITE_MULTI, vfio_user.write_multi([
        (region, offset, struct.pack("<I", value)) for region, offset, value in one]))
    client.socket.settimeout(PATIENCE)

    def send():
        with suppress(OSError, vfio_user.Closed):  # Whoever awaits the replies sees that, too.
            client.send_bytes(message * messages)

    def ask():
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        for _ in range(messages):
            assert not client.receive().failed
        sender.join()
    return ask


def fill_mailbox(nic, entries):
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
    """A descriptor of the ATQ."""
    address = 0
    if payload:
        address = memory.alloc(len(payload), 8)
        memory.write(address, payload)
    return struct.pack(iavf.AQ_FORMAT, iavf.AQ_BUF | iavf.AQ_RD if payload else 0, opcode,
        len(payload), 0, op, 0, 0, 0, address >> 32, address & 0xFFFFFFFF)


UNKNOWN = command(0, opcode=0x7777)


def doorbells():
    """Tell the device each time that the ring is full, of old commands."""
    head = 0
    for _ in range(WRITES // 3):
        tail = (head - 1) % ENTRIES
        yield from ((0, Reg.ARQH, 0), (0, Reg.ARQT, ENTRIES - 1), (0, Reg.ATQT, tail))
        head = tail


def full_mailbox(client, entries_of, messages):
    nic = Nic(client, vfio_user.DmaMemory()).open_mailbox()
    fill_mailbox(nic, entries_of(nic))
    return writes(client, list(doorbells()), messages)


def queries(nic):
    return [command(Op.GET_STATS, iavf.queue_select(nic.vsi, 0, 0), nic.memory)]


def queues_up_and_down(nic):
    every = (1 << nic.max_pairs) - 1
    rings = nic.memory.alloc(64 * 32 * 2 * nic.max_pairs)
    pairs = [iavf.queue_pair(nic.vsi, i, 64, rings + i * 4096, 64, rings + i * 4096 + 2048)
        for i in range(nic.max_pairs)]
    nic.call(Op.CONFIG_VSI_QUEUES, iavf.vsi_queues(nic.vsi, pairs))
    select = iavf.queue_select(nic.vsi, every, every)
    return [command(op, select, nic.memory) for op in (Op.ENABLE_QUEUES, Op.DISABLE_QUEUES)]


def rules(nic):
    """Of the flow director: as many as there is room for, and one more."""
    return [command(Op.ADD_FDIR_FILTER, iavf.flow_rule(nic.vsi, number), nic.memory)
            for number in range(129)]


def addresses(nic):
    """As many as one message holds, and none."""
    many = iavf.ether_addrs(nic.vsi, [struct.pack(">HI", 0x0200, number) for number in range(256)])
    return [command(op, many, nic.memory) for op in (Op.ADD_ETH_ADDR, Op.DEL_ETH_ADDR)]


def keys(nic):
    """Each changes how packets are spread."""
    return [command(Op.CONFIG_RSS_KEY, struct.pack("<HH", nic.vsi, 52) + bytes([one]) * 52, nic.memory)
            for one in range(8)]


def pipelined(client, message, count=100):
    """The same message over and over, so many at once."""
    client.socket.settimeout(PATIENCE)

    def ask():
        client.send_bytes(message * count)
        for _ in range(count):
            client.receive()
    return ask


def maps(client):
    """One page, which comes and goes."""
    fd = os.memfd_create("page")
    os.ftruncate(fd, PAGE)

    def ask():
        client.map_dma(0, PAGE, fd, 0)
        client.unmap_dma(0, PAGE)
    return ask


def wiring(client):
    """A vector is wired and unwired."""
    fd = os.eventfd(0)
    wire = vfio_user.set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, start=1)
    unwire = vfio_user.set_irqs(IrqSet.NONE | IrqSet.TRIGGER, start=1)

    def ask():
        client.call(Command.DEVICE_SET_IRQS, wire, [fd])
        client.call(Command.DEVICE_SET_IRQS, unwire)
    return ask


def connections(client):
    """They come, negotiate and go."""
    path = client.socket.getpeername()

    def ask():
        client.close()
        with vfio_user.connect(path):
            pass
    return ask


def pieces(client, fd):
    """One message, byte by byte, and 253 descriptors with each."""
    message = vfio_user.message(Command.REGION_WRITE,
        vfio_user.region_write(0, Reg.ICR0_ENA1, bytes(4096)), flags=Flag.NO_REPLY)
    many = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd] * 253))]
    client.socket.settimeout(PATIENCE)

    def ask():
        for i in range(len(message)):
            client.socket.sendmsg([message[i:i + 1]], many)
    return ask


def files(client):
    """Memory files that the server has to map one by one."""
    numbers = itertools.count(1)

    def ask():
        fd = os.memfd_create("file")
        os.ftruncate(fd, 2 * PAGE)
        client.map_dma(next(numbers) * 4 * PAGE, PAGE, fd, PAGE)
        os.close(fd)
    return ask


def last_reference(client, size=512 << 20):
    """Memory that the server lets go of last, and so has to free."""
    def ask():
        with vfio_user.DmaMemory(size, iova=0) as memory:
            for at in range(0, size, PAGE):
                memory.map[at] = 1
            memory.share(client)
        client.unmap_dma(0, size)
    return ask


READ = vfio_user.message(Command.REGION_READ, vfio_user.region_read(0, Reg.RSTAT, 4))
FLR = (Region.CONFIG, 0xA8, 0x8000)

ABUSES = {
    "commands": lambda client: full_mailbox(client, lambda _: [UNKNOWN], 20),
    "queries": lambda client: full_mailbox(client, queries, 8),
    "queues": lambda client: full_mailbox(client, queues_up_and_down, 2),
    "resets": lambda client: writes(client, [FLR] * WRITES, 30),
    "pieces_eventfd": lambda client: pieces(client, os.eventfd(0)),
    "pieces_memory": lambda client: pieces(client, os.memfd_create("pieces")),
    "rules": lambda client: full_mailbox(client, rules, 2),
    "addresses": lambda client: full_mailbox(client, addresses, 2),
    "keys": lambda client: full_mailbox(client, keys, 2),
    "accesses": lambda client: pipelined(client, READ),
    "maps": maps,
    "wiring": wiring,
    "connections": connections,
    "files": files,
    "memory": last_reference,
}
