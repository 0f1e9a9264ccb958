# SPDX-License-Identifier: BSD-3-Clause
"""usage: seeds.py FOLDER [TARGET...]

Writes the inputs that fuzzing begins with, a folder for each target: what honest peers send, in the
form that the target reads (the steps at the top of its source), made by what test/protocol builds
its messages with.
"""

import json
import struct
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path += [str(TESTS), str(TESTS / "protocol")]

from iavf import (Op, ether_addrs, irq_map, queue_chunks, queue_pair, queue_select, queue_vectors,
                  vsi_queues)
from vfio_user import (CAPABILITIES, Command, IrqSet, Region, dma_map, dma_unmap, get_info,
                       get_irq_info, get_region_info, get_region_io_fds, region_read, region_write,
                       set_irqs, version, write_multi)

PAGE = 4096


# What the version target reads: the text.

def version_seeds():
    full = CAPABILITIES | {"twin_socket": {"supported": True, "fd_index": 0}, "mapped_bars": True}
    yield json.dumps({"capabilities": full}).encode()
    yield json.dumps({"capabilities": {}, "more": [1, None, "\u00e9"]}).encode()
    for name, value in full.items():
        yield json.dumps({"capabilities": {name: value}}).encode()
        yield json.dumps({"capabilities": {name: [value]}}).encode()
        yield json.dumps({"capabilities": {name: -1}}).encode()
    yield b"[" * 3000


# What the server target reads: server.cpp, enum step.

(RAW, MESSAGE, TRUNCATE, DEVICE_READS, DEVICE_WRITES, DEVICE_FIRES, ANSWER, TWIN, PAUSE,
 DEVICE_ACTS, OTHER_CLIENT, READ_ALL) = range(12)
LAZY, SLOW_DEVICE, SIGNALS_AT_ONCE = 2, 4, 8  # of the first byte
NO_FD, ONE_FD = 0, 1
MEMORY, OTHER_MEMORY, READ_ONLY, TRUNCATED, EVENT = range(5)
INFO = (Command.DEVICE_GET_INFO, get_info())


def fds(count_code, kind=MEMORY):
    return count_code | kind << 3


def step(command, payload=b"", descriptors=NO_FD, flags=0, msg_id=1):
    return struct.pack("<BBBBBH", MESSAGE, msg_id, command, flags, descriptors,
                       len(payload)) + payload


def hello(**more):
    return step(Command.VERSION, version(CAPABILITIES | more))


def map_file(page, pages, kind=MEMORY):
    return step(Command.DMA_MAP, dma_map(page * PAGE, pages * PAGE), fds(ONE_FD, kind))


def without_file(page, pages):
    return step(Command.DMA_MAP, dma_map(page * PAGE, pages * PAGE))


def access(kind, page, count):
    return struct.pack("<BHH", kind, page * 8, count)


def server_seeds():
    twin = {"twin_socket": {"supported": True}}
    for device in (b"\0", b"\1", b"\x08"):
        yield device + hello()
        yield device + hello(mapped_bars=True) + b"".join(
            step(Command.DEVICE_GET_REGION_INFO, get_region_info(n, 256)) for n in range(9))
        yield device + hello() + step(*INFO) + b"".join(
            step(Command.DEVICE_GET_IRQ_INFO, get_irq_info(n)) for n in range(6))
        yield device + hello() + step(Command.DEVICE_GET_REGION_IO_FDS,
                                      get_region_io_fds(0, 1024)) + step(
            Command.DEVICE_GET_REGION_IO_FDS, get_region_io_fds(0, 16))
        yield device + hello() + map_file(0, 4) + map_file(8, 4, OTHER_MEMORY) + \
            access(DEVICE_READS, 1, 64) + access(DEVICE_WRITES, 8, PAGE) + \
            step(Command.DMA_UNMAP, dma_unmap(0, 4 * PAGE), ONE_FD) + \
            step(Command.DMA_UNMAP, dma_unmap(0, 0, 2))
        for kind in range(EVENT, 10):
            yield device + hello() + map_file(0, 1, kind) + map_file(0, 4) + map_file(8, 99)
        yield device + hello() + map_file(0, 16, TRUNCATED) + bytes((TRUNCATE, 1)) + \
            access(DEVICE_READS, 3, 64) + bytes((PAUSE,))
        yield device + hello() + without_file(0, 16) + access(DEVICE_READS, 0, 8) + \
            struct.pack("<BBBBBHQQQB", ANSWER, 0, Command.DMA_READ, 0, 0, 24, 0, 8, 7, 0) + \
            access(DEVICE_WRITES, 0, 8) + \
            struct.pack("<BBBBBHQQB", ANSWER, 1, Command.DMA_WRITE, 0, 0, 16, 0, 8, 0)
        yield device + hello(**twin) + without_file(0, 16) + access(DEVICE_READS, 0, 8) + \
            bytes((PAUSE, TWIN, 40)) + struct.pack("<HHIIIQQQ", 0, Command.DMA_READ, 40, 1, 0, 0,
                                                   8, 5)
        yield device + hello() + b"".join(
            step(Command.REGION_READ, region_read(n, 4, 4)) +
            step(Command.REGION_WRITE, region_write(n, 8, b"1234")) for n in (0, 1, Region.CONFIG))
        yield device + hello() + step(Command.REGION_WRITE_MULTI, write_multi(
            [(0, 4 * n, b"abcd") for n in range(8)]), flags=0x10)
        yield device + hello() + b"".join(step(
            Command.DEVICE_SET_IRQS, set_irqs(flags, index, start, count), fds(code, EVENT))
            for flags in (0x24, 0x21, 0x9, 0x11, 0x22, 0x3F) for index in (0, 2, 3)
            for start, count in ((0, 1), (0, 0), (1, 2)) for code in (NO_FD, ONE_FD, 3))
        for kind in (IrqSet.EVENTFD, IrqSet.BOOL, IrqSet.NONE):
            for action in (IrqSet.TRIGGER, IrqSet.MASK, IrqSet.UNMASK):
                yield device + hello() + step(
                    Command.DEVICE_SET_IRQS,
                    set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, 2), fds(ONE_FD, EVENT)) + step(
                    Command.DEVICE_SET_IRQS,
                    set_irqs(kind | action, 0 if action != IrqSet.TRIGGER else 2,
                             data=b"\1" if kind == IrqSet.BOOL else b""),
                    fds(ONE_FD if kind == IrqSet.EVENTFD else NO_FD, EVENT)) + \
                    bytes((DEVICE_FIRES, 2, 0))
        yield device + hello() + step(Command.DEVICE_RESET) + \
            step(Command.DEVICE_FEATURE, bytes(8))
        asks = step(Command.REGION_READ, region_read(0, 0, 64)) * 40
        yield bytes((device[0] + 2,)) + hello() + asks + step(
            Command.DEVICE_GET_REGION_INFO, get_region_info(0, 256)) * 60 + bytes((PAUSE,)) + asks
        yield device + bytes((RAW, NO_FD, 5)) + b"\1\0\1\0\x20" + bytes((PAUSE,))
        yield from of_device(device)
        yield from of_refused(device)
    # Replies that wait with their descriptors, until it reads them.
    large = step(Command.REGION_READ, region_read(2, 0, 65536))
    described = step(Command.DEVICE_GET_REGION_INFO, get_region_info(0, 256))
    yield bytes((1 | LAZY,)) + hello() + (large + described) * 8 + bytes((PAUSE,)) + \
        (described + large) * 4 + bytes((READ_ALL, PAUSE, READ_ALL)) + described


def of_refused(device):
    """Memory that is used while it goes, and messages that are not as long as they say."""
    wired = b"".join(step(Command.DEVICE_SET_IRQS, set_irqs(0x24, index), fds(ONE_FD, EVENT))
                     for index in (0, 2))
    # Somebody uses what goes, file by file or with the client; and more than there may be.
    hold, release = bytes((DEVICE_ACTS, 4, 0)), bytes((DEVICE_ACTS, 5, 0))
    for last in (b"", release, step(Command.DMA_UNMAP, dma_unmap(0, 0, 2))):
        yield device + hello() + map_file(0, 4) + hold + map_file(8, 4, OTHER_MEMORY) + hold + \
            step(Command.DMA_UNMAP, dma_unmap(0, 4 * PAGE)) + bytes((PAUSE,)) + last
    yield device + hello() + map_file(0, 16, TRUNCATED) + hold + bytes((TRUNCATE, 1)) + \
        access(DEVICE_READS, 3, 64) + bytes((PAUSE,)) + hold + bytes((PAUSE,))
    yield device + hello() + map_file(0, 4) + map_file(8, 4, OTHER_MEMORY) + map_file(32, 4, TRUNCATED)
    # Rows of a message that are not as long as they say.
    for bad in (dma_map(0, PAGE)[4:], struct.pack("<I", 8) + dma_map(0, PAGE)[4:]):
        yield device + hello() + step(Command.DMA_MAP, bad, fds(ONE_FD))
    for bad in (dma_unmap(0, PAGE, 1), dma_unmap(PAGE, PAGE, 2), dma_unmap(0, PAGE, 2),
                struct.pack("<I", 8) + dma_unmap(0, PAGE)[4:]):
        yield device + hello() + map_file(0, 4) + step(Command.DMA_UNMAP, bad)
    for bad in (region_write(0, 8, b"1234")[:-1], region_write(0, 8, b"1234") + b"5"):
        yield device + hello() + step(Command.REGION_WRITE, bad)
    yield device + hello(max_data_xfer_size=0)
    # No eventfd, some of several, and values that say no.
    for code, kind in ((ONE_FD, MEMORY), (3, MEMORY), (ONE_FD, 6)):
        yield device + hello() + step(Command.DEVICE_SET_IRQS, set_irqs(0x24, 2), fds(code, kind))
    yield device + hello() + wired + step(Command.DEVICE_SET_IRQS, set_irqs(
        IrqSet.BOOL | IrqSet.TRIGGER, 2, data=b"\0"))
    yield device + hello() + without_file(0, 16) + access(DEVICE_READS, 0, 8) * 70
    # Many small ones, of which some in the middle go.
    small = b"".join(without_file(2 * n, 1) for n in range(40))
    gone = b"".join(step(Command.DMA_UNMAP, dma_unmap(2 * n * PAGE, PAGE)) for n in range(3, 40, 2))
    yield device + hello() + small + gone + access(DEVICE_READS, 8, 64) + \
        step(Command.DMA_UNMAP, dma_unmap(0, 0, 2))


def of_device(device):
    # Masked meanwhile, and wired to another one.
    wired = b"".join(step(Command.DEVICE_SET_IRQS, set_irqs(0x24, index), fds(ONE_FD, EVENT))
                     for index in (0, 2, 2))
    fires = bytes((DEVICE_FIRES, 0, 0)) * 2 + bytes((DEVICE_FIRES, 2, 0)) * 80
    yield device + hello() + wired + fires + \
        step(Command.DEVICE_SET_IRQS, set_irqs(0x11, 0)) + fires + \
        step(Command.DEVICE_SET_IRQS, set_irqs(0x24, 2)) + fires + bytes((PAUSE,))
    for what in range(6):
        yield device + hello() + wired + bytes((DEVICE_ACTS, what, 7, PAUSE, PAUSE)) * 3
    yield device + hello() + bytes((OTHER_CLIENT, 1, Command.VERSION, 0, 0, 0, 0)) + step(*INFO)
    for bad in (set_irqs(0x24, 9), set_irqs(0x3F), set_irqs(0x21, argsz=3), b""):
        yield device + hello() + step(Command.DEVICE_SET_IRQS, bad)
    for command in (5, 6, 7, 8, 16, 64):
        yield device + hello() + step(command, struct.pack("<II", 8, 0)) + \
            step(command, struct.pack("<IIIIQQ", 32, 0, 99, 0, 0, 0))
    yield device + hello() + map_file(0, 4) + map_file(2, 4) + map_file(4, 4) + \
        map_file(8, 4, READ_ONLY) + access(DEVICE_WRITES, 8, 64) + \
        access(DEVICE_READS, 3, PAGE) + without_file(16, 4) + \
        access(DEVICE_WRITES, 15, 2 * PAGE) + step(Command.DMA_UNMAP, dma_unmap(1, 5)) + \
        step(Command.DMA_UNMAP, dma_unmap(0, 9 * PAGE))
    # Of what it has asked for, it gets something else, or does not wait for it.
    for reply in (struct.pack("<QQQ", 0, 9, 7), struct.pack("<QQ", 0, 8), b"",
                  struct.pack("<QQQ", 512, 8, 7)):
        yield device + hello() + without_file(0, 16) + access(DEVICE_READS, 0, 8) * 40 + \
            struct.pack("<BBBBBH", ANSWER, 0, Command.DMA_READ, 0, 0, len(reply)) + \
            reply + b"\0"
    many = step(Command.REGION_WRITE_MULTI, write_multi([(0, 8 * (n % 8), b"abcd")
                                                         for n in range(40)]))
    yield bytes((device[0] | SLOW_DEVICE,)) + hello(write_multiple=True) + many + \
        bytes((PAUSE,)) * 3 + many + step(*INFO)
    yield bytes((device[0] | SLOW_DEVICE,)) + hello(write_multiple=True) + many + bytes(
        (DEVICE_ACTS, 2, 0))



# What the targets of the emulated device read: driver_messages.hpp, take_message(). A message has
# the number that vc_ops does not have, so that its own follows.

VSI = 1
ALL_CAPS = 0xFFFFFFFF
ETH, VLAN, IPV4, IPV6, TCP, UDP, SCTP, ESP = 1, 3, 4, 5, 6, 7, 8, 15
ADD_RSS_CFG, ENABLE_VLAN_STRIPPING_V2, CONFIG_RSS_HFUNC = 45, 54, 18


def request(op, body=b""):
    return struct.pack("<BIBH", 0xFF, op, 1, len(body)) + body


def header(kind, fields, content=b""):
    return struct.pack("<iI", kind, fields) + content.ljust(64, b"\0")


def rule(headers, actions):
    pattern = struct.pack("<B3xi", 0, len(headers)) + b"".join(headers).ljust(2304, b"\0")
    return struct.pack("<HHI", VSI, 0, 0) + pattern + \
        (struct.pack("<i", len(actions)) + b"".join(actions)).ljust(292, b"\0") + bytes(4)


def action(kind, *numbers):
    return struct.pack("<i", kind) + struct.pack(f"<{len(numbers)}H", *numbers).ljust(32, b"\0")


def to_address(last):
    return header(IPV4, 2, bytes(16) + bytes((10, 0, 0, last)))


def pairs(count):
    return vsi_queues(VSI, [queue_pair(VSI, n, 64, 0x80000 + n * 0x2000, 128,
                                       0x90000 + n * 0x2000) for n in range(count)])


def setting(op):
    """A table of RSS, VLANs or rules for each: what one message can do."""
    yield request(Op.ADD_ETH_ADDR, ether_addrs(VSI, [b"\2\0\0\0\0\7", b"\1\0\x5e\0\0\1"]))
    yield request(Op.ADD_ETH_ADDR, ether_addrs(VSI, [b"\2\0\0\0\0\7"], kind=1)) + op + \
        request(Op.DEL_ETH_ADDR, ether_addrs(VSI, [b"\2\0\0\0\0\7"]))
    yield request(Op.CONFIG_PROMISCUOUS_MODE, struct.pack("<HH", VSI, 3))
    yield request(Op.CONFIG_RSS_KEY, struct.pack("<HH", VSI, 52) + bytes(range(52)))
    yield request(Op.CONFIG_RSS_LUT, struct.pack("<HH", VSI, 64) + bytes((0, 1, 2, 3)) * 16)
    yield request(Op.GET_RSS_HENA_CAPS) + op + request(Op.SET_RSS_HENA, b"\0\0\0\x80\x1e\0\0\0")
    for algorithm in range(3):
        yield request(ADD_RSS_CFG, struct.pack("<B3xi", 0, 3) + b"".join(
            (header(ETH, 0), header(IPV4, 3), header(TCP, 3))).ljust(2304, b"\0") +
            struct.pack("<i128x", algorithm)) + op + \
            request(CONFIG_RSS_HFUNC, struct.pack("<HHI", VSI, algorithm, 0))
    yield request(Op.GET_OFFLOAD_VLAN_V2_CAPS) + op + request(
        Op.ADD_VLAN_V2, struct.pack("<HH4x8x4H16x", VSI, 1, 5, 0, 0x8100, 0)) + op + \
        request(ENABLE_VLAN_STRIPPING_V2, struct.pack("<IIH6x", 1, 0, VSI))
    yield request(Op.ADD_VLAN, struct.pack("<HHHH", VSI, 2, 5, 6))
    for action_list in ([action(3, 1)], [action(4, 0, 1)], [action(0)], [action(2), action(5, 7)]):
        yield request(Op.ADD_FDIR_FILTER, rule([header(ETH, 0), to_address(9)], action_list))
    for layers in ([header(ETH, 2, bytes(12) + b"\x08\x06")],
                   [header(ETH, 0), header(IPV6, 1, bytes(40)), header(UDP, 2, b"\0\7\0\7")],
                   [header(ETH, 0), header(IPV4, 0), header(ESP, 1, b"\1\2\3\4")],
                   [header(ETH, 0), header(IPV4, 16, bytes(9) + b"\x84"), header(SCTP, 3)]):
        yield request(Op.ADD_FDIR_FILTER, rule(layers, [action(3, 0)]))
    yield request(Op.DEL_FDIR_FILTER, struct.pack("<HxxIi", VSI, 0, 0))
    yield request(Op.CONFIG_VSI_QUEUES, pairs(2)) + op + request(
        Op.CONFIG_IRQ_MAP, irq_map([(VSI, 1, 1, 1), (VSI, 2, 2, 2)])) + op + request(
        Op.ENABLE_QUEUES, queue_select(VSI, 3, 3)) + op + request(
        Op.GET_STATS, queue_select(VSI, 0, 0)) + op + request(
        Op.DISABLE_QUEUES, queue_select(VSI, 1, 3))
    yield request(Op.CONFIG_VSI_QUEUES, pairs(2)) + op + request(Op.GET_MAX_RSS_QREGION) + op + \
        request(Op.MAP_QUEUE_VECTOR, queue_vectors(VSI, [(0, 1, 0, 0), (1, 2, 0, 1)])) + op + \
        request(Op.ENABLE_QUEUES_V2, queue_chunks(VSI, [(0, 0, 2), (1, 0, 2)])) + op + \
        request(Op.DISABLE_QUEUES_V2, queue_chunks(VSI, [(0, 0, 1)]))
    yield request(Op.REQUEST_QUEUES, struct.pack("<H", 2))
    yield request(Op.RESET_VF)
    yield request(Op.GET_SUPPORTED_RXDIDS)
    yield request(Op.INLINE_IPSEC_CRYPTO, bytes(8))


# mailbox.cpp, enum step.

(ASK, SEND, DESCRIPTOR, TAKE, START, BRING_UP, ENABLE, WRITE, ACCESS, POKE, MACHINE, END_ACCESS,
 TURN, RESET, HOST, SAVE, FIRE, LOOK, PRINT) = (bytes((number,)) for number in range(19))


def chains():
    """Rules and tables that meet others."""
    eth, ip = header(ETH, 0), to_address(9)
    rules = [([eth, ip], [action(3, 1)]), ([eth, ip], [action(0)]),
             ([eth, to_address(8)], [action(2)]),
             ([eth, header(IPV4, 0), header(TCP, 3, bytes((0, 7, 0, 8)))], [action(4, 0, 1)]),
             ([eth, header(IPV4, 0), header(UDP, 1, bytes((0, 7)))], [action(3, 2), action(5, 9)]),
             ([eth, header(VLAN, 1, b"\0\5"), header(IPV6, 3, bytes(range(40)))], [action(3, 0)]),
             ([eth, header(IPV4, 3)], [action(6, 1)]), ([header(IPV4, 3)], [action(3, 1)])]
    rules += [([eth, header(network, 0), header(kind, 1, bytes(range(20)))], [action(3, 1)])
              for network in (IPV4, IPV6) for kind in (9, 10, 14, ESP, 16, 17, 22, 23)]
    yield b"".join(ASK + request(Op.ADD_FDIR_FILTER, rule(*each)) for each in rules) + b"".join(
        ASK + request(Op.DEL_FDIR_FILTER, struct.pack("<HxxIi", VSI, number, 0))
        for number in range(4)) + SAVE
    # What is behind UDP.
    for inner in ([(9, 1)], [(9, 1), (10, 2)], [(17, 1)], [(ESP, 1)]):
        for network in (IPV4, IPV6):
            layers = [eth, header(network, 0), header(UDP, 0)] + [
                header(kind, fields, bytes(range(20))) for kind, fields in inner]
            yield ASK + request(Op.ADD_FDIR_FILTER, rule(layers, [action(3, 1)])) + ASK + request(
                Op.ADD_FDIR_FILTER, rule(layers, [action(3, 2)])) + LOOK + b"\0" + ASK + request(
                Op.DEL_FDIR_FILTER, struct.pack("<HxxIi", VSI, 0, 0))
    yield ASK + request(Op.ADD_FDIR_FILTER, rule(
        [eth, header(IPV6, 0x14, bytes((0x6F, 0xF0)) + bytes(4) + b"\x06")], [action(3, 1)]))
    frames = ((b"\x08\0\x45" + bytes(8) + b"\x06", 34), (b"\x86\xdd\x60" + bytes(5) + b"\x11", 54),
              (b"\x81\0" + bytes(30), 20), (b"\x08\0\x46" + bytes(30), 34),
              (b"\x86\xdd\x50" + bytes(40), 54), (b"\x88\xb5" + bytes(20), 16))
    for head, masked in frames:
        content = (bytes(12) + head).ljust(64, b"\0")
        mask = bytearray(64)
        mask[masked - 1] = mask[masked + 1] = 0xFF
        raw = struct.pack("<HHI", VSI, 0, 0) + struct.pack("<B3xiH", 0, 0, 64) + \
            content.ljust(1024, b"\0") + bytes(mask).ljust(1278, b"\0")
        yield ASK + request(Op.ADD_FDIR_FILTER, raw.ljust(8 + 2312, b"\0") + struct.pack(
            "<i", 1) + action(3, 1).ljust(288, b"\0") + bytes(4))
    raw = struct.pack("<HHI", VSI, 0, 0) + struct.pack("<B3xiH", 0, 0, 40) + \
        bytes(12) + b"\x08\0\x45" + bytes(1011) + b"\xff" * 14 + bytes(1300)
    yield ASK + request(Op.ADD_FDIR_FILTER, raw[:2616].ljust(2616, b"\0"))
    filters = [struct.pack("<HHHxxHHHxx16x", *inner, *outer) for inner, outer in (
        ((5, 0, 0x8100), (0, 0, 0)), ((0, 0, 0), (6, 0, 0x8100)), ((0, 0, 0), (7, 0, 0xA888)),
        ((0, 0, 0x0081), (9, 0, 0x0081)), ((4, 0xFFF, 0x0081), (0, 0, 0)))]
    for op in (Op.ADD_VLAN_V2, 53):
        for each in filters:
            yield ASK + request(Op.ADD_VLAN_V2, struct.pack("<HH4x", VSI, 1) + filters[1]) + \
                ASK + request(op, struct.pack("<HH4x", VSI, 1) + each)
    for op in range(54, 58):
        for outer, inner in ((1, 0), (2, 0), (4, 0), (0, 1), (3, 0), (1, 1)):
            yield ASK + request(op, struct.pack("<IIH6x", outer, inner, VSI))
    yield b"".join(ASK + request(op) for op in (27, 28)) + \
        ASK + request(Op.ADD_VLAN, struct.pack("<HHHH", VSI, 2, 5, 6)) + \
        ASK + request(Op.DEL_VLAN, struct.pack("<HHH", VSI, 1, 5))
    kinds = [(ETH, 3), (VLAN, 1), (IPV4, 3), (IPV6, 0x6003), (TCP, 3), (UDP, 3), (SCTP, 3), (22, 1)]
    for op in (ADD_RSS_CFG, 46):
        for last in kinds:
            yield ASK + request(op, struct.pack("<B3xi", 0, 2) + b"".join(
                (header(ETH, 0), header(*last))).ljust(2304, b"\0") + struct.pack("<i128x", 2))


def host_sets(row, number):
    """A row of the administrator's policy: devices begin anew with most."""
    return HOST + struct.pack("<BH", 5 * row, number)


def more_rules():
    """Of rules and tables what is refused, or meets others."""
    eth, ip = header(ETH, 0), header(IPV4, 0)
    for headers, actions, validate in (
            ([eth, to_address(9)], [action(3, 999)], 0), ([eth, to_address(9)], [action(4, 0, 9)], 0),
            ([eth, to_address(9)], [action(9, 1)], 0), ([eth, to_address(9)], [action(3, 1)], 1),
            ([eth, header(IPV4, 1 << 30)], [action(3, 1)], 0),
            ([eth, header(IPV4, 16, bytes(9) + b"\x06"), header(UDP, 1, b"\0\7")], [action(3, 0)], 0)):
        yield request(Op.ADD_FDIR_FILTER, struct.pack("<HHI", VSI, validate, 0) +
                      rule(headers, actions)[8:])
    # Of one rank, and a frame may be meant by both.
    for one, other in ((header(IPV4, 1, bytes(12) + bytes((10, 0, 0, 9))), to_address(9)),
                       (header(IPV4, 16, bytes(9) + b"\x06"), header(IPV4, 16, bytes(9) + b"\x11"))):
        for second in (action(0), action(3, 1)):
            yield request(Op.ADD_FDIR_FILTER, rule([eth, one], [action(3, 1)])) + ASK + request(
                Op.ADD_FDIR_FILTER, rule([eth, other], [second]))
    for source, target in ((0, 2), (2, 0)):
        yield request(Op.ADD_FDIR_FILTER, rule(
            [eth, ip, header(UDP, 1, struct.pack("<HH", source, 0))], [action(3, 1)])) + ASK + \
            request(Op.ADD_FDIR_FILTER, rule(
                [eth, ip, header(UDP, 2, struct.pack("<HH", 0, target))], [action(0)]))
    for algorithm in range(5):
        yield request(46, struct.pack("<B3xi", 0, 2).ljust(2312, b"\0") +
                      struct.pack("<i128x", algorithm))
    yield request(Op.CONFIG_RSS_KEY, struct.pack("<HH", VSI, 40) + bytes(40))
    yield request(Op.ADD_VLAN, struct.pack("<HHH", VSI, 1, 0x1005))
    outer = [struct.pack("<HHHxxHHHxx16x", 0, 0, 0, vlan, 0, 0x8100) for vlan in (5, 6, 7)]
    yield request(Op.ADD_VLAN_V2, struct.pack("<HH4x", VSI, len(outer)) + b"".join(outer))
    one_tx, one_rx = (vsi_queues(VSI, [queue_pair(VSI, 0, 64, 0x80000, 128, 0x90000)])[at:]
                      for at in (8, 32))
    for size in (64, 0):
        yield request(Op.CONFIG_TX_QUEUE, struct.pack("<HHHHQQ", VSI, 0, size, 0, 0x80000, 0)) + \
            ASK + request(Op.CONFIG_TX_QUEUE, one_tx) + ASK + request(Op.CONFIG_RX_QUEUE, one_rx)
    yield request(Op.MAP_QUEUE_VECTOR, queue_vectors(9, [(0, 1, 0, 0)]))
    # Queues that are served get other vectors.
    yield request(Op.CONFIG_VSI_QUEUES, pairs(2)) + ASK + request(
        Op.ENABLE_QUEUES, queue_select(VSI, 3, 3)) + ASK + request(
        Op.CONFIG_IRQ_MAP, irq_map([(VSI, 1, 1, 1), (VSI, 2, 2, 2)])) + ASK + request(
        Op.CONFIG_IRQ_MAP, irq_map([(VSI, 2, 1, 1), (VSI, 1, 2, 2)]))


def of_administrator():
    """What he allows, and a guest that wants more."""
    start = START + struct.pack("<I", ALL_CAPS)
    many = ether_addrs(VSI, [bytes((2, 0, 0, 0, 1, n)) for n in range(1, 9)])
    groups = ether_addrs(VSI, [bytes((1, 0, 0x5E, 0, 0, n)) for n in range(1, 9)])
    wishes = b"".join(ASK + request(*one) for one in (
        (Op.ADD_ETH_ADDR, many), (Op.ADD_ETH_ADDR, groups),
        (Op.CONFIG_PROMISCUOUS_MODE, struct.pack("<HH", VSI, 3)),
        (Op.GET_OFFLOAD_VLAN_V2_CAPS,), (Op.ADD_VLAN, struct.pack("<HHH", VSI, 1, 5)),
        (Op.ADD_VLAN_V2, struct.pack("<HH4x", VSI, 1) + struct.pack(
            "<HHHxxHHHxx16x", 0, 0, 0, 6, 0, 0x8100)),
        (ENABLE_VLAN_STRIPPING_V2, struct.pack("<IIH6x", 0, 1, VSI))))
    for row, number in ((0, 0), (2, 5), (5, 1), (6, 1), (6, 0)):
        yield b"\0" + host_sets(row, number) + start + wishes + LOOK + b"\0"
        yield b"\0" + BRING_UP + host_sets(row, number) + BRING_UP + wishes + SAVE
    # An address that was given, and stays.
    yield b"\0" + HOST + struct.pack("<BH6s", 1, 0, b"\2\0\0\0\0\5") + host_sets(0, 0) + start + \
        wishes
    for op in range(54, 58):
        for outer, inner in ((1, 0), (0, 1)):
            yield b"\0" + host_sets(2, 5) + start + ASK + request(
                op, struct.pack("<IIH6x", outer, inner, VSI))


def of_registers():
    """Of interrupts and of the mailbox."""
    icr0, atq_head, atq_tail, arq_tail = 0x4800, 0x6400, 0x8400, 0x7000
    up = b"\0" + BRING_UP + ENABLE + struct.pack("<I", 1)
    wait = WRITE + struct.pack("<HI", 0x3800, 1) + WRITE + struct.pack("<HI", 0x2800, 0xFFF)
    yield up + WRITE + struct.pack("<HI", 0x5C00, 1) + FIRE + b"\0\4" + \
        ACCESS + struct.pack("<BBI", 8, 3, icr0) * 2
    yield up + wait + FIRE + b"\1\x08" + FIRE + b"\1\x08" + FIRE + b"\1\4" + FIRE + b"\1\x08"
    # Nobody is there any more when it is signalled.
    yield up + MACHINE + b"\5" + WRITE + struct.pack("<HI", 0x3800, 1) + FIRE + b"\1\4" + FIRE + b"\1\7"
    for register in (atq_tail, atq_head, arq_tail):
        yield up + WRITE + struct.pack("<HI", register, 0x3F0) + ASK + request(Op.VERSION) + TURN
    yield up + SEND + request(Op.VERSION) + MACHINE + b"\x0b" + SEND + request(Op.VERSION) + \
        SAVE + END_ACCESS + b"\0" + SAVE
    yield up + DESCRIPTOR + struct.pack("<HHHH24x", 0x3400, 0x0801, 5000, 0) + b"\0"
    yield up + DESCRIPTOR + struct.pack("<HHHH24x", 0x3400, 0x0801, 16, 0) + b"\0" + MACHINE + \
        b"\x0b" + SEND + request(Op.VERSION) + (END_ACCESS + b"\1") * 2 + TURN


def mailbox_seeds():
    yield from of_administrator()
    yield from of_registers()
    for caps in (ALL_CAPS, 0x1ABD8CF9):
        started = START + struct.pack("<I", caps)
        for messages in more_rules():
            yield b"\0" + started + ASK + messages + LOOK + b"\0" + SAVE
        for messages in setting(ASK):
            yield b"\0" + started + ASK + messages + LOOK + b"\1"
            yield b"\0" + started + PRINT + messages.replace(ASK + b"\xff", PRINT + b"\xff")
            yield b"\3" + BRING_UP + started + ASK + messages + SAVE
    for messages in setting(SEND):
        yield b"\0" + START + struct.pack("<I", ALL_CAPS) + MACHINE + b"\x0b" + SEND + messages + \
            (END_ACCESS + b"\0" + TURN) * 3
    for caps in (ALL_CAPS, 0x1ABD8CF9, 1 << 16, 1 << 15, 1 << 18 | 1 << 19):
        for chain in chains():
            yield b"\0" + START + struct.pack("<I", caps) + chain
    large = b"\5" + START + struct.pack("<I", ALL_CAPS) + ASK + request(
        Op.REQUEST_QUEUES, struct.pack("<H", 64)) + START + struct.pack("<I", ALL_CAPS)
    for messages in setting(ASK):
        yield large + ASK + messages
    up = b"\0" + BRING_UP + ENABLE + struct.pack("<I", 1)
    yield up + WRITE + struct.pack("<HI", 0x3800, 1) + FIRE + b"\1\4" + FIRE + b"\1\7" + WRITE + \
        struct.pack("<HI", 0x3800, 5) + FIRE + b"\1\0" + WRITE + struct.pack("<HI", 0x5C00, 1) + \
        FIRE + b"\0\4" + WRITE + struct.pack("<HI", 0x2800, 50) + FIRE + b"\1\4" + FIRE + b"\1\4"
    for how in (2, 10, 0, 8, 1, 9):
        yield up + b"".join(ACCESS + struct.pack("<BBI", how, length, offset) + bytes(8)
                            for length in (0, 3, 7) for offset in (0, 4, 0x1000, 0x8000))
    for cause in range(5):
        yield up + RESET + bytes((cause,)) + BRING_UP
    for what in range(5):
        yield up + HOST + struct.pack("<BH6s", what, 1, b"\2\0\0\0\0\5") + TAKE
    for row in range(8):
        yield up + HOST + struct.pack("<BH", 5 * row, 3) + HOST + struct.pack("<BH", 5 * row, 0)
    yield up + DESCRIPTOR + struct.pack("<HH28x", 0x3400, 0x0003) + b"\0"
    yield up + MACHINE + b"\x73" + WRITE + struct.pack("<HI", 0x5C00, 5)
    yield up + ACCESS + struct.pack("<BBIH", 1, 1, 4, 0x406) + ACCESS + b"\x09\x3f\0\0\0\0"
    yield up + b"".join(ACCESS + struct.pack("<BBII", 1, 3, 0x10 + 4 * n, 0xFFFFFFFF)
                        for n in range(6))


def state_seeds():
    yield b"\1" + b"".join(setting(b""))[:4000]
    for at in range(0, 8000, 64):
        yield struct.pack("<BHBBB", 2, at, 2, 0xFF, 0x7F)
    for at in range(0, 6000, 200):
        yield struct.pack("<BHBB", 2, at, 1, 0xFF) + request(Op.DISABLE_QUEUES,
                                                           queue_select(VSI, 0xFFFF, 0xFFFF))


# What the targets of the rings read: ports.hpp, then tx_ring.cpp and rx_ring.cpp. The first byte
# chooses what the application wants.

TCP_ON, UDP_ON, SCTP_ON, IPV4_ON, IPV6_ON, GRE_ON, ETHERNET_ON = 0, 0x21, 2, 3, 5, 0x0E, 7
STACKS = [(TCP_ON, IPV4_ON), (UDP_ON, IPV4_ON), (SCTP_ON, IPV6_ON), (TCP_ON, IPV6_ON | 8),
          (UDP_ON, IPV4_ON, IPV6_ON), (TCP_ON, IPV4_ON, IPV4_ON),
          (TCP_ON, IPV4_ON, GRE_ON, IPV4_ON),
          (TCP_ON, IPV6_ON, GRE_ON, IPV6_ON), (SCTP_ON, IPV4_ON, GRE_ON, IPV4_ON),
          (TCP_ON, IPV4_ON, ETHERNET_ON, 0x16, UDP_ON | 8, IPV4_ON),
          (UDP_ON, IPV6_ON, ETHERNET_ON, 0x16, UDP_ON | 8, IPV6_ON),
          (TCP_ON, IPV4_ON, ETHERNET_ON, 6, UDP_ON | 0x10, IPV4_ON),
          (TCP_ON, IPV4_ON, 6, UDP_ON | 0x10, IPV4_ON), (IPV4_ON | 0xE0,),
          (TCP_ON, IPV6_ON | 0x18), (TCP_ON, IPV6_ON | 0x28), (UDP_ON, IPV6_ON | 0x48), ()]


def layers_of(stack, tags=0):
    """Behind the length of the payload, what frames.hpp, take_layers() reads."""
    return bytes((len(stack),)) + bytes(stack) + bytes((tags, 0))


LAYERS, BYTES = b"\x08\0\0", b"\x04\0\0"  # Instead of a frame(): what follows says what it is.


def frame(kind, payload):
    """kind: 0 IPv4, 1 IPv6; 2 more for UDP."""
    return struct.pack("<BH", kind, payload)


def tso_of_guest():
    """Of TCP and UDP, headers that contradict the request, payload that is not there."""
    for kind, headers in enumerate((54, 74, 42, 62)):
        for options in (0, 4, 9, 11):
            for then in (0, 0x0F):
                for changes in (b"", bytes((46, 0x80)), bytes((14, 0x65)), bytes((16, 0xFF))):
                    begin = struct.pack("<BBBB", options, 4, 0, 1) + \
                        struct.pack("<BH", kind | len(changes) // 2 << 4, 300) + changes
                    context = struct.pack("<BHH", 0x20, 75, 100)
                    whole = struct.pack("<BBH", 0x44 | kind, 0, headers + 300)
                    front = struct.pack("<BBH", 0x40 | kind, 0, headers)
                    hole = struct.pack("<BBBH", 0x86, 204, 0, 300)
                    behind = struct.pack("<BBH", 0x86, 40, 300)
                    for posts, count in ((context + whole, 2), (context + front + hole, 3),
                                         (context + front + behind, 3)):
                        yield begin + bytes((count,)) + posts + b"\1\x3f\0" + bytes((then,))
    # So much that it is handed over in large ones, as they are.
    large = struct.pack("<BHH", 0x20, 500, 700) + struct.pack("<BBH", 0x40, 0, 54) + \
        struct.pack("<BBH", 0x86, 40, 2000)
    for pages in (0, 1):
        for then in (0, 1, 2, 6):
            yield struct.pack("<BBBB", 11, pages | 4, 0, 1) + frame(0, 2000) + b"\x0c" + \
                large * 4 + b"\1\x3f\0" + bytes((then,))


def of_guest_tags():
    """Tags that leave frames, one or two, and those of a port's VLAN that come."""
    for tags in (1, 2):
        for options in (5, 6, 10):
            for stack in STACKS[:7]:
                yield struct.pack("<BBBB", options, 0, 0, 1) + LAYERS + b"\xf0" + \
                    layers_of(stack, tags) + b"\x08" + struct.pack("<BBH", 0x86, 0, 300) * 8 + \
                    b"\1\1\0" + bytes((0x0F if tags == 1 else 0,))
    for options in (2, 3, 5, 7, 10):
        for policy in (8, 24):
            for tags in (0, 1, 2):
                yield struct.pack("<BBBB", options, 0, policy, 1) + LAYERS + b"\xf0" + \
                    layers_of(STACKS[0], tags) + b"\4" + struct.pack("<BBH", 0x86, 0, 300) * 4 + \
                    b"\1\x3f\0\0"


def tx_ring_seeds():
    yield from tso_of_guest()
    yield from of_guest_tags()
    # A frame that lies in two regions.
    for options in (0, 3):
        yield struct.pack("<BBBB", options, 0, 0, 0) + b"\x14" + \
            struct.pack("<BBBH", 0x86, 200, 200, 1900 if options == 0 else 1000) * 20 + b"\1\x3f\0\0"
    # A tunnel with a checksum of its own, in segments.
    for stack in STACKS[9:13]:
        for length in (344, 354, 364, 384, 404):
            yield struct.pack("<BBBB", 0, 0, 0, 1) + LAYERS + b"\xf0" + layers_of(stack) + \
                b"\1" + struct.pack("<BBBHH", 0x61, 0, 0x3E, length, 70) + b"\1\x3f"
    for options in range(12):
        for kind in range(4):
            one = struct.pack("<BBBB", options, kind << 1, 0, 1) + frame(kind, 300)
            plain = struct.pack("<BBB", 0x84, 0, 100)
            sums = struct.pack("<BBH", 0x44 | kind, 0, 354)
            cut = struct.pack("<BHH", 0x20, 75, 100) + sums
            halves = struct.pack("<BBB", 0x80, 0, 60) + struct.pack("<BBB", 0x84, 1, 90)
            tiny = [(struct.pack("<BHH", 0x20, 75, mss) + sums, 2) for mss in (0, 1, 63)]
            for posts, count in ((plain * 40, 40), (sums, 1), (cut, 2), (halves, 2), *tiny):
                yield one + bytes((count,)) + posts + b"\1\x3f\0" + bytes((kind << 6 | kind * 5,))
                yield one + bytes((count,)) + posts + b"\1\3\1" + struct.pack(
                    "<BBHQ", 2, kind % 3, kind, 0xFFFFFFFF0000003F)


    # Large, through pages that are not side by side, and given back late.
    for options in (0, 3, 8, 9):
        for pages in (0, 1, 3):
            for then in (0, 1, 6, 0x2F, 0x6A):
                data = struct.pack("<BBH", 0x86, 16, 6000) + struct.pack("<BBH", 0x86, 60, 1400)
                cut = struct.pack("<BHH", 0x20, 1500, 700) + struct.pack("<BBH", 0x44, 0, 6054)
                parts = struct.pack("<BBH", 0x82, 0, 3000) + struct.pack("<BBH", 0x86, 40, 3000)
                yield struct.pack("<BBBB", options, pages, 0, 1) + frame(0, 1400) + \
                    b"\x18" + (data + cut + parts) * 4 + b"\1\x3f\0" + bytes((then,))
    for tags in (1, 2):
        for options in (5, 6, 10):
            yield struct.pack("<BBBB", options, 0, 0, 1) + LAYERS + b"\xf0" + \
                layers_of(STACKS[0], tags) + b"\4" + \
                struct.pack("<BBH", 0x86, 0, 100) * 4 + b"\1\1\0\x0f"
    for options in range(11):
        for stack in STACKS:
            for wish in (6, 0xE, 0x36, 0x3E, 0xC6):
                yield struct.pack("<BBBB", options, 0, 0, 1) + LAYERS + b"\xf0" + \
                    layers_of(stack) + b"\1" + \
                    struct.pack("<BBBHH", 0x61, 0, wish, 240 + 60, 70) + b"\1\x3f"


def rule_for_all(what, queues=1, mark=0):
    """A flow that each frame is of."""
    return struct.pack("<IHHBBBBHHI", 1, 0, 0, 0, what, mark, 0, 0, queues, 7) + bytes(176)


def rx_ring_seeds():
    buffers = bytes((23,)) + b"\1" * 23 + b"\1"
    good_sums, tags_on = 0x180, 1 << 57
    for options in range(7):
        sends = b"\7" + (b"\0" + frame(0, 300) + b"\0") * 8 + bytes((3, 1)) + b"\0" * 20
        for flow in (rule_for_all(1), rule_for_all(2), rule_for_all(2, 2, 1), rule_for_all(0, 1, 1)):
            yield bytes((options, 8)) + b"\x43\1" + flow + b"\3" + buffers + b"\0" + sends
        # In two regions, and as a host's NIC has found it.
        split = bytes((23,)) + b"\0\xc8\x64" * 23 + b"\1"
        yield bytes((options, 8)) + b"\3\2" + split + b"\0\7" + (
            b"\0" + frame(0, 1950 if options in (0, 2, 4) else 1400) + b"\0") * 8 + b"\3\1"
        yield bytes((options, 8)) + b"\3\2" + split + b"\0\7" + (
            b"\x20" + frame(0, 1950) + struct.pack("<HB", 700, 0)) * 8 + b"\3\1"
        for kind in (0x111, 0x211, 0x1102191, 0x2191, 0x141):
            yield bytes((options, 8)) + b"\3\2" + buffers + b"\0\3" + (
                b"\x18" + frame(0, 300) + struct.pack("<QQHHI", good_sums, 0, 0, 0, kind) +
                b"\0") * 4 + b"\3\1"
        # Tags of the application's, of VLANs that the guest does not want, with requests besides.
        for tagged in (tags_on, tags_on | 1 << 55):
            for ids in (b"\x33" + struct.pack("<HHHBB8x", 0x8100, 0, 0, 0, 0) + b"\4\1\0\0\0",
                        b"\x83", b"\3"):
                yield bytes((options, 8)) + ids + b"\2" + buffers + b"\0\3" + (
                    b"\x08" + frame(0, 300) + struct.pack(
                        "<QQHH", tagged | 1 << 55 | 1 << 52 | 1 << 54, 14 | 20 << 7 | 20 << 16,
                        9, 9) + b"\0") * 4 + b"\3\1"
    for options in range(7):
        for wakes in range(8):
            yield bytes((options, 8)) + b"\3\2" + buffers + b"\0\0" + \
                struct.pack("<B", 0) + frame(0, 300) + b"\0" + bytes((wakes, 1)) + b"\0" * 20
        for kind in (0x0806, 0x88CC, 0x88F7, 0x8100, 0x8847):
            one = b"\0" + BYTES + b"\x3c" + struct.pack(">12xH46x", kind) + b"\0"
            yield bytes((options, 8)) + b"\3\2" + buffers + b"\0\0" + one + b"\0" * 20
        # As an application says that they are.
        for kind in (0x11, 0x91, 0x191, 0x211, 0x391, 0x12, 3, 4, 0xE1, 0x7002, 0x2111391,
                     0x3251291, 0x5011291, 0x1001091, 0x491, 0x591, 0x1112091, 0x4112091):
            yield bytes((options, 8)) + b"\3\2" + buffers + b"\0\0" + \
                struct.pack("<B", 16) + frame(0, 300) + struct.pack("<I", kind) + b"\0" * 20
        for how in (0, 4, 0x20, 0x24):
            sends = b"\x07" + (struct.pack("<B", how) + frame(how >> 5, 900) + b"\x40" * 12) * 8
            for setting in (b"\3", b"\x0b\x40" + b"\0\0\6\0" + b"\x70\6" * 10 + bytes(40),
                            b"\x13" + struct.pack("<HHHBB8x", 0x8100, 0, 0, 0, 0)):
                yield bytes((options, 8)) + setting + b"\2" + buffers + b"\0" + sends
        for stack in STACKS:
            for wish in (7, 0xF, 0x37, 0x3F, 0x7F):
                one = b"\0" + LAYERS + b"\xc8" + layers_of(stack) + struct.pack("<BH", wish, 64)
                yield bytes((options, 8)) + b"\3\2" + buffers + b"\0\1" + one * 2 + b"\0"


# headers.cpp and frames.hpp, take_layers(): from the innermost outwards.

def changed(stack, *changes, payload=64, tags=0):
    """Layers, of which some bytes are others."""
    return bytes((payload, len(stack))) + bytes(stack) + bytes((tags, len(changes))) + b"".join(
        struct.pack("<HB", *one) for one in changes)


def headers_seeds():
    # GRE with a checksum, and less than its header; headers that end too early; options.
    home = (UDP_ON, IPV6_ON | 0x48)
    for layers in (changed((TCP_ON, IPV4_ON, 6, IPV4_ON), (34, 0x80)),
                   changed((TCP_ON, IPV4_ON, 6, IPV6_ON), (54, 0x80)),
                   changed((IPV4_ON,), (23, 47), payload=2),
                   changed((IPV4_ON,), (23, 47), (34, 0xB0), (36, 8), payload=4),
                   changed((IPV6_ON,), (20, 0), payload=4), changed((IPV6_ON,), (20, 44), payload=4),
                   changed(home, (56, 0)), changed(home, (56, 1), (57, 4)),
                   changed(home, (56, 0), (61, 7)), changed((IPV4_ON,), (23, 1)),
                   changed((IPV6_ON,), (20, 58)), changed((IPV4_ON,), (14, 0x42)),
                   changed((IPV4_ON,), (23, 132), payload=8), changed((), tags=1),
                   changed((TCP_ON, IPV4_ON), (12, 0x91), (13, 0), tags=1)):
        for cuts in (b"\0", b"\3\x0a\x15\x0f"):
            yield cuts + b"\0" + layers + bytes(range(64))
            yield cuts + b"\0" + layers + b"\xff" * 200
    for stack in STACKS:
        for tags in range(3):
            for cuts in (b"\0", b"\3\x0a\x15\x0f"):
                yield cuts + b"\0\x40" + layers_of(stack, tags) + bytes(range(64))
                yield cuts + b"\0\x40" + layers_of(stack, tags) + b"\xff" * 200


def variants_seeds():
    stacks = [(TCP_ON, IPV4_ON), (UDP_ON, IPV6_ON), (SCTP_ON, IPV4_ON), ()]
    for stack in stacks:
        layers = b"\x60" + bytes((len(stack),)) + bytes(stack) + b"\0\0"
        for offset in (0, 1):
            yield bytes((1, offset, 0x1E)) + (layers + b"\x10") * 30
            yield bytes((1, offset, 3)) + (b"\xff" + layers[1:] + b"\x10") * 3
        yield b"\0" + (b"\0" + layers) * 4 + b"\x3e" + b"\xe0\0\x50" * 40
        for length in (300, 5000, 5999):
            yield b"\0" + (b"\0" + layers) * 4 + b"\x10" + \
                struct.pack("<BBH", 0x60, 7, length) * 16
            # In two pages.
            yield b"\0" + (b"\0" + layers) * 4 + b"\x10" + \
                struct.pack("<BBH", 0x60, 253, length) * 16
    for kind in range(4):
        sent = b"\x80" + frame(kind, 1000)
        yield b"\0" + sent * 4 + b"\2" + struct.pack("<BHH", 0x20, 1000, 300) + \
            struct.pack("<BH", 0x40 | kind << 2, 1054)


# client.cpp: what the program asks for, in a byte of length, then the answers of hostile.hpp; and
# discovery.cpp.

def client_seeds():
    program = b"".join(bytes(step) for step in (
        (0, 0), (2, 0, 0), (1, 2), (3, 0, 0, 0, 64, 0), (4, 7, 0, 0, 64, 0), (5, 0, 0, 0, 4, 8, 0, 4, 16, 0, 8, 2),
        (6, 0, 1, 3), (7, 4, 0, 0), (9, 2, 2, 0, 0, 1), (10, 2, 0, 0, 2), (8, 0, 1), (11, 0)))
    for flags in range(8):
        for wrong in range(10, 17):
            for at in range(0, 12, 2):
                yield bytes((flags, len(program))) + program + b"\0" * at + \
                    bytes((wrong, 4, 1, 6, 9, 3, 0)) + b"\0" * 40
    for field in range(32):
        yield bytes((0, len(program))) + program + b"\0\0" + \
            bytes((10, 0, 1, field, 0x7F, 3)) + b"\0" * 40
    # A region in parts: the capability behind its description, with as many as may be and more.
    for areas in (1, 16, 20):
        parts = struct.pack("<IIIIQQ", 48 + 16 * areas, 0xF, 0, 32, 0x20000, 0) + \
            struct.pack("<HHIII", 1, 1, 0, areas, 0) + \
            b"".join(struct.pack("<QQ", 0x1000 * i, 0x1000) for i in range(areas))
        length = len(parts) if len(parts) < 128 else 120 + len(parts) // 16
        reply = bytes((11, length)) + parts + b"\1"
        # What asks first has no room for more than the description itself.
        yield bytes((0, len(program))) + program + b"\0\0" + reply * 2 + b"\0" * 40
    yield from of_answers(program)
    yield from of_client(program)


def instead(place, payload, descriptors=0):
    """An answer of one's own, after so many right ones."""
    length = len(payload) if len(payload) < 128 else 120 + len(payload) // 16
    return b"\0" * place + bytes((11, length)) + payload + bytes((descriptors,)) + b"\0" * 40


def of_answers(program):
    raw = 13
    for header_bytes in (struct.pack("<HHIII", 1, 2, 3, 1, 0), struct.pack("<HHIII", 77, 2, 16, 1, 0),
                         struct.pack("<HHIII", 1, 9, 16, 0, 0),
                         struct.pack("<HHIIIQQ", 1, Command.DMA_READ, 32, 0, 0, 0, 0),
                         struct.pack("<HHIIIQQ", 1, Command.DMA_READ, 32, 0, 0, 0, 1 << 40)):
        for place in (1, 2, 3, 5):
            yield bytes((0, len(program))) + program + b"\0" * place + \
                bytes((raw, len(header_bytes))) + header_bytes + b"\0" * 40
    for place in range(12):  # another command, another identity
        for more in (249, 250):
            yield bytes((2, len(program))) + program + b"\0" * place + bytes((10, 0, 0, more)) + \
                b"\0" * 40
    for caps in ({"max_data_xfer_size": 0}, {"max_msg_fds": 0},
                 {"max_data_xfer_size": 16, "write_multiple": True}):
        steps = program + bytes((7, 4, 0))
        yield bytes((7, len(steps))) + steps + instead(
            0, struct.pack("<HH", 0, 0) + json.dumps({"capabilities": caps}).encode() + b"\0")
    for info in ((16, 3, 9999, 5), (16, 3, 9, 9999), (16, 2, 9, 5), (16, 3, 9, 1)):
        yield bytes((0, len(program))) + program + instead(1, struct.pack("<IIII", *info))
    steps = bytes((1, 2, 1, 7, 3, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 9, 2, 0, 0, 0, 11, 0))
    for place in range(2, 8):
        yield bytes((0, len(steps))) + steps + instead(place, struct.pack("<IIII", 16, 1, 1, 4))
        yield bytes((0, len(steps))) + steps + instead(place, struct.pack("<IIII", 16, 1, 2, 1 << 30))
    # A region whose place, capabilities or parts are elsewhere; one in what is no memory.
    region, at_once = bytes((0, 0, 2, 0, 0, 2, 0, 0)), 7
    for flags, cap, size, offset, rest, descriptors in (
            (at_once, 0, 0x10000, (1 << 64) - 1, b"", 1), (15, 16, 0x10000, 0, bytes(32), 1),
            (15, 32, 0x1000, 0, struct.pack("<HHIIIQQ", 1, 1, 0, 1, 0, 0x1000, 0x1000), 1),
            (15, 32, 0x1000, 0, struct.pack("<HHII", 7, 1, 4, 0) + bytes(16), 1),
            (at_once, 0, 0x1000, 0, b"", 1 | 6 << 3), (at_once, 0, 0x1000, 0, b"", 1 | 8 << 3),
            (at_once, 0, 0x1000, 0, b"", 1 | 9 << 3), (at_once, 0, 0x1000, 0, b"", 0),
            (at_once, 0, 0x1001, 0, b"", 1), (at_once, 0, 0x1000, 0x100000, b"", 1)):
        payload = struct.pack("<IIIIQQ", 32 + len(rest), flags, 0, cap, size, offset) + rest
        for place in (1, 2, 3):
            right = b"\0" * place + instead(0, payload, descriptors)[:-40]
            yield bytes((0, len(region))) + region + right * 2 + b"\0" * 40
    # Memory over memory; and a file that was mapped is cut.
    memory = bytes((6, 3, 0, 3, 6, 2, 1, 3, 6, 3, 1, 3, 8, 2, 0, 8, 3, 0, 8, 3, 0))
    yield bytes((0, len(memory))) + memory + b"\0" * 40
    mapped = bytes((2, 0, 0, 1, 2, 12, 0, 13, 0, 1, 2, 12, 0, 13, 0, 1, 2, 1, 2))
    for place in range(2, 6):
        yield bytes((SHORTENED_BAR, len(mapped))) + mapped + b"\0" * place + b"\x10\0" + b"\0" * 20
    callback = b"".join(bytes((14, 0)) + bytes(one) for one in (
        (3, 0, 0, 0, 4, 0), (6, 0, 1, 3), (8, 0, 0), (9, 2, 2, 0, 0, 0), (10, 2, 0, 0, 2), (11, 0)))
    steps = bytes((6, 0, 0, 3)) + callback
    yield bytes((0, len(steps))) + steps + b"\0" * 60


TWIN_SOCKET, SHORTENED_BAR, GIVES_UP, NO_SERVER = 8, 16, 32, 64  # of the first byte of a client


def of_client(program):
    # Its memory is read and written, on either socket; what it has mapped goes away.
    serve = b"".join(bytes((14, kind)) + struct.pack("<H", at) + b"\x07" * length + b"\1"
                     for kind, at, length in ((1, 0, 0), (0, 0, 16), (1, 8, 0), (0, 8, 16),
                                              (1, 64, 0), (9, 0, 0), (4, 0, 9)))
    for rights in range(4):
        memory = bytes((6, 0, 1, rights, 6, 1, 0, 3, 6, 2, 0, 3, 0, 0, 1, 0, 13, 0, 8, 0, 1))
        for flags in (0, TWIN_SOCKET | 1):
            yield bytes((flags, len(memory))) + memory + b"\0" * 4 + serve + b"\0\0" + serve + \
                b"\0" * 20
    mapped = bytes((2, 0, 0, 1, 0, 12, 0, 13, 0))
    yield bytes((SHORTENED_BAR, len(mapped))) + mapped + b"\0" * 3 + b"\x10\0" + b"\0" * 20
    wired = bytes((9, 2, 2, 0, 0, 0, 1, 2, 13, 0, 9, 2, 2, 0, 0, 1, 10, 2, 0, 0, 2))
    yield bytes((0, len(wired))) + wired + b"\0" * 3 + b"\x0f" + b"\0" * 20
    callback = b"".join(bytes((14, 0)) + bytes(step) for step in (
        (0, 0), (3, 0, 0, 0, 4, 0), (7, 4, 0, 0), (8, 0, 0), (9, 2, 2, 0, 0, 0), (10, 2, 0, 0, 2),
        (11, 0), (13, 0), (15, 0, 90)))
    for last in (b"", bytes((16, 0)) + program):
        steps = callback + last
        yield bytes((128, len(steps))) + steps + b"\0" * 60
    for flags in (NO_SERVER, NO_SERVER | GIVES_UP, GIVES_UP, TWIN_SOCKET, TWIN_SOCKET | 1):
        yield bytes((flags, len(program))) + program + b"\0" * 60


def discovery_seeds():
    # Pages that come and go, and what the application asks the port for.
    pages = bytes((0, 1, 2, 3, 0, 4, 0, 1))
    steps = bytes((5, 0, 0, 4, 6, 0, 0, 0, 9, 0, 5, 0, 2, 0, 7, 0, 7, 1, 7, 2, 0, 0, 1, 4, 2, 3, 0,
                   7, 1, 5, 4, 1, 4, 2, 0, 1, 1, 2, 5, 1, 5, 1, 6, 1, 1, 0, 0, 2))
    program = pages + bytes((len(steps),)) + steps
    for config in (b"\0", b"\1\0\x34", b"\2\x10\1\x44\0", b"\3\x41\x40\6\x10\x34\x40",
                   b"\2\x40\1\x41\x40", b"\1\6\0"):
        for flags in (0, 0x20, 0x40, 0xC0):
            begin = bytes((config[0] | flags,)) + config[1:] + program
            yield begin + b"\0" * 200
            for wrong in range(10, 15) if flags == 0x40 else ():
                for at in range(0, 40, 8):
                    yield begin + b"\0" * at + bytes((wrong, 4, 1, 6, 9, 3, 0)) + b"\0" * 60
    # Each answer in turn is an error, and each may be the last one; a device that is not ready.
    for at in range(34):
        yield b"\x40" + program + b"\0" * at + b"\x0c\5" + b"\0" * 60
        yield b"\x60" + program + b"\0" * at
    # A part of what was given in one piece goes, and what was never there is asked for.
    parts = bytes((5, 3, 0, 4, 5, 5, 1, 4, 6, 3, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0x40, 6, 7, 0, 0, 0, 0x40))
    for kinds in (b"\1" * 8, bytes((4, 1, 1, 4, 1, 1, 1, 1)), b"\0" * 8):
        for flags in (0x40, 0):
            yield bytes((flags,)) + kinds + bytes((len(parts),)) + parts + b"\0" * 100
    for vectors in range(3):
        yield bytes((0x48, vectors)) + program + b"\0" * 200
    # Of a device that nobody knows no BAR is there.
    yield b"\x11\0\x34" + struct.pack("<I", 0) + program + b"\0" * 60
    # Regions that a driver cannot do with, and a function that is none.
    for flags in (0, 1, 2, 3, 4, 6, 7):
        for size in (0x10000, 0x8000, 1 << 31):
            info = struct.pack("<IIIIQQ", 32, flags, 0, 0, size, 0)
            for config in (b"\0", b"\1\x44\0"):
                for place in range(3, 6):
                    yield config + program + b"\0" * place + bytes((11, len(info))) + info + \
                        b"\1" + b"\0" * 60
    yield b"\0" + program + b"\0" + b"\x0b\x10" + struct.pack("<IIII", 16, 0, 9, 5) + b"\0" * 60
    yield b"\1\x10\1" + program + b"\0" * 60


# kit.cpp, enum step.

def kit_seeds():
    for rom in (b"\0", b"\1\0", b"\1\x01\x20\0\x99", b"\1\x08\x10\0", b"\1\x10"):
        yield rom + b"".join(bytes((what, region, length)) + struct.pack("<H", offset) +
                             b"\x5a" * (length + 1 if what else 0)
                             for what in (0, 1, 0) for region in range(6) for length in (0, 3, 63)
                             for offset in (0, 4, 0x11, 0x14, 0x20, 0x800, 0x1000))
        yield rom + bytes((3, 0, 2, 1, 2, 69, 0, 3, 15)) + b"\0\x08" + \
            bytes((3, 2, 3, 1, 4, 1, 4, 0, 7, 5, 0, 7, 5, 1, 7, 6, 15, 6, 1, 7))
    for rom in (b"\1\x01\x24\0\x99", b"\1\x01\x34\0\0"):
        yield rom + bytes((8, 0)) * 2
    yield b"\0" + b"".join(bytes((8, what)) for what in range(9))
    flr = b"".join(bytes((1, 4, 1)) + struct.pack("<H", at) + b"\xff\xff"
                   for at in range(0x40, 0xF0, 2))
    yield b"\0" + flr + b"\7"


# driver.cpp, enum step.

def driver_seeds():
    up = b"\0" + struct.pack("<I", ALL_CAPS)
    enable, disable = b"\1\xff\1", b"\1\x33\0"
    traffic = b"\3\0\x0a\4\5\1\x20\6\1\5\4\x08"
    more_than_there_is_room_for = b"\6\1\x27\x08"
    yield up + enable + traffic + disable + traffic + b"\x09" + up + enable + traffic
    yield up + enable + traffic + b"\x0b\0" + b"\4" + b"\x0b\1" + b"\4\x08" + b"\x0a\0" + up
    for how in (1, 0):
        yield b"\x0a" + bytes((how,)) + up + enable + traffic * 3 + disable + b"\x08" + \
            b"\7" + request(Op.VERSION) + traffic
    # Rings where there is no memory, or behind the end of all.
    for begin in (1 << 40, (1 << 64) - 1024):
        yield up + b"\7" + request(Op.CONFIG_VSI_QUEUES, vsi_queues(VSI, [
            queue_pair(VSI, n, 64, begin, 64, begin) for n in range(2)])) + b"\7" + request(
            Op.ENABLE_QUEUES, queue_select(VSI, 3, 3)) + b"\4\6\0\4"
    for actions in ([action(0)], [action(3, 1)], [action(4, 0, 1), action(5, 7)]):
        yield up + enable + b"\7" + request(Op.ADD_FDIR_FILTER, rule(
            [header(ETH, 0), header(IPV4, 3)], actions)) + traffic + more_than_there_is_room_for
    yield up + enable + b"\x0c\0\3\0\5\x0c\1\4\x08"
    for caps in (0, 0x1ABD8CF9):
        yield b"\0" + struct.pack("<I", caps) + enable + traffic * 6 + b"\0" + \
            struct.pack("<I", caps) + enable + traffic
    for how in (0x13, 0x1F, 0x12, 0x55):
        yield up + bytes((13, how)) + enable + traffic + bytes((13, 0)) + traffic + \
            bytes((13, how)) + traffic
    for message in setting(b"\7"):
        yield up + enable + b"\7" + message + traffic


def targets():
    return [name.removesuffix("_seeds") for name in globals() if name.endswith("_seeds")]


def main(folder, *names):
    for target in names or targets():
        into = Path(folder) / target
        into.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(globals()[f"{target}_seeds"]()):
            (into / f"seed-{number}").write_bytes(seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
