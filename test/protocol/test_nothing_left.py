# SPDX-License-Identifier: BSD-3-Clause
"""Each call of the control path that asks the system for something fails once, one after the other.
A session then ends by an error or by its connection's end, at once; the process lives, keeps nothing
of it, and serves the next client as ever.
"""

import mmap
import os
import select
import struct
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

import vfio_user
from iavf import Nic, Reg, wait_for
from server import Server
from stock import Failure, compile_library
from test_floods import CAPS, ENDS, MESSAGES, OLDER
from vfio_user import CAPABILITIES, Closed, Command, IrqSet, PAGE, Region, ReplyError

SOURCE = Path(__file__).with_name("fail.c")
CALLS = 4093
EACH = (1 << 64) - 1
WISH = {**CAPABILITIES, "twin_socket": {"supported": True}}
# What must have failed at least: else this test tests less than it says. With sanitizers some calls
# are theirs, and never come here.
EXPECTED = {"accept4", "recvmsg", "sendmsg", "io_submit", "shutdown", "timerfd_settime"}
EXPECTED_WITHOUT_SANITIZERS = {"malloc", "epoll_ctl", "fcntl", "fstat64", "mmap64", "mprotect",
                               "madvise", "socketpair", "readlink", "munmap", "close",
                               "eventfd_read"}
# Of those that each message makes, one in so many is enough.
PLENTY = {"recvmsg": 16, "sendmsg": 8, "malloc": 2, "close": 2, "eventfd_read": 4}
LATE = {"munmap", "close", "shutdown"}  # When the client may be gone.


class Orders:
    """The file by which fail.c is told what is to fail, and tells what was called."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb+") as file:
            file.truncate(16 * (CALLS + 3))
            self.map = mmap.mmap(file.fileno(), 0)

    def give(self, number, name="", also=""):
        """The call with this name and number fails, counted from now on, or EACH with the name does;
        without a name all are counted and none fails; with 0 none is counted. Each call that is
        also named fails meanwhile."""
        self.map[0:8] = bytes(8)
        self.map[8:] = struct.pack("<Q16s16s", 0, name.encode(), also.encode()).ljust(len(self.map) - 8, b"\0")
        self.map[0:8] = struct.pack("<Q", number)

    def count(self):
        return struct.unpack("<Q", self.map[8:16])[0]

    def calls(self):
        """Their names, in order."""
        end = 48 + 16 * self.count()
        assert end <= len(self.map)
        return [self.map[at:at + 16].rstrip(b"\0").decode() for at in range(48, end, 16)]


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    return Orders(tmp_path_factory.mktemp("orders") / "file")


def start(folder, orders):
    """A server whose calls fail as told."""
    library = orders.path.with_name("fail.so")
    if not library.exists():
        compile_library(SOURCE, library)
    running = Server(folder, preload=library, environment={"EMUDEV_FAIL": str(orders.path)})
    try:
        running.wait_until_ready()
    except BaseException:
        running.process.kill()
        raise
    return running


@pytest.fixture(scope="module")
def server(orders, tmp_path_factory):
    running = start(tmp_path_factory.mktemp("server"), orders)
    try:
        yield running
    except BaseException:
        running.process.kill()
        raise
    running.quit()


class Watched:
    """A client that looks for the end of its connection while it waits for its rings."""

    def __init__(self, client):
        self.poll = select.poll()
        self.poll.register(client.socket, select.POLLRDHUP)

    def wait_for(self, condition, what):
        wait_for(lambda: condition() or self.poll.poll(0), what)
        if not condition():
            raise Closed

    def echo(self, nic, frame):
        ring = nic.tx[0]
        sent = ring.post(frame)
        ring.flush()
        self.wait_for(lambda: ring.is_done(sent), "transmit completion")
        self.wait_for(nic.rx[0]._written_back, "received frame")
        assert nic.rx[0].receive() == frame


def work(client, memory):
    """All that a client does in its life, once."""
    watched = Watched(client)
    for index in range(client.device_info()[1]):
        client.region_info(index)
    fd = os.eventfd(0)
    try:
        for vector in range(2):
            client.call(Command.DEVICE_SET_IRQS, vfio_user.set_irqs(
                IrqSet.EVENTFD | IrqSet.TRIGGER, start=vector), [fd])
            client.call(Command.DEVICE_SET_IRQS, vfio_user.set_irqs(
                IrqSet.NONE | IrqSet.TRIGGER, start=vector))
            watched.wait_for(lambda: select.select([fd], [], [], 0)[0], "interrupt")
            os.eventfd_read(fd)
    finally:
        os.close(fd)
    nic = Nic(client, memory).bring_up(caps=CAPS)
    watched.echo(nic, nic.frame())
    for op in MESSAGES.keys() - OLDER - ENDS:
        nic.ask(op, MESSAGES[op](1))
    with vfio_user.DmaMemory(8 * PAGE, 0x8000_0000) as more:
        for page in range(0, 8, 2):
            client.map_dma(more.iova + page * PAGE, PAGE, more.fd, page * PAGE)
        client.unmap_dma(more.iova, 8 * PAGE)
    client.call(Command.REGION_WRITE_MULTI, vfio_user.write_multi(
        [(Region.BAR0, Reg.ICR0_ENA1, bytes(4))] * 8))
    client.reset()
    nic.wait_for_reset()


def session(path):
    """Whether a client comes, works and goes without an error."""
    try:
        with vfio_user.connect(path, capabilities=WISH) as client, vfio_user.DmaMemory() as memory:
            work(client, memory)
        return True
    except (Closed, ReplyError, ConnectionError, AssertionError):
        return False


def plan(server, orders):
    """The calls to let fail, each by its name and its number among those with the name: threads make
    their calls in no order that could be relied on."""
    orders.give(EACH)
    assert session(server.path)
    server.check_health()
    for name, count in Counter(orders.calls()).items():
        every = PLENTY.get(name, 1)
        for number in range(every, count + 1, every):
            yield name, number


def test_each_call_fails_once(server, orders):
    failed = Counter()
    for name, number in plan(server, orders):
        orders.give(number, name)
        session(server.path)
        if name in LATE:
            with suppress(Failure):  # A call fewer than before is no fault.
                wait_for(lambda: orders.count() >= number, name, 0.5)
        failed[name] += orders.count() >= number
        orders.give(0)
        assert server.alive(), f"{name} {number}\n{server.log()[-3000:]}"
        server.check_health()
    assert session(server.path)
    wanted = EXPECTED | (set() if server.keeps_what_is_freed() else EXPECTED_WITHOUT_SANITIZERS)
    assert wanted <= (+failed).keys(), failed


def test_lack_of_memory_pauses_accepting(server, orders):
    """The listener stays ready: without a pause the control thread would try again at once."""
    orders.give(EACH, "accept4")
    with vfio_user.Client(server.path, negotiate=False) as client:
        wait_for(lambda: orders.count() >= 2, "another try")
        time.sleep(0.5)
        tries = orders.count()
        orders.give(0)
        assert not client.negotiate().failed
    assert tries < 50


def test_no_pause_without_a_timer_to_end_it(server, orders):
    orders.give(EACH, "accept4", also="timerfd_settime")
    with vfio_user.Client(server.path, negotiate=False) as client:
        wait_for(lambda: orders.count() >= 2, "another try")
        orders.give(0)
        assert not client.negotiate().failed


def test_interrupts_come_without_asynchronous_io(orders, tmp_path_factory):
    """As where fs.aio-max-nr is used up."""
    folder = tmp_path_factory.mktemp("without_aio")
    orders.give(EACH, "io_setup")
    running = start(folder, orders)
    try:
        assert orders.count() > 0 and "no asynchronous I/O" in running.log()
        orders.give(0)
        assert session(running.path)
        running.check_health()
    finally:
        running.quit()
