# SPDX-License-Identifier: BSD-3-Clause
"""PCI config space, as a guest's firmware and kernel probe it."""

import struct

import pytest

from iavf import Reg, wait_for
from vfio_user import Command, Irq, Region, outcome, region_write

BARS = range(0x10, 0x28, 4)
CAP_MSIX, CAP_PCIE = 0x11, 0x10
FLR_OFFERED, START_FLR = 1 << 28, 1 << 15


def read(client, offset, fmt="<I"):
    data = client.read_region(Region.CONFIG, offset, struct.calcsize(fmt))
    return struct.unpack(fmt, data)[0]


def write(client, offset, value, fmt="<I"):
    client.write_region(Region.CONFIG, offset, struct.pack(fmt, value))


def capabilities(client):
    """Offset of each capability, by its id; fails if the chain does not end."""
    found, offset = {}, read(client, 0x34, "<B")
    while offset:
        assert offset >= 0x40 and offset % 4 == 0 and len(found) < 48
        cap, following = struct.unpack("<BB", client.read_region(Region.CONFIG, offset, 2))
        assert cap not in found, "the chain loops"
        found[cap] = offset
        offset = following
    return found


def test_identity(client):
    assert read(client, 0x00) == 0x1889_8086
    assert read(client, 0x08) >> 8 == 0x020000, "an Ethernet controller"
    assert read(client, 0x0E, "<B") & 0x7F == 0, "an ordinary header"
    assert read(client, 0x06, "<H") & 0x10, "with capabilities"


@pytest.mark.parametrize("offset, bits", [(0x00, 0x1111_1111), (0x08, 0), (0x2C, 0x2222_2222)],
                         ids=["ids", "class", "subsystem"])
def test_read_only_words_stay(client, offset, bits):
    before = read(client, offset)
    write(client, offset, bits)
    assert read(client, offset) == before


def test_capability_chain_ends(client):
    caps = capabilities(client)
    assert {CAP_MSIX, CAP_PCIE} <= set(caps)


def test_extended_capability_chain_ends(client):
    size = client.region_info(Region.CONFIG).size
    offset = 0x100 if size > 256 else 0
    for _ in range(1024):
        if offset == 0:
            return
        assert 0x100 <= offset < size and offset % 4 == 0
        header = read(client, offset)
        offset = 0 if header in (0, 0xFFFFFFFF) else header >> 20
    pytest.fail("the chain loops")


@pytest.mark.parametrize("index", [Region.BAR0, Region.BAR3])
def test_bar_tells_its_size_and_keeps_an_address(client, index):
    """BAR3 may be a 32-bit register; BAR0 is 64 bits wide."""
    offset, size = 0x10 + 4 * index, client.region_info(index).size
    flags = read(client, offset) & 0xF
    assert flags & 1 == 0, "memory"
    write(client, offset, 0xFFFFFFFF)
    assert -(read(client, offset) & ~0xF) & 0xFFFFFFFF == size
    write(client, offset, 0xE000_0000)
    assert read(client, offset) == 0xE000_0000 | flags
    if flags & 4:
        write(client, offset + 4, 0x1234)
        assert read(client, offset + 4) == 0x1234
        write(client, offset + 4, 0)
    write(client, offset, 0)


def test_bars_do_not_overlap_the_msix_table(client):
    caps = capabilities(client)
    control = read(client, caps[CAP_MSIX] + 2, "<H")
    table, pba = read(client, caps[CAP_MSIX] + 4), read(client, caps[CAP_MSIX] + 8)
    vectors = (control & 0x7FF) + 1
    assert vectors == client.irq_info(2)[1]
    bar3 = client.region_info(Region.BAR3).size
    assert table & 7 == pba & 7 == Region.BAR3
    assert (table & ~7) + 16 * vectors <= bar3 and (pba & ~7) + (vectors + 63) // 64 * 8 <= bar3


def test_function_level_reset_resets_the_device(client):
    device_control = capabilities(client)[CAP_PCIE] + 8
    assert read(client, device_control - 4) & FLR_OFFERED
    client.write_region(Region.BAR0, Reg.ARQBAL, struct.pack("<I", 0x1000))
    write(client, 0x04, 0x6, "<H")
    write(client, device_control, read(client, device_control, "<H") | START_FLR, "<H")
    assert read(client, device_control, "<H") & START_FLR == 0
    status = lambda: struct.unpack("<I", client.read_region(Region.BAR0, Reg.RSTAT, 4))[0]
    wait_for(lambda: status() & 3 in (1, 2), "end of reset")
    assert read(client, 0x04, "<H") & 0x6 == 0, "memory and bus mastering are off"
    assert client.read_region(Region.BAR0, Reg.ARQLEN, 4) == bytes(4)


def test_function_level_reset_a_hundred_times(client):
    device_control = capabilities(client)[CAP_PCIE] + 8
    for _ in range(100):
        write(client, device_control, START_FLR, "<H")


@pytest.mark.parametrize("value", [0xFF, 0x00])
def test_every_byte_of_config_space_takes_any_value(client, value):
    size = client.region_info(Region.CONFIG).size
    for offset in range(size):
        outcome(client, Command.REGION_WRITE,
                region_write(Region.CONFIG, offset, bytes([value])))
    client.reset()
    capabilities(client)


def set_bits(client, size):
    """The first 256 bytes after ones were written to all of them, but to what starts a reset."""
    client.reset()
    ones = bytearray(b"\xff" * 256)
    ones[capabilities(client)[CAP_PCIE] + 9] = (~START_FLR >> 8) & 0xFF
    for offset in range(0, 256, size):
        client.write_region(Region.CONFIG, offset, bytes(ones[offset:offset + size]))
    return client.read_region(Region.CONFIG, 0, 256)


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 64, 256])
def test_config_space_is_written_in_any_size(client, size):
    """As by words, which the other tests look at; a reset undoes it."""
    client.reset()
    initial = client.read_region(Region.CONFIG, 0, 256)
    by_words = set_bits(client, 4)
    assert struct.unpack_from("<H", by_words, 4)[0] == 0x0406
    assert struct.unpack_from("<I", by_words, 0x10)[0] & ~0xF == 0xFFFF_0000
    assert set_bits(client, size) == by_words
    client.reset()
    assert client.read_region(Region.CONFIG, 0, 256) == initial


def test_config_space_is_read_at_once(client):
    """QEMU reads 256 or 4096 bytes."""
    size = client.region_info(Region.CONFIG).size
    assert size in (256, 4096)
    assert len(client.read_region(Region.CONFIG, 0, size)) == size


def test_msix_table_keeps_what_is_written(client):
    """QEMU keeps the table itself; other clients may not."""
    entries = [struct.pack("<QII", 0xFEE0_0000 + vector, 0x41 + vector, vector % 2)
               for vector in range(client.irq_info(Irq.MSIX)[1])]
    for vector, entry in enumerate(entries):
        masked, = struct.unpack("<12xI", client.read_region(Region.BAR3, 16 * vector, 16))
        assert masked == 1, "after a reset"
        client.write_region(Region.BAR3, 16 * vector, entry)
    table = b"".join(entries)
    assert client.read_region(Region.BAR3, 0, len(table)) == table
    behind = client.read_region(Region.BAR3, len(table), 16)
    client.write_region(Region.BAR3, len(table), b"\xff" * 16)
    assert client.read_region(Region.BAR3, len(table), 16) == behind, "is no table"
