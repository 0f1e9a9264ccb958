# SPDX-License-Identifier: BSD-3-Clause
"""Rings and buffers of single pages, as behind a virtual IOMMU, and pages that come and go.

What is one piece in I/O addresses is many in the client's file. The host echoes each frame.
"""

import contextlib
import itertools
import multiprocessing
import os
import time

import pytest

from iavf import Nic, RX_DD, wait_for
from stock import HostCounts
from vfio_user import Closed, DmaMemory, PAGE, PagedMemory, TIMEOUT

HUGE = os.MFD_HUGETLB | os.MFD_HUGE_2MB
RX_DAMAGED = 1 << 19  # A frame whose buffer was not there.
STORM = 3000  # Changes.
BURST = 200  # Frames, for rings of 512 descriptors.


@pytest.fixture(params=[0, HUGE], ids=["memfd", "hugetlb"])
def memory(request):
    with PagedMemory(16 << 20, request.param) as paged:
        yield paged


@pytest.fixture
def nic(client, memory):
    """With rings of several pages."""
    return Nic(client, memory).bring_up(size=512)


def burst(nic, count=32, length=100, fill=0):
    frames = [nic.frame(length + i, fill=fill + i) for i in range(count)]
    for frame in frames:
        nic.tx[0].post(frame)
    nic.tx[0].flush()
    for frame in frames:
        assert nic.rx[0].receive() == frame


def pages_of(nic, ring):
    first = (ring.base - nic.memory.iova) // PAGE
    return range(first, first + ring.size * ring.desc_size // PAGE)


@pytest.mark.parametrize("size", [96, 128, 256, 512, 1024, 4096])
def test_rings_of_any_size_echo(client, memory, size):
    nic = Nic(client, memory).bring_up(size=size, buffer_size=1024)
    for i in range(0, size + 200, 32):
        burst(nic, fill=i)


def test_each_queue_pair_echoes(client, memory):
    nic = Nic(client, memory).bring_up(pairs=4, size=256)
    for i in range(300):
        frame = nic.frame(200, fill=i)
        nic.tx[i % 4].send(frame)
        assert nic.rx[i % 4].receive() == frame


def test_frames_across_pages_echo(client, memory):
    nic = Nic(client, memory).bring_up(size=256, buffer_size=3072)  # some buffers cross a page
    nic.tx[0].buffers = memory.alloc(257 * 2048) + 1000
    for i in range(20):
        burst(nic, length=1400, fill=i)
        nic.echo(nic.frame(1514, fill=i), pieces=5)


def test_ring_is_served_once_its_last_page_is_mapped(client, memory):
    nic = Nic(client, memory)
    nic.open_mailbox()
    nic.create_rings(size=512)
    missing = pages_of(nic, nic.tx[0])[1]
    memory.unmap_page(client, missing)
    nic.configure()
    nic.enable()
    nic.wait_for_link()
    desc = nic.tx[0].post(nic.frame())
    nic.tx[0].flush()
    client.device_info()
    assert not nic.tx[0].is_done(desc)
    memory.map_page(client, missing)
    wait_for(lambda: nic.tx[0].is_done(desc), "transmit completion")
    assert nic.rx[0].receive() == nic.frame()


def test_transmit_ring_stops_without_one_of_its_pages_and_goes_on_with_it(nic):
    for page in pages_of(nic, nic.tx[0]):
        burst(nic)
        nic.memory.unmap_page(nic.client, page)
        frame = nic.frame(fill=page)
        desc = nic.tx[0].post(frame)
        nic.tx[0].flush()
        nic.client.device_info()
        assert not nic.tx[0].is_done(desc)
        nic.memory.map_page(nic.client, page)
        wait_for(lambda: nic.tx[0].is_done(desc), "transmit completion")
        assert nic.rx[0].receive() == frame


def test_receive_ring_without_one_of_its_pages_does_not_stop_the_other(nic):
    for page in pages_of(nic, nic.rx[0]):
        burst(nic)
        nic.memory.unmap_page(nic.client, page)
        nic.tx[0].send(nic.frame())
        nic.client.device_info()
        nic.memory.map_page(nic.client, page)
    burst(nic)


def test_pages_of_rings_move_while_they_are_enabled(nic):
    for _ in range(2):
        for ring in (nic.tx[0], nic.rx[0]):
            for page in pages_of(nic, ring):
                nic.memory.move_page(nic.client, page)
                burst(nic)


def test_unmapped_page_of_a_ring_is_not_written_after_the_reply(nic):
    page = pages_of(nic, nic.rx[0])[0]
    for i in range(60):
        nic.tx[0].post(nic.frame(1000, fill=i))
    nic.tx[0].flush()
    nic.memory.unmap_page(nic.client, page)
    start = nic.memory.iova + page * PAGE
    before = nic.memory.read(start, PAGE)
    for i in range(60):
        nic.tx[0].post(nic.frame(1000, fill=i))
    nic.tx[0].flush()
    nic.client.device_info()
    assert nic.memory.read(start, PAGE) == before


@pytest.mark.parametrize("size", [0, 4 << 20])
def test_truncation_under_paged_rings_drops_the_client_or_nothing(nic, other, size):
    """Data threads fault (SIGBUS) on descriptors or buffers. The server must survive."""
    tail = nic.tx[0].next
    os.ftruncate(nic.memory.fd, size)
    try:
        for i in range(50):
            nic.doorbells[nic.tx[0].tail_reg // 4] = (tail + i) % nic.tx[0].size
            nic.client.device_info()
    except Closed:
        pass
    other.device_info()


class Stream:
    """Frames to ourselves without a pause: what is written of a ring is half of it at once."""

    def __init__(self, nic):
        self.nic, self.tx, self.rx = nic, nic.tx[0], nic.rx[0]
        self.half = self.tx.size // 2
        self.next = 0
        for _ in range(self.tx.size):
            self.tx.post(nic.frame())
        self.sent, self.empty = (
            [nic.memory.read(ring.desc(start), self.half * ring.desc_size)
             for start in (0, self.half)] for ring in (self.tx, self.rx))

    def send_half(self):
        which = self.next
        self.next = 1 - which
        start = which * self.half
        self.nic.memory.write(self.tx.desc(start), self.sent[which])
        self.rx.ring_doorbell((start - 1) % self.rx.size)
        self.tx.ring_doorbell((start + self.half) % self.tx.size)
        last = self.rx.desc(start + self.half - 1) + 8
        deadline = time.monotonic() + TIMEOUT
        while not self.nic.memory.unpack("<Q", last)[0] & RX_DD:
            assert time.monotonic() < deadline, "a frame was lost"
        self.nic.memory.write(self.rx.desc(start), self.empty[which])


def page_comes_and_goes(client, memory):
    page = len(memory.places) - 1  # nobody uses it
    memory.unmap_page(client, page)
    memory.map_page(client, page)


def files_come_and_go(client, _):
    """Several at a time: it takes the server a while to let go of them."""
    start, count = 1 << 40, 16
    with contextlib.ExitStack() as files:
        for i in range(count):
            files.enter_context(DmaMemory(PAGE, start + i * PAGE)).share(client)
        client.unmap_dma(start, count * PAGE)


def repeat(what, client, memory, changes, stop):
    while not stop.is_set():
        what(client, memory)
        changes.value += 1


@pytest.mark.parametrize("what, count", [(page_comes_and_goes, 5000), (files_come_and_go, 300)],
                         ids=["page", "files"])
def test_no_frame_is_lost_while_memory_comes_and_goes(client, memory, what, count):
    """A strict virtual IOMMU maps and unmaps a page for each frame that a guest transmits."""
    nic = Nic(client, memory).bring_up(pairs=4)
    stream = Stream(nic)
    with storm(what, client, memory) as changes:
        while changes() < count:
            for _ in range(100):
                stream.send_half()


@contextlib.contextmanager
def storm(what, client, memory):
    """Gives how many changes there have been. A process, as a thread would wait for ours; it alone
    uses the socket meanwhile."""
    fork = multiprocessing.get_context("fork")
    stop, changes = fork.Event(), fork.Value("L", 0, lock=False)
    other = fork.Process(target=repeat, args=(what, client, memory, changes, stop))
    other.start()

    def made():
        assert other.is_alive(), "the client of the changes has ended"
        return changes.value
    try:
        yield made
    finally:
        stop.set()
        other.join()
    assert other.exitcode == 0


@pytest.fixture(scope="module")
def host_counts(server):
    return HostCounts(server)


def pages_in_use(nic, what):
    """Of the rings, or of the buffers of both."""
    if what == "rings":
        return [page for ring in (nic.tx[0], nic.rx[0]) for page in pages_of(nic, ring)]
    size = nic.rx[0].size * nic.rx[0].buffer_size
    return [page for ring in (nic.tx[0], nic.rx[0])
            for page in range((ring.buffers - nic.memory.iova) // PAGE,
                              (ring.buffers + size - nic.memory.iova) // PAGE)]


def come_and_go(pages):
    each = itertools.cycle(pages)

    def change(client, memory):
        page = next(each)
        memory.unmap_page(client, page)
        memory.map_page(client, page)
    return change


def take(nic):
    """The whole frames that have arrived since."""
    ring, frames = nic.rx[0], []
    while status := ring._written_back():
        if not status & RX_DAMAGED:
            at = ring.buffers + ring.next * ring.buffer_size
            frames.append(nic.memory.read(at, status >> 38 & 0x3FFF))
        ring.rearm(ring.next)
        ring.next = (ring.next + 1) % ring.size
        ring.fill()
    return frames


def exchange(nic, frames, over):
    """Sends frames; what arrives until over(last descriptor, what has arrived)."""
    for frame in frames:
        desc = nic.tx[0].post(frame)
    nic.tx[0].flush()
    arrived = []
    wait_for(lambda: arrived.extend(take(nic)) or over(desc, arrived), "end of a burst")
    return arrived


@pytest.mark.parametrize("what", ["rings", "buffers"])
def test_pages_in_use_come_and_go(client, memory, host_counts, what):
    """A ring waits for its page; a frame whose buffer is not there is dropped. All are counted."""
    nic = Nic(client, memory).bring_up(size=512)
    frames, last = [nic.frame(100 + i) for i in range(BURST)], nic.frame()
    before, bursts, arrived = host_counts.read(), 0, []
    with storm(come_and_go(pages_in_use(nic, what)), client, memory) as changes:
        while changes() < STORM:
            arrived += exchange(nic, frames, lambda desc, _: nic.tx[0].is_done(desc))
            bursts += 1
    arrived += exchange(nic, [last], lambda _, more: last in more)  # Frames come in their order.
    now = host_counts.read()
    assert now.taken - before.taken == bursts * BURST + 1
    assert now.sent - before.sent == len(arrived)
    assert now.unaccounted == 0
    assert set(arrived) <= {*frames, last}
