# SPDX-License-Identifier: BSD-3-Clause
"""A guest's memory that is the device's own BAR0: what the device writes there are its registers."""

import contextlib
import mmap
import os
import struct

import pytest

from iavf import Nic, Op, Reg, RxRing, TxRing
from vfio_user import DmaMemory, PAGE, PagedMemory, Region

FREE = 0xC000  # No register is there: it is memory like any other.
PLACES = {"tails": Reg.QTX_TAIL, "receive_tails": Reg.QRX_TAIL, "vectors": Reg.DYN_CTLN1,
          "mailbox": Reg.ARQBAH, "free": FREE}


class OwnBar(PagedMemory):
    """Many times, one behind the other, so that there is room for all that a driver has; and the
    memory beside it."""

    def __init__(self, client, beside, size=4 << 20):
        bar = client.region_info(Region.BAR0)
        self.fd = os.dup(bar.fds[0])
        self.map = mmap.mmap(self.fd, bar.size)
        self.size, self.iova, self.used = size, 1 << 32, 0
        self.places = [page % (bar.size // PAGE) for page in range(size // PAGE)]
        self.share(client)
        beside.share(client)
        self.beside, self.is_used = beside, False

    def alloc(self, size, align=PAGE):
        return super().alloc(size, align) if self.is_used else self.beside.alloc(size, align)

    def read(self, iova, size):
        return super().read(iova, size) if iova >= self.iova else self.beside.read(iova, size)

    def write(self, iova, data):
        super().write(iova, data) if iova >= self.iova else self.beside.write(iova, data)

    @contextlib.contextmanager
    def use(self, place):
        """Meanwhile all that is asked for lies in the BAR, from there on."""
        self.used, self.is_used = place, True
        yield
        self.is_used = False


@pytest.fixture
def nic(client, memory):
    with OwnBar(client, memory) as bar:
        yield Nic(client, bar, share=False)


@pytest.fixture
def neighbour(other):
    with DmaMemory() as memory:
        yield Nic(other, memory).bring_up()


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_mailbox_in_the_own_bar_is_answered(nic, neighbour, place):
    """Descriptors and buffers of both directions."""
    nic.client.reset()
    nic.wait_for_reset()
    nic.enable_bus_master()
    with nic.memory.use(place):
        nic.start_mailbox()
    assert nic.call(Op.VERSION, struct.pack("<II", 1, 1)) == struct.pack("<II", 1, 1)
    neighbour.echo(neighbour.frame())


def transmit_ring(nic):
    nic.tx = [TxRing(nic)]


def transmit_buffers(nic):
    nic.tx[0].buffers = nic.memory.alloc(nic.tx[0].size * 2048)


def receive_ring(nic):
    nic.rx = [RxRing(nic)]


def receive_buffers(nic):
    ring = nic.rx[0]
    ring.buffers = nic.memory.alloc(ring.size * ring.buffer_size)
    for index in range(ring.size):
        ring.rearm(index)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("part", [transmit_ring, transmit_buffers, receive_ring, receive_buffers])
def test_rings_in_the_own_bar_do_no_harm(nic, neighbour, part, place):
    nic.open_mailbox()
    nic.create_rings()
    with nic.memory.use(place):
        part(nic)
    nic.configure()
    nic.enable()
    nic.wait_for_link()
    for i in range(5):
        if place == FREE:
            nic.echo(nic.frame(100, fill=i))
        else:
            nic.tx[0].post(nic.frame(100, fill=i))
            nic.tx[0].flush()
        nic.client.device_info()
        neighbour.echo(neighbour.frame())
    nic.memory.beside.used = 0
    nic.bring_up()
    nic.echo(nic.frame())
