# SPDX-License-Identifier: BSD-3-Clause
"""A client whose BAR0 is mapped whole, so that the server sees no access: it polls the mailbox."""

import random
import struct
import time

import pytest

import vfio_user
from iavf import AQ_DESC, Nic, Op
from vfio_user import CAPABILITIES


class MappedNic(Nic):
    def read32(self, offset):
        return self.doorbells[offset // 4]

    def write32(self, offset, value):
        self.doorbells[offset // 4] = value


@pytest.fixture
def nic(server, memory):
    with vfio_user.connect(server.path, capabilities={**CAPABILITIES, "mapped_bars": True}) as c:
        yield MappedNic(c, memory).open_mailbox()


def test_command_is_seen_whenever_it_comes(nic):
    """Some are written while the server looks at the registers."""
    for count in range(30000):
        answer = nic.arq + nic.arq_next * AQ_DESC
        # The server looks each 100 us: meet it at any point.
        begin = time.perf_counter() + random.uniform(0, 2e-4)
        while time.perf_counter() < begin:
            pass
        nic.post(Op.VERSION, struct.pack("<II", 1, 1))
        give_up = time.monotonic() + vfio_user.TIMEOUT
        while not nic.is_completed(answer):
            assert time.monotonic() < give_up, f"command {count} is not answered: {nic.mailbox()}"
        assert nic.receive()[0] == Op.VERSION
