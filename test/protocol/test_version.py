# SPDX-License-Identifier: BSD-3-Clause
"""Negotiation [spec: VFIO_USER_VERSION]."""

import json
import os
import socket
import struct

import pytest

import vfio_user
from vfio_user import (CAPABILITIES, Command, RegionFlag, Region, get_info, message,
                       outcome, refused, version)


@pytest.fixture
def stranger(server):
    """A connection on which nothing was said yet."""
    with vfio_user.connect(server.path, negotiate=False) as client:
        yield client


LIMITS = {"max_msg_fds": 16, "max_data_xfer_size": 1 << 20, "max_dma_maps": 65535, "pgsizes": 4096}


def raw_version(text, major=0, minor=1):
    return struct.pack("<HH", major, minor) + text


REFUSED = {
    "empty_payload": b"",
    "two_bytes": b"\0\0",
    "three_bytes": b"\0\0\1",
    "no_json": raw_version(b"hello\0"),
    "cut_json": raw_version(b'{"capabilities":{"max_msg_fds":1\0'),
    "deep_arrays": raw_version(b"[" * 100000 + b"\0"),
    "deep_objects": raw_version(b'{"a":' * 20000 + b"1" + b"}" * 20000 + b"\0"),
    "deep_capabilities": raw_version(b'{"capabilities":' + b'{"twin_socket":' * 5000 + b"\0"),
    "one_mebibyte_of_json": raw_version(json.dumps({"x": "y" * (1 << 20)}).encode() + b"\0"),
    "one_mebibyte_of_spaces": raw_version(b" " * (1 << 20) + b"\0"),
    "invalid_utf8": raw_version(b'{"capabilities":{"\xff\xfe":1}}\0'),
    "major_1": version(major=1),
    "major_65535": version(major=65535, minor=65535),
}


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED)
def test_bad_version_is_refused(stranger, payload):
    try:
        assert refused(outcome(stranger, Command.VERSION, payload))
    except TimeoutError:
        pytest.fail("no answer")


def capabilities(**values):
    return raw_version(json.dumps({"capabilities": values}).encode() + b"\0")


# Refusing them and falling back to defaults are both sane; the specification does not say.
ODD = {
    "no_nul": version()[:-1],
    "nul_inside": raw_version(b'{"capabilities":{}}\0 trailing\0'),
    "only_nul": raw_version(b"\0"),
    "array": raw_version(b"[]\0"),
    "null": raw_version(b"null\0"),
    "number": raw_version(b"1e999\0"),
    "duplicate_keys": raw_version(b'{"capabilities":{},"capabilities":{"max_msg_fds":2}}\0'),
    "capabilities_null": raw_version(b'{"capabilities":null}\0'),
    "capabilities_list": raw_version(b'{"capabilities":[1,2]}\0'),
    "fds_string": capabilities(max_msg_fds="16"),
    "fds_negative": capabilities(max_msg_fds=-1),
    "fds_zero": capabilities(max_msg_fds=0),
    "fds_huge": capabilities(max_msg_fds=1 << 63),
    "fds_beyond_64_bits": capabilities(max_msg_fds=1 << 70),
    "fds_fraction": capabilities(max_msg_fds=1.5),
    "xfer_negative": capabilities(max_data_xfer_size=-1),
    "xfer_zero": capabilities(max_data_xfer_size=0),
    "xfer_huge": capabilities(max_data_xfer_size=(1 << 63) - 1),
    "xfer_object": capabilities(max_data_xfer_size={}),
    "maps_zero": capabilities(max_dma_maps=0),
    "pgsizes_zero": capabilities(pgsizes=0),
    "pgsizes_odd": capabilities(pgsizes=3),
    "pgsizes_only_huge": capabilities(pgsizes=1 << 21),
    "twin_number": capabilities(twin_socket=1),
    "twin_string": capabilities(twin_socket={"supported": "yes"}),
    "twin_index": capabilities(twin_socket={"supported": True, "fd_index": -5}),
    "write_multiple_number": capabilities(write_multiple=1),
    "mapped_bars_list": capabilities(mapped_bars=[True]),
}


@pytest.mark.parametrize("payload", ODD.values(), ids=ODD)
def test_odd_version_is_refused_or_taken_as_default(stranger, payload):
    if outcome(stranger, Command.VERSION, payload) == 0:
        stranger.device_info()


def test_version_without_json_is_accepted(server):
    """As SPDK's client does."""
    with vfio_user.connect(server.path, capabilities=None) as client:
        assert client.capabilities == LIMITS
        client.device_info()


@pytest.mark.parametrize("wish", [{}, {"max_msg_fds": 1}, {"write_multiple": True},
                                  {"colour": "green"}], ids=str)
def test_limits_are_stated_to_who_names_none(server, wish):
    """A client that is told none assumes 1 MiB in one access."""
    with vfio_user.connect(server.path, capabilities=wish) as client:
        assert client.capabilities.items() >= LIMITS.items()
        assert client.capabilities.keys() - LIMITS.keys() <= wish.keys()


def test_unknown_capabilities_are_ignored(server):
    with vfio_user.connect(server.path, capabilities={"colour": "green", **CAPABILITIES}) as client:
        assert "colour" not in client.capabilities
        client.device_info()


@pytest.mark.parametrize("minor", [0, 1, 2, 65535])
def test_minor_version_is_at_most_the_proposed(stranger, minor):
    reply = stranger.negotiate(minor=minor)
    assert struct.unpack_from("<HH", reply.payload)[0] == 0
    assert struct.unpack_from("<HH", reply.payload)[1] <= min(minor, 1)


def test_reply_to_qemu_is_as_qemu_demands(stranger):
    """Minor 0, no longer than the request, limits not above QEMU's own."""
    proposal = {**CAPABILITIES, "migration": {"pgsize": 4096, "max_bitmap_size": 1 << 18}}
    request = version(proposal, minor=0)
    reply = stranger.exchange(Command.VERSION, request)
    assert not reply.failed and len(reply.payload) <= len(request)
    assert reply.payload[:4] == b"\0\0\0\0" and reply.payload.endswith(b"\0")
    granted = json.loads(reply.payload[4:-1])["capabilities"]
    assert granted.get("max_msg_fds", 1) <= 16
    assert granted.get("max_data_xfer_size", 1 << 20) <= 64 << 20
    assert granted.get("pgsizes", 4096) & 4096


def test_second_version_is_refused(client):
    assert refused(outcome(client, Command.VERSION, version()))


@pytest.mark.parametrize("command", [c for c in Command if c != Command.VERSION] + [0, 14, 65535])
def test_command_before_version_is_refused(stranger, command):
    assert refused(outcome(stranger, command, bytes(32)))


def test_dma_map_before_version_maps_nothing(stranger, memory):
    assert refused(outcome(stranger, Command.DMA_MAP,
                           vfio_user.dma_map(memory.iova, memory.size), [memory.fd]))


def test_version_with_no_reply_does_not_harm(stranger):
    """Without a reply nothing is agreed on; closing is sane too."""
    stranger.send(Command.VERSION, version(), flags=vfio_user.Flag.NO_REPLY)
    outcome(stranger, Command.DEVICE_GET_INFO, get_info())


def test_version_with_fds_leaks_none(stranger):
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(16)]
    outcome(stranger, Command.VERSION, version(), fds)
    for fd in fds:
        os.close(fd)


def test_twin_socket_is_offered_only_on_request(server, client):
    assert not client.capabilities.get("twin_socket", {}).get("supported")


def test_twin_socket_carries_the_servers_commands(server):
    wish = {**CAPABILITIES, "twin_socket": {"supported": True}}
    with vfio_user.connect(server.path, capabilities=wish) as client:
        assert client.capabilities["twin_socket"]["supported"] is True
        twin = client.twin.socket
        assert (twin.family, twin.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
        client.device_info()


@pytest.mark.parametrize("data", [b"x", b"\0" * 16, b"\xff" * 64,
                                  message(Command.DEVICE_GET_INFO, get_info())],
                         ids=["one_byte", "zeros", "ones", "command"])
def test_rubbish_on_the_twin_socket_closes_or_is_ignored(server, other, data):
    wish = {**CAPABILITIES, "twin_socket": {"supported": True}}
    with vfio_user.connect(server.path, capabilities=wish) as client:
        client.twin.send_bytes(data)
        other.device_info()
        outcome(client, Command.DEVICE_GET_INFO, get_info())


def test_closed_twin_socket_does_not_harm(server, other):
    wish = {**CAPABILITIES, "twin_socket": {"supported": True}}
    with vfio_user.connect(server.path, capabilities=wish) as client:
        client.twin.socket.shutdown(socket.SHUT_RDWR)
        other.device_info()
        outcome(client, Command.DEVICE_GET_INFO, get_info())


def test_mapped_bars_makes_bar0_wholly_mappable(server):
    with vfio_user.connect(server.path, capabilities={**CAPABILITIES, "mapped_bars": True}) as c:
        assert c.capabilities["mapped_bars"] is True
        bar = c.region_info(Region.BAR0)
        assert bar.flags & RegionFlag.MMAP and len(bar.fds) == 1
        assert bar.areas in (None, [(0, bar.size)])
        assert os.fstat(bar.fds[0]).st_size >= bar.offset + bar.size


def test_mapped_bars_is_not_offered_unasked(client):
    assert "mapped_bars" not in client.capabilities
