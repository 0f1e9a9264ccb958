# SPDX-License-Identifier: BSD-3-Clause
"""What outlives a reset, and what a driver that begins finds."""

import struct

import pytest

import vfio_user
from stock import Failure
from iavf import (AQ_QUEUE_SHUTDOWN, Nic, Op, Reg, Status, ether_addrs, queue_pair, queue_select,
                  vsi_queues, wait_for)
from vfio_user import Region

LINK_CHANGE = 1
DEVICE_CONTROL, INITIATE_FLR = 0xA8, 1 << 15
OWN_MAC = b"\x02\0\0\0\0\x77"

RESETS = {
    "flr": lambda nic: nic.client.write_region(Region.CONFIG, DEVICE_CONTROL,
                                               struct.pack("<H", INITIATE_FLR)),
    "device_reset": lambda nic: nic.client.reset(),
    "reset_vf": lambda nic: nic.post(Op.RESET_VF),
    "queue_shutdown": lambda nic: nic.send(0, opcode=AQ_QUEUE_SHUTDOWN),
}
each_reset = pytest.mark.parametrize("reset", RESETS.values(), ids=RESETS)
each_real_reset = pytest.mark.parametrize(
    "reset", [RESETS[name] for name in ("flr", "device_reset", "reset_vf")],
    ids=["flr", "device_reset", "reset_vf"])


@pytest.fixture
def nic(client, memory):
    return Nic(client, memory)


def begin(nic):
    """Another driver, without a reset, as with kexec."""
    nic.call(Op.VERSION, struct.pack("<II", 1, 1))
    return nic.ask_resources()


def set_up(nic, pairs=1):
    nic.create_rings(pairs)
    nic.configure(pairs)
    nic.enable(pairs)
    nic.wait_for_link()


def add(nic, addresses, kind=2):
    return nic.ask(Op.ADD_ETH_ADDR, ether_addrs(nic.vsi, addresses, kind=kind))[0]


# What was negotiated

@each_reset
def test_driver_that_lives_on_keeps_what_was_negotiated(nic, reset):
    nic.bring_up()
    assert add(nic, [OWN_MAC], kind=1) == Status.SUCCESS
    for _ in range(3):
        nic.come_back(reset)
        assert (nic.max_pairs, nic.mac) == (4, OWN_MAC)
        set_up(nic)
        nic.echo(nic.frame())


@each_reset
def test_what_was_set_up_ends_with_a_reset(nic, reset):
    nic.bring_up()
    nic.come_back(reset)
    both = queue_select(nic.vsi, 1, 1)
    assert nic.ask(Op.ENABLE_QUEUES, both)[0] == Status.PARAM


def test_reboot_gives_the_first_mac_address_back(nic):
    """Unlike a reset of the device which the driver survives."""
    nic.bring_up()
    first = nic.mac
    add(nic, [OWN_MAC], kind=1)
    nic.come_back(RESETS["device_reset"])
    assert nic.mac == OWN_MAC
    nic.memory.used = 0
    assert nic.open_mailbox().mac == first


def test_version_in_the_middle_of_work_ends_nothing(nic):
    """Linux says it when a command is not completed within its patience."""
    nic.bring_up()
    nic.call(Op.VERSION, struct.pack("<II", 1, 1))
    nic.echo(nic.frame())
    nic.call(Op.GET_STATS, queue_select(nic.vsi, 0, 0))


def test_driver_that_begins_finds_nothing_of_its_predecessor(nic):
    nic.bring_up()
    nic.echo(nic.frame())
    assert add(nic, [OWN_MAC]) == Status.SUCCESS
    begin(nic)
    both = queue_select(nic.vsi, 1, 1)
    assert nic.ask(Op.ENABLE_QUEUES, both)[0] == Status.PARAM
    assert nic.counters() == (0, 0)


# Queues of the host

def set_host_queues(server, count):
    for line in ("stop", "port stop all", f"port config all rxq {count}",
                 f"port config all txq {count}", "port start all", "start"):
        server.command(line)


@pytest.fixture
def all_queues_again(server):
    """Leaves the host as the other tests expect it; its second device tells when."""
    yield
    set_host_queues(server, 4)
    with vfio_user.DmaMemory() as memory, vfio_user.connect(server.other_path) as client:
        nic = Nic(client, memory)

        def all_are_offered():
            memory.used = 0
            return nic.open_mailbox().max_pairs == 4

        wait_for(all_are_offered, "four queue pairs")
        set_up(nic)
        await_forwarding(nic)


def all_echo(nic, host_queues):
    """Each of the four rings. A host with as many queues sends by the one that it received from; if it
    has fewer, the guest's RSS chooses, and what is not IP goes to the first."""
    for queue in range(4):
        frame = nic.frame(100, fill=queue)
        nic.tx[queue].send(frame)
        assert nic.rx[queue if host_queues == 4 else 0].receive() == frame


def await_host(nic, link=(0, 1)):
    """The host stops and starts, and no more is told than the state of the link."""
    for up in link:
        op, _, event = nic.receive()
        assert op == Op.EVENT and struct.unpack_from("<iIB", event)[::2] == (LINK_CHANGE, up)


def await_forwarding(nic):
    """testpmd takes frames, but drops them, before it forwards."""
    def echoes():
        nic.tx[0].send(nic.frame())
        try:
            return nic.rx[0].receive(timeout=0.2)
        except Failure:
            return None

    wait_for(echoes, "forwarding")


@each_real_reset
def test_connected_driver_keeps_the_queues_it_was_told(server, nic, all_queues_again, reset):
    nic.bring_up(pairs=4)
    for count in (1, 3, 2):
        set_host_queues(server, count)
        await_host(nic)
        await_forwarding(nic)
        all_echo(nic, count)
        assert nic.come_back(reset).max_pairs == 4
        set_up(nic, pairs=4)
        all_echo(nic, count)
    assert begin(nic).max_pairs == 2


def test_driver_that_is_down_is_left_in_peace(server, nic, all_queues_again):
    nic.open_mailbox()
    set_host_queues(server, 1)
    await_host(nic, link=(0, 0))
    set_up(nic, pairs=4)
    await_forwarding(nic)
    all_echo(nic, 1)


def test_more_queues_are_told_when_the_driver_asks_again(server, nic, all_queues_again):
    set_host_queues(server, 1)

    def is_offered_one():
        nic.memory.used = 0
        return nic.open_mailbox().max_pairs == 1

    wait_for(is_offered_one, "one queue pair")
    set_up(nic)
    await_forwarding(nic)
    set_host_queues(server, 4)
    await_host(nic)
    await_forwarding(nic)
    assert nic.come_back(RESETS["reset_vf"]).max_pairs == 4
    set_up(nic, pairs=4)
    all_echo(nic, 4)


# Registers of the shared pages

@each_real_reset
def test_tail_of_queues_that_are_away_is_dropped(nic, reset):
    """Linux goes on transmitting until it finds out; hardware does not see that tail."""
    nic.bring_up()
    nic.echo(nic.frame())

    def late(nic):
        reset(nic)
        nic.doorbells[Reg.QTX_TAIL // 4] = 57
        nic.doorbells[Reg.QRX_TAIL // 4] = 3

    nic.come_back(late)
    tail = nic.doorbells[Reg.QTX_TAIL // 4]
    nic.create_rings()
    nic.doorbells[Reg.QTX_TAIL // 4] = tail  # which Linux does not write
    nic.rx[0].fill()  # as drivers do, before they configure
    nic.call(Op.CONFIG_VSI_QUEUES, vsi_queues(nic.vsi, [nic.pair()]))
    assert nic.doorbells[Reg.QRX_TAIL // 4] == nic.rx[0].size - 1
    nic.enable()
    nic.wait_for_link()
    nic.echo(nic.frame())
    stats = nic.call(Op.GET_STATS, queue_select(nic.vsi, 0, 0))
    assert struct.unpack_from("<Q", stats, 88)[0] == 0  # transmit errors


# Counters

@each_real_reset
def test_counters_begin_at_zero_after_a_reset(nic, reset):
    nic.bring_up()
    for _ in range(5):
        nic.echo(nic.frame())
    assert nic.counters() == (5, 5)
    nic.come_back(reset)
    assert nic.counters() == (0, 0)
    set_up(nic)
    nic.echo(nic.frame())
    assert nic.counters() == (1, 1)


def test_counters_begin_at_zero_for_a_new_machine(server, memory):
    for _ in range(2):
        memory.used = 0
        with vfio_user.connect(server.path) as client:
            nic = Nic(client, memory).bring_up()
            assert nic.counters() == (0, 0)
            nic.echo(nic.frame())


# MAC addresses

def address(n):
    return struct.pack(">HI", 0x0200, n)


ROOM = 256  # For addresses, besides a primary one.


def addresses(first, count):
    return [address(first + i) for i in range(count)]


def test_refused_addresses_leave_nothing_behind(nic):
    nic.open_mailbox()
    assert add(nic, addresses(0, ROOM - 4)) == Status.SUCCESS
    for _ in range(3):
        assert add(nic, addresses(1000, 5)) == Status.NO_MEMORY
    assert add(nic, addresses(2000, 4)) == Status.SUCCESS
    assert add(nic, addresses(3000, 1)) == Status.NO_MEMORY
    # What is there already takes no room.
    assert add(nic, addresses(0, ROOM - 4) + addresses(2000, 4)) == Status.SUCCESS
    assert nic.ask(Op.DEL_ETH_ADDR, ether_addrs(nic.vsi, addresses(0, ROOM - 4)))[0] == Status.SUCCESS
    assert add(nic, addresses(4000, ROOM - 4)) == Status.SUCCESS


def test_address_that_is_repeated_in_a_message_takes_one_place(nic):
    nic.open_mailbox()
    assert add(nic, [address(1)] * 300) == Status.SUCCESS
    assert add(nic, addresses(1000, ROOM - 1)) == Status.SUCCESS
    assert add(nic, addresses(2000, 1)) == Status.NO_MEMORY


def test_new_primary_address_has_room_in_a_full_table(nic):
    """The driver removes the old one only when the new one is in."""
    nic.open_mailbox()
    add(nic, [nic.mac], kind=1)
    assert add(nic, addresses(0, ROOM)) == Status.SUCCESS
    assert add(nic, addresses(1000, 1)) == Status.NO_MEMORY
    for mac in (OWN_MAC, nic.mac, OWN_MAC):
        assert add(nic, [mac], kind=1) == Status.SUCCESS
        other = nic.mac if mac == OWN_MAC else OWN_MAC
        nic.call(Op.DEL_ETH_ADDR, ether_addrs(nic.vsi, [other]))
    assert nic.come_back(RESETS["reset_vf"]).mac == OWN_MAC


def test_refused_primary_address_is_not_taken_over(nic):
    first = nic.open_mailbox().mac
    entries = [(OWN_MAC, 1)] + [(each, 2) for each in addresses(0, ROOM + 16)]
    message = struct.pack("<HH", nic.vsi, len(entries)) + b"".join(
        mac + bytes([kind, 0]) for mac, kind in entries)
    assert nic.ask(Op.ADD_ETH_ADDR, message)[0] == Status.NO_MEMORY
    assert add(nic, [address(1), bytes(6)]) == Status.PARAM
    assert nic.come_back(RESETS["reset_vf"]).mac == first
    assert add(nic, addresses(0, ROOM)) == Status.SUCCESS


# MTU

def test_driver_makes_the_hosts_mtu_of_what_it_is_told(server, nic):
    """It subtracts 26: Ethernet header, two VLAN tags and CRC."""
    assert nic.open_mailbox().max_mtu - 26 == 1500
    try:
        for mtu in (2026, 68, 1500):
            server.command(f"port config mtu 0 {mtu}")
            wait_for(lambda: nic.come_back(RESETS["reset_vf"]).max_mtu - 26 == mtu, "the new MTU")
    finally:
        server.command("port config mtu 0 1500")


@pytest.mark.parametrize("largest, status", [(9706 + 26, Status.SUCCESS),
                                             (9706 + 27, Status.PARAM)])
def test_largest_frame_may_be_what_a_host_can_announce(nic, largest, status):
    """Linux repeats what it was told."""
    nic.open_mailbox()
    pair = queue_pair(nic.vsi, 0, 128, 0x1000_0000, 128, 0x1000_0000, 2048, largest)
    assert nic.ask(Op.CONFIG_VSI_QUEUES, vsi_queues(nic.vsi, [pair]))[0] == status
