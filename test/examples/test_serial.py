# SPDX-License-Identifier: BSD-3-Clause
"""examples/serial: its registers byte by byte, and as the console of a stock guest."""

import hashlib
import json
import os
import random
import re
import select

import pytest

import vfio_user
from conftest import fired
from guest import Guest
from stock import wait_for
from vfio_user import Command, Irq, IrqSet, Region

RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR = range(8)
DATA_READY, OVERRUN, THR_EMPTY = 0x01, 0x02, 0x20
NO_INTERRUPT, RX_INTERRUPT, TX_INTERRUPT = 0xC1, 0xC4, 0xC2
LOOP = 0x10
INTX_DISABLE = b"\x00\x04"
# Does not read beyond a line, does not prompt and does not edit.
SHELL = 'while read -r line; do eval "$line"; done'


class Line:
    """The host's end of the serial port, which takes in all that comes."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def write(self, data):
        while data:
            assert select.select([], [self.fd], [], 20)[1], "the driver takes nothing"
            data = data[os.write(self.fd, data):]

    def holds(self, what):
        while select.select([self.fd], [], [], 0)[0]:
            self.received += os.read(self.fd, 65536)
        return what in self.received

    def await_(self, what, seconds=20):
        """All up to there, which is forgotten."""
        wait_for(lambda: self.holds(what), f"{what!r} behind {self.received[-200:]!r}", seconds)
        before, _, self.received = self.received.partition(what)
        return before


@pytest.fixture(name="serial")
def fixture_serial(start, tmp_path):
    """Path of the socket and the line of a running example."""
    path = str(tmp_path / "serial.sock")
    program = start("serial", path)
    with Line(program.await_line(r"^/dev/pts/\d+$")[0]) as line:
        yield path, line
        assert program.alive()


@pytest.fixture(name="line")
def fixture_line(serial):
    return serial[1]


@pytest.fixture(name="client")
def fixture_client(serial):
    with vfio_user.connect(serial[0]) as connected:
        yield connected


def read(client, reg):
    return client.read_region(Region.BAR0, reg, 1)[0]


def write(client, reg, value):
    client.write_region(Region.BAR0, reg, bytes([value]))


def set_fifo(client):
    write(client, IIR, 0x07)


def set_intx(client, flags, data=b"", fds=()):
    client.call(Command.DEVICE_SET_IRQS,
                vfio_user.set_irqs(flags, Irq.INTX, data=data), fds)


@pytest.fixture(name="intx")
def fixture_intx(client):
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    set_intx(client, IrqSet.EVENTFD | IrqSet.TRIGGER, fds=[fd])
    yield fd
    os.close(fd)


def test_it_is_a_pci_serial_port(client):
    config = client.read_region(Region.CONFIG, 0, 256)
    assert config[0:4] == bytes.fromhex("361b0200") and config[9:12] == bytes.fromhex("020007")
    client.write_region(Region.CONFIG, 0x10, b"\xff" * 4)
    assert client.read_region(Region.CONFIG, 0x10, 4) == bytes.fromhex("f9ffffff")
    assert client.irq_info(Irq.INTX) == (7, 1)


def test_bytes_go_both_ways(client, line):
    set_fifo(client)
    for byte in b"\x00\xff\nto the host":
        write(client, RBR, byte)
    assert line.await_(b"to the host") == b"\x00\xff\n"
    data = bytes(range(256)) * 8
    line.write(data)
    got = bytearray()
    for _ in data:
        wait_for(lambda: read(client, LSR) & DATA_READY, "data", interval=0.001)
        got.append(read(client, RBR))
    assert got == data, "nothing is lost while the driver is slow"
    assert read(client, LSR) & (DATA_READY | OVERRUN | THR_EMPTY) == THR_EMPTY


def test_a_loop_has_a_fifo_of_16_bytes(client):
    set_fifo(client)
    write(client, MCR, LOOP | 0x0A)
    assert read(client, MSR) == 0x90
    for byte in range(20):
        write(client, RBR, byte)
    assert read(client, LSR) & OVERRUN
    assert [read(client, RBR) for _ in range(17)] == [*range(16), 0]
    assert read(client, LSR) == 0x60


def test_intx_is_a_level(client, line, intx):
    set_fifo(client)
    write(client, IER, 1)
    line.write(b"ab")
    assert fired(intx) and read(client, IIR) == RX_INTERRUPT
    assert not fired(intx, 0.1), "it was masked when it fired"
    set_intx(client, IrqSet.NONE | IrqSet.UNMASK)
    assert fired(intx), "the level lasts"
    assert client.read_region(Region.CONFIG, 6, 1)[0] & 8
    assert (read(client, RBR), read(client, RBR)) == tuple(b"ab")
    assert read(client, IIR) == NO_INTERRUPT
    assert not client.read_region(Region.CONFIG, 6, 1)[0] & 8
    set_intx(client, IrqSet.NONE | IrqSet.UNMASK)
    assert not fired(intx, 0.1), "nobody asserts it"


def test_intx_can_be_disabled(client, intx):
    set_fifo(client)
    client.write_region(Region.CONFIG, 4, INTX_DISABLE)
    write(client, IER, 2)
    assert not fired(intx, 0.1)
    client.write_region(Region.CONFIG, 4, b"\x00\x00")
    assert fired(intx) and read(client, IIR) == TX_INTERRUPT
    assert read(client, IIR) == NO_INTERRUPT, "to see it clears it"


def test_a_reset_and_the_next_client_find_it_untouched(serial, client):
    set_fifo(client)
    write(client, SCR, 0x55)
    client.write_region(Region.CONFIG, 4, b"\x01\x00")
    client.reset()
    assert (read(client, SCR), read(client, IIR)) == (0, 1)
    write(client, SCR, 0x55)
    client.close()
    with vfio_user.connect(serial[0]) as another:
        assert read(another, SCR) == 0
        assert another.read_region(Region.CONFIG, 4, 2) == b"\x00\x00"


def test_nothing_that_is_written_does_harm(client, line, intx):
    order = random.Random(1)
    for _ in range(2000):
        region = order.choice((Region.BAR0, Region.CONFIG))
        offset = order.randrange(8 if region == Region.BAR0 else 256)
        count = order.randint(1, 8 - offset % 8)
        if order.random() < 0.3:
            client.read_region(region, offset, count)
        else:
            client.write_region(region, offset, order.randbytes(count))
        if order.random() < 0.1:
            line.write(order.randbytes(20))
            set_intx(client, IrqSet.NONE | order.choice((IrqSet.MASK, IrqSet.UNMASK)))
    assert client.read_region(Region.CONFIG, 0, 4) == bytes.fromhex("361b0200")
    client.reset()
    write(client, SCR, 7)
    assert read(client, SCR) == 7


def test_a_line_that_nobody_reads_holds_nobody_up(client):
    for _ in range(600):
        client.call(Command.REGION_WRITE_MULTI,
                    vfio_user.write_multi([(Region.BAR0, RBR, b"x")] * 200))
    assert read(client, LSR) == 0x60


def test_it_is_the_console_of_a_stock_guest(serial, tmp_path):
    """Linux with its own 8250_pci: kernel messages by polling, a shell by interrupts."""
    path, line = serial
    device = {"driver": "vfio-user-pci", "socket": {"type": "unix", "path": path}}
    guest = Guest(tmp_path / "guest", None, console="ttyS2,115200", append="loglevel=4",
                  more=("-device", json.dumps(device)))
    try:
        assert "Kernel driver in use: serial" in guest.check("lspci -k -d 1b36:0002")
        assert re.search(r"ttyS2 at I/O 0x\w+ \(irq = \d+, .* is a 16550A",
                         guest.check("dmesg"))
        assert re.search(r"^ttyS2 .*E", guest.check("cat /proc/consoles"))
        guest.check("echo '<1>the kernel speaks' > /dev/kmsg")
        line.await_(b"the kernel speaks\r\n")

        guest.check("stty -F /dev/ttyS2 raw -echo")
        guest.start(f"({SHELL}) </dev/ttyS2 >/dev/ttyS2 2>&1")
        line.write(b"echo $((6*7)) $(uname -r)\n")
        assert line.await_(b"\n").startswith(b"42 6.")
        numbers = b"".join(b"%d\n" % n for n in range(3000))
        line.write(b"seq 0 2999; echo end\n")
        assert line.await_(b"end\n") == numbers
        line.write(b"head -c %d | md5sum\n" % len(numbers))
        line.write(numbers)
        assert line.await_(b"  -\n").decode() == hashlib.md5(numbers).hexdigest()

        (interrupts,) = re.findall(r"(\d+) +IO-APIC.*ttyS2", guest.check("cat /proc/interrupts"))
        assert int(interrupts) > 2
        assert "nobody cared" not in guest.check("dmesg")
    finally:
        guest.close()
