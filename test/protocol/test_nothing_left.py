# SPDX-License-Identifier: BSD-3-Clause
"""Calls of the control path that ask the system for something fail once, one after the other.
A session then ends by an error or by its connection's end, at once; the process lives, keeps nothing
of it, and serves the next client as ever.
"""

import os
import select
import struct
import time
from collections import Counter
from contextlib import suppress

import pytest

import vfio_user
from failing import EACH, Orders
from iavf import Nic, Reg, wait_for
from server import Server
from stock import Failure
from test_floods import CAPS, ENDS, MESSAGES, OLDER
from vfio_user import CAPABILITIES, Closed, Command, IrqSet, PAGE, Region, ReplyError

WISH = {**CAPABILITIES, "twin_socket": {"supported": True}}
# What must have failed at least: else this test tests less than it says. With sanitizers some calls
# are theirs, and never come here.
EXPECTED = {"accept4", "recvmsg", "sendmsg", "io_submit", "shutdown", "timerfd_settime"}
EXPECTED_WITHOUT_SANITIZERS = {"malloc", "epoll_ctl", "fcntl", "fstat64", "mmap64", "mprotect",
                               "madvise", "socketpair", "readlink", "munmap", "close",
                               "eventfd_read"}
# Of those that each message makes, one in so many; all of them with EMUDEV_EACH=1.
PLENTY = {"recvmsg": 16, "sendmsg": 8, "malloc": 2, "close": 2, "eventfd_read": 4}
LATE = {"munmap", "close", "shutdown"}  # When the client may be gone.


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    return Orders(tmp_path_factory.mktemp("orders") / "file")


def start(folder, orders):
    """A server whose calls fail as told."""
    running = Server(folder, preload=orders.library(), environment=orders.environment())
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
    """The calls to let fail."""
    orders.give(EACH)
    assert session(server.path)
    server.check_health()
    yield from orders.plan(lambda name, _: PLENTY.get(name, 1))


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
