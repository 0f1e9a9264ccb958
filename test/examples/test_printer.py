# SPDX-License-Identifier: BSD-3-Clause
"""examples/emudev: a printer, whose driver is the test."""

import mmap
import os
import random
import struct
import time

import pytest

import vfio_user
from conftest import fired
from stock import wait_for
from vfio_user import PAGE, Command, DmaMemory, Irq, IrqSet, Region

BAR2 = 2
ENABLE = 12
PRINTED, FAILED = 1, 2
DESCRIPTOR = "<QII"
RING = 8
SEVERAL_BURSTS = 0.05  # Seconds that a printer at fault would use.


class Driver:
    """Prints by the ring; its texts lie behind each other in memory."""

    def __init__(self, client, memory, size=RING):
        self.client, self.memory, self.size = client, memory, size
        self.ring, self.texts, self.tail = memory.iova, memory.iova + max(PAGE, 16 * size), 0
        (fd,) = client.region_info(BAR2).fds
        self.doorbell = mmap.mmap(fd, PAGE)
        self.irq = os.eventfd(0, os.EFD_NONBLOCK)
        self.wire_interrupt()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.doorbell.close()
        os.close(self.irq)

    def set_up(self, ring=None, size=None):
        """Whether the device has taken the ring."""
        self.client.write_region(Region.BAR0, 0, struct.pack(
            "<QI", self.ring if ring is None else ring, self.size if size is None else size))
        self.client.write_region(Region.BAR0, ENABLE, b"\1\0\0\0")
        return self.client.read_region(Region.BAR0, ENABLE, 4) == b"\1\0\0\0"

    def place(self, at):
        return self.ring + 16 * at

    def put(self, text, address=None, length=None):
        """Fills the next descriptor, and returns its number."""
        at = self.tail
        if address is None:
            address = self.texts
            self.memory.write(address, text)
            self.texts += len(text)
        self.memory.pack(DESCRIPTOR, self.place(at), address,
                         len(text) if length is None else length, 0)
        self.tail = (at + 1) % self.size
        return at

    def ring_bell(self, tail=None):
        self.doorbell[0:4] = struct.pack("<I", self.tail if tail is None else tail)

    def status(self, at):
        return self.memory.unpack(DESCRIPTOR, self.place(at))[2]

    def await_(self, at):
        wait_for(lambda: self.status(at), "status")
        return self.status(at)

    def wire_interrupt(self):
        self.client.call(Command.DEVICE_SET_IRQS,
                         vfio_user.set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, Irq.MSIX), [self.irq])

    def unwire_interrupt(self):
        self.client.call(Command.DEVICE_SET_IRQS,
                         vfio_user.set_irqs(IrqSet.NONE | IrqSet.TRIGGER, Irq.MSIX, count=0))

    def want_interrupt(self):
        self.doorbell[4:8] = b"\1\0\0\0"


@pytest.fixture(name="printer")
def fixture_printer(start, tmp_path):
    program = start("printer", tmp_path / "printer.sock")
    program.path = str(tmp_path / "printer.sock")
    program.await_line("^ready$")
    yield program
    assert program.alive()


@pytest.fixture(name="client")
def fixture_client(printer):
    with vfio_user.connect(printer.path) as connected:
        yield connected


@pytest.fixture(name="memory")
def fixture_memory():
    with DmaMemory(16 * PAGE) as guest_memory:
        yield guest_memory


@pytest.fixture(name="driver")
def fixture_driver(client, memory):
    memory.share(client)
    with Driver(client, memory) as made:
        yield made


def test_it_prints_in_order_round_the_ring(driver, printer):
    assert driver.set_up()
    for number in range(5 * RING):
        at = driver.put(b"line %d\n" % number)
        driver.ring_bell()
        if number % 3 == 0:
            assert driver.await_(at) == PRINTED
    assert driver.await_(at) == PRINTED
    printer.await_line(f"^line {5 * RING - 1}$")
    assert [line for line in printer.lines if line.startswith("line ")] == [
        f"line {number}" for number in range(5 * RING)]


def test_it_interrupts_when_it_is_to(driver):
    assert driver.set_up()
    at = driver.put(b"no interrupt\n")
    driver.ring_bell()
    assert driver.await_(at) == PRINTED and not fired(driver.irq, 0.1)
    driver.want_interrupt()
    assert fired(driver.irq), "what was printed before"
    assert driver.doorbell[4] == 0, "it takes the bit"
    driver.want_interrupt()
    assert not fired(driver.irq, 0.1)
    driver.put(b"an interrupt\n")
    driver.ring_bell()
    assert fired(driver.irq)


def test_an_interrupt_waits_until_it_is_wired(driver):
    assert driver.set_up()
    driver.unwire_interrupt()
    driver.want_interrupt()
    at = driver.put(b"nobody is told\n")
    driver.ring_bell()
    assert driver.await_(at) == PRINTED and not fired(driver.irq, SEVERAL_BURSTS)
    driver.wire_interrupt()
    assert fired(driver.irq)


def test_the_doorbell_cannot_be_shortened(client):
    (fd,) = client.region_info(BAR2).fds
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)


@pytest.mark.parametrize("ring, size", [
    (8, RING), (0, 0), (0, 1), (0, 1025), (0, 0xFFFFFFFF), (0xFFFFFFFFFFFFFFF0, RING)])
def test_a_ring_that_cannot_be_is_refused(driver, ring, size):
    assert not driver.set_up(ring, size)
    assert driver.set_up(), "and one that can be is not"


def test_a_ring_does_not_change_while_it_is_used(driver):
    assert driver.set_up()
    driver.client.write_region(Region.BAR0, 0, bytes(12))
    assert driver.client.read_region(Region.BAR0, 8, 4) == struct.pack("<I", RING)


@pytest.mark.parametrize("address, length", [
    (0, 5), (0xFFFFFFFFFFFFFFFF, 2), (None, 4097), (None, 0xFFFFFFFF), (-2, 4)])
def test_a_text_that_is_not_there_fails(driver, printer, address, length):
    assert driver.set_up()
    if address is not None and address < 0:
        address += driver.memory.iova + driver.memory.size
    bad = driver.put(b"x", address, length)
    good = driver.put(b"the next is good\n")
    driver.ring_bell()
    assert (driver.await_(bad), driver.await_(good)) == (FAILED, PRINTED)
    printer.await_line("^the next is good$")


@pytest.mark.parametrize("tail", [RING, 0xFFFF, 0xFFFFFFFF])
def test_a_tail_outside_the_ring_is_none(driver, tail):
    assert driver.set_up()
    at = driver.put(b"not yet\n")
    driver.ring_bell(tail)
    # The control thread has seen it by then, and the back-end some bursts.
    for _ in range(20):
        driver.client.reset()
        assert driver.set_up()
        driver.ring_bell(tail)
    assert driver.status(at) == 0
    driver.ring_bell(1)
    assert driver.await_(at) == PRINTED


def test_memory_that_goes_is_not_used_and_may_come_back(driver, client, memory):
    assert driver.set_up()
    first = driver.put(b"first\n")
    driver.ring_bell()
    assert driver.await_(first) == PRINTED
    client.unmap_dma(memory.iova, memory.size)
    later = driver.put(b"later\n")
    driver.ring_bell()
    client.device_info()
    assert driver.status(later) == 0
    memory.share(client)
    assert driver.await_(later) == PRINTED


def test_a_burst_lets_go_of_memory_that_goes(client):
    """Memory is taken away while a burst is seen to be under way: the answer waits for its end. Each text lies in
    a page that the printer has to fetch anew, so that a burst takes longer than a message."""
    with DmaMemory(1028 * PAGE) as memory, Driver(client, memory, 1024) as driver:
        lines = memory.iova + 4 * PAGE
        count = driver.size - 1  # All are of one burst.
        ring = b"".join(struct.pack(DESCRIPTOR, lines + at * PAGE, 4, 0) for at in range(count))
        for _ in range(20):
            memory.share(client)
            memory.map.madvise(mmap.MADV_REMOVE, 4 * PAGE, count * PAGE)
            memory.write(driver.ring, ring)
            assert driver.set_up()
            driver.ring_bell(count)
            wait_for(lambda: driver.status(0), "a burst", interval=0)
            client.unmap_dma(memory.iova, memory.size)
            assert driver.status(count - 1) == PRINTED, "the answer came before the end of the burst"
            client.reset()


def test_the_ring_may_not_be_written(client, memory):
    memory.share(client, flags=vfio_user.DmaFlag.READ)
    with Driver(client, memory) as driver:
        assert driver.set_up()
        at = driver.put(b"never\n")
        driver.ring_bell()
        time.sleep(SEVERAL_BURSTS)
        assert driver.status(at) == 0


def test_a_reset_ends_it(driver, client):
    assert driver.set_up()
    client.reset()
    at = driver.put(b"never\n")
    driver.ring_bell()
    time.sleep(SEVERAL_BURSTS)
    assert driver.status(at) == 0


def test_the_next_driver_begins_anew(driver, printer, client, memory):
    assert driver.set_up()
    driver.put(b"of the first\n")
    driver.ring_bell()
    printer.await_line("^of the first$")
    client.close()
    with vfio_user.connect(printer.path) as another:
        assert another.read_region(Region.BAR0, 0, 16) == bytes(16)
        memory.share(another)
        with Driver(another, memory) as second:
            assert second.doorbell[0:8] == bytes(8)
            assert second.set_up()
            at = second.put(b"of the second\n")
            second.ring_bell()
            assert second.await_(at) == PRINTED


def test_nothing_that_is_written_does_harm(driver, client):
    """Registers, doorbells and the ring itself, while its memory comes and goes."""
    order = random.Random(3)
    for step in range(2000):
        region = order.choice((Region.BAR0, BAR2, 4, Region.CONFIG))
        count = order.randint(1, 16)
        client.write_region(region, order.choice((0, order.randrange(200))), order.randbytes(count))
        driver.memory.write(driver.ring + order.randrange(16 * RING), order.randbytes(4))
        if step % 20 == 0:
            client.reset()
            driver.set_up()
        if step % 50 == 0:
            client.unmap_dma(driver.memory.iova, driver.memory.size)
            driver.memory.share(client)
    client.reset()
    driver.tail = 0
    assert driver.set_up()
    at = driver.put(b"still there\n")
    driver.ring_bell()
    assert driver.await_(at) == PRINTED
