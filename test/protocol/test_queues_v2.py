# SPDX-License-Identifier: BSD-3-Clause
"""More queue pairs than 16, as drivers ask for them, set them up and end them."""

import struct

import pytest

import vfio_user
from iavf import (CAP_LARGE_NUM_QPAIRS, CAP_REQ_QUEUES, CAPS_LINUX_6_12, Nic, Op, Reg,
                  Status, irq_map, queue_chunks, queue_select, queue_vectors, vsi_queues, wait_for)
from vfio_user import Region

QUEUES, HOST_QUEUES = 256, 2  # Of the devices, and of the host's ports.
CAP_RSS_PF = 1 << 19
# Without RSS a frame goes to the ring that the host's queue has to itself.
CAPS_BASE = CAPS_LINUX_6_12 & ~CAP_RSS_PF
CAPS_LARGE = CAPS_BASE | CAP_LARGE_NUM_QPAIRS | CAP_REQ_QUEUES
TX, RX = 0, 1
PER_MESSAGE, MAPS_PER_MESSAGE = 32, 128  # As net_iavf sends them.
RESET_IMPENDING = 2
DEVICE_CONTROL, INITIATE_FLR = 0xA8, 1 << 15


@pytest.fixture
def memory():
    with vfio_user.DmaMemory(size=192 << 20) as guest_memory:
        yield guest_memory


@pytest.fixture
def nic(client, memory):
    return Nic(client, memory).open_mailbox(CAPS_LARGE)


def request(pairs):
    return struct.pack("<H", pairs)


def begin(nic, caps=CAPS_LARGE):
    """A driver begins after a reset by the device."""
    nic.memory.used = 0
    nic.wait_for_reset()
    nic.start_mailbox()
    nic.call(Op.VERSION, struct.pack("<II", 1, 1))
    return nic.ask_resources(caps)


def ask_for(nic, pairs, caps=CAPS_LARGE):
    """What is granted is told by the event that announces a reset, and by nothing else."""
    nic.send(Op.REQUEST_QUEUES, request(pairs))
    op, status, payload = nic.receive()
    assert (op, status, struct.unpack_from("<i", payload)[0]) == (
        Op.EVENT, Status.SUCCESS, RESET_IMPENDING)
    assert nic.read32(Reg.ATQLEN) == nic.read32(Reg.ARQLEN) == 0
    return begin(nic, caps)


def parts(count, size):
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def set_up(nic, pairs):
    """As net_iavf does with more than 16 queues: several messages, each queue enabled alone."""
    nic.create_rings(pairs, size=64)
    for part in parts(pairs, PER_MESSAGE):
        nic.call(Op.CONFIG_VSI_QUEUES, vsi_queues(nic.vsi, [nic.pair(i) for i in part]))
    for part in parts(pairs, MAPS_PER_MESSAGE):
        nic.call(Op.MAP_QUEUE_VECTOR, queue_vectors(nic.vsi, [
            (i, 1 + i % (nic.vectors - 1), 0, RX) for i in part]))
    for ring in nic.rx:
        ring.fill()
    for kind in (TX, RX):
        for i in range(pairs):
            nic.call(Op.ENABLE_QUEUES_V2, queue_chunks(nic.vsi, [(kind, i, 1)]))
    nic.wait_for_link()
    return nic


def echo(nic, queue, back):
    """What is sent on a ring comes back on that which has the host's queue to itself."""
    frame = nic.frame(fill=queue)
    nic.tx[queue].send(frame)
    assert nic.rx[back].receive() == frame


@pytest.fixture
def forty(nic):
    return ask_for(nic, 40)


# What drivers are told

def test_driver_that_does_not_ask_sees_what_the_host_has(nic):
    assert (nic.max_pairs, nic.vectors) == (HOST_QUEUES, HOST_QUEUES + 1)
    assert nic.caps & CAP_LARGE_NUM_QPAIRS and nic.caps & CAP_REQ_QUEUES


@pytest.mark.parametrize("pairs", [1, 2, 16, 17, 64, 256])
def test_number_that_is_asked_for_is_told(nic, pairs):
    ask_for(nic, pairs)
    assert (nic.max_pairs, nic.vectors) == (pairs, min(pairs, 16) + 1)
    region = struct.unpack_from("<HH", nic.call(Op.GET_MAX_RSS_QREGION))
    assert region == (nic.vsi, (pairs - 1).bit_length())


def test_driver_without_the_capability_sees_16_at_most(client, memory):
    nic = Nic(client, memory).open_mailbox(CAPS_BASE)
    assert not nic.caps & CAP_LARGE_NUM_QPAIRS
    assert nic.ask(Op.REQUEST_QUEUES, request(17)) == (Status.SUCCESS, request(16))
    assert ask_for(nic, 16, CAPS_BASE).max_pairs == 16
    nic.client.reset()
    ask_for(nic.open_mailbox(CAPS_LARGE), 256)
    begin(nic, CAPS_BASE)
    assert (nic.max_pairs, nic.vectors) == (16, 17)
    for op, payload in ((Op.ENABLE_QUEUES_V2, queue_chunks(nic.vsi, [(TX, 0, 1)])),
                        (Op.DISABLE_QUEUES_V2, queue_chunks(nic.vsi, [(TX, 0, 1)])),
                        (Op.MAP_QUEUE_VECTOR, queue_vectors(nic.vsi, [(0, 1, 0, RX)])),
                        (Op.GET_MAX_RSS_QREGION, b"")):
        assert nic.ask(op, payload)[0] == Status.NOT_SUPPORTED


@pytest.mark.parametrize("reset", [
    lambda nic: nic.client.reset(),
    lambda nic: nic.client.write_region(Region.CONFIG, DEVICE_CONTROL,
                                        struct.pack("<H", INITIATE_FLR)),
], ids=["device_reset", "flr"])
def test_request_holds_until_somebody_else_resets_the_function(forty, reset):
    forty.post(Op.RESET_VF)
    assert begin(forty).max_pairs == 40
    reset(forty)
    forty.enable_bus_master()
    assert begin(forty).max_pairs == HOST_QUEUES


def test_driver_that_lives_on_keeps_its_queues(forty):
    set_up(forty, 40)
    forty.client.reset()
    forty.wait_for_reset()
    forty.enable_bus_master()
    forty.memory.used = 0
    forty.start_mailbox()
    assert forty.ask_resources(CAPS_LARGE).max_pairs == 40
    set_up(forty, 40)
    echo(forty, 39, 1)


def test_request_that_is_not_granted_changes_nothing(forty):
    set_up(forty, 2)
    assert forty.ask(Op.REQUEST_QUEUES, request(0)) == (Status.PARAM, request(256))
    for pairs in (257, 0x7FFF, 0xFFFF):
        assert forty.ask(Op.REQUEST_QUEUES, request(pairs)) == (Status.SUCCESS, request(256))
    echo(forty, 0, 0)


# Frames

def test_each_of_256_queues_is_served(nic):
    set_up(ask_for(nic, 256), 256)
    for queue in [*range(0, 256, 7), 16, 31, 32, 127, 128, 255]:
        echo(nic, queue, queue % HOST_QUEUES)
    sent = [ring.post(nic.frame()) for ring in nic.tx]
    for ring in nic.tx:
        ring.flush()
    for ring, desc in zip(nic.tx, sent):
        wait_for(lambda: ring.is_done(desc), "transmit completion on each ring")


def test_chunks_enable_and_disable(forty):
    forty.create_rings(40, size=64)
    forty.call(Op.CONFIG_VSI_QUEUES, vsi_queues(forty.vsi, [forty.pair(i) for i in range(40)]))
    for ring in forty.rx:
        ring.fill()
    everything = queue_chunks(forty.vsi, [(RX, 0, 40), (TX, 0, 40)])
    for _ in range(3):
        forty.call(Op.ENABLE_QUEUES_V2, everything)
        forty.call(Op.ENABLE_QUEUES_V2, everything)  # again: nothing happens
        echo(forty, 39, 1)
        forty.call(Op.DISABLE_QUEUES_V2, everything)
        for ring in forty.tx + forty.rx:
            ring.next = 0
        for ring in forty.rx:
            for index in range(ring.size):
                ring.rearm(index)
            ring.fill()


def test_more_queues_of_one_direction_than_of_the_other(forty):
    set_up_halves(forty, transmit=40, receive=1)
    for queue in (0, 1, 17, 39):
        echo(forty, queue, 0)


def set_up_halves(nic, transmit, receive):
    nic.create_rings(transmit, size=64)
    for ring in nic.rx[receive:]:
        ring.size, ring.base = 0, 0
    for part in parts(transmit, PER_MESSAGE):
        nic.call(Op.CONFIG_VSI_QUEUES, vsi_queues(nic.vsi, [nic.pair(i) for i in part]))
    for ring in nic.rx[:receive]:
        ring.fill()
    nic.call(Op.ENABLE_QUEUES_V2, queue_chunks(nic.vsi, [(TX, 0, transmit), (RX, 0, receive)]))
    nic.wait_for_link()


def renew(nic, queue):
    """The driver gives a queue fresh rings in place of those that it has."""
    for ring in (nic.tx[queue], nic.rx[queue]):
        ring.next = 0
    nic.call(Op.CONFIG_VSI_QUEUES, vsi_queues(nic.vsi, [nic.pair(queue)]))
    for index in range(nic.rx[queue].size):
        nic.rx[queue].rearm(index)
    nic.rx[queue].fill()
    nic.call(Op.ENABLE_QUEUES_V2, queue_chunks(nic.vsi, [(TX, queue, 1), (RX, queue, 1)]))


def test_queues_are_set_up_anew_beside_busy_ones(forty):
    set_up(forty, 40)
    for queue in (1, 17, 39, 1):
        last = forty.tx[0].post(forty.frame())
        forty.tx[0].flush()
        renew(forty, queue)
        wait_for(lambda: forty.tx[0].is_done(last), "transmit completion")
        assert forty.rx[0].receive() == forty.frame()
        echo(forty, queue, 1)


# Hostile

BAD = {
    "enable_no_chunks": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [])),
    "enable_count": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(TX, 0, 1)], 3)),
    "enable_count_max": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(TX, 0, 1)], 0xFFFF)),
    "enable_vsi": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi + 1, [(TX, 0, 1)])),
    "enable_type": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(2, 0, 1)])),
    "enable_type_negative": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(-1, 0, 1)])),
    "enable_none": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(TX, 0, 0)])),
    "enable_one_too_many": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(TX, 0, 41)])),
    "enable_beyond": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(RX, 40, 1)])),
    "enable_wraps": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(RX, 1, 0xFFFF)])),
    "enable_id_max": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(RX, 0xFFFF, 1)])),
    "enable_unconfigured": (Op.ENABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(TX, 39, 1)])),
    "enable_good_and_bad": (Op.ENABLE_QUEUES_V2,
                            lambda n: queue_chunks(n.vsi, [(TX, 1, 1), (TX, 39, 1)])),
    "disable_beyond": (Op.DISABLE_QUEUES_V2, lambda n: queue_chunks(n.vsi, [(RX, 39, 2)])),
    "disable_good_and_bad": (Op.DISABLE_QUEUES_V2,
                             lambda n: queue_chunks(n.vsi, [(TX, 0, 1), (TX, 40, 1)])),
    "map_none": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [])),
    "map_count": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(0, 1, 0, RX)], 3)),
    "map_count_max": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(0, 1, 0, RX)],
                                                                   0xFFFF)),
    "map_vsi": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi + 1, [(0, 1, 0, RX)])),
    "map_queue": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(40, 1, 0, RX)])),
    "map_queue_max": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(0xFFFF, 1, 0, RX)])),
    "map_vector": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(0, 17, 0, RX)])),
    "map_vector_max": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(0, 0xFFFF, 0, RX)])),
    "map_timer": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(0, 1, 4, RX)])),
    "map_timer_negative": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(0, 1, -1, RX)])),
    "map_type": (Op.MAP_QUEUE_VECTOR, lambda n: queue_vectors(n.vsi, [(0, 1, 0, 2)])),
    "region_length": (Op.GET_MAX_RSS_QREGION, lambda n: bytes(8)),
    "request_length": (Op.REQUEST_QUEUES, lambda n: bytes(1)),
    "irq_map_vector": (Op.CONFIG_IRQ_MAP, lambda n: irq_map([(n.vsi, 17, 1, 1)])),
    "irq_map_vectors": (Op.CONFIG_IRQ_MAP, lambda n: irq_map([(n.vsi, 1, 1, 1)] * 18)),
    "older_enable_beyond": (Op.ENABLE_QUEUES, lambda n: queue_select(n.vsi, 1 << 16, 0)),
    "older_disable_beyond": (Op.DISABLE_QUEUES, lambda n: queue_select(n.vsi, 0, 1 << 31)),
    "vsi_queues_beyond": (Op.CONFIG_VSI_QUEUES,
                          lambda n: vsi_queues(n.vsi, [n.pair(0)[:2] + b"\x28\0" + n.pair(0)[4:]])),
}


@pytest.mark.parametrize("op, payload", BAD.values(), ids=BAD)
def test_bad_message_is_refused_whole(forty, op, payload):
    set_up(forty, 2)
    forty.call(Op.DISABLE_QUEUES_V2, queue_chunks(forty.vsi, [(TX, 1, 1)]))
    assert forty.ask(op, payload(forty))[0] == Status.PARAM
    echo(forty, 0, 0)
    forty.tx[1].next = 0
    forty.tx[1].post(forty.frame())
    forty.tx[1].flush()  # it was not enabled on the way
    echo(forty, 0, 0)
    assert not forty.tx[1].is_done(forty.tx[1].base)


def test_chunks_may_overlap(forty):
    set_up(forty, 2)
    chunks = [(kind, first, 2 - first) for kind in (TX, RX) for first in (0, 1, 0, 1)]
    forty.call(Op.DISABLE_QUEUES_V2, queue_chunks(forty.vsi, chunks * 60))
    renew(forty, 0)
    echo(forty, 0, 0)
    forty.call(Op.ENABLE_QUEUES_V2, queue_chunks(forty.vsi, chunks * 60))
    echo(forty, 0, 0)


def test_operations_in_the_wrong_order_are_refused(client, memory):
    nic = Nic(client, memory)
    nic.client.reset()
    nic.wait_for_reset()
    nic.enable_bus_master()
    nic.start_mailbox()
    for op, payload in ((Op.REQUEST_QUEUES, request(4)), (Op.GET_MAX_RSS_QREGION, b""),
                        (Op.ENABLE_QUEUES_V2, queue_chunks(1, [(TX, 0, 1)])),
                        (Op.MAP_QUEUE_VECTOR, queue_vectors(1, [(0, 1, 0, RX)]))):
        assert nic.ask(op, payload)[0] != Status.SUCCESS
    nic.call(Op.VERSION, struct.pack("<II", 1, 1))
    assert nic.ask(Op.REQUEST_QUEUES, request(4))[0] != Status.SUCCESS


def test_driver_that_gives_the_capability_back_loses_the_queues(forty):
    set_up(forty, 40)
    echo(forty, 20, 0)
    forty.ask_resources(CAPS_BASE)
    assert forty.max_pairs == 16
    echo(forty, 15, 1)
    lost = forty.tx[20].post(forty.frame())
    forty.tx[20].flush()
    echo(forty, 15, 1)
    assert not forty.tx[20].is_done(lost)


def test_requests_without_end_hold_up_nobody(server, nic, other):
    """Each ends the mailbox: what stands behind it in the ring is for a driver that is gone."""
    before = server.memory()
    for round in range(50):
        for _ in range(8):
            nic.post(Op.REQUEST_QUEUES, request(256 - round % 2))
        assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
        begin(nic)
        assert nic.max_pairs == 256 - round % 2
    assert server.memory() - before < 8 << 20 or server.keeps_what_is_freed()


def test_enabling_and_disabling_all_without_end_holds_up_nobody(nic, other):
    set_up(ask_for(nic, 256), 256)
    everything = queue_chunks(nic.vsi, [(RX, 0, 256), (TX, 0, 256)])
    for _ in range(20):
        for op in (Op.DISABLE_QUEUES_V2, Op.ENABLE_QUEUES_V2):
            nic.post(op, everything)
        assert other.read_region(Region.BAR0, Reg.RSTAT, 4)
        for op in (Op.DISABLE_QUEUES_V2, Op.ENABLE_QUEUES_V2):
            assert nic.reply(op)[0] == Status.SUCCESS
