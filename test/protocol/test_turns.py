# SPDX-License-Identifier: BSD-3-Clause
"""What one client asks for at once does not keep the control thread from the clients of others."""

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

import abuse
from iavf import Nic, Reg, wait_for
from vfio_user import Closed, Command, Flag, MEMORY_NAME, PAGE, Region, dma_map, dma_unmap

SERVED = 8  # Accesses of the other client during the abuse. Without turns it is one or two.
FILES = 12000  # That are mapped one by one, and let go of at once.


@contextmanager
def going_on(client, ask):
    """Runs what the client asks for in a thread, until it leaves or is thrown out; gives what tells
    whether it still goes on."""
    def until_the_end():
        with suppress(Closed, OSError, ValueError):  # ValueError: the client has closed its socket.
            ask()
    thread = threading.Thread(target=until_the_end, daemon=True)
    thread.start()
    yield thread.is_alive
    client.socket.shutdown(socket.SHUT_RDWR)
    thread.join(abuse.PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("name", ["commands", "queries", "queues", "resets", "rules", "addresses",
                                  "keys", "pieces_eventfd", "pieces_memory"])
def test_others_are_served_meanwhile(client, other, name):
    served = 0
    with going_on(client, abuse.ABUSES[name](client)) as lasts:
        time.sleep(0.05)  # Until the server has begun with it.
        while lasts() and served < SERVED:
            assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
            served += lasts()
    assert served == SERVED, f"served {served} times"


def test_all_commands_behind_one_doorbell_are_done(client, memory, other):
    nic = Nic(client, memory).open_mailbox()
    abuse.fill_mailbox(nic, [abuse.UNKNOWN])
    nic.write32(Reg.ATQT, abuse.ENTRIES - 1)
    assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
    wait_for(lambda: nic.read32(Reg.ATQH) == abuse.ENTRIES - 1, "the end of the commands")


def share_files(client):
    """One behind the other, without waiting for any."""
    for number in range(FILES):
        fd = os.memfd_create(MEMORY_NAME)
        os.ftruncate(fd, 2 * PAGE)
        os.pwrite(fd, b"1", PAGE)
        client.send(Command.DMA_MAP, dma_map(number * 4 * PAGE, PAGE, PAGE), [fd],
                    flags=Flag.NO_REPLY)
        os.close(fd)


def unmap(client):
    client.send(Command.DMA_UNMAP, dma_unmap(0, 0, flags=2))  # All of it.


def close(client):
    client.socket.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("leave", [unmap, close])
def test_others_are_served_while_files_are_let_go(server, client, other, leave):
    """By a thread that nobody waits for."""
    share_files(client)
    client.device_info()
    assert len(server.client_mappings()) >= FILES
    served, reads = 0, 4  # The list of mappings is a long one: it is not looked at each time.
    leave(client)
    while server.client_mappings() and served < SERVED:
        for _ in range(reads):
            assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
        served += reads
    assert served >= SERVED, f"served {served} times"
    wait_for(lambda: not server.client_mappings(), "the end of the memory", abuse.PATIENCE)
