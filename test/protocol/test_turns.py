# SPDX-License-Identifier: BSD-3-Clause
"""What one client asks for at once does not keep the control thread from the clients of others."""

import threading
from contextlib import contextmanager

import pytest

import abuse
from iavf import Nic, Reg, wait_for
from vfio_user import Region

SERVED = 8  # Accesses of the other client during the abuse. Without turns it is one or two.


@contextmanager
def going_on(ask):
    """Runs it in a thread; gives what tells whether it still goes on."""
    def until_thrown_out():
        try:
            ask()
        except OSError:
            pass
    thread = threading.Thread(target=until_thrown_out, daemon=True)
    thread.start()
    yield thread.is_alive
    thread.join(abuse.PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("name", ["commands", "queries", "queues", "resets", "pieces_eventfd",
                                  "pieces_memory"])
def test_others_are_served_meanwhile(client, other, name):
    served = 0
    with going_on(abuse.ABUSES[name](client)) as lasts:
        while lasts():
            assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
            served += lasts()
    assert served >= SERVED, f"served {served} times"


def test_all_commands_behind_one_doorbell_are_done(client, memory, other):
    nic = Nic(client, memory).open_mailbox()
    abuse.fill_mailbox(nic, [abuse.UNKNOWN])
    nic.write32(Reg.ATQT, abuse.ENTRIES - 1)
    assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
    wait_for(lambda: nic.read32(Reg.ATQH) == abuse.ENTRIES - 1, "the end of the commands")
