# SPDX-License-Identifier: BSD-3-Clause
"""Holes that a client punches into the memory of a ring that it feeds: the kernel holds the data
thread that touches a page of such a hole until all of it is there. Others have a thread of their own.
"""

import ctypes
import os
import threading
from pathlib import Path

import pytest

from iavf import Nic, TX_EOP, TX_ICRC, TX_RS, TxRing, wait_for
from vfio_user import DmaMemory, PAGE

QUEUES, HOST_QUEUES, CORES = 1, 1, 2  # The first device has a data thread, the others have another.
SIZE = 256 << 20
BATCH = 64  # Frames.
SERVED = 8  # Frames of the neighbour while a data thread is held. With one for both there are none.
ROUNDS = 20
KEEP_SIZE_AND_PUNCH_HOLE = 3
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]


@pytest.fixture
def holes(client):
    """Memory to punch holes into."""
    with DmaMemory(SIZE, 1 << 40) as punched:
        punched.share(client)
        yield punched


@pytest.fixture
def nic(client, memory):
    made = Nic(client, memory).open_mailbox()
    made.create_rings(size=512)
    return made


@pytest.fixture
def neighbour(other):
    with DmaMemory() as memory:
        yield Nic(other, memory).bring_up()


def fill(memory):
    some = bytes(16 << 20)
    for at in range(0, memory.size, len(some)):
        memory.map[at:at + len(some)] = some


def punch(memory, errors):
    errors.append(LIBC.fallocate(memory.fd, KEEP_SIZE_AND_PUNCH_HOLE, 0, memory.size))


def held_threads(server):
    """What tells whether the kernel holds a data thread."""
    tasks = [task for task in Path(f"/proc/{server.pid}/task").iterdir()
             if "worker" in (task / "comm").read_text()]
    assert len(tasks) == CORES

    def is_any_held():
        return any((task / "stat").read_text().rsplit(") ", 1)[1][0] == "D" for task in tasks)
    return is_any_held


def served_while_held(server, memory, feed, neighbour):
    """How many frames of the neighbour come back during one hole while a thread is held, at best."""
    best, errors, is_any_held = 0, [], held_threads(server)
    for _ in range(ROUNDS):
        fill(memory)
        served, hole = 0, threading.Thread(target=punch, args=(memory, errors))
        hole.start()
        while hole.is_alive():
            feed()
            held = is_any_held()
            neighbour.echo(neighbour.frame())
            served += held and is_any_held()
        hole.join()
        best = max(best, served)
        if best >= SERVED:
            break
    assert not any(errors)
    return best


def test_holes_in_the_buffers_of_a_fed_ring_hold_up_nobody_else(server, nic, holes, neighbour):
    """What is not there reads as zeros: each frame is sent."""
    ring, last, posted = nic.tx[0], None, 0
    nic.configure()
    nic.enable()

    def feed():
        nonlocal last, posted
        if last is not None and not ring.is_done(last):
            return
        for _ in range(BATCH):
            at = posted * 61 * PAGE % SIZE
            last = ring.put(holes.iova + at, 64, TX_ICRC | TX_EOP | TX_RS)
            posted += 1
        ring.flush()

    assert served_while_held(server, holes, feed, neighbour) >= SERVED
    wait_for(lambda: ring.is_done(last), "the end of the frames")
    assert nic.counters()[1] == posted


def test_holes_in_a_fed_ring_hold_up_nobody_else(server, nic, holes, neighbour):
    """Descriptors that are not there any more are bad ones."""
    plain, nic.memory = nic.memory, holes
    ring = nic.tx[0] = TxRing(nic, size=512)
    nic.memory = plain
    nic.configure()
    nic.enable()

    def feed():
        """Nothing is written to the ring, as that would hold up ourselves."""
        ring.next = (ring.next + BATCH) % ring.size
        ring.flush()

    assert served_while_held(server, holes, feed, neighbour) >= SERVED
    nic.memory.used = 0
    nic.bring_up()
    nic.echo(nic.frame())
