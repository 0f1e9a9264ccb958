# SPDX-License-Identifier: BSD-3-Clause
"""examples/dma, driven by examples/client and byte by byte."""

import mmap
import os
import random
import struct
import subprocess

import pytest

import vfio_user
from conftest import LIBRARIES, OPTIONS, fired
from stock import wait_for
from vfio_user import Command, DmaMemory, Irq, IrqSet, Region

SIZE = 65536
FETCH, STORE = 1, 2
IDLE, BUSY, DONE, FAILED = range(4)
BAR2 = 2
MASTER = b"\x06\x00"
TEXT = bytes(range(256)) * 4


@pytest.fixture(name="device")
def fixture_device(start, tmp_path):
    """Path of the socket of a running example."""
    path = str(tmp_path / "dma.sock")
    program = start("dma", path)
    program.await_line("^ready$")
    yield path
    assert program.alive()


@pytest.fixture(name="client")
def fixture_client(device):
    with vfio_user.connect(device) as connected:
        connected.write_region(Region.CONFIG, 4, MASTER)
        yield connected


@pytest.fixture(name="memory")
def fixture_memory():
    with DmaMemory(SIZE * 2) as guest_memory:
        yield guest_memory


def copy(client, command, address, offset=0, length=len(TEXT)):
    client.write_region(Region.BAR0, 0, struct.pack("<QII", address, offset, length))
    client.write_region(Region.BAR0, 16, struct.pack("<I", command))


def status(client):
    return struct.unpack("<I", client.read_region(Region.BAR0, 20, 4))[0]


def wire(client, fd):
    client.call(Command.DEVICE_SET_IRQS,
                vfio_user.set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, Irq.MSIX), [fd])


def works(client, memory, offset=0):
    """Whether a text goes from memory to the device and back."""
    memory.write(memory.iova, TEXT)
    copy(client, FETCH, memory.iova, offset)
    assert client.read_region(BAR2, offset, len(TEXT)) == TEXT
    copy(client, STORE, memory.iova + SIZE, offset)
    return memory.read(memory.iova + SIZE, len(TEXT)) == TEXT and status(client) == DONE


def run_client(programs, path):
    return subprocess.run([programs / "client", path], capture_output=True, text=True, timeout=60,
                          check=False, env=os.environ | {"LD_LIBRARY_PATH": LIBRARIES,
                                                         "ASAN_OPTIONS": OPTIONS})


def test_the_client_drives_it(programs, device):
    for _ in range(2):
        run = run_client(programs, device)
        assert run.returncode == 0, run.stderr
        assert run.stdout.splitlines() == [
            "device 1234:0d3a", "in BAR2: by DMA", "back in memory: by DMA"]


def test_the_client_refuses_another_device(programs, start, tmp_path):
    path = str(tmp_path / "serial.sock")
    start("serial", path).await_line("^/dev/pts/")
    run = run_client(programs, path)
    assert run.returncode == 1
    assert "not the device of the example" in run.stderr


def test_the_client_says_why_there_is_none(programs):
    run = run_client(programs, "/no/socket" * 20)
    assert run.returncode == 1 and "/no/socket" in run.stderr and "too long" in run.stderr


@pytest.mark.parametrize("with_fd", [True, False])
def test_it_copies_both_ways(client, memory, with_fd):
    memory.share(client, with_fd=with_fd)
    if with_fd:
        assert works(client, memory) and works(client, memory, SIZE - len(TEXT))
        return
    memory.write(memory.iova, TEXT)
    copy(client, FETCH, memory.iova)
    wait_for(lambda: status(client) == DONE, "end of the copy")
    copy(client, STORE, memory.iova + SIZE)
    wait_for(lambda: status(client) == DONE, "end of the copy")
    assert memory.read(memory.iova + SIZE, len(TEXT)) == TEXT


def test_the_interrupt_waits_until_it_is_wired(client, memory):
    memory.share(client)
    copy(client, FETCH, memory.iova)
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    wire(client, fd)
    assert fired(fd)
    assert not fired(fd, 0.1)
    copy(client, FETCH, memory.iova)
    assert fired(fd)
    os.close(fd)


@pytest.mark.parametrize("command, offset, length, at", [
    (FETCH, SIZE - len(TEXT) + 1, len(TEXT), 0),
    (FETCH, 0xFFFFFFFF, 2, 0),
    (FETCH, 1, SIZE, 0),
    (FETCH, 0, 0xFFFFFFFF, 0),
    (FETCH, 0, 0, 0),
    (STORE, 0, SIZE, SIZE + 1),
    (STORE, 0, 1, -1),
    (FETCH, 0, 2, 0xFFFFFFFFFFFFFFFF),
    (3, 0, 1, 0),
    (0, 0, 1, 0),
])
def test_what_is_out_of_bounds_fails(client, memory, command, offset, length, at):
    memory.share(client)
    copy(client, command, (memory.iova + at) % (1 << 64), offset, length)
    assert status(client) == FAILED
    assert works(client, memory)


def test_the_driver_does_not_write_the_status(client):
    client.write_region(Region.BAR0, 20, struct.pack("<I", DONE))
    client.write_region(Region.BAR0, 0, struct.pack("<QIIII", 0, 0, 0, 0, DONE))
    assert status(client) == IDLE


def test_only_a_bus_master_copies(client, memory):
    memory.share(client)
    client.write_region(Region.CONFIG, 4, b"\x02\x00")
    copy(client, FETCH, memory.iova)
    assert status(client) == FAILED
    assert client.read_region(BAR2, 0, len(TEXT)) == bytes(len(TEXT))


class Slow:
    """Memory without a descriptor whose owner takes his time to answer."""

    def __init__(self, client, memory):
        memory.share(client, with_fd=False)
        self.asked = []
        client.on_command = lambda _, command: self.asked.append(command)

    def answer(self, client, memory):
        client.on_command = memory.serve
        for command in self.asked:
            memory.serve(client, command)


def test_a_reset_forgets_a_copy(client, memory):
    slow = Slow(client, memory)
    memory.write(memory.iova, TEXT)
    copy(client, FETCH, memory.iova)
    wait_for(lambda: status(client) == BUSY and slow.asked, "question for memory")
    copy(client, STORE, memory.iova + SIZE)  # too early: is none
    client.reset()
    assert status(client) == IDLE
    slow.answer(client, memory)
    assert status(client) == IDLE
    client.write_region(Region.CONFIG, 4, MASTER)
    copy(client, FETCH, memory.iova, len(TEXT))
    wait_for(lambda: status(client) == DONE, "end of the next copy")
    assert client.read_region(BAR2, len(TEXT), len(TEXT)) == TEXT
    assert memory.read(memory.iova + SIZE, len(TEXT)) == bytes(len(TEXT))


def test_who_leaves_amid_a_copy_leaves_nothing(device, memory):
    with vfio_user.connect(device) as client:
        client.write_region(Region.CONFIG, 4, MASTER)
        client.write_region(BAR2, 0, b"secret")
        slow = Slow(client, memory)
        copy(client, FETCH, memory.iova)
        wait_for(lambda: status(client) == BUSY and slow.asked, "question for memory")
    with vfio_user.connect(device) as client:
        assert (status(client), client.read_region(BAR2, 0, 6)) == (IDLE, bytes(6))
        client.write_region(Region.CONFIG, 4, MASTER)
        memory.share(client)
        assert works(client, memory)


def test_its_memory_can_be_mapped_but_not_shortened(client):
    (fd,) = client.region_info(BAR2).fds
    with mmap.mmap(fd, SIZE) as bar2:
        bar2[100:104] = b"seen"
        assert client.read_region(BAR2, 100, 4) == b"seen"
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)


def test_nothing_that_is_written_does_harm(client, memory):
    order = random.Random(2)
    memory.share(client)
    for _ in range(2000):
        region = order.choice((Region.BAR0, Region.BAR0, BAR2, 4, Region.CONFIG))
        limit = {Region.BAR0: 64, BAR2: SIZE, 4: 4096, Region.CONFIG: 256}[region]
        count = order.randint(1, 32)
        offset = order.choice((16, order.randrange(limit - count)))
        if order.random() < 0.3:
            client.read_region(region, offset, count)
        else:
            client.write_region(region, offset, order.randbytes(count))
    client.reset()
    client.write_region(Region.CONFIG, 4, MASTER)
    assert works(client, memory)
