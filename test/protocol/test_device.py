# SPDX-License-Identifier: BSD-3-Clause
"""Device, region and interrupt commands of a vfio-user server."""

import errno
import mmap
import os
import select
import socket
import struct

import pytest

import vfio_user
from vfio_user import (CLOSED, Command, Irq, IrqSet, PAGE, Region, RegionFlag, get_info,
                       get_irq_info, get_region_info, get_region_io_fds, outcome, refused,
                       region_read, region_write, set_irqs, write_multi)

BAR0_SIZE = 0x10000
ATQBAL, ARQBAL = 0x7C00, 0x6C00  # trapped registers that can be read back
MAX_XFER = 1 << 20


def is_errno(result):
    """A well-formed command that cannot be carried out is answered; the connection goes on."""
    return result not in (0, CLOSED)


# DEVICE_GET_INFO, DEVICE_RESET, migration

def test_device_info(client):
    flags, regions, irqs = client.device_info()
    assert flags & 0x2, "a PCI device"
    assert flags & 0x1, "that can be reset"
    assert regions >= Region.COUNT and irqs >= Irq.COUNT


@pytest.mark.parametrize("argsz", [0, 15])
def test_device_info_with_small_argsz_is_refused_or_only_tells_the_size(client, argsz):
    reply = client.exchange(Command.DEVICE_GET_INFO, get_info(argsz))
    assert reply.failed or len(reply.payload) <= 16


@pytest.mark.parametrize("argsz", [16, 32, 0x7FFFFFFF, 0xFFFFFFFF])
def test_device_info_with_large_argsz_is_answered_in_full(client, argsz):
    reply = client.exchange(Command.DEVICE_GET_INFO, get_info(argsz))
    assert len(reply.payload) == 16 and struct.unpack_from("<I", reply.payload) == (16,)


def test_reset_has_an_empty_reply(client):
    assert client.call(Command.DEVICE_RESET) == b""


def test_reset_a_hundred_times(client):
    for _ in range(100):
        client.reset()


def test_reset_with_payload_is_answered(client):
    outcome(client, Command.DEVICE_RESET, b"x" * 64)


UNSUPPORTED = [errno.ENOTSUP, errno.EINVAL]


@pytest.mark.parametrize("feature", [1, 2, 6, 7, 8, 99, 0xFFFF])
@pytest.mark.parametrize("action", [0, 1 << 16, 1 << 17, 1 << 18, 7 << 16, 0xFFFF0000])
def test_device_feature_is_unsupported(client, feature, action):
    payload = struct.pack("<II", 64, feature | action) + bytes(24)
    assert outcome(client, Command.DEVICE_FEATURE, payload) in UNSUPPORTED


@pytest.mark.parametrize("command", [Command.MIG_DATA_READ, Command.MIG_DATA_WRITE])
@pytest.mark.parametrize("size", [0, 16, 0xFFFFFFFF])
def test_migration_data_is_unsupported(client, command, size):
    payload = struct.pack("<II", 0xFFFFFFFF, size) + bytes(16)
    assert outcome(client, command, payload) in UNSUPPORTED


# DEVICE_GET_REGION_INFO

def test_bar0_offers_one_sparse_area_of_the_hot_pages(client):
    bar = client.region_info(Region.BAR0)
    assert bar.size == BAR0_SIZE
    assert bar.flags == RegionFlag.READ | RegionFlag.WRITE | RegionFlag.MMAP | RegionFlag.CAPS
    assert bar.areas == [(0, 0x4000)]
    assert len(bar.fds) == 1
    assert bar.argsz == 32 + 16 + 16


@pytest.mark.parametrize("argsz", [0, 8, 31])
def test_region_info_with_argsz_below_its_structure_is_refused(client, argsz):
    assert refused(outcome(client, Command.DEVICE_GET_REGION_INFO,
                           get_region_info(Region.BAR0, argsz)))


@pytest.mark.parametrize("argsz", [32, 40, 63])
def test_region_info_with_small_argsz_tells_the_needed_size(client, argsz):
    """Capabilities that do not fit are left out, and are not announced; clients ask again with the
    size that they were told."""
    reply = client.exchange(Command.DEVICE_GET_REGION_INFO, get_region_info(Region.BAR0, argsz))
    assert not reply.failed
    needed, flags, _, cap_offset, size, _ = struct.unpack_from("<IIIIQQ", reply.payload)
    assert (needed, size, len(reply.payload)) == (64, BAR0_SIZE, 32)
    assert not flags & RegionFlag.CAPS and cap_offset == 0


@pytest.mark.parametrize("argsz", [64, 65, 0x10000, 0xFFFFFFFF])
def test_region_info_with_enough_argsz_is_complete_and_no_longer(client, argsz):
    reply = client.exchange(Command.DEVICE_GET_REGION_INFO, get_region_info(Region.BAR0, argsz))
    assert len(reply.payload) == 64 and len(reply.fds) == 1


def test_region_info_asked_a_thousand_times_leaks_no_fd(server, client):
    for _ in range(1000):
        for fd in client.region_info(Region.BAR0).fds:
            os.close(fd)
        client.received_fds.clear()


@pytest.mark.parametrize("index", range(Region.COUNT))
def test_each_region_is_described_without_surprise(client, index):
    region = client.region_info(index)
    present = {Region.BAR0: BAR0_SIZE, Region.BAR3: None, Region.CONFIG: None}
    if index in present:
        assert region.size >= 256 and region.size == (present[index] or region.size)
        assert region.flags & RegionFlag.READ and region.flags & RegionFlag.WRITE
    else:
        assert region.size == 0 and not region.fds
    assert bool(region.flags & RegionFlag.MMAP) == bool(region.fds) == (index == Region.BAR0)


@pytest.mark.parametrize("index", [9, 100, 0x7FFFFFFF, 0xFFFFFFFF])
def test_info_of_no_region_is_an_error(client, index):
    assert is_errno(outcome(client, Command.DEVICE_GET_REGION_INFO, get_region_info(index, 4096)))


def test_sparse_area_is_the_register_memory(client):
    bar = client.region_info(Region.BAR0)
    with mmap.mmap(bar.fds[0], 0x4000, offset=bar.offset) as area:
        struct.pack_into("<I", area, 0x3804, 0x18)  # DYN_CTLN1(1): ITR index 3, interrupt off
        assert client.read_region(Region.BAR0, 0x3804, 4) == b"\x18\0\0\0"
        client.write_region(Region.BAR0, 0x3804, bytes(4))
        assert struct.unpack_from("<I", area, 0x3804) == (0,)


@pytest.mark.parametrize("size", [0, PAGE])
def test_region_memory_cannot_be_truncated(client, size):
    """A client that could would make the server's own accesses fault."""
    with pytest.raises(OSError):
        os.ftruncate(client.region_info(Region.BAR0).fds[0], size)


def test_mapping_of_a_client_that_is_gone_reaches_nobody(server):
    """Neither way: what it writes there, and what the next client has there."""
    with vfio_user.connect(server.path) as first:
        area = mmap.mmap(first.region_info(Region.BAR0).fds[0], 0x4000)
    with area, vfio_user.connect(server.path) as second:
        struct.pack_into("<I", area, 0x3804, 0x18)
        assert second.read_region(Region.BAR0, 0x3804, 4) == bytes(4)
        second.write_region(Region.BAR0, 0x3808, b"\x18\0\0\0")
        assert struct.unpack_from("<I", area, 0x3808) == (0,)
        with mmap.mmap(second.region_info(Region.BAR0).fds[0], 0x4000) as new:
            assert struct.unpack_from("<I", new, 0x3808) == (0x18,)


# DEVICE_GET_REGION_IO_FDS

@pytest.mark.parametrize("index", range(Region.COUNT))
def test_region_io_fds_are_none(client, index):
    """The device has none: an empty list or an error."""
    reply = client.exchange(Command.DEVICE_GET_REGION_IO_FDS, get_region_io_fds(index, 4096))
    assert reply.failed or reply.payload == get_region_io_fds(index, 16)
    assert not reply.fds


@pytest.mark.parametrize("payload", [
    get_region_io_fds(9), get_region_io_fds(0xFFFFFFFF), get_region_io_fds(0, argsz=0),
    get_region_io_fds(0, argsz=15), get_region_io_fds(0, flags=1),
    get_region_io_fds(0, flags=0xFFFFFFFF),
], ids=["index_9", "index_max", "argsz_0", "argsz_15", "flag", "flags"])
def test_bad_region_io_fds_is_refused(client, payload):
    assert refused(outcome(client, Command.DEVICE_GET_REGION_IO_FDS, payload))


# REGION_READ, REGION_WRITE

ACCESSES = {  # region, offset, count
    "at_the_end": (Region.BAR0, BAR0_SIZE, 4),
    "across_the_end": (Region.BAR0, BAR0_SIZE - 2, 4),
    "across_the_end_by_one": (Region.BAR0, BAR0_SIZE - 4, 5),
    "longer_than_the_region": (Region.BAR0, 1, BAR0_SIZE),
    "offset_wraps": (Region.BAR0, (1 << 64) - 4, 8),
    "offset_wraps_to_zero": (Region.BAR0, (1 << 64) - 4, 4),
    "offset_max": (Region.BAR0, (1 << 64) - 1, 1),
    "offset_sign": (Region.BAR0, 1 << 63, 4),
    "offset_4g": (Region.BAR0, 1 << 32, 4),
    "no_region": (Region.COUNT, 0, 4),
    "no_region_max": (0xFFFFFFFF, 0, 4),
    "empty_region": (1, 0, 4),
    "rom": (Region.ROM, 0, 4),
    "config_end": (Region.CONFIG, 4096, 4),
    "bar3_end": (Region.BAR3, 1 << 20, 4),
}


@pytest.mark.parametrize("access", ACCESSES.values(), ids=ACCESSES)
def test_read_outside_a_region_is_an_error(client, access):
    assert is_errno(outcome(client, Command.REGION_READ, region_read(*access)))


@pytest.mark.parametrize("access", ACCESSES.values(), ids=ACCESSES)
def test_write_outside_a_region_is_an_error(client, access):
    region, offset, count = access
    assert is_errno(outcome(client, Command.REGION_WRITE,
                            region_write(region, offset, bytes(count))))


@pytest.mark.parametrize("count", [0, BAR0_SIZE + 1, MAX_XFER + 1, 1 << 31, 0xFFFFFFFF])
def test_read_of_a_bad_count_is_refused(client, count):
    assert refused(outcome(client, Command.REGION_READ, region_read(Region.BAR0, 0, count)))


@pytest.mark.parametrize("data, count", [
    (b"", 0), (b"", 4), (b"123", 4), (b"1234", 0), (b"1234", 0xFFFFFFFF), (b"1234", 0xFFFFFFF0),
    (bytes(MAX_XFER + 1), None),
])
def test_write_of_a_bad_count_is_refused(client, data, count):
    assert refused(outcome(client, Command.REGION_WRITE,
                           region_write(Region.BAR0, ATQBAL, data, count)))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 8, 16, 4096])
@pytest.mark.parametrize("offset", [0, 2, ATQBAL, ATQBAL + 1, 0x8800])
def test_odd_access_to_bar0_is_answered(client, offset, count):
    """Registers are 32 bits wide: other accesses may be carried out, ignored or refused."""
    assert outcome(client, Command.REGION_READ, region_read(Region.BAR0, offset, count)) != CLOSED
    assert outcome(client, Command.REGION_WRITE,
                   region_write(Region.BAR0, offset, bytes(count))) != CLOSED


@pytest.mark.parametrize("count", [1, 2, 4, 8, 64, 256])
def test_config_space_is_read_in_any_size(client, count):
    whole = client.read_region(Region.CONFIG, 0, 256)
    for offset in range(0, 256 - count + 1, max(count, 16)):
        assert client.read_region(Region.CONFIG, offset, count) == whole[offset:offset + count]


def test_whole_bar0_is_read(client):
    """Register by register: a read of any size must not do harm."""
    outcome(client, Command.REGION_READ, region_read(Region.BAR0, 0, BAR0_SIZE))
    for offset in range(0, BAR0_SIZE, 256):
        client.read_region(Region.BAR0, offset, 4)


def test_every_register_takes_any_value(client):
    for value in (b"\xff\xff\xff\xff", bytes(4)):
        for offset in range(0, BAR0_SIZE, 4):
            client.send(Command.REGION_WRITE, region_write(Region.BAR0, offset, value),
                        flags=vfio_user.Flag.NO_REPLY)
        client.device_info()
    client.reset()


# REGION_WRITE_MULTI

def test_write_multi_carries_out_each_write(client):
    reply = client.call(Command.REGION_WRITE_MULTI, write_multi([
        (Region.BAR0, ATQBAL, b"\0\x10\0\0"), (Region.BAR0, ARQBAL, b"\0\x20\0\0")]))
    assert reply == struct.pack("<Q", 2)
    assert client.read_region(Region.BAR0, ATQBAL, 4) == b"\0\x10\0\0"
    assert client.read_region(Region.BAR0, ARQBAL, 4) == b"\0\x20\0\0"


WRITE = (Region.BAR0, ATQBAL, b"\0\x30\0\0")


@pytest.mark.parametrize("payload", [
    write_multi([WRITE], 2), write_multi([WRITE], 0), write_multi([], 1),
    write_multi([WRITE], 1 << 61), write_multi([WRITE], (1 << 64) - 1),
    write_multi([WRITE], (1 << 64) // 24 + 1), write_multi([WRITE])[:-1],
    write_multi([(*WRITE, 0)]), write_multi([(*WRITE, 9)]), write_multi([(*WRITE, 0xFFFFFFFF)]),
    write_multi([(99, 0, b"1234")]), write_multi([(Region.BAR0, BAR0_SIZE - 2, b"1234")]),
    write_multi([(Region.BAR0, (1 << 64) - 2, b"1234")]),
], ids=["one_missing", "one_too_many", "missing", "count_wraps", "count_max", "count_wraps_small",
        "cut", "size_0", "size_9", "size_max", "no_region", "across_end", "offset_wraps"])
def test_bad_write_multi_is_refused_or_counts_none(client, payload):
    """The reply counts completed writes, so a count of 0 is an honest answer too."""
    try:
        reply = client.exchange(Command.REGION_WRITE_MULTI, payload)
    except vfio_user.Closed:
        return
    assert reply.failed or reply.payload == bytes(8)


def test_write_multi_without_the_capability_is_served(server):
    with vfio_user.connect(server.path, capabilities={}) as client:
        assert not client.capabilities.get("write_multiple")
        reply = client.call(Command.REGION_WRITE_MULTI, write_multi([WRITE]))
        assert reply == struct.pack("<Q", 1)
        assert client.read_region(Region.BAR0, ATQBAL, 4) == WRITE[2]


# DEVICE_GET_IRQ_INFO, DEVICE_SET_IRQS

def test_msix_offers_a_vector_per_queue_and_one_more(client):
    flags, count = client.irq_info(Irq.MSIX)
    assert flags & 1, "by eventfd"
    assert 5 <= count <= 2048


@pytest.mark.parametrize("index", range(Irq.COUNT))
def test_each_irq_is_described(client, index):
    _, count = client.irq_info(index)
    assert count <= 2048


@pytest.mark.parametrize("index", [5, 8, 0x7FFFFFFF, 0xFFFFFFFF])
def test_info_of_no_irq_is_an_error(client, index):
    assert is_errno(outcome(client, Command.DEVICE_GET_IRQ_INFO, get_irq_info(index)))


@pytest.mark.parametrize("argsz", [0, 15])
def test_irq_info_with_small_argsz_is_refused(client, argsz):
    assert refused(outcome(client, Command.DEVICE_GET_IRQ_INFO, get_irq_info(0, argsz)))


TRIGGER_FD = IrqSet.EVENTFD | IrqSet.TRIGGER
TRIGGER = IrqSet.NONE | IrqSet.TRIGGER
BOOL = IrqSet.BOOL | IrqSet.TRIGGER
MASKABLE = 0x2  # flag of an interrupt type

BAD_IRQS = {  # payload, number of eventfds
    "no_index": (set_irqs(TRIGGER, index=5), 0),
    "index_max": (set_irqs(TRIGGER, index=0xFFFFFFFF), 0),
    "start_beyond": (set_irqs(TRIGGER, start=2048), 0),
    "start_max": (set_irqs(TRIGGER, start=0xFFFFFFFF), 0),
    "count_beyond": (set_irqs(TRIGGER, count=2049), 0),
    "count_max": (set_irqs(TRIGGER, count=0xFFFFFFFF), 0),
    "start_plus_count_wraps": (set_irqs(TRIGGER, start=0xFFFFFFFF, count=2), 0),
    "start_plus_count_wraps_into_range": (set_irqs(TRIGGER, start=1, count=0xFFFFFFFF), 0),
    "fds_wrap": (set_irqs(TRIGGER_FD, start=0xFFFFFFFF, count=2), 2),
    "no_flags": (set_irqs(0), 0),
    "no_data_type": (set_irqs(IrqSet.TRIGGER), 0),
    "two_data_types": (set_irqs(TRIGGER | IrqSet.BOOL, data=b"\1"), 0),
    "three_data_types": (set_irqs(0x27, data=b"\1"), 1),
    "no_action": (set_irqs(IrqSet.NONE), 0),
    "two_actions": (set_irqs(TRIGGER | IrqSet.MASK), 0),
    "three_actions": (set_irqs(IrqSet.NONE | 0x38), 0),
    "unknown_flag": (set_irqs(TRIGGER | 0x40), 0),
    "unknown_flags": (set_irqs(0xFFFFFFFF), 0),
    "argsz_small": (set_irqs(TRIGGER, argsz=19), 0),
    "bools_missing": (set_irqs(BOOL, count=2, data=b""), 0),
    "bools_short": (set_irqs(BOOL, count=4, data=b"\1\1\1"), 0),
    "bools_count_0": (set_irqs(BOOL, count=0, data=b"\1"), 0),
    "fewer_fds_than_count": (set_irqs(TRIGGER_FD, count=3), 2),
    "more_fds_than_count": (set_irqs(TRIGGER_FD, count=1), 2),
    "sixteen_fds_for_none": (set_irqs(TRIGGER, count=0), 16),
    "fds_with_bools": (set_irqs(BOOL, data=b"\1"), 1),
    "fds_with_none": (set_irqs(TRIGGER, count=1), 1),
    "fds_with_mask": (set_irqs(IrqSet.NONE | IrqSet.MASK, count=1), 1),
}


@pytest.mark.parametrize("payload, nb_fds", BAD_IRQS.values(), ids=BAD_IRQS)
def test_bad_set_irqs_is_refused(client, payload, nb_fds):
    eventfds = [os.eventfd(0) for _ in range(nb_fds)]
    try:
        assert refused(outcome(client, Command.DEVICE_SET_IRQS, payload, eventfds))
    finally:
        for fd in eventfds:
            os.close(fd)


@pytest.mark.parametrize("action", [IrqSet.MASK, IrqSet.UNMASK])
def test_eventfd_for_mask_or_unmask_is_answered(client, action):
    """In the specification; servers may support it or not."""
    fd = os.eventfd(0)
    assert outcome(client, Command.DEVICE_SET_IRQS,
                   set_irqs(IrqSet.EVENTFD | action), [fd]) != CLOSED
    os.close(fd)


@pytest.fixture
def eventfd():
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    yield fd
    os.close(fd)


def fired(fd):
    return bool(select.select([fd], [], [], vfio_user.TIMEOUT)[0]) and os.eventfd_read(fd) > 0


def quiet(fd):
    """Nothing comes in a while: a thread of the server signals."""
    return not select.select([fd], [], [], 0.02)[0]


def test_wired_vector_fires_on_the_clients_trigger(wirer, eventfd):
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD, start=1), [eventfd])
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER, start=1))
    assert fired(eventfd)
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(BOOL, start=0, count=2, data=b"\0\0"))
    assert quiet(eventfd)
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(BOOL, start=0, count=2, data=b"\0\1"))
    assert fired(eventfd)


def test_unwired_vector_does_not_fire(wirer, eventfd):
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD, start=1), [eventfd])
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD, start=1))  # no fd: unwire
    assert outcome(wirer, Command.DEVICE_SET_IRQS, set_irqs(TRIGGER, start=1)) != CLOSED
    assert quiet(eventfd)


def test_disable_all_unwires(wirer, eventfd):
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD), [eventfd])
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER, count=0))
    assert outcome(wirer, Command.DEVICE_SET_IRQS, set_irqs(TRIGGER)) != CLOSED
    assert quiet(eventfd)


def test_msix_as_qemu_wires_it(wirer):
    """On without a vector, then vectors one by one as the guest unmasks them, then off."""
    eventfds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(3)]
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD))
    for vector, fd in enumerate(eventfds):
        wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD, start=vector), [fd])
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER, count=3))
    assert all(fired(fd) for fd in eventfds)
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER, count=0))
    for fd in eventfds:
        os.close(fd)


@pytest.mark.parametrize("action", [IrqSet.MASK, IrqSet.UNMASK])
def test_masking_is_not_offered_and_refused(client, eventfd, action):
    """Of MSI-X, whose vectors are masked in its table."""
    client.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD), [eventfd])
    assert client.irq_info(Irq.MSIX)[0] & MASKABLE == 0
    assert outcome(client, Command.DEVICE_SET_IRQS, set_irqs(IrqSet.NONE | action)) == errno.EINVAL
    client.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER))
    assert fired(eventfd)


def test_rewiring_a_thousand_times_leaks_no_fd(wirer, eventfd):
    for _ in range(1000):
        wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD), [eventfd])


def full_eventfd():
    fd = os.eventfd(0)  # blocking
    os.eventfd_write(fd, (1 << 64) - 2)
    return fd, []


def full_pipe():
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, bytes(4096))
    except BlockingIOError:
        os.set_blocking(write_end, True)
    return write_end, [read_end]


def pipe_without_reader():
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end, []


NO_EVENTFDS = {
    "full_eventfd": full_eventfd,
    "full_pipe": full_pipe,
    "pipe_without_reader": pipe_without_reader,
    "directory": lambda: (os.open("/", os.O_RDONLY), []),
    "path_only": lambda: (os.open("/", os.O_PATH), []),
    "read_only": lambda: (os.open("/dev/null", os.O_RDONLY), []),
    "full_device": lambda: (os.open("/dev/full", os.O_WRONLY), []),
    "memory": lambda: (os.memfd_create(vfio_user.MEMORY_NAME), []),
    "listening_socket": lambda: (socket.socket(socket.AF_UNIX).detach(), []),
}


@pytest.mark.parametrize("make", NO_EVENTFDS.values(), ids=NO_EVENTFDS)
def test_fd_that_cannot_be_signalled_stops_nobody(wirer, other, make):
    """It may be refused when wired or fail when it fires; it must not block or kill the server."""
    fd, more = make()
    try:
        if outcome(wirer, Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD), [fd]) == 0:
            outcome(wirer, Command.DEVICE_SET_IRQS, set_irqs(TRIGGER))
        other.device_info()
    except vfio_user.Closed:
        pass
    finally:
        for each in [fd, *more]:
            os.close(each)


def test_eventfd_made_blocking_after_it_was_wired_stops_nobody(wirer, other):
    """O_NONBLOCK belongs to the open file, which the client shares: it can take it back."""
    fd = os.eventfd(0)
    wirer.call(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER_FD), [fd])
    os.set_blocking(fd, True)
    os.eventfd_write(fd, (1 << 64) - 2)
    try:
        wirer.send(Command.DEVICE_SET_IRQS, set_irqs(TRIGGER))
        other.device_info()
    finally:
        os.eventfd_read(fd)
        os.close(fd)
