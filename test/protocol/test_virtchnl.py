# SPDX-License-Identifier: BSD-3-Clause
"""The admin queues and virtchnl: what a hostile guest driver can send."""

import os
import struct
import time

import pytest

import vfio_user
from iavf import (AQ_BUFFER, AQ_DESC, AQ_ENTRIES, AQ_QUEUE_SHUTDOWN, CAP_RX_FLEX_DESC, LEN_ENABLE,
                  Nic, Op, RXDID_NIC, RXDID_OVS, Reg, Status, ether_addrs, flow_rule, irq_map, queue_pair,
                  queue_select, vsi_queues, wait_for)
from vfio_user import CAPABILITIES, Closed, DmaFlag, PAGE

CAP_VLAN, CAP_VLAN_V2 = 1 << 16, 1 << 15
NOWHERE = 0xDEAD_0000_0000  # in no DMA region


@pytest.fixture
def nic(client, memory):
    return Nic(client, memory)


@pytest.fixture
def open_nic(nic):
    """The mailbox works and the resources are known; no queue is configured."""
    return nic.open_mailbox()


def still_works(nic):
    nic.call(Op.GET_STATS, queue_select(nic.vsi, 0, 0))


def works_after_reset(nic):
    nic.open_mailbox()
    still_works(nic)


def test_resources_are_those_of_an_ordinary_vf(open_nic):
    assert (open_nic.nb_vsis, open_nic.vsi_type) == (1, 6)
    assert open_nic.max_pairs == 4 and open_nic.vectors >= 2
    assert open_nic.mac[0] & 1 == 0 and open_nic.mac != bytes(6)


@pytest.mark.parametrize("major, minor", [(1, 0), (1, 1), (1, 99), (2, 0), (0, 0),
                                          (0xFFFFFFFF, 0xFFFFFFFF)])
def test_version_is_always_answered_with_ours(open_nic, major, minor):
    """"The PF must always respond to this message without error regardless of mismatch"."""
    answer = open_nic.call(Op.VERSION, struct.pack("<II", major, minor))
    assert struct.unpack("<II", answer) in [(1, 1), (1, 0)]


UNSUPPORTED = [0, 4, 5, 16, 18, 19, 20, 22, Op.ADD_CLOUD_FILTER, Op.INLINE_IPSEC_CRYPTO, 37, 42,
               Op.ADD_FDIR_FILTER, 49, 99, 111, 114, 120, 1000, 0x7FFFFFFF, 0xFFFFFFFF]


@pytest.mark.parametrize("op", UNSUPPORTED)
@pytest.mark.parametrize("length", [0, 8, 1024])
def test_unknown_operation_is_not_supported(open_nic, op, length):
    status, _ = open_nic.ask(op, bytes(length))
    assert status in (Status.NOT_SUPPORTED, Status.PARAM)
    still_works(open_nic)


def test_receive_formats_are_named_and_no_other_is_taken(client, memory):
    nic = Hostile(client, memory).open_mailbox(CAP_RX_FLEX_DESC)
    assert nic.caps & CAP_RX_FLEX_DESC
    formats, = struct.unpack("<Q", nic.call(Op.GET_SUPPORTED_RXDIDS))
    assert formats == 1 << 1 | 1 << RXDID_NIC | 1 << RXDID_OVS
    assert nic.ask(Op.GET_SUPPORTED_RXDIDS, bytes(1))[0] == Status.PARAM
    for rxdid in range(256):
        status, _ = nic.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(nic.vsi, [nic.good(rxdid=rxdid)]))
        known = rxdid in (0, 1, RXDID_NIC, RXDID_OVS)
        assert status == (Status.SUCCESS if known else Status.PARAM), rxdid
    still_works(nic)


def test_event_from_a_guest_is_an_error(open_nic):
    open_nic.send(Op.EVENT, bytes(16))
    assert open_nic.receive()[:2] in [(Op.EVENT, Status.NOT_SUPPORTED), (Op.EVENT, Status.PARAM)]


@pytest.mark.parametrize("op", [op for op in Op if op not in
                                (Op.VERSION, Op.EVENT, Op.RESET_VF)])
def test_operation_before_version_is_an_error(nic, op):
    nic.client.reset()
    nic.wait_for_reset()
    nic.start_mailbox()
    status, _ = nic.ask(op, bytes(128))
    assert status != Status.SUCCESS
    works_after_reset(nic)


@pytest.mark.parametrize("op", [Op.CONFIG_VSI_QUEUES, Op.ENABLE_QUEUES, Op.ADD_ETH_ADDR,
                                Op.CONFIG_IRQ_MAP, Op.GET_STATS])
def test_operation_before_resources_is_an_error(nic, op):
    nic.client.reset()
    nic.wait_for_reset()
    nic.start_mailbox()
    nic.call(Op.VERSION, struct.pack("<II", 1, 1))
    status, _ = nic.ask(op, bytes(128))
    assert status != Status.SUCCESS
    works_after_reset(nic)


# Wrong lengths: one byte less than the fixed part, one element less than counted

FIXED = {
    Op.VERSION: 8, Op.CONFIG_VSI_QUEUES: 72, Op.CONFIG_IRQ_MAP: 14, Op.ENABLE_QUEUES: 12,
    Op.DISABLE_QUEUES: 12, Op.ADD_ETH_ADDR: 12, Op.DEL_ETH_ADDR: 12,
    Op.CONFIG_PROMISCUOUS_MODE: 4, Op.GET_STATS: 12, Op.ADD_FDIR_FILTER: 2616,
    Op.DEL_FDIR_FILTER: 12,
}


@pytest.mark.parametrize("op", FIXED)
@pytest.mark.parametrize("fill", [b"\0", b"\xff"], ids=["zeros", "ones"])
def test_short_message_is_an_error(open_nic, op, fill):
    for length in (0, 1, FIXED[op] - 1):
        status, _ = open_nic.ask(op, fill * length)
        assert status != Status.SUCCESS, length
    still_works(open_nic)


@pytest.mark.parametrize("op", [op for op in Op if op not in (Op.EVENT, Op.RESET_VF, Op.VERSION)])
def test_largest_message_of_ones_is_answered(open_nic, op):
    open_nic.ask(op, b"\xff" * AQ_BUFFER)
    still_works(open_nic)


@pytest.mark.parametrize("length", [AQ_BUFFER + 1, 0x7FFF, 0xFFFF])
def test_message_over_4096_bytes_is_refused(open_nic, length):
    """By an error in the descriptor or a message; the mailbox goes on or must be reset."""
    desc = open_nic.post(Op.GET_STATS, bytes(12), length=length)
    wait_for(lambda: open_nic.is_completed(desc) or not
             open_nic.read32(Reg.ATQLEN) & LEN_ENABLE or
             open_nic.read32(Reg.ATQLEN) >> 28 & 7, "outcome")
    works_after_reset(open_nic)


MAC = b"\x02\0\0\0\0\x05"

BAD = {  # operation, payload made from the nic
    "vsi_queues_none": (Op.CONFIG_VSI_QUEUES, lambda n: vsi_queues(n.vsi, [], 0)),
    "vsi_queues_none_but_sent": (Op.CONFIG_VSI_QUEUES, lambda n: vsi_queues(n.vsi, [n.good()], 0)),
    "vsi_queues_count": (Op.CONFIG_VSI_QUEUES, lambda n: vsi_queues(n.vsi, [n.good()], 2)),
    "vsi_queues_count_max": (Op.CONFIG_VSI_QUEUES,
                             lambda n: vsi_queues(n.vsi, [n.good()], 0xFFFF)),
    "vsi_queues_too_many": (Op.CONFIG_VSI_QUEUES,
                            lambda n: vsi_queues(n.vsi, [n.good(i) for i in range(5)])),
    "vsi_queues_vsi": (Op.CONFIG_VSI_QUEUES, lambda n: vsi_queues(n.vsi + 1, [n.good()])),
    "vsi_queues_pair_vsi": (Op.CONFIG_VSI_QUEUES,
                            lambda n: vsi_queues(n.vsi, [n.good(vsi=n.vsi + 1)])),
    "vsi_queues_queue_4": (Op.CONFIG_VSI_QUEUES, lambda n: vsi_queues(n.vsi, [n.good(4)])),
    "vsi_queues_queue_max": (Op.CONFIG_VSI_QUEUES, lambda n: vsi_queues(n.vsi, [n.good(0xFFFF)])),
    "vsi_queues_rx_differs": (Op.CONFIG_VSI_QUEUES,
                              lambda n: vsi_queues(n.vsi, [n.good(0, rx_queue=1)])),
    "irq_map_count": (Op.CONFIG_IRQ_MAP, lambda n: irq_map([(n.vsi, 1, 1, 1)], 2)),
    "irq_map_count_max": (Op.CONFIG_IRQ_MAP, lambda n: irq_map([(n.vsi, 1, 1, 1)], 0xFFFF)),
    "irq_map_vsi": (Op.CONFIG_IRQ_MAP, lambda n: irq_map([(n.vsi + 1, 1, 1, 1)])),
    "irq_map_vector": (Op.CONFIG_IRQ_MAP, lambda n: irq_map([(n.vsi, n.vectors, 1, 1)])),
    "irq_map_vector_max": (Op.CONFIG_IRQ_MAP, lambda n: irq_map([(n.vsi, 0xFFFF, 1, 1)])),
    "irq_map_queues": (Op.CONFIG_IRQ_MAP, lambda n: irq_map([(n.vsi, 1, 0x8000, 0x8000)])),
    "enable_unconfigured": (Op.ENABLE_QUEUES, lambda n: queue_select(n.vsi, 1, 1)),
    "enable_none": (Op.ENABLE_QUEUES, lambda n: queue_select(n.vsi, 0, 0)),
    "enable_queue_4": (Op.ENABLE_QUEUES, lambda n: queue_select(n.vsi, 1 << 4, 1 << 4)),
    "enable_all": (Op.ENABLE_QUEUES, lambda n: queue_select(n.vsi, 0xFFFFFFFF, 0xFFFFFFFF)),
    "enable_vsi": (Op.ENABLE_QUEUES, lambda n: queue_select(n.vsi + 1, 1, 1)),
    "disable_queue_31": (Op.DISABLE_QUEUES, lambda n: queue_select(n.vsi, 1 << 31, 1 << 31)),
    "disable_vsi": (Op.DISABLE_QUEUES, lambda n: queue_select(0xFFFF, 1, 1)),
    "add_mac_count": (Op.ADD_ETH_ADDR, lambda n: ether_addrs(n.vsi, [MAC], 2)),
    "add_mac_count_max": (Op.ADD_ETH_ADDR, lambda n: ether_addrs(n.vsi, [MAC], 0xFFFF)),
    "add_mac_vsi": (Op.ADD_ETH_ADDR, lambda n: ether_addrs(n.vsi + 1, [MAC])),
    "add_mac_zero": (Op.ADD_ETH_ADDR, lambda n: ether_addrs(n.vsi, [bytes(6)])),
    "del_mac_count": (Op.DEL_ETH_ADDR, lambda n: ether_addrs(n.vsi, [MAC], 100)),
    "promiscuous_vsi": (Op.CONFIG_PROMISCUOUS_MODE, lambda n: struct.pack("<HH", n.vsi + 1, 3)),
    "stats_vsi": (Op.GET_STATS, lambda n: queue_select(n.vsi + 1, 0, 0)),
    "rss_key_long": (Op.CONFIG_RSS_KEY, lambda n: struct.pack("<HH", n.vsi, 0xFFFF) + bytes(64)),
    "rss_key_vsi": (Op.CONFIG_RSS_KEY, lambda n: struct.pack("<HH", n.vsi + 1, 52) + bytes(53)),
    "rss_lut_long": (Op.CONFIG_RSS_LUT, lambda n: struct.pack("<HH", n.vsi, 0xFFFF) + bytes(64)),
    "rss_lut_queue": (Op.CONFIG_RSS_LUT,
                      lambda n: struct.pack("<HH", n.vsi, 64) + b"\xff" * 65),
    "vlan_count": (Op.ADD_VLAN, lambda n: struct.pack("<HHH", n.vsi, 0xFFFF, 1)),
    "vlan_id": (Op.ADD_VLAN, lambda n: struct.pack("<HHH", n.vsi, 1, 4096)),
    "flexible_not_granted": (Op.CONFIG_VSI_QUEUES,
                             lambda n: vsi_queues(n.vsi, [n.good(rxdid=RXDID_OVS)])),
    "rxdids_not_granted": (Op.GET_SUPPORTED_RXDIDS, lambda n: b""),
    "rule_empty": (Op.ADD_FDIR_FILTER, lambda n: struct.pack("<H2614x", n.vsi)),
    "rule_vsi": (Op.ADD_FDIR_FILTER, lambda n: flow_rule(n.vsi + 1)),
    "rule_queue": (Op.ADD_FDIR_FILTER, lambda n: flow_rule(n.vsi, queue=4)),
    "rule_headers": (Op.ADD_FDIR_FILTER, lambda n: flow_rule(n.vsi, headers=-1)),
    "rule_unknown": (Op.DEL_FDIR_FILTER, lambda n: struct.pack("<HxxIi", n.vsi, 7, 0)),
    "request_queues_0": (Op.REQUEST_QUEUES, lambda n: struct.pack("<H", 0)),
}


class Hostile(Nic):
    """A nic that can describe a good queue pair in memory of its own."""

    def good(self, queue=0, vsi=None, **overrides):
        fields = dict(tx_len=128, tx_ring=self.memory.iova, rx_len=128,
                      rx_ring=self.memory.iova + 4 * PAGE)
        return queue_pair(self.vsi if vsi is None else vsi, queue, **(fields | overrides))


@pytest.fixture
def hostile(client, memory):
    return Hostile(client, memory).open_mailbox()


@pytest.mark.parametrize("op, payload", BAD.values(), ids=BAD)
def test_bad_message_is_an_error(hostile, op, payload):
    status, _ = hostile.ask(op, payload(hostile))
    assert status != Status.SUCCESS
    still_works(hostile)


@pytest.mark.parametrize("direction", ["tx_len", "rx_len"])
def test_ring_of_length_zero_is_an_error_or_never_runs(hostile, direction):
    """Physical functions take 0 for "this half of the pair is not used"."""
    pair = hostile.good(**{direction: 0})
    status, _ = hostile.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(hostile.vsi, [pair]))
    if status == Status.SUCCESS:
        hostile.ask(Op.ENABLE_QUEUES, queue_select(hostile.vsi, 1, 1))
        hostile.doorbells[Reg.QTX_TAIL // 4] = hostile.doorbells[Reg.QRX_TAIL // 4] = 1
    works_after_reset(hostile)


@pytest.mark.parametrize("length", [1, 7, 33, 8192, 65535])
@pytest.mark.parametrize("direction", ["tx_len", "rx_len"])
def test_ring_length_outside_the_allowed_set_is_an_error(hostile, direction, length):
    pair = hostile.good(**{direction: length})
    status, _ = hostile.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(hostile.vsi, [pair]))
    assert status == Status.PARAM


@pytest.mark.parametrize("length", [0x10000, 0x10080, 0x80000080, 0xFFFFFFFF])
def test_receive_ring_length_beyond_16_bits_is_an_error(hostile, length):
    """The field has 32 bits: a copy into 16 would turn 0x10080 into a good 128."""
    pair = hostile.good(rx_len=length)
    status, _ = hostile.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(hostile.vsi, [pair]))
    assert status == Status.PARAM


@pytest.mark.parametrize("buffer_size", [0, 1, 63, 0x4000, 0xFFFFFFFF])
def test_bad_receive_buffer_size_is_an_error(hostile, buffer_size):
    pair = hostile.good(buffer_size=buffer_size)
    status, _ = hostile.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(hostile.vsi, [pair]))
    assert status == Status.PARAM


@pytest.mark.parametrize("max_frame", [0, 1, 63, 0x4000, 0xFFFFFFFF])
def test_bad_largest_frame_is_an_error(hostile, max_frame):
    pair = hostile.good(max_frame=max_frame)
    status, _ = hostile.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(hostile.vsi, [pair]))
    assert status == Status.PARAM


RINGS = {
    "unmapped": NOWHERE, "null": 0, "odd": 1, "unaligned": 0x1000_0010,
    "last_byte_outside": 0x1000_0000 + (4 << 20) - 128 * 16 + 16, "wraps": (1 << 64) - 128,
    "negative": 1 << 63,
}


@pytest.mark.parametrize("ring", RINGS.values(), ids=RINGS)
@pytest.mark.parametrize("direction", ["tx_ring", "rx_ring"])
def test_ring_outside_mapped_memory_is_never_used(hostile, direction, ring):
    """Refused when configured, or left alone when enabled: memory may be mapped later."""
    pair = hostile.good(**{direction: ring})
    status, _ = hostile.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(hostile.vsi, [pair]))
    if status == Status.SUCCESS:
        hostile.ask(Op.ENABLE_QUEUES, queue_select(hostile.vsi, 1, 1))
        hostile.doorbells[Reg.QTX_TAIL // 4] = 64
        hostile.doorbells[Reg.QRX_TAIL // 4] = 64
    still_works(hostile)


def test_address_table_is_capped(server, open_nic):
    before = server.memory()
    statuses = []
    for batch in range(80):
        addresses = [struct.pack(">HI", 0x0200, batch * 500 + i) for i in range(500)]
        statuses.append(open_nic.ask(Op.ADD_ETH_ADDR, ether_addrs(open_nic.vsi, addresses))[0])
    assert statuses[-1] != Status.SUCCESS
    assert server.memory() - before < 8 << 20
    still_works(open_nic)


def test_same_address_added_for_ever_takes_one_place(open_nic):
    for _ in range(300):
        open_nic.call(Op.ADD_ETH_ADDR, ether_addrs(open_nic.vsi, [MAC]))


def test_flood_of_rules_ends_at_the_limit(server, open_nic):
    """The rest is refused by the protocol's own code, and all goes with a reset."""
    no_resource, added = 1, 0
    before = server.memory()
    for number in range(600):
        status, body = open_nic.ask(Op.ADD_FDIR_FILTER, flow_rule(open_nic.vsi, number))
        assert status == Status.SUCCESS
        detail = struct.unpack_from("<i", body, 2612)[0]
        assert detail == (0 if number < 128 else no_resource)
        added += detail == 0
    assert added == 128
    assert server.memory() - before < 8 << 20 or server.keeps_what_is_freed()
    still_works(open_nic)
    works_after_reset(open_nic)
    _, body = open_nic.ask(Op.ADD_FDIR_FILTER, flow_rule(open_nic.vsi, 1))
    assert struct.unpack_from("<i", body, 2612)[0] == 0


def test_vlans_are_filtered_by_one_version_of_messages(open_nic):
    """A driver that wants both gets the second; the first one's are not supported then."""
    assert open_nic.caps & (CAP_VLAN | CAP_VLAN_V2) == CAP_VLAN_V2
    ids = range(400)
    first = struct.pack("<HH400H", open_nic.vsi, len(ids), *ids)
    second = struct.pack("<HH4x8x4H16x", open_nic.vsi, 1, 5, 0, 0x8100, 0)
    assert open_nic.ask(Op.ADD_VLAN, first)[0] == Status.NOT_SUPPORTED
    assert open_nic.ask(Op.ADD_VLAN_V2, second)[0] == Status.SUCCESS
    open_nic.open_mailbox(CAP_VLAN)
    assert open_nic.caps == CAP_VLAN
    assert open_nic.ask(Op.ADD_VLAN, first)[0] == Status.SUCCESS
    assert open_nic.ask(Op.ADD_VLAN_V2, second)[0] == Status.NOT_SUPPORTED
    still_works(open_nic)


def test_vlans_added_for_ever_take_one_place(server, open_nic):
    before = server.memory()
    for _ in range(30):
        for first in range(1, 4000, 100):
            filters = b"".join(struct.pack("<8x4H16x", vid, 0, 0x8100, 0)
                               for vid in range(first, first + 100))
            open_nic.call(Op.ADD_VLAN_V2, struct.pack("<HH4x", open_nic.vsi, 100) + filters)
    assert server.memory() - before < 8 << 20 or server.keeps_what_is_freed()
    still_works(open_nic)


# The admin queues themselves

def mailbox_outcome(nic, desc):
    """Completed, or the queue shows an error or is off."""
    wait_for(lambda: nic.is_completed(desc) or nic.read32(Reg.ATQLEN) >> 28 != 8, "outcome")


@pytest.mark.parametrize("address", [NOWHERE, 1, (1 << 64) - 4, 1 << 63,
                                     0x1000_0000 + (4 << 20) - 4],
                         ids=["unmapped", "low", "wraps", "negative", "half_outside"])
def test_message_in_unmapped_memory_is_refused(open_nic, address):
    mailbox_outcome(open_nic, open_nic.post(Op.GET_STATS, bytes(12), address=address))
    works_after_reset(open_nic)


@pytest.mark.parametrize("opcode", [0, 0x0802, 0x0001, 0x0A00, 0xFFFF])
def test_unknown_admin_command_is_refused(open_nic, opcode):
    mailbox_outcome(open_nic, open_nic.post(0, opcode=opcode))
    works_after_reset(open_nic)


def test_commands_of_zeros_are_told_once(server, open_nic):
    """What a guest's private memory looks like from outside."""
    time.sleep(1.5)  # Of what tests before have said none may be left out: there is a line a second.
    before = server.log().count("read as zeros")
    for _ in range(3):
        desc = open_nic.atq + open_nic.atq_next * AQ_DESC
        open_nic.atq_next += 1
        open_nic.memory.write(desc, bytes(AQ_DESC))
        open_nic.write32(Reg.ATQT, open_nic.atq_next)
        wait_for(lambda: open_nic.is_completed(desc), "completion")
    assert server.log().count("read as zeros") - before == 1


def test_queue_shutdown_is_completed(open_nic):
    open_nic.send(0, opcode=AQ_QUEUE_SHUTDOWN)
    works_after_reset(open_nic)


@pytest.mark.parametrize("base", [NOWHERE, 0, 1, (1 << 64) - 64, 1 << 63,
                                  0x1000_0000 + (4 << 20) - 64],
                         ids=["unmapped", "null", "odd", "wraps", "negative", "half_outside"])
@pytest.mark.parametrize("queue", ["atq", "arq", "buffers"])
def test_mailbox_in_unmapped_memory_does_nothing(nic, queue, base):
    nic.client.reset()
    nic.wait_for_reset()
    if queue == "arq":
        base &= ~63  # hardware drops the low bits; the helper reads the base back
    try:
        nic.start_mailbox(**{queue: base})
    except AssertionError:
        pass  # a base that is not kept
    for low in (Reg.ATQBAL, Reg.ARQBAL):
        nic.read32(low)
    nic.write32(Reg.ATQT, 5)
    works_after_reset(nic)


@pytest.mark.parametrize("tail", [AQ_ENTRIES, AQ_ENTRIES + 1, 1023, 1024, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("reg", [Reg.ATQT, Reg.ATQH, Reg.ARQT, Reg.ARQH])
def test_mailbox_index_beyond_the_queue_does_no_harm(open_nic, reg, tail):
    open_nic.write32(reg, tail)
    open_nic.write32(Reg.ATQT, 3)
    works_after_reset(open_nic)


@pytest.mark.parametrize("length", [0, 1, 2, 1023, 0x3FF | 1 << 30, 0x7FFFFFFF])
@pytest.mark.parametrize("reg", [Reg.ATQLEN, Reg.ARQLEN])
def test_mailbox_of_any_length_does_no_harm(open_nic, reg, length):
    open_nic.write32(reg, length | LEN_ENABLE)
    open_nic.write32(Reg.ATQT, 1)
    open_nic.write32(Reg.ATQT, 30)
    works_after_reset(open_nic)


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x55"], ids=["zeros", "ones", "pattern"])
def test_mailbox_full_of_rubbish_does_no_harm(open_nic, fill):
    open_nic.memory.write(open_nic.atq, fill * (AQ_ENTRIES * AQ_DESC))
    open_nic.write32(Reg.ATQT, (open_nic.atq_next - 1) % AQ_ENTRIES)
    works_after_reset(open_nic)


@pytest.mark.parametrize("size", [0, 1, 12, 4095, 0xFFFF])
def test_receive_buffer_of_any_size_does_no_harm(open_nic, size):
    """An answer that does not fit is cut or dropped; nothing is written beyond the buffer."""
    nic = open_nic
    for index in range(AQ_ENTRIES):
        nic.memory.pack("<H", nic.arq + index * AQ_DESC + 4, size)
    canary = nic.arq_buffers + nic.arq_next * AQ_BUFFER + min(size, AQ_BUFFER - 1)
    nic.memory.write(canary, b"\xa5")
    nic.send(Op.GET_STATS, queue_select(nic.vsi, 0, 0))
    if size < AQ_BUFFER:
        assert nic.memory.read(canary, 1) == b"\xa5"
    works_after_reset(nic)


def test_flood_without_reading_answers_is_bounded(server, open_nic, other):
    """3000 commands; the guest hands back no receive descriptor."""
    before = server.memory()
    for _ in range(100):
        for index in range(AQ_ENTRIES):
            open_nic.memory.pack("<HH", open_nic.atq + index * AQ_DESC, 0, 0x0801)
        open_nic.write32(Reg.ATQT, (open_nic.read32(Reg.ATQH) - 1) % AQ_ENTRIES)
    other.device_info()
    assert server.memory() - before < 8 << 20
    works_after_reset(open_nic)


def test_reset_by_message_ends_and_is_repeatable(open_nic):
    """RESET_VF has no answer: the guest polls RSTAT."""
    for _ in range(10):
        open_nic.post(Op.RESET_VF)
        open_nic.wait_for_reset()
        wait_for(lambda: not open_nic.read32(Reg.ARQLEN) & LEN_ENABLE, "mailbox to be off")
        open_nic.start_mailbox()
        open_nic.call(Op.VERSION, struct.pack("<II", 1, 1))
        open_nic.memory.used = open_nic.memory.size // 2


def test_messages_right_behind_a_reset_do_no_harm(open_nic):
    for _ in range(10):
        open_nic.post(Op.RESET_VF)
        open_nic.post(Op.GET_STATS, bytes(12))
    works_after_reset(open_nic)


@pytest.mark.parametrize("size", [0, PAGE])
def test_mailbox_in_a_truncated_file_drops_the_client_or_nothing(open_nic, other, size):
    """The server's access faults (SIGBUS). It must survive and serve the next client."""
    os.ftruncate(open_nic.memory.fd, size)
    try:
        open_nic.write32(Reg.ATQT, (open_nic.atq_next + 1) % AQ_ENTRIES)
        open_nic.read32(Reg.RSTAT)
    except Closed:
        pass
    other.device_info()


def test_mailbox_unmapped_while_in_use_does_no_harm(open_nic):
    memory = open_nic.memory
    open_nic.client.unmap_dma(memory.iova, memory.size)
    open_nic.write32(Reg.ATQT, (open_nic.atq_next + 1) % AQ_ENTRIES)
    memory.share(open_nic.client)
    works_after_reset(open_nic)


def test_read_only_memory_is_not_written(client, memory):
    """The answer goes to memory that the client opened for reading only."""
    nic = Nic(client, memory, share=False)
    memory.share(client, flags=DmaFlag.READ)
    client.reset()
    nic.wait_for_reset()
    nic.start_mailbox()
    before = memory.map[:]
    desc = nic.post(Op.VERSION, struct.pack("<II", 1, 1))
    queued = memory.map[:]
    client.device_info()
    assert not nic.is_completed(desc) and memory.map[:] == queued != before


@pytest.mark.parametrize("twin", [False, True], ids=["main_socket", "twin_socket"])
def test_mailbox_works_in_memory_without_a_descriptor(server, memory, twin):
    """The server reads and writes it by DMA_READ and DMA_WRITE."""
    wish = {**CAPABILITIES, "twin_socket": {"supported": twin}}
    with vfio_user.connect(server.path, capabilities=wish) as client:
        nic = Nic(client, memory, share=False)
        memory.share(client, with_fd=False)
        nic.open_mailbox()
        still_works(nic)
        for channel in (client, client.twin):
            if channel and channel.on_command:
                channel.pump()


def test_rings_in_memory_without_a_descriptor_are_refused(server, memory):
    """The driver learns it at once, and the link stays down: else Linux would transmit, and reset
    the device again and again because nothing is completed."""
    before = server.log().count("not shared are refused")
    time.sleep(1.1)  # Lines that clients cause are limited: one for this test.
    with vfio_user.connect(server.path) as client:
        nic = Nic(client, memory, share=False)
        memory.share(client, with_fd=False)
        nic.open_mailbox()
        for _ in range(2):
            memory.used = 2 << 20
            nic.create_rings()
            status, _ = nic.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(nic.vsi, [nic.pair()]))
            assert status == Status.NO_MEMORY
        assert nic.ask(Op.ENABLE_QUEUES, queue_select(nic.vsi, 1, 1))[0] == Status.PARAM
        for line in ("stop", "port stop 0", "port start 0", "start"):
            server.command(line)
        links = [nic.receive() for _ in range(2)]
        assert [struct.unpack("<iIB", each[2][:9])[::2] for each in links] == [(1, 0)] * 2
    wait_for(lambda: server.log().count("not shared are refused") == before + 1, "one warning")


@pytest.mark.parametrize("twin", [False, True], ids=["main_socket", "twin_socket"])
def test_client_that_never_answers_dma_reads_blocks_nobody(server, memory, other, twin):
    wish = {**CAPABILITIES, "twin_socket": {"supported": twin}}
    with vfio_user.connect(server.path, capabilities=wish) as client:
        nic = Nic(client, memory, share=False)
        memory.share(client, with_fd=False)
        client.on_command = lambda *_: None
        nic.start_mailbox()
        nic.post(Op.VERSION, struct.pack("<II", 1, 1))
        client.device_info()
        other.device_info()


ANSWERS = {  # to a DMA_READ: payload made from the command's
    "empty": lambda p: b"",
    "no_data": lambda p: p[:16],
    "short_data": lambda p: p[:16] + b"x",
    "long_data": lambda p: p[:16] + b"x" * 65536,
    "other_count": lambda p: p[:8] + struct.pack("<Q", 1 << 63) + b"x" * 32,
    "other_address": lambda p: bytes(8) + p[8:16] + b"x" * struct.unpack_from("<Q", p, 8)[0],
}


def answer_dma_reads(server, memory, other, answer):
    """Starts a mailbox in memory without a file; its reads meet answer(channel, command)."""
    with vfio_user.connect(server.path) as client:
        nic = Nic(client, memory, share=False)
        memory.share(client, with_fd=False)
        client.on_command = answer
        try:
            nic.start_mailbox()
            nic.post(Op.VERSION, struct.pack("<II", 1, 1))
            for _ in range(10):
                client.device_info()
                client.pump()
        except Closed:
            pass
        other.device_info()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_wrong_answer_to_a_dma_read_does_no_harm(server, memory, other, answer):
    answer_dma_reads(server, memory, other, lambda channel, command: channel.send_bytes(
        vfio_user.message(command.command, answer(command.payload), command.id,
                          vfio_user.Flag.REPLY)))


@pytest.mark.parametrize("flags, error", [(0x21, 5), (0x21, 0), (0x1, 0)],
                         ids=["eio", "no_errno", "wrong_command"])
def test_error_answer_to_a_dma_read_does_no_harm(server, memory, other, flags, error):
    answer_dma_reads(server, memory, other, lambda channel, command: channel.send_bytes(
        vfio_user.message(command.command if error or flags & 0x20 else 12, b"", command.id,
                          flags, error=error)))
