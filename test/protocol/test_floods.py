# SPDX-License-Identifier: BSD-3-Clause
"""A thousand messages of each virtchnl operation behind one doorbell; a good driver of the device
beside is served meanwhile, packets and messages. The guide's table says which operations there are.
"""

import re
import struct

import pytest

import abuse
import iavf
import vfio_user
from iavf import (CAPS_LINUX_6_12, CAP_LARGE_NUM_QPAIRS, CAP_RX_FLEX_DESC, LEN_ENABLE, Nic, Op, Reg,
                  Status, ether_addrs, irq_map, queue_chunks, queue_pair, queue_select,
                  queue_vectors, vsi_queues, wait_for)
from stock import ROOT

QUEUES, HOST_QUEUES = 64, 4  # Of the devices, and of the host's ports.
GUIDE = ROOT / "doc/guides/emudevs/virtchnl.rst"
ROW = re.compile(r"^(\d+) +(\w+) +(served|refused|never|sent)\b", re.MULTILINE)
OPERATIONS = {int(number): (name, answer)
              for number, name, answer in ROW.findall(GUIDE.read_text())}
SERVED = {number for number, (_, answer) in OPERATIONS.items() if answer == "served"}
CAP_VLAN = 1 << 16
CAPS = CAPS_LINUX_6_12 | CAP_LARGE_NUM_QPAIRS | CAP_RX_FLEX_DESC
VARIANTS = 24  # How many different messages of an operation.
VSI = 1
ENDS = {Op.RESET_VF, Op.REQUEST_QUEUES}  # Whatever comes behind them in the ring.


def rule(number):
    """ADD_FDIR_FILTER: an address of IPv4 to a queue."""
    to = struct.pack("<iI16x", 4, 2) + struct.pack(">HH", 10 << 8, number) + bytes(44)
    headers = struct.pack("<iI64x", 1, 0) + to
    actions = struct.pack("<iiHB29x", 1, 3, number % 4, 0)
    return (struct.pack("<HHIB3xi", VSI, 0, 0, 0, 2) + headers.ljust(2304, b"\0")
        + actions.ljust(292, b"\0") + bytes(4))


def hash_rule(number):
    return (struct.pack("<B3xi", 0, 1) + struct.pack("<iI", 4, 1 + number % 3)).ljust(2444, b"\0")


def rings(n):
    return queue_pair(VSI, n % 4, 64, 0x1000_0000, 64, 0x1001_0000)


def table(size, value):
    return struct.pack("<HH", VSI, size) + bytes([value % 4]) * size


def vlan_setting(number):
    return struct.pack("<IIH6x", 1 << number % 3, 1, VSI)


def vlan_filter(number):
    return struct.pack("<HH4x8xHHHxx16x", VSI, 1, 1 + number, 0, 0x8100)


def select(number):
    return queue_select(VSI, 1 << number % 4, 1 << number % 4)


def chunk(number):
    return queue_chunks(VSI, [(number % 2, number % 4, 1)])


def mac(number):
    return ether_addrs(VSI, [struct.pack(">HI", 0x0200, number + 1)])


def vlan(number):
    return struct.pack("<HHH", VSI, 1, number + 1)


def empty(_):
    return b""


MESSAGES = {  # by operation: good ones, by their number
    1: lambda n: struct.pack("<II", 1, 1), 2: empty, 3: lambda n: struct.pack("<I", CAPS),
    4: lambda n: rings(n)[:24], 5: lambda n: rings(n)[24:],
    6: lambda n: vsi_queues(VSI, [rings(n)]), 7: lambda n: irq_map([(VSI, 1 + n % 4, 1, 1)]),
    8: select, 9: select, 10: mac, 11: mac, 12: vlan, 13: vlan,
    14: lambda n: struct.pack("<HH", VSI, n % 4), 15: lambda n: queue_select(VSI, 0, 0),
    18: lambda n: struct.pack("<HHI", VSI, n % 3, 0), 23: lambda n: table(52, n),
    24: lambda n: table(64, n), 25: empty, 26: lambda n: struct.pack("<Q", n % 2 << 33),
    27: empty, 28: empty, 29: lambda n: struct.pack("<H", 4), 44: empty, 45: hash_rule,
    46: hash_rule, 47: rule, 48: lambda n: struct.pack("<HxxIi", VSI, n, 0), 50: empty, 51: empty,
    52: vlan_filter, 53: vlan_filter, 54: vlan_setting, 55: vlan_setting, 56: vlan_setting,
    57: vlan_setting, 107: chunk, 108: chunk,
    111: lambda n: queue_vectors(VSI, [(n % 4, 1 + n % 4, 0, n % 2)]),
}
# Which a driver has that knows the older messages for VLANs only.
OLDER = {12, 13, 27, 28}
# Answered otherwise than by success: what is there already has gone, was not set up before.
MAY_FAIL = {8, 48, 107}


@pytest.fixture(scope="module")
def neighbour(server):
    """A good driver of the other device."""
    memory = vfio_user.DmaMemory()
    with memory, vfio_user.connect(server.other_path) as client:
        yield Nic(client, memory).bring_up()


@pytest.fixture(autouse=True)
def healthy(server, neighbour):
    """Instead of that of all modules, which wants both devices for itself."""
    yield
    assert server.alive(), server.log()


def test_each_operation_has_a_message():
    assert SERVED == MESSAGES.keys() and len(OPERATIONS) > 80


def flood(nic, op, messages):
    """Rings once for a ring full of messages."""
    abuse.fill_mailbox(nic, [abuse.command(op, message, nic.memory) for message in messages])
    nic.arq = sum(nic.read32(reg) << shift for reg, shift in ((Reg.ARQBAL, 0), (Reg.ARQBAH, 32)))
    nic.write32(Reg.ATQT, abuse.ENTRIES - 1)


def is_done(nic):
    return nic.read32(Reg.ATQH) == abuse.ENTRIES - 1 or not nic.read32(Reg.ATQLEN) & LEN_ENABLE


def answers(nic):
    """(operation, status) of each message that has come, but for the events of the device."""
    out = []
    for index in range(abuse.ENTRIES):
        flags, _, _, _, op, status = nic.memory.unpack("<HHHHIi", nic.arq + index * iavf.AQ_DESC)
        if not flags & iavf.AQ_DD:
            break
        if (op, status) != (Op.EVENT, Status.SUCCESS):
            out.append((op, status))
    return out


@pytest.mark.parametrize("op", OPERATIONS, ids=[name for name, _ in OPERATIONS.values()])
def test_flood(server, client, memory, neighbour, op):
    nic = Nic(client, memory).open_mailbox(CAP_VLAN if op in OLDER else CAPS)
    before = server.memory()
    served = op in SERVED
    make = MESSAGES.get(op, lambda n: bytes(16 * n))
    flood(nic, op, [make(n) for n in range(VARIANTS)])
    neighbour.echo(neighbour.frame(fill=op))
    neighbour.call(Op.GET_STATS, queue_select(neighbour.vsi, 0, 0))
    wait_for(lambda: is_done(nic), "the end of the flood")
    if op in ENDS:
        assert not nic.read32(Reg.ATQLEN) & LEN_ENABLE
    else:
        came = answers(nic)
        # An event may have taken a place, and the last answer waits.
        assert abuse.ENTRIES - 3 <= len(came) < abuse.ENTRIES
        assert {each for each, _ in came} == {op}
        expected = {Status.SUCCESS} if served else {Status.NOT_SUPPORTED}
        allowed = {Status.PARAM} if op in MAY_FAIL else set()
        assert {status for _, status in came} - allowed <= expected
    assert server.memory() - before < 8 << 20 or server.keeps_what_is_freed()
    memory.used = 0
    nic.bring_up()
    nic.echo(nic.frame())
