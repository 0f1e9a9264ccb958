# SPDX-License-Identifier: BSD-3-Clause
"""What one client asks for at once does not keep the control thread from the clients of others."""

import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

import abuse
from iavf import Nic, Reg, wait_for
from vfio_user import Closed, Region

SERVED = 8  # Accesses of the other client during the abuse. Without turns it is one or two.


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


@pytest.mark.parametrize("name", ["commands", "queries", "queues", "resets", "pieces_eventfd",
                                  "pieces_memory"])
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
