# SPDX-License-Identifier: BSD-3-Clause
"""DMA_MAP and DMA_UNMAP [spec: VFIO_USER_DMA_MAP, VFIO_USER_DMA_UNMAP]."""

import errno
import os
import select
import socket
import struct

import pytest

import iavf
from iavf import Nic, Op
from stock import Failure
from vfio_user import (CLOSED, Command, DmaFlag, DmaMemory, Flag, MEMORY_NAME, PAGE, dma_map,
                       dma_unmap, message, outcome, refused)

IOVA = 0x1000_0000
TOP = 1 << 64
MAX_REGIONS = 65535


@pytest.fixture
def file():
    """A memory file of 16 pages."""
    fd = os.memfd_create(MEMORY_NAME)
    os.ftruncate(fd, 16 * PAGE)
    yield fd
    os.close(fd)


def is_errno(result):
    return result not in (0, CLOSED)


def map_outcome(client, *args, fd=None, **kwargs):
    return outcome(client, Command.DMA_MAP, dma_map(*args, **kwargs), () if fd is None else (fd,))


def unmap_outcome(client, *args, **kwargs):
    return outcome(client, Command.DMA_UNMAP, dma_unmap(*args, **kwargs))


# DMA_MAP

def test_map_and_unmap(server, client, file):
    client.map_dma(IOVA, 16 * PAGE, file)
    assert len(server.client_mappings()) >= 1
    reply = client.call(Command.DMA_UNMAP, dma_unmap(IOVA, 16 * PAGE))
    assert reply == dma_unmap(IOVA, 16 * PAGE), "the original entry of the request"


def test_disconnect_unmaps(client, file):
    client.map_dma(IOVA, 16 * PAGE, file)


def test_map_without_fd(client):
    client.map_dma(IOVA, 16 * PAGE)
    client.unmap_dma(IOVA, 16 * PAGE)


def test_thousand_regions_of_one_file_are_one_mapping(server, client, file):
    for i in range(1000):
        client.map_dma(IOVA + i * 2 * PAGE, PAGE, file, offset=i % 16 * PAGE)
    assert len(server.client_mappings()) <= 16


TAKEN = {  # against a region of 16 pages at IOVA: the same, parts, overlaps
    "same": (0, 16), "inside": (4, 4), "first_page": (0, 1), "last_page": (15, 1),
    "across_start": (-1, 2), "across_end": (15, 2), "around": (-1, 18),
}


@pytest.mark.parametrize("first, pages", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("with_fd", [True, False], ids=["fd", "no_fd"])
def test_map_over_a_region_is_eexist(client, file, first, pages, with_fd):
    client.map_dma(IOVA, 16 * PAGE, file)
    big = os.memfd_create(MEMORY_NAME)
    os.ftruncate(big, 32 * PAGE)
    assert map_outcome(client, IOVA + first * PAGE, pages * PAGE,
                       fd=big if with_fd else None) == errno.EEXIST
    os.close(big)


@pytest.mark.parametrize("first, pages", [(-1, 1), (16, 1)], ids=["below", "above"])
def test_map_beside_a_region_succeeds(client, file, first, pages):
    client.map_dma(IOVA, 16 * PAGE, file)
    assert map_outcome(client, IOVA + first * PAGE, pages * PAGE, fd=file) == 0


BAD_MAPS = {
    "size_0": dict(address=IOVA, size=0),
    "size_8_eib": dict(address=0, size=1 << 63),
    "size_max": dict(address=0, size=TOP - 1),
    "size_max_pages": dict(address=0, size=TOP - PAGE),
    "end_wraps": dict(address=TOP - PAGE, size=2 * PAGE),
    "end_wraps_far": dict(address=1 << 63, size=(1 << 63) + PAGE),
    "size_not_pages": dict(address=IOVA, size=PAGE + 1),
    "size_1": dict(address=IOVA, size=1),
    "address_unaligned": dict(address=IOVA + 1, size=PAGE),
    "address_half_page": dict(address=IOVA + PAGE // 2, size=PAGE),
    "offset_unaligned": dict(address=IOVA, size=PAGE, offset=1),
    "offset_beyond_the_file": dict(address=IOVA, size=PAGE, offset=16 * PAGE),
    "offset_wraps": dict(address=IOVA, size=2 * PAGE, offset=TOP - PAGE),
    "offset_negative": dict(address=IOVA, size=PAGE, offset=1 << 63),
    "longer_than_the_file": dict(address=IOVA, size=17 * PAGE),
    "one_page_beyond": dict(address=IOVA, size=2 * PAGE, offset=15 * PAGE),
    "argsz_0": dict(address=IOVA, size=PAGE, argsz=0),
    "argsz_31": dict(address=IOVA, size=PAGE, argsz=31),
    "unknown_flags": dict(address=IOVA, size=PAGE, flags=0xFFFFFFFC),
}


@pytest.mark.parametrize("arguments", BAD_MAPS.values(), ids=BAD_MAPS)
def test_bad_map_is_an_error_and_maps_nothing(server, client, file, arguments):
    assert is_errno(map_outcome(client, **arguments, fd=file))
    client.map_dma(IOVA, PAGE, file)  # the range is still free
    assert len(server.client_mappings()) == 1


def test_map_without_any_access_is_refused(client, file):
    assert map_outcome(client, IOVA, PAGE, flags=0, fd=file) == errno.EINVAL


@pytest.fixture
def restricted():
    """Memory beside the guest's own, to be shared with less than full access."""
    with DmaMemory(iova=0x4000_0000) as more:
        yield more


def is_answered(nic):
    try:
        return nic.receive(0.3)[0] == Op.VERSION
    except Failure:
        return False


def start_nic(client, memory, **options):
    nic = Nic(client, memory)
    client.reset()
    nic.wait_for_reset()
    nic.enable_bus_master()
    nic.start_mailbox(**options)
    return nic


VERSION = struct.pack("<II", 1, 1)


@pytest.mark.parametrize("with_fd", [True, False], ids=["fd", "no_fd"])
@pytest.mark.parametrize("flags", [DmaFlag.READ, DmaFlag.WRITE, DmaFlag.RW])
def test_device_reads_only_where_it_may(client, memory, restricted, flags, with_fd):
    """A message of the driver lies there."""
    restricted.share(client, flags, with_fd)
    nic = start_nic(client, memory)
    restricted.write(restricted.iova, VERSION)
    nic.post(Op.VERSION, VERSION, address=restricted.iova)
    assert is_answered(nic) == bool(flags & DmaFlag.READ)


@pytest.mark.parametrize("with_fd", [True, False], ids=["fd", "no_fd"])
@pytest.mark.parametrize("flags", [DmaFlag.READ, DmaFlag.WRITE, DmaFlag.RW])
def test_device_writes_only_where_it_may(client, memory, restricted, flags, with_fd):
    """The device's messages would go there."""
    restricted.share(client, flags, with_fd)
    size = iavf.AQ_ENTRIES * iavf.AQ_BUFFER
    nic = start_nic(client, memory, buffers=restricted.alloc(size))
    nic.post(Op.VERSION, VERSION)
    is_answered(nic)
    is_written = restricted.read(restricted.iova, size) != bytes(size)
    assert is_written == bool(flags & DmaFlag.WRITE)


def read_only_memory():
    fd = os.memfd_create(MEMORY_NAME)
    os.ftruncate(fd, PAGE)
    reopened = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    os.close(fd)
    return reopened


def epoll():
    with select.epoll() as poll:
        return os.dup(poll.fileno())


NO_MEMORY = {
    "pipe": lambda: os.pipe()[1],
    "socket": lambda: socket.socket(socket.AF_UNIX).detach(),
    "directory": lambda: os.open("/", os.O_RDONLY),
    "eventfd": lambda: os.eventfd(0),
    "epoll": epoll,
    "path_only": lambda: os.open("/dev/null", os.O_PATH),
    "null_device": lambda: os.open("/dev/null", os.O_RDWR),
    "terminal_master": lambda: os.open("/dev/ptmx", os.O_RDWR),
    "proc_file": lambda: os.open("/proc/self/mem", os.O_RDWR),
    "empty_memory": lambda: os.memfd_create(MEMORY_NAME),
    "read_only_memory": read_only_memory,
}


@pytest.mark.parametrize("make", NO_MEMORY.values(), ids=NO_MEMORY)
def test_map_of_what_is_no_writable_memory_is_an_error(client, make):
    fd = make()
    assert is_errno(map_outcome(client, IOVA, PAGE, fd=fd))
    os.close(fd)


@pytest.mark.parametrize("count", [2, 8, 16, 17, 253])
def test_map_with_more_than_one_fd_is_refused_and_leaks_none(client, count):
    fds = [os.memfd_create(MEMORY_NAME) for _ in range(count)]
    for fd in fds:
        os.ftruncate(fd, PAGE)
    assert refused(outcome(client, Command.DMA_MAP, dma_map(IOVA, PAGE), fds))
    for fd in fds:
        os.close(fd)


@pytest.mark.parametrize("size", [0, PAGE])
def test_file_truncated_after_mapping_is_no_harm_while_untouched(client, file, size):
    client.map_dma(IOVA, 16 * PAGE, file)
    os.ftruncate(file, size)
    client.device_info()


def test_file_truncated_before_mapping_is_an_error(client, file):
    os.ftruncate(file, 4 * PAGE)
    assert is_errno(map_outcome(client, IOVA, 16 * PAGE, fd=file))


def test_file_that_grew_is_mapped_in_its_new_size(client, file):
    """One mapping per file: a later region may lie behind what was mapped first."""
    client.map_dma(IOVA, 16 * PAGE, file)
    os.ftruncate(file, 64 * PAGE)
    client.map_dma(IOVA + 16 * PAGE, 48 * PAGE, file, offset=16 * PAGE)


def test_mapping_a_sparse_file_does_not_fill_it(client):
    """testpmd locks all its memory (MCL_FUTURE): a mapping would be populated, so that a sparse
    file of some TiB takes all memory of the host. A small one shows it."""
    fd = os.memfd_create(MEMORY_NAME)
    os.ftruncate(fd, 256 << 20)
    client.map_dma(0, 256 << 20, fd)
    blocks = os.fstat(fd).st_blocks * 512
    os.close(fd)
    assert blocks < 16 << 20


def test_thousand_files_are_mapped_or_cut_at_a_limit(client):
    results = []
    for i in range(1000):
        fd = os.memfd_create(MEMORY_NAME)
        os.ftruncate(fd, PAGE)
        results.append(map_outcome(client, IOVA + i * PAGE, PAGE, fd=fd))
        os.close(fd)
    assert results[0] == 0 and CLOSED not in results


def drain(client, count):
    return [client.receive_reply().error for _ in range(count)]


@pytest.mark.parametrize("with_fd", [True, False], ids=["fd", "no_fd"])
def test_hundred_thousand_maps_are_cut_at_the_limit(client, other, file, with_fd):
    """Pipelined by hundreds; the other device is served in between."""
    total, batch = 100_000, 100
    errors = []
    for start in range(0, total, batch):
        maps = [message(Command.DMA_MAP, dma_map(IOVA + i * 2 * PAGE, PAGE))
                for i in range(start, start + batch)]
        if with_fd:
            for each in maps:
                client.send_bytes(each, [file])
        else:
            client.send_bytes(b"".join(maps))
        errors += drain(client, batch)
        if start % 10_000 == 0:
            other.device_info()
    good = errors.count(0)
    assert 1000 <= good <= MAX_REGIONS
    assert all(errors[good:]), "every map beyond the limit is an error"
    client.unmap_dma(0, TOP - PAGE)
    assert map_outcome(client, IOVA, PAGE, fd=file) == 0, "the limit is on live regions"


# DMA_UNMAP

@pytest.fixture
def five(client, file):
    """A client with regions of 2 pages at 0, 4, 8, 12 and 16 pages from IOVA."""
    for i in range(5):
        client.map_dma(IOVA + 4 * i * PAGE, 2 * PAGE, file, offset=2 * i * PAGE)
    return client


def mapped(client, file):
    """Which of the five regions are there; maps them all again."""
    return [map_outcome(client, IOVA + 4 * i * PAGE, 2 * PAGE, fd=file) == errno.EEXIST
            for i in range(5)]


UNMAPS = {  # address, size, regions that stay
    "exact": (IOVA, 2 * PAGE, [0, 1, 1, 1, 1]),
    "exact_middle": (IOVA + 8 * PAGE, 2 * PAGE, [1, 1, 0, 1, 1]),
    "with_holes_around": (IOVA + 3 * PAGE, 4 * PAGE, [1, 0, 1, 1, 1]),
    "several": (IOVA + 4 * PAGE, 10 * PAGE, [1, 0, 0, 0, 1]),
    "nothing_in_a_hole": (IOVA + 2 * PAGE, 2 * PAGE, [1, 1, 1, 1, 1]),
    "nothing_far_away": (1 << 40, 1 << 30, [1, 1, 1, 1, 1]),
    "everything_below_the_top_page": (0, TOP - PAGE, [0, 0, 0, 0, 0]),
    "lower_half": (0, 1 << 63, [0, 0, 0, 0, 0]),
    "upper_half_up_to_the_top": (1 << 63, 1 << 63, [1, 1, 1, 1, 1]),
    "up_to_the_top": (IOVA, TOP - IOVA, [0, 0, 0, 0, 0]),
    "up_to_the_top_from_the_middle": (IOVA + 8 * PAGE, TOP - IOVA - 8 * PAGE, [1, 1, 0, 0, 0]),
}


@pytest.mark.parametrize("address, size, stay", UNMAPS.values(), ids=UNMAPS)
def test_unmap_removes_the_regions_inside(five, file, address, size, stay):
    """Wider than the specification's "match exactly": QEMU with a virtual IOMMU needs it."""
    assert unmap_outcome(five, address, size) == 0
    assert mapped(five, file) == [bool(each) for each in stay]


BAD_UNMAPS = {
    "cuts_the_end": (IOVA + PAGE, 2 * PAGE),
    "cuts_the_start": (IOVA - PAGE, 2 * PAGE),
    "one_page_of_two": (IOVA, PAGE),
    "cuts_the_last_of_several": (IOVA, 5 * PAGE),
    "size_0": (IOVA, 0),
    "end_wraps": (IOVA, TOP - PAGE),
    "end_wraps_by_a_page": (TOP - PAGE, 2 * PAGE),
}


@pytest.mark.parametrize("address, size", BAD_UNMAPS.values(), ids=BAD_UNMAPS)
def test_bad_unmap_is_an_error_and_removes_nothing(five, file, address, size):
    assert is_errno(unmap_outcome(five, address, size))
    assert mapped(five, file) == [True] * 5


@pytest.mark.parametrize("address, size", [
    (IOVA + 1, 2 * PAGE), (IOVA, 2 * PAGE - 1), (IOVA - 1, 2 * PAGE)])
def test_unmap_that_cuts_bytes_is_an_error_and_removes_nothing(five, file, address, size):
    assert is_errno(unmap_outcome(five, address, size))
    assert mapped(five, file) == [True] * 5


@pytest.mark.parametrize("arguments", [dict(argsz=0), dict(argsz=23), dict(flags=0xFFFFFFFF)],
                         ids=["argsz_0", "argsz_23", "flags"])
def test_unmap_with_odd_fields_is_answered(five, arguments):
    assert unmap_outcome(five, IOVA, 2 * PAGE, **arguments) != CLOSED


def test_unmap_with_a_descriptor_is_carried_out(five, file):
    """SPDK always sends one, of nothing; it is closed."""
    for i in range(5):
        assert outcome(five, Command.DMA_UNMAP, dma_unmap(IOVA + 4 * i * PAGE, 2 * PAGE),
                       [file]) == 0
    assert mapped(five, file) == [False] * 5


def test_unmap_with_two_descriptors_is_refused(five, file):
    assert refused(outcome(five, Command.DMA_UNMAP, dma_unmap(IOVA, 2 * PAGE), [file] * 2))
    assert mapped(five, file) == [True] * 5


def test_unmap_all_removes_all_regions(server, five, file):
    """QEMU asks for it when a guest turns its virtual IOMMU on, also if nothing is mapped."""
    five.map_dma(0, PAGE)
    five.map_dma(TOP - PAGE, PAGE)
    for _ in range(2):
        wanted = dma_unmap(0, 0, flags=2)
        assert five.call(Command.DMA_UNMAP, wanted) == wanted
        assert not server.client_mappings()
    assert mapped(five, file) == [False] * 5
    assert map_outcome(five, 0, PAGE) == 0
    assert map_outcome(five, TOP - PAGE, PAGE) == 0


@pytest.mark.parametrize("address, size, flags", [
    (IOVA, 0, 2), (0, PAGE, 2), (IOVA, 2 * PAGE, 2), (0, TOP - 1, 2), (0, 0, 0), (0, 0, 3),
    (0, 0, 6)])
def test_unmap_of_half_of_all_is_an_error_and_removes_nothing(five, file, address, size, flags):
    assert is_errno(unmap_outcome(five, address, size, flags=flags))
    assert mapped(five, file) == [True] * 5


def test_unmap_with_get_dirty_bitmap_is_an_error(five):
    """Flag 1 asks for a bitmap in VFIO; vfio-user has no such reply."""
    assert is_errno(unmap_outcome(five, IOVA, 2 * PAGE, flags=1))


def test_unmap_twice_is_answered(five):
    five.unmap_dma(IOVA, 2 * PAGE)
    assert unmap_outcome(five, IOVA, 2 * PAGE) != CLOSED


def test_map_and_unmap_by_no_reply(client, file):
    client.send(Command.DMA_MAP, dma_map(IOVA, PAGE), [file], flags=Flag.NO_REPLY)
    client.send(Command.DMA_UNMAP, dma_unmap(IOVA, PAGE), flags=Flag.NO_REPLY)
    assert map_outcome(client, IOVA, PAGE, fd=file) == 0


def test_ten_thousand_maps_and_unmaps_of_a_page(client, file):
    """What each packet costs behind a strict virtual IOMMU."""
    pair = message(Command.DMA_UNMAP, dma_unmap(IOVA, PAGE))
    for _ in range(100):
        for _ in range(100):
            client.send_bytes(message(Command.DMA_MAP, dma_map(IOVA, PAGE)), [file])
            client.send_bytes(pair)
        assert not any(drain(client, 200))


def test_region_at_address_zero_and_at_the_top(client, file):
    client.map_dma(0, PAGE, file)
    client.map_dma(TOP - PAGE, PAGE, file, offset=PAGE)
    client.unmap_dma(TOP - PAGE, PAGE)
    client.unmap_dma(0, PAGE)
