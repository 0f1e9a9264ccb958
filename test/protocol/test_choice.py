# SPDX-License-Identifier: BSD-3-Clause
"""Which ring and which vector a frame comes to, by what a driver has said in ways that no stock driver
of today uses: types of packets without rules, an exclusive or, interrupts of the last queues."""

import os
import select
import struct

import pytest

import frames
import vfio_user
from iavf import (BROADCAST, CAPS_LINUX_6_12, INTENA, ITR_NONE, Nic, Op, Reg, SWINT, Status, ether_addrs,
                  queue_vectors)
from test_queues_v2 import CAPS_LARGE, TX, ask_for, set_up
from vfio_user import Command, IrqSet, set_irqs

QUEUES, HOST_QUEUES = 256, 1  # Of the devices, and of the host's ports.
RINGS = 4
CAP_WB_ON_ITR, CAP_ADV_RSS = 1 << 5, 1 << 27
CAPS_WITHOUT_RULES = CAPS_LINUX_6_12 & ~CAP_ADV_RSS
KEY = bytes(range(7, 7 + 52))
HENA_UDP4, HENA_TCP4 = 1 << 31, 1 << 33
EXCLUSIVE_OR = 1
WB_ON_ITR = 1 << 30  # Of DYN_CTLN.


@pytest.fixture
def memory():
    with vfio_user.DmaMemory(size=192 << 20) as guest_memory:
        yield guest_memory


def bring_up(client, memory, caps=CAPS_LINUX_6_12):
    """Four rings of a host that has one queue, so that the guest chooses."""
    nic = ask_for(Nic(client, memory).open_mailbox(caps), RINGS, caps)
    nic.create_rings(RINGS)
    nic.configure(RINGS)
    nic.call(Op.CONFIG_RSS_KEY, struct.pack("<HH", nic.vsi, len(KEY)) + KEY)
    table = bytes(n % RINGS for n in range(nic.lut_size))
    nic.call(Op.CONFIG_RSS_LUT, struct.pack("<HH", nic.vsi, len(table)) + table)
    nic.enable(RINGS)
    nic.wait_for_link()
    return nic


class Packet:
    def __init__(self, nic, number, make):
        self.addresses = bytes.fromhex("0a0000010a0001") + bytes([number])
        protocol, segment, at = make(bytes([number]) * 18)
        self.ports = segment[:4]
        self.frame = nic.mac + nic.mac + frames.V4 + frames.ip4(protocol, segment, at,
                                                                addresses=self.addresses)


def packets(nic, make, count=24):
    return [Packet(nic, number, make) for number in range(count)]


def come_to(nic, sent, ring_of):
    """Whether each of these packets comes back on its ring, and nothing else on any."""
    for packet in sent:
        nic.tx[0].send(packet.frame)
    for packet in sent:
        assert nic.rx[ring_of(packet)].receive() == packet.frame
    return not any(ring.written_back() for ring in nic.rx)


def by_toeplitz(packet):
    return frames.toeplitz(KEY, packet.addresses + packet.ports) % RINGS


def first(_):
    return 0


# RSS

def test_types_are_chosen_by_bits_without_rules(client, memory):
    nic = bring_up(client, memory, CAPS_WITHOUT_RULES)
    assert not nic.caps & CAP_ADV_RSS
    choose = lambda bits: nic.call(Op.SET_RSS_HENA, struct.pack("<Q", bits))
    offered, = struct.unpack("<Q", nic.call(Op.GET_RSS_HENA_CAPS))
    assert offered & HENA_TCP4 and offered & HENA_UDP4
    tcp, udp = packets(nic, frames.tcp), packets(nic, frames.udp)
    assert {by_toeplitz(packet) for packet in tcp} == set(range(RINGS))
    for bits in (HENA_TCP4, HENA_UDP4, HENA_TCP4 | HENA_UDP4, 0):
        choose(bits)
        assert come_to(nic, tcp, by_toeplitz if bits & HENA_TCP4 else first)
        assert come_to(nic, udp, by_toeplitz if bits & HENA_UDP4 else first)


def test_function_may_be_exclusive_or(client, memory):
    """Of the fields in words of 32 bits."""
    nic = bring_up(client, memory)
    rule = struct.pack("<B3xi", 0, 0) + bytes(32 * 72) + struct.pack("<i128x", EXCLUSIVE_OR)
    nic.call(Op.ADD_RSS_CFG, rule)
    words = lambda packet: struct.unpack(">3I", packet.addresses + packet.ports)

    def ring(packet):
        source, destination, ports = words(packet)
        return (source ^ destination ^ ports) % RINGS
    sent = packets(nic, frames.udp)
    assert {ring(packet) for packet in sent} == set(range(RINGS))
    assert come_to(nic, sent, ring)


# Vectors

@pytest.fixture
def eventfds():
    opened = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
    yield opened
    for fd in opened:
        os.close(fd)


def fired(eventfd, seconds):
    ready = select.select([eventfd], [], [], seconds)[0]
    return bool(ready and os.eventfd_read(eventfd))


def wire(nic, vectors, eventfds):
    for vector, eventfd in zip(vectors, eventfds):
        nic.client.call(Command.DEVICE_SET_IRQS,
                        set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, start=vector), [eventfd])
        nic.doorbells[Reg.DYN_CTLN1 // 4 + vector - 1] = INTENA | ITR_NONE


def test_interrupts_of_the_last_queues(client, memory, eventfds):
    """A queue beyond 16 has the vector that it was mapped to, and after that another."""
    nic = set_up(ask_for(Nic(client, memory).open_mailbox(CAPS_LARGE), 40), 40)
    assert nic.vectors == 17
    wire(nic, (5, 6), eventfds)
    for mine, other in (eventfds, eventfds[::-1]):
        vector = 5 + eventfds.index(mine)
        nic.call(Op.MAP_QUEUE_VECTOR, queue_vectors(nic.vsi, [(39, vector, 0, TX)]))
        fired(mine, 0)
        nic.tx[39].send(nic.frame())
        assert fired(mine, vfio_user.TIMEOUT) and not fired(other, 0.05)


def test_write_back_without_an_interrupt(client, memory, eventfds):
    """A driver that polls has its descriptors back, and no interrupt; then one by its own wish."""
    nic = Nic(client, memory).bring_up()
    assert nic.caps & CAP_WB_ON_ITR
    wire(nic, (1,), eventfds)
    nic.doorbells[Reg.DYN_CTLN1 // 4] = WB_ON_ITR | ITR_NONE
    fired(eventfds[0], 0)
    for _ in range(5):
        nic.echo(nic.frame())
    assert not fired(eventfds[0], 0.05)
    nic.doorbells[Reg.DYN_CTLN1 // 4] = INTENA | ITR_NONE
    assert fired(eventfds[0], vfio_user.TIMEOUT), "of what came meanwhile"
    # Nothing has come since.
    nic.doorbells[Reg.DYN_CTLN1 // 4] = INTENA | ITR_NONE
    assert not fired(eventfds[0], 0.05)
    nic.doorbells[Reg.DYN_CTLN1 // 4] = INTENA | SWINT | ITR_NONE
    assert fired(eventfds[0], vfio_user.TIMEOUT), "of the driver's own wish"


# Addresses

def test_refused_addresses_are_not_listened_to(client, memory):
    nic = bring_up(client, memory)
    stranger = bytes.fromhex("020000000077")
    status, _ = nic.ask(Op.ADD_ETH_ADDR, ether_addrs(nic.vsi, [stranger, bytes(6)]))
    assert status != Status.SUCCESS
    for to in (stranger, BROADCAST, nic.mac):
        nic.tx[0].send(to + nic.frame()[6:])
    assert nic.rx[0].receive()[:6] == BROADCAST
    assert nic.rx[0].receive()[:6] == nic.mac
    nic.call(Op.ADD_ETH_ADDR, ether_addrs(nic.vsi, [stranger]))
    nic.tx[0].send(stranger + nic.frame()[6:])
    assert nic.rx[0].receive()[:6] == stranger
