# SPDX-License-Identifier: BSD-3-Clause
"""Frames through the descriptor rings, and rings that lie. The host echoes each frame."""

import os
import select
import struct

import pytest

import vfio_user
from iavf import (CAP_RX_FLEX_DESC, CLEARPBA, INTENA, ITR_NONE, Nic, Op, RXDID_NIC, RXDID_OVS, Reg, TX_EOP,
                  TX_ICRC, TX_RS, queue_select, wait_for)
from vfio_user import Closed, Command, IrqSet, PAGE, set_irqs

NOWHERE = 0xDEAD_0000_0000


@pytest.fixture
def nic(client, memory):
    return Nic(client, memory).bring_up()


def works_after_reset(nic):
    nic.memory.used = 0
    nic.bring_up()
    nic.echo(nic.frame(100))


# Frames

@pytest.mark.parametrize("length", [60, 61, 64, 65, 127, 128, 129, 1000, 1513, 1514])
def test_frame_is_echoed_unchanged(nic, length):
    nic.echo(nic.frame(length))


@pytest.mark.parametrize("pieces", [2, 3, 5, 8])
@pytest.mark.parametrize("length", [64, 999, 1514])
def test_frame_in_several_descriptors_is_echoed(nic, length, pieces):
    nic.echo(nic.frame(length), pieces)


@pytest.mark.parametrize("buffer_size", [1024, 1088])
def test_frame_longer_than_a_receive_buffer_takes_several(client, memory, buffer_size):
    nic = Nic(client, memory).bring_up(buffer_size=buffer_size)
    for length in (64, buffer_size - 1, buffer_size, buffer_size + 1, 1514):
        nic.echo(nic.frame(length))


@pytest.mark.parametrize("rxdid", [RXDID_NIC, RXDID_OVS])
@pytest.mark.parametrize("buffer_size", [1024, 2048])
def test_flexible_descriptors_are_written_to_those_who_asked(client, memory, buffer_size, rxdid):
    nic = Nic(client, memory).bring_up(buffer_size=buffer_size, caps=CAP_RX_FLEX_DESC,
                                       rxdid=rxdid)
    for length in (60, 64, 1024, 1025, 1514):
        nic.echo(nic.frame(length))
    for i in range(2 * nic.rx[0].size):
        nic.echo(nic.frame(60 + i % 200, fill=i))
    # The next driver does not ask, and has the legacy ones again.
    memory.used = 0
    nic.bring_up(buffer_size=buffer_size)
    nic.echo(nic.frame(1514))


def test_rings_wrap_around(nic):
    for i in range(3 * nic.tx[0].size):
        nic.echo(nic.frame(60 + i % 200, fill=i))


def test_bursts_keep_order_and_content(nic):
    for burst in range(20):
        frames = [nic.frame(60 + 7 * i, fill=burst * 32 + i) for i in range(32)]
        for frame in frames:
            nic.tx[0].post(frame)
        nic.tx[0].flush()
        assert [nic.rx[0].receive() for _ in frames] == frames


@pytest.mark.parametrize("size", [64, 96, 512, 1024])
def test_rings_of_other_sizes_work(client, memory, size):
    nic = Nic(client, memory).bring_up(size=size, buffer_size=1024)
    for i in range(20):
        nic.echo(nic.frame(900, fill=i))


def test_each_queue_pair_echoes(client, memory):
    nic = Nic(client, memory).bring_up(pairs=4, size=64)
    sent = {}
    for queue in range(4):
        frame = nic.frame(200, fill=queue)
        nic.tx[queue].send(frame)
        sent[queue] = frame
    for queue in range(4):
        assert nic.rx[queue].receive() == sent[queue]


def test_disabled_queues_do_not_move(nic):
    nic.call(Op.DISABLE_QUEUES, queue_select(nic.vsi, 1, 1))
    desc = nic.tx[0].post(nic.frame())
    nic.tx[0].flush()
    nic.client.device_info()
    assert not nic.tx[0].is_done(desc)


def test_statistics_count_the_frames(nic):
    assert nic.counters() == (0, 0)
    for _ in range(10):
        nic.echo(nic.frame(100))
    assert nic.counters() == (10, 10)


def test_rings_over_two_adjacent_regions_work(client, memory):
    """Memory registered page by page, as behind a virtual IOMMU."""
    nic = Nic(client, memory, share=False)
    for offset in range(0, memory.size, PAGE):
        client.map_dma(memory.iova + offset, PAGE, memory.fd, offset)
    nic.bring_up()
    nic.tx[0].buffers += 1000  # some frames cross a page
    for i in range(130):
        nic.echo(nic.frame(1000, fill=i))


@pytest.fixture
def eventfd():
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    yield fd
    os.close(fd)


@pytest.fixture
def wired_nic(wirer, memory):
    return Nic(wirer, memory).bring_up()


def test_enabled_vector_fires_for_a_frame_and_masks_itself(wired_nic, eventfd):
    wired_nic.client.call(Command.DEVICE_SET_IRQS,
                    set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, start=1), [eventfd])
    control = Reg.DYN_CTLN1 // 4  # vector 1
    wired_nic.doorbells[control] = INTENA | CLEARPBA | ITR_NONE
    wired_nic.tx[0].send(wired_nic.frame())
    assert select.select([eventfd], [], [], vfio_user.TIMEOUT)[0], "no interrupt"
    wait_for(lambda: not wired_nic.doorbells[control] & INTENA, "auto-mask")


def test_disabled_vector_fires_when_it_is_enabled(wired_nic, eventfd):
    wired_nic.client.call(Command.DEVICE_SET_IRQS,
                    set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, start=1), [eventfd])
    wired_nic.doorbells[Reg.DYN_CTLN1 // 4] = 0
    if select.select([eventfd], [], [], 0)[0]:
        os.eventfd_read(eventfd)
    wired_nic.echo(wired_nic.frame())
    assert not select.select([eventfd], [], [], 0.05)[0], "fired though disabled"
    wired_nic.doorbells[Reg.DYN_CTLN1 // 4] = INTENA | ITR_NONE
    assert select.select([eventfd], [], [], vfio_user.TIMEOUT)[0], "the event was forgotten"


# Bad transmit descriptors: the frame is dropped, the next one passes

def bad_frames(memory):
    good = memory.iova
    end = memory.iova + memory.size
    last = TX_EOP | TX_RS
    return {  # lists of (address, length, command)
        "length_0": [(good, 0, last)],
        "length_1": [(good, 1, last)],
        "shorter_than_a_header": [(good, 13, last)],
        "unmapped": [(NOWHERE, 64, last)],
        "null": [(0, 64, last)],
        "end_outside": [(end - 32, 64, last)],
        "wraps": [((1 << 64) - 32, 64, last)],
        "negative": [(1 << 63, 64, last)],
        "longest_buffer": [(good, 16383, last)],
        "second_piece_unmapped": [(good, 64, 0), (NOWHERE, 64, last)],
        "second_piece_empty": [(good, 64, 0), (good, 0, last)],
        "jumbo_of_many": [(good, 16383, 0)] * 20 + [(good, 64, last)],
        "pieces_of_one_byte": [(good, 1, 0)] * 60 + [(good, 1, last)],
        "tag_wanted": [(good, 64, last | 0x8)],
        "checksum_of_nothing": [(good, 64, last | 0x3E0)],
    }


@pytest.mark.parametrize("name", bad_frames(vfio_user.DmaMemory(PAGE)))
def test_bad_frame_does_not_stop_the_next(nic, name):
    for address, length, command in bad_frames(nic.memory)[name]:
        nic.tx[0].put(address, length, command | TX_ICRC)
    good = nic.frame(500, fill=77)
    nic.tx[0].send(good)
    wait_for(lambda: nic.rx[0].receive() == good, "the good frame")


RAW = {  # second quadword of a descriptor
    "ones": (1 << 64) - 1, "context": 0x1, "context_tso": 0x1 | 1 << 4,
    "context_tso_mss_0": 0x1 | 1 << 4 | 1000 << 30,
    "context_tso_mss_1": 0x11 | 5000 << 30 | 1 << 50,
    "filter_program": 0x8, "flex": 0xB, "reserved": 0x7, "done_already": 0xF,
    "data_with_wild_offsets": 0x30 | 0x3FFFF << 16 | 64 << 34,
}


@pytest.mark.parametrize("qword", RAW.values(), ids=RAW)
@pytest.mark.parametrize("count", [1, 2, 20])
def test_odd_descriptors_do_no_harm(nic, qword, count):
    ring = nic.tx[0]
    for _ in range(count):
        nic.memory.pack("<QQ", ring.desc(ring.next), nic.memory.iova, qword)
        ring.next += 1
    ring.post(nic.frame())
    ring.flush()
    nic.client.device_info()
    works_after_reset(nic)


def test_chain_without_end_does_no_harm(nic):
    for _ in range(1000):
        nic.tx[0].put(nic.memory.iova, 1000, TX_ICRC)
        nic.tx[0].flush()
    works_after_reset(nic)


@pytest.mark.parametrize("tail", [127, 128, 129, 0xFFFF, 0x10000, 0x80000000, 0xFFFFFFFF])
@pytest.mark.parametrize("reg", [Reg.QTX_TAIL, Reg.QRX_TAIL], ids=["tx", "rx"])
def test_doorbell_of_any_value_does_no_harm(nic, reg, tail):
    nic.tx[0].post(nic.frame())
    nic.tx[0].flush()
    nic.doorbells[reg // 4] = tail
    nic.client.device_info()
    nic.doorbells[reg // 4] = 3
    works_after_reset(nic)


RX_BUFFERS = {"unmapped": NOWHERE, "null": 0, "end_outside": 0x1000_0000 + (4 << 20) - 32,
              "wraps": (1 << 64) - 32, "read_only_bar": 0xE000_0000}


@pytest.mark.parametrize("address", RX_BUFFERS.values(), ids=RX_BUFFERS)
def test_bad_receive_buffer_does_no_harm(nic, address):
    for index in range(nic.rx[0].size):
        nic.memory.pack("<QQ", nic.rx[0].desc(index), address, 0)
    for i in range(20):
        nic.tx[0].post(nic.frame(1000, fill=i))
    nic.tx[0].flush()
    nic.client.device_info()
    works_after_reset(nic)


# Memory and the client go away under traffic

def traffic(nic, count=60):
    """Frames on their way, nobody waits for them."""
    for i in range(count):
        nic.tx[0].post(nic.frame(1000, fill=i))
    nic.tx[0].flush()


def test_memory_unmapped_under_traffic_comes_back(nic):
    for _ in range(20):
        traffic(nic)
        nic.client.unmap_dma(nic.memory.iova, nic.memory.size)
        nic.memory.share(nic.client)
    works_after_reset(nic)


def test_unmapped_memory_is_not_written_after_the_reply(nic):
    traffic(nic)
    nic.client.unmap_dma(nic.memory.iova, nic.memory.size)
    before = nic.memory.map[:]
    nic.tx[0].post(nic.frame())
    nic.memory.write(nic.memory.iova, before)
    nic.tx[0].flush()
    nic.client.device_info()
    assert nic.memory.map[:] == before


@pytest.mark.parametrize("size", [0, PAGE, 2 << 20])
def test_rings_in_a_truncated_file_drop_the_client_or_nothing(nic, other, size):
    """Data threads fault (SIGBUS) on descriptors or buffers. The server must survive."""
    tail = nic.tx[0].next
    traffic(nic)
    os.ftruncate(nic.memory.fd, size)
    try:
        for i in range(50):
            nic.doorbells[Reg.QTX_TAIL // 4] = (tail + i) % nic.tx[0].size
            nic.client.device_info()
    except Closed:
        pass
    other.device_info()


def test_file_truncated_with_memory_mapped_without_use_of_rings(nic, other):
    os.ftruncate(nic.memory.fd, 0)
    other.device_info()


@pytest.mark.parametrize("action", ["device_reset", "bus_master_off", "disable_queues", "reset_vf"])
def test_reset_under_traffic_ends(nic, action):
    for _ in range(10):
        traffic(nic, 20)
        if action == "device_reset":
            nic.client.reset()
        elif action == "disable_queues":
            nic.call(Op.DISABLE_QUEUES, queue_select(nic.vsi, 1, 1))
        elif action == "reset_vf":
            nic.post(Op.RESET_VF)
        else:
            nic.client.write_region(vfio_user.Region.CONFIG, 0x04, b"\0\0")
        nic.memory.used = 0
        nic.bring_up()
    nic.echo(nic.frame())


def test_reconnect_twenty_times_under_traffic(server):
    for _ in range(20):
        with vfio_user.connect(server.path) as client, vfio_user.DmaMemory() as memory:
            nic = Nic(client, memory).bring_up()
            nic.echo(nic.frame(300))
            traffic(nic)


def test_both_devices_run_at_once(server, client, memory, other):
    with vfio_user.DmaMemory() as other_memory:
        first = Nic(client, memory).bring_up()
        second = Nic(other, other_memory).bring_up()
        assert first.mac != second.mac
        for i in range(50):
            first.echo(first.frame(200, fill=i))
            second.echo(second.frame(300, fill=i))


def test_disabled_transmit_queue_is_left_with_tail_zero(nic):
    """Linux never writes the tail when it opens a queue again."""
    nic.echo(nic.frame())
    nic.doorbells[Reg.QRX_TAIL // 4] = 7
    assert nic.doorbells[Reg.QTX_TAIL // 4] == 1
    nic.call(Op.DISABLE_QUEUES, queue_select(nic.vsi, 1, 1))
    assert nic.doorbells[Reg.QTX_TAIL // 4] == 0
    assert nic.doorbells[Reg.QRX_TAIL // 4] == 7


def test_frame_posted_before_the_queue_is_enabled_is_sent(nic):
    """Linux does so if its link comes up while it waits for the queues."""
    nic.call(Op.DISABLE_QUEUES, queue_select(nic.vsi, 1, 1))
    nic.create_rings()
    nic.configure()
    desc = nic.tx[0].post(nic.frame())
    nic.tx[0].flush()
    nic.enable()
    wait_for(lambda: nic.tx[0].is_done(desc), "transmit completion")
