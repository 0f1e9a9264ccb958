# SPDX-License-Identifier: BSD-3-Clause
"""Messages that are broken as such, and how bytes may be cut and joined [spec: Header]."""

import contextlib
import os
import re
import resource
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

import vfio_user
from vfio_user import (HEADER, Client, Command, Flag, Irq, IrqSet, Region, get_info, message, outcome, refused,
                       region_read, region_write, version)

GET_INFO = message(Command.DEVICE_GET_INFO, get_info())


@pytest.mark.parametrize("length", [0, 1, 15, 16, 20, 31])
def test_part_of_a_message_then_close(client, length):
    client.send_bytes(GET_INFO[:length])


@pytest.mark.parametrize("length", [0, 1, 15, 16, 20])
def test_part_of_the_first_message_then_close(server, length):
    with vfio_user.connect(server.path, negotiate=False) as client:
        client.send_bytes(message(Command.VERSION, version())[:length])


@pytest.mark.parametrize("length", [1, 16, 20])
def test_stalled_message_blocks_no_other_device(client, other, length):
    client.send_bytes(GET_INFO[:length])
    other.device_info()
    client.send_bytes(GET_INFO[length:])
    assert not client.receive_reply().failed


@pytest.mark.parametrize("size", [0, 1, 15, 64 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_impossible_message_size_closes(client, size):
    client.send_bytes(message(Command.DEVICE_GET_INFO, get_info(), size=size))
    assert client.is_closed()


@pytest.mark.parametrize("size", [0, 15, 0xFFFFFFFF])
def test_impossible_size_of_the_first_message_closes(server, size):
    with vfio_user.connect(server.path, negotiate=False) as client:
        client.send_bytes(message(Command.VERSION, version(), size=size))
        assert client.is_closed()


@pytest.mark.parametrize("command", [0, 11, 12, 14, 19, 0x7FFF, 0x8000, 65535])
@pytest.mark.parametrize("payload", [b"", b"x" * 40], ids=["empty", "payload"])
def test_unknown_command_is_refused(client, command, payload):
    """DMA_READ and DMA_WRITE (11, 12) are commands of the server only."""
    assert refused(outcome(client, command, payload))


@pytest.mark.parametrize("command", [Command.DEVICE_GET_INFO, Command.DMA_READ, 0, 65535])
def test_reply_nobody_waits_for_is_ignored_or_closes(client, command):
    client.send(command, get_info(), flags=Flag.REPLY)
    try:
        client.device_info()
    except vfio_user.Closed:
        pass


@pytest.mark.parametrize("kind", [2, 3, 7, 15])
def test_unknown_message_type_is_refused(client, kind):
    try:
        client.send(Command.DEVICE_GET_INFO, get_info(), flags=kind)
        assert client.receive_reply().failed
    except vfio_user.Closed:
        pass


def test_error_field_of_a_command_is_ignored(client):
    assert not client.exchange(Command.DEVICE_GET_INFO, get_info(), error=0xFFFFFFFF).failed


@pytest.mark.parametrize("command", [c for c in Command if c not in
                                     (Command.VERSION, Command.DEVICE_RESET)])
def test_command_without_payload_is_refused(client, command):
    assert refused(outcome(client, command))


LENGTHS = {
    Command.DMA_MAP: 32, Command.DMA_UNMAP: 24, Command.DEVICE_GET_INFO: 16,
    Command.DEVICE_GET_REGION_INFO: 32, Command.DEVICE_GET_REGION_IO_FDS: 16,
    Command.DEVICE_GET_IRQ_INFO: 16, Command.DEVICE_SET_IRQS: 20, Command.REGION_READ: 16,
    Command.REGION_WRITE: 16, Command.REGION_WRITE_MULTI: 8, Command.DEVICE_FEATURE: 8,
}


@pytest.mark.parametrize("command", LENGTHS)
@pytest.mark.parametrize("fill", [b"\0", b"\xff"], ids=["zeros", "ones"])
def test_payload_one_byte_short_is_refused(client, command, fill):
    assert refused(outcome(client, command, fill * (LENGTHS[command] - 1)))


@pytest.mark.parametrize("command", [c for c in LENGTHS if c != Command.DEVICE_GET_INFO])
def test_payload_of_ones_is_refused(client, command):
    assert refused(outcome(client, command, b"\xff" * LENGTHS[command]))


def test_bytes_one_by_one_are_served(server):
    with vfio_user.connect(server.path, negotiate=False) as client:
        for byte in message(Command.VERSION, version()) + GET_INFO:
            client.send_bytes(bytes([byte]))
        assert client.receive_reply().command == Command.VERSION
        assert client.receive_reply().command == Command.DEVICE_GET_INFO


def test_hundreds_of_commands_in_one_write_are_answered_in_order(client):
    commands = b""
    for i in range(1, 601, 2):
        commands += message(Command.DEVICE_GET_INFO, get_info(), i)
        commands += message(Command.REGION_READ, region_read(Region.CONFIG, 0, 4), i + 1)
    client.send_bytes(commands)
    assert [client.receive_reply().id for _ in range(600)] == list(range(1, 601))


def test_commands_behind_a_closing_one_are_not_carried_out(client):
    bad = message(Command.DEVICE_GET_INFO, get_info(), size=0)
    client.send_bytes(bad + GET_INFO * 100)
    assert client.is_closed()


def test_same_message_id_twice_in_flight_is_answered_twice(client):
    client.send_bytes(message(Command.DEVICE_GET_INFO, get_info(), 7) * 2)
    assert [client.receive_reply().id for _ in range(2)] == [7, 7]


def test_no_reply_gets_no_reply(client):
    client.send(Command.REGION_WRITE, region_write(Region.BAR0, 0x7C00, b"\0\0\1\0"),
                flags=Flag.NO_REPLY)
    assert client.read_region(Region.BAR0, 0x7C00, 4) == b"\0\0\1\0"


def test_no_reply_gets_no_reply_to_an_error_either(client):
    client.send(Command.REGION_WRITE, region_write(99, 0, b"1234"), flags=Flag.NO_REPLY)
    client.device_info()


def test_second_client_is_turned_away(server, client):
    with Client(server.path, negotiate=False) as second:
        assert second.is_closed()
    client.device_info()


def test_hundred_second_clients_do_not_disturb_the_first(server, client):
    for _ in range(100):
        with vfio_user.connect(server.path, negotiate=False):
            pass
    client.device_info()


def test_second_clients_do_not_fill_the_log(server, client):
    said, start = server.log().count("a second client is refused"), time.monotonic()
    for _ in range(300):
        with Client(server.path, negotiate=False) as second:
            assert second.is_closed()
    said = server.log().count("a second client is refused") - said
    assert 0 <= said <= 2 + (time.monotonic() - start), "one line a second at most"


def test_client_that_says_nothing_loses_the_device(server):
    with vfio_user.connect(server.path, negotiate=False) as mute:
        with vfio_user.connect(server.path) as patient:
            patient.device_info()
        assert mute.is_closed()


@pytest.mark.parametrize("length", [1, 16, 20])
def test_client_that_does_not_finish_a_message_is_closed(client, length):
    client.send_bytes(GET_INFO[:length])
    assert client.is_closed()


def test_silent_client_blocks_no_other_device(server, other):
    with vfio_user.connect(server.path, negotiate=False):
        other.device_info()


def test_client_that_never_reads_is_held_or_closed(server, client, other):
    """Memory stays bounded and the other device is served, though replies pile up."""
    before = server.memory()
    client.socket.settimeout(0.2)
    read = message(Command.REGION_READ, region_read(Region.CONFIG, 0, 256)) * 64
    try:
        for _ in range(2000):
            client.send_bytes(read)
            other.device_info()
    except (TimeoutError, vfio_user.Closed):
        pass
    other.device_info()
    assert server.memory() - before < 2 << 20 or server.keeps_what_is_freed()


def test_client_that_reads_late_gets_every_reply(client, other):
    """Replies larger than the socket's buffer, read only after the last command was sent."""
    size = 4096
    buffer = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    ids = range(1, 4 * buffer // size)
    client.send_bytes(b"".join(
        message(Command.REGION_READ, region_read(Region.CONFIG, 0, size), i) for i in ids))
    other.device_info()
    assert [client.receive_reply().id for _ in ids] == list(ids)


def lingering_socket(cleanup):
    """A TCP socket whose last close waits half a minute: it has data that nobody reads."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        ours = socket.create_connection(listener.getsockname())
        reader, _ = listener.accept()
    cleanup.callback(reader.close)  # ends the wait
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
    ours.setblocking(False)
    try:
        while True:
            ours.send(bytes(4096))
    except BlockingIOError:
        return ours.detach()


FDS = {
    "files": lambda _: os.open("/dev/null", os.O_RDONLY),
    "memory": lambda _: os.memfd_create(vfio_user.MEMORY_NAME),
    "sockets": lambda _: socket.socket(socket.AF_UNIX).detach(),
    "lingering": lingering_socket,
}


@pytest.fixture
def cleanup():
    with contextlib.ExitStack() as stack:
        yield stack


MAX_WAITING_FDS = 256
MAX_MSG_FDS = 16


def close_fds(fds):
    """Closes descriptors in the background: where ours is the last, it is us who wait. Returns when
    those are closed that a server keeps until it has the whole message."""
    kept_closed = threading.Event()

    def close_all():
        for i, fd in enumerate(fds, 1):
            os.close(fd)
            if i == min(len(fds), MAX_MSG_FDS):
                kept_closed.set()
    threading.Thread(target=close_all, daemon=True).start()
    kept_closed.wait(vfio_user.TIMEOUT)


def send_last_fds(client, data, fds):
    """Sends a message, and closes the descriptors before the server has all of it: its own close
    is the last one."""
    client.send_bytes(data[:HEADER.size], fds)
    close_fds(fds)
    client.send_bytes(data[HEADER.size:])


@pytest.mark.parametrize("count", [1, 16, 17, 64, 253])
@pytest.mark.parametrize("kind", FDS)
@pytest.mark.parametrize("command", [Command.DEVICE_GET_INFO, 65535], ids=["known", "unknown"])
def test_fds_on_a_command_that_takes_none_are_closed(client, other, cleanup, command, kind, count):
    """The reply is open to the server: it may ignore or refuse them. 253 is SCM_MAX_FD."""
    fds = [FDS[kind](cleanup) for _ in range(count)]
    try:
        send_last_fds(client, message(command, get_info()), fds)
        client.receive_reply()
    except vfio_user.Closed:
        pass
    other.device_info()


@pytest.mark.parametrize("command, payload", {
    Command.DMA_MAP: vfio_user.dma_map(0, vfio_user.PAGE),
    Command.DEVICE_SET_IRQS: vfio_user.set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, Irq.MSIX, 0),
}.items(), ids=["DMA_MAP", "SET_IRQS"])
def test_fd_that_takes_long_to_close_is_refused_at_once(client, other, cleanup, command, payload):
    send_last_fds(client, message(command, payload), [lingering_socket(cleanup)])
    assert client.receive_reply().failed
    other.device_info()


def test_fds_that_were_not_received_keep_nobody_waiting(server, client, other, cleanup):
    """They are let go with the connection. The server does not come to them, since nobody reads
    its replies to what is before them."""
    client.send_bytes(message(Command.REGION_READ, region_read(Region.CONFIG, 0, 256)) * 1200)
    send_last_fds(client, GET_INFO, [lingering_socket(cleanup)])
    client.close()
    with vfio_user.connect(server.path) as after:
        after.device_info()
    other.device_info()


def test_client_whose_fds_cannot_be_closed_is_held_off(client, other, cleanup):
    """One message more is read for each descriptor that has been closed meanwhile."""
    answered = 0
    with pytest.raises(vfio_user.Closed):
        for _ in range(MAX_WAITING_FDS // MAX_MSG_FDS + 4):
            fds = [lingering_socket(cleanup) for _ in range(MAX_MSG_FDS)]
            send_last_fds(client, GET_INFO, fds)
            client.receive_reply()
            answered += 1
    assert 0 <= answered - MAX_WAITING_FDS // MAX_MSG_FDS <= 2
    other.device_info()


@pytest.mark.parametrize("cut", [1, 16, 20])
def test_fds_on_both_halves_of_a_message_are_closed(client, cut):
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        client.send_bytes(GET_INFO[:cut], [null])
        time.sleep(0.05)
        client.send_bytes(GET_INFO[cut:], [null] * 3)
        client.receive_reply()
    except vfio_user.Closed:
        pass
    finally:
        os.close(null)


def test_fds_of_an_unfinished_message_are_closed(client):
    null = os.open("/dev/null", os.O_RDONLY)
    client.send_bytes(GET_INFO[:20], [null] * 16)
    os.close(null)


def test_fds_of_an_unfinished_message_do_not_pile_up(server, client, other):
    """With 253 on each byte, one message could bring more than any process may have."""
    null = os.open("/dev/null", os.O_RDONLY)
    idle, most = len(server.fds()), 0
    client.send_bytes(message(Command.REGION_WRITE, size=HEADER.size + 65536))
    try:
        for _ in range(100):
            client.send_bytes(b"\0", [null] * 253)
            most = max(most, len(server.fds()))
    except vfio_user.Closed:
        pass
    finally:
        os.close(null)
    other.device_info()
    assert max(most, len(server.fds())) < idle + 1024


def test_fds_find_room(server, client):
    """The kernel has a process wait for tens of milliseconds to make its table larger, and so whom it
    serves: there is room from the start on."""
    status = Path(f"/proc/{server.pid}/status")
    room = lambda: int(re.search(r"FDSize:\s+(\d+)", status.read_text()).group(1))
    before, null = room(), os.open("/dev/null", os.O_RDONLY)
    assert before >= min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 16384)
    for _ in range(8):
        client.send_bytes(GET_INFO[:1], [null] * 253)
    os.close(null)
    client.is_closed()
    assert room() == before


def test_fds_of_many_pipelined_messages_are_closed(client):
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        for _ in range(64):
            client.send_bytes(GET_INFO, [null] * 16)
        for _ in range(64):
            client.receive_reply()
    except vfio_user.Closed:
        pass
    finally:
        os.close(null)


def test_connect_and_close_two_hundred_times(server):
    for _ in range(200):
        with vfio_user.connect(server.path, negotiate=False):
            pass
